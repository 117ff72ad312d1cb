"""Small vocabulary that every slice shares: time, ids, channels."""

from __future__ import annotations

import enum
from typing import Final, NewType

Timestamp = NewType("Timestamp", int)
"""Nanoseconds since the Unix epoch. Arrives with an input and never goes back."""

ConnectionId = NewType("ConnectionId", int)
"""One connection attempt and what became of it; a counter, so a replaced connection's events can not touch its successor."""

PeerNumber = NewType("PeerNumber", int)
"""Dense number of a known peer; keys every table by peer, where 32-byte ids would be slow and hash-seed dependent."""

StreamId = NewType("StreamId", int)
"""A stream of one connection, numbered as in RFC 9000 2.1: 4n by the dialer, 4n + 1 by the listener; stream 0 is the control stream."""

RequestId = NewType("RequestId", int)
"""Ties a command or a question to the node software with its answer; a counter."""

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000

CONTROL_STREAM: Final = StreamId(0)


class ChannelId(enum.IntEnum):
    """The channels of a pull connection (spec: pull-protocol 3.2; 9 and 10 are this project's, design 7 and 8)."""

    SIGNALING_DISCOVERY = 1
    SIGNALING_EXCHANGE = 2
    BEST_TIP = 3
    TRANSACTION = 4
    SNARK = 5
    SNARK_JOB_COMMITMENT = 6
    RPC = 7
    STREAMING_RPC = 8
    ADDRESS_GOSSIP = 9
    BLOCK = 10


def stream_id(number: int, *, by_dialer: bool) -> StreamId:
    """The id of the ``number``-th bidirectional stream (from 0) that one side opens."""
    return StreamId(4 * number + (0 if by_dialer else 1))


def is_opened_by_dialer(stream: StreamId) -> bool:
    """Whether the side that dialled opened ``stream``."""
    return stream % 2 == 0
