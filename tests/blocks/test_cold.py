"""Nodes that have next to none of a block's items: the whole body comes once, and as soon as it can."""

from __future__ import annotations

from blocks.lab import ME, Lab, chain
from mina_p2p.blocks.actions import BlockReceived
from mina_p2p.blocks.split import short_outline
from mina_p2p.channels.block.messages import (
    BODY_BYTES_MAX,
    BlockBodyItem,
    BlockGetBody,
    BlockGetHeader,
    BlockGetNext,
    BlockHash,
    BlockHeaderItem,
    BodyRest,
    OutlineRest,
)
from mina_p2p.ids import SECOND

GENESIS, _, _, LAST = chain()
HASH = BlockHash(LAST.state_hash)
ALONE = BlockHeaderItem(LAST.header, OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME)))
WHOLE = BlockHeaderItem(LAST.header, BodyRest(LAST.body))
LINK = 1 << 20


def _cold() -> Lab:
    """Peers from the fourth on may announce hashes; the own link takes a second for the longest body that is waited for."""
    return Lab(tip=GENESIS, is_cold=True, link_bytes_per_second=LINK).join(1, 2, 3, 4, 5)


def _along(lab: Lab, number: int) -> int:
    return next(request.body_bytes_max for _, request in lab.requests(number) if isinstance(request, BlockGetHeader))


def _taken(lab: Lab) -> list[bytes]:
    return [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)]


def test_the_body_is_asked_for_with_the_header() -> None:
    """Of any size: it has to come from somebody. A warm node asks for a small one only."""
    lab = _cold().answer(4, BlockGetNext, HASH)
    assert _along(lab, 4) == BODY_BYTES_MAX
    lab.answer(4, BlockGetHeader, WHOLE).verdict()
    assert _taken(lab) == [LAST.raw]
    warm = Lab(tip=GENESIS).join(1, 2, 3, 4).answer(4, BlockGetNext, HASH)
    assert _along(warm, 4) == warm.blocks.body_along_max < BODY_BYTES_MAX


def test_the_body_is_asked_for_once() -> None:
    """A header that comes meanwhile does not have it asked for again, and the one that it comes with is taken."""
    lab = _cold().answer(4, BlockGetNext, HASH).answer(1, BlockGetNext, ALONE)
    assert lab.has_asked(4, BlockGetHeader)
    assert not any(lab.has_asked(number, BlockGetBody) for number in range(1, 6))
    lab.answer(4, BlockGetHeader, WHOLE).verdict()
    assert _taken(lab) == [LAST.raw]
    assert lab.blamed() == {}


def test_a_question_that_brings_no_body_is_followed_by_another() -> None:
    """Who was asked for both gave the header alone: somebody is asked for the body at once."""
    lab = _cold().answer(4, BlockGetNext, HASH).answer(1, BlockGetNext, ALONE).answer(4, BlockGetHeader, ALONE)
    asked = next(number for number in (1, 4) if lab.has_asked(number, BlockGetBody))
    lab.answer(asked, BlockGetBody, BlockBodyItem(LAST.body)).verdict()
    assert _taken(lab) == [LAST.raw]


def test_who_is_asked_second_is_asked_for_the_header_alone() -> None:
    """Two bodies at once would fill the link."""
    lab = _cold().answer(4, BlockGetNext, HASH).answer(5, BlockGetNext, HASH).wait(3 * SECOND)
    assert _along(lab, 5) == lab.blocks.body_along_max


def test_a_body_has_the_time_that_it_takes() -> None:
    """Another peer is asked only once a large one would have come over this node's own link; one that withholds it costs that much, once."""
    lab = _cold().answer(1, BlockGetNext, ALONE).answer(4, BlockGetNext, HASH)
    first = next(number for number in (1, 4) if lab.has_asked(number, BlockGetBody))
    other = 5 - first
    lab.wait(lab.blocks.config.hedge + SECOND // 2)
    assert not lab.has_asked(other, BlockGetBody)
    lab.wait(SECOND)
    lab.answer(other, BlockGetBody, BlockBodyItem(LAST.body)).verdict()
    assert _taken(lab) == [LAST.raw]


def test_a_withheld_body_costs_one_retry() -> None:
    """Who was asked for header and body gives neither: with the header of another here, its body is asked for after the hedge."""
    lab = _cold().answer(4, BlockGetNext, HASH).answer(1, BlockGetNext, ALONE).wait(2 * SECOND)
    assert lab.has_asked(1, BlockGetBody)
    lab.answer(1, BlockGetBody, BlockBodyItem(LAST.body)).verdict()
    assert _taken(lab) == [LAST.raw]
