"""Connection keeping: bans, trust, isolation, private ranges, protection and trimming, as the OCaml node's helper has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libp2p_slices.lab import Network, Node, address, check, host, peer_id
from libp2p_slices.pairs import IN, Alone
from mina_p2p.address import AddressError, Domain, Host, Ipv4, Libp2pAddress, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDial, NetworkDiallingSet, NetworkGatingSet, NetworkPeerAdd, NetworkPeerUseful
from mina_p2p.libp2p.gating import (
    ADDED_MAX,
    LEARNED_MAX,
    LIST_MAX,
    RANGES_MAX,
    Denial,
    Gating,
    GatingConfig,
    IpRange,
    initial_gating,
    parse_ip_range,
)
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.notifications import NetworkDialFailed
from mina_p2p.libp2p.protocols import KADEMLIA
from mina_p2p.transport import SocketAddress

TRUSTED, BANNED, OTHER, BOTH = (peer_id(number) for number in range(1, 5))
GOOD, BAD, PLAIN, PRIVATE, KNOWN, NAME = (
    parse_ip("5.5.5.5"),
    parse_ip("6.6.6.6"),
    parse_ip("7.7.7.7"),
    parse_ip("10.1.2.3"),
    parse_ip("192.168.1.1"),
    Domain("seed.example"),
)
LISTS = GatingConfig(
    banned_addresses=(parse_ip_range("6.6.0.0/16"), parse_ip_range("2001:db8::/32")),
    banned_peers=(BANNED, BOTH),
    trusted_addresses=(parse_ip_range("5.5.5.5"), parse_ip_range("10.9.0.0/16")),
    trusted_peers=(TRUSTED, BOTH),
)


def gating(config: GatingConfig = LISTS) -> Gating:
    return initial_gating(config, (parse_ip_range("192.168.0.0/16"),), (), b"salt")


@pytest.mark.parametrize(
    ("who", "where", "dialled", "came", "isolated"),
    [
        (TRUSTED, BAD, None, None, None),
        (TRUSTED, PRIVATE, None, None, None),
        (TRUSTED, NAME, None, None, None),
        (BOTH, BAD, None, None, None),
        (BANNED, GOOD, Denial.PEER, Denial.PEER, Denial.PEER),
        (BANNED, PLAIN, Denial.PEER, Denial.PEER, Denial.PEER),
        (BANNED, NAME, Denial.PEER, Denial.PEER, Denial.PEER),
        (BANNED, None, Denial.PEER, Denial.PEER, Denial.PEER),
        (OTHER, GOOD, None, None, None),
        (OTHER, parse_ip("10.9.1.1"), None, None, None),
        (OTHER, PRIVATE, Denial.PRIVATE, None, Denial.PRIVATE),
        (OTHER, KNOWN, None, None, Denial.ISOLATED),
        (OTHER, BAD, Denial.ADDRESS, Denial.ADDRESS, Denial.ADDRESS),
        (OTHER, parse_ip("::ffff:6.6.1.1"), Denial.ADDRESS, Denial.ADDRESS, Denial.ADDRESS),
        (OTHER, parse_ip("2001:db8::1"), Denial.ADDRESS, Denial.ADDRESS, Denial.ADDRESS),
        (OTHER, parse_ip("::ffff:10.1.1.1"), Denial.PRIVATE, None, Denial.PRIVATE),
        (OTHER, PLAIN, None, None, Denial.ISOLATED),
        (OTHER, parse_ip("2001:db9::1"), None, None, Denial.ISOLATED),
        (OTHER, NAME, None, None, Denial.ISOLATED),
        (OTHER, None, None, None, Denial.ISOLATED),
        (OTHER, parse_ip("127.0.0.1"), None, None, Denial.ISOLATED),
    ],
)
def test_the_order_of_the_rules(who: Any, where: Host | None, dialled: Denial | None, came: Denial | None, isolated: Denial | None) -> None:
    """Trusted peer, banned peer, trusted address, private address, banned address; isolation bans whoever is left."""
    lists = gating()
    assert lists.denial(who, where) is dialled
    assert lists.denial(who, where, is_outgoing=False) is came
    assert gating(LISTS.replace(is_isolated=True)).denial(who, where) is isolated


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "x", "::/129", "10.0.0.0/0008", "1.2.3.4/٣"]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(AddressError):
        parse_ip_range(text)


@given(st.binary(min_size=4, max_size=4), st.integers(0, 32), st.binary(min_size=4, max_size=4))
def test_a_range_holds_what_begins_as_it_does(first: bytes, bits: int, other: bytes) -> None:
    mask = (1 << 32) - (1 << 32 - bits)
    start = (int.from_bytes(first, "big") & mask).to_bytes(4, "big")
    found = parse_ip_range(f"{Ipv4(start)}/{bits}")
    assert found == IpRange(Ipv4(start), bits)
    assert found.holds(Ipv4(other)) == ((int.from_bytes(other, "big") ^ int.from_bytes(start, "big")) & mask == 0)


def test_the_lists_are_bounded() -> None:
    """As many as the helper takes; ranges cost a comparison each, so there are fewer of them."""
    one = parse_ip_range("1.1.1.1")
    with pytest.raises(ValueError, match="7000"):
        GatingConfig(banned_addresses=(one,) * (LIST_MAX + 1))
    with pytest.raises(ValueError, match="ranges"):
        GatingConfig(trusted_addresses=(parse_ip_range("1.1.0.0/16"),) * (RANGES_MAX + 1))
    with pytest.raises(ValueError, match="banned_peers"):
        GatingConfig(banned_peers=(BANNED,) * (LIST_MAX + 1))


def test_what_is_learned_and_added_is_bounded() -> None:
    """The oldest give way."""
    lists = gating()
    for number in range(LEARNED_MAX + 5):
        lists = lists.learning(Ipv4.of(10, 1, number >> 8, number & 255)).learning(PLAIN)
    assert len(lists.learned) == LEARNED_MAX
    assert not lists.is_known(Ipv4.of(10, 1, 0, 4))
    assert lists.is_known(Ipv4.of(10, 1, 0, 5))
    for number in range(ADDED_MAX + 5):
        lists = lists.adding(address(100 + number))
    assert len(lists.added) == ADDED_MAX
    assert (peer_id(104) in lists.trusted_peers, peer_id(105) in lists.trusted_peers) == (False, True)


def test_added_peers_are_trusted_by_every_list_until_one_says_otherwise() -> None:
    """The node's own pushes do not repeat them; the lists that follow them are asked as new ones are."""
    lists = gating().adding(address(9))
    assert peer_id(9) in lists.ruled(GatingConfig()).trusted_peers
    cleaned = lists.ruled(LISTS.replace(forgets_added_peers=True))
    assert (peer_id(9) in cleaned.trusted_peers, cleaned.added, BANNED in cleaned.banned_peers) == (False, (), True)
    assert lists.ruled(GatingConfig()).denial(BANNED, PLAIN) is None


def at(number: int, where: str) -> Libp2pAddress:
    return Libp2pAddress(peer_id(number), parse_ip(where), 8302)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (at(2, "7.7.7.7"), Denial.PEER.value),
        (at(3, "6.6.6.6"), Denial.ADDRESS.value),
        (at(3, "172.16.0.1"), Denial.PRIVATE.value),
        (at(3, "7.7.7.7"), None),
        (at(1, "6.6.6.6"), None),
    ],
)
def test_a_dial_that_is_denied_says_why(target: Libp2pAddress, why: str | None) -> None:
    alone = Alone(gating=LISTS)
    alone.feed(NetworkDial(target))
    assert bool(alone.did(port.Libp2pEffectfulDial)) == (why is None)
    if why is not None:
        assert network_machine().why_refused(alone.state, NetworkDial(target), alone.now) == why


@pytest.mark.parametrize(
    ("number", "where", "why"),
    [(2, "7.7.7.7", Denial.PEER), (3, "6.6.6.6", Denial.ADDRESS), (3, "7.7.7.7", None), (1, "6.6.6.6", None), (3, "172.16.0.1", None)],
)
def test_an_arrival_that_is_denied_is_ended_with_the_reason(number: int, where: str, why: Denial | None) -> None:
    alone = Alone(gating=LISTS)
    alone.arrive(number, remote=where)
    ended = [effect.reason for effect in alone.did(port.Libp2pEffectfulDisconnect)]
    assert ended == ([] if why is None else [Reason(ReasonCode.PEER_BANNED, detail=why.value)])
    assert bool(alone.did(port.Libp2pEffectfulStreamOpen)) == (why is None)


def test_a_name_that_led_to_a_denied_address_is_ended() -> None:
    """What a name stands for is known only after the handshake."""
    alone = Alone(gating=LISTS)
    for number, where in [(3, "6.6.6.6"), (3, "172.16.0.1"), (3, "7.7.7.7")]:
        (dial,) = [
            one for one in alone.feed(NetworkDial(Libp2pAddress(peer_id(number), NAME, 8302))) if isinstance(one, port.Libp2pEffectfulDial)
        ]
        alone.feed(port.Libp2pConnectionOpened(dial.connection_id, peer_id(number), True, SocketAddress(where, 8302)))
        assert bool(alone.did(port.Libp2pEffectfulDisconnect)) == (where != "7.7.7.7")
        alone.feed(port.Libp2pConnectionClosed(dial.connection_id, Reason(ReasonCode.USER_REQUEST), False))


def test_who_comes_from_a_private_address_can_be_dialled_there() -> None:
    """As in the helper; who was refused teaches nothing."""
    alone = Alone(gating=LISTS)
    alone.arrive(2, remote="172.16.0.1")
    assert alone.state.gating.learned == ()
    alone.arrive(3, ConnectionId(IN + 1), remote="172.16.0.1")
    assert alone.state.gating.learned == (parse_ip("172.16.0.1"),)
    for number, where, is_dialled in [(5, "172.16.0.1", True), (6, "172.16.0.2", False)]:
        alone.feed(NetworkDial(at(number, where)))
        assert bool(alone.did(port.Libp2pEffectfulDial)) == is_dialled


def test_banned_addresses_and_peers_are_not_learned() -> None:
    """Neither from answers of look-ups nor from what a peer says of itself."""
    alone = Alone(gating=GatingConfig(banned_peers=(peer_id(7),), banned_addresses=(parse_ip_range(f"{host(8)}/32"),)))
    alone.known(1)
    ours = [stream for _, stream in alone.opened(KADEMLIA.name)]
    assert ours
    named = tuple(KadPeer(peer_id(number).multihash, (encode_multiaddr(host(number), 8302),)) for number in (7, 8, 9))
    alone.feed(port.Libp2pStreamOpened(IN, ours[0], KADEMLIA.name, True))
    alone.feed(port.Libp2pStreamMessageReceived(IN, ours[0], KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, named))))
    dialled = {one.address.peer_id for one in alone.did(port.Libp2pEffectfulDial)}
    assert dialled == {peer_id(9)}


def test_other_lists_end_what_they_deny() -> None:
    """Connections, dials and entries of the routing table; trusted peers stay."""
    alone = Alone(1)
    for number in (1, 2, 3):
        alone.known(number, ConnectionId(IN + number))
    alone.feed(NetworkDial(address(4)))
    (dial,) = alone.did(port.Libp2pEffectfulDial)
    assert {entry.peer_id for entry in alone.state.kademlia.table.entries()} == {peer_id(1), peer_id(2), peer_id(3)}
    alone.feed(
        NetworkGatingSet(GatingConfig(banned_peers=(peer_id(1), peer_id(2), peer_id(4)), banned_addresses=(parse_ip_range(f"{host(3)}"),)))
    )
    ended = {effect.connection_id: effect.reason.detail for effect in alone.did(port.Libp2pEffectfulDisconnect)}
    assert ended == {IN + 2: Denial.PEER.value, IN + 3: Denial.ADDRESS.value, dial.connection_id: Denial.PEER.value}
    assert {entry.peer_id for entry in alone.state.kademlia.table.entries()} == {peer_id(1)}
    check(alone.state)


def test_isolation_leaves_only_trusted_peers() -> None:
    alone = Alone(1)
    for number in (1, 2):
        alone.known(number, ConnectionId(IN + number))
    alone.feed(NetworkGatingSet(GatingConfig(is_isolated=True)))
    assert [effect.connection_id for effect in alone.did(port.Libp2pEffectfulDisconnect)] == [IN + 2]
    alone.arrive(5, ConnectionId(IN + 5))
    assert [effect.reason.detail for effect in alone.did(port.Libp2pEffectfulDisconnect)] == [Denial.ISOLATED.value]
    alone.feed(NetworkGatingSet(GatingConfig()))
    alone.arrive(6, ConnectionId(IN + 6))
    assert not alone.did(port.Libp2pEffectfulDisconnect)


def test_an_added_peer_is_dialled_again_and_again() -> None:
    """Like a peer of the configuration, even at a private address that nobody knows; ourselves can not be added."""
    alone = Alone(connections_min=1, known_private_ranges=())
    alone.feed(NetworkPeerAdd(at(5, "10.3.3.3")))
    (dial,) = alone.did(port.Libp2pEffectfulDial)
    alone.feed(port.Libp2pConnectionClosed(dial.connection_id, Reason(ReasonCode.TRANSPORT_ERROR), False))
    alone.feed(NetworkCheckTimeouts(), alone.later(11))
    assert [one.address for one in alone.did(port.Libp2pEffectfulDial)] == [at(5, "10.3.3.3")]
    before = alone.state
    alone.feed(NetworkPeerAdd(address(0)))
    assert alone.state is before


def test_direct_peers_are_dialled_from_time_to_time() -> None:
    """However many connections there are, at once and every five minutes; they are trusted, and never ended for want of room."""
    alone = Alone(direct_peers=(at(5, "10.3.3.3"), address(6)), known_private_ranges=(), connections_min=0)
    alone.feed(NetworkCheckTimeouts())
    assert [one.address.peer_id for one in alone.did(port.Libp2pEffectfulDial)] == [peer_id(5), peer_id(6)]
    alone.feed(NetworkGatingSet(GatingConfig(is_isolated=True)))
    assert not alone.did(port.Libp2pEffectfulDisconnect)
    for number in (1, 2):
        alone.feed(port.Libp2pConnectionClosed(ConnectionId(number), Reason(ReasonCode.TRANSPORT_ERROR), False))
    alone.feed(NetworkCheckTimeouts(), alone.later(280))
    assert not alone.did(port.Libp2pEffectfulDial)
    alone.feed(NetworkDiallingSet(False))
    alone.feed(NetworkCheckTimeouts(), alone.later(30))
    assert not alone.did(port.Libp2pEffectfulDial)
    alone.feed(NetworkDiallingSet(True))
    alone.feed(NetworkCheckTimeouts(), alone.later(11))
    assert [one.address.peer_id for one in alone.did(port.Libp2pEffectfulDial)] == [peer_id(5), peer_id(6)]


def test_a_dial_that_nobody_answers_is_given_up() -> None:
    """Even where the transport says nothing; what it says later is stale, and the peer can be dialled again."""
    alone = Alone()
    alone.feed(NetworkDial(address(1)))
    (dial,) = alone.did(port.Libp2pEffectfulDial)
    alone.feed(NetworkCheckTimeouts(), alone.later(29))
    assert not alone.did(NetworkDialFailed)
    alone.feed(NetworkCheckTimeouts(), alone.later(2))
    (failed,) = alone.did(NetworkDialFailed)
    assert (failed.address, failed.reason.code) == (address(1), ReasonCode.CONNECTION_TIMEOUT)
    assert [effect.connection_id for effect in alone.did(port.Libp2pEffectfulDisconnect)] == [dial.connection_id]
    check(alone.state)
    before = alone.state.links
    alone.feed(port.Libp2pConnectionOpened(dial.connection_id, peer_id(1), True, SocketAddress("10.0.1.1", 8302)))
    alone.feed(port.Libp2pConnectionClosed(dial.connection_id, Reason(ReasonCode.TRANSPORT_ERROR), False))
    assert alone.state.links is before
    alone.feed(NetworkDial(address(1)))
    assert alone.did(port.Libp2pEffectfulDial)


# --- trimming


def full(**options: Any) -> Alone:
    """Eleven connections where eight are allowed, the first peer a trusted one; all are in the routing table and in no mesh."""
    alone = Alone(1, **{"connections_min": 4, "connections_max": 8, "topics": (), **options})
    for number in range(1, 12):
        alone.known(number, ConnectionId(IN + number))
    alone.feed(NetworkDiallingSet(False))
    return alone


def trimmed(alone: Alone) -> set[int]:
    """Numbers of the peers whose connections are ended after the grace."""
    alone.feed(NetworkCheckTimeouts(), alone.later(26))
    found = alone.did(port.Libp2pEffectfulDisconnect)
    assert all(effect.reason.code is ReasonCode.FREE_UP_SPACE for effect in found)
    return {effect.connection_id - IN for effect in found}


def test_new_connections_have_grace() -> None:
    alone = full(keep_every=SECOND)
    alone.feed(NetworkCheckTimeouts(), alone.later(14))
    assert not alone.did(port.Libp2pEffectfulDisconnect)
    alone.feed(NetworkCheckTimeouts(), alone.later(2))
    assert alone.did(port.Libp2pEffectfulDisconnect)


def test_trimming_goes_down_to_the_low_mark_and_spares_the_trusted() -> None:
    gone = trimmed(full(protected_percent=0))
    assert len(gone) == 7
    assert 1 not in gone


def test_a_share_of_the_routing_table_is_protected() -> None:
    """Those with the shortest common prefix, and of these the last that was useful; at most as many as the low mark."""
    alone = full(protected_percent=0)
    table = alone.state.kademlia.table
    first = min(table.buckets)
    near = [number for number in range(2, 12) if any(entry.peer_id == peer_id(number) for entry in table.buckets[first])]
    assert len(near) >= 3
    doomed = sorted(trimmed(alone) & set(near))
    assert doomed
    alone = full(protected_percent=10)
    assert len(alone.state.kademlia.table) == 11
    alone.feed(NetworkPeerUseful(peer_id(doomed[-1])), alone.later(1))
    assert doomed[-1] not in trimmed(alone)
    # However large the share: as many as the low mark, and the trusted one, who is none of them here.
    assert len(trimmed(full(protected_percent=100))) == 11 - 4 - 1


def test_a_peer_that_is_not_there_can_not_be_useful() -> None:
    alone = Alone()
    before = alone.state
    alone.feed(NetworkPeerUseful(peer_id(3)))
    assert alone.state is before


def test_usefulness_ends_with_the_last_connection() -> None:
    alone = Alone()
    alone.arrive(1)
    alone.feed(NetworkPeerUseful(peer_id(1)), alone.later(1))
    alone.arrive(1, ConnectionId(IN + 1))
    (contact,) = alone.state.links.contacts.values()
    assert contact.useful_at == alone.now
    for number in (0, 1):
        alone.feed(port.Libp2pConnectionClosed(ConnectionId(IN + number), Reason(ReasonCode.USER_REQUEST), True))
    alone.arrive(1, ConnectionId(IN + 2))
    (contact,) = alone.state.links.contacts.values()
    assert contact.useful_at == 0


def test_a_network_with_an_isolated_part() -> None:
    """Five nodes that trust each other alone stay among themselves, however many others come."""
    friends = tuple(peer_id(number) for number in range(5))
    network = Network()
    for number in range(12):
        lists = GatingConfig(trusted_peers=friends, is_isolated=True) if number < 5 else GatingConfig()
        network.add(Node(number, *((0,) if number else ()), gating=lists, connections_min=4))
        network.run(0.2)
    network.run(30)
    for number in range(5):
        state = network.nodes[peer_id(number)].state
        check(state)
        assert {contact.peer_id for contact in state.links.contacts.values()} == set(friends) - {peer_id(number)}
