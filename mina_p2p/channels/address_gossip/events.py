"""Frames and stream events of channel 9, mapped to what they mean."""

from __future__ import annotations

from mina_p2p.channels.address_gossip.actions import (
    AddressGossipAdvertsReceived,
    AddressGossipFetchReceived,
    AddressGossipGrantEnded,
    AddressGossipGrantReceived,
    AddressGossipRecordsReceived,
    AddressGossipStreamReset,
)
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    AddressAdverts,
    AddressGetNext,
    AddressGetRecords,
    AddressRecords,
)
from mina_p2p.channels.address_gossip.state import Fetching, Granted, Link
from mina_p2p.channels.state import PeerChannels
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.state import P2pState
from mina_p2p.store import Action, Attempt
from mina_p2p.transport import ChannelsEffectfulStreamReset, ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset


def of_message(state: P2pState, event: ChannelsMessageReceived) -> Action:
    """What a frame says, or else the end of the connection.

    :raises DecodeError: where it says nothing.
    """
    connection_id, stream = event.connection_id, event.stream
    said: Action
    match ADDRESS_MESSAGE.decode(event.frame):
        case AddressGetNext(limit=limit):
            if _is_late(state, connection_id, stream):
                return ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED)
            said = AddressGossipGrantReceived(connection_id, stream, limit)
        case AddressAdverts(keys=keys):
            said = AddressGossipAdvertsReceived(connection_id, stream, keys)
        case AddressGetRecords(keys=keys):
            said = AddressGossipFetchReceived(connection_id, stream, keys)
        case AddressRecords(records=records):
            said = AddressGossipRecordsReceived(connection_id, stream, records)
    return _or_end(said, _violation(state, said))


def of_end(event: ChannelsStreamEnded, channels: PeerChannels) -> Action | None:
    """What the end of the peer's half of a stream says; nothing, where it has just asked all it will."""
    if not channels.is_ours(event.stream):
        return None
    return _or_end(AddressGossipGrantEnded(event.connection_id, event.stream), ReasonCode.ANSWER_TRUNCATED)


def of_reset(event: ChannelsStreamReset) -> Action:
    """What the reset of a stream says; nothing, where nothing depends on it any more."""
    return AddressGossipStreamReset(event.connection_id, event.stream)


def _or_end(said: Action, code: ReasonCode) -> Attempt:
    return Attempt(said, DisconnectionInit(said.connection_id, Reason(code, ChannelId.ADDRESS_GOSSIP)))


def _is_late(state: P2pState, connection_id: ConnectionId, stream: StreamId) -> bool:
    """Whether a permission was overtaken by one that the peer gave later (`mina_p2p.channels.overtaking`)."""
    link, channels = state.address_gossip.links.get(connection_id), state.channels.table.get(connection_id)
    is_theirs = channels is not None and not channels.is_ours(stream)
    return is_theirs and link is not None and link.permitted is not None and stream < link.permitted.stream


def _violation(state: P2pState, said: Action) -> ReasonCode:
    """Why a message that its guard refuses breaks the protocol."""
    link, channels = state.address_gossip.links.get(said.connection_id), state.channels.table.get(said.connection_id)
    match link, said:
        case _, AddressGossipGrantReceived(stream=stream) | AddressGossipFetchReceived(stream=stream) if (
            channels is not None and channels.is_ours(stream)
        ):
            return ReasonCode.STREAM_MISUSE
        case Link(grant=Granted(stream=stream)), AddressGossipAdvertsReceived(stream=on) if stream == on:
            return ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case Link(fetch=Fetching(stream=stream)), AddressGossipRecordsReceived(stream=on) if stream == on:
            return ReasonCode.RESPONSE_HASH_MISMATCH
        case Link(), AddressGossipFetchReceived():
            return ReasonCode.CHANNEL_MSG_OVER_PERMISSION
        case _:
            return ReasonCode.CHANNEL_MSG_UNEXPECTED
