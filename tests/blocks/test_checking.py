"""The hash of a block runs ahead of its verdict, and questions about it wait for that."""

from __future__ import annotations

import pytest

from blocks.lab import ME, Lab, Sample, chain, foreign_copy
from mina_p2p.blocks.actions import BlockDropped, BlockReceived, BlocksAnswerReset, BlocksRequestCancelled
from mina_p2p.blocks.split import RawBlockHeader, short_outline
from mina_p2p.blocks.state import Paused
from mina_p2p.channels.block.messages import (
    AloneRest,
    BlockChecking,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockNotHeld,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import SECOND, ConnectionId, StreamId

GENESIS, FIRST, _, LAST = chain()
CHECKING, HELD = BlockChecking(LAST.state_hash), BlockHash(LAST.state_hash)
QUESTION = BlockGetHeader(LAST.state_hash, 0)


def _header(block: Sample = LAST, header: RawBlockHeader | None = None) -> BlockHeaderItem:
    return BlockHeaderItem(header or block.header, OutlineRest(short_outline(block.parts, block.state_hash, ME)))


def _for(number: int, block: Sample = LAST) -> BlockHeaderItem:
    """What that peer is sent."""
    return BlockHeaderItem(block.header, OutlineRest(short_outline(block.parts, block.state_hash, bytes([number]) * 32)))


def _server(*, is_known: bool = True) -> Lab:
    """The first peer announces; the fifth waits for hashes, the sixth for headers, and both have our tip."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5, 6)
    if is_known:
        lab.know(LAST)
    for number, wants in ((5, Wants.HASH), (6, Wants.HEADER)):
        lab.ask(number, BlockGetNext(wants, 0)).ask(number, BlockGetNext(wants, 0))
    return lab


def _asker(*, hashes: int = 2) -> Lab:
    """Peers 4 and on may announce hashes."""
    return Lab(tip=GENESIS).join(*range(1, 4 + hashes)).know(LAST)


# --- who is told, and asks ------------------------------------------------------------------------


def test_a_hash_runs_ahead_and_the_header_does_not() -> None:
    """Who waits for a hash is told while the verdict runs; who waits for a header gets it with the verdict, once."""
    lab = _server().answer(1, BlockGetNext, _header())
    assert lab.answers() == [(5, CHECKING)]
    assert lab.verdict().answers() == [(6, _for(6))]


def test_a_question_waits_for_the_verdict() -> None:
    """It is answered with the header, before those who did not ask."""
    lab = _server().answer(1, BlockGetNext, _header()).ask(5, QUESTION)
    assert lab.answers() == []
    assert lab.verdict().answers() == [(5, _for(5)), (6, _for(6))]
    assert lab.blocks.peers[ConnectionId(5)].waiting == ()


def test_a_question_waits_for_the_body() -> None:
    """Whoever gives a header holds the block, whatever was found first."""
    lab = _server(is_known=False).answer(1, BlockGetNext, _header())
    assert lab.answers() == [(5, CHECKING)]
    assert lab.ask(5, QUESTION).answers() == []
    assert lab.verdict().answers() == []
    assert lab.answer(1, BlockGetItems, BlockItems(LAST.parts.items)).answers() == [(5, _for(5)), (6, _for(6))]


def test_who_comes_later_is_told_too() -> None:
    """A permission that comes while the verdict runs is used at once."""
    lab = _server().answer(1, BlockGetNext, _header()).ask(4, BlockGetNext(Wants.HASH, 0))
    assert lab.answers() == [(4, BlockHash(GENESIS.state_hash))], "it did not have our tip"
    assert lab.ask(4, BlockGetNext(Wants.HASH, 0)).answers() == [(4, CHECKING)]
    assert lab.ask(4, BlockGetNext(Wants.HASH, 0)).answers() == []
    assert lab.verdict().answers() == [(6, _for(6))]


def test_nothing_runs_ahead_where_the_setting_says_so() -> None:
    """Then a hash comes with the verdict, and means that the block is held."""
    lab = Lab(tip=GENESIS, announces_while_checking=False).join(1, 5).know(LAST)
    lab.ask(5, BlockGetNext(Wants.HASH, 0)).ask(5, BlockGetNext(Wants.HASH, 0)).answer(1, BlockGetNext, _header())
    assert lab.answers() == []
    assert lab.verdict().answers() == [(5, HELD)]


def test_a_header_that_loses_is_not_announced() -> None:
    """Nor one whose hash alone is known: the chain of those who only say so ends after one hop."""
    lab = _server().answer(1, BlockGetNext, _header(GENESIS))
    assert lab.answers() == []
    assert _server().answer(4, BlockGetNext, CHECKING).answers() == []


def test_a_bad_verdict_ends_the_wait_and_blames_the_sender_only() -> None:
    """Who asked hears that there is no such block here; the next true copy is announced to it again."""
    lab = _server().answer(1, BlockGetNext, _header(header=foreign_copy())).ask(5, QUESTION)
    assert lab.verdict(is_valid=False).answers() == [(5, BlockNotHeld())]
    assert {n: reason.code for n, reason in lab.blamed().items()} == {1: ReasonCode.INVALID_MESSAGE}
    lab.ask(5, BlockGetNext(Wants.HASH, 0)).answer(2, BlockGetNext, _header())
    assert lab.answers() == [(5, CHECKING)]


def test_another_copy_under_way_keeps_the_question_waiting() -> None:
    """One of two copies is bad: the other may be good."""
    lab = _server().answer(1, BlockGetNext, _header()).answer(2, BlockGetNext, _header(header=foreign_copy())).ask(5, QUESTION)
    assert lab.verdict(is_valid=False).answers() == []
    assert sorted(lab.blamed()) == [2]


def test_a_block_that_is_given_up_ends_the_wait() -> None:
    """The node software gave no verdict in time; nobody is blamed, and who was told is told again when the block comes."""
    lab = _server().answer(1, BlockGetNext, _header())
    lab.wait(lab.blocks.config.verdict - 10 * SECOND).ask(5, QUESTION).wait(11 * SECOND)
    assert any(isinstance(effect, BlockDropped) for effect in lab.all)
    assert (5, BlockNotHeld()) in lab.answers()
    assert lab.blamed() == {}
    lab.ask(5, BlockGetNext(Wants.HASH, 0)).feed(LAST.tip)
    assert (5, HELD) in lab.answers()


def test_a_block_by_the_node_softwares_own_means_answers_what_waits() -> None:
    """It became the tip while its header was being judged."""
    lab = _server().answer(1, BlockGetNext, _header()).ask(5, QUESTION).feed(LAST.tip)
    assert (5, _for(5)) in lab.answers()


# --- bounds -----------------------------------------------------------------------------------------


def test_a_question_does_not_wait_for_ever() -> None:
    """Before its sender takes it for withheld it hears no, and blames nobody."""
    lab = _server().answer(1, BlockGetNext, _header()).ask(5, QUESTION)
    lab.wait(lab.blocks.config.question_waiting + SECOND)
    assert lab.answers() == [(5, BlockNotHeld())]
    assert lab.blocks.config.question_waiting + SECOND < lab.blocks.config.answer
    assert lab.ask(5, BlockGetNext(Wants.HASH, 0)).answers() == [(5, CHECKING)], "it does not have the block yet"


def test_few_questions_of_a_peer_wait() -> None:
    """One more is declined at once."""
    lab = _server().answer(1, BlockGetNext, _header())
    for _ in range(lab.blocks.config.questions_waiting_max):
        assert lab.ask(5, QUESTION).answers() == []
    assert lab.ask(5, QUESTION).answers() == [(5, BlockNotHeld())]


def test_who_was_told_nothing_does_not_wait() -> None:
    """A question for a hash that was not announced to its sender is declined."""
    lab = _server().answer(1, BlockGetNext, _header())
    assert lab.ask(4, QUESTION).answers() == [(4, BlockNotHeld())]
    assert lab.ask(5, BlockGetHeader(FIRST.state_hash, 0)).answers() == [(5, BlockNotHeld())]


def test_a_question_that_was_withdrawn_is_not_answered() -> None:
    """Its sender has the header from somebody else."""
    lab = _server().answer(1, BlockGetNext, _header()).ask(5, QUESTION)
    waiting = lab.blocks.peers[ConnectionId(5)].waiting[0]
    lab.feed(BlocksRequestCancelled(ConnectionId(5), waiting.stream))
    before = lab.blocks
    assert lab.feed(BlocksRequestCancelled(ConnectionId(5), StreamId(9_999))).blocks is before
    assert lab.verdict().answers() == [(6, _for(6))]


# --- who is told, on the other side -------------------------------------------------------------------


def test_who_is_told_asks_one() -> None:
    """The first who is checking it is asked; the others are not, until it is overdue."""
    lab = _asker().answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, CHECKING)
    assert lab.has_asked(4, BlockGetHeader)
    assert not lab.has_asked(5, BlockGetHeader)
    lab.answer(4, BlockGetHeader, _header()).verdict()
    assert [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)] == [LAST.raw]
    assert lab.blamed() == {}


def test_who_withholds_what_it_checks_costs_one_retry() -> None:
    """After the hedge the next is asked, and the first pays at its deadline."""
    lab = _asker().answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, CHECKING)
    lab.wait(lab.blocks.config.hedge)
    lab.answer(5, BlockGetHeader, _header()).verdict()
    assert [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)] == [LAST.raw]
    assert lab.blamed() == {}
    lab.wait(lab.blocks.config.answer)
    assert {n: reason.code for n, reason in lab.blamed().items()} == {4: ReasonCode.CHANNEL_TIMEOUT}


def test_who_holds_the_block_is_asked_beside_who_is_checking_it() -> None:
    """At once: what the one waits for, the other has. One of those who hold it is enough."""
    lab = _asker(hashes=3).answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, HELD).answer(6, BlockGetNext, HELD)
    assert lab.has_asked(4, BlockGetHeader)
    assert lab.has_asked(5, BlockGetHeader)
    assert not lab.has_asked(6, BlockGetHeader)


def test_a_question_that_waits_holds_up_no_other_block() -> None:
    """Another hash, and a header, are pursued beside it."""
    lab = _asker().know(FIRST).answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, BlockChecking(FIRST.state_hash))
    assert lab.has_asked(5, BlockGetHeader)
    lab.answer(1, BlockGetNext, _header(FIRST)).verdict()
    assert [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)] == [FIRST.raw]


def test_items_are_asked_of_those_who_hold_them() -> None:
    """Of those who are checking the block only where there is nobody else."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5)
    lab.answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, HELD).answer(1, BlockGetNext, _header())
    asked = {n for n in range(1, 6) for _, request in lab.requests(n) if isinstance(request, BlockGetItems)}
    assert asked == {1, 5}
    lab.answer(1, BlockGetItems, BlockNotHeld()).answer(5, BlockGetItems, BlockNotHeld())
    assert lab.has_asked(5, BlockGetBody), "one of two contradicts the other, and only the body tells who lies"
    assert not lab.has_asked(4, BlockGetBody)
    assert lab.answer(5, BlockGetBody, BlockNotHeld()).has_asked(4, BlockGetBody)


@pytest.mark.parametrize("way", ["not held", "reset"])
def test_who_found_it_bad_is_let_go(way: str) -> None:
    """That blames nobody, and whoever else announced the block is asked."""
    lab = _asker().answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, CHECKING)
    if way == "reset":
        lab.feed(BlocksAnswerReset(ConnectionId(4), lab.ticket(4, BlockGetHeader), StreamResetCode.REFUSED))
    else:
        lab.answer(4, BlockGetHeader, BlockNotHeld())
    assert lab.has_asked(5, BlockGetHeader)
    assert isinstance(lab.blocks.peers[ConnectionId(4)].local, Paused)
    assert lab.blamed() == {}


def test_a_hash_that_runs_ahead_needs_a_permission_for_a_hash() -> None:
    """Who may send a header sends that, and after its verdict."""
    assert Lab(tip=GENESIS).join(1).answer(1, BlockGetNext, CHECKING).blamed()[1].code is ReasonCode.RESPONSE_KIND_MISMATCH


def test_who_answers_holds_the_block_from_then_on() -> None:
    """Its words about the body are as good as anybody's."""
    lab = _asker().answer(4, BlockGetNext, CHECKING)
    lab.answer(4, BlockGetHeader, BlockHeaderItem(LAST.header, AloneRest()))
    candidate = lab.blocks.candidate_of(LAST.state_hash)
    assert candidate is not None
    assert candidate.checking == ()
    assert not lab.has_asked(4, BlockGetBody)
