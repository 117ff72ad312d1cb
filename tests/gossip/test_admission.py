"""Which records are believed at the edges of what makes sense (spec: address-gossip 5.4)."""

from __future__ import annotations

import pytest
from slices.lab import ME, address, hello, peer_id

from gossip.played import CHANNEL, NOW, Peers, record_of
from mina_p2p.address import Domain, Host, Ipv4, SignalingRelay, parse_ip
from mina_p2p.channels.address_gossip.messages import (
    AddressAdverts,
    AddressGetRecords,
    AddressKey,
    AddressRecord,
    Place,
    QuicPlace,
    WebRtcPlace,
)
from mina_p2p.config import Limits
from mina_p2p.ids import SECOND
from mina_p2p.transport import ConnectionHelloReceived, ConnectionIncomingReceived, SocketAddress, TransportKind

NOBODY_IS_DIALLED = Limits(peers_min=0)


def is_believed(record: AddressRecord) -> bool:
    """Whether a peer's word brings a record of node 7 into the book; it does it no harm otherwise."""
    lab = Peers(NOBODY_IS_DIALLED)
    connection_id = lab.join(1)
    lab.bring(connection_id, record)
    assert lab.goodbye(connection_id) is None
    return lab.knows(7) is not None


def at(host: Host, port: int = 8302) -> tuple[Place, ...]:
    """A place to be dialled by QUIC."""
    return (QuicPlace(host, port),)


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({"issued_at": NOW + 120}, True),
        ({"issued_at": NOW + 121}, False),
        ({"issued_at": NOW - 899}, True),
        ({"issued_at": NOW - 900}, False),
        ({"ttl": 3_600}, True),
        ({"ttl": 3_601}, False),
        ({"ttl": 3_600, "issued_at": NOW - 3_599}, True),
        ({"ttl": 3_600, "issued_at": NOW - 3_600}, False),
        ({"ttl": 0}, False),
    ],
)
def test_dates_count_to_the_second(changes: dict[str, int], is_good: bool) -> None:
    """Two minutes ahead, an hour of life at most, and not a second longer (point 2)."""
    assert is_believed(record_of(7, **changes)) is is_good


NOWHERE = (
    "0.0.0.0",
    "255.255.255.255",
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.1.1",
    "239.1.1.1",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
)


@pytest.mark.parametrize("host", NOWHERE)
def test_from_the_outside_such_addresses_are_nobodys(host: str) -> None:
    """Unspecified, broadcast, this machine, private, of a link, of many; also where IPv6 carries them (point 5)."""
    assert not is_believed(record_of(7, places=at(parse_ip(host))))


@pytest.mark.parametrize("host", ["203.0.114.7", "2001:4860::7"])
def test_others_are_somebodys(host: str) -> None:
    """So that the test above is about the address."""
    assert is_believed(record_of(7, places=at(parse_ip(host))))


@pytest.mark.parametrize(
    ("name", "is_good"), [("localhost", False), ("a.localhost", False), ("a" * 60 + ".com", True), ("a" * 61 + ".com", False)]
)
def test_names_are_of_others_and_short(name: str, is_good: bool) -> None:
    """At most 64 characters, and not of this machine (point 5)."""
    assert is_believed(record_of(7, places=at(Domain(name)))) is is_good


def test_one_good_address_is_enough() -> None:
    """The others are dropped: only it is dialled (point 5)."""
    lab = Peers(NOBODY_IS_DIALLED)
    places = (*at(parse_ip("10.0.0.1")), *at(address(7).host, 0), *at(address(ME).host), *at(address(7).host))
    lab.bring(lab.join(1), record_of(7, places=places))
    assert lab.knows(7) == NOW
    assert lab.peer(7).address == address(7)


@pytest.mark.parametrize(("near", "is_good"), [("10.0.0.9", True), ("127.0.0.1", False), ("9.9.9.9", False)])
def test_private_addresses_are_believed_among_neighbours(near: str, is_good: bool) -> None:
    """Where the peer that tells of them is itself in that range (point 5)."""
    lab = Peers(NOBODY_IS_DIALLED)
    lab.feed(ConnectionIncomingReceived(TransportKind.QUIC, 1, SocketAddress(near, 8302), peer_id(1)))
    connection_id = lab.state.connections.last_id
    lab.feed(ConnectionHelloReceived(connection_id, hello(channels=(CHANNEL,))))
    lab.bring(connection_id, record_of(7, places=at(Ipv4.of(10, 0, 0, 7))))
    assert (lab.knows(7) is not None) is is_good


def test_a_relay_is_one_that_we_are_linked_to() -> None:
    """Signaling by another peer leads nowhere (point 5)."""
    by_relay = record_of(7, places=(WebRtcPlace(SignalingRelay(peer_id(2))),))
    lab = Peers(NOBODY_IS_DIALLED, cooldown_bad=SECOND)
    connection_id = lab.join(1)
    lab.bring(connection_id, by_relay)
    assert lab.knows(7) is None
    lab.join(2)
    for _second in range(130):
        lab.wait(SECOND)
    lab.bring(connection_id, record_of(7, issued_at=NOW + 100, places=by_relay.places))
    assert lab.knows(7) == NOW + 100


def test_dates_of_any_size_are_read() -> None:
    """What no clock will ever show is from the future, in a name as in a question, and breaks nothing."""
    lab = Peers(NOBODY_IS_DIALLED)
    connection_id = lab.join(1)
    lab.say(connection_id, AddressAdverts((AddressKey(peer_id(7), (1 << 64) - 1), AddressKey(peer_id(7), 0))))
    assert not any(isinstance(message, AddressGetRecords) for message in lab.said())
    assert lab.goodbye(connection_id) is None
    other = lab.join(2)
    lab.say(other, AddressGetRecords((AddressKey(peer_id(7), (1 << 64) - 1),)))
    assert lab.goodbye(other) is not None
