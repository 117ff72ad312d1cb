"""Who may have to make room for newcomers (spec: pull-protocol 7.7 RandomTry)."""

from __future__ import annotations

from mina_p2p.connection.state import Ready
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.state import P2pState


def makes_room(state: P2pState, now: Timestamp) -> list[ConnectionId]:
    """Ready connections of which any may be given up, ascending.

    Not those that a person named, nor the young ones, nor those that this node dialled, while they are few. And not the oldest of those that have been of use: who has brought good
    things for long can not be pushed out by any number of newcomers, so an attacker can not take all places (eclipse).
    """
    youngest = now - state.config.timeouts.churn_age
    are_dials_kept = state.connections.outgoing_count <= state.config.limits.peers_outgoing
    old_enough: list[ConnectionId] = []
    useful: list[tuple[Timestamp, ConnectionId]] = []
    for connection_id, connection in state.connections.table.items():
        found = state.peers.find(connection.peer_id)
        if found is None or not isinstance(connection.status, Ready):
            continue
        since, peer = connection.status.since, found[1]
        if peer.useful_at is not None and peer.useful_at >= since:
            useful.append((since, connection_id))
        if since <= youngest and not peer.is_given and not (are_dials_kept and not connection.is_incoming):
            old_enough.append(connection_id)
    protected = {connection_id for _, connection_id in sorted(useful)[: state.config.limits.peers_protected]}
    return [connection_id for connection_id in old_enough if connection_id not in protected]


def makes_way(state: P2pState, now: Timestamp) -> list[ConnectionId]:
    """Ready connections by dials of ours of which any may be given up for another dial, ascending.

    Not those that a person named, nor the young ones. Being of use protects nobody here: an attacker who has all of them
    brings what others bring, to be left in peace.
    """
    youngest = now - state.config.timeouts.churn_age
    found: list[ConnectionId] = []
    for connection_id, connection in state.connections.table.items():
        if connection.is_incoming or not isinstance(connection.status, Ready) or connection.status.since > youngest:
            continue
        known = state.peers.find(connection.peer_id)
        if known is not None and not known[1].is_given:
            found.append(connection_id)
    return found
