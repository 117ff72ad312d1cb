"""Actions and values as one line for people, and as plain values for JSON. What a log holds can not do anything to a terminal."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any, Final, cast

from mina_p2p.errors import CallerError
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND
from mina_p2p.record import Record, field_names
from mina_p2p.table import Table

DEPTH_SHOWN_MAX: Final = 64
"""Levels of a tree that are shown as such; what is deeper stands below these."""

_BYTES_SHOWN: Final = 8
_ITEMS_SHOWN: Final = 4
_TEXT_MAX: Final = 80
_DEPTH_MAX: Final = 3
_JSON_DEPTH_MAX: Final = 100
_ID_SHOWN: Final = 10


def printable(text: str) -> str:
    """Without what a log could do to a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def describe(value: Any, depth: int = 0) -> str:
    """A value in brief: long bytes, texts and tuples are cut and say how long they are."""
    match value:
        case PeerId():
            return f"{str(value)[:_ID_SHOWN]}…"
        case bytes():
            rest = f"… ({len(value)} bytes)" if len(value) > _BYTES_SHOWN else ""
            return f"0x{value[:_BYTES_SHOWN].hex()}{rest}"
        case enum.Enum():
            return value.name
        case str():
            shown = printable(value[:_TEXT_MAX])
            return f'"{shown}"' if len(value) <= _TEXT_MAX else f'"{shown}…" ({len(value)} characters)'
        case Record():
            kind = value.__class__.__qualname__
            if depth >= _DEPTH_MAX:
                return f"{kind}(…)"
            fields = " ".join(f"{name}={describe(getattr(value, name), depth + 1)}" for name in field_names(type(value)))
            return f"{kind}({fields})" if depth else f"{kind} {fields}".rstrip()
        case tuple() | list():
            items = cast("tuple[Any, ...]", value)
            shown = ", ".join(describe(item, depth + 1) for item in items[:_ITEMS_SHOWN])
            return f"[{shown}{f', … {len(items)} in all' if len(items) > _ITEMS_SHOWN else ''}]"
        case Table():
            return f"a table of {len(cast('Table[int, Any]', value))}"
        case _:
            text = printable(repr(value))
            return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…"


def jsonable(value: Any, depth: int = 0) -> Any:
    """A value whole, as JSON holds it: bytes as hex, records as objects with their kind, tables as objects."""
    if depth > _JSON_DEPTH_MAX:
        return "…"
    match value:
        case PeerId():
            return str(value)
        case bytes():
            return value.hex()
        case enum.Enum():
            return value.name
        case Record():
            fields = {name: jsonable(getattr(value, name), depth + 1) for name in field_names(type(value))}
            return {"kind": value.__class__.__qualname__, **fields}
        case tuple() | list():
            return [jsonable(item, depth + 1) for item in cast("tuple[Any, ...]", value)]
        case Table():
            return {str(key): jsonable(item, depth + 1) for key, item in cast("Table[int, Any]", value).items()}
        case None | bool() | int() | float() | str():
            return value
        case _:
            return repr(value)


def clock_text(time: int) -> str:
    """Nanoseconds since the Unix epoch as UTC, to the microsecond."""
    try:
        whole = datetime.fromtimestamp(time // SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time} ns"
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time % SECOND // 1_000:06}Z"


def parse_time(text: str) -> int:
    """Nanoseconds since the Unix epoch: a date and time of ISO 8601, UTC where it does not say.

    :raises CallerError: for anything else.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CallerError(f"{text!r} is no time; write it as 2026-11-21T13:52:28 or 2026-11-21T13:52:28.725Z") from None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return int(found.timestamp()) * SECOND + found.microsecond * 1_000
