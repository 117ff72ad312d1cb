"""`Decoder`: what a fuzzer has to know of a function that reads bytes or text from outside.

One line makes a decoder a target: an entry in one of the tables that `decoders` puts together, or
`register_decoder` from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.record import Record, field_names, record
from mina_p2p.testing.dice import Dice
from mina_p2p.wire import Codec, Raw, dial_options
from mina_p2p.wire.shapes import CustomShape, RemainderShape, fields_of
from mina_p2p_effects.fuzzing.samples import parts_of, sample

SEEDS: Final = 6
"""How many valid inputs of a codec a search begins with."""


@record
class Decoder(Record):
    """Something that reads what strangers send."""

    name: str
    decode: Callable[[bytes], Any]
    seeds: Callable[[Dice], Iterable[bytes]]
    """Valid inputs, some of them."""
    errors: tuple[type[Exception], ...] = (DecodeError,)
    """What it may raise, and nothing else."""
    encode: Callable[[Any], bytes] | None = None
    """Back to bytes, where that exists; what it writes must be read as an equal value."""
    is_canonical: bool = False
    """Whether a value has one encoding only, so that what was read is written again byte for byte."""
    memory_factor: int = 200
    """Bytes of memory that reading may take for each byte of input, beside `MEMORY_BASE`."""


MEMORY_BASE: Final = 1 << 20
"""Bytes of memory that reading anything may take."""


def of_codec(name: str, codec: Codec[Any]) -> Decoder:
    """The decoder of a declared type: one encoding for each value, valid inputs from its shape."""

    def seeds(dice: Dice) -> Iterable[bytes]:
        drawn = sorted((sample(codec, dice) for _ in range(3 * SEEDS)), key=len)
        return drawn[:SEEDS]

    def decode(data: bytes) -> Any:
        value = codec.decode(data)
        _open(value)
        return value

    # A host is read leniently: a domain in capitals is the same domain.
    is_canonical = not any(isinstance(part, CustomShape) and part.custom.read in _LENIENT for part in parts_of(codec.shape()))
    return Decoder(name, decode, seeds, encode=codec.encode, is_canonical=is_canonical)


_LENIENT: Final = (dial_options.read_host, dial_options.read_signaling, dial_options.read_dial_address)


def _open(value: Any) -> None:
    """Decode the parts that stayed bytes: those in the middle of a message are checked by whoever reads the message.

    The last part of some messages is all that is left, unread on purpose: those are left alone.
    """
    todo: list[Any] = [value]
    while todo:
        todo += _parts(todo.pop())


def _parts(value: Any) -> Iterable[Any]:
    cls: Any = value.__class__
    if issubclass(cls, Raw):
        try:
            return (value.value,)
        except DecodeError as error:
            raise AssertionError(f"a part was let through that can not be read: {cls.__name__}: {error}") from error
    if issubclass(cls, Record):
        return [getattr(value, name) for name in _checked_fields(cls)]
    return value if cls is tuple else ()


@cache
def _checked_fields(cls: Any) -> tuple[str, ...]:
    try:
        fields = fields_of(cls)
    except TypeError:  # a class that a hand-written reader makes
        return field_names(cls)
    return tuple(name for name, shape in fields if not isinstance(shape, RemainderShape))


def of_text(
    name: str,
    parse: Callable[[str], Any],
    errors: tuple[type[Exception], ...],
    seeds: Callable[[Dice], Iterable[str]],
    show: Callable[[Any], str] | None = str,
) -> Decoder:
    """The decoder of a text: bytes that are no UTF-8 stand for the characters of Latin-1.

    :param show: what prints a value so that it can be read again; ``None`` where nothing does.
    """
    return Decoder(
        name,
        lambda data: parse(_text(data)),
        lambda dice: [text.encode() for text in seeds(dice)],
        errors,
        None if show is None else lambda value: show(value).encode(),
    )


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


_registered: dict[str, Decoder] = {}


def register_decoder(decoder: Decoder) -> None:
    """Make a decoder a target of every search from now on.

    :raises CallerError: where the name is taken.
    """
    if decoder.name in decoders():
        raise CallerError(f"there is a decoder called {decoder.name!r} already; choose another name")
    _registered[decoder.name] = decoder


def decoders() -> dict[str, Decoder]:
    """Every decoder, by name."""
    return {**_shipped(), **_registered}


@cache
def _shipped() -> dict[str, Decoder]:
    found: dict[str, Decoder] = {}
    for decoder in _tables():
        if decoder.name in found:
            raise CallerError(f"two decoders are called {decoder.name!r}")
        found[decoder.name] = decoder
    return found


def _tables() -> Iterator[Decoder]:
    from mina_p2p_effects.fuzzing import (  # noqa: PLC0415 - they are made with this module
        connections_of_libp2p,
        decoders_of_libp2p,
        decoders_of_runtime,
        decoders_of_wire,
    )

    yield from decoders_of_wire.table()
    yield from decoders_of_runtime.table()
    yield from decoders_of_libp2p.table()
    yield from connections_of_libp2p.table()
