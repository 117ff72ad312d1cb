"""Addresses: nothing is sent in quantity to one that is not known to listen, and a peer that moves keeps its connection."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ConnectionClosed, ConnectionHelloReceived
from mina_p2p_effects.transports.quic import QuicConfig
from quic.nodes import Node
from quic.pairs import ALICE, BOB, CAROL, Listener, World, connected, dialer, profile, stock_client

RPC, REQUEST = ChannelId.RPC, StreamId(4)


@pytest.mark.parametrize("stock", [False, True])
def test_a_listener_sends_three_times_what_came_and_waits(stock):
    """A dialer's first datagram from a forged address: whatever time passes, no more than three times its bytes go there."""
    attacker = stock_client(CAROL) if stock else dialer(profile(ALICE))
    listening = Listener(profile(BOB, QuicConfig(handshake_timeout_s=60)))
    world = World(attacker, listening)
    ((data, _), *_) = attacker.transmit(0.0)
    listening.receive(data, ("203.0.113.9", 9), 0.0)
    sent = 0
    while (deadline := listening.deadline()) is not None:
        sent += sum(len(each) for each, _ in listening.transmit(world.now))
        world.now = max(world.now, deadline)
        listening.handle_timer(world.now)
    assert 1000 < sent <= 3 * len(data)
    assert listening.log == []


@pytest.mark.parametrize("moves", [1, 5])
def test_a_peer_that_moves_in_the_middle_of_an_answer_gets_all_of_it(moves):
    """The listener validates each new address; what was lost on the way is sent again."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"?", 4_000_000, 3_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    payload = bytes(range(256)) * 8000
    listening.connection.answer(REQUEST, (payload,), ends=True)
    for number in range(moves):
        before = world.carried[1]
        world.run(lambda before=before: world.carried[1] > before + 150)
        world.dialer_address = ("192.0.2.99", 4000 + number)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert [event.frame for event in dialing.heard(ChannelsMessageReceived)] == [payload]
    assert listening.connection.quic.get_peer_address() == world.dialer_address


def test_at_a_new_address_small_datagrams_come_first():
    """1200 bytes until the address is validated, then a probe, then 1452: the old path's size says nothing of the new one."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"?", 2_000_000, 1_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    assert listening.connection._mtu.size == 1452
    world.dialer_address = ("192.0.2.99", 4444)
    world.passes = lambda sender, data: not (sender == 1 and len(data) > 1300)
    listening.connection.answer(REQUEST, (bytes(500_000),), ends=True)
    dialing.connection.quic.send_ping(0)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert listening.connection._mtu.size == 1200
    world.passes = lambda sender, data: True
    world.quiet(700)
    assert listening.connection._mtu.size == 1452


def test_larger_datagrams_mean_fewer():
    """The same answer over a path of 1500 bytes needs a sixth fewer datagrams than over one of 1280."""

    def datagrams(path_bytes: int) -> int:
        dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB))
        world = World(dialing, listening)
        world.passes = lambda sender, data: len(data) <= path_bytes - 48
        world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
        dialing.connection.request(RPC, REQUEST, b"?", 2_000_000, 1_000_000)
        world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
        world.quiet(10)
        before = world.carried[1]
        listening.connection.answer(REQUEST, (bytes(1_000_000),), ends=True)
        world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
        return world.carried[1] - before

    assert datagrams(1500) < datagrams(1280) * 0.85


def test_a_node_whose_port_changes_keeps_its_connection():
    """Over sockets: the dialer's socket is another one, as after a router's restart; questions in both directions are answered."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        # Where the machine is busy, validation may take longer than it may; the next keep-alive begins it anew.
        async with Node(1, QuicConfig(keep_alive_s=0.5), answer=b"here") as alice, Node(2, answer=bytes(300_000)) as bob:
            to_bob = await alice.dial(bob)
            (hello,) = await bob.until(lambda: bob.heard(ConnectionHelloReceived))
            endpoint = alice.transport._endpoint
            assert endpoint is not None
            old = endpoint._socket
            loop.remove_reader(old)
            old.close()
            endpoint._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            endpoint._socket.setblocking(False)
            endpoint._socket.bind(("127.0.0.1", 0))
            loop.add_reader(endpoint._socket, endpoint._readable)
            assert endpoint.address.port != alice.address.port
            assert await alice.ask(to_bob) == [bytes(300_000)]
            assert await bob.ask(hello.connection_id) == [b"here"]
            assert not alice.heard(ConnectionClosed)
            assert not bob.heard(ConnectionClosed)

    asyncio.run(main())
