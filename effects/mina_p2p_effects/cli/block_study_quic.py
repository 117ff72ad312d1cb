"""The comparison of `mina_p2p.blocks.study` with real nodes: QUIC on loopback, all in this process.

Links have no delay and no width of their own here: times are those of the programs, and of the processors that they share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived, BlocksItemKnown
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.blocks.simulated import BLOCK_CHANNELS
from mina_p2p.blocks.study import Outcome, Protocol, Sample, Setting, cost, earlier_blocks, patience, topology
from mina_p2p.config import Limits
from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, Timestamp
from mina_p2p.notifications import BestTipReceived
from mina_p2p.store import Steps
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import ChannelsMessageReceived
from mina_p2p.wire.framing import HEADER_SIZE
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig

PATIENCE = 60 * SECOND
"""For a block to reach everybody, beside verifications."""


class _Member:
    """One node, and what it received."""

    def __init__(self, network: QuicNetwork, node: Node) -> None:
        self.network, self.node = network, node
        self.received: list[tuple[ChannelId, int, int]] = []
        node.store.observe(self._see)

    def _see(self, action: Any, _now: Timestamp, _steps: Steps, _state: Any) -> None:
        if isinstance(action, ChannelsMessageReceived) and action.channel in BLOCK_CHANNELS:
            self.network.heard.set()
            self.received.append((action.channel, action.frame[0] if action.frame else -1, HEADER_SIZE + len(action.frame)))

    async def play_software(self) -> None:
        """Find everything valid, after the time that this takes."""
        async with asyncio.TaskGroup() as judgements:
            async for told in self.node.notifications():
                if isinstance(told, BlockHeaderReceived | BlockReceived | BestTipReceived):
                    judgements.create_task(self._judge(told))

    async def _judge(self, told: BlockHeaderReceived | BlockReceived | BestTipReceived) -> None:
        network = self.network
        match told:
            case BlockReceived(state_hash=state_hash):
                network.arrived(self, state_hash)
            case BlockHeaderReceived(verdict_id=verdict_id):
                if await network.verified():
                    self.node.give_header_verdict(verdict_id, is_valid=True)
            case BestTipReceived(block=block, state_hash=state_hash):
                # By channel 10 its header is judged; to make it the tip as well would be a second way for it to go on.
                if network.protocol is Protocol.BEST_TIP and not network.has(self, state_hash) and await network.verified():
                    network.arrived(self, state_hash)
                    self.node.set_best_tip(block)


class QuicNetwork:
    """Nodes of one process that are connected as a setting says. An async context manager."""

    def __init__(self, protocol: Protocol, setting: Setting) -> None:
        """Say what to make.

        :raises CallerError: for GossipSub, which QUIC does not carry, and for a network of fewer than two nodes.
        """
        if protocol is Protocol.GOSSIP:
            raise CallerError("GossipSub is libp2p's; over QUIC there is channel 10 and the best-tip channel")
        if setting.nodes < 2 or setting.peers < 1:
            raise CallerError("a study takes two nodes at least, and a peer for each")
        self.protocol, self.setting = protocol, setting
        self._stack = AsyncExitStack()
        self._places = topology(setting, Dice(setting.seed, "study"))
        self._members: list[_Member] = []
        self._software: list[asyncio.Task[None]] = []
        self._times: dict[tuple[_Member, bytes], int] = {}
        self._waits_for: tuple[bytes, int] = b"", 0
        self._all_have_it = asyncio.Event()
        self._is_over = False
        self.heard = asyncio.Event()
        """Set with every frame of a channel for blocks."""

    async def __aenter__(self) -> Self:
        """Start the nodes and connect them."""
        await self._stack.__aenter__()
        try:
            for _ in range(self.setting.nodes):
                self._members.append(_Member(self, await self._stack.enter_async_context(self._make())))
            self._software = [asyncio.create_task(member.play_software()) for member in self._members]
            for member, place in zip(self._members, self._places, strict=True):
                for other in place.dials:
                    node = self._members[other].node
                    if member.node.state.connection_of(node.peer_id) is None:
                        await member.node.connect(node.addresses[0])
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all nodes."""
        self._is_over = True
        await self._stack.aclose()
        await asyncio.gather(*self._software)

    def _make(self) -> Node:
        most = max(100, 2 * self.setting.nodes)
        return Node(
            NodeConfig(
                secret_key=SecretKey.generate(),
                chain_id=MAINNET_CHAIN_ID,
                host="127.0.0.1",
                port=0,
                is_discovery_enabled=False,
                limits=Limits(peers_min=0, peers_max=most, known_peers_max=2 * most),
                blocks=BlocksConfig(warmth_at_start=self.setting.warm_percent) if self.protocol is Protocol.OUTLINES else None,
                check_every=None,
            )
        )

    async def verified(self) -> bool:
        """The time that the node software takes; whether the network still stands by then."""
        await asyncio.sleep(self.setting.verify / SECOND)
        return not self._is_over

    def has(self, member: _Member, state_hash: bytes) -> bool:
        """Whether a node has that block."""
        return (member, state_hash) in self._times

    def arrived(self, member: _Member, state_hash: bytes) -> None:
        """A node has a block, verified."""
        self._times.setdefault((member, state_hash), time.perf_counter_ns())
        wanted, count = self._waits_for
        if wanted == state_hash and sum(name == wanted for _, name in self._times) >= count:
            self._all_have_it.set()

    async def spread(self, block: Sample, producer: int) -> tuple[int, ...]:
        """Let a block reach everybody.

        :returns: nanoseconds until each node but the producer had it, ascending; fewer where `mina_p2p.blocks.study.patience` was not enough.
        """
        maker = self._members[producer]
        self._waits_for, self._all_have_it = (block.state_hash, len(self._members)), asyncio.Event()
        wait = patience(self.setting, self._places, producer, len(block.raw), PATIENCE)
        started = time.perf_counter_ns()
        self.arrived(maker, block.state_hash)
        maker.node.set_best_tip(block.raw, is_produced=True)
        try:
            async with asyncio.timeout(wait / SECOND):
                await self._all_have_it.wait()
        except TimeoutError:
            pass
        times = (at - started for (member, name), at in self._times.items() if name == block.state_hash and member is not maker)
        return tuple(sorted(times))

    async def _silence(self, linger_s: float) -> None:
        """Until no frame has come for so long."""
        while linger_s:
            self.heard.clear()
            try:
                async with asyncio.timeout(linger_s):
                    await self.heard.wait()
            except TimeoutError:
                return

    async def outcome(self, block: Sample, producer: int, warmth: Dice, *, linger_s: float) -> Outcome:
        """Spread a block and say what it cost.

        :param linger_s: seconds without a frame after which nothing more is taken to come.
        """
        others = [member for number, member in enumerate(self._members) if number != producer]
        for member in others:
            member.received.clear()
            for item in block.items:
                if warmth.chance(self.setting.warm_percent):
                    member.node.command(BlocksItemKnown(item))
        times = await self.spread(block, producer)
        await self._silence(linger_s)
        costs = [cost(member.received, block) for member in others]
        useful, twice, told = (sum(part) / len(others) for part in zip(*costs, strict=True))
        sizes = len(block.raw), len(block.body)
        return Outcome(f"{self.protocol.value}, QUIC", self.setting, *sizes, len(times), times, useful, twice, told)


async def study_over_quic(raws: Sequence[bytes], protocol: Protocol, setting: Setting, *, linger_s: float = 1.0) -> AsyncGenerator[Outcome]:
    """Let blocks reach one network of real nodes, as `mina_p2p.blocks.study.study` does with a simulated one.

    :param setting: of which rate and delays mean nothing here.
    :raises CallerError: see `QuicNetwork`.
    :raises DecodeError: where one is no block.
    """
    samples, producers, warmth = [Sample.of(raw) for raw in raws], Dice(setting.seed, "producers"), Dice(setting.seed, "warmth")
    async with QuicNetwork(protocol, setting) as network:
        if samples and protocol is Protocol.OUTLINES:
            earlier = Dice(setting.seed, "earlier producers")
            for raw in earlier_blocks(raws[0], setting.earlier):
                await network.spread(Sample.of(raw), earlier.below(setting.nodes))
        for sample in samples:
            yield await network.outcome(sample, producers.below(setting.nodes), warmth, linger_s=linger_s)


def studied_over_quic(raws: Sequence[bytes], protocol: Protocol, setting: Setting) -> Iterator[Outcome]:
    """`study_over_quic` for whoever runs no event loop."""
    with asyncio.Runner() as runner:
        outcomes = study_over_quic(raws, protocol, setting)
        try:
            while (outcome := runner.run(anext(outcomes, None))) is not None:
                yield outcome
        finally:
            runner.run(outcomes.aclose())
