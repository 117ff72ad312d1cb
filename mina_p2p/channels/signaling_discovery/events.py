"""Frames and stream events of channel 1, mapped to what they mean."""

from __future__ import annotations

from typing import Any

from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerReceived,
    ChannelsSignalingDiscoveryDiscoveredAcceptReceived,
    ChannelsSignalingDiscoveryDiscoveredReceived,
    ChannelsSignalingDiscoveryDiscoveredRejectReceived,
    ChannelsSignalingDiscoveryDiscoveryRequestReceived,
    ChannelsSignalingDiscoveryEnded,
    ChannelsSignalingDiscoveryRemoteEnded,
    ChannelsSignalingDiscoveryRemoteReset,
    ChannelsSignalingDiscoveryRequestReceived,
    ChannelsSignalingDiscoveryReset,
    SignalingDiscoveryAction,
)
from mina_p2p.channels.signaling_discovery.messages import (
    DISCOVERY_MESSAGE,
    DiscoveryAnswer,
    DiscoveryDiscover,
    DiscoveryDiscovered,
    DiscoveryDiscoveredAccept,
    DiscoveryDiscoveredReject,
    DiscoveryGetNext,
)
from mina_p2p.channels.signaling_discovery.state import Resting
from mina_p2p.channels.state import PeerChannels
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identity import is_curve_point
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset


def of_message(event: ChannelsMessageReceived) -> SignalingDiscoveryAction:
    """What a frame says.

    :raises DecodeError: where it says nothing, or names a target that is no key.
    """
    connection_id, stream = event.connection_id, event.stream
    match DISCOVERY_MESSAGE.decode(event.frame):
        case DiscoveryGetNext():
            return ChannelsSignalingDiscoveryRequestReceived(connection_id, stream)
        case DiscoveryDiscover():
            return ChannelsSignalingDiscoveryDiscoveryRequestReceived(connection_id, stream)
        case DiscoveryDiscovered(target_public_key=target):
            if not is_curve_point(target):
                raise DecodeError("target_public_key", 1, "not a point of the curve")
            return ChannelsSignalingDiscoveryDiscoveredReceived(connection_id, stream, target)
        case DiscoveryDiscoveredReject():
            return ChannelsSignalingDiscoveryDiscoveredRejectReceived(connection_id, stream)
        case DiscoveryDiscoveredAccept(offer=offer):
            return ChannelsSignalingDiscoveryDiscoveredAcceptReceived(connection_id, stream, offer)
        case DiscoveryAnswer(answer=answer):
            return ChannelsSignalingDiscoveryAnswerReceived(connection_id, stream, answer)


def of_end(event: ChannelsStreamEnded, channels: PeerChannels) -> SignalingDiscoveryAction:
    """What the end of the peer's half of a stream says."""
    if channels.is_ours(event.stream):
        return ChannelsSignalingDiscoveryEnded(event.connection_id, event.stream)
    return ChannelsSignalingDiscoveryRemoteEnded(event.connection_id, event.stream)


def of_reset(event: ChannelsStreamReset, channels: PeerChannels) -> SignalingDiscoveryAction:
    """What the reset of a stream says."""
    if channels.is_ours(event.stream):
        return ChannelsSignalingDiscoveryReset(event.connection_id, event.stream, event.code)
    return ChannelsSignalingDiscoveryRemoteReset(event.connection_id, event.stream, event.code)


def violation(channels: PeerChannels, action: Any, limits: Limits) -> ReasonCode:
    """Why what its guard refuses breaks the protocol."""
    local = None if channels.discovery is None else channels.discovery.local
    match action:
        case ChannelsSignalingDiscoveryRequestReceived(stream=stream):
            return ReasonCode.STREAM_MISUSE if channels.is_ours(stream) else ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case ChannelsSignalingDiscoveryRemoteEnded():
            return ReasonCode.STREAM_MISUSE
        case ChannelsSignalingDiscoveryEnded(stream=stream) if local is not None and not isinstance(local, Resting):
            return ReasonCode.ANSWER_TRUNCATED if local.stream == stream else ReasonCode.CHANNEL_MSG_UNEXPECTED
        case _:
            return ReasonCode.CHANNEL_MSG_UNEXPECTED
