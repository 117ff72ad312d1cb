"""Invariants of the peer table and of connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mina_p2p.connection.state import Connection, IncomingFinalizePending, Ready
from mina_p2p.ids import ConnectionId
from mina_p2p.peer.state import Attached
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ


def peers_violations(state: P2pState) -> Iterator[str]:
    """All that is wrong with the peer table."""
    peers, limits = state.peers, state.config.limits
    for number, peer in peers.table.items():
        path = f"peers.table[{number}]"
        if peer.peer_id == state.config.peer_id:
            yield f"{path}: this node has a record of itself"
        yield from differ(f"peers.index of record {number}", peers.index.get(peer.peer_id), number)
        if isinstance(peer.status, Attached):
            connection = state.connections.get(peer.status.connection_id)
            if connection is None or connection.peer_id != peer.peer_id:
                yield f"{path}.status: attached to connection {peer.status.connection_id}, which is not this peer's"
        if peer.failures < 0:
            yield f"{path}.failures: {peer.failures}"
        if peer.is_address_proven and peer.address is None:
            yield f"{path}: an address that is missing counts as proven"
    yield from differ("peers.index.count", len(peers.index), len(peers.table))
    yield from differ("peers.dialable", peers.dialable.keys(), [number for number, peer in peers.table.items() if peer.is_dialable])
    learned = Counter(peer.learned_from for peer in peers.table.values() if peer.learned_from is not None)
    yield from differ("peers.learned_counts", dict(peers.learned_counts.items()), dict(sorted(learned.items())))
    for source, count in peers.learned_counts.items():
        yield from over(f"peers.learned_counts[{source}]", count, limits.discovered_per_source_max)
    yield from _groups(state)
    yield from waits_differ("peers.deadlines", peers.deadlines, ((peer.wakes_at, number) for number, peer in peers.table.items()))
    yield from over("peers.table", max(peers.table, default=0), peers.last_number)
    # Only what is given by configuration, or attached at this moment, may go beyond the bound.
    yield from over("len(peers)", len(peers), max(limits.known_peers_max, limits.peers_max, len(state.config.initial_peers)))


def _groups(state: P2pState) -> Iterator[str]:
    peers, limits = state.peers, state.config.limits
    members: Counter[bytes] = Counter()
    connected: Counter[bytes] = Counter()
    for peer in peers.table.values():
        group = None if peer.address is None or peer.is_given else peers.group_of(peer.address)
        if group is not None:
            members[group] += 1
            connected[group] += isinstance(peer.status, Attached)
    for group, count in members.items():
        yield from differ(f"peers.group_counts of {group!r}", peers.group_counts.get(group), count)
        yield from over(f"peers with addresses of {group!r}", count, max(limits.known_per_group_max, connected[group]))
    yield from differ("len(peers.group_counts)", len(peers.group_counts), len(members))
    yield from over("len(peers.group_bans)", len(peers.group_bans), limits.banned_groups_max)


def connections_violations(state: P2pState) -> Iterator[str]:
    """All that is wrong with connections and attempts."""
    connections, limits = state.connections, state.config.limits
    ready = 0
    for connection_id, connection in connections.table.items():
        ready += isinstance(connection.status, Ready)
        yield from _connection(state, connection_id, connection)
    yield from differ("connections.ready_count", connections.ready_count, ready)
    dialled = sum(not connection.is_incoming for connection in connections.table.values())
    yield from differ("connections.outgoing_count", connections.outgoing_count, dialled)
    yield from over("len(connections)", len(connections), limits.peers_max)
    yield from over("connections.table", max(connections.table, default=0), connections.last_id)
    waits = ((connection.deadline, connection_id) for connection_id, connection in connections.table.items())
    yield from waits_differ("connections.deadlines", connections.deadlines, waits)
    twice = [str(peer_id) for peer_id, count in Counter(c.peer_id for c in connections.table.values()).items() if count > 1]
    yield from differ("peers with two connections", sorted(twice), [])
    if state.is_stopping:
        yield from differ("connections of a node that stops", connections.table.keys(), [])


def _connection(state: P2pState, connection_id: ConnectionId, connection: Connection) -> Iterator[str]:
    path = f"connections.table[{connection_id}]"
    yield from differ(f"connection_of the peer of {connection_id}", state.connection_of(connection.peer_id), connection_id)
    yield from differ(f"{path}.address is None", connection.address is None, connection.is_incoming)
    match connection.status:
        case Ready():
            yield from differ(f"{path}.status.channels", [c for c in connection.status.channels if c not in state.config.channels], [])
        case IncomingFinalizePending():
            yield from differ(f"{path}.is_incoming", connection.is_incoming, True)
        case _:
            yield from differ(f"{path}.is_incoming", connection.is_incoming, False)
