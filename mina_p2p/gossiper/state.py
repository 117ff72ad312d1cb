"""The gossip table: which items are under way, who told us, whom we told.

An item is unknown, `Missing` (heard of, not held), `Held` (being told) or `Finished`. Its entry has a number of its own,
which no later entry of the same item shares, and every wait is of a number: a wait can not touch what came after it. What is
in flight is known by peer, not counted, so that no answer that is lost, late or unasked-for can leave an entry that
neither sends nor ends (spec: address-gossip 1.8 D1, D3).
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from typing import Final, TypeAlias

from mina_p2p.gossiper.parameters import GossipParameters
from mina_p2p.ids import Timestamp
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table

UNLIMITED: Final = 1 << 40
"""Credit of a peer that may be told anything at any time."""

_PEER_BITS: Final = 40


class WaitKind(enum.IntEnum):
    """What a wait of an entry is for; part of its key."""

    ANSWER = 0
    """A peer's answer to our announcement."""
    BODY = 1
    """The item, or the owner's verdict on it."""
    AGE = 2
    """The end of an entry, whatever it has come to."""


def wait_key(number: int, kind: WaitKind, peer: int = 0) -> int:
    """Key of one wait."""
    return (number << (_PEER_BITS + 2)) | (kind << _PEER_BITS) | peer


def split_wait_key(key: int) -> tuple[int, WaitKind, int]:
    """What `wait_key` put together."""
    return key >> (_PEER_BITS + 2), WaitKind(key >> _PEER_BITS & 3), key & ((1 << _PEER_BITS) - 1)


@record
class Fetching(Record):
    """A peer was asked for the item."""

    peer: int
    deadline: Timestamp


@record
class Validating(Record):
    """The item is here; its owner judges it."""

    peer: int
    """Who sent it."""
    deadline: Timestamp


@record
class Missing(Record):
    """Heard of and not held."""

    id: bytes
    ends_at: Timestamp
    holders: tuple[int, ...]
    """Peers that announced it and have not failed to send it, in the order in which they did."""
    phase: Fetching | Validating


@record
class Held(Record):
    """Ours, or found good: told to others."""

    id: bytes
    ends_at: Timestamp
    holders: tuple[int, ...]
    """Peers that said that they have it; they are not told."""
    infected: tuple[int, ...] = ()
    """Peers that did not have it before we told them."""
    in_flight: tuple[tuple[int, Timestamp], ...] = ()
    """Peers that we told and that have not answered, each with the end of our wait."""
    attempted: tuple[int, ...] = ()
    """Peers that we ever told."""

    def deadline_of(self, peer: int) -> Timestamp | None:
        """The end of our wait for that peer's answer, if we wait."""
        return next((deadline for other, deadline in self.in_flight if other == peer), None)

    def is_saturated(self, parameters: GossipParameters) -> bool:
        """Whether there is no point in telling more peers."""
        return len(self.infected) >= parameters.infection_target or len(self.attempted) >= parameters.attempts_max

    def free_slots(self, parameters: GossipParameters) -> int:
        """How many more peers to tell now."""
        open_slots = parameters.infection_target - len(self.in_flight) - len(self.infected)
        return max(0, min(open_slots, parameters.attempts_max - len(self.attempted)))


@record
class Finished(Record):
    """No longer told; remembered, so that it is not taken for new."""

    id: bytes
    ends_at: Timestamp
    was_held: bool


Entry: TypeAlias = Missing | Held | Finished


@record
class Gossiper(Record):
    """The state of one gossiper."""

    parameters: GossipParameters
    random: Random
    numbers: Index[int]
    """Entries by item id."""
    deadlines: Deadlines
    table: Table[int, Entry] = empty_table()
    finished: Table[int, None] = empty_table()
    """Numbers of finished entries."""
    hungry: Table[int, None] = empty_table()
    """Held entries with free slots whose candidates can not be told anything just now."""
    credits: Table[int, int] = empty_table()
    """How many more ids each ready peer may be told now."""
    eligible: tuple[int, ...] = ()
    """Ready peers with credit, ascending."""
    last_number: int = 0

    def entry(self, item_id: bytes) -> Entry | None:
        """What is known of an item."""
        number = self.numbers.get(item_id)
        return None if number is None else self.table[number]

    def wait(self, key: int) -> Timestamp | None:
        """When a wait ends, if there is one of that key."""
        number, _kind, _peer = split_wait_key(key)
        return _waits(number, self.table.get(number)).get(key)

    @property
    def current_count(self) -> int:
        """Items under way."""
        return len(self.table) - len(self.finished)

    def put(self, number: int, entry: Entry) -> Gossiper:
        """With ``entry`` at ``number``, new or in the place of its former one; waits follow it."""
        deadlines = self.deadlines
        old = self.table.get(number)
        before = _waits(number, old)
        after = _waits(number, entry)
        for key, at in before.items():
            if after.get(key) != at:
                deadlines = deadlines.cancel(at, key)
        for key, at in after.items():
            if before.get(key) != at:
                deadlines = deadlines.add(at, key)
        finished, hungry = self.finished, self.hungry
        if isinstance(entry, Finished):
            finished, hungry = finished.set(number, None), hungry.discard(number)
        return self.replace(
            table=self.table.set(number, entry),
            numbers=self.numbers if old is not None else self.numbers.set(entry.id, number),
            deadlines=deadlines,
            finished=finished,
            hungry=hungry,
        )

    def add(self, entry: Entry) -> tuple[Gossiper, int]:
        """With an entry for an item that has none, under the number that is returned."""
        number = self.last_number + 1
        return self.replace(last_number=number).put(number, entry), number

    def remove(self, number: int) -> Gossiper:
        """Without that entry, which must be there."""
        entry = self.table[number]
        deadlines = self.deadlines
        for key, at in _waits(number, entry).items():
            deadlines = deadlines.cancel(at, key)
        return self.replace(
            table=self.table.delete(number),
            numbers=self.numbers.delete(entry.id),
            deadlines=deadlines,
            finished=self.finished.discard(number),
            hungry=self.hungry.discard(number),
        )

    def make_room(self) -> Gossiper | None:
        """With room for one more entry, if need be by forgetting the oldest finished one; ``None`` where there is no room."""
        if len(self.table) < self.parameters.entries_max:
            return self
        oldest = self.finished.first_key()
        return None if oldest is None else self.remove(oldest)

    def with_credit(self, peer: int, credit: int) -> Gossiper:
        """With a ready peer that may now be told ``credit`` ids."""
        position = bisect_left(self.eligible, peer)
        is_there = position < len(self.eligible) and self.eligible[position] == peer
        eligible = self.eligible
        if credit > 0 and not is_there:
            eligible = (*eligible[:position], peer, *eligible[position:])
        elif credit <= 0 and is_there:
            eligible = eligible[:position] + eligible[position + 1 :]
        return self.replace(credits=self.credits.set(peer, max(0, credit)), eligible=eligible)

    def without_peer(self, peer: int) -> Gossiper:
        """Without a peer that was ready."""
        unable = self.with_credit(peer, 0)
        return unable.replace(credits=unable.credits.delete(peer))


def empty_gossiper(parameters: GossipParameters, random: Random, salt: bytes, granularity: int) -> Gossiper:
    """A gossiper that knows nothing and nobody.

    :param random: dice of its own, see `Random.stream`.
    :param salt: of the node's seed; peers must not know it.
    :param granularity: nanoseconds by which a wait may end late.
    """
    return Gossiper(parameters, random, Index(salt), Deadlines(granularity))


def _waits(number: int, entry: Entry | None) -> dict[int, Timestamp]:
    if entry is None:
        return {}
    waits = {wait_key(number, WaitKind.AGE): entry.ends_at}
    match entry:
        case Missing(phase=phase):
            waits[wait_key(number, WaitKind.BODY)] = phase.deadline
        case Held(in_flight=in_flight):
            for peer, deadline in in_flight:
                waits[wait_key(number, WaitKind.ANSWER, peer)] = deadline
        case Finished():
            pass
    return waits
