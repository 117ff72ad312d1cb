"""Snark work: proofs of ledger transitions, and who is paid for them. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import CompressedPublicKey, CurrencyFee, SnarkJobId
from mina_p2p.mina.proof import RawProof
from mina_p2p.mina.protocol_state import LedgerProofStatement, LedgerProofStatementWithSok, Registers
from mina_p2p.mina.text import Positional, SexpBase64, serde, yojson
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import Polymorphic
from mina_p2p.wire.raw import Raw


@record
class LedgerProof(Record):
    """``Ledger_proof.Prod.Stable.V2``, ``Transaction_snark.Stable.V2``."""

    statement: LedgerProofStatementWithSok
    proof: Annotated[RawProof, SexpBase64()]


@record
class OneProof(Positional):
    """Work that is one proof."""

    proof: LedgerProof


@record
class TwoProofs(Positional):
    """Work that is two adjacent proofs."""

    pair: tuple[LedgerProof, LedgerProof]


SnarkProofs: TypeAlias = Annotated[OneProof | TwoProofs, Polymorphic(("One", "Two")), yojson("One", "Two")]
"""``Transaction_snark_work.T.Stable.V2.proofs``"""


@record
class OneStatement(Positional):
    """One transition."""

    statement: LedgerProofStatement


@record
class TwoStatements(Positional):
    """Two adjacent transitions."""

    pair: tuple[LedgerProofStatement, LedgerProofStatement]


SnarkWorkStatement: TypeAlias = Annotated[OneStatement | TwoStatements, Polymorphic(("One", "Two")), serde("One", "Two")]
"""``Transaction_snark_work.Statement.Stable.V2``"""


@record
class SnarkWork(Record):
    """``Transaction_snark_work.T.Stable.V2``: as blocks hold it."""

    fee: CurrencyFee
    proofs: SnarkProofs
    prover: CompressedPublicKey


class RawSnarkWork(Raw[SnarkWork], of="mina_p2p.mina.snark_work.SnarkWork"):
    """A snark work in a block: its exact bytes, whose layout was checked."""


@record
class Snark(Record):
    """The same work as the pull protocol's RPC writes it (`o1-labs/mina-rust@6fc3f265 core/src/snark/snark.rs`)."""

    snarker: CompressedPublicKey
    fee: CurrencyFee
    proofs: SnarkProofs


@record
class FeeWithProver(Record):
    """``Mina_base__Fee_with_prover.Stable.V1``, ``Mina_base__Sok_message.Stable.V1``."""

    fee: CurrencyFee
    prover: CompressedPublicKey


SokMessage: TypeAlias = FeeWithProver


def job_id(proofs: OneProof | TwoProofs) -> SnarkJobId:
    """Which job the proofs are for: the first one's source and the last one's target."""
    match proofs:
        case OneProof(proof=proof):
            return _job_id(proof.statement.source, proof.statement.target)
        case TwoProofs(pair=(first, last)):
            return _job_id(first.statement.source, last.statement.target)


def _job_id(source: Registers, target: Registers) -> SnarkJobId:
    return SnarkJobId(source.first_pass_ledger, source.second_pass_ledger, target.first_pass_ledger, target.second_pass_ledger)
