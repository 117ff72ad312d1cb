"""A node's status in Prometheus' text format.

Names follow those of the networking helper of OCaml nodes where the thing is the same (spec: operator-conventions A9), so that
existing dashboards show this node: ``Mina_libp2p_…`` although what carries the connections may be QUIC. What has no counterpart
there begins with ``mina_p2p_``. Needs the extra ``metrics``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p_effects.metrics.status import Status

HELPER = "Mina_libp2p_"


def require_extra() -> None:
    """Say what to install, where it is missing.

    :raises CallerError: with the command that installs it.
    """
    if find_spec("prometheus_client") is None:
        raise CallerError("metrics need the Prometheus client; install it with: pip install 'mina-p2p[metrics]'")


class Exposition:
    """Renders one status after another; rates are those since the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        require_extra()
        self._clock = clock
        self._last: tuple[float, int, int] | None = None

    def render(self, status: Status) -> bytes:
        """The text for one scrape."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - an extra
        from prometheus_client.registry import Collector  # noqa: PLC0415

        families = list(self._families(status))

        class Once(Collector):
            def collect(self) -> Iterator[Any]:
                return iter(families)

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Once())
        return generate_latest(registry)

    def _families(self, status: Status) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - an extra

        def gauge(name: str, text: str, value: float) -> Any:
            return GaugeMetricFamily(name, text, value=value)

        def counter(name: str, text: str, value: float) -> Any:
            return CounterMetricFamily(name, text, value=value)

        bytes_in = sum(each.total.bytes_in for each in status.traffic)
        bytes_out = sum(each.total.bytes_out for each in status.traffic)
        rate_in, rate_out = self._rates(bytes_in, bytes_out)
        yield counter(
            HELPER + "connections", "Connections begun, in both directions", sum(each.connections_total for each in status.traffic)
        )
        yield gauge(HELPER + "peer_count", "Peers this node knows", status.known_peers)
        yield gauge(HELPER + "connected_peer_count", "Peers with a ready connection", len(status.peers))
        yield gauge(HELPER + "total_bandwidth_in", "Bytes received in datagrams", bytes_in)
        yield gauge(HELPER + "total_bandwidth_out", "Bytes sent in datagrams", bytes_out)
        yield gauge(HELPER + "bandwidth_rate_in", "Bytes received in a second, since the last scrape", rate_in)
        yield gauge(HELPER + "bandwidth_rate_out", "Bytes sent in a second, since the last scrape", rate_out)
        trips = [row.rtt_ms / 1000 for row in status.peers if row.rtt_ms is not None]
        if trips:
            yield gauge(HELPER + "latency_min", "Least smoothed round trip over the peers, in seconds", min(trips))
            yield gauge(HELPER + "latency_max", "Greatest smoothed round trip over the peers, in seconds", max(trips))
            yield gauge(HELPER + "latency_avg", "Mean smoothed round trip over the peers, in seconds", sum(trips) / len(trips))
        totals = status.totals
        yield counter("mina_p2p_frame_bytes_in", "Bytes of frames received", totals.bytes_in)
        yield counter("mina_p2p_frame_bytes_out", "Bytes of frames sent", totals.bytes_out)
        yield counter("mina_p2p_permissions_granted", "Requests of this node, each a permission to answer", totals.permissions_granted)
        yield counter("mina_p2p_permissions_used", "Permissions that a peer used", totals.permissions_used)
        yield counter("mina_p2p_violations", "Connections ended for a violation of the protocol", totals.violations)
        yield gauge("mina_p2p_connections_open", "Connections and attempts", status.connections)
        yield gauge("mina_p2p_banned_peers", "Peers that are banned now", status.banned_peers)
        yield gauge("mina_p2p_uptime_seconds", "Since this node began", status.uptime_s)
        yield _labelled(CounterMetricFamily, "mina_p2p_items_received", "Items received", "channel", status.items_received)
        yield _labelled(GaugeMetricFamily, "mina_p2p_pool_items", "Items in a pool", "channel", status.pools)
        for field, (name, text) in _TRAFFIC.items():
            values = {each.transport.name.lower(): getattr(each.total, field) for each in status.traffic}
            yield _labelled(CounterMetricFamily, f"mina_p2p_transport_{name}", text, "transport", values)

    def _rates(self, bytes_in: int, bytes_out: int) -> tuple[float, float]:
        now = self._clock()
        last, self._last = self._last, (now, bytes_in, bytes_out)
        if last is None or now <= last[0]:
            return 0.0, 0.0
        return (bytes_in - last[1]) / (now - last[0]), (bytes_out - last[2]) / (now - last[0])


_TRAFFIC = {
    "datagrams_in": ("datagrams_in", "Datagrams received"),
    "datagrams_out": ("datagrams_out", "Datagrams sent"),
    "streams_opened": ("streams_opened", "Streams this node opened"),
    "streams_accepted": ("streams_accepted", "Streams that peers opened"),
    "packets_lost": ("packets_lost", "Packets found lost"),
    "credit_wait_s": ("credit_wait_seconds", "Time in which bytes waited for their peer's permission, over all connections"),
    "buffer_wait_s": ("buffer_wait_seconds", "Time in which answers were held back for a slow peer, over all connections"),
}
"""Fields of `Traffic` with their metric's name and description."""


def _labelled(kind: Any, name: str, text: str, label: str, values: Mapping[str, float]) -> Any:
    family = kind(name, text, labels=[label])
    for value_of, value in values.items():
        family.add_metric([value_of], value)
    return family
