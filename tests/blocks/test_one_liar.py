"""The worst that one peer can do about one block: every lie at every step, at once or just before it is given up, and silence.

All others that announce the block answer at once and verdicts come at once, so that all the time until the block is here is the liar's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import pytest

from blocks.lab import ME, START, Lab, chain, foreign_copy
from blocks.test_liars import true_answer
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksAnswerReceived, BlocksAnswerReset, BlocksVerdict
from mina_p2p.blocks.split import Outline, full_outline, short_outline
from mina_p2p.blocks.state import Ticket
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    AloneRest,
    BlockAnswer,
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
    BlockQueued,
    BlockRequest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import MILLISECOND, ConnectionId

GENESIS, FIRST, _, LAST = chain()
STEP: Final = 50 * MILLISECOND
DEPTH_MAX: Final = 10
ALL: Final = tuple(range(len(LAST.parts.items)))

T = TypeVar("T")
Deed = tuple[str, BlockAnswer | None]
"""What the liar says, ``None`` for a reset."""


def _deeds(request: BlockRequest) -> Iterator[Deed]:
    """All that it may say to a request: the truth is worth trying too, if it is late."""
    truth = true_answer(request, LAST)
    if not isinstance(request, BlockGetNext):
        yield "no", BlockNotHeld()
        yield "reset", None
    yield "truth", truth
    salted = short_outline(LAST.parts, LAST.state_hash, ME)
    match request:
        case BlockGetNext(wants=Wants.HASH):
            yield "checking", BlockChecking(LAST.state_hash)
        case BlockGetNext() | BlockGetHeader():
            yield "alone", BlockHeaderItem(LAST.header, AloneRest())
            yield "another's outline", BlockHeaderItem(LAST.header, OutlineRest(short_outline(FIRST.parts, LAST.state_hash, ME)))
            yield "no ids", BlockHeaderItem(LAST.header, OutlineRest(salted.replace(id_string=bytes(len(salted.id_string)))))
            yield "too many places", BlockHeaderItem(LAST.header, OutlineRest(_too_long(salted, bytes(range(8)))))
            yield "one item again and again", BlockHeaderItem(LAST.header, OutlineRest(_too_long(salted, salted.id_string[:8])))
            yield "foreign proof", BlockHeaderItem(foreign_copy(), OutlineRest(salted))
        case BlockGetOutline():
            yield "another's outline", BlockOutlineItem(full_outline(FIRST.parts))
            full = full_outline(LAST.parts)
            yield "too many places", BlockOutlineItem(_too_long(full, bytes(32)))
            yield "one item again and again", BlockOutlineItem(_too_long(full, full.id_string[:32]))
        case BlockGetItems(indexes=indexes):
            others = FIRST.parts.items
            yield "another's items", BlockItems(tuple(others[index % len(others)] for index in indexes))
            yield "noise", BlockItems((b"noise",) * len(indexes))
        case BlockGetBody():
            yield "another's body", BlockBodyItem(FIRST.body)
            yield "queued", BlockQueued()


def _too_long(outline: Outline, one: bytes) -> Outline:
    """Of more items than the block has, all of which have one id."""
    return Outline(outline.frame.replace(first=outline.frame.first.replace(works=30)), outline.id_bytes, one * (30 + len(ALL) - 1))


class Search:
    """All ways on from what one liar and some honest peers announced."""

    def __init__(self, lab: Lab, liar: int, honest: tuple[int, ...]) -> None:
        self.liar, self.honest = ConnectionId(liar), honest
        self.worst: tuple[int, tuple[str, ...]] = 0, ()
        self.ways = 0
        ((ticket, first),) = lab.requests(liar)
        for name, answer in _deeds(first):
            began = lab.copy()
            self._says(began, ticket, answer)
            for number in honest:
                ((permission, request),) = began.requests(number)
                began.feed(BlocksAnswerReceived(ConnectionId(number), permission, BLOCK_MESSAGE.encode(true_answer(request, LAST))))
            self._go_on(began, (name,))

    def _says(self, lab: Lab, ticket: Ticket, answer: BlockAnswer | None) -> None:
        if answer is None:
            lab.feed(BlocksAnswerReset(self.liar, ticket, StreamResetCode.REFUSED))
        else:
            lab.feed(BlocksAnswerReceived(self.liar, ticket, BLOCK_MESSAGE.encode(answer)))

    def _others(self, lab: Lab) -> None:
        """Verdicts come, and the honest answer, until they are asked nothing more."""
        before = -1
        while before != len(lab.all):
            before = len(lab.all)
            for told in _all(lab, BlockHeaderReceived):
                lab.feed(BlocksVerdict(told.verdict_id, told.header == LAST.header))
            for number in self.honest:
                for ticket, request in lab.requests(number):
                    if not isinstance(request, BlockGetNext) and ticket in lab.blocks.tickets:
                        lab.feed(BlocksAnswerReceived(ConnectionId(number), ticket, BLOCK_MESSAGE.encode(true_answer(request, LAST))))

    def _wait(self, lab: Lab, duration: int) -> None:
        end = lab.now + duration
        while lab.now < end and not _has_come(lab):
            lab.wait(min(STEP, end - lab.now))
            self._others(lab)

    def _go_on(self, lab: Lab, way: tuple[str, ...], *, is_silent: bool = False) -> None:
        self._others(lab)
        assert not set(lab.blamed()) & set(self.honest), (way, lab.blamed())
        while not _has_come(lab) and (is_silent or not self._asked(lab)):
            assert lab.now - START < lab.blocks.config.answer, f"the block did not come: {way}"
            self._wait(lab, STEP)
        if _has_come(lab):
            self.ways += 1
            self.worst = max(self.worst, (lab.now - START, way))
            return
        assert len(way) < DEPTH_MAX, way
        kind = type(self._asked(lab)[0][1])
        for name in dict(_deeds(self._asked(lab)[0][1])):
            for wait in (0, lab.blocks.config.hedge - STEP // 5):
                other = lab.copy()
                self._wait(other, wait)
                # What it is asked at once of one kind it answers alike.
                for ticket, request in self._asked(other):
                    if isinstance(request, kind) and ticket in other.blocks.tickets:
                        self._says(other, ticket, dict(_deeds(request))[name])
                self._go_on(other, (*way, f"{kind.__name__}: {name} after {wait // MILLISECOND} ms"))
        self._go_on(lab.copy(), (*way, "silence"), is_silent=True)

    def _asked(self, lab: Lab) -> list[tuple[Ticket, BlockRequest]]:
        """Questions to the liar."""
        asked = lab.requests(self.liar) if self.liar in lab.blocks.peers else []
        return [pair for pair in asked if not isinstance(pair[1], BlockGetNext)]


def _all(lab: Lab, kind: type[T]) -> list[T]:
    return [told for told in lab.all if isinstance(told, kind)]


def _has_come(lab: Lab) -> bool:
    return any(told.state_hash == LAST.state_hash for told in _all(lab, BlockReceived))


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("known", [(), ALL[:-1], ALL], ids=["nothing", "most", "all"])
@pytest.mark.parametrize(
    ("liar", "honest"),
    [(1, (4, 5, 6)), (7, (4, 5, 6)), (1, (2, 4)), (7, (1, 4))],
    ids=["header against hashes", "hash against hashes", "header against both", "hash against both"],
)
def test_one_liar_delays_a_block_by_one_retry(liar: int, honest: tuple[int, ...], known: tuple[int, ...], *, is_cold: bool) -> None:
    """Whatever it says first and at each question, and however late: the block is here after one hedge, and the honest are blamed for nothing."""
    lab = Lab(tip=GENESIS, is_cold=is_cold).join(*range(1, 8)).know(FIRST)
    if known:
        lab.know(LAST, *known)
    found = Search(lab, liar, honest)
    config = lab.blocks.config
    whole = (1 << 20) * 1_000 * MILLISECOND // config.link_bytes_per_second
    assert found.worst[0] <= config.hedge + whole + 3 * config.granularity, found.worst
    assert found.ways > 1


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize(("liars", "hedges"), [(1, 1), (3, 2), (7, 3), (12, 4)])
def test_silent_liars_delay_a_block_by_few_retries(liars: int, hedges: int, *, is_cold: bool) -> None:
    """As many more are asked as are overdue: the delay grows with the logarithm of their number."""
    lab = Lab(tip=GENESIS, is_cold=is_cold).join(*range(1, 25)).know(LAST)
    for number in (*range(4, 4 + liars), 20):
        lab.answer(number, BlockGetNext, BlockHash(LAST.state_hash))
    while not lab.has_asked(20, BlockGetHeader):
        lab.wait(STEP)
    config = lab.blocks.config
    whole = (1 << 20) * 1_000 * MILLISECOND // config.link_bytes_per_second if is_cold else 0
    assert lab.now - START <= hedges * (config.hedge + config.granularity + whole)
