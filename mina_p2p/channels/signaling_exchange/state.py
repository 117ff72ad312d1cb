"""The signaling exchange channel of one connection.

``local`` is about our own ``GetNext``: we are a listener, the peer is a relay that may hand us an offer.
``remote`` is about the peer's: it is a listener, we may hand it one (spec: pull-protocol 4.3, 6.7).
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table

# --- we are a listener ------------------------------------------------------------------------


@record
class Resting(Record):
    """Nothing is permitted; at ``deadline`` we permit again if there is room for a connection (defect R3)."""

    deadline: Timestamp


@record
class Requested(Record):
    """We sent ``GetNext``: the relay may hand us an offer."""

    stream: StreamId
    deadline: Timestamp


@record
class Offered(Record):
    """An offer came and is being decrypted."""

    stream: StreamId
    offerer: PeerId
    deadline: Timestamp


@record
class AnswerPending(Record):
    """The offer is good; whoever makes connections makes an answer."""

    stream: StreamId
    offerer: PeerId
    deadline: Timestamp


@record
class AnswerEncryptPending(Record):
    """The answer is being encrypted for the offerer."""

    stream: StreamId
    offerer: PeerId
    accepts: bool
    """Whether it accepts, so that somebody waits for the connection."""
    deadline: Timestamp


@record
class Answered(Record):
    """The answer, or that there is none, is with the relay; the end of the stream is awaited."""

    stream: StreamId
    offerer: PeerId
    deadline: Timestamp


LocalHalf: TypeAlias = Resting | Requested | Offered | AnswerPending | AnswerEncryptPending | Answered

# --- the peer is a listener -------------------------------------------------------------------


@record
class WaitingForRequest(Record):
    """The peer has not permitted anything."""


@record
class RemoteRequested(Record):
    """The peer takes an offer: it is available."""

    stream: StreamId


@record
class Promised(Record):
    """It was proposed to a requester, and to nobody else until that has decided (defect R1)."""

    stream: StreamId
    requester: ConnectionId


@record
class RemoteOffered(Record):
    """The requester's offer was passed on; the answer is awaited."""

    stream: StreamId
    requester: ConnectionId


@record
class RemoteAnswered(Record):
    """The peer answered; its next permission is awaited."""


RemoteHalf: TypeAlias = WaitingForRequest | RemoteRequested | Promised | RemoteOffered | RemoteAnswered
"""None has a deadline of its own: what is promised or offered is awaited by the requester's half, which has one."""


@record
class Exchange(Record):
    """Both directions."""

    local: LocalHalf
    remote: RemoteHalf = WaitingForRequest()

    @property
    def waits(self) -> tuple[Timestamp | None, Timestamp | None]:
        """Deadlines of the local and the remote half."""
        return self.local.deadline, None

    @property
    def requester(self) -> ConnectionId | None:
        """Whom this peer is promised to, or answers."""
        return self.remote.requester if isinstance(self.remote, Promised | RemoteOffered) else None


@record
class Introductions(Record):
    """Who wants to be introduced, and who can be; both sides of what a relay matches."""

    queue: Table[int, ConnectionId] = empty_table()
    """Peers that asked and wait, by ticket: the oldest first."""
    available: Table[ConnectionId, None] = empty_table()
    """Peers that take an offer."""
    last_ticket: int = 0
