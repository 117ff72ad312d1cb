"""Two sessions with one peer, ours and its own, and whatever may happen on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libp2p_slices.lab import check, peer_id
from libp2p_slices.pairs import IN, THEIRS, Alone
from mina_p2p.ids import RequestId, StreamId, Timestamp
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.notifications import NetworkRpcFailed, NetworkRpcResponded
from mina_p2p.libp2p.protocols import RPC
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall, NetworkRpcRefuse
from mina_p2p.libp2p_rpc.messages import (
    GREETING,
    HEARTBEAT,
    MENU_CODEC,
    MESSAGE_CODEC,
    Response,
    ResponseFailed,
    UncaughtExn,
    UnimplementedRpc,
)
from mina_p2p.libp2p_rpc.state import KINDS, Asking, AskingMenu, Session
from mina_p2p.mina.rpc import Query, ResponseOk


class Watched(Alone):
    """Remembers every end of a call, and looks at every state."""

    def __init__(self) -> None:
        self.calls = 0
        self.ended: list[int] = []
        super().__init__()

    def feed(self, action: Any, now: Timestamp | None = None) -> list[Any]:
        effects = super().feed(action, now)
        self.ended.extend(one.request_id for one in effects if isinstance(one, NetworkRpcResponded | NetworkRpcFailed))
        check(self.state)
        return effects


Step = Callable[[Watched, int], None]
MENU_DATA = MENU_CODEC.encode(tuple((kind.tag.encode(), kind.version) for kind in KINDS.values()))


def session(alone: Watched, pick: int) -> tuple[int, Session] | None:
    found = list(alone.state.rpcs.sessions.items())
    return found[pick % len(found)] if found else None


def say(alone: Watched, pick: int, message: Any) -> None:
    found = session(alone, pick)
    if found is not None:
        data = message if isinstance(message, bytes) else MESSAGE_CODEC.encode(message)
        alone.feed(port.Libp2pStreamMessageReceived(found[1].connection_id, found[1].stream, data))


def agree(alone: Watched, pick: int) -> None:
    """The peer takes a stream of ours, or loses it."""
    known = {one.stream for one in alone.state.rpcs.sessions.values()}
    for connection_id, stream in alone.opened(RPC.name):
        if stream not in known:
            agreed = port.Libp2pStreamOpened(connection_id, stream, RPC.name, True)
            alone.feed(agreed if pick % 8 else port.Libp2pStreamLost(connection_id, stream, True))


def greet(alone: Watched, _pick: int) -> None:
    for one in list(alone.state.rpcs.sessions.values()):
        if type(one.status).__name__ == "Greeting":
            alone.feed(port.Libp2pStreamMessageReceived(one.connection_id, one.stream, GREETING))


def reply(alone: Watched, pick: int) -> None:
    """What answers a question of ours: the menu, the answer, or an error."""
    for one in list(alone.state.rpcs.sessions.values()):
        if not isinstance(one.status, AskingMenu | Asking):
            continue
        result: Any = ResponseOk(MENU_DATA if isinstance(one.status, AskingMenu) else b"\x00")
        if pick % 4 == 0:
            result = ResponseFailed(UncaughtExn("no") if pick % 8 else UnimplementedRpc("x", 1))
        answer = MESSAGE_CODEC.encode(Response(one.status.query_id, result))
        alone.feed(port.Libp2pStreamMessageReceived(one.connection_id, one.stream, answer))
        return


def answer(alone: Watched, pick: int) -> None:
    found = [(serial, one.query_id) for serial, owner in alone.state.rpcs.sessions.items() for one in owner.serving]
    if found:
        serial, query_id = found[pick % len(found)]
        alone.feed(NetworkRpcAnswer(serial, query_id, b"\x00") if pick % 2 else NetworkRpcRefuse(serial, query_id, "no"))


def end(alone: Watched, pick: int) -> None:
    found = session(alone, pick)
    if found is not None:
        where = found[1].connection_id, found[1].stream
        alone.feed(port.Libp2pStreamEnded(*where) if pick % 2 else port.Libp2pStreamLost(*where, True))


def accept(alone: Watched, _pick: int) -> None:
    """The peer opens a session."""
    alone.feed(port.Libp2pStreamOpened(IN, StreamId(THEIRS + alone.state.links.next_serial), RPC.name, False))


def wait(alone: Watched, pick: int) -> None:
    alone.feed(NetworkCheckTimeouts(), alone.later((0.1, 5, 11, 31)[pick % 4]))


def call(alone: Watched, pick: int) -> None:
    alone.calls += 1
    tag, query = [("get_best_tip", b"\x00"), ("get_transition_chain", b"\x01" + bytes(32)), ("get_transition_chain", b"bad")][pick % 3]
    alone.feed(NetworkRpcCall(RequestId(alone.calls), peer_id(1), tag, query))


STEPS: list[Step] = [
    agree,
    agree,
    greet,
    greet,
    reply,
    reply,
    answer,
    end,
    accept,
    wait,
    call,
    call,
    lambda alone, pick: say(alone, pick, HEARTBEAT),
    lambda alone, pick: say(alone, pick, Query(b"get_best_tip", 2, pick, b"\x00")),
    lambda alone, pick: say(alone, pick, Query(b"get_some_initial_peers", 1, pick, b"\x00")),
    lambda alone, pick: say(alone, pick, (b"", b"\xff", MESSAGE_CODEC.encode(Response(pick, ResponseOk(b""))), GREETING)[pick % 4]),
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30)), min_size=20, max_size=80), st.sampled_from(["go", "mina"]))
def test_every_call_ends_exactly_once(script: list[tuple[Step, int]], agent: str):
    """Answered or failed; and every state on the way is good."""
    alone = Watched()
    alone.known(1, agent=agent)
    for step, pick in script:
        step(alone, pick)
    for _ in range(10):
        alone.feed(NetworkCheckTimeouts(), alone.later(60))
    assert sorted(alone.ended) == list(range(1, alone.calls + 1))
    assert len(alone.state.rpcs.calls) == len(alone.state.rpcs.sessions) == 0
