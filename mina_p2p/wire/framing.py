"""Frames: a length and a payload, as every stream of a pull connection carries them.

The length is four bytes, big-endian (spec: pull-protocol 3.3).
"""

from __future__ import annotations

from typing import Final

from mina_p2p.errors import DecodeError

HEADER_SIZE: Final = 4
_LENGTH_LIMIT: Final = 0xFFFF_FFFF


class FrameTooLarge(DecodeError):  # noqa: N818 - says what the frame is, like the reference's name
    """A peer announced a frame larger than its channel allows; nothing of it was kept."""

    def __init__(self, offset: int, size: int, limit: int, complete: tuple[bytes, ...] = ()) -> None:
        super().__init__("frame", offset, f"{size} bytes announced, at most {limit} allowed")
        self.size = size
        self.limit = limit
        self.complete = complete
        """Payloads that came complete in front of it, in the same piece of the stream."""

    def __reduce__(self) -> tuple[type[FrameTooLarge], tuple[int, int, int, tuple[bytes, ...]]]:
        return type(self), (self.offset, self.size, self.limit, self.complete)


def encode_frame(payload: bytes) -> bytes:
    """One frame around ``payload``.

    :raises ValueError: where its length does not fit four bytes.
    """
    if len(payload) > _LENGTH_LIMIT:
        raise ValueError(f"a frame of {len(payload)} bytes")
    return len(payload).to_bytes(HEADER_SIZE, "big") + payload


class FrameCutter:
    """Cuts a stream of bytes into payloads, at the pace they arrive.

    It holds at most one unfinished frame of at most ``limit`` bytes, and copies
    each byte a bounded number of times however small the pieces are. After an
    error the stream has no meaning any more: whoever feeds again gets the error again.
    """

    __slots__ = ("_buffer", "_cut", "_failure", "_need", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._need = -1  # the payload's size, or -1 before its header is complete
        self._cut = 0  # bytes of the stream that were handed out
        self._failure: FrameTooLarge | None = None

    @property
    def buffered(self) -> int:
        """Bytes of the unfinished frame that are held."""
        return len(self._buffer)

    @property
    def is_between_frames(self) -> bool:
        """Whether the stream may end here."""
        return not self._buffer and self._need < 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the payloads that are complete now.

        :raises FrameTooLarge: as soon as a header announces more than ``limit``
            bytes. Complete frames in front of it are in ``error.complete``.
        """
        if self._failure is not None:
            raise self._failure
        complete: list[bytes] = []
        position = 0
        size = len(data)
        while True:
            if self._need < 0:
                missing = HEADER_SIZE - len(self._buffer)
                header = data[position : position + missing]
                position += len(header)
                self._buffer += header
                if len(header) < missing:
                    return complete
                self._need = int.from_bytes(self._buffer, "big")
                self._buffer.clear()
                if self._need > self.limit:
                    self._failure = FrameTooLarge(self._cut, self._need, self.limit)
                    raise FrameTooLarge(self._cut, self._need, self.limit, tuple(complete))
            missing = self._need - len(self._buffer)
            if size - position < missing:
                self._buffer += data[position:]
                return complete
            rest = data[position : position + missing]
            position += missing
            if self._buffer:
                self._buffer += rest
                rest = bytes(self._buffer)
                self._buffer.clear()
            complete.append(rest)
            self._cut += HEADER_SIZE + self._need
            self._need = -1
