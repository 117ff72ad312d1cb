"""Which versions of aioquic fit: every private name that is used here, and a check that it exists.

What each of them must do is pinned down by ``tests/quic/test_aioquic_contract.py``.
"""

from __future__ import annotations

from typing import Any, Final

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.stream import QuicStream, QuicStreamReceiver

REQUIREMENT: Final = "aioquic>=1.7,<2"
"""The versions that fit, as pyproject.toml declares them."""


_CONNECTION_METHODS: Final = (
    "_initialize", "_serialize_transport_parameters", "_get_or_create_stream", "_get_or_create_stream_for_send",
    "_write_connection_limits", "_write_stream_limits", "_on_connection_limit_delivery", "_on_max_stream_data_delivery",
    "_handle_ack_frame", "_flush_builder", "_idle_timeout", "_payload_received", "_replenish_connection_ids", "_set_state", "_unblock_streams",
)  # fmt: skip

_TLS_METHODS: Final = (
    "_client_handle_certificate_verify", "_server_expect_finished", "_server_handle_certificate", "_server_handle_certificate_verify", "_server_handle_hello", "_set_peer_certificate",
)  # fmt: skip

_CONNECTION_FIELDS: Final = (
    "_ack_delay", "_close_at", "_close_event", "_crypto_buffers", "_crypto_streams", "_cryptos", "_host_cids", "_local_max_data",
    "_local_max_stream_data_bidi_local", "_local_max_stream_data_bidi_remote", "_local_max_stream_data_uni", "_local_max_streams_bidi",
    "_local_max_streams_uni", "_logger", "_loss", "_max_datagram_size", "_network_paths", "_pacing_at", "_packet_number", "_peer_cid", "_quic_logger", "_spaces",
    "_spin_bit", "_state", "_streams", "_version",
)  # fmt: skip

_TLS_FIELDS: Final = ("_peer_certificate", "_request_client_certificate", "_supported_groups", "alpn_negotiated", "session_resumed")


def missing_hooks() -> list[str]:
    """What the installed aioquic lacks of what is needed here; empty where it fits."""
    found = [f"QuicConnection.{name}" for name in _CONNECTION_METHODS if not hasattr(QuicConnection, name)]
    if found:
        return found  # its constructor may fail without them
    connection: Any = QuicConnection(configuration=QuicConfiguration(is_client=True))
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
