"""Ledger queries: how a ledger is downloaded as a Merkle tree. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.text import Hex, Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import ByteString, UInt64


@record
class MerkleAddress(Positional):
    """A node of a ledger's tree (``Merkle_address.Binable_arg.Stable.V1``).

    ``path`` holds one bit for each step from the root, most significant bit of the first byte first.
    """

    depth: UInt64
    path: Annotated[ByteString, Hex()]


@record
class WhatChildHashes(Positional):
    """Asks for the hashes of a node's two children."""

    address: MerkleAddress


@record
class WhatContents(Positional):
    """Asks for the accounts below a node."""

    address: MerkleAddress


@record
class NumAccounts(Record):
    """Asks how many accounts there are, and for the hash of the subtree that holds them."""


LedgerQuery: TypeAlias = Annotated[WhatChildHashes | WhatContents | NumAccounts, serde("WhatChildHashes", "WhatContents", "NumAccounts")]
"""``Mina_ledger__Sync_ledger.Query.Stable.V1``"""
