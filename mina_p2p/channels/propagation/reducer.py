"""The permission machine: reducer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from mina_p2p.best_tip.actions import BestTipSend, PeerBestTipReceived
from mina_p2p.channels.propagation.actions import (
    ChannelsPropagationAnswerEnded,
    ChannelsPropagationAnswerReset,
    ChannelsPropagationPromiseReceived,
    ChannelsPropagationReceived,
    ChannelsPropagationRequestCancelled,
    ChannelsPropagationRequestReceived,
    ChannelsPropagationRequestSend,
    ChannelsPropagationResponseSend,
    ChannelsPropagationTimeout,
    PropagationAction,
)
from mina_p2p.channels.propagation.kinds import KINDS, PropagationItem
from mina_p2p.channels.propagation.state import (
    Paused,
    Propagation,
    RemoteRequested,
    RemoteResponded,
    Requested,
    Responded,
    Responding,
    WaitingForRequest,
)
from mina_p2p.channels.state import Channels
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.pool.actions import PoolCandidateReceived, PoolSend
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, SliceReducer, expect
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend, ChannelsEffectfulStreamReset


def _machine(state: Channels, action: PropagationAction) -> Propagation:
    machine = state.propagation(action.connection_id, action.channel)
    if machine is None:
        raise InvariantViolationError(
            f"{type(action).__qualname__}: connection {action.connection_id} has no channel {action.channel.name}"
        )
    return machine


def _request_send(state: Channels, action: ChannelsPropagationRequestSend, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, channel = action.connection_id, action.channel
    machine, kind, limit = _machine(state, action), KINDS[channel], root.request_limit(connection_id, channel)
    stream, channels = state.table[connection_id].next_stream()
    asked = machine.replace(local=Requested(limit, stream, Timestamp(now + root.config.timeouts.parked_permission)))
    effect = ChannelsEffectfulRequestSend(
        connection_id, channel, stream, kind.encode_get_next(limit), kind.answer_bytes_max(limit), kind.item_bytes_max
    )
    return state.with_propagation(connection_id, channel, asked, channels), (effect,)


def _promise_received(
    state: Channels, action: ChannelsPropagationPromiseReceived, now: Timestamp, root: P2pState
) -> tuple[Channels, FollowUps]:
    machine = _machine(state, action)
    requested = expect(machine.local, Requested, action)
    deadline = Timestamp(now + root.config.timeouts.answer)
    promised = Responding(requested.limit, action.promised_count, 0, requested.stream, deadline)
    return state.with_propagation(action.connection_id, action.channel, machine.replace(local=promised)), ()


def _received(state: Channels, action: ChannelsPropagationReceived, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, channel, item = action.connection_id, action.channel, action.item
    machine = _machine(state, action)
    local = machine.local
    if isinstance(local, Requested):
        counted = Responding(local.limit, 1, 1, local.stream, Timestamp(now + root.config.timeouts.answer))
    else:
        responding = expect(local, Responding, action)
        counted = responding.replace(current_count=responding.current_count + 1)
    return state.with_propagation(connection_id, channel, machine.replace(local=counted)), (_deliver(connection_id, channel, item),)


def _answer_ended(state: Channels, action: ChannelsPropagationAnswerEnded, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, channel = action.connection_id, action.channel
    machine = _machine(state, action)
    responding = expect(machine.local, Responding, action)
    if channel == ChannelId.BEST_TIP:
        # Its state hash costs milliseconds, so nobody may keep us busy with one after another (defect C8).
        paused = machine.replace(local=Paused(Timestamp(now + root.config.timeouts.best_tip_interval)))
        return state.with_propagation(connection_id, channel, paused), ()
    ended = machine.replace(local=Responded(responding.current_count))
    return state.with_propagation(connection_id, channel, ended), (ChannelsPropagationRequestSend(connection_id, channel),)


def _answer_reset(state: Channels, action: ChannelsPropagationAnswerReset, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    paused = _machine(state, action).replace(local=Paused(Timestamp(now + root.config.timeouts.reconnect)))
    return state.with_propagation(action.connection_id, action.channel, paused), ()


def _time_out(state: Channels, action: ChannelsPropagationTimeout, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, channel = action.connection_id, action.channel
    machine = _machine(state, action)
    if isinstance(machine.local, Responding):
        detail = f"{machine.local.current_count} of {machine.local.promised_count} promised items came in time"
        return state, (DisconnectionInit(connection_id, Reason(ReasonCode.CHANNEL_TIMEOUT, channel, detail)),)
    if isinstance(machine.local, Requested):
        # Not asked again at once: the reset and a new request are on different streams and might
        # arrive in the other order, where the request would be one too many.
        paused = machine.replace(local=Paused(Timestamp(now + root.config.timeouts.reconnect)))
        withdrawal = ChannelsEffectfulStreamReset(connection_id, machine.local.stream, StreamResetCode.CANCELLED)
        return state.with_propagation(connection_id, channel, paused), (withdrawal,)
    idle = state.with_propagation(connection_id, channel, machine.replace(local=WaitingForRequest()))
    return idle, (ChannelsPropagationRequestSend(connection_id, channel),)


def _request_received(
    state: Channels, action: ChannelsPropagationRequestReceived, now: Timestamp, root: P2pState
) -> tuple[Channels, FollowUps]:
    connection_id, channel = action.connection_id, action.channel
    permitted = _machine(state, action).replace(remote=RemoteRequested(action.limit, action.stream))
    return state.with_propagation(connection_id, channel, permitted), (offer(connection_id, channel),)


def _response_send(state: Channels, action: ChannelsPropagationResponseSend, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    connection_id, channel, items = action.connection_id, action.channel, action.items
    machine = _machine(state, action)
    permission = expect(machine.remote, RemoteRequested, action)
    responded = RemoteResponded(len(items), permission.stream, machine.next_send_index)
    sent = machine.replace(remote=responded, next_send_index=action.last_index + 1)
    frames = KINDS[channel].encode_answer(items)
    effect = ChannelsEffectfulAnswerSend(connection_id, permission.stream, frames, True)
    return state.with_propagation(connection_id, channel, sent), (effect,)


def _request_cancelled(
    state: Channels, action: ChannelsPropagationRequestCancelled, now: Timestamp, root: P2pState
) -> tuple[Channels, FollowUps]:
    machine = _machine(state, action)
    if isinstance(machine.remote, RemoteRequested):
        withdrawn = machine.replace(remote=WaitingForRequest())
    else:
        withdrawn = machine.replace(next_send_index=expect(machine.remote, RemoteResponded, action).resend_index)
    return state.with_propagation(action.connection_id, action.channel, withdrawn), ()


REDUCERS: Final[Mapping[type[Any], SliceReducer[Channels]]] = MappingProxyType(
    {
        ChannelsPropagationRequestSend: _request_send,
        ChannelsPropagationPromiseReceived: _promise_received,
        ChannelsPropagationReceived: _received,
        ChannelsPropagationAnswerEnded: _answer_ended,
        ChannelsPropagationAnswerReset: _answer_reset,
        ChannelsPropagationTimeout: _time_out,
        ChannelsPropagationRequestReceived: _request_received,
        ChannelsPropagationResponseSend: _response_send,
        ChannelsPropagationRequestCancelled: _request_cancelled,
    }
)
"""Every action of this slice."""


def _deliver(connection_id: ConnectionId, channel: ChannelId, item: PropagationItem) -> PoolCandidateReceived | PeerBestTipReceived:
    """Hand a received item to its owner."""
    if isinstance(item, RawBlock):
        return PeerBestTipReceived(connection_id, item)
    return PoolCandidateReceived(connection_id, channel, item)


def offer(connection_id: ConnectionId, channel: ChannelId) -> PoolSend | BestTipSend:
    """Ask the owner for something to send."""
    return BestTipSend(connection_id) if channel == ChannelId.BEST_TIP else PoolSend(connection_id, channel)


def violation(machine: Propagation | None, action: PropagationAction, stream: StreamId) -> ReasonCode:
    """Why a message that its guard refuses breaks the protocol."""
    local = None if machine is None else machine.local
    match action:
        case ChannelsPropagationPromiseReceived(promised_count=count) if isinstance(local, Requested) and local.stream == stream:
            return ReasonCode.CHANNEL_MSG_OVER_PERMISSION if count > local.limit else ReasonCode.CHANNEL_MSG_UNEXPECTED
        case ChannelsPropagationReceived() if isinstance(local, Responding) and local.stream == stream:
            return ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case ChannelsPropagationAnswerEnded() if isinstance(local, Requested | Responding) and local.stream == stream:
            return ReasonCode.ANSWER_TRUNCATED
        case _:
            return ReasonCode.CHANNEL_MSG_UNEXPECTED
