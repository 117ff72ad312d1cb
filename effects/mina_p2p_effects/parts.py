"""A streamed answer, as the node software takes it: part by part, with an end and a way out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mina_p2p.channels.streaming_rpc.actions import StreamingRpcCancel, StreamingRpcRequestSend
from mina_p2p.channels.streaming_rpc.messages import StagedLedgerPart, StreamingRpcRequest
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.errors import CallerError
from mina_p2p.ids import ConnectionId, RequestId
from mina_p2p.notifications import RpcFailed, StreamingRpcPartReceived, StreamingRpcResponded
from mina_p2p_effects.failures import PeerError
from mina_p2p_effects.runtime import Runtime, Told


class PartsAnswer:
    """The answer of `Node.request_parts`: an async context manager, and in it an async iterator of parts.

    Parts that nobody has taken yet wait here: they are bounded by ``limits.streaming_answer_bytes_max``. How long they
    may take is bounded too, by ``timeouts.streaming_rpc`` between two and ``timeouts.streaming_rpc_answer`` in all.
    """

    def __init__(self, runtime: Runtime, connection_id: ConnectionId, request_id: RequestId, request: StreamingRpcRequest) -> None:
        self.connection_id = connection_id
        self.request_id = request_id
        self.expected_count = 0
        """Parts in all, as far as is known."""
        self._runtime = runtime
        self._request = request
        self._waiting: deque[StagedLedgerPart] = deque()
        self._arrived = asyncio.Event()
        self._end: StreamingRpcResponded | Reason | None = None
        self._unlisten: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        """Ask.

        :raises CallerError: for a question that can not be written, or where the node has stopped.
        """
        self._unlisten = self._runtime.listen(self._hear, when_over=self._arrived.set)
        try:
            self._runtime.command(StreamingRpcRequestSend(self.connection_id, self.request_id, self._request))
        except BaseException:
            self._unlisten()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cancel what has not come to its end."""
        if self._unlisten is not None:
            self._unlisten()
        self.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StagedLedgerPart:
        """The next part.

        :raises StopAsyncIteration: after the last one, and where the peer has none (`is_found` tells which).
        :raises PeerError: where the answer will not come to its end; what came before is of no use.
        """
        while not self._waiting:
            if isinstance(self._end, Reason):
                raise PeerError(self._end)
            if self._end is not None:
                raise StopAsyncIteration
            if self._runtime.is_over:
                raise CallerError("the node has stopped")
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    @property
    def is_found(self) -> bool | None:
        """Whether the peer had the whole of what was asked for; ``None`` as long as that is open."""
        return self._end.parts_count is not None if isinstance(self._end, StreamingRpcResponded) else None

    def cancel(self) -> bool:
        """Give the question up; ``False`` where it is over already."""
        if self._end is not None or self._runtime.is_over:
            return False
        return self._runtime.command(StreamingRpcCancel(self.connection_id, self.request_id))

    def _hear(self, notification: Told) -> None:
        match notification:
            case StreamingRpcPartReceived(request_id=self.request_id, part=part, expected_count=expected_count):
                self._waiting.append(part)
                self.expected_count = expected_count
            case StreamingRpcResponded(request_id=self.request_id) as responded:
                self._end = responded
            case RpcFailed(request_id=self.request_id, reason=reason):
                self._end = reason
            case _:
                return
        self._arrived.set()
