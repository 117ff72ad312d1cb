"""Questions and answers, ours and the peer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.kinds import CONTENTS_SUBTREE_DEPTH_MAX, KINDS, LEDGER_DEPTH
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    BestTipWithProofRequest,
    BestTipWithProofResponse,
    BlockRequest,
    BlockResponse,
    InitialPeersRequest,
    InitialPeersResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcRequest,
    RpcRequestMessage,
    RpcResponse,
    RpcResponseMessage,
    SnarkRequest,
    SnarkResponse,
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockResponse,
    TransactionRequest,
    TransactionResponse,
)
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId
from mina_p2p.mina.ledger_query import LedgerQuery, MerkleAddress, NumAccounts, WhatChildHashes, WhatContents
from mina_p2p.mina.raw import RawBestTipWithProof, RawBlock, RawLedgerAnswer, RawStagedLedgerAux
from mina_p2p.notifications import RpcFailed, RpcRequested, RpcResponded
from mina_p2p.peer.state import BackingOff, Banned
from mina_p2p.testing.sim import Simulation
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend
from slices.items import block, insert_payment, insert_snark, job_info, payment, payment_info, snark, state_hash
from slices.lab import Lab, address, peer_id

RPC = ChannelId.RPC
ASK = BestTipWithProofRequest()
TIP = BestTipWithProofResponse(RawBestTipWithProof(b"proof"))

PAIRS: dict[RpcRequest, RpcResponse] = {
    ASK: TIP,
    LedgerQueryRequest(bytes(32), NumAccounts()): LedgerQueryResponse(RawLedgerAnswer(b"n")),
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(bytes(32)): StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(
        RawStagedLedgerAux(b"s")
    ),
    BlockRequest(bytes(32)): BlockResponse(RawBlock(b"block")),
    SnarkRequest(job_info(1).job_id): SnarkResponse(snark(1)),
    TransactionRequest(payment_info(1).hash): TransactionResponse(payment(1)),
    InitialPeersRequest(): InitialPeersResponse((address(7),)),
}


def asking(request: RpcRequest = ASK, **settings: Any) -> tuple[Lab, ConnectionId]:
    lab = Lab(**settings)
    connection_id = lab.accept(1)
    lab.feed(RpcRequestSend(connection_id, RequestId(77), request))
    return lab, connection_id


# --- our questions ----------------------------------------------------------------------------


@pytest.mark.parametrize("request_", PAIRS, ids=lambda request: type(request).__name__)
def test_a_question_and_its_answer(request_: RpcRequest) -> None:
    """On a stream of its own, with credit for its kind; the node software gets the answer under its own id."""
    lab, connection_id = asking(request_)
    (asked,) = [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel == RPC]
    assert RPC_MESSAGE.decode(asked.frame) == RpcRequestMessage(0, request_)
    assert asked.frame_bytes_max == KINDS[type(request_)].answer_bytes_max == asked.answer_bytes_max - 4
    lab.answer(connection_id, 0, PAIRS[request_])
    assert lab.of(RpcResponded) == [RpcResponded(RequestId(77), connection_id, PAIRS[request_])]
    lab.end(connection_id, RPC)
    rpc = lab.state.channels.rpc(connection_id)
    assert rpc is not None
    assert rpc.requests == ()


def test_every_kind_has_an_answer_here() -> None:
    """A kind that is added has to be added here."""
    assert {type(request) for request in PAIRS} == set(KINDS)


def test_an_answer_may_be_that_there_is_none() -> None:
    """``None`` reaches the node software as such."""
    lab, connection_id = asking()
    lab.answer(connection_id, 0, None)
    assert lab.of(RpcResponded) == [RpcResponded(RequestId(77), connection_id, None)]


def test_ids_and_streams_are_not_used_again() -> None:
    """Each question has the next id, on the next stream."""
    lab, connection_id = asking()
    first = lab.stream(connection_id, RPC)
    lab.answer(connection_id, 0, TIP).end(connection_id, RPC)
    lab.feed(RpcRequestSend(connection_id, RequestId(78), ASK))
    (asked,) = lab.of(ChannelsEffectfulRequestSend)
    assert RPC_MESSAGE.decode(asked.frame) == RpcRequestMessage(1, ASK)
    assert asked.stream > first


def test_too_many_questions_are_answered_at_once() -> None:
    """The node software hears that it can not ask now; the peer is not bothered."""
    lab = Lab(limits=Limits(rpc_requests_max=2))
    connection_id = lab.accept(1)
    for number in range(2):
        lab.feed(RpcRequestSend(connection_id, RequestId(number), ASK))
    lab.feed(RpcRequestSend(connection_id, RequestId(9), ASK))
    assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(9)]
    assert not lab.of(ChannelsEffectfulRequestSend)


def test_a_question_counts_until_its_stream_has_ended() -> None:
    """An answer whose stream stays open leaves no room for more."""
    lab, connection_id = asking(limits=Limits(rpc_requests_max=1))
    lab.answer(connection_id, 0, TIP)
    lab.feed(RpcRequestSend(connection_id, RequestId(78), ASK))
    assert lab.of(RpcFailed)
    lab.end(connection_id, RPC)
    lab.feed(RpcRequestSend(connection_id, RequestId(79), ASK))
    assert not lab.of(RpcFailed)


def test_nobody_to_ask() -> None:
    """A connection that is gone, or never was."""
    lab = Lab()
    lab.feed(RpcRequestSend(ConnectionId(5), RequestId(1), ASK))
    assert lab.of(RpcFailed)[0].request_id == RequestId(1)


def test_answers_of_all_peers_together_are_bounded() -> None:
    """Credit that is out for answers is limited over all connections, and comes back."""
    lab = Lab(limits=Limits(answer_bytes_granted_max=40 << 20))
    one, two = lab.accept(1), lab.accept(2)
    lab.feed(RpcRequestSend(one, RequestId(1), ASK))
    lab.feed(RpcRequestSend(two, RequestId(2), ASK))
    assert lab.of(RpcFailed)
    lab.answer(one, 0, TIP, lab.stream(one, RPC))
    lab.feed(RpcRequestSend(two, RequestId(3), ASK))
    assert not lab.of(RpcFailed)


def test_a_question_that_can_not_be_written_is_the_callers_mistake() -> None:
    """It raises, and the store goes on."""
    lab = Lab()
    connection_id = lab.accept(1)
    before = lab.state
    with pytest.raises(CallerError, match="can not be asked"):
        lab.feed(RpcRequestSend(connection_id, RequestId(1), BlockRequest(b"short")))
    assert lab.state is before


def test_the_peer_declines() -> None:
    """A reset is an answer, of a kind; the connection stays."""
    lab, connection_id = asking()
    lab.reset(connection_id, RPC, code=StreamResetCode.REFUSED)
    (failed,) = lab.of(RpcFailed)
    assert (failed.request_id, failed.reason.code) == (RequestId(77), ReasonCode.UNSUPPORTED)
    assert connection_id in lab.state.connections.table


def test_a_connection_that_ends_answers_its_questions() -> None:
    """Each with the reason of the end, once."""
    lab, connection_id = asking()
    lab.close(connection_id, ReasonCode.TRANSPORT_ERROR)
    assert lab.of(RpcFailed) == [RpcFailed(RequestId(77), Reason(ReasonCode.TRANSPORT_ERROR))]


@pytest.mark.parametrize("request_", PAIRS, ids=lambda request: type(request).__name__)
def test_each_kind_has_its_deadline(request_: RpcRequest) -> None:
    """No answer in time ends the connection and answers the node software; the peer is not banned for being slow."""
    lab, connection_id = asking(request_)
    time_limit = KINDS[type(request_)].timeout(Timeouts())
    lab.wait(time_limit - SECOND)
    assert connection_id in lab.state.connections.table
    lab.wait(2 * SECOND)
    reason = lab.goodbye(connection_id)
    assert reason == Reason(ReasonCode.RPC_TIMEOUT, RPC, KINDS[type(request_)].name)
    assert lab.of(RpcFailed) == [RpcFailed(RequestId(77), reason)]
    assert isinstance(lab.peer(1).status, BackingOff)


# --- violations -------------------------------------------------------------------------------


def _another_kind(lab: Lab, cid: ConnectionId) -> None:
    lab.answer(cid, 0, BlockResponse(RawBlock(b"block")))


def _an_unknown_id(lab: Lab, cid: ConnectionId) -> None:
    lab.answer(cid, 5, TIP)


def _on_a_stream_that_is_not_open(lab: Lab, cid: ConnectionId) -> None:
    lab.answer(cid, 0, TIP, StreamId(401))


def _two_answers(lab: Lab, cid: ConnectionId) -> None:
    lab.answer(cid, 0, TIP)
    lab.answer(cid, 0, TIP)


def _an_end_without_an_answer(lab: Lab, cid: ConnectionId) -> None:
    lab.end(cid, RPC)


def _an_answer_without_an_end(lab: Lab, cid: ConnectionId) -> None:
    lab.answer(cid, 0, TIP)
    lab.wait(Timeouts().answer + SECOND)


def _garbage(lab: Lab, cid: ConnectionId) -> None:
    lab.frame(cid, RPC, lab.stream(cid, RPC), b"\xff")


def _a_question_on_our_stream(lab: Lab, cid: ConnectionId) -> None:
    lab.ask(cid, 1, ASK, lab.stream(cid, RPC))


def _an_id_in_use(lab: Lab, cid: ConnectionId) -> None:
    lab.ask(cid, 1, ASK)
    lab.ask(cid, 1, ASK)


def _a_stream_in_use(lab: Lab, cid: ConnectionId) -> None:
    stream = lab.ask(cid, 1, ASK)
    lab.ask(cid, 2, ASK, stream)


def _too_many_questions(lab: Lab, cid: ConnectionId) -> None:
    for number in range(6):
        lab.ask(cid, number, ASK)


def _an_unknown_kind_of_question(lab: Lab, cid: ConnectionId) -> None:
    lab.frame(cid, RPC, lab.peer_stream(cid), b"\x00\x01\x07")


VIOLATIONS: dict[Callable[[Lab, ConnectionId], None], ReasonCode] = {
    _another_kind: ReasonCode.RESPONSE_KIND_MISMATCH,
    _an_unknown_id: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _on_a_stream_that_is_not_open: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _two_answers: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _an_end_without_an_answer: ReasonCode.ANSWER_TRUNCATED,
    _an_answer_without_an_end: ReasonCode.RPC_TIMEOUT,
    _garbage: ReasonCode.CHANNEL_MSG_UNDECODABLE,
    _a_question_on_our_stream: ReasonCode.STREAM_MISUSE,
    _an_id_in_use: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _a_stream_in_use: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _too_many_questions: ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
    _an_unknown_kind_of_question: ReasonCode.CHANNEL_MSG_UNDECODABLE,
}


@pytest.mark.parametrize("violate", VIOLATIONS, ids=lambda violate: violate.__name__.strip("_"))
def test_a_violation_ends_that_connection_and_no_other(violate: Callable[[Lab, ConnectionId], None]) -> None:
    """With its reason; others do not notice."""
    lab, cid = asking()
    other = lab.accept(2)
    bystander = lab.state.channels.table[other]
    violate(lab, cid)
    reason = lab.goodbye(cid)
    assert reason is not None
    assert (reason.code, reason.channel) == (VIOLATIONS[violate], RPC)
    assert isinstance(lab.peer(1).status, Banned) == reason.code.is_violation
    assert lab.state.channels.table.keys() == [other]
    assert lab.state.channels.table[other] is bystander


# --- the peer's questions ---------------------------------------------------------------------


def _answered(lab: Lab) -> RpcResponseMessage:
    (frame,) = lab.answers()
    message = RPC_MESSAGE.decode(frame)
    assert isinstance(message, RpcResponseMessage)
    return message


def test_items_of_the_pools_are_served_from_the_state() -> None:
    """What the node has, without asking anybody; ``None`` for what it has not."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(insert_payment(1))
    lab.feed(insert_snark(2))
    stream = lab.ask(connection_id, 500, TransactionRequest(payment_info(1).hash))
    assert _answered(lab) == RpcResponseMessage(500, TransactionResponse(payment(1)))
    assert lab.of(ChannelsEffectfulAnswerSend)[0].stream == stream
    lab.ask(connection_id, 1, SnarkRequest(job_info(2).job_id))
    assert _answered(lab) == RpcResponseMessage(1, SnarkResponse(snark(2)))
    lab.ask(connection_id, 2, TransactionRequest(payment_info(2).hash))
    assert _answered(lab) == RpcResponseMessage(2, None)


def test_the_own_best_tip_is_served_from_the_state() -> None:
    """By its state hash; other blocks are the node software's business."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(BestTipSet(block(1), state_hash(1)))
    lab.ask(connection_id, 1, BlockRequest(state_hash(1)))
    assert _answered(lab) == RpcResponseMessage(1, BlockResponse(block(1)))
    lab.ask(connection_id, 2, BlockRequest(state_hash(2)))
    assert not lab.answers()
    assert len(lab.of(RpcRequested)) == 1


def test_the_node_software_is_asked_and_answers() -> None:
    """By a notification with our serial, which the command repeats; the peer's id is only echoed."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1 << 40, ASK)
    (asked,) = lab.of(RpcRequested)
    assert (asked.connection_id, asked.peer_id, asked.request) == (connection_id, peer_id(1), ASK)
    lab.feed(ChannelsRpcResponseSend(connection_id, asked.serial, TIP))
    assert _answered(lab) == RpcResponseMessage(1 << 40, TIP)
    before = lab.state
    lab.feed(ChannelsRpcResponseSend(connection_id, asked.serial, TIP))
    assert lab.state is before


def test_an_answer_of_another_kind_is_not_sent() -> None:
    """The node software's mistake is refused; it may answer again."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1, ASK)
    serial = lab.of(RpcRequested)[0].serial
    before = lab.state
    lab.feed(ChannelsRpcResponseSend(connection_id, serial, BlockResponse(RawBlock(b"block"))))
    assert lab.state is before
    lab.feed(ChannelsRpcResponseSend(connection_id, serial, None))
    assert _answered(lab) == RpcResponseMessage(1, None)


def test_a_question_that_is_withdrawn() -> None:
    """Its place is free; an answer that comes too late goes nowhere."""
    lab = Lab(limits=Limits(rpc_pending_max=1))
    connection_id = lab.accept(1)
    stream = lab.ask(connection_id, 1, ASK)
    serial = lab.of(RpcRequested)[0].serial
    lab.reset(connection_id, RPC, stream, StreamResetCode.CANCELLED)
    lab.feed(ChannelsRpcResponseSend(connection_id, serial, TIP))
    assert not lab.effects
    lab.ask(connection_id, 1, ASK)
    assert connection_id in lab.state.connections.table


UNREASONABLE: list[LedgerQuery] = [
    WhatContents(MerkleAddress(LEDGER_DEPTH - CONTENTS_SUBTREE_DEPTH_MAX - 1, b"")),
    WhatContents(MerkleAddress(LEDGER_DEPTH + 1, b"")),
    WhatContents(MerkleAddress(0, b"")),
    WhatContents(MerkleAddress((1 << 64) - 1, b"")),
    WhatChildHashes(MerkleAddress(LEDGER_DEPTH, b"")),
]


@pytest.mark.parametrize("query", UNREASONABLE, ids=repr)
def test_an_unreasonable_ledger_query_is_a_violation(query: LedgerQuery) -> None:
    """Nobody is asked to hand out the whole ledger (S11)."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1, LedgerQueryRequest(bytes(32), query))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.CHANNEL_MSG_UNEXPECTED
    assert not lab.of(RpcRequested)


@pytest.mark.parametrize("depth", [LEDGER_DEPTH - CONTENTS_SUBTREE_DEPTH_MAX, LEDGER_DEPTH])
def test_the_ends_of_what_is_reasonable(depth: int) -> None:
    """The largest subtree that may be asked for, and a single account."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1, LedgerQueryRequest(bytes(32), WhatContents(MerkleAddress(depth, bytes(5)))))
    assert len(lab.of(RpcRequested)) == 1


def test_two_nodes_ask_each_other() -> None:
    """Through the whole stack: a question of one node software is answered by the other."""
    simulation = Simulation(1)

    def software(node: object, told: object) -> None:
        if isinstance(told, RpcRequested):
            one.dispatch(ChannelsRpcResponseSend(told.connection_id, told.serial, TIP))

    one = simulation.add(software=software)
    two = simulation.add(initial_peers=(one.port.dial_address,))
    assert simulation.run(SECOND, until=lambda: bool(one.ready_peers() and two.ready_peers()))
    two.dispatch(RpcRequestSend(two.connection_to(one.config.peer_id), RequestId(1), ASK))
    assert simulation.run(SECOND, until=lambda: any(isinstance(n, RpcResponded) for n in two.notifications))
    assert [n.response for n in two.notifications if isinstance(n, RpcResponded)] == [TIP]
