"""Every state and every action of every slice: what happens, and that everything else is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from mina_p2p import notifications, transport
from mina_p2p.best_tip.actions import BestTipSend, BestTipSet, PeerBestTipReceived
from mina_p2p.channels.actions import ChannelsReady
from mina_p2p.channels.propagation import actions as prop
from mina_p2p.channels.propagation.state import LocalHalf, RemoteHalf
from mina_p2p.channels.rpc import actions as rpc
from mina_p2p.channels.rpc.messages import BestTipWithProofRequest, BlockResponse, InitialPeersRequest, TransactionRequest
from mina_p2p.channels.rpc.state import ForDiscovery, ForNode
from mina_p2p.config import Limits
from mina_p2p.connection.hello import Hello
from mina_p2p.connection.incoming import actions as incoming
from mina_p2p.connection.outgoing import actions as outgoing
from mina_p2p.connection.state import ConnectionStatus
from mina_p2p.disconnection.actions import DisconnectionFinish, DisconnectionInit, Shutdown
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import RpcResponded
from mina_p2p.peer import actions as peer
from mina_p2p.peer.state import PeerSource, PeerStatus
from mina_p2p.pool import actions as pool
from mina_p2p.pool.state import CandidateStatus
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import SocketAddress, TransportKind
from slices.items import block, insert_payment, payment, payment_info, state_hash
from slices.lab import Lab, address, hello, peer_id, remote
from slices.transitions import Case, Table

CID = ConnectionId(1)
"""The connection that a table is about."""
GONE = ConnectionId(99)
NUMBER = PeerNumber(1)
WHY = Reason(ReasonCode.USER_REQUEST)
LATE = 1_000 * SECOND
"""After every deadline."""


# --- connections ------------------------------------------------------------------------------


def _connection_states() -> dict[str, P2pState]:
    states: dict[str, P2pState] = {}
    lab = Lab()
    states["none"] = lab.state
    lab.dial(1)
    states["OutgoingInit"] = lab.state
    lab.establish(CID, 1)
    states["OutgoingFinalizePending"] = lab.state
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["Ready, dialled"] = lab.state
    lab = Lab()
    lab.arrive(1)
    states["IncomingFinalizePending"] = lab.state
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["Ready, arrived"] = lab.state
    lab = Lab()
    lab.feed(Shutdown())
    states["none, stopping"] = lab.state
    return states


_HELLO = Hello(1, 1, MAINNET_CHAIN_ID, (3, 4, 5, 6, 7), (), "lab")
_ARRIVAL = transport.ConnectionIncomingReceived(TransportKind.QUIC, 1, remote(1), peer_id(1))

CONNECTIONS = Table(
    _connection_states(),
    {
        "ConnectionOutgoingInit, wished": Case(outgoing.ConnectionOutgoingInit(address(1), RequestId(5))),
        "ConnectionOutgoingInit, own": Case(outgoing.ConnectionOutgoingInit(address(1), None)),
        "ConnectionOutgoingInit, of ourselves": Case(outgoing.ConnectionOutgoingInit(address(100), RequestId(5))),
        "ConnectionOutgoingSuccess": Case(outgoing.ConnectionOutgoingSuccess(CID, _HELLO)),
        "ConnectionOutgoingTimeout, early": Case(outgoing.ConnectionOutgoingTimeout(CID)),
        "ConnectionOutgoingTimeout, late": Case(outgoing.ConnectionOutgoingTimeout(CID), LATE),
        "ConnectionOutgoingError": Case(outgoing.ConnectionOutgoingError(CID, WHY, False, False)),
        "ConnectionOutgoingError, transport gone": Case(outgoing.ConnectionOutgoingError(CID, WHY, False, True)),
        "ConnectionIncomingInit": Case(incoming.ConnectionIncomingInit(_ARRIVAL)),
        "ConnectionIncomingSuccess": Case(incoming.ConnectionIncomingSuccess(CID, _HELLO)),
        "ConnectionIncomingTimeout, early": Case(incoming.ConnectionIncomingTimeout(CID)),
        "ConnectionIncomingTimeout, late": Case(incoming.ConnectionIncomingTimeout(CID), LATE),
        "ConnectionIncomingError": Case(incoming.ConnectionIncomingError(CID, WHY, False, False)),
        "ConnectionIncomingReceived": Case(_ARRIVAL),
        "ConnectionIncomingReceived, late": Case(_ARRIVAL, LATE),
        "ConnectionEstablished": Case(transport.ConnectionEstablished(CID, peer_id(1), remote(1))),
        "ConnectionEstablished, another": Case(transport.ConnectionEstablished(CID, peer_id(2), remote(1))),
        "ConnectionHelloReceived": Case(transport.ConnectionHelloReceived(CID, hello())),
        "ConnectionHelloReceived, bad": Case(transport.ConnectionHelloReceived(CID, b"")),
        "ConnectionClosed": Case(transport.ConnectionClosed(CID, WHY, True)),
        "ConnectionClosed, stale": Case(transport.ConnectionClosed(GONE, WHY, True)),
        "DisconnectionInit": Case(DisconnectionInit(CID, WHY)),
        "DisconnectionFinish": Case(DisconnectionFinish(CID, WHY, False)),
        "Shutdown": Case(Shutdown()),
    },
    lambda state: None if (found := state.connections.get(CID)) is None else found.status,
    {},
)


# --- disconnection leaves nothing: covered by the table of connections ------------------------

# --- peers ------------------------------------------------------------------------------------


def _peer_states() -> dict[str, P2pState]:
    states: dict[str, P2pState] = {}
    lab = Lab()
    states["none"] = lab.state
    lab.feed(peer.PeerDiscovered(address(1), PeerSource.USER, None))
    states["Disconnected"] = lab.state
    lab.dial(1)
    states["Attached, connecting"] = lab.state
    lab.close(CID)
    states["BackingOff"] = lab.state
    lab = Lab()
    lab.accept(1)
    states["Attached, ready"] = lab.state
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["Banned"] = lab.state
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_max=2, peers_min=2))
    lab.accept(1)
    states["Attached, asks for peers"] = lab.state
    lab.accept(2)
    lab.feed(peer.PeerDiscovered(address(3), PeerSource.USER, None))
    states["Attached, enough peers"] = lab.state
    return states


_UNTIL = Timestamp(Lab().now + 2 * LATE)

PEERS = Table(
    _peer_states(),
    {
        "PeerDiscovered": Case(peer.PeerDiscovered(address(1), PeerSource.USER, None)),
        "PeerDiscovered, elsewhere": Case(peer.PeerDiscovered(address(1, port=1), PeerSource.USER, None)),
        "PeerDiscovered, private": Case(
            peer.PeerDiscovered(address(1).replace(host=Ipv4.of(10, 0, 0, 1)), PeerSource.INITIAL_PEERS, PeerNumber(2))
        ),
        "PeerDiscovered, ourselves": Case(peer.PeerDiscovered(address(100), PeerSource.USER, None)),
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
        "PeersDiscover": Case(peer.PeersDiscover(CID)),
        "PeersDiscoverRandom": Case(peer.PeersDiscoverRandom()),
        "PeersDiscoverRandom, late": Case(peer.PeersDiscoverRandom(), LATE),
        "ConnectionOutgoingRandomInit": Case(peer.ConnectionOutgoingRandomInit(0)),
        "ConnectionOutgoingRandomInit, more": Case(peer.ConnectionOutgoingRandomInit(3)),
    },
    lambda state: None if (found := state.peers.find(peer_id(1))) is None else found[1].status,
    {},
)


# --- the permission machine -------------------------------------------------------------------

TX = ChannelId.TRANSACTION
MINE = StreamId(9)
"""The stream of our permission on the transaction channel, in the states below."""
FOREIGN = StreamId(4)
"""A stream that the peer opened."""


def _local_states() -> dict[str, P2pState]:
    states: dict[str, P2pState] = {}
    lab = Lab()
    lab.arrive(1)
    states["no channel"] = lab.state
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    mine = lab.stream(CID, TX)
    states["Requested"] = lab.state
    lab.promise(CID, TX, 2)
    states["Responding, 0 of 2"] = lab.state
    lab.item(CID, TX, payment_info(1))
    states["Responding, 1 of 2"] = lab.state
    lab.item(CID, TX, payment_info(2))
    states["Responding, 2 of 2"] = lab.state
    lab = Lab(limits=Limits(candidates_per_peer_max=1))
    lab.accept(1)
    lab.promise(CID, TX, 1, mine)
    lab.item(CID, TX, payment_info(1), mine)
    lab.end(CID, TX, mine)
    states["Responded, no room for more"] = lab.state
    lab.feed(DisconnectionInit(CID, WHY))
    lab = Lab()
    lab.accept(1)
    lab.reset(CID, TX, mine)
    states["Declined"] = lab.state
    lab = Lab()
    lab.accept(1)
    requested = lab.state.channels.propagation(CID, TX)
    assert requested is not None
    idle = lab.state.channels.with_propagation(CID, TX, requested.replace(local=WaitingForRequest()))
    states["WaitingForRequest"] = lab.state.replace(channels=idle)
    assert mine == MINE
    return states
