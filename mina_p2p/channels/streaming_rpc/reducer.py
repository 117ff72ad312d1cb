"""Answers in parts: reducer."""

from __future__ import annotations

from typing import Any, Final, assert_never

from mina_p2p.channels.state import Channels, PeerChannels
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcAnswerEnded,
    ChannelsStreamingRpcAnswerReset,
    ChannelsStreamingRpcRequestCancelled,
    ChannelsStreamingRpcRequestEnded,
    ChannelsStreamingRpcRequestReceived,
    ChannelsStreamingRpcRequestSend,
    ChannelsStreamingRpcResponseCancel,
    ChannelsStreamingRpcResponseNextPartGet,
    ChannelsStreamingRpcResponsePartNextSend,
    ChannelsStreamingRpcResponsePartReceived,
    ChannelsStreamingRpcResponsePartSend,
    ChannelsStreamingRpcResponseReceived,
    ChannelsStreamingRpcResponseSendInit,
    ChannelsStreamingRpcServeNext,
    ChannelsStreamingRpcServeTimeout,
    ChannelsStreamingRpcTimeout,
    StreamingRpcAction,
    StreamingRpcCancel,
    StreamingRpcRequestSend,
)
from mina_p2p.channels.streaming_rpc.messages import (
    STREAMING_RPC_MESSAGE,
    StagedLedgerPart,
    StagedLedgerPartsResponse,
    StreamingRpcNext,
    StreamingRpcRequestMessage,
    StreamingRpcResponse,
    StreamingRpcResponseMessage,
)
from mina_p2p.channels.streaming_rpc.parts import check_parts
from mina_p2p.channels.streaming_rpc.state import (
    BasePending,
    GivenUp,
    LedgerGetIdle,
    LedgerGetPending,
    PartReady,
    RemoteRequested,
    RemoteResponded,
    Requested,
    Responded,
    StreamingRpc,
    WaitingForRequest,
    after_next,
    after_part,
    is_complete,
    is_last_permitted,
    part_ready,
    part_sent,
    parts_expected,
    parts_received,
)
from mina_p2p.config import Limits, P2pConfig
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.notifications import AnswerNotSent, RpcFailed, StreamingRpcPartReceived, StreamingRpcRequested, StreamingRpcResponded
from mina_p2p.pool.actions import wake_held_back
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps, expect
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
)
from mina_p2p.wire import EncodeError

CHANNEL: Final = ChannelId.STREAMING_RPC
FRAME_HEADER_BYTES: Final = 4
MESSAGE_BYTES_MAX: Final = 1 + 9 + 1 + 1 + 1 + 5
"""What stands in front of a part's body at most: tags, id, and the number of trees."""


def reduce(state: Channels, action: StreamingRpcAction, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reduce one action of this slice."""
    if isinstance(action, StreamingRpcRequestSend):
        send = ChannelsStreamingRpcRequestSend(action.connection_id, action.request_id, action.request)
        refused = Reason(ReasonCode.CHANNEL_SEND_FAILED, CHANNEL, "not connected, or busy with another question")
        return state, (Attempt(send, RpcFailed(action.request_id, refused)),)
    if isinstance(action, ChannelsStreamingRpcServeNext):
        return _serve_next(state, now, root)
    connection_id = action.connection_id
    rpc = state.streaming_rpc(connection_id)
    if rpc is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {connection_id} has no streaming RPC channel")
    timeouts = root.config.timeouts
    match action:
        case ChannelsStreamingRpcRequestSend():
            return _ask(state, rpc, action, now, root.config)

        case ChannelsStreamingRpcResponsePartReceived(part=part, size=size):
            asked = expect(rpc.local, Requested, action)
            progress = after_part(asked.progress, part, root.config.limits.streaming_trees_max)
            if progress is None:
                raise InvariantViolationError("a part that is not due was not refused")
            taken = asked.replace(progress=progress, bytes_received=asked.bytes_received + size)
            told = StreamingRpcPartReceived(asked.request_id, connection_id, part, parts_received(progress), parts_expected(progress))
            further: Any = ChannelsStreamingRpcResponseNextPartGet(connection_id)
            if is_complete(progress):
                further = ChannelsStreamingRpcResponseReceived(connection_id, asked.stream, asked.id, True)
            return state.with_streaming_rpc(connection_id, rpc.replace(local=taken)), (told, further)

        case ChannelsStreamingRpcResponseNextPartGet():
            asked = expect(rpc.local, Requested, action)
            pending = after_next(asked.progress)
            if pending is None:
                raise InvariantViolationError("no part is left to permit")
            permitted = asked.replace(progress=pending, deadline=_sooner(now + timeouts.streaming_rpc, asked.gives_up_at))
            frame = STREAMING_RPC_MESSAGE.encode(StreamingRpcNext(asked.id))
            frame_max = asked.answer_bytes_max - FRAME_HEADER_BYTES
            effect = ChannelsEffectfulRequestContinue(
                connection_id, asked.stream, frame, asked.answer_bytes_max, frame_max, is_last_permitted(pending)
            )
            return state.with_streaming_rpc(connection_id, rpc.replace(local=permitted)), (effect,)

        case ChannelsStreamingRpcResponseReceived(has_answer=has_answer):
            asked = expect(rpc.local, Requested, action)
            count = parts_received(asked.progress) if has_answer else None
            over = Responded(asked.stream, Timestamp(now + timeouts.answer), asked.request_id, count)
            return state.with_streaming_rpc(connection_id, rpc.replace(local=over)), wake_held_back(root)

        case ChannelsStreamingRpcAnswerEnded():
            ended = responded(connection_id, expect(rpc.local, Responded, action))
            return state.with_streaming_rpc(connection_id, rpc.replace(local=WaitingForRequest())), (ended,)

        case ChannelsStreamingRpcAnswerReset(code=code):
            gone = state.with_streaming_rpc(connection_id, rpc.replace(local=WaitingForRequest()))
            if isinstance(rpc.local, Responded):
                return gone, (responded(connection_id, rpc.local),)
            asked = expect(rpc.local, Requested, action)
            why = Reason(ReasonCode.UNSUPPORTED, CHANNEL, f"the peer reset the stream: {code.name}")
            return gone, (RpcFailed(asked.request_id, why), *wake_held_back(root))

        case StreamingRpcCancel():
            return _give_up(state, rpc, connection_id, now, root)

        case ChannelsStreamingRpcTimeout():
            return _time_out(state, rpc, action, now, root)

        case ChannelsStreamingRpcRequestReceived(stream=stream, id=number, request=question):
            deadline = Timestamp(now + timeouts.streaming_rpc_serve)
            serving = RemoteRequested(rpc.next_serial, number, question, stream, LedgerGetIdle(), deadline)
            waits = rpc.replace(remote=serving, next_serial=rpc.next_serial + 1)
            return state.with_streaming_rpc(connection_id, waits), (ChannelsStreamingRpcServeNext(),)

        case ChannelsStreamingRpcResponseSendInit(parts=parts):
            serving = expect(rpc.remote, RemoteRequested, action)
            too_large = None if parts is None else _too_large(parts, root.config.limits)
            if parts is None or too_large is not None:
                state, follow_ups = _answer_none(state, rpc, connection_id, serving, now)
                if too_large is None:
                    return state, follow_ups
                peer_id = root.connections.table[connection_id].peer_id
                return state, (*follow_ups, AnswerNotSent(connection_id, peer_id, serving.serial, too_large))
            ready = serving.replace(progress=PartReady(parts, 0), deadline=Timestamp(now + timeouts.streaming_rpc))
            return state.with_streaming_rpc(connection_id, rpc.replace(remote=ready)), (
                ChannelsStreamingRpcResponsePartSend(connection_id),
            )

        case ChannelsStreamingRpcResponsePartNextSend():
            serving = expect(rpc.remote, RemoteRequested, action)
            permitted_part = part_ready(serving.progress)
            if permitted_part is None:
                raise InvariantViolationError("a part that is not due was not refused")
            ready = serving.replace(progress=permitted_part, deadline=Timestamp(now + timeouts.streaming_rpc))
            return state.with_streaming_rpc(connection_id, rpc.replace(remote=ready)), (
                ChannelsStreamingRpcResponsePartSend(connection_id),
            )

        case ChannelsStreamingRpcResponsePartSend():
            serving = expect(rpc.remote, RemoteRequested, action)
            part_to_send = expect(serving.progress, PartReady, action)
            left = part_sent(part_to_send)
            effect_send = _answer(connection_id, serving, StagedLedgerPartsResponse(part_to_send.parts[0]), ends=left is None)
            if left is None:
                return _served(state, rpc, connection_id, serving, now, effect_send)
            sent = serving.replace(progress=left, deadline=Timestamp(now + timeouts.streaming_rpc))
            return state.with_streaming_rpc(connection_id, rpc.replace(remote=sent)), (effect_send,)

        case ChannelsStreamingRpcResponseCancel():
            serving = expect(rpc.remote, RemoteRequested, action)
            return _served(state, rpc, connection_id, serving, now, _reset(connection_id, serving.stream, StreamResetCode.REFUSED))

        case ChannelsStreamingRpcRequestEnded():
            return state, ()

        case ChannelsStreamingRpcRequestCancelled():
            return _served(state, rpc, connection_id, expect(rpc.remote, RemoteRequested, action), now)

        case ChannelsStreamingRpcServeTimeout():
            serving = expect(rpc.remote, RemoteRequested, action)
            if isinstance(serving.progress, LedgerGetIdle | LedgerGetPending):
                return _answer_none(state, rpc, connection_id, serving, now)
            return _served(state, rpc, connection_id, serving, now, _reset(connection_id, serving.stream, StreamResetCode.REFUSED))

        case _:
            assert_never(action)


def responded(connection_id: ConnectionId, over: Responded) -> StreamingRpcResponded:
    """What the node software hears of an answer whose stream is over."""
    return StreamingRpcResponded(over.request_id, connection_id, over.parts_count)


def _sooner(one: int, other: int) -> Timestamp:
    return Timestamp(min(one, other))


def _ask(
    state: Channels, rpc: StreamingRpc, action: ChannelsStreamingRpcRequestSend, now: Timestamp, config: P2pConfig
) -> tuple[Channels, FollowUps]:
    connection_id = action.connection_id
    stream, channels = state.table[connection_id].next_stream()
    number, channels = channels.next_request()
    try:
        frame = STREAMING_RPC_MESSAGE.encode(StreamingRpcRequestMessage(number, action.request))
    except EncodeError as error:
        raise CallerError(f"this question can not be asked: {error}") from error
    frame_max = config.limits.streaming_part_bytes_max
    gives_up_at = Timestamp(now + config.timeouts.streaming_rpc_answer)
    asked = Requested(
        number,
        action.request,
        action.request_id,
        stream,
        BasePending(),
        0,
        FRAME_HEADER_BYTES + frame_max,
        gives_up_at,
        _sooner(now + config.timeouts.streaming_rpc, gives_up_at),
    )
    effect = ChannelsEffectfulRequestSend(connection_id, CHANNEL, stream, frame, asked.answer_bytes_max, frame_max, False)
    return state.with_streaming_rpc(connection_id, rpc.replace(local=asked), channels), (effect,)


def _give_up(state: Channels, rpc: StreamingRpc, connection_id: ConnectionId, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reset our question's stream."""
    if not isinstance(rpc.local, Requested):
        raise InvariantViolationError("there is no question to give up")
    given_up = rpc.replace(local=GivenUp(Timestamp(now + root.config.timeouts.stream_settle)))
    reset = _reset(connection_id, rpc.local.stream, StreamResetCode.CANCELLED)
    return state.with_streaming_rpc(connection_id, given_up), (reset, *wake_held_back(root))


def _time_out(
    state: Channels, rpc: StreamingRpc, action: ChannelsStreamingRpcTimeout, now: Timestamp, root: P2pState
) -> tuple[Channels, FollowUps]:
    connection_id = action.connection_id
    match rpc.local:
        case Requested(gives_up_at=gives_up_at, request_id=request_id) if gives_up_at <= now:
            # It went on to the last, so nobody is at fault; but it took too long.
            state, follow_ups = _give_up(state, rpc, connection_id, now, root)
            return state, (*follow_ups, RpcFailed(request_id, Reason(ReasonCode.STREAMING_RPC_TIMEOUT, CHANNEL, "the whole took too long")))
        case Requested(progress=progress):
            detail = f"{parts_received(progress)} of {parts_expected(progress)} parts came in time"
            return state, (DisconnectionInit(connection_id, Reason(ReasonCode.STREAMING_RPC_TIMEOUT, CHANNEL, detail)),)
        case Responded():
            detail = "an answer that does not end"
            return state, (DisconnectionInit(connection_id, Reason(ReasonCode.STREAMING_RPC_TIMEOUT, CHANNEL, detail)),)
        case _:
            return state.with_streaming_rpc(connection_id, rpc.replace(local=WaitingForRequest())), ()


# --- serving ----------------------------------------------------------------------------------


def _serve_next(state: Channels, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    waiting = [(rpc.last_responded, cid, rpc) for cid in state.servings.idle if (rpc := state.streaming_rpc(cid)) is not None]
    _, connection_id, rpc = min(waiting, key=lambda entry: entry[:2])
    if not isinstance(rpc.remote, RemoteRequested):
        raise InvariantViolationError(f"connection {connection_id} waits to be served and has asked nothing")
    # The deadline stays: the peer's patience began with its question.
    pending = rpc.replace(remote=rpc.remote.replace(progress=LedgerGetPending()))
    peer_id = root.connections.table[connection_id].peer_id
    asked = StreamingRpcRequested(connection_id, peer_id, rpc.remote.serial, rpc.remote.request, rpc.remote.deadline)
    return state.with_streaming_rpc(connection_id, pending), (asked, ChannelsStreamingRpcServeNext())


def _too_large(parts: tuple[StagedLedgerPart, ...], limits: Limits) -> Reason | None:
    """Why the peer can not get all of these parts; ``None`` if it can.

    :raises CallerError: where they are no answer.
    """
    check_parts(parts)
    sizes = [MESSAGE_BYTES_MAX + len(part.body) for part in parts]
    if max(sizes) <= limits.streaming_part_bytes_max and sum(sizes) <= limits.streaming_answer_bytes_max:
        return None
    detail = (
        f"{sum(sizes)} bytes, the longest part {max(sizes)}; "
        f"at most {limits.streaming_answer_bytes_max}, of a part {limits.streaming_part_bytes_max}"
    )
    return Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, CHANNEL, detail)


def _answer(
    connection_id: ConnectionId, serving: RemoteRequested, response: StreamingRpcResponse | None, *, ends: bool
) -> ChannelsEffectfulAnswerSend:
    frame = STREAMING_RPC_MESSAGE.encode(StreamingRpcResponseMessage(serving.id, response))
    return ChannelsEffectfulAnswerSend(connection_id, serving.stream, (frame,), ends)


def _answer_none(
    state: Channels, rpc: StreamingRpc, connection_id: ConnectionId, serving: RemoteRequested, now: Timestamp
) -> tuple[Channels, FollowUps]:
    return _served(state, rpc, connection_id, serving, now, _answer(connection_id, serving, None, ends=True))


def _served(
    state: Channels, rpc: StreamingRpc, connection_id: ConnectionId, serving: RemoteRequested, now: Timestamp, *effects: Any
) -> tuple[Channels, FollowUps]:
    """A peer's question is over, whatever came of it: it is the next one's turn."""
    over = rpc.replace(remote=RemoteResponded(serving.stream), last_responded=now)
    return state.with_streaming_rpc(connection_id, over), (*effects, ChannelsStreamingRpcServeNext())


def _reset(connection_id: ConnectionId, stream: StreamId, code: StreamResetCode) -> ChannelsEffectfulStreamReset:
    return ChannelsEffectfulStreamReset(connection_id, stream, code)


def violation(channels: PeerChannels, action: Any, limits: Limits) -> ReasonCode:
    """Why a message that its guard refuses breaks the protocol."""
    rpc = channels.streaming_rpc
    local = None if rpc is None else rpc.local
    match action:
        case ChannelsStreamingRpcRequestReceived(stream=stream) if channels.is_ours(stream):
            return ReasonCode.STREAM_MISUSE
        case ChannelsStreamingRpcResponsePartReceived(stream=stream, id=number, size=size) if isinstance(local, Requested) and (
            local.stream,
            local.id,
        ) == (stream, number):
            is_over = local.bytes_received + size > limits.streaming_answer_bytes_max
            return ReasonCode.CHANNEL_MSG_OVER_PERMISSION if is_over else ReasonCode.RESPONSE_KIND_MISMATCH
        case ChannelsStreamingRpcAnswerEnded(stream=stream) if isinstance(local, Requested) and local.stream == stream:
            return ReasonCode.ANSWER_TRUNCATED
        case ChannelsStreamingRpcRequestEnded():
            return ReasonCode.STREAM_MISUSE
        case ChannelsStreamingRpcRequestReceived() if rpc is not None and isinstance(rpc.remote, RemoteRequested):
            return ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case _:
            return ReasonCode.CHANNEL_MSG_UNEXPECTED
