"""Whole networks: blocks reach everybody, in few bytes, past liars, loss and partitions."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from blocks.lab import Sample, chain, foreign_copy
from mina_p2p.blocks.actions import BlockHeaderReceived, BlocksItemKnown, BlocksVerdict
from mina_p2p.blocks.simulated import BlockNode, BlockSimulation
from mina_p2p.blocks.split import Outline
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    BlockBodyItem,
    BlockHeaderItem,
    BlockItems,
    BlockMessage,
    BlockOutlineItem,
    BodyRest,
    OutlineRest,
)
from mina_p2p.errors import DecodeError
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.notifications import PeerDisconnected
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.testing.sim import SimNode
from mina_p2p.transport import ChannelsEffectfulAnswerSend, TransportEffect

GENESIS, FIRST, _, LAST = chain()
VERIFY = 50 * MILLISECOND


class World:
    """Nodes, who of them lies, and what they did."""

    def __init__(
        self, seed: int, count: int, *, peers: int, liars: dict[int, BlockLiar] | None = None, warm: int = 0, **config: Any
    ) -> None:
        self.simulation = BlockSimulation(seed, keeps_notifications=False)
        self.dice = Dice(seed, "world")
        self.liars = liars or {}
        self.accused: list[tuple[int, int, str]] = []
        genuine = {sample.header for sample in chain()}

        def software(node: SimNode, told: Any) -> None:
            match told:
                case BlockHeaderReceived(verdict_id=verdict_id, header=header):
                    node.later(VERIFY, BlocksVerdict(verdict_id, header in genuine or node.number in self.liars))
                case PeerDisconnected(peer_id=peer_id, reason=reason, by_peer=False) if reason.code.is_violation:
                    self.accused.append((node.number, int.from_bytes(peer_id, "big"), str(reason)))
                case _:
                    pass

        self.nodes = [
            self.simulation.add_block_node(software=software, liar=self.liars.get(n + 1), warmth=warm, **config) for n in range(count)
        ]
        for place, node in enumerate(self.nodes):
            node.dispatch(GENESIS.tip)
            for item in LAST.parts.items:
                if self.dice.chance(warm):
                    node.dispatch(BlocksItemKnown(item))
            others = self.nodes[:place]
            ring = others[-1:]
            for other in {o.number: o for o in (*ring, *(self.dice.choice(others) for _ in range(peers // 2) if others))}.values():
                self.simulation.connect(node, other)
        self.run(5)

    def run(self, seconds: int) -> None:
        """Let time pass, and check every node's slice."""
        self.simulation.run(seconds * SECOND)
        for node in self.nodes:
            check_invariants(node.state)

    @property
    def honest(self) -> list[BlockNode]:
        """Nodes that keep to the protocol."""
        return [node for node in self.nodes if node.number not in self.liars]

    def everybody_has(self, block: Sample) -> bool:
        """Whether each honest node's best block is that one."""
        return all(node.blocks.tip is not None and node.blocks.tip.state_hash == block.state_hash for node in self.honest)

    def wrongly_accused(self) -> list[tuple[int, int, str]]:
        """Honest nodes that honest nodes left as liars."""
        return [(who, whom, why) for who, whom, why in self.accused if who not in self.liars and whom not in self.liars]


class BlockLiar:
    """Twists what its honest reducer would answer on channel 10."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed, "liar")

    def perform(self, node: SimNode, effect: TransportEffect) -> Iterable[TransportEffect]:
        """Change two answers of three, and forget one of six."""
        if not isinstance(effect, ChannelsEffectfulAnswerSend) or self.dice.chance(33):
            return (effect,)
        if self.dice.chance(25):
            return ()
        return (effect.replace(frames=tuple(map(self._twisted, effect.frames))),)

    def _twisted(self, frame: bytes) -> bytes:
        try:
            return BLOCK_MESSAGE.encode(self._lie(BLOCK_MESSAGE.decode(frame)))
        except DecodeError:
            return frame

    def _lie(self, message: BlockMessage) -> BlockMessage:
        match message:
            case BlockHeaderItem(header=header, rest=BodyRest()):
                return BlockHeaderItem(header, BodyRest(FIRST.body))
            case BlockHeaderItem(header=header, rest=OutlineRest(outline=outline)):
                copy = foreign_copy() if self.dice.chance(30) and header == LAST.header else header
                return BlockHeaderItem(copy, OutlineRest(self._outline(outline)))
            case BlockOutlineItem(outline=outline):
                return BlockOutlineItem(self._outline(outline))
            case BlockItems(items=items):
                return BlockItems(tuple(self.dice.raw(20) for _ in items))
            case BlockBodyItem():
                return BlockBodyItem(FIRST.body)
            case _:
                return message

    def _outline(self, outline: Outline) -> Outline:
        ids = bytearray(outline.id_string)
        if ids:
            ids[self.dice.below(len(ids))] ^= 1
        return outline.replace(id_string=bytes(ids))


def test_two_nodes_cold() -> None:
    """Nothing is known at the other end: the whole block comes once."""
    world = World(1, 2, peers=2)
    world.nodes[0].dispatch(LAST.tip)
    before = world.nodes[1].bytes_received
    world.run(5)
    assert world.everybody_has(LAST)
    assert world.nodes[1].bytes_received - before <= len(LAST.raw) * 105 // 100


def test_two_nodes_warm() -> None:
    """All transactions and works are known: header, outline, and little else."""
    world = World(1, 2, peers=2, warm=100)
    before = world.nodes[1].bytes_received
    world.nodes[0].dispatch(LAST.tip)
    world.run(5)
    assert world.everybody_has(LAST)
    assert world.nodes[1].bytes_received - before <= len(LAST.header) + 512 + 100


@pytest.mark.parametrize("warm", [0, 50, 100])
def test_ten_nodes_have_every_block(warm: int) -> None:
    """One after the other, from different producers."""
    world = World(3, 10, peers=4, warm=warm)
    for producer, block in zip((0, 4, 9), chain()[1:], strict=True):
        world.nodes[producer].dispatch(block.tip)
        world.run(10)
        assert world.everybody_has(block)
    assert world.accused == []


def test_blocks_that_run_ahead_of_verdicts_are_sooner_everywhere() -> None:
    """One verdict after the other, on a way of some hops; or all of them at once."""
    worlds = [World(3, 10, peers=2, warm=100, relays_before_verdict=is_early) for is_early in (False, True)]
    for world in worlds:
        world.nodes[0].dispatch(LAST.tip)
    while not worlds[1].everybody_has(LAST):
        for world in worlds:
            world.simulation.run(10 * MILLISECOND)
    assert not worlds[0].everybody_has(LAST)
    worlds[0].run(10)
    assert worlds[0].everybody_has(LAST)
    assert worlds[0].accused == worlds[1].accused == []


def test_a_late_joiner_gets_the_best_block() -> None:
    """Who connects is told at once."""
    world = World(4, 3, peers=2)
    world.nodes[0].dispatch(LAST.tip)
    world.run(10)
    late = world.simulation.add_block_node(software=world.nodes[0].software)
    world.nodes.append(late)
    world.simulation.connect(late, world.nodes[1])
    world.run(10)
    assert late.blocks.tip is not None
    assert late.blocks.tip.state_hash == LAST.state_hash


def test_competing_blocks_end_in_one() -> None:
    """Two producers at once: everybody agrees on the better one."""
    world = World(5, 8, peers=4)
    world.nodes[0].dispatch(FIRST.tip)
    world.nodes[7].dispatch(LAST.tip)
    world.run(20)
    assert world.everybody_has(LAST)
    assert world.accused == []


def _hostile(seed: int) -> World:
    liars = {number: BlockLiar(seed * 100 + number) for number in (2, 5, 8)}
    world = World(seed, 10, peers=6, liars=liars, warm=(0, 50, 90, 100)[seed % 4], link_bytes_per_second=(0, 800_000)[seed // 4 % 2])
    # Honest nodes stay connected with each other whatever liars do.
    honest = world.honest
    for one, other in pairwise(honest):
        world.simulation.connect(one, other)
    world.run(5)
    return world


@pytest.mark.parametrize("seed", range(12))
def test_liars_do_not_stop_blocks(seed: int) -> None:
    """Every honest node gets every winning block, and only liars are left."""
    world = _hostile(seed)
    for block in (FIRST, LAST):
        world.honest[seed % 7].dispatch(block.tip)
        world.run(90)
        assert world.everybody_has(block)
    assert world.wrongly_accused() == []


def test_liars_are_left() -> None:
    """What they did is found out and has a reason."""
    world = _hostile(1)
    for block in (FIRST, LAST):
        world.honest[0].dispatch(block.tip)
        world.run(60)
    accused = {whom for _, whom, _ in world.accused}
    assert accused
    assert accused <= set(world.liars)


@pytest.mark.parametrize("seed", range(100, 106))
def test_loss_and_partitions_do_not_stop_blocks(seed: int) -> None:
    """Connections break and halves are separated for a while; who comes back catches up."""
    world = _hostile(seed)
    network, halves = world.simulation.network, (world.nodes[:5], world.nodes[5:])
    for one in halves[0]:
        for other in halves[1]:
            network.cut(one.config.peer_id, other.config.peer_id, world.simulation.now)
    world.honest[0].dispatch(FIRST.tip)
    world.run(60)
    network.heal()
    world.honest[0].dispatch(LAST.tip)
    world.run(10)
    honest = world.honest
    for one, other in pairwise(honest):
        world.simulation.connect(one, other)
    world.run(120)
    assert world.everybody_has(LAST)
    assert world.wrongly_accused() == []
