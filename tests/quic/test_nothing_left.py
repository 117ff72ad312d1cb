"""What is left behind when connections and transports end: nothing."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ConnectionClosed,
    ConnectionHelloReceived,
    DisconnectionEffectfulInit,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport
from mina_p2p_effects.transports.quic.aioquic_hooks import PullQuicConnection
from mina_p2p_effects.transports.quic.connection import Connection
from quic.nodes import Node
from quic.pairs import OTHER_CHAIN


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_stop_says_goodbye_and_leaves_nothing():
    """Peers hear SHUTDOWN; no task, timer, descriptor or event remains; a second stop is nothing."""

    async def main():
        loop = asyncio.get_running_loop()
        before = descriptors(), len(asyncio.all_tasks(loop))
        async with Node(1) as alice:
            bobs = [Node(number) for number in range(2, 7)]
            for bob in bobs:
                await bob.__aenter__()
            ids = [await alice.dial(bob) for bob in bobs]
            pending = alice.begin_dial("127.0.0.1", 9, SecretKey.deterministic(2).peer_id)
            alice.begin_dial("localhost", 9, SecretKey.deterministic(2).peer_id)
            count = len(alice.log)
            await alice.transport.stop()
            for bob in bobs:
                reason, by_peer = await bob.fails(bob.heard(ConnectionHelloReceived)[0].connection_id)
                assert (reason.code, by_peer) == (ReasonCode.SHUTDOWN, True)
                await bob.transport.stop()
            await alice.transport.stop()
            assert len(alice.log) == count
            assert ids
            assert pending
            alice.transport.perform(DisconnectionEffectfulInit(ids[0], Reason(ReasonCode.SHUTDOWN)))
        assert (descriptors(), len(asyncio.all_tasks(loop))) == before
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []

    asyncio.run(main())


def test_stop_waits_until_the_system_took_the_goodbyes():
    """A socket that is full at the moment of stopping still sends them."""

    class FullOnce:
        """A socket that can not send at first."""

        def __init__(self, real):
            self.real = real
            self.refusals = 2

        def sendto(self, data, address):
            if self.refusals:
                self.refusals -= 1
                raise BlockingIOError
            return self.real.sendto(data, address)

        def __getattr__(self, name):
            return getattr(self.real, name)

    async def main():
        async with Node(1) as alice, Node(2) as bob:
            await alice.dial(bob)
            alice.transport._endpoint._socket = FullOnce(alice.transport._endpoint._socket)
            await alice.transport.stop()
            reason, by_peer = await bob.fails(bob.heard(ConnectionHelloReceived)[0].connection_id)
            assert (reason.code, by_peer) == (ReasonCode.SHUTDOWN, True)

    asyncio.run(main())


def test_two_hundred_connections_come_and_go():
    """Nothing of a connection remains: tables, descriptors, tasks, and the objects themselves without the collector's help."""

    async def main():
        async with Node(1, QuicConfig(farewell_s=0)) as alice, Node(2, QuicConfig(farewell_s=0)) as bob:
            before = descriptors(), len(asyncio.all_tasks())
            gc.collect()
            gc.disable()
            for number in range(200):
                there = await alice.dial(bob)
                leaver, other = (alice, bob) if number % 2 else (bob, alice)
                leaver.leave(leaver.heard(ConnectionHelloReceived)[-1].connection_id)
                await other.until(lambda: other.heard(ConnectionClosed))  # noqa: B023 - awaited within the turn
                for node in (alice, bob):
                    node.log.clear()
                assert there
            for node in (alice, bob):
                transport = node.transport
                for table in (transport._connections, transport._by_id, transport._arrivals, transport._routes, transport._touched):
                    assert not table
                assert transport._admission.pending == 0
                assert len(transport._deadlines) == 0
            alive = sum(isinstance(each, PullQuicConnection) and bool(vars(each)) for each in gc.get_objects())
            alive_connections = sum(isinstance(each, Connection) for each in gc.get_objects())
            gc.enable()
            assert alive == 0
            assert (descriptors(), len(asyncio.all_tasks())) == before
            assert alive_connections == 0

    asyncio.run(main())


def test_an_address_in_use_is_an_error_and_leaves_nothing():
    """`start` raises `OSError`, and `stop` is still allowed."""

    async def main():
        async with Node(1) as alice:
            before = descriptors()
            second = QuicTransport(SecretKey.deterministic(2), MAINNET_CHAIN_ID, "127.0.0.1", alice.address.port)
            with pytest.raises(OSError, match="use"):
                await second.start(lambda event: None)
            await second.stop()
            assert descriptors() == before

    asyncio.run(main())


def test_nothing_is_printed_and_no_secret_is_shown(capfd, caplog):
    """Connections, violations and errors reach neither the terminal nor the log."""

    async def main():
        async with Node(1) as alice, Node(2) as bob, Node(3, chain=OTHER_CHAIN) as carol:
            there = await alice.dial(bob)
            alice.begin_ask(there, permitted=10)
            (message,) = await bob.until(lambda: [event for event in bob.log if hasattr(event, "frame") and hasattr(event, "stream")])
            bob.transport.perform(ChannelsEffectfulAnswerSend(message.connection_id, message.stream, (b"x" * 20,), ends=True))
            assert (await alice.fails(there))[0].code is ReasonCode.CHANNEL_MSG_TOO_LARGE
            await carol.fails(carol.begin_dial("127.0.0.1", bob.address.port, bob.key.peer_id))
            shown = f"{alice.transport!r} {vars(alice.transport)!r} {alice.log!r}"
            assert alice.key.reveal_seed().hex() not in shown
            assert alice.key.reveal_text() not in shown

    asyncio.run(main())
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
