"""The same step through five stores that run in this process.

The step (spec: performance-notes 3), two actions per message: ``MsgRecv`` is accepted if
its peer is known and its connection ready; it adds to the connection's counters and notes
the time, so connection, peer, table of peers, slice and root are replaced; its follow-up
``Ack`` counts in the peer and in the slice, so all but the connection are replaced again.
Records have the same number of fields everywhere. Messages are built before the clock
starts, acks inside the step. All stores but the mutable one keep their peers in the same
persistent map.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, FollowUps, Machine, Slice, Store
from mina_p2p.table import Table
from support.rounds import UnavailableError, WrongResultError

ACTIONS_PER_MESSAGE = 2
MESSAGE_BYTES = 100
_NOW = Timestamp(1_700_000_000_000_000_000)


def peer_of(message: int, peers: int) -> int:
    """Which peer sends the ``message``-th message: all in turn, far from each other."""
    return message * 7919 % peers


@dataclass(frozen=True)
class Totals:
    """What a store's final state must say."""

    messages: int
    acks: int
    size: int


class InProcess:
    """A store that runs in this process.

    :param message: builds the action for one message from a peer.
    :param run: dispatches actions one after the other.
    :param totals: reads the counters of the final state.
    """

    def __init__(
        self,
        peers: int,
        message: Callable[[int], Any],
        run: Callable[[Sequence[Any]], None],
        totals: Callable[[], Totals],
    ) -> None:
        self._peers = peers
        self._message = message
        self._run = run
        self._totals = totals
        self._sent = 0

    def measure(self, count: int) -> float:
        first = self._sent
        actions = [self._message(peer_of(i, self._peers)) for i in range(first, first + count)]
        self._sent += count
        start = time.process_time()
        self._run(actions)
        return time.process_time() - start

    def check(self, count: int) -> None:
        check_totals(self._totals(), count)


def check_totals(found: Totals, messages: int) -> None:
    """Raise where a store did not do its work.

    :raises WrongResultError: with what was found and what was expected.
    """
    expected = Totals(messages, messages, messages * MESSAGE_BYTES)
    if found != expected:
        raise WrongResultError(f"found {found}, expected {expected}")


@record
class Conn(Record):
    id: int
    size: int
    count: int
    status: str
    opened_at: int
    closed_at: int


@record
class Peer(Record):
    id: int
    conn: Conn
    heard_at: int
    acked: int
    score: int
    source: int


@record
class P2p(Record):
    peers: Table[int, Peer]
    size: int
    acks: int
    limit: int


@record
class Root(Record):
    clock: Clock
    p2p: P2p
    config: int
    pools: int
    tip: int
    dice: int


@record
class MsgRecv(Record):
    peer: int
    size: int

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        peer = state.p2p.peers.get(self.peer)
        return peer is not None and peer.conn.status == "ready"


@record
class Ack(Record):
    peer: int

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        return self.peer in state.p2p.peers


def _receive(state: P2p, action: MsgRecv, now: Timestamp, _root: Root) -> tuple[P2p, FollowUps]:
    peer = state.peers[action.peer]
    conn = peer.conn
    heard = peer.replace(conn=conn.replace(size=conn.size + action.size, count=conn.count + 1), heard_at=now)
    return state.replace(peers=state.peers.set(action.peer, heard), size=state.size + action.size), (Ack(action.peer),)


def _acknowledge(state: P2p, action: Ack, now: Timestamp, _root: Root) -> tuple[P2p, FollowUps]:
    peer = state.peers[action.peer]
    acked = peer.replace(acked=peer.acked + 1)
    return state.replace(peers=state.peers.set(action.peer, acked), acks=state.acks + 1), ()


def mina_p2p(peers: int) -> InProcess:
    """Ours, as shipped: `Store` over `Machine` with one slice."""
    machine = Machine(Root, slices=[Slice("p2p", {MsgRecv: _receive, Ack: _acknowledge})])
    table = Table((i, Peer(i, Conn(i, 0, 0, "ready", 0, 0), 0, 0, 0, 0)) for i in range(peers))
    store = Store(machine, Root(Clock(), P2p(table, 0, 0, 0), 0, 0, 0, 0))

    def run(actions: Sequence[MsgRecv]) -> None:
        dispatch = store.dispatch
        for action in actions:
            dispatch(action, _NOW)

    def totals() -> Totals:
        slice_ = store.state.p2p
        return Totals(sum(p.conn.count for p in slice_.peers.values()), slice_.acks, slice_.size)

    return InProcess(peers, lambda peer: MsgRecv(peer, MESSAGE_BYTES), run, totals)


def mutable_floor(peers: int) -> InProcess:
    """What immutability costs: the same logic on slotted mutable objects and a dict, changed in place.

    The loop keeps what ours promises except that a failing reducer leaves the old state:
    table from action type, explicit stack, guard when popped, depth first, action ids with
    cause and depth, list of steps, step bound, time that never goes back.
    """

    class MutableConn:
        __slots__ = ("closed_at", "count", "id", "opened_at", "size", "status")

        def __init__(self, number: int) -> None:
            self.id = number
            self.size = self.count = self.opened_at = self.closed_at = 0
            self.status = "ready"

    class MutablePeer:
        __slots__ = ("acked", "conn", "heard_at", "id", "score", "source")

        def __init__(self, number: int) -> None:
            self.id = number
            self.conn = MutableConn(number)
            self.heard_at = self.acked = self.score = self.source = 0

    class MutableP2p:
        __slots__ = ("acks", "limit", "peers", "size")

        def __init__(self) -> None:
            self.peers = {i: MutablePeer(i) for i in range(peers)}
            self.size = self.acks = self.limit = 0

    class MutableRoot:
        __slots__ = ("config", "dice", "last_action_id", "now", "p2p", "pools", "tip")

        def __init__(self) -> None:
            self.p2p = MutableP2p()
            self.last_action_id = self.now = self.config = self.dice = self.pools = self.tip = 0

    class MutableMsgRecv:
        __slots__ = ("peer", "size")

        def __init__(self, peer: int, size: int) -> None:
            self.peer = peer
            self.size = size

        def is_enabled(self, state: MutableRoot, _now: int) -> bool:
            peer = state.p2p.peers.get(self.peer)
            return peer is not None and peer.conn.status == "ready"

    class MutableAck:
        __slots__ = ("peer",)

        def __init__(self, peer: int) -> None:
            self.peer = peer

        def is_enabled(self, state: MutableRoot, _now: int) -> bool:
            return self.peer in state.p2p.peers

    def receive(state: MutableRoot, action: MutableMsgRecv, now: int) -> Sequence[Any]:
        peer = state.p2p.peers[action.peer]
        peer.conn.size += action.size
        peer.conn.count += 1
        peer.heard_at = now
        state.p2p.size += action.size
        return (MutableAck(action.peer),)

    def acknowledge(state: MutableRoot, action: MutableAck, _now: int) -> Sequence[Any]:
        state.p2p.peers[action.peer].acked += 1
        state.p2p.acks += 1
        return ()

    table: dict[type[Any], tuple[Any, Any]] = {
        MutableMsgRecv: (MutableMsgRecv.is_enabled, receive),
        MutableAck: (MutableAck.is_enabled, acknowledge),
    }
    root = MutableRoot()

    def dispatch(action: Any, now: int) -> list[Any]:
        if now < root.now:
            raise ValueError("the time goes back")
        action_id = root.last_action_id + 1
        limit = action_id + 10_000
        steps: list[Any] = []
        refused: list[Any] = []
        item = (action, 0, 0)
        stack: list[Any] = []
        while True:
            action, _, depth = item
            guard, reducer = table[type(action)]
            if guard(action, root, now):
                follow_ups = reducer(root, action, now)
                steps.append(item)
                action_id += 1
                if action_id > limit:
                    raise RuntimeError("too many steps")
                if follow_ups:
                    cause = action_id - 1
                    depth += 1
                    if len(follow_ups) == 1:
                        item = (follow_ups[0], cause, depth)
                        continue
                    for follow_up in reversed(follow_ups):
                        stack.append((follow_up, cause, depth))  # noqa: PERF401 - as in the loop it is compared with
            else:
                refused.append(item)
            if not stack:
                break
            item = stack.pop()
        root.last_action_id = action_id - 1
        root.now = now
        return steps

    def run(actions: Sequence[Any]) -> None:
        for action in actions:
            dispatch(action, _NOW)

    def totals() -> Totals:
        return Totals(sum(p.conn.count for p in root.p2p.peers.values()), root.p2p.acks, root.p2p.size)

    return InProcess(peers, lambda peer: MutableMsgRecv(peer, MESSAGE_BYTES), run, totals)


def python_redux(peers: int) -> InProcess:
    """python-redux in its idiom: `Immutable` dataclasses, ``dataclasses.replace``, follow-ups in a complete result."""
    try:
        import immutables
        import redux
        from immutable import Immutable
    except ImportError as error:
        raise UnavailableError(f"{error.name} is not installed") from error

    class XConn(Immutable):
        id: int
        size: int
        count: int
        status: str
        opened_at: int
        closed_at: int

    class XPeer(Immutable):
        id: int
        conn: XConn
        heard_at: int
        acked: int
        score: int
        source: int

    class XP2p(Immutable):
        peers: Any
        size: int
        acks: int
        limit: int

    class XRoot(Immutable):
        clock: int
        p2p: XP2p
        config: int
        pools: int
        tip: int
        dice: int

    class XMsgRecv(redux.BaseAction):
        peer: int
        size: int

    class XAck(redux.BaseAction):
        peer: int

    def peer_state(number: int) -> XPeer:
        conn = XConn(id=number, size=0, count=0, status="ready", opened_at=0, closed_at=0)
        return XPeer(id=number, conn=conn, heard_at=0, acked=0, score=0, source=0)

    def initial() -> XRoot:
        table = immutables.Map({i: peer_state(i) for i in range(peers)})
        return XRoot(clock=0, p2p=XP2p(peers=table, size=0, acks=0, limit=0), config=0, pools=0, tip=0, dice=0)

    def reducer(state: Any, action: Any) -> Any:
        if state is None:
            return initial()
        p2p = state.p2p
        if isinstance(action, XMsgRecv):
            peer = p2p.peers.get(action.peer)
            if peer is None or peer.conn.status != "ready":
                return state
            conn = replace(peer.conn, size=peer.conn.size + action.size, count=peer.conn.count + 1)
            table = p2p.peers.set(action.peer, replace(peer, conn=conn, heard_at=_NOW))
            after = replace(state, p2p=replace(p2p, peers=table, size=p2p.size + action.size))
            return redux.CompleteReducerResult(state=after, actions=[XAck(peer=action.peer)])
        if isinstance(action, XAck):
            peer = p2p.peers.get(action.peer)
            if peer is None:
                return state
            table = p2p.peers.set(action.peer, replace(peer, acked=peer.acked + 1))
            return replace(state, p2p=replace(p2p, peers=table, acks=p2p.acks + 1))
        return state

    store: Any = redux.Store(reducer, redux.StoreOptions(auto_init=True, side_effect_threads=0))

    def run(actions: Sequence[Any]) -> None:
        dispatch = store.dispatch
        for action in actions:
            dispatch(action)

    def totals() -> Totals:
        p2p = store._state.p2p
        return Totals(sum(p.conn.count for p in p2p.peers.values()), p2p.acks, p2p.size)

    return InProcess(peers, lambda peer: XMsgRecv(peer=peer, size=MESSAGE_BYTES), run, totals)


def pydux(peers: int) -> InProcess:
    """pydux in its idiom: dicts and spreads, follow-ups by a middleware."""
    try:
        import immutables
        import pydux as library
    except ImportError as error:
        raise UnavailableError(f"{error.name} is not installed") from error

    def conn(number: int) -> dict[str, Any]:
        return {"id": number, "size": 0, "count": 0, "status": "ready", "opened_at": 0, "closed_at": 0}

    def peer_state(number: int) -> dict[str, Any]:
        return {"id": number, "conn": conn(number), "heard_at": 0, "acked": 0, "score": 0, "source": 0}

    p2p_state = {"peers": immutables.Map({i: peer_state(i) for i in range(peers)}), "size": 0, "acks": 0, "limit": 0}
    initial = {"clock": 0, "p2p": p2p_state, "config": 0, "pools": 0, "tip": 0, "dice": 0}

    def reducer(state: Any, action: dict[str, Any]) -> Any:
        kind = action["type"]
        p2p = state["p2p"]
        if kind == "MsgRecv":
            number = action["peer"]
            peer = p2p["peers"].get(number)
            if peer is None or peer["conn"]["status"] != "ready":
                return state
            old = peer["conn"]
            heard = {**peer, "conn": {**old, "size": old["size"] + action["size"], "count": old["count"] + 1}, "heard_at": _NOW}
            return {**state, "p2p": {**p2p, "peers": p2p["peers"].set(number, heard), "size": p2p["size"] + action["size"]}}
        if kind == "Ack":
            number = action["peer"]
            peer = p2p["peers"].get(number)
            if peer is None:
                return state
            acked = {**peer, "acked": peer["acked"] + 1}
            return {**state, "p2p": {**p2p, "peers": p2p["peers"].set(number, acked), "acks": p2p["acks"] + 1}}
        return state

    def follow_up(store: Any) -> Any:
        dispatch, get_state = store["dispatch"], store["get_state"]

        def around(following: Any) -> Any:
            def handle(action: dict[str, Any]) -> Any:
                before = get_state()
                result = following(action)
                if action["type"] == "MsgRecv" and get_state() is not before:
                    dispatch({"type": "Ack", "peer": action["peer"]})
                return result

            return handle

        return around

    store: Any = library.create_store(reducer, initial, library.apply_middleware(follow_up))

    def run(actions: Sequence[Any]) -> None:
        dispatch = store["dispatch"]
        for action in actions:
            dispatch(action)

    def totals() -> Totals:
        p2p = store["get_state"]()["p2p"]
        return Totals(sum(p["conn"]["count"] for p in p2p["peers"].values()), p2p["acks"], p2p["size"])

    return InProcess(peers, lambda peer: {"type": "MsgRecv", "peer": peer, "size": MESSAGE_BYTES}, run, totals)
