"""A small HTTP endpoint that serves one text: ``GET /metrics``.

It runs on the node's own event loop, so that what it reads is one moment of the node, and it takes little from whoever asks: one
short request at a time and connection, within seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final

from mina_p2p.transport import SocketAddress

REQUEST_BYTES_MAX: Final = 8 * 1024
REQUEST_TIMEOUT_S: Final = 5.0
REQUESTS_MAX: Final = 16
"""At a time; further ones are hung up on."""


class MetricsEndpoint:
    """Serves while its ``async with`` block runs.

    :param render: makes the text of one scrape.
    """

    def __init__(
        self, render: Callable[[], bytes], host: str, port: int, *, content_type: str = "text/plain; version=0.0.4; charset=utf-8"
    ) -> None:
        self._render = render
        self._bind = (host, port)
        self._content_type = content_type
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> SocketAddress:
        """Listen.

        :returns: where.
        :raises OSError: where that is not possible.
        """
        self._server = await asyncio.start_server(self._accept, *self._bind, limit=REQUEST_BYTES_MAX)
        host, port = self._server.sockets[0].getsockname()[:2]
        return SocketAddress(host, port)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Hang up on everyone."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= REQUESTS_MAX:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.partition(b"\r\n")[0]))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked went away, was too slow or said too much
        finally:
            writer.close()

    def _answer(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed", b"", self._content_type)
        if path != b"/metrics":
            return _response("404 Not Found", b"metrics are at /metrics\n", self._content_type)
        body = self._render()
        return _response("200 OK", body, self._content_type, is_body_sent=method == b"GET")


def _response(status: str, body: bytes, content_type: str, *, is_body_sent: bool = True) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("ascii") + (body if is_body_sent else b"")
