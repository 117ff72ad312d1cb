"""Frames and stream events of channel 2, mapped to what they mean."""

from __future__ import annotations

from typing import Any

from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerReceived,
    ChannelsSignalingExchangeEnded,
    ChannelsSignalingExchangeOfferReceived,
    ChannelsSignalingExchangeRemoteEnded,
    ChannelsSignalingExchangeRemoteReset,
    ChannelsSignalingExchangeRequestReceived,
    ChannelsSignalingExchangeReset,
    SignalingExchangeAction,
)
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeAnswer, ExchangeGetNext, ExchangeOfferToYou
from mina_p2p.channels.signaling_exchange.state import Resting
from mina_p2p.channels.state import PeerChannels
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identity import is_curve_point
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset


def of_message(event: ChannelsMessageReceived) -> SignalingExchangeAction:
    """What a frame says.

    :raises DecodeError: where it says nothing, or names an offerer that is no key.
    """
    connection_id, stream = event.connection_id, event.stream
    match EXCHANGE_MESSAGE.decode(event.frame):
        case ExchangeGetNext():
            return ChannelsSignalingExchangeRequestReceived(connection_id, stream)
        case ExchangeOfferToYou(offerer_public_key=offerer, offer=offer):
            if not is_curve_point(offerer):
                raise DecodeError("offerer_public_key", 1, "not a point of the curve")
            return ChannelsSignalingExchangeOfferReceived(connection_id, stream, offerer, offer)
        case ExchangeAnswer(answer=answer):
            return ChannelsSignalingExchangeAnswerReceived(connection_id, stream, answer)


def of_end(event: ChannelsStreamEnded, channels: PeerChannels) -> SignalingExchangeAction:
    """What the end of the peer's half of a stream says."""
    if channels.is_ours(event.stream):
        return ChannelsSignalingExchangeEnded(event.connection_id, event.stream)
    return ChannelsSignalingExchangeRemoteEnded(event.connection_id, event.stream)


def of_reset(event: ChannelsStreamReset, channels: PeerChannels) -> SignalingExchangeAction:
    """What the reset of a stream says."""
    if channels.is_ours(event.stream):
        return ChannelsSignalingExchangeReset(event.connection_id, event.stream, event.code)
    return ChannelsSignalingExchangeRemoteReset(event.connection_id, event.stream, event.code)


def violation(channels: PeerChannels, action: Any, limits: Limits) -> ReasonCode:
    """Why what its guard refuses breaks the protocol."""
    local = None if channels.exchange is None else channels.exchange.local
    match action:
        case ChannelsSignalingExchangeRequestReceived(stream=stream):
            return ReasonCode.STREAM_MISUSE if channels.is_ours(stream) else ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case ChannelsSignalingExchangeRemoteEnded():
            return ReasonCode.STREAM_MISUSE
        case ChannelsSignalingExchangeEnded(stream=stream) if local is not None and not isinstance(local, Resting):
            return ReasonCode.ANSWER_TRUNCATED if local.stream == stream else ReasonCode.CHANNEL_MSG_UNEXPECTED
        case _:
            return ReasonCode.CHANNEL_MSG_UNEXPECTED
