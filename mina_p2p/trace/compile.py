"""From shapes to functions: the log codec, specialised for every record class.

Writing: ``write_7(value)`` makes plain tuples, which msgspec packs. A record becomes an
array of its tag and its fields. Reading: msgspec checks every type while it unpacks, into a
struct per record class; ``read_7(struct)`` makes the record. So no line of Python checks a
type, and hostile bytes fail before anything is built from them.

msgpack holds ints of 64 bits and texts of valid Unicode. Where a value goes beyond
that, a second, *wide* pair of functions is compiled, which puts such values into extension
types. Which values need it decides about their bytes alone, so the encoding stays canonical.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, Union

import msgspec
from msgspec.msgpack import Ext

from mina_p2p.codegen import compile_function
from mina_p2p.record import builder, record_fields
from mina_p2p.table import Table
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.shapes import (
    Anything,
    Choice,
    Constant,
    Derived,
    Entries,
    Fixed,
    Items,
    Nested,
    OneOf,
    RecordType,
    Scalar,
    Shape,
)

EXT_INT: Final = 1
"""An int beyond 64 bits: two's complement, big-endian, no longer than needed."""
EXT_TEXT: Final = 2
"""A text with lone surrogates: UTF-8 that lets them pass."""
EXT_BYTES: Final = 3
"""Bytes in a place that holds texts as well."""

_EXT: Final[dict[type[Any], int]] = {int: EXT_INT, str: EXT_TEXT, bytes: EXT_BYTES}
_INT64: Final = range(-(2**63), 2**64)


class Functions(NamedTuple):
    """What was compiled for a list of record types."""

    write: dict[type[Any], Callable[[Any], Any]]
    """By class: record to plain tuple. A generic class that occurs with arguments only is not in it."""
    structs: list[Any]
    """By tag: what msgspec reads."""
    read: dict[type[Any], Callable[[Any], Any]]
    """By struct: to the record."""


def plain(value: Any) -> Any:
    """For msgspec: a subclass of a scalar where the scalar itself was expected, as the scalar."""
    match value:
        case bytes():
            return value[:]
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            pass
    raise LogError(LogFault.UNWRITABLE, f"a {type(value).__qualname__} is no record of the schema and no scalar")


def widen(value: Any) -> Any:
    """An int or text as msgpack can hold it."""
    if isinstance(value, int):
        if value in _INT64:
            return value
        return Ext(EXT_INT, value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return Ext(EXT_TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def narrow(value: Any, *codes: int) -> Any:
    """Reverse of `widen`, and of bytes in a place that holds texts as well.

    :param codes: the extension types that this place allows.
    :raises LogError: for any other.
    """
    if type(value) is not Ext:
        return value
    code, data = value.code, bytes(value.data)
    if code in codes:
        if code == EXT_INT:
            return int.from_bytes(data, "big", signed=True)
        return data if code == EXT_BYTES else str(data, "utf-8", "surrogatepass")
    raise LogError(LogFault.CONTENT, f"extension type {code} where it has no place")


class _Arms(dict[type[Any], Any]):
    """Writers of a union by class; a subclass, such as ``bool`` for ``int``, is written as its base."""

    def __missing__(self, cls: type[Any]) -> Any:
        for base in cls.__mro__[1:]:
            if base in self:
                return self.setdefault(cls, self[base])
        raise KeyError(cls)


def any_of(hints: Iterable[Any]) -> Any:
    """The union of types that are known at run time only."""
    return _subscripted(Union, tuple(hints))


def _subscripted(generic: Any, arguments: Any) -> Any:
    return generic[arguments]


def compile_codec(types: Sequence[RecordType], label: str, *, wide: bool) -> Functions:
    """Compile writers and readers for all of ``types``, whose tags are their places."""
    return _Compiler(types, wide=wide).compile(label)


class _Compiler:
    def __init__(self, types: Sequence[RecordType], *, wide: bool) -> None:
        self._types = types
        self._wide = wide
        # Fields get their types once all structs exist: classes may refer to each other.
        self._structs: list[Any] = [
            msgspec.defstruct(
                f"Struct{t.tag}",
                [(f"f{i}", Any) for i in range(len(t.fields))],
                array_like=True,
                tag=t.tag,
                gc=False,
                forbid_unknown_fields=True,
            )
            for t in types
        ]
        self._scope: dict[str, Any] = {
            "Table": Table,
            "Ext": Ext,
            "none": type(None),
            "widen": widen,
            "narrow": narrow,
            "plain": plain,
            "Arms": _Arms,
        }
        self._helpers: list[str] = []
        self._names = 0

    def compile(self, label: str) -> Functions:
        lines: list[str] = []
        for t, struct in zip(self._types, self._structs, strict=True):
            self._scope[f"C{t.tag}"] = t.cls
            self._scope[f"S{t.tag}"] = struct
            self._scope[f"B{t.tag}"] = builder(t.cls)
            for i, (_, shape) in enumerate(t.fields):
                struct.__annotations__[f"f{i}"] = self._hint(shape)
            values = "".join(f", {self._write(shape, f'v.{name}')}" for name, shape in t.fields)
            lines.append(f"def write_{t.tag}(v):\n    return ({t.tag}{values},)\n")
            lines.append(f"def read_{t.tag}(s):\n    return B{t.tag}({self._arguments(t)})\n")
        lines += self._helpers
        lines.append(_ANY)
        writers = ", ".join(f"C{t.tag}: write_{t.tag}" for t in self._types if not _has_arguments(t))
        readers = ", ".join(f"S{t.tag}: read_{t.tag}" for t in self._types)
        lines.append(f"W = {{{writers}}}\nR = {{{readers}}}\ndef functions():\n    return W, R\n")
        write, read = compile_function("functions", "".join(lines), self._scope, label)()
        return Functions(write, self._structs, read)

    def _arguments(self, t: RecordType) -> str:
        positional: list[str] = []
        keyword: list[str] = []
        for i, (field, (_, shape)) in enumerate(zip(record_fields(t.cls), t.fields, strict=True)):
            value = self._read(shape, f"s.f{i}")
            if field.kw_only:
                keyword.append(f"{field.alias or field.name}={value}")
            else:
                positional.append(value)
        return ", ".join(positional + keyword)

    # What msgspec shall accept.

    def _hint(self, shape: Shape) -> Any:
        match shape:
            case Scalar(kind=kind) | Derived(kind=kind):
                return self._scalar_hint(kind)
            case Choice(cls=cls):
                return cls
            case Constant(values=values):
                return _subscripted(Literal, values)
            case Nested(type=nested):
                return self._structs[nested.tag]
            case OneOf(options=options):
                hints = [Ext if _is_text_beside(option, options) else self._hint(option) for option in options]
                return any_of(hints)
            case Items(item=item):
                return _subscripted(tuple, (self._hint(item), ...))
            case Fixed(items=items):
                return _subscripted(tuple, tuple(self._hint(item) for item in items))
            case Entries(key=key, value=value):
                return _subscripted(dict, (self._hint(key), self._hint(value)))
            case Anything():
                return any_of([int, bool, float, str, None, Ext, *self._structs])

    def _scalar_hint(self, kind: type[Any]) -> Any:
        if self._wide and kind is int:
            return int | bool | Ext
        return str | Ext if self._wide and kind is str else kind

    # Expressions that write and read one value. Values that msgspec itself writes as they
    # are stay as they are.

    def _write(self, shape: Shape, value: str) -> str:
        match shape:
            case Scalar(kind=kind) if kind is float:
                return f"float({value})"
            case Scalar(kind=kind):
                return f"widen({value})" if self._wide and kind in (int, str) else value
            case Derived(kind=kind) if kind is bytes or kind is str:
                inner = f"{value}[:]" if kind is bytes else f"str.__str__({value})"
                return f"widen({inner})" if self._wide and kind is str else inner
            case Derived(kind=kind):
                inner = f"{kind.__name__}({value})"
                return f"widen({inner})" if self._wide and kind is int else inner
            case Choice() | Constant():
                return value
            case Nested(type=nested):
                return f"write_{nested.tag}({value})"
            case OneOf(options=options):
                return self._write_union(options, value)
            case Items(item=item):
                x = self._name()
                inner = self._write(item, x)
                return value if inner == x else f"[{inner} for {x} in {value}]"
            case Fixed(items=items):
                return self._fixed([self._write(item, f"t[{i}]") for i, item in enumerate(items)], value)
            case Entries(key=key, value=held):
                k, x = self._name(), self._name()
                return f"{{{self._write(key, k)}: {self._write(held, x)} for {k}, {x} in {value}.items()}}"
            case Anything():
                return f"write_any({value})"

    def _read(self, shape: Shape, value: str) -> str:
        match shape:
            case Scalar(kind=kind):
                return f"narrow({value}, {_EXT[kind]})" if self._wide and kind in (int, str) else value
            case Derived(cls=cls, kind=kind):
                inner = f"narrow({value}, {_EXT[kind]})" if self._wide and kind in (int, str) else value
                return f"{self._global(cls)}({inner})"
            case Choice() | Constant():
                return value
            case Nested(type=nested):
                return f"read_{nested.tag}({value})"
            case OneOf(options=options):
                return self._read_union(options, value)
            case Items(item=item):
                x = self._name()
                inner = self._read(item, x)
                return value if inner == x else f"tuple([{inner} for {x} in {value}])"
            case Fixed(items=items):
                return self._fixed([self._read(item, f"t[{i}]") for i, item in enumerate(items)], value)
            case Entries(key=key, value=held):
                k, x = self._name(), self._name()
                inner_key, inner = self._read(key, k), self._read(held, x)
                is_plain = inner_key == k and inner == x
                pairs = f"{value}.items()" if is_plain else f"[({inner_key}, {inner}) for {k}, {x} in {value}.items()]"
                return f"Table({pairs})"
            case Anything():
                return f"read_any({value})"

    def _write_union(self, options: tuple[Shape, ...], value: str) -> str:
        if all(isinstance(o, Choice | Constant) or (isinstance(o, Scalar) and not self._is_special(o, options)) for o in options):
            return value
        x = self._name()
        rest = [o for o in options if o != Scalar(type(None))]
        if len(rest) == 1:
            return f"(None if ({x} := {value}) is None else {self._write(rest[0], x)})"
        arms: list[str] = []
        for option in options:
            inner = self._write(option, x)
            if _is_text_beside(option, options):
                inner = f"Ext({EXT_BYTES}, {inner})"
            arms.append(f"{self._written_type(option)}: {_function(x, inner)}")
        return f"{self._union(arms, 'Arms')}[type({x} := {value})]({x})"

    def _read_union(self, options: tuple[Shape, ...], value: str) -> str:
        x = self._name()
        rest = [o for o in options if o != Scalar(type(None))]
        if len(rest) == 1 and len(options) == 2:
            inner = self._read(rest[0], x)
            return value if inner == x else f"(None if ({x} := {value}) is None else {inner})"
        if all(self._read(option, x) == x and not _is_text_beside(option, options) for option in options):
            return value
        arms: dict[str, str] = {}
        extended: dict[str, str] = {}
        has_extensions = self._wide or any(_is_text_beside(option, options) for option in options)
        for option in options:
            is_beside = _is_text_beside(option, options)
            if not is_beside:
                arms[self._read_type(option)] = self._read(option, x)
            if isinstance(option, Scalar | Derived) and has_extensions and (is_beside or option.kind in (int, str)):
                cls = option.cls if isinstance(option, Derived) else option.kind
                extended[option.kind.__name__] = self._global(cls)
        if extended:
            codes = ", ".join(str(_EXT[kind]) for kind in _EXT if kind.__name__ in extended)
            classes = self._union([f"{kind}: {cls}" for kind, cls in extended.items()])
            arms["Ext"] = f"{classes}[type({x} := narrow({x}, {codes}))]({x})"
        if self._wide:
            arms.setdefault("bool", x)
        return f"{self._union([f'{kind}: {_function(x, inner)}' for kind, inner in arms.items()])}[type({x} := {value})]({x})"

    def _is_special(self, option: Scalar, options: tuple[Shape, ...]) -> bool:
        return option.kind is float or (self._wide and option.kind in (int, str)) or _is_text_beside(option, options)

    def _written_type(self, option: Shape) -> str:
        """The exact type of a union's values that take this option."""
        match option:
            case Nested(type=nested):
                return f"C{nested.tag}"
            case Derived(cls=cls) | Choice(cls=cls) | Scalar(kind=cls):
                return self._global(cls)
            case Items() | Fixed():
                return "tuple"
            case Entries():
                return "Table"
            case _:
                raise LogError(LogFault.UNWRITABLE, f"a union of more than None can not hold {option!r}")

    def _read_type(self, option: Shape) -> str:
        """The type of what msgspec makes of it."""
        match option:
            case Nested(type=nested):
                return f"S{nested.tag}"
            case Entries():
                return "dict"
            case Derived(kind=kind):
                return self._global(kind)
            case _:
                return self._written_type(option)

    def _fixed(self, parts: list[str], value: str) -> str:
        if parts == [f"t[{i}]" for i in range(len(parts))]:
            return value
        name = f"F{len(self._helpers)}"
        self._helpers.append(f"def {name}(t):\n    return ({''.join(f'{part}, ' for part in parts)})\n")
        return f"{name}({value})"

    def _union(self, arms: list[str], table: str = "dict") -> str:
        name = f"U{len(self._helpers)}"
        self._helpers.append(f"{name} = {table}({{{', '.join(arms)}}})\n")
        return name

    def _global(self, value: type[Any]) -> str:
        if value is type(None):
            return "none"
        if value in (int, str, bytes, bool, float):
            return value.__name__
        name = f"G_{value.__module__}_{value.__qualname__}".replace(".", "_").replace("<locals>", "_")
        while self._scope.setdefault(name, value) is not value:
            name += "_"
        return name

    def _name(self) -> str:
        self._names += 1
        return f"x{self._names}"


_ANY: Final = """
def write_any(v):
    found = W.get(type(v))
    if found is not None:
        return found(v)
    if type(v) is bytes:
        return Ext(3, v)
    if v is None or type(v) is bool or type(v) is float:
        return v
    if type(v) is int or type(v) is str:
        return widen(v)
    return write_any(plain(v))
def read_any(s):
    found = R.get(type(s))
    return narrow(s, 1, 2, 3) if found is None else found(s)
"""


def _is_text_beside(option: Shape, options: tuple[Shape, ...]) -> bool:
    """Whether these are bytes in a union that holds a text as well; msgspec tells the two apart by extension type only."""
    if not (isinstance(option, Scalar | Derived) and option.kind is bytes):
        return False
    return any(_is_text(other) for other in options)


def _is_text(option: Shape) -> bool:
    match option:
        case Scalar(kind=kind) | Derived(kind=kind):
            return kind is str
        case Choice(cls=cls):
            return isinstance(_first(cls).value, str)
        case Constant(values=values):
            return any(isinstance(value, str) for value in values)
        case _:
            return False


def _function(parameter: str, body: str) -> str:
    """A function's name where the body only calls it, else a lambda."""
    called, _, rest = body.partition("(")
    return called if rest == f"{parameter})" and called.isidentifier() else f"lambda {parameter}: {body}"


def _first(cls: type[enum.Enum]) -> enum.Enum:
    return next(iter(cls))


def _has_arguments(found: RecordType) -> bool:
    return found.name.endswith("]")
