"""The dice of the state: a counter-based generator.

Its next value follows from the seed and a counter alone, so a log replays and a
simulation is decided by one integer. It decides nothing secret: keys, nonces and
tokens come from the runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mina_p2p.record import Record, record

T = TypeVar("T")

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


@record
class Random(Record):
    """A point in one stream of values (SplitMix64: Steele, Lea, Flood 2014)."""

    seed: int
    """64 bits; two streams of one node differ in their seeds (`stream`)."""
    counter: int = 0

    def next(self) -> tuple[int, Random]:
        """A value of 64 bits, and the generator after it."""
        counter = self.counter + 1
        return _mix((self.seed + counter * _STEP) & _MASK), self.replace(counter=counter)

    def below(self, bound: int) -> tuple[int, Random]:
        """A value in ``range(bound)``; the relative bias is under ``bound / 2**64``.

        :raises ValueError: unless ``1 <= bound <= 2**64``.
        """
        if not 1 <= bound <= 1 << 64:
            raise ValueError(f"there is no value below {bound} to draw")
        value, after = self.next()
        return (value * bound) >> 64, after

    def choice(self, options: Sequence[T]) -> tuple[T, Random]:
        """One of a sequence.

        :raises ValueError: where it is empty.
        """
        index, after = self.below(len(options))
        return options[index], after

    def jitter(self, duration: int, percent: int) -> tuple[int, Random]:
        """``duration`` changed by up to ``percent`` per cent either way, uniformly."""
        spread = duration * percent // 100
        offset, after = self.below(2 * spread + 1) if spread else (0, self)
        return duration - spread + offset, after

    def stream(self, number: int) -> Random:
        """An independent generator, for another slice of the same node."""
        return Random(_mix((self.seed ^ _mix(number + 1)) & _MASK))


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
