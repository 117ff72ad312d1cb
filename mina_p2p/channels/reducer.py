"""Frames and stream events, sorted to the channel that they belong to.

Decoding happens here, in the reducer: bad input is replayable and fuzzable. What a message
says is mapped to an action; if that action is refused, its ``otherwise`` ends the
connection. This one rule is what a violation of the protocol is (spec: pull-protocol 6.1).
"""

from __future__ import annotations

from functools import partial

from mina_p2p.blocks.actions import BlocksPeerJoined
from mina_p2p.channels.actions import ChannelsReady
from mina_p2p.channels.address_gossip import events as address_gossip
from mina_p2p.channels.address_gossip.actions import AddressGossipPeerReady
from mina_p2p.channels.block import reducer as block
from mina_p2p.channels.block.state import BlockStreams
from mina_p2p.channels.conversations import CONVERSATIONS
from mina_p2p.channels.overtaking import in_order
from mina_p2p.channels.propagation.actions import (
    ChannelsPropagationAnswerEnded,
    ChannelsPropagationAnswerReset,
    ChannelsPropagationPromiseReceived,
    ChannelsPropagationReceived,
    ChannelsPropagationRequestCancelled,
    ChannelsPropagationRequestReceived,
    ChannelsPropagationRequestSend,
    PropagationAction,
)
from mina_p2p.channels.propagation.kinds import KINDS, GetNext, Item, WillSend
from mina_p2p.channels.propagation.reducer import offer
from mina_p2p.channels.propagation.reducer import violation as propagation_violation
from mina_p2p.channels.propagation.state import Propagation
from mina_p2p.channels.rpc.actions import (
    ChannelsRpcAnswerEnded,
    ChannelsRpcAnswerReset,
    ChannelsRpcRequestCancelled,
    ChannelsRpcRequestReceived,
    ChannelsRpcResponseReceived,
    RpcAction,
)
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, RpcRequestMessage
from mina_p2p.channels.rpc.reducer import violation as rpc_violation
from mina_p2p.channels.rpc.state import Rpc
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryRequestSend
from mina_p2p.channels.signaling_discovery.state import Discovery
from mina_p2p.channels.signaling_discovery.state import Resting as DiscoveryResting
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeRequestSend
from mina_p2p.channels.signaling_exchange.state import Exchange
from mina_p2p.channels.signaling_exchange.state import Resting as ExchangeResting
from mina_p2p.channels.state import Channels, PeerChannels
from mina_p2p.channels.streaming_rpc.actions import ChannelsStreamingRpcResponsePartSend
from mina_p2p.channels.streaming_rpc.state import StreamingRpc
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import DecodeError
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import Action, Attempt, FollowUps
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
    ChannelsStreamEnded,
    ChannelsStreamReset,
)

_OTHERS = frozenset({ChannelId.RPC, ChannelId.ADDRESS_GOSSIP})
"""Channels that are neither for propagation nor conversations."""

FIRST_STREAM_NUMBER_OF_DIALER = 1
"""The dialer's stream 0 is the control stream."""


def reduce_ready(state: Channels, action: ChannelsReady, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Open channels, and ask for the first items on each that spreads some."""
    connection_id = action.connection_id
    connection = root.connections.table[connection_id]
    ready = root.connections.ready(connection_id)
    agreed = () if ready is None else ready.channels

    def machine(channel: ChannelId) -> Propagation | None:
        return Propagation() if channel in agreed else None

    channels = PeerChannels(
        not connection.is_incoming,
        0 if connection.is_incoming else FIRST_STREAM_NUMBER_OF_DIALER,
        machine(ChannelId.BEST_TIP),
        machine(ChannelId.TRANSACTION),
        machine(ChannelId.SNARK),
        machine(ChannelId.SNARK_JOB_COMMITMENT),
        Rpc() if ChannelId.RPC in agreed else None,
        streaming_rpc=StreamingRpc() if ChannelId.STREAMING_RPC in agreed else None,
        discovery=Discovery(DiscoveryResting(now)) if ChannelId.SIGNALING_DISCOVERY in agreed else None,
        exchange=Exchange(ExchangeResting(now)) if ChannelId.SIGNALING_EXCHANGE in agreed else None,
        block=BlockStreams() if ChannelId.BLOCK in agreed else None,
    )
    # Best tips come by channel 10 where both speak it; whoever asks for one by channel 3 all the same is answered.
    asked = [channel for channel in agreed if channel in KINDS and not (channel == ChannelId.BEST_TIP and ChannelId.BLOCK in agreed)]
    requests: list[Action] = [ChannelsPropagationRequestSend(connection_id, channel) for channel in asked]
    if channels.block is not None:
        requests.append(BlocksPeerJoined(connection_id, connection.peer_id))
    if channels.discovery is not None:
        requests.append(ChannelsSignalingDiscoveryRequestSend(connection_id))
    if channels.exchange is not None:
        requests.append(ChannelsSignalingExchangeRequestSend(connection_id))
    if ChannelId.ADDRESS_GOSSIP in root.config.channels:
        requests.append(AddressGossipPeerReady(connection_id, ChannelId.ADDRESS_GOSSIP in agreed))
    return state.add(connection_id, channels), requests


def reduce_message_received(state: P2pState, action: ChannelsMessageReceived, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Decode a frame and map it to what it means."""
    connection_id, channel = action.connection_id, action.channel
    channels = state.channels.table.get(connection_id)
    if channels is None or not _is_open(channels, channel):
        return state, (_end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, channel, "the channel is not open"),)
    if channel == ChannelId.BLOCK:
        return block.message_received(state, action, channels)
    try:
        if channel == ChannelId.RPC:
            return state, (_rpc_message(channels, action),)
        if channel == ChannelId.ADDRESS_GOSSIP:
            return state, (address_gossip.of_message(state, action),)
        if channel in CONVERSATIONS:
            return state, _conversation_message(state, channels, action)
        return state, _propagation_message(channels, action)
    except DecodeError as error:
        return state, (_end(connection_id, ReasonCode.CHANNEL_MSG_UNDECODABLE, channel, str(error)),)


def _is_open(channels: PeerChannels, channel: ChannelId) -> bool:
    if channel == ChannelId.BLOCK:
        return channels.block is not None
    return channel in KINDS or channel in _OTHERS or channel in CONVERSATIONS


def _propagation_message(channels: PeerChannels, action: ChannelsMessageReceived) -> FollowUps:
    connection_id, channel, stream = action.connection_id, action.channel, action.stream
    machine = channels.propagation(channel)
    mapped: PropagationAction
    match KINDS[channel].decode(action.frame):
        case GetNext(limit=limit):
            if _is_ours(channels, stream):
                return (_end(connection_id, ReasonCode.STREAM_MISUSE, channel, "a request on a stream that we opened"),)
            mapped = ChannelsPropagationRequestReceived(connection_id, channel, stream, limit)
            request = _or_end(mapped, propagation_violation(machine, mapped, stream), channel)
            if machine is None:
                return (request,)
            cancelled = partial(ChannelsPropagationRequestCancelled, connection_id, channel)
            return in_order(machine.remote, connection_id, stream, request, cancelled)
        case WillSend(count=count):
            mapped = ChannelsPropagationPromiseReceived(connection_id, channel, stream, count)
        case Item(item=item):
            mapped = ChannelsPropagationReceived(connection_id, channel, stream, item)
    return (_or_end(mapped, propagation_violation(machine, mapped, stream), channel),)


def _conversation_message(state: P2pState, channels: PeerChannels, action: ChannelsMessageReceived) -> FollowUps:
    connection_id, channel, stream = action.connection_id, action.channel, action.stream
    conversation = CONVERSATIONS[channel]
    said, half = conversation.of_message(action), conversation.remote(channels)
    mapped = _conversation(state, channels, channel, said)
    if half is None or type(said) is not conversation.request or _is_ours(channels, stream):
        return (mapped,)

    def withdrawn(earlier: StreamId) -> Action:
        return conversation.of_reset(ChannelsStreamReset(connection_id, channel, earlier, StreamResetCode.CANCELLED), channels)

    return in_order(half, connection_id, stream, mapped, withdrawn)


def _rpc_message(channels: PeerChannels, action: ChannelsMessageReceived) -> Action:
    connection_id, stream = action.connection_id, action.stream
    message = RPC_MESSAGE.decode(action.frame)
    mapped: RpcAction
    if isinstance(message, RpcRequestMessage):
        if _is_ours(channels, stream):
            return _end(connection_id, ReasonCode.STREAM_MISUSE, ChannelId.RPC, "a request on a stream that we opened")
        mapped = ChannelsRpcRequestReceived(connection_id, stream, message.id, message.request)
    else:
        mapped = ChannelsRpcResponseReceived(connection_id, stream, message.id, message.response)
    return _or_end(mapped, rpc_violation(channels.rpc, mapped, stream), ChannelId.RPC)


def reduce_stream_ended(state: P2pState, action: ChannelsStreamEnded, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """The peer's half of a stream ended: the end of an answer, or just of a request."""
    channels = state.channels.table.get(action.connection_id)
    if channels is not None and action.channel in CONVERSATIONS:
        said = CONVERSATIONS[action.channel].of_end(action, channels)
        return state, (_conversation(state, channels, action.channel, said),)
    if channels is not None and action.channel == ChannelId.ADDRESS_GOSSIP:
        over_there = address_gossip.of_end(action, channels)
        return state, () if over_there is None else (over_there,)
    if channels is None or not _is_ours(channels, action.stream):
        return state, ()
    if action.channel == ChannelId.BLOCK:
        return block.stream_ended(state, action, channels)
    if action.channel == ChannelId.RPC:
        ended: RpcAction = ChannelsRpcAnswerEnded(action.connection_id, action.stream)
        return state, (_or_end(ended, rpc_violation(channels.rpc, ended, action.stream), action.channel),)
    over = ChannelsPropagationAnswerEnded(action.connection_id, action.channel, action.stream)
    return state, (_or_end(over, propagation_violation(channels.propagation(action.channel), over, action.stream), action.channel),)


def reduce_stream_reset(state: P2pState, action: ChannelsStreamReset, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """The peer gave up a stream. One that nothing depends on any more is forgotten."""
    channels = state.channels.table.get(action.connection_id)
    if channels is None:
        return state, ()
    connection_id, channel, stream = action.connection_id, action.channel, action.stream
    is_ours = _is_ours(channels, stream)
    if channel in CONVERSATIONS:
        return state, (CONVERSATIONS[channel].of_reset(action, channels),)
    if channel == ChannelId.ADDRESS_GOSSIP:
        return state, (address_gossip.of_reset(action),)
    if channel == ChannelId.BLOCK:
        return block.stream_reset(state, action, channels)
    if channel == ChannelId.RPC:
        if is_ours:
            return state, (ChannelsRpcAnswerReset(connection_id, stream, action.code),)
        return state, (ChannelsRpcRequestCancelled(connection_id, stream),)
    if is_ours:
        return state, (ChannelsPropagationAnswerReset(connection_id, channel, stream, action.code),)
    return state, (ChannelsPropagationRequestCancelled(connection_id, channel, stream),)


def reduce_send_blocked(state: P2pState, action: ChannelsSendBlocked, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """A slow reader: items wait in the state, where they take no memory, and not in the transport."""
    return _blocked(state, action.connection_id, is_blocked=True), ()


def reduce_send_unblocked(state: P2pState, action: ChannelsSendUnblocked, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """It has caught up: use the permissions that wait."""
    offers = tuple(offer(action.connection_id, channel) for channel in KINDS)
    streaming = state.channels.streaming_rpc(action.connection_id)
    parts = () if streaming is None else (ChannelsStreamingRpcResponsePartSend(action.connection_id),)
    return _blocked(state, action.connection_id, is_blocked=False), (*offers, *parts)


def _blocked(state: P2pState, connection_id: ConnectionId, *, is_blocked: bool) -> P2pState:
    channels = state.channels.table.get(connection_id)
    if channels is None:
        return state
    table = state.channels.table.set(connection_id, channels.replace(is_send_blocked=is_blocked))
    return state.replace(channels=state.channels.replace(table=table))


def _is_ours(channels: PeerChannels, stream: StreamId) -> bool:
    return channels.is_ours(stream)


def _conversation(state: P2pState, channels: PeerChannels, channel: ChannelId, said: Action) -> Action:
    code = CONVERSATIONS[channel].violation(channels, said, state.config.limits)
    return Attempt(said, DisconnectionInit(said.connection_id, Reason(code, channel)))


def _or_end(action: PropagationAction | RpcAction, code: ReasonCode, channel: ChannelId) -> Attempt:
    return Attempt(action, DisconnectionInit(action.connection_id, Reason(code, channel)))


def _end(connection_id: ConnectionId, code: ReasonCode, channel: ChannelId, detail: str) -> DisconnectionInit:
    return DisconnectionInit(connection_id, Reason(code, channel, detail[:DETAIL_CHARS_MAX]))
