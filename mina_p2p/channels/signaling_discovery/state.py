"""The signaling discovery channel of one connection.

``local`` is about our own ``GetNext``: we are the relay, the peer may ask us for an introduction.
``remote`` is about the peer's: it is the relay, we may ask (spec: pull-protocol 4.3, 6.6).
A state with a target has it until the exchange is over, whatever becomes of it.
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record

# --- we are the relay -------------------------------------------------------------------------


@record
class Resting(Record):
    """Nothing is permitted; we permit again at ``deadline``."""

    deadline: Timestamp


@record
class Requested(Record):
    """We sent ``GetNext``: the peer may ask, and may take its time."""

    stream: StreamId
    deadline: Timestamp


@record
class DiscoveryRequested(Record):
    """The peer asked, and waits until there is somebody for it."""

    stream: StreamId
    ticket: int
    """Its place in the queue."""
    deadline: Timestamp


@record
class Discovered(Record):
    """We proposed a target, whose permission on the exchange channel is promised to this peer."""

    stream: StreamId
    target: PeerId
    target_connection: ConnectionId
    deadline: Timestamp


@record
class TargetLost(Record):
    """We proposed a target that has gone since; an offer for it will be answered with nothing."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


@record
class DiscoveredAccepted(Record):
    """The peer's offer was passed on to the target, whose answer is awaited."""

    stream: StreamId
    target: PeerId
    target_connection: ConnectionId
    deadline: Timestamp


@record
class DiscoveredRejected(Record):
    """The peer declined the target; the end of its stream is awaited."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


@record
class Answered(Record):
    """The target's answer, or that there is none, was passed on; the end of the stream is awaited."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


LocalHalf: TypeAlias = (
    Resting | Requested | DiscoveryRequested | Discovered | TargetLost | DiscoveredAccepted | DiscoveredRejected | Answered
)

# --- the peer is the relay --------------------------------------------------------------------


@record
class WaitingForRequest(Record):
    """The relay has not permitted anything."""


@record
class RemoteRequested(Record):
    """The relay permits us to ask; we look again at ``deadline`` whether we want to."""

    stream: StreamId
    deadline: Timestamp


@record
class RemoteDiscoveryRequested(Record):
    """We asked for an introduction."""

    stream: StreamId
    deadline: Timestamp


@record
class OfferPending(Record):
    """The relay proposed a target that we want; whoever makes connections makes an offer for it."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


@record
class OfferEncryptPending(Record):
    """The offer is being encrypted for the target."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


@record
class RemoteDiscoveredAccepted(Record):
    """The offer is with the relay; the target's answer is awaited."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


@record
class AnswerDecryptPending(Record):
    """The target's answer came and is being decrypted."""

    stream: StreamId
    target: PeerId
    deadline: Timestamp


@record
class RemoteDiscoveredRejected(Record):
    """We declined the target, or could not make an offer; the relay's next permission is awaited."""

    target: PeerId


@record
class RemoteAnswered(Record):
    """The last introduction is over, well or not; the relay's next permission is awaited."""

    target: PeerId


RemoteIdle: TypeAlias = WaitingForRequest | RemoteDiscoveredRejected | RemoteAnswered
Introducing: TypeAlias = OfferPending | OfferEncryptPending | RemoteDiscoveredAccepted | AnswerDecryptPending
"""Whoever makes connections is at it, and has to be told when it fails."""
RemoteHalf: TypeAlias = RemoteIdle | RemoteRequested | RemoteDiscoveryRequested | Introducing


@record
class Discovery(Record):
    """Both directions."""

    local: LocalHalf
    remote: RemoteHalf = WaitingForRequest()

    @property
    def waits(self) -> tuple[Timestamp | None, Timestamp | None]:
        """Deadlines of the local and the remote half."""
        remote = self.remote
        return self.local.deadline, None if isinstance(remote, RemoteIdle) else remote.deadline

    @property
    def target_connection(self) -> ConnectionId | None:
        """The target that is promised to this peer, or works on its offer."""
        return self.local.target_connection if isinstance(self.local, Discovered | DiscoveredAccepted) else None
