"""The connection that the transport uses: credit by permission, limits on streams, and its end.

aioquic grows receive windows by what has *arrived*, tells of a close only after the draining
period, and logs through handlers that may print.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
)
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.stream import QuicStream

from mina_p2p.record import Record, record
from mina_p2p_effects.transports.quic.aioquic_hooks.handshake import Judge
from mina_p2p_effects.transports.quic.aioquic_hooks.receiver import GaplessReceiver
from mina_p2p_effects.transports.quic.aioquic_hooks.recovery import RecoveringQuic
from mina_p2p_effects.transports.quic.config import QuicConfig


class EndingKind(enum.Enum):
    """Who or what ended a connection."""

    PEER = "the peer said so"
    LOCAL = "we did, or aioquic for us because the peer broke the protocol"
    SILENCE = "nothing was heard for the idle time-out, or no address of the peer works any more"
    VERSION = "the peer speaks no version of QUIC that we do"


@record
class Ending(Record):
    """How a connection ended, as aioquic knows it."""

    kind: EndingKind
    is_application: bool
    """Whether ``code`` is the application's, else QUIC's own."""
    code: int
    text: str


class _NoLogger:
    """Stands where aioquic expects a logger: this project prints nothing, and formatting would cost."""

    def debug(self, *_: object) -> None: ...

    info = warning = error = debug


_NO_LOGGER: Final = _NoLogger()


class PullQuicConnection(RecoveringQuic):
    """aioquic's connection, with authentication, credit and stream limits as design 6 wants them."""

    def __init__(
        self, configuration: QuicConfiguration, config: QuicConfig, judge: Judge, original_cid: bytes | None, retry_cid: bytes | None
    ) -> None:
        super().__init__(configuration, config, judge, original_cid, retry_cid)
        self._local_max_stream_data_bidi_local = 0
        # A stream that the peer opens carries a kind, four bytes of length, and a request or its hello.
        self._local_max_stream_data_bidi_remote = max(config.request_bytes_max, config.hello_bytes_max) + 5
        self._local_max_stream_data_uni = 0
        streams: Any = self._local_max_streams_bidi
        streams.value = streams.sent = 0 if self._is_client else 1
        uni: Any = self._local_max_streams_uni
        uni.value = uni.sent = 0
        this: Any = self
        this._logger = this._loss._logger = _NO_LOGGER  # noqa: SLF001
        self._token_of: Callable[[bytes], bytes] | None = None
        self._given_up: dict[int, int] = {}  # streams beyond the peer's limit that must not begin, with their codes

    # --- credit and stream limits

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        return self._with_receiver(super()._get_or_create_stream(frame_type, stream_id))

    def _get_or_create_stream_for_send(self, stream_id: int) -> QuicStream:
        return self._with_receiver(super()._get_or_create_stream_for_send(stream_id))

    def _with_receiver(self, stream: QuicStream) -> QuicStream:
        if type(stream.receiver) is not GaplessReceiver:
            stream.receiver = GaplessReceiver(stream.stream_id, self._config.gaps_max)
        return stream

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: Any) -> None:
        """Announce MAX_STREAMS; MAX_DATA never, as it is unlimited from the start."""
        del space
        limit: Any = self._local_max_streams_bidi
        # Every stream that ends lets one more begin; announce once half of them is due, not one by one.
        if limit.value - limit.sent > limit.sent - limit.used:
            frame = builder.start_frame(QuicFrameType.MAX_STREAMS_BIDI, 9, self._on_connection_limit_delivery, (limit,))
            frame.push_uint_var(limit.value)
            limit.sent = limit.value
            self._note_frame(builder, lambda trace: trace.encode_connection_limit_frame(limit.frame_type, limit.value))

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: Any, stream: QuicStream) -> None:
        """Announce what `grant` allowed, and no more."""
        del space
        if stream.max_stream_data_local_sent < stream.max_stream_data_local and not stream.is_blocked and not stream.receiver.is_finished:
            frame = builder.start_frame(QuicFrameType.MAX_STREAM_DATA, 17, self._on_max_stream_data_delivery, (stream,))
            frame.push_uint_var(stream.stream_id or 0)
            frame.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local
            self._note_frame(builder, lambda trace: trace.encode_max_stream_data_frame(stream.max_stream_data_local, stream.stream_id or 0))

    def _note_frame(self, builder: QuicPacketBuilder, encode: Callable[[Any], Any]) -> None:
        """For the qlog file, where there is one: a frame that was written here and not by aioquic."""
        if self._quic_logger is not None:
            noting: Any = builder  # aioquic leaves the items of this list without a type
            noting.quic_logger_frames.append(encode(self._quic_logger))

    def grant(self, stream_id: int, offset: int) -> None:
        """Allow the peer to send on a stream up to ``offset``; never takes back."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.max_stream_data_local = max(stream.max_stream_data_local, offset)

    def allow_streams(self, count: int) -> None:
        """Let the peer have ``count`` more streams open at a time."""
        limit: Any = self._local_max_streams_bidi
        limit.value += count

    def adopt(self, stream_id: int, owner: object) -> None:
        """Attach ``owner`` to a stream that exists; it is forgotten with the stream."""
        receiver: Any = self._streams[stream_id].receiver
        receiver.owner = owner

    def owner_of(self, stream_id: int) -> Any:
        """What `adopt` attached, or ``None``."""
        stream = self._streams.get(stream_id)
        receiver: Any = stream.receiver if stream is not None else None
        return receiver.owner if receiver is not None else None

    def held_bytes(self) -> int:
        """Bytes kept of what the peer sent on streams: ahead of gaps, and in frames that are not whole."""
        held = 0
        for stream in self._streams.values():
            receiver: Any = stream.receiver
            held += receiver.held + (receiver.owner.held if receiver.owner is not None else 0)
        return held

    def has_stream(self, stream_id: int) -> bool:
        """Whether a stream exists and is not yet finished in both directions."""
        return stream_id in self._streams

    def unacknowledged(self, stream_id: int) -> int:
        """Bytes of a stream that are kept to be sent, or sent again."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        sender: Any = stream.sender
        return int(sender._buffer_stop - sender._buffer_start)  # noqa: SLF001

    def give_up(self, stream_id: int, code: int) -> None:
        """Reset our half of a stream, refuse the peer's, and free what was to be sent.

        A stream beyond the peer's limit must not be named by any frame: that one is given up when the limit lets it begin.
        """
        if self._streams[stream_id].is_blocked:
            self._given_up[stream_id] = code
        else:
            receiver: Any = self._streams[stream_id].receiver
            if receiver._stop_error_code is None:  # noqa: SLF001 - said once; a peer that repeats itself gets no answer each time
                self.stop_stream(stream_id, code)
            self.reset_stream(stream_id, code)
        self._release_unsent(stream_id)

    def _unblock_streams(self, is_unidirectional: bool) -> None:
        super()._unblock_streams(is_unidirectional)
        for stream_id in [each for each in self._given_up if not self._streams[each].is_blocked]:
            self.give_up(stream_id, self._given_up.pop(stream_id))

    def _release_unsent(self, stream_id: int) -> None:
        """Free what a stream had still to send; aioquic keeps it until the reset is acknowledged."""
        sender: Any = self._streams[stream_id].sender
        sender._buffer = bytearray()  # noqa: SLF001
        sender._buffer_start = sender._buffer_stop  # noqa: SLF001

    def end_sending(self, stream_id: int, code: int) -> None:
        """End our half of a stream of which the peer reads no more.

        What was not sent might wait for credit that never comes, and the stream with it: then the end is a reset with ``code``.
        """
        sender: Any = self._streams[stream_id].sender
        if sender._reset_error_code is None and sender.highest_offset == sender._buffer_stop:  # noqa: SLF001
            sender.write(b"", end_stream=True)
        else:
            self.reset_stream(stream_id, code)
            self._release_unsent(stream_id)

    def is_out_of_credit(self, stream_id: int) -> bool | None:
        """Whether a stream has bytes to send that the peer's credit does not cover; ``None`` where all were sent once."""
        stream = self._streams.get(stream_id)
        sender: Any = stream.sender if stream is not None else None
        if stream is None or stream_id in self._given_up or sender._reset_error_code is not None:  # noqa: SLF001
            return None
        if sender.highest_offset >= sender._buffer_stop:  # noqa: SLF001
            return None
        return stream.is_blocked or bool(sender.highest_offset >= stream.max_stream_data_remote)

    def open_streams(self) -> int:
        """Streams that are not finished in both directions."""
        return len(self._streams)

    # --- stateless reset

    def derive_reset_tokens(self, token_of: Callable[[bytes], bytes]) -> None:
        """From now on tell the peer tokens that follow from connection ids, in place of random ones; before the handshake."""
        self._token_of = token_of
        self._replenish_connection_ids()

    def _replenish_connection_ids(self) -> None:
        super()._replenish_connection_ids()
        if self._token_of is not None:
            for each in self._host_cids:
                if each.sequence_number or not self._is_client:  # a dialer's first id has none (RFC 9000 18.2)
                    each.stateless_reset_token = self._token_of(each.cid)

    def peer_reset_token(self) -> bytes:
        """What the peer's stateless reset would end in; empty where it told nothing of the id in use."""
        return self._peer_cid.stateless_reset_token

    def drain(self) -> None:
        """Send nothing any more: the peer does not know this connection."""
        self._set_state(QuicConnectionState.DRAINING)

    # --- the end

    def say_goodbye(self, code: int, text: str) -> None:
        """Close with a code of the application."""
        super().close(error_code=code, reason_phrase=text)

    def close(self, error_code: int = QuicErrorCode.NO_ERROR, frame_type: int | None = None, reason_phrase: str = "") -> None:
        """Close with a code of QUIC, as aioquic itself does. Where it could not read a frame's type it would call its code the application's."""
        super().close(error_code, QuicFrameType.PADDING if frame_type is None else frame_type, reason_phrase)

    def ending(self) -> Ending | None:
        """How the connection ended; at once, where aioquic's own event waits for the draining period."""
        event = self._close_event
        if event is None:
            return None
        kind = EndingKind.LOCAL
        if self._state is QuicConnectionState.DRAINING:
            kind = EndingKind.PEER
        elif self._state is QuicConnectionState.TERMINATED:
            kind = EndingKind.VERSION if "protocol version" in event.reason_phrase else EndingKind.SILENCE
        return Ending(kind, event.frame_type is None, int(event.error_code), event.reason_phrase)

    def dispose(self) -> None:
        """Drop everything, so that the object's reference cycles are gone before the collector runs. Nothing may follow."""
        logger, trace = self._configuration.quic_logger, self._quic_logger
        if logger is not None and trace is not None:
            self._quic_logger = None  # aioquic ends a trace only where it sees the connection terminated itself
            logger.end_trace(trace)
        for space in self._spaces.values():
            space.sent_packets.clear()
        loss: Any = self._loss
        for part in (getattr(self, "tls", None), loss._cc, loss, self):  # noqa: SLF001
            if part is not None:
                vars(part).clear()
