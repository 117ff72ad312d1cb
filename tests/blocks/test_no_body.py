"""Headers that promise bytes which are no body: whoever makes one up can make the rest fit."""

from __future__ import annotations

from functools import cache

from blocks.lab import ME, Lab, chain
from mina_p2p.blocks.actions import BlockDropped
from mina_p2p.blocks.reducer import facts_of
from mina_p2p.blocks.split import Parts, RawBlockHeader, full_outline, item_digest, rebuild_body, short_outline
from mina_p2p.channels.block.messages import (
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    OutlineRest,
)
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.mina.hashes import body_reference_of_bytes
from mina_p2p.notifications import BestTipReceived

GENESIS, _, _, LAST = chain()
ITEMS = (b"this is no snark work", *LAST.parts.items[1:])
PARTS = Parts(LAST.parts.frame, ITEMS, tuple(map(item_digest, ITEMS)))


@cache
def no_body_header() -> tuple[RawBlockHeader, bytes]:
    """A winning header whose body reference is that of such bytes, and its state hash."""
    header = LAST.header.value
    state = header.protocol_state
    reference = body_reference_of_bytes(rebuild_body(PARTS.frame, ITEMS))
    chain_state = state.body.blockchain_state.replace(body_reference=reference)
    made = RawBlockHeader.of(header.replace(protocol_state=state.replace(body=state.body.replace(blockchain_state=chain_state))))
    return made, facts_of(made).state_hash


def test_a_body_that_is_none_costs_whoever_announced_it() -> None:
    """Nobody can hold it. The block is given up, and its hash is worth nothing from then on."""
    header, state_hash = no_body_header()
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5)
    lab.answer(4, BlockGetNext, BlockHash(state_hash))
    lab.answer(1, BlockGetNext, BlockHeaderItem(header, OutlineRest(short_outline(PARTS, state_hash, ME))))
    for number in (1, 4):
        if lab.has_asked(number, BlockGetItems):
            ((_, request),) = [(t, r) for t, r in lab.requests(number) if isinstance(r, BlockGetItems)]
            lab.answer(number, BlockGetItems, BlockItems(tuple(ITEMS[index] for index in request.indexes)))
    assert {number: reason.code for number, reason in lab.blamed().items()} == dict.fromkeys((1, 4), ReasonCode.CHANNEL_MSG_UNDECODABLE)
    assert [told.state_hash for told in lab.all if isinstance(told, BlockDropped)] == [state_hash]
    assert not [told for told in lab.all if isinstance(told, BestTipReceived)]
    assert not lab.blocks.candidates
    lab.answer(5, BlockGetNext, BlockHash(state_hash))
    assert not lab.has_asked(5, BlockGetHeader)


def test_full_digests_make_no_difference() -> None:
    """Nor does it matter which question brought the last piece."""
    header, _ = no_body_header()
    lab = Lab(tip=GENESIS).join(1).know(LAST, *range(1, len(ITEMS)))
    lab.answer(1, BlockGetNext, BlockHeaderItem(header, OutlineRest(full_outline(PARTS))))
    lab.answer(1, BlockGetItems, BlockItems(ITEMS[:1]))
    assert lab.blamed()[1].code is ReasonCode.CHANNEL_MSG_UNDECODABLE
