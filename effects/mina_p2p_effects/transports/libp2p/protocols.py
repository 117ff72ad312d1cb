"""What is spoken on streams, and how its bytes are cut into messages.

Only lengths are read here, so that no more is held than a protocol allows; what the messages
mean is decided by whoever gets them.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

from mina_p2p.record import Record, record
from mina_p2p.wire.framing import FrameTooLarge
from mina_p2p.wire.varint import DelimitedCutter, encode_delimited

_RPC_HEADER_BYTES: Final = 8


class Framing(enum.Enum):
    """How messages follow each other on a stream."""

    RAW = enum.auto()
    """Not at all: bytes are passed on as they come."""
    DELIMITED = enum.auto()
    """Behind their length as a varint: protobuf."""
    RPC = enum.auto()
    """Behind their length in eight bytes, little-endian: Jane Street's async RPC."""


@record
class StreamProtocol(Record):
    """A protocol that this node speaks."""

    name: str
    """The id under which it is negotiated."""
    framing: Framing
    message_bytes_max: int
    """Longest message that is taken; of a raw protocol it means nothing."""

    def frame(self, message: bytes) -> bytes:
        """``message`` as it travels."""
        if self.framing is Framing.DELIMITED:
            return encode_delimited(message)
        if self.framing is Framing.RPC:
            return len(message).to_bytes(_RPC_HEADER_BYTES, "little") + message
        return message

    def cutter(self) -> Cutter:
        """What cuts one stream's bytes into messages."""
        if self.framing is Framing.DELIMITED:
            return DelimitedCutter(self.message_bytes_max)
        return RpcCutter(self.message_bytes_max) if self.framing is Framing.RPC else _Passing()


class Cutter(Protocol):
    """Cuts bytes into messages."""

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished message that are held."""
        ...

    @property
    def is_between_messages(self) -> bool:
        """Whether the stream may end here."""
        ...

    def feed(self, data: memoryview, messages: list[bytes], /) -> None:
        """Append the messages that are complete now to ``messages``; :raises DecodeError: for a bad length."""
        ...


class _Passing:
    """The cutter of raw protocols."""

    __slots__ = ()
    buffered = 0
    is_between_messages = True

    def feed(self, data: memoryview, messages: list[bytes], /) -> None:
        messages.append(bytes(data))


class RpcCutter:
    """Cuts a stream of async RPC into messages; holds at most one unfinished message of at most ``limit`` bytes."""

    __slots__ = ("_buffer", "_need", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._need = -1  # the message's size, or -1 before its header is complete

    @property
    def buffered(self) -> int:
        """Bytes of the unfinished message."""
        return len(self._buffer)

    @property
    def is_between_messages(self) -> bool:
        """Whether the stream may end here."""
        return not self._buffer and self._need < 0

    def feed(self, data: memoryview, messages: list[bytes], /) -> None:
        """Take what arrived; append the messages that are complete now.

        :raises DecodeError: where a header announces more than ``limit`` bytes; the stream means nothing then.
        """
        position = 0
        while position < len(data) or self._need == 0:
            missing = (_RPC_HEADER_BYTES if self._need < 0 else self._need) - len(self._buffer)
            piece = data[position : position + missing]
            position += len(piece)
            if len(piece) < missing:
                self._buffer += piece
                return
            if self._buffer:
                self._buffer += piece
                whole = bytes(self._buffer)
                self._buffer.clear()
            else:
                whole = bytes(piece)
            if self._need >= 0:
                messages.append(whole)
                self._need = -1
                continue
            self._need = int.from_bytes(whole, "little")
            if self._need > self.limit:
                raise FrameTooLarge(0, self._need, self.limit)
