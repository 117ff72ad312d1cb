"""Bans hold on libp2p's connections as on pull connections: whom the node software refuses it refuses on every transport.

These stand in the root's table in the place of what libp2p's part and the peers' slice do alone. The part's own lists
(`mina_p2p.libp2p.gating`) are asked as well; of a trusted peer that is banned here, the ban counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.address import Domain, Host, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.libp2p import reducer as links
from mina_p2p.libp2p.actions import NetworkDial, NetworkDisconnect
from mina_p2p.libp2p.gating import remote_ip
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.transport import Libp2pConnectionOpened
from mina_p2p.peer import reducer as peers
from mina_p2p.peer.actions import PeerBan, PeerGroupBan
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps

_BANNED = Reason(ReasonCode.PEER_BANNED)


def dial_refusal(state: P2pState, address: Libp2pAddress, now: Timestamp) -> Reason | None:
    """Why an address of libp2p is not dialled now; ``None`` if it may be."""
    network = state.network
    if network is None:
        return Reason(ReasonCode.UNSUPPORTED, detail="this node takes no part in libp2p's network")
    if network.may_dial(address):
        return _BANNED if _is_banned(state, address.peer_id, address.host, now) else None
    if address.peer_id == state.config.peer_id:
        return Reason(ReasonCode.CONNECTING_TO_SELF)
    if (denial := network.gating.denial(address.peer_id, address.host)) is not None:
        return denial.reason
    if network.links.connection_to(address.peer_id) is not None:
        return Reason(ReasonCode.ALREADY_CONNECTED)
    if address.peer_id in network.links.dials:
        return Reason(ReasonCode.ALREADY_CONNECTED, detail="it is being dialled")
    return Reason(ReasonCode.PEER_CAPACITY_FULL, detail="there are as many connections or dials as there may be")


def may_dial(action: NetworkDial, state: P2pState, now: Timestamp) -> bool:
    """The guard of `NetworkDial`."""
    return dial_refusal(state, action.address, now) is None


def reduce_opened(state: P2pState, action: Libp2pConnectionOpened, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Take a connection, and end it where its peer, or the network it comes from, is banned."""
    if state.network is None:
        return state, ()
    network, follow_ups = links.reduce_opened(state.network, action, now)
    if _is_banned(state, action.peer_id, remote_ip(action.remote.host), now):
        follow_ups = (NetworkDisconnect(action.connection_id, _BANNED), *follow_ups)
    return state.replace(network=network), follow_ups


def reduce_ban(state: P2pState, action: PeerBan | PeerGroupBan, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Ban, and end what there is with whom is banned, on every transport."""
    changed, follow_ups = peers.reduce(state.peers, action, now, state)
    return state.replace(peers=changed), (*follow_ups, *_ends(state, action))


def _is_banned(state: P2pState, peer_id: PeerId, host: Host | None, now: Timestamp) -> bool:
    if state.why_banned(peer_id, now) is not None:
        return True
    return host is not None and not isinstance(host, Domain) and state.group_ban(host, now) is not None


def _ends(state: P2pState, action: PeerBan | PeerGroupBan) -> Iterator[NetworkDisconnect]:
    host: Host | None
    for connection_id, link in () if state.network is None else state.network.links.table.items():
        if isinstance(link, Linked):
            peer_id, host = link.peer_id, remote_ip(link.remote.host)
        else:
            peer_id, host = link.address.peer_id, link.address.host
        if _is_meant(state, action, peer_id, host):
            yield NetworkDisconnect(connection_id, _BANNED)


def _is_meant(state: P2pState, ban: PeerBan | PeerGroupBan, peer_id: PeerId, host: Host | None) -> bool:
    if isinstance(ban, PeerBan):
        return peer_id == ban.peer_id
    grouping = state.peers.grouping
    return host is not None and grouping.of(host) == grouping.of(ban.host)
