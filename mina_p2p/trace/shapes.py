"""What the fields of records hold: type hints resolved into a small vocabulary of shapes.

The codec compiler reads shapes; the log's header carries them (`form`), so that a log can
be read and migrated where the classes have changed since.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Literal, NewType, TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec

from mina_p2p.record import Record, record, record_fields
from mina_p2p.table import Table
from mina_p2p.trace.errors import LogError, LogFault

SECRET: typing.Final[dict[str, bool]] = {"mina_p2p.secret": True}
"""``attrs.field(metadata=SECRET)`` marks a field that must never be recorded."""

Form: TypeAlias = Any
"""A shape in the log's header: a name, or a list of a word and forms."""


@record
class Scalar(Record):
    """``int``, ``str``, ``bytes``, ``bool``, ``float`` or ``None``."""

    kind: type[Any]


@record
class Derived(Record):
    """A subclass of a scalar, rebuilt by its constructor."""

    cls: type[Any]
    kind: type[Any]


@record
class Choice(Record):
    """An enum, by value."""

    cls: type[enum.Enum]


@record
class Constant(Record):
    """A ``Literal`` of ints, texts and ``None``."""

    values: tuple[Any, ...]


@record
class Nested(Record):
    """A record of one known class."""

    type: RecordType


@record
class OneOf(Record):
    """A union."""

    options: tuple[Shape, ...]


@record
class Items(Record):
    """``tuple[X, ...]``."""

    item: Shape


@record
class Fixed(Record):
    """``tuple[X, Y]``."""

    items: tuple[Shape, ...]


@record
class Entries(Record):
    """``Table[K, V]``."""

    key: Shape
    value: Shape


@record
class Anything(Record):
    """``Any``: a record of the schema or a scalar."""


Shape: TypeAlias = Scalar | Derived | Choice | Constant | Nested | OneOf | Items | Fixed | Entries | Anything

_SCALARS: typing.Final = (int, str, bytes, bool, float, type(None))


class RecordType:
    """A record class, with arguments where it is generic; its fields are filled in once all are known."""

    def __init__(self, cls: type[Any], arguments: tuple[Shape, ...]) -> None:
        self.cls = cls
        self.name = qualified_name(cls)
        if arguments:
            self.name += f"[{', '.join(_label(form(a)) for a in arguments)}]"
        self.tag = -1
        self.fields: tuple[tuple[str, Shape], ...] = ()

    def digest(self) -> bytes:
        """Eight bytes that change when a field, its place or its type does."""
        own = [self.name, [[name, form(shape)] for name, shape in self.fields]]
        return blake2b(msgspec.msgpack.encode(own), digest_size=8).digest()


def qualified_name(cls: type[Any]) -> str:
    """``module.Class``, as logs name classes."""
    return f"{cls.__module__}.{cls.__qualname__}"


def form(shape: Shape) -> Form:
    """The shape as the header carries it; the same on every Python version."""
    match shape:
        case Scalar(kind=kind):
            return "none" if kind is type(None) else kind.__name__
        case Derived(cls=cls, kind=kind):
            return ["derived", kind.__name__, qualified_name(cls)]
        case Choice(cls=cls):
            return ["enum", qualified_name(cls)]
        case Constant(values=values):
            return ["constant", *values]
        case Nested(type=nested):
            return ["record", nested.name]
        case OneOf(options=options):
            return ["union", *(form(option) for option in options)]
        case Items(item=item):
            return ["tuple", form(item)]
        case Fixed(items=items):
            return ["fixed", *(form(item) for item in items)]
        case Entries(key=key, value=value):
            return ["table", form(key), form(value)]
        case Anything():
            return "any"


def _label(found: Form) -> str:
    return found if isinstance(found, str) else str(found[-1])


class Resolver:
    """Collects every record class that can be reached from some."""

    def __init__(self, roots: Iterable[type[Any]]) -> None:
        """Resolve ``roots`` and all that their fields can hold.

        :raises LogError: ``UNWRITABLE`` for a type that a log can not hold, ``SECRET`` for a secret field.
        """
        self._known: dict[Any, RecordType] = {}
        self._todo: list[tuple[RecordType, dict[Any, Shape]]] = []
        self._derived: dict[str, type[Any]] = {}
        self._enums: dict[str, type[enum.Enum]] = {}
        for root in roots:
            self._record(root, ())
        while self._todo:
            found, variables = self._todo.pop()
            found.fields = self._fields(found.cls, variables)

    def records(self) -> list[RecordType]:
        """All record types by name, numbered in that order."""
        ordered = sorted(self._known.values(), key=lambda found: found.name)
        for tag, (found, before) in enumerate(zip(ordered, [None, *ordered], strict=False)):
            if before is not None and before.name == found.name:
                raise LogError(LogFault.UNWRITABLE, f"two classes are called {found.name}; a log tells classes by their names")
            found.tag = tag
        return ordered

    def enums(self) -> list[type[enum.Enum]]:
        """All enums by name."""
        return [self._enums[name] for name in sorted(self._enums)]

    def derived(self) -> list[type[Any]]:
        """All subclasses of scalars by name."""
        return [self._derived[name] for name in sorted(self._derived)]

    def _record(self, cls: type[Any], arguments: tuple[Shape, ...]) -> Nested:
        key = (cls, msgspec.msgpack.encode([form(a) for a in arguments]))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = RecordType(cls, arguments)
            names: tuple[Any, ...] = getattr(cls, "__parameters__", ())
            self._todo.append((found, dict(zip(names, arguments, strict=False))))
        return Nested(found)

    def _fields(self, cls: type[Any], variables: dict[Any, Shape]) -> tuple[tuple[str, Shape], ...]:
        hints = typing.get_type_hints(cls)
        fields: list[tuple[str, Shape]] = []
        for field in record_fields(cls):
            place = f"{qualified_name(cls)}.{field.name}"
            if field.metadata.get("mina_p2p.secret"):
                raise LogError(LogFault.SECRET, place)
            if not field.init:
                raise LogError(LogFault.UNWRITABLE, f"{place} is not a parameter of the constructor")
            fields.append((field.name, self._shape(hints[field.name], variables, place)))
        return tuple(fields)

    def _shape(self, hint: Any, variables: dict[Any, Shape], place: str) -> Shape:
        if isinstance(hint, TypeVar):
            return variables.get(hint, Anything())
        if isinstance(hint, NewType):
            return self._shape(hint.__supertype__, variables, place)
        origin = get_origin(hint)
        if origin is not None:
            return self._generic(hint, origin, get_args(hint), variables, place)
        if hint is Any:
            return Anything()
        if hint is None:
            return Scalar(type(None))
        if isinstance(hint, type):
            return self._class(hint, place)
        raise _unwritable(place, hint)

    def _class(self, hint: type[Any], place: str) -> Shape:
        if hint in _SCALARS:
            return Scalar(hint)
        if issubclass(hint, enum.IntFlag):
            return self._subclass(hint, int)
        if issubclass(hint, enum.Enum):
            values: list[Any] = [member.value for member in hint]
            if not any(values and all(type(value) is kind for value in values) for kind in (int, str)):
                raise LogError(LogFault.UNWRITABLE, f"{place}: the values of enum {qualified_name(hint)} are not all int or all str")
            self._enums[qualified_name(hint)] = hint
            return Choice(hint)
        if issubclass(hint, Record):
            return self._record(hint, ())
        if hint is Table:
            return Entries(Scalar(int), Anything())
        for kind in (int, str, bytes, float):
            if issubclass(hint, kind):
                return self._subclass(hint, kind)
        raise _unwritable(place, hint)

    def _subclass(self, hint: type[Any], kind: type[Any]) -> Derived:
        self._derived[qualified_name(hint)] = hint
        return Derived(hint, kind)

    def _generic(self, hint: Any, origin: Any, arguments: tuple[Any, ...], variables: dict[Any, Shape], place: str) -> Shape:
        if origin in (Union, types.UnionType):
            return _union(tuple(self._shape(argument, variables, place) for argument in arguments))
        if origin is Literal:
            if not all(value is None or type(value) in (int, str) for value in arguments):
                raise _unwritable(place, hint)
            return Constant(arguments)
        if origin is tuple:
            if len(arguments) == 2 and arguments[1] is Ellipsis:
                return Items(self._shape(arguments[0], variables, place))
            return Fixed(tuple(self._shape(argument, variables, place) for argument in arguments))
        if origin is Table:
            key, value = (self._shape(argument, variables, place) for argument in arguments)
            return Entries(key, value)
        if isinstance(origin, type) and issubclass(origin, Record):
            return self._record(origin, tuple(self._shape(argument, variables, place) for argument in arguments))
        raise _unwritable(place, hint)


def _union(options: tuple[Shape, ...]) -> Shape:
    """Flattened: an alias inside an alias is one union, and ``Any`` swallows the rest."""
    flat: list[Shape] = []
    for option in options:
        for part in option.options if isinstance(option, OneOf) else (option,):
            if part not in flat:
                flat.append(part)
    if Anything() in flat:
        return Anything()
    return flat[0] if len(flat) == 1 else OneOf(tuple(flat))


def _unwritable(place: str, hint: Any) -> LogError:
    return LogError(
        LogFault.UNWRITABLE,
        f"{place} is a {hint!r}; use records, scalars and their subclasses, enums, tuples, tables, unions of these",
    )
