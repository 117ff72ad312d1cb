"""Mina's RPC with a foreign node that was written from the specification alone: both sides ask, with real payloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from support.network import NetworkNode

from interop.nodes import foreign, ours, peer_id
from interop.ours import theirs
from interop.payloads import UNIT, Exchange, blocks, exchanges
from interop.peers import Peer
from interop.running import KINDS as ALL
from interop.running import run
from mina_p2p.channels.rpc.messages import (
    BestTipWithProofRequest,
    BestTipWithProofResponse,
    BlockRequest,
    BlockResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcRequest,
    RpcResponse,
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockResponse,
)
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, RequestId
from mina_p2p.libp2p.actions import NetworkDial, NetworkDisconnect
from mina_p2p.libp2p.notifications import (
    NetworkBanNotified,
    NetworkPeerDisconnected,
    NetworkPeerIdentified,
    NetworkRpcFailed,
    NetworkRpcRequested,
    NetworkRpcResponded,
)
from mina_p2p.libp2p_rpc import reducer
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall
from mina_p2p.libp2p_rpc.messages import GREETING, HEARTBEAT, MENU, MENU_CODEC, MESSAGE_CODEC, Response, ResponseFailed, UnimplementedRpc
from mina_p2p.libp2p_rpc.state import KINDS, QUERY_BYTES_MAX, method_of
from mina_p2p.mina.raw import RawBestTipWithProof, RawBlock, RawLedgerAnswer, RawStagedLedgerAux
from mina_p2p.mina.rpc import Query, ResponseOk
from mina_p2p.notifications import RpcRequested
from mina_p2p.relay.config import RelayConfig

THEM = 60


@asynccontextmanager
async def pair(programs: Any, kind: str) -> AsyncGenerator[tuple[NetworkNode, Peer]]:
    """Ours, which dialled, and a foreign node; they know of each other what they speak."""
    async with AsyncExitStack() as stack:
        # Without Kademlia, whose look-ups would dial by themselves a peer that was just left.
        we, peer = await stack.enter_async_context(ours(7, is_discovery_enabled=False)), await foreign(stack, programs(kind), THEM)
        we.node.command(NetworkDial(theirs(peer.address)))
        await we.next(NetworkPeerIdentified)
        yield we, peer


def call(we: NetworkNode, number: int, tag: str, query: bytes) -> None:
    we.node.command(NetworkRpcCall(RequestId(number), PeerId.parse(peer_id(THEM)), tag, query))


async def one_event(peer: Peer, kind: str, **expected: Any) -> dict[str, Any]:
    """The next event of that kind that says so; others of that kind are passed over."""
    while True:
        said = await peer.event(kind)
        if expected.items() <= said.items():
            return said


def framed(*messages: bytes) -> bytes:
    return b"".join(len(one).to_bytes(8, "little") + one for one in messages)


# --- the way it should be


@pytest.mark.parametrize("kind", ALL)
@run
async def test_they_ask_and_the_node_software_answers(programs: Any, kind: str):
    """As OCaml does: a stream and the menu for each question, nothing said when it is over; every byte of both arrives."""
    async with pair(programs, kind) as (we, peer):
        for exchange in exchanges():
            asked: list[NetworkRpcRequested] = []

            def answered(request: NetworkRpcRequested, asked: list[Any] = asked, answer: bytes = exchange.answer) -> NetworkRpcAnswer:
                asked.append(request)
                return NetworkRpcAnswer(request.serial, request.query_id, answer)

            we.answer = answered
            method = {"tag": exchange.tag, "version": exchange.version}
            said = await peer.do("rpc-ask", peer=we.libp2p, data=exchange.query.hex(), **method)
            assert bytes.fromhex(said["data"]) == exchange.answer
            assert [one.peer_id.libp2p for one in asked] == [peer_id(THEM)]
            assert asked[0].query == exchange.query
        assert we.peers == {peer_id(THEM): [True]}


@pytest.mark.parametrize("kind", ALL)
@run
async def test_we_ask_and_they_answer(programs: Any, kind: str):
    """On one session, after its menu; what comes back is what they were given, byte by byte."""
    async with pair(programs, kind) as (we, peer):
        for exchange in exchanges():  # all of them before the first question, for which the menu is read
            await peer.do("rpc-serve", tag=exchange.tag, version=exchange.version)
        for number, exchange in enumerate(exchanges()):
            method = {"tag": exchange.tag, "version": exchange.version}
            await peer.do("rpc-serve", data=exchange.answer.hex(), **method)
            call(we, number, exchange.tag, exchange.query)
            got = await we.next(NetworkRpcResponded)
            assert (got.request_id, got.tag, got.peer_id.libp2p) == (number, exchange.tag, peer_id(THEM))
            assert got.answer == exchange.answer
            heard = await one_event(peer, "rpc asked", **method)
            assert bytes.fromhex(heard["data"]) == exchange.query


@run
async def test_both_ask_on_the_same_session(programs: Any):
    """The stream that one of the two opened is good for the questions of both."""
    async with pair(programs, "go") as (we, peer):
        await peer.do("rpc-serve", tag="Get_transition_knowledge", version=1, data="00")
        call(we, 1, "Get_transition_knowledge", UNIT)
        await we.next(NetworkRpcResponded)
        we.answer = lambda request: NetworkRpcAnswer(request.serial, request.query_id, b"\x01" + bytes(32))
        said = await peer.do("rpc-ask", peer=we.libp2p, how="theirs", tag="Get_transition_knowledge", version=1, data="00")
        assert said["data"] == "01" + 32 * "00"
        assert len(we.network.rpcs.sessions) == 1


@pytest.mark.parametrize("kind", ALL)
@run
async def test_what_the_library_answers_by_itself(programs: Any, kind: str):
    """The menu, other peers, and a ban's receipt; of initial peers both sides understand the other's."""
    async with pair(programs, kind) as (we, peer), AsyncExitStack() as stack:
        third = await foreign(stack, programs(kind), 61)
        await third.do("connect", addr=we.address)
        await we.until(lambda: len(we.network.identify.peers) == 2)
        menu = await peer.do("rpc-ask", peer=we.libp2p, tag=MENU, version=1, data="00", how="without menu")
        listed = MENU_CODEC.decode(bytes.fromhex(menu["data"]))
        assert listed == tuple((method.tag.encode(), method.version) for method in KINDS.values())

        method = method_of("get_some_initial_peers")
        said = await peer.do("rpc-ask", peer=we.libp2p, tag=method.tag, version=1, data="00")
        (found,) = method.response_codec.decode(bytes.fromhex(said["data"]))
        assert f"/ip4/{found.host.decode()}/tcp/{found.libp2p_port}/p2p/{found.peer_id.decode()}" == third.address
        await peer.do("rpc-serve", tag=method.tag, version=1, data=said["data"])
        await peer.do("rpc-serve", tag="ban_notify", version=1, data="00")
        call(we, 1, method.tag, UNIT)
        assert (await we.next(NetworkRpcResponded)).answer.hex() == said["data"]

        time = method_of("ban_notify").query_codec.encode(1_700_000_000.5)
        said = await peer.do("rpc-ask", peer=we.libp2p, tag="ban_notify", version=1, data=time.hex())
        assert said["data"] == "00"
        assert await we.next(NetworkBanNotified) == NetworkBanNotified(PeerId.parse(peer_id(THEM)), 1_700_000_000.5)
        call(we, 2, "ban_notify", time)
        await we.next(NetworkRpcResponded)
        assert (await one_event(peer, "rpc asked", tag="ban_notify"))["data"] == time.hex()


@run
async def test_heartbeats_keep_a_session_and_silence_ends_it(programs: Any):
    """Both hear the other's, the first with the greeting and then again; our session is the same all the while.

    A stream on which a peer greets and is silent, as OCaml's are after the answer, is taken back.
    """
    async with pair(programs, "go") as (we, peer):
        await peer.do("rpc-serve", tag="Get_transition_knowledge", version=1, data="00")
        call(we, 1, "Get_transition_knowledge", UNIT)
        await we.next(NetworkRpcResponded)
        silent = asyncio.create_task(peer.do("rpc-raw", peer=we.libp2p, data=framed(GREETING).hex(), count=100))
        (session,) = we.network.rpcs.sessions.keys()
        for count in (1, 2, 3):
            await one_event(peer, "rpc heartbeat", is_ours=False, count=count)
        heard_at = we.network.rpcs.sessions[session].heard_at
        await we.until(lambda: we.network.rpcs.sessions[session].heard_at > heard_at)
        said = await silent
        assert [bytes.fromhex(one) for one in said["messages"][:2]] == [GREETING, HEARTBEAT]
        assert said["ended"]
        call(we, 2, "Get_transition_knowledge", UNIT)
        await we.next(NetworkRpcResponded)
        assert list(we.network.rpcs.sessions.keys()) == [session]


# --- the ways in which a peer that is asked can fail


FAILURES = {
    "reset": "the session was lost",
    "failed": "UncaughtExn",
    "unknown": "UnimplementedRpc",
    "half": "the session was lost",
    "oversized": "1099511627776 bytes announced",
}
"""What a peer does in place of an answer (``served.how`` in go/rpc.go), and what the node software hears of it."""


@pytest.mark.parametrize("kind", ALL)
@run
async def test_a_question_that_fails_costs_nothing_else(programs: Any, kind: str):
    """The node software hears why; the connection stays, and the next question is answered: after each failure and after all."""
    async with pair(programs, kind) as (we, peer):
        for number, (how, detail) in enumerate(FAILURES.items()):
            await peer.do("rpc-serve", tag="get_best_tip", version=2, data=1000 * "00", how=how)
            await peer.do("rpc-serve", tag="Get_transition_knowledge", version=1, data="00")
            call(we, 2 * number, "get_best_tip", UNIT)
            failed = await we.next(NetworkRpcFailed)
            assert failed.request_id == 2 * number, how
            assert detail in failed.detail, how
            call(we, 2 * number + 1, "Get_transition_knowledge", UNIT)
            assert (await we.next(NetworkRpcResponded)).request_id == 2 * number + 1, how
            assert we.peers == {peer_id(THEM): [True]}, how


@pytest.mark.parametrize("kind", ["go", "js"])
@run
async def test_a_peer_that_does_not_answer_is_waited_for_and_no_longer(programs: Any, kind: str, monkeypatch: pytest.MonkeyPatch):
    """The question fails at its deadline, which is short here; the connection stays, and the next question is answered on another stream."""
    monkeypatch.setitem(KINDS, "get_best_tip", KINDS["get_best_tip"].replace(timeout=SECOND))
    monkeypatch.setattr(reducer, "GREETING_WAIT", SECOND)
    async with pair(programs, kind) as (we, peer):
        await peer.do("rpc-serve", tag="get_best_tip", version=2, data="00", how="silent")
        await peer.do("rpc-serve", tag="Get_transition_knowledge", version=1, data="00")
        call(we, 1, "get_best_tip", UNIT)
        assert await we.next(NetworkRpcFailed) == NetworkRpcFailed(RequestId(1), "no answer in time")
        call(we, 2, "Get_transition_knowledge", UNIT)
        assert (await we.next(NetworkRpcResponded)).request_id == 2
        assert we.peers == {peer_id(THEM): [True]}


@pytest.mark.parametrize("served", [[], [("get_best_tip", 1)], [("get_best_tip", 3), ("get_ancestry", 2)]])
@run
async def test_a_version_that_they_do_not_serve_is_not_asked(programs: Any, served: list[tuple[str, int]]):
    """The menu decides: no method, or another version of it."""
    async with pair(programs, "go") as (we, peer):
        for tag, version in served:
            await peer.do("rpc-serve", tag=tag, version=version, data="00")
        call(we, 1, "get_best_tip", UNIT)
        assert await we.next(NetworkRpcFailed) == NetworkRpcFailed(RequestId(1), "the peer does not serve get_best_tip in version 2")
        assert (await one_event(peer, "rpc asked"))["tag"] == MENU
        assert we.peers == {peer_id(THEM): [True]}


@run
async def test_a_peer_without_a_menu_is_asked_nothing_more(programs: Any):
    async with pair(programs, "go") as (we, peer):
        await peer.do("rpc-serve", tag=MENU, how="none")
        call(we, 1, "get_best_tip", UNIT)
        assert "UnimplementedRpc" in (await we.next(NetworkRpcFailed)).detail
        assert we.peers == {peer_id(THEM): [True]}


async def met_again(we: NetworkNode, peer: Peer) -> None:
    """A connection with whom we have just left, once both know that the last one is over."""
    await peer.event("disconnected")
    we.told.clear()
    await we.until(lambda: not we.peers)
    assert we.node.command(NetworkDial(theirs(peer.address)))
    await we.next(NetworkPeerIdentified)


@pytest.mark.parametrize("kind", ALL)
@run
async def test_a_peer_that_answers_against_the_protocol_is_left(programs: Any, kind: str):
    """With the reason, and the question has failed."""
    cases = {
        "an answer that can not be read": ("", "07", ReasonCode.CHANNEL_MSG_UNDECODABLE),
        "no message": ("nonsense", "", ReasonCode.CHANNEL_MSG_UNDECODABLE),
        "an answer to no question": ("stranger", "00", ReasonCode.CHANNEL_MSG_UNEXPECTED),
    }
    async with pair(programs, kind) as (we, peer):
        for number, (case, (how, data, code)) in enumerate(cases.items()):
            await peer.do("rpc-serve", tag="Get_transition_knowledge", version=1, data=data, how=how)
            call(we, number, "Get_transition_knowledge", UNIT)
            assert (await we.next(NetworkRpcFailed)).request_id == number, case
            gone = await we.next(NetworkPeerDisconnected)
            assert (gone.reason.code, gone.by_peer) == (code, False), case
            await met_again(we, peer)


# --- the ways in which a peer that asks can


def query(tag: str, version: int, data: bytes, number: int = 1) -> bytes:
    return MESSAGE_CODEC.encode(Query(tag.encode(), version, number, data))


@pytest.mark.parametrize("kind", ALL)
@run
async def test_an_unknown_method_is_answered_with_that(programs: Any, kind: str):
    """And the connection stays: newer and older nodes may know more."""
    async with pair(programs, kind) as (we, peer):
        for tag, version in (("nobody_serves_this", 1), ("get_best_tip", 1), ("get_epoch_ledger", 2), (MENU, 2)):
            said = await peer.do("rpc-raw", peer=we.libp2p, count=3, data=framed(GREETING, query(tag, version, UNIT, -5)).hex())
            greeting, heartbeat, answer = (bytes.fromhex(one) for one in said["messages"])
            assert (greeting, heartbeat) == (GREETING, HEARTBEAT)
            assert MESSAGE_CODEC.decode(answer) == Response(-5, ResponseFailed(UnimplementedRpc(tag, version)))
            assert (await peer.do("rpc-ask", peer=we.libp2p, tag=tag, version=version, data="00"))["failed"] == "unimplemented"
            assert we.peers == {peer_id(THEM): [True]}


TOO_OFTEN = tuple(query("Get_transition_knowledge", 1, UNIT, number) for number in range(KINDS["Get_transition_knowledge"].per_minute + 1))
UNDECODABLE, UNEXPECTED, OVER = (
    ReasonCode.CHANNEL_MSG_UNDECODABLE,
    ReasonCode.CHANNEL_MSG_UNEXPECTED,
    ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
)
AGAINST_THE_PROTOCOL = {
    "another version of the protocol": (framed(b"\x02\xfd\x52\x50\x43\x00\x02"), UNDECODABLE),
    "no greeting": (framed(query("get_best_tip", 2, UNIT)), UNDECODABLE),
    "no message": (framed(GREETING, b"\x03"), UNDECODABLE),
    "a heartbeat with more behind it": (framed(GREETING, HEARTBEAT + b"\x00"), UNDECODABLE),
    "an empty message": (framed(GREETING, b""), UNDECODABLE),
    "no query": (framed(GREETING, query("get_best_tip", 2, b"\x07")), UNDECODABLE),
    "an answer to no question": (framed(GREETING, b"\x02\x05\x00\x01\x00"), UNEXPECTED),
    "more than a minute's budget": (framed(GREETING, *TOO_OFTEN), OVER),
    "a long query": (framed(GREETING, query("get_transition_chain", 2, bytes(QUERY_BYTES_MAX + 1))), OVER),
}


@pytest.mark.parametrize("kind", ALL)
@run
async def test_a_peer_that_asks_against_the_protocol_is_left(programs: Any, kind: str):
    """With the reason; it may come back."""
    async with pair(programs, kind) as (we, peer):
        for case, (sent, code) in AGAINST_THE_PROTOCOL.items():
            raw = asyncio.create_task(peer.do("rpc-raw", peer=we.libp2p, count=1000, data=sent.hex()))
            gone = await we.next(NetworkPeerDisconnected)
            assert (gone.reason.code, gone.by_peer) == (code, False), case
            assert (await raw)["ended"], case
            await met_again(we, peer)


@pytest.mark.parametrize("kind", ["go", "js"])
@run
async def test_a_stream_that_is_reset_in_the_middle_costs_only_itself(programs: Any, kind: str):
    async with pair(programs, kind) as (we, peer):
        for sent in (b"", b"\x07\x00", framed(GREETING)[:-1], framed(GREETING, query("get_best_tip", 2, UNIT))[:-1]):
            said = await peer.do("rpc-raw", peer=we.libp2p, count=1, data=sent.hex())  # with our greeting it has heard enough, and resets
            assert said["messages"] == [GREETING.hex()]
            await we.until(lambda: not len(we.network.rpcs.sessions))
            menu = await peer.do("rpc-ask", peer=we.libp2p, how="without menu", tag=MENU, version=1, data="00")
            assert menu["data"]
            assert we.peers == {peer_id(THEM): [True]}
            # Its stream stays open, as OCaml's do; the next one is counted on its own.
            we.node.command(NetworkDisconnect(next(iter(we.network.links.table)), Reason(ReasonCode.USER_REQUEST)))
            await met_again(we, peer)


@pytest.mark.parametrize("kind", ALL)
@run
async def test_a_length_beyond_all_bounds_costs_the_stream(programs: Any, kind: str):
    """Nothing of such a message is kept; what else goes on between the two goes on."""
    async with pair(programs, kind) as (we, peer):
        sent = framed(GREETING) + (1 << 40).to_bytes(8, "little")
        said = await peer.do("rpc-raw", peer=we.libp2p, count=100, data=sent.hex())
        assert said["ended"]
        assert len(we.network.rpcs.sessions) == 0
        assert (await peer.do("rpc-ask", peer=we.libp2p, tag=MENU, version=1, data="00"))["data"]
        assert we.peers == {peer_id(THEM): [True]}


@run
async def test_an_answer_of_the_node_software_that_comes_too_late_or_not_at_all(programs: Any):
    """A refusal reaches them as an error; an answer to a stream that they gave up reaches nobody and hurts nobody."""
    async with pair(programs, "go") as (we, peer):
        said = await peer.do("rpc-ask", peer=we.libp2p, tag="get_best_tip", version=2, data="00")
        assert said["failed"] == "uncaught"
        kept: list[NetworkRpcRequested] = []

        def never(request: NetworkRpcRequested) -> NetworkRpcAnswer:
            kept.append(request)
            return NetworkRpcAnswer(request.serial, request.query_id + 1, UNIT)  # refused: nobody asked that

        we.answer = never
        await peer.do("rpc-raw", peer=we.libp2p, count=2, data=framed(GREETING, query("get_best_tip", 2, UNIT)).hex())
        await we.until(lambda: kept and not any(session.serving for session in we.network.rpcs.sessions.values()))
        assert not we.node.command(NetworkRpcAnswer(kept[0].serial, kept[0].query_id, UNIT))
        assert we.peers == {peer_id(THEM): [True]}


def test_our_answers_are_messages():
    """What the tests above take apart with our own codec is what the specification shows."""
    assert MESSAGE_CODEC.encode(Response(7, ResponseOk(b"ab"))) == b"\x02\x07\x00\x02ab"


# --- in the words of the pull protocol


@pytest.mark.parametrize("kind", ALL)
@run
async def test_node_software_asks_and_answers_as_if_they_pulled(programs: Any, kind: str):
    """With the relay on: real answers of theirs become what a pull peer would have answered, and real answers of ours what they expect."""
    by_tag = {exchange.tag: exchange for exchange in exchanges() if exchange.answer != UNIT}
    tip, ledger = by_tag["get_best_tip"], by_tag["answer_sync_ledger_query"]
    staged = by_tag["get_staged_ledger_aux_and_pending_coinbases_at_hash"]
    block = blocks()[0]
    ledger_hash, ledger_query = method_of(ledger.tag).query_codec.decode(ledger.query)
    cases: list[tuple[Exchange, RpcRequest, RpcResponse]] = [
        (tip, BestTipWithProofRequest(), BestTipWithProofResponse(RawBestTipWithProof(tip.answer[1:]))),
        (ledger, LedgerQueryRequest(ledger_hash, ledger_query), LedgerQueryResponse(RawLedgerAnswer(ledger.answer[1:]))),
        (
            staged,
            StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(staged.query),
            StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(RawStagedLedgerAux(staged.answer[1:])),
        ),
        (
            Exchange("get_transition_chain", 2, b"\x01" + bytes(32), b"\x01\x01" + block),
            BlockRequest(bytes(32)),
            BlockResponse(RawBlock(block)),
        ),
    ]
    async with AsyncExitStack() as stack:
        we = await stack.enter_async_context(ours(7, settings={"relay": RelayConfig()}))
        peer = await foreign(stack, programs(kind), THEM)
        we.node.command(NetworkDial(theirs(peer.address)))
        await we.next(NetworkPeerIdentified)
        for exchange, _, _ in cases:
            await peer.do("rpc-serve", tag=exchange.tag, version=exchange.version, data=exchange.answer.hex())
        for exchange, request, response in cases:
            assert await we.node.ask(PeerId.parse(peer_id(THEM)), request) == response
            heard = await one_event(peer, "rpc asked", tag=exchange.tag)
            assert bytes.fromhex(heard["data"]) == exchange.query
            method = {"tag": exchange.tag, "version": exchange.version, "data": exchange.query.hex()}
            asking = asyncio.create_task(peer.do("rpc-ask", peer=we.libp2p, **method))
            told = await we.next(RpcRequested)
            assert told.request == request
            assert we.node.respond(told.connection_id, told.serial, response)
            assert bytes.fromhex((await asking)["data"]) == exchange.answer
