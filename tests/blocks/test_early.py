"""The setting by which a block goes on before the verdict on its header."""

from __future__ import annotations

from blocks.lab import ME, Lab, Sample, chain, foreign_copy
from mina_p2p.blocks.actions import BlockReceived, BlocksVerdict
from mina_p2p.blocks.split import RawBlockHeader, short_outline
from mina_p2p.channels.block.messages import (
    BlockGetHeader,
    BlockGetNext,
    BlockHash,
    BlockHeaderItem,
    BlockNotHeld,
    OutlineRest,
    Wants,
)

GENESIS, FIRST, _, LAST = chain()


def _lab(*, relays_before_verdict: bool = True) -> Lab:
    """Three peers; the third waits for hashes and has our tip already."""
    lab = Lab(tip=GENESIS, relays_before_verdict=relays_before_verdict, announces_while_checking=False).join(1, 2, 3).know(LAST)
    return lab.ask(3, BlockGetNext(Wants.HASH, 0)).ask(3, BlockGetNext(Wants.HASH, 0))


def _sends(lab: Lab, number: int, block: Sample, header: RawBlockHeader | None = None) -> Lab:
    outline = short_outline(block.parts, block.state_hash, ME)
    return lab.answer(number, BlockGetNext, BlockHeaderItem(header or block.header, OutlineRest(outline)))


def test_by_default_nothing_goes_on_before_the_verdict() -> None:
    """The block is whole, and nobody is told."""
    lab = _sends(_lab(relays_before_verdict=False), 1, LAST)
    assert lab.answers() == []
    assert lab.verdict().answers() == [(3, BlockHash(LAST.state_hash))]


def test_a_whole_block_goes_on_and_is_served() -> None:
    """Once: the verdict changes nothing for peers. It is the tip only then."""
    lab = _sends(_lab(), 1, LAST)
    assert lab.answers() == [(3, BlockHash(LAST.state_hash))]
    assert lab.blocks.tip is not None
    assert lab.blocks.tip.state_hash == GENESIS.state_hash
    (answer,) = lab.ask(3, BlockGetHeader(LAST.state_hash, 0)).answers()
    assert isinstance(answer[1], BlockHeaderItem)
    lab.ask(3, BlockGetNext(Wants.HASH, 0)).verdict()
    assert lab.answers() == []
    assert [told.is_best for told in lab.of(BlockReceived)] == [True]
    assert lab.blocks.tip.state_hash == LAST.state_hash
    assert lab.blocks.early is None


def test_a_block_that_is_not_whole_waits() -> None:
    """Whoever announces a block holds all of it, with this setting too."""
    lab = Lab(tip=GENESIS, relays_before_verdict=True, announces_while_checking=False).join(1, 3)
    lab.ask(3, BlockGetNext(Wants.HASH, 0)).ask(3, BlockGetNext(Wants.HASH, 0))
    assert _sends(lab, 1, LAST).answers() == []


def test_a_header_found_invalid_is_served_no_longer() -> None:
    """Who sent it is left; the next one is told of the tip that was valid."""
    lab = _sends(_lab(), 1, LAST).verdict(is_valid=False)
    assert set(lab.blamed()) == {1}
    assert lab.blocks.early is None
    assert lab.ask(3, BlockGetHeader(LAST.state_hash, 0)).answers() == [(3, BlockNotHeld())]
    lab.join(4).ask(4, BlockGetNext(Wants.HASH, 0))
    assert lab.answers() == [(4, BlockHash(GENESIS.state_hash))]


def test_another_copy_takes_the_place_of_a_bad_one() -> None:
    """Peers that have the same block to tell are still heard, and theirs goes on."""
    lab = _sends(_lab(), 1, LAST, foreign_copy())
    bad = lab.blocks.candidate_of(LAST.state_hash)
    assert bad is not None
    _sends(lab, 2, LAST)
    candidate = lab.blocks.candidate_of(LAST.state_hash)
    assert candidate is not None
    assert [copy.header for copy in candidate.copies] == [foreign_copy(), LAST.header]
    verdict_id = candidate.copies[0].verdict_id
    assert verdict_id is not None
    lab.feed(BlocksVerdict(verdict_id, is_valid=False))
    assert set(lab.blamed()) == {1}
    held = lab.blocks.holding(LAST.state_hash)
    assert held is not None
    assert held.header == LAST.header


def test_a_tip_of_the_node_software_comes_first() -> None:
    """What it says is believed, whatever is offered early."""
    lab = _sends(_lab(), 1, LAST).feed(FIRST.tip)
    assert lab.blocks.early is None
    assert lab.blocks.tip is not None
    assert lab.blocks.tip.state_hash == FIRST.state_hash
    assert lab.verdict().blocks.tip is not None
    assert lab.blocks.tip.state_hash == LAST.state_hash
