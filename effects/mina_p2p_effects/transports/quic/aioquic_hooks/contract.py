"""Which versions of aioquic fit: every private name that is used here, and a check that it exists.

What each of them must do is pinned down by ``tests/quic/test_aioquic_contract.py``, which
also finds a name that is used and not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionId, QuicNetworkPath
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.stream import QuicStream

REQUIREMENT: Final = "aioquic>=1.7,<2"
"""The versions that fit, as pyproject.toml declares them."""

_OVERRIDDEN: Final = (
    "_flush_builder", "_get_or_create_stream", "_get_or_create_stream_for_send", "_handle_ack_frame", "_idle_timeout", "_initialize",
    "_on_connection_limit_delivery", "_on_max_stream_data_delivery", "_payload_received", "_replenish_connection_ids",
    "_serialize_transport_parameters", "_set_state", "_unblock_streams", "_write_connection_limits", "_write_stream_limits",
)  # fmt: skip
"""Methods of the connection that are overridden or called."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "QuicConnection": (
        "_ack_delay", "_close_at", "_close_event", "_configuration", "_crypto_buffers", "_crypto_streams", "_cryptos", "_handshake_confirmed",
        "_host_cids", "_is_client", "_local_max_data", "_local_max_stream_data_bidi_local", "_local_max_stream_data_bidi_remote",
        "_local_max_stream_data_uni", "_local_max_streams_bidi", "_local_max_streams_uni", "_logger", "_loss", "_max_datagram_size",
        "_network_paths", "_pacing_at", "_packet_number", "_peer_cid", "_quic_logger", "_session_ticket_fetcher", "_session_ticket_handler",
        "_spaces", "_spin_bit", "_state", "_streams", "_version",
    ),
    "tls.Context": (
        "_client_handle_certificate_verify", "_peer_certificate", "_request_client_certificate", "_server_expect_finished",
        "_server_handle_certificate", "_server_handle_certificate_verify", "_server_handle_hello", "_set_peer_certificate",
        "_supported_groups", "alpn_negotiated", "session_resumed",
    ),
    "QuicStreamReceiver": ("_buffer_start", "_final_size", "_stop_error_code", "_stream_id", "highest_offset", "is_finished"),
    "QuicStreamSender": ("_buffer", "_buffer_start", "_buffer_stop", "_reset_error_code", "highest_offset"),
    "QuicPacketRecovery": (
        "_cc", "_pacer", "_pto_count", "_rtt_initialized", "_rtt_min", "_rtt_smoothed", "_time_of_last_sent_ack_eliciting_packet",
        "discard_space",
    ),
    "QuicPacketPacer": ("_max_datagram_size", "bucket_max"),
    "QuicCongestionControl": ("_max_datagram_size", "bytes_in_flight", "congestion_window", "on_packets_lost"),
    "QuicPacketBuilder": ("_datagram_needs_padding", "_end_packet", "_packets"),
    "QuicNetworkPath": ("addr", "is_validated"),
    "QuicConnectionId": ("cid", "sequence_number", "stateless_reset_token"),
})  # fmt: skip
"""What is used of each of aioquic's classes beyond its documented interface."""


def missing_hooks() -> list[str]:
    """What the installed aioquic lacks of what is needed here; empty where it fits."""
    missing = [f"QuicConnection.{name}" for name in _OVERRIDDEN if not hasattr(QuicConnection, name)]
    if missing:
        return missing  # its constructor may fail without them
    connection: Any = QuicConnection(configuration=QuicConfiguration(is_client=True))
    stream: Any = QuicStream(stream_id=0)
    recovery: Any = connection._loss  # noqa: SLF001 - this package is where private names are allowed
    samples: dict[str, Any] = {
        "QuicConnection": connection,
        "tls.Context": tls.Context(is_client=True),
        "QuicStreamReceiver": stream.receiver,
        "QuicStreamSender": stream.sender,
        "QuicPacketRecovery": recovery,
        "QuicPacketPacer": getattr(recovery, "_pacer", None),
        "QuicCongestionControl": getattr(recovery, "_cc", None),
        "QuicPacketBuilder": QuicPacketBuilder(host_cid=b"", peer_cid=b"", version=1, is_client=True, max_datagram_size=1200),
        "QuicNetworkPath": QuicNetworkPath(("", 0)),
        "QuicConnectionId": QuicConnectionId(cid=b"", sequence_number=0),
    }
    return [f"{owner}.{name}" for owner, names in NEEDED.items() for name in names if not hasattr(samples[owner], name)]
