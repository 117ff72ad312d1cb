"""What one peer can make a node hold, miss or believe: outlines that name too much, competing blocks, bodies that nobody asked for, blocks that are withheld."""

from __future__ import annotations

from functools import cache

import pytest

from blocks.lab import ME, Lab, Sample, chain, sample
from blocks.test_no_body import ITEMS, PARTS, no_body_header
from mina_p2p.blocks import pursuit
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksTipSet, BlocksVerdict
from mina_p2p.blocks.split import Frame, Outline, full_outline, outline_salt, short_id, short_outline
from mina_p2p.blocks.state import Asked, Paused, Unsettled
from mina_p2p.channels.block.messages import (
    BODY_BYTES_MAX,
    INDEXES_MAX,
    OUTLINE_BYTES_MAX,
    AloneRest,
    BlockBodyItem,
    BlockChecking,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockGetOutline,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockNotHeld,
    BlockOutlineItem,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.raw import RawBlock
from mina_p2p.testing.mina import MinaGenerator

GENESIS, FIRST, _, LAST = chain()
HASH, CHECKING = BlockHash(LAST.state_hash), BlockChecking(LAST.state_hash)
ALONE = BlockHeaderItem(LAST.header, AloneRest())


def _taken(lab: Lab) -> list[bytes]:
    return [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)]


# --- outlines that name too much ------------------------------------------------------------------


def _many(count: int, *, is_salted: bool) -> Outline:
    """An outline that names the largest of the block's items so many times."""
    place = max(range(len(LAST.parts.items)), key=lambda place: len(LAST.parts.items[place]))
    digest = LAST.parts.digests[place]
    name = short_id(outline_salt(LAST.state_hash, ME), digest) if is_salted else digest
    frame = Frame(LAST.parts.frame.first.replace(works=count, statuses=()), None)
    return Outline(frame, len(name), name * count)


@pytest.fixture
def rebuilt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of the items of each body that is put together."""
    sizes: list[int] = []
    rebuild = pursuit.rebuild_body

    def counting(frame: Frame, items: tuple[bytes, ...]) -> bytes:
        sizes.append(sum(map(len, items)))
        return rebuild(frame, items)

    monkeypatch.setattr(pursuit, "rebuild_body", counting)
    return sizes


def test_an_outline_that_names_one_item_many_times_builds_nothing(rebuilt: list[int]) -> None:
    """Its items are here, and together more than a body may have. By salted ids that may be chance, so another is asked for digests."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST).answer(4, BlockGetNext, HASH)
    outline = _many(1 + BODY_BYTES_MAX // max(map(len, LAST.parts.items)), is_salted=True)
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(outline))).verdict()
    assert rebuilt == []
    lab.answer(4, BlockGetOutline, BlockOutlineItem(full_outline(LAST.parts)))
    assert _taken(lab) == [LAST.raw]
    assert {number: reason.code for number, reason in lab.blamed().items()} == {1: ReasonCode.RESPONSE_HASH_MISMATCH}


def test_the_same_by_full_digests_blames_its_sender(rebuilt: list[int]) -> None:
    """There chance is no excuse."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST).answer(1, BlockGetNext, ALONE)
    outline = _many(1 + BODY_BYTES_MAX // max(map(len, LAST.parts.items)), is_salted=False)
    lab.answer(1, BlockGetOutline, BlockOutlineItem(outline))
    assert rebuilt == []
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH


def test_an_outline_of_more_items_than_a_body_has_room_for_blames_its_sender() -> None:
    """No item is as short as that; nothing is looked up."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).answer(1, BlockGetNext, ALONE)
    count = pursuit.ITEMS_MAX + 1
    lab.answer(1, BlockGetOutline, BlockOutlineItem(Outline(_many(count, is_salted=True).frame, 32, bytes(32 * count))))
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH


def test_items_are_bounded_together(rebuilt: list[int]) -> None:
    """However many questions bring them."""
    lab = Lab(tip=GENESIS).join(1).answer(1, BlockGetNext, ALONE)
    big = bytes(BODY_BYTES_MAX // 2 + 1)
    names = full_outline(LAST.parts).ids
    outline = full_outline(LAST.parts).replace(id_string=pursuit.item_digest(big) * len(names))
    lab.answer(1, BlockGetOutline, BlockOutlineItem(outline))
    ((_, request),) = [(t, r) for t, r in lab.requests(1) if isinstance(r, BlockGetItems)]
    assert len(request.indexes) == len(names) <= INDEXES_MAX
    lab.answer(1, BlockGetItems, BlockItems((big,) * len(names)))
    assert rebuilt == []
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH
    assert not lab.blocks.candidates


def test_an_outline_has_less_credit_than_a_body() -> None:
    """It is made of digests and statuses."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).answer(1, BlockGetNext, ALONE)
    asked = lab.all[-1]
    assert asked.frame_bytes_max == OUTLINE_BYTES_MAX


# --- who pays -------------------------------------------------------------------------------------


def test_who_was_checking_what_is_no_body_pays_nothing() -> None:
    """It never said that it holds the block; who gave header and items did."""
    header, state_hash = no_body_header()
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).answer(4, BlockGetNext, BlockChecking(state_hash))
    lab.answer(1, BlockGetNext, BlockHeaderItem(header, OutlineRest(short_outline(PARTS, state_hash, ME))))
    ((_, request),) = [(t, r) for t, r in lab.requests(1) if isinstance(r, BlockGetItems)]
    lab.answer(1, BlockGetItems, BlockItems(tuple(ITEMS[index] for index in request.indexes)))
    assert {number: reason.code for number, reason in lab.blamed().items()} == {1: ReasonCode.CHANNEL_MSG_UNDECODABLE}
    assert not lab.blocks.candidates


def test_a_body_along_that_is_larger_than_asked_for_blames_its_sender() -> None:
    """As with a permission."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).answer(4, BlockGetNext, HASH).answer(5, BlockGetNext, HASH)
    lab.answer(4, BlockGetHeader, BlockHeaderItem(LAST.header, BodyRest(LAST.body)))
    assert {number: reason.code for number, reason in lab.blamed().items()} == {4: ReasonCode.CHANNEL_MSG_OVER_PERMISSION}
    assert lab.has_asked(5, BlockGetHeader)


# --- competing blocks -----------------------------------------------------------------------------


@cache
def _siblings(count: int) -> tuple[Sample, tuple[Sample, ...]]:
    """A block, and so many that follow it."""
    generator = MinaGenerator(77)
    parent = generator.genesis()
    blocks = [generator.block(parent, slots=slots, commands=(generator.user_command(),)) for slots in range(1, count + 1)]
    return sample(bytes(RawBlock.of(parent))), tuple(sample(bytes(RawBlock.of(block))) for block in blocks)


def test_the_best_block_is_held_whatever_else_comes() -> None:
    """A producer that makes many blocks of one slot does not have the best one forgotten: it is served, and announced to newcomers."""
    parent, children = _siblings(6)
    lab = Lab(tip=parent).join(*range(1, 8))
    verdicts = {}
    for number, child in enumerate(children, 1):
        lab.know(child)
        header = BlockHeaderItem(child.header, OutlineRest(short_outline(child.parts, child.state_hash, ME)))
        if number <= lab.blocks.config.header_permissions_max:
            lab.answer(number, BlockGetNext, header)
        else:
            lab.answer(number, BlockGetNext, BlockHash(child.state_hash)).answer(number, BlockGetHeader, header)
        verdicts[child.state_hash] = lab.of(BlockHeaderReceived)[0].verdict_id
    facts = {child.state_hash: lab.blocks.candidates[lab.blocks.by_hash.get(child.state_hash) or 0].facts for child in children}
    best = children[0].state_hash
    for name, other in facts.items():
        one = facts[best]
        assert one is not None
        assert other is not None
        best = name if select_chain(one.consensus, other.consensus, best, name).take else best
    for name in (best, *(child.state_hash for child in children if child.state_hash != best)):
        lab.feed(BlocksVerdict(verdicts[name], is_valid=True))
    assert lab.blocks.tip is not None
    assert lab.blocks.tip.state_hash == best
    assert len(lab.blocks.held) == lab.blocks.config.held_max
    assert lab.join(8).ask(8, BlockGetNext(Wants.HASH, 0)).answers() == [(8, BlockHash(best))]


# --- what comes another way, and what nobody gives ------------------------------------------------


def test_a_block_that_comes_another_way_shows_who_lied() -> None:
    """The node software has it by the other network; the outline that was given here is of another."""
    other = short_outline(FIRST.parts, LAST.state_hash, ME)
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(other)))
    assert lab.blamed() == {}
    lab.feed(LAST.tip)
    assert {number: reason.code for number, reason in lab.blamed().items()} == {1: ReasonCode.RESPONSE_HASH_MISMATCH}
    assert not lab.blocks.candidates


def test_who_is_overdue_owes_a_block_that_came_another_way() -> None:
    """Else whoever withholds blocks is never found out where there is another network."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).answer(4, BlockGetNext, HASH).wait(2 * SECOND)
    lab.feed(LAST.tip)
    assert lab.blamed() == {}
    lab.wait(lab.blocks.config.answer)
    assert {number: reason.code for number, reason in lab.blamed().items()} == {4: ReasonCode.CHANNEL_TIMEOUT}


def test_an_outline_with_too_many_places_does_not_cost_us_who_is_honest() -> None:
    """Who is asked for items that the block does not have says that there are none: it keeps its place, and gives the body."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).answer(4, BlockGetNext, HASH)
    longer = short_outline(LAST.parts, LAST.state_hash, ME)
    count = 100
    longer = longer.replace(frame=Frame(longer.frame.first.replace(works=count, statuses=()), None), id_string=bytes(8 * count))
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(longer))).verdict()
    assert lab.has_asked(4, BlockGetItems)
    lab.answer(4, BlockGetItems, BlockNotHeld())
    assert lab.has_asked(4, BlockGetBody)
    assert not lab.has_asked(1, BlockGetItems)
    lab.answer(4, BlockGetBody, BlockBodyItem(LAST.body))
    assert _taken(lab) == [LAST.raw]
    assert {number: reason.code for number, reason in lab.blamed().items()} == {1: ReasonCode.RESPONSE_HASH_MISMATCH}


def test_who_has_no_items_of_its_own_outline_is_let_go() -> None:
    """That is its right, as with any other question."""
    outline = OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))
    lab = Lab(tip=GENESIS).join(1).answer(1, BlockGetNext, BlockHeaderItem(LAST.header, outline))
    lab.answer(1, BlockGetItems, BlockNotHeld())
    assert not lab.blocks.candidates
    assert lab.blamed() == {}


def test_who_is_not_given_a_block_hears_of_it_again() -> None:
    """Places that there are not are declined; the block is announced anew with the next permission, since nobody else may."""
    lab = Lab(tip=LAST).join(1).ask(1, BlockGetNext(Wants.HASH, 0))
    assert lab.answers() == [(1, HASH)]
    lab.ask(1, BlockGetItems(LAST.state_hash, (999,)))
    assert lab.answers() == [(1, BlockNotHeld())]
    lab.ask(1, BlockGetNext(Wants.HASH, 0))
    assert lab.answers() == [(1, HASH)]


def test_headers_that_lose_come_ever_slower() -> None:
    """Each costs a hash. After one that wins it is as it was."""
    lab = Lab(tip=LAST).join(1)
    loser = BlockHeaderItem(FIRST.header, AloneRest())
    interval, pauses = lab.blocks.config.interval, list[int]()
    for _ in range(6):
        lab.feed(BlocksTipSet(LAST.header, LAST.body)).answer(1, BlockGetNext, loser)
        local = lab.blocks.peers[ConnectionId(1)].local
        assert isinstance(local, Paused)
        pauses.append((local.deadline - lab.now) // interval)
        lab.wait(local.deadline - lab.now)
    assert pauses == [1, 2, 4, 8, 16, 16]
    assert lab.blamed() == {}


# --- withheld blocks ------------------------------------------------------------------------------


def test_many_who_withhold_cost_few_hedges() -> None:
    """One is asked, then two at once, then four: seven that are silent cost three hedges."""
    lab = Lab(tip=GENESIS, header_permissions_max=1).join(*range(1, 10))
    for number in range(2, 10):
        lab.answer(number, BlockGetNext, HASH)
    for asked in (1, 3, 7):
        assert sum(lab.has_asked(number, BlockGetHeader) for number in range(2, 10)) == asked
        lab.wait(lab.blocks.config.hedge)
    lab.answer(9, BlockGetHeader, ALONE)
    assert lab.blocks.candidates[1].copies


def test_a_slow_peer_has_one_patience_for_all_its_answers() -> None:
    """Who gives the header just in time has next to none left for the outline."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).answer(4, BlockGetNext, HASH).answer(5, BlockGetNext, HASH)
    hedge, granularity = lab.blocks.config.hedge, lab.blocks.config.granularity
    lab.wait(hedge - granularity).answer(4, BlockGetHeader, ALONE)
    assert lab.has_asked(4, BlockGetOutline)
    assert not lab.has_asked(5, BlockGetOutline)
    lab.wait(2 * granularity)
    assert lab.has_asked(5, BlockGetOutline)


def test_a_withheld_block_does_not_silence_whoever_checks_it() -> None:
    """Its header is valid and its body comes from nobody: after a hedge all who were checking it may announce another, and that is fetched."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5, 6)
    for number in (4, 5, 6):
        lab.answer(number, BlockGetNext, BlockChecking(FIRST.state_hash))
    assert all(isinstance(lab.blocks.peers[ConnectionId(number)].local, Unsettled) for number in (4, 5, 6))
    lab.wait(lab.blocks.config.hedge)
    assert all(isinstance(lab.blocks.peers[ConnectionId(number)].local, Asked) for number in (4, 5, 6))
    lab.answer(5, BlockGetNext, HASH).know(LAST)
    [other] = [candidate for candidate in lab.blocks.candidates.values() if candidate.state_hash == FIRST.state_hash]
    assert 5 not in other.announcers, "a peer is undecided about one block at a time"
    outline = OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))
    lab.answer(5, BlockGetHeader, BlockHeaderItem(LAST.header, outline)).verdict()
    assert _taken(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_who_was_checking_is_told_by_whoever_comes_to_hold_it() -> None:
    """Its own source may have lied: it is told a second time by nobody else, and says so to nobody."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).know(LAST)
    lab.ask(4, BlockGetNext(Wants.HASH, 0)).ask(4, BlockGetNext(Wants.HASH, 0))
    lab.answer(4, BlockGetNext, CHECKING)
    outline = OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, outline))
    assert not [answer for number, answer in lab.answers() if number == 4], "it is checking that block, as we are"
    lab.verdict()
    assert (4, HASH) in lab.answers()


def test_who_was_checking_is_not_sent_the_header_that_it_has() -> None:
    """By a permission for a header there is nothing to say, until it is given anew: then its source has failed it."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).know(LAST)
    lab.ask(4, BlockGetNext(Wants.HEADER, 0)).ask(4, BlockGetNext(Wants.HEADER, 0))
    lab.answer(4, BlockGetNext, CHECKING)
    outline = OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, outline)).verdict()
    assert _taken(lab) == [LAST.raw]
    assert lab.answers() == []
    lab.ask(4, BlockGetNext(Wants.HEADER, 0))
    [(number, answer)] = lab.answers()
    assert number == 4
    assert isinstance(answer, BlockHeaderItem)


def test_who_may_send_headers_is_asked_before_a_block_is_given_up() -> None:
    """Told that it is checked here, it says nothing of it: it may hold it by now, or hears so that it is missed here."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).answer(1, BlockGetNext, ALONE)
    lab.answer(1, BlockGetOutline, BlockNotHeld())
    assert lab.has_asked(2, BlockGetBody)
    lab.answer(2, BlockGetBody, BlockNotHeld())
    lab.answer(3, BlockGetBody, BlockBodyItem(LAST.body)).verdict()
    assert _taken(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_a_block_that_nobody_has_is_given_up_once_all_were_asked() -> None:
    """Each once."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).answer(1, BlockGetNext, ALONE)
    lab.answer(1, BlockGetOutline, BlockNotHeld()).answer(2, BlockGetBody, BlockNotHeld()).answer(3, BlockGetBody, BlockNotHeld())
    assert not lab.blocks.candidates
    assert lab.blamed() == {}


def test_who_says_that_it_does_not_hold_a_block_is_told_of_it() -> None:
    """It announced the block, and has lost it since."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).know(LAST)
    lab.ask(4, BlockGetNext(Wants.HASH, 0)).ask(4, BlockGetNext(Wants.HASH, 0))
    lab.answer(4, BlockGetNext, HASH).answer(5, BlockGetNext, HASH).answer(4, BlockGetHeader, BlockNotHeld())
    outline = OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))
    lab.answer(5, BlockGetHeader, BlockHeaderItem(LAST.header, outline))
    assert (4, CHECKING) in lab.answers()


def test_who_could_announce_another_and_gives_the_late_one_after_all() -> None:
    """The permission is taken back: it has one undecided block with us."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).know(LAST).answer(4, BlockGetNext, CHECKING)
    lab.wait(lab.blocks.config.hedge)
    outline = OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))
    lab.answer(4, BlockGetHeader, BlockHeaderItem(LAST.header, outline))
    assert isinstance(lab.blocks.peers[ConnectionId(4)].local, Unsettled)
    assert not lab.has_asked(4, BlockGetNext)
    lab.verdict()
    assert _taken(lab) == [LAST.raw]
    assert lab.has_asked(4, BlockGetNext)
    assert lab.blamed() == {}


def test_nobody_is_left_to_ask_ends_the_block_in_time() -> None:
    """All who were checking it say that they do not hold it."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5)
    lab.answer(4, BlockGetNext, CHECKING).answer(5, BlockGetNext, CHECKING).wait(5 * SECOND)
    lab.answer(4, BlockGetHeader, BlockNotHeld()).answer(5, BlockGetHeader, BlockNotHeld())
    assert not lab.blocks.candidates
    assert lab.blamed() == {}
