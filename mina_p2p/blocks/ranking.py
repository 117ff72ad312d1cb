"""Which peers may send headers: those of whom, together, one nearly always announces a block first.

The three that are first most often may be neighbours of each other, and late together wherever the block comes from
another side. So the second is chosen for the blocks with which the first was late, and the third likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mina_p2p.ids import MILLISECOND, ConnectionId, Timestamp
from mina_p2p.record import Record, record

LATE_MS: Final = 250
"""Who announces a block later than this after the first, or never, is as late as anybody: about so much it costs to ask for a
header after its hash came."""
ARRIVALS_MAX: Final = 64
"""Announcements of one block that are remembered."""
CHANGE_PERCENT: Final = 10
"""So much better others have to be than those who were chosen before."""


@record
class Race(Record):
    """When peers announced one block."""

    state_hash: bytes
    started_at: Timestamp
    arrivals: tuple[tuple[ConnectionId, int], ...] = ()
    """Peers in their order, and the milliseconds by which they were later than the first."""
    given_ms: int = LATE_MS
    """How late its header came from who made it, without being one of the few."""
    is_run: bool = False
    """Whether the block was taken: one that never was says nothing."""

    def arrived(self, connection_id: ConnectionId, now: Timestamp, *, is_given: bool) -> Race:
        """With one more announcement; ``is_given`` where a header came for a hash permission."""
        if len(self.arrivals) >= ARRIVALS_MAX or any(known == connection_id for known, _ in self.arrivals):
            return self
        late = min(LATE_MS, (now - self.started_at) // MILLISECOND)
        given = min(self.given_ms, late) if is_given else self.given_ms
        return self.replace(arrivals=(*self.arrivals, (connection_id, late)), given_ms=given)


def chosen(races: Sequence[Race], peers: Iterable[ConnectionId], most: int, before: tuple[ConnectionId, ...]) -> tuple[ConnectionId, ...]:
    """At most so many peers, those chosen ``before`` unless others are clearly better.

    :param peers: who can be chosen, ascending.
    """
    times = [dict(race.arrivals) for race in races if race.is_run]
    late = {peer: [of_race.get(peer, LATE_MS) for of_race in times] for peer in peers if any(peer in of_race for of_race in times)}
    found: list[ConnectionId] = []
    given = [race.given_ms for race in races if race.is_run]
    best = given
    while len(found) < min(most, len(late)):
        others = (peer for peer in late if peer not in found)
        peer = min(others, key=lambda peer: (sum(map(min, best, late[peer])), peer not in before, peer))
        found.append(peer)
        best = list(map(min, best, late[peer]))
    if len(before) == len(found) and late.keys() >= set(before):
        kept = [min(column) for column in zip(given, *(late[peer] for peer in before), strict=True)]
        if sum(best) * 100 >= sum(kept) * (100 - CHANGE_PERCENT):
            return before
    return tuple(sorted(found))
