"""The permission machine: what one side asked for, and what the other may still send.

``local`` is about what we asked the peer for, ``remote`` about what it asked us for
(spec: pull-protocol 6.1). States are of one channel of one connection.
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.ids import StreamId, Timestamp
from mina_p2p.record import Record, record


@record
class WaitingForRequest(Record):
    """Nothing is permitted."""


@record
class Requested(Record):
    """We permitted ``limit`` items; the peer may take its time (a long poll)."""

    limit: int
    stream: StreamId
    deadline: Timestamp
    """When an unused permission is withdrawn."""


@record
class Responding(Record):
    """The peer promised ``promised_count`` items and sent ``current_count`` of them; its stream has not ended."""

    limit: int
    promised_count: int
    current_count: int
    stream: StreamId
    deadline: Timestamp


@record
class Responded(Record):
    """The last permission was used up and its stream has ended."""

    count: int


@record
class Paused(Record):
    """We ask again at ``deadline``: the peer gave the stream up, or we withdrew it, or it has just sent what is dear to check."""

    deadline: Timestamp


LocalHalf: TypeAlias = WaitingForRequest | Requested | Responding | Responded | Paused


@record
class RemoteRequested(Record):
    """The peer permitted us ``limit`` items, on its stream."""

    limit: int
    stream: StreamId


@record
class RemoteResponded(Record):
    """We answered on ``stream``."""

    count: int
    stream: StreamId
    resend_index: int
    """Where sending goes back to if the peer withdraws the stream before it has read it."""


_IDLE = WaitingForRequest | Responded
_TIMED = Requested | Responding | Paused

RemoteHalf: TypeAlias = WaitingForRequest | RemoteRequested | RemoteResponded


@record
class Propagation(Record):
    """One channel of one connection."""

    local: LocalHalf = WaitingForRequest()
    remote: RemoteHalf = WaitingForRequest()
    next_send_index: int = 0
    """Index in our own log of items from which this peer has not been sent anything (spec: pull-protocol 8.2)."""

    @property
    def is_idle(self) -> bool:
        """Whether we may ask."""
        return isinstance(self.local, _IDLE)

    @property
    def deadline(self) -> Timestamp | None:
        """When the local half can wait no longer."""
        local = self.local
        return local.deadline if isinstance(local, _TIMED) else None
