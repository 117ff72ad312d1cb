"""`Agenda`: what is due when, for a virtual clock."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

from mina_p2p.ids import Timestamp

T = TypeVar("T")

BUCKET_BITS: Final = 20
"""Things due in one stretch of about a millisecond are sorted together, and not before its time has come."""


class Agenda(Generic[T]):
    """Things by the time they are due; those of one time in the order in which they were added.

    One heap of all that a large network has under way would be slow by its size alone: most of
    it is due much later. So only what is due next is kept as a heap.
    """

    def __init__(self) -> None:
        self._now: list[tuple[Timestamp, int, T]] = []
        """A heap of what is due up to the end of the bucket `_opened`."""
        self._opened = -1
        self._buckets: dict[int, list[tuple[Timestamp, int, T]]] = {}
        self._numbers: list[int] = []
        """A heap of the keys of `_buckets`."""
        self._count = 0

    def add(self, at: Timestamp, what: T) -> None:
        """Note something, at whatever time."""
        self._count += 1
        number = at >> BUCKET_BITS
        if number <= self._opened:
            heappush(self._now, (at, self._count, what))
        elif number in self._buckets:
            self._buckets[number].append((at, self._count, what))
        else:
            self._buckets[number] = [(at, self._count, what)]
            heappush(self._numbers, number)

    def next_at(self) -> Timestamp | None:
        """When the next thing is due; ``None`` where nothing is left."""
        if not self._now:
            if not self._numbers:
                return None
            self._opened = heappop(self._numbers)
            self._now = self._buckets.pop(self._opened)
            heapify(self._now)
        return self._now[0][0]

    def pop(self) -> tuple[Timestamp, T]:
        """Take the next thing, with its time.

        :raises LookupError: where nothing is left.
        """
        if self.next_at() is None:
            raise LookupError("nothing is left")
        at, _, what = heappop(self._now)
        return at, what
