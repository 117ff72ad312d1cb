"""Gossip as bytes: what is in a message, and how an item becomes one (spec: libp2p 9, payload).

What is pulled and what is gossiped are the same things in other words: a block is a block, a transaction is one of a list,
and a snark work carries besides its proofs the statement that they prove.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from mina_p2p.errors import DecodeError
from mina_p2p.mina.gossip import AddSolvedWork, EmptyDiff, GossipSnarkPoolDiff, GossipTransactionPoolDiff, ProofsWithFee
from mina_p2p.mina.protocol_state import LedgerProofStatement, LedgerProofStatementWithSok
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.snark_work import FeeWithProver, OneProof, OneStatement, Snark, TwoProofs, TwoStatements
from mina_p2p.relay.config import Relayed
from mina_p2p.wire import codec

_LENGTH_BYTES: Final = 8
_SNARK_DIFF: Final = codec(GossipSnarkPoolDiff)
_TRANSACTION_DIFF: Final = codec(GossipTransactionPoolDiff)

_NONCE: Final = 0
"""Others is only used where the same is said again, which this node does not."""

Pushed: TypeAlias = RawBlock | RawSnark | tuple[RawUserCommand, ...]
"""What a message holds."""


def kind_of(data: bytes) -> Relayed:
    """What a message says that it holds.

    :raises DecodeError: nothing that is known.
    """
    if len(data) <= _LENGTH_BYTES or int.from_bytes(data[:_LENGTH_BYTES], "little") != len(data) - _LENGTH_BYTES:
        raise DecodeError("gossip", 0, f"the length does not fit {len(data)} bytes")
    try:
        return Relayed(data[_LENGTH_BYTES])
    except ValueError:
        raise DecodeError("gossip", _LENGTH_BYTES, f"no kind {data[_LENGTH_BYTES]}") from None


def read_message(data: bytes) -> Pushed:
    """What a message holds, in the exact bytes in which it is pulled.

    :raises DecodeError: bytes that are no message, or proofs of something else than the message states.
    """
    kind, body = kind_of(data), data[_LENGTH_BYTES + 1 :]
    if kind is Relayed.BLOCK:
        return RawBlock(body)
    if kind is Relayed.TRANSACTION:
        commands: tuple[RawUserCommand, ...] = _TRANSACTION_DIFF.decode(body).message
        return commands
    diff = _SNARK_DIFF.decode(body).message
    if isinstance(diff, EmptyDiff):
        return ()
    statement, work = diff.work
    if statement != _statement_of(work.proof):
        raise DecodeError("gossip.work", 0, "the proofs are of another statement")
    return RawSnark.of(Snark(work.fee.prover, work.fee.fee, work.proof))


def block_message(block: RawBlock) -> bytes:
    """The gossip of a block."""
    return _framed(Relayed.BLOCK, block)


def transaction_message(transaction: RawUserCommand) -> bytes:
    """The gossip of one transaction."""
    return _framed(Relayed.TRANSACTION, _TRANSACTION_DIFF.encode(GossipTransactionPoolDiff((transaction,), _NONCE)))


def snark_message(snark: RawSnark) -> bytes:
    """The gossip of a snark work.

    :raises DecodeError: where ``snark`` is none.
    """
    work = snark.value
    diff = AddSolvedWork((_statement_of(work.proofs), ProofsWithFee(work.proofs, FeeWithProver(work.fee, work.snarker))))
    return _framed(Relayed.SNARK, _SNARK_DIFF.encode(GossipSnarkPoolDiff(diff, _NONCE)))


def _framed(kind: Relayed, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(_LENGTH_BYTES, "little") + bytes((kind,)) + body


def _statement_of(proofs: OneProof | TwoProofs) -> OneStatement | TwoStatements:
    match proofs:
        case OneProof(proof=proof):
            return OneStatement(_without_sok(proof.statement))
        case TwoProofs(pair=(first, last)):
            return TwoStatements((_without_sok(first.statement), _without_sok(last.statement)))


def _without_sok(proven: LedgerProofStatementWithSok) -> LedgerProofStatement:
    return LedgerProofStatement(
        proven.source,
        proven.target,
        proven.connecting_ledger_left,
        proven.connecting_ledger_right,
        proven.supply_increase,
        proven.fee_excess,
    )
