"""Channel 8: serving a staged ledger, and every way in which the question can go wrong."""

from __future__ import annotations

from typing import Any

import pytest
from support.vectors import vectors_path

from channels.lab import QUESTION, START, STREAMING, Lab, ledger
from channels.streams import asking, local, message, remote, serving
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcResponseCancel,
    ChannelsStreamingRpcResponseSendInit,
)
from mina_p2p.channels.streaming_rpc.messages import (
    STAGED_LEDGER_PART,
    StagedLedgerPartBase,
    StagedLedgerPartScanStateTree,
    StreamingRpcRequestMessage,
    StreamingRpcResponseMessage,
)
from mina_p2p.channels.streaming_rpc.parts import check_parts, join_parts
from mina_p2p.channels.streaming_rpc.state import (
    LedgerGetIdle,
    LedgerGetPending,
    PartReady,
    RemoteRequested,
    RemoteResponded,
    Requested,
    TreesPending,
    TreesSending,
)
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND
from mina_p2p.mina.raw import RawStagedLedgerAux
from mina_p2p.mina.staged_ledger import StagedLedgerPart as TypedPart
from mina_p2p.mina.staged_ledger import split_parts
from mina_p2p.notifications import StreamingRpcRequested
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulStreamReset,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
)
from mina_p2p.wire import codec


def test_parts_go_out_one_per_next() -> None:
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


def test_c5_an_unknown_block_is_answered_none() -> None:
    """At once when the node software says so."""
    lab = Lab()
    cid = lab.accept(1)
    lab.ask(cid)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, None))
    assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]


def test_c5_silence_of_the_node_software_is_answered_none() -> None:
    """Before the peer's patience ends; a late answer is refused."""
    lab = Lab()
    cid = lab.accept(1)
    lab.ask(cid)
    lab.wait(20 * SECOND)
    assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger()))
    assert lab.steps.refused_count == 1
    assert lab.effects == []


def test_c6_last_responded_is_updated() -> None:
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


def test_a_peer_that_asks_for_no_more_is_given_up() -> None:
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


def test_either_side_may_cancel_an_answer() -> None:
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


def test_a_slow_reader_gets_no_part_before_the_last_has_left() -> None:
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


def test_a_reader_that_stays_slow_is_given_up() -> None:
    """A part that could not leave in time."""
    lab = Lab()
    cid, stream = serving(lab)
    lab.feed(ChannelsSendBlocked(cid)).next(cid, stream)
    lab.wait(30 * SECOND)
    assert lab.said() == ["reset"]
    lab.feed(ChannelsSendUnblocked(cid))
    assert lab.of(ChannelsEffectfulAnswerSend) == []


def test_c9_an_answer_that_is_too_large_is_not_sent() -> None:
    """One part over a frame, or all together over the bound: the peer is told that there is none."""
    for limits in (Limits(streaming_part_bytes_max=500), Limits(streaming_answer_bytes_max=1_500)):
        lab = Lab(limits=limits)
        parts = (StagedLedgerPartBase(b"x" * 600), *ledger()[1:4], StagedLedgerPartScanStateTree(b"x" * 1_000))
        serving(lab, parts)
        assert lab.said() == [StreamingRpcResponseMessage(0, None), "end"]


def test_c9_the_largest_part_that_is_sent_fits_a_frame() -> None:
    """With the longest id, which the peer chooses."""
    lab = Lab(limits=Limits(streaming_part_bytes_max=500))
    cid = lab.accept(1)
    lab.ask(cid, number=2**64 - 1)
    room = 500
    sent = 0
    for serial, size in enumerate(range(room, 400, -1)):
        parts = (StagedLedgerPartBase(b"x" * size), *ledger()[1:])
        lab.feed(ChannelsStreamingRpcResponseSendInit(cid, serial, parts))
        (answer,) = lab.of(ChannelsEffectfulAnswerSend)
        assert len(answer.frames[0]) <= room
        if len(answer.frames[0]) > 100:
            sent = size
            break
        lab.ask(cid, number=2**64 - 1)
    assert sent >= room - 18


def test_parts_in_another_order_are_the_callers_fault() -> None:
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


def test_answers_are_prepared_for_so_many_peers_at_a_time_the_longest_not_served_first() -> None:
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


def test_a_peer_that_waits_too_long_for_its_turn_is_told_none() -> None:
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
def test_hostile_questions_end_that_connection_only(what: str, stage: int) -> None:
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


def test_next_before_there_is_data_is_a_violation() -> None:
    """The reference ignores it; nobody sends it."""
    lab = Lab()
    cid = lab.accept(1)
    stream = lab.ask(cid)
    lab.next(cid, stream)
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_next_after_the_last_part_is_a_violation() -> None:
    """Nothing is left to permit."""
    lab = Lab()
    cid, stream = serving(lab, ledger(1))
    for _ in range(3):
        lab.next(cid, stream)
    assert lab.said()[-1] == "end"
    lab.next(cid, stream)
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_a_question_on_an_answered_stream_is_a_violation() -> None:
    """Streams are not used twice."""
    lab = Lab()
    cid = lab.accept(1)
    stream = lab.ask(cid)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, None))
    lab.streaming(cid, stream, StreamingRpcRequestMessage(1, QUESTION))
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_joined_parts_are_the_answer_of_rpc_kind_2() -> None:
    """Byte for byte, for a real staged ledger (spec: pull-protocol 5.8)."""
    raw = RawStagedLedgerAux(vectors_path("staged_ledger", "aux_and_pending_coinbases.bin").read_bytes())
    typed = codec(TypedPart)
    parts = [STAGED_LEDGER_PART.decode(typed.encode(part)) for part in split_parts(raw.value)]
    assert join_parts(parts) == raw


def test_progress_states_count_parts() -> None:
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
