"""The book: the newest record of each node that one was heard of, and who was its source."""

from __future__ import annotations

from mina_p2p.channels.address_gossip.messages import AddressRecord
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Index, Table, empty_table


@record
class Allowance(Record):
    """So many at once and then one in each pause: a bucket that fills by time."""

    left: int
    since: Timestamp
    """When ``left`` was right."""

    def taken(self, burst: int, pause: int, now: Timestamp) -> Allowance | None:
        """With one less; ``None`` where there is none left."""
        regained = (now - self.since) // pause
        left = min(burst, self.left + regained)
        if left <= 0:
            return None
        since = now if left == burst else Timestamp(self.since + regained * pause)
        return Allowance(left - 1, since)


@record
class Known(Record):
    """What is known of one node by a record of its own."""

    record: AddressRecord
    learned_from: ConnectionId | None
    """Whose connection it came by first, while that peer has to answer for it: until we have met the node."""
    allowance: Allowance
    """How many more versions are taken from it."""
    group: bytes | None = None
    """The network where it can be dialled; ``None`` for private ones, where all neighbours are of one."""
    turn: int = 0
    """Records of it that came while it was not connected: each leads to the next of its addresses."""

    @property
    def counted_in(self) -> bytes | None:
        """The network in which it counts as a stranger."""
        return None if self.learned_from is None else self.group

    @property
    def ends_at(self) -> Timestamp:
        """When it is no longer to be believed."""
        return Timestamp((self.record.issued_at + self.record.ttl) * SECOND)


@record
class Book(Record):
    """Known nodes by number, and their numbers by key."""

    numbers: Index[int]
    groups: Index[int]
    """Records of nodes that we have not met, by network."""
    table: Table[int, Known] = empty_table()
    unproven: Table[ConnectionId, int] = empty_table()
    """Records that each peer has to answer for."""
    last_number: int = 0

    def __len__(self) -> int:
        return len(self.table)

    def find(self, public_key: bytes) -> tuple[int, Known] | None:
        """What is known of a node, with its number."""
        number = self.numbers.get(public_key)
        return None if number is None else (number, self.table[number])

    def put(self, known: Known) -> tuple[Book, int]:
        """With what is now known of a node, new or not, under the number that is returned."""
        public_key = known.record.public_key
        number = self.numbers.get(public_key)
        book, old, old_group = self, None, None
        if number is None:
            number = self.last_number + 1
            book = self.replace(last_number=number, numbers=self.numbers.set(public_key, number))
        else:
            old, old_group = self.table[number].learned_from, self.table[number].counted_in
        unproven = _counted(_counted(book.unproven, old, -1), known.learned_from, 1)
        groups = book.groups if old_group == known.counted_in else _grouped(_grouped(book.groups, old_group, -1), known.counted_in, 1)
        return book.replace(table=book.table.set(number, known), unproven=unproven, groups=groups), number

    def remove(self, number: int) -> Book:
        """Without that node, which must be there."""
        known = self.table[number]
        return self.replace(
            table=self.table.delete(number),
            numbers=self.numbers.delete(known.record.public_key),
            unproven=_counted(self.unproven, known.learned_from, -1),
            groups=_grouped(self.groups, known.counted_in, -1),
        )

    def has_room(self, public_key: bytes, relayer: ConnectionId | None, group: bytes | None, config: AddressGossipConfig) -> bool:
        """Whether a record may enter, perhaps in the place of another.

        :param relayer: the peer that has to answer for it; ``None`` where its node was met.
        :param group: as `Known.group`.
        """
        known = self.find(public_key)
        is_counted = known is not None and known[1].counted_in == group
        if relayer is not None and group is not None and (self.groups.get(group) or 0) - is_counted >= config.unproven_per_group_max:
            return False
        if known is not None:
            return True
        if relayer is not None and self.unproven.get(relayer, 0) >= config.unproven_per_relayer_max:
            return False
        return not self.is_full(relayer, config) or self.largest_share(relayer) is not None

    def is_filled_by(self, relayer: ConnectionId, config: AddressGossipConfig) -> bool:
        """Whether a peer has to answer for as many records as it may, or, of a book that is full, for its part or more."""
        share = self.unproven.get(relayer, 0)
        is_part = share > 0 and self.is_full(relayer, config) and share >= sum(self.unproven.values()) // len(self.unproven)
        return is_part or share >= config.unproven_per_relayer_max

    def is_full(self, relayer: ConnectionId | None, config: AddressGossipConfig) -> bool:
        """Whether a new record has to take the place of another."""
        if len(self.table) >= config.book_max:
            return True
        return relayer is not None and sum(self.unproven.values()) >= config.unproven_max

    def largest_share(self, relayer: ConnectionId | None) -> tuple[int, ...] | None:
        """Numbers of the records of the peer that brought most, one of which gives way; ``None`` where none does.

        None does for a peer that would have as many itself then: equal shares are not fought over.
        """
        share = 0 if relayer is None else self.unproven.get(relayer, 0) + 1
        brought = max(self.unproven.items(), key=lambda pair: pair[1], default=None)
        if brought is None or brought[1] <= share:
            return None
        return tuple(number for number, known in self.table.items() if known.learned_from == brought[0])


def _counted(counts: Table[ConnectionId, int], relayer: ConnectionId | None, by: int) -> Table[ConnectionId, int]:
    if relayer is None:
        return counts
    count = counts.get(relayer, 0) + by
    return counts.set(relayer, count) if count else counts.discard(relayer)


def _grouped(counts: Index[int], group: bytes | None, by: int) -> Index[int]:
    if group is None:
        return counts
    count = (counts.get(group) or 0) + by
    return counts.set(group, count) if count else counts.delete(group)
