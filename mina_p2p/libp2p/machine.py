"""The machine of a libp2p node, and the one input that time makes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from mina_p2p.gossipsub import reducer as gossipsub
from mina_p2p.gossipsub.actions import GossipsubAction, NetworkPubsubHeartbeat, NetworkPubsubVerdict, Verdict
from mina_p2p.gossipsub.effects import GossipsubEffect
from mina_p2p.identify import reducer as identify
from mina_p2p.identify.actions import IdentifyAction
from mina_p2p.ids import ConnectionId, RequestId, Timestamp
from mina_p2p.kademlia import reducer as kademlia
from mina_p2p.kademlia.actions import KademliaAction, NetworkKadRequestError, NetworkKadTick
from mina_p2p.libp2p import keeping
from mina_p2p.libp2p import reducer as links
from mina_p2p.libp2p.actions import (
    LinkAction,
    NetworkDiallingSet,
    NetworkDialTimeout,
    NetworkGatingSet,
    NetworkHandOver,
    NetworkKeep,
    NetworkPeerAdd,
    NetworkPeerUseful,
    NetworkStreamTimeout,
)
from mina_p2p.libp2p.node_status import reducer as node_status
from mina_p2p.libp2p.node_status.actions import NodeStatusAction
from mina_p2p.libp2p.notifications import NetworkNotification
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import (
    Libp2pConnectionClosed,
    Libp2pConnectionOpened,
    Libp2pEffect,
    Libp2pListening,
    Libp2pStreamEnded,
    Libp2pStreamLost,
    Libp2pStreamMessageReceived,
    Libp2pStreamOpened,
    Libp2pWentAway,
)
from mina_p2p.libp2p_rpc import reducer as rpcs
from mina_p2p.libp2p_rpc.actions import NetworkRpcCallError, NetworkRpcSessionTimeout, RpcsAction
from mina_p2p.peer_exchange import reducer as exchange
from mina_p2p.peer_exchange.actions import NetworkExchangeTimeout, PeerExchangeAction
from mina_p2p.record import Record, record
from mina_p2p.store import Action, FollowUps, Machine, Slice

DEADLINES_PER_TURN_MAX = 256
STEPS_MAX_BASE = 20_000
STEPS_MAX_PER_BYTE = 1
"""A message, or an id that is asked for, takes more bytes than it leads to steps."""


@record
class NetworkCheckTimeouts(Record):
    """Time has passed: end the waits that are due, and do what a node does from time to time."""


def next_wake(state: NetworkState) -> Timestamp:
    """When to dispatch `NetworkCheckTimeouts` next; at most a heartbeat away."""
    kad = state.kademlia
    provide_at = kad.next_provide_at if len(kad.table) else None
    waits = (
        state.links.deadlines.next_at(),
        state.links.dial_deadlines.next_at(),
        kad.deadlines.next_at(),
        state.gossipsub.deadlines.next_at(),
        state.rpcs.deadlines.next_at(),
        state.exchange.next_at,
        kad.next_refresh_at,
        provide_at,
    )
    return min((state.gossipsub.next_heartbeat_at, state.next_keep_at, *(at for at in waits if at is not None)))


def reduce_check_timeouts(state: NetworkState, action: NetworkCheckTimeouts, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """At most `DEADLINES_PER_TURN_MAX` ends of waits, then what is done from time to time; `next_wake` says when there are more."""
    return state, (*_due(state, now), NetworkKeep(), NetworkKadTick(), NetworkPubsubHeartbeat())


def _due(state: NetworkState, now: Timestamp) -> Iterator[Action]:
    left = DEADLINES_PER_TURN_MAX
    for serial in state.links.deadlines.due(now, left):
        left -= 1
        yield NetworkStreamTimeout(serial)
    for number in state.links.dial_deadlines.due(now, left):
        left -= 1
        yield NetworkDialTimeout(ConnectionId(number))
    for request_id in state.kademlia.deadlines.due(now, left):
        left -= 1
        yield NetworkKadRequestError(request_id)
    for verdict_id in state.gossipsub.deadlines.due(now, left):
        left -= 1
        yield NetworkPubsubVerdict(RequestId(verdict_id), Verdict.IGNORE)
    for check in state.exchange.due(now, left):
        left -= 1
        yield NetworkExchangeTimeout(check)
    for key in state.rpcs.deadlines.due(now, left):
        yield NetworkRpcCallError(key // 2, "no answer in time") if key % 2 else NetworkRpcSessionTimeout(key // 2)


def reduce_hand_over(state: NetworkState, action: NetworkHandOver, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Tell the node software."""
    return state, (action.notification,)


def steps_max(state: NetworkState, action: Action) -> int:
    """Bound of the steps of one dispatch."""
    data: bytes = getattr(action, "data", b"")
    return STEPS_MAX_BASE + STEPS_MAX_PER_BYTE * len(data)


@cache
def network_machine() -> Machine[NetworkState]:
    """The machine of a libp2p node."""
    return Machine(
        NetworkState,
        slices=(
            Slice("links", _members(LinkAction), links.reduce),
            Slice("identify", _members(IdentifyAction), identify.reduce),
            Slice("kademlia", _members(KademliaAction), kademlia.reduce),
            Slice("gossipsub", _members(GossipsubAction), gossipsub.reduce),
            Slice("rpcs", _members(RpcsAction), rpcs.reduce),
            Slice("node_status", _members(NodeStatusAction), node_status.reduce),
            Slice("exchange", _members(PeerExchangeAction), exchange.reduce),
        ),
        reducers=(
            (NetworkCheckTimeouts, reduce_check_timeouts),
            (NetworkDiallingSet, links.reduce_dialling_set),
            (NetworkHandOver, reduce_hand_over),
            (NetworkKeep, keeping.reduce_keep),
            (NetworkGatingSet, keeping.reduce_gating_set),
            (NetworkPeerAdd, keeping.reduce_peer_add),
            (NetworkPeerUseful, keeping.reduce_peer_useful),
            (Libp2pListening, links.reduce_listening),
            (Libp2pConnectionOpened, links.reduce_opened),
            (Libp2pConnectionClosed, links.reduce_closed),
            (Libp2pWentAway, links.reduce_went_away),
            (Libp2pStreamOpened, links.reduce_stream_opened),
            (Libp2pStreamMessageReceived, links.reduce_stream_message),
            (Libp2pStreamEnded, links.reduce_stream_ended),
            (Libp2pStreamLost, links.reduce_stream_lost),
        ),
        effects=(*_members(Libp2pEffect), *_members(NetworkNotification), *_members(GossipsubEffect)),
        steps_max=steps_max,
    )


def _members(union: Any) -> tuple[type[Any], ...]:
    return get_args(union)
