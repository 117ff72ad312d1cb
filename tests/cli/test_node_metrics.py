"""A node's status as Prometheus reads it."""

from __future__ import annotations

import pytest

from mina_p2p.transport import TransportKind
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
