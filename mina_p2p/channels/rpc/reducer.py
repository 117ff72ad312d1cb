"""Questions and answers: reducer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, assert_never

from mina_p2p.channels.rpc.actions import (
    ChannelsRpcAnswerEnded,
    ChannelsRpcAnswerReset,
    ChannelsRpcRequestCancelled,
    ChannelsRpcRequestReceived,
    ChannelsRpcRequestSend,
    ChannelsRpcResponseReceived,
    ChannelsRpcResponseSend,
    ChannelsRpcServeTimeout,
    ChannelsRpcTimeout,
    RpcAction,
    RpcRequestSend,
)
from mina_p2p.channels.rpc.kinds import is_reasonable, kind_of
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    InitialPeersResponse,
    RpcRequestMessage,
    RpcResponse,
    RpcResponseMessage,
)
from mina_p2p.channels.rpc.state import ForDiscovery, ForNode, ForPool, Purpose, Requested, Responded, Rpc, Serving
from mina_p2p.channels.state import Channels
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.notifications import AnswerNotSent, RpcFailed, RpcResponded
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.state import PeerSource
from mina_p2p.pool.actions import PoolFetched, PoolFetchNext, wake_held_back
from mina_p2p.serving import answer_or_ask, serve_within
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps, SliceReducer, expect
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend
from mina_p2p.wire import EncodeError

FRAME_HEADER_BYTES = 4

_CHANNEL: Final = ChannelId.RPC
_NOT_SENT: Final = Reason(ReasonCode.CHANNEL_SEND_FAILED, _CHANNEL, "not connected, or too many requests")


def _rpc(state: Channels, action: RpcAction) -> Rpc:
    rpc = state.rpc(action.connection_id)
    if rpc is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {action.connection_id} has no RPC channel")
    return rpc


def _node_request_send(state: Channels, action: RpcRequestSend, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    return state, (Attempt(action.as_channel_action, RpcFailed(action.request_id, _NOT_SENT)),)


def _request_send(state: Channels, action: ChannelsRpcRequestSend, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, question = action.connection_id, action.request
    rpc, kind = _rpc(state, action), kind_of(question)
    stream, channels = state.table[connection_id].next_stream()
    number, channels = channels.next_request()
    try:
        frame = RPC_MESSAGE.encode(RpcRequestMessage(number, question))
    except EncodeError as error:
        raise CallerError(f"this {kind.name} question can not be asked: {error}") from error
    deadline, most = Timestamp(now + kind.timeout(root.config.timeouts)), kind.answer_bytes_max
    asked = Requested(number, question, action.purpose, stream, deadline, most)
    effect = ChannelsEffectfulRequestSend(connection_id, _CHANNEL, stream, frame, FRAME_HEADER_BYTES + most, most)
    return state.with_rpc(connection_id, rpc.replace(requests=(*rpc.requests, asked)), channels), (effect,)


def _time_out(state: Channels, action: ChannelsRpcTimeout, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    late = _rpc(state, action).request(action.id)
    what = kind_of(late.request).name if isinstance(late, Requested) else "an answer that does not end"
    return state, (DisconnectionInit(action.connection_id, Reason(ReasonCode.RPC_TIMEOUT, _CHANNEL, what)),)


def _response_received(state: Channels, action: ChannelsRpcResponseReceived, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, rpc = action.connection_id, _rpc(state, action)
    requested = expect(rpc.request_on(action.stream), Requested, action)
    answered = Responded(requested.id, action.stream, Timestamp(now + root.config.timeouts.answer))
    requests = tuple([answered if other is requested else other for other in rpc.requests])
    state = state.with_rpc(connection_id, rpc.replace(requests=requests))
    return state, (*_deliver(connection_id, requested.purpose, action.response, root), *wake_held_back(root))


def _answer_ended(state: Channels, action: ChannelsRpcAnswerEnded, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, rpc = action.connection_id, _rpc(state, action)
    ended = expect(rpc.request_on(action.stream), Responded, action)
    return state.with_rpc(connection_id, rpc.without_request(ended.id)), (PoolFetchNext(connection_id),)


def _answer_reset(state: Channels, action: ChannelsRpcAnswerReset, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, rpc = action.connection_id, _rpc(state, action)
    given_up = rpc.request_on(action.stream)
    if given_up is None:
        raise InvariantViolationError(f"no request on stream {action.stream}")
    state = state.with_rpc(connection_id, rpc.without_request(given_up.id))
    if isinstance(given_up, Responded):
        return state, (PoolFetchNext(connection_id),)
    reason = Reason(ReasonCode.UNSUPPORTED, _CHANNEL, f"the peer reset the stream: {action.code.name}")
    return state, (*failed(connection_id, given_up.purpose, reason), PoolFetchNext(connection_id), *wake_held_back(root))


def _request_received(state: Channels, action: ChannelsRpcRequestReceived, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, rpc = action.connection_id, _rpc(state, action)
    serial = rpc.next_serial
    deadline = Timestamp(now + serve_within(root.config.timeouts, action.request))
    serving = Serving(serial, action.id, action.request, action.stream, deadline)
    rpc = rpc.replace(serving=(*rpc.serving, serving), next_serial=serial + 1)
    return state.with_rpc(connection_id, rpc), (answer_or_ask(root, connection_id, serving),)


def _request_cancelled(state: Channels, action: ChannelsRpcRequestCancelled, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    rpc = _rpc(state, action)
    gone = next(serving for serving in rpc.serving if serving.stream == action.stream)
    return state.with_rpc(action.connection_id, rpc.without_serving(gone.serial)), ()


def _response_send(state: Channels, action: ChannelsRpcResponseSend, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, serial, rpc = action.connection_id, action.serial, _rpc(state, action)
    served = expect(rpc.serving_by(serial), Serving, action)
    frame, too_large = _encode_answer(served, action.response)
    send = ChannelsEffectfulAnswerSend(connection_id, served.stream, (frame,), True)
    state = state.with_rpc(connection_id, rpc.without_serving(serial))
    if too_large is None:
        return state, (send,)
    return state, (send, AnswerNotSent(connection_id, root.connections.table[connection_id].peer_id, serial, too_large))


def _serve_time_out(state: Channels, action: ChannelsRpcServeTimeout, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    return state, (ChannelsRpcResponseSend(action.connection_id, action.serial, None),)


REDUCERS: Final[Mapping[type[Any], SliceReducer[Channels]]] = MappingProxyType(
    {
        RpcRequestSend: _node_request_send,
        ChannelsRpcRequestSend: _request_send,
        ChannelsRpcTimeout: _time_out,
        ChannelsRpcResponseReceived: _response_received,
        ChannelsRpcAnswerEnded: _answer_ended,
        ChannelsRpcAnswerReset: _answer_reset,
        ChannelsRpcRequestReceived: _request_received,
        ChannelsRpcRequestCancelled: _request_cancelled,
        ChannelsRpcResponseSend: _response_send,
        ChannelsRpcServeTimeout: _serve_time_out,
    }
)
"""Every action of this slice."""


def _encode_answer(serving: Serving, response: RpcResponse | None) -> tuple[bytes, Reason | None]:
    """The answer's payload; "do not have it" where the real one would be over the kind's limit, with that as the reason.

    :raises CallerError: for an answer that can not be written.
    """
    kind = kind_of(serving.request)
    try:
        frame = RPC_MESSAGE.encode(RpcResponseMessage(serving.id, response))
    except EncodeError as error:
        raise CallerError(f"this {kind.name} answer can not be sent: {error}") from error
    if len(frame) <= kind.answer_bytes_max:
        return frame, None
    detail = f"{kind.name}: {len(frame)} bytes, at most {kind.answer_bytes_max}"
    return RPC_MESSAGE.encode(RpcResponseMessage(serving.id, None)), Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, ChannelId.RPC, detail)


def _deliver(connection_id: ConnectionId, purpose: Purpose, response: RpcResponse | None, root: P2pState) -> FollowUps:
    match purpose:
        case ForNode(request_id=request_id):
            return (RpcResponded(request_id, connection_id, response),)
        case ForPool(channel=channel, candidate=candidate):
            return (PoolFetched(connection_id, channel, candidate, response),)
        case ForDiscovery():
            if not isinstance(response, InitialPeersResponse):
                return ()
            found = root.peers.find(root.connections.table[connection_id].peer_id)
            by = None if found is None else found[0]
            peers = response.peers[: root.config.limits.discovered_per_source_max]
            return tuple(PeerDiscovered(address, PeerSource.INITIAL_PEERS, by) for address in peers)
        case _:
            assert_never(purpose)


def failed(connection_id: ConnectionId, purpose: Purpose, reason: Reason) -> FollowUps:
    """Tell whoever asked that no answer will come."""
    match purpose:
        case ForNode(request_id=request_id):
            return (RpcFailed(request_id, reason),)
        case ForPool(channel=channel, candidate=candidate):
            return (PoolFetched(connection_id, channel, candidate, None),)
        case ForDiscovery():
            return ()
        case _:
            assert_never(purpose)


def violation(rpc: Rpc | None, action: Any, stream: StreamId) -> ReasonCode:
    """Why a message that its guard refuses breaks the protocol."""
    request = None if rpc is None else rpc.request_on(stream)
    match action:
        case ChannelsRpcResponseReceived(id=number) if isinstance(request, Requested) and request.id == number:
            return ReasonCode.RESPONSE_KIND_MISMATCH
        case ChannelsRpcAnswerEnded() if isinstance(request, Requested):
            return ReasonCode.ANSWER_TRUNCATED
        case ChannelsRpcRequestReceived(id=number, request=question) if rpc is not None and is_reasonable(question):
            in_use = any(number == serving.id or stream == serving.stream for serving in rpc.serving)
            return ReasonCode.CHANNEL_MSG_UNEXPECTED if in_use else ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case _:
            return ReasonCode.CHANNEL_MSG_UNEXPECTED
