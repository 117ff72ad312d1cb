"""Channel 10 in a whole node: who speaks it, what others get, and what the node software hears and says."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from blocks.lab import Sample, chain, foreign_copy, sample
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksItemKnown, BlocksVerdict
from mina_p2p.blocks.simulated import BlockNode, BlockSimulation
from mina_p2p.blocks.split import item_digest, work_item
from mina_p2p.channels.block.messages import BLOCK_MESSAGE, BlockGetNext, BlockHeaderItem, BodyRest, Wants
from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.config import ALL_CHANNELS
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import SECOND, ChannelId, StreamId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived, PeerDisconnected
from mina_p2p.pool.actions import PoolRemove
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.testing.sim import SimNode, Simulation, Software
from mina_p2p.testing.stock import stock
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset

GENESIS, FIRST, _, LAST = chain()
PIECES = stock(3).pieces


def _tip(block: Sample, *, is_produced: bool = True) -> BestTipSet:
    return BestTipSet(RawBlock(block.raw), block.state_hash, is_produced)


def _whole_only(node: SimNode, told: Any) -> None:
    """Software that knows nothing of headers: it takes whole blocks."""
    if isinstance(told, BestTipReceived):
        node.dispatch(BestTipSet(told.block, told.state_hash))


def _by_headers(node: SimNode, told: Any) -> None:
    """Software that judges headers, and makes a block its tip when it is there."""
    match told:
        case BlockHeaderReceived(verdict_id=verdict_id):
            node.dispatch(BlocksVerdict(verdict_id, is_valid=True))
        case BestTipReceived(block=block, state_hash=state_hash):
            node.dispatch(BestTipSet(block, state_hash))
        case _:
            pass


def _line(*kinds: bool, software: Software = _whole_only, warmth: int = 0) -> tuple[BlockSimulation, list[BlockNode]]:
    """Nodes in a row; each kind says whether a node speaks channel 10."""
    simulation = BlockSimulation(3)
    nodes = [simulation.add_block_node(software=software, is_header_first=kind, warmth=warmth) for kind in kinds]
    for one, other in pairwise(nodes):
        simulation.connect(one, other)
    simulation.run(5 * SECOND)
    return simulation, nodes


def _channels(node: BlockNode) -> set[ChannelId]:
    return {channel for channel, _, _ in node.received}


def _has(node: SimNode, block: Sample) -> bool:
    return node.state.best_tips.own is not None and node.state.best_tips.own.state_hash == block.state_hash


@pytest.mark.parametrize("software", [_whole_only, _by_headers])
@pytest.mark.parametrize(
    ("kinds", "used"),
    [
        ((True, True), {ChannelId.BLOCK}),
        ((True, False), {ChannelId.BEST_TIP}),
        ((False, True), {ChannelId.BEST_TIP}),
        ((False, False), {ChannelId.BEST_TIP}),
    ],
)
def test_channel_10_is_used_where_both_have_it(kinds: tuple[bool, bool], used: set[ChannelId], software: Software) -> None:
    """Then nothing travels by the best-tip channel; with anybody else all does. The software sees no difference."""
    simulation, (one, other) = _line(*kinds, software=software)
    one.dispatch(_tip(FIRST))
    simulation.run(5 * SECOND)
    assert _has(other, FIRST)
    assert _channels(one) | _channels(other) == used
    told = [told for told in other.notifications if isinstance(told, BestTipReceived)]
    assert [(bytes(tip.block), tip.state_hash, tip.peer_id) for tip in told] == [(FIRST.raw, FIRST.state_hash, one.config.peer_id)]
    for node in (one, other):
        check_invariants(node.state)


@pytest.mark.parametrize("software", [_whole_only, _by_headers])
def test_blocks_go_on_from_one_channel_to_the_other(software: Software) -> None:
    """Through nodes of both kinds, in both directions."""
    simulation, nodes = _line(True, True, False, True, True, False, False, software=software)
    for block, producer in ((FIRST, 0), (LAST, -1)):
        nodes[producer].dispatch(_tip(block))
        simulation.run(20 * SECOND)
        assert all(_has(node, block) for node in nodes)
    for node in nodes:
        check_invariants(node.state)
    assert not [told for node in nodes for told in node.notifications if isinstance(told, PeerDisconnected)]


def test_a_header_is_judged_before_its_block_goes_on() -> None:
    """Until then no peer hears of it; by whole blocks, until it is made the tip."""
    simulation, (first, second, third) = _line(True, True, True, software=lambda _node, _told: None)
    first.dispatch(_tip(FIRST))
    simulation.run(5 * SECOND)
    (asked,) = [told for told in second.notifications if isinstance(told, BlockHeaderReceived)]
    assert (asked.state_hash, asked.header, asked.peer_id) == (FIRST.state_hash, FIRST.header, first.config.peer_id)
    assert asked.deadline > second.now
    assert not [told for told in third.notifications if isinstance(told, BlockHeaderReceived | BestTipReceived)]
    second.dispatch(BlocksVerdict(asked.verdict_id, is_valid=True))
    assert [told.is_best for told in second.notifications if isinstance(told, BlockReceived)] == [True]
    simulation.run(5 * SECOND)
    assert [told.state_hash for told in third.notifications if isinstance(told, BlockHeaderReceived)] == [FIRST.state_hash]


def test_a_header_that_is_never_judged_is_given_up() -> None:
    """At its deadline, and nobody is blamed; the next block comes all the same."""
    simulation, (first, second) = _line(True, True, software=lambda _node, _told: None)
    first.dispatch(_tip(FIRST))
    simulation.run(90 * SECOND)
    assert not second.state.blocks.candidates
    assert len(second.state.connections.table) == 1
    first.dispatch(_tip(LAST))
    simulation.run(5 * SECOND)
    assert [told.state_hash for told in second.notifications if isinstance(told, BestTipReceived)] == [FIRST.state_hash, LAST.state_hash]


def test_what_a_peer_announces_is_its_best_tip() -> None:
    """By hash or header, as by the best-tip channel: it decides whether pool items make sense to it."""
    simulation, (one, other) = _line(True, True, software=_by_headers)
    one.dispatch(_tip(FIRST))
    simulation.run(5 * SECOND)
    (tip,) = other.state.best_tips.of_peers.values()
    assert (tip.state_hash, tip.height) == (FIRST.state_hash, GENESIS_HEIGHT + 1)
    assert tip.previous_state_hash == GENESIS.state_hash


GENESIS_HEIGHT = RawBlock(GENESIS.raw).value.header.protocol_state.body.consensus_state.blockchain_length


def test_items_of_the_pools_do_not_come_again() -> None:
    """Each, as a block will hold it; also when it has left its pool, because another block may hold it."""
    node = Simulation(1).add(channels=(*ALL_CHANNELS, ChannelId.BLOCK))
    for piece in PIECES:
        node.dispatch(piece.insert)
    taken = [piece for piece in PIECES if piece.body and node.state.pools.of(piece.channel).items.get(piece.key) is not None]
    assert len(taken) > 3
    for piece in taken:
        node.dispatch(PoolRemove(piece.channel, piece.key))
        data = work_item(piece.body) if piece.channel is ChannelId.SNARK else piece.body
        assert node.state.blocks.items.get(item_digest(data)) == data
    check_invariants(node.state)
    other = Simulation(1).add(channels=ALL_CHANNELS)
    other.dispatch(PIECES[0].insert)
    assert not len(other.state.blocks.items), "who does not speak channel 10 keeps nothing for it"


@cache
def _fork() -> tuple[Sample, Sample, Sample]:
    """Two blocks that compete to follow the same one, and one that follows the second."""
    generator = MinaGenerator(11)
    root = generator.genesis()
    commands = tuple(generator.user_command() for _ in range(8))
    one, other = generator.block(root, commands=commands), generator.block(root, slots=2, commands=commands[4:])
    after = generator.block(other, slots=2, commands=commands[:4], works=(generator.snark_work(),))
    first, second, third = (sample(bytes(RawBlock.of(block))) for block in (one, other, after))
    return first, second, third


def test_branches_meet_in_the_better_one() -> None:
    """Halves of a network that follow different branches; then one grows, and everybody follows it, with few items to fetch."""
    simulation, nodes = _line(*[True] * 6, software=_by_headers)
    one, other, after = _fork()
    nodes[0].dispatch(_tip(one))
    nodes[-1].dispatch(_tip(other))
    simulation.run(20 * SECOND)
    tips = {node.state.best_tips.own.state_hash for node in nodes if node.state.best_tips.own is not None}
    assert tips <= {one.state_hash, other.state_hash}
    for node in nodes:
        node.received.clear()
    nodes[-1].dispatch(_tip(after))
    simulation.run(20 * SECOND)
    assert all(_has(node, after) for node in nodes)
    for node in nodes:
        check_invariants(node.state)


def test_what_only_the_producer_knows_is_all_that_comes() -> None:
    """Of a block whose other items are here: the header, the outline, and those items."""
    simulation, nodes = _line(True, True, True, software=_by_headers, warmth=100)
    nodes[0].dispatch(_tip(GENESIS))
    simulation.run(5 * SECOND)
    *known, own = LAST.parts.items
    for node in nodes[1:]:
        for item in known:
            node.dispatch(BlocksItemKnown(item))
        node.received.clear()
    nodes[0].dispatch(_tip(LAST))
    simulation.run(5 * SECOND)
    assert all(_has(node, LAST) for node in nodes)
    for node in nodes[1:]:
        assert len(own) < node.bytes_received - len(LAST.header) < len(own) + 700


def test_a_late_joiner_gets_the_best_block_whole() -> None:
    """Who has nothing to make a block of asks one peer for all of it."""
    simulation, nodes = _line(True, True, software=_by_headers)
    nodes[0].dispatch(_tip(LAST))
    simulation.run(5 * SECOND)
    late = simulation.add_block_node(software=_by_headers)
    for node in nodes:
        simulation.connect(late, node)
    simulation.run(5 * SECOND)
    assert _has(late, LAST)
    assert late.bytes_received < len(LAST.raw) + 13_500, "once, and its header once more at most"


def _two() -> tuple[BlockSimulation, BlockNode, BlockNode]:
    simulation, (one, other) = _line(True, True)
    return simulation, one, other


def _frame(node: BlockNode, channel: ChannelId, stream: int, frame: bytes) -> Any:
    (connection_id,) = node.state.connections.table
    return ChannelsMessageReceived(connection_id, channel, StreamId(stream), frame)


def test_who_does_not_speak_it_is_left_for_it() -> None:
    """A frame of channel 10 where it was not agreed upon."""
    _, (_, other) = _line(True, False)
    other.feed(_frame(other, ChannelId.BLOCK, 4000, BLOCK_MESSAGE.encode(BlockGetNext(Wants.HASH, 0))))
    (left,) = [told for told in other.notifications if isinstance(told, PeerDisconnected)]
    assert left.reason.code is ReasonCode.CHANNEL_MSG_UNEXPECTED
    check_invariants(other.state)


def test_who_asks_for_a_best_tip_all_the_same_is_answered() -> None:
    """Channel 3 was agreed upon too."""
    simulation, one, other = _two()
    other.dispatch(_tip(FIRST))
    other.feed(_frame(other, ChannelId.BEST_TIP, 4000, KINDS[ChannelId.BEST_TIP].encode_get_next(1)))
    simulation.run(SECOND)
    assert len(one.state.connections.table) == 1
    check_invariants(other.state)


def test_a_second_answer_ends_the_connection() -> None:
    """So does an answer to nothing; the end of a stream that was answered is just its end."""
    _, _, other = _two()
    (channels,) = other.state.channels.table.values()
    assert channels.block is not None
    ((_, stream),) = channels.block.open
    answer = BLOCK_MESSAGE.encode(BlockHeaderItem(LAST.header, BodyRest(LAST.body)))
    other.feed(_frame(other, ChannelId.BLOCK, stream, answer))
    (connection_id,) = other.state.connections.table
    other.feed(ChannelsStreamEnded(connection_id, ChannelId.BLOCK, stream))
    check_invariants(other.state)
    assert len(other.state.connections.table) == 1
    other.feed(_frame(other, ChannelId.BLOCK, stream, answer))
    (left,) = [told for told in other.notifications if isinstance(told, PeerDisconnected)]
    assert left.reason.code is ReasonCode.CHANNEL_MSG_UNEXPECTED
    check_invariants(other.state)


def test_an_end_without_an_answer_ends_the_connection() -> None:
    """And a reset does not: it declines."""
    for event, is_left in ((ChannelsStreamEnded, True), (ChannelsStreamReset, False)):
        _, _, other = _two()
        ((connection_id, channels),) = other.state.channels.table.items()
        assert channels.block is not None
        ((_, stream),) = channels.block.open
        arguments = (connection_id, ChannelId.BLOCK, stream)
        other.feed(event(*arguments) if event is ChannelsStreamEnded else ChannelsStreamReset(*arguments, StreamResetCode.CANCELLED))
        left = [told.reason.code for told in other.notifications if isinstance(told, PeerDisconnected)]
        assert left == ([ReasonCode.ANSWER_TRUNCATED] if is_left else [])
        check_invariants(other.state)


def test_a_lie_about_a_header_ends_the_connection_and_the_block_comes_from_others() -> None:
    """A copy with a foreign proof is condemned, not the hash."""
    simulation, (liar, node, honest) = _line(True, True, True, software=lambda _node, _told: None)
    lie = RawBlock(foreign_copy() + LAST.body)
    liar.dispatch(BestTipSet(lie, LAST.state_hash, True))
    simulation.run(SECOND)
    (asked,) = [told for told in node.notifications if isinstance(told, BlockHeaderReceived)]
    node.dispatch(BlocksVerdict(asked.verdict_id, is_valid=False))
    (left,) = [told for told in node.notifications if isinstance(told, PeerDisconnected)]
    assert (left.peer_id, left.reason.code) == (liar.config.peer_id, ReasonCode.INVALID_MESSAGE)
    honest.dispatch(_tip(LAST))
    simulation.run(5 * SECOND)
    told = [told for told in node.notifications if isinstance(told, BestTipReceived)]
    assert bytes(told[-1].block) == LAST.raw
    check_invariants(node.state)
