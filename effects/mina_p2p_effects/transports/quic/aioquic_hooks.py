"""All that this project needs of aioquic's inside, in one place.

aioquic has no public way to ask a client for its certificate, to judge a certificate
in the handshake, to set receive windows, or to learn of a close when it happens. It
grows receive windows by what has *arrived*, allocates the gap before data that came
early, and logs through handlers that may print. `PullQuicConnection` mends these by
overriding the methods named below. `missing_hooks` says what a version of aioquic
lacks; ``tests/quic/test_aioquic_contract.py`` pins down what each hook does. Nothing
else in the project touches a private name of aioquic.
"""

from __future__ import annotations

import dataclasses
import enum
import secrets
import ssl
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.buffer import encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionError, QuicConnectionState
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import StreamDataReceived, StreamReset
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    QuicProtocolVersion,
    QuicStreamFrame,
    pull_quic_header,
)
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder, QuicSentPacket
from aioquic.quic.stream import FinalSizeError, QuicStream, QuicStreamReceiver

from mina_p2p.record import Record, record
from mina_p2p_effects.transports.quic.budget import Budget
from mina_p2p_effects.transports.quic.certificate import CertificateError, OwnCertificate, read_certificate
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.qlog import QlogFolder
from mina_p2p_effects.transports.quic.reassembly import Reassembly, TooManyGapsError
from mina_p2p_effects.transports.quic.tickets import Tickets

CONNECTION_ID_BYTES: Final = 8
VERSIONS: Final = [int(QuicProtocolVersion.VERSION_1)]

ALERT_BAD_CERTIFICATE: Final = int(tls.AlertDescription.bad_certificate)
ALERT_CERTIFICATE_REQUIRED: Final = int(tls.AlertDescription.certificate_required)
ALERT_NO_APPLICATION_PROTOCOL: Final = int(tls.AlertDescription.no_application_protocol)

_UNLIMITED: Final = (1 << 62) - 1
_PARAMETER_MAX_UDP_PAYLOAD_SIZE: Final = b"\x03"
_UDP_PAYLOAD_BYTES_MAX: Final = 1472
"""Largest datagram taken, so that the socket need not provide for 64 KB ones."""

_ONE_RTT: Final = tls.Epoch.ONE_RTT

_REMEMBERED_PACKETS: Final = 256
"""Sent packets without anything to repeat whose acknowledgement is still recognised."""

_CONNECTION_METHODS: Final = (
    "_initialize", "_serialize_transport_parameters", "_get_or_create_stream", "_get_or_create_stream_for_send",
    "_write_connection_limits", "_write_stream_limits", "_on_connection_limit_delivery", "_on_max_stream_data_delivery",
    "_handle_ack_frame", "_flush_builder", "_idle_timeout", "_payload_received", "_unblock_streams",
)  # fmt: skip
_TLS_METHODS: Final = (
    "_client_handle_certificate_verify", "_server_expect_finished", "_server_handle_certificate", "_server_handle_certificate_verify", "_server_handle_hello", "_set_peer_certificate",
)  # fmt: skip
_CONNECTION_FIELDS: Final = (
    "_ack_delay", "_close_at", "_close_event", "_crypto_buffers", "_crypto_streams", "_cryptos", "_local_max_data",
    "_local_max_stream_data_bidi_local", "_local_max_stream_data_bidi_remote", "_local_max_stream_data_uni", "_local_max_streams_bidi",
    "_local_max_streams_uni", "_logger", "_loss", "_max_datagram_size", "_network_paths", "_pacing_at", "_packet_number", "_peer_cid", "_quic_logger", "_spaces",
    "_spin_bit", "_state", "_streams", "_version",
)  # fmt: skip
_TLS_FIELDS: Final = ("_peer_certificate", "_request_client_certificate", "_supported_groups", "alpn_negotiated", "session_resumed")


class PeerRefusedError(Exception):
    """Raised by a `Judge` to end the handshake with a TLS alert."""

    def __init__(self, alert: int, text: str) -> None:
        super().__init__(text)
        self.alert = alert


Judge: TypeAlias = Callable[[tuple[bytes, ...], str | None], None]
"""Gets the peer's certificates (DER) and the negotiated ALPN name once the peer has proved that it
holds the first one's key. Returns, or raises `PeerRefusedError`."""


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


def missing_hooks() -> list[str]:
    """What the installed aioquic lacks of what is needed here; empty where it fits."""
    found = [f"QuicConnection.{name}" for name in _CONNECTION_METHODS if not hasattr(QuicConnection, name)]
    if found:
        return found  # its constructor may fail without them
    connection: Any = QuicConnection(configuration=_configuration(QuicConfig(), "contract", None, is_client=True))
    context: Any = tls.Context(is_client=True)
    receiver: Any = QuicStreamReceiver(stream_id=0, readable=True)
    sender: Any = QuicStream(stream_id=0).sender
    found += [f"QuicConnection.{name}" for name in _CONNECTION_FIELDS if not hasattr(connection, name)]
    found += [f"tls.Context.{name}" for name in (*_TLS_METHODS, *_TLS_FIELDS) if not hasattr(context, name)]
    found += [
        f"QuicStreamReceiver.{name}"
        for name in ("_buffer_start", "_final_size", "_stop_error_code", "highest_offset")
        if not hasattr(receiver, name)
    ]
    found += [f"QuicStreamSender.{name}" for name in ("_buffer_start", "_buffer_stop", "_reset_error_code") if not hasattr(sender, name)]
    loss: Any = connection._loss  # noqa: SLF001 - this module is where private names are allowed
    found += [
        f"QuicPacketRecovery.{name}"
        for name in ("_cc", "_pto_count", "_rtt_initialized", "_rtt_min", "_rtt_smoothed", "_time_of_last_sent_ack_eliciting_packet")
        if not hasattr(loss, name)
    ]
    found += [f"QuicPacketPacer.{name}" for name in ("bucket_max", "_max_datagram_size") if not hasattr(loss._pacer, name)]  # noqa: SLF001
    return found


def first_header(data: bytes) -> QuicHeader | None:
    """The header of the first packet in a datagram, or ``None`` where it is none of QUIC's."""
    try:
        return pull_quic_header(Buffer(data=data), host_cid_length=CONNECTION_ID_BYTES)
    except ValueError:
        return None


def refusal(*, version: int, source_cid: bytes, destination_cid: bytes, code: int) -> bytes:
    """A datagram that ends an attempt for which no state exists (RFC 9000 8.1.3 and 10.2.3).

    :param source_cid: the destination of the Initial packet that is refused; its keys follow from it.
    :param destination_cid: that packet's source.
    """
    crypto = CryptoPair()
    crypto.setup_initial(cid=source_cid, is_client=False, version=version)
    builder = QuicPacketBuilder(host_cid=source_cid, is_client=False, max_datagram_size=1200, peer_cid=destination_cid, version=version)
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=32)
    for field in (code, int(QuicFrameType.PADDING), 0):
        frame.push_uint_var(field)
    return builder.flush()[0][0]


class _NoLogger:
    """Stands where aioquic expects a logger: this project prints nothing, and formatting would cost."""

    def debug(self, *_: object) -> None: ...

    info = warning = error = debug


_NO_LOGGER: Final = _NoLogger()


class _GaplessReceiver(QuicStreamReceiver):
    """The receiving half of a stream, whose early data costs what it weighs."""

    def __init__(self, stream_id: int | None, pieces_max: int, *, offset_max: int = _UNLIMITED) -> None:
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


def _configuration(
    config: QuicConfig, alpn: str, own: OwnCertificate | None, *, is_client: bool, qlog: QlogFolder | None = None
) -> QuicConfiguration:
    return QuicConfiguration(
        alpn_protocols=[alpn],
        cipher_suites=[tls.CipherSuite.AES_128_GCM_SHA256, tls.CipherSuite.AES_256_GCM_SHA384, tls.CipherSuite.CHACHA20_POLY1305_SHA256],
        congestion_control_algorithm=config.congestion_control,
        connection_id_length=CONNECTION_ID_BYTES,
        idle_timeout=config.idle_timeout_s,
        initial_rtt=config.initial_rtt_s,
        is_client=is_client,
        max_data=_UNLIMITED,
        max_datagram_size=config.datagram_bytes,
        quic_logger=qlog,
        supported_versions=VERSIONS,
        certificate=own.certificate if own else None,
        private_key=own.private_key if own else None,
        verify_mode=ssl.CERT_NONE,  # authorities prove nothing here: the judge decides, see `_initialize`
    )


class QuicProfile:
    """What all connections of one node share: our certificate, the ALPN name, limits, and what they hold together."""

    def __init__(self, config: QuicConfig, alpn: str, own: OwnCertificate) -> None:
        self.config = config
        self.alpn = alpn
        qlog = None
        if config.qlog_dir is not None:
            qlog = QlogFolder(config.qlog_dir, file_bytes_max=config.qlog_file_bytes_max, files_max=config.qlog_files_max)
        self.dialing = _configuration(config, alpn, own, is_client=True, qlog=qlog)
        self.listening = _configuration(config, alpn, own, is_client=False, qlog=qlog)
        self.sending = Budget(config.send_total_bytes_max)
        self.receiving = Budget(config.receive_total_bytes_max)

        self.tickets: Tickets | None = None
        """Where sessions are resumed: what they are resumed with."""
        if config.are_sessions_resumed:
            self.tickets = Tickets(
                lifetime_s=config.ticket_lifetime_s, tickets_max=config.tickets_max, per_peer_max=config.tickets_per_peer_max
            )

    def dial(self, judge: Judge) -> PullQuicConnection:
        """A connection that begins a handshake."""
        return PullQuicConnection(self.dialing, self.config, judge, None, None)

    def accept(self, judge: Judge, original_cid: bytes, retry_cid: bytes | None) -> PullQuicConnection:
        """A connection for a peer's first packet; ``retry_cid`` is what our Retry named, if there was one."""
        return PullQuicConnection(self.listening, self.config, judge, original_cid, retry_cid)


class PullQuicConnection(QuicConnection):
    """aioquic's connection, with authentication, credit and stream limits as design 6 wants them."""

    def __init__(
        self, configuration: QuicConfiguration, config: QuicConfig, judge: Judge, original_cid: bytes | None, retry_cid: bytes | None
    ) -> None:
        super().__init__(configuration=configuration, original_destination_connection_id=original_cid, retry_source_connection_id=retry_cid)
        self._config = config
        self._judge = judge
        self._peer_chain: tuple[bytes, ...] = ()
        self.is_judged = False
        """Whether the judge has seen the peer and let it pass. Without that nothing may be believed of the peer."""
        self._ack_delay = config.ack_delay_s
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
        self._until_skip = _skip_distance()
        self._forget_at = 2 * _REMEMBERED_PACKETS
        self._early_bytes = 0
        self._given_up: dict[int, int] = {}  # streams beyond the peer's limit that must not begin, with their codes

    # --- the handshake

    def take_tickets(self, redeem: Callable[[bytes], Any], handle: Callable[[Any], None]) -> None:
        """Resume sessions: a listener asks ``redeem`` for what a ticket's name stands for; ``handle`` gets each new ticket, given or received."""
        if not self._is_client:
            self._session_ticket_fetcher = redeem
        self._session_ticket_handler = handle

    def resume(self, session: Any) -> None:
        """Dial with a ticket; before `connect`."""
        self._configuration = dataclasses.replace(self._configuration, session_ticket=session)

    def is_resumed(self) -> bool:
        """Whether both sides proved that they share the secret of an earlier session; then no certificate was shown."""
        return bool(self.tls.session_resumed)

    def negotiated_alpn(self) -> str | None:
        """The common name of the protocol."""
        return self.tls.alpn_negotiated

    def _initialize(self, peer_cid: bytes) -> None:
        early = self._spaces.get(_ONE_RTT)
        if early is not None:
            # A Retry makes aioquic begin anew and forget what it had sent early: that is to be sent again.
            for packet in early.sent_packets.values():
                for handler, arguments in packet.delivery_handlers:
                    handler(QuicDeliveryState.LOST, *arguments)
            self._loss.discard_space(early)
        super()._initialize(peer_cid)
        context: Any = self.tls
        context._request_client_certificate = True  # noqa: SLF001
        context._set_peer_certificate = self._take_certificates  # noqa: SLF001
        if self._is_client:
            # One key share: the second costs a key generation, and every implementation has this one.
            context._supported_groups = [tls.Group.X25519]  # noqa: SLF001
            context._client_handle_certificate_verify = self._then_judge(context._client_handle_certificate_verify)  # noqa: SLF001
        else:
            context._server_handle_certificate = self._then_require(context._server_handle_certificate)  # noqa: SLF001
            context._server_handle_certificate_verify = self._then_judge(context._server_handle_certificate_verify)  # noqa: SLF001
            context._server_handle_hello = self._then_skip_certificate(context._server_handle_hello)  # noqa: SLF001
        for stream in self._crypto_streams.values():
            stream.receiver = _GaplessReceiver(None, self._config.gaps_max, offset_max=self._config.handshake_bytes_max)

    def _take_certificates(self, message: Any) -> None:
        """Read the peer's certificates as `verify_certificates` will, where aioquic would read any number and print warnings."""
        self._peer_chain = tuple(der for der, _ in message.certificates)
        context: Any = self.tls
        try:
            context._peer_certificate = read_certificate(self._peer_chain)  # noqa: SLF001
        except CertificateError as error:
            _alert(ALERT_BAD_CERTIFICATE, str(error))

    def _then_judge(self, handle: Callable[[Buffer], None]) -> Callable[[Buffer], None]:
        def handle_and_judge(input_buf: Buffer) -> None:
            handle(input_buf)
            context: Any = self.tls
            try:
                self._judge(self._peer_chain, context.alpn_negotiated)
            except PeerRefusedError as error:
                _alert(error.alert, str(error))
            self.is_judged = True

        return handle_and_judge

    def _then_require(self, handle: Callable[[Buffer], None]) -> Callable[[Buffer], None]:
        def handle_and_require(input_buf: Buffer) -> None:
            handle(input_buf)
            context: Any = self.tls
            if context._peer_certificate is None:  # noqa: SLF001
                _alert(ALERT_CERTIFICATE_REQUIRED, "this network authenticates both sides")

        return handle_and_require

    def _then_skip_certificate(self, handle: Callable[..., None]) -> Callable[..., None]:
        def handle_and_skip(*buffers: Buffer) -> None:
            handle(*buffers)
            context: Any = self.tls
            if context.session_resumed:
                # aioquic asks for no certificate where a session is resumed, and then waits for one.
                context._server_expect_finished()  # noqa: SLF001

        return handle_and_skip

    def _payload_received(self, context: Any, plain: bytes, crypto_frame_required: bool = False) -> tuple[bool, bool]:
        """As the base class; early data is counted, whatever it is."""
        if context.epoch is tls.Epoch.ZERO_RTT:
            self._early_bytes += len(plain)
            if self._early_bytes > self._config.early_bytes_max:
                raise QuicConnectionError(QuicErrorCode.PROTOCOL_VIOLATION, QuicFrameType.STREAM_BASE, "more early data than is taken")
        return super()._payload_received(context, plain, crypto_frame_required)

    def _serialize_transport_parameters(self) -> bytes:
        size = encode_uint_var(_UDP_PAYLOAD_BYTES_MAX)
        return super()._serialize_transport_parameters() + _PARAMETER_MAX_UDP_PAYLOAD_SIZE + encode_uint_var(len(size)) + size

    def release_handshake(self) -> None:
        """Free the 48 KiB of TLS output buffers; for a connection whose handshake is complete."""
        self._crypto_buffers = {}

    # --- credit and stream limits

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        return self._with_receiver(super()._get_or_create_stream(frame_type, stream_id))

    def _get_or_create_stream_for_send(self, stream_id: int) -> QuicStream:
        return self._with_receiver(super()._get_or_create_stream_for_send(stream_id))

    def _with_receiver(self, stream: QuicStream) -> QuicStream:
        if type(stream.receiver) is not _GaplessReceiver:
            stream.receiver = _GaplessReceiver(stream.stream_id, self._config.gaps_max)
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

    def has_heard(self) -> bool:
        """Whether any packet of the peer was genuine."""
        return self._state is not QuicConnectionState.FIRSTFLIGHT

    # --- the end

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

    # --- time

    def silent_since(self) -> float | None:
        """When the idle time-out last began to run, and ``None`` before the first packet."""
        return None if self._close_at is None else self._close_at - self._idle_timeout()

    def idle_timeout(self) -> float:
        """The idle time-out both sides agreed on, in seconds."""
        return float(self._idle_timeout())

    # --- what loss recovery knows

    def count_losses(self, count: Callable[[int], None]) -> None:
        """From now on call ``count`` with the number of packets found lost; congestion control hears of them at the same moment."""
        loss: Any = self._loss
        control: Any = loss._cc  # noqa: SLF001
        inherited = control.on_packets_lost

        def on_packets_lost(*, now: float, packets: Any) -> None:
            count(len(packets))
            inherited(now=now, packets=packets)

        control.on_packets_lost = on_packets_lost

    def round_trip(self) -> tuple[float, float] | None:
        """Smoothed and least round trip in seconds; ``None`` before the first sample."""
        loss: Any = self._loss
        return (float(loss._rtt_smoothed), float(loss._rtt_min)) if loss._rtt_initialized else None  # noqa: SLF001

    def flight(self) -> tuple[int, int]:
        """Congestion window and bytes in flight."""
        loss: Any = self._loss
        control: Any = loss._cc  # noqa: SLF001
        return int(control.congestion_window), int(control.bytes_in_flight)

    def open_streams(self) -> int:
        """Streams that are not finished in both directions."""
        return len(self._streams)

    # --- datagram size

    def is_path_validated(self) -> bool:
        """Whether the peer is known to hear what is sent to its present address."""
        return bool(self._network_paths) and self._network_paths[0].is_validated

    def probe_timeouts(self) -> int:
        """Consecutive probe time-outs (RFC 9002 6.2) without an acknowledgement."""
        loss: Any = self._loss
        return int(loss._pto_count)  # noqa: SLF001

    def set_datagram_size(self, size: int) -> None:
        """Send datagrams of up to ``size`` bytes from now on."""
        if size == self._max_datagram_size:
            return
        loss: Any = self._loss
        self._max_datagram_size = loss._pacer._max_datagram_size = loss._cc._max_datagram_size = size  # noqa: SLF001

    def path_probe(self, size: int, now: float, report: Callable[[bool], None]) -> list[tuple[bytes, Any]]:
        """A datagram of exactly ``size`` bytes, PING and padding; ``report`` learns whether it arrived.

        Its loss says something about its size, not about congestion, so it does not count as in flight.
        """

        def on_delivery(delivery: QuicDeliveryState) -> None:
            report(delivery is QuicDeliveryState.ACKED)

        path = self._network_paths[0]
        this: Any = self  # aioquic leaves this number without a type
        builder: Any = QuicPacketBuilder(
            host_cid=self.host_cid, is_client=self._is_client, max_datagram_size=size, packet_number=this._packet_number,  # noqa: SLF001
            peer_cid=self._peer_cid.cid, spin_bit=self._spin_bit, version=self._version or 0,
        )  # fmt: skip
        builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[_ONE_RTT])
        builder.start_frame(QuicFrameType.PING, 1, on_delivery)
        builder._datagram_needs_padding = True  # noqa: SLF001
        # Ending the packet here, where `_flush_builder` would, is what lets it be marked before it is registered.
        builder._end_packet()  # noqa: SLF001
        builder._packets[0].in_flight = False  # noqa: SLF001
        loss: Any = self._loss
        loss._time_of_last_sent_ack_eliciting_packet = now  # noqa: SLF001
        return self._flush_builder(builder=builder, network_path=path, peer_cid=self._peer_cid.cid, now=now)

    # --- pacing, and acknowledgements of what was never sent

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """As the base class; in bursts that a timer can keep, and now and then a packet number is left out (RFC 9000 21.4)."""
        datagrams = super().datagrams_to_send(now)
        if self._pacing_at is not None:
            self._pacing_at = max(self._pacing_at, now + self._config.pacing_burst_s / 2)
        self._until_skip -= len(datagrams)
        if self._until_skip < 0 and self._state is QuicConnectionState.CONNECTED and self._handshake_confirmed:
            self._until_skip = _skip_distance()
            self._spaces[_ONE_RTT].sent_packets[self._packet_number] = QuicSentPacket(
                epoch=_ONE_RTT, in_flight=False, is_ack_eliciting=False, is_crypto_packet=False, packet_number=self._packet_number,
                packet_type=QuicPacketType.ONE_RTT, sent_time=now, delivery_handlers=[(_on_skipped, ())],
            )  # fmt: skip
            self._packet_number += 1
        if _ONE_RTT in self._spaces and len(self._spaces[_ONE_RTT].sent_packets) > self._forget_at:
            self._forget_acknowledgements()
        return datagrams

    def _forget_acknowledgements(self) -> None:
        """Forget old packets that carry nothing to be repeated. A peer that never acknowledges would make aioquic keep one for each of its own."""
        sent = self._spaces[_ONE_RTT].sent_packets
        idle = [number for number, packet in sent.items() if not packet.in_flight]
        for number in idle[:-_REMEMBERED_PACKETS]:
            del sent[number]
        self._forget_at = len(sent) + _REMEMBERED_PACKETS

    def _handle_ack_frame(self, context: Any, frame_type: int, buf: Buffer) -> None:
        super()._handle_ack_frame(context, frame_type, buf)
        loss: Any = self._loss
        loss._pacer.bucket_max = max(loss._pacer.bucket_max, self._config.pacing_burst_s)  # noqa: SLF001
        this: Any = self
        if self._spaces[context.epoch].largest_acked_packet >= this._packet_number:  # noqa: SLF001
            _refuse_acknowledgement()


def _on_skipped(delivery: QuicDeliveryState) -> None:
    if delivery is QuicDeliveryState.ACKED:
        _refuse_acknowledgement()


def _refuse_acknowledgement() -> NoReturn:
    raise QuicConnectionError(QuicErrorCode.PROTOCOL_VIOLATION, QuicFrameType.ACK, "acknowledgement of a packet that was not sent")


def _skip_distance() -> int:
    """Packets until the next number is left out: often enough to matter, not to be foreseen."""
    return 64 + secrets.randbelow(192)


def _alert(description: int, text: str) -> NoReturn:
    alert = tls.Alert(text)
    alert.description = tls.AlertDescription(description)
    raise alert
