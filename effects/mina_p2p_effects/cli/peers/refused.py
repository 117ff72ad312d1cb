"""Attempts to name a peer that the node refused, from its log: when, who named it, where it was said to be, and why it was not taken."""

from __future__ import annotations

from typing import Any, Final

from mina_p2p.address import DialAddress
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.peer.account import source_text
from mina_p2p.peer.actions import PeerAnnounced, PeerDiscovered
from mina_p2p.record import Record, record
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import clock_text, printable

LOOKED_AT_MAX: Final = 2_000
"""Dispatches that are replayed for an answer, the last of a log."""
_KINDS: Final = frozenset({PeerAnnounced.__name__, PeerDiscovered.__name__})


@record
class RefusedNaming(Record):
    """Somebody named a peer, and nothing came of it."""

    time: int
    """In nanoseconds since 1970."""
    address: DialAddress
    how: str
    """In which way it was named, for people."""
    named_by: PeerId | None
    """Who did, where a peer did that was known then."""
    why: str
    """Why it was not taken; the guard's own words."""

    def __str__(self) -> str:
        """One line for people."""
        who = f" by {self.named_by}" if self.named_by is not None else ""
        return f"{clock_text(self.time)}  {printable(str(self.address))}, {self.how}{who}: {self.why}"

    def for_json(self) -> dict[str, Any]:
        """For scripts; the time is in seconds since 1970."""
        named_by = None if self.named_by is None else str(self.named_by)
        return {"time": self.time / 10**9, "address": str(self.address), "how": self.how, "named_by": named_by, "why": self.why}


def refused_namings(session: LogSession | None, peer_id: PeerId, count_max: int) -> list[RefusedNaming]:
    """The last of them in a log, the latest last; none without a log.

    :raises LogError: where the log is damaged there, or does not replay.
    """
    if session is None or not count_max:
        return []
    dispatches = [refused for refused in session.refusals() if not _KINDS.isdisjoint(refused.kinds)]
    found: list[RefusedNaming] = []
    for refused in reversed(dispatches[-LOOKED_AT_MAX:]):
        before, now = session.state_at(refused.position - 1), Timestamp(refused.time)
        _, _, _, _, refusals = session.machine.execute(before, refused.input, now)
        for action, _, _, state in reversed(refusals):
            if not isinstance(action, PeerAnnounced | PeerDiscovered) or action.address.peer_id != peer_id:
                continue
            teller = None if action.learned_from is None else state.peers.table.get(action.learned_from)
            named_by = None if teller is None else teller.peer_id
            found.append(RefusedNaming(now, action.address, source_text(action.source), named_by, action.why_refused(state, now)))
            if len(found) == count_max:
                return found[::-1]
    return found[::-1]
