"""One connection's trouble stays its own: bugs, slow peers, lost goodbyes."""

from __future__ import annotations

import asyncio

import pytest

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ConnectionClosed,
    ConnectionHelloReceived,
)
from mina_p2p_effects.transports.quic import QuicConfig
from quic.nodes import DEADLINE_S, Node


def test_our_own_bug_ends_one_connection_and_is_reported():
    """A fault on one connection reaches the loop's exception handler; the other connection does not notice."""

    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with Node(1) as alice, Node(2, answer=b"yes") as bob, Node(3, answer=b"yes") as carol:
            to_bob, to_carol = await alice.dial(bob), await alice.dial(carol)
            alice.transport.perform(ChannelsEffectfulRequestSend(to_bob, ChannelId.RPC, StreamId(400), b"out of turn", 1, 1))
            reason, by_peer = await alice.fails(to_bob)
            assert (reason.code, by_peer) == (ReasonCode.TRANSPORT_ERROR, False)
            assert [type(context["exception"]) for context in reported] == [ValueError]
            assert await alice.ask(to_carol) == [b"yes"]
            await bob.until(lambda: bob.heard(ConnectionClosed))

    asyncio.run(main())


@pytest.mark.parametrize("name", ["transmit", "receive", "handle_timer", "deadline"])
def test_a_connection_that_fails_in_every_way_is_removed(name, monkeypatch):
    """Whatever part of a connection raises, and raises again, the connection is gone, the event comes once, and others live."""

    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        config = QuicConfig(keep_alive_s=0.01)
        async with Node(1, config) as alice, Node(2, config, answer=b"yes") as bob, Node(3, answer=b"yes") as carol:
            to_bob, to_carol = await alice.dial(bob), await alice.dial(carol)
            broken = alice.transport._by_id[to_bob]

            def fail(*_):
                raise RuntimeError("broken")

            monkeypatch.setattr(broken, name, fail)
            alice.begin_ask(to_bob)
            reason, by_peer = await alice.fails(to_bob)
            assert (reason.code, by_peer) == (ReasonCode.TRANSPORT_ERROR, False)
            assert await alice.ask(to_carol) == [b"yes"]
            assert broken not in alice.transport._connections
            assert len(alice.heard(ConnectionClosed)) == 1
            assert {type(context["exception"]) for context in reported} == {RuntimeError}
            assert len(reported) <= 2

    asyncio.run(main())


def test_after_our_goodbye_no_event_names_the_connection():
    """Frames that arrived together with what made the reducer leave are not reported any more."""

    async def main():
        async with Node(1) as alice, Node(2) as bob:
            there = await alice.dial(bob)
            alice.begin_ask(there)
            (message,) = await bob.until(lambda: bob.heard(ChannelsMessageReceived))
            feed = alice.transport._feed

            def leave_at_once(event):
                feed(event)
                if isinstance(event, ChannelsMessageReceived):
                    alice.leave(there)

            alice.transport._feed = leave_at_once
            bob.transport.perform(ChannelsEffectfulAnswerSend(message.connection_id, message.stream, (b"one", b"two", b"three"), ends=True))
            await bob.fails(message.connection_id)
            assert [event.frame for event in alice.heard(ChannelsMessageReceived)] == [b"one"]
            assert not alice.heard(ConnectionClosed)

    asyncio.run(main())


def test_an_event_that_can_not_be_dispatched_is_reported_and_others_go_on():
    """The runtime's exception does not stop a pass over the connections."""

    async def main():
        reported = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.set_result(context))
        async with Node(1) as alice, Node(2, answer=b"yes") as bob:
            there = await alice.dial(bob)
            feed, bob.transport._feed = bob.transport._feed, lambda event: 1 // 0
            alice.begin_ask(there)
            context = await asyncio.wait_for(reported, DEADLINE_S)
            bob.transport._feed = feed
            assert await alice.ask(there) == [b"yes"]
            assert type(context["exception"]) is ZeroDivisionError

    asyncio.run(main())


async def settled():
    """What was scheduled for the loop's next turn has happened."""
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn


def test_a_slow_peer_does_not_slow_another():
    """While one peer takes nothing of 8 MB, another is answered; the slow one's buffer is capped."""

    async def main():
        config = QuicConfig(send_high_bytes=1 << 20, send_bytes_max=8 << 20)
        async with Node(1) as slow, Node(2, config, answer=b"x" * 500_000) as bob, Node(3) as quick:
            to_bob = await slow.dial(bob)
            also_to_bob = await quick.dial(bob)
            for _ in range(12):
                slow.begin_ask(to_bob)
            await bob.until(lambda: len(bob.log) > 14)
            asyncio.get_running_loop().remove_reader(slow.transport._endpoint._socket)  # it hears nothing any more
            for _ in range(5):
                assert await quick.ask(also_to_bob) == [b"x" * 500_000]
            held = [connection for connection in bob.transport._connections if connection.peer_id == slow.key.peer_id]
            total = (
                sum(stream.sender._buffer_stop - stream.sender._buffer_start for stream in held[0].quic._streams.values()) if held else 0
            )
            assert total <= 8 << 20

    asyncio.run(main())


def test_a_lost_goodbye_is_repeated():
    """A peer that missed the goodbye hears it when it next sends."""

    async def main():
        async with Node(1, QuicConfig(keep_alive_s=0.05)) as alice, Node(2, QuicConfig(keep_alive_s=1)) as bob:
            there = await alice.dial(bob)
            (hello,) = bob.heard(ConnectionHelloReceived)
            endpoint = bob.transport._endpoint
            send, endpoint.send = endpoint.send, lambda data, address: None
            bob.leave(hello.connection_id, ReasonCode.PEER_BANNED)
            await settled()
            assert not bob.transport._connections
            endpoint.send = send
            reason, by_peer = await alice.fails(there)
            assert (reason.code, by_peer) == (ReasonCode.PEER_BANNED, True)

    asyncio.run(main())
