"""Four ways of discovery feed one peer table: Kademlia, signaling discovery, the initial-peers RPC and address gossip."""

from __future__ import annotations

from collections import Counter
from typing import Any

from channels.people import key
from gossip.played import Peers, record_of
from libp2p_slices.pairs import IN, OWN_IDENTIFY
from slices.lab import ME, START, Lab, address, peer_id

from mina_p2p.address import Ipv4, Libp2pAddress, QuicAddress, SignalingRelay, WebRtcAddress
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, InitialPeersRequest, InitialPeersResponse, RpcRequestMessage
from mina_p2p.channels.signaling_discovery.messages import DISCOVERY_MESSAGE, DiscoveryDiscovered, DiscoveryGetNext
from mina_p2p.config import Limits
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identify.messages import IDENTIFY_CODEC, IdentifyMessage
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, ConnectionId, PeerNumber
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.protocols import IDENTIFY, KADEMLIA, PROTOCOLS
from mina_p2p.peer.account import account
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import PeerSource
from mina_p2p.transport import ChannelsEffectfulRequestSend, SocketAddress

GOSSIP, DISCOVERY, RPC = ChannelId.ADDRESS_GOSSIP, ChannelId.SIGNALING_DISCOVERY, ChannelId.RPC
BOUND = 3
RELAY, TELLER, GOSSIPER, SERVER = 1, 2, 3, 4
NAMED = 200
"""Peers from this number on are named by others."""


class Everything(Peers):
    """A node that uses all four ways."""

    def __init__(self, table: PeerTableConfig | None = None) -> None:
        network = NetworkConfig(peer_id(ME), MAINNET_CHAIN_ID, seed=1, is_advertised=False, connections_min=0)
        Lab.__init__(
            self,
            channels=(DISCOVERY, RPC, GOSSIP),
            address_gossip=AddressGossipConfig(addresses=(address(ME),)),
            are_introductions_taken=True,
            is_discovery_enabled=True,
            limits=Limits(discovered_per_source_max=BOUND),
            libp2p=network,
            peer_table=table or PeerTableConfig(),
        )
        self.feed(port.Libp2pListening((_tcp(ME),)))

    def kademlia(self, *numbers: int, server: int = SERVER, link: ConnectionId = IN) -> None:
        """A libp2p node comes, says who it is, and answers our first question of where we are with others."""
        self.feed(port.Libp2pConnectionOpened(link, peer_id(server), False, SocketAddress(_host(server).plain, 40_000)))
        said = IdentifyMessage(
            peer_id(server).protobuf, (encode_multiaddr(_host(server), 8302),), tuple(PROTOCOLS), None, "ipfs/0.1.0", "them"
        )
        self.feed(port.Libp2pStreamOpened(link, OWN_IDENTIFY, IDENTIFY.name, True))
        self.feed(port.Libp2pStreamMessageReceived(link, OWN_IDENTIFY, IDENTIFY_CODEC.encode(said)))
        self.feed(port.Libp2pStreamEnded(link, OWN_IDENTIFY))
        assert self.state.network is not None
        streams: Any = self.state.network.links.table[link]
        ours = [stream for stream, one in streams.streams.items() if one.is_ours and one.protocol == KADEMLIA.name]
        # Everybody is asked twice: once by the look-up for ourselves, once by that for whom it named.
        answers = [(), tuple(numbers)] if len(ours) > 1 else [tuple(numbers)]
        for stream, names in zip(ours, answers, strict=False):
            closer = tuple(KadPeer(peer_id(n).multihash, (encode_multiaddr(_host(n), 8302),)) for n in names)
            self.feed(port.Libp2pStreamMessageReceived(link, stream, KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, closer))))

    def initial_peers(self, *numbers: int) -> None:
        """A pull peer is asked for peers and names some."""
        connection_id = self.accept(TELLER, channels=(RPC,))
        asked = next(e for e in reversed(self.all) if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == RPC)
        message = RPC_MESSAGE.decode(asked.frame)
        assert isinstance(message, RpcRequestMessage)
        assert isinstance(message.request, InitialPeersRequest)
        self.answer(connection_id, message.id, InitialPeersResponse(tuple(address(n) for n in numbers)), asked.stream)

    def gossip(self, *numbers: int) -> None:
        """A pull peer tells us of signed records."""
        connection_id = self.join(GOSSIPER)
        for n in numbers:
            self.bring(connection_id, record_of(n))
            self.wait(10**10)

    def introduction(self) -> None:
        """A relay introduces somebody."""
        connection_id = self.accept(RELAY, channels=(DISCOVERY,))
        stream = self.peer_stream(connection_id)
        for message in (DiscoveryGetNext(), DiscoveryDiscovered(key(2))):
            self.frame(connection_id, DISCOVERY, stream, DISCOVERY_MESSAGE.encode(message))

    def by_source(self) -> Counter[PeerSource]:
        """How many are known first from where."""
        return Counter(peer.source for peer in self.state.peers.table.values())


def _host(n: int) -> Ipv4:
    return Ipv4.of(30 + n // 250, n % 250, 0, 1)


def _tcp(n: int) -> Libp2pAddress:
    return Libp2pAddress(peer_id(n), _host(n), 8302)


def test_all_four_ways_feed_one_table() -> None:
    """Each by its own messages, each with whom it is known from; whom two ways name is one peer."""
    lab = Everything()
    lab.feed(PeerDiscovered(_tcp(SERVER), PeerSource.KADEMLIA, None))
    lab.introduction()
    lab.initial_peers(NAMED, NAMED + 1)
    lab.gossip(NAMED + 1, NAMED + 2)
    lab.kademlia(NAMED + 2, NAMED + 3)
    found = lab.by_source()
    assert found[PeerSource.SIGNALING] == 1
    assert found[PeerSource.INITIAL_PEERS] == 2
    assert found[PeerSource.ADDRESS_GOSSIP] == 1
    assert lab.peer(NAMED + 3).source is PeerSource.KADEMLIA
    assert lab.peer(NAMED + 2).sources == (PeerSource.ADDRESS_GOSSIP, PeerSource.KADEMLIA)
    assert lab.peer(NAMED + 1).sources == (PeerSource.INITIAL_PEERS, PeerSource.ADDRESS_GOSSIP)
    introduced = lab.state.peers.find(key(2))
    assert introduced is not None
    assert introduced[1].address == WebRtcAddress(key(2), SignalingRelay(peer_id(RELAY)))


def test_what_kademlia_names_is_known_and_left_to_libp2p() -> None:
    """Nobody dials it by QUIC; once a pull address is heard, that takes its place."""
    lab = Everything()
    lab.feed(PeerDiscovered(_tcp(SERVER), PeerSource.KADEMLIA, None))
    lab.kademlia(NAMED)
    record = lab.peer(NAMED)
    assert (record.address, record.source, record.is_dialable) == (_tcp(NAMED), PeerSource.KADEMLIA, False)
    assert lab.state.peers.table[record.learned_from or PeerNumber(0)].peer_id == peer_id(SERVER)
    told = account(lab.state, peer_id(NAMED), lab.now)
    assert told is not None
    assert "libp2p" in told.why
    lab.feed(PeerDiscovered(address(NAMED), PeerSource.INITIAL_PEERS, None))
    record = lab.peer(NAMED)
    assert (record.address, record.is_dialable) == (address(NAMED), True)
    assert isinstance(record.address, QuicAddress)
    assert record.sources == (PeerSource.KADEMLIA, PeerSource.INITIAL_PEERS)


def test_every_way_is_bounded_by_who_names() -> None:
    """Each of three tellers names three times what one may; of each as many are taken as the bound says."""
    lab = Everything()
    lab.feed(PeerDiscovered(_tcp(SERVER), PeerSource.KADEMLIA, None))
    lab.initial_peers(*range(NAMED, NAMED + 3 * BOUND))
    lab.gossip(*range(NAMED + 10, NAMED + 10 + 3 * BOUND))
    lab.kademlia(*range(NAMED + 20, NAMED + 20 + 3 * BOUND))
    counts = lab.state.peers.learned_counts
    tellers = {lab.state.peers.table[number].peer_id: count for number, count in counts.items()}
    assert tellers == {peer_id(TELLER): BOUND, peer_id(GOSSIPER): BOUND, peer_id(SERVER): BOUND}


def test_who_answers_is_known_before_what_it_names() -> None:
    """Else nobody could count what it names: the first answer of a stranger makes it known, and nothing else."""
    lab = Everything()
    lab.kademlia(*range(NAMED, NAMED + 9))
    assert lab.peer(SERVER).source is PeerSource.KADEMLIA
    assert all(peer.learned_from is None or peer.peer_id != peer_id(SERVER) for peer in lab.state.peers.table.values())
    assert len(lab.state.peers.learned_counts) <= 1


def test_a_way_that_is_off_feeds_nothing() -> None:
    """It is configuration which are believed."""
    lab = Everything(PeerTableConfig(sources=(PeerSource.INCOMING, PeerSource.INITIAL_PEERS)))
    lab.introduction()
    lab.gossip(NAMED)
    lab.kademlia(NAMED + 1)
    lab.initial_peers(NAMED + 2)
    assert lab.by_source()[PeerSource.INITIAL_PEERS] == 1
    assert {*lab.by_source()} <= {PeerSource.INCOMING, PeerSource.INITIAL_PEERS}


def test_a_relay_introduces_by_way_of_itself_alone() -> None:
    """And only where introductions are taken."""
    lab = Everything()
    lab.accept(RELAY, channels=(DISCOVERY,))
    other = WebRtcAddress(key(2), SignalingRelay(peer_id(TELLER)))
    assert not lab.state.accepts_address(other, PeerNumber(1), START)
    mine = WebRtcAddress(key(2), SignalingRelay(peer_id(RELAY)))
    assert lab.state.accepts_address(mine, PeerNumber(1), START)
    assert not lab.state.accepts_address(mine, None, START)
    assert not lab.state.replace(config=lab.state.config.replace(are_introductions_taken=False)).accepts_address(mine, PeerNumber(1), START)
