"""Signaling exchange where we are the relay and the peer is a listener: reducer."""

from __future__ import annotations

from typing import Final, assert_never

from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryAnswerSend, ChannelsSignalingDiscoveryTargetLost
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerReceived,
    ChannelsSignalingExchangeOfferSend,
    ChannelsSignalingExchangeRemoteEnded,
    ChannelsSignalingExchangeRemoteReset,
    ChannelsSignalingExchangeRequesterLost,
    ChannelsSignalingExchangeRequestReceived,
    RelayAction,
)
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeOfferToYou
from mina_p2p.channels.signaling_exchange.state import (
    Promised,
    RemoteAnswered,
    RemoteHalf,
    RemoteOffered,
    RemoteRequested,
    WaitingForRequest,
)
from mina_p2p.channels.state import Channels
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import ChannelId, Timestamp
from mina_p2p.signaling.actions import SignalingMatch
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulStreamReset

CHANNEL: Final = ChannelId.SIGNALING_EXCHANGE


def reduce(state: Channels, action: RelayAction, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reduce one action of the half in which we are the relay."""
    connection_id = action.connection_id
    exchange = state.exchange(connection_id)
    if exchange is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {connection_id} has no signaling exchange channel")

    def put(remote: RemoteHalf) -> Channels:
        return state.with_exchange(connection_id, exchange.replace(remote=remote))

    match action:
        case ChannelsSignalingExchangeRequestReceived(stream=stream):
            return put(RemoteRequested(stream)), (SignalingMatch(connection_id),)

        case ChannelsSignalingExchangeOfferSend(requester=requester, offer=offer):
            stream = expect(exchange.remote, Promised, action).stream
            frame = EXCHANGE_MESSAGE.encode(ExchangeOfferToYou(root.connections.table[requester].peer_id, offer))
            return put(RemoteOffered(stream, requester)), (ChannelsEffectfulAnswerSend(connection_id, stream, (frame,), False),)

        case ChannelsSignalingExchangeAnswerReceived(stream=stream, answer=answer):
            requester = expect(exchange.remote, RemoteOffered, action).requester
            end = ChannelsEffectfulAnswerSend(connection_id, stream, (), True)
            return put(RemoteAnswered()), (end, ChannelsSignalingDiscoveryAnswerSend(requester, answer))

        case ChannelsSignalingExchangeRequesterLost():
            if isinstance(exchange.remote, Promised):
                return put(RemoteRequested(exchange.remote.stream)), (SignalingMatch(connection_id),)
            stream = expect(exchange.remote, RemoteOffered, action).stream
            return put(WaitingForRequest()), (ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED),)

        case ChannelsSignalingExchangeRemoteEnded():
            return state, ()

        case ChannelsSignalingExchangeRemoteReset():
            lost = () if exchange.requester is None else (ChannelsSignalingDiscoveryTargetLost(exchange.requester),)
            return put(WaitingForRequest()), lost

        case _:
            assert_never(action)
