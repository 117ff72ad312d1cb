"""Identify: what we say, what we believe, what is refused."""

from __future__ import annotations

import pytest

from libp2p_slices.lab import Network, Node, address, check, peer_id
from libp2p_slices.pairs import IN, OWN_IDENTIFY, THEIRS, Alone, said
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.identify.messages import IDENTIFY_CODEC, IdentifyMessage
from mina_p2p.ids import PeerNumber, StreamId
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.multiaddr import dialable
from mina_p2p.libp2p.notifications import NetworkPeerIdentified
from mina_p2p.libp2p.protocols import IDENTIFY, IDENTIFY_PUSH, KADEMLIA, MESHSUB, PROTOCOLS


def test_both_ask_at_once():
    """Each side opens an identify stream as soon as the connection is up, and nothing else."""
    alone = Alone()
    alone.arrive(1)
    assert [one.protocols for one in alone.did(port.Libp2pEffectfulStreamOpen)] == [(IDENTIFY.name,)]


def test_what_we_say():
    """Our key, where to dial us, what we speak, and where we see the asker; in at most 2048 bytes."""
    alone = Alone(external_addresses=tuple(address(0) for _ in range(1000)))
    alone.arrive(1)
    effects = alone.feed(port.Libp2pStreamOpened(IN, THEIRS, IDENTIFY.name, False))
    (sent,) = [one.data for one in effects if isinstance(one, port.Libp2pEffectfulSend)]
    assert isinstance(effects[-1], port.Libp2pEffectfulStreamEnd)
    assert len(sent) <= 2048
    message = IDENTIFY_CODEC.decode(sent)
    assert message.public_key == peer_id(0).protobuf
    assert message.protocols == tuple(PROTOCOLS)
    assert dialable(message.listen_addrs[0], peer_id(0)) == address(0)
    assert message.observed_addr is not None
    assert dialable(message.observed_addr, peer_id(1)) is not None
    assert (message.protocol_version, message.agent_version) == ("ipfs/0.1.0", "mina_p2p")


def test_private_addresses_stay_private():
    """A peer from the Internet neither learns our private address, nor do we believe its."""
    alone = Alone()
    alone.arrive(1, remote="8.8.8.8")
    effects = alone.feed(port.Libp2pStreamOpened(IN, THEIRS, IDENTIFY.name, False))
    (sent,) = [one.data for one in effects if isinstance(one, port.Libp2pEffectfulSend)]
    assert IDENTIFY_CODEC.decode(sent).listen_addrs == ()
    alone.identify(1)
    assert alone.state.identify.peers[PeerNumber(1)].addresses == ()


def test_what_follows_from_the_answer():
    """Node software is told, and gossip and Kademlia begin with whoever speaks them."""
    alone = Alone()
    alone.known(1)
    assert alone.did(NetworkPeerIdentified) == [NetworkPeerIdentified(peer_id(1), tuple(PROTOCOLS), (address(1),), "them")]
    assert {one.protocols[0] for one in alone.did(port.Libp2pEffectfulStreamOpen)} == {KADEMLIA.name, MESHSUB.name}
    check(alone.state)


def test_nothing_is_opened_that_the_peer_does_not_list():
    """A Rust node ends connections on protocols that it does not know."""
    alone = Alone()
    alone.known(1, protocols=(IDENTIFY.name,))
    assert not alone.did(port.Libp2pEffectfulStreamOpen)


def test_an_answer_in_parts_is_one():
    alone = Alone()
    alone.arrive(1)
    whole = said(1)
    first = IDENTIFY_CODEC.encode(IdentifyMessage(peer_id(1).protobuf))
    for part in (first, whole):
        alone.message(part, OWN_IDENTIFY)
    alone.feed(port.Libp2pStreamEnded(IN, OWN_IDENTIFY))
    assert alone.state.identify.peers[PeerNumber(1)].protocols == tuple(PROTOCOLS)
    assert len(alone.state.identify.parts) == 0


def test_parts_are_counted():
    """At most ten messages are kept of an answer, as Go does."""
    alone = Alone()
    alone.arrive(1)
    for _ in range(100):
        alone.message(b"", OWN_IDENTIFY)
    assert len(alone.state.identify.parts[1]) == 10


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff", ReasonCode.CHANNEL_MSG_UNDECODABLE),
        (said(2), ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH),
    ],
)
def test_a_bad_answer_ends_the_connection(data: bytes, code: ReasonCode):
    alone = Alone()
    alone.arrive(1)
    alone.message(data, OWN_IDENTIFY)
    alone.feed(port.Libp2pStreamEnded(IN, OWN_IDENTIFY))
    assert [one.reason.code for one in alone.did(port.Libp2pEffectfulDisconnect)] == [code]
    assert len(alone.state.identify.peers) == 0


def test_a_push_changes_what_it_names():
    """Fields that a push leaves out stay as they were."""
    alone = Alone()
    alone.known(1)
    alone.stream(IDENTIFY_PUSH.name)
    alone.message(IDENTIFY_CODEC.encode(IdentifyMessage(agent_version="newer")))
    alone.feed(port.Libp2pStreamEnded(IN, THEIRS))
    found = alone.state.identify.peers[PeerNumber(1)]
    assert (found.agent, found.protocols, found.addresses) == ("newer", tuple(PROTOCOLS), (address(1),))


def test_we_push_when_our_addresses_change():
    network = Network([Node(0), Node(1, 0)])
    network.run(1)
    first, second = network.nodes[peer_id(0)], network.nodes[peer_id(1)]
    network.feed(second, port.Libp2pListening((address(9).replace(peer_id=second.peer_id),)))
    number = first.state.links.numbers.get(second.peer_id)
    assert number is not None
    known = first.state.identify.peers[number].addresses
    assert address(9).replace(peer_id=second.peer_id) in known
    for node in network.nodes.values():
        check(node.state)


def test_no_answer_ends_nothing():
    """A peer without identify stays connected, and is of no use to look-ups."""
    alone = Alone()
    alone.arrive(1)
    alone.feed(port.Libp2pStreamLost(IN, OWN_IDENTIFY, True))
    assert not alone.did(port.Libp2pEffectfulDisconnect)
    assert IN in alone.state.links.table


def test_too_many_streams_are_reset():
    alone = Alone()
    alone.arrive(1)
    for number in range(20):
        alone.stream(IDENTIFY_PUSH.name, StreamId(THEIRS + number))
    assert alone.did(port.Libp2pEffectfulStreamReset)
    link = alone.state.links.linked(IN)
    assert link is not None
    assert link.peer_streams(IDENTIFY_PUSH.name) == IDENTIFY_PUSH.peer_streams_max


def test_idle_streams_are_reset():
    """What a peer opens and does not use goes after a minute, by the one input that time makes."""
    alone = Alone()
    alone.arrive(1)
    alone.stream(IDENTIFY_PUSH.name)
    alone.feed(NetworkCheckTimeouts(), alone.later(59))
    assert alone.state.links.stream(IN, THEIRS) is not None
    alone.feed(NetworkCheckTimeouts(), alone.later(2))
    assert alone.state.links.stream(IN, THEIRS) is None
    assert port.Libp2pEffectfulStreamReset(IN, THEIRS) in alone.effects
    check(alone.state)
