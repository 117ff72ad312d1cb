"""`Items`: what a node has seen of transactions and snark works, by digest, for the blocks that will refer to it.

Pools let go of what a best tip contains; the block of a competing producer contains the same. So an
item stays here until newer ones need its room, whatever becomes of it in its pool.
"""

from __future__ import annotations

from mina_p2p.blocks.split import item_digest, short_id
from mina_p2p.record import Record, record
from mina_p2p.table import Index, Table, empty_table


@record
class StoredItem(Record):
    """One item."""

    digest: bytes
    data: bytes
    """Its exact bytes in a block."""


@record
class Items(Record):
    """Items in the order in which they were last met; those met longest ago go first."""

    by_digest: Index[int]
    bytes_max: int
    """Bytes of all items together."""
    count_max: int
    stored: Table[int, StoredItem] = empty_table()
    bytes_held: int = 0
    counter: int = 0
    """Numbers that were given."""
    oldest: int = 0
    """No number below it is in use."""

    def __len__(self) -> int:
        return len(self.stored)

    def get(self, digest: bytes) -> bytes | None:
        """The item of that digest."""
        number = self.by_digest.get(digest)
        return None if number is None else self.stored[number].data

    def add(self, data: bytes) -> Items:
        """With that item as the one met last; without those that it leaves no room for."""
        digest = item_digest(data)
        stored, by_digest, held, number = self.stored, self.by_digest, self.bytes_held, self.counter
        if (old := by_digest.get(digest)) is not None:
            stored, held = stored.delete(old), held - len(data)
        stored, by_digest, held = stored.set(number, StoredItem(digest, data)), by_digest.set(digest, number), held + len(data)
        oldest = self.oldest
        while (held > self.bytes_max or len(stored) > self.count_max) and oldest <= number:
            # Numbers only grow, so that each is passed once: looking for the least of thousands would cost more than all else.
            gone, oldest = stored.get(oldest), oldest + 1
            if gone is not None:
                stored, by_digest, held = stored.delete(oldest - 1), by_digest.delete(gone.digest), held - len(gone.data)
        return self.replace(stored=stored, by_digest=by_digest, bytes_held=held, counter=number + 1, oldest=oldest)

    def by_short_id(self, salt: bytes) -> dict[bytes, bytes]:
        """The items by salted ids; those that share one with another are left out."""
        found: dict[bytes, bytes] = {}
        twice: set[bytes] = set()
        for item in self.stored.values():
            name = short_id(salt, item.digest)
            if name in found:
                twice.add(name)
            found[name] = item.data
        return {name: data for name, data in found.items() if name not in twice}
