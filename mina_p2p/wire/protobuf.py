"""Protobuf by declaration, as far as libp2p needs it.

Declare a record whose fields carry their numbers, and it can be read and written::

    @record
    class KadPeer(Record):
        id: Annotated[bytes, Number(1)]
        addrs: Annotated[tuple[bytes, ...], Number(2), MaxItems(16)] = ()
        connection: Annotated[int | None, Number(3)] = None

    protobuf(KadPeer).decode(data)

What an annotation means:

* ``int``: an unsigned varint of 64 bits (``uint64``, ``uint32``, an enum); ``bool``: the same, as 0 or 1;
* ``bytes``, ``str`` (valid UTF-8), with ``MaxBytes(limit)`` where there is a limit; another record: a message;
* ``T | None``: a field that may be missing, then ``None``, and is not written where it is ``None``;
* ``tuple[T, ...]`` of bytes, str or records: a repeated field, at most ``MaxItems(limit)`` times. The marker is
  required, because an item of two bytes may become an object of two hundred;
* anything else must be there, unless the record gives it a default; it is always written.

Fields are written in the order of declaration. Readers take them in any order. Of a field that comes more than
once and is not repeated, the last one counts, and the parts of a message are merged, as protobuf has it: reading the
bytes of two messages behind each other merges them. Unknown fields, and known ones of another wire type, are
skipped. Time and memory are linear in the input; messages nest as deep as the declared types do, unknown groups up to
`GROUPS_DEEP_MAX`.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Final, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from mina_p2p.codegen import compile_function
from mina_p2p.errors import DecodeError
from mina_p2p.record import Record, record, record_fields
from mina_p2p.wire.codec import EncodeError
from mina_p2p.wire.notation import MaxBytes, MaxItems
from mina_p2p.wire.primitives import Malformed
from mina_p2p.wire.varint import read_varint, write_varint

T = TypeVar("T", bound=Record)

GROUPS_DEEP_MAX: Final = 16
"""How deep unknown fields of the old ``group`` kind may be nested."""

PARTS_MAX: Final = 16
"""In how many parts a message that is not repeated may come."""

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_GROUP: Final = 3
_GROUP_END: Final = 4
_FIXED32: Final = 5


@record
class Number(Record):
    """The number of a field, 1 to 2**29 - 1."""

    value: int


class ProtobufCodec(Generic[T]):
    """Reads and writes messages of one record class. Made by `protobuf`."""

    __slots__ = ("_cls", "read", "write")

    def __init__(self, cls: type[T]) -> None:
        fields = _fields_of(cls)
        self._cls = cls
        self.read: Any = _compile_reader(cls, fields)
        """The compiled function; for the codecs of messages around this one."""
        self.write: Any = _compile_writer(cls, fields)
        """The compiled function; for the codecs of messages around this one."""

    def __repr__(self) -> str:
        return f"<ProtobufCodec {self._cls.__qualname__}>"

    def decode(self, data: bytes) -> T:
        """Read a message that takes the whole input.

        :raises DecodeError: where ``data`` is no such message; its ``path`` names the fields, the offset is in ``data``.
        """
        try:
            return cast("T", self.read(data, 0, len(data)))
        except _FieldError as error:
            raise DecodeError(".".join(reversed(error.path)), error.offset, error.reason) from None

    def encode(self, value: T) -> bytes:
        """Write a message.

        :raises EncodeError: where a field can not be written.
        """
        try:
            return cast("bytes", self.write(value))
        except (ValueError, TypeError, AttributeError) as error:
            raise EncodeError(self._cls.__qualname__, str(error)) from None


_codecs: Final[dict[type, ProtobufCodec[Any]]] = {}


def protobuf(cls: type[T]) -> ProtobufCodec[T]:
    """The codec of a record class, made once.

    :raises TypeError: where an annotation does not say how the field travels.
    """
    known = _codecs.get(cls)
    if known is None:
        known = _codecs[cls] = ProtobufCodec(cls)
    return known


# --- what a class declares


class _Field:
    """One declared field."""

    __slots__ = ("bytes_max", "default", "is_optional", "items_max", "kind", "name", "number")

    def __init__(self, cls: type[Record], name: str, hint: Any, default: Any) -> None:
        where = f"{cls.__qualname__}.{name}"
        hint, *markers = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        numbers = [marker.value for marker in markers if isinstance(marker, Number)]
        if len(numbers) != 1 or not 0 < numbers[0] < 1 << 29:
            raise TypeError(f"{where} needs one Number(...) of 1 to 2**29 - 1")
        self.name = name
        self.number: int = numbers[0]
        self.default = default
        self.items_max: int | None = next((marker.limit for marker in markers if isinstance(marker, MaxItems)), None)
        self.bytes_max: int | None = next((marker.limit for marker in markers if isinstance(marker, MaxBytes)), None)
        self.is_optional = get_origin(hint) in {Union, types.UnionType}
        if self.is_optional:
            some = [part for part in get_args(hint) if part is not type(None)]
            if len(some) != 1 or len(get_args(hint)) != 2:
                raise TypeError(f"{where}: of unions only T | None is a field")
            hint = some[0]
        is_repeated = get_origin(hint) is tuple
        if is_repeated:
            if get_args(hint)[1:] != (...,) or self.is_optional or get_args(hint)[0] in {int, bool}:
                raise TypeError(f"{where}: a repeated field is tuple[bytes | str | record, ...]")
            hint = get_args(hint)[0]
        if is_repeated != (self.items_max is not None):
            raise TypeError(f"{where}: a repeated field, and no other, needs MaxItems(...)")
        self.kind: Any = hint
        is_message = isinstance(hint, type) and issubclass(hint, Record)
        if not is_message and hint not in {int, bool, bytes, str}:
            raise TypeError(f"{where}: {hint!r} is not int, bool, bytes, str or a record")
        if self.bytes_max is not None and hint not in {bytes, str}:
            raise TypeError(f"{where}: MaxBytes(...) is for bytes and str")

    @property
    def is_repeated(self) -> bool:
        return self.items_max is not None

    @property
    def is_message(self) -> bool:
        return self.kind not in {int, bool, bytes, str}

    @property
    def tag(self) -> int:
        return self.number << 3 | (_VARINT if self.kind in {int, bool} else _BYTES)


def _fields_of(cls: type[Record]) -> list[_Field]:
    hints = get_type_hints(cls, include_extras=True)
    fields = [_Field(cls, field.name, hints[field.name], field.default) for field in record_fields(cls)]
    if len({field.number for field in fields}) != len(fields):
        raise TypeError(f"{cls.__qualname__}: two fields have the same number")
    return fields


# --- reading


class _FieldError(Exception):
    """What a compiled reader raises; every message around it adds its field's name to ``path``."""

    def __init__(self, offset: int, reason: str, *path: str) -> None:
        super().__init__(offset, reason)
        self.path = list(path)
        self.offset = offset
        self.reason = reason


def _compile_reader(cls: type[Record], fields: list[_Field]) -> Any:
    scope: dict[str, Any] = {
        "_C": cls,
        "_E": _FieldError,
        "_fail": _fail,
        "_merge": _merge,
        "_skip": _skip,
        "_varint": read_varint,
        "_M": Malformed,
    }
    lines = ["def read(data, at, end):"]
    for i, field in enumerate(fields):
        lines.append(f"    f{i} = {'[]' if field.is_repeated or field.is_message else 'None'}")
        if field.is_message:
            scope[f"_r{i}"] = protobuf(field.kind).read
    lines += [
        "    try:",
        "        while at < end:",
        "            start = at",
        "            tag = data[at]",
        "            at += 1",
        "            if tag > 127:",
        "                tag, at = _varint(data, start)",
    ]
    word = "if"
    for i, field in enumerate(fields):
        lines.append(f"            {word} tag == {field.tag}:")
        lines += ["                " + line for line in _read_field(i, field)]
        word = "elif"
    lines += [
        f"            {'else' if fields else 'if True'}:",
        "                at = _skip(data, at, end, tag)",
        "    except IndexError:",
        "        raise _E(len(data), 'the input ends here') from None",
        "    except _M as error:",
        "        raise _E(start, str(error)) from None",
        "    if at > end:",
        "        raise _E(start, 'a field reaches over the end of its message')",
    ]
    arguments: list[str] = []
    for i, field in enumerate(fields):
        value = f"f{i}"
        missing = f"{value} is None"
        if field.is_message and not field.is_repeated:
            lines.append(f"    f{i} = _merge(_r{i}, data, f{i}, {field.name!r})")
        if field.is_repeated:
            value = f"tuple(f{i})"
        elif field.default is not attrs.NOTHING:
            scope[f"_d{i}"] = field.default
            default = f"_d{i}.factory()" if isinstance(field.default, cast("type[Any]", attrs.Factory)) else f"_d{i}"
            value = f"{default} if {missing} else f{i}"
        elif not field.is_optional:
            lines += [f"    if {missing}:", f"        raise _E(end, 'the field is missing', {field.name!r})"]
        arguments.append(value)
    lines.append(f"    return _C({', '.join(arguments)})")
    return compile_function("read", "\n".join(lines) + "\n", scope, f"protobuf reader {cls.__module__}.{cls.__qualname__}")


def _read_field(i: int, field: _Field) -> list[str]:
    """The lines that take one field, its tag having been read."""
    if field.kind in {int, bool}:
        number = [f"f{i} = data[at]", "at += 1", f"if f{i} > 127:", f"    f{i}, at = _varint(data, at - 1)"]
        return [*number, f"f{i} = f{i} != 0"] if field.kind is bool else number
    lines = [
        "size = data[at]",
        "at += 1",
        "if size > 127:",
        "    size, at = _varint(data, at - 1)",
        "stop = at + size",
        "if stop > end:",
        f"    raise _E(start, 'more bytes announced than there are', {field.name!r})",
    ]
    if field.bytes_max is not None:
        limit = f"f'{{size}} bytes, at most {field.bytes_max} allowed'"
        lines += [f"if size > {field.bytes_max}:", f"    raise _E(start, {limit}, {field.name!r})"]
    if field.is_repeated:
        lines += [
            f"if len(f{i}) == {field.items_max}:",
            f"    raise _E(start, 'more than {field.items_max} items', {field.name!r})",
        ]
    if field.is_message and field.is_repeated:
        path = f"f'{field.name}[{{len(f{i})}}]'"
        lines += ["try:", f"    f{i}.append(_r{i}(data, at, stop))", "except _E as error:", f"    _fail(error, {path})"]
    elif field.is_message:
        lines += [f"if len(f{i}) == {PARTS_MAX}:", f"    raise _E(start, 'more than {PARTS_MAX} parts', {field.name!r})"]
        lines.append(f"f{i}.append((at, stop))")
    else:
        value = "data[at:stop]"
        if field.kind is str:
            lines += ["try:", f"    text = {value}.decode()", "except UnicodeDecodeError:"]
            lines += [f"    raise _E(start, 'not UTF-8', {field.name!r}) from None"]
            value = "text"
        lines.append(f"f{i}.append({value})" if field.is_repeated else f"f{i} = {value}")
    return [*lines, "at = stop"]


def _fail(error: _FieldError, name: str) -> None:
    error.path.append(name)
    raise error


def _merge(read: Any, data: bytes, parts: list[tuple[int, int]], name: str) -> Any:
    """The message that a field's parts make together; ``None`` where there is none.

    Of several parts the offset of an error is that in their concatenation.
    """
    if not parts:
        return None
    start, end = parts[0]
    if len(parts) > 1:
        data = b"".join(data[start:end] for start, end in parts)
        start, end = 0, len(data)
    try:
        return read(data, start, end)
    except _FieldError as error:
        return _fail(error, name)


def _skip(data: bytes, at: int, end: int, tag: int) -> int:
    """The offset behind an unknown field whose tag was read."""
    groups: list[int] = []
    while True:
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise Malformed(f"no field has number {number}")
        if wire_type == _VARINT:
            _, at = read_varint(data, at)
        elif wire_type == _FIXED64:
            at += 8
        elif wire_type == _FIXED32:
            at += 4
        elif wire_type == _BYTES:
            size, at = read_varint(data, at)
            at += size
        elif wire_type == _GROUP:
            groups.append(number)
            if len(groups) > GROUPS_DEEP_MAX:
                raise Malformed(f"groups nested deeper than {GROUPS_DEEP_MAX}")
        elif wire_type != _GROUP_END:
            raise Malformed(f"wire type {wire_type} does not exist")
        elif not groups or groups.pop() != number:
            raise Malformed(f"an end of group {number} that did not begin")
        if at > end:
            raise Malformed("a field reaches over the end of its message")
        if not groups:
            return at
        if at == end:
            raise Malformed("a group does not end")
        tag, at = read_varint(data, at)


# --- writing


def _compile_writer(cls: type[Record], fields: list[_Field]) -> Any:
    scope: dict[str, Any] = {"_varint": write_varint}
    lines = ["def write(value):", "    pieces = []", "    put = pieces.append"]
    for i, field in enumerate(fields):
        scope[f"_t{i}"] = write_varint(field.tag)
        if field.is_message:
            scope[f"_w{i}"] = protobuf(field.kind).write
        item = "one" if field.is_repeated else "item"
        lines.append(f"    item = value.{field.name}")
        indent = "    "
        if field.is_repeated:
            lines.append("    for one in item:")
            indent *= 2
        elif field.is_optional:
            lines.append("    if item is not None:")
            indent *= 2
        if field.kind in {int, bool}:
            encoded = [f"put(_t{i} + _varint(item))" if field.kind is int else f"put(_t{i} + (b'\\1' if item else b'\\0'))"]
        else:
            content = f"_w{i}({item})" if field.is_message else f"{item}.encode()" if field.kind is str else item
            encoded = [f"content = {content}", f"put(_t{i} + _varint(len(content)))", "put(content)"]
        lines += [indent + line for line in encoded]
    lines.append("    return b''.join(pieces)")
    return compile_function("write", "\n".join(lines) + "\n", scope, f"protobuf writer {cls.__module__}.{cls.__qualname__}")
