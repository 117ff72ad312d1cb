"""The server: the interface's files, its SocketCluster connection, and the bar, on one local port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from mina_p2p_effects.devtools.assets import DevToolsUnavailableError
from mina_p2p_effects.devtools.socketcluster import PING, Asked, Conversation, Started, publish
from mina_p2p_effects.devtools.viewer import Viewer

try:
    from websockets.asyncio.server import Server, ServerConnection, serve
    from websockets.datastructures import Headers
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Request, Response
except ImportError as error:
    raise DevToolsUnavailableError("the server of Redux DevTools needs the extra: pip install 'mina-p2p[ui]'") from error

T = TypeVar("T")

PING_SECONDS: Final = 20
_MESSAGE_MAX: Final = 64 << 20
"""Bytes of a message from the browser; exports of a window come back whole."""
_OUR_PAGE: Final = {"/": "index.html", "/bar.js": "bar.js", "/bar.css": "bar.css"}
_TYPES: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css", ".woff2": "font/woff2"}
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'"
)


class DevToolsServer:
    """Serves one `Viewer` to browsers of this machine."""

    def __init__(self, viewer: Viewer, web: Path) -> None:
        """Nothing listens yet.

        :param web: folder of the interface's web application, see `assets.web_folder`.
        """
        self._viewer = viewer
        self._files = {f"/{path.relative_to(web).as_posix()}": path for path in web.rglob("*") if path.suffix in {".js", ".woff2"}}
        self._conversations: dict[ServerConnection, Conversation] = {}
        self._bars: set[ServerConnection] = set()
        self._turn = asyncio.Lock()
        """Held while the viewer works: it replays in a thread, one thing at a time."""
        self._server: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where to point a browser."""
        return f"http://127.0.0.1:{self._port}/"

    async def start(self, port: int = 0) -> None:
        """Listen on the loopback address.

        :param port: 0 lets the system choose.
        :raises OSError: where the port is taken.
        """
        self._server = await serve(
            self._connected, "127.0.0.1", port, process_request=self._answer, max_size=_MESSAGE_MAX, ping_interval=None, compression=None
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def work(self, task: Callable[[], T]) -> T:
        """Let the viewer do something; the server goes on meanwhile."""
        async with self._turn:
            return await asyncio.to_thread(task)

    async def show(self, *, window: bool) -> None:
        """Tell all browsers how things stand; with the window, where it has changed."""
        if window:
            await self._send(list(self._subscribed()), publish(self._viewer.window.request))
        await self._send(list(self._bars), self._viewer.status())

    def _subscribed(self) -> list[ServerConnection]:
        return [connection for connection, talk in self._conversations.items() if talk.is_subscribed]

    @staticmethod
    async def _send(connections: list[ServerConnection], text: str) -> None:
        for connection in connections:
            with suppress(ConnectionClosed):
                await connection.send(text)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Files by GET; WebSockets of pages that this server gave, and of no others: a log is nobody else's business."""
        host = request.headers.get("Host", "")
        hosts = {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}
        if host not in hosts:
            return _response(HTTPStatus.FORBIDDEN, "text/plain", b"open this server by its loopback address\n")
        path = request.path.partition("?")[0]
        if path in {"/socketcluster/", "/bar"}:
            if request.headers.get("Origin") == f"http://{host}":
                return None
            return _response(HTTPStatus.FORBIDDEN, "text/plain", b"pages of other places may not read this log\n")
        if path in _OUR_PAGE:
            name = _OUR_PAGE[path]
            body = resources.files("mina_p2p_effects.devtools").joinpath("page", name).read_bytes()
            return _response(HTTPStatus.OK, _TYPES[Path(name).suffix], body)
        if path in self._files:
            found = self._files[path]
            return _response(HTTPStatus.OK, _TYPES[found.suffix], found.read_bytes())
        return _response(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n")

    async def _connected(self, connection: ServerConnection) -> None:
        request = connection.request
        with suppress(ConnectionClosed):
            if request is not None and request.path.startswith("/bar"):
                await self._serve_bar(connection)
            else:
                await self._serve_interface(connection)

    async def _serve_bar(self, connection: ServerConnection) -> None:
        self._bars.add(connection)
        try:
            await connection.send(self._viewer.status())
            async for message in connection:
                how, text = _wish(message)
                has_changed = await self.work(partial(self._viewer.move, how, text))
                await self.show(window=has_changed)
        finally:
            self._bars.discard(connection)

    async def _serve_interface(self, connection: ServerConnection) -> None:
        talk = self._conversations[connection] = Conversation(connection.id.hex)
        pings = asyncio.create_task(self._ping(connection))
        try:
            async for message in connection:
                replies, wishes = talk.receive(message if isinstance(message, str) else "")
                for reply in replies:
                    await connection.send(reply)
                for wish in wishes:
                    await self._grant(connection, wish)
        finally:
            pings.cancel()
            del self._conversations[connection]

    async def _grant(self, connection: ServerConnection, wish: Started | Asked) -> None:
        if isinstance(wish, Started):
            await connection.send(publish(self._viewer.window.request))
            return
        has_changed = await self.work(partial(self._viewer.take, wish))
        await self.show(window=has_changed)

    @staticmethod
    async def _ping(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING_SECONDS)
                await connection.send(PING)


def _wish(message: str | bytes) -> tuple[str, str]:
    """What the bar asks for; nothing where it is not of our page."""
    try:
        found: Any = json.loads(message)
    except (ValueError, RecursionError):
        return "", ""
    match found:
        case {"move": str(how), "text": str(text)}:
            return how, text
        case _:
            return "", ""


def _response(status: HTTPStatus, kind: str, body: bytes) -> Response:
    headers = Headers(
        [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", _POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-cache"),
            ("Connection", "close"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)
