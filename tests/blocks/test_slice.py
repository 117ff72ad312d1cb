"""A block's way in and out, step by step, and every lie on it."""

from __future__ import annotations

import pytest

from blocks.lab import Lab, chain, foreign_copy, sample
from mina_p2p.blocks import items as items_module
from mina_p2p.blocks.actions import (
    BlockDropped,
    BlockHeaderReceived,
    BlockReceived,
    BlocksAnswerReceived,
    BlocksAnswerReset,
    BlocksItemKnown,
    BlocksPeerLeft,
    BlocksRequestCancelled,
    BlocksVerdict,
)
from mina_p2p.blocks.split import (
    SHORT_BYTES,
    Outline,
    RawBlockBody,
    full_outline,
    item_digest,
    outline_salt,
    short_id,
    short_outline,
)
from mina_p2p.blocks.state import Asked, Paused
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    AloneRest,
    BlockBodyItem,
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
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.transport import ChannelsEffectfulAnswerSend

GENESIS, FIRST, SECOND_BLOCK, LAST = chain()
ME_SALTED = bytes([200]) * 32


def _header(outline: Outline | None = None) -> BlockHeaderItem:
    return BlockHeaderItem(LAST.header, AloneRest() if outline is None else OutlineRest(outline))


def _salted() -> Outline:
    return short_outline(LAST.parts, LAST.state_hash, ME_SALTED)


def _salted_lie() -> Outline:
    return _salted().replace(id_string=bytes(SHORT_BYTES * len(LAST.parts.items)))


def _received(lab: Lab) -> list[bytes]:
    return [bytes(effect.block) for effect in lab.all if isinstance(effect, BlockReceived)]


def test_permissions_are_for_three_headers_and_otherwise_hashes() -> None:
    """Twenty peers do not send twenty headers; a cold node has one peer send whole blocks."""
    warm = Lab(tip=GENESIS).join(*range(1, 7))
    wants = [request.wants for n in range(1, 7) for _, request in warm.requests(n) if isinstance(request, BlockGetNext)]
    assert wants == [Wants.HEADER] * 3 + [Wants.HASH] * 3
    cold = Lab(is_cold=True).join(1, 2, 3, 4)
    wants = [request.wants for n in (1, 2, 3, 4) for _, request in cold.requests(n) if isinstance(request, BlockGetNext)]
    assert wants == [Wants.FULL, Wants.HEADER, Wants.HEADER, Wants.HASH]


def test_a_warm_node_needs_the_header_and_the_outline_only() -> None:
    """With all items here, the block is complete with one message, and taken with the verdict."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST)
    lab.answer(1, BlockGetNext, _header(_salted()))
    assert [told.state_hash for told in lab.of(BlockHeaderReceived)] == [LAST.state_hash]
    assert not lab.has_asked(1, BlockGetItems)
    assert _received(lab) == []
    lab.verdict()
    assert [(told.block, told.is_best) for told in lab.of(BlockReceived)] == [(LAST.raw, True)]
    assert isinstance(lab.blocks.peers[ConnectionId(1)].local, Asked)
    assert lab.blamed() == {}


def test_missing_items_are_asked_of_several_announcers() -> None:
    """Each item of one of those who hold the block; none twice."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST, 0, 1)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, _header(_salted()))
    asked = {n: request.indexes for n in (1, 4) for _, request in lab.requests(n) if isinstance(request, BlockGetItems)}
    assert sorted(index for indexes in asked.values() for index in indexes) == list(range(2, len(LAST.parts.items)))
    assert all(asked.values())
    assert len(asked) == 2
    lab.verdict()
    for number, indexes in asked.items():
        lab.answer(number, BlockGetItems, BlockItems(tuple(LAST.parts.items[i] for i in indexes)))
    assert _received(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_a_block_nobody_else_has_comes_from_its_producer() -> None:
    """No item is here: the only announcer gives all."""
    lab = Lab(tip=GENESIS).join(1)
    lab.answer(1, BlockGetNext, _header(_salted()))
    lab.answer(1, BlockGetItems, BlockItems(LAST.parts.items)).verdict()
    assert _received(lab) == [LAST.raw]
    assert lab.blocks.is_cold, "as nothing was here, the next block is asked for whole"


def test_a_cold_node_gets_the_whole_block_at_once() -> None:
    """Its one large permission brings header and body together."""
    lab = Lab(is_cold=True, tip=GENESIS).join(1, 2)
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, BodyRest(LAST.body))).verdict()
    assert _received(lab) == [LAST.raw]


def test_a_hash_is_followed_by_a_question_for_the_header() -> None:
    """One at a time; when a header comes by a permission, the question is withdrawn."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5).know(LAST)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash)).answer(5, BlockGetNext, BlockHash(LAST.state_hash))
    assert lab.has_asked(4, BlockGetHeader)
    assert not lab.has_asked(5, BlockGetHeader)
    lab.answer(1, BlockGetNext, _header(_salted()))
    assert not lab.has_asked(4, BlockGetHeader)
    lab.verdict()
    assert _received(lab) == [LAST.raw]


def test_a_small_body_comes_along() -> None:
    """Up to the size that the permission names."""
    lab = Lab(tip=FIRST).join(1)
    lab.ask(1, BlockGetNext(Wants.HEADER, len(FIRST.body)))
    assert lab.answers() == [(1, BlockHeaderItem(FIRST.header, BodyRest(FIRST.body)))]
    other = Lab(tip=FIRST).join(1).ask(1, BlockGetNext(Wants.HEADER, len(FIRST.body) - 1))
    assert other.answers() == [(1, BlockHeaderItem(FIRST.header, OutlineRest(short_outline(FIRST.parts, FIRST.state_hash, b"\1" * 32))))]


def test_a_body_larger_than_permitted_is_a_violation() -> None:
    """What may come along was said."""
    lab = Lab(tip=GENESIS).join(1)
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, BodyRest(LAST.body)))
    assert lab.blamed()[1].code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION


def test_a_block_is_offered_after_its_verdict_to_who_does_not_have_it() -> None:
    """Not before, where the setting says so, and not to who announced it."""
    lab = Lab(tip=GENESIS, announces_while_checking=False).join(1, 2, 3, 4).know(LAST)
    for number, wants in ((1, Wants.HEADER), (2, Wants.HASH), (3, Wants.FULL), (4, Wants.HASH)):
        lab.ask(number, BlockGetNext(wants, 0))
    # All were told of the first tip; now they permit the next one.
    for number, wants in ((1, Wants.HEADER), (2, Wants.HASH), (3, Wants.FULL), (4, Wants.HASH)):
        lab.ask(number, BlockGetNext(wants, 0))
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, _header(_salted()))
    assert lab.answers() == []
    lab.verdict()
    assert lab.answers() == [(2, BlockHash(LAST.state_hash)), (3, BlockHeaderItem(LAST.header, BodyRest(LAST.body)))]


def test_everything_of_a_held_block_is_served() -> None:
    """Header, outline, items, body; nothing of a block that is not held."""
    lab = Lab(tip=FIRST).join(1)
    name, items = FIRST.state_hash, FIRST.parts.items
    assert lab.ask(1, BlockGetOutline(name)).answers() == [(1, BlockOutlineItem(full_outline(FIRST.parts)))]
    assert lab.ask(1, BlockGetItems(name, (0, 2))).answers() == [(1, BlockItems((items[0], items[2])))]
    assert lab.ask(1, BlockGetBody(name)).answers() == [(1, BlockBodyItem(FIRST.body))]
    assert lab.ask(1, BlockGetHeader(name, 1 << 20)).answers() == [(1, BlockHeaderItem(FIRST.header, BodyRest(FIRST.body)))]
    assert lab.ask(1, BlockGetItems(name, (0, len(items)))).answers() == [(1, BlockNotHeld())]
    assert lab.ask(1, BlockGetBody(LAST.state_hash)).answers() == [(1, BlockNotHeld())]
    assert lab.ask(1, BlockGetItems(name, (2, 2))).blamed()[1].code is ReasonCode.CHANNEL_MSG_UNDECODABLE


def test_a_peer_is_not_sent_a_block_again_and_again() -> None:
    """A few times its size, then no more."""
    lab = Lab(tip=FIRST, serve_factor=2).join(1)
    answers = [lab.ask(1, BlockGetBody(FIRST.state_hash)).answers()[0][1] for _ in range(6)]
    assert BlockNotHeld() in answers
    assert answers[0] == BlockBodyItem(FIRST.body)


def test_a_losing_header_is_not_verified() -> None:
    """Nobody is blamed for being behind; its next announcement has to wait a little."""
    lab = Lab(tip=LAST).join(1)
    lab.answer(1, BlockGetNext, BlockHeaderItem(FIRST.header, AloneRest()))
    assert lab.of(BlockHeaderReceived) == []
    assert lab.blamed() == {}
    assert isinstance(lab.blocks.peers[ConnectionId(1)].local, Paused)
    lab.wait(SECOND)
    assert lab.has_asked(1, BlockGetNext)


def test_two_competing_blocks_are_fetched_at_once() -> None:
    """The better one is the tip in the end, and both can be served."""
    lab = Lab(tip=GENESIS).join(1, 2).know(LAST).know(FIRST)
    lab.answer(2, BlockGetNext, BlockHeaderItem(FIRST.header, OutlineRest(short_outline(FIRST.parts, FIRST.state_hash, ME_SALTED))))
    lab.verdict()
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    assert _received(lab) == [FIRST.raw, LAST.raw]
    assert lab.blocks.tip is not None
    assert lab.blocks.tip.state_hash == LAST.state_hash
    assert lab.blocks.holding(FIRST.state_hash) is not None


def test_an_older_block_that_is_judged_later_is_no_tip() -> None:
    """Both were fetched at once; the worse one was slower."""
    lab = Lab(tip=GENESIS).join(1, 2).know(LAST).know(FIRST)
    lab.answer(2, BlockGetNext, BlockHeaderItem(FIRST.header, OutlineRest(short_outline(FIRST.parts, FIRST.state_hash, ME_SALTED))))
    slow = lab.of(BlockHeaderReceived)[0].verdict_id
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.feed(BlocksVerdict(slow, is_valid=True))
    assert [told.is_best for told in lab.of(BlockReceived)] == [False]
    assert lab.blocks.tip is not None
    assert lab.blocks.tip.state_hash == LAST.state_hash


# --- lies ---------------------------------------------------------------------------------------


def test_a_bad_proof_condemns_the_copy_and_not_the_hash() -> None:
    """The right state with a foreign proof: its sender pays, the true copy is taken from another."""
    lab = Lab(tip=GENESIS).join(1, 2).know(LAST)
    lab.answer(1, BlockGetNext, BlockHeaderItem(foreign_copy(), OutlineRest(_salted())))
    bad = lab.of(BlockHeaderReceived)[0].verdict_id
    lab.answer(2, BlockGetNext, _header(_salted()))
    good = lab.of(BlockHeaderReceived)[0].verdict_id
    lab.feed(BlocksVerdict(bad, is_valid=False))
    assert {n: reason.code for n, reason in lab.blamed().items()} == {1: ReasonCode.INVALID_MESSAGE}
    lab.feed(BlocksVerdict(good, is_valid=True))
    assert _received(lab) == [LAST.raw]


def test_a_condemned_copy_is_not_judged_twice() -> None:
    """Whoever else sends it is left at once."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, BlockHeaderItem(foreign_copy(), AloneRest())).verdict(is_valid=False)
    lab.answer(2, BlockGetNext, BlockHeaderItem(foreign_copy(), AloneRest()))
    assert lab.of(BlockHeaderReceived) == []
    assert sorted(lab.blamed()) == [1, 2]
    assert lab.has_asked(4, BlockGetHeader)


def test_a_header_of_another_block_blames_its_sender() -> None:
    """The question named the hash."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash)).answer(5, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(4, BlockGetHeader, BlockHeaderItem(FIRST.header, AloneRest()))
    assert lab.blamed()[4].code is ReasonCode.RESPONSE_HASH_MISMATCH
    assert lab.has_asked(5, BlockGetHeader)


def test_an_outline_of_other_items_blames_its_sender_once_that_is_proven() -> None:
    """By full digests and with all its items given, it misses the body reference."""
    other = short_outline(FIRST.parts, LAST.state_hash, ME_SALTED)
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(FIRST).know(LAST)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, _header(other)).verdict()
    assert lab.blamed() == {}, "an id may have met another item"
    lab.answer(4, BlockGetOutline, BlockNotHeld()).answer(1, BlockGetOutline, BlockOutlineItem(full_outline(FIRST.parts)))
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH


def test_who_may_have_lied_is_asked_after_others() -> None:
    """Items that miss the body reference: another is asked for full digests, and they show who lied."""
    other = short_outline(FIRST.parts, LAST.state_hash, ME_SALTED)
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(FIRST).know(LAST)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, _header(other)).verdict()
    assert not lab.has_asked(1, BlockGetOutline)
    lab.answer(4, BlockGetOutline, BlockOutlineItem(full_outline(LAST.parts)))
    assert _received(lab) == [LAST.raw]
    assert sorted(lab.blamed()) == [1]


def test_two_outlines_that_contradict_each_other_blame_their_sender() -> None:
    """The salted ids of the second are not the first's."""
    lab = Lab(tip=GENESIS).join(1, 2).know(FIRST).know(LAST)
    lab.answer(1, BlockGetNext, _header(short_outline(FIRST.parts, LAST.state_hash, ME_SALTED)))
    lab.answer(1, BlockGetOutline, BlockOutlineItem(full_outline(LAST.parts)))
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH


def test_a_wrong_item_by_who_gave_the_outline_blames_it_at_once() -> None:
    """It contradicts itself; others fill the gap."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST, *range(1, len(LAST.parts.items)))
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetItems, BlockItems((b"another",)))
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH
    lab.answer(4, BlockGetItems, BlockItems((LAST.parts.items[0],)))
    assert _received(lab) == [LAST.raw]
    assert sorted(lab.blamed()) == [1]


def test_a_lying_outline_costs_its_sender_and_not_who_gave_the_true_item() -> None:
    """An item against another's outline: the whole body decides who lied."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, _header(_salted_lie())).verdict()
    request = next(request for _, request in lab.requests(4) if isinstance(request, BlockGetItems))
    lab.answer(4, BlockGetItems, BlockItems(tuple(LAST.parts.items[i] for i in request.indexes)))
    assert lab.blamed() == {}
    asked = next(n for n in (1, 4) if lab.has_asked(n, BlockGetBody))
    lab.answer(asked, BlockGetBody, BlockBodyItem(LAST.body))
    assert {n: reason.code for n, reason in lab.blamed().items()} == {1: ReasonCode.RESPONSE_HASH_MISMATCH}
    assert _received(lab) == [LAST.raw]


def test_a_wrong_item_against_a_true_outline_costs_its_sender() -> None:
    """The other way round."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4)
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    request = next(request for _, request in lab.requests(4) if isinstance(request, BlockGetItems))
    lab.answer(4, BlockGetItems, BlockItems(tuple(b"wrong" for _ in request.indexes)))
    asked = next(n for n in (1, 4) if lab.has_asked(n, BlockGetBody))
    if asked == 4:
        lab.answer(4, BlockGetBody, BlockBodyItem(FIRST.body))
        asked = 1
    lab.answer(asked, BlockGetBody, BlockBodyItem(LAST.body))
    assert sorted(lab.blamed()) == [4]
    assert _received(lab) == [LAST.raw]


def test_a_foreign_item_in_our_own_pool_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a salted id meets another item here, full digests find it, and only that item is fetched."""
    salt = outline_salt(LAST.state_hash, ME_SALTED)
    strangers = {short_id(salt, item_digest(b"stranger")): short_id(salt, LAST.parts.digests[0])}

    def meets(salt: bytes, digest: bytes) -> bytes:
        name = short_id(salt, digest)
        return strangers.get(name, name)

    monkeypatch.setattr(items_module, "short_id", meets)
    lab = Lab(tip=GENESIS).join(1, 2).know(LAST, *range(1, len(LAST.parts.items)))
    lab.feed(BlocksItemKnown(b"stranger"))
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.answer(1, BlockGetOutline, BlockOutlineItem(full_outline(LAST.parts)))
    request = next(request for _, request in lab.requests(1) if isinstance(request, BlockGetItems))
    assert request.indexes == (0,)
    lab.answer(1, BlockGetItems, BlockItems((LAST.parts.items[0],)))
    assert _received(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_a_withheld_item_is_asked_of_another_and_paid_for() -> None:
    """After the hedge another delivers; who withheld it is left at its deadline, though the block is long complete."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST, *range(1, len(LAST.parts.items)))
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.wait(lab.blocks.config.hedge)
    lab.answer(4, BlockGetItems, BlockItems((LAST.parts.items[0],)))
    assert _received(lab) == [LAST.raw]
    assert lab.blamed() == {}
    lab.wait(lab.blocks.config.answer)
    assert {n: reason.code for n, reason in lab.blamed().items()} == {1: ReasonCode.CHANNEL_TIMEOUT}


def test_who_was_slow_and_delivers_in_time_pays_nothing() -> None:
    """What is owed and comes late is let go."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST, *range(1, len(LAST.parts.items)))
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    lab.wait(lab.blocks.config.hedge)
    lab.answer(4, BlockGetItems, BlockItems((LAST.parts.items[0],)))
    lab.answer(1, BlockGetItems, BlockItems((LAST.parts.items[0],)))
    lab.wait(lab.blocks.config.answer)
    assert lab.blamed() == {}


def test_a_header_without_a_body_ends_within_the_deadline() -> None:
    """Who announces a block holds it; alone, it is left, and the node software is told why there is no block."""
    lab = Lab(tip=GENESIS).join(1)
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.wait(lab.blocks.config.answer + SECOND)
    assert lab.blamed()[1].code is ReasonCode.CHANNEL_TIMEOUT
    assert [effect.reason.code for effect in lab.all if isinstance(effect, BlockDropped)] == [ReasonCode.CHANNEL_TIMEOUT]
    lab.join(2).answer(2, BlockGetNext, _header(_salted())).verdict()
    lab.answer(2, BlockGetItems, BlockItems(LAST.parts.items))
    assert _received(lab) == [LAST.raw], "the hash is not condemned"


def test_a_second_header_without_permission_is_a_violation() -> None:
    """One unverified header per peer."""
    lab = Lab(tip=GENESIS).join(1).know(LAST)
    ticket = lab.ticket(1, BlockGetNext)
    lab.answer(1, BlockGetNext, _header(_salted()))
    assert not lab.has_asked(1, BlockGetNext), "its next permission comes after the verdict"
    lab.feed(BlocksAnswerReceived(ConnectionId(1), ticket, BLOCK_MESSAGE.encode(_header(_salted()))))
    assert lab.blamed()[1].code is ReasonCode.CHANNEL_MSG_UNEXPECTED


def test_a_wrong_body_blames_its_sender() -> None:
    """It is not what the header promises, whoever sent that."""
    lab = Lab(tip=GENESIS, is_cold=True).join(1, 2)
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, BodyRest(FIRST.body)))
    assert lab.blamed()[1].code is ReasonCode.RESPONSE_HASH_MISMATCH


def test_no_verdict_blames_nobody() -> None:
    """The block is given up for now."""
    lab = Lab(tip=GENESIS).join(1).know(LAST)
    lab.answer(1, BlockGetNext, _header(_salted()))
    lab.wait(lab.blocks.config.candidate)
    assert lab.blamed() == {}
    assert len(lab.blocks.candidates) == 0
    assert lab.has_asked(1, BlockGetNext)


@pytest.mark.parametrize("way", ["not held", "reset", "gone"])
def test_who_can_not_help_is_followed_by_another(way: str) -> None:
    """Declining is no lie."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4)
    lab.answer(1, BlockGetNext, _header(_salted())).verdict()
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash))
    match way:
        case "not held":
            lab.answer(1, BlockGetItems, BlockNotHeld())
        case "reset":
            lab.feed(BlocksAnswerReset(ConnectionId(1), lab.ticket(1, BlockGetItems), StreamResetCode.REFUSED))
        case _:
            lab.feed(BlocksPeerLeft(ConnectionId(1)))
    lab.answer(4, BlockGetItems, BlockItems(LAST.parts.items))
    assert _received(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_the_node_softwares_own_block_ends_the_search_for_it() -> None:
    """It came another way."""
    lab = Lab(tip=GENESIS).join(1)
    lab.answer(1, BlockGetNext, _header(_salted())).feed(LAST.tip)
    assert len(lab.blocks.candidates) == 0
    assert lab.blamed() == {}


def test_items_outlive_their_block() -> None:
    """A competing block that contains the same transactions needs none of them again."""
    lab = Lab(tip=GENESIS).join(1)
    lab.answer(1, BlockGetNext, _header(_salted()))
    lab.answer(1, BlockGetItems, BlockItems(LAST.parts.items)).verdict()
    assert all(lab.blocks.items.get(digest) is not None for digest in LAST.parts.digests)


def test_samples_are_what_they_seem() -> None:
    """The foreign copy is of the same block, in other bytes."""
    again = sample(bytes(RawBlock(foreign_copy() + LAST.body)))
    assert again.state_hash == LAST.state_hash
    assert again.header != LAST.header
    assert isinstance(LAST.body, RawBlockBody)


def test_an_announcement_that_was_not_read_is_made_again() -> None:
    """The peer withdrew its permission while the answer was on its way; with its next one it is told."""
    lab = Lab(tip=FIRST).join(1).ask(1, BlockGetNext(Wants.HASH, 0))
    used = lab.of(ChannelsEffectfulAnswerSend)[0].stream
    lab.feed(BlocksRequestCancelled(ConnectionId(1), used))
    assert lab.ask(1, BlockGetNext(Wants.HASH, 0)).answers() == [(1, BlockHash(FIRST.state_hash))]
    assert lab.ask(1, BlockGetNext(Wants.HASH, 0)).answers() == [], "it has been told"


def test_who_announces_early_may_send_headers() -> None:
    """It takes the place of a peer that did not announce the block, whose permission is withdrawn."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(FIRST)
    lab.answer(4, BlockGetNext, BlockHash(FIRST.state_hash))
    lab.answer(4, BlockGetHeader, BlockHeaderItem(FIRST.header, OutlineRest(short_outline(FIRST.parts, FIRST.state_hash, ME_SALTED))))
    lab.verdict()
    assert isinstance(lab.blocks.peers[ConnectionId(3)].local, Paused)
    local = lab.blocks.peers[ConnectionId(4)].local
    assert isinstance(local, Asked)
    assert local.wants is Wants.HEADER
    lab.wait(lab.blocks.config.settle)
    wants = {n: request.wants for n in range(1, 5) for _, request in lab.requests(n) if isinstance(request, BlockGetNext)}
    assert wants == {1: Wants.HEADER, 2: Wants.HEADER, 3: Wants.HASH, 4: Wants.HEADER}


def _items_asked(lab: Lab) -> set[int]:
    """Whom the last block's items were asked of."""
    asked = [(n, request) for n in range(1, 5) for _, request in lab.requests(n)]
    return {n for n, request in asked if isinstance(request, BlockGetItems) and request.state_hash == LAST.state_hash}


def test_who_owes_an_answer_is_asked_only_where_nobody_else_can_be() -> None:
    """A peer that withholds one block does not delay the next one too, and one that is slow is not shut out."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(FIRST, *range(len(FIRST.parts.items) - 1))
    lab.answer(
        1, BlockGetNext, BlockHeaderItem(FIRST.header, OutlineRest(short_outline(FIRST.parts, FIRST.state_hash, ME_SALTED)))
    ).verdict()
    lab.answer(4, BlockGetNext, BlockHash(FIRST.state_hash)).wait(lab.blocks.config.hedge)
    lab.answer(4, BlockGetItems, BlockItems((FIRST.parts.items[-1],)))
    assert lab.blocks.peers[ConnectionId(1)].owing
    alone = lab.copy().answer(1, BlockGetNext, _header(_salted()))
    assert alone.blocks.candidate_of(LAST.state_hash) is not None
    assert _items_asked(alone) == {1}
    header = next(n for n in (2, 3, 4) if any(getattr(request, "wants", None) is Wants.HEADER for _, request in lab.requests(n)))
    lab.answer(header, BlockGetNext, _header(_salted())).answer(1, BlockGetNext, _header(_salted()))
    assert _items_asked(lab) == {header}


def test_a_few_warm_blocks_make_a_warm_node() -> None:
    """One with all its items here may just have had few: bodies come along until four in a row needed nothing."""
    lab = Lab(tip=GENESIS, is_cold=True).join(1)
    along = [_along(lab)]
    for block in chain(6)[1:-1]:
        lab.know(block).answer(1, BlockGetNext, BlockHeaderItem(block.header, BodyRest(block.body))).verdict()
        along.append(_along(lab))
    config = lab.blocks.config
    cold, unsure = config.body_along_unknown_max(is_cold=True), config.body_along_unknown_max(is_cold=False)
    assert cold > unsure > config.body_along_max
    assert along == [cold, *[unsure] * 3, config.body_along_max]


def _along(lab: Lab) -> int:
    ((_, request),) = lab.requests(1)
    assert isinstance(request, BlockGetNext)
    return request.body_bytes_max
