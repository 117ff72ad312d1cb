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
    """Wake-ups of hashable owners. Times are any one clock's.

    The heap holds numbers, not owners, so that an entry which is still to be passed
    over keeps nothing alive.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._wakeups: dict[T, tuple[int, list[float]]] = {}  # number, and wake-ups, latest first: the last one is the next
        self._owners: dict[int, T] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def next(self) -> float | None:
        """When to ask `due` again."""
        return self._heap[0][0] if self._heap else None

    def set(self, owner: T, time: float | None) -> None:
        """``owner`` wants to be woken at ``time`` or somewhat before; ``None`` asks for nothing."""
        if time is None:
            return
        entry = self._wakeups.get(owner)
        if entry is None:
            self._count += 1
            entry = self._wakeups[owner] = self._count, []
            self._owners[self._count] = owner
        number, wakeups = entry
        if not wakeups or time < wakeups[-1]:
            wakeups.append(time)
            heappush(self._heap, (time, number))

    def forget(self, owner: T) -> None:
        """Wake ``owner`` no more."""
        entry = self._wakeups.pop(owner, None)
        if entry is not None:
            del self._owners[entry[0]]
            if len(self._heap) > 64 + 4 * len(self._owners):
                self._heap = [(time, number) for time, number in self._heap if number in self._owners]
                heapify(self._heap)

    def due(self, now: float) -> list[T]:
        """Owners whose wake-up has come, each once. Each of them must `set` its next one."""
        found: dict[T, None] = {}
        while self._heap and self._heap[0][0] <= now:
            _, number = heappop(self._heap)
            owner = self._owners.get(number)
            if owner is not None:
                self._wakeups[owner][1].pop()
                found[owner] = None
        return list(found)
