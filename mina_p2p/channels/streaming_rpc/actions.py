"""What happens on the streaming RPC channel."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.streaming_rpc.messages import StagedLedgerPart, StreamingRpcRequest
from mina_p2p.channels.streaming_rpc.state import (
    GivenUp,
    LedgerGetPending,
    PartPending,
    PartReady,
    RemoteRequested,
    RemoteResponded,
    Requested,
    Responded,
    WaitingForRequest,
    after_next,
    after_part,
    is_complete,
    part_ready,
)
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


def _asked(state: P2pState, connection_id: ConnectionId) -> Requested | None:
    """Our question that is not answered to the end."""
    rpc = state.channels.streaming_rpc(connection_id)
    return rpc.local if rpc is not None and isinstance(rpc.local, Requested) else None


def _serving(state: P2pState, connection_id: ConnectionId) -> RemoteRequested | None:
    """The peer's question that is not answered to the end."""
    rpc = state.channels.streaming_rpc(connection_id)
    return rpc.remote if rpc is not None and isinstance(rpc.remote, RemoteRequested) else None


# --- our question -----------------------------------------------------------------------------


@record
class StreamingRpcRequestSend(Record):
    """The node software asks a peer.

    The parts follow as `StreamingRpcPartReceived`, then a `StreamingRpcResponded` or `RpcFailed`, all with this id.
    Raises `CallerError` for a question that can not be written.
    """

    connection_id: ConnectionId
    request_id: RequestId
    request: StreamingRpcRequest


@record
class StreamingRpcCancel(Record):
    """The node software no longer wants the answer; nothing further comes of that question."""

    connection_id: ConnectionId
    request_id: RequestId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        asked = _asked(state, self.connection_id)
        return asked is not None and asked.request_id == self.request_id


@record
class ChannelsStreamingRpcRequestSend(Record):
    """Ask a peer; the question permits the first part."""

    connection_id: ConnectionId
    request_id: RequestId
    request: StreamingRpcRequest

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.streaming_rpc(self.connection_id)
        if rpc is None or not isinstance(rpc.local, WaitingForRequest):
            return False
        limits = state.config.limits
        return state.channels.answer_bytes_granted + limits.streaming_part_bytes_max <= limits.answer_bytes_granted_max


@record
class ChannelsStreamingRpcResponsePartReceived(Record):
    """A part came."""

    connection_id: ConnectionId
    stream: StreamId
    id: int
    part: StagedLedgerPart
    size: int
    """Bytes of its frame."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        asked = _asked(state, self.connection_id)
        if asked is None or (asked.stream, asked.id) != (self.stream, self.id):
            return False
        limits = state.config.limits
        if asked.bytes_received + self.size > limits.streaming_answer_bytes_max:
            return False
        return after_part(asked.progress, self.part, limits.streaming_trees_max) is not None


@record
class ChannelsStreamingRpcResponseNextPartGet(Record):
    """Permit the next part: the one before it has been taken care of."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        asked = _asked(state, self.connection_id)
        return asked is not None and after_next(asked.progress) is not None


@record
class ChannelsStreamingRpcResponseReceived(Record):
    """The answer is over: all parts have come, or the peer says that it does not have what we want."""

    connection_id: ConnectionId
    stream: StreamId
    id: int
    has_answer: bool

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        asked = _asked(state, self.connection_id)
        if asked is None or (asked.stream, asked.id) != (self.stream, self.id):
            return False
        return is_complete(asked.progress) if self.has_answer else isinstance(asked.progress, PartPending)


@record
class ChannelsStreamingRpcAnswerEnded(Record):
    """The stream of an answer ended, after all of it."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.streaming_rpc(self.connection_id)
        return rpc is not None and isinstance(rpc.local, Responded) and rpc.local.stream == self.stream


@record
class ChannelsStreamingRpcAnswerReset(Record):
    """The peer will not answer, or not to the end."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.streaming_rpc(self.connection_id)
        return rpc is not None and isinstance(rpc.local, Requested | Responded) and rpc.local.stream == self.stream


@record
class ChannelsStreamingRpcTimeout(Record):
    """Our half has waited long enough: for a part, for the end, or after it was given up."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.streaming_rpc(self.connection_id)
        return rpc is not None and isinstance(rpc.local, Requested | Responded | GivenUp) and rpc.local.deadline <= now


# --- the peer's question ----------------------------------------------------------------------


@record
class ChannelsStreamingRpcRequestReceived(Record):
    """A peer asks us."""

    connection_id: ConnectionId
    stream: StreamId
    id: int
    request: StreamingRpcRequest

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        channels = state.channels.table.get(self.connection_id)
        if channels is None or channels.streaming_rpc is None or channels.is_ours(self.stream):
            return False
        match channels.streaming_rpc.remote:
            case WaitingForRequest():
                return True
            case RemoteResponded(stream=answered):
                return self.stream > answered
            case _:
                return False


@record
class ChannelsStreamingRpcServeNext(Record):
    """Ask the node software for the answer to whichever peer was not served for longest."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        servings = state.channels.servings
        return bool(servings.idle) and servings.active_count < state.config.limits.streaming_serving_max


@record
class ChannelsStreamingRpcResponseSendInit(Record):
    """The node software answers the question of a `StreamingRpcRequested`; ``None``: it does not have it.

    An answer over ``limits.streaming_answer_bytes_max``, or with a part over ``limits.streaming_part_bytes_max``, is
    not sent: the peer is told that there is none (defect C9). Raises `CallerError` where the parts are not
    one of each kind in their order, then as many trees as the second says.
    """

    connection_id: ConnectionId
    serial: int
    parts: tuple[StagedLedgerPart, ...] | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        serving = _serving(state, self.connection_id)
        return serving is not None and serving.serial == self.serial and isinstance(serving.progress, LedgerGetPending)


@record
class ChannelsStreamingRpcResponsePartNextSend(Record):
    """The peer permits the next part."""

    connection_id: ConnectionId
    stream: StreamId
    id: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        serving = _serving(state, self.connection_id)
        if serving is None or (serving.stream, serving.id) != (self.stream, self.id):
            return False
        return part_ready(serving.progress) is not None


@record
class ChannelsStreamingRpcResponsePartSend(Record):
    """Send the part that is permitted, if what was sent to the peer before has left."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        serving = _serving(state, self.connection_id)
        if serving is None or state.channels.is_send_blocked(self.connection_id):
            return False
        return isinstance(serving.progress, PartReady)


@record
class ChannelsStreamingRpcResponseCancel(Record):
    """The node software takes back an answer that it gave, or will not give one: the peer's stream is reset."""

    connection_id: ConnectionId
    serial: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        serving = _serving(state, self.connection_id)
        return serving is not None and serving.serial == self.serial


@record
class ChannelsStreamingRpcRequestEnded(Record):
    """The peer will send no further ``Next``, and needs none."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.streaming_rpc(self.connection_id)
        match rpc and rpc.remote:
            case None:
                return False
            case RemoteRequested(stream=self.stream, progress=PartReady(parts=parts)):
                return len(parts) == 1
            case RemoteRequested(stream=stream):
                return self.stream != stream
            case _:
                return True


@record
class ChannelsStreamingRpcRequestCancelled(Record):
    """The peer no longer wants an answer."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        serving = _serving(state, self.connection_id)
        return serving is not None and serving.stream == self.stream


@record
class ChannelsStreamingRpcServeTimeout(Record):
    """The node software did not answer in time, or the peer did not ask for more."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        serving = _serving(state, self.connection_id)
        return serving is not None and serving.deadline <= now


StreamingRpcAction: TypeAlias = (
    StreamingRpcRequestSend
    | StreamingRpcCancel
    | ChannelsStreamingRpcRequestSend
    | ChannelsStreamingRpcResponsePartReceived
    | ChannelsStreamingRpcResponseNextPartGet
    | ChannelsStreamingRpcResponseReceived
    | ChannelsStreamingRpcAnswerEnded
    | ChannelsStreamingRpcAnswerReset
    | ChannelsStreamingRpcTimeout
    | ChannelsStreamingRpcRequestReceived
    | ChannelsStreamingRpcServeNext
    | ChannelsStreamingRpcResponseSendInit
    | ChannelsStreamingRpcResponsePartNextSend
    | ChannelsStreamingRpcResponsePartSend
    | ChannelsStreamingRpcResponseCancel
    | ChannelsStreamingRpcRequestEnded
    | ChannelsStreamingRpcRequestCancelled
    | ChannelsStreamingRpcServeTimeout
)
