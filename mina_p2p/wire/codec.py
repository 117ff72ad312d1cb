"""`codec`: the functions that read and write one type, compiled when first used."""

from __future__ import annotations

from importlib import import_module
from itertools import count
from struct import error as struct_error
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, overload

from mina_p2p.errors import DecodeError, MinaP2pError
from mina_p2p.record import Record
from mina_p2p.wire.primitives import Malformed
from mina_p2p.wire.source import locate

if TYPE_CHECKING:
    from mina_p2p.wire.shapes import Shape

T = TypeVar("T")


class EncodeError(MinaP2pError, ValueError):
    """A value that can not be written: a field out of range, too long, or of another type. The caller's mistake."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path or 'value'}: {self.reason}"


class Codec(Generic[T]):
    """Reads and writes values of one type. Made by `codec`."""

    __slots__ = ("_kind", "_read", "_write", "label")

    def __init__(self, kind: Any, label: str) -> None:
        self._kind = kind
        self._read: Any = None
        self._write: Any = None
        self.label = label

    def __repr__(self) -> str:
        return f"<Codec {self.label}>"

    def decode(self, data: bytes) -> T:
        """Read a value that takes the whole input.

        Time and memory are linear in ``len(data)``.

        :raises DecodeError: where ``data`` is not exactly one value in its one encoding.
        """
        value, end = self.decode_from(data, 0)
        if end != len(data):
            raise DecodeError("", end, f"{len(data) - end} bytes behind the end of the value")
        return value

    def decode_from(self, data: bytes, offset: int) -> tuple[T, int]:
        """Read a value at ``offset``; return it and the offset behind it.

        :raises DecodeError: where no value stands there.
        """
        read = self._read or self._compile_read()
        failure: tuple[Any, str]
        try:
            value, end = read(data, offset, len(data), 0)
        except Malformed as error:
            failure = error.__traceback__, str(error)
        except (IndexError, struct_error) as error:
            failure = error.__traceback__, "the input ends here"
        else:
            return cast("T", value), end
        path, at = locate(failure[0], len(data))
        raise DecodeError(path, at, failure[1])

    def read(self, data: bytes, offset: int) -> tuple[T, int]:
        """`decode_from` for functions of a `Custom`: failures are those that a reader may raise."""
        read = self._read or self._compile_read()
        made: tuple[T, int] = read(data, offset, len(data), 0)
        return made

    def encode(self, value: T) -> bytes:
        """Write a value.

        :raises EncodeError: where a field can not be written.
        """
        write = self._write or self._compile_write()
        pieces: list[bytes] = []
        try:
            write(value, pieces.append)
            return b"".join(pieces)
        except (ValueError, TypeError, AttributeError, OverflowError, struct_error) as error:
            path, _ = locate(error.__traceback__, 0)
            raise EncodeError(path, str(error)) from None

    def shape(self) -> Shape:
        """How the bytes are laid out.

        :raises TypeError: where the type does not say.
        """
        made: Shape = import_module("mina_p2p.wire.shapes").shape_of(self._kind)
        return made

    def _compile_read(self) -> Any:
        self._read = _compiler("read").reader(self.shape(), self.label)
        return self._read

    def _compile_write(self) -> Any:
        self._write = _compiler("write").writer(self.shape(), self.label)
        return self._write


def _compiler(direction: str) -> Any:
    # Loaded with the first codec that is used: importing the library is faster without.
    return import_module(f"mina_p2p.wire.compile_{direction}")


_codecs: Final[dict[type, Codec[Any]]] = {}
_unnamed: Final = count(1)


@overload
def codec(kind: type[T]) -> Codec[T]: ...
@overload
def codec(kind: Any) -> Codec[Any]: ...
def codec(kind: Any) -> Codec[Any]:
    """The codec of a record class, or of any annotation of `mina_p2p.wire.notation`.

    Nothing is compiled, and no annotation is evaluated, before the first use. The
    codec of a class is made once; keep the codec of a union in a constant that states its type::

        TRANSACTION_MESSAGE: Final[Codec[TransactionMessage]] = codec(TransactionMessage)
    """
    if not isinstance(kind, type):
        return Codec(kind, f"annotation {next(_unnamed)}")
    known = _codecs.get(kind)
    if known is None:
        known = _codecs[kind] = Codec(kind, f"{kind.__module__}.{kind.__qualname__}")
    return known


def encode(value: Record) -> bytes:
    """Write a record by its own class. A variant's tag is not the record's: that needs the codec of the union.

    :raises EncodeError: where a field can not be written.
    """
    return codec(type(value)).encode(value)
