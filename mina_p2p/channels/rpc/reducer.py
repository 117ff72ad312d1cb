"""Questions and answers: reducer."""

from __future__ import annotations

from typing import Any, assert_never

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
from mina_p2p.store import Attempt, FollowUps, expect
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend
from mina_p2p.wire import EncodeError

FRAME_HEADER_BYTES = 4


def reduce(state: Channels, action: RpcAction, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reduce one action of this slice."""
    connection_id = action.connection_id
    if isinstance(action, RpcRequestSend):
        refused = RpcFailed(action.request_id, Reason(ReasonCode.CHANNEL_SEND_FAILED, ChannelId.RPC, "not connected, or too many requests"))
        return state, (Attempt(action.as_channel_action, refused),)
    rpc = state.rpc(connection_id)
    if rpc is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {connection_id} has no RPC channel")
    match action:
        case ChannelsRpcRequestSend(request=question, purpose=purpose):
            kind = kind_of(question)
            stream, channels = state.table[connection_id].next_stream()
            number, channels = channels.next_request()
            try:
                frame = RPC_MESSAGE.encode(RpcRequestMessage(number, question))
            except EncodeError as error:
                raise CallerError(f"this {kind.name} question can not be asked: {error}") from error
            asked = Requested(number, question, purpose, stream, Timestamp(now + kind.timeout(root.config.timeouts)), kind.answer_bytes_max)
            effect = ChannelsEffectfulRequestSend(
                connection_id,
                ChannelId.RPC,
                stream,
                frame,
                FRAME_HEADER_BYTES + kind.answer_bytes_max,
                kind.answer_bytes_max,
            )
            rpc = rpc.replace(requests=(*rpc.requests, asked))
            return state.with_rpc(connection_id, rpc, channels), (effect,)

        case ChannelsRpcTimeout(id=number):
            late = rpc.request(number)
            what = kind_of(late.request).name if isinstance(late, Requested) else "an answer that does not end"
            return state, (DisconnectionInit(connection_id, Reason(ReasonCode.RPC_TIMEOUT, ChannelId.RPC, what)),)

        case ChannelsRpcResponseReceived(stream=stream, response=response):
            requested = expect(rpc.request_on(stream), Requested, action)
            answered = Responded(requested.id, stream, Timestamp(now + root.config.timeouts.answer))
            requests = tuple(answered if other is requested else other for other in rpc.requests)
            state = state.with_rpc(connection_id, rpc.replace(requests=requests))
            return state, (*_deliver(connection_id, requested.purpose, response, root), *wake_held_back(root))

        case ChannelsRpcAnswerEnded(stream=stream):
            ended = expect(rpc.request_on(stream), Responded, action)
            return state.with_rpc(connection_id, rpc.without_request(ended.id)), (PoolFetchNext(connection_id),)

        case ChannelsRpcAnswerReset(stream=stream, code=code):
            given_up = rpc.request_on(stream)
            if given_up is None:
                raise InvariantViolationError(f"no request on stream {stream}")
            state = state.with_rpc(connection_id, rpc.without_request(given_up.id))
            if isinstance(given_up, Responded):
                return state, (PoolFetchNext(connection_id),)
            reason = Reason(ReasonCode.UNSUPPORTED, ChannelId.RPC, f"the peer reset the stream: {code.name}")
            return state, (*failed(connection_id, given_up.purpose, reason), PoolFetchNext(connection_id), *wake_held_back(root))

        case ChannelsRpcRequestReceived(stream=stream, id=number, request=question):
            serial = rpc.next_serial
            deadline = Timestamp(now + serve_within(root.config.timeouts, question))
            serving = Serving(serial, number, question, stream, deadline)
            rpc = rpc.replace(serving=(*rpc.serving, serving), next_serial=serial + 1)
            return state.with_rpc(connection_id, rpc), (answer_or_ask(root, connection_id, serving),)

        case ChannelsRpcRequestCancelled(stream=stream):
            gone = next(serving for serving in rpc.serving if serving.stream == stream)
            return state.with_rpc(connection_id, rpc.without_serving(gone.serial)), ()

        case ChannelsRpcResponseSend(serial=serial, response=response):
            served = expect(rpc.serving_by(serial), Serving, action)
            frame, too_large = _encode_answer(served, response)
            send = ChannelsEffectfulAnswerSend(connection_id, served.stream, (frame,), True)
            peer_id = root.connections.table[connection_id].peer_id
            told = () if too_large is None else (AnswerNotSent(connection_id, peer_id, serial, too_large),)
            return state.with_rpc(connection_id, rpc.without_serving(serial)), (send, *told)

        case ChannelsRpcServeTimeout(serial=serial):
            return state, (ChannelsRpcResponseSend(connection_id, serial, None),)

        case _:
            assert_never(action)


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
