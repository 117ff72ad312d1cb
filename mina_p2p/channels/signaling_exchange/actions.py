"""What happens on the signaling exchange channel."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeOfferToYou
from mina_p2p.channels.signaling_exchange.state import (
    Answered,
    AnswerEncryptPending,
    AnswerPending,
    LocalHalf,
    Offered,
    Promised,
    RemoteAnswered,
    RemoteHalf,
    RemoteOffered,
    Requested,
    Resting,
    WaitingForRequest,
)
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.signaling.frames import FRAME_BYTES_MAX
from mina_p2p.signaling.questions import has_room
from mina_p2p.state import P2pState


def _local(state: P2pState, connection_id: ConnectionId) -> LocalHalf | None:
    exchange = state.channels.exchange(connection_id)
    return None if exchange is None else exchange.local


def _remote(state: P2pState, connection_id: ConnectionId) -> RemoteHalf | None:
    exchange = state.channels.exchange(connection_id)
    return None if exchange is None else exchange.remote


# --- we are a listener ------------------------------------------------------------------------


@record
class ChannelsSignalingExchangeRequestSend(Record):
    """Permit the relay to hand us one offer, if there is room for a connection."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Resting) and local.deadline <= now and has_room(state)


@record
class ChannelsSignalingExchangeOfferReceived(Record):
    """The relay hands us an offer."""

    connection_id: ConnectionId
    stream: StreamId
    offerer: PeerId
    offer: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Requested) and local.stream == self.stream


@record
class ChannelsSignalingExchangeOfferDecrypted(Record):
    """Answer of a `SignalingEffectfulOfferDecrypt`; ``None`` where it failed."""

    connection_id: ConnectionId
    stream: StreamId
    offer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Offered) and local.stream == self.stream


@record
class ChannelsSignalingExchangeAnswerReady(Record):
    """Whoever makes connections has an answer for a `SignalingOfferReceived`. Raises `CallerError` where ``sdp`` is no text."""

    connection_id: ConnectionId
    stream: StreamId
    sdp: str

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, AnswerPending) and local.stream == self.stream


@record
class ChannelsSignalingExchangeAnswerError(Record):
    """Whoever makes connections could not, or will not, make an answer for a `SignalingOfferReceived`."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, AnswerPending) and local.stream == self.stream


@record
class ChannelsSignalingExchangeAnswerEncrypted(Record):
    """Answer of a `SignalingEffectfulAnswerEncrypt`; ``None`` where it failed."""

    connection_id: ConnectionId
    stream: StreamId
    answer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, AnswerEncryptPending) and local.stream == self.stream


@record
class ChannelsSignalingExchangeEnded(Record):
    """The stream of an answered offer ended."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return isinstance(local, Answered) and local.stream == self.stream


@record
class ChannelsSignalingExchangeReset(Record):
    """The relay gave up the stream of our permission."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return local is not None and not isinstance(local, Resting) and local.stream == self.stream


@record
class ChannelsSignalingExchangeTimeout(Record):
    """The half in which we are a listener has waited, or rested, long enough (defects R3, R4)."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        local = _local(state, self.connection_id)
        return local is not None and local.deadline <= now


# --- the peer is a listener -------------------------------------------------------------------


@record
class ChannelsSignalingExchangeRequestReceived(Record):
    """The peer takes an offer: it is available."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        channels = state.channels.table.get(self.connection_id)
        is_idle = isinstance(_remote(state, self.connection_id), WaitingForRequest | RemoteAnswered)
        return is_idle and channels is not None and not channels.is_ours(self.stream)


@record
class ChannelsSignalingExchangeOfferSend(Record):
    """Hand a requester's offer to the target that is promised to it, if it fits a frame (defect C9)."""

    connection_id: ConnectionId
    requester: ConnectionId
    offer: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        requester = state.connections.get(self.requester)
        if not isinstance(remote, Promised) or remote.requester != self.requester or requester is None:
            return False
        return len(EXCHANGE_MESSAGE.encode(ExchangeOfferToYou(requester.peer_id, self.offer))) <= FRAME_BYTES_MAX


@record
class ChannelsSignalingExchangeAnswerReceived(Record):
    """The peer answers the offer; ``None``: it has no answer."""

    connection_id: ConnectionId
    stream: StreamId
    answer: bytes | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return isinstance(remote, RemoteOffered) and remote.stream == self.stream


@record
class ChannelsSignalingExchangeRequesterLost(Record):
    """The requester that a target is promised to, or whose offer it works on, no longer waits for it."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        exchange = state.channels.exchange(self.connection_id)
        requester = None if exchange is None else exchange.requester
        if requester is None:
            return False
        discovery = state.channels.discovery(requester)
        return discovery is None or discovery.target_connection != self.connection_id


@record
class ChannelsSignalingExchangeRemoteEnded(Record):
    """The peer ended its half of the stream: legal where it had answered."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        if remote is None:
            return False
        return isinstance(remote, WaitingForRequest | RemoteAnswered) or remote.stream != self.stream


@record
class ChannelsSignalingExchangeRemoteReset(Record):
    """The peer withdrew its permission, or will not answer."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        remote = _remote(state, self.connection_id)
        return remote is not None and not isinstance(remote, WaitingForRequest | RemoteAnswered) and remote.stream == self.stream


ListenerAction: TypeAlias = (
    ChannelsSignalingExchangeRequestSend
    | ChannelsSignalingExchangeOfferReceived
    | ChannelsSignalingExchangeOfferDecrypted
    | ChannelsSignalingExchangeAnswerReady
    | ChannelsSignalingExchangeAnswerError
    | ChannelsSignalingExchangeAnswerEncrypted
    | ChannelsSignalingExchangeEnded
    | ChannelsSignalingExchangeReset
    | ChannelsSignalingExchangeTimeout
)
RelayAction: TypeAlias = (
    ChannelsSignalingExchangeRequestReceived
    | ChannelsSignalingExchangeOfferSend
    | ChannelsSignalingExchangeAnswerReceived
    | ChannelsSignalingExchangeRequesterLost
    | ChannelsSignalingExchangeRemoteEnded
    | ChannelsSignalingExchangeRemoteReset
)
SignalingExchangeAction: TypeAlias = ListenerAction | RelayAction
