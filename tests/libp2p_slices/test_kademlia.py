"""Kademlia: what we answer, whom we admit, how look-ups go wrong."""

from __future__ import annotations

import pytest

from libp2p_slices.lab import Network, Node, address, check, host, peer_id
from libp2p_slices.pairs import IN, THEIRS, Alone
from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.kademlia.actions import NetworkKadAdvertise, NetworkKadLookupStart
from mina_p2p.kademlia.messages import KAD_CODEC, KadConnection, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import Entry, LookupKind, RoutingTable, position_of, rendezvous_key
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDiallingSet
from mina_p2p.libp2p.config import KademliaConfig
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.notifications import NetworkKadLookupFinished
from mina_p2p.libp2p.protocols import IDENTIFY, KADEMLIA

KEY = rendezvous_key(DEVNET_CHAIN_ID)


def named(number: int) -> KadPeer:
    return KadPeer(peer_id(number).multihash, (encode_multiaddr(host(number), 8302),), KadConnection.NOT_CONNECTED)


def server(*others: int) -> Alone:
    """A node that knows peers, one of which asks."""
    alone = Alone()
    alone.known(1)
    for number in others:
        alone.known(number, ConnectionId(IN + number))
    alone.stream(KADEMLIA.name)
    return alone


# --- server


def test_asked_about_ourselves_we_answer_with_ourselves():
    """Without that no Go node admits us to its table."""
    answer = server().kad(KadMessage(KadType.FIND_NODE, peer_id(0).multihash))
    assert answer is not None
    assert [peer.id for peer in answer.closer_peers] == [peer_id(0).multihash]
    assert answer.closer_peers[0].addrs == (encode_multiaddr(host(0), 8302),)
    assert answer.key is None


def test_the_nearest_without_the_asker():
    answer = server(2, 3, 4).kad(KadMessage(KadType.FIND_NODE, peer_id(3).multihash))
    assert answer is not None
    near = sorted((2, 3, 4), key=lambda n: position_of(peer_id(n).multihash) ^ position_of(peer_id(3).multihash))
    assert [peer.id for peer in answer.closer_peers] == [peer_id(n).multihash for n in near]


def test_at_most_twenty():
    answer = server(*range(2, 60)).kad(KadMessage(KadType.FIND_NODE, b"anything"))
    assert answer is not None
    assert len(answer.closer_peers) == 20


@pytest.mark.parametrize(
    "message",
    [
        KadMessage(KadType.FIND_NODE),
        KadMessage(KadType.FIND_NODE, b""),
        KadMessage(KadType.FIND_NODE, bytes(81)),
        KadMessage(KadType.PUT_VALUE, b"key"),
        KadMessage(77, b"key"),
        KadMessage(KadType.ADD_PROVIDER, bytes(81)),
        KadMessage(KadType.ADD_PROVIDER),
    ],
)
def test_what_is_not_served_is_reset(message: KadMessage):
    """The stream goes, the connection stays."""
    alone = server()
    assert alone.kad(message) is None
    assert alone.did(port.Libp2pEffectfulStreamReset) == [port.Libp2pEffectfulStreamReset(IN, THEIRS)]
    assert not alone.did(port.Libp2pEffectfulDisconnect)
    check(alone.state)


def test_a_ping_comes_back():
    assert server().kad(KadMessage(KadType.PING)) == KadMessage(KadType.PING)


def test_bytes_that_are_no_message_end_the_connection():
    alone = server()
    alone.message(b"\x0a\xff")
    assert [one.reason.code for one in alone.did(port.Libp2pEffectfulDisconnect)] == [ReasonCode.CHANNEL_MSG_UNDECODABLE]


def test_providers_are_remembered_and_given():
    """Only who announces itself; the stream stays of use; after 48 hours it is forgotten."""
    alone = server(2)
    assert alone.kad(KadMessage(KadType.ADD_PROVIDER, KEY, (), (named(2), named(1)))) is None
    alone.stream(KADEMLIA.name, StreamId(THEIRS + 1))
    answer = alone.kad(KadMessage(KadType.GET_PROVIDERS, KEY), StreamId(THEIRS + 1))
    assert answer is not None
    assert [peer.id for peer in answer.provider_peers] == [peer_id(1).multihash]
    assert [peer.id for peer in answer.closer_peers] == [peer_id(2).multihash]
    alone.now = Timestamp(alone.now + KademliaConfig().provider_validity)
    answer = alone.kad(KadMessage(KadType.GET_PROVIDERS, KEY), StreamId(THEIRS + 1))
    assert answer is not None
    assert answer.provider_peers == ()


def test_we_are_a_provider_of_what_we_advertise():
    alone = server()
    alone.feed(NetworkKadAdvertise(b"key"))
    answer = alone.kad(KadMessage(KadType.GET_PROVIDERS, b"key"))
    assert answer is not None
    assert [peer.id for peer in answer.provider_peers] == [peer_id(0).multihash]


def test_keys_and_providers_are_bounded_and_the_chains_own_stays():
    alone = Alone(kademlia=KademliaConfig(provider_keys_max=5, providers_per_key_max=2))
    for number in (1, 2, 3):
        connection_id, stream = ConnectionId(IN + number), StreamId(THEIRS)
        alone.known(number, connection_id)
        alone.feed(port.Libp2pStreamOpened(connection_id, stream, KADEMLIA.name, False))
        for key in (KEY, *(bytes((number, n)) for n in range(20))):
            alone.message(KAD_CODEC.encode(KadMessage(KadType.ADD_PROVIDER, key, (), (named(number),))), stream, connection_id)
    slice_ = alone.state.kademlia
    assert len(slice_.provider_keys) == len(slice_.providers) == 5
    assert [one.peer_id for one in slice_.providers_of(KEY, alone.now)] == [peer_id(2), peer_id(3)]


# --- the table


def entry(number: int, where: Ipv4 | None = None) -> Entry:
    found = peer_id(number)
    return Entry(found, position_of(found.multihash), (Libp2pAddress(found, where or host(number), 1),), Timestamp(number))


def test_a_full_bucket_gives_up_whom_it_saw_longest_ago():
    config, table = KademliaConfig(bucket_max=2), RoutingTable(position_of(peer_id(0).multihash))
    same = [n for n in range(1, 40) if table.bucket_of(position_of(peer_id(n).multihash)) == 0][:4]
    for number in same[:3]:
        table = table.adding(entry(number), config, lambda _: False)
    assert [one.peer_id for one in table.buckets[0]] == [peer_id(n) for n in same[1:3]]
    assert table.adding(entry(same[3]), config, lambda _: True) is table
    table = table.adding(entry(same[3]), config, lambda one: one == peer_id(same[1]))
    assert [one.peer_id for one in table.buckets[0]] == [peer_id(same[1]), peer_id(same[3])]


def test_a_network_gets_three_places():
    config, table = KademliaConfig(), RoutingTable(position_of(peer_id(0).multihash))
    for number in range(1, 10):
        table = table.adding(entry(number, Ipv4.of(8, 8, 8, number)), config, lambda _: False)
    assert len(table) == 3


def test_we_are_not_in_our_own_table():
    table = RoutingTable(position_of(peer_id(0).multihash))
    assert table.adding(entry(0), KademliaConfig(), lambda _: False) is table


# --- look-ups


def lookup(alone: Alone, key: bytes = b"key", kind: LookupKind = LookupKind.NODES) -> None:
    alone.feed(NetworkKadLookupStart(kind, key))


def test_an_unreachable_candidate_is_passed_over():
    alone = Alone(1, 2)
    lookup(alone)
    assert {one.address for one in alone.did(port.Libp2pEffectfulDial)} == {address(1), address(2)}
    for effect in alone.did(port.Libp2pEffectfulDial):
        alone.feed(port.Libp2pConnectionClosed(effect.connection_id, Reason(ReasonCode.TRANSPORT_ERROR), False))
        check(alone.state)
    assert [one.nearest for one in alone.did(NetworkKadLookupFinished)] == [()]


def test_one_who_never_answers_is_forgotten_in_time():
    alone = Alone()
    alone.known(1)
    assert len(alone.state.kademlia.table) == 1
    alone.feed(NetworkCheckTimeouts(), alone.later(11))
    assert len(alone.did(NetworkKadLookupFinished)) == 2
    assert len(alone.state.kademlia.table) == 0
    check(alone.state)


def test_an_undecodable_answer_ends_connection_and_request():
    alone = Alone()
    alone.known(1)
    (_, stream), *_ = alone.opened(KADEMLIA.name)
    alone.message(b"\xff", stream)
    assert [one.reason.code for one in alone.did(port.Libp2pEffectfulDisconnect)] == [ReasonCode.CHANNEL_MSG_UNDECODABLE]
    check(alone.state)


def test_a_flood_of_candidates_is_bounded():
    """A liar's thousand peers are at most a bucket or two of candidates."""
    alone = Alone(kademlia=KademliaConfig(candidates_max=30))
    alone.known(1)
    (_, stream), *_ = alone.opened(KADEMLIA.name)
    liars = tuple(named(number) for number in range(100, 1000))
    alone.message(KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, liars)), stream)
    assert max(len(one.candidates) for one in alone.state.kademlia.lookups.values()) <= 30
    assert len(alone.did(port.Libp2pEffectfulDial)) <= KademliaConfig().parallel
    assert len(alone.state.kademlia.table) == 1
    check(alone.state)


def test_who_is_named_twice_is_one_candidate():
    """A candidate that stood there twice was under way twice with one request (found by generated inputs)."""
    alone = Alone()
    alone.known(1)
    (_, stream), *_ = alone.opened(KADEMLIA.name)
    alone.message(KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, (named(5), named(6), named(5)))), stream)
    candidates = [[one.peer_id for one in lookup.candidates] for lookup in alone.state.kademlia.lookups.values()]
    assert sorted(map(peer_id, (1, 5, 6))) in map(sorted, candidates)
    check(alone.state)


@pytest.mark.parametrize("peer", [KadPeer(b""), KadPeer(b"\x12\x20" + bytes(32), (b"",)), KadPeer(peer_id(0).multihash, (b"x",)), named(0)])
def test_useless_peers_of_an_answer_are_skipped(peer: KadPeer):
    alone = Alone()
    alone.known(1)
    (_, stream), *_ = alone.opened(KADEMLIA.name)
    alone.message(KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, (peer,))), stream)
    assert not alone.did(port.Libp2pEffectfulDial)
    check(alone.state)


@pytest.mark.parametrize(("agent", "kind"), [("mina", KadType.FIND_NODE), ("go", KadType.GET_PROVIDERS)])
def test_rust_is_asked_for_nodes_only(agent: str, kind: KadType):
    """Its Rust node ends the connection on any other request."""
    alone = Alone()
    alone.known(1, agent=agent)
    lookup(alone, KEY, LookupKind.PROVIDERS)
    (sent,) = [KAD_CODEC.decode(one.data) for one in alone.did(port.Libp2pEffectfulSend)]
    assert (sent.type, sent.key) == (kind, KEY)


def test_nobody_is_dialled_where_we_shall_not():
    alone = Alone(1)
    alone.feed(NetworkDiallingSet(False))
    lookup(alone)
    assert not alone.did(port.Libp2pEffectfulDial)
    assert alone.did(NetworkKadLookupFinished)


def test_without_kademlia_no_place_in_the_table():
    alone = Alone()
    alone.known(1, protocols=(IDENTIFY.name,))
    assert len(alone.state.kademlia.table) == 0


def test_look_ups_are_bounded():
    alone = Alone(1)
    for number in range(50):
        lookup(alone, b"%d" % number)
    assert len(alone.state.kademlia.lookups) == KademliaConfig().lookups_max


def test_we_announce_ourselves_again():
    """From time to time to those nearest to the key."""
    often = KademliaConfig(provide_again=60 * SECOND)
    network = Network([Node(0), Node(1, 0, kademlia=often)])
    network.run(2)
    first = network.nodes[peer_id(0)].state.kademlia.providers_of(KEY, network.now)
    network.run(65)
    again = network.nodes[peer_id(0)].state.kademlia.providers_of(KEY, network.now)
    assert [one.peer_id for one in first] == [one.peer_id for one in again] == [peer_id(1)]
    assert again[0].until > first[0].until


def test_without_discovery_it_is_neither_spoken_nor_said():
    alone = Alone(1, is_discovery_enabled=False)
    alone.known(2)
    assert KADEMLIA.name not in alone.state.protocols
    assert not alone.opened(KADEMLIA.name)
    alone.stream(KADEMLIA.name)
    assert alone.did(port.Libp2pEffectfulStreamReset) == [port.Libp2pEffectfulStreamReset(IN, THEIRS)]
    lookup(alone)
    assert alone.effects == []
    assert len(alone.state.kademlia.table) == 0
