"""`Dice`: what a simulation draws, all of it decided by one seed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from typing import Final, TypeVar

T = TypeVar("T")

_VALUES: Final = Struct("<8Q")


class Dice:
    """A generator with a state of its own, for the world around the nodes.

    Reducers have `mina_p2p.prng.Random` in their state instead; this one is faster, and can not be kept in a log.

    :param seed: any integer.
    :param name: dice of the same seed and different names are independent.
    """

    def __init__(self, seed: int, name: str = "") -> None:
        self._key = blake2b(f"{seed} {name}".encode()).digest()
        self._drawn = 0
        self._values: list[int] = []

    def value(self) -> int:
        """64 bits."""
        if not self._values:
            self._values += _VALUES.unpack(blake2b(self._drawn.to_bytes(8, "little"), key=self._key).digest())
            self._drawn += 1
        return self._values.pop()

    def below(self, bound: int) -> int:
        """A value in ``range(bound)``; ``bound`` is at least 1."""
        return self.value() * bound >> 64

    def between(self, low: int, high: int) -> int:
        """A value from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.below(100) < percent

    def choice(self, options: Sequence[T]) -> T:
        """One of a sequence, which is not empty."""
        return options[self.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """So many different members of a sequence, or all, in a drawn order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def raw(self, size: int) -> bytes:
        """So many bytes."""
        return b"".join(self.value().to_bytes(8, "little") for _ in range(-(-size // 8)))[:size]
