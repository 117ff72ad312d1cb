"""What happens on the signaling discovery channel."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.signaling_discovery.state import (
    AnswerDecryptPending,
    Answered,
    Discovered,
    DiscoveredAccepted,
    DiscoveredRejected,
    DiscoveryRequested,
    LocalHalf,
    OfferEncryptPending,
    OfferPending,
    RemoteDiscoveredAccepted,
    RemoteDiscoveryRequested,
    RemoteHalf,
    RemoteIdle,
    RemoteRequested,
    Requested,
    Resting,
    TargetLost,
)
from mina_p2p.channels.signaling_exchange.state import RemoteRequested as Available
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.signaling.questions import wants_introduction
from mina_p2p.state import P2pState


def _local(state: P2pState, connection_id: ConnectionId) -> LocalHalf | None:
    discovery = state.channels.discovery(connection_id)
    return None if discovery is None else discovery.local


def _remote(state: P2pState, connection_id: ConnectionId) -> RemoteHalf | None:
    discovery = state.channels.discovery(connection_id)
    return None if discovery is None else discovery.remote


# --- we are the relay -------------------------------------------------------------------------


@record
class ChannelsSignalingDiscoveryRequestSend(Record):
    """Permit the peer to ask for one introduction."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Resting) and local.deadline <= now


@record
class ChannelsSignalingDiscoveryDiscoveryRequestReceived(Record):
    """The peer asks for an introduction."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Requested) and local.stream == self.stream


@record
class ChannelsSignalingDiscoveryDiscoveredSend(Record):
    """Propose a target to a peer that asked, and promise it the target's permission."""

    connection_id: ConnectionId
    target: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        exchange = state.channels.exchange(self.target)
        is_available = exchange is not None and isinstance(exchange.remote, Available)
        return is_available and self.target != self.connection_id and isinstance(_local(state, self.connection_id), DiscoveryRequested)


@record
class ChannelsSignalingDiscoveryDiscoveredRejectReceived(Record):
    """The peer declines its target."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Discovered | TargetLost) and local.stream == self.stream


@record
class ChannelsSignalingDiscoveryDiscoveredAcceptReceived(Record):
    """The peer accepts its target, with an offer."""

    connection_id: ConnectionId
    stream: StreamId
    offer: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Discovered | TargetLost) and local.stream == self.stream


@record
class ChannelsSignalingDiscoveryTargetLost(Record):
    """A peer's target is no longer promised to it, or will not answer: it is gone, or has withdrawn (defect R5)."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        discovery = state.channels.discovery(self.connection_id)
        target = None if discovery is None else discovery.target_connection
        if target is None:
            return False
        exchange = state.channels.exchange(target)
        return exchange is None or exchange.requester != self.connection_id


@record
class ChannelsSignalingDiscoveryAnswerSend(Record):
    """Pass on the target's answer; ``None``: there is none."""

    connection_id: ConnectionId
    answer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return isinstance(_local(state, self.connection_id), DiscoveredAccepted)


@record
class ChannelsSignalingDiscoveryEnded(Record):
    """The stream of an introduction ended, after all of it."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, DiscoveredRejected | Answered) and local.stream == self.stream


@record
class ChannelsSignalingDiscoveryReset(Record):
    """The peer gave up the stream of our permission."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return local is not None and not isinstance(local, Resting) and local.stream == self.stream


@record
class ChannelsSignalingDiscoveryTimeout(Record):
    """The half in which we are the relay has waited, or rested, long enough (defect R4)."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return local is not None and local.deadline <= now


# --- the peer is the relay --------------------------------------------------------------------


@record
class ChannelsSignalingDiscoveryRequestReceived(Record):
    """The relay permits us to ask for one introduction."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        channels = state.channels.table.get(self.connection_id)
        return isinstance(_remote(state, self.connection_id), RemoteIdle) and channels is not None and not channels.is_ours(self.stream)


@record
class ChannelsSignalingDiscoveryDiscoveryRequestSend(Record):
    """Ask the relay for an introduction, because there are too few connections."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return isinstance(_remote(state, self.connection_id), RemoteRequested) and wants_introduction(state)


@record
class ChannelsSignalingDiscoveryDiscoveredReceived(Record):
    """The relay proposes a target."""

    connection_id: ConnectionId
    stream: StreamId
    target: PeerId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, RemoteDiscoveryRequested) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryDiscoveredReject(Record):
    """Decline the target, or say that we could not make an offer (defect R6)."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return isinstance(_remote(state, self.connection_id), OfferPending | OfferEncryptPending)


@record
class ChannelsSignalingDiscoveryOfferReady(Record):
    """Whoever makes connections has an offer for a `SignalingOfferWanted`. Raises `CallerError` where ``sdp`` is no text."""

    connection_id: ConnectionId
    stream: StreamId
    sdp: str

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, OfferPending) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryOfferError(Record):
    """Whoever makes connections could not, or will not, make an offer for a `SignalingOfferWanted`."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, OfferPending) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryOfferEncrypted(Record):
    """Answer of a `SignalingEffectfulOfferEncrypt`; ``None`` where it failed."""

    connection_id: ConnectionId
    stream: StreamId
    offer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, OfferEncryptPending) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryAnswerReceived(Record):
    """The relay passes on the target's answer; ``None``: there is none."""

    connection_id: ConnectionId
    stream: StreamId
    answer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, RemoteDiscoveredAccepted) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryAnswerDecrypted(Record):
    """Answer of a `SignalingEffectfulAnswerDecrypt`; ``None`` where it failed."""

    connection_id: ConnectionId
    stream: StreamId
    answer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, AnswerDecryptPending) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryRemoteEnded(Record):
    """The relay ended its half of the stream: legal where it had said its last word."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        if remote is None:
            return False
        return isinstance(remote, RemoteIdle | AnswerDecryptPending) or remote.stream != self.stream


@record
class ChannelsSignalingDiscoveryRemoteReset(Record):
    """The relay gave up the stream of its permission."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return remote is not None and not isinstance(remote, RemoteIdle) and remote.stream == self.stream


@record
class ChannelsSignalingDiscoveryRemoteTimeout(Record):
    """The half in which the peer is the relay has waited long enough (defect R4)."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return remote is not None and not isinstance(remote, RemoteIdle) and remote.deadline <= now


RelayAction: TypeAlias = (
    ChannelsSignalingDiscoveryRequestSend
    | ChannelsSignalingDiscoveryDiscoveryRequestReceived
    | ChannelsSignalingDiscoveryDiscoveredSend
    | ChannelsSignalingDiscoveryDiscoveredRejectReceived
    | ChannelsSignalingDiscoveryDiscoveredAcceptReceived
    | ChannelsSignalingDiscoveryTargetLost
    | ChannelsSignalingDiscoveryAnswerSend
    | ChannelsSignalingDiscoveryEnded
    | ChannelsSignalingDiscoveryReset
    | ChannelsSignalingDiscoveryTimeout
)
DialerAction: TypeAlias = (
    ChannelsSignalingDiscoveryRequestReceived
    | ChannelsSignalingDiscoveryDiscoveryRequestSend
    | ChannelsSignalingDiscoveryDiscoveredReceived
    | ChannelsSignalingDiscoveryDiscoveredReject
    | ChannelsSignalingDiscoveryOfferReady
    | ChannelsSignalingDiscoveryOfferError
    | ChannelsSignalingDiscoveryOfferEncrypted
    | ChannelsSignalingDiscoveryAnswerReceived
    | ChannelsSignalingDiscoveryAnswerDecrypted
    | ChannelsSignalingDiscoveryRemoteEnded
    | ChannelsSignalingDiscoveryRemoteReset
    | ChannelsSignalingDiscoveryRemoteTimeout
)
SignalingDiscoveryAction: TypeAlias = RelayAction | DialerAction
