"""What a node's connections carry, as snapshots: bytes, streams, round trips, losses, waits.

A transport that counts offers ``traffic()`` (`TrafficSource`). Reading it changes nothing and
costs a walk over the live connections. It is for people and dashboards: nothing here enters the
state or the log, because no decision rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p.record import Record, record
from mina_p2p.transport import SocketAddress, TransportKind


@record
class Traffic(Record):
    """Sums from a beginning on, of one connection or of many. Bytes are those of datagrams, without IP and UDP headers."""

    bytes_in: int = 0
    bytes_out: int = 0
    datagrams_in: int = 0
    datagrams_out: int = 0
    streams_opened: int = 0
    """By this node: requests, and the control stream of a dialer."""
    streams_accepted: int = 0
    """By the peer."""
    packets_lost: int = 0
    """Of ours, as loss detection sees it; some of them may have arrived late."""
    credit_wait_s: float = 0.0
    """Time in which bytes waited for the peer's permission (credit) on at least one stream."""
    buffer_wait_s: float = 0.0
    """Time above the high watermark of unacknowledged bytes, when answers are held back."""

    def plus(self, other: Traffic) -> Traffic:
        """Both together."""
        return Traffic(
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            self.datagrams_in + other.datagrams_in,
            self.datagrams_out + other.datagrams_out,
            self.streams_opened + other.streams_opened,
            self.streams_accepted + other.streams_accepted,
            self.packets_lost + other.packets_lost,
            self.credit_wait_s + other.credit_wait_s,
            self.buffer_wait_s + other.buffer_wait_s,
        )


@record
class ConnectionTraffic(Record):
    """One live connection."""

    connection_id: ConnectionId | None
    """Nothing for an arrival that was not accepted yet."""
    peer_id: PeerId | None
    """Nothing before it is authenticated."""
    remote: SocketAddress
    is_dialer: bool
    total: Traffic
    streams_open: int
    """Now, of both sides; each parked permission is one."""
    rtt_s: float | None
    """Smoothed round trip in seconds; nothing before the first sample."""
    rtt_min_s: float | None
    window_bytes: int
    """What congestion control lets be on its way."""
    in_flight_bytes: int
    datagram_bytes: int
    """Largest datagram in use on the path."""


@record
class TransportTraffic(Record):
    """One transport: all connections it ever had, and those it has."""

    transport: TransportKind
    total: Traffic
    connections_total: int
    """Handshakes begun, in both directions."""
    connections: tuple[ConnectionTraffic, ...]
    """The live ones, oldest first."""


@record
class TrafficReported(Record):
    """A notification of the runtime, not of the reducer: what the transports have counted so far."""

    transports: tuple[TransportTraffic, ...]


@runtime_checkable
class TrafficSource(Protocol):
    """A transport that counts."""

    def traffic(self) -> TransportTraffic:
        """What it has counted so far."""
        ...


def traffic_of(transports: Iterable[object]) -> tuple[TransportTraffic, ...]:
    """Snapshots of those transports that count, in their order."""
    return tuple(transport.traffic() for transport in transports if isinstance(transport, TrafficSource))
