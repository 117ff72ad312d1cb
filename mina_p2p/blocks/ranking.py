"""Which peers may send headers: those of whom, together, one nearly always announces a block first.

The three that are first most often may be neighbours of each other, and late together wherever the block comes from
another side. So the second is chosen for the blocks with which the first was late, and the third likewise.
"""

from __future__ import annotations

import enum
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


class Way(enum.Enum):
    """How a block was announced."""

    HELD = 0
    """By its hash or header, by who holds it."""
    CHECKING = 1
    """By its hash, by who was still checking it."""
    GIVEN = 2
    """By its header, by who made it, without being one of the few."""


@record
class Race(Record):
    """When peers announced one block."""

    state_hash: bytes
    started_at: Timestamp
    arrivals: tuple[tuple[ConnectionId, int], ...] = ()
    """Peers in their order, and the milliseconds by which they were later than the first."""
    checking: tuple[ConnectionId, ...] = ()
    """Those of them who were still checking it: their headers would have come later than their hashes."""
    given: tuple[ConnectionId, ...] = ()
    """Those of them who gave its header and were not one of the few."""
    check_ms: int = 0
    """How long it was checked here; taken for how long others check."""
    is_run: bool = False
    """Whether the block was taken: one that never was says nothing."""

    def arrived(self, connection_id: ConnectionId, now: Timestamp, way: Way) -> Race:
        """With one more announcement."""
        if len(self.arrivals) >= ARRIVALS_MAX or any(known == connection_id for known, _ in self.arrivals):
            return self
        arrivals = *self.arrivals, (connection_id, (now - self.started_at) // MILLISECOND)
        checking = (*self.checking, connection_id) if way is Way.CHECKING else self.checking
        given = (*self.given, connection_id) if way is Way.GIVEN else self.given
        return self.replace(arrivals=arrivals, checking=checking, given=given)

    def lateness(self) -> dict[ConnectionId, int]:
        """Milliseconds by which each of them could have given the header later than the first, at most `LATE_MS`."""
        times = {peer: at + (self.check_ms if peer in self.checking else 0) for peer, at in self.arrivals}
        first = min(times.values(), default=0)
        return {peer: min(LATE_MS, at - first) for peer, at in times.items()}


def chosen(races: Sequence[Race], peers: Iterable[ConnectionId], most: int, before: tuple[ConnectionId, ...]) -> tuple[ConnectionId, ...]:
    """At most so many peers, those chosen ``before`` unless others are clearly better.

    :param peers: who can be chosen, ascending.
    """
    run = [race for race in races if race.is_run]
    times = [race.lateness() for race in run]
    late = {peer: [of_race.get(peer, LATE_MS) for of_race in times] for peer in peers if any(peer in of_race for of_race in times)}
    found: list[ConnectionId] = []
    given = [min((of_race[peer] for peer in race.given), default=LATE_MS) for race, of_race in zip(run, times, strict=True)]
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
