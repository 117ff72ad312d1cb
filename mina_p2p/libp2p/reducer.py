"""Connections and streams: reducer, and the way of every stream's events to the slice that speaks its protocol."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.gossipsub.actions import NetworkPubsubPeerGone, NetworkPubsubRpcReceived, NetworkPubsubStreamGone, NetworkPubsubStreamReady
from mina_p2p.identify.actions import (
    NetworkIdentifyEnded,
    NetworkIdentifyLost,
    NetworkIdentifyPartReceived,
    NetworkIdentifyPeerGone,
    NetworkIdentifyPush,
    NetworkIdentifyRequestReceived,
)
from mina_p2p.ids import ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.kademlia.actions import (
    NetworkKadPeerGone,
    NetworkKadPeerUnreachable,
    NetworkKadRequestError,
    NetworkKadRequestReceived,
    NetworkKadResponseReceived,
)
from mina_p2p.libp2p.actions import (
    LinkAction,
    NetworkDial,
    NetworkDiallingSet,
    NetworkDialTimeout,
    NetworkDisconnect,
    NetworkStreamEnd,
    NetworkStreamOpen,
    NetworkStreamReset,
    NetworkStreamTimeout,
)
from mina_p2p.libp2p.gating import remote_ip
from mina_p2p.libp2p.links import Contact, Dialling, Linked, Links, Stream
from mina_p2p.libp2p.node_status.actions import (
    NetworkStatusEnded,
    NetworkStatusLost,
    NetworkStatusPartReceived,
    NetworkStatusRequestReceived,
)
from mina_p2p.libp2p.notifications import NetworkDialFailed, NetworkPeerConnected, NetworkPeerDisconnected
from mina_p2p.libp2p.protocols import IDENTIFY, IDENTIFY_PUSH, KADEMLIA, MESHSUB, NODE_STATUS, PING, PROTOCOLS, RPC
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import (
    Libp2pConnectionClosed,
    Libp2pConnectionOpened,
    Libp2pEffectfulDial,
    Libp2pEffectfulDisconnect,
    Libp2pEffectfulSend,
    Libp2pEffectfulStreamEnd,
    Libp2pEffectfulStreamOpen,
    Libp2pEffectfulStreamReset,
    Libp2pListening,
    Libp2pStreamEnded,
    Libp2pStreamLost,
    Libp2pStreamMessageReceived,
    Libp2pStreamOpened,
    Libp2pWentAway,
)
from mina_p2p.libp2p_rpc.actions import (
    NetworkRpcMessageReceived,
    NetworkRpcPeerGone,
    NetworkRpcSessionEnded,
    NetworkRpcSessionGone,
    NetworkRpcSessionOpened,
)
from mina_p2p.peer_exchange.actions import NetworkExchangeOwnChanged, NetworkExchangePeerGone
from mina_p2p.store import Attempt, FollowUps, expect

PING_BYTES = 32


def reduce(state: Links, action: LinkAction, now: Timestamp, root: NetworkState) -> tuple[Links, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkDial(address=address):
            connection_id, deadline = state.next_connection, Timestamp(now + root.config.dial_timeout)
            return state.adding_dial(Dialling(address, now, deadline)), (Libp2pEffectfulDial(connection_id, address),)

        case NetworkDialTimeout(connection_id=connection_id):
            dialling = expect(state.table[connection_id], Dialling, action)
            reason = Reason(ReasonCode.CONNECTION_TIMEOUT, detail="the dial took too long")
            state = state.without_dial(connection_id, dialling)
            return state, (Libp2pEffectfulDisconnect(connection_id, reason), *_unreached(dialling, reason))

        case NetworkDisconnect(connection_id=connection_id, reason=reason):
            link = state.table[connection_id]
            if isinstance(link, Linked):
                state = state.replace(table=state.table.set(connection_id, link.replace(is_ending=True)))
            return state, (Libp2pEffectfulDisconnect(connection_id, reason),)

        case NetworkStreamOpen(connection_id=connection_id, protocol=protocol, token=token, messages=messages, ends=ends):
            link = expect(state.linked(connection_id), Linked, action)
            stream_id, idle = link.next_stream, PROTOCOLS[protocol].own_idle
            stream = Stream(protocol, True, token, state.next_serial, now, Timestamp(now + idle if idle else 0), is_ended_by_us=ends)
            state = state.adding_stream(connection_id, link.replace(next_stream=StreamId(stream_id + 1)), stream_id, stream)
            effects = [Libp2pEffectfulStreamOpen(connection_id, stream_id, (protocol,))]
            sends = [Libp2pEffectfulSend(connection_id, stream_id, message) for message in messages]
            return state, (*effects, *sends, *((Libp2pEffectfulStreamEnd(connection_id, stream_id),) if ends else ()))

        case NetworkStreamEnd(connection_id=connection_id, stream=stream_id):
            stream = expect(state.stream(connection_id, stream_id), Stream, action)
            effect = Libp2pEffectfulStreamEnd(connection_id, stream_id)
            if stream.is_ended_by_peer:
                return state.without_stream(connection_id, stream_id), (effect,)
            return state.with_stream(connection_id, stream_id, stream.replace(is_ended_by_us=True)), (effect,)

        case NetworkStreamReset(connection_id=connection_id, stream=stream_id):
            return state.without_stream(connection_id, stream_id), (Libp2pEffectfulStreamReset(connection_id, stream_id),)

        case NetworkStreamTimeout(serial=serial):
            connection_id, stream_id = state.serials[serial]
            stream = expect(state.stream(connection_id, stream_id), Stream, action)
            spoken = PROTOCOLS[stream.protocol]
            until = Timestamp(stream.active_at + (spoken.own_idle if stream.is_ours else spoken.peer_idle))
            if until > now:
                deadlines = state.deadlines.cancel(stream.wait_at, serial).add(until, serial)
                return state.with_stream(connection_id, stream_id, stream.replace(wait_at=until)).replace(deadlines=deadlines), ()
            gone = state.without_stream(connection_id, stream_id)
            return gone, (Libp2pEffectfulStreamReset(connection_id, stream_id), *_lost(connection_id, stream_id, stream, "idle"))

        case _:
            assert_never(action)


def reduce_dialling_set(state: NetworkState, action: NetworkDiallingSet, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Begin or cease to dial by ourselves."""
    return state.replace(is_dialling_allowed=action.is_allowed), ()


# --- events


def reduce_listening(state: NetworkState, action: Libp2pListening, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Remember where we can be dialled, and tell who has been told otherwise."""
    if action.addresses == state.links.listening:
        return state, ()
    before = state.addresses
    state = state.replace(links=state.links.replace(listening=action.addresses))
    # Also where others are told what the configuration says: the first time of all there is no record yet.
    sign = (NetworkExchangeOwnChanged(),) if state.config.gossipsub.is_peer_exchange_enabled else ()
    return state, sign if state.addresses == before else (*sign, *(NetworkIdentifyPush(peer) for peer in state.identify.peers))


def reduce_opened(state: NetworkState, action: Libp2pConnectionOpened, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Take a connection, and ask who it is; or end it where there is no room."""
    links, connection_id, peer_id = state.links, action.connection_id, action.peer_id
    dialling = links.table.get(connection_id)
    if isinstance(dialling, Dialling):
        links = links.without_dial(connection_id, dialling)
    number = links.numbers.get(peer_id)
    is_new = number is None
    if number is None:
        number = links.next_peer
        links = links.replace(numbers=links.numbers.set(peer_id, number), next_peer=PeerNumber(number + 1))
    before = Contact(peer_id, ()) if is_new else links.contacts[number]
    contact = before.replace(connections=(*before.connections, connection_id))
    address = dialling.address if isinstance(dialling, Dialling) else None
    link = Linked(number, peer_id, action.is_dialer, action.remote, address, now)
    refusal = _refusal(state, action, len(before.connections))
    ip = remote_ip(action.remote.host)
    if refusal is None and ip is not None and not action.is_dialer:
        state = state.replace(gating=state.gating.learning(ip))
    links = links.replace(table=links.table.set(connection_id, link), contacts=links.contacts.set(number, contact))
    told = (NetworkPeerConnected(connection_id, peer_id, action.is_dialer, action.remote),) if is_new else ()
    if refusal is not None:
        return state.replace(links=links), (*told, NetworkDisconnect(connection_id, refusal))
    return state.replace(links=links), (*told, NetworkStreamOpen(connection_id, IDENTIFY.name, 0, (), False))


def _refusal(state: NetworkState, action: Libp2pConnectionOpened, connections_count: int) -> Reason | None:
    if action.peer_id == state.config.peer_id:
        return Reason(ReasonCode.CONNECTING_TO_SELF)
    if not action.is_dialer and len(state.links.table) >= state.config.connections_hard_max:
        return Reason(ReasonCode.PEER_CAPACITY_FULL)
    if connections_count >= state.config.per_peer_max:
        return Reason(ReasonCode.ALREADY_CONNECTED)
    denial = state.gating.denial(action.peer_id, remote_ip(action.remote.host), is_outgoing=action.is_dialer)
    return None if denial is None else denial.reason


def reduce_closed(state: NetworkState, action: Libp2pConnectionClosed, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Forget a connection or a dial, with all that hung on it."""
    links, connection_id = state.links, action.connection_id
    link = links.table[connection_id]
    if isinstance(link, Dialling):
        return state.replace(links=links.without_dial(connection_id, link)), _unreached(link, action.reason)
    lost: list[object] = []
    for stream_id, stream in link.streams.items():
        links = links.without_stream(connection_id, stream_id)
        lost += _lost(connection_id, stream_id, stream, str(action.reason)[:DETAIL_CHARS_MAX])
    left = tuple(other for other in links.contacts[link.peer].connections if other != connection_id)
    links = links.replace(table=links.table.delete(connection_id))
    if left:
        links = links.replace(contacts=links.contacts.set(link.peer, links.contacts[link.peer].replace(connections=left)))
        return state.replace(links=links), lost
    links = links.replace(contacts=links.contacts.delete(link.peer), numbers=links.numbers.delete(link.peer_id))
    if link.peer in state.exchange.records:
        lost.append(NetworkExchangePeerGone(link.peer))
    gone = (
        NetworkPubsubPeerGone(link.peer, link.peer_id),
        NetworkIdentifyPeerGone(link.peer),
        NetworkKadPeerGone(link.peer_id),
        NetworkRpcPeerGone(link.peer),
    )
    return state.replace(links=links), (*lost, *gone, NetworkPeerDisconnected(link.peer_id, action.reason, action.by_peer))


def _unreached(dialling: Dialling, reason: Reason) -> FollowUps:
    return (NetworkDialFailed(dialling.address, reason), NetworkKadPeerUnreachable(dialling.address.peer_id))


def reduce_went_away(state: NetworkState, action: Libp2pWentAway, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Open no more streams there."""
    link = state.links.linked(action.connection_id)
    if link is None:
        return state, ()
    table = state.links.table.set(action.connection_id, link.replace(is_ending=True))
    return state.replace(links=state.links.replace(table=table)), ()


def reduce_stream_opened(state: NetworkState, action: Libp2pStreamOpened, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """A stream of ours is agreed, or the peer has opened one."""
    connection_id, stream_id, links = action.connection_id, action.stream, state.links
    link = expect(links.linked(connection_id), Linked, action)
    stream = link.streams.get(stream_id)
    if stream is not None:
        if stream.protocol == MESHSUB.name:
            return state, (NetworkPubsubStreamReady(PeerNumber(stream.token), connection_id, stream_id),)
        is_rpc = stream.protocol == RPC.name
        return state, (NetworkRpcSessionOpened(connection_id, stream_id, stream.serial, stream.token),) if is_rpc else ()
    protocol = PROTOCOLS.get(action.protocol)
    if protocol is None or protocol.name not in state.protocols or link.peer_streams(action.protocol) >= protocol.peer_streams_max:
        return state, (Libp2pEffectfulStreamReset(connection_id, stream_id),)
    until = Timestamp(now + protocol.peer_idle if protocol.peer_idle else 0)
    stream = Stream(action.protocol, False, 0, links.next_serial, now, until)
    state = state.replace(links=links.adding_stream(connection_id, link, stream_id, stream))
    if protocol is RPC:
        return state, (NetworkRpcSessionOpened(connection_id, stream_id, stream.serial, 0),)
    if protocol is NODE_STATUS:
        return state, (NetworkStatusRequestReceived(connection_id, stream_id),)
    return state, (NetworkIdentifyRequestReceived(connection_id, stream_id),) if protocol is IDENTIFY else ()


def reduce_stream_message(state: NetworkState, action: Libp2pStreamMessageReceived, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """Hand a message to the slice of its protocol."""
    connection_id, stream_id, data = action.connection_id, action.stream, action.data
    stream = expect(state.links.stream(connection_id, stream_id), Stream, action)
    if stream.wait_at and stream.active_at != now:
        state = state.replace(links=state.links.with_stream(connection_id, stream_id, stream.replace(active_at=now)))
    match stream.protocol, stream.is_ours:
        case (IDENTIFY.name, True) | (IDENTIFY_PUSH.name, False):
            return state, (NetworkIdentifyPartReceived(connection_id, stream_id, stream.serial, data),)
        case KADEMLIA.name, True if stream.token:
            return state, (NetworkKadResponseReceived(connection_id, stream_id, stream.token, data),)
        case KADEMLIA.name, False:
            return state, (NetworkKadRequestReceived(connection_id, stream_id, data),)
        case MESHSUB.name, False:
            return state, (NetworkPubsubRpcReceived(connection_id, data),)
        case RPC.name, _:
            return state, (NetworkRpcMessageReceived(stream.serial, data),)
        case NODE_STATUS.name, True:
            return state, (NetworkStatusPartReceived(RequestId(stream.token), connection_id, stream_id, data),)
        case PING.name, False if len(data) <= PING_BYTES:
            return state, (Libp2pEffectfulSend(connection_id, stream_id, data),)
        case _:
            # Nobody asked for it: what the peer may not say on this stream is not taken.
            return state, (NetworkStreamReset(connection_id, stream_id), *_lost(connection_id, stream_id, stream, "out of turn"))


def reduce_stream_ended(state: NetworkState, action: Libp2pStreamEnded, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """The peer says no more on a stream; what we owe it is sent already, so we end ours too."""
    connection_id, stream_id = action.connection_id, action.stream
    stream = expect(state.links.stream(connection_id, stream_id), Stream, action)
    if stream.is_ended_by_us:
        links = state.links.without_stream(connection_id, stream_id)
    else:
        links = state.links.with_stream(connection_id, stream_id, stream.replace(is_ended_by_peer=True))
    return state.replace(links=links), _ended(connection_id, stream_id, stream)


def reduce_stream_lost(state: NetworkState, action: Libp2pStreamLost, now: Timestamp) -> tuple[NetworkState, FollowUps]:
    """A stream is gone."""
    connection_id, stream_id = action.connection_id, action.stream
    stream = expect(state.links.stream(connection_id, stream_id), Stream, action)
    return state.replace(links=state.links.without_stream(connection_id, stream_id)), _lost(connection_id, stream_id, stream, action.detail)


def _ended(connection_id: ConnectionId, stream_id: StreamId, stream: Stream) -> FollowUps:
    end = NetworkStreamEnd(connection_id, stream_id)
    match stream.protocol, stream.is_ours:
        case (IDENTIFY.name, True) | (IDENTIFY_PUSH.name, False):
            return (NetworkIdentifyEnded(connection_id, stream.serial), end)
        case NODE_STATUS.name, True:
            return (NetworkStatusEnded(RequestId(stream.token)), end)
        case RPC.name, _:
            # What it has asked is answered before we end ours.
            return (Attempt(NetworkRpcSessionEnded(stream.serial), end),)
        case _:
            return (*_lost(connection_id, stream_id, stream, "it ended"), end)


def _lost(connection_id: ConnectionId, stream_id: StreamId, stream: Stream, detail: str) -> FollowUps:
    """What a slice is told where a stream ends before it has done its work."""
    match stream.protocol, stream.is_ours:
        case (IDENTIFY.name, True) | (IDENTIFY_PUSH.name, False):
            return (NetworkIdentifyLost(connection_id, stream.serial, stream.is_ours),)
        case KADEMLIA.name, True if stream.token:
            return (NetworkKadRequestError(stream.token),)
        case NODE_STATUS.name, True:
            return (NetworkStatusLost(RequestId(stream.token), detail),)
        case RPC.name, _:
            return (NetworkRpcSessionGone(stream.serial, stream.token, detail),)
        case MESHSUB.name, True:
            return (NetworkPubsubStreamGone(PeerNumber(stream.token), connection_id, stream_id),)
        case _:
            return ()
