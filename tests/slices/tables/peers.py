"""Records of peers."""

from __future__ import annotations

from mina_p2p import transport
from mina_p2p.address import Ipv4
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.actions import Shutdown
from mina_p2p.ids import PeerNumber, Timestamp
from mina_p2p.peer import actions as peer
from mina_p2p.peer.state import PeerSource
from mina_p2p.state import P2pState
from slices.lab import START, Lab, address, hello, peer_id
from slices.transitions import CID, GONE, LATE, WHY, Case, Table

NUMBER = PeerNumber(1)
_UNTIL = Timestamp(START + 2 * LATE)


def _peer_states() -> dict[str, P2pState]:
    states: dict[str, P2pState] = {}
    lab = Lab()
    states["none"] = lab.state
    lab.feed(peer.PeerDiscovered(address(1), PeerSource.USER, None))
    states["Disconnected"] = lab.state
    states["Disconnected, we are stopping"] = Lab.of_state(lab).feed(Shutdown()).state
    lab.dial(1)
    states["Attached, connecting"] = lab.state
    lab.close(CID)
    states["BackingOff"] = lab.state
    lab = Lab()
    lab.accept(1)
    states["Attached, ready"] = lab.state
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["Banned"] = lab.state
    lab = Lab()
    lab.feed(peer.PeerDiscovered(address(1), PeerSource.INITIAL_PEERS, None)).wait(0)
    lab.close(CID)
    states["BackingOff, known by hearsay"] = lab.state
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_max=2, peers_min=2))
    lab.accept(1)
    states["Attached, asks for peers"] = lab.state
    lab.accept(2)
    lab.feed(peer.PeerDiscovered(address(3), PeerSource.USER, None))
    states["Attached, enough peers"] = lab.state
    lab = Lab(limits=Limits(peers_max=2, peers_min=0, peers_stable_percent=50, peers_protected_percent=0))
    lab.accept(1)
    lab.accept(2)
    states["Attached, another could come"] = lab.state
    other = Lab.of_state(lab).wait(Timeouts().churn_age)
    other.accept(3)
    states["Attached, another made room just now"] = other.state
    lab = Lab()
    lab.feed(peer.PeerGroupBan(address(1).host, _UNTIL, WHY))
    states["none, its network is banned"] = lab.state
    lab = Lab(limits=Limits(peers_max=4, peers_min=1, peers_outgoing_percent=50))
    lab.feed(peer.PeerDiscovered(address(1), PeerSource.INITIAL_PEERS, None)).wait(0)
    lab.establish(CID, 1).feed(transport.ConnectionHelloReceived(CID, hello()))
    lab.feed(peer.PeerDiscovered(address(3), PeerSource.INITIAL_PEERS, None))
    states["Attached by a dial, another waits"] = lab.state
    lab = Lab(limits=Limits(peers_max=3, peers_min=1))
    lab.accept(2)
    lab.feed(peer.PeerDiscovered(address(1), PeerSource.INITIAL_PEERS, None))
    states["Disconnected, could be tested"] = lab.state
    lab.wait(0)
    states["Attached, is tested"] = lab.state
    lab.close(lab.state.connections.last_id)
    lab.feed(peer.PeerDiscovered(address(3), PeerSource.INITIAL_PEERS, None))
    states["BackingOff, was tested just now"] = lab.state
    gone = states["Attached, ready"].connections.remove(CID)
    states["Attached, its connection just gone"] = states["Attached, ready"].replace(connections=gone)
    return states


PEERS = Table(
    _peer_states(),
    {
        "PeerDiscovered": Case(peer.PeerDiscovered(address(1), PeerSource.USER, None)),
        "PeerDiscovered, elsewhere": Case(peer.PeerDiscovered(address(1, port=1), PeerSource.USER, None)),
        "PeerDiscovered, private": Case(
            peer.PeerDiscovered(address(1).replace(host=Ipv4.of(10, 0, 0, 1)), PeerSource.INITIAL_PEERS, PeerNumber(2))
        ),
        "PeerDiscovered, ourselves": Case(peer.PeerDiscovered(address(100), PeerSource.USER, None)),
        "PeerAnnounced": Case(peer.PeerAnnounced(address(1), PeerSource.ADDRESS_GOSSIP, None)),
        "PeersRedialGiven": Case(peer.PeersRedialGiven()),
        "PeerAttached": Case(peer.PeerAttached(CID, peer_id(1), None, PeerSource.INCOMING)),
        "PeerAttached, of nothing": Case(peer.PeerAttached(GONE, peer_id(1), None, PeerSource.INCOMING)),
        "PeerReady": Case(peer.PeerReady(CID, peer_id(1), None)),
        "PeerReady, stale": Case(peer.PeerReady(GONE, peer_id(1), None)),
        "PeerDetached": Case(peer.PeerDetached(CID, peer_id(1), WHY, False, True)),
        "PeerUndialable": Case(peer.PeerUndialable(NUMBER, WHY)),
        "PeerWoken, early": Case(peer.PeerWoken(NUMBER)),
        "PeerWoken, late": Case(peer.PeerWoken(NUMBER), LATE),
        "PeerBan": Case(peer.PeerBan(peer_id(1), _UNTIL, WHY)),
        "PeerBan, over already": Case(peer.PeerBan(peer_id(1), Lab().now, WHY)),
        "PeerBan, ourselves": Case(peer.PeerBan(peer_id(100), _UNTIL, WHY)),
        "PeerUnban": Case(peer.PeerUnban(peer_id(1))),
        "PeerGroupBan": Case(peer.PeerGroupBan(address(1).host, _UNTIL, WHY)),
        "PeerGroupBan, over already": Case(peer.PeerGroupBan(address(1).host, Lab().now, WHY)),
        "PeerGroupUnban": Case(peer.PeerGroupUnban(address(1).host)),
        "PeerGroupUnban, over already": Case(peer.PeerGroupUnban(address(1).host), 2 * LATE),
        "BansReset": Case(peer.BansReset()),
        "PeerUseful": Case(peer.PeerUseful(peer_id(1))),
        "PeersChurn": Case(peer.PeersChurn()),
        "PeersChurn, late": Case(peer.PeersChurn(), LATE),
        "PeersDiscover": Case(peer.PeersDiscover(CID)),
        "PeersDiscoverRandom": Case(peer.PeersDiscoverRandom()),
        "PeersDiscoverRandom, late": Case(peer.PeersDiscoverRandom(), LATE),
        "ConnectionOutgoingRandomInit": Case(peer.ConnectionOutgoingRandomInit(0)),
        "ConnectionOutgoingRandomInit, more": Case(peer.ConnectionOutgoingRandomInit(3)),
        "PeersRotate": Case(peer.PeersRotate()),
        "PeersRotate, late": Case(peer.PeersRotate(), 4 * LATE),
        "ConnectionFeelerInit": Case(peer.ConnectionFeelerInit()),
        "ConnectionFeelerInit, late": Case(peer.ConnectionFeelerInit(), LATE),
    },
    lambda state: None if (found := state.peers.find(peer_id(1))) is None else found[1].status,
    {
        "PeerDiscovered": {
            "none": "Disconnected",
            "Attached, ready": "Attached",
            "Banned": "Banned",
            "BackingOff, known by hearsay": "BackingOff",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "Attached by a dial, another waits": "Attached",
            "Disconnected, could be tested": "Disconnected",
            "Attached, is tested": "Attached",
            "BackingOff, was tested just now": "BackingOff",
            "Attached, its connection just gone": "Attached",
        },
        "PeerDiscovered, elsewhere": {
            "none": "Disconnected",
            "Attached, ready": "Attached",
            "Banned": "Banned",
            "BackingOff, known by hearsay": "BackingOff",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "Attached by a dial, another waits": "Attached",
            "Disconnected, could be tested": "Disconnected",
            "Attached, is tested": "Attached",
            "BackingOff, was tested just now": "BackingOff",
            "Attached, its connection just gone": "Attached",
        },
        "PeerAnnounced": {
            "none": "nothing: PeerDiscovered",
            "Disconnected": "Disconnected",
            "Disconnected, we are stopping": "Disconnected",
            "BackingOff": "Disconnected",
            "BackingOff, known by hearsay": "Disconnected",
            "Disconnected, could be tested": "Disconnected",
            "BackingOff, was tested just now": "Disconnected",
        },
        "PeersRedialGiven": {
            "none": "nothing",
            "Disconnected": "Disconnected: ConnectionOutgoingInit",
            "Disconnected, we are stopping": "Disconnected: ConnectionOutgoingInit",
            "Attached, connecting": "Attached",
            "BackingOff": "Disconnected: ConnectionOutgoingInit",
            "Attached, ready": "Attached",
            "Banned": "Banned",
            "BackingOff, known by hearsay": "BackingOff",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached: ConnectionOutgoingInit",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "none, its network is banned": "nothing",
            "Attached by a dial, another waits": "Attached",
            "Disconnected, could be tested": "Disconnected",
            "Attached, is tested": "Attached",
            "BackingOff, was tested just now": "BackingOff",
            "Attached, its connection just gone": "Attached",
        },
        "PeerAttached": {
            "Attached, connecting": "Attached",
            "Attached, ready": "Attached",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "Attached by a dial, another waits": "Attached",
        },
        "PeerReady": {
            "Attached, ready": "Attached",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "Attached by a dial, another waits": "Attached",
        },
        "PeerDetached": {
            "Attached, its connection just gone": "BackingOff",
        },
        "PeerUndialable": {
            "Disconnected": "BackingOff",
            "Disconnected, we are stopping": "BackingOff",
        },
        "PeerWoken, late": {
            "BackingOff": "Disconnected",
            "Banned": "Disconnected",
            "BackingOff, known by hearsay": "Disconnected",
        },
        "PeerBan": {
            "none": "Banned",
            "Disconnected": "Banned",
            "Disconnected, we are stopping": "Banned",
            "Attached, connecting": "Banned: DisconnectionInit",
            "BackingOff": "Banned",
            "Attached, ready": "Banned: DisconnectionInit",
            "Banned": "Banned",
            "BackingOff, known by hearsay": "Banned",
            "Attached, asks for peers": "Banned: DisconnectionInit",
            "Attached, enough peers": "Banned: DisconnectionInit",
            "Attached, another could come": "Banned: DisconnectionInit",
            "Attached, another made room just now": "Banned: DisconnectionInit",
            "none, its network is banned": "Banned",
            "Attached by a dial, another waits": "Banned: DisconnectionInit",
            "Disconnected, could be tested": "Banned",
            "Attached, is tested": "Banned: DisconnectionInit",
            "BackingOff, was tested just now": "Banned",
            "Attached, its connection just gone": "Banned: DisconnectionInit",
        },
        "PeerUnban": {
            "BackingOff": "Disconnected",
            "Banned": "Disconnected",
            "BackingOff, known by hearsay": "Disconnected",
            "BackingOff, was tested just now": "Disconnected",
        },
        "PeerGroupBan": {
            "none": "nothing",
            "Disconnected": "Disconnected",
            "Disconnected, we are stopping": "Disconnected",
            "Attached, connecting": "Attached: DisconnectionInit",
            "BackingOff": "BackingOff",
            "Attached, ready": "Attached: DisconnectionInit",
            "Banned": "Banned",
            "BackingOff, known by hearsay": "BackingOff",
            "Attached, asks for peers": "Attached: DisconnectionInit",
            "Attached, enough peers": "Attached: DisconnectionInit, DisconnectionInit",
            "Attached, another could come": "Attached: DisconnectionInit, DisconnectionInit",
            "Attached, another made room just now": "Attached: DisconnectionInit, DisconnectionInit",
            "none, its network is banned": "nothing",
            "Attached by a dial, another waits": "Attached: DisconnectionInit",
            "Disconnected, could be tested": "Disconnected: DisconnectionInit",
            "Attached, is tested": "Attached: DisconnectionInit, DisconnectionInit",
            "BackingOff, was tested just now": "BackingOff: DisconnectionInit",
            "Attached, its connection just gone": "Attached",
        },
        "PeerGroupUnban": {
            "none, its network is banned": "nothing",
        },
        "BansReset": {
            "none": "nothing",
            "Disconnected": "Disconnected",
            "Disconnected, we are stopping": "Disconnected",
            "Attached, connecting": "Attached",
            "BackingOff": "BackingOff",
            "Attached, ready": "Attached",
            "Banned": "Disconnected",
            "BackingOff, known by hearsay": "BackingOff",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "none, its network is banned": "nothing",
            "Attached by a dial, another waits": "Attached",
            "Disconnected, could be tested": "Disconnected",
            "Attached, is tested": "Attached",
            "BackingOff, was tested just now": "BackingOff",
            "Attached, its connection just gone": "Attached",
        },
        "PeerUseful": {
            "Disconnected": "Disconnected",
            "Disconnected, we are stopping": "Disconnected",
            "Attached, connecting": "Attached",
            "BackingOff": "BackingOff",
            "Attached, ready": "Attached",
            "Banned": "Banned",
            "BackingOff, known by hearsay": "BackingOff",
            "Attached, asks for peers": "Attached",
            "Attached, enough peers": "Attached",
            "Attached, another could come": "Attached",
            "Attached, another made room just now": "Attached",
            "Attached by a dial, another waits": "Attached",
            "Disconnected, could be tested": "Disconnected",
            "Attached, is tested": "Attached",
            "BackingOff, was tested just now": "BackingOff",
            "Attached, its connection just gone": "Attached",
        },
        "PeersChurn": {
            "Attached, another could come": "Attached",
        },
        "PeersChurn, late": {
            "Attached, another could come": "Attached: DisconnectionInit",
            "Attached, another made room just now": "Attached: DisconnectionInit",
        },
        "PeersDiscover": {
            "Attached, asks for peers": "Attached: ChannelsRpcRequestSend",
        },
        "PeersDiscoverRandom, late": {
            "Attached, asks for peers": "Attached: PeersDiscover",
        },
        "ConnectionOutgoingRandomInit": {
            "Disconnected": "Disconnected: ConnectionOutgoingInit | PeerUndialable",
        },
        "ConnectionOutgoingRandomInit, more": {
            "Disconnected": "Disconnected: ConnectionOutgoingInit | PeerUndialable, ConnectionOutgoingRandomInit",
        },
        "PeersRotate, late": {
            "Attached by a dial, another waits": "Attached: DisconnectionInit",
        },
        "ConnectionFeelerInit": {
            "Attached by a dial, another waits": "Attached: ConnectionOutgoingInit | PeerUndialable",
            "Disconnected, could be tested": "Disconnected: ConnectionOutgoingInit | PeerUndialable",
        },
        "ConnectionFeelerInit, late": {
            "Attached by a dial, another waits": "Attached: ConnectionOutgoingInit | PeerUndialable",
            "Disconnected, could be tested": "Disconnected: ConnectionOutgoingInit | PeerUndialable",
            "BackingOff, was tested just now": "BackingOff: ConnectionOutgoingInit | PeerUndialable",
        },
    },
)
