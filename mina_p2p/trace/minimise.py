"""Delta debugging: the fewest inputs of a log that still show a fault.

Leaving inputs out never makes a log invalid: an input whose connection, stream or question is
gone is refused, and what is refused changes nothing. So any part of a log can be tried.

`smallest` does the search for any sequence; `minimise` is the same for the inputs of a log and
says how the search went. Both call what they are given with candidates, and keep only those
for which it says yes: a result always shows the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Final, Generic, TypeVar

from mina_p2p.errors import CallerError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record

S = TypeVar("S")
T = TypeVar("T")

_TOGETHER: Final = (2, 48), (3, 20)
"""So many are left out at once where at most so many are left: little more than a thousand tries each."""

TRIES_MAX: Final = 10_000
"""Candidates that a search tries where its caller gives no bound."""


@record
class Input(Record):
    """One input of a log."""

    action: Any
    now: Timestamp


@record
class Progress(Record):
    """How far a search has come."""

    tries: int
    count: int
    """How many are left: inputs of a log, members of a sequence."""


OnProgress = Callable[[Progress], object]
"""Called after every try."""


@record
class Minimised(Record, Generic[S]):
    """What is left of a log."""

    initial_state: S
    inputs: tuple[Input, ...]
    """Fail from ``initial_state`` on."""
    tries: int
    is_minimal: bool
    """Whether no single input can be left out; false where the tries ran out before that was known."""


class _OutOfTriesError(Exception):
    """Ends a search that was given too few tries."""


class _Search(Generic[T]):
    """One search: the shortest that failed so far, and how many tries are left."""

    def __init__(self, found: list[T], fails: Callable[[list[T]], bool], tries_max: int, on_progress: OnProgress | None) -> None:
        self.found = found
        self.tries = 0
        self._fails = fails
        self._tries_max = tries_max
        self._on_progress = on_progress

    def accepts(self, candidate: list[T]) -> bool:
        """Try a candidate, and keep it if it fails."""
        if self.tries >= self._tries_max:
            raise _OutOfTriesError
        self.tries += 1
        is_failing = self._fails(candidate)
        if is_failing:
            self.found = candidate
        if self._on_progress is not None:
            self._on_progress(Progress(self.tries, len(self.found)))
        return is_failing

    def run(self) -> bool:
        """Search; whether it came to its end."""
        try:
            self._shortest_beginning()
            size = max(1, len(self.found) // 2)
            while size > 1:
                self._without_chunks(size)
                size //= 2
            while self._without_chunks(1) or self._without_some():
                pass
        except _OutOfTriesError:
            return False
        return True

    def _without_some(self) -> bool:
        """Leave out any two or three at once, where few are left; whether some could be.

        What belongs together, such as a question and its answer, may hide the fault where only one of them is missing.
        """
        for size, count_max in _TOGETHER:
            if len(self.found) <= count_max:
                members = range(len(self.found) - 1, -1, -1)
                for places in combinations(members, size):
                    if self.accepts([item for place, item in enumerate(self.found) if place not in places]):
                        return True
        return False

    def _shortest_beginning(self) -> None:
        """Halve from the end: what follows a fault is rarely part of its cause, and there may be much of it."""
        low, high = 0, len(self.found)
        while low < high:
            middle = (low + high) // 2
            if self.accepts(self.found[:middle]):
                high = middle
            else:
                low = middle + 1

    def _without_chunks(self, size: int) -> bool:
        """Leave out one chunk after the other, from the end; whether one could be.

        From the end, as what comes late can depend on what came early and not the other way round.
        """
        has_shrunk = False
        start = len(self.found)
        while start > 0:
            end, start = start, max(0, start - size)
            has_shrunk |= self.accepts(self.found[:start] + self.found[end:])
        return has_shrunk


def smallest(
    items: Sequence[T], fails: Callable[[list[T]], bool], *, tries_max: int = TRIES_MAX, progress: OnProgress | None = None
) -> list[T]:
    """The fewest members of a sequence, in their order, for which ``fails`` still says yes.

    :param items: fail as a whole, by the caller's word; they are the result where nothing less fails.
    :param tries_max: how often ``fails`` is asked at most.
    """
    search = _Search(list(items), fails, tries_max, progress)
    search.run()
    return search.found


def minimise(
    initial_state: S,
    inputs: Sequence[Input],
    fails: Callable[[list[Input]], bool],
    *,
    tries_max: int = TRIES_MAX,
    progress: OnProgress | None = None,
) -> Minimised[S]:
    """The fewest inputs from ``initial_state`` on that still show a fault.

    :param fails: whether the fault shows where these inputs, and only these, are dispatched from
        ``initial_state`` on. It should look for the one fault: a search that accepts any failure may end at another.
    :param tries_max: how often ``fails`` is asked at most; at least once.
    :param progress: called after every try.
    :raises CallerError: where the inputs as given do not show the fault.
    """
    search = _Search(list(inputs), fails, tries_max, progress)
    if tries_max < 1 or not search.accepts(list(inputs)):
        raise CallerError("the inputs as given do not fail; give minimise a log that shows the fault")
    is_minimal = search.run()
    return Minimised(initial_state, tuple(search.found), search.tries, is_minimal)
