"""Whole networks of pure nodes: they find each other from one seed, gossip reaches all, the dead are forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from libp2p_slices.lab import Network, Node, address, check, peer_id
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, Verdict
from mina_p2p.ids import RequestId
from mina_p2p.kademlia.actions import NetworkKadLookupStart
from mina_p2p.kademlia.state import LookupKind, position_of, rendezvous_key
from mina_p2p.libp2p.actions import NetworkDiallingSet
from mina_p2p.libp2p.config import TOPIC_V0, GossipsubConfig
from mina_p2p.libp2p.notifications import NetworkKadLookupFinished, NetworkPubsubMessageReceived

COUNT = 50


def grown(count: int, **options: Any) -> Network:
    """Nodes that came one after the other and knew only the first."""
    network = Network([Node(0, **options)])
    for number in range(1, count):
        network.add(Node(number, 0, **options))
        network.run(0.2)
    network.run(10)
    return network


@pytest.fixture(scope="module")
def _network() -> Network:
    return grown(COUNT, connections_min=8, connections_max=16)


@pytest.fixture
def network(_network: Network) -> Network:
    """Fifty nodes; each test leaves them able to go on."""
    for node in _network.nodes.values():
        node.told.clear()
        node.verdict = Verdict.ACCEPT
    return _network


def test_states_are_good(network: Network):
    for node in network.nodes.values():
        check(node.state)


def test_everybody_is_found_by_everybody(network: Network):
    """A look-up for any peer's id ends with the twenty that are nearest to it of all, itself first."""
    for asker, target in [(1, 40), (17, 3), (49, 48), (30, 0)]:
        node = network.nodes[peer_id(asker)]
        network.feed(node, NetworkKadLookupStart(LookupKind.NODES, peer_id(target).multihash))
        network.run(1)
        finished = [one for one in node.told if isinstance(one, NetworkKadLookupFinished)]
        goal = position_of(peer_id(target).multihash)
        nearest = sorted(network.nodes.keys() - {node.peer_id}, key=lambda one: position_of(one.multihash) ^ goal)
        assert list(finished[-1].nearest) == nearest[:20]


def test_all_are_provided_under_the_rendezvous(network: Network):
    """Who asks for the rendezvous learns of everybody that announced itself."""
    node = network.nodes[peer_id(31)]
    network.feed(node, NetworkKadLookupStart(LookupKind.PROVIDERS, rendezvous_key(node.state.config.chain_id)))
    network.run(1)
    finished = [one for one in node.told if isinstance(one, NetworkKadLookupFinished) and one.providers]
    assert {*finished[-1].providers, node.peer_id} == set(network.nodes)


def test_gossip_reaches_everybody_once(network: Network):
    """One message from one node is handed to each other's node software exactly once."""
    node = network.nodes[peer_id(5)]
    network.feed(node, NetworkPubsubPublish(TOPIC_V0, b"to all"))
    network.run(3)
    for other in network.nodes.values():
        heard = [one for one in other.told if isinstance(one, NetworkPubsubMessageReceived)]
        assert [one.data for one in heard] == ([] if other is node else [b"to all"])
        assert {one.author for one in heard} <= {node.peer_id}


def test_meshes_are_in_shape(network: Network):
    limits = GossipsubConfig()
    for node in network.nodes.values():
        topic = node.state.gossipsub.topic(TOPIC_V0)
        assert topic is not None
        assert min(limits.mesh_min, len(node.state.gossipsub.subscribers(TOPIC_V0))) <= len(topic.mesh) <= limits.mesh_max
        for peer in topic.mesh:
            other = network.nodes[node.state.gossipsub.neighbours[peer].peer_id]
            theirs = other.state.gossipsub.topic(TOPIC_V0)
            assert theirs is not None
            assert node.peer_id in {other.state.gossipsub.neighbours[one].peer_id for one in theirs.mesh}


def test_a_message_nobody_accepts_goes_one_hop(network: Network):
    for other in network.nodes.values():
        other.verdict = Verdict.REJECT
    node = network.nodes[peer_id(6)]
    topic = node.state.gossipsub.topic(TOPIC_V0)
    assert topic is not None
    network.feed(node, NetworkPubsubPublish(TOPIC_V0, b"nonsense"))
    heard = [other for other in network.nodes.values() if any(isinstance(one, NetworkPubsubMessageReceived) for one in other.told)]
    assert len(heard) == len(topic.mesh)


def test_a_loss_of_messages_is_healed_by_gossip(network: Network):
    """Where the mesh loses every copy to a node, it hears of the message by IHAVE and asks for it."""
    lost: list[Any] = []

    def drop(sender: Node, protocol: str, data: bytes) -> bytes | None:
        if b"unlucky" in data and not lost:
            lost.append(sender.peer_id)
            return None
        return data

    network.on_send = drop
    network.feed(network.nodes[peer_id(7)], NetworkPubsubPublish(TOPIC_V0, b"unlucky"))
    network.run(4)
    network.on_send = lambda _sender, _protocol, data: data
    assert lost
    for other in network.nodes.values():
        heard = [one for one in other.told if isinstance(one, NetworkPubsubMessageReceived) and one.data == b"unlucky"]
        assert len(heard) == (other.peer_id != peer_id(7))


def test_we_do_not_dial_if_told_so_and_are_still_found():
    """The discovery scenario: a node that waits is dialled by a newcomer that knew only the seed."""
    network = grown(5, connections_min=8)
    waiting = network.nodes[peer_id(4)]
    assert {contact.peer_id for contact in waiting.state.links.contacts.values()} == {peer_id(n) for n in range(4)}
    network.feed(waiting, NetworkDiallingSet(False))
    newcomer = network.add(Node(50, 0, connections_min=8))
    network.run(5)
    number = waiting.state.links.numbers.get(newcomer.peer_id)
    assert number is not None
    (connection_id,) = waiting.state.links.contacts[number].connections
    link = waiting.state.links.linked(connection_id)
    assert link is not None
    assert not link.is_dialer


def test_the_dead_are_forgotten():
    """Peers that are gone leave connections, meshes and, once they do not answer, the tables."""
    network = grown(20, connections_min=8)
    for number in (3, 9, 14):
        network.remove(network.nodes[peer_id(number)])
    network.run(700)
    for node in network.nodes.values():
        check(node.state)
        assert not {peer_id(3), peer_id(9), peer_id(14)} & {entry.peer_id for entry in node.state.kademlia.table.entries()}
        assert len(node.state.links.contacts) >= 8


def test_a_network_survives_its_seed():
    network = grown(12, connections_min=6)
    network.remove(network.nodes[peer_id(0)])
    newcomer = network.add(Node(99, 5, connections_min=6))
    network.run(10)
    assert len(newcomer.state.links.contacts) >= 6


def test_too_many_connections_are_trimmed():
    """Above the high water mark it goes down to the low one, after the grace; peers of the mesh stay."""
    network = Network([Node(0, connections_min=4, connections_max=8, protected_percent=0)])
    for number in range(1, 15):
        network.add(Node(number, 0, connections_min=1))
    hub = network.nodes[peer_id(0)]
    network.run(1)
    assert len(hub.state.links.table) > 8
    network.feed(hub, NetworkDiallingSet(False))
    for node in network.nodes.values():
        network.feed(node, NetworkDiallingSet(False))
    network.run(40)
    topic = hub.state.gossipsub.topic(TOPIC_V0)
    assert topic is not None
    assert len(hub.state.links.table) <= 8
    assert len(topic.mesh) >= 4


def test_two_runs_are_equal():
    """The same seeds give the same states."""
    first, second = (grown(8, connections_min=4) for _ in range(2))
    assert {who: node.state for who, node in first.nodes.items()} == {who: node.state for who, node in second.nodes.items()}


def test_a_look_up_without_anybody_ends():
    lonely = Node(0)
    lonely.feed(NetworkKadLookupStart(LookupKind.NODES, address(1).peer_id.multihash))
    assert lonely.did(NetworkKadLookupFinished) == [NetworkKadLookupFinished(RequestId(1), (), ())]
