"""Where two states differ: the first path, with both values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final, cast

from mina_p2p.record import Record, field_names, record
from mina_p2p.table import Table


class _Absent:
    """What a path leads to in the state that has nothing there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()


@record
class Difference(Record):
    """One place at which two values differ."""

    path: str
    """Such as ``channels.by_connection[3].transaction.local``; empty where the whole values differ."""
    left: Any
    right: Any


def differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:
    """Every place at which two states differ, in the order of fields, keys and places.

    Goes into records of one class, tables and tuples; anything else is compared as a whole.
    """
    if left is right:
        return
    if isinstance(left, Record) and type(left) is type(right):
        for name in field_names(type(left)):
            yield from differences(getattr(left, name), getattr(right, name), f"{path}.{name}" if path else name)
    elif isinstance(left, Table) and isinstance(right, Table):
        mine, theirs = cast("Table[int, Any]", left), cast("Table[int, Any]", right)
        for key in sorted({*mine, *theirs}):
            yield from differences(mine.get(key, ABSENT), theirs.get(key, ABSENT), f"{path}[{key}]")
    elif isinstance(left, tuple) and isinstance(right, tuple):
        for place, (mine_at, theirs_at) in _places(left, right):
            yield from differences(mine_at, theirs_at, f"{path}[{place}]")
    elif not _is_same(left, right):
        yield Difference(path, left, right)


def _is_same(left: Any, right: Any) -> bool:
    """Whether two values are one in a log: ``PeerId`` and bytes are where bytes were declared, ``True`` and 1 are not."""
    if left != right:
        return isinstance(left, float) and left != left and right != right  # noqa: PLR0124 - not a number equals nothing
    return isinstance(left, bool) == isinstance(right, bool)


def _places(left: Any, right: Any) -> Iterator[tuple[int, tuple[Any, Any]]]:
    return enumerate(zip_longest(left, right, fillvalue=ABSENT))


def first_difference(left: Any, right: Any, *, last: str = "") -> Difference | None:
    """The first place at which two states differ; ``None`` for equal ones.

    :param last: a path to name only where nothing else differs, such as the clock's.
    """
    found: Difference | None = None
    for difference in differences(left, right):
        if not last or not f"{difference.path}.".startswith(f"{last}."):
            return difference
        found = found or difference
    return found
