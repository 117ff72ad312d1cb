"""Interleaved measuring: every contender runs in every round, so a busy machine slows all alike.

Times are CPU times. A rate is the median over the rounds; a ratio is the median of the
ratios within each round, which cancels what the machine did in that round.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Sequence
from typing import Protocol


class UnavailableError(Exception):
    """A yardstick that is not installed here; the text says what is missing."""


class WrongResultError(Exception):
    """A contender whose final counters are not those of the work it was given."""


class Contender(Protocol):
    """One thing to measure at one size, set up and ready."""

    def measure(self, count: int) -> float:
        """Do ``count`` units of work; CPU seconds they took, without preparing them."""
        ...

    def check(self, count: int) -> None:
        """Compare the final counters with those of ``count`` units done so far.

        :raises WrongResultError: where they differ.
        """
        ...


class Lane:
    """A contender with its calibrated amount of work and its samples."""

    def __init__(self, name: str, contender: Contender, seconds: float, count_max: int) -> None:
        self.name = name
        self.rates: list[float] = []
        """Units per CPU second, one per round."""
        self._contender = contender
        self._done = 0
        self._count = count = 2
        # Warm up and find the amount of work that takes about `seconds`.
        while (spent := self._run(count)) < seconds / 8 and count < count_max:
            count *= 2
        self._count = max(2, min(count_max, int(count * seconds / max(spent, 1e-6))))

    def _run(self, count: int) -> float:
        gc.collect()
        spent = self._contender.measure(count)
        self._done += count
        self._contender.check(self._done)
        return spent

    def round(self) -> None:
        """One more sample."""
        self.rates.append(self._count / max(self._run(self._count), 1e-9))

    @property
    def rate(self) -> float:
        """Units per CPU second."""
        return statistics.median(self.rates)

    def ratio_to(self, other: Lane) -> float:
        """How many times the other's rate this one's is."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.rates, other.rates, strict=True))


def interleave(lanes: Sequence[Lane], rounds: int) -> None:
    """Sample every lane once per round; every other round runs backwards, so that no lane is always first."""
    for number in range(rounds):
        for lane in lanes if number % 2 == 0 else reversed(lanes):
            lane.round()
