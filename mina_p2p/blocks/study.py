"""What blocks cost on their way to all nodes of a network: by channel 10, the classic best-tip channel, and GossipSub.

One run is one simulated network, decided by a seed: the same topology, delays, producers and warm items for
all protocols. Links are as wide as the nodes' own connections, which all their peers share.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksItemKnown, BlocksVerdict
from mina_p2p.blocks.downlink import Downlink
from mina_p2p.blocks.gossip_study import GossipStudy, Place
from mina_p2p.blocks.simulated import BlockNode, BlockSimulation
from mina_p2p.blocks.split import split_block, split_body
from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, Timestamp
from mina_p2p.mina.block import Block
from mina_p2p.mina.hashes import body_reference, state_hash_of_block
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived
from mina_p2p.record import Record, record
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.testing.sim import SimNode
from mina_p2p.wire.framing import HEADER_SIZE

SETTLE: Final = 20 * SECOND
"""For connections to be made before the block appears."""
PATIENCE: Final = 120 * SECOND
"""For a block to reach everybody, beside verifications and transfers."""
STEPS_FACTOR: Final = 2
"""Meshes of GossipSub and second attempts make ways longer than the shortest."""
BETWEEN: Final = 10 * SECOND
"""From one of the earlier blocks to the next."""
AFTER: Final = 60 * SECOND
"""From one of the measured blocks to the next: for all that is on its way."""
TAG_BYTES: Final = 1
HEADER_TAG, OUTLINE_TAG, ITEMS_TAG, BODY_TAG = 6, 7, 8, 9


class Protocol(enum.Enum):
    """How blocks travel."""

    OUTLINES = "channel 10"
    BEST_TIP = "best tip"
    GOSSIP = "gossipsub"
    """As OCaml nodes run it."""


@record
class Setting(Record):
    """One network."""

    nodes: int = 100
    peers: int = 20
    """Of each node, about."""
    warm_percent: int = 100
    """How likely a node has an item of the block."""
    verify: int = 0
    """Nanoseconds that the node software takes for a header or a block."""
    rate: int = 1_250_000
    """Bytes per second that a node's own connection carries each way."""
    delay_min: int = 20 * MILLISECOND
    delay_max: int = 200 * MILLISECOND
    """From node to node, one way."""
    seed: int = 1
    earlier: int = 32
    """Empty blocks before those that are measured, from which nodes learn who announces early."""


@record
class Outcome(Record):
    """What came of one block."""

    protocol: str
    setting: Setting
    block_bytes: int
    body_bytes: int
    reached: int
    """Nodes that have the block, verified."""
    times: tuple[int, ...]
    """Nanoseconds from the producer's announcement until each of them had it, ascending."""
    useful_bytes: float
    """Received by a node, on average: what the block needed."""
    duplicate_bytes: float
    """Headers and blocks that were there already."""
    announcement_bytes: float
    """Hashes, permissions and requests, in both directions."""

    def time_to(self, percent: int) -> int | None:
        """Nanoseconds until so many of a hundred nodes had it; ``None`` where they never did."""
        needed = -(-(self.setting.nodes - 1) * percent // 100)
        return self.times[needed - 1] if 0 < needed <= len(self.times) else None


def study(raws: Sequence[bytes], protocol: Protocol, setting: Setting) -> Iterator[Outcome]:
    """Let blocks reach one network, one after the other, each from another producer; those that win over the ones before.

    :param raws: blocks, the best last.
    :raises DecodeError: where one is no block.
    :raises CallerError: for a network of fewer than two nodes.
    """
    if setting.nodes < 2 or setting.peers < 1:
        raise CallerError("a study takes two nodes at least, and a peer for each")
    make = {Protocol.OUTLINES: _OutlinesRun, Protocol.BEST_TIP: _BestTipRun, Protocol.GOSSIP: _GossipRun}[protocol]
    run, producers = make(setting), Dice(setting.seed, "producers")
    if raws:
        run.prepare(raws[0])
    for raw in raws:
        yield run.outcome(Sample.of(raw), producers.below(setting.nodes))


def earlier_blocks(raw: bytes, count: int) -> tuple[bytes, ...]:
    """Empty blocks, one better than the other, over which a block wins: of its slot, but lower.

    :raises DecodeError: where ``raw`` is no block.
    """
    block, empty = RawBlock(raw).value, MinaGenerator(1).genesis().body
    state = block.header.protocol_state
    chain = state.body.blockchain_state.replace(body_reference=body_reference(empty))
    blocks: list[bytes] = []
    for height in range(max(0, state.body.consensus_state.blockchain_length - count), state.body.consensus_state.blockchain_length):
        consensus = state.body.consensus_state.replace(blockchain_length=height)
        lower = state.replace(body=state.body.replace(consensus_state=consensus, blockchain_state=chain))
        blocks.append(bytes(RawBlock.of(Block(block.header.replace(protocol_state=lower), empty))))
    return tuple(blocks)


@record
class Sample(Record):
    """A block in the forms that a run needs."""

    raw: RawBlock
    header: bytes
    body: bytes
    items: tuple[bytes, ...]
    state_hash: bytes

    @classmethod
    def of(cls, raw: bytes) -> Sample:
        """From wire bytes.

        :raises DecodeError: no block.
        """
        header, body = split_block(raw)
        return cls(RawBlock(raw), header, body, split_body(body).items, state_hash_of_block(raw))

    def tip(self) -> BestTipSet:
        """The command that makes it its producer's best tip."""
        return BestTipSet(self.raw, self.state_hash, is_produced=True)


def dialled(dice: Dice, place: int, count: int, peers: int) -> list[int]:
    """Half of a node's peers, the next one among them, so that the network is whole."""
    chosen = {(place + 1) % count: None}
    while len(chosen) < min(max(1, peers // 2), count - 1):
        other = dice.below(count)
        if other != place:
            chosen[other] = None
    return [other for other in chosen if other != place and not (other < place and count == 2)]


def cost(received: Iterable[tuple[ChannelId, int, int]], block: Sample) -> tuple[int, int, int]:
    """Useful, duplicate and announcing bytes among what a node received, by channel, tag and size."""
    useful = twice = told = 0
    has_header = has_outline = has_body = False
    for channel, tag, size in received:
        rest = size
        if channel is ChannelId.BEST_TIP:
            if size == HEADER_SIZE + TAG_BYTES + len(block.raw):
                useful, twice = (useful, twice + size) if has_body else (useful + size, twice)
                has_body = True
            else:
                told += size
            continue
        if tag == HEADER_TAG:
            useful, twice = (useful, twice + len(block.header)) if has_header else (useful + len(block.header), twice)
            has_header, rest = True, size - len(block.header)
        if tag == BODY_TAG or (tag == HEADER_TAG and rest >= len(block.body)):
            useful, twice = (useful, twice + rest) if has_body else (useful + rest, twice)
            has_body = True
        elif tag == HEADER_TAG:
            useful, twice = (useful, twice + rest) if has_outline else (useful + rest, twice)
            has_outline = True
        elif tag in {OUTLINE_TAG, ITEMS_TAG}:
            useful += size
        else:
            told += size
    return useful, twice, told


def topology(setting: Setting, dice: Dice) -> list[Place]:
    """Where the nodes of a network are, and whom they dial."""
    count, places = setting.nodes, list[Place]()
    for number in range(count):
        latency = dice.between(setting.delay_min // 2, setting.delay_max // 2)
        places.append(Place(latency, tuple(dialled(dice, number, count, setting.peers))))
    return places


def steps_to_all(places: Sequence[Place], start: int) -> int:
    """Connections from one node to the farthest, on the shortest way."""
    neighbours: list[list[int]] = [[] for _ in places]
    for number, place in enumerate(places):
        for other in place.dials:
            neighbours[number].append(other)
            neighbours[other].append(number)
    known, edge, steps = {start}, [start], 0
    while edge := list(dict.fromkeys(other for number in edge for other in neighbours[number] if other not in known)):
        known.update(edge)
        steps += 1
    return steps


def patience(setting: Setting, places: Sequence[Place], producer: int, block_bytes: int, least: int = PATIENCE) -> int:
    """Nanoseconds after which a block that has not reached everybody is taken never to.

    :param least: for all but what verifying the block and sending it to all peers take at each step of the way.
    """
    transfer = setting.peers * block_bytes * SECOND // setting.rate if setting.rate else 0
    return least + STEPS_FACTOR * steps_to_all(places, producer) * (setting.verify + transfer)


class _Run:
    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.places = topology(setting, Dice(setting.seed, "study"))

    def prepare(self, raw: bytes) -> None:
        """Let the network learn whatever it learns from blocks before this one."""

    def outcome(self, block: Sample, producer: int) -> Outcome:
        """Spread one block."""
        raise NotImplementedError


class _GossipRun(_Run):
    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._study = GossipStudy(self.places, seed=setting.seed, verify=setting.verify, rate=setting.rate, settle=SETTLE)

    def outcome(self, block: Sample, producer: int) -> Outcome:
        """Spread one block."""
        spread = self._study.spread(block.raw, producer, patience=patience(self.setting, self.places, producer, len(block.raw)))
        sizes, reached = (len(block.raw), len(block.body)), len(spread.times)
        costs = spread.useful_bytes, spread.duplicate_bytes, spread.announcement_bytes
        return Outcome(Protocol.GOSSIP.value, self.setting, *sizes, reached, spread.times, *costs)


class _PullRun(_Run):
    protocol: Protocol

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.simulation = BlockSimulation(setting.seed, latency=0, jitter_percent=0, keeps_notifications=False)
        self.simulation.network.send_high_bytes = 64 << 20
        self.times: list[int] = []
        self.started_at = Timestamp(0)
        self.warmth = Dice(setting.seed, "warmth")
        self.nodes = [self.add() for _ in self.places]
        for node, place in zip(self.nodes, self.places, strict=True):
            node.port.latency = place.latency
            for other in place.dials:
                self.simulation.connect(node, self.nodes[other])
        self.simulation.run(SETTLE)
        for node in self.nodes:
            node.port.write_rate = setting.rate
            Downlink(self.simulation, node.port, setting.rate)

    def add(self) -> BlockNode:
        raise NotImplementedError

    def arrived(self) -> None:
        self.times.append(self.simulation.now - self.started_at)

    def outcome(self, block: Sample, producer: int) -> Outcome:
        """Spread one block."""
        others = [node for node in self.nodes if node is not self.nodes[producer]]
        for node in others:
            node.received.clear()
            for item in block.items:
                if self.warmth.chance(self.setting.warm_percent):
                    node.dispatch(BlocksItemKnown(item))
        self.times.clear()
        self.started_at = self.simulation.now
        self.nodes[producer].dispatch(block.tip())
        self.simulation.run(patience(self.setting, self.places, producer, len(block.raw)), until=lambda: len(self.times) >= len(others))
        times = tuple(sorted(self.times))
        self.simulation.run(AFTER)
        costs = [cost(node.received, block) for node in others]
        useful, twice, told = (sum(part) / len(others) for part in zip(*costs, strict=True))
        sizes = len(block.raw), len(block.body)
        return Outcome(self.protocol.value, self.setting, *sizes, len(times), times, useful, twice, told)


class _OutlinesRun(_PullRun):
    protocol = Protocol.OUTLINES

    def prepare(self, raw: bytes) -> None:
        """Nodes learn who announces early."""
        producers = Dice(self.setting.seed, "earlier producers")
        for earlier in earlier_blocks(raw, self.setting.earlier):
            producers.choice(self.nodes).dispatch(Sample.of(earlier).tip())
            self.simulation.run(BETWEEN)

    def add(self) -> BlockNode:
        return self.simulation.add_block_node(
            software=self._software, warmth=self.setting.warm_percent, link_bytes_per_second=self.setting.rate
        )

    def _software(self, node: SimNode, told: Any) -> None:
        match told:
            case BlockHeaderReceived(verdict_id=verdict_id):
                node.later(self.setting.verify, BlocksVerdict(verdict_id, is_valid=True))
            case BlockReceived():
                self.arrived()
            case _:
                pass


class _BestTipRun(_PullRun):
    protocol = Protocol.BEST_TIP

    def __init__(self, setting: Setting) -> None:
        self._asked: set[tuple[int, bytes]] = set()
        super().__init__(setting)

    def add(self) -> BlockNode:
        return self.simulation.add_block_node(software=self._software, is_header_first=False)

    def _software(self, node: SimNode, told: Any) -> None:
        if not isinstance(told, BestTipReceived) or (node.number, told.state_hash) in self._asked:
            return
        own = node.state.best_tips.own
        if own is None or own.state_hash != told.state_hash:
            self._asked.add((node.number, told.state_hash))
            self.simulation.after(self.setting.verify, partial(self._adopt, node, told))

    def _adopt(self, node: SimNode, told: BestTipReceived) -> None:
        self.arrived()
        node.dispatch(BestTipSet(told.block, told.state_hash))
