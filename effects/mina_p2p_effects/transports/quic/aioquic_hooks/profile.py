"""What all connections of one node have in common."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration

from mina_p2p_effects.transports.quic.aioquic_hooks.connection import PullQuicConnection
from mina_p2p_effects.transports.quic.aioquic_hooks.handshake import Judge
from mina_p2p_effects.transports.quic.aioquic_hooks.packets import CONNECTION_ID_BYTES, VERSIONS
from mina_p2p_effects.transports.quic.aioquic_hooks.receiver import UNLIMITED
from mina_p2p_effects.transports.quic.budget import Budget
from mina_p2p_effects.transports.quic.certificate import OwnCertificate
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.qlog import QlogFolder
from mina_p2p_effects.transports.quic.tickets import Tickets


class QuicProfile:
    """What all connections of one node share: our certificate, the ALPN name, limits, and what they hold together."""

    def __init__(self, config: QuicConfig, alpn: str, own: OwnCertificate, reset_token: Callable[[bytes], bytes] | None = None) -> None:
        self.config = config
        self._reset_token = reset_token
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
        return self._named(PullQuicConnection(self.dialing, self.config, judge, None, None))

    def accept(self, judge: Judge, original_cid: bytes, retry_cid: bytes | None) -> PullQuicConnection:
        """A connection for a peer's first packet; ``retry_cid`` is what our Retry named, if there was one."""
        return self._named(PullQuicConnection(self.listening, self.config, judge, original_cid, retry_cid))

    def _named(self, connection: PullQuicConnection) -> PullQuicConnection:
        if self._reset_token is not None:
            connection.derive_reset_tokens(self._reset_token)
        return connection


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
        max_data=UNLIMITED,
        max_datagram_size=config.datagram_bytes,
        quic_logger=qlog,
        supported_versions=VERSIONS,
        certificate=own.certificate if own else None,
        private_key=own.private_key if own else None,
        verify_mode=ssl.CERT_NONE,  # authorities prove nothing here: the judge decides, see `_initialize`
    )
