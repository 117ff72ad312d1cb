"""Channel 10 of a connection: requests become streams, what comes on them becomes the actions of `mina_p2p.blocks`.

A stream is forgotten with the first frame of its answer, so that a second one is an answer to nothing.
"""

from __future__ import annotations

from mina_p2p.blocks.actions import (
    BlocksAnswerEnded,
    BlocksAnswerReceived,
    BlocksAnswerReset,
    BlocksOutgoing,
    BlocksRequestCancel,
    BlocksRequestCancelled,
    BlocksRequestReceived,
    BlocksRequestSend,
)
from mina_p2p.blocks.state import Ticket
from mina_p2p.channels.block.messages import QUEUED_FRAME
from mina_p2p.channels.state import Channels, PeerChannels
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import Action, FollowUps
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ChannelsStreamReset,
)


def reduce(state: Channels, action: BlocksOutgoing, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Open a stream for a request of ours, or give one up. Nothing, where the connection is gone."""
    connection_id, ticket = action.connection_id, action.ticket
    channels = state.table.get(connection_id)
    streams = None if channels is None else channels.block
    if channels is None or streams is None:
        return state, ()
    match action:
        case BlocksRequestSend():
            stream, numbered = channels.next_stream()
            opened = numbered.replace(block=streams.add(ticket, stream))
            effect = ChannelsEffectfulRequestSend(
                connection_id, ChannelId.BLOCK, stream, action.frame, action.answer_bytes_max, action.frame_bytes_max
            )
            return state.replace(table=state.table.set(connection_id, opened)), (effect,)
        case BlocksRequestCancel():
            given_up = streams.stream_of(ticket)
            if given_up is None:
                return state, ()
            reset = ChannelsEffectfulStreamReset(connection_id, given_up, StreamResetCode.CANCELLED)
            return _without(state, connection_id, channels, ticket), (reset,)


def message_received(state: P2pState, event: ChannelsMessageReceived, channels: PeerChannels) -> tuple[P2pState, FollowUps]:
    """A frame: a request of the peer's, or the answer to one of ours."""
    connection_id, stream = event.connection_id, event.stream
    if not channels.is_ours(stream):
        return state, (BlocksRequestReceived(connection_id, stream, event.frame),)
    ticket = _ticket(channels, stream)
    if ticket is None:
        return state, (_end(connection_id, "a second answer, or one to nothing"),)
    if event.frame == QUEUED_FRAME:
        return state, (BlocksAnswerReceived(connection_id, ticket, event.frame),)
    answered = state.replace(channels=_without(state.channels, connection_id, channels, ticket))
    return answered, (BlocksAnswerReceived(connection_id, ticket, event.frame),)


def stream_ended(state: P2pState, event: ChannelsStreamEnded, channels: PeerChannels) -> tuple[P2pState, FollowUps]:
    """The end of an answer; without an answer before it that is a violation."""
    ticket = _ticket(channels, event.stream)
    if ticket is None:
        return state, ()
    over = state.replace(channels=_without(state.channels, event.connection_id, channels, ticket))
    return over, (BlocksAnswerEnded(event.connection_id, ticket),)


def stream_reset(state: P2pState, event: ChannelsStreamReset, channels: PeerChannels) -> tuple[P2pState, FollowUps]:
    """The peer declines a request, or withdraws one of its own."""
    connection_id, stream = event.connection_id, event.stream
    if not channels.is_ours(stream):
        return state, (BlocksRequestCancelled(connection_id, stream),)
    ticket = _ticket(channels, stream)
    if ticket is None:
        return state, ()
    over = state.replace(channels=_without(state.channels, connection_id, channels, ticket))
    return over, (BlocksAnswerReset(connection_id, ticket, event.code),)


def _ticket(channels: PeerChannels, stream: StreamId) -> Ticket | None:
    return None if channels.block is None else channels.block.ticket_of(stream)


def _without(state: Channels, connection_id: ConnectionId, channels: PeerChannels, ticket: Ticket) -> Channels:
    block = None if channels.block is None else channels.block.drop(ticket)
    return state.replace(table=state.table.set(connection_id, channels.replace(block=block)))


def _end(connection_id: ConnectionId, detail: str) -> Action:
    return DisconnectionInit(connection_id, Reason(ReasonCode.CHANNEL_MSG_UNEXPECTED, ChannelId.BLOCK, detail))
