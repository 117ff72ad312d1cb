"""A node's status as named figures: what Prometheus and OpenTelemetry are told.

Names follow those of the networking helper of OCaml nodes where the thing is the same (spec: operator-conventions A9), so that
existing dashboards show this node: ``Mina_libp2p_…`` whatever carries the connections. What has no counterpart
there begins with ``mina_p2p_``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from mina_p2p.record import Record, record
from mina_p2p_effects.metrics.status import Status

HELPER = "Mina_libp2p_"

_TRAFFIC = {
    "datagrams_in": ("datagrams_in", "Datagrams received"),
    "datagrams_out": ("datagrams_out", "Datagrams sent"),
    "streams_opened": ("streams_opened", "Streams this node opened"),
    "streams_accepted": ("streams_accepted", "Streams that peers opened"),
    "packets_lost": ("packets_lost", "Packets found lost"),
    "credit_wait_s": ("credit_wait_seconds", "Time in which bytes waited for their peer's permission, over all connections"),
    "buffer_wait_s": ("buffer_wait_seconds", "Time in which answers were held back for a slow peer, over all connections"),
}
"""Fields of `Traffic` with their figure's name and description."""


@record
class Figure(Record):
    """One figure, or one for each value of a label."""

    name: str
    """Without the ending ``_total`` that Prometheus gives to sums."""
    text: str
    is_sum: bool
    """Whether it only grows while the node runs; else it is a level."""
    label: str
    """What tells the values apart; empty where there is one value."""
    values: Mapping[str, float]


class Figures:
    """Makes figures of one status after another; rates are those since the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[float, int, int] | None = None

    def of(self, status: Status) -> Iterator[Figure]:
        """All figures of one moment."""
        bytes_in = sum(each.total.bytes_in for each in status.traffic)
        bytes_out = sum(each.total.bytes_out for each in status.traffic)
        rate_in, rate_out = self._rates(bytes_in, bytes_out)
        yield _sum(HELPER + "connections", "Connections begun, in both directions", sum(each.connections_total for each in status.traffic))
        yield _level(HELPER + "peer_count", "Peers this node knows", status.known_peers)
        yield _level(HELPER + "connected_peer_count", "Peers with a ready connection", len({row.peer_id for row in status.peers}))
        yield _level(HELPER + "total_bandwidth_in", "Bytes received, over UDP and TCP", bytes_in)
        yield _level(HELPER + "total_bandwidth_out", "Bytes sent, over UDP and TCP", bytes_out)
        yield _level(HELPER + "bandwidth_rate_in", "Bytes received in a second, since the last look", rate_in)
        yield _level(HELPER + "bandwidth_rate_out", "Bytes sent in a second, since the last look", rate_out)
        trips = [row.rtt_ms / 1000 for row in status.peers if row.rtt_ms is not None]
        if trips:
            yield _level(HELPER + "latency_min", "Least smoothed round trip over the peers, in seconds", min(trips))
            yield _level(HELPER + "latency_max", "Greatest smoothed round trip over the peers, in seconds", max(trips))
            yield _level(HELPER + "latency_avg", "Mean smoothed round trip over the peers, in seconds", sum(trips) / len(trips))
        totals = status.totals
        yield _sum("mina_p2p_frame_bytes_in", "Bytes of frames received", totals.bytes_in)
        yield _sum("mina_p2p_frame_bytes_out", "Bytes of frames sent", totals.bytes_out)
        yield _sum("mina_p2p_permissions_granted", "Requests of this node, each a permission to answer", totals.permissions_granted)
        yield _sum("mina_p2p_permissions_used", "Permissions that a peer used", totals.permissions_used)
        yield _sum("mina_p2p_violations", "Connections ended for a violation of the protocol", totals.violations)
        yield _level("mina_p2p_connections_open", "Connections and attempts", status.connections)
        yield _level("mina_p2p_banned_peers", "Peers that are banned now", status.banned_peers)
        yield _level("mina_p2p_uptime_seconds", "Since this node began", status.uptime_s)
        yield Figure("mina_p2p_items_received", "Items received", True, "channel", status.items_received)
        yield Figure("mina_p2p_pool_items", "Items in a pool", False, "channel", status.pools)
        peers: dict[str, set[str]] = {}
        for row in status.peers:
            peers.setdefault(row.transport, set()).add(row.peer_id)
        yield Figure(
            "mina_p2p_transport_peers", "Peers connected by a transport", False, "transport", {key: len(one) for key, one in peers.items()}
        )
        for field, (name, text) in _TRAFFIC.items():
            values = {each.transport.name.lower(): getattr(each.total, field) for each in status.traffic}
            yield Figure(f"mina_p2p_transport_{name}", text, True, "transport", values)

    def _rates(self, bytes_in: int, bytes_out: int) -> tuple[float, float]:
        now = self._clock()
        last, self._last = self._last, (now, bytes_in, bytes_out)
        if last is None or now <= last[0]:
            return 0.0, 0.0
        return (bytes_in - last[1]) / (now - last[0]), (bytes_out - last[2]) / (now - last[0])


def _sum(name: str, text: str, value: float) -> Figure:
    return Figure(name, text, True, "", {"": value})


def _level(name: str, text: str, value: float) -> Figure:
    return Figure(name, text, False, "", {"": value})
