"""What states and actions are made of, for people: names, parts, and texts of what has no parts."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, TypeGuard, cast

from mina_p2p.identity import PeerId
from mina_p2p.record import Record, field_names
from mina_p2p.table import Deadlines, Index, Table
from mina_p2p_effects.inspect.parts import is_tuple
from mina_p2p_effects.logs.text import printable

Parts: TypeAlias = list[tuple[str, Any]]

BYTES_SHOWN_MAX: Final = 32
TEXT_SHOWN_MAX: Final = 200
_FIELD_SHOWN_MAX: Final = 20


def parts(value: Any) -> Parts | None:
    """Named parts of a value in their order; ``None`` for what has none by nature.

    An index shows its entries instead of its buckets, a timer wheel its waits by the time they end.
    """
    if isinstance(value, Record):
        if _is_index(value):
            return sorted(_entries(value))
        if isinstance(value, Deadlines):
            return [(str(bucket * value.granularity), tuple(keys)) for bucket, keys in value.buckets.items()]
        return [(name, getattr(value, name)) for name in field_names(type(value))]
    if isinstance(value, Table):
        return [(str(key), part) for key, part in cast("Table[int, Any]", value).items()]
    if is_tuple(value):
        return [(str(place), part) for place, part in enumerate(value)]
    return None


def _is_index(value: Any) -> TypeGuard[Index[Any]]:
    return isinstance(value, Index)


def _entries(index: Index[Any]) -> Iterator[tuple[str, Any]]:
    for bucket in index.buckets.values():
        for key, value in bucket:
            yield key.hex(), value


def name_of(value: Any) -> str:
    """Name of a record's class; empty for anything else."""
    return type(value).__qualname__ if isinstance(value, Record) else ""


def leaf_text(value: Any) -> str:
    """What has no parts, as text of bounded length, without what peers could do to a terminal."""
    if isinstance(value, PeerId):
        return str(value)
    if isinstance(value, bytes):
        shown = value[:BYTES_SHOWN_MAX].hex()
        return shown if len(value) <= BYTES_SHOWN_MAX else f"{shown}… ({len(value)} bytes)"
    if isinstance(value, enum.Enum):
        return value.name
    text = printable(value[: TEXT_SHOWN_MAX + 1] if isinstance(value, str) else repr(value))
    return text if len(text) <= TEXT_SHOWN_MAX else f"{text[:TEXT_SHOWN_MAX]}…"


def summary(value: Any, width: int = 60) -> str:
    """A value in a few words, for one line."""
    inside = parts(value)
    if inside is None:
        return leaf_text(value)
    kind = name_of(value)
    if isinstance(value, Table | tuple | Index):
        return f"{len(inside)} {'entry' if len(inside) == 1 else 'entries'}"
    shown: list[str] = []
    length = len(kind) + 2
    for name, part in inside:
        text = f"{name}={_cut(leaf_text(part), _FIELD_SHOWN_MAX) if parts(part) is None else name_of(part) or '…'}"
        length += len(text) + 2
        if length > width:
            shown.append("…")
            break
        shown.append(text)
    return f"{kind}({', '.join(shown)})" if shown else kind


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
