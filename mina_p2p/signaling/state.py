"""The relay's memory: which pairs were introduced lately."""

from __future__ import annotations

from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table


@record
class Pair(Record):
    """Two peers that are not to be introduced to each other again before ``until``."""

    one: PeerId
    """The lesser id."""
    other: PeerId
    until: Timestamp


@record
class Signaling(Record):
    """The slice's state."""

    deadlines: Deadlines
    """Ends of memories, by number."""
    random: Random
    index: Index[int]
    """Both ids of a pair to its number."""
    pairs: Table[int, Pair] = empty_table()
    last_number: int = 0

    def remembers(self, one: PeerId, other: PeerId) -> bool:
        """Whether these two were introduced lately, in either order."""
        return _key(one, other) in self.index

    def remember(self, one: PeerId, other: PeerId, until: Timestamp, pairs_max: int) -> tuple[Signaling, Pair | None]:
        """With that pair remembered until then, or longer if it was already.

        :returns: the new state, and the pair that was forgotten to make room: the oldest.
        """
        key = _key(one, other)
        number = self.index.get(key)
        if number is not None:
            until = max(until, self.pairs[number].until)
            return self.forget(number).remember(one, other, until, pairs_max)
        oldest = self.pairs.first_key() if len(self.pairs) >= pairs_max else None
        forgotten = None if oldest is None else self.pairs[oldest]
        room = self if oldest is None else self.forget(oldest)
        number = room.last_number + 1
        remembered = room.replace(
            deadlines=room.deadlines.add(until, number),
            index=room.index.set(key, number),
            pairs=room.pairs.set(number, Pair(min(one, other), max(one, other), until)),
            last_number=number,
        )
        return remembered, forgotten

    def forget(self, number: int) -> Signaling:
        """Without that pair, which must be there."""
        pair = self.pairs[number]
        return self.replace(
            deadlines=self.deadlines.cancel(pair.until, number),
            index=self.index.delete(_key(pair.one, pair.other)),
            pairs=self.pairs.delete(number),
        )


def _key(one: PeerId, other: PeerId) -> bytes:
    return min(one, other) + max(one, other)
