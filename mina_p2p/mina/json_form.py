"""JSON as Mina's own tools print it, both ways.

Numbers of the protocol are decimal strings, hashes and keys Base58Check texts, field
elements hex, variants ``["Name", argument, …]`` or ``{"Name": argument}`` (spec:
wire-types 2, ``human`` notes of mina-types-v2.json). The form follows from the same
annotations as the bytes. `converter` gives it as a cattrs converter, for those who
put Mina's types into their own.
"""

from __future__ import annotations

import base64
import enum
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeAlias, get_args, get_origin

import cattrs

from mina_p2p.address import Domain, Ipv4, Ipv6, parse_address, parse_host
from mina_p2p.errors import MinaP2pError
from mina_p2p.identity import PeerId
from mina_p2p.mina import text
from mina_p2p.mina.basics import SnarkJobId
from mina_p2p.mina.proof_sexp import proof_from_text, proof_to_text
from mina_p2p.record import Record, field_names, record_fields
from mina_p2p.wire import codec, notation
from mina_p2p.wire.dial_options import read_dial_address, read_host
from mina_p2p.wire.raw import Raw

Form: TypeAlias = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""Value to JSON, and JSON to value."""


class JsonFormError(MinaP2pError, ValueError):
    """JSON that is not the form of the asked type."""


def to_json(value: Any, kind: Any = None) -> Any:
    """The JSON form: dicts, lists, strings, numbers, booleans, ``None``.

    :param kind: the annotation of ``value``; its class where that says enough.
    :raises DecodeError: where a part that is still bytes can not be read.
    """
    return form_of(type(value) if kind is None else kind)[0](value)


def from_json(data: Any, kind: Any) -> Any:
    """The value of a JSON form.

    :param kind: a record class or another annotation.
    :raises JsonFormError: another form. Ranges are checked when the value is encoded.
    """
    try:
        return form_of(kind)[1](data)
    except (MinaP2pError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise JsonFormError(f"no JSON form of {kind}: {type(error).__name__}: {error}") from error


def converter() -> cattrs.Converter:
    """A cattrs converter whose hooks are these forms."""
    made = cattrs.Converter()
    made.register_unstructure_hook_factory(_is_ours, _unstructure_hook)
    made.register_structure_hook_factory(_is_ours, _structure_hook)
    # Raw parts are bytes, for which cattrs has hooks that it asks before the factories.
    made.register_unstructure_hook(Raw, to_json)
    made.register_structure_hook(Raw, from_json)
    return made


def _unstructure_hook(kind: Any) -> Callable[[Any], Any]:
    return form_of(kind)[0]


def _structure_hook(kind: Any) -> Callable[[Any, Any], Any]:
    def load(data: Any, _kind: Any) -> Any:
        return from_json(data, kind)

    return load


def _is_ours(kind: Any) -> bool:
    if isinstance(kind, type) and issubclass(kind, Record):
        return True
    return get_origin(kind) is Annotated and any(type(marker).__module__ in _MARKER_MODULES for marker in get_args(kind)[1:])


_MARKER_MODULES = {notation.__name__, text.__name__}


def form_of(annotation: Any) -> Form:
    """The form of a record class or another annotation.

    :raises TypeError: where it has none.
    """
    if get_origin(annotation) is Annotated:
        base, *markers = get_args(annotation)
        return _annotated(base, markers)
    return _plain(annotation)


def _same(value: Any) -> Any:
    return value


def _plain(kind: Any) -> Form:
    if kind in {None, types.NoneType, bool, float, int, str}:
        return _same, _checked(types.NoneType if kind is None else kind)
    origin = get_origin(kind)
    if origin is tuple:
        arguments = get_args(kind)
        if arguments[-1] is Ellipsis:
            return _list(form_of(arguments[0]))
        return _tuple([form_of(argument) for argument in arguments])
    if origin in {types.UnionType, typing.Union}:
        members = [member for member in get_args(kind) if member is not types.NoneType]
        inner = form_of(members[0]) if len(members) == 1 else _union(members, None)
        return _optional(inner) if len(members) < len(get_args(kind)) else inner
    if isinstance(kind, type):
        if issubclass(kind, Raw):
            return _raw(kind)
        if issubclass(kind, Record):
            cls: Any = kind
            return _record(cls)
        if issubclass(kind, enum.IntEnum):
            return _union([kind], None)
    if kind is bytes:
        return bytes.hex, bytes.fromhex
    raise TypeError(f"{kind!r} has no JSON form")


def _checked(kind: Any) -> Callable[[Any], Any]:
    def load(data: Any) -> Any:
        if kind is float and type(data) is int:
            return float(data)
        if type(data) is not kind:
            raise ValueError(f"{kind.__name__} expected, not {type(data).__name__}")
        return data

    return load


def _annotated(base: Any, markers: list[Any]) -> Form:
    names = next((marker for marker in markers if isinstance(marker, text.Names)), None)
    for marker in markers:
        match marker:
            case text.Base58Check():
                return marker.text, marker.parse
            case text.Hex():
                return bytes.hex, bytes.fromhex
            case text.Base64Url():
                return lambda raw: base64.urlsafe_b64encode(raw).decode(), base64.urlsafe_b64decode
            case text.Text():
                return lambda raw: raw.decode(errors="surrogateescape"), lambda data: data.encode(errors="surrogateescape")
            case text.DecimalMina():
                return _mina_text, _parse_mina
            case text.JsonNumber() | notation.Utf8():
                return _same, _checked(int if isinstance(marker, text.JsonNumber) else str)
            case text.SexpBase64():
                return proof_to_text, proof_from_text
            case _:
                continue
    form: Form | None = None
    for marker in markers:
        form = _marked(base, marker, names, form) or form
    if form is not None:
        return form
    return _union(_members(base), names) if names is not None else form_of(base)


def _members(base: Any) -> list[Any]:
    return [base] if isinstance(base, type) else list(get_args(base))


def _marked(base: Any, marker: Any, names: text.Names | None, form: Form | None) -> Form | None:
    match marker:
        case notation.IntRange(signed=signed, low=low, wrap_bits=wrap_bits):
            plain = not signed or (low == 0 and not wrap_bits)
            return (_same, _checked(int)) if plain else (str, _decimal)
        case notation.Byte():
            return chr, ord
        case notation.FixedBytes(size=size):
            if issubclass(base, PeerId):
                return str, PeerId.parse
            return (_field_text, _parse_field) if size == 32 else (bytes.hex, bytes.fromhex)
        case notation.MaxBytes():
            return bytes.hex, bytes.fromhex
        case notation.ByteInts():
            return list, bytes
        case notation.MaxItems() | notation.Padded():
            return _list(form_of(get_args(base)[0]))
        case notation.SetOrKeep():
            return _set_or_keep(base, marker)
        case notation.Custom():
            return _custom(base, marker)
        case notation.Tagged(name=name) if name and names is None:
            dump, load = form or form_of(base)
            return lambda value: {name: dump(value)}, lambda data: load(data[name])
        case _:
            return None


def _custom(base: Any, marker: notation.Custom) -> Form:
    if base is PeerId:
        return str, PeerId.parse
    if marker.read is read_dial_address:
        return str, parse_address
    if marker.read is read_host:
        return lambda host: {type(host).__name__: host.plain}, _parse_host
    return form_of(base)


def _parse_host(data: Any) -> Any:
    ((kind, value),) = data.items()
    host = parse_host(f"[{value}]" if kind == "Ipv6" else value)
    if type(host) is not {"Domain": Domain, "Ipv4": Ipv4, "Ipv6": Ipv6}[kind]:
        raise ValueError(f"{value!r} is no {kind}")
    return host


def _decimal(data: Any) -> int:
    if not isinstance(data, str) or len(data) > 20 or not data.removeprefix("-").isdecimal() or not data.isascii():
        raise ValueError("a decimal string expected")
    return int(data)


def _field_text(raw: bytes) -> str:
    return "0x" + raw[::-1].hex()


def _parse_field(data: str) -> bytes:
    digits = data.removeprefix("0x")
    if digits == data or len(digits) != 64:
        raise ValueError("0x and 64 hex digits expected")
    return bytes.fromhex(digits)[::-1]


def _mina_text(nanomina: int) -> str:
    whole, part = divmod(nanomina, 1_000_000_000)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".") if part else str(whole)


def _parse_mina(data: str) -> int:
    whole, dot, part = data.partition(".")
    if len(part) > 9 or (dot and not part):
        raise ValueError("at most nine decimals expected")
    return _decimal(whole) * 1_000_000_000 + (_decimal(part.ljust(9, "0")) if part else 0)


def _list(inner: Form) -> Form:
    dump, load = inner
    return lambda value: [dump(item) for item in value], lambda data: tuple([load(item) for item in _checked(list)(data)])


def _tuple(items: list[Form]) -> Form:
    return (
        lambda value: [dump(part) for (dump, _), part in zip(items, value, strict=True)],
        lambda data: tuple([load(part) for (_, load), part in zip(items, _checked(list)(data), strict=True)]),
    )


def _optional(inner: Form) -> Form:
    dump, load = inner
    return lambda value: None if value is None else dump(value), lambda data: None if data is None else load(data)


def _set_or_keep(base: Any, marker: notation.SetOrKeep) -> Form:
    members = [member for member in get_args(base) if member is not types.NoneType]
    dump, load = form_of(members[0]) if len(members) == 1 else _union(members, None)
    some, none = marker.some, marker.none

    def load_either(data: Any) -> Any:
        if data == ([none] if marker.yojson else none):
            return None
        if marker.yojson:
            name, argument = data
        else:
            ((name, argument),) = data.items()
        if name != some:
            raise ValueError(f"{some} or {none} expected")
        return load(argument)

    if marker.yojson:
        return lambda value: [none] if value is None else [some, dump(value)], load_either
    return lambda value: none if value is None else {some: dump(value)}, load_either


def _raw(kind: Any) -> Form:
    @cache
    def inner() -> Form:
        return form_of(kind.kind())

    return lambda raw: inner()[0](raw.value), lambda data: kind(kind.codec().encode(inner()[1](data)))


@cache
def _fields(cls: Any) -> tuple[tuple[str, Form], ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple((field.name, form_of(hints[field.name])) for field in record_fields(cls))


@cache
def _shown_names(cls: Any) -> tuple[str, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_shown_name(field.name, hints[field.name]) for field in record_fields(cls))


def _shown_name(name: str, annotation: Any) -> str:
    markers = getattr(annotation, "__metadata__", ())
    return next((marker.name for marker in markers if isinstance(marker, text.JsonName)), name)


@cache
def _record(cls: Any) -> Form:
    # The forms of the fields are found at the first use: types may hold each other.
    shown: text.Base58Check | None = getattr(cls, "TEXT", None)
    if shown is not None:
        return lambda value: shown.text(codec(cls).encode(value)), lambda data: codec(cls).decode(shown.parse(data))
    if cls is SnarkJobId:
        return _job_id_text, _parse_job_id
    if issubclass(cls, text.Positional):
        return lambda value: _arguments(cls, value), lambda data: _from_arguments(cls, _checked(list)(data))
    return lambda value: _object(cls, value), lambda data: _from_object(cls, data)


def _arguments(cls: Any, value: Any) -> list[Any]:
    return [dump(getattr(value, name)) for name, (dump, _) in _fields(cls)]


def _from_arguments(cls: Any, data: list[Any]) -> Any:
    return cls(*[load(item) for (_, (_, load)), item in zip(_fields(cls), data, strict=True)])


def _object(cls: Any, value: Any) -> dict[str, Any]:
    shown = zip(_shown_names(cls), _fields(cls), strict=True)
    return {name: dump(getattr(value, field)) for name, (field, (dump, _)) in shown}


def _from_object(cls: Any, data: Any) -> Any:
    given = _checked(dict)(data)
    return cls(*[load(given.get(name)) for name, (_, (_, load)) in zip(_shown_names(cls), _fields(cls), strict=True)])


def _job_id_text(value: SnarkJobId) -> str:
    a, b, c, d = (text.LEDGER_HASH.text(getattr(value, name)) for name in field_names(SnarkJobId))
    return f"{a}_{b}-{c}_{d}"


def _parse_job_id(data: str) -> SnarkJobId:
    source, target = data.split("-")
    return SnarkJobId(*[text.LEDGER_HASH.parse(part) for half in (source, target) for part in half.split("_")])


def _union(members: list[Any], names: text.Names | None) -> Form:
    yojson = names is not None and names.yojson
    shown = names.names if names is not None and names.names else tuple(_given_name(member) for member in members)
    by_value: dict[Any, tuple[str, Any]] = {}
    by_name: dict[str, Any] = {}
    for member, name in zip(members, shown, strict=True):
        if issubclass(member, enum.IntEnum):
            for item in member:
                spelled = item.name.capitalize() if yojson else "".join(word.capitalize() for word in item.name.split("_"))
                by_value[item], by_name[spelled] = (spelled, None), item
        else:
            spelled = _snake(name) if yojson else name
            by_value[member], by_name[spelled] = (spelled, member), member

    def dump(value: Any) -> Any:
        name, cls = by_value[value if isinstance(value, enum.IntEnum) else type(value)]
        arguments = [] if cls is None else _constructor_arguments(cls, value)
        if yojson:
            return [name, *arguments]
        return name if not arguments else {name: arguments[0] if len(arguments) == 1 else arguments}

    def load(data: Any) -> Any:
        if yojson:
            name, *arguments = _checked(list)(data)
        elif isinstance(data, str):
            name, arguments = data, []
        else:
            ((name, argument),) = _checked(dict)(data).items()
            many = issubclass(by_name[name], text.Positional) and len(_fields(by_name[name])) > 1
            arguments = argument if many else [argument]
        found = by_name[name]
        return found if isinstance(found, enum.IntEnum) else _from_constructor(found, arguments)

    return dump, load


def _given_name(member: Any) -> str:
    return str(member.__name__)


def _snake(name: str) -> str:
    made = "".join(f"_{letter.lower()}" if letter.isupper() and i else letter for i, letter in enumerate(name))
    return made.replace("__", "_")


def _constructor_arguments(cls: Any, value: Any) -> list[Any]:
    if issubclass(cls, text.Positional):
        return _arguments(cls, value)
    return [form_of(cls)[0](value)] if _fields(cls) else []


def _from_constructor(cls: Any, arguments: list[Any]) -> Any:
    if issubclass(cls, text.Positional):
        return _from_arguments(cls, arguments)
    if not _fields(cls):
        if arguments:
            raise ValueError("no argument expected")
        return cls()
    (argument,) = arguments
    return form_of(cls)[1](argument)
