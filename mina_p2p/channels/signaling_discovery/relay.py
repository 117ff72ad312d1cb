"""Signaling discovery where we are the relay: reducer."""

from __future__ import annotations

from typing import Final, assert_never

from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerSend,
    ChannelsSignalingDiscoveryDiscoveredAcceptReceived,
    ChannelsSignalingDiscoveryDiscoveredRejectReceived,
    ChannelsSignalingDiscoveryDiscoveredSend,
    ChannelsSignalingDiscoveryDiscoveryRequestReceived,
    ChannelsSignalingDiscoveryEnded,
    ChannelsSignalingDiscoveryRequestSend,
    ChannelsSignalingDiscoveryReset,
    ChannelsSignalingDiscoveryTargetLost,
    ChannelsSignalingDiscoveryTimeout,
    RelayAction,
)
from mina_p2p.channels.signaling_discovery.messages import DISCOVERY_MESSAGE, DiscoveryAnswer, DiscoveryDiscovered, DiscoveryGetNext
from mina_p2p.channels.signaling_discovery.state import (
    Answered,
    Discovered,
    DiscoveredAccepted,
    DiscoveredRejected,
    Discovery,
    DiscoveryRequested,
    LocalHalf,
    Requested,
    Resting,
    TargetLost,
)
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeOfferSend, ChannelsSignalingExchangeRequesterLost
from mina_p2p.channels.signaling_exchange.state import Promised
from mina_p2p.channels.signaling_exchange.state import RemoteRequested as Available
from mina_p2p.channels.state import Channels
from mina_p2p.config import Timeouts
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.signaling.actions import SignalingMatch, SignalingPairRemember
from mina_p2p.signaling.frames import FRAME_BYTES_MAX, FRAME_HEADER_BYTES, WORD_BYTES
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps, expect
from mina_p2p.transport import ChannelsEffectfulRequestContinue, ChannelsEffectfulRequestSend, ChannelsEffectfulStreamReset

CHANNEL: Final = ChannelId.SIGNALING_DISCOVERY


def reduce(state: Channels, action: RelayAction, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reduce one action of the half in which we are the relay."""
    connection_id = action.connection_id
    discovery = state.discovery(connection_id)
    if discovery is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {connection_id} has no signaling discovery channel")
    timeouts = root.config.timeouts
    peer_id = root.connections.table[connection_id].peer_id

    def put(local: LocalHalf) -> Channels:
        return state.with_discovery(connection_id, discovery.replace(local=local))

    match action:
        case ChannelsSignalingDiscoveryRequestSend():
            stream, channels = state.table[connection_id].next_stream()
            requested = discovery.replace(local=Requested(stream, Timestamp(now + timeouts.parked_permission)))
            frame = DISCOVERY_MESSAGE.encode(DiscoveryGetNext())
            effect = ChannelsEffectfulRequestSend(connection_id, CHANNEL, stream, frame, FRAME_HEADER_BYTES + WORD_BYTES, WORD_BYTES, False)
            return state.with_discovery(connection_id, requested, channels), (effect,)

        case ChannelsSignalingDiscoveryDiscoveryRequestReceived(stream=stream):
            ticket = state.introductions.last_ticket + 1
            asked = put(DiscoveryRequested(stream, ticket, Timestamp(now + timeouts.parked_permission)))
            return asked.replace(introductions=asked.introductions.replace(last_ticket=ticket)), (SignalingMatch(connection_id),)

        case ChannelsSignalingDiscoveryDiscoveredSend():
            return _propose(state, discovery, action, now, root)

        case ChannelsSignalingDiscoveryDiscoveredRejectReceived(stream=stream):
            target = _target(discovery)
            rejected = put(DiscoveredRejected(stream, target, Timestamp(now + timeouts.signaling_relay)))
            return rejected, (SignalingPairRemember(peer_id, target), *_released(discovery))

        case ChannelsSignalingDiscoveryDiscoveredAcceptReceived(stream=stream, offer=offer):
            if isinstance(discovery.local, TargetLost):
                return _answer(state, discovery, connection_id, stream, discovery.local.target, None, now, timeouts)
            local = expect(discovery.local, Discovered, action)
            accepted = DiscoveredAccepted(stream, local.target, local.target_connection, Timestamp(now + timeouts.signaling_relay))
            offered = ChannelsSignalingExchangeOfferSend(local.target_connection, connection_id, offer)
            return put(accepted), (Attempt(offered, ChannelsSignalingDiscoveryAnswerSend(connection_id, None)),)

        case ChannelsSignalingDiscoveryTargetLost():
            if isinstance(discovery.local, Discovered):
                # It is the peer's turn to speak: an offer, should it come, gets no answer.
                return put(TargetLost(discovery.local.stream, discovery.local.target, discovery.local.deadline)), ()
            return state, (ChannelsSignalingDiscoveryAnswerSend(connection_id, None),)

        case ChannelsSignalingDiscoveryAnswerSend(answer=answer):
            waiting = expect(discovery.local, DiscoveredAccepted, action)
            state, effects = _answer(state, discovery, connection_id, waiting.stream, waiting.target, answer, now, timeouts)
            if answer is None:
                return state, (*effects, ChannelsSignalingExchangeRequesterLost(waiting.target_connection))
            return state, (*effects, SignalingPairRemember(peer_id, waiting.target))

        case ChannelsSignalingDiscoveryEnded():
            return put(Resting(Timestamp(now + timeouts.signaling_pause))), ()

        case ChannelsSignalingDiscoveryReset():
            return put(Resting(Timestamp(now + timeouts.signaling_pause))), _released(discovery)

        case ChannelsSignalingDiscoveryTimeout():
            match discovery.local:
                case Resting():
                    return state, (ChannelsSignalingDiscoveryRequestSend(connection_id),)
                case DiscoveredAccepted():
                    return state, (ChannelsSignalingDiscoveryAnswerSend(connection_id, None),)
                case waiting_half:
                    pause = timeouts.stream_settle if isinstance(waiting_half, Requested | DiscoveryRequested) else timeouts.signaling_pause
                    reset = ChannelsEffectfulStreamReset(connection_id, waiting_half.stream, StreamResetCode.CANCELLED)
                    return put(Resting(Timestamp(now + pause))), (reset, *_released(discovery))

        case _:
            assert_never(action)


def _propose(
    state: Channels, discovery: Discovery, action: ChannelsSignalingDiscoveryDiscoveredSend, now: Timestamp, root: P2pState
) -> tuple[Channels, FollowUps]:
    connection_id, target_connection = action.connection_id, action.target
    asked = expect(discovery.local, DiscoveryRequested, action)
    exchange = state.exchange(target_connection)
    if exchange is None:
        raise InvariantViolationError(f"connection {target_connection} has no signaling exchange channel")
    available = expect(exchange.remote, Available, action)
    target = root.connections.table[target_connection].peer_id
    proposed = Discovered(asked.stream, target, target_connection, Timestamp(now + root.config.timeouts.signaling_relay))
    state = state.with_discovery(connection_id, discovery.replace(local=proposed))
    state = state.with_exchange(target_connection, exchange.replace(remote=Promised(available.stream, connection_id)))
    frame = DISCOVERY_MESSAGE.encode(DiscoveryDiscovered(target))
    permitted = FRAME_HEADER_BYTES + FRAME_BYTES_MAX
    return state, (ChannelsEffectfulRequestContinue(connection_id, asked.stream, frame, permitted, FRAME_BYTES_MAX, False),)


def _answer(
    state: Channels,
    discovery: Discovery,
    connection_id: ConnectionId,
    stream: StreamId,
    target: PeerId,
    answer: bytes | None,
    now: Timestamp,
    timeouts: Timeouts,
) -> tuple[Channels, FollowUps]:
    answered = discovery.replace(local=Answered(stream, target, Timestamp(now + timeouts.signaling_relay)))
    frame = DISCOVERY_MESSAGE.encode(DiscoveryAnswer(answer))
    effect = ChannelsEffectfulRequestContinue(connection_id, stream, frame, 0, 0, True)
    return state.with_discovery(connection_id, answered), (effect,)


def _target(discovery: Discovery) -> PeerId:
    if not isinstance(discovery.local, Discovered | TargetLost):
        raise InvariantViolationError(f"{type(discovery.local).__qualname__} has nothing to decline")
    return discovery.local.target


def _released(discovery: Discovery) -> FollowUps:
    """What tells a target that its requester no longer waits for it."""
    target = discovery.target_connection
    return () if target is None else (ChannelsSignalingExchangeRequesterLost(target),)
