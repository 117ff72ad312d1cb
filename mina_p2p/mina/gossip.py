"""Gossip messages, and the diff that archive nodes get. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.account import Account
from mina_p2p.mina.basics import AccountId, CurrencyFee, StateBodyHash, StateHash
from mina_p2p.mina.block import Block
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.mina.snark_work import FeeWithProver, SnarkProofs, SnarkWorkStatement
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import Field, Int32, Tagged, UInt64, Unit


@record
class ProofsWithFee(Record):
    """``Network_pool__Snark_pool.Diff_versioned.Stable.V2.Add_solved_work.1``."""

    proof: SnarkProofs
    fee: FeeWithProver


@record
class AddSolvedWork(Positional):
    """A finished snark work."""

    work: tuple[SnarkWorkStatement, ProofsWithFee]


@record
class EmptyDiff(Record):
    """Nothing."""


SnarkPoolDiff: TypeAlias = Annotated[AddSolvedWork | EmptyDiff, serde("AddSolvedWork", "Empty")]
"""``Network_pool__Snark_pool.Diff_versioned.Stable.V2``"""
TransactionPoolDiff: TypeAlias = tuple[RawUserCommand, ...]
"""``Network_pool__Transaction_pool.Diff_versioned.Stable.V2``"""


@record
class GossipNewState(Positional):
    """A new block."""

    block: Block


@record
class GossipSnarkPoolDiff(Record):
    """Snark work for the pools."""

    message: SnarkPoolDiff
    nonce: Int32


@record
class GossipTransactionPoolDiff(Record):
    """Transactions for the pools."""

    message: TransactionPoolDiff
    nonce: Int32


GossipMessage: TypeAlias = Annotated[
    GossipNewState | GossipSnarkPoolDiff | GossipTransactionPoolDiff, serde("NewState", "SnarkPoolDiff", "TransactionPoolDiff")
]
"""The three topics in one (`o1-labs/mina-rust@6fc3f265 mina-p2p-messages/src/gossip.rs`)."""


@record
class BreadcrumbAdded(Record):
    """A block, as an archive node gets it."""

    block: tuple[Block, tuple[StateBodyHash | None, StateHash]]
    accounts_accessed: tuple[tuple[UInt64, Account], ...]
    accounts_created: tuple[tuple[AccountId, CurrencyFee], ...]
    tokens_used: tuple[tuple[Field, AccountId | None], ...]
    sender_receipt_chains_from_parent_ledger: tuple[tuple[AccountId, Field], ...]


@record
class RootTransitioned(Positional):
    """Not used by the network."""

    nothing: Unit = None


@record
class BootstrapOf(Positional):
    """Not used by the network."""

    nothing: Unit = None


ArchiveDiff: TypeAlias = Annotated[
    BreadcrumbAdded | RootTransitioned | BootstrapOf, serde("BreadcrumbAdded", "RootTransitioned", "BoostrapOf")
]
"""``ArchiveTransitionFrontierDiff``"""


@record
class SendDiff(Positional):
    """Hands a diff to an archive node."""

    diff: ArchiveDiff


ArchiveRpc: TypeAlias = Annotated[SendDiff, Tagged(0, "SendDiff")]
