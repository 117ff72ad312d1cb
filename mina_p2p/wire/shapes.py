"""From annotations to shapes: what the compilers read.

A shape is a small tree that says how bytes are laid out, without names of
Python's typing module. Records stay leaves of it (`RecordShape`), so that
recursive types are finite.
"""

from __future__ import annotations

import enum
import types
import typing
from functools import cache
from typing import Annotated, Any, TypeAlias, get_args, get_origin

import attrs

from mina_p2p.record import Record, record
from mina_p2p.wire import notation
from mina_p2p.wire.primitives import polymorphic_tag, read_byte_ints, write_byte_ints
from mina_p2p.wire.raw import Raw


@record
class UnitShape(Record):
    """One byte 0."""


@record
class BoolShape(Record):
    """One byte 0 or 1."""


@record
class FloatShape(Record):
    """Eight bytes, IEEE 754 little-endian."""


@record
class ByteShape(Record):
    """One raw byte as an int."""


@record
class IntShape(Record):
    """A bin_prot integer."""

    range: notation.IntRange


@record
class FixedShape(Record):
    """Raw bytes of one size, as ``cls``, which is ``bytes`` or derives from it."""

    size: int
    cls: Any


@record
class BytesShape(Record):
    """A byte string with its length, as ``bytes``, a subclass of it, or ``str``."""

    limit: int
    cls: Any


@record
class RemainderShape(Record):
    """All bytes that are left."""

    cls: Any


@record
class CustomShape(Record):
    """Hand-written functions."""

    custom: notation.Custom


@record
class RawShape(Record):
    """A part that stays bytes, as ``cls``, until its value is asked for."""

    cls: Any
    inner: Shape


@record
class OptionShape(Record):
    """A value or ``None`` behind a tag."""

    inner: Shape
    some_tag: int


@record
class ListShape(Record):
    """A count and as many items, as a tuple."""

    inner: Shape
    limit: int | None


@record
class PaddedShape(Record):
    """A fixed number of items and a byte 0, as a tuple."""

    inner: Shape
    size: int


@record
class TupleShape(Record):
    """Parts back to back."""

    items: tuple[Shape, ...]


@record
class RecordShape(Record):
    """The fields of a record class; see `fields_of`."""

    cls: Any


@record
class Constructor(Record):
    """One alternative of a variant: a record class, or one member of an enum."""

    tag: int
    name: str
    cls: Any
    member: Any = None


@record
class VariantShape(Record):
    """A tag of one byte, or of four where polymorphic, and what it announces."""

    constructors: tuple[Constructor, ...]
    polymorphic: bool


@record
class TaggedShape(Record):
    """A byte with one allowed value in front."""

    tag: int
    inner: Shape


@record
class VersionedShape(Record):
    """A version number in front."""

    version: int
    inner: Shape


@record
class NeedsLengthShape(Record):
    """The length in bytes in front."""

    inner: Shape


Shape: TypeAlias = (
    UnitShape
    | BoolShape
    | FloatShape
    | ByteShape
    | IntShape
    | FixedShape
    | BytesShape
    | RemainderShape
    | CustomShape
    | RawShape
    | OptionShape
    | ListShape
    | PaddedShape
    | TupleShape
    | RecordShape
    | VariantShape
    | TaggedShape
    | VersionedShape
    | NeedsLengthShape
)


def shape_of(annotation: Any) -> Shape:
    """The shape of an annotation.

    :raises TypeError: where the notation does not fix how a value is written.
    """
    if get_origin(annotation) is Annotated:
        base, *markers = get_args(annotation)
        return _annotated(base, markers)
    return _plain(annotation)


@cache
def fields_of(cls: Any) -> tuple[tuple[str, Shape], ...]:
    """Names and shapes of a record's fields, in wire order.

    :raises TypeError: where a field's annotation does not fix how it is written.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    made: list[tuple[str, Shape]] = []
    for field in attrs.fields(cls):
        try:
            made.append((field.name, shape_of(hints[field.name])))
        except TypeError as error:
            raise TypeError(f"{cls.__qualname__}.{field.name}: {error}") from None
    return tuple(made)


@cache
def size_min(shape: Shape) -> int:
    """The least number of bytes that a value takes; bounds what a count may announce."""
    match shape:
        case UnitShape() | BoolShape() | ByteShape() | IntShape() | BytesShape() | OptionShape() | ListShape():
            return 1
        case FloatShape():
            return 8
        case FixedShape(size=size):
            return size
        case RemainderShape():
            return 0
        case CustomShape(custom=custom):
            return custom.size_min
        case RawShape(inner=inner):
            return size_min(inner)
        case PaddedShape(inner=inner, size=size):
            return size_min(inner) * size + 1
        case TupleShape(items=items):
            return sum(map(size_min, items))
        case RecordShape(cls=cls):
            # A recursive type always passes through a list, an option or a variant, whose own least size is known.
            return sum(size_min(field) for _, field in fields_of(cls))
        case VariantShape(polymorphic=polymorphic):
            return 4 if polymorphic else 1
        case TaggedShape(inner=inner) | VersionedShape(inner=inner) | NeedsLengthShape(inner=inner):
            return 1 + size_min(inner)


@cache
def is_recursive(cls: Any) -> bool:
    """Whether a value of the record class may hold another one of it."""
    return cls in _reachable(RecordShape(cls))


def _reachable(shape: Shape) -> set[Any]:
    seen: set[Any] = set()
    todo: list[Shape] = list(_parts(shape))
    while todo:
        part = todo.pop()
        if isinstance(part, RecordShape):
            if part.cls in seen:
                continue
            seen.add(part.cls)
        todo.extend(_parts(part))
    return seen


def _parts(shape: Shape) -> tuple[Shape, ...]:
    match shape:
        case RecordShape(cls=cls):
            return tuple(field for _, field in fields_of(cls))
        case TupleShape(items=items):
            return items
        case VariantShape(constructors=constructors):
            return tuple(RecordShape(c.cls) for c in constructors if c.member is None)
        case (
            RawShape(inner=inner)
            | OptionShape(inner=inner)
            | ListShape(inner=inner)
            | PaddedShape(inner=inner)
            | TaggedShape(inner=inner)
            | VersionedShape(inner=inner)
            | NeedsLengthShape(inner=inner)
        ):
            return (inner,)
        case _:
            return ()


def _annotated(base: Any, markers: list[Any]) -> Shape:
    shape: Shape | None = None
    for marker in markers:
        match marker:
            case notation.Tagged(tag=tag):
                shape = TaggedShape(tag, shape or _plain(base))
            case notation.Versioned(version=version):
                shape = VersionedShape(version, shape or _plain(base))
            case notation.NeedsLength():
                shape = NeedsLengthShape(shape or _plain(base))
            case _:
                made = _marked(base, marker)
                if made is not None and shape is not None:
                    raise TypeError(f"{marker!r} can not follow other markers")
                shape = made or shape
    return shape or _plain(base)


def _marked(base: Any, marker: Any) -> Shape | None:
    match marker:
        case notation.IntRange():
            return IntShape(marker)
        case notation.Byte():
            return ByteShape()
        case notation.FixedBytes(size=size):
            return FixedShape(size, base)
        case notation.MaxBytes(limit=limit) | notation.Utf8(limit=limit):
            return BytesShape(limit, base)
        case notation.ByteInts(limit=limit):
            return CustomShape(_byte_ints(limit))
        case notation.Remainder():
            return RemainderShape(base)
        case notation.Custom():
            return CustomShape(marker)
        case notation.MaxItems(limit=limit):
            return ListShape(_item(base), limit)
        case notation.Padded(size=size):
            return PaddedShape(_item(base), size)
        case notation.SetOrKeep():
            return OptionShape(_optional(base), 0)
        case notation.Polymorphic(names=names):
            return _polymorphic(base, names)
        case _:
            return None  # markers of other libraries


def _byte_ints(limit: int) -> notation.Custom:
    return notation.Custom(lambda data, offset: read_byte_ints(data, offset, limit), lambda value: write_byte_ints(value, limit))


def _plain(kind: Any) -> Shape:
    if kind is None or kind is types.NoneType:
        return UnitShape()
    if kind is bool:
        return BoolShape()
    if kind is float:
        return FloatShape()
    origin = get_origin(kind)
    if origin is tuple:
        arguments = get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return ListShape(shape_of(arguments[0]), None)
        return TupleShape(tuple(shape_of(item) for item in arguments))
    if origin in {types.UnionType, typing.Union}:
        members = get_args(kind)
        if types.NoneType in members:
            return OptionShape(_optional(kind), 1)
        return _variant(members)
    if isinstance(kind, type):
        if issubclass(kind, Raw):
            return RawShape(kind, shape_of(kind.kind()))
        if issubclass(kind, Record):
            return RecordShape(kind)
        if issubclass(kind, enum.IntEnum):
            return _variant((kind,))
    raise TypeError(f"{kind!r} does not say how it is written; see mina_p2p.wire.notation")


def _item(base: Any) -> Shape:
    item, _ = get_args(base)
    return shape_of(item)


def _optional(base: Any) -> Shape:
    members = tuple(member for member in get_args(base) if member is not types.NoneType)
    return shape_of(members[0]) if len(members) == 1 else _variant(members)


def _polymorphic(base: Any, names: tuple[str, ...]) -> Shape:
    made: tuple[Constructor, ...]
    if isinstance(base, type) and issubclass(base, enum.IntEnum):
        made = tuple(Constructor(polymorphic_tag(name), name, base, member) for name, member in zip(names, base, strict=True))
    else:
        members = (base,) if isinstance(base, type) else get_args(base)
        made = tuple(Constructor(polymorphic_tag(name), name, cls) for name, cls in zip(names, members, strict=True))
    return VariantShape(made, polymorphic=True)


def _variant(members: tuple[Any, ...]) -> Shape:
    enums = [Constructor(m.value, m.name, cls, m) for cls in members if issubclass(cls, enum.IntEnum) for m in cls]
    taken = {c.tag for c in enums}
    free = (tag for tag in range(256) if tag not in taken)
    records = [Constructor(next(free), cls.__name__, cls) for cls in members if not issubclass(cls, enum.IntEnum)]
    made = sorted(enums + records, key=lambda c: c.tag)
    if [c.tag for c in made] != list(range(len(made))):
        raise TypeError(f"the tags of {members!r} are not 0, 1, 2, …")
    return VariantShape(tuple(made), polymorphic=False)
