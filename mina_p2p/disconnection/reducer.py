"""Ending a connection: reducers over the root, because nothing of it may stay anywhere."""

from __future__ import annotations

from typing import Any

from mina_p2p.blocks.actions import BlocksPeerLeft
from mina_p2p.channels.address_gossip.actions import AddressGossipPeerGone
from mina_p2p.channels.parting import parted
from mina_p2p.channels.rpc.reducer import failed
from mina_p2p.channels.rpc.state import Requested
from mina_p2p.connection.state import Ready
from mina_p2p.connection.transitions import give_up
from mina_p2p.disconnection.actions import DisconnectionFinish, DisconnectionInit, Shutdown
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import Timestamp
from mina_p2p.libp2p.actions import NetworkDiallingSet, NetworkDisconnect
from mina_p2p.notifications import PeerDisconnected
from mina_p2p.peer.actions import PeerDetached
from mina_p2p.pool.actions import PoolForget, wake_held_back
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps
from mina_p2p.transport import DisconnectionEffectfulInit


def reduce_init(state: P2pState, action: DisconnectionInit, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Say goodbye, then forget."""
    connection_id, reason = action.connection_id, action.reason
    if not isinstance(state.connections.table[connection_id].status, Ready):
        connections, follow_ups = give_up(state.connections, connection_id, reason, by_peer=False, is_transport_gone=False)
        return state.replace(connections=connections), follow_ups
    return state, (DisconnectionEffectfulInit(connection_id, reason), DisconnectionFinish(connection_id, reason, False))


def reduce_finish(state: P2pState, action: DisconnectionFinish, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Forget a connection in every slice, and tell whoever waited for something from it."""
    connection_id, reason = action.connection_id, action.reason
    peer_id = state.connections.table[connection_id].peer_id
    rpc = state.channels.rpc(connection_id)
    waiting: list[Any] = []
    for request in () if rpc is None else rpc.requests:
        if isinstance(request, Requested):
            waiting += failed(connection_id, request.purpose, reason)
    waiting += parted(state, connection_id, reason)
    forgotten = state.replace(
        connections=state.connections.remove(connection_id),
        channels=state.channels.forget(connection_id),
        best_tips=state.best_tips.replace(of_peers=state.best_tips.of_peers.discard(connection_id)),
    )
    gossiping = (AddressGossipPeerGone(connection_id),) if connection_id in state.address_gossip.links else ()
    announcing = (BlocksPeerLeft(connection_id),) if connection_id in state.blocks.peers else ()
    return forgotten, (
        PeerDetached(connection_id, peer_id, reason, action.by_peer, True),
        PeerDisconnected(connection_id, peer_id, reason, action.by_peer),
        PoolForget(connection_id),
        *gossiping,
        *announcing,
        *waiting,
        *wake_held_back(state),
    )


def reduce_shutdown(state: P2pState, action: Shutdown, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Goodbye to all, on every transport."""
    reason = Reason(ReasonCode.SHUTDOWN)
    goodbyes: list[Any] = [DisconnectionInit(connection_id, reason) for connection_id in state.connections.table]
    if state.network is not None:
        goodbyes.append(NetworkDiallingSet(is_allowed=False))
        goodbyes += (NetworkDisconnect(connection_id, reason) for connection_id in state.network.links.table)
    return state.replace(is_stopping=True), goodbyes
