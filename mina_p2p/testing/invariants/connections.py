"""Invariants of connections; that peers know of theirs is looked at with the peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mina_p2p.connection.state import Connection, IncomingFinalizePending, Ready
from mina_p2p.ids import ConnectionId
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ


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
    attempts = sum(not c.is_incoming and not isinstance(c.status, Ready) for c in connections.table.values())
    yield from differ("connections.dialling_count", connections.dialling_count, attempts)
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
    yield from differ(f"{path}.address is None", connection.address is None, connection.is_incoming)
    match connection.status:
        case Ready():
            yield from differ(f"{path}.status.channels", [c for c in connection.status.channels if c not in state.config.channels], [])
        case IncomingFinalizePending():
            yield from differ(f"{path}.is_incoming", connection.is_incoming, True)
        case _:
            yield from differ(f"{path}.is_incoming", connection.is_incoming, False)
