"""What a state says twice, compared only where one of the two has changed.

An index, a count or a timer wheel is derived from records. Both sides are followed here from state to
state: of persistent tables, entries that are still the same object need not be looked at again, and
what agreed before and changed on neither side agrees still.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from mina_p2p.ids import Timestamp
from mina_p2p.table import Deadlines, Index, Table, empty_table

_EMPTY: Final[Table[Any, Any]] = empty_table()
_TOLD_MAX: Final = 20
"""Of what differs in one place, so much is told."""


class Agreement:
    """Two maps that must be equal: one found in a state's index, one derived from its records."""

    __slots__ = ("_before", "_derived", "_differing", "_found", "_salt", "path")

    def __init__(self, path: str) -> None:
        """Both are empty.

        :param path: what is found, for people.
        """
        self.path = path
        self._found: dict[Hashable, Any] = {}
        self._derived: dict[Hashable, Any] = {}
        self._differing: set[Hashable] = set()
        self._before: Table[Any, Any] = _EMPTY
        self._salt = b""

    def __len__(self) -> int:
        """How many keys were found."""
        return len(self._found)

    def find(self, key: Hashable, value: Any) -> None:
        """The index holds ``value`` at ``key``; nothing, where that is ``None``."""
        self._put(self._found, self._derived, key, value)

    def derive(self, key: Hashable, value: Any) -> None:
        """By the records there must be ``value`` at ``key``; nothing, where that is ``None``."""
        self._put(self._derived, self._found, key, value)

    def count(self, key: Hashable, by: int) -> None:
        """So many more, or fewer, records stand behind what must be at ``key``."""
        self._put(self._derived, self._found, key, (self._derived.get(key, 0) + by) or None)

    def derived(self, key: Hashable) -> Any:
        """What must be at ``key``; ``None`` for nothing."""
        return self._derived.get(key)

    def _put(self, side: dict[Hashable, Any], other: dict[Hashable, Any], key: Hashable, value: Any) -> None:
        if value is None:
            side.pop(key, None)
        else:
            side[key] = value
        if other.get(key) == value:
            self._differing.discard(key)
        else:
            self._differing.add(key)

    def violations(self) -> list[str]:
        """Where the two differ now."""
        if not self._differing:
            return []
        found: list[str] = []
        for key in sorted(self._differing, key=repr)[:_TOLD_MAX]:
            one, other = self._found.get(key), self._derived.get(key)
            found.append(f"{self.path}: {one!r} at {key!r}, but it follows from the records that it is {other!r}")
        return found

    # --- the kinds of index -----------------------------------------------------------------

    def look_at_values(self, table: Table[Any, Any]) -> None:
        """Follow a table of values."""
        before, self._before = self._before, table
        for key in table.changed_since(before):
            self.find(key, table.get(key))

    def look_at_keys(self, table: Table[Any, None]) -> None:
        """Follow a table of which only the keys count; at each, one record is expected."""
        before, self._before = self._before, table
        for key in table.changed_since(before):
            self.find(key, 1 if key in table else None)

    def look_at_pairs(self, table: Table[Any, Table[Any, None]], *, may_be_empty: bool = False) -> list[str]:
        """Follow a table of tables, of which only the keys count; for each pair, one record is expected.

        :returns: what is wrong with the tables themselves: those without entries, where there may be none.
        """
        wrong: list[str] = []
        before, self._before = self._before, table
        for outer in table.changed_since(before):
            keys = table.get(outer)
            if keys is None:
                keys = _EMPTY
            elif not keys and not may_be_empty:
                wrong.append(f"{self.path}[{outer}]: empty, and still there")
            for inner in keys.changed_since(before.get(outer, _EMPTY)):
                self.find((outer, inner), 1 if inner in keys else None)
        return wrong

    def look_at_index(self, index: Index[Any]) -> list[str]:
        """Follow a map from bytes.

        :returns: what is wrong with it by itself: keys where nobody looks for them, and a wrong count.
        """
        wrong: list[str] = []
        before, self._before = self._before, index.buckets
        changed = index.buckets.changed_since(before)
        if index.salt != self._salt:
            changed, self._salt = [*before, *index.buckets], index.salt
        # A key may have moved from one bucket to another: take away first.
        for bucket in changed:
            for key, _ in before.get(bucket, ()):
                self.find(key, None)
        for bucket in changed:
            for key, value in index.buckets.get(bucket, ()):
                self.find(key, value)
                if index.get(key) != value:
                    wrong.append(f"{self.path}: {key!r} is not found where it is, in bucket {bucket}")
        if index.count != len(self._found):
            wrong.append(f"{self.path}.count: {index.count}, but {len(self._found)} keys are there")
        return wrong


class Waits:
    """A timer wheel that must hold exactly the waits that records name."""

    __slots__ = ("_agreement", "_granularity", "path")

    def __init__(self, path: str, granularity: int) -> None:
        """Nobody waits.

        :param granularity: what the wheel's is by the configuration.
        """
        self.path = path
        self._agreement = Agreement(f"{path}.buckets")
        self._granularity = granularity

    def count(self, at: Timestamp | None, key: int, by: int) -> None:
        """A record names a wait from now on, or does no longer."""
        if at is not None:
            self._agreement.count((-(-at // self._granularity), key), by)

    def violations(self, deadlines: Deadlines) -> list[str]:
        """Where wheel and records differ."""
        wrong = self._agreement.look_at_pairs(deadlines.buckets) + self._agreement.violations()
        if deadlines.granularity != self._granularity:
            wrong.append(f"{self.path}.granularity: {deadlines.granularity}, not {self._granularity}")
        return wrong
