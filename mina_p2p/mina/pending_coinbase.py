"""Coinbases that no ledger proof covers yet. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import PendingCoinbaseHash
from mina_p2p.mina.protocol_state import PendingCoinbaseStack
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import UInt64

StackId: TypeAlias = UInt64
"""``Mina_base__Pending_coinbase.Stack_id.Stable.V1``"""


@record
class CoinbaseTreeStack(Positional):
    """A leaf."""

    stack: PendingCoinbaseStack


@record
class CoinbaseTreeHash(Positional):
    """A subtree of which only the hash is known."""

    hash: PendingCoinbaseHash


@record
class CoinbaseTreeNode(Positional):
    """An inner node."""

    hash: PendingCoinbaseHash
    left: CoinbaseTree
    right: CoinbaseTree


CoinbaseTree: TypeAlias = Annotated[CoinbaseTreeStack | CoinbaseTreeHash | CoinbaseTreeNode, serde("Account", "Hash", "Node")]
"""``Mina_base__Pending_coinbase.Merkle_tree_versioned.Stable.V2.tree``"""


@record
class PendingCoinbaseTree(Record):
    """``Mina_base__Pending_coinbase.Merkle_tree_versioned.Stable.V2``."""

    indexes: tuple[tuple[StackId, UInt64], ...]
    depth: UInt64
    tree: CoinbaseTree


@record
class PendingCoinbase(Record):
    """``Mina_base__Pending_coinbase.Stable.V2``."""

    tree: PendingCoinbaseTree
    pos_list: tuple[StackId, ...]
    new_pos: StackId
