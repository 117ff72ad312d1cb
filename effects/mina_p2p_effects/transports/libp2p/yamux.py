"""Yamux: many streams over one connection, without I/O.

A frame is twelve bytes, big-endian: version 0, type, flags, stream id, length; after a Data frame
as many bytes follow. The initiator's streams have odd numbers. Each direction of a stream
begins with 256 KiB of credit, and WindowUpdate frames add to it.

`Yamux` takes plaintext by `receive`, tells its `StreamSink` what happened, and gives plaintexts to send by
`take`: first what the protocol owes (acknowledgements, credit, pongs), then the streams' data, each in its turn.
Data is told in the pieces in which it comes and nothing is kept, so credit is
given back as soon as half of it was used; a window bounds what one round trip may carry, and no memory.

As Go does it: streams open, are accepted, end and are reset by WindowUpdate frames; data follows the
opening without waiting; frames of streams that are gone are passed over. An id may be used again once its stream
is gone, because the Rust node has fixed ones.

Source: spec libp2p 6; `libp2p/go-yamux@v4.0.0 spec.md, session.go, stream.go`.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Final, Protocol

from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError
from mina_p2p_effects.transports.libp2p.noise import PLAINTEXT_BYTES_MAX

HEADER_BYTES: Final = 12
STREAM_ID_MAX: Final = 0xFFFF_FFFF

DATA: Final = 0
WINDOW_UPDATE: Final = 1
PING: Final = 2
GO_AWAY: Final = 3

SYN: Final = 1
ACK: Final = 2
FIN: Final = 4
RST: Final = 8

_FLAGS_MAX: Final = 0xF
_UNKNOWN_DATA_MAX: Final = 16 * 1024 * 1024
"""Longest Data frame for a stream that is gone: the largest window there is."""
_HEADER: Final = Struct(">BBHII")

GO_AWAY_NORMAL: Final = 0
GO_AWAY_PROTOCOL: Final = 1


class StreamSink(Protocol):
    """What a session tells."""

    def stream_opened(self, stream: int) -> None:
        """The peer opened a stream."""

    def stream_data(self, stream: int, data: memoryview) -> None:
        """Bytes of a stream; valid during the call."""

    def stream_ended(self, stream: int) -> None:
        """The peer will send no more on a stream."""

    def stream_was_reset(self, stream: int) -> None:
        """The peer aborted a stream, which is gone."""

    def went_away(self) -> None:
        """The peer accepts no new streams."""


class _Stream:
    """One live stream."""

    __slots__ = ("credit", "epoch", "is_ended", "is_ending", "is_queued", "offset", "out", "out_bytes", "send_window", "window")

    def __init__(self, window: int) -> None:
        self.window = window  # what our credit is topped up to
        self.credit = window  # what the peer may still send
        self.epoch = 0.0  # when credit was last given
        self.send_window = window
        self.out: deque[bytes] = deque()
        self.offset = 0  # of the first piece in `out`
        self.out_bytes = 0
        self.is_queued = False
        self.is_ending = False  # we will send no more than `out`
        self.is_ended = False  # the peer will send no more


class Yamux:
    """One session.

    :param is_initiator: whether this side led the handshake.
    :param now: the first ping is due at once.
    """

    def __init__(self, config: Libp2pConfig, sink: StreamSink, *, is_initiator: bool, now: float) -> None:
        self._config = config
        self._sink = sink
        self._parity = int(is_initiator)
        self._next_id = 1 if is_initiator else 2
        self._streams: dict[int, _Stream] = {}
        self._incoming = 0
        self._ready: deque[int] = deque()  # streams with data and credit, and those that are to end
        self._control = bytearray()
        self._header = bytearray()  # of an unfinished frame
        self._data_left = 0  # bytes of the current Data frame still to come
        self._data_stream = 0
        self._data_flags = 0
        self._peer_is_away = False
        self._now = now
        self._ping_opaque = 0
        self._ping_sent_at: float | None = None
        self._ping_at = now
        self.round_trip_s = 0.0
        """The last measured; 0 before."""
        self.queued_bytes = 0
        """Bytes of streams waiting to be sent."""

    def __contains__(self, stream: int) -> bool:
        return stream in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def has_output(self) -> bool:
        """Whether `take` gives anything."""
        return bool(self._control or self._ready)

    @property
    def control_bytes(self) -> int:
        """Bytes that the protocol owes the peer."""
        return len(self._control)

    # --- what the owner does

    def open(self) -> int | None:
        """Open a stream; its id, or ``None`` where the peer takes none, or there are too many."""
        outgoing = len(self._streams) - self._incoming
        if self._peer_is_away or outgoing >= self._config.outgoing_streams_max or self._next_id > STREAM_ID_MAX:
            return None
        stream = self._next_id
        self._next_id += 2
        self._streams[stream] = _Stream(self._config.window_bytes)
        self._put(WINDOW_UPDATE, SYN, stream, 0)
        return stream

    def write(self, stream: int, data: bytes) -> None:
        """Queue data; that of a stream which is gone or ending is dropped."""
        entry = self._streams.get(stream)
        if entry is None or entry.is_ending or not data:
            return
        entry.out.append(data)
        entry.out_bytes += len(data)
        self.queued_bytes += len(data)
        if entry.send_window and not entry.is_queued:
            entry.is_queued = True
            self._ready.append(stream)

    def close_write(self, stream: int) -> None:
        """Send no more on a stream than what is queued."""
        entry = self._streams.get(stream)
        if entry is None or entry.is_ending:
            return
        entry.is_ending = True
        if not entry.out:
            self._end(stream, entry)

    def reset(self, stream: int) -> None:
        """Abort a stream; nothing more is told about it."""
        if stream in self._streams:
            self._forget(stream)
            self._put(WINDOW_UPDATE, RST, stream, 0)

    def go_away(self, code: int) -> None:
        """Say that the session ends."""
        self._put(GO_AWAY, 0, 0, code)

    # --- time

    def deadline(self) -> float:
        """When `handle_timer` has something to do."""
        return self._ping_at if self._ping_sent_at is None else self._ping_sent_at + self._config.ping_timeout_s

    def handle_timer(self, now: float) -> None:
        """Ping where that is due; :raises LayerError: ``PING_TIMEOUT``."""
        if self._ping_sent_at is not None:
            if now >= self._ping_sent_at + self._config.ping_timeout_s:
                raise LayerError(Fault.PING_TIMEOUT)
        elif now >= self._ping_at:
            self._ping_sent_at = now
            self._ping_opaque = self._ping_opaque + 1 & STREAM_ID_MAX
            self._put(PING, SYN, 0, self._ping_opaque)

    # --- receiving

    def receive(self, data: bytes, now: float) -> None:
        """Take plaintext; :raises LayerError: where the peer broke the protocol."""
        self._now = now
        view = memoryview(data)
        position, size = 0, len(data)
        while position < size:
            if self._data_left:
                end = min(position + self._data_left, size)
                self._data_left -= end - position
                self._take_data(view[position:end])
                position = end
                continue
            if self._header or size - position < HEADER_BYTES:
                missing = HEADER_BYTES - len(self._header)
                self._header += view[position : position + missing]
                position += missing
                if len(self._header) < HEADER_BYTES:
                    return
                fields = _HEADER.unpack(self._header)
                self._header.clear()
            else:
                fields = _HEADER.unpack_from(view, position)
                position += HEADER_BYTES
            self._take_header(*fields)

    def _take_header(self, version: int, kind: int, flags: int, stream: int, length: int) -> None:
        if version != 0 or kind > GO_AWAY or flags > _FLAGS_MAX:
            raise LayerError(Fault.FRAME_MALFORMED, f"version {version}, type {kind}, flags {flags:#x}")
        if (stream == 0) != (kind >= PING):
            raise LayerError(Fault.FRAME_MALFORMED, f"type {kind} on stream {stream}")
        if kind == PING:
            self._take_ping(flags, length)
            return
        if kind == GO_AWAY:
            self._take_go_away(length)
            return
        if flags & SYN:
            self._accept(stream)
        entry = self._streams.get(stream)
        if kind == DATA:
            if entry is None:
                if length > _UNKNOWN_DATA_MAX:
                    raise LayerError(Fault.WINDOW_EXCEEDED, f"{length} bytes on a stream that is gone")
            elif length:
                if entry.is_ended:
                    raise LayerError(Fault.STREAM_MISUSE, f"data behind the end of stream {stream}")
                if length > entry.credit:
                    raise LayerError(Fault.WINDOW_EXCEEDED, f"{length} bytes where {entry.credit} were allowed")
                entry.credit -= length
            if length:
                self._data_left, self._data_stream, self._data_flags = length, stream, flags
                return
        elif entry is not None and length:
            entry.send_window += length
            if entry.send_window > STREAM_ID_MAX:
                raise LayerError(Fault.WINDOW_EXCEEDED, "more credit than a window can have")
            if entry.out and not entry.is_queued:
                entry.is_queued = True
                self._ready.append(stream)
        if flags & (FIN | RST):
            self._take_end(stream, flags)

    def _take_data(self, piece: memoryview) -> None:
        stream = self._data_stream
        if stream in self._streams:
            self._sink.stream_data(stream, piece)
        if self._data_left:
            return
        entry = self._streams.get(stream)
        if entry is None:
            return
        if self._data_flags & (FIN | RST):
            self._take_end(stream, self._data_flags)
        elif entry.credit <= entry.window >> 1:
            self._give_credit(stream, entry)

    def _give_credit(self, stream: int, entry: _Stream) -> None:
        """Fill a stream's credit up; a window that the round trip empties too early grows."""
        if self._now - entry.epoch < 4 * self.round_trip_s:
            entry.window = min(2 * entry.window, self._config.window_bytes_max)
        entry.epoch = self._now
        self._put(WINDOW_UPDATE, 0, stream, entry.window - entry.credit)
        entry.credit = entry.window

    def _accept(self, stream: int) -> None:
        if stream & 1 == self._parity:
            raise LayerError(Fault.STREAM_MISUSE, f"the peer opened stream {stream}, whose number is ours")
        if stream in self._streams:
            raise LayerError(Fault.STREAM_MISUSE, f"stream {stream} is open already")
        if self._incoming >= self._config.incoming_streams_max:
            self._put(WINDOW_UPDATE, RST, stream, 0)
            return
        self._incoming += 1
        self._streams[stream] = _Stream(self._config.window_bytes)
        self._put(WINDOW_UPDATE, ACK, stream, 0)
        self._sink.stream_opened(stream)

    def _take_end(self, stream: int, flags: int) -> None:
        entry = self._streams.get(stream)
        if entry is None:
            return
        if flags & RST:
            self._forget(stream)
            self._sink.stream_was_reset(stream)
        elif not entry.is_ended:
            entry.is_ended = True
            self._sink.stream_ended(stream)
            if entry.is_ending and not entry.out:
                self._forget(stream)

    def _take_ping(self, flags: int, opaque: int) -> None:
        if flags & SYN:
            self._put(PING, ACK, 0, opaque)
        elif self._ping_sent_at is not None and flags & ACK and opaque == self._ping_opaque:
            self.round_trip_s = self._now - self._ping_sent_at
            self._ping_sent_at = None
            self._ping_at = self._now + self._config.ping_every_s

    def _take_go_away(self, code: int) -> None:
        if code == GO_AWAY_NORMAL:
            self._peer_is_away = True
            self._sink.went_away()
        elif code == GO_AWAY_PROTOCOL:
            raise LayerError(Fault.GO_AWAY_PROTOCOL)
        else:
            raise LayerError(Fault.GO_AWAY_INTERNAL, f"code {code}")

    # --- sending

    def take(self) -> bytes:
        """The next plaintext, of at most what one Noise frame carries; empty where there is nothing to send."""
        room = PLAINTEXT_BYTES_MAX
        pieces: list[bytes | memoryview] = []
        if self._control:
            pieces.append(bytes(self._control[:room]))
            del self._control[:room]
            room -= len(pieces[0])
        while self._ready and room > HEADER_BYTES:
            stream = self._ready.popleft()
            entry = self._streams.get(stream)
            if entry is None:
                continue
            entry.is_queued = False
            room -= HEADER_BYTES + self._take_from(stream, entry, room - HEADER_BYTES, pieces)
            if entry.out and entry.send_window:
                entry.is_queued = True
                self._ready.append(stream)
            elif entry.is_ending and not entry.out:
                self._end(stream, entry)
        return b"".join(pieces)

    def _take_from(self, stream: int, entry: _Stream, room: int, pieces: list[bytes | memoryview]) -> int:
        """Put one Data frame of a stream into ``pieces``; the number of its bytes."""
        size = min(room, entry.send_window, entry.out_bytes)
        pieces.append(_HEADER.pack(0, DATA, 0, stream, size))
        out, offset, left = entry.out, entry.offset, size
        while left:
            first = out[0]
            count = len(first) - offset
            if count <= left:
                pieces.append(memoryview(first)[offset:] if offset else first)
                out.popleft()
                offset = 0
                left -= count
            else:
                pieces.append(memoryview(first)[offset : offset + left])
                offset += left
                left = 0
        entry.offset = offset
        entry.send_window -= size
        entry.out_bytes -= size
        self.queued_bytes -= size
        return size

    def _end(self, stream: int, entry: _Stream) -> None:
        self._put(WINDOW_UPDATE, FIN, stream, 0)
        if entry.is_ended:
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        entry = self._streams.pop(stream)
        self.queued_bytes -= entry.out_bytes
        if stream & 1 != self._parity:
            self._incoming -= 1

    def _put(self, kind: int, flags: int, stream: int, length: int) -> None:
        self._control += _HEADER.pack(0, kind, flags, stream, length)
