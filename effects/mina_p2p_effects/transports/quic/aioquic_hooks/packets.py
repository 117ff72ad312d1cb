"""Single packets, without a connection: what a first one says, and how one is refused."""

from __future__ import annotations

from typing import Final

from aioquic._buffer import Buffer
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    QuicProtocolVersion,
    pull_quic_header,
)
from aioquic.quic.packet_builder import QuicPacketBuilder

CONNECTION_ID_BYTES: Final = 8

VERSIONS: Final = [int(QuicProtocolVersion.VERSION_1)]


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
