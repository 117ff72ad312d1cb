"""A node's status as Prometheus reads it."""

from __future__ import annotations

import io
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from rich.console import Console

from mina_p2p.errors import CallerError
from mina_p2p.transport import TransportKind
from mina_p2p_effects.cli.node.screen import ROWS_MAX, duration, screen, size
from mina_p2p_effects.metrics import opentelemetry, prometheus
from mina_p2p_effects.metrics.meter import Totals
from mina_p2p_effects.metrics.prometheus import Exposition
from mina_p2p_effects.metrics.status import PeerRow, Status, status_json
from mina_p2p_effects.metrics.traffic import Traffic, TransportTraffic


def status(bytes_in: int, *, rtts: tuple[float | None, ...] = ()) -> Status:
    traffic = Traffic(bytes_in=bytes_in, bytes_out=2 * bytes_in, packets_lost=3, credit_wait_s=1.5)
    rows = tuple(
        PeerRow(peer_id=f"peer {number}", remote="", incoming=False, transport="quic", agent="", connected_s=1.0, rtt_ms=rtt)
        for number, rtt in enumerate(rtts)
    )
    return Status(
        peer_id="2a", network="mainnet", addresses=(), uptime_s=5.0, known_peers=7, banned_peers=1, connections=4, peers=rows,
        pools={"transaction": 9}, best_tip=None, items_received={"snark": 2}, totals=Totals(permissions_granted=11),
        traffic=(TransportTraffic(TransportKind.QUIC, traffic, 6, ()),),
    )  # fmt: skip


def values(text: bytes) -> dict[str, float]:
    lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_every_figure_has_its_name() -> None:
    """The helper's names where the thing is the same, ours for the rest."""
    pytest.importorskip("prometheus_client", reason="needs the extra: metrics")
    found = values(Exposition(lambda: 0.0).render(status(500, rtts=(10.0, None, 30.0))))
    assert found["Mina_libp2p_connections_total"] == 6
    assert found["Mina_libp2p_peer_count"] == 7
    assert found["Mina_libp2p_connected_peer_count"] == 3
    assert found["Mina_libp2p_total_bandwidth_in"] == 500
    assert found["Mina_libp2p_total_bandwidth_out"] == 1000
    assert (found["Mina_libp2p_latency_min"], found["Mina_libp2p_latency_avg"], found["Mina_libp2p_latency_max"]) == (0.01, 0.02, 0.03)
    assert found["mina_p2p_permissions_granted_total"] == 11
    assert found['mina_p2p_pool_items{channel="transaction"}'] == 9
    assert found['mina_p2p_items_received_total{channel="snark"}'] == 2
    assert found['mina_p2p_transport_packets_lost_total{transport="quic"}'] == 3
    assert found['mina_p2p_transport_credit_wait_seconds_total{transport="quic"}'] == 1.5


def test_rates_are_those_since_the_last_scrape() -> None:
    """The first scrape has none to tell."""
    pytest.importorskip("prometheus_client", reason="needs the extra: metrics")
    times = iter((100.0, 110.0, 110.0))
    exposition = Exposition(lambda: next(times))
    assert values(exposition.render(status(500)))["Mina_libp2p_bandwidth_rate_in"] == 0
    second = values(exposition.render(status(1500)))
    assert second["Mina_libp2p_bandwidth_rate_in"] == 100
    assert second["Mina_libp2p_bandwidth_rate_out"] == 200
    assert values(exposition.render(status(9000)))["Mina_libp2p_bandwidth_rate_in"] == 0


def test_latency_is_not_invented() -> None:
    """Without a round trip there is no figure, rather than a zero."""
    pytest.importorskip("prometheus_client", reason="needs the extra: metrics")
    assert not any("latency" in name for name in values(Exposition(lambda: 0.0).render(status(0))))


def test_the_json_form_has_the_sums_of_each_transport() -> None:
    """Peers are listed once, with the peers."""
    value = status_json(status(500, rtts=(10.0,)))
    assert value["traffic"]["quic"]["bytes_in"] == 500
    assert value["traffic"]["quic"]["connections_total"] == 6
    assert value["peers"][0]["rtt_ms"] == 10.0
    assert value["totals"]["permissions_granted"] == 11


@pytest.mark.parametrize("module", [opentelemetry, prometheus])
def test_a_missing_extra_is_named(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(CallerError, match=r"pip install 'mina-p2p\[metrics\]'"):
        module.require_extra()


def test_a_collector_gets_the_same_figures() -> None:
    """OTLP over HTTP: what was given last is sent at the end at the latest, with labels, and under the same names in lower case, as names are there."""
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra: metrics")
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    from mina_p2p_effects.metrics.opentelemetry import OtlpExport

    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(zlib.decompress(body, 31) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    serving = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        with OtlpExport(f"http://127.0.0.1:{serving.server_address[1]}/v1/metrics", every_s=3600, peer_id="2a") as export:
            export.update(status(500))
            export.update(status(700, rtts=(10.0,)))
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join()
    found: dict[tuple[str, str], float] = {}
    request = ExportMetricsServiceRequest.FromString(bodies[-1])
    (resource,) = request.resource_metrics
    assert "2a" in {each.value.string_value for each in resource.resource.attributes if each.key == "service.instance.id"}
    for metric in resource.scope_metrics[0].metrics:
        points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
        for point in points:
            label = point.attributes[0].value.string_value if point.attributes else ""
            found[metric.name, label] = point.as_int if point.HasField("as_int") else point.as_double
    assert found["mina_libp2p_total_bandwidth_in", ""] == 700
    assert found["mina_libp2p_latency_avg", ""] == 0.01
    assert found["mina_p2p_pool_items", "transaction"] == 9
    assert found["mina_p2p_transport_packets_lost", "quic"] == 3


def test_the_screen_shows_every_peer_or_says_how_many_more() -> None:
    """Rows up to a screenful; figures that a transport does not count stay empty; sizes and times have units."""
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(screen(status(1_234_567, rtts=(10.0, None, *[1.0] * ROWS_MAX))))
    text = console.export_text()
    assert sum(line.startswith("│ peer ") for line in text.splitlines()) == ROWS_MAX
    assert "and 2 more" in text
    assert "received 1.2 MB" in text
    assert "10.0" in text
    assert "up 0:00:05" in text
    assert [size(count) for count in (None, 0, 999, 1000, 5_400_000_000_000)] == ["", "0 B", "999 B", "1.0 kB", "5400.0 GB"]
    assert duration(3723.9) == "1:02:03"
