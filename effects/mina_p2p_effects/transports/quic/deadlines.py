"""The earliest of many deadlines, each of which moves all the time.

A connection's next deadline changes with almost every packet. Re-sorting for each
would cost more than the packet, so an owner keeps the wake-ups it already has while
they are early enough, and asks anew only for an earlier one. A wake-up that turns
out to be too early is simply looked at again.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Wake-ups of hashable owners, compared by identity of the key. Times are any one clock's."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._wakeups: dict[T, list[float]] = {}  # of each owner, latest first; the last one is its next
        self._count = 0

    def __len__(self) -> int:
        return len(self._wakeups)

    @property
    def next(self) -> float | None:
        """When the first owner is to be woken."""
        return self._heap[0][0] if self._heap else None

    def set(self, owner: T, time: float | None) -> None:
        """``owner`` wants to be woken at ``time`` or somewhat before; ``None`` asks for nothing."""
        wakeups = self._wakeups.get(owner)
        if time is None or (wakeups and wakeups[-1] <= time):
            return
        if wakeups is None:
            wakeups = self._wakeups[owner] = []
        wakeups.append(time)
        self._count += 1
        heappush(self._heap, (time, self._count, owner))

    def forget(self, owner: T) -> None:
        """Wake ``owner`` no more."""
        self._wakeups.pop(owner, None)
        # What is left of it in the heap would keep the owner alive; sweep when that is most of the heap.
        if len(self._heap) > 64 + 4 * len(self._wakeups):
            self._heap = [entry for entry in self._heap if entry[2] in self._wakeups]
            heapify(self._heap)

    def due(self, now: float) -> list[T]:
        """Owners whose wake-up has come, each once. Each of them must `set` its next one."""
        found: dict[T, None] = {}
        while self._heap and self._heap[0][0] <= now:
            time, _, owner = heappop(self._heap)
            wakeups = self._wakeups.get(owner)
            if wakeups and wakeups[-1] == time:
                wakeups.pop()
                found[owner] = None
        return list(found)
