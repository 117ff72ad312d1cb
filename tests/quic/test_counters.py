"""What the QUIC transport counts: exact where it can be, and told to the node software."""

from __future__ import annotations

import asyncio

from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ConnectionHelloReceived
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.metrics.traffic import Traffic, TrafficReported
from mina_p2p_effects.node import Node as FullNode
from mina_p2p_effects.node import NodeConfig
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.counters import Stopwatch
from quic.nodes import Node
from quic.pairs import ALICE, BOB, Listener, World, connected, dialer, profile

STREAM = StreamId(4)


def test_bytes_and_datagrams_are_those_that_were_carried() -> None:
    """Each end counts exactly what left it and what reached it; lost datagrams were sent and did not come."""
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB))
    world = World(dialing, listening)
    sent: list[list[int]] = [[], []]
    lost: list[int] = []

    def loses_one(sender: int, data: bytes) -> bool:
        sent[sender].append(len(data))
        if sender == 0 and len(sent[0]) == 5:
            lost.append(len(data))
            return False
        return True

    world.passes = loses_one
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    world.quiet(2.0)
    here, there = dialing.connection.traffic(world.now).total, listening.connection.traffic(world.now).total
    assert (here.bytes_out, here.datagrams_out) == (sum(sent[0]), len(sent[0]))
    assert (there.bytes_out, there.datagrams_out) == (sum(sent[1]), len(sent[1])) == (here.bytes_in, here.datagrams_in)
    assert (there.bytes_in, there.datagrams_in) == (sum(sent[0]) - sum(lost), len(sent[0]) - 1)


def test_streams_round_trip_and_losses() -> None:
    """Streams by who opened them, those open now, the world's two milliseconds, and a loss that is one."""
    world, alice, bob = connected()
    alice.connection.request(ChannelId.RPC, STREAM, b"please", 10_000, 10_000)
    world.quiet()
    here, there = alice.connection.traffic(world.now), bob.connection.traffic(world.now)
    assert here.total.streams_opened == there.total.streams_accepted == 2  # control and request
    assert here.streams_open == there.streams_open == 2
    assert here.rtt_s is not None
    assert 0.002 <= here.rtt_s < 0.01
    assert here.rtt_min_s is not None
    assert here.rtt_min_s <= here.rtt_s
    assert there.total.packets_lost == 0
    answered = world.carried[1]
    world.passes = lambda sender, data: sender == 0 or world.carried[1] != answered + 1  # the answer's first datagram
    bob.connection.answer(STREAM, (bytes(9_000),), ends=True)
    world.run(lambda: bool(alice.heard(ChannelsStreamEnded)))
    assert [len(event.frame) for event in alice.heard(ChannelsMessageReceived)] == [9_000]
    assert bob.connection.traffic(world.now).total.packets_lost == 1


def test_waiting_for_permission_is_time() -> None:
    """Bytes beyond the credit wait, and that is counted until the permission comes; those within it never wait."""
    world, alice, bob = connected()
    alice.connection.request(ChannelId.STREAMING_RPC, STREAM, b"please", 1_000, 1_000, ends=False)
    world.quiet()
    bob.connection.answer(STREAM, (bytes(900),), ends=False)
    world.quiet()
    assert bob.connection.traffic(world.now).total.credit_wait_s == 0
    bob.connection.answer(STREAM, (bytes(900),), ends=False)
    world.quiet(5.0)
    waited = bob.connection.traffic(world.now).total.credit_wait_s
    assert 4.9 < waited < 5.2
    alice.connection.request_continue(STREAM, b"more", 1_800, 1_000, ends=True)
    world.quiet()
    after = bob.connection.traffic(world.now).total.credit_wait_s
    assert len(alice.heard(ChannelsMessageReceived)) == 2
    world.quiet(5.0)
    assert bob.connection.traffic(world.now).total.credit_wait_s == after < waited + 0.1


def test_a_cancelled_answer_waits_no_more() -> None:
    """What was to be sent on a stream that is given up does not count as waiting."""
    world, alice, bob = connected()
    alice.connection.request(ChannelId.RPC, STREAM, b"please", 1_000, 1_000)
    world.quiet()
    bob.connection.answer(STREAM, (bytes(900),) * 3, ends=False)
    world.quiet(1.0)
    bob.connection.reset(STREAM, StreamResetCode.INTERNAL)
    world.quiet()
    waited = bob.connection.traffic(world.now).total.credit_wait_s
    assert 0.9 < waited < 1.2
    world.quiet(5.0)
    assert bob.connection.traffic(world.now).total.credit_wait_s == waited


def test_back_pressure_is_time() -> None:
    """Above the high watermark it counts, until it is below the low one."""
    world, alice, bob = connected(listener_config=QuicConfig(send_high_bytes=10_000, send_low_bytes=5_000))
    alice.connection.request(ChannelId.RPC, STREAM, b"please", 1 << 20, 1 << 20)
    world.quiet()
    world.passes = lambda sender, data: sender == 0
    bob.connection.answer(STREAM, (bytes(20_000),), ends=True)
    world.quiet(3.0)
    world.passes = lambda sender, data: True
    world.quiet(10.0)
    waited = bob.connection.traffic(world.now).total.buffer_wait_s
    assert 3.0 <= waited < 8.0
    world.quiet(10.0)
    assert bob.connection.traffic(world.now).total.buffer_wait_s == waited


def test_a_stopwatch_counts_what_was_so() -> None:
    """Saying it again changes nothing; a time that is under way counts."""
    watch = Stopwatch()
    watch.set(1.0, is_so=False)
    watch.set(2.0, is_so=True)
    watch.set(3.0, is_so=True)
    assert watch.seconds(5.0) == 3.0
    watch.set(6.0, is_so=False)
    assert watch.seconds(100.0) == 4.0


def test_what_ended_stays_in_the_sum() -> None:
    """A transport's totals only grow: with connections that are gone, and after its stop."""

    async def scenario() -> None:
        async with Node(1) as alice, Node(2, answer=b"answer") as bob:
            first = await alice.dial(bob)
            await alice.ask(first)
            before = alice.transport.traffic()
            assert len(before.connections) == 1
            assert before.total == before.connections[0].total
            assert before.connections[0].peer_id == bob.key.peer_id
            alice.leave(first)
            await bob.until(lambda: not bob.transport.traffic().connections)
            gone = alice.transport.traffic()
            assert gone.connections == ()
            assert gone.total.bytes_out > before.total.bytes_out
            await alice.dial(bob)
            both = alice.transport.traffic()
            assert both.connections_total == 2
            assert both.total.streams_opened == 3
        stopped = alice.transport.traffic()
        assert stopped.connections == ()
        assert stopped.total.bytes_out >= both.total.bytes_out

    asyncio.run(scenario())


def test_a_node_reports_its_traffic_as_notifications() -> None:
    """Where it is asked for, between the reducer's own; the log of actions never holds it."""

    async def scenario() -> None:
        config = NodeConfig(
            secret_key=SecretKey.deterministic(1), chain_id=MAINNET_CHAIN_ID, host="127.0.0.1", port=0, traffic_every_s=0.01
        )
        async with FullNode(config) as node, asyncio.timeout(60):
            async for notification in node.notifications():
                if isinstance(notification, TrafficReported):
                    assert [each.total for each in notification.transports] == [Traffic()]
                    assert node.traffic() == notification.transports
                    return

    asyncio.run(scenario())
