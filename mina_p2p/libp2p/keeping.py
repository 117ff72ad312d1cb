"""How many connections there are: dialled below the low water mark, trimmed above the high one (spec: libp2p 11).

Trimming spares the peers of our meshes, those the configuration names, and connections that are new. Of the
others those go first whose peer is not in the routing table, then the youngest.
"""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.libp2p.actions import NetworkDial, NetworkDisconnect, NetworkKeep
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.store import FollowUps

DIALS_PER_TURN_MAX = 8


def reduce_keep(state: NetworkState, action: NetworkKeep, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Look after the number of connections."""
    config, count = state.config, len(state.links.table)
    state = state.replace(next_keep_at=Timestamp(now + config.keep_every))
    if count > config.connections_max:
        reason = Reason(ReasonCode.FREE_UP_SPACE)
        surplus = sorted(_spare(state, now))[: count - config.connections_min]
        return state, tuple(NetworkDisconnect(connection_id, reason) for _, _, connection_id in surplus)
    if count >= config.connections_min or not state.is_dialling_allowed:
        return state, ()
    dials = [NetworkDial(address) for address in _strangers(state)]
    return state, tuple(dials[: min(config.connections_min - count, DIALS_PER_TURN_MAX)])


def _strangers(state: NetworkState) -> Iterator[Libp2pAddress]:
    """Whom to dial: those the configuration names first."""
    for address in state.config.initial_peers:
        if state.may_dial(address):
            yield address
    for entry in state.kademlia.table.entries():
        if state.may_dial(entry.addresses[0]):
            yield entry.addresses[0]


def _spare(state: NetworkState, now: Timestamp) -> Iterator[tuple[bool, int, ConnectionId]]:
    """Connections that may be ended, with the order in which to do it."""
    named = {address.peer_id for address in state.config.initial_peers}
    meshes = {peer for topic in state.gossipsub.topics for peer in topic.mesh}
    for connection_id, link in state.links.table.items():
        if not isinstance(link, Linked) or link.since + state.config.grace > now or link.peer_id in named:
            continue
        is_doubled = len(state.links.contacts[link.peer].connections) > 1
        if link.peer not in meshes or is_doubled:
            yield state.kademlia.table.get(link.peer_id) is not None, -link.since, connection_id
