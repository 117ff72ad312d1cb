"""What happens to a permission. In traces `trace_kind` gives the reference's name for its channel."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.propagation.state import (
    Paused,
    RemoteRequested,
    RemoteResponded,
    Requested,
    Responding,
    WaitingForRequest,
)
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class ChannelsPropagationRequestSend(Record):
    """Permit the peer as many items as we have room for."""

    connection_id: ConnectionId
    channel: ChannelId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        return machine is not None and machine.is_idle and state.request_limit(self.connection_id, self.channel) > 0


@record
class ChannelsPropagationPromiseReceived(Record):
    """The peer announced how many items will follow our request."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    promised_count: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        match machine and machine.local:
            case Requested(limit=limit, stream=self.stream):
                return 0 < self.promised_count <= limit
            case _:
                return False


@record
class ChannelsPropagationReceived(Record):
    """An item arrived."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    item: PropagationItem

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        match machine and machine.local:
            case Responding(promised_count=promised, current_count=current, stream=self.stream):
                return current < promised
            case Requested(stream=self.stream):
                return self.channel == ChannelId.BEST_TIP
            case _:
                return False


@record
class ChannelsPropagationAnswerEnded(Record):
    """The answer's stream ended, after all that was promised."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        match machine and machine.local:
            case Responding(promised_count=promised, current_count=current, stream=self.stream):
                return current == promised
            case _:
                return False


@record
class ChannelsPropagationAnswerReset(Record):
    """The peer gave up the stream of our permission."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    code: StreamResetCode

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        return machine is not None and isinstance(machine.local, Requested | Responding) and machine.local.stream == self.stream


@record
class ChannelsPropagationTimeout(Record):
    """The local half has waited long enough."""

    connection_id: ConnectionId
    channel: ChannelId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        return machine is not None and isinstance(machine.local, Requested | Responding | Paused) and machine.local.deadline <= now


@record
class ChannelsPropagationRequestReceived(Record):
    """The peer permits us ``limit`` items."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    limit: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        match machine and machine.remote:
            case WaitingForRequest():
                return self.limit > 0
            case RemoteResponded(stream=answered):
                return self.limit > 0 and self.stream > answered
            case _:
                return False


@record
class ChannelsPropagationResponseSend(Record):
    """Use the peer's permission: items ``first_index`` to ``last_index`` of our log."""

    connection_id: ConnectionId
    channel: ChannelId
    items: tuple[PropagationItem, ...]
    first_index: int
    last_index: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        if machine is None or not isinstance(machine.remote, RemoteRequested):
            return False
        return 0 < len(self.items) <= machine.remote.limit and machine.next_send_index <= self.first_index <= self.last_index


@record
class ChannelsPropagationRequestCancelled(Record):
    """The peer withdrew its permission, or what we had sent for it."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        return (
            machine is not None and isinstance(machine.remote, RemoteRequested | RemoteResponded) and machine.remote.stream == self.stream
        )


PropagationAction: TypeAlias = (
    ChannelsPropagationRequestSend
    | ChannelsPropagationPromiseReceived
    | ChannelsPropagationReceived
    | ChannelsPropagationAnswerEnded
    | ChannelsPropagationAnswerReset
    | ChannelsPropagationTimeout
    | ChannelsPropagationRequestReceived
    | ChannelsPropagationResponseSend
    | ChannelsPropagationRequestCancelled
)


def trace_kind(action: PropagationAction) -> str:
    """The reference's name of what happened, such as ``ChannelsTransactionPromiseReceived``."""
    channel = "".join(word.capitalize() for word in action.channel.name.split("_"))
    return type(action).__name__.replace("Propagation", channel, 1)
