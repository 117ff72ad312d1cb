"""What was sent and what became of it: pacing, acknowledgements, losses, the path and its datagram size.

aioquic paces single packets, which no timer keeps; believes acknowledgements of what was
never sent; remembers every packet of acknowledgements until it is acknowledged itself; and
does not probe for larger datagrams.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, NoReturn

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionError, QuicConnectionState
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicPacketType,
)
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder, QuicSentPacket

from mina_p2p_effects.transports.quic.aioquic_hooks.handshake import AuthenticatedQuic, Judge
from mina_p2p_effects.transports.quic.config import QuicConfig

_ONE_RTT: Final = tls.Epoch.ONE_RTT

_REMEMBERED_PACKETS: Final = 256
"""Sent packets without anything to repeat whose acknowledgement is still recognised."""


class RecoveringQuic(AuthenticatedQuic):
    """An authenticated connection that sends in bursts and trusts no acknowledgement blindly."""

    def __init__(
        self, configuration: QuicConfiguration, config: QuicConfig, judge: Judge, original_cid: bytes | None, retry_cid: bytes | None
    ) -> None:
        super().__init__(configuration, config, judge, original_cid, retry_cid)
        self._ack_delay = config.ack_delay_s
        self._until_skip = _skip_distance()
        self._forget_at = 2 * _REMEMBERED_PACKETS

    def has_heard(self) -> bool:
        """Whether any packet of the peer was genuine."""
        return self._state is not QuicConnectionState.FIRSTFLIGHT

    def silent_since(self) -> float | None:
        """When the idle time-out last began to run, and ``None`` before the first packet."""
        return None if self._close_at is None else self._close_at - self._idle_timeout()

    def idle_timeout(self) -> float:
        """The idle time-out both sides agreed on, in seconds."""
        return float(self._idle_timeout())

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
