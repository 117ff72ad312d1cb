"""Questions of peers: what the library answers, and what it hands on."""

from __future__ import annotations

from mina_p2p.address import HostScope, host_scope
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.actions import NetworkDisconnect, NetworkHandOver
from mina_p2p.libp2p.notifications import NetworkBanNotified, NetworkRpcRequested
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import Libp2pEffectfulSend
from mina_p2p.libp2p_rpc.messages import MENU, MENU_CODEC, MESSAGE_CODEC, BinIoExn, Response, ResponseFailed, RpcError, UnimplementedRpc
from mina_p2p.libp2p_rpc.state import KINDS, QUERY_BYTES_MAX, SERVE_WAIT, SERVING_MAX, Rpcs, Serving, Session, Spent, method_of
from mina_p2p.mina.rpc import Peer, Query, ResponseOk
from mina_p2p.store import FollowUps

MINUTE = 60 * SECOND
PEERS_MAX = 100
"""Peers in an answer."""
TAG_CHARS_SHOWN_MAX = 100
UNKNOWN_TAG = ""
"""Under which questions for what nobody serves are counted."""
UNKNOWN_PER_MINUTE = 20
"""OCaml leaves a peer at the first of them. Newer and older nodes may know more than we, so some are answered."""


def asked(state: Rpcs, serial: int, session: Session, query: Query, now: Timestamp, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    """Take one question."""
    tag = query.tag.decode(errors="replace")
    if tag == MENU and query.version == 1:
        menu = MENU_CODEC.encode(tuple((kind.tag.encode(), kind.version) for kind in KINDS.values()))
        return state, (answering(session, query.id, menu),)
    kind = KINDS.get(tag)
    if kind is None or kind.version != query.version:
        state, is_within = _counted(state, session, UNKNOWN_TAG, UNKNOWN_PER_MINUTE, now)
        if not is_within:
            return state, _violation(session, ReasonCode.CHANNEL_MSG_OVER_PERMISSION, f"{UNKNOWN_PER_MINUTE} unknown methods in a minute")
        return state, (failing(session, query.id, UnimplementedRpc(tag[:TAG_CHARS_SHOWN_MAX], query.version)),)
    is_asked_already = any(serving.query_id == query.id for serving in session.serving)
    if len(query.data) > QUERY_BYTES_MAX or is_asked_already or len(session.serving) >= SERVING_MAX:
        return state, _violation(session, ReasonCode.CHANNEL_MSG_OVER_PERMISSION, f"{tag}: too long, asked twice, or too many")
    state, is_within = _counted(state, session, tag, kind.per_minute, now)
    if not is_within:
        return state, _violation(session, ReasonCode.CHANNEL_MSG_OVER_PERMISSION, f"{tag}: more than {kind.per_minute} a minute")
    method = method_of(tag)
    try:
        asked_for = method.query_codec.decode(query.data)
    except DecodeError as error:
        # As OCaml: the question is answered with the error, and whoever asks like that is not worth a connection.
        failed = failing(session, query.id, BinIoExn("the query can not be read"))
        return state, (failed, *_violation(session, ReasonCode.CHANNEL_MSG_UNDECODABLE, f"{tag}: {error}"))
    if tag == "get_some_initial_peers":
        return state, (answering(session, query.id, method.response_codec.encode(_peers(session, root))),)
    contact = root.links.contacts[session.peer]
    if tag == "ban_notify":
        return state, (answering(session, query.id, method.response_codec.encode(None)), NetworkBanNotified(contact.peer_id, asked_for))
    serving = Serving(query.id, tag, Timestamp(now + SERVE_WAIT))
    state = state.replace(sessions=state.sessions.set(serial, session.replace(serving=(*session.serving, serving))))
    return state, (NetworkHandOver(NetworkRpcRequested(serial, query.id, contact.peer_id, tag, query.data, serving.until)),)


def answering(session: Session, query_id: int, data: bytes) -> Libp2pEffectfulSend:
    """Send an answer."""
    return Libp2pEffectfulSend(session.connection_id, session.stream, MESSAGE_CODEC.encode(Response(query_id, ResponseOk(data))))


def failing(session: Session, query_id: int, error: RpcError) -> Libp2pEffectfulSend:
    """Send an error in place of an answer."""
    return Libp2pEffectfulSend(session.connection_id, session.stream, MESSAGE_CODEC.encode(Response(query_id, ResponseFailed(error))))


def _violation(session: Session, code: ReasonCode, detail: str) -> FollowUps:
    return (NetworkDisconnect(session.connection_id, Reason(code, detail=f"rpc: {detail}"[:200])),)


def _counted(state: Rpcs, session: Session, tag: str, most: int, now: Timestamp) -> tuple[Rpcs, bool]:
    """Count a question; whether the peer keeps within its budget."""
    spent = state.spent.get(session.peer)
    if spent is None or spent.since + MINUTE <= now:
        spent = Spent(now)
    counts = dict(spent.counts)
    counts[tag] = counts.get(tag, 0) + 1
    state = state.replace(spent=state.spent.set(session.peer, spent.replace(counts=tuple(counts.items()))))
    return state, counts[tag] <= most


def _peers(session: Session, root: NetworkState) -> tuple[Peer, ...]:
    """Peers that the asker can reach: OCaml takes numeric hosts only."""
    found: list[Peer] = []
    for number, identity in root.identify.peers.items():
        for address in identity.addresses if number != session.peer else ():
            if host_scope(address.host) is not HostScope.NAME and root.shows_address(address, session.connection_id):
                found.append(Peer(address.host.plain.encode(), address.port, address.peer_id.libp2p.encode()))
                break
        if len(found) == PEERS_MAX:
            break
    return tuple(found)
