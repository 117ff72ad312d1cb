"""What a node is doing at one moment, as one record: the source of screen, JSON lines and metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from mina_p2p.address import DialAddress
from mina_p2p.ids import SECOND, ChannelId, ConnectionId
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer.state import Banned
from mina_p2p.record import field_names
from mina_p2p.transport import TransportKind
from mina_p2p_effects.metrics.meter import Totals
from mina_p2p_effects.metrics.traffic import ConnectionTraffic, Traffic, TransportTraffic
from mina_p2p_effects.node import Node

Counted: TypeAlias = Mapping[tuple[bool, ConnectionId], ConnectionTraffic]
"""What transports counted, by whether it is libp2p's and by connection: ids are unique within the pull transports, and within libp2p."""


@attrs.frozen(kw_only=True)
class PeerRow:
    """One ready connection of any transport, with what its transport counted where it counts."""

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
    counted = {
        (transport.transport is TransportKind.LIBP2P, row.connection_id): row
        for transport in traffic
        for row in transport.connections
        if row.connection_id is not None
    }
    rows: list[PeerRow] = []
    now_ns = time.time_ns()
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
            connected_s=round(max(0, now_ns - ready.since) / SECOND, 3),
        )
        if (counts := counted.get((False, connection_id))) is not None:
            row = attrs.evolve(
                _counted(row, counts),
                packets_lost=counts.total.packets_lost,
                credit_wait_s=round(counts.total.credit_wait_s, 3),
                buffer_wait_s=round(counts.total.buffer_wait_s, 3),
            )
        rows.append(row)
    if state.network is not None:
        rows += _network_rows(state.network, counted, now_ns)
    tip = state.best_tips.own
    return Status(
        peer_id=str(node.peer_id),
        network=network,
        addresses=tuple(map(str, addresses)),
        uptime_s=round(uptime_s, 3),
        known_peers=len(state.peers) + (0 if state.network is None else len(state.network.kademlia.table)),
        banned_peers=sum(isinstance(peer.status, Banned) for peer in state.peers.table.values()),
        connections=len(state.connections) + (0 if state.network is None else len(state.network.links.table)),
        peers=tuple(rows),
        pools={channel.name.lower(): len(state.pools.of(channel).items) for channel in _POOLS},
        best_tip=None if tip is None else tip.state_hash.hex(),
        items_received=dict(items),
        totals=totals,
        traffic=traffic,
    )


def _network_rows(network: NetworkState, counted: Counted, now_ns: int) -> Iterator[PeerRow]:
    """A row for each connection of libp2p; a peer may have several."""
    for connection_id in network.links.table:
        link = network.links.linked(connection_id)
        if link is None:
            continue
        identity = network.identify.peers.get(link.peer)
        row = PeerRow(
            peer_id=str(link.peer_id),
            remote=f"{link.remote.host}:{link.remote.port}",
            incoming=not link.is_dialer,
            transport=TransportKind.LIBP2P.name.lower(),
            agent="" if identity is None else identity.agent,
            connected_s=round(max(0, now_ns - link.since) / SECOND, 3),
        )
        counts = counted.get((True, connection_id))
        yield row if counts is None else _counted(row, counts)


def _counted(row: PeerRow, counts: ConnectionTraffic) -> PeerRow:
    return attrs.evolve(
        row,
        bytes_in=counts.total.bytes_in,
        bytes_out=counts.total.bytes_out,
        streams_open=counts.streams_open,
        rtt_ms=None if counts.rtt_s is None else round(counts.rtt_s * 1000, 3),
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
