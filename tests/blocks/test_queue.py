"""Whole bodies one after the other: who asks for one while others are sent hears so, and may turn to somebody else."""

from __future__ import annotations

from blocks.lab import START, Lab, chain
from mina_p2p.blocks.actions import BlockReceived, BlocksAnswerReceived, BlocksRequestCancel, BlocksRequestCancelled
from mina_p2p.blocks.split import full_outline
from mina_p2p.blocks.state import Kind, Ticket
from mina_p2p.channels.block.messages import (
    QUEUED_FRAME,
    AloneRest,
    BlockBodyItem,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockGetOutline,
    BlockHash,
    BlockHeaderItem,
    BlockNotHeld,
    BlockOutlineItem,
    BlockQueued,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND, ConnectionId, StreamId
from mina_p2p.transport import ChannelsEffectfulAnswerSend

GENESIS, _, _, LAST = chain()
GET_BODY, GET_WHOLE = BlockGetBody(LAST.state_hash), BlockGetHeader(LAST.state_hash, len(LAST.body))
HASH, ALONE = BlockHash(LAST.state_hash), BlockHeaderItem(LAST.header, AloneRest())
BODY = BlockBodyItem(LAST.body)


def _holder(*peers: int) -> Lab:
    """It holds a block, and its own connection takes a second for its body."""
    return Lab(tip=LAST, link_bytes_per_second=len(LAST.body)).join(*peers)


def _kinds(lab: Lab) -> list[tuple[int, str]]:
    return [(number, type(answer).__name__) for number, answer in lab.answers()]


def _cold(*peers: int) -> Lab:
    """It has next to nothing of blocks."""
    return Lab(tip=GENESIS, is_cold=True).join(*peers)


def _received(lab: Lab) -> list[bytes]:
    return [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)]


# --- whoever is asked ---------------------------------------------------------------------------


def test_bodies_are_sent_one_after_the_other() -> None:
    """The first at once; the next when the connection is free, in the order of the questions. Whoever waits hears so at once."""
    lab = _holder(1, 2, 3).ask(1, GET_BODY)
    assert lab.answers() == [(1, BODY)]
    lab.ask(2, GET_BODY)
    assert lab.answers() == [(2, BlockQueued())]
    assert [effect.ends for effect in lab.of(ChannelsEffectfulAnswerSend)] == [False]
    lab.ask(3, GET_BODY)
    assert _kinds(lab) == [(3, "BlockQueued")]
    lab.wait(SECOND)
    assert lab.answers() == [(2, BODY)]
    assert [effect.ends for effect in lab.of(ChannelsEffectfulAnswerSend)] == [True]
    lab.wait(SECOND)
    assert lab.answers() == [(3, BODY)]
    assert lab.blocks.queue_due_at is None


def test_a_question_that_is_withdrawn_takes_nobodys_turn() -> None:
    """The body goes to the next one."""
    lab = _holder(1, 2, 3).ask(1, GET_BODY).ask(2, GET_BODY).ask(3, GET_BODY)
    stream = lab.blocks.peers[ConnectionId(2)].waiting[0].stream
    lab.feed(BlocksRequestCancelled(ConnectionId(2), stream)).wait(SECOND)
    assert lab.answers() == [(3, BODY)]
    lab.wait(20 * SECOND)
    assert lab.answers() == []


def test_whoever_leaves_takes_nobodys_turn() -> None:
    """Its question is forgotten with it."""
    lab = _holder(1, 2, 3).ask(1, GET_BODY).ask(2, GET_BODY).ask(3, GET_BODY)
    lab.ask(2, BlockGetItems(LAST.state_hash, (3, 1)))
    assert 2 in lab.blamed()
    lab.wait(SECOND)
    assert lab.answers() == [(3, BODY)]


def test_headers_do_not_wait() -> None:
    """While bodies are sent, a header comes at once, and without its body."""
    lab = _holder(1, 2).ask(1, GET_BODY).ask(2, GET_WHOLE)
    [(number, answer)] = lab.answers()
    assert number == 2
    assert isinstance(answer, BlockHeaderItem)
    assert not isinstance(answer.rest, BodyRest)
    free = _holder(1, 2).ask(2, GET_WHOLE)
    assert free.answers() == [(2, BlockHeaderItem(LAST.header, BodyRest(LAST.body)))]


def test_announcements_leave_large_bodies_out_while_others_are_sent() -> None:
    """The permission is for a body along; who is announced the block later asks for it."""
    lab = Lab(tip=GENESIS, link_bytes_per_second=len(LAST.body)).join(1, 2)
    for number in (1, 2):
        lab.ask(number, BlockGetNext(Wants.HEADER, 1 << 20)).ask(number, BlockGetNext(Wants.HEADER, 1 << 20))
    lab.wait(5 * SECOND).feed(LAST.tip)
    (_, first), (_, second) = lab.answers()
    assert isinstance(first, BlockHeaderItem)
    assert first.rest == BodyRest(LAST.body)
    assert isinstance(second, BlockHeaderItem)
    assert isinstance(second.rest, OutlineRest)


def test_who_waits_too_long_hears_no() -> None:
    """Before the asker takes the body for withheld; only so many questions of one peer wait."""
    lab = Lab(tip=LAST, link_bytes_per_second=1).join(1, 2).ask(1, GET_BODY)
    for _ in range(lab.blocks.config.questions_waiting_max):
        lab.ask(2, GET_BODY)
        assert lab.answers() == [(2, BlockQueued())]
    lab.ask(2, GET_BODY)
    assert lab.answers() == [(2, BlockNotHeld())]
    lab.wait(lab.blocks.config.question_waiting)
    assert lab.answers() == [(2, BlockNotHeld())] * lab.blocks.config.questions_waiting_max
    assert lab.blocks.config.question_waiting < lab.blocks.config.answer


def test_a_question_that_waited_for_the_verdict_keeps_its_deadline() -> None:
    """However it waits, its asker hears in time."""
    lab = Lab(tip=GENESIS, link_bytes_per_second=len(LAST.body)).join(1, 2, 3, 4, 5).know(LAST)
    for number in (4, 5):
        lab.ask(number, BlockGetNext(Wants.HASH, 0)).ask(number, BlockGetNext(Wants.HASH, 0))
    lab.answer(1, BlockGetNext, ALONE).ask(4, GET_BODY).ask(5, GET_BODY)
    asked_at = lab.now
    lab.wait(5 * SECOND).answer(1, BlockGetOutline, BlockOutlineItem(full_outline(LAST.parts))).verdict()
    assert _received(lab) == [LAST.raw]
    assert (4, "BlockBodyItem") in _kinds(lab)
    [wait] = lab.blocks.peers[ConnectionId(5)].waiting
    assert wait.place is not None
    assert wait.deadline == asked_at + lab.blocks.config.question_waiting


def test_without_a_known_width_nobody_waits() -> None:
    """Whatever is asked for is sent at once."""
    lab = Lab(tip=LAST, link_bytes_per_second=0).join(1, 2, 3)
    for number in (1, 2, 3):
        lab.ask(number, GET_BODY)
        assert lab.answers() == [(number, BODY)]


def _prompt(lab: Lab) -> list[int]:
    """Who was asked for a body and did not say that others come first."""
    questions = [question for candidate in lab.blocks.candidates.values() for question in candidate.questions]
    return [q.connection_id for q in questions if q.kind is Kind.BODY and not q.is_queued and q.hedge_at is not None]


# --- whoever asks -------------------------------------------------------------------------------


def test_who_hears_that_others_come_first_asks_somebody_else() -> None:
    """At once, where somebody else holds the block; whichever body comes first is taken, and nobody pays."""
    lab = _cold(1, 2, 3, 4, 5).answer(4, BlockGetNext, HASH).answer(1, BlockGetNext, ALONE)
    lab.answer(4, BlockGetHeader, ALONE)
    first = next(number for number in (1, 4) if lab.has_asked(number, BlockGetBody))
    other = 5 - first
    assert not lab.has_asked(other, BlockGetBody)
    lab.answer(first, BlockGetBody, BlockQueued())
    assert lab.has_asked(first, BlockGetBody)
    assert lab.has_asked(other, BlockGetBody)
    lab.answer(other, BlockGetBody, BODY).verdict()
    assert _received(lab) == [LAST.raw]
    assert not lab.has_asked(first, BlockGetBody)
    assert first in [effect.connection_id for effect in lab.all if isinstance(effect, BlocksRequestCancel)]
    assert lab.blamed() == {}


def test_who_waits_in_queues_asks_whoever_comes_to_hold_the_block() -> None:
    """All that are known have others to serve: whoever announces it next is asked, too."""
    lab = _cold(1, 2, 3, 4, 5).answer(1, BlockGetNext, ALONE).answer(1, BlockGetBody, BlockQueued())
    lab.answer(5, BlockGetNext, HASH)
    assert lab.has_asked(5, BlockGetBody)
    lab.answer(1, BlockGetBody, BODY).verdict()
    assert _received(lab) == [LAST.raw]
    assert not lab.has_asked(5, BlockGetBody)


def test_queues_are_bounded() -> None:
    """A node waits in so many of them."""
    lab = Lab(tip=GENESIS, is_cold=True, queues_max=2).join(*range(1, 9)).answer(1, BlockGetNext, ALONE)
    for number in range(4, 9):
        lab.answer(number, BlockGetNext, HASH)
    for _ in range(2):
        asked = [number for number in range(1, 9) if lab.has_asked(number, BlockGetBody)]
        lab.answer(asked[-1], BlockGetBody, BlockQueued())
    asked = [number for number in range(1, 9) if lab.has_asked(number, BlockGetBody)]
    assert len(asked) == 2


def test_many_who_say_that_others_come_first_cost_one_hedge() -> None:
    """More of them than a node waits for: once they are overdue the next are asked."""
    lab = Lab(tip=GENESIS, is_cold=True, queues_max=2).join(*range(1, 9)).answer(1, BlockGetNext, ALONE)
    for number in range(4, 9):
        lab.answer(number, BlockGetNext, HASH)
    patience = max(q.hedge_at or 0 for c in lab.blocks.candidates.values() for q in c.questions) - lab.now + lab.blocks.config.granularity
    for _ in range(3):
        while (asked := _prompt(lab)) and asked != [8]:
            lab.answer(asked[0], BlockGetBody, BlockQueued())
        if asked == [8]:
            break
        lab.wait(patience)
    assert lab.now - START <= 2 * patience
    lab.answer(8, BlockGetBody, BODY).verdict()
    assert _received(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_who_promises_a_turn_and_never_gives_it_pays_at_the_deadline() -> None:
    """As for any answer that does not come."""
    lab = _cold(1, 2, 3, 4).answer(1, BlockGetNext, ALONE).answer(1, BlockGetBody, BlockQueued())
    lab.wait(lab.blocks.config.answer)
    assert {number: reason.code for number, reason in lab.blamed().items()} == {1: ReasonCode.CHANNEL_TIMEOUT}


def test_a_place_in_the_queue_is_told_once_and_for_bodies_only() -> None:
    """A second one, and one for anything else, is an answer to nothing."""
    lab = _cold(1, 2, 3, 4).answer(1, BlockGetNext, ALONE).answer(1, BlockGetBody, BlockQueued())
    lab.answer(1, BlockGetBody, BlockQueued())
    assert lab.blamed()[1].code is ReasonCode.CHANNEL_MSG_UNEXPECTED
    header = _cold(1, 2, 3, 4).answer(4, BlockGetNext, HASH).answer(4, BlockGetHeader, BlockQueued())
    assert header.blamed()[4].code is ReasonCode.CHANNEL_MSG_UNEXPECTED
    permission = _cold(1).answer(1, BlockGetNext, BlockQueued())
    assert permission.blamed()[1].code is ReasonCode.RESPONSE_KIND_MISMATCH


def test_who_owes_a_body_still_owes_it_from_a_queue() -> None:
    """Overdue, and others have given it since: a place in a queue is no answer."""
    lab = _cold(1, 2, 3, 4).answer(1, BlockGetNext, ALONE).answer(4, BlockGetNext, HASH)
    first = next(number for number in (1, 4) if lab.has_asked(number, BlockGetBody))
    lab.wait(3 * SECOND).answer(5 - first, BlockGetBody, BODY).verdict()
    assert _received(lab) == [LAST.raw]
    [owing] = lab.blocks.peers[ConnectionId(first)].owing
    lab.feed(BlocksAnswerReceived(ConnectionId(first), owing.ticket, QUEUED_FRAME))
    assert lab.blocks.peers[ConnectionId(first)].owing == (owing.replace(is_queued=True),)
    twice = lab.copy().feed(BlocksAnswerReceived(ConnectionId(first), owing.ticket, QUEUED_FRAME))
    assert twice.blamed()[first].code is ReasonCode.CHANNEL_MSG_UNEXPECTED
    lab.wait(lab.blocks.config.answer)
    assert lab.blamed()[first].code is ReasonCode.CHANNEL_TIMEOUT


def test_the_queue_is_of_no_account_to_tickets_and_streams() -> None:
    """Numbers of streams and questions mean nothing to each other."""
    lab = _holder(1, 2).ask(1, GET_BODY).ask(2, GET_BODY)
    before = lab.blocks
    lab.feed(BlocksRequestCancelled(ConnectionId(2), StreamId(999)))
    lab.feed(BlocksAnswerReceived(ConnectionId(2), Ticket(999), QUEUED_FRAME))
    assert lab.blocks.peers.get(ConnectionId(2)) is None or lab.blocks.peers[ConnectionId(2)] == before.peers[ConnectionId(2)]
