"""States with one thing changed somewhere, as no reducer would change it."""

from __future__ import annotations

import enum
import random
from typing import Any, Final, TypeVar, cast

from mina_p2p.record import Record, field_names
from mina_p2p.table import Table

T = TypeVar("T")

_LEFT_OUT: Final = {"config", "clock", "random", "shape", "grouping"}
"""Fields that no invariant is about: settings, time, and what decides where things belong."""


def mutant(dice: random.Random, state: T) -> tuple[str, T]:
    """A state in which one entry, element or value is another one, or is gone, and its path."""
    while True:
        path, made = _changed(dice, state)
        if path is not None:
            return path, made


def _changed(dice: random.Random, value: Any) -> tuple[str | None, Any]:
    """The value with something changed inside, and where; ``None`` where there is nothing to change on the way that was drawn."""
    if isinstance(value, Record):
        return _changed_record(dice, value)
    if isinstance(value, Table):
        return _changed_table(dice, cast("Table[int, Any]", value))
    if isinstance(value, tuple):
        return _changed_tuple(dice, cast("tuple[Any, ...]", value))
    if isinstance(value, enum.Enum):
        return "", dice.choice(list(type(value)))
    if isinstance(value, bool):
        return "", not value
    if isinstance(value, int):
        return "", type(value)(dice.choice((0, 1, max(0, value - 1), value + 1, value + 1_000_000_000)))
    if isinstance(value, bytes) and value:
        return "", bytes([value[0] ^ 1]) + value[1:]
    return None, value


def _changed_record(dice: random.Random, value: Record) -> tuple[str | None, Any]:
    names = [name for name in field_names(type(value)) if name not in _LEFT_OUT]
    if not names:
        return None, value
    name = dice.choice(names)
    if dice.random() < 0.05 and getattr(value, name) is not None:
        return f".{name}", _with(value, name, None)
    path, made = _changed(dice, getattr(value, name))
    return (None, value) if path is None else (f".{name}{path}", _with(value, name, made))


def _with(value: Any, name: str, made: Any) -> Any:
    return value.replace(**{name: made})


def _changed_table(dice: random.Random, value: Table[int, Any]) -> tuple[str | None, Any]:
    if not value:
        return None, value
    key = dice.choice(value.keys())
    match dice.randrange(6):
        case 0:
            return f"[{key}] is gone", value.delete(key)
        case 1:
            return f"[{key}] is at {key + 1}", value.delete(key).set(key + 1, value[key])
        case 2:
            return f"[{key}] is also at {key + 1_000}", value.set(key + 1_000, value[key])
        case _:
            path, made = _changed(dice, value[key])
            return (None, value) if path is None else (f"[{key}]{path}", value.set(key, made))


def _changed_tuple(dice: random.Random, value: tuple[Any, ...]) -> tuple[str | None, Any]:
    if not value:
        return None, value
    index = dice.randrange(len(value))
    match dice.randrange(4):
        case 0:
            return f"({index}) is gone", value[:index] + value[index + 1 :]
        case 1:
            return f"({index}) is there twice", (*value, value[index])
        case _:
            path, made = _changed(dice, value[index])
            return (None, value) if path is None else (f"({index}){path}", (*value[:index], made, *value[index + 1 :]))
