"""Names and addresses that are dialled: which are tried, in what order, and which never."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.transport import (
    ConnectionClosed,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node as WholeNode
from mina_p2p_effects.node import NodeConfig
from mina_p2p_effects.transports.quic import QuicConfig
from mina_p2p_effects.transports.quic.endpoint import UdpEndpoint
from quic.machine import needs_ipv6
from quic.nodes import Node


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
