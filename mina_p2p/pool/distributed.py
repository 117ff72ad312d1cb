"""`DistributedPool`: a log of items by index, from which each peer is served at its own pace."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Generic, TypeVar

from mina_p2p.record import Record, record
from mina_p2p.table import Index, Table, empty_table

V = TypeVar("V")
M = TypeVar("M")


@record
class DistributedPool(Record, Generic[V]):
    """Items in the order in which peers are to hear of them (spec: pull-protocol 8.1, wire-types 4.5).

    Every item has one key and one index; an update gives it a new, higher index, so that
    everybody is sent it again. Indexes are never reused.
    """

    by_key: Index[int]
    items: Table[int, V] = empty_table()
    counter: int = 0
    """The next index."""

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, key: bytes) -> bool:
        return key in self.by_key

    def get(self, key: bytes) -> V | None:
        """The item with that key."""
        index = self.by_key.get(key)
        return None if index is None else self.items[index]

    def insert(self, key: bytes, item: V) -> DistributedPool[V]:
        """With ``item`` at the end; what had its key before is gone (defect P1)."""
        items = self.items
        if (old := self.by_key.get(key)) is not None:
            items = items.delete(old)
        return self.replace(items=items.set(self.counter, item), by_key=self.by_key.set(key, self.counter), counter=self.counter + 1)

    def silent_update(self, key: bytes, item: V) -> DistributedPool[V]:
        """With ``item`` in its old place: peers that have passed it are not told.

        :raises KeyError: where nothing has that key.
        """
        index = self.by_key.get(key)
        if index is None:
            raise KeyError(key)
        return self.replace(items=self.items.set(index, item))

    def remove(self, key: bytes) -> DistributedPool[V]:
        """Without the item of that key.

        :raises KeyError: where nothing has that key.
        """
        index = self.by_key.get(key)
        if index is None:
            raise KeyError(key)
        return self.replace(items=self.items.delete(index), by_key=self.by_key.delete(key))

    def next_to_send(self, index: int, limit: int, extract: Callable[[V], M | None]) -> tuple[tuple[M, ...], int, int]:
        """At most ``limit`` items from ``index`` on.

        :param extract: what to send of an item; ``None`` passes over it.
        :returns: what to send, the index of the first of them, and the index up to which the
            receiver is served by it.
        """
        found: list[M] = []
        first = last = index
        for at in self._indexes_from(index):
            last = at
            if (part := extract(self.items[at])) is None:
                continue
            if not found:
                first = at
            found.append(part)
            if len(found) == limit:
                break
        return tuple(found), first, last

    def _indexes_from(self, index: int) -> list[int] | range:
        if len(self.items) == self.counter:
            return range(max(index, 0), self.counter)
        # Removed items leave holes, which may be many more than what is left.
        keys = self.items.keys()
        return keys[bisect_left(keys, index) :]
