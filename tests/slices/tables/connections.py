"""Connections: both directions, the hello, the end."""

from __future__ import annotations

from mina_p2p import transport
from mina_p2p.connection.hello import Hello
from mina_p2p.connection.incoming import actions as incoming
from mina_p2p.connection.outgoing import actions as outgoing
from mina_p2p.disconnection.actions import DisconnectionFinish, DisconnectionInit, Shutdown
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import RequestId
from mina_p2p.state import P2pState
from mina_p2p.transport import TransportKind
from slices.lab import Lab, address, hello, peer_id, remote
from slices.transitions import CID, GONE, LATE, WHY, Case, Table


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
        "ConnectionOutgoingRequest": Case(outgoing.ConnectionOutgoingRequest(address(1), RequestId(5))),
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
    {
        "ConnectionOutgoingRequest": {
            "none": "nothing: ConnectionOutgoingInit | ConnectionFailed",
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingInit | ConnectionFailed",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionOutgoingInit | ConnectionFailed",
            "Ready, dialled": "Ready: ConnectionOutgoingInit | ConnectionFailed",
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionOutgoingInit | ConnectionFailed",
            "Ready, arrived": "Ready: ConnectionOutgoingInit | ConnectionFailed",
            "none, stopping": "nothing: ConnectionOutgoingInit | ConnectionFailed",
        },
        "ConnectionOutgoingInit, wished": {
            "none": "OutgoingInit: PeerAttached, ConnectionEffectfulDial",
        },
        "ConnectionOutgoingSuccess": {
            "OutgoingFinalizePending": "Ready: PeerReady, ConnectionEffectfulOpen, PeerConnected, ChannelsReady, PeersDiscover",
        },
        "ConnectionOutgoingTimeout, late": {
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingError",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionOutgoingError",
        },
        "ConnectionOutgoingError": {
            "OutgoingInit": "nothing: PeerDetached, DisconnectionEffectfulInit, ConnectionFailed",
            "OutgoingFinalizePending": "nothing: PeerDetached, DisconnectionEffectfulInit, ConnectionFailed",
        },
        "ConnectionOutgoingError, transport gone": {
            "OutgoingInit": "nothing: PeerDetached, ConnectionFailed",
            "OutgoingFinalizePending": "nothing: PeerDetached, ConnectionFailed",
        },
        "ConnectionIncomingInit": {
            "none": "IncomingFinalizePending: PeerAttached, ConnectionEffectfulAccept",
        },
        "ConnectionIncomingSuccess": {
            "IncomingFinalizePending": "Ready: ConnectionEffectfulHelloSend, PeerReady, ConnectionEffectfulOpen, PeerConnected, ChannelsReady, PeersDiscover",
        },
        "ConnectionIncomingTimeout, late": {
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionIncomingError",
        },
        "ConnectionIncomingError": {
            "IncomingFinalizePending": "nothing: PeerDetached, DisconnectionEffectfulInit, ConnectionFailed",
        },
        "ConnectionIncomingReceived": {
            "none": "nothing: ConnectionIncomingInit",
            "OutgoingInit": "OutgoingInit: ConnectionEffectfulReject",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionEffectfulReject",
            "Ready, dialled": "Ready: ConnectionEffectfulReject",
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionEffectfulReject",
            "Ready, arrived": "Ready: ConnectionEffectfulReject",
            "none, stopping": "nothing: ConnectionEffectfulReject",
        },
        "ConnectionIncomingReceived, late": {
            "none": "nothing: ConnectionIncomingInit",
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingError, ConnectionIncomingInit",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionEffectfulReject",
            "Ready, dialled": "Ready: DisconnectionInit, ConnectionIncomingInit",
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionIncomingError, ConnectionIncomingInit",
            "Ready, arrived": "Ready: DisconnectionInit, ConnectionIncomingInit",
            "none, stopping": "nothing: ConnectionEffectfulReject",
        },
        "ConnectionEstablished": {
            "OutgoingInit": "OutgoingFinalizePending: ConnectionEffectfulHelloSend",
        },
        "ConnectionEstablished, another": {
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingError",
        },
        "ConnectionHelloReceived": {
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingError",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionOutgoingSuccess",
            "Ready, dialled": "Ready: DisconnectionInit",
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionIncomingSuccess",
            "Ready, arrived": "Ready: DisconnectionInit",
        },
        "ConnectionHelloReceived, bad": {
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingError",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionOutgoingError",
            "Ready, dialled": "Ready: DisconnectionInit",
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionIncomingError",
            "Ready, arrived": "Ready: DisconnectionInit",
        },
        "ConnectionClosed": {
            "OutgoingInit": "OutgoingInit: ConnectionOutgoingError",
            "OutgoingFinalizePending": "OutgoingFinalizePending: ConnectionOutgoingError",
            "Ready, dialled": "Ready: DisconnectionFinish",
            "IncomingFinalizePending": "IncomingFinalizePending: ConnectionIncomingError",
            "Ready, arrived": "Ready: DisconnectionFinish",
        },
        "DisconnectionInit": {
            "OutgoingInit": "nothing: PeerDetached, DisconnectionEffectfulInit, ConnectionFailed",
            "OutgoingFinalizePending": "nothing: PeerDetached, DisconnectionEffectfulInit, ConnectionFailed",
            "Ready, dialled": "Ready: DisconnectionEffectfulInit, DisconnectionFinish",
            "IncomingFinalizePending": "nothing: PeerDetached, DisconnectionEffectfulInit, ConnectionFailed",
            "Ready, arrived": "Ready: DisconnectionEffectfulInit, DisconnectionFinish",
        },
        "DisconnectionFinish": {
            "Ready, dialled": "nothing: PeerDetached, PeerDisconnected, PoolForget",
            "Ready, arrived": "nothing: PeerDetached, PeerDisconnected, PoolForget",
        },
        "Shutdown": {
            "none": "nothing",
            "OutgoingInit": "OutgoingInit: DisconnectionInit",
            "OutgoingFinalizePending": "OutgoingFinalizePending: DisconnectionInit",
            "Ready, dialled": "Ready: DisconnectionInit",
            "IncomingFinalizePending": "IncomingFinalizePending: DisconnectionInit",
            "Ready, arrived": "Ready: DisconnectionInit",
        },
    },
)
