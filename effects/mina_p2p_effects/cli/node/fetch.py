"""One HTTPS request whose answer is bounded in size and time. Blocks: for a thread."""

from __future__ import annotations

import http.client
import ssl
import time
from typing import Final
from urllib.parse import urljoin, urlsplit

from mina_p2p.errors import MinaP2pError

REDIRECTS_MAX: Final = 3
_PIECE_BYTES: Final = 16 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TEXT_TYPES: Final = frozenset({"text/plain", "application/octet-stream", "binary/octet-stream"})
"""Object stores send lists as the latter two; an error page is XML or HTML and is refused."""


class FetchError(MinaP2pError):
    """Nothing usable came; the message says of which URL and why."""


def fetch_text(url: str, *, bytes_max: int, timeout_s: float = 20.0, context: ssl.SSLContext | None = None) -> str:
    """Get a text.

    :param url: ``https`` only, also where a redirection leads.
    :param bytes_max: longest body taken; a longer one is an error, since its end is missing.
    :param timeout_s: for everything together; a server that sends a byte now and then gains nothing.
    :param context: whom to trust; by default the system's authorities.
    :returns: the body of an answer with status 200 and a text type, as UTF-8.
    :raises FetchError: for anything else.
    """
    deadline = time.monotonic() + timeout_s
    context = context or ssl.create_default_context()
    target = url
    for _ in range(REDIRECTS_MAX + 1):
        found = _get(target, bytes_max, deadline, context)
        if isinstance(found, str):
            return found
        target = urljoin(target, found.location)
    raise FetchError(f"{url}: more than {REDIRECTS_MAX} redirections")


class _Redirection:
    def __init__(self, location: str) -> None:
        self.location = location


def _get(url: str, bytes_max: int, deadline: float, context: ssl.SSLContext) -> str | _Redirection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise FetchError(f"{url!a} is no URL: {error}") from None
    if parts.scheme != "https" or not host:
        raise FetchError(f"{url!a} is not an https URL; peer lists are not taken over unprotected connections")
    connection = http.client.HTTPSConnection(host, port or 443, timeout=_left(url, deadline), context=context)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "text/plain", "User-Agent": "mina-p2p", "Connection": "close"})
        response = connection.getresponse()
        location = response.getheader("Location")
        if response.status in _REDIRECTS and location:
            return _Redirection(location)
        if response.status != http.client.OK:
            raise FetchError(f"{url}: the server answers with status {response.status}")
        kind = response.getheader("Content-Type", "text/plain").partition(";")[0].strip().lower()
        if kind not in _TEXT_TYPES:
            raise FetchError(f"{url}: the server sends {kind!a}, not a text")
        return _body(url, connection, response, bytes_max, deadline)
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise FetchError(f"{url}: {why or str(error) or type(error).__name__}") from None
    finally:
        connection.close()


def _body(url: str, connection: http.client.HTTPSConnection, response: http.client.HTTPResponse, bytes_max: int, deadline: float) -> str:
    pieces: list[bytes] = []
    size = 0
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_left(url, deadline))
        _left(url, deadline)
        piece = response.read1(_PIECE_BYTES)
        if not piece:
            return b"".join(pieces).decode("utf-8")
        size += len(piece)
        if size > bytes_max:
            raise FetchError(f"{url}: longer than {bytes_max} bytes")
        pieces.append(piece)


def _left(url: str, deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise FetchError(f"{url}: no whole answer in time")
    return left
