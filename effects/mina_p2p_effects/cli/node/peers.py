"""First peers: single addresses, list files, lists at URLs that are asked again from time to time."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mina_p2p.address import PEER_LIST_LENGTH_MAX, DialAddress, PeerList, parse_peer_list
from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p_effects.cli.node.fetch import FetchError, fetch_text

ASK_AGAIN_S: Final = 600.0
"""Between two requests for the list at a URL."""

ASK_SOON_S: Final = 30.0
"""The same while no list has come yet."""

PROBLEMS_SHOWN_MAX: Final = 5

_UTF8_BYTES_MAX: Final = 4


@record
class PeerSources(Record):
    """Where the first peers are named."""

    addresses: tuple[DialAddress, ...] = ()
    file: Path | None = None
    url: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is named anywhere."""
        return not self.addresses and self.file is None and self.url is None


def read_list_file(path: Path, warn: Callable[[str], None]) -> tuple[DialAddress, ...]:
    """The addresses in a list file; lines that are none are reported and skipped.

    :raises OSError: where it can not be read.
    :raises CallerError: where it is no text.
    """
    with path.open("rb") as file:
        content = file.read(PEER_LIST_LENGTH_MAX * _UTF8_BYTES_MAX)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise CallerError(f"{path} is no text; a peer list has one address a line") from None
    found = parse_peer_list(text)
    _report(str(path), found, warn)
    return found.addresses


def fetch_list(url: str, warn: Callable[[str], None], *, context: ssl.SSLContext | None = None) -> tuple[DialAddress, ...]:
    """The addresses in the list at a URL; none where it can not be had, which is reported. Blocks: for a thread.

    An answer without a single valid line is an error page that came as text, so whoever has an older list keeps it.
    """
    try:
        found = parse_peer_list(fetch_text(url, bytes_max=PEER_LIST_LENGTH_MAX, context=context))
    except FetchError as error:
        warn(f"no peer list: {error}")
        return ()
    if not found.addresses:
        warn(f"no peer list: {url} holds no address")
        return ()
    _report(url, found, warn)
    return found.addresses


def _report(source: str, found: PeerList, warn: Callable[[str], None]) -> None:
    for problem in found.problems[:PROBLEMS_SHOWN_MAX]:
        warn(f"{source}, {problem}")
    if found.problem_count > PROBLEMS_SHOWN_MAX:
        warn(f"{source}: {found.problem_count} lines in all are no addresses")
