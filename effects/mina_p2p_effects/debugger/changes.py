"""What differs between two states, part by part.

States share what has not changed, so comparing them costs what has changed. Paths are the
names that `parts` gives.
"""

from __future__ import annotations

import enum
from typing import Any, Final, TypeAlias

from mina_p2p_effects.debugger.parts import Parts, name_of, parts

Path: TypeAlias = tuple[str, ...]


class _Absent(enum.Enum):
    """What a path leads to in a state that has nothing there."""

    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT

CHANGES_MAX: Final = 2_000
"""Of more changes the first are listed; the value that holds the others counts as changed as a whole."""


class Changes:
    """All places at which two values differ."""

    def __init__(self, before: Any, after: Any) -> None:
        self.before = before
        self.after = after
        self.places: dict[Path, Any] = {}
        """Path to the value that was there before, `ABSENT` where there was none. Ordered as the state is."""
        self.around: set[Path] = set()
        """Paths of what holds a change."""
        self._compare(before, after, ())

    def __len__(self) -> int:
        return len(self.places)

    def _compare(self, before: Any, after: Any, path: Path) -> None:
        if before is after:
            return
        old, new = parts(before), parts(after)
        is_alike = old is not None and new is not None and type(before) is type(after) and name_of(before) == name_of(after)
        if not is_alike or len(self.places) >= CHANGES_MAX:
            if before != after or type(before) is not type(after):
                self.places[path] = before
                self.around.update(path[:length] for length in range(len(path)))
            return
        for name, was, now in _paired(old or [], new or []):
            self._compare(was, now, (*path, name))


def _paired(old: Parts, new: Parts) -> list[tuple[str, Any, Any]]:
    """Parts of both by name, in the order of the new ones; what is gone follows."""
    was = dict(old)
    found = [(name, was.pop(name, ABSENT), now) for name, now in new]
    return found + [(name, value, ABSENT) for name, value in was.items()]
