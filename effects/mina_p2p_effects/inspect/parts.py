"""Walking over the parts of a decoded value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

from mina_p2p.record import Record, field_names
from mina_p2p.wire import Raw


def is_raw(value: Any) -> TypeGuard[Raw[Any]]:
    """Whether a part is bytes that have a value."""
    return isinstance(value, Raw)


def is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Whether a part is a list or a tuple."""
    return isinstance(value, tuple)


def walk(value: Any) -> Iterator[Any]:
    """A value and everything in it, from the outside in, in the order of the bytes.

    :raises DecodeError: where a part that stayed bytes can not be read.
    """
    todo = [value]
    while todo:
        part = todo.pop()
        yield part
        if is_raw(part):
            todo.append(part.value)
        elif is_tuple(part):
            todo.extend(reversed(part))
        elif isinstance(part, Record):
            todo.extend(getattr(part, name) for name in reversed(field_names(type(part))))
