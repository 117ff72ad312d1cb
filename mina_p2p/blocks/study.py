"""What a block costs on its way to all nodes of a network: by channel 10, and by the classic best-tip channel.

One run is one block in one simulated network, decided by a seed: the same topology, delays and warm items for
both protocols. Links are as wide as the nodes' own connections, which all their peers share.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksItemKnown, BlocksTipSet, BlocksVerdict
from mina_p2p.blocks.simulated import BlockNode, BlockSimulation
from mina_p2p.blocks.split import Parts, split_block, split_body
from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, Timestamp
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived
from mina_p2p.record import Record, record
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.testing.sim import SimNode
from mina_p2p.transport import ChannelsMessageReceived, TransportEvent
from mina_p2p.wire.framing import HEADER_SIZE

SETTLE: Final = 20 * SECOND
"""For connections to be made before the block appears."""
PATIENCE: Final = 120 * SECOND
"""For the block to reach everybody."""
HEADER_TAG, OUTLINE_TAG, ITEMS_TAG, BODY_TAG = 6, 7, 8, 9
EARLIER: Final = 8
"""Blocks before the one that is measured."""


class Protocol(enum.Enum):
    """How blocks travel."""

    OUTLINES = "channel 10"
    BEST_TIP = "best tip"


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


def study(raw: bytes, protocol: Protocol, setting: Setting) -> Outcome:
    """Let one block reach a network.

    :raises DecodeError: where ``raw`` is no block.
    :raises CallerError: for a network of fewer than two nodes.
    """
    if setting.nodes < 2 or setting.peers < 1:
        raise CallerError("a study takes two nodes at least, and a peer for each")
    run = _OutlinesRun(raw, setting) if protocol is Protocol.OUTLINES else _BestTipRun(raw, setting)
    return run.outcome()


@cache
def earlier_blocks() -> tuple[bytes, ...]:
    """Empty blocks of another branch, one after the other; mainnet's later blocks win over them."""
    generator = MinaGenerator(1)
    blocks = [generator.genesis()]
    while len(blocks) < EARLIER:
        blocks.append(generator.block(blocks[-1], commands=()))
    return tuple(bytes(RawBlock.of(block)) for block in blocks)


class _Run:
    protocol: Protocol

    def __init__(self, raw: bytes, setting: Setting) -> None:
        self.raw, self.setting = raw, setting
        self.header, self.body = split_block(raw)
        self.state_hash = state_hash_of_block(raw)
        self.dice = Dice(setting.seed, "study")
        self.simulation = BlockSimulation(setting.seed, latency=0, jitter_percent=0, keeps_notifications=False)
        self.simulation.network.send_high_bytes = 64 << 20
        self.times: list[int] = []
        self.started_at = Timestamp(0)
        self.nodes = [self.add() for _ in range(setting.nodes)]
        for place, node in enumerate(self.nodes):
            node.port.latency = self.dice.between(setting.delay_min // 2, setting.delay_max // 2)
            for other in self._dialled(place):
                self.simulation.connect(node, self.nodes[other])
        self.simulation.run(SETTLE)
        for node in self.nodes:
            node.port.write_rate = node.port.read_rate = setting.rate

    def _dialled(self, place: int) -> list[int]:
        """Half of a node's peers, the next one among them, so that the network is whole."""
        count, wished = self.setting.nodes, max(1, self.setting.peers // 2)
        chosen = {(place + 1) % count: None}
        while len(chosen) < min(wished, count - 1):
            other = self.dice.below(count)
            if other != place:
                chosen[other] = None
        return [other for other in chosen if other != place and not (other < place and count == 2)]

    def add(self) -> SimNode:
        raise NotImplementedError

    def start(self, producer: SimNode) -> None:
        raise NotImplementedError

    def cost(self, node: SimNode) -> tuple[int, int, int]:
        """Useful, duplicate and announcing bytes of a node."""
        raise NotImplementedError

    def arrived(self) -> None:
        self.times.append(self.simulation.now - self.started_at)

    def warm_up(self) -> None:
        """Whatever a network learns from the blocks before."""

    def outcome(self) -> Outcome:
        producer, *others = self.nodes
        self.warm_up()
        self.times.clear()
        self.started_at = self.simulation.now
        self.start(producer)
        self.simulation.run(PATIENCE, until=lambda: len(self.times) >= len(others))
        times = tuple(sorted(self.times))
        self.simulation.run(5 * SECOND)
        costs = [self.cost(node) for node in others]
        useful, twice, told = (sum(part) / len(others) for part in zip(*costs, strict=True))
        setting, sizes = self.setting, (len(self.raw), len(self.body))
        return Outcome(self.protocol.value, setting, *sizes, len(times), times, useful, twice, told)


class _OutlinesRun(_Run):
    protocol = Protocol.OUTLINES

    def __init__(self, raw: bytes, setting: Setting) -> None:
        super().__init__(raw, setting)
        parts: Parts = split_body(self.body)
        for node in self.nodes[1:]:
            for item in parts.items:
                if self.dice.chance(setting.warm_percent):
                    node.dispatch(BlocksItemKnown(item))

    def warm_up(self) -> None:
        """A few empty blocks from different producers: nodes learn who announces early."""
        for block in earlier_blocks():
            self.dice.choice(self.nodes).dispatch(BlocksTipSet(*split_block(block)))
            self.simulation.run(10 * SECOND)
        self.simulation.run(10 * SECOND)
        for node in self.nodes:
            self._of(node).received.clear()

    def _of(self, node: SimNode) -> BlockNode:
        if not isinstance(node, BlockNode):
            raise CallerError("a node of another protocol")
        return node

    def add(self) -> SimNode:
        return self.simulation.add_block_node(software=self._software, warmth=self.setting.warm_percent)

    def _software(self, node: SimNode, told: Any) -> None:
        match told:
            case BlockHeaderReceived(verdict_id=verdict_id):
                node.later(self.setting.verify, BlocksVerdict(verdict_id, is_valid=True))
            case BlockReceived():
                self.arrived()
            case _:
                pass

    def start(self, producer: SimNode) -> None:
        producer.dispatch(BlocksTipSet(self.header, self.body))

    def cost(self, node: SimNode) -> tuple[int, int, int]:
        useful = twice = told = 0
        has_header = has_outline = has_body = False
        for tag, size in self._of(node).received:
            rest = size
            if tag == HEADER_TAG:
                useful, twice = (useful, twice + len(self.header)) if has_header else (useful + len(self.header), twice)
                has_header, rest = True, size - len(self.header)
            if tag == BODY_TAG or (tag == HEADER_TAG and rest >= len(self.body)):
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


class _ClassicNode(SimNode):
    """Counts what comes on the best-tip channel."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.received: list[int] = []

    def feed(self, event: TransportEvent) -> None:
        """Take an event of the network."""
        if isinstance(event, ChannelsMessageReceived) and event.channel is ChannelId.BEST_TIP:
            self.received.append(HEADER_SIZE + len(event.frame))
        super().feed(event)


class _BestTipRun(_Run):
    protocol = Protocol.BEST_TIP

    def __init__(self, raw: bytes, setting: Setting) -> None:
        self._asked: set[int] = set()
        super().__init__(raw, setting)

    def add(self) -> SimNode:
        node = _ClassicNode(self.simulation, *self.simulation.next_place((ChannelId.BEST_TIP,)), self._software, None)
        self.simulation.nodes.append(node)
        return node

    def _software(self, node: SimNode, told: Any) -> None:
        if isinstance(told, BestTipReceived) and node.number not in self._asked:
            self._asked.add(node.number)
            self.simulation.after(self.setting.verify, partial(self._adopt, node, told.block))

    def _adopt(self, node: SimNode, block: RawBlock) -> None:
        self.arrived()
        node.dispatch(BestTipSet(block, self.state_hash))

    def start(self, producer: SimNode) -> None:
        self._asked.add(producer.number)
        producer.dispatch(BestTipSet(RawBlock(self.raw), self.state_hash))

    def cost(self, node: SimNode) -> tuple[int, int, int]:
        received = node.received if isinstance(node, _ClassicNode) else []
        blocks = [size for size in received if size > len(self.raw)]
        return blocks[0] if blocks else 0, sum(blocks[1:]), sum(received) - sum(blocks)


def compare(raws: Sequence[bytes], settings: Sequence[Setting]) -> list[Outcome]:
    """Every block in every network by every protocol."""
    return [study(raw, protocol, setting) for setting in settings for raw in raws for protocol in Protocol]
