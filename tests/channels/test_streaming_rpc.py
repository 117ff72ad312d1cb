"""Channel 8: a staged ledger part by part, in both roles, and every way in which it can go wrong."""

from __future__ import annotations

from typing import Any

import pytest
from support.vectors import vectors_path

from channels.lab import QUESTION, START, STREAMING, TIMEOUTS, Lab, ledger
from mina_p2p.channels.rpc.actions import RpcRequestSend
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, InitialPeersRequest, RpcRequestMessage
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcResponseCancel,
    ChannelsStreamingRpcResponseSendInit,
    StreamingRpcCancel,
    StreamingRpcRequestSend,
)
from mina_p2p.channels.streaming_rpc.messages import (
    STAGED_LEDGER_PART,
    StagedLedgerPartBase,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartScanStateTree,
    StagedLedgerPartsRequest,
    StagedLedgerPartsResponse,
    StreamingRpcNext,
    StreamingRpcRequestMessage,
    StreamingRpcResponseMessage,
)
from mina_p2p.channels.streaming_rpc.parts import check_parts, join_parts
from mina_p2p.channels.streaming_rpc.state import (
    GivenUp,
    LedgerGetIdle,
    LedgerGetPending,
    PartReady,
    RemoteRequested,
    RemoteResponded,
    Requested,
    Responded,
    TreesPending,
    TreesSending,
    WaitingForRequest,
)
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId
from mina_p2p.mina.raw import RawStagedLedgerAux
from mina_p2p.mina.staged_ledger import StagedLedgerPart as TypedPart
from mina_p2p.mina.staged_ledger import split_parts
from mina_p2p.notifications import RpcFailed, StreamingRpcPartReceived, StreamingRpcRequested, StreamingRpcResponded
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
)
from mina_p2p.wire import codec


def asking(lab: Lab, request_id: int = 9) -> ConnectionId:
    """We are connected, and have asked."""
    cid = lab.connect(1)
    lab.feed(StreamingRpcRequestSend(cid, RequestId(request_id), QUESTION))
    return cid


def serving(lab: Lab, parts: Any = None) -> tuple[ConnectionId, StreamId]:
    """A peer has asked, and the node software has answered."""
    cid = lab.accept(1)
    stream = lab.ask(cid)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger() if parts is None else parts))
    return cid, stream


def local(lab: Lab, cid: ConnectionId) -> Any:
    rpc = lab.state.channels.streaming_rpc(cid)
    assert rpc is not None
    return rpc.local


def remote(lab: Lab, cid: ConnectionId) -> Any:
    rpc = lab.state.channels.streaming_rpc(cid)
    assert rpc is not None
    return rpc.remote


def message(part: Any, number: int = 0) -> StreamingRpcResponseMessage:
    return StreamingRpcResponseMessage(number, StagedLedgerPartsResponse(part))


# --- asking -----------------------------------------------------------------------------------


def test_a_question_permits_one_part_and_keeps_its_half_open():
    """The stream opens with the question and credit for exactly one part."""
    lab = Lab()
    cid = asking(lab)
    (request,) = lab.of(ChannelsEffectfulRequestSend)
    assert lab.said() == [StreamingRpcRequestMessage(0, QUESTION)]
    assert not request.ends
    assert (request.answer_bytes_max, request.frame_bytes_max) == (4 + (16 << 20), 16 << 20)
    assert lab.state.channels.answer_bytes_granted == request.answer_bytes_max
    assert local(lab, cid).deadline == START + 30 * SECOND


def test_every_part_is_handed_over_and_answered_by_one_next():
    """Request, Base, Next, ScanStateBase, Next, Updates, Next, Tree, ... and no Next after the last tree; the last one ends our half."""
    lab = Lab()
    cid = asking(lab)
    parts = ledger(3)
    for index, part in enumerate(parts):
        lab.part(cid, 0, part)
        (told,) = lab.of(StreamingRpcPartReceived)
        assert told == StreamingRpcPartReceived(RequestId(9), cid, part, index + 1, 27 if index == 0 else 6)
        last = index == len(parts) - 1
        assert lab.said() == ([] if last else [StreamingRpcNext(0), "end"] if index == len(parts) - 2 else [StreamingRpcNext(0)])
        for effect in lab.of(ChannelsEffectfulRequestContinue):
            assert effect.answer_bytes_max == 4 + (16 << 20)
    assert lab.of(StreamingRpcResponded) == [StreamingRpcResponded(RequestId(9), cid, 6)]
    assert isinstance(local(lab, cid), Responded)
    lab.end(cid, STREAMING, lab.stream(cid, STREAMING))
    assert local(lab, cid) == WaitingForRequest()
    assert lab.state.channels.answer_bytes_granted == 0


def test_the_state_keeps_no_part():
    """What came is with the node software; the state counts it."""
    lab = Lab()
    cid = asking(lab)
    lab.part(cid, 0, StagedLedgerPartBase(b"x" * 5_000))
    assert local(lab, cid).bytes_received == 5_000 + 5
    assert b"x" * 100 not in repr(lab.state).encode()


def test_none_says_that_the_peer_does_not_have_it():
    """At the first part or at a later one."""
    for before in range(5):
        lab = Lab()
        cid = asking(lab)
        for part in ledger()[:before]:
            lab.part(cid, 0, part)
        lab.part(cid, 0, None)
        assert lab.of(StreamingRpcResponded) == [StreamingRpcResponded(RequestId(9), cid, None)]
        lab.end(cid, STREAMING, lab.stream(cid, STREAMING))
        assert local(lab, cid) == WaitingForRequest()


def test_ids_are_numbered_together_with_channel_7():
    """One counter for both (spec: pull-protocol 5.7)."""
    lab = Lab()
    cid = lab.connect(1)
    lab.feed(RpcRequestSend(cid, RequestId(1), InitialPeersRequest()))
    lab.feed(StreamingRpcRequestSend(cid, RequestId(2), QUESTION))
    assert local(lab, cid).id == 1
    lab.feed(RpcRequestSend(cid, RequestId(3), InitialPeersRequest()))
    (request,) = lab.of(ChannelsEffectfulRequestSend)
    assert RPC_MESSAGE.decode(request.frame) == RpcRequestMessage(2, InitialPeersRequest())


def test_one_question_at_a_time():
    """A second one is told so at once, and on another connection it may go."""
    lab = Lab()
    cid = asking(lab)
    lab.feed(StreamingRpcRequestSend(cid, RequestId(10), QUESTION))
    assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(10)]
    other = lab.connect(2)
    lab.feed(StreamingRpcRequestSend(other, RequestId(11), QUESTION))
    assert lab.said() == [StreamingRpcRequestMessage(0, QUESTION)]


def test_credit_for_all_answers_is_bounded():
    """A question that would permit more than the node's bound is not asked."""
    lab = Lab(limits=Limits(answer_bytes_granted_max=20 << 20))
    asking(lab)
    other = lab.connect(2)
    lab.feed(StreamingRpcRequestSend(other, RequestId(11), QUESTION))
    assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(11)]


def test_a_question_that_can_not_be_written_is_the_callers_fault():
    """It raises, and the state stays."""
    lab = Lab()
    cid = lab.connect(1)
    with pytest.raises(CallerError, match="block_hash"):
        lab.feed(StreamingRpcRequestSend(cid, RequestId(1), StagedLedgerPartsRequest(b"short")))


def test_cancelling_resets_the_stream_and_the_next_question_waits():
    """A new question could overtake the reset, so there is none for a while."""
    lab = Lab()
    cid = asking(lab)
    lab.part(cid, 0, ledger()[0])
    stream = lab.stream(cid, STREAMING)
    lab.feed(StreamingRpcCancel(cid, RequestId(8)))
    assert lab.steps.refused_count == 1
    lab.feed(StreamingRpcCancel(cid, RequestId(9)))
    assert lab.of(ChannelsEffectfulStreamReset) == [ChannelsEffectfulStreamReset(cid, stream, StreamResetCode.CANCELLED)]
    assert isinstance(local(lab, cid), GivenUp)
    lab.feed(StreamingRpcRequestSend(cid, RequestId(10), QUESTION))
    assert lab.of(RpcFailed)
    lab.wait(TIMEOUTS.stream_settle)
    lab.feed(StreamingRpcRequestSend(cid, RequestId(11), QUESTION))
    assert lab.said() == [StreamingRpcRequestMessage(1, QUESTION)]


def test_a_reset_by_the_peer_fails_the_question_and_nothing_else():
    """The connection stays, and another question may be asked at once."""
    lab = Lab()
    cid = asking(lab)
    lab.part(cid, 0, ledger()[0])
    lab.reset(cid, STREAMING, lab.stream(cid, STREAMING))
    (failed,) = lab.of(RpcFailed)
    assert failed.request_id == RequestId(9)
    assert local(lab, cid) == WaitingForRequest()
    assert cid in lab.state.connections.table


def test_a_reset_after_the_answer_is_of_no_interest():
    """All had come."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    lab.reset(cid, STREAMING, lab.stream(cid, STREAMING))
    assert lab.effects == []
    assert local(lab, cid) == WaitingForRequest()


def test_c6_every_part_renews_the_deadline():
    """Progress is what counts, and 29 s between parts are progress."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.wait(29 * SECOND)
        assert cid in lab.state.connections.table
        lab.part(cid, 0, part)
    assert lab.of(StreamingRpcResponded)


def test_c6_no_progress_ends_the_connection():
    """30 s without a part, whichever is due."""
    for before in range(5):
        lab = Lab()
        cid = asking(lab)
        for part in ledger()[:before]:
            lab.part(cid, 0, part)
        lab.wait(30 * SECOND)
        lab.violates(cid, ReasonCode.STREAMING_RPC_TIMEOUT, STREAMING)
        assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(9)]


def test_an_answer_that_goes_on_for_ever_is_given_up():
    """However well it progresses; nobody is at fault, and the connection stays."""
    lab = Lab(timeouts=Timeouts(streaming_rpc_answer=60 * SECOND))
    cid = asking(lab)
    lab.part(cid, 0, ledger()[0])
    lab.part(cid, 0, StagedLedgerPartScanStateBase(1_000, b""))
    lab.wait(29 * SECOND).part(cid, 0, ledger()[2])
    lab.wait(29 * SECOND).part(cid, 0, ledger()[3])
    lab.wait(2 * SECOND)
    assert lab.said() == ["reset"]
    assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(9)]
    assert cid in lab.state.connections.table


def test_an_answer_that_does_not_end_ends_the_connection():
    """All parts came, but not the end of the stream."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    lab.wait(TIMEOUTS.answer)
    lab.violates(cid, ReasonCode.STREAMING_RPC_TIMEOUT, STREAMING)


def test_a_lost_connection_fails_the_question():
    """With the reason of the loss."""
    lab = Lab()
    cid = asking(lab)
    lab.close(cid)
    (failed,) = lab.of(RpcFailed)
    assert (failed.request_id, failed.reason.code) == (RequestId(9), ReasonCode.TRANSPORT_ERROR)
    assert lab.state.channels.answer_bytes_granted == 0


@pytest.mark.parametrize("due", range(5))
@pytest.mark.parametrize("kind", range(4))
def test_c6_a_part_of_the_wrong_kind_is_a_violation(due: int, kind: int):
    """At every place, every kind but the one that is due."""
    lab = Lab()
    cid = asking(lab)
    parts = ledger()
    for part in parts[:due]:
        lab.part(cid, 0, part)
    lab.part(cid, 0, parts[kind])
    if kind == min(due, 3):
        assert cid in lab.state.connections.table
    else:
        lab.violates(cid, ReasonCode.RESPONSE_KIND_MISMATCH, STREAMING)


@pytest.mark.parametrize(("trees", "is_good"), [(0, False), (1, True), (4, True), (5, False), (2**32 - 1, False)])
def test_the_number_of_trees_is_bounded(trees: int, is_good: bool):
    """At least one, and at most what the configuration allows."""
    lab = Lab(limits=Limits(streaming_trees_max=4))
    cid = asking(lab)
    lab.part(cid, 0, ledger()[0])
    lab.part(cid, 0, StagedLedgerPartScanStateBase(trees, b""))
    if is_good:
        assert lab.said() == [StreamingRpcNext(0)]
    else:
        lab.violates(cid, ReasonCode.RESPONSE_KIND_MISMATCH, STREAMING)


def test_an_answer_over_its_bytes_is_a_violation():
    """All parts together are bounded, also where each is small."""
    lab = Lab(limits=Limits(streaming_answer_bytes_max=1_000))
    cid = asking(lab)
    lab.part(cid, 0, StagedLedgerPartBase(b"x" * 500))
    lab.part(cid, 0, StagedLedgerPartScanStateBase(1, b"x" * 500))
    lab.violates(cid, ReasonCode.CHANNEL_MSG_OVER_PERMISSION, STREAMING)


def hostile_to_asker() -> dict[str, tuple[Any, ReasonCode]]:
    """What a peer may try on somebody who asks."""
    base = ledger()[0]
    return {
        "another id": (lambda lab, cid, stream: lab.streaming(cid, stream, message(base, 1)), ReasonCode.CHANNEL_MSG_UNEXPECTED),
        "another stream": (
            lambda lab, cid, stream: lab.streaming(cid, lab.peer_stream(cid), message(base)),
            ReasonCode.CHANNEL_MSG_UNEXPECTED,
        ),
        "none for another id": (
            lambda lab, cid, stream: lab.streaming(cid, stream, StreamingRpcResponseMessage(7, None)),
            ReasonCode.CHANNEL_MSG_UNEXPECTED,
        ),
        "an end at once": (lambda lab, cid, stream: lab.end(cid, STREAMING, stream), ReasonCode.ANSWER_TRUNCATED),
        "a request on our stream": (
            lambda lab, cid, stream: lab.streaming(cid, stream, StreamingRpcRequestMessage(0, QUESTION)),
            ReasonCode.STREAM_MISUSE,
        ),
        "next on our stream": (
            lambda lab, cid, stream: lab.streaming(cid, stream, StreamingRpcNext(0)),
            ReasonCode.CHANNEL_MSG_UNEXPECTED,
        ),
        "garbage": (lambda lab, cid, stream: lab.frame(cid, STREAMING, stream, b"\x07"), ReasonCode.CHANNEL_MSG_UNDECODABLE),
        "nothing": (lambda lab, cid, stream: lab.frame(cid, STREAMING, stream, b""), ReasonCode.CHANNEL_MSG_UNDECODABLE),
    }


@pytest.mark.parametrize("what", hostile_to_asker())
def test_hostile_answers_end_that_connection_only(what: str):
    """Each with its own reason."""
    lab = Lab()
    other = lab.connect(2)
    cid = asking(lab)
    act, code = hostile_to_asker()[what]
    act(lab, cid, lab.stream(cid, STREAMING))
    lab.violates(cid, code, STREAMING)
    assert other in lab.state.connections.table


def test_an_answer_without_a_question_is_a_violation():
    """Also after the answer to one."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    lab.part(cid, 0, ledger()[3])
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_c2_the_channel_opens_by_itself():
    """With channel 8 agreed upon and channel 7 not, questions go; with 7 alone they do not."""
    lab = Lab()
    cid = lab.accept(1, channels=(ChannelId.STREAMING_RPC,))
    lab.feed(StreamingRpcRequestSend(cid, RequestId(1), QUESTION))
    assert lab.said() == [StreamingRpcRequestMessage(0, QUESTION)]
    other = lab.accept(2, channels=(ChannelId.RPC,))
    lab.feed(StreamingRpcRequestSend(other, RequestId(2), QUESTION))
    assert lab.of(RpcFailed)
    lab.streaming(other, lab.peer_stream(other), StreamingRpcRequestMessage(0, QUESTION))
    lab.violates(other, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


# --- serving ----------------------------------------------------------------------------------


def test_parts_go_out_one_per_next():
    """The question permits the first; the last ends the stream."""
    lab = Lab()
    cid = lab.accept(1)
    stream = lab.ask(cid, number=300)
    (asked,) = lab.of(StreamingRpcRequested)
    assert (asked.connection_id, asked.request) == (cid, QUESTION)
    parts = ledger(3)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, asked.serial, parts))
    for index, part in enumerate(parts):
        if index:
            lab.next(cid, stream, 300)
        assert lab.said() == [message(part, 300)] + (["end"] if index == len(parts) - 1 else [])
    assert remote(lab, cid) == RemoteResponded(stream)
    lab.end(cid, STREAMING, stream)
    assert cid in lab.state.connections.table


def test_c5_an_unknown_block_is_answered_none():
    """At once when the node software says so."""
    lab = Lab()
    cid = lab.accept(1)
    lab.ask(cid)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, None))
    assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]


def test_c5_silence_of_the_node_software_is_answered_none():
    """Before the peer's patience ends; a late answer is refused."""
    lab = Lab()
    cid = lab.accept(1)
    lab.ask(cid)
    lab.wait(20 * SECOND)
    assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger()))
    assert lab.steps.refused_count == 1
    assert lab.effects == []


def test_c6_last_responded_is_updated():
    """It says when the peer was served last."""
    lab = Lab()
    cid, _ = serving(lab, parts=None)
    lab.wait(5 * SECOND)
    stream = remote(lab, cid).stream
    for _ in range(4):
        lab.next(cid, stream)
    rpc = lab.state.channels.streaming_rpc(cid)
    assert rpc is not None
    assert rpc.last_responded == START + 5 * SECOND


def test_a_peer_that_asks_for_no_more_is_given_up():
    """30 s after a part its stream is reset, and the parts are let go."""
    lab = Lab()
    cid, stream = serving(lab)
    lab.wait(29 * SECOND).next(cid, stream)
    lab.wait(29 * SECOND)
    assert isinstance(remote(lab, cid), RemoteRequested)
    lab.wait(SECOND)
    assert lab.of(ChannelsEffectfulStreamReset) == [ChannelsEffectfulStreamReset(cid, stream, StreamResetCode.REFUSED)]
    assert remote(lab, cid) == RemoteResponded(stream)
    assert cid in lab.state.connections.table


def test_either_side_may_cancel_an_answer():
    """The peer by a reset, our node software by a command; at every stage."""
    for stage in range(5):
        for by_peer in (True, False):
            lab = Lab()
            cid = lab.accept(1)
            stream = lab.ask(cid)
            if stage:
                lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger()))
            for _ in range(stage - 1):
                lab.next(cid, stream)
            if by_peer:
                lab.reset(cid, STREAMING, stream)
                assert lab.effects == []
            else:
                lab.feed(ChannelsStreamingRpcResponseCancel(cid, 0))
                assert lab.said() == ["reset"]
            assert remote(lab, cid) == RemoteResponded(stream)
            again = lab.ask(cid)
            assert again > stream
            assert lab.of(StreamingRpcRequested)


def test_a_slow_reader_gets_no_part_before_the_last_has_left():
    """However often it says Next, at most one part is on its way; and a second Next is a violation."""
    lab = Lab()
    cid, stream = serving(lab)
    lab.feed(ChannelsSendBlocked(cid))
    lab.next(cid, stream)
    assert lab.effects == []
    assert isinstance(remote(lab, cid).progress, PartReady)
    lab.feed(ChannelsSendUnblocked(cid))
    assert lab.said() == [message(ledger()[1])]
    lab.feed(ChannelsSendBlocked(cid))
    lab.next(cid, stream)
    lab.next(cid, stream)
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_a_reader_that_stays_slow_is_given_up():
    """A part that could not leave in time."""
    lab = Lab()
    cid, stream = serving(lab)
    lab.feed(ChannelsSendBlocked(cid)).next(cid, stream)
    lab.wait(30 * SECOND)
    assert lab.said() == ["reset"]
    lab.feed(ChannelsSendUnblocked(cid))
    assert lab.of(ChannelsEffectfulAnswerSend) == []


def test_c9_an_answer_that_is_too_large_is_not_sent():
    """One part over a frame, or all together over the bound: the peer is told that there is none."""
    for limits in (Limits(streaming_part_bytes_max=500), Limits(streaming_answer_bytes_max=1_500)):
        lab = Lab(limits=limits)
        parts = (StagedLedgerPartBase(b"x" * 600), *ledger()[1:4], StagedLedgerPartScanStateTree(b"x" * 1_000))
        serving(lab, parts)
        assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]


def test_c9_the_largest_part_that_is_sent_fits_a_frame():
    """With the longest id, which the peer chooses."""
    lab = Lab(limits=Limits(streaming_part_bytes_max=500))
    cid = lab.accept(1)
    lab.ask(cid, number=2**64 - 1)
    room = 500
    sent = 0
    for size in range(room, 400, -1):
        parts = (StagedLedgerPartBase(b"x" * size), *ledger()[1:])
        lab.feed(ChannelsStreamingRpcResponseSendInit(cid, lab.state.channels.table[cid].streaming_rpc.next_serial - 1, parts))
        (answer,) = lab.of(ChannelsEffectfulAnswerSend)
        assert len(answer.frames[0]) <= room
        if len(answer.frames[0]) > 100:
            sent = size
            break
        lab.ask(cid, number=2**64 - 1)
    assert sent >= room - 18


def test_parts_in_another_order_are_the_callers_fault():
    """The command raises; nothing is sent."""
    good = ledger()
    for bad in ((), good[1:], good[:3], (*good, good[3]), good[:4], (good[0], good[2], good[1], *good[3:]), (*good[:3], good[0], good[4])):
        lab = Lab()
        cid = lab.accept(1)
        lab.ask(cid)
        with pytest.raises(CallerError, match="no staged ledger"):
            lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, bad))
        with pytest.raises(CallerError):
            check_parts(bad)


def test_answers_are_prepared_for_so_many_peers_at_a_time_the_longest_not_served_first():
    """Others wait; whoever was never served comes before whoever was."""
    lab = Lab(limits=Limits(streaming_serving_max=2))
    one, two, three, four = (lab.accept(n) for n in range(1, 5))
    lab.ask(one)
    lab.feed(ChannelsStreamingRpcResponseSendInit(one, 0, None))
    lab.ask(two)
    lab.ask(three)
    lab.ask(one)
    assert lab.of(StreamingRpcRequested) == []
    lab.ask(four)
    assert [type(remote(lab, cid).progress) for cid in (one, two, three, four)] == [
        LedgerGetIdle,
        LedgerGetPending,
        LedgerGetPending,
        LedgerGetIdle,
    ]
    lab.feed(ChannelsStreamingRpcResponseSendInit(two, 0, None))
    assert [asked.connection_id for asked in lab.of(StreamingRpcRequested)] == [four]
    lab.close(three)
    assert [asked.connection_id for asked in lab.of(StreamingRpcRequested)] == [one]


def test_a_peer_that_waits_too_long_for_its_turn_is_told_none():
    """Its patience began with its question."""
    lab = Lab(limits=Limits(streaming_serving_max=1))
    one, two = lab.accept(1), lab.accept(2)
    lab.ask(one)
    lab.feed(ChannelsStreamingRpcResponseSendInit(one, 0, ledger()))
    lab.ask(two)
    lab.wait(20 * SECOND)
    assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]
    assert isinstance(remote(lab, two), RemoteResponded)
    assert isinstance(remote(lab, one), RemoteRequested)


def hostile_to_server() -> dict[str, tuple[Any, ReasonCode]]:
    """What a peer may try on somebody who serves it: after the question, and after some parts."""
    return {
        "a second question": (lambda lab, cid, stream: lab.ask(cid, 1), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
        "the question again": (
            lambda lab, cid, stream: lab.streaming(cid, stream, StreamingRpcRequestMessage(0, QUESTION)),
            ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
        ),
        "next for another id": (lambda lab, cid, stream: lab.next(cid, stream, 1), ReasonCode.CHANNEL_MSG_UNEXPECTED),
        "next on another stream": (lambda lab, cid, stream: lab.next(cid, lab.peer_stream(cid)), ReasonCode.CHANNEL_MSG_UNEXPECTED),
        "an answer": (
            lambda lab, cid, stream: lab.streaming(cid, stream, message(ledger()[0])),
            ReasonCode.CHANNEL_MSG_UNEXPECTED,
        ),
        "an early end": (lambda lab, cid, stream: lab.end(cid, STREAMING, stream), ReasonCode.STREAM_MISUSE),
        "garbage": (lambda lab, cid, stream: lab.frame(cid, STREAMING, stream, b"\xff"), ReasonCode.CHANNEL_MSG_UNDECODABLE),
    }


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("what", hostile_to_server())
def test_hostile_questions_end_that_connection_only(what: str, stage: int):
    """Each with its own reason, at every stage."""
    lab = Lab()
    other = lab.accept(2)
    cid = lab.accept(1)
    stream = lab.ask(cid)
    if stage:
        lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger()))
    for _ in range(stage - 1):
        lab.next(cid, stream)
    act, code = hostile_to_server()[what]
    act(lab, cid, stream)
    lab.violates(cid, code, STREAMING)
    assert other in lab.state.connections.table
    assert lab.state.channels.servings.active_count == 0


def test_next_before_there_is_data_is_a_violation():
    """The reference ignores it; nobody sends it."""
    lab = Lab()
    cid = lab.accept(1)
    stream = lab.ask(cid)
    lab.next(cid, stream)
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_next_after_the_last_part_is_a_violation():
    """Nothing is left to permit."""
    lab = Lab()
    cid, stream = serving(lab, ledger(1))
    for _ in range(3):
        lab.next(cid, stream)
    assert lab.said()[-1] == "end"
    lab.next(cid, stream)
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_a_question_on_an_answered_stream_is_a_violation():
    """Streams are not used twice."""
    lab = Lab()
    cid = lab.accept(1)
    stream = lab.ask(cid)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, None))
    lab.streaming(cid, stream, StreamingRpcRequestMessage(1, QUESTION))
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


# --- parts ------------------------------------------------------------------------------------


def test_joined_parts_are_the_answer_of_rpc_kind_2():
    """Byte for byte, for a real staged ledger (spec: pull-protocol 5.8)."""
    raw = RawStagedLedgerAux(vectors_path("staged_ledger", "aux_and_pending_coinbases.bin").read_bytes())
    typed = codec(TypedPart)
    parts = [STAGED_LEDGER_PART.decode(typed.encode(part)) for part in split_parts(raw.value)]
    assert join_parts(parts) == raw


def test_progress_states_count_parts():
    """What a state is called fits what has come and gone."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger(5)[:5]:
        lab.part(cid, 0, part)
    assert isinstance(local(lab, cid), Requested)
    assert local(lab, cid).progress == TreesPending(5, 2)
    lab = Lab()
    cid, stream = serving(lab, ledger(5))
    for _ in range(4):
        lab.next(cid, stream)
    assert remote(lab, cid).progress == TreesSending(ledger(5)[5:], 2)
