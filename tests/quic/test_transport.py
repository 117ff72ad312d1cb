"""`QuicTransport` over loopback: what the reducer sees, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path

import pytest

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
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
from mina_p2p_effects.node import Node as WholeNode
from mina_p2p_effects.node import NodeConfig
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport
from mina_p2p_effects.transports.quic.aioquic_hooks import PullQuicConnection
from mina_p2p_effects.transports.quic.connection import Connection
from mina_p2p_effects.transports.quic.endpoint import UdpEndpoint
from quic.nodes import DEADLINE_S, Node
from quic.pairs import OTHER_CHAIN


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


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


@pytest.mark.parametrize(
    ("host", "code"),
    [("name-that-does-not-exist.invalid", ReasonCode.ADDRESS_UNRESOLVED), ("[2001:db8::1]", ReasonCode.ADDRESS_UNRESOLVED)],
)
def test_an_address_that_can_not_be_reached(host, code, monkeypatch):
    """A name without address, and a family the socket does not speak, have their reason at once."""

    async def no_such_name(*_):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(UdpEndpoint, "resolve", no_such_name)

    async def main():
        async with Node(1) as alice:
            reason, by_peer = await alice.fails(alice.begin_dial(host, 1, SecretKey.deterministic(2).peer_id))
            assert (reason.code, by_peer) == (code, False)
            assert reason.detail

    asyncio.run(main())


def test_a_name_service_that_does_not_answer_is_given_up(monkeypatch):
    """Resolution counts in the dial's time; a dial that is given up meanwhile ends quietly."""

    async def never(*_):
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(UdpEndpoint, "resolve", never)

    async def main():
        async with Node(1, QuicConfig(dial_timeout_s=0.05)) as alice:
            given_up = alice.begin_dial("slow.example", 1, SecretKey.deterministic(2).peer_id)
            waited_for = alice.begin_dial("slow.example", 1, SecretKey.deterministic(2).peer_id)
            task = alice.transport._resolving[given_up]
            alice.leave(given_up)
            await asyncio.wait({task})
            assert task.cancelled()
            reason, _ = await alice.fails(waited_for)
            assert reason.code is ReasonCode.ADDRESS_UNRESOLVED
            assert not alice.heard(ConnectionClosed, given_up)
            assert not alice.transport._resolving

    asyncio.run(main())


def test_the_next_address_of_a_name_is_tried_where_the_network_refuses_one(monkeypatch):
    """A name with an unreachable first address is reached by its second."""

    async def main():
        async with Node(1, QuicConfig(are_private_addresses_dialled=True)) as alice, Node(2) as bob:

            async def two_addresses(*_):
                return [("240.0.0.1", 0), ("127.0.0.1", bob.address.port)]  # port 0 is refused by every system

            monkeypatch.setattr(UdpEndpoint, "resolve", two_addresses)
            await alice.dial(bob, "two.example")

    asyncio.run(main())


def resolving_to(monkeypatch, *hosts):
    """Let the name service know these addresses of every name, whatever is asked."""
    names = []

    async def getaddrinfo(loop, name, port, *, family=0, **_):
        names.append(name)
        width = 4 if family == socket.AF_INET6 else 2
        return [(family, socket.SOCK_DGRAM, 17, "", (host, port, 0, 0)[:width]) for host in hosts]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return names


@pytest.mark.parametrize(
    ("bind", "hosts"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("127.0.0.1", ["10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1"]),
        ("127.0.0.1", ["0.0.0.0", "224.0.0.1", "255.255.255.255"]),
        pytest.param("::", ["::1", "fe80::1%lo", "fc00::1", "::"], marks=needs_ipv6),
        pytest.param("::", ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"], marks=needs_ipv6),
    ],
    ids=["loopback", "private", "reserved", "IPv6", "IPv4 inside IPv6"],
)
def test_a_name_does_not_lead_into_our_own_network(bind, hosts, monkeypatch):
    """A peer's name that resolves to addresses that are not global is not dialled, and the reason says why."""

    async def main():
        async with Node(1, host=bind) as alice:
            sent = []
            monkeypatch.setattr(alice.transport._endpoint, "send", lambda data, address: sent.append(address))
            names = resolving_to(monkeypatch, *hosts)
            reason, by_peer = await alice.fails(alice.begin_dial("rebound.example", 8302, SecretKey.deterministic(2).peer_id))
            assert (reason.code, by_peer) == (ReasonCode.ADDRESS_UNRESOLVED, False)
            assert "private or local" in reason.detail
            assert names == ["rebound.example"]
            assert sent == []

    asyncio.run(main())


def test_the_global_addresses_of_a_name_are_dialled(monkeypatch):
    """Private ones among them are left out, however many come first."""

    async def main():
        async with Node(1, QuicConfig(dial_addresses_max=1)) as alice:
            sent = []
            monkeypatch.setattr(alice.transport._endpoint, "send", lambda data, address: sent.append(address))
            resolving_to(monkeypatch, "127.0.0.1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "8.8.4.4")
            alice.begin_dial("mixed.example", 8302, SecretKey.deterministic(2).peer_id)
            (task,) = alice.transport._resolving.values()
            await task
            assert set(sent) == {("8.8.8.8", 8302)}
            assert not alice.heard(ConnectionClosed)

    asyncio.run(main())


@pytest.mark.parametrize(("explicit", "allowed", "dialled"), [(False, False, False), (False, True, True), (True, False, True)])
def test_a_nodes_setting_decides_about_names_too(explicit, allowed, dialled):
    """`NodeConfig.are_private_addresses_allowed` holds for what names resolve to; a transport's own setting stays on."""
    key = SecretKey.deterministic(1)
    quic = QuicConfig(are_private_addresses_dialled=explicit, dials_max=7)
    node = WholeNode(NodeConfig(secret_key=key, chain_id=MAINNET_CHAIN_ID, are_private_addresses_allowed=allowed, quic=quic))
    (transport,) = node._runtime._transports
    assert transport._config == quic.replace(are_private_addresses_dialled=dialled)


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


# --- one connection's trouble stays its own


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


# --- nothing is left behind


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
