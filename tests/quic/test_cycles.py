"""Endurance: nodes that meet and part again and again, and connections that idle for a day."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest

from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.notifications import PeerDisconnected
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.exchanges import Phase
from quic.pairs import connected

CYCLES = 200
QUARTERS = 4
WARM_UP = 60
BYTES_PER_CYCLE_MAX = 200
"""Whatever a cycle leaves behind for good would be more than this: a connection has over 50 kB, its smallest record 100 bytes."""

HOUR_S = 3600.0
DESCRIPTORS = Path("/proc/self/fd")


def config(number: int) -> NodeConfig:
    return NodeConfig(
        secret_key=SecretKey.deterministic(number), chain_id=MAINNET_CHAIN_ID, host="127.0.0.1", port=0, seed=number,
        is_discovery_enabled=False, are_private_addresses_allowed=True, quic=QuicConfig(farewell_s=0),
    )  # fmt: skip


async def one_cycle(dialer: Node, listener: Node) -> None:
    """Connect, both sides ready, and part; over when the listener has noticed."""
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    end = listener._runtime.listen(lambda event: left.set_result(None) if isinstance(event, PeerDisconnected) and not left.done() else None)
    try:
        made = await dialer.connect(listener.addresses[0])
        assert dialer.disconnect(made.peer_id)
        async with asyncio.timeout(60):
            await left
    finally:
        end()


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc/self/fd to count descriptors")
def test_meeting_and_parting_leaves_nothing() -> None:
    """Whole nodes, stores included: the same tasks, descriptors, timers and tables after hundreds of cycles, and no growth of memory."""

    async def scenario() -> None:
        async with Node(config(1)) as alice, Node(config(2)) as bob:
            following = [asyncio.ensure_future(drain(node)) for node in (alice, bob)]
            for _ in range(WARM_UP):
                await one_cycle(alice, bob)
            gc.collect()
            tracemalloc.start()
            for _ in range(10):  # what begins to be traced now settles
                await one_cycle(alice, bob)
            gc.collect()
            descriptors, tasks = open_descriptors(), len(asyncio.all_tasks())
            memory = [tracemalloc.get_traced_memory()[0]]
            for _ in range(QUARTERS):
                for number in range(CYCLES // QUARTERS):
                    await one_cycle(*((alice, bob) if number % 2 else (bob, alice)))
                gc.collect()
                memory.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            assert open_descriptors() == descriptors
            assert len(asyncio.all_tasks()) == tasks
            # Caches of the interpreter fill at any time, and end to grow; what is left for good is left in every quarter.
            assert min(after - before for before, after in pairwise(memory)) < CYCLES // QUARTERS * BYTES_PER_CYCLE_MAX
            for node in (alice, bob):
                assert len(node.state.connections) == 0
                assert len(node.state.connections.deadlines) == 0
                assert len(node.state.peers) == 1
                (traffic,) = node.traffic()
                assert traffic.connections == ()
                assert traffic.connections_total == WARM_UP + 10 + CYCLES
            for task in following:
                task.cancel()

    asyncio.run(scenario())


def open_descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


async def drain(node: Node) -> None:
    """The node software that forgets everything it is told."""
    async for _ in node.notifications():
        pass


def test_a_day_of_silence_does_not_end_a_connection() -> None:
    """24 hours in which nobody asks anything: keep-alives only, few of them, no loss, and then a request is answered."""
    world, alice, bob = connected()
    before = sum(world.carried)
    world.quiet(24 * HOUR_S)
    assert alice.connection.phase is bob.connection.phase is Phase.OPEN
    sent = sum(world.carried) - before
    assert 24 * 360 <= sent <= 24 * 360 * 4  # a PING and its acknowledgement every ten seconds, of either side at most
    for end in (alice, bob):
        assert end.connection.traffic(world.now).total.packets_lost == 0
        assert end.connection.quic.open_streams() == 1
    alice.connection.request(ChannelId.RPC, StreamId(4), b"please", 1_000, 1_000)
    world.quiet()
    bob.connection.answer(StreamId(4), (b"here",), ends=True)
    world.run(lambda: bool(alice.heard(ChannelsStreamEnded)))
    assert [event.frame for event in alice.heard(ChannelsMessageReceived)] == [b"here"]


def test_losses_do_not_end_an_idle_connection() -> None:
    """Three hours in which each tenth datagram is lost: a keep-alive is repeated before the idle time-out."""
    world, alice, bob = connected()
    dice = random.Random(7)
    world.passes = lambda sender, data: dice.random() >= 0.1
    world.quiet(3 * HOUR_S)
    assert alice.connection.phase is bob.connection.phase is Phase.OPEN


def test_a_peer_that_is_gone_is_noticed() -> None:
    """The other side of keep-alive: without answers the connection ends at the idle time-out, and costs nothing after."""
    world, alice, _ = connected()
    world.passes = lambda sender, data: sender == 0
    began = world.now
    world.run(lambda: alice.closed_by is not None, seconds=60)
    assert 29 < world.now - began < 45
    assert alice.deadline() is None
