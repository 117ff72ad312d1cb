"""Which connections there are: dialled below the low water mark, trimmed above the high one, ended where gating denies them.

Trimming spares peers of our meshes, trusted ones, those that are new, and a share of the routing table: peers with
the shortest prefix first, as there are fewest of their kind, and of those the last that was useful (spec: libp2p 11). Of the
others those go first whose peer is not in the routing table, then the youngest.
"""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.libp2p.actions import NetworkDial, NetworkDisconnect, NetworkGatingSet, NetworkKeep, NetworkPeerAdd, NetworkPeerUseful
from mina_p2p.libp2p.gating import remote_ip
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.store import FollowUps

DIALS_PER_TURN_MAX = 8


def reduce_keep(state: NetworkState, action: NetworkKeep, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Look after the number of connections."""
    config, count = state.config, len(state.links.table)
    state = state.replace(next_keep_at=Timestamp(now + config.keep_every))
    direct: list[NetworkDial] = []
    if state.is_dialling_allowed and state.next_direct_at <= now:
        state = state.replace(next_direct_at=Timestamp(now + config.direct_every))
        direct = [NetworkDial(address) for address in config.direct_peers]
    if count > config.connections_max:
        reason = Reason(ReasonCode.FREE_UP_SPACE)
        surplus = sorted(_spare(state, now))[: count - config.connections_min]
        return state, (*direct, *(NetworkDisconnect(connection_id, reason) for _, _, connection_id in surplus))
    if count >= config.connections_min or not state.is_dialling_allowed:
        return state, direct
    dials = [NetworkDial(address) for address in _strangers(state)]
    return state, (*direct, *dials[: min(config.connections_min - count, DIALS_PER_TURN_MAX)])


def reduce_gating_set(state: NetworkState, action: NetworkGatingSet, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Take other lists: what they deny is ended, and forgotten by the routing table."""
    gating = state.gating.ruled(action.gating)
    table = state.kademlia.table
    for entry in list(table.entries()):
        if any(gating.is_unwanted(entry.peer_id, address.host) for address in entry.addresses):
            table = table.without(entry.peer_id)
    state = state.replace(gating=gating, kademlia=state.kademlia.replace(table=table))
    return state, tuple(_denied(state))


def _denied(state: NetworkState) -> Iterator[NetworkDisconnect]:
    """Connections and dials that gating no longer lets be."""
    for connection_id, link in state.links.table.items():
        if isinstance(link, Linked):
            denial = state.gating.denial(link.peer_id, remote_ip(link.remote.host), is_outgoing=link.is_dialer)
        else:
            denial = state.gating.denial(link.address.peer_id, link.address.host)
        if denial is not None:
            yield NetworkDisconnect(connection_id, denial.reason)


def reduce_peer_add(state: NetworkState, action: NetworkPeerAdd, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Trust a peer, and dial it."""
    return state.replace(gating=state.gating.adding(action.address)), (NetworkDial(action.address),)


def reduce_peer_useful(state: NetworkState, action: NetworkPeerUseful, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Remember when a peer was useful."""
    links = state.links
    number = links.numbers.get(action.peer_id)
    if number is None:
        return state, ()
    contacts = links.contacts.set(number, links.contacts[number].replace(useful_at=now))
    return state.replace(links=links.replace(contacts=contacts)), ()


def _strangers(state: NetworkState) -> Iterator[Libp2pAddress]:
    """Whom to dial: those the configuration names or that were added first."""
    for address in (*state.config.initial_peers, *state.gating.added):
        if state.may_dial(address):
            yield address
    for entry in state.kademlia.table.entries():
        if state.may_dial(entry.addresses[0]):
            yield entry.addresses[0]


def _spare(state: NetworkState, now: Timestamp) -> Iterator[tuple[bool, int, ConnectionId]]:
    """Connections that may be ended, with the order in which to do it."""
    links, trusted = state.links, state.gating.trusted_peers
    meshes = {peer for topic in state.gossipsub.topics for peer in topic.mesh}
    protected = _protected(state)
    for connection_id, link in links.table.items():
        if not isinstance(link, Linked) or link.since + state.config.grace > now or link.peer_id in trusted:
            continue
        is_doubled = len(links.contacts[link.peer].connections) > 1
        if is_doubled or (link.peer not in meshes and link.peer_id not in protected):
            yield state.kademlia.table.get(link.peer_id) is not None, -link.since, connection_id


def _protected(state: NetworkState) -> frozenset[PeerId]:
    """The share of the routing table that is kept."""
    table, links, config = state.kademlia.table, state.links, state.config
    share = min(len(table) * config.protected_percent // 100, config.connections_min)
    ranked: list[tuple[int, int, PeerId]] = []
    for entry in table.entries():
        number = links.numbers.get(entry.peer_id)
        if number is not None:
            ranked.append((table.bucket_of(entry.position), -links.contacts[number].useful_at, entry.peer_id))
    return frozenset(peer_id for _, _, peer_id in sorted(ranked)[:share])
