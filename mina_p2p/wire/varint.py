"""Unsigned varints (LEB128), and streams of messages that begin with their length as one.

libp2p uses them everywhere: in multistream tokens, in addresses, in protobuf and in
front of every protobuf message (spec: libp2p, "uvarint" and "delimited").
"""

from __future__ import annotations

from typing import Final

from mina_p2p.errors import DecodeError
from mina_p2p.wire.framing import FrameTooLarge
from mina_p2p.wire.primitives import Malformed

LENGTH_BYTES_MAX: Final = 9
"""Longest varint in front of a message; it can not say more than 2**63 - 1."""

_SMALL: Final = tuple(bytes((value,)) for value in range(0x80))


def write_varint(value: int) -> bytes:
    """The shortest encoding of a number from 0 to 2**64 - 1.

    :raises ValueError: for another number.
    """
    if 0 <= value < 0x80:
        return _SMALL[value]
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} does not fit an unsigned varint of 64 bits")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Read a number of at most 64 bits; return it and the offset behind it.

    Longer encodings than needed are taken, as protobuf does.

    :raises Malformed: for more than 64 bits.
    :raises IndexError: where the input ends too early.
    """
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, offset
        shift += 7
        if shift > 63:
            break
    raise Malformed("a varint of more than 64 bits")


def encode_delimited(payload: bytes) -> bytes:
    """``payload`` behind its length."""
    return write_varint(len(payload)) + payload


class DelimitedCutter:
    """Cuts a stream of bytes into messages that begin with their length, at the pace they arrive.

    It holds at most one unfinished message of at most ``limit`` bytes, and copies each byte a
    bounded number of times however small the pieces are. Lengths must be in their shortest form
    of at most nine bytes. After an error the stream has no meaning any more: whoever feeds again
    gets the error again.
    """

    __slots__ = ("_buffer", "_cut", "_failure", "_need", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._need = -1  # the payload's size, or -1 before its length is complete
        self._cut = 0  # bytes of the stream that were handed out
        self._failure: DecodeError | None = None

    @property
    def buffered(self) -> int:
        """Bytes of the unfinished message that are held."""
        return len(self._buffer)

    @property
    def is_between_messages(self) -> bool:
        """Whether the stream may end here."""
        return not self._buffer and self._need < 0

    def feed(self, data: bytes | bytearray | memoryview, messages: list[bytes]) -> None:
        """Take what arrived; append the payloads that are complete now to ``messages``.

        What came complete in front of an error has been appended when it is raised.

        :raises FrameTooLarge: as soon as a length announces more than ``limit`` bytes.
        :raises DecodeError: for a length that is none.
        """
        if self._failure is not None:
            raise self._failure
        position, size = 0, len(data)
        buffer, need = self._buffer, self._need
        while position < size or need == 0:
            if need < 0:
                first = data[position]
                if not buffer and first < 0x80:
                    need, position = first, position + 1
                elif not buffer and position + 1 < size and 0 < data[position + 1] < 0x80:
                    need, position = first & 0x7F | data[position + 1] << 7, position + 2
                else:
                    need, position = self._take_length(first), position + 1
                if need > self.limit:
                    self._fail(FrameTooLarge(self._cut, need, self.limit))
                self._need = need
                continue
            missing = need - len(buffer)
            if size - position < missing:
                buffer += data[position:]
                return
            piece = bytes(data[position : position + missing])
            position += missing
            if buffer:
                buffer += piece
                piece = bytes(buffer)
                buffer.clear()
            messages.append(piece)
            self._cut += need + max(1, (need.bit_length() + 6) // 7)
            self._need = need = -1

    def _take_length(self, byte: int) -> int:
        """Read one more byte of a length; return it when it is complete, else -1."""
        buffer = self._buffer
        if byte & 0x80:
            if len(buffer) + 1 >= LENGTH_BYTES_MAX:
                self._fail(DecodeError("length", self._cut, f"a varint of more than {LENGTH_BYTES_MAX} bytes"))
            buffer.append(byte)
            return -1
        if byte == 0 and buffer:
            self._fail(DecodeError("length", self._cut, "a varint that is not in its shortest form"))
        buffer.append(byte)
        length, _ = read_varint(bytes(buffer), 0)
        buffer.clear()
        return length

    def _fail(self, failure: DecodeError) -> None:
        self._failure = failure
        self._buffer.clear()
        raise failure
