"""Answers to ledger queries, and ledgers of which only a part is known. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.account import Account
from mina_p2p.mina.basics import AccountId, LedgerHash
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import UInt64


@record
class ChildHashesAre(Positional):
    """The hashes of the two children."""

    left: LedgerHash
    right: LedgerHash


@record
class ContentsAre(Positional):
    """The accounts below the node."""

    accounts: tuple[Account, ...]


@record
class NumAccountsAnswer(Positional):
    """How many accounts there are, and the hash of the subtree that holds them."""

    count: UInt64
    content_hash: LedgerHash


LedgerAnswer: TypeAlias = Annotated[ChildHashesAre | ContentsAre | NumAccountsAnswer, serde("ChildHashesAre", "ContentsAre", "NumAccounts")]
"""``Mina_ledger__Sync_ledger.Answer.Stable.V2``"""


@record
class SparseLedgerAccount(Positional):
    """A leaf whose account is known."""

    account: Account


@record
class SparseLedgerHash(Positional):
    """A subtree of which only the hash is known."""

    hash: LedgerHash


@record
class SparseLedgerNode(Positional):
    """An inner node."""

    hash: LedgerHash
    left: SparseLedgerTree
    right: SparseLedgerTree


SparseLedgerTree: TypeAlias = Annotated[SparseLedgerAccount | SparseLedgerHash | SparseLedgerNode, serde("Account", "Hash", "Node")]
"""``Mina_base__Sparse_ledger_base.Stable.V2.tree``"""


@record
class SparseLedger(Record):
    """A ledger of which only some accounts are known (``Mina_base__Sparse_ledger_base.Stable.V2``)."""

    indexes: tuple[tuple[AccountId, UInt64], ...]
    depth: UInt64
    tree: SparseLedgerTree
