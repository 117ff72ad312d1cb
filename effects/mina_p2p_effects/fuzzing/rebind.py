"""Leaving inputs out of a case without losing what the others mean.

A machine numbers what it makes: connections, streams, questions. Without an input that led to a
connection, all later connections have other numbers, and the inputs of each would be taken for
those of another. So numbers are bound to the input whose effects first named them: where that
input is kept, others follow its new numbers; where it is left out, they are about nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.record import field_names
from mina_p2p.store import Machine
from mina_p2p.trace.minimise import Input

OWNER: Final = "connection_id"
"""The field that says whose the other numbers of a record are: each owner has a first stream of its own."""

_NOTHING: Final = 0
"""A number that nothing has."""

_Key: TypeAlias = tuple[str, int | None, int]
"""A field's name, the owner if the record has one, and the number."""


class Rebinder:
    """Makes smaller cases of the inputs of one."""

    def __init__(self, machine: Machine[Any], initial_state: Any, inputs: Sequence[Input]) -> None:
        self._machine = machine
        self._initial_state = initial_state
        self._inputs = tuple(inputs)
        state, seen = initial_state, set[_Key]()
        self._issued: list[list[_Key]] = []
        """What each input's effects named first."""
        for item in self._inputs:
            state, issued = _step(machine, state, item, seen)
            self._issued.append(issued)
        self._known = {known for issued in self._issued for key in issued for known in (key, _anyones(key))}

    def part(self, places: Iterable[int]) -> tuple[Input, ...]:
        """Some of the inputs, by their places in ascending order, with the numbers that hold without the others."""
        state, seen = self._initial_state, set[_Key]()
        renamed: dict[_Key, int] = {}
        found: list[Input] = []
        for place in places:
            item = self._inputs[place].replace(action=self._rebound(self._inputs[place].action, renamed))
            found.append(item)
            state, issued = _step(self._machine, state, item, seen)
            for old, new in _paired(self._issued[place], issued):
                renamed[old] = new
                renamed.setdefault(_anyones(old), new)
        return tuple(found)

    def _rebound(self, action: Any, renamed: dict[_Key, int]) -> Any:
        """An input with what its numbers have become."""
        changes: dict[str, int] = {}
        for key in _numbers(action):
            new = renamed.get(key, _NOTHING if key in self._known else key[2])
            if new != key[2]:
                changes[key[0]] = new
        return action.replace(**changes) if changes else action


def _step(machine: Machine[Any], state: Any, item: Input, seen: set[_Key]) -> tuple[Any, list[_Key]]:
    """The state after an input, and the numbers that its effects are the first to name."""
    # What somebody outside chose, such as the handle of an arrival, was not issued by the machine.
    seen.update(key for key in _numbers(item.action) if key[0] != OWNER)
    try:
        state, effects, _, _, _ = machine.execute(state, item.action, item.now)
    except (CallerError, InvariantViolationError):
        return state, []
    issued: list[_Key] = []
    for effect in effects:
        for key in _numbers(effect):
            if key not in seen and _anyones(key) not in seen:
                seen.add(key)
                issued.append(key)
    return state, issued


def _numbers(value: Any) -> Iterator[_Key]:
    """The numbers in a record's own fields."""
    kind: type[Any] = value.__class__
    owner = getattr(value, OWNER, None)
    for name in field_names(kind):
        number = getattr(value, name)
        if type(number) is int:
            yield name, None if name == OWNER else owner, number


def _anyones(key: _Key) -> _Key:
    """For records that do not say whose a number is."""
    name, _, number = key
    return name, None, number


def _paired(before: list[_Key], after: list[_Key]) -> Iterator[tuple[_Key, int]]:
    """What the same input's effects named, with the other inputs and without, by name and in order."""
    for name in dict.fromkeys(name for name, _, _ in before):
        olds = [key for key in before if key[0] == name]
        news = [key for key in after if key[0] == name]
        for old, new in zip(olds, news, strict=False):
            yield old, new[2]
