"""Random meetings of honest peers and liars with one node: the honest never pay, and the block comes."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.lab import ME, Lab, Sample, chain, foreign_copy
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksAnswerReceived, BlocksAnswerReset, BlocksVerdict
from mina_p2p.blocks.split import DIGEST_BYTES, Outline, full_outline, short_outline
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
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import MILLISECOND, ConnectionId
from mina_p2p.testing.dice import Dice

GENESIS, FIRST, _, LAST = chain()
HONEST, LIARS = (1, 2), (3, 4, 5, 6)


def true_answer(request: BlockRequest, block: Sample) -> BlockAnswer:
    """What a peer answers that holds the block."""
    salted = OutlineRest(short_outline(block.parts, block.state_hash, ME))
    match request:
        case BlockGetNext(wants=Wants.HASH):
            return BlockHash(block.state_hash)
        case BlockGetNext(wants=Wants.HEADER):
            return BlockHeaderItem(block.header, salted)
        case BlockGetNext():
            return BlockHeaderItem(block.header, BodyRest(block.body))
        case BlockGetHeader(body_bytes_max=along):
            return BlockHeaderItem(block.header, BodyRest(block.body) if along >= len(block.body) else salted)
        case BlockGetOutline():
            return BlockOutlineItem(full_outline(block.parts))
        case BlockGetItems(indexes=indexes) if indexes[-1] >= len(block.parts.items):
            return BlockNotHeld()
        case BlockGetItems(indexes=indexes):
            return BlockItems(tuple(block.parts.items[index] for index in indexes))
        case BlockGetBody():
            return BlockBodyItem(block.body)


def _lie(dice: Dice, request: BlockRequest) -> BlockAnswer:
    """An answer that is wrong in one thing or another."""
    match true_answer(request, LAST):
        case BlockHash():
            name = dice.raw(32) if dice.chance(30) else LAST.state_hash
            return BlockChecking(name) if dice.chance(50) else BlockHash(name)
        case BlockHeaderItem(header=header, rest=rest):
            lied = foreign_copy() if dice.chance(40) else header
            match rest:
                case OutlineRest(outline=outline):
                    return BlockHeaderItem(lied, OutlineRest(_twisted(dice, outline)) if dice.chance(70) else AloneRest())
                case BodyRest():
                    return BlockHeaderItem(lied, BodyRest(FIRST.body if dice.chance(50) else LAST.body))
                case AloneRest():
                    return BlockHeaderItem(lied, rest)
        case BlockOutlineItem(outline=outline):
            return BlockOutlineItem(_twisted(dice, outline))
        case BlockItems(items=items):
            return BlockItems(tuple(dice.raw(9) if dice.chance(50) else item for item in items[: len(items) - dice.below(2)]))
        case BlockBodyItem():
            return BlockBodyItem(FIRST.body)
        case BlockNotHeld() | BlockChecking() | BlockQueued() as same:
            return same


def _twisted(dice: Dice, outline: Outline) -> Outline:
    if dice.chance(30):
        return full_outline(FIRST.parts) if outline.id_bytes == DIGEST_BYTES else short_outline(FIRST.parts, LAST.state_hash, ME)
    at = dice.below(max(1, len(outline.id_string)))
    return outline.replace(id_string=outline.id_string[:at] + dice.raw(1) + outline.id_string[at + 1 :])


class Meeting:
    """One node, and what its peers do next."""

    def __init__(self, seed: int, *, is_cold: bool) -> None:
        self.dice = Dice(seed, "liars")
        self.lab = Lab(tip=GENESIS, is_cold=is_cold)
        self.lab.join(*sorted((*HONEST, *LIARS), key=lambda _n: self.dice.below(1_000)))
        places = tuple(place for place in range(len(LAST.parts.items)) if self.dice.chance(60))
        if places:
            self.lab.know(LAST, *places)
        self.judged: set[int] = set()

    def step(self) -> None:
        """Somebody answers something, or a verdict comes, or time passes."""
        lab, dice = self.lab, self.dice
        for told in lab.all:
            if isinstance(told, BlockHeaderReceived) and told.verdict_id not in self.judged and dice.chance(30):
                self.judged.add(told.verdict_id)
                lab.feed(BlocksVerdict(told.verdict_id, told.header == LAST.header))
        asked = [(n, ticket, request) for n in (*HONEST, *LIARS) for ticket, request in lab.requests(n)]
        if asked and dice.chance(80):
            self._answer(*dice.choice(asked))
        else:
            lab.wait(dice.below(400) * MILLISECOND)

    def _answer(self, number: int, ticket: Ticket, request: BlockRequest) -> None:
        lab, dice, connection_id = self.lab, self.dice, ConnectionId(number)
        if ConnectionId(number) in lab.blocks.peers and number in HONEST:
            if isinstance(request, BlockGetNext) and LAST.state_hash in lab.blocks.peers[connection_id].has:
                return
            answer = true_answer(request, LAST)
            if isinstance(answer, BlockHash) and dice.chance(50):
                answer = BlockChecking(LAST.state_hash)
            lab.feed(BlocksAnswerReceived(connection_id, ticket, BLOCK_MESSAGE.encode(answer)))
        elif dice.chance(15):
            lab.feed(BlocksAnswerReset(connection_id, ticket, StreamResetCode.REFUSED))
        elif dice.chance(70):
            answer = _lie(dice, request) if dice.chance(70) else true_answer(request, LAST)
            lab.feed(BlocksAnswerReceived(connection_id, ticket, BLOCK_MESSAGE.encode(answer)))

    def finish(self) -> None:
        """The honest answer whatever they are asked, every verdict comes, and liars are silent."""
        for _ in range(300):
            lab = self.lab
            for told in tuple[Any, ...](lab.all):
                if isinstance(told, BlockHeaderReceived) and told.verdict_id not in self.judged:
                    self.judged.add(told.verdict_id)
                    lab.feed(BlocksVerdict(told.verdict_id, told.header == LAST.header))
            for number in HONEST:
                for ticket, request in lab.requests(number):
                    if ticket in lab.blocks.tickets:
                        self._answer(number, ticket, request)
            lab.wait(500 * MILLISECOND)


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_the_honest_never_pay_and_the_block_comes(start: int) -> None:
    """Whatever liars say, in whatever order: invariants hold, only liars are left, and nothing remains undecided."""
    for seed in range(start, start + 20):
        meeting = Meeting(seed, is_cold=bool(seed % 2))
        for _ in range(40):
            meeting.step()
        meeting.finish()
        lab = meeting.lab
        assert not set(lab.blamed()) & set(HONEST), f"seed {seed}: {lab.blamed()}"
        assert LAST.raw in [bytes(told.block) for told in lab.all if isinstance(told, BlockReceived)], f"seed {seed}"
        assert len(lab.blocks.candidates) == 0, f"seed {seed}"
