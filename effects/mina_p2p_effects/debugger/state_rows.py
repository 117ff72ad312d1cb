"""The lines of a state shown as a tree, with what changed."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, Final

from mina_p2p.record import Record, record
from mina_p2p_effects.debugger.changes import ABSENT, Changes, Path
from mina_p2p_effects.debugger.parts import name_of, parts, summary

PARTS_SHOWN_MAX: Final = 100
"""Of more parts of one value, the first and those that changed are shown."""


class Mark(enum.Enum):
    """How a line stands to the state before."""

    SAME = enum.auto()
    AROUND = enum.auto()
    """Something in it has changed."""
    CHANGED = enum.auto()
    ADDED = enum.auto()
    REMOVED = enum.auto()


@record
class StateRow(Record):
    """One line."""

    path: Path
    name: str
    kind: str
    """Class of the record; empty for other values."""
    text: str
    was: str
    """The text before; where it differs."""
    mark: Mark
    is_open: bool | None
    """``None`` for what can not be opened."""


class Folding:
    """Which parts of the tree are open: those that a person opened, and by themselves those around a change."""

    def __init__(self) -> None:
        self._chosen: dict[Path, bool] = {}
        self.only_changes = False
        """Whether lines without a change are hidden."""

    def is_open(self, path: Path, changes: Changes) -> bool:
        """Whether the parts of what is at a path are shown."""
        return self._chosen.get(path, path in changes.around or not path)

    def set_open(self, path: Path, opened: bool) -> None:
        """Remember what a person chose."""
        self._chosen[path] = opened

    def reset(self) -> None:
        """Forget what was chosen."""
        self._chosen.clear()


def state_rows(changes: Changes, folding: Folding) -> list[StateRow]:
    """The lines of the state after, and of what is gone."""
    return list(_rows(changes, folding))


def _rows(changes: Changes, folding: Folding) -> Iterator[StateRow]:
    todo: list[tuple[Path, Any, Mark]] = [((), changes.after, Mark.SAME)]
    while todo:
        path, value, inherited = todo.pop()
        row = _row(changes, folding, path, value, inherited)
        if path:
            yield row
        if not row.is_open:
            continue
        below = row.mark if row.mark in {Mark.ADDED, Mark.REMOVED} else Mark.SAME
        inside = _inside(changes, path, changes.places[path] if value is ABSENT else value)
        shown = (
            [part for part in inside if below is not Mark.SAME or _is_changed(changes, (*path, part[0]))]
            if folding.only_changes
            else inside
        )
        hidden = 0
        if len(shown) > PARTS_SHOWN_MAX:
            kept = [part for i, part in enumerate(shown) if i < PARTS_SHOWN_MAX or _is_changed(changes, (*path, part[0]))]
            hidden, shown = len(shown) - len(kept), kept
        if hidden:
            todo.append(((*path, "…"), f"{hidden} more, as before", Mark.SAME))
        todo.extend(((*path, name), part, below) for name, part in reversed(shown))


def _inside(changes: Changes, path: Path, value: Any) -> list[tuple[str, Any]]:
    """The parts of a value, and those that it has lost."""
    inside = list(parts(value) or ())
    if path not in changes.around and path:
        return inside
    length = len(path) + 1
    names = {name for name, _ in inside}
    gone = [(place[-1], ABSENT) for place in changes.places if len(place) == length and place[:-1] == path and place[-1] not in names]
    return inside + gone


def _is_changed(changes: Changes, path: Path) -> bool:
    return path in changes.places or path in changes.around


def _row(changes: Changes, folding: Folding, path: Path, value: Any, inherited: Mark) -> StateRow:
    was = ""
    mark = inherited
    if path in changes.places:
        before = changes.places[path]
        if value is ABSENT:
            mark, value = Mark.REMOVED, before
        elif before is ABSENT:
            mark = Mark.ADDED
        else:
            mark, was = Mark.CHANGED, summary(before)
    elif path in changes.around:
        mark = Mark.AROUND
    inside = parts(value)
    is_open = folding.is_open(path, changes) if inside or path in changes.around else None
    return StateRow(path, path[-1] if path else "", name_of(value), summary(value), was, mark, is_open)
