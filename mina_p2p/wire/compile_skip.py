"""Compiles shapes into functions that check a layout and skip it.

A proof has some 300 fields that nobody reads. Most of its layout is a regular
language: runs of fixed size, integers of a few forms, lists of at most 16 items.
So it is checked by regular expressions, and by Python code only around strings,
lists whose length is free, and recursive records. What does not match is read in
full, which finds the field and the offset: a skip accepts exactly what reading accepts.

No two alternatives of an expression match the same bytes, so a mismatch costs no
more than a match.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

from mina_p2p.wire.primitives import DEPTH_MAX
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    BytesShape,
    FixedShape,
    FloatShape,
    IntShape,
    ListShape,
    OptionShape,
    PaddedShape,
    RawShape,
    RecordShape,
    Shape,
    TaggedShape,
    TupleShape,
    UnitShape,
    VariantShape,
    fields_of,
    is_recursive,
    size_min,
)

Skipper: TypeAlias = Callable[[bytes, int, int], int]
"""Takes input, offset and depth; returns the offset behind the value, or -1 where reading has to decide."""

_ITEMS_MAX: Final = 16
"""Bounded lists and strings up to this length become alternatives of an expression."""
_COUNT_MAX: Final = 0x7F
"""Longer lists and strings are left to reading."""

_INT32: Final = (
    rb"[\x00-\x7f]"
    rb"|\xff[\x80-\xff]"
    rb"|\xfe(?![\x00-\x7f]\x00|[\x80-\xff]\xff).."
    rb"|\xfd(?!.[\x00-\x7f]\x00\x00|.[\x80-\xff]\xff\xff)...."
)
_INT64: Final = rb"(?:\xfc.......[\x01-\xfe]|" + _INT32 + rb"|\xfc(?!...[\x00-\x7f]\x00{4}|...[\x80-\xff]\xff{4}).......[\x00\xff])"
"""Ints in their shortest form, as `read_int` accepts them; the most frequent form of a random number first."""
_INTS: Final = {
    (-(2**63), 2**63 - 1): _INT64,
    (0, 2**64 - 1): _INT64,
    (-(2**31), 2**31 - 1): b"(?:" + _INT32 + b")",
    (0, 2**32 - 1): b"(?:" + _INT32 + b")",
}


class _NotRegularError(Exception):
    """A regular expression can not describe the shape."""


class _NotSkippableError(Exception):
    """Only reading can check the shape."""


@cache
def skipper(shape: Shape) -> Skipper | None:
    """The skipper of a shape, or ``None`` where only reading can check it."""
    try:
        return _sequence([shape])
    except _NotSkippableError:
        return None


def _size(shape: Shape) -> int | None:
    """The size of a shape that any bytes of that size fit."""
    match shape:
        case FixedShape(size=size):
            return size
        case ByteShape():
            return 1
        case FloatShape():
            return 8
        case TupleShape() | RecordShape():
            sizes = [_size(part) for part in _parts(shape)]
            return None if None in sizes else sum(size for size in sizes if size is not None)
        case _:
            return None


def _parts(shape: TupleShape | RecordShape) -> tuple[Shape, ...]:
    if isinstance(shape, TupleShape):
        return shape.items
    if is_recursive(shape.cls):
        raise _NotRegularError
    return tuple(field for _, field in fields_of(shape.cls))


def _expression(shape: Shape) -> bytes:
    """The regular expression that describes a shape.

    :raises _NotRegularError: where there is none, or none of reasonable length.
    """
    match shape:
        case UnitShape():
            return rb"\x00"
        case BoolShape():
            return rb"[\x00\x01]"
        case FixedShape() | ByteShape() | FloatShape():
            return _any(_size(shape) or 0)
        case IntShape(range=bounds) if bounds.signed and (bounds.low < 0 or bounds.wrap_bits) and (bounds.low, bounds.high) in _INTS:
            return _INTS[bounds.low, bounds.high]
        case OptionShape(inner=inner, some_tag=some_tag):
            return rb"(?:\x%02x|\x%02x%b)" % (1 - some_tag, some_tag, _expression(inner))
        case TaggedShape(tag=tag, inner=inner):
            return rb"\x%02x%b" % (tag, _expression(inner))
        case BytesShape(limit=limit, cls=cls) if limit <= _ITEMS_MAX and cls is not str:
            return b"(?:" + b"|".join(rb"\x%02x.{%d}" % (count, count) for count in range(limit + 1)) + b")"
        case ListShape(inner=inner, limit=int(limit)) if limit <= _ITEMS_MAX:
            # One item is by far the most frequent in proofs.
            counts = sorted(range(limit + 1), key=lambda count: count != 1)
            return b"(?:" + b"|".join(rb"\x%02x%b" % (count, _repeated(inner, count)) for count in counts) + b")"
        case PaddedShape(inner=inner, size=size):
            return _repeated(inner, size) + rb"\x00"
        case TupleShape() | RecordShape():
            return _joined(_parts(shape))
        case VariantShape(polymorphic=polymorphic, constructors=constructors):
            if not polymorphic and all(c.member is not None for c in constructors):
                return rb"[\x00-\x%02x]" % (len(constructors) - 1)
            size = 4 if polymorphic else 1
            tags = [b"".join(rb"\x%02x" % byte for byte in c.tag.to_bytes(size, "little")) for c in constructors]
            bodies = [b"" if c.member is not None else _expression(RecordShape(c.cls)) for c in constructors]
            return b"(?:" + b"|".join(tag + body for tag, body in zip(tags, bodies, strict=True)) + b")"
        case _:
            raise _NotRegularError


def _any(size: int) -> bytes:
    return b".{%d}" % size if size else b""


def _repeated(shape: Shape, count: int) -> bytes:
    size = _size(shape)
    if size is not None:
        return _any(size * count)
    item = _expression(shape)
    return item * count if count <= 2 else b"(?:%b){%d}" % (item, count)


def _joined(shapes: tuple[Shape, ...]) -> bytes:
    made: list[bytes] = []
    waiting = 0
    for shape in shapes:
        size = _size(shape)
        if size is not None:
            waiting += size
            continue
        made += [_any(waiting), _expression(shape)]
        waiting = 0
    return b"".join([*made, _any(waiting)])


def _sequence(shapes: list[Shape]) -> Skipper:
    """One function for shapes in a row; neighbours that are regular share an expression."""
    parts: list[Skipper] = []
    regular: list[Shape] = []

    def flush() -> None:
        if regular:
            parts.append(_matcher(_joined(tuple(regular))))
            regular.clear()

    for shape in _flattened(shapes):
        if _is_regular(shape):
            regular.append(shape)
        else:
            flush()
            parts.append(_irregular(shape))
    flush()
    if len(parts) == 1:
        return parts[0]

    def skip_all(data: bytes, offset: int, depth: int) -> int:
        for part in parts:
            offset = part(data, offset, depth)
            if offset < 0:
                return -1
        return offset

    return skip_all


def _flattened(shapes: list[Shape]) -> list[Shape]:
    made: list[Shape] = []
    for shape in shapes:
        match shape:
            case TupleShape(items=items):
                made += _flattened(list(items))
            case RecordShape(cls=cls) if not is_recursive(cls):
                made += _flattened([field for _, field in fields_of(cls)])
            case RawShape(inner=inner):
                made += _flattened([inner])
            case _:
                made.append(shape)
    return made


@cache
def _is_regular(shape: Shape) -> bool:
    try:
        _expression(shape)
    except _NotRegularError:
        return False
    return True


def _matcher(source: bytes) -> Skipper:
    matches: Any = re.compile(source, re.DOTALL).match

    def skip_match(data: bytes, offset: int, _depth: int) -> int:
        match = matches(data, offset)
        return -1 if match is None else match.end()

    return skip_match


def _irregular(shape: Shape) -> Skipper:
    match shape:
        case BytesShape(limit=limit, cls=cls) if cls is not str:
            return _string(min(limit, _COUNT_MAX))
        case ListShape(inner=inner, limit=None):
            return _items(_sequence([inner]), max(1, size_min(inner)))
        case OptionShape(inner=inner, some_tag=some_tag):
            return _choice({bytes([some_tag]): _sequence([inner]), bytes([1 - some_tag]): _nothing}, 1)
        case VariantShape(polymorphic=polymorphic, constructors=constructors):
            size = 4 if polymorphic else 1
            bodies = [_nothing if c.member is not None else _sequence([RecordShape(c.cls)]) for c in constructors]
            return _choice({c.tag.to_bytes(size, "little"): body for c, body in zip(constructors, bodies, strict=True)}, size)
        case RecordShape(cls=cls):
            return _recursive(cls)
        case _:
            raise _NotSkippableError


def _nothing(_data: bytes, offset: int, _depth: int) -> int:
    return offset


def _string(limit: int) -> Skipper:
    def skip_string(data: bytes, offset: int, _depth: int) -> int:
        if offset >= len(data):
            return -1
        count = data[offset]
        end = offset + 1 + count
        return end if count <= limit and end <= len(data) else -1

    return skip_string


def _items(item: Skipper, least: int) -> Skipper:
    def skip_items(data: bytes, offset: int, depth: int) -> int:
        count = data[offset] if offset < len(data) else _COUNT_MAX + 1
        offset += 1
        if count > _COUNT_MAX or count * least > len(data) - offset:
            return -1
        for _ in range(count):
            offset = item(data, offset, depth)
            if offset < 0:
                return -1
        return offset

    return skip_items


def _choice(alternatives: dict[bytes, Skipper], size: int) -> Skipper:
    def skip_choice(data: bytes, offset: int, depth: int) -> int:
        chosen = alternatives.get(data[offset : offset + size])
        return -1 if chosen is None else chosen(data, offset + size, depth)

    return skip_choice


@cache
def _recursive(cls: Any) -> Skipper:
    fields: Skipper | None = None

    def skip_record(data: bytes, offset: int, depth: int) -> int:
        nonlocal fields
        if depth >= DEPTH_MAX:
            return -1
        if fields is None:
            fields = _sequence([field for _, field in fields_of(cls)])
        return fields(data, offset, depth + 1)

    return skip_record
