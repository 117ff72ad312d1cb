"""From where ``mina-p2p peers`` knows: the log of a node, running or not, or the peers file of one."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mina_p2p.address import parse_address
from mina_p2p.address.errors import AddressError
from mina_p2p.config import P2pConfig
from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID, IdentityError, PeerId
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.peer.account import Account
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState, initial_state
from mina_p2p_effects.cli.arguments import shortened
from mina_p2p_effects.logs.session import LogSession, open_session
from mina_p2p_effects.logs.text import clock_text
from mina_p2p_effects.peers_file import read_peers_file

_NOBODY: Final = PeerId(bytes(32))


@record
class Source(Record):
    """A state to look at."""

    state: P2pState
    now: Timestamp
    """The time of the state: of the last action of a log; the present for a peers file."""
    session: LogSession | None
    """The log, where it comes from one."""

    @property
    def what(self) -> str:
        """For people."""
        return "as a node would start with this file" if self.session is None else f"as of {clock_text(self.now)} UTC"


def add_source(parser: argparse.ArgumentParser) -> None:
    """The argument that names it."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="LOG|FILE",
        help="the log of a node, or the directory with it (mina-p2p node --log DIR), while it runs or later; or its peers file",
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


@contextmanager
def opened(path: Path) -> Generator[Source, None, None]:
    """What a path leads to.

    :raises PeersFileError: where a file is neither a log nor a peers file.
    :raises MinaP2pError: where a log is unusable.
    :raises OSError: where it can not be read.
    """
    if path.is_file() and _is_json(path):
        kept = read_peers_file(path)
        now = Timestamp(time.time_ns())
        config = P2pConfig(_NOBODY, MAINNET_CHAIN_ID, peer_table=PeerTableConfig(salt=kept.salt, remembered=kept.peers))
        yield Source(initial_state(config, now), now, None)
        return
    with open_session(path) as session:
        state = session.state_at(session.count - 1)
        if not isinstance(state, P2pState):
            raise CallerError(f"{path} is a log of another machine than a node's")
        yield Source(state, state.clock.now, session)


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) in {b"{", b"["}


def peer_id_of(text: str) -> PeerId:
    """A peer id, or that of an address.

    :raises CallerError: where it is neither.
    """
    try:
        return parse_address(text).peer_id if text.startswith("/") else PeerId.parse(text)
    except (AddressError, IdentityError) as error:
        raise CallerError(f"{shortened(text)!a} is no peer id and no address with one: {error}") from None


def known_as(text: str, found: list[Account]) -> Account | None:
    """The one peer whose id, in either form, or address begins so.

    :raises CallerError: where several do.
    """
    matches = [one for one in found if any(name.startswith(text) for name in _names(one))]
    if len(matches) > 1:
        raise CallerError(f"{len(matches)} peers begin with {shortened(text)!a}; give more of it")
    return matches[0] if matches else None


def _names(one: Account) -> tuple[str, ...]:
    address = () if one.peer.address is None else (str(one.peer.address),)
    return (str(one.peer.peer_id), one.peer.peer_id.libp2p, *address)


def object_of(one: Account) -> dict[str, Any]:
    """A peer for scripts; times are seconds since 1970."""
    peer, ban = one.peer, one.ban
    return {
        "peer_id": str(peer.peer_id),
        "libp2p_peer_id": peer.peer_id.libp2p,
        "address": None if peer.address is None else str(peer.address),
        "sources": [source.name.lower() for source in peer.sources],
        "learned_from": None if one.learned_from is None else str(one.learned_from),
        "told_in": peer.told_in or None,
        "table": one.table,
        "bucket": peer.bucket,
        "in_bucket": one.in_bucket,
        "anchor": one.is_anchor,
        "contested": one.is_contested,
        "status": type(peer.status).__name__,
        "proven": peer.is_address_proven,
        "failures": peer.failures,
        "last_success": None if peer.last_success is None else peer.last_success // SECOND,
        "banned": None if ban is None else {"until": ban.until // SECOND, "reason": str(ban.reason)},
        "dialled_next": one.is_dialled_next,
        "why": one.why,
    }


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """One JSON value."""
    say(json.dumps(value, indent=1))
