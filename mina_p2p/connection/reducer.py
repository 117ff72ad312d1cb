"""What transports report of connections, sorted to the machine of its direction.

These events are inputs. One that names a connection which is gone is stale: its guard
refuses it and nothing happens (defect N1).
"""

from __future__ import annotations

from mina_p2p.address import DialAddress
from mina_p2p.connection.hello import make_hello, read_hello
from mina_p2p.connection.incoming.actions import ConnectionIncomingError, ConnectionIncomingInit, ConnectionIncomingSuccess
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingError, ConnectionOutgoingSuccess
from mina_p2p.connection.state import IncomingFinalizePending, OutgoingFinalizePending, OutgoingInit, Ready
from mina_p2p.disconnection.actions import DisconnectionFinish, DisconnectionInit
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.peer.referrals import refusal
from mina_p2p.state import P2pState, ReplaceExisting
from mina_p2p.store import Action, FollowUps
from mina_p2p.transport import (
    ConnectionClosed,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
)


def reduce_incoming_received(state: P2pState, action: ConnectionIncomingReceived, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Accept, accept instead of another connection, or reject."""
    match state.incoming_decision(action.peer_id, action.remote, now):
        case None:
            return state, (ConnectionIncomingInit(action),)
        case ReplaceExisting(connection_id=existing):
            end = _end(state, existing, Reason(ReasonCode.DUPLICATE_CONNECTION), by_peer=False, is_transport_gone=False)
            return state, (end, ConnectionIncomingInit(action))
        case Reason(code=ReasonCode.PEER_CAPACITY_FULL):
            state, others = _drawn(state, state.referrals(action.peer_id, action.remote))
            return state, (ConnectionEffectfulReject(action.transport, action.handle, refusal(others)),)
        case reason:
            return state, (ConnectionEffectfulReject(action.transport, action.handle, reason),)


def _drawn(state: P2pState, addresses: list[DialAddress]) -> tuple[P2pState, list[DialAddress]]:
    """As many of some addresses as a refusal names, by lot."""
    random, drawn = state.peers.random, list[DialAddress]()
    while addresses and len(drawn) < state.config.limits.referrals_max:
        address, random = random.choice(addresses)
        addresses.remove(address)
        drawn.append(address)
    return state.replace(peers=state.peers.replace(random=random)) if drawn else state, drawn


def reduce_established(state: P2pState, action: ConnectionEstablished, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """The handshake of our dial is complete."""
    connection = state.connections.table[action.connection_id]
    if action.peer_id != connection.peer_id:
        reason = Reason(ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, detail=f"dialled {connection.peer_id}, found {action.peer_id}")
        return state, (ConnectionOutgoingError(action.connection_id, reason, False, False),)
    found = connection.replace(remote=action.remote).host
    if found is not None and (ban := state.group_ban(found, now)) is not None:
        # A name may lead into a network that is banned.
        reason = Reason(ReasonCode.PEER_BANNED, detail=f"{ban.whom}: {ban.reason}"[:DETAIL_CHARS_MAX])
        return state, (ConnectionOutgoingError(action.connection_id, reason, False, False),)
    pending = connection.replace(status=OutgoingFinalizePending(Timestamp(now + state.config.timeouts.hello)), remote=action.remote)
    connections = state.connections.put(action.connection_id, pending)
    return state.replace(connections=connections), (ConnectionEffectfulHelloSend(action.connection_id, make_hello(state.config)),)


def reduce_hello_received(state: P2pState, action: ConnectionHelloReceived, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """The peer introduced itself: whether we can talk."""
    connection_id = action.connection_id
    status = state.connections.table[connection_id].status
    if isinstance(status, Ready | OutgoingInit):
        reason = Reason(ReasonCode.STREAM_MISUSE, detail="a hello out of turn")
        return state, (_end(state, connection_id, reason, by_peer=False, is_transport_gone=False),)
    hello = read_hello(action.frame, state.config)
    if isinstance(hello, Reason):
        return state, (_end(state, connection_id, hello, by_peer=False, is_transport_gone=False),)
    if isinstance(status, IncomingFinalizePending):
        return state, (ConnectionIncomingSuccess(connection_id, hello),)
    return state, (ConnectionOutgoingSuccess(connection_id, hello),)


def reduce_closed(state: P2pState, action: ConnectionClosed, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """The connection is gone, by the peer or below us."""
    return state, (_end(state, action.connection_id, action.reason, by_peer=action.by_peer, is_transport_gone=True),)


def _end(state: P2pState, connection_id: ConnectionId, reason: Reason, *, by_peer: bool, is_transport_gone: bool) -> Action:
    """The action that ends a connection, whatever it has come to."""
    connection = state.connections.table[connection_id]
    if isinstance(connection.status, Ready):
        return DisconnectionFinish(connection_id, reason, by_peer) if is_transport_gone else DisconnectionInit(connection_id, reason)
    if connection.is_incoming:
        return ConnectionIncomingError(connection_id, reason, by_peer, is_transport_gone)
    return ConnectionOutgoingError(connection_id, reason, by_peer, is_transport_gone)
