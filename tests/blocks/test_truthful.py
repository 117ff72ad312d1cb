"""What an honest node never says, whatever a liar told it: each of these would cost it an honest peer. And liars that used to get away."""

from __future__ import annotations

import pytest

from blocks.lab import ME, Lab, Sample, chain, foreign_copy, sample
from mina_p2p.blocks.actions import (
    BlockHeaderReceived,
    BlocksPeerLeft,
    BlocksRequestCancelled,
    BlocksRequestSend,
    BlocksVerdict,
)
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.blocks.items import Items
from mina_p2p.blocks.pursuit import ITEMS_MAX
from mina_p2p.blocks.split import Frame, Outline, RawBlockHeader, item_digest, outline_salt, short_id, short_outline
from mina_p2p.blocks.state import Asked, Kind
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    INDEXES_MAX,
    AloneRest,
    BlockAnswer,
    BlockBodyItem,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockNotHeld,
    BlockQueued,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.mina.block import Block
from mina_p2p.mina.hashes import body_reference
from mina_p2p.mina.raw import RawBlock
from mina_p2p.mina.transaction_status import TransactionStatus
from mina_p2p.table import Index
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.transport import ChannelsEffectfulAnswerSend
from mina_p2p.wire import codec
from mina_p2p_effects.transports.quic.config import QuicConfig

GENESIS, FIRST, SECOND_BLOCK, LAST = chain()
SMALLEST = min(range(len(LAST.parts.items)), key=lambda place: len(LAST.parts.items[place]))


def _header(block: Sample, header: RawBlockHeader | None = None) -> BlockHeaderItem:
    return BlockHeaderItem(header or block.header, OutlineRest(short_outline(block.parts, block.state_hash, ME)))


def _asked(lab: Lab, number: int) -> list[tuple[BlocksRequestSend, BlockGetItems]]:
    """Questions for items that a peer was ever asked."""
    sent = [(one, BLOCK_MESSAGE.decode(one.frame)) for one in lab.all if isinstance(one, BlocksRequestSend) and one.connection_id == number]
    return [(one, question) for one, question in sent if isinstance(question, BlockGetItems)]


def _lie(known: int, unknown: int) -> Outline:
    """An outline of the last block that names its smallest item so often, and so many items that do not exist."""
    name = short_id(outline_salt(LAST.state_hash, ME), LAST.parts.digests[SMALLEST])
    made_up = b"".join(number.to_bytes(8, "big") for number in range(1, unknown + 1))
    frame = Frame(LAST.parts.frame.first.replace(works=known + unknown, statuses=()), None)
    return Outline(frame, 8, name * known + made_up)


# --- what is asked for ---------------------------------------------------------------------------


def test_the_longest_question_is_no_longer_than_a_request_may_be():
    """Wherever the items are: places of more than five bytes there are not."""
    places = tuple(range(ITEMS_MAX - INDEXES_MAX, ITEMS_MAX))
    assert len(BLOCK_MESSAGE.encode(BlockGetItems(LAST.state_hash, places))) <= QuicConfig().request_bytes_max


def test_whatever_an_outline_names_honest_peers_are_asked_no_more_than_they_permit():
    """A liar's outline puts what is missing behind place 65 536, where a place has five bytes."""
    lab = Lab(tip=GENESIS).join(1, 2, 3).know(LAST, SMALLEST)
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(_lie(65_536, 2 * INDEXES_MAX))))
    for number in (2, 3):
        lab.answer(number, BlockGetNext, BlockHeaderItem(LAST.header, AloneRest()))
    lab.wait(3 * SECOND)
    asked = [one for number in (1, 2, 3) for one in _asked(lab, number)]
    assert asked
    assert max(question.indexes[-1] for _, question in asked) >= 65_536
    assert max(len(sent.frame) for sent, _ in asked) <= QuicConfig().request_bytes_max


def test_the_room_for_items_does_not_follow_from_what_an_outline_names():
    """A liar names an item that is here so often that hardly anything seems to be missing; who answers truly needs more."""
    largest = max(range(len(LAST.parts.items)), key=lambda place: len(LAST.parts.items[place]))
    data = LAST.parts.items[largest]
    count, missing = BODY_BYTES_MAX // len(data), len(LAST.parts.items)
    name = short_id(outline_salt(LAST.state_hash, ME), item_digest(data))
    made_up = b"".join(number.to_bytes(8, "big") for number in range(1, missing + 1))
    frame = Frame(LAST.parts.frame.first.replace(works=count + missing, statuses=()), None)
    lab = Lab(tip=GENESIS).join(1, 2).know(LAST, largest)
    lab.answer(2, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(Outline(frame, 8, made_up + name * count))))
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, AloneRest()))
    lab.wait(2 * SECOND)
    [(sent, question), *_] = _asked(lab, 1)
    answer = BLOCK_MESSAGE.encode(BlockItems(tuple(LAST.parts.items[place] for place in question.indexes)))
    assert len(answer) <= sent.frame_bytes_max
    lab.feed_answer(1, sent.ticket, answer)
    assert 1 not in lab.blamed()


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("permitted", [0, 7, 8])
def test_a_busy_node_sends_no_body_that_was_not_permitted(permitted: int):
    """However small it is: whoever permits less would leave for it."""
    assert len(GENESIS.body) == 8
    lab = Lab(tip=GENESIS, link_bytes_per_second=1000).join(1, 2)
    lab.ask(2, BlockGetHeader(GENESIS.state_hash, 1 << 20)).ask(1, BlockGetHeader(GENESIS.state_hash, permitted))
    [(_, answer)] = lab.answers()
    assert isinstance(answer.rest, BodyRest) == (permitted >= 8)


def _talkative() -> Sample:
    """A block of few transactions, one of which failed for a million reasons."""
    block = RawBlock(LAST.raw).value
    diff = block.body.staged_ledger_diff.diff
    count = 1_200_000
    status = codec(TransactionStatus).decode(b"\1\1\xfd" + count.to_bytes(4, "little") + bytes(count))
    commands = diff.first.commands
    first = diff.first.replace(commands=(commands[0].replace(status=status), *commands[1:]))
    body = block.body.replace(staged_ledger_diff=block.body.staged_ledger_diff.replace(diff=diff.replace(first=first)))
    state = block.header.protocol_state
    chain_state = state.body.blockchain_state.replace(body_reference=body_reference(body))
    state = state.replace(body=state.body.replace(blockchain_state=chain_state))
    return sample(bytes(RawBlock.of(Block(block.header.replace(protocol_state=state), body))))


def test_a_header_with_its_outline_is_never_larger_than_what_is_permitted():
    """A status may have any length; the header comes alone then."""
    block = _talkative()
    lab = Lab(tip=block).join(1, 2)
    for number, request in ((1, BlockGetNext(Wants.HEADER, 512)), (2, BlockGetHeader(block.state_hash, 512))):
        lab.ask(number, request)
        [(_, answer)] = lab.answers()
        assert isinstance(answer.rest, AloneRest)
        assert len(BLOCK_MESSAGE.encode(answer)) <= HEADER_BYTES_MAX


def _sent(lab: Lab) -> int:
    return sum(len(frame) for effect in lab.all if isinstance(effect, ChannelsEffectfulAnswerSend) for frame in effect.frames)


@pytest.mark.parametrize("wants", [Wants.FULL, Wants.HEADER])
def test_a_peer_is_sent_a_block_four_times_at_most_whatever_it_says(wants: Wants):
    """By asking for places that there are not, or by giving up what was answered: both make the node announce it anew."""
    by_places, by_resets = Lab(tip=LAST).join(1), Lab(tip=LAST).join(1)
    for _ in range(20):
        by_places.ask(1, BlockGetNext(wants, 1 << 20)).ask(1, BlockGetItems(LAST.state_hash, (9_999,)))
        by_resets.ask(1, BlockGetNext(wants, 1 << 20))
        for effect in by_resets.of(ChannelsEffectfulAnswerSend):
            by_resets.feed(BlocksRequestCancelled(ConnectionId(1), effect.stream))
    for lab in (by_places, by_resets):
        assert 2 * len(LAST.raw) < _sent(lab) <= 4 * len(LAST.raw) + 100
        lab.feed(sample(bytes(RawBlock.of(MinaGenerator(5).block(RawBlock(LAST.raw).value)))).tip)
        assert not lab.blamed()
    assert any(isinstance(answer, BlockHeaderItem) for _, answer in by_places.answers()), "the next block is for everybody"


def test_a_place_in_a_queue_is_told_once_though_the_block_was_not_held_meanwhile():
    """It is offered before its verdict, the node software sets another tip, and then it is found valid."""
    lab = Lab(tip=GENESIS, relays_before_verdict=True, link_bytes_per_second=len(LAST.body)).join(1, 4, 5, 6).know(LAST)
    for number in (4, 5, 6):
        lab.ask(number, BlockGetNext(Wants.HASH, 0)).ask(number, BlockGetNext(Wants.HASH, 0))
    lab.answer(1, BlockGetNext, _header(LAST))
    for number in (4, 5, 6):
        lab.ask(number, BlockGetBody(LAST.state_hash))
    assert [type(answer) for _, answer in lab.answers()] == [BlockQueued]
    lab.feed(FIRST.tip).wait(SECOND + SECOND // 2)
    lab.verdict().wait(10 * SECOND)
    queued = [
        e.stream for e in lab.all if isinstance(e, ChannelsEffectfulAnswerSend) and e.frames[0] == BLOCK_MESSAGE.encode(BlockQueued())
    ]
    assert queued
    assert len(queued) == len(set(queued))
    bodies = [
        BLOCK_MESSAGE.decode(e.frames[0]) for e in lab.all if isinstance(e, ChannelsEffectfulAnswerSend) and e.connection_id in {4, 5, 6}
    ]
    assert sum(isinstance(answer, BlockBodyItem) for answer in bodies) == 3
    assert not any(isinstance(answer, BlockNotHeld) for answer in bodies)


def test_what_was_offered_early_does_not_hide_a_better_block():
    """It is still a candidate, and offered no more once a better one was taken."""
    lab = Lab(tip=GENESIS, relays_before_verdict=True, announces_while_checking=False).join(1, 2, 5).know(SECOND_BLOCK).know(LAST)
    lab.ask(5, BlockGetNext(Wants.HASH, 0)).ask(5, BlockGetNext(Wants.HASH, 0))
    lab.answer(1, BlockGetNext, _header(SECOND_BLOCK))
    early = lab.of(BlockHeaderReceived)[0].verdict_id
    assert lab.answers() == [(5, BlockHash(SECOND_BLOCK.state_hash))]
    lab.ask(5, BlockGetNext(Wants.HASH, 0))
    lab.answer(2, BlockGetNext, _header(LAST)).verdict()
    assert lab.answers() == [(5, BlockHash(LAST.state_hash))]
    lab.join(9).ask(9, BlockGetNext(Wants.HASH, 0))
    assert lab.answers() == [(9, BlockHash(LAST.state_hash))]
    lab.feed(BlocksVerdict(early, True))
    assert not lab.answers()


def test_what_was_offered_early_in_vain_gives_way_to_the_next_that_is_whole():
    lab = Lab(tip=GENESIS, relays_before_verdict=True, announces_while_checking=False).join(1, 2, 5).know(SECOND_BLOCK).know(LAST)
    lab.answer(1, BlockGetNext, _header(LAST))
    false = lab.of(BlockHeaderReceived)[0].verdict_id
    lab.answer(2, BlockGetNext, _header(SECOND_BLOCK))
    lab.ask(5, BlockGetNext(Wants.HASH, 0)).ask(5, BlockGetNext(Wants.HASH, 0))
    lab.feed(BlocksVerdict(false, False))
    assert lab.answers() == [(5, BlockHash(SECOND_BLOCK.state_hash))]
    assert set(lab.blamed()) == {1}


# --- who used to get away ------------------------------------------------------------------------


def _with_a_false_copy() -> Lab:
    """Peer 2 sends a foreign proof for the last block; its verdict is open."""
    lab = Lab(tip=GENESIS).join(1, 2, 3).know(LAST)
    return lab.answer(2, BlockGetNext, _header(LAST, foreign_copy()))


@pytest.mark.parametrize("way", ["the true copy was found valid first", "the node software has the block", "the block lost", "in vain"])
def test_a_false_proof_costs_its_sender_also_when_the_block_is_decided(way: str):
    lab = _with_a_false_copy()
    false = lab.of(BlockHeaderReceived)[0].verdict_id
    match way:
        case "the true copy was found valid first":
            lab.answer(1, BlockGetNext, _header(LAST)).verdict()
        case "the node software has the block":
            lab.feed(LAST.tip)
        case "the block lost":
            better = sample(bytes(RawBlock.of(MinaGenerator(5).block(RawBlock(LAST.raw).value))))
            lab.feed(better.tip).answer(1, BlockGetNext, _header(LAST))
        case _:
            pass
    assert not lab.blamed()
    lab.feed(BlocksVerdict(false, False))
    assert {number: reason.code for number, reason in lab.blamed().items()} == {2: ReasonCode.INVALID_MESSAGE}


@pytest.mark.parametrize("is_valid", [True, False])
def test_a_late_verdict_counts_until_its_deadline(is_valid: bool):
    lab = _with_a_false_copy()
    asked = lab.of(BlockHeaderReceived)[0]
    lab.feed(LAST.tip).wait(asked.deadline - lab.now)
    before = lab.blocks
    lab.feed(BlocksVerdict(asked.verdict_id, is_valid))
    assert lab.blocks is before
    assert not lab.blamed()


# --- items ---------------------------------------------------------------------------------------


def test_a_block_that_is_not_valid_puts_nothing_out_of_the_pools():
    """Else one made-up header would make a node cold."""
    generator = MinaGenerator(7)
    commands = tuple(generator.user_command() for _ in range(60))
    made_up = sample(bytes(RawBlock.of(generator.block(RawBlock(LAST.raw).value, commands=commands))))
    lab = Lab(tip=GENESIS, items_max=60).join(1).know(LAST)
    before = lab.blocks.items, lab.blocks.warmth
    lab.answer(1, BlockGetNext, _header(made_up))
    [(_, question)] = _asked(lab, 1)
    lab.answer(1, BlockGetItems, BlockItems(tuple(made_up.parts.items[place] for place in question.indexes)))
    assert (lab.blocks.items, lab.blocks.warmth) == before
    lab.verdict(is_valid=False)
    assert (lab.blocks.items, lab.blocks.warmth) == before
    assert set(lab.blamed()) == {1}


def test_items_leave_in_the_order_in_which_they_were_met_last():
    """With gaps where one was met again; each number is looked at once."""
    items = Items(Index(b"salt"), 1 << 20, 4)
    for name in (b"a", b"b", b"c", b"d", b"a", b"e", b"c", b"f"):
        items = items.add(name)
    assert [one.data for one in items.stored.values()] == [b"a", b"e", b"c", b"f"]
    assert items.oldest <= min(items.stored.keys())
    assert [items.get(item_digest(name)) for name in (b"b", b"d")] == [None, None]
    one_large = items.add(bytes(1 << 20))
    assert [len(one.data) for one in one_large.stored.values()] == [1 << 20]
    too_large = items.add(bytes(2 << 20))
    assert (len(too_large), too_large.bytes_held) == (0, 0)
    assert [one.data for one in too_large.add(b"g").stored.values()] == [b"g"]


# --- who may send headers, and what is owed ------------------------------------------------------


def test_who_leaves_makes_room_among_those_who_may_send_headers():
    """Without waiting for the next block to be taken."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5, 6).know(LAST)
    for number in (4, 5, 6, 1, 2, 3):
        [(_, permission)] = lab.requests(number)
        is_hash = isinstance(permission, BlockGetNext) and permission.wants is Wants.HASH
        lab.answer(number, BlockGetNext, BlockHash(LAST.state_hash) if is_hash else _header(LAST))
        lab.wait(SECOND // 50)
    lab.verdict().wait(20 * SECOND)
    chosen = lab.blocks.preferred
    assert len(chosen) == 3
    for connection_id in chosen:
        lab.feed(BlocksPeerLeft(connection_id))
    lab.wait(20 * SECOND)
    assert set(lab.blocks.preferred) == set(lab.blocks.peers.keys())
    wants = [local.wants for peer in lab.blocks.peers.values() if isinstance(local := peer.local, Asked)]
    assert wants == [Wants.HEADER] * 3


@pytest.mark.parametrize(
    ("answer", "is_good"), [(BlockBodyItem(LAST.body), True), (BlockNotHeld(), True), (BlockHash(LAST.state_hash), False)]
)
def test_what_is_owed_has_to_be_an_answer_to_what_was_asked(answer: BlockAnswer, is_good: bool):
    """Peer 1 is overdue with a body when peer 2 gives it."""
    lab = Lab(tip=GENESIS, is_cold=True, link_bytes_per_second=0).join(1, 2)
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, AloneRest())).answer(
        2, BlockGetNext, BlockHeaderItem(LAST.header, AloneRest())
    )
    lab.wait(2 * SECOND).answer(2, BlockGetBody, BlockBodyItem(LAST.body)).verdict()
    assert [owing.kind for owing in lab.blocks.peers[ConnectionId(1)].owing] == [Kind.BODY]
    lab.answer(1, BlockGetBody, answer)
    assert {number: reason.code for number, reason in lab.blamed().items()} == ({} if is_good else {1: ReasonCode.RESPONSE_KIND_MISMATCH})


def test_software_that_gives_no_verdicts_makes_a_node_warm_too():
    """What it makes its tip is as good as found valid: it was counted when it came."""
    lab = Lab(tip=GENESIS, is_cold=True).join(1, 2)
    for block in (FIRST, SECOND_BLOCK, LAST):
        lab.know(block)
        lab.answer(1, BlockGetNext, BlockHeaderItem(block.header, BodyRest(block.body))).feed(block.tip).wait(2 * SECOND)
    assert (lab.blocks.warmth, lab.blocks.is_cold) == (100, False)


@pytest.mark.parametrize(
    "settings", [{"question_waiting": 26 * SECOND}, {"question_waiting": 0}, {"serve_factor": 1}, {"body_along_max": BODY_BYTES_MAX + 1}]
)
def test_settings_for_which_others_would_leave_can_not_be_made(settings: dict[str, int]):
    """A question has to be answered within 30 s, and a block that was announced has to be given, too."""
    with pytest.raises(ValueError):  # noqa: PT011 - attrs words it
        BlocksConfig(**settings)
