"""Channels on whose streams both sides go on speaking, and how each maps what it hears to actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from mina_p2p.channels.overtaking import RemoteHalf
from mina_p2p.channels.signaling_discovery import events as discovery
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryRequestReceived
from mina_p2p.channels.signaling_exchange import events as exchange
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeRequestReceived
from mina_p2p.channels.state import PeerChannels
from mina_p2p.channels.streaming_rpc import events as streaming_rpc
from mina_p2p.channels.streaming_rpc import reducer as streaming_rpc_reducer
from mina_p2p.channels.streaming_rpc.actions import ChannelsStreamingRpcRequestReceived
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import ChannelId
from mina_p2p.record import Record, record
from mina_p2p.store import Action
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset


@record
class Conversation(Record):
    """One such channel."""

    of_message: Callable[[ChannelsMessageReceived], Action]
    """Raises `DecodeError` for a frame that says nothing."""
    of_end: Callable[[ChannelsStreamEnded, PeerChannels], Action]
    of_reset: Callable[[ChannelsStreamReset, PeerChannels], Action]
    violation: Callable[[PeerChannels, Any, Limits], ReasonCode]
    """Why an action that was mapped to, and that its guard refuses, breaks the protocol."""
    request: type[Action]
    """The action for the message that opens a stream."""
    remote: Callable[[PeerChannels], RemoteHalf | None]
    """What the peer last asked, where the channel is open."""


CONVERSATIONS: Final[Mapping[ChannelId, Conversation]] = MappingProxyType(
    {
        ChannelId.SIGNALING_DISCOVERY: Conversation(
            discovery.of_message,
            discovery.of_end,
            discovery.of_reset,
            discovery.violation,
            ChannelsSignalingDiscoveryRequestReceived,
            lambda channels: None if channels.discovery is None else channels.discovery.remote,
        ),
        ChannelId.SIGNALING_EXCHANGE: Conversation(
            exchange.of_message,
            exchange.of_end,
            exchange.of_reset,
            exchange.violation,
            ChannelsSignalingExchangeRequestReceived,
            lambda channels: None if channels.exchange is None else channels.exchange.remote,
        ),
        ChannelId.STREAMING_RPC: Conversation(
            streaming_rpc.of_message,
            streaming_rpc.of_end,
            streaming_rpc.of_reset,
            streaming_rpc_reducer.violation,
            ChannelsStreamingRpcRequestReceived,
            lambda channels: None if channels.streaming_rpc is None else channels.streaming_rpc.remote,
        ),
    }
)
