"""Who may begin a handshake: versions, address validation, limits by network group.

A first packet is cheap to send and its source address may be forged. It costs state
here only within the limits on pending handshakes; when many are pending, a source
must first prove with a Retry token that it hears us (RFC 9000 8.1).
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

from aioquic.quic.packet import QuicErrorCode, QuicPacketType, encode_quic_retry, encode_quic_version_negotiation
from aioquic.quic.retry import QuicRetryTokenHandler

from mina_p2p.address import address_group, parse_ip
from mina_p2p.record import Record, record
from mina_p2p_effects.transports.quic.aioquic_hooks import CONNECTION_ID_BYTES, VERSIONS, first_header, refusal
from mina_p2p_effects.transports.quic.config import QuicConfig

_DATAGRAM_BYTES_MIN = 1200
_CID_BYTES_MIN = 8


@record
class Admitted(Record):
    """A first packet that gets a connection."""

    original_cid: bytes
    """The destination that the client chose at first."""
    retry_cid: bytes | None
    """What our Retry named, where there was one."""
    group: str
    """Give it to `Admission.release` when the handshake is over."""


class Admission:
    """Decides about datagrams that belong to no connection."""

    def __init__(self, config: QuicConfig) -> None:
        self._config = config
        self._pending: Counter[str] = Counter()
        self._pending_total = 0
        self._tokens = QuicRetryTokenHandler()

    @property
    def pending(self) -> int:
        """Handshakes that were admitted and not released."""
        return self._pending_total

    def judge(self, data: bytes, address: Any, host: str, *, connections: int, now: float) -> Admitted | bytes | None:
        """Decide about a datagram.

        :param host: the numeric address of its source.
        :param connections: how many there are.
        :returns: an admission, which counts as pending until released; an answer to send back,
            never longer than ``data``; or nothing.
        """
        if len(data) < _DATAGRAM_BYTES_MIN or not data[0] & 0x80:
            return None  # no client begins so; and a reply could be made to serve as an amplifier
        header = first_header(data)
        if header is None or header.packet_type is QuicPacketType.VERSION_NEGOTIATION:
            return None
        version = header.version or 0
        if version not in VERSIONS:
            return encode_quic_version_negotiation(
                source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=VERSIONS
            )
        if header.packet_type is not QuicPacketType.INITIAL or len(header.destination_cid) < _CID_BYTES_MIN:
            return None

        def refuse(code: QuicErrorCode) -> bytes:
            return refusal(version=version, source_cid=header.destination_cid, destination_cid=header.source_cid, code=code)

        original_cid, retry_cid = header.destination_cid, None
        if header.token:
            try:
                original_cid = self._tokens.validate_token(
                    address=address, destination_cid=header.destination_cid, token=header.token, now=now
                )
            except ValueError:
                return refuse(QuicErrorCode.INVALID_TOKEN)
            retry_cid = header.destination_cid
        elif self._pending_total >= self._config.retry_above:
            retry_cid = secrets.token_bytes(CONNECTION_ID_BYTES)
            token = self._tokens.create_token(
                address=address, original_destination_connection_id=original_cid, retry_source_connection_id=retry_cid, now=now
            )
            return encode_quic_retry(
                version=version,
                source_cid=retry_cid,
                destination_cid=header.source_cid,
                original_destination_cid=original_cid,
                retry_token=token,
            )
        group = address_group(parse_ip(host), self._config.group_ipv4_bits, self._config.group_ipv6_bits)
        if (
            connections >= self._config.connections_max
            or self._pending_total >= self._config.handshakes_pending_max
            or self._pending[group] >= self._config.handshakes_pending_per_group_max
        ):
            return refuse(QuicErrorCode.CONNECTION_REFUSED)
        self._pending[group] += 1
        self._pending_total += 1
        return Admitted(original_cid, retry_cid, group)

    def release(self, group: str) -> None:
        """A pending handshake succeeded or failed."""
        self._pending_total -= 1
        self._pending[group] -= 1
        if not self._pending[group]:
            del self._pending[group]
