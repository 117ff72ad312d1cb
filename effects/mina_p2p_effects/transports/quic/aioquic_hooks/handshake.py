"""The handshake: both sides show certificates and are judged inside it, or resume a session.

aioquic has no public way to ask a client for its certificate, nor to judge a certificate
in the handshake, and waits for one where a session is resumed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.buffer import encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionError
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
)
from aioquic.quic.packet_builder import QuicDeliveryState

from mina_p2p_effects.transports.quic.aioquic_hooks.receiver import GaplessReceiver
from mina_p2p_effects.transports.quic.certificate import CertificateError, read_certificate
from mina_p2p_effects.transports.quic.config import QuicConfig

ALERT_BAD_CERTIFICATE: Final = int(tls.AlertDescription.bad_certificate)

ALERT_CERTIFICATE_REQUIRED: Final = int(tls.AlertDescription.certificate_required)

ALERT_NO_APPLICATION_PROTOCOL: Final = int(tls.AlertDescription.no_application_protocol)


_PARAMETER_MAX_UDP_PAYLOAD_SIZE: Final = b"\x03"

_UDP_PAYLOAD_BYTES_MAX: Final = 1472
"""Largest datagram taken, so that the socket need not provide for 64 KB ones."""

_ONE_RTT: Final = tls.Epoch.ONE_RTT


class PeerRefusedError(Exception):
    """Raised by a `Judge` to end the handshake with a TLS alert."""

    def __init__(self, alert: int, text: str) -> None:
        super().__init__(text)
        self.alert = alert


Judge: TypeAlias = Callable[[tuple[bytes, ...], str | None], None]
"""Gets the peer's certificates (DER) and the negotiated ALPN name once the peer has proved that it
holds the first one's key. Returns, or raises `PeerRefusedError`."""


class AuthenticatedQuic(QuicConnection):
    """aioquic's connection, whose peer is authenticated by our own code."""

    def __init__(
        self, configuration: QuicConfiguration, config: QuicConfig, judge: Judge, original_cid: bytes | None, retry_cid: bytes | None
    ) -> None:
        super().__init__(configuration=configuration, original_destination_connection_id=original_cid, retry_source_connection_id=retry_cid)
        self._config = config
        self._judge = judge
        self._peer_chain: tuple[bytes, ...] = ()
        self._early_bytes = 0
        self.is_judged = False
        """Whether the judge has seen the peer and let it pass. Without that, or `is_resumed`, nothing may be believed of the peer."""

    def take_tickets(self, redeem: Callable[[bytes], Any], handle: Callable[[Any], None]) -> None:
        """Resume sessions: a listener asks ``redeem`` for what a ticket's name stands for; ``handle`` gets each new ticket, given or received."""
        if not self._is_client:
            self._session_ticket_fetcher = redeem
            this: Any = self
            this._payload_received = self._count_early  # noqa: SLF001 - where no ticket is taken there is no early data, and no packet pays for this
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
            stream.receiver = GaplessReceiver(None, self._config.gaps_max, offset_max=self._config.handshake_bytes_max)

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

    def _count_early(self, context: Any, plain: bytes, crypto_frame_required: bool = False) -> tuple[bool, bool]:
        """In place of `_payload_received`: early data is counted, whatever it is."""
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


def _alert(description: int, text: str) -> NoReturn:
    alert = tls.Alert(text)
    alert.description = tls.AlertDescription(description)
    raise alert
