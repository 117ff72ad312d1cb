"""Whom a gossip peer names as it prunes us is in the one peer table, with its source, within the bounds for everybody."""

from __future__ import annotations

from typing import Any

import pytest
from libp2p_slices.pairs import IN, OWN_IDENTIFY, THEIRS
from slices.lab import ME, Lab, peer_id

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.config import Limits
from mina_p2p.gossipsub.messages import RPC_CODEC, ControlMessage, ControlPrune, PrunedPeer, PubsubRpc, SubOpts
from mina_p2p.identify.messages import IDENTIFY_CODEC, IdentifyMessage
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, PeerNumber
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.config import TOPIC_V0, GossipsubConfig, NetworkConfig
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.protocols import IDENTIFY, MESHSUB, PROTOCOLS
from mina_p2p.peer.account import account, sources_text
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import PeerSource
from mina_p2p.peer_exchange.actions import NetworkExchangeVerified
from mina_p2p.peer_exchange.messages import envelope_of, payload_of
from mina_p2p.transport import SocketAddress

BOUND = 3
TELLER = 4
NAMED = 200


def _tcp(n: int) -> Libp2pAddress:
    """Each in a network of its own."""
    return Libp2pAddress(peer_id(n), Ipv4.of(30 + n // 250, n % 250, 0, 1), 8302)


def _named(n: int) -> PrunedPeer:
    payload = payload_of(peer_id(n), 1, (_tcp(n),))
    return PrunedPeer(peer_id(n).multihash, envelope_of(peer_id(n), payload, bytes(64)))


class Pruned(Lab):
    """A node with a gossip peer in its mesh, which prunes it."""

    def __init__(self, **settings: Any) -> None:
        gossipsub = GossipsubConfig(is_peer_exchange_enabled=True)
        network = NetworkConfig(
            peer_id(ME), MAINNET_CHAIN_ID, seed=1, is_discovery_enabled=False, connections_min=0, gossipsub=gossipsub, topics=(TOPIC_V0,)
        )
        super().__init__(libp2p=network, limits=Limits(discovered_per_source_max=BOUND), **settings)
        where = _tcp(TELLER)
        said = IdentifyMessage(peer_id(TELLER).protobuf, (encode_multiaddr(where.host, where.port),), tuple(PROTOCOLS))
        self.feed(port.Libp2pConnectionOpened(IN, peer_id(TELLER), False, SocketAddress(where.host.plain, 40_000)))
        self.feed(port.Libp2pStreamOpened(IN, OWN_IDENTIFY, IDENTIFY.name, True))
        self.feed(port.Libp2pStreamMessageReceived(IN, OWN_IDENTIFY, IDENTIFY_CODEC.encode(said)))
        self.feed(port.Libp2pStreamEnded(IN, OWN_IDENTIFY))
        (opened,) = [
            effect.stream for effect in self.all if isinstance(effect, port.Libp2pEffectfulStreamOpen) and effect.stream != OWN_IDENTIFY
        ]
        self.feed(port.Libp2pStreamOpened(IN, opened, MESHSUB.name, True))
        self.feed(port.Libp2pStreamOpened(IN, THEIRS, MESHSUB.name, False))
        self._say(PubsubRpc((SubOpts(True, TOPIC_V0),)))
        self.wait(2 * SECOND)

    def _say(self, rpc: PubsubRpc) -> None:
        self.feed(port.Libp2pStreamMessageReceived(IN, THEIRS, RPC_CODEC.encode(rpc)))

    def prune(self, *numbers: int, is_valid: bool = True) -> None:
        """The peer prunes us and names these; whether the runtime finds their signatures good."""
        self._say(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, tuple(map(_named, numbers)), 60),))))
        network = self.state.network
        assert network is not None
        for number in list(network.exchange.checking):
            self.feed(NetworkExchangeVerified(number, is_valid))

    def sources(self) -> dict[int, tuple[PeerSource, ...]]:
        """How peers are known."""
        return {int.from_bytes(peer.peer_id, "big"): peer.sources for peer in self.state.peers.table.values()}


def test_named_peers_are_known_with_who_named_them() -> None:
    """As is who named them; nobody dials them by QUIC, and people can read how they are known."""
    lab = Pruned()
    lab.prune(NAMED, NAMED + 1)
    assert lab.sources() == dict.fromkeys((TELLER, NAMED, NAMED + 1), (PeerSource.PEER_EXCHANGE,))
    found = lab.state.peers.find(peer_id(NAMED))
    assert found is not None
    assert (found[1].address, found[1].is_dialable) == (_tcp(NAMED), False)
    assert lab.state.peers.table[found[1].learned_from or PeerNumber(0)].peer_id == peer_id(TELLER)
    told = account(lab.state, peer_id(NAMED), lab.now)
    assert told is not None
    assert "peer exchange" in sources_text(told.peer)
    dialled = [effect.address for effect in lab.all if isinstance(effect, port.Libp2pEffectfulDial)]
    assert dialled == [_tcp(NAMED), _tcp(NAMED + 1)]


def test_names_are_bounded_by_who_names() -> None:
    lab = Pruned()
    lab.prune(*range(NAMED, NAMED + 9))
    assert len(lab.sources()) == 1 + BOUND


@pytest.mark.parametrize("settings", [{}, {"peer_table": PeerTableConfig(sources=(PeerSource.INCOMING,))}])
def test_what_is_not_signed_or_not_believed_is_not_known(settings: dict[str, Any]) -> None:
    """A wrong signature, or a way of discovery that the configuration does not believe."""
    lab = Pruned(**settings)
    lab.prune(NAMED, is_valid=bool(settings))
    assert NAMED not in lab.sources()
