"""`QuicTransport` over loopback: what the reducer sees."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    TransportKind,
    TransportListening,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig
from quic.machine import needs_ipv6
from quic.nodes import Node
from quic.pairs import OTHER_CHAIN


@pytest.mark.parametrize(
    ("listen", "dial", "from_host"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost", "127.0.0.1"),
        pytest.param("::1", "[::1]", "::1", marks=needs_ipv6),
        pytest.param("::", "127.0.0.1", "::", marks=needs_ipv6),
        pytest.param("::", "[::1]", "::", marks=needs_ipv6),
        pytest.param("::", "127.0.0.1", "127.0.0.1", marks=needs_ipv6),
    ],
)
def test_a_question_is_answered(listen, dial, from_host):
    """Dial, authenticate, hello, request, answer, end; addresses are plain, and the dialer's is its listening one."""

    async def main():
        local = QuicConfig(are_private_addresses_dialled=True)  # for the name; numeric addresses need it not
        async with Node(1, local, host=from_host) as alice, Node(2, host=listen, answer=b"x" * 300_000) as bob:
            assert bob.log == [TransportListening(TransportKind.QUIC, bob.address)]
            connection_id = await alice.dial(bob, dial)
            assert await alice.ask(connection_id) == [b"x" * 300_000]
            (arrival,) = bob.heard(ConnectionIncomingReceived)
            (established,) = alice.heard(ConnectionEstablished)
            assert arrival.peer_id == alice.key.peer_id
            assert established.peer_id == bob.key.peer_id
            assert arrival.remote.port == alice.address.port
            assert established.remote.port == bob.address.port
            assert arrival.remote.host == established.remote.host == ("::1" if dial == "[::1]" else "127.0.0.1")

    asyncio.run(main())


def test_both_sides_dial_and_ask_at_once():
    """One socket dials and listens; connections in both directions carry requests in both directions."""

    async def main():
        async with Node(1, answer=b"a") as alice, Node(2, answer=b"b") as bob:
            there, back = await asyncio.gather(alice.dial(bob), bob.dial(alice))
            answers = await asyncio.gather(*(alice.ask(there) for _ in range(20)), *(bob.ask(back) for _ in range(20)))
            assert answers == [[b"b"]] * 20 + [[b"a"]] * 20

    asyncio.run(main())


def test_cancel_and_refusal_and_goodbye_pass_through_effects():
    """Stream resets both ways by effect, then a goodbye that the other side hears at once."""

    async def main():
        async with Node(1) as alice, Node(2) as bob:
            there = await alice.dial(bob)
            first, second = alice.begin_ask(there), alice.begin_ask(there)
            (one, two) = await bob.until(lambda: (found := bob.log[-2:])[0].__class__ is found[1].__class__ and found)
            alice.transport.perform(ChannelsEffectfulStreamReset(there, first, StreamResetCode.CANCELLED))
            bob.transport.perform(ChannelsEffectfulStreamReset(two.connection_id, two.stream, StreamResetCode.REFUSED))
            (reset,) = await bob.until(lambda: bob.heard(ChannelsStreamReset))
            assert (reset.stream, reset.code) == (one.stream, StreamResetCode.CANCELLED)
            (reset,) = await alice.until(lambda: alice.heard(ChannelsStreamReset))
            assert (reset.stream, reset.code) == (second, StreamResetCode.REFUSED)
            bob.transport.perform(DisconnectionEffectfulInit(one.connection_id, Reason(ReasonCode.FREE_UP_SPACE, None, "trimmed")))
            assert await alice.fails(there) == (Reason(ReasonCode.FREE_UP_SPACE, None, "trimmed"), True)
            assert not bob.heard(ConnectionClosed)

    asyncio.run(main())


def test_another_chain_is_refused_on_both_sides():
    """The dialer gets the reason; the listener has no event and counts it."""

    async def main():
        async with Node(1, chain=OTHER_CHAIN) as alice, Node(2) as bob:
            connection_id = alice.begin_dial("127.0.0.1", bob.address.port, bob.key.peer_id)
            reason, by_peer = await alice.fails(connection_id)
            assert (reason.code, by_peer) == (ReasonCode.NO_COMMON_PROTOCOL, True)
            assert bob.transport.refused == {ReasonCode.NO_COMMON_PROTOCOL: 1}
            assert len(bob.log) == 1

    asyncio.run(main())


def test_another_peer_at_the_address():
    """The dialled id must be the certified one."""

    async def main():
        async with Node(1) as alice, Node(2) as bob:
            reason, by_peer = await alice.fails(alice.begin_dial("127.0.0.1", bob.address.port, SecretKey.deterministic(9).peer_id))
            assert (reason.code, by_peer) == (ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, False)
            assert not bob.heard(ConnectionIncomingReceived)

    asyncio.run(main())


def test_a_rejected_arrival_hears_why():
    """Reject says goodbye with the reason; the arrival never has an id here."""

    async def main():
        async with Node(1) as alice, Node(2) as bob:

            def reject(arrival):
                bob.transport.perform(
                    ConnectionEffectfulReject(TransportKind.QUIC, arrival.handle, Reason(ReasonCode.PEER_BANNED, None, "until noon"))
                )
                return False

            bob.accepts = reject
            connection_id = alice.begin_dial("127.0.0.1", bob.address.port, bob.key.peer_id)
            assert await alice.fails(connection_id) == (Reason(ReasonCode.PEER_BANNED, None, "until noon"), True)
            assert not bob.heard(ConnectionHelloReceived)
            assert bob.transport.refused == {ReasonCode.PEER_BANNED: 1}

    asyncio.run(main())


def test_addresses_of_other_transports_are_refused():
    """Only QUIC addresses are dialled here."""

    async def main():
        async with Node(1) as alice:
            address = Libp2pAddress(alice.key.peer_id, Ipv4.of(127, 0, 0, 1), 1)
            alice.transport.perform(ConnectionEffectfulDial(ConnectionId(5), address))
            reason, _ = await alice.fails(ConnectionId(5))
            assert reason.code is ReasonCode.UNSUPPORTED

    asyncio.run(main())


def test_effects_for_connections_that_are_gone_are_ignored():
    """Every effect may come late; accepting an arrival that left is answered with its end."""

    async def main():
        async with Node(1) as alice:
            gone = ConnectionId(99)
            reason = Reason(ReasonCode.USER_REQUEST)
            for effect in (
                ConnectionEffectfulHelloSend(gone, b"hello"),
                ConnectionEffectfulOpen(gone, 1),
                ConnectionEffectfulReject(TransportKind.QUIC, 99, reason),
                ChannelsEffectfulRequestSend(gone, ChannelId.RPC, StreamId(4), b"", 1, 1),
                ChannelsEffectfulAnswerSend(gone, StreamId(1), (), ends=True),
                ChannelsEffectfulStreamReset(gone, StreamId(1), StreamResetCode.CANCELLED),
                DisconnectionEffectfulInit(gone, reason),
            ):
                alice.transport.perform(effect)
            alice.transport.perform(ConnectionEffectfulAccept(TransportKind.QUIC, 99, ConnectionId(5)))
            found, by_peer = await alice.fails(ConnectionId(5))
            assert (found.code, by_peer) == (ReasonCode.CHANNEL_CLOSED, False)
            assert len(alice.log) == 2

    asyncio.run(main())


# --- limits


def test_a_full_node_says_so():
    """Beyond the connections' cap an arrival is refused before it costs anything."""

    async def main():
        async with Node(1) as alice, Node(2, QuicConfig(connections_max=1)) as bob, Node(3) as carol:
            await alice.dial(bob)
            reason, by_peer = await carol.fails(carol.begin_dial("127.0.0.1", bob.address.port, bob.key.peer_id))
            assert (reason.code, by_peer) == (ReasonCode.PEER_CAPACITY_FULL, True)
            reason, by_peer = await bob.fails(bob.begin_dial("127.0.0.1", carol.address.port, carol.key.peer_id))
            assert (reason.code, by_peer) == (ReasonCode.TRANSPORT_ERROR, False)

    asyncio.run(main())


def test_dials_in_progress_are_bounded():
    """One dial more than allowed fails at once, with a reason."""

    async def main():
        async with Node(1, QuicConfig(dials_max=2, dial_timeout_s=30)) as alice:
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with silent:
                silent.bind(("127.0.0.1", 0))
                port = silent.getsockname()[1]
                ids = [alice.begin_dial("127.0.0.1", port, SecretKey.deterministic(2).peer_id) for _ in range(3)]
                reason, _ = await alice.fails(ids[2])
                assert "too many dials" in reason.detail

    asyncio.run(main())
