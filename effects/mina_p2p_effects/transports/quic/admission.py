"""Who may begin a handshake: versions, address validation, limits by network group.

A first packet is cheap to send and its source address may be forged. So there are two
gates. Through the narrow one come handshakes whose address nobody has proved; what does not
pass it must first prove with a Retry token that it hears us (RFC 9000 8.1), which costs no
state here. Proved addresses come through the wide one, where a forger can take no place.
Each gate limits a network group and all together, pending handshakes and their rate.
"""

from __future__ import annotations

import math
import secrets
from typing import Any

from aioquic.quic.packet import QuicErrorCode, QuicPacketType, encode_quic_retry, encode_quic_version_negotiation
from aioquic.quic.retry import QuicRetryTokenHandler

from mina_p2p.address import HostScope, address_group, host_scope, parse_ip
from mina_p2p.record import Record, record
from mina_p2p_effects.transports.quic.aioquic_hooks import CONNECTION_ID_BYTES, VERSIONS, first_header, refusal
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.gate import Gate, Limits

_DATAGRAM_BYTES_MIN = 1200
_CID_BYTES_MIN = 8


@record
class Admitted(Record):
    """A first packet that gets a connection."""

    original_cid: bytes
    """The destination that the client chose at first."""
    retry_cid: bytes | None
    """What our Retry named, where there was one."""
    number: int
    """Give it to `Admission.release` when the handshake is over."""
    gives_way: int | None
    """The pending handshake that is to end for this one, see `Gate.enter`."""


class Admission:
    """Decides about datagrams that belong to no connection."""

    def __init__(self, config: QuicConfig) -> None:
        self._config = config
        rate, burst = float(config.handshakes_per_second_max), config.handshakes_burst_max
        self._unproved = Gate(Limits(config.retry_above, config.retry_per_group_above, rate, burst, math.inf))
        self._proved = Gate(
            Limits(config.handshakes_pending_max, config.handshakes_pending_per_group_max, rate, burst, config.handshake_patience_s)
        )
        self._number = 0
        self._tokens = QuicRetryTokenHandler()

    @property
    def pending(self) -> int:
        """Handshakes that were admitted and not released."""
        return len(self._unproved) + len(self._proved)

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

        if connections >= self._config.connections_max:
            return refuse(QuicErrorCode.CONNECTION_REFUSED)
        ip = parse_ip(host)
        group = address_group(ip, self._config.group_ipv4_bits, self._config.group_ipv6_bits)
        is_rated = host_scope(ip) is not HostScope.LOOPBACK
        self._number += 1
        if header.token:
            try:
                original_cid = self._tokens.validate_token(
                    address=address, destination_cid=header.destination_cid, token=header.token, now=now
                )
            except ValueError:
                return refuse(QuicErrorCode.INVALID_TOKEN)
            entered = self._proved.enter(self._number, group, now, is_rated=is_rated)
            if entered is None:
                return refuse(QuicErrorCode.CONNECTION_REFUSED)
            return Admitted(original_cid, header.destination_cid, self._number, entered.gives_way)
        entered = self._unproved.enter(self._number, group, now, is_rated=is_rated)
        if entered is None:
            retry_cid = secrets.token_bytes(CONNECTION_ID_BYTES)
            token = self._tokens.create_token(
                address=address, original_destination_connection_id=header.destination_cid, retry_source_connection_id=retry_cid, now=now
            )
            return encode_quic_retry(
                version=version,
                source_cid=retry_cid,
                destination_cid=header.source_cid,
                original_destination_cid=header.destination_cid,
                retry_token=token,
            )
        return Admitted(header.destination_cid, None, self._number, entered.gives_way)

    def release(self, number: int) -> None:
        """A pending handshake succeeded or failed."""
        self._unproved.leave(number)
        self._proved.leave(number)
