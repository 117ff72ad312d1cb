"""What happens on the RPC channel."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.rpc.kinds import is_reasonable, kind_of
from mina_p2p.channels.rpc.messages import RpcRequest, RpcResponse
from mina_p2p.channels.rpc.state import ForNode, Purpose, Requested, Responded
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class ChannelsRpcRequestSend(Record):
    """Ask a peer."""

    connection_id: ConnectionId
    request: RpcRequest
    purpose: Purpose

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        if rpc is None or len(rpc.requests) >= state.config.limits.rpc_requests_max:
            return False
        # A peer is refused what is unreasonable, so we do not ask it either.
        granted = state.channels.answer_bytes_granted + kind_of(self.request).answer_bytes_max
        return is_reasonable(self.request) and granted <= state.config.limits.answer_bytes_granted_max


@record
class ChannelsRpcTimeout(Record):
    """A peer took too long to answer, or to end its answer."""

    connection_id: ConnectionId
    id: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        request = None if rpc is None else rpc.request(self.id)
        return request is not None and request.deadline <= now


@record
class ChannelsRpcResponseReceived(Record):
    """A peer answered; ``None``: it does not have what we asked for."""

    connection_id: ConnectionId
    stream: StreamId
    id: int
    response: RpcResponse | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        match rpc and rpc.request_on(self.stream):
            case Requested(id=self.id, request=request):
                return self.response is None or isinstance(self.response, kind_of(request).response)
            case _:
                return False


@record
class ChannelsRpcAnswerEnded(Record):
    """The stream of an answered question ended."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        return rpc is not None and isinstance(rpc.request_on(self.stream), Responded)


@record
class ChannelsRpcAnswerReset(Record):
    """The peer will not answer."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        return rpc is not None and rpc.request_on(self.stream) is not None


@record
class ChannelsRpcRequestReceived(Record):
    """A peer asks us."""

    connection_id: ConnectionId
    stream: StreamId
    id: int
    request: RpcRequest

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        if rpc is None or len(rpc.serving) >= state.config.limits.rpc_pending_max:
            return False
        return is_reasonable(self.request) and all(self.id != s.id and self.stream != s.stream for s in rpc.serving)


@record
class ChannelsRpcRequestCancelled(Record):
    """The peer no longer wants an answer."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        return rpc is not None and any(serving.stream == self.stream for serving in rpc.serving)


@record
class ChannelsRpcResponseSend(Record):
    """Answer the peer's question that has our ``serial``; ``None``: we do not have it."""

    connection_id: ConnectionId
    serial: int
    response: RpcResponse | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        serving = None if rpc is None else rpc.serving_by(self.serial)
        return serving is not None and (self.response is None or isinstance(self.response, kind_of(serving.request).response))


@record
class ChannelsRpcServeTimeout(Record):
    """The node software did not answer a peer's question in time."""

    connection_id: ConnectionId
    serial: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        serving = None if rpc is None else rpc.serving_by(self.serial)
        return serving is not None and serving.deadline <= now


@record
class RpcRequestSend(Record):
    """The node software asks a peer; a `RpcResponded` or `RpcFailed` with this id will follow.

    Raises `CallerError` for a question that can not be written.
    """

    connection_id: ConnectionId
    request_id: RequestId
    request: RpcRequest

    @property
    def as_channel_action(self) -> ChannelsRpcRequestSend:
        """The question on its way."""
        return ChannelsRpcRequestSend(self.connection_id, self.request, ForNode(self.request_id))


RpcAction: TypeAlias = (
    RpcRequestSend
    | ChannelsRpcRequestSend
    | ChannelsRpcTimeout
    | ChannelsRpcResponseReceived
    | ChannelsRpcAnswerEnded
    | ChannelsRpcAnswerReset
    | ChannelsRpcRequestReceived
    | ChannelsRpcRequestCancelled
    | ChannelsRpcResponseSend
    | ChannelsRpcServeTimeout
)
