"""What the demo's parent and its nodes tell each other: JSON lines over pipes."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import attrs


@attrs.frozen
class Share:
    """What one node has at the start, in exact wire bytes."""

    transactions: tuple[bytes, ...] = ()
    snarks: tuple[bytes, ...] = ()
    commitments: tuple[bytes, ...] = ()
    best_tip: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """As text."""
        return {
            "transactions": [b64encode(item).decode() for item in self.transactions],
            "snarks": [b64encode(item).decode() for item in self.snarks],
            "commitments": [b64encode(item).decode() for item in self.commitments],
            "best_tip": None if self.best_tip is None else b64encode(self.best_tip).decode(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Share:
        """Read what `to_json` wrote."""
        best_tip = value["best_tip"]
        return cls(
            tuple(map(b64decode, value["transactions"])),
            tuple(map(b64decode, value["snarks"])),
            tuple(map(b64decode, value["commitments"])),
            None if best_tip is None else b64decode(best_tip),
        )


MESH_PEERS_MAX = 8
"""Connections that every node of a large demo makes; small ones connect everybody with everybody."""


def peers_wanted(nodes_count: int) -> int:
    """How many connections each of so many nodes shall have."""
    return min(nodes_count - 1, MESH_PEERS_MAX)


@attrs.frozen
class Assignment:
    """The first line a node's process reads."""

    number: int
    secret_seed_hex: str
    """The node's key; made for this run and thrown away after it."""
    seed: int
    chain_id_hex: str
    nodes_count: int
    initial_peer: str | None
    log_path: str
    share: Share

    @property
    def peers_wanted(self) -> int:
        """Connections below which this node looks for more."""
        return peers_wanted(self.nodes_count)

    def to_line(self) -> str:
        """One line of JSON."""
        fields = attrs.asdict(self, recurse=False)
        return json.dumps({**fields, "share": self.share.to_json()})

    @classmethod
    def from_line(cls, line: str) -> Assignment:
        """Read what `to_line` wrote."""
        value: dict[str, Any] = json.loads(line)
        share = Share.from_json(value.pop("share"))
        return cls(share=share, **value)
