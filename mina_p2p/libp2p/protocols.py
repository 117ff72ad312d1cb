"""The protocols that this node speaks on libp2p streams (spec: libp2p 4)."""

from __future__ import annotations

import enum
from typing import Final

from mina_p2p.ids import SECOND
from mina_p2p.record import Record, record


class Framing(enum.IntEnum):
    """How messages follow each other on a stream."""

    RAW = 0
    """Not at all."""
    DELIMITED = 1
    """Behind their length as a varint."""
    RPC = 2
    """Behind their length in eight bytes, little-endian."""


@record
class Protocol(Record):
    """One protocol, with the bounds of its streams."""

    name: str
    framing: Framing
    message_bytes_max: int
    own_idle: int
    """Nanoseconds without a message after which a stream of ours is given up; 0: never."""
    peer_idle: int
    """The same for the peer's streams."""
    peer_streams_max: int
    """Streams of it that one connection's peer may have open; more are reset."""


IDENTIFY: Final = Protocol("/ipfs/id/1.0.0", Framing.DELIMITED, 8192, 30 * SECOND, 60 * SECOND, 8)
IDENTIFY_PUSH: Final = Protocol("/ipfs/id/push/1.0.0", Framing.DELIMITED, 8192, 30 * SECOND, 60 * SECOND, 8)
PING: Final = Protocol("/ipfs/ping/1.0.0", Framing.RAW, 0, 60 * SECOND, 60 * SECOND, 4)
KADEMLIA: Final = Protocol("/coda/kad/1.0.0", Framing.DELIMITED, 1 << 20, 10 * SECOND, 60 * SECOND, 64)
MESHSUB: Final = Protocol("/meshsub/1.1.0", Framing.DELIMITED, 32 << 20, 0, 0, 8)
RPC: Final = Protocol("coda/rpcs/0.0.1", Framing.RPC, 64 << 20, 0, 0, 256)
"""Mina's RPC, without a leading slash; its slice looks after silence. The largest known answer has 59 MB."""

NODE_STATUS: Final = Protocol("/mina/node-status", Framing.RAW, 0, 10 * SECOND, 10 * SECOND, 4)

PROTOCOLS: Final = {protocol.name: protocol for protocol in (IDENTIFY, IDENTIFY_PUSH, PING, KADEMLIA, MESHSUB, RPC, NODE_STATUS)}
"""By name; what a node lists in identify is the names, in this order."""
