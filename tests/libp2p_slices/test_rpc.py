"""Mina's RPC: both sides of a call, with real payloads; silence, budgets, and peers that misbehave."""

from __future__ import annotations

from typing import Any

import pytest
from libp2p.pairs import vector
from support.vectors import vectors_path

from libp2p_slices.lab import Network, Node, check, peer_id
from libp2p_slices.pairs import IN, THEIRS, Alone
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import RequestId, StreamId
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.notifications import NetworkBanNotified, NetworkRpcFailed, NetworkRpcRequested, NetworkRpcResponded
from mina_p2p.libp2p.protocols import RPC
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall, NetworkRpcRefuse
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
from mina_p2p.libp2p_rpc.serving import UNKNOWN_PER_MINUTE
from mina_p2p.libp2p_rpc.state import KINDS, SERVING_MAX, SESSIONS_PER_PEER_MAX, method_of
from mina_p2p.mina.block import Block
from mina_p2p.mina.rpc import BlockWithProof, ErrorText, Query, ResponseOk, query_value
from mina_p2p.wire import codec

ONE = RequestId(1)
MENU_DATA = MENU_CODEC.encode(tuple((kind.tag.encode(), kind.version) for kind in KINDS.values()))


# --- bytes


@pytest.mark.parametrize(("name", "field"), [("rpc_handshake", GREETING), ("rpc_heartbeat", HEARTBEAT)])
def test_greeting_and_heartbeat(name: str, field: bytes):
    data = vector(name)["hex"]
    assert len(field).to_bytes(8, "little") + field == data


def test_an_unimplemented_method():
    data = vector("rpc_error_unimplemented")["hex"][8:]
    assert MESSAGE_CODEC.decode(data) == Response(7, ResponseFailed(UnimplementedRpc("foo", 9)))
    assert MESSAGE_CODEC.encode(MESSAGE_CODEC.decode(data)) == data


def test_menus():
    question, answer = (MESSAGE_CODEC.decode(vector(f"rpc_menu_{one}_framed")["hex"][8:]) for one in ("query", "response"))
    assert question == Query(MENU.encode(), 1, 0x14F48, b"\x00")
    assert isinstance(answer, Response)
    assert isinstance(answer.result, ResponseOk)
    assert len(MENU_CODEC.decode(answer.result.data)) == 10


def test_errors_with_an_s_expression():
    """Nested lists and atoms become a text; deep and long ones are refused."""
    nested = b"\x02\x07\x01\x03" + b"\x01\x02\x00\x03abc\x01\x01\x00\x01d"
    message = MESSAGE_CODEC.decode(nested)
    assert message == Response(7, ResponseFailed(UncaughtExn("( abc ( d))")))
    for bad in (b"\x02\x07\x01\x03" + b"\x01\x01" * 100, b"\x02\x07\x01\x03\x00\xfd\xff\xff\xff\x7f", b"\x02\x07\x01\x03\x07"):
        with pytest.raises(Exception, match="at byte"):
            MESSAGE_CODEC.decode(bad)


def test_a_list_without_the_magic_number_is_an_older_peers():
    check_greeting(b"\x02\x01\x03")


@pytest.mark.parametrize("data", [b"", b"\xfc", b"\x00", b"\x01\x02", b"\x02\xfd\x52\x50\x43\x00\x02", b"\xfe\xff\xff", b"\x02\x01"])
def test_greetings_of_something_else_are_refused(data: bytes):
    with pytest.raises(Exception, match="greeting"):
        check_greeting(data)


# --- two nodes


def network() -> tuple[Network, Node, Node]:
    made = Network([Node(0), Node(1, 0)])
    made.run(2)
    first, second = made.nodes[peer_id(0)], made.nodes[peer_id(1)]
    first.told.clear()
    second.told.clear()
    return made, first, second


def told(node: Node, kind: type[Any]) -> list[Any]:
    return [one for one in node.told if isinstance(one, kind)]


def block() -> Block:
    path = next(vectors_path("blocks").glob("359614-*.bin"))
    return codec(Block).decode(path.read_bytes())


def recorded(name: str) -> Any:
    """A recorded answer, without what is around it."""
    message = MESSAGE_CODEC.decode(vectors_path("rpc", name).read_bytes())
    assert isinstance(message, Response)
    assert isinstance(message.result, ResponseOk)
    return message.result.data


def asked(made: Network, who: Node, whom: Node, tag: str, query: Any, answer: Any) -> Any:
    """A call that the other's node software answers; what comes back."""
    made.feed(who, NetworkRpcCall(ONE, whom.peer_id, tag, method_of(tag).query_codec.encode(query)))
    (request,) = told(whom, NetworkRpcRequested)
    assert (request.tag, method_of(tag).query_codec.decode(request.query), request.peer_id) == (tag, query, who.peer_id)
    made.feed(whom, NetworkRpcAnswer(request.serial, request.query_id, method_of(tag).response_codec.encode(answer)))
    (response,) = told(who, NetworkRpcResponded)
    assert (response.request_id, response.tag, response.peer_id) == (ONE, tag, whom.peer_id)
    for node in made.nodes.values():
        check(node.state)
        node.told.clear()
    return method_of(tag).response_codec.decode(response.answer)


def test_every_method_both_ways():
    """Real payloads where there are some; the answer that arrives is the one that was given."""
    made, first, second = network()
    ledger_query = MESSAGE_CODEC.decode(vectors_path("rpc", "answer-sync-ledger-query-00.bin").read_bytes())
    assert isinstance(ledger_query, Query)
    method = method_of("answer_sync_ledger_query")
    chain_proof = method_of("get_transition_chain_proof")
    staged = method_of("get_staged_ledger_aux_and_pending_coinbases_at_hash")
    staged_message = MESSAGE_CODEC.decode(vectors_path("staged_ledger", "rpc_response.bin").read_bytes())
    assert isinstance(staged_message, Response)
    assert isinstance(staged_message.result, ResponseOk)
    tip = BlockWithProof(block(), ((bytes(32),), block()))
    cases = [
        ("get_best_tip", None, None),
        ("get_best_tip", None, tip),
        ("get_transition_chain", (bytes(32),) * 20, (block(), block())),
        ("get_transition_chain", (bytes(32),), None),
        ("Get_transition_knowledge", None, (bytes(32), bytes([1]) * 32)),
        (
            "answer_sync_ledger_query",
            method.query_codec.decode(ledger_query.data),
            method.response_codec.decode(recorded("answer-sync-ledger-response-00.bin")),
        ),
        (
            "get_transition_chain_proof",
            bytes(32),
            chain_proof.response_codec.decode(recorded("get-transition-chain-proof-response-00.bin")),
        ),
        (
            "get_staged_ledger_aux_and_pending_coinbases_at_hash",
            bytes(32),
            staged.response_codec.decode(staged_message.result.data),
        ),
    ]
    for tag, query, answer in cases:
        assert asked(made, first, second, tag, query, answer) == answer
        assert asked(made, second, first, tag, query, answer) == answer


def test_initial_peers_are_answered_by_the_library():
    """Everybody it knows but the asker."""
    made = Network([Node(0), Node(1, 0), Node(2, 0)])
    made.run(2)
    asker = made.nodes[peer_id(1)]
    made.feed(asker, NetworkRpcCall(ONE, peer_id(0), "get_some_initial_peers", b"\x00"))
    (response,) = told(asker, NetworkRpcResponded)
    answer = method_of(response.tag).response_codec.decode(response.answer)
    assert [(one.host, one.libp2p_port, one.peer_id) for one in answer] == [(b"10.0.2.1", 8302, peer_id(2).libp2p.encode())]


def test_a_ban_is_told():
    made, first, second = network()
    made.feed(first, NetworkRpcCall(ONE, second.peer_id, "ban_notify", method_of("ban_notify").query_codec.encode(1.5)))
    assert told(second, NetworkBanNotified) == [NetworkBanNotified(first.peer_id, 1.5)]
    assert [one.answer for one in told(first, NetworkRpcResponded)] == [b"\x00"]


def test_the_menu_is_asked_for_once_and_the_session_is_used_again():
    made, first, second = network()
    for _ in range(3):
        assert asked(made, first, second, "get_best_tip", None, None) is None
    assert len(first.state.rpcs.sessions) == 1
    assert len(first.state.rpcs.menus) == 1


def test_many_calls_share_a_few_sessions():
    """More than there may be sessions wait their turn; all are answered, one session is left."""
    made, first, second = network()
    count = 3 * SESSIONS_PER_PEER_MAX
    query = bytes(32) + b"\x02"
    answer = method_of("answer_sync_ledger_query").response_codec.encode(ErrorText(b"no"))
    for number in range(count):
        made.feed(first, NetworkRpcCall(RequestId(number), second.peer_id, "answer_sync_ledger_query", query))
    assert len(first.state.rpcs.sessions) == SESSIONS_PER_PEER_MAX
    answered = 0
    while requests := told(second, NetworkRpcRequested)[answered:]:
        for request in requests:
            made.feed(second, NetworkRpcAnswer(request.serial, request.query_id, answer))
        answered += len(requests)
        check(first.state)
    assert sorted(one.request_id for one in told(first, NetworkRpcResponded)) == list(range(count))
    assert len(first.state.rpcs.sessions) == 1
    assert len(second.state.rpcs.sessions) == 1


def test_no_answer_of_the_node_software():
    made, first, second = network()
    made.feed(first, NetworkRpcCall(ONE, second.peer_id, "get_best_tip", b"\x00"))
    (request,) = told(second, NetworkRpcRequested)
    made.feed(second, NetworkRpcRefuse(request.serial, request.query_id, "not synced"))
    (failed,) = told(first, NetworkRpcFailed)
    assert "not synced" in failed.detail
    made.run(1)
    for node in (first, second):
        assert len(node.state.rpcs.sessions) == 0
        check(node.state)


def test_a_call_has_a_deadline():
    made, first, second = network()
    made.feed(first, NetworkRpcCall(ONE, second.peer_id, "get_best_tip", b"\x00"))
    made.run(46)
    assert told(first, NetworkRpcFailed) == [NetworkRpcFailed(ONE, "no answer in time")]
    assert len(first.state.rpcs.calls) == 0
    assert len(second.state.rpcs.sessions) == 0
    check(first.state)
    check(second.state)


def test_heartbeats_keep_a_session():
    made, first, second = network()
    asked(made, first, second, "get_best_tip", None, None)
    made.run(600)
    assert len(first.state.rpcs.sessions) == len(second.state.rpcs.sessions) == 1


def test_a_peer_that_goes_leaves_no_call():
    made, first, second = network()
    for number in range(20):
        made.feed(first, NetworkRpcCall(RequestId(number), second.peer_id, "get_best_tip", b"\x00"))
    made.remove(second)
    failed = {one.request_id for one in told(first, NetworkRpcFailed)}
    assert failed == set(range(20))
    assert len(first.state.rpcs.calls) == len(first.state.rpcs.sessions) == len(first.state.rpcs.menus) == 0
    check(first.state)


def test_what_is_no_query_of_the_method_is_told_at_once():
    made, first, second = network()
    made.feed(first, NetworkRpcCall(ONE, second.peer_id, "get_transition_chain", b"nonsense"))
    (failed,) = told(first, NetworkRpcFailed)
    assert "get_transition_chain" in failed.detail


# --- one node, and a peer played by hand


def served(alone: Alone, query: Query, stream: StreamId = THEIRS) -> list[Any]:
    """A question and our answers, decoded."""
    alone.message(MESSAGE_CODEC.encode(query), stream)
    return [MESSAGE_CODEC.decode(one.data) for one in alone.did(port.Libp2pEffectfulSend)]


def greeted() -> Alone:
    """The peer has opened a session, as OCaml does for each question."""
    alone = Alone()
    alone.known(1)
    alone.stream(RPC.name)
    assert [one.data for one in alone.did(port.Libp2pEffectfulSend)] == [GREETING]
    alone.message(GREETING)
    assert [one.data for one in alone.did(port.Libp2pEffectfulSend)] == [HEARTBEAT]
    return alone


def codes(alone: Alone) -> list[ReasonCode]:
    return [one.reason.code for one in alone.did(port.Libp2pEffectfulDisconnect)]


def test_the_menu_is_what_an_ocaml_node_lists():
    (answer,) = served(greeted(), Query(MENU.encode(), 1, 5, b"\x00"))
    assert answer == Response(5, ResponseOk(MENU_DATA))
    names = [tag.decode() for tag, _ in MENU_CODEC.decode(MENU_DATA)]
    recorded_names = MENU_CODEC.decode(recorded_menu())
    assert names == [tag.decode() for tag, _ in recorded_names if tag != b"get_epoch_ledger"]


def recorded_menu() -> bytes:
    message = MESSAGE_CODEC.decode(vector("rpc_menu_response_framed")["hex"][8:])
    assert isinstance(message, Response)
    assert isinstance(message.result, ResponseOk)
    return message.result.data


@pytest.mark.parametrize(("tag", "version"), [("get_best_tip", 1), ("get_epoch_ledger", 2), ("nonsense", 7)])
def test_an_unknown_method_is_answered_with_that(tag: str, version: int):
    (answer,) = served(greeted(), Query(tag.encode(), version, 5, b"\x00"))
    assert answer == Response(5, ResponseFailed(UnimplementedRpc(tag, version)))


def test_a_query_that_can_not_be_read_ends_the_connection():
    alone = greeted()
    (answer,) = served(alone, Query(b"get_best_tip", 2, 5, b"\x07"))
    assert isinstance(answer.result, ResponseFailed)
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_UNDECODABLE]


@pytest.mark.parametrize("data", [b"", b"\x07", b"\x01", b"\x02\x05\x02"])
def test_bytes_that_are_no_message_end_the_connection(data: bytes):
    alone = greeted()
    alone.message(data)
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_UNDECODABLE]


def test_a_bad_greeting_ends_the_connection():
    alone = Alone()
    alone.known(1)
    alone.stream(RPC.name)
    alone.message(HEARTBEAT)
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_UNDECODABLE]


def test_an_answer_to_no_question_ends_the_connection():
    alone = greeted()
    alone.message(MESSAGE_CODEC.encode(Response(5, ResponseOk(b""))))
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_UNEXPECTED]


def test_questions_have_a_budget():
    """A few times what an OCaml node takes, over all sessions of the peer; a minute later it is fresh."""
    alone, most = greeted(), KINDS["ban_notify"].per_minute
    query = Query(b"ban_notify", 1, 1, bytes(8))
    for _ in range(most):
        assert served(alone, query)
        assert codes(alone) == []
    served(alone, query)
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_OVER_PERMISSION]
    alone.now = alone.later(61)
    served(alone, query)
    assert codes(alone) == []


def test_unknown_methods_have_a_budget():
    """Of all of them together: whatever their names, nobody is answered without end."""
    alone = greeted()
    for number in range(UNKNOWN_PER_MINUTE):
        assert served(alone, Query(b"method %d" % number, 1, number, b""))
        assert codes(alone) == []
    served(alone, Query(b"another", 1, 1, b""))
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_OVER_PERMISSION]
    check(alone.state)


def test_questions_in_waiting_are_bounded():
    alone = greeted()
    for number in range(SERVING_MAX):
        served(alone, Query(b"answer_sync_ledger_query", 3, number, bytes(32) + b"\x02"))
        assert codes(alone) == []
    served(alone, Query(b"answer_sync_ledger_query", 3, 99, bytes(32) + b"\x02"))
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_OVER_PERMISSION]


def test_a_session_that_says_nothing_is_reset():
    """OCaml leaves its sessions open and silent."""
    alone = greeted()
    for _ in range(4):
        alone.feed(NetworkCheckTimeouts(), alone.later(10.1))
    assert alone.state.links.stream(IN, THEIRS) is None
    assert len(alone.state.rpcs.sessions) == 0
    check(alone.state)


def test_a_peer_that_never_greets_is_reset():
    alone = Alone()
    alone.known(1)
    alone.stream(RPC.name)
    alone.feed(NetworkCheckTimeouts(), alone.later(31))
    assert port.Libp2pEffectfulStreamReset(IN, THEIRS) in alone.effects


def test_what_was_asked_before_the_end_is_answered():
    """A peer that half-closes still gets its answer, then our end."""
    alone = greeted()
    served(alone, Query(b"get_best_tip", 2, 5, b"\x00"))
    (request,) = alone.did(NetworkRpcRequested)
    alone.feed(port.Libp2pStreamEnded(IN, THEIRS))
    assert not alone.did(port.Libp2pEffectfulStreamEnd)
    alone.feed(NetworkRpcAnswer(request.serial, request.query_id, b"\x00"))
    assert [type(one).__name__ for one in alone.effects] == ["Libp2pEffectfulSend", "Libp2pEffectfulStreamEnd"]
    assert alone.state.links.stream(IN, THEIRS) is None
    check(alone.state)


def called(agent: str = "go") -> tuple[Alone, StreamId]:
    """We ask; the stream of our session, greeted."""
    alone = Alone()
    alone.known(1, agent=agent)
    alone.feed(NetworkRpcCall(ONE, peer_id(1), "get_best_tip", b"\x00"))
    ((_, stream),) = alone.opened(RPC.name)
    alone.feed(port.Libp2pStreamOpened(IN, stream, RPC.name, True))
    alone.message(GREETING, stream)
    return alone, stream


def test_rust_has_no_menu_and_is_not_asked():
    """It would take the question for a violation."""
    alone, _ = called("mina")
    sent = [MESSAGE_CODEC.decode(one.data) for one in alone.did(port.Libp2pEffectfulSend)]
    assert [one.tag for one in sent if isinstance(one, Query)] == [b"get_best_tip"]


def test_a_method_that_the_menu_lacks_is_not_asked():
    alone, stream = called()
    (query,) = [one for one in (MESSAGE_CODEC.decode(e.data) for e in alone.did(port.Libp2pEffectfulSend)) if isinstance(one, Query)]
    assert query.tag == MENU.encode()
    alone.message(MESSAGE_CODEC.encode(Response(query.id, ResponseOk(MENU_CODEC.encode(((b"get_best_tip", 1),))))), stream)
    assert alone.did(NetworkRpcFailed) == [NetworkRpcFailed(ONE, "the peer does not serve get_best_tip in version 2")]
    assert not alone.did(port.Libp2pEffectfulSend)
    check(alone.state)


@pytest.mark.parametrize(("agent", "kind"), [("go", port.Libp2pEffectfulStreamReset), ("mina", port.Libp2pEffectfulStreamEnd)])
def test_after_the_deadline_a_session_is_given_up(agent: str, kind: type[Any]):
    """A reset stream ends the whole connection with a Rust node, so there it is ended."""
    alone, stream = called(agent)
    for _ in range(50):
        alone.now = alone.later(1)
        alone.message(HEARTBEAT, stream)
        alone.feed(NetworkCheckTimeouts())
        if alone.did(NetworkRpcFailed):
            break
    assert alone.did(NetworkRpcFailed) == [NetworkRpcFailed(ONE, "no answer in time")]
    assert len(alone.did(kind)) == 1
    check(alone.state)


def test_an_undecodable_answer_ends_the_connection():
    alone, stream = called("mina")
    (query,) = [one for one in (MESSAGE_CODEC.decode(e.data) for e in alone.did(port.Libp2pEffectfulSend)) if isinstance(one, Query)]
    assert query_value(query) is None
    alone.message(MESSAGE_CODEC.encode(Response(query.id, ResponseOk(b"\x07"))), stream)
    assert codes(alone) == [ReasonCode.CHANNEL_MSG_UNDECODABLE]
    alone.feed(port.Libp2pConnectionClosed(IN, Reason(ReasonCode.TRANSPORT_ERROR), False))
    assert [one.request_id for one in alone.did(NetworkRpcFailed)] == [ONE]
    check(alone.state)


def test_a_peer_without_rpc_is_not_asked():
    alone = Alone()
    alone.known(1, protocols=())
    alone.feed(NetworkRpcCall(ONE, peer_id(1), "get_best_tip", b"\x00"))
    assert alone.did(NetworkRpcFailed) == [NetworkRpcFailed(ONE, "the peer does not speak RPC")]
