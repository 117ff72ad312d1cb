"""`CheckTimeouts`: the one input that time makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mina_p2p.blocks.actions import blocks_timeout
from mina_p2p.channels.address_gossip.actions import AddressGossipItemTimeout, AddressGossipTimeout
from mina_p2p.channels.propagation.actions import ChannelsPropagationTimeout
from mina_p2p.channels.rpc.actions import ChannelsRpcServeTimeout, ChannelsRpcTimeout
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryRemoteTimeout, ChannelsSignalingDiscoveryTimeout
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeTimeout
from mina_p2p.channels.state import WaitKind, split_wait_key
from mina_p2p.channels.streaming_rpc.actions import ChannelsStreamingRpcServeTimeout, ChannelsStreamingRpcTimeout
from mina_p2p.connection.incoming.actions import ConnectionIncomingTimeout
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingTimeout
from mina_p2p.ids import ChannelId, ConnectionId, PeerNumber, Timestamp
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.machine import next_wake as network_next_wake
from mina_p2p.peer.actions import (
    ConnectionFeelerInit,
    ConnectionOutgoingRandomInit,
    PeersChurn,
    PeersDiscoverRandom,
    PeersRotate,
    PeerWoken,
)
from mina_p2p.pool.actions import pool_timeout
from mina_p2p.record import Record, record
from mina_p2p.relay.actions import relay_timeout
from mina_p2p.signaling.actions import SignalingPairForget
from mina_p2p.state import P2pState
from mina_p2p.store import Action, FollowUps
from mina_p2p.table import Deadlines, Table, empty_table


@record
class CheckTimeouts(Record):
    """Time has passed: end the waits that are due, then do what a node does from time to time."""


def deadlines_of(state: P2pState) -> tuple[Deadlines, ...]:
    """The timer wheels of all slices."""
    return (
        state.connections.deadlines,
        state.peers.deadlines,
        state.channels.deadlines,
        state.pools.deadlines,
        state.signaling.deadlines,
        state.address_gossip.deadlines,
        state.address_gossip.gossip.deadlines,
        state.blocks.deadlines,
        state.relay.deadlines,
    )


_NO_BUCKETS: Final[Table[int, Table[int, None]]] = empty_table()


def next_deadline(state: P2pState) -> Timestamp | None:
    """When `CheckTimeouts` has something to end; ``None`` while nothing waits."""
    first: Timestamp | None = None
    for deadlines in deadlines_of(state):
        # Asked after every input, when most wheels are empty.
        if deadlines.buckets is not _NO_BUCKETS and (at := deadlines.next_at()) is not None and (first is None or at < first):
            first = at
    return first


def next_wake(state: P2pState, now: Timestamp) -> Timestamp | None:
    """When to dispatch `CheckTimeouts` next; ``None``: not before something else happens.

    Besides the ends of waits, a node that has too few connections looks for more from time to time.
    """
    config, connections = state.config, state.connections
    at = next_deadline(state)
    soon = Timestamp(now + config.timeouts.granularity)
    if state.lacks_connections() and not state.is_stopping:
        if state.peers.dialable and state.may_dial():
            at = _earlier(at, max(state.peers.next_dial_at, soon))
        is_few = len(connections.table) < config.limits.peers_min
        if is_few and config.is_discovery_enabled and connections.ready_count:
            at = _earlier(at, max(state.peers.next_discovery_at, soon))
    elif state.may_feel():
        at = _earlier(at, max(state.peers.next_feeler_at, soon))
    if state.may_rotate():
        at = _earlier(at, max(state.peers.next_rotation_at, soon))
    if connections.ready_count > config.limits.peers_stable:
        at = _earlier(at, max(state.peers.next_churn_at, soon))
    if state.network is not None:
        at = _earlier(at, network_next_wake(state.network))
    return at


def _earlier(at: Timestamp | None, other: Timestamp) -> Timestamp:
    return other if at is None or other < at else at


def is_due(state: P2pState, now: Timestamp) -> bool:
    """Whether waits are due; after a `CheckTimeouts`, whether it left some for the next."""
    at = next_deadline(state)
    if state.network is not None:
        at = _earlier(at, network_next_wake(state.network))
    return at is not None and at <= now


def reduce_check_timeouts(state: P2pState, action: CheckTimeouts, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """At most ``limits.deadlines_per_turn_max`` ends of waits, then dials, discovery and churn, then what time does to libp2p's part."""
    limits = state.config.limits
    ends = list(_due(state, now, limits.deadlines_per_turn_max))
    dials = (ConnectionOutgoingRandomInit(limits.dials_per_tick_max - 1), PeersRotate(), ConnectionFeelerInit())
    always = (*dials, PeersDiscoverRandom(), PeersChurn())
    return state, (*ends, *always, *(() if state.network is None else (NetworkCheckTimeouts(),)))


def _due(state: P2pState, now: Timestamp, count_max: int) -> Iterator[Action]:
    left = count_max
    for deadlines, to_action in zip(
        deadlines_of(state),
        (
            _connection_timeout(state),
            lambda key: PeerWoken(PeerNumber(key)),
            _channel_timeout,
            lambda key: pool_timeout(state, key),
            SignalingPairForget,
            AddressGossipTimeout,
            AddressGossipItemTimeout,
            blocks_timeout,
            relay_timeout,
        ),
        strict=True,
    ):
        keys = deadlines.due(now, left)
        left -= len(keys)
        for key in keys:
            yield to_action(key)


def _connection_timeout(state: P2pState) -> Any:
    def to_action(key: int) -> Action:
        connection_id = ConnectionId(key)
        if state.connections.table[connection_id].is_incoming:
            return ConnectionIncomingTimeout(connection_id)
        return ConnectionOutgoingTimeout(connection_id)

    return to_action


def _channel_timeout(key: int) -> Action:
    connection_id, kind, serial = split_wait_key(key)
    match kind:
        case WaitKind.PROPAGATION:
            return ChannelsPropagationTimeout(connection_id, ChannelId(serial))
        case WaitKind.RPC_REQUEST:
            return ChannelsRpcTimeout(connection_id, serial)
        case WaitKind.RPC_SERVING:
            return ChannelsRpcServeTimeout(connection_id, serial)
        case WaitKind.STREAMING_LOCAL:
            return ChannelsStreamingRpcTimeout(connection_id)
        case WaitKind.STREAMING_REMOTE:
            return ChannelsStreamingRpcServeTimeout(connection_id)
        case WaitKind.DISCOVERY_LOCAL:
            return ChannelsSignalingDiscoveryTimeout(connection_id)
        case WaitKind.DISCOVERY_REMOTE:
            return ChannelsSignalingDiscoveryRemoteTimeout(connection_id)
        case WaitKind.EXCHANGE_LOCAL:
            return ChannelsSignalingExchangeTimeout(connection_id)
