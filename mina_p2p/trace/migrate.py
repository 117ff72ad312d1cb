"""Reading a log that was recorded with other classes than the ones at hand.

The header of a log holds the names, fields and types of its classes. With these every record
is taken apart into a class name and fields, brought forward by the registered migrations,
version by version, and made again with the class that has the name now. A new field takes its
default, a class that is new or moved its number needs nothing.

State hashes of another schema say nothing under this one and are left out; kinds, causes and
checkpoints are compared as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import attrs
import msgspec
from msgspec.msgpack import Ext

from mina_p2p.record import Record, record, record_fields
from mina_p2p.table import Table
from mina_p2p.trace.chunks import ChunkKind
from mina_p2p.trace.compile import EXT_BYTES, EXT_INT, EXT_TEXT, narrow
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.records import Header
from mina_p2p.trace.schema import Schema


def _same(_name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return fields


@record
class Migration(Record):
    """From one version of a machine's classes to the next."""

    renamed: Mapping[str, str] = {}
    """New qualified name by old one, such as ``shop.Buy`` to ``shop.orders.Buy``."""
    change: Callable[[str, dict[str, Any]], dict[str, Any]] = _same
    """From old class name and fields to new fields. The records among them are of the present classes."""


_SCALARS: Final[dict[str, tuple[type[Any], ...]]] = {
    "int": (int,),
    "str": (str,),
    "bytes": (bytes,),
    "bool": (bool,),
    "float": (float, int),
    "none": (type(None),),
}


_WAYS_ON: Final = "replay it with the version that recorded it, or register a Migration"


class Upgrade:
    """Rewrites the payloads of one log from its own schema to another."""

    def __init__(self, header: Header, schema: Schema, version: int, migrations: Mapping[int, Migration]) -> None:
        """Prepare for logs with this header.

        :param version: of the machine's classes at hand.
        :param migrations: by the version that each starts from.
        :raises LogError: ``SCHEMA`` where the log is of a later version, or a migration is missing.
        """
        if header.machine_version > version:
            raise LogError(LogFault.SCHEMA, f"version {header.machine_version} of {header.machine}, at hand is {version}")
        missing = [v for v in range(header.machine_version, version) if v not in migrations]
        if missing:
            raise LogError(LogFault.SCHEMA, f"{header.machine} has no migration from version {missing[0]}")
        self.digest: Final = header.schema_digest
        """Of the log's own schema."""
        self._steps = [migrations[v] for v in range(header.machine_version, version)]
        self._schema = schema
        self._classes = schema.classes_by_name()
        self._types: list[tuple[str, list[tuple[str, Any]]]] = [(name, fields) for name, _, fields in header.schema["classes"]]

    def payload(self, kind: int, payload: bytes) -> bytes:
        """The payload as the present schema would have written it.

        :raises LogError: ``SCHEMA`` where it can not be brought forward, ``CONTENT`` where it is damaged.
        """
        if kind not in (ChunkKind.STATE, ChunkKind.RECORDS):
            return payload
        try:
            raw = msgspec.msgpack.decode(payload)
            if kind == ChunkKind.STATE:
                return self._schema.encode(self._record(raw))
            times, inputs, counts, kinds, depths, refusals, _, failure, *_ = raw
            renewed = [msgspec.Raw(self._schema.encode(self._record(action))) for action in inputs]
            refused = {place: self._tags(tags) for place, tags in refusals.items()}
            return msgspec.msgpack.encode((times, renewed, counts, self._tags(kinds), depths, refused, None, failure))
        except (msgspec.DecodeError, RecursionError) as error:
            raise LogError(LogFault.CONTENT, str(error)) from error
        except LogError:
            raise
        except Exception as error:
            # Migrations and constructors are the machine's own and may raise what they like.
            raise LogError(LogFault.SCHEMA, f"a record can not be brought forward: {error!r}") from error

    def _tags(self, tags: bytes | list[int]) -> list[int]:
        """Numbers of the same classes now; of a class that is gone a number that none has."""
        gone = len(self._schema.types)
        return [self._schema.tags.get(self._classes.get(self._name(tag), type(None)), gone) for tag in tags]

    def _name(self, tag: int) -> str:
        name = self._type(tag)[0].partition("[")[0]
        for step in self._steps:
            name = step.renamed.get(name, name)
        return name

    def _type(self, tag: int) -> tuple[str, list[tuple[str, Any]]]:
        if not 0 <= tag < len(self._types):
            raise LogError(LogFault.CONTENT, f"no class has the number {tag}")
        return self._types[tag]

    def _record(self, raw: Any) -> Any:
        parts: list[Any] = raw
        name, fields = self._type(parts[0])
        values = parts[1:]
        if len(values) != len(fields):
            raise LogError(LogFault.CONTENT, f"{len(values)} fields for {name}")
        found = {field: self._value(form, value) for (field, form), value in zip(fields, values, strict=True)}
        name = name.partition("[")[0]
        for step in self._steps:
            found = step.change(name, found)
            name = step.renamed.get(name, name)
        cls = self._classes.get(name)
        if cls is None:
            raise LogError(LogFault.SCHEMA, f"there is no class {name} any more; migrate it to another")
        parameters = {field.name: field for field in record_fields(cls)}
        if gone := [field for field in found if field not in parameters]:
            raise LogError(LogFault.SCHEMA, f"{name} has no field {gone[0]} any more; {_WAYS_ON}")
        if lacking := [field.name for field in parameters.values() if field.default is attrs.NOTHING and field.name not in found]:
            raise LogError(LogFault.SCHEMA, f"{name} has a field {lacking[0]} now that this log lacks and that has no default; {_WAYS_ON}")
        return cls(**{parameters[field].alias or field: value for field, value in found.items()})

    def _value(self, form: Any, raw: Any) -> Any:
        """What a form of the header makes of a raw value; the result is checked when it is encoded again."""
        match form:
            case ["record", _]:
                return self._record(raw)
            case ["union", *options]:
                return self._value(_option(options, raw), raw)
            case "any":
                return self._record(raw) if isinstance(raw, list) else narrow(raw, EXT_INT, EXT_TEXT, EXT_BYTES)
            case ["tuple", item]:
                return tuple([self._value(item, value) for value in raw])
            case ["fixed", *items]:
                return tuple([self._value(item, value) for item, value in zip(items, raw, strict=True)])
            case ["table", key, value]:
                pairs = cast("dict[Any, Any]", raw).items()
                return Table([(self._value(key, k), self._value(value, v)) for k, v in pairs])
            case ["derived" | "enum", *_, name]:
                cls = self._classes.get(name)
                value = narrow(raw, EXT_INT, EXT_TEXT, EXT_BYTES)
                return value if cls is None else cls(value)
            case _:
                return narrow(raw, EXT_INT, EXT_TEXT, EXT_BYTES)


def _option(options: list[Any], raw: Any) -> Any:
    """The option of a union that a raw value is of; the encoding leaves no two."""
    for option in options:
        match option:
            case ["record" | "tuple" | "fixed", *_]:
                fits = isinstance(raw, list)
            case ["table", *_]:
                fits = isinstance(raw, dict)
            case ["derived", kind, _]:
                fits = isinstance(raw, _SCALARS[kind]) or (isinstance(raw, Ext) and raw.code == EXT_BYTES and kind == "bytes")
            case ["enum" | "constant", *_]:
                fits = isinstance(raw, int | str)
            case _:
                fits = isinstance(raw, _SCALARS[option])
        if fits:
            return option
    return "any"
