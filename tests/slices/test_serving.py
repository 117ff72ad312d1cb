"""Answering peers: each kind within its asker's patience and its size, in the asker's kind; from the state, or by the node software."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.kinds import KINDS
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    BestTipWithProofRequest,
    BestTipWithProofResponse,
    BlockRequest,
    InitialPeersRequest,
    InitialPeersResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcRequest,
    RpcResponseMessage,
    SnarkRequest,
    TransactionRequest,
)
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.mina.ledger_query import NumAccounts
from mina_p2p.mina.raw import RawBestTipWithProof, RawLedgerAnswer
from mina_p2p.notifications import AnswerNotSent, RpcRequested
from mina_p2p.testing.sim import Simulation
from mina_p2p.transport import ChannelsEffectfulRequestSend
from slices.items import job_info, payment_info
from slices.lab import Lab, peer_id
from slices.test_rpc import PAIRS, asking

RPC = ChannelId.RPC
OF_THE_STATE = (SnarkRequest, TransactionRequest, InitialPeersRequest)
"""Kinds that are always answered from what the node software gave, with ``None`` where it gave nothing."""
BY_NODE = [request for request in PAIRS if not isinstance(request, OF_THE_STATE)]


def _name(value: Any) -> str:
    return type(value).__name__


def _asked(request: RpcRequest, **settings: Any) -> tuple[Lab, ConnectionId]:
    lab = Lab(**settings)
    connection_id = lab.accept(1)
    lab.ask(connection_id, 5, request)
    return lab, connection_id


def _answers(lab: Lab) -> list[Any]:
    messages = [RPC_MESSAGE.decode(frame) for frame in lab.answers()]
    return [message.response if isinstance(message, RpcResponseMessage) else message for message in messages]


@pytest.mark.parametrize("request_", PAIRS, ids=_name)
def test_each_kind_is_permitted_its_size_and_not_a_byte_more(request_: RpcRequest) -> None:
    """The credit of the question's stream, which the transport holds the peer to."""
    lab, _ = asking(request_)
    (sent,) = lab.of(ChannelsEffectfulRequestSend)
    most = KINDS[type(request_)].answer_bytes_max
    assert (sent.frame_bytes_max, sent.answer_bytes_max) == (most, most + 4)


@pytest.mark.parametrize("request_", PAIRS, ids=_name)
def test_each_kind_takes_its_own_answer_only(request_: RpcRequest) -> None:
    """Any other kind's is a violation (defect C4)."""
    for other, response in PAIRS.items():
        lab, cid = asking(request_)
        lab.answer(cid, 0, response)
        goodbye = lab.goodbye(cid)
        if type(other) is type(request_):
            assert goodbye is None
        else:
            assert goodbye is not None
            assert goodbye.code == ReasonCode.RESPONSE_KIND_MISMATCH


@pytest.mark.parametrize("request_", BY_NODE, ids=_name)
def test_each_kind_is_answered_before_its_asker_gives_up(request_: RpcRequest) -> None:
    """The node software is told until when; then the peer has ``None``, while it still waits for it (defect C5)."""
    lab, cid = _asked(request_)
    (told,) = lab.of(RpcRequested)
    assert (told.connection_id, told.peer_id, told.request) == (cid, peer_id(1), request_)
    patience = KINDS[type(request_)].timeout(Timeouts())
    assert lab.now < told.deadline < lab.now + patience
    assert told.deadline <= lab.now + Timeouts().serve
    lab.now = Timestamp(told.deadline - 1)
    lab.wait(0)
    assert _answers(lab) == []
    lab.wait(Timeouts().granularity)
    assert _answers(lab) == [None]
    before = lab.state
    lab.feed(ChannelsRpcResponseSend(cid, told.serial, PAIRS[request_]))
    assert lab.state is before
    assert cid in lab.state.connections.table


@pytest.mark.parametrize("request_", BY_NODE, ids=_name)
def test_each_kind_is_answered_with_what_the_node_software_gives(request_: RpcRequest) -> None:
    """In its own kind; another kind's answer is refused, and may be put right."""
    lab, cid = _asked(request_)
    (told,) = lab.of(RpcRequested)
    for other, response in PAIRS.items():
        if type(other) is not type(request_):
            before = lab.state
            lab.feed(ChannelsRpcResponseSend(cid, told.serial, response))
            assert lab.state is before
    lab.feed(ChannelsRpcResponseSend(cid, told.serial, PAIRS[request_]))
    assert _answers(lab) == [PAIRS[request_]]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (TransactionRequest(payment_info(1).hash), None),
        (SnarkRequest(job_info(1).job_id), None),
        (InitialPeersRequest(), InitialPeersResponse(())),
    ],
    ids=_name,
)
def test_what_the_node_never_got_is_answered_at_once(request_: RpcRequest, answer: Any) -> None:
    """Without asking anybody."""
    lab, _ = _asked(request_)
    assert _answers(lab) == [answer]
    assert lab.of(RpcRequested) == []


def test_an_answer_that_is_too_large_is_not_sent_and_its_giver_is_told() -> None:
    """The peer gets ``None``; the reason has the sizes (defect C9)."""
    lab, cid = _asked(LedgerQueryRequest(bytes(32), NumAccounts()))
    most = KINDS[LedgerQueryRequest].answer_bytes_max
    lab.feed(ChannelsRpcResponseSend(cid, 0, LedgerQueryResponse(RawLedgerAnswer(bytes(most)))))
    assert _answers(lab) == [None]
    (told,) = lab.of(AnswerNotSent)
    assert (told.connection_id, told.peer_id, told.serial) == (cid, peer_id(1), 0)
    assert (told.reason.code, told.reason.channel) == (ReasonCode.CHANNEL_MSG_TOO_LARGE, RPC)
    assert str(most) in told.reason.detail


def test_an_answer_of_just_the_limit_is_sent() -> None:
    """The limit is for the frame's payload: tag, id, tag, tag, body."""
    lab, cid = _asked(LedgerQueryRequest(bytes(32), NumAccounts()))
    most = KINDS[LedgerQueryRequest].answer_bytes_max
    for too_many in (0, 1):
        response = LedgerQueryResponse(RawLedgerAnswer(bytes(most - 4 + too_many)))
        fresh = Lab.of_state(lab).feed(ChannelsRpcResponseSend(cid, 0, response))
        assert _answers(fresh) == [None if too_many else response]
        assert len(fresh.of(AnswerNotSent)) == too_many


def test_an_answer_that_can_not_be_written_is_the_callers_mistake() -> None:
    """It raises, the state stays, and a good answer may follow."""
    lab, cid = _asked(BestTipWithProofRequest())
    not_bytes: Any = "not bytes"
    bad = BestTipWithProofResponse(RawBestTipWithProof(b"x")).replace(body=not_bytes)
    with pytest.raises(CallerError, match="BestTipWithProof answer can not be sent"):
        lab.feed(ChannelsRpcResponseSend(cid, 0, bad))
    lab.feed(ChannelsRpcResponseSend(cid, 0, None))
    assert _answers(lab) == [None]


def test_a_node_that_never_answers_keeps_its_peers() -> None:
    """Two nodes, one with node software that is silent: every question ends with ``None``, and nobody hangs up (defect C5)."""
    simulation = Simulation(3)
    silent = simulation.add(limits=Limits(peers_min=0))
    asker = simulation.add(initial_peers=(silent.port.dial_address,), limits=Limits(peers_min=1))
    assert simulation.run(20 * SECOND, until=lambda: bool(asker.ready_peers()))
    connection_id = asker.connection_to(silent.state.config.peer_id)
    for n, request in enumerate(BY_NODE):
        asker.dispatch(RpcRequestSend(connection_id, RequestId(n), request))
    simulation.run(300 * SECOND)
    assert asker.connection_to(silent.state.config.peer_id) == connection_id


def test_a_block_that_is_not_the_tip_is_the_node_softwares() -> None:
    """It knows the best chain; unknown ones get ``None`` by its word or by the clock."""
    lab, cid = _asked(BlockRequest(bytes(32)))
    assert len(lab.of(RpcRequested)) == 1
    lab.feed(ChannelsRpcResponseSend(cid, 0, None))
    assert _answers(lab) == [None]
    assert cid in lab.state.connections.table
