"""Channel 8: asking for a staged ledger, and every way in which the answer can go wrong."""

from __future__ import annotations

from typing import Any

import pytest

from channels.lab import QUESTION, START, STREAMING, TIMEOUTS, Lab, ledger
from channels.streams import asking, local, message
from mina_p2p.channels.rpc.actions import RpcRequestSend
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, InitialPeersRequest, RpcRequestMessage
from mina_p2p.channels.streaming_rpc.actions import (
    StreamingRpcCancel,
    StreamingRpcRequestSend,
)
from mina_p2p.channels.streaming_rpc.messages import (
    StagedLedgerPartBase,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartsRequest,
    StreamingRpcNext,
    StreamingRpcRequestMessage,
    StreamingRpcResponseMessage,
)
from mina_p2p.channels.streaming_rpc.state import (
    GivenUp,
    Responded,
    WaitingForRequest,
)
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId, RequestId
from mina_p2p.notifications import RpcFailed, StreamingRpcPartReceived, StreamingRpcResponded
from mina_p2p.transport import (
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
)


def test_a_question_permits_one_part_and_keeps_its_half_open() -> None:
    """The stream opens with the question and credit for exactly one part."""
    lab = Lab()
    cid = asking(lab)
    (request,) = lab.of(ChannelsEffectfulRequestSend)
    assert lab.said() == [StreamingRpcRequestMessage(0, QUESTION)]
    assert not request.ends
    assert (request.answer_bytes_max, request.frame_bytes_max) == (4 + (16 << 20), 16 << 20)
    assert lab.state.channels.answer_bytes_granted == request.answer_bytes_max
    assert local(lab, cid).deadline == START + 30 * SECOND


def test_every_part_is_handed_over_and_answered_by_one_next() -> None:
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
    assert not lab.of(StreamingRpcResponded)
    assert isinstance(local(lab, cid), Responded)
    lab.end(cid, STREAMING, lab.stream(cid, STREAMING))
    assert lab.of(StreamingRpcResponded) == [StreamingRpcResponded(RequestId(9), cid, 6)]
    assert local(lab, cid) == WaitingForRequest()
    assert lab.state.channels.answer_bytes_granted == 0


def test_the_state_keeps_no_part() -> None:
    """What came is with the node software; the state counts it."""
    lab = Lab()
    cid = asking(lab)
    lab.part(cid, 0, StagedLedgerPartBase(b"x" * 5_000))
    assert local(lab, cid).bytes_received == 5_000 + 5
    assert b"x" * 100 not in repr(lab.state).encode()


def test_none_says_that_the_peer_does_not_have_it() -> None:
    """At the first part or at a later one."""
    for before in range(5):
        lab = Lab()
        cid = asking(lab)
        for part in ledger()[:before]:
            lab.part(cid, 0, part)
        lab.part(cid, 0, None)
        assert not lab.of(StreamingRpcResponded)
        lab.end(cid, STREAMING, lab.stream(cid, STREAMING))
        assert lab.of(StreamingRpcResponded) == [StreamingRpcResponded(RequestId(9), cid, None)]
        assert local(lab, cid) == WaitingForRequest()


def test_ids_are_numbered_together_with_channel_7() -> None:
    """One counter for both (spec: pull-protocol 5.7)."""
    lab = Lab()
    cid = lab.connect(1)
    lab.feed(RpcRequestSend(cid, RequestId(1), InitialPeersRequest()))
    lab.feed(StreamingRpcRequestSend(cid, RequestId(2), QUESTION))
    assert local(lab, cid).id == 1
    lab.feed(RpcRequestSend(cid, RequestId(3), InitialPeersRequest()))
    (request,) = lab.of(ChannelsEffectfulRequestSend)
    assert RPC_MESSAGE.decode(request.frame) == RpcRequestMessage(2, InitialPeersRequest())


def test_one_question_at_a_time() -> None:
    """A second one is told so at once, and on another connection it may go."""
    lab = Lab()
    cid = asking(lab)
    lab.feed(StreamingRpcRequestSend(cid, RequestId(10), QUESTION))
    assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(10)]
    other = lab.connect(2)
    lab.feed(StreamingRpcRequestSend(other, RequestId(11), QUESTION))
    assert lab.said() == [StreamingRpcRequestMessage(0, QUESTION)]


def test_credit_for_all_answers_is_bounded() -> None:
    """A question that would permit more than the node's bound is not asked."""
    lab = Lab(limits=Limits(answer_bytes_granted_max=20 << 20))
    asking(lab)
    other = lab.connect(2)
    lab.feed(StreamingRpcRequestSend(other, RequestId(11), QUESTION))
    assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(11)]


def test_a_question_that_can_not_be_written_is_the_callers_fault() -> None:
    """It raises, and the state stays."""
    lab = Lab()
    cid = lab.connect(1)
    with pytest.raises(CallerError, match="block_hash"):
        lab.feed(StreamingRpcRequestSend(cid, RequestId(1), StagedLedgerPartsRequest(b"short")))


def test_cancelling_resets_the_stream_and_the_next_question_waits() -> None:
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


def test_a_reset_by_the_peer_fails_the_question_and_nothing_else() -> None:
    """The connection stays, and another question may be asked at once."""
    lab = Lab()
    cid = asking(lab)
    lab.part(cid, 0, ledger()[0])
    lab.reset(cid, STREAMING, lab.stream(cid, STREAMING))
    (failed,) = lab.of(RpcFailed)
    assert failed.request_id == RequestId(9)
    assert local(lab, cid) == WaitingForRequest()
    assert cid in lab.state.connections.table


def test_a_reset_after_the_answer_is_as_good_as_its_end() -> None:
    """All had come."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    lab.reset(cid, STREAMING, lab.stream(cid, STREAMING))
    assert lab.effects == [StreamingRpcResponded(RequestId(9), cid, 5)]
    assert local(lab, cid) == WaitingForRequest()


def test_c6_every_part_renews_the_deadline() -> None:
    """Progress is what counts, and 29 s between parts are progress."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.wait(29 * SECOND)
        assert cid in lab.state.connections.table
        lab.part(cid, 0, part)
    assert isinstance(local(lab, cid), Responded)


def test_c6_no_progress_ends_the_connection() -> None:
    """30 s without a part, whichever is due."""
    for before in range(5):
        lab = Lab()
        cid = asking(lab)
        for part in ledger()[:before]:
            lab.part(cid, 0, part)
        lab.wait(30 * SECOND)
        lab.violates(cid, ReasonCode.STREAMING_RPC_TIMEOUT, STREAMING)
        assert [failed.request_id for failed in lab.of(RpcFailed)] == [RequestId(9)]


def test_an_answer_that_goes_on_for_ever_is_given_up() -> None:
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


def test_an_answer_that_does_not_end_ends_the_connection() -> None:
    """All parts came, but not the end of the stream: the answer is good, the peer is not."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    lab.wait(TIMEOUTS.answer)
    lab.violates(cid, ReasonCode.STREAMING_RPC_TIMEOUT, STREAMING)
    assert lab.of(StreamingRpcResponded) == [StreamingRpcResponded(RequestId(9), cid, 5)]
    assert not lab.of(RpcFailed)


def test_a_lost_connection_fails_the_question() -> None:
    """With the reason of the loss."""
    lab = Lab()
    cid = asking(lab)
    lab.close(cid)
    (failed,) = lab.of(RpcFailed)
    assert (failed.request_id, failed.reason.code) == (RequestId(9), ReasonCode.TRANSPORT_ERROR)
    assert lab.state.channels.answer_bytes_granted == 0


@pytest.mark.parametrize("due", range(5))
@pytest.mark.parametrize("kind", range(4))
def test_c6_a_part_of_the_wrong_kind_is_a_violation(due: int, kind: int) -> None:
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
def test_the_number_of_trees_is_bounded(trees: int, is_good: bool) -> None:
    """At least one, and at most what the configuration allows."""
    lab = Lab(limits=Limits(streaming_trees_max=4))
    cid = asking(lab)
    lab.part(cid, 0, ledger()[0])
    lab.part(cid, 0, StagedLedgerPartScanStateBase(trees, b""))
    if is_good:
        assert lab.said() == [StreamingRpcNext(0)]
    else:
        lab.violates(cid, ReasonCode.RESPONSE_KIND_MISMATCH, STREAMING)


def test_an_answer_over_its_bytes_is_a_violation() -> None:
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
def test_hostile_answers_end_that_connection_only(what: str) -> None:
    """Each with its own reason."""
    lab = Lab()
    other = lab.connect(2)
    cid = asking(lab)
    act, code = hostile_to_asker()[what]
    act(lab, cid, lab.stream(cid, STREAMING))
    lab.violates(cid, code, STREAMING)
    assert other in lab.state.connections.table


def test_an_answer_without_a_question_is_a_violation() -> None:
    """Also after the answer to one."""
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    lab.part(cid, 0, ledger()[3])
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, STREAMING)


def test_c2_the_channel_opens_by_itself() -> None:
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
