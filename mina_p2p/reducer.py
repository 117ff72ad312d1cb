"""The machine of a node: every action with its one reducer, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, get_args

from mina_p2p import notifications, transport
from mina_p2p.best_tip import reducer as best_tip
from mina_p2p.best_tip.actions import BestTipAction
from mina_p2p.blocks import reducer as blocks
from mina_p2p.blocks.actions import BlocksAction, BlocksOutgoing
from mina_p2p.channels import reducer as channels
from mina_p2p.channels.actions import ChannelsReady
from mina_p2p.channels.address_gossip import reducer as address_gossip
from mina_p2p.channels.address_gossip.actions import AddressGossipEffect
from mina_p2p.channels.block import reducer as block
from mina_p2p.channels.propagation import reducer as propagation
from mina_p2p.channels.rpc import reducer as rpc
from mina_p2p.channels.signaling_discovery import dialer as discovery_dialer
from mina_p2p.channels.signaling_discovery import relay as discovery_relay
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryDiscoveredReceived, DialerAction
from mina_p2p.channels.signaling_discovery.actions import RelayAction as DiscoveryRelayAction
from mina_p2p.channels.signaling_exchange import listener as exchange_listener
from mina_p2p.channels.signaling_exchange import relay as exchange_relay
from mina_p2p.channels.signaling_exchange.actions import ListenerAction
from mina_p2p.channels.signaling_exchange.actions import RelayAction as ExchangeRelayAction
from mina_p2p.channels.streaming_rpc import reducer as streaming_rpc
from mina_p2p.channels.streaming_rpc.actions import StreamingRpcAction
from mina_p2p.connection import reducer as connection
from mina_p2p.connection.incoming import reducer as incoming
from mina_p2p.connection.incoming.actions import ConnectionIncomingAction
from mina_p2p.connection.outgoing import reducer as outgoing
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingAction
from mina_p2p.disconnection import reducer as disconnection
from mina_p2p.disconnection.actions import DisconnectionFinish, DisconnectionInit, Shutdown
from mina_p2p.discovery import reducer as discovery
from mina_p2p.ids import Timestamp
from mina_p2p.kademlia.actions import NetworkKadResponseReceived
from mina_p2p.libp2p.actions import NetworkDial, NetworkHandOver
from mina_p2p.libp2p.machine import network_machine
from mina_p2p.libp2p.machine import steps_max as network_steps_max
from mina_p2p.libp2p.transport import Libp2pConnectionOpened
from mina_p2p.peer import network_bans, network_peers
from mina_p2p.peer import reducer as peer
from mina_p2p.peer.actions import PeerAction, PeerBan, PeerGroupBan
from mina_p2p.peer_exchange.actions import NetworkExchangePeersReceived, NetworkExchangeVerified
from mina_p2p.pool import reducer as pool
from mina_p2p.pool.actions import PoolAction
from mina_p2p.relay import reducer as relay
from mina_p2p.relay.actions import RelayAction
from mina_p2p.signaling import reducer as signaling
from mina_p2p.signaling.actions import SignalingAction
from mina_p2p.signaling.effects import SignalingEffect
from mina_p2p.state import P2pState
from mina_p2p.store import Action, FollowUps, Machine, Slice, Steps
from mina_p2p.timeouts import CheckTimeouts, reduce_check_timeouts
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    TransportListenError,
    TransportListening,
)

STEPS_MAX_BASE = 5_000
STEPS_MAX_PER_BYTE = 4
"""The smallest thing that a frame can list takes more bytes than it leads to steps."""
STEPS_MAX_PER_CONNECTION = 500
"""Some inputs concern every connection; one that ends lets go of all that it had announced."""


def steps_max(state: P2pState, action: Action) -> int:
    """Bound of the steps of one dispatch."""
    frame: bytes = getattr(action, "frame", b"")
    own = STEPS_MAX_BASE + STEPS_MAX_PER_BYTE * len(frame) + STEPS_MAX_PER_CONNECTION * len(state.connections.table)
    return own if state.network is None else own + network_steps_max(state.network, action)


def reduce_listening(state: P2pState, action: TransportListening, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Tell the node software where it can be reached."""
    return state, (notifications.ListenerReady(action.address),)


def reduce_listen_error(state: P2pState, action: TransportListenError, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Tell the node software that it can not be reached."""
    return state, (notifications.ListenerFailed(action.detail),)


@cache
def p2p_machine() -> Machine[P2pState]:
    """The machine of a node: the pull slices, and libp2p's beside them, with what concerns both in the place of what each does alone."""
    return (
        _pull_machine()
        .mount("network", network_machine())
        .replaced(NetworkHandOver, reducer=relay.reduce_hand_over)
        .replaced(NetworkDial, guard=network_bans.may_dial)
        .replaced(Libp2pConnectionOpened, reducer=network_bans.reduce_opened)
        .replaced(PeerBan, reducer=network_bans.reduce_ban)
        .replaced(PeerGroupBan, reducer=network_bans.reduce_ban)
        .replaced(NetworkKadResponseReceived, reducer=network_peers.reduce_kad_response)
        .replaced(NetworkExchangePeersReceived, reducer=network_peers.reduce_exchange_received)
        .replaced(NetworkExchangeVerified, reducer=network_peers.reduce_exchange_verified)
        .replaced(ChannelsSignalingDiscoveryDiscoveredReceived, reducer=network_peers.reduce_introduced)
    )


def _pull_machine() -> Machine[P2pState]:
    return Machine(
        P2pState,
        slices=(
            Slice("peers", _members(PeerAction), peer.reduce),
            Slice("connections", _members(ConnectionOutgoingAction), outgoing.reduce),
            Slice("connections", _members(ConnectionIncomingAction), incoming.reduce),
            Slice("channels", (ChannelsReady,), channels.reduce_ready),
            Slice("channels", propagation.REDUCERS),
            Slice("channels", rpc.REDUCERS),
            Slice("channels", _members(StreamingRpcAction), streaming_rpc.reduce),
            Slice("channels", _members(DiscoveryRelayAction), discovery_relay.reduce),
            Slice("channels", _members(DialerAction), discovery_dialer.reduce),
            Slice("channels", _members(ExchangeRelayAction), exchange_relay.reduce),
            Slice("channels", _members(ListenerAction), exchange_listener.reduce),
            Slice("signaling", _members(SignalingAction), signaling.reduce),
            Slice("best_tips", _members(BestTipAction), best_tip.reduce),
            Slice("pools", _members(PoolAction), pool.reduce),
            Slice("blocks", _members(BlocksAction), blocks.reduce),
            Slice("channels", _members(BlocksOutgoing), block.reduce),
            Slice("relay", _members(RelayAction), relay.reduce),
        ),
        reducers=(
            (CheckTimeouts, reduce_check_timeouts),
            (ConnectionIncomingReceived, connection.reduce_incoming_received),
            (ConnectionEstablished, connection.reduce_established),
            (ConnectionHelloReceived, connection.reduce_hello_received),
            (ConnectionClosed, connection.reduce_closed),
            (ChannelsMessageReceived, channels.reduce_message_received),
            (ChannelsStreamEnded, channels.reduce_stream_ended),
            (ChannelsStreamReset, channels.reduce_stream_reset),
            (ChannelsSendBlocked, channels.reduce_send_blocked),
            (ChannelsSendUnblocked, channels.reduce_send_unblocked),
            (DisconnectionInit, disconnection.reduce_init),
            (DisconnectionFinish, disconnection.reduce_finish),
            (Shutdown, disconnection.reduce_shutdown),
            (TransportListening, reduce_listening),
            (TransportListenError, reduce_listen_error),
            *((action, address_gossip.reduce) for action in _members(address_gossip.ChannelAction)),
            *((action, discovery.reduce) for action in _members(discovery.DiscoveryAction)),
        ),
        effects=(
            *_members(transport.TransportEffect),
            *_members(notifications.Notification),
            *_members(SignalingEffect),
            *_members(AddressGossipEffect),
        ),
        steps_max=steps_max,
        steps_min=STEPS_MAX_BASE,
    )


def _members(union: Any) -> Iterable[type[Any]]:
    return get_args(union)


def dispatch(state: P2pState, action: Action, now: Timestamp) -> tuple[P2pState, list[Action], Steps]:
    """Dispatch one input; see `mina_p2p.store.Machine.dispatch`."""
    return p2p_machine().dispatch(state, action, now)
