"""The receiving half of a stream. aioquic would allocate the gap before data that came early."""

from __future__ import annotations

from typing import Any, Final

from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.events import StreamDataReceived, StreamReset
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicStreamFrame,
)
from aioquic.quic.stream import FinalSizeError, QuicStreamReceiver

from mina_p2p_effects.transports.quic.reassembly import Reassembly, TooManyGapsError

UNLIMITED: Final = (1 << 62) - 1
"""More than QUIC can count."""


class GaplessReceiver(QuicStreamReceiver):
    """The receiving half of a stream, whose early data costs what it weighs."""

    def __init__(self, stream_id: int | None, pieces_max: int, *, offset_max: int = UNLIMITED) -> None:
        super().__init__(stream_id=stream_id, readable=True)
        self.owner: Any = None
        self._pieces = Reassembly(0, pieces_max)
        self._offset_max = offset_max

    @property
    def held(self) -> int:
        """Bytes kept ahead of a gap."""
        return self._pieces.held

    def handle_frame(self, frame: QuicStreamFrame) -> StreamDataReceived | None:
        """As the base class, which see; the checks are those of RFC 9000 4.5."""
        end = frame.offset + len(frame.data)
        final: int | None = self._final_size
        if final is not None and (end > final or (frame.fin and end != final)):
            raise FinalSizeError("data or an end beyond the final size")
        if end > self._offset_max:
            raise QuicConnectionError(
                QuicErrorCode.CRYPTO_BUFFER_EXCEEDED, QuicFrameType.CRYPTO, "more handshake data than any handshake has"
            )
        if frame.fin:
            if end < self.highest_offset:
                raise FinalSizeError("the final size is below what has come")
            self._final_size = final = end
        self.highest_offset = max(self.highest_offset, end)
        if self.is_finished:
            return None
        try:
            data = self._pieces.add(frame.offset, frame.data)
        except TooManyGapsError as error:
            raise QuicConnectionError(QuicErrorCode.INTERNAL_ERROR, QuicFrameType.STREAM_BASE, str(error)) from None
        self._buffer_start = self._pieces.start
        self.is_finished = self._buffer_start == final
        if not data and not self.is_finished:
            return None
        return StreamDataReceived(data=data, end_stream=self.is_finished, stream_id=self._stream_id or 0)

    def handle_reset(self, *, final_size: int, error_code: int = QuicErrorCode.NO_ERROR) -> StreamReset | None:
        """As the base class; what was held is released."""
        self._pieces.clear()
        return super().handle_reset(final_size=final_size, error_code=error_code)
