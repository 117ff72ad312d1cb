"""Several addresses of one name: the first that answers wins, and the others leave nothing behind (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.transport import ConnectionClosed, ConnectionEstablished, ConnectionHelloReceived
from mina_p2p_effects.transports.quic import QuicConfig
from mina_p2p_effects.transports.quic.endpoint import UdpEndpoint
from mina_p2p_effects.transports.quic.race import interleaved
from quic.nodes import Node

QUICK = QuicConfig(are_private_addresses_dialled=True, dial_stagger_s=0.01)
PATIENT = QUICK.replace(dial_stagger_s=1000.0)


@contextmanager
def silence(port: int, *hosts: str) -> Iterator[None]:
    """Addresses that take datagrams and say nothing, at the port where the peer has another address."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in hosts]
    try:
        for sock, host in zip(sockets, hosts, strict=True):
            sock.bind((host, port))
        yield
    finally:
        for sock in sockets:
            sock.close()


def resolving_to(monkeypatch, port: int, *hosts: str) -> None:
    async def resolve(*_):
        return [(host, port) for host in hosts]

    monkeypatch.setattr(UdpEndpoint, "resolve", resolve)


def nothing_is_left(node: Node) -> bool:
    transport = node.transport
    return not (transport._races or transport._racing or transport._resolving)


def test_the_families_take_turns():
    """In the resolver's order, beginning with its first family; an IPv4 address that an IPv6 socket sees is IPv4."""
    six = [(f"2001:db8::{number}", 1, 0, 0) for number in range(3)]
    four = [(f"::ffff:192.0.2.{number}", 1, 0, 0) for number in range(3)]
    assert interleaved([*six, *four], count_max=4) == [six[0], four[0], six[1], four[1]]
    assert interleaved([*four, six[0]], count_max=9) == [four[0], six[0], four[1], four[2]]
    assert interleaved([], count_max=4) == []


@given(st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]), unique=True), st.integers(1, 5))
def test_no_address_is_lost_or_doubled(hosts, count):
    """As many as are wanted, each once, those of one family in their order."""
    chosen = [address[0] for address in interleaved([(host, 1) for host in hosts], count_max=count)]
    assert len(chosen) == min(count, len(hosts))
    for family in (".", ":"):
        assert [host for host in chosen if family in host] == [host for host in hosts if family in host][
            : sum(family in host for host in chosen)
        ]


def test_an_address_that_says_nothing_does_not_hold_up_the_dial(monkeypatch):
    """The second is tried while the first is silent; there is one connection, and one event of it."""

    async def main():
        async with Node(1, QUICK) as alice, Node(2) as bob:
            with silence(bob.address.port, "127.9.9.9"):
                resolving_to(monkeypatch, bob.address.port, "127.9.9.9", "127.0.0.1")
                connection_id = await alice.dial(bob, "two.example")
                assert len(alice.heard(ConnectionEstablished, connection_id)) == 1
                assert [str(connection.remote.host) for connection in alice.transport._connections] == ["127.0.0.1"]
                assert nothing_is_left(alice)
                assert not alice.heard(ConnectionClosed)

    asyncio.run(main())


def test_the_next_address_is_tried_at_once_where_one_fails(monkeypatch):
    """Another node sits at the first address: its handshake fails, and nobody waits for the stagger."""

    async def main():
        async with Node(3, host="127.8.8.8") as other, Node(1, PATIENT) as alice, Node(2, PATIENT) as bob:

            async def resolve(*_):
                return [("127.8.8.8", other.address.port), ("127.0.0.1", bob.address.port)]

            monkeypatch.setattr(UdpEndpoint, "resolve", resolve)
            connection_id = await alice.dial(bob, "two.example")
            assert not alice.heard(ConnectionClosed)
            assert alice.heard(ConnectionHelloReceived, connection_id)
            assert nothing_is_left(alice)

    asyncio.run(main())


def test_where_every_address_fails_the_dial_fails_once(monkeypatch):
    """With the reason of the last one."""

    async def main():
        async with Node(1, PATIENT) as alice, Node(3) as other:
            resolving_to(monkeypatch, other.address.port, "127.0.0.1", "127.0.0.1", "127.0.0.1")
            connection_id = alice.begin_dial("three.example", other.address.port, Node(2).key.peer_id)
            reason, by_peer = await alice.fails(connection_id)
            assert (reason.code, by_peer) == (ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, False)
            assert len(alice.heard(ConnectionClosed)) == 1
            assert nothing_is_left(alice)
            assert not alice.transport._connections

    asyncio.run(main())


def test_silence_everywhere_ends_with_the_dials_time(monkeypatch):
    """The time-out is the dial's, not each attempt's."""

    async def main():
        async with Node(1, QUICK.replace(dial_timeout_s=0.05)) as alice:
            with silence(45_454, "127.9.9.1", "127.9.9.2", "127.9.9.3"):
                resolving_to(monkeypatch, 45_454, "127.9.9.1", "127.9.9.2", "127.9.9.3")
                connection_id = alice.begin_dial("silent.example", 45_454, Node(2).key.peer_id)
                (task,) = alice.transport._resolving.values()
                await task
                race = alice.transport._races[connection_id]
                attempts = race.attempts
                reason, _ = await alice.fails(connection_id)
                assert {attempt._phase_deadline for attempt in attempts} <= {race.deadline}
                assert reason.code is ReasonCode.CONNECTION_TIMEOUT
                assert nothing_is_left(alice)

    asyncio.run(main())


@pytest.mark.parametrize("moment", ["resolving", "racing"])
def test_a_dial_that_is_given_up_ends_all_its_attempts(moment, monkeypatch):
    """No event, no attempt, no further address."""

    async def main():
        async with Node(1, QUICK) as alice, Node(2) as bob:
            with silence(bob.address.port, "127.9.9.1", "127.9.9.2"):
                resolving_to(monkeypatch, bob.address.port, "127.9.9.1", "127.9.9.2", "127.0.0.1")
                connection_id = alice.begin_dial("two.example", bob.address.port, bob.key.peer_id)
                if moment == "racing":
                    (task,) = alice.transport._resolving.values()
                    await task
                    assert alice.transport._races
                alice.leave(connection_id)
                assert nothing_is_left(alice)
                await alice.dial(bob, "127.0.0.1")
                assert len(alice.transport._connections) == 1
                assert not alice.heard(ConnectionClosed)
                assert not alice.heard(ConnectionEstablished, connection_id)

    asyncio.run(main())
