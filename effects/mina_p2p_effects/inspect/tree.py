"""An inspection as text: one line for each part, with its size in bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mina_p2p.mina.json_form import form_of
from mina_p2p.record import Record, field_names
from mina_p2p.wire import codec
from mina_p2p_effects.inspect.inspection import Inspection
from mina_p2p_effects.inspect.parts import is_raw, is_tuple

ITEMS_MAX = 12
"""Of longer lists only the first items are shown."""

_WIDTH = 96


def render(found: Inspection, depth_max: int) -> str:
    """The tree, ``depth_max`` levels deep, below a head with type, size and hashes."""
    lines = [f"{found.type}: {found.size} bytes, {'encodes to the same bytes' if found.round_trip else 'ENCODES TO OTHER BYTES'}"]
    for name, value in found.hashes.items():
        shown = value if isinstance(value, str) else ", ".join(value) or "none"
        lines.append(f"  {name}: {shown}")
    lines += _lines("", found.value, depth_max, "")
    return "\n".join(lines) + "\n"


def _lines(name: str, value: Any, depth: int, indent: str) -> Iterator[str]:
    if is_raw(value):
        yield f"{indent}{name} ({len(value)} bytes)"
        if depth > 0:
            yield from _parts(value.value, depth - 1, indent + "  ")
        return
    size = f" ({len(codec(type(value)).encode(value))} bytes)" if isinstance(value, Record) else ""
    if depth <= 0 or not (isinstance(value, Record) or (is_tuple(value) and value)):
        yield f"{indent}{name}: {_short(value)}{size}"
        return
    yield f"{indent}{name or type(value).__name__}{size}"
    yield from _parts(value, depth - 1, indent + "  ")


def _parts(value: Any, depth: int, indent: str) -> Iterator[str]:
    if is_tuple(value):
        for i, item in enumerate(value[:ITEMS_MAX]):
            yield from _lines(f"[{i}] {type(item).__name__}", item, depth, indent)
        if len(value) > ITEMS_MAX:
            yield f"{indent}and {len(value) - ITEMS_MAX} more"
        return
    if not isinstance(value, Record):
        yield f"{indent}{_short(value)}"
        return
    for name in field_names(type(value)):
        yield from _lines(name, getattr(value, name), depth, indent)


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        text = value[::-1].hex() if len(value) == 32 else value.hex()
        return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}… ({len(value)} bytes)"
    if is_tuple(value):
        return f"{len(value)} items"
    if isinstance(value, Record):
        shown = json.dumps(form_of(type(value))[0](value))
        return shown if len(shown) <= _WIDTH else f"{type(value).__name__} …"
    return str(value)
