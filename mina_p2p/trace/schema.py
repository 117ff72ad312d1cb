"""`Schema`: all classes that a machine's log can hold, with their codec and their names.

A schema is built from the machine's actions, its root state and everything these can
reach. Classes are numbered in the order of their qualified names; the numbers tag records
in the log, and the log's header lists the names, fields and types behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, Generic, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from mina_p2p.store import Attempt, Machine, RawSteps
from mina_p2p.trace.compile import Functions, any_of, compile_codec, plain
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.shapes import Form, RecordType, Resolver, form, qualified_name

T = TypeVar("T")

DIGEST_LENGTH: Final = 8
STATE_HASH_LENGTH: Final = 32

_NOT_PACKED: Final = (OverflowError, UnicodeEncodeError, KeyError, TypeError, AttributeError, ValueError, RecursionError)
"""What packing raises for values beyond msgpack's own types, and for those that are none of the schema."""


class Schema:
    """A numbered list of record classes and the codec for them."""

    def __init__(self, classes: Iterable[type[Any]], *, inputs: Iterable[type[Any]] = (), label: str = "log") -> None:
        """Number ``classes``, ``inputs`` and every record class that they can reach.

        :param inputs: the classes of actions: what a log's records may begin with.
        :raises LogError: ``UNWRITABLE`` for a field of a type that a log can not hold,
            ``SECRET`` for a field marked as secret.
        """
        roots = tuple(inputs)
        resolver = Resolver((*classes, *roots))
        self.types: Final[list[RecordType]] = resolver.records()
        """Every record class, by tag."""
        self._enums = resolver.enums()
        self._others = (*self._enums, *resolver.derived())
        self._label = label
        self._fast = compile_codec(self.types, f"log codec of {label}", wide=False)
        self.tags: Final[dict[type[Any], int]] = {t.cls: t.tag for t in self.types if t.cls in self._fast.write}
        """Tag by class, without those generic classes that occur only with arguments."""
        self.inputs: Final = sorted((self.tags[cls] for cls in set(roots)), key=int)
        """Tags of the actions."""
        self.digest: Final = blake2b(msgspec.msgpack.encode(self.header()), digest_size=DIGEST_LENGTH).digest()
        """Equal for equal classes, fields and types."""
        self._encoder = msgspec.msgpack.Encoder(enc_hook=plain)
        self._decoders: dict[tuple[Any, bool], Any] = {}
        self._can_hold: dict[type[Any], bool] = {}

    @classmethod
    def of(cls, machine: Machine[Any]) -> Schema:
        """The schema of a machine's logs."""
        return cls((machine.root,), inputs=(*machine.actions, Attempt), label=qualified_name(machine.root))

    @property
    def writers(self) -> dict[type[Any], Callable[[Any], Any]]:
        """By class: from a record to what msgspec packs, for loops that can not afford `encode`."""
        return self._fast.write

    def header(self) -> Any:
        """What the log's header says of the schema: plain values, the same on every Python version."""
        return {
            "classes": [[t.name, t.digest(), [[name, form(shape)] for name, shape in t.fields]] for t in self.types],
            "enums": [[qualified_name(e), [[member.name, member.value] for member in e]] for e in self._enums],
        }

    def classes_by_name(self) -> dict[str, Any]:
        """Every class that occurs in the schema, by qualified name: records, enums, subclasses of scalars."""
        return {qualified_name(cls): cls for cls in (*(t.cls for t in self.types), *self._others)}

    def name_of(self, tag: int) -> str:
        """The class's own name, such as ``ConnectionOutgoingInit``; readable for any number."""
        return self.types[tag].cls.__qualname__ if 0 <= tag < len(self.types) else f"unknown kind {tag}"

    def can_hold(self, cls: type[Any]) -> bool:
        """Whether some field could hold a record of ``cls``: one that says so, or that can hold anything.

        An attempt's fields do not count, since they hold actions, which are classes of the schema themselves.
        """
        found = self._can_hold.get(cls)
        if found is None:
            name = qualified_name(cls)
            forms = [form(shape) for t in self.types if t.cls is not Attempt for _, shape in t.fields]
            found = self._can_hold[cls] = any(named == "any" or named.partition("[")[0] == name for named in _names(forms))
        return found

    @cached_property
    def _wide(self) -> Functions:
        return compile_codec(self.types, f"wide log codec of {self._label}", wide=True)

    def encode(self, value: Any) -> bytes:
        """One record, canonically: equal values of equal types give equal bytes, on every
        Python version, under every hash seed, whatever holds their tables.

        :raises LogError: ``UNWRITABLE`` where it holds something that its type hints exclude.
        """
        try:
            return self._encoder.encode(self._fast.write[type(value)](value))
        except (OverflowError, UnicodeEncodeError):
            pass
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise _unwritable(value, error) from error
        try:
            return self._encoder.encode(self._wide.write[type(value)](value))
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
            raise _unwritable(value, error) from error

    def decode(self, data: bytes) -> Any:
        """The record that `encode` wrote.

        :raises LogError: ``CONTENT`` for anything else, whatever its bytes.
        """
        return self.unpack(_ONE_RECORD, data)

    def state_hash(self, state: Any) -> bytes:
        """blake2b-256 of the canonical encoding.

        :raises LogError: as `encode`.
        """
        return hash_of_encoded(self.encode(state))

    def digest_of(self, steps: RawSteps) -> int:
        """A checksum of the content of all that followed from an input: CRC-32 of the encodings, one behind the other.

        :param steps: of the input's dispatch, the input first.
        :raises LogError: as `encode`.
        """
        digest = 0
        write, pack = self._fast.write, self._encoder.encode
        for action, _, depth in steps:
            if depth:
                try:
                    data = pack(write[type(action)](action))
                except _NOT_PACKED:
                    data = self.encode(action)
                digest = crc32(data, digest)
        return digest

    def unpack(self, layout: Layout[T], data: bytes) -> T:
        """Decode a structure that holds records of this schema.

        :raises LogError: ``CONTENT`` for anything that is not of this layout, whatever its bytes.
        """
        try:
            return self._unpack(layout, data, wide=False)
        except msgspec.ValidationError:
            # Either hostile or a value beyond msgpack's own types; rare enough to try twice.
            pass
        except msgspec.DecodeError as error:
            raise LogError(LogFault.CONTENT, str(error)) from error
        try:
            return self._unpack(layout, data, wide=True)
        except msgspec.DecodeError as error:
            raise LogError(LogFault.CONTENT, str(error)) from error

    def _unpack(self, layout: Layout[T], data: bytes, *, wide: bool) -> T:
        functions = self._wide if wide else self._fast
        decoder = self._decoders.get((layout, wide))
        if decoder is None:
            decoder = self._decoders[layout, wide] = msgspec.msgpack.Decoder(layout.hint(self, functions.structs))
        try:
            return layout.build(decoder.decode(data), functions.read)
        except msgspec.DecodeError:
            raise
        except RecursionError:
            raise LogError(LogFault.CONTENT, "nested deeper than any value of the schema") from None
        except LogError:
            raise
        except Exception as error:
            # A constructor refused: an id of the wrong length, a validator. Such classes are the
            # machine's own and may raise what they like.
            raise LogError(LogFault.CONTENT, f"a value that its class refuses: {error}") from error


class Layout(NamedTuple, Generic[T]):
    """How records stand in some larger structure."""

    hint: Callable[[Schema, list[Any]], Any]
    """From the schema and the structs by tag to the type that msgspec unpacks."""
    build: Callable[[Any, dict[type[Any], Callable[[Any], Any]]], T]
    """From what it unpacked, and the functions from struct to record, to the result."""


def _one_hint(_schema: Schema, structs: list[Any]) -> Any:
    return any_of(structs)


def _build_one(struct: Any, read: dict[type[Any], Callable[[Any], Any]]) -> Any:
    return read[type(struct)](struct)


_ONE_RECORD: Final[Layout[Any]] = Layout(_one_hint, _build_one)


def _names(found: Form) -> Iterator[str]:
    """All texts in a form."""
    if isinstance(found, str):
        yield found
    elif not isinstance(found, int | None):  # those are values of a literal
        for part in found:
            yield from _names(part)


def hash_of_encoded(encoded: bytes) -> bytes:
    """The state hash of a state that is encoded already."""
    return blake2b(encoded, digest_size=STATE_HASH_LENGTH).digest()


def _unwritable(value: Any, error: Exception) -> LogError:
    if type(error) is LogError:
        return error
    return LogError(LogFault.UNWRITABLE, f"{type(value).__qualname__}: {type(error).__name__}: {error}")
