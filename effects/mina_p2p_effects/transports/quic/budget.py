"""What all connections of a node may hold together, in one direction.

Each connection is bounded on its own, but a thousand bounds make no bound that a
machine has memory for. So what is really held is counted over all of them, and where
that exceeds the cap, the connection that holds most gives way: a slow or hostile peer
pays with its own connection, never with another's.

Counting exactly with every datagram would cost more than the datagram. Whoever owns a
holding adds to it as bytes come, or counts it anew each few kilobytes; where the cap is
reached all are counted anew, before anybody gives way.
"""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """The cap over all holdings of one node."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._holdings: dict[Holding, None] = {}
        self.total = 0
        """Bytes held by all, as far as they were added and counted."""

    def join(self, holding: Holding) -> None:
        """Count ``holding``, which is empty, from now on."""
        self._holdings[holding] = None

    def leave(self, holding: Holding) -> None:
        """Count ``holding`` no more."""
        if self._holdings.pop(holding, self) is None:
            self.total -= holding.size
            holding.size = 0

    def add(self, holding: Holding, size: int) -> None:
        """``holding`` will hold ``size`` bytes more than it can count; afterwards the cap holds, which may have ended connections."""
        if holding not in self._holdings:
            return
        self._set(holding, holding.size + size)
        if self.total > self._bytes_max:
            self._relieve(holding, size)

    def recount(self, holding: Holding) -> None:
        """Count what ``holding`` holds exactly; afterwards the cap holds, as after `add`."""
        if holding not in self._holdings:
            return
        self._set(holding, holding.count())
        if self.total > self._bytes_max:
            self._relieve(holding, 0)

    def _relieve(self, holding: Holding, coming: int) -> None:
        for each in self._holdings:
            self._set(each, each.count() + (coming if each is holding else 0))
        while self.total > self._bytes_max:
            largest = max(self._holdings, key=_size)
            give_way = largest.give_way
            largest.leave()
            give_way()

    def _set(self, holding: Holding, size: int) -> None:
        self.total += size - holding.size
        holding.size = size


class Holding:
    """What one connection holds.

    :param count: counts exactly.
    :param give_way: ends the connection; called at most once, after this has left the budget.
    """

    __slots__ = ("_budget", "count", "give_way", "size")

    def __init__(self, budget: Budget, count: Callable[[], int], give_way: Callable[[], None]) -> None:
        self._budget = budget
        self.count = count
        self.give_way = give_way
        self.size = 0
        """Bytes, as far as they were added and counted."""
        budget.join(self)

    def add(self, size: int) -> None:
        """So many bytes more; see `Budget.add`."""
        self._budget.add(self, size)

    def recount(self) -> None:
        """Make the size exact; see `Budget.recount`."""
        self._budget.recount(self)

    def leave(self) -> None:
        """Hold nothing any more. What was given to count with is let go, as it refers to the connection."""
        self._budget.leave(self)
        self.count, self.give_way = _nothing, _nobody


def _nothing() -> int:
    return 0


def _nobody() -> None: ...


def _size(holding: Holding) -> int:
    return holding.size
