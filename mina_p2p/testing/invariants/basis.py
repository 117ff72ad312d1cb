"""What all invariants are written with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import is_
from typing import Any, Final

from mina_p2p.ids import Timestamp
from mina_p2p.table import Deadlines


def differ(path: str, found: Any, derived: Any) -> tuple[str, ...]:
    """Whether what a state says twice is the same."""
    return () if found == derived else (f"{path}: {found!r}, but it follows from the tables that it is {derived!r}",)


def over(path: str, found: int, bound: int) -> tuple[str, ...]:
    """Whether a bound of the configuration holds."""
    return () if found <= bound else (f"{path}: {found} is over its bound {bound}",)


def waits_differ(path: str, deadlines: Deadlines, named: Iterable[tuple[Timestamp | None, int]]) -> Iterator[str]:
    """Whether a timer wheel holds exactly the waits that the records name."""
    granularity = deadlines.granularity
    held = {(bucket, key) for bucket, keys in deadlines.buckets.items() for key in keys}
    wanted = {(-(-at // granularity), key) for at, key in named if at is not None}
    if held != wanted:
        for bucket, key in sorted(held - wanted):
            yield f"{path}: key {key} waits in bucket {bucket}, and no record names that wait"
        for bucket, key in sorted(wanted - held):
            yield f"{path}: key {key} should wait in bucket {bucket}"
    yield from differ(f"{path}.buckets", [bucket for bucket, keys in deadlines.buckets.items() if not keys], [])


_NOTHING: Final[tuple[object, ...]] = ()


class Memory:
    """What was looked at, so that a part of a state that is still the same object need not be looked at again."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[object, ...]] = {}

    def is_known(self, what: str, *parts: object) -> bool:
        """Whether these very objects were the last that were looked at under that name; from now on they are."""
        known = self._parts.get(what, _NOTHING)
        if len(known) == len(parts) and all(map(is_, known, parts)):
            return True
        self._parts[what] = parts
        return False
