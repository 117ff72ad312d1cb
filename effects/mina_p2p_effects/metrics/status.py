"""What a node is doing at one moment, as one record: the source of screen, JSON lines and metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from mina_p2p.address import DialAddress
from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.peer.state import Banned
from mina_p2p.record import field_names
from mina_p2p_effects.metrics.meter import Totals
from mina_p2p_effects.metrics.traffic import Traffic, TransportTraffic
from mina_p2p_effects.node import Node


@attrs.frozen(kw_only=True)
class PeerRow:
    """One ready connection, with what its transport counted where it counts."""

    peer_id: str
    remote: str
    incoming: bool
    transport: str
    agent: str
    connected_s: float
    bytes_in: int | None = None
    bytes_out: int | None = None
    streams_open: int | None = None
    rtt_ms: float | None = None
    packets_lost: int | None = None
    credit_wait_s: float | None = None
    buffer_wait_s: float | None = None


@attrs.frozen(kw_only=True)
class Status:
    """One moment."""

    peer_id: str
    network: str
    addresses: tuple[str, ...]
    uptime_s: float
    known_peers: int
    banned_peers: int
    connections: int
    """In all, attempts included."""
    peers: tuple[PeerRow, ...]
    """The ready ones."""
    pools: Mapping[str, int]
    best_tip: str | None
    """State hash in hex of what this node holds for the best tip."""
    items_received: Mapping[str, int]
    totals: Totals
    """Frames and permissions, as the reducer sees them."""
    traffic: tuple[TransportTraffic, ...]
    """Datagrams and streams, as the transports see them."""


def take_status(
    node: Node, *, network: str, addresses: tuple[DialAddress, ...], uptime_s: float, items: Mapping[str, int], totals: Totals
) -> Status:
    """Look at a node; changes nothing."""
    state = node.state
    traffic = node.traffic()
    counted = {row.connection_id: row for transport in traffic for row in transport.connections if row.connection_id is not None}
    rows: list[PeerRow] = []
    for connection_id, connection in state.connections.table.items():
        ready = state.connections.ready(connection_id)
        if ready is None:
            continue
        row = PeerRow(
            peer_id=str(connection.peer_id),
            remote="" if connection.remote is None else f"{connection.remote.host}:{connection.remote.port}",
            incoming=connection.is_incoming,
            transport=connection.transport.name.lower(),
            agent=ready.agent,
            connected_s=round(max(0, time.time_ns() - ready.since) / SECOND, 3),
        )
        if (counts := counted.get(connection_id)) is not None:
            row = attrs.evolve(
                row,
                bytes_in=counts.total.bytes_in,
                bytes_out=counts.total.bytes_out,
                streams_open=counts.streams_open,
                rtt_ms=None if counts.rtt_s is None else round(counts.rtt_s * 1000, 3),
                packets_lost=counts.total.packets_lost,
                credit_wait_s=round(counts.total.credit_wait_s, 3),
                buffer_wait_s=round(counts.total.buffer_wait_s, 3),
            )
        rows.append(row)
    tip = state.best_tips.own
    return Status(
        peer_id=str(node.peer_id),
        network=network,
        addresses=tuple(map(str, addresses)),
        uptime_s=round(uptime_s, 3),
        known_peers=len(state.peers),
        banned_peers=sum(isinstance(peer.status, Banned) for peer in state.peers.table.values()),
        connections=len(state.connections),
        peers=tuple(rows),
        pools={channel.name.lower(): len(state.pools.of(channel).items) for channel in _POOLS},
        best_tip=None if tip is None else tip.state_hash.hex(),
        items_received=dict(items),
        totals=totals,
        traffic=traffic,
    )


_POOLS = (ChannelId.TRANSACTION, ChannelId.SNARK, ChannelId.SNARK_JOB_COMMITMENT)


def status_json(status: Status) -> dict[str, Any]:
    """As an object for JSON: the fields of `Status`, of the transports their sums only."""
    fields = attrs.asdict(status, filter=lambda attribute, _: attribute.name != "traffic")
    fields["traffic"] = {
        each.transport.name.lower(): {
            "connections_total": each.connections_total,
            **{name: getattr(each.total, name) for name in field_names(Traffic)},
        }
        for each in status.traffic
    }
    return fields
