"""Mina's RPC: reducer. What peers ask is in `serving`."""

from __future__ import annotations

from itertools import islice
from typing import assert_never

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.ids import PeerNumber, Timestamp
from mina_p2p.libp2p.actions import NetworkDisconnect, NetworkHandOver, NetworkStreamEnd, NetworkStreamOpen, NetworkStreamReset
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.notifications import NetworkRpcFailed, NetworkRpcResponded
from mina_p2p.libp2p.protocols import RPC
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import Libp2pEffectfulSend
from mina_p2p.libp2p_rpc import serving
from mina_p2p.libp2p_rpc.actions import (
    NetworkRpcAnswer,
    NetworkRpcCall,
    NetworkRpcCallError,
    NetworkRpcCallStart,
    NetworkRpcMessageReceived,
    NetworkRpcPeerGone,
    NetworkRpcRefuse,
    NetworkRpcSessionEnded,
    NetworkRpcSessionGone,
    NetworkRpcSessionOpened,
    NetworkRpcSessionTimeout,
    RpcsAction,
)
from mina_p2p.libp2p_rpc.messages import (
    GREETING,
    HEARTBEAT,
    MENU,
    MENU_CODEC,
    MESSAGE_CODEC,
    Response,
    ResponseFailed,
    UncaughtExn,
    UnimplementedRpc,
    check_greeting,
)
from mina_p2p.libp2p_rpc.state import (
    GREETING_WAIT,
    KINDS,
    MENU_MAX,
    OWN_SILENCE,
    PEER_SILENCE,
    SESSIONS_PER_PEER_MAX,
    Asking,
    AskingMenu,
    Call,
    Greeting,
    Idle,
    Rpcs,
    Session,
    method_of,
)
from mina_p2p.libp2p_rpc.state import HEARTBEAT as HEARTBEAT_EVERY
from mina_p2p.mina.rpc import Query
from mina_p2p.store import Attempt, FollowUps, expect


def reduce(state: Rpcs, action: RpcsAction, now: Timestamp, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkRpcCall():
            return _call(state, action, now, root)

        case NetworkRpcCallStart(call=number):
            return _start(state, number, root)

        case NetworkRpcCallError(call=number, detail=detail):
            call = state.calls[number]
            busy = next(((serial, one) for serial, one in state.sessions.items() if one.call == number), None)
            state = _without_call(state, number, call)
            failed = NetworkHandOver(NetworkRpcFailed(call.request_id, detail))
            if busy is None:
                return state, (failed,)
            # Its answer may still come, and would be taken for that of another question: the session is of no use any more.
            serial, session = busy
            return _without_session(state, serial, session), (failed, _give_up(session, root), *_next_call(state, session.peer))

        case NetworkRpcSessionOpened(connection_id=connection_id, stream=stream, serial=serial, call=number):
            link = expect(root.links.linked(connection_id), Linked, action)
            wait_at = Timestamp(now + GREETING_WAIT)
            call_left = number if number in state.calls else 0
            session = Session(link.peer, connection_id, stream, number != 0, Greeting(), now, wait_at, call_left)
            deadlines = state.deadlines.add(wait_at, state.session_key(serial))
            greeting = Libp2pEffectfulSend(connection_id, stream, GREETING)
            return state.replace(sessions=state.sessions.set(serial, session), deadlines=deadlines), (greeting,)

        case NetworkRpcMessageReceived(serial=serial, data=data):
            session = state.sessions[serial].replace(heard_at=now)
            return _receive(state.replace(sessions=state.sessions.set(serial, session)), serial, session, data, now, root)

        case NetworkRpcSessionEnded(serial=serial):
            session = state.sessions[serial]
            if session.serving:
                return state.replace(sessions=state.sessions.set(serial, session.replace(is_ended=True))), ()
            failed_calls = (NetworkRpcCallError(session.call, "the peer ended the session"),) if session.call else ()
            end = NetworkStreamEnd(session.connection_id, session.stream)
            return _without_session(state, serial, session), (end, *failed_calls)

        case NetworkRpcSessionGone(serial=serial, call=number, detail=detail):
            found = state.sessions.get(serial)
            if found is not None:
                number = found.call
                state = _without_session(state, serial, found)
            return state, (NetworkRpcCallError(number, f"the session was lost: {detail}"),) if number else ()

        case NetworkRpcSessionTimeout(serial=serial):
            return _tick(state, serial, state.sessions[serial], now, root)

        case NetworkRpcAnswer() | NetworkRpcRefuse():
            return _answer(state, action)

        case NetworkRpcPeerGone(peer=peer):
            left = tuple(NetworkRpcCallError(number, "the peer is gone") for number, call in state.calls.items() if call.peer == peer)
            return state.replace(menus=state.menus.discard(peer), spent=state.spent.discard(peer)), left

        case _:
            assert_never(action)


# --- our questions


def _call(state: Rpcs, action: NetworkRpcCall, now: Timestamp, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    peer, kind = root.links.numbers.get(action.peer_id), KINDS[action.tag]
    if peer is None or RPC.name not in root.identify.peers[peer].protocols:
        return state, (NetworkHandOver(NetworkRpcFailed(action.request_id, "the peer does not speak RPC")),)
    try:
        method_of(action.tag).query_codec.decode(action.query)
    except DecodeError as error:
        return state, (NetworkHandOver(NetworkRpcFailed(action.request_id, f"no query of {action.tag}: {error}"[:200])),)
    number, deadline = state.next_id, Timestamp(now + kind.timeout + GREETING_WAIT)
    call = Call(action.request_id, peer, action.tag, action.query, deadline)
    state = state.replace(
        calls=state.calls.set(number, call), deadlines=state.deadlines.add(deadline, state.call_key(number)), next_id=number + 1
    )
    return state, (NetworkRpcCallStart(number),)


def _start(state: Rpcs, number: int, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    call = state.calls[number]
    own = state.opened_to(call.peer)
    free = next(((serial, one) for serial, one in own if isinstance(one.status, Idle) and not one.is_ended), None)
    if free is not None:
        serial, session = free
        state = state.replace(calls=state.calls.set(number, call.replace(is_waiting=False)))
        return _ask(state, serial, session.replace(call=number), root)
    connection_id = root.links.connection_of(call.peer)
    if connection_id is None:
        return state, (NetworkRpcCallError(number, "the connection is ending"),)
    if len(own) >= SESSIONS_PER_PEER_MAX:
        return state.replace(calls=state.calls.set(number, call.replace(is_waiting=True))), ()
    opening = NetworkStreamOpen(connection_id, RPC.name, number, (), False)
    return state, (Attempt(opening, NetworkRpcCallError(number, "the connection is ending")),)


def _ask(state: Rpcs, serial: int, session: Session, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    """Ask what a session's call wants, after the menu where it is not known."""
    call, query_id = state.calls[session.call], state.next_id
    menu, identity = state.menus.get(call.peer), root.identify.peers.get(call.peer)
    if menu is None and (identity is None or not identity.is_rust):
        query = Query(MENU.encode(), 1, query_id, b"\x00")
        session = session.replace(status=AskingMenu(query_id))
    else:
        kind = KINDS[call.tag]
        if menu is not None and (kind.tag, kind.version) not in menu:
            idle = session.replace(status=Idle(), call=0)
            failed = NetworkRpcCallError(session.call, f"the peer does not serve {kind.tag} in version {kind.version}")
            return state.replace(sessions=state.sessions.set(serial, idle)), (failed,)
        query = Query(call.tag.encode(), kind.version, query_id, call.query)
        session = session.replace(status=Asking(query_id))
    state = state.replace(sessions=state.sessions.set(serial, session), next_id=query_id + 1)
    return state, (Libp2pEffectfulSend(session.connection_id, session.stream, MESSAGE_CODEC.encode(query)),)


# --- messages


def _receive(state: Rpcs, serial: int, session: Session, data: bytes, now: Timestamp, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    try:
        if isinstance(session.status, Greeting):
            check_greeting(data)
            return _greeted(state, serial, session, now, root)
        message = MESSAGE_CODEC.decode(data)
    except DecodeError as error:
        return state, (_violation(session, ReasonCode.CHANNEL_MSG_UNDECODABLE, str(error)),)
    match message:
        case Query():
            return serving.asked(state, serial, session, message, now, root)
        case Response():
            return _answered(state, serial, session, message, root)
        case _:
            return state, ()


def _greeted(state: Rpcs, serial: int, session: Session, now: Timestamp, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    """From now on heartbeats go both ways; a session that was opened for a call asks."""
    wait_at = Timestamp(now + HEARTBEAT_EVERY)
    key = state.session_key(serial)
    session_after = session.replace(status=Idle(), wait_at=wait_at)
    state = state.replace(
        sessions=state.sessions.set(serial, session_after),
        deadlines=state.deadlines.cancel(session.wait_at, key).add(wait_at, key),
    )
    beat = Libp2pEffectfulSend(session.connection_id, session.stream, HEARTBEAT)
    if session.call not in state.calls:
        return state.replace(sessions=state.sessions.set(serial, session_after.replace(call=0))), (beat,)
    state, follow_ups = _ask(state, serial, session_after, root)
    return state, (beat, *follow_ups)


def _answered(state: Rpcs, serial: int, session: Session, response: Response, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    status, result = session.status, response.result
    if not isinstance(status, AskingMenu | Asking) or status.query_id != response.id:
        return state, (_violation(session, ReasonCode.CHANNEL_MSG_UNEXPECTED, f"an answer to no question, {response.id}"),)
    idle = session.replace(status=Idle(), call=0)
    if isinstance(result, ResponseFailed):
        state = state.replace(sessions=state.sessions.set(serial, idle))
        failed = NetworkRpcCallError(session.call, f"the peer answered {result.error}"[:200])
        # After any other error async RPC's client gives the connection up.
        if isinstance(result.error, UnimplementedRpc):
            return state, (failed, *_next_call(state, session.peer))
        return _without_session(state, serial, idle), (failed, _give_up(session, root), *_next_call(state, session.peer))
    call = state.calls[session.call]
    try:
        if isinstance(status, AskingMenu):
            menu = MENU_CODEC.decode(result.data)[:MENU_MAX]
            known = tuple((tag.decode(errors="replace"), version) for tag, version in menu)
            return _ask(state.replace(menus=state.menus.set(session.peer, known)), serial, session, root)
        method_of(call.tag).response_codec.decode(result.data)
    except DecodeError as error:
        return state, (_violation(session, ReasonCode.CHANNEL_MSG_UNDECODABLE, f"{call.tag}: {error}"),)
    state = _without_call(state.replace(sessions=state.sessions.set(serial, idle)), session.call, call)
    contact = root.links.contacts[session.peer]
    responded = NetworkHandOver(NetworkRpcResponded(call.request_id, contact.peer_id, call.tag, result.data))
    waiting = _next_call(state, session.peer)
    spare = any(isinstance(other.status, Idle) for one, other in state.opened_to(session.peer) if one != serial)
    if waiting or idle.serving or not spare:
        return state, (responded, *waiting)
    # One session stays for the next call; the others that a burst of calls has opened end.
    return _without_session(state, serial, idle), (responded, _give_up(idle, root))


def _next_call(state: Rpcs, peer: PeerNumber) -> tuple[NetworkRpcCallStart, ...]:
    """The call that has waited longest for a session with a peer."""
    waiting = (number for number, call in state.calls.items() if call.peer == peer and call.is_waiting)
    return tuple(NetworkRpcCallStart(number) for number in islice(waiting, 1))


def _answer(state: Rpcs, action: NetworkRpcAnswer | NetworkRpcRefuse) -> tuple[Rpcs, FollowUps]:
    serial, query_id = action.serial, action.query_id
    session = state.sessions[serial]
    left = session.replace(serving=tuple(one for one in session.serving if one.query_id != query_id))
    if isinstance(action, NetworkRpcAnswer):
        effect = serving.answering(session, query_id, action.answer)
    else:
        effect = serving.failing(session, query_id, UncaughtExn(action.detail[:200]))
    if session.is_ended and not left.serving:
        return _without_session(state, serial, session), (effect, NetworkStreamEnd(session.connection_id, session.stream))
    return state.replace(sessions=state.sessions.set(serial, left)), (effect,)


# --- time and ends


def _tick(state: Rpcs, serial: int, session: Session, now: Timestamp, root: NetworkState) -> tuple[Rpcs, FollowUps]:
    silence = OWN_SILENCE if session.is_ours else PEER_SILENCE
    if isinstance(session.status, Greeting) or session.heard_at + silence <= now:
        failed = (NetworkRpcCallError(session.call, "the peer is silent"),) if session.call else ()
        return _without_session(state, serial, session), (_give_up(session, root), *failed, *_next_call(state, session.peer))
    wait_at, key = Timestamp(now + HEARTBEAT_EVERY), state.session_key(serial)
    late = tuple(NetworkRpcRefuse(serial, one.query_id, "no answer in time") for one in session.serving if one.until <= now)
    state = state.replace(
        sessions=state.sessions.set(serial, session.replace(wait_at=wait_at)),
        deadlines=state.deadlines.cancel(session.wait_at, key).add(wait_at, key),
    )
    return state, (Libp2pEffectfulSend(session.connection_id, session.stream, HEARTBEAT), *late)


def _give_up(session: Session, root: NetworkState) -> NetworkStreamReset | NetworkStreamEnd:
    """End a session; a reset stream would end the whole connection with a Rust node (spec: libp2p 6)."""
    identity = root.identify.peers.get(session.peer)
    if identity is not None and identity.is_rust:
        return NetworkStreamEnd(session.connection_id, session.stream)
    return NetworkStreamReset(session.connection_id, session.stream)


def _violation(session: Session, code: ReasonCode, detail: str) -> NetworkDisconnect:
    return NetworkDisconnect(session.connection_id, Reason(code, detail=f"rpc: {detail}"[:200]))


def _without_call(state: Rpcs, number: int, call: Call) -> Rpcs:
    return state.replace(calls=state.calls.delete(number), deadlines=state.deadlines.cancel(call.deadline, state.call_key(number)))


def _without_session(state: Rpcs, serial: int, session: Session) -> Rpcs:
    deadlines = state.deadlines.cancel(session.wait_at, state.session_key(serial))
    return state.replace(sessions=state.sessions.delete(serial), deadlines=deadlines)
