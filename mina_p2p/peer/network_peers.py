"""What other ways of discovery than our own channels' learn goes into the one peer table, too, within the bounds for everybody.

* Kademlia, where libp2p's network is on: what an answer to a look-up names. Libp2p's part goes on dialling by rules of its own; in
  the table its peers are known, counted by who named them, and can be told from those of whom a pull address is known,
  which takes the place of theirs.
* Peer exchange, where it is on: whom a peer names that has pruned us from its mesh, if that one has signed where it is.
* Signaling discovery, where introductions are taken: a peer that a relay introduces, at an address by way of that relay. The
  node software makes such connections.

These stand in the root's table in the place of what the slices do alone.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from mina_p2p.address import SignalingRelay, WebRtcAddress
from mina_p2p.channels.signaling_discovery import dialer
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryDiscoveredReceived
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.kademlia import reducer as kademlia
from mina_p2p.kademlia.actions import NetworkKadResponseReceived
from mina_p2p.libp2p.notifications import NetworkPeerDiscovered
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.state import PeerSource
from mina_p2p.peer_exchange import reducer as exchange
from mina_p2p.peer_exchange.actions import NetworkExchangePeersReceived, NetworkExchangeVerified
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps


def reduce_kad_response(state: P2pState, action: NetworkKadResponseReceived, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """An answer to a look-up: whom it names is known from now on."""
    network = state.network
    if network is None:
        return state, ()
    asked = network.kademlia.requests[action.request_id].peer_id
    after, follow_ups = kademlia.reduce(network.kademlia, action, now, network)
    named = (one.address for one in follow_ups if isinstance(one, NetworkPeerDiscovered))
    teller = state.peers.find(asked)
    found: list[Any]
    if teller is None:
        # Who names others is known first, or nobody could count what it names.
        found = list(_as_itself(state, asked))
    else:
        names = islice(named, state.config.limits.discovered_per_source_max)
        found = [PeerDiscovered(address, PeerSource.KADEMLIA, teller[0]) for address in names]
    return state.replace(network=network.replace(kademlia=after)), (*follow_ups, *found)


def _as_itself(state: P2pState, peer_id: PeerId) -> tuple[PeerDiscovered, ...]:
    entry = None if state.network is None else state.network.kademlia.table.get(peer_id)
    if entry is None or not entry.addresses:
        return ()
    return (PeerDiscovered(entry.addresses[0], PeerSource.KADEMLIA, None),)


def reduce_exchange_received(state: P2pState, action: NetworkExchangePeersReceived, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """A peer names others: it is known itself before their records are checked, so that what it names is counted."""
    network = state.network
    if network is None:
        return state, ()
    after, follow_ups = exchange.reduce(network.exchange, action, now, network)
    link = network.links.linked(action.connection_id)
    own: tuple[PeerDiscovered, ...] = ()
    if link is not None and state.peers.find(link.peer_id) is None and (identity := network.identify.peers.get(link.peer)) is not None:
        own = tuple(PeerDiscovered(address, PeerSource.PEER_EXCHANGE, None) for address in identity.addresses[:1])
    return state.replace(network=network.replace(exchange=after)), (*own, *follow_ups)


def reduce_exchange_verified(state: P2pState, action: NetworkExchangeVerified, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """A named peer has signed where it is: it is known from now on, if who named it is."""
    network = state.network
    if network is None:
        return state, ()
    teller = state.peers.find(network.exchange.checking[action.number].teller)
    after, follow_ups = exchange.reduce(network.exchange, action, now, network)
    named = [one.address for one in follow_ups if isinstance(one, NetworkPeerDiscovered)]
    found = () if teller is None else tuple(PeerDiscovered(address, PeerSource.PEER_EXCHANGE, teller[0]) for address in named)
    return state.replace(network=network.replace(exchange=after)), (*follow_ups, *found)


def reduce_introduced(state: P2pState, action: ChannelsSignalingDiscoveryDiscoveredReceived, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """A relay introduces a peer: it is known from now on."""
    channels, follow_ups = dialer.reduce(state.channels, action, now, state)
    state = state.replace(channels=channels)
    connection = state.connections.get(action.connection_id)
    relay = None if connection is None else state.peers.find(connection.peer_id)
    if relay is None:
        return state, follow_ups
    address = WebRtcAddress(action.target, SignalingRelay(relay[1].peer_id))
    return state, (*follow_ups, PeerDiscovered(address, PeerSource.SIGNALING, relay[0]))
