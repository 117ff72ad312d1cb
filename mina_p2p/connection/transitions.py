"""What both directions have in common: becoming ready, and giving up."""

from __future__ import annotations

from typing import Any

from mina_p2p.address import AddressError, DialAddress, QuicAddress, parse_ip
from mina_p2p.channels.actions import ChannelsReady
from mina_p2p.config import P2pConfig
from mina_p2p.connection.state import Connection, Connections, Ready
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.ids import ConnectionId
from mina_p2p.notifications import ConnectionFailed, PeerConnected
from mina_p2p.peer.actions import PeerDetached, PeerReady, PeersDiscover
from mina_p2p.store import FollowUps
from mina_p2p.transport import ConnectionEffectfulOpen, DisconnectionEffectfulInit, TransportKind

_ONE_SOCKET = frozenset({TransportKind.QUIC, TransportKind.MEMORY})
"""Transports whose nodes listen and dial on one socket."""


def make_ready(state: Connections, connection_id: ConnectionId, ready: Ready, config: P2pConfig) -> tuple[Connections, FollowUps]:
    """Both hellos are good: record it, open streams to the peer, start the channels."""
    connection = state.table[connection_id]
    address = connection.address if not connection.is_incoming else observed_address(connection)
    return state.put(connection_id, connection.replace(status=ready)), (
        PeerReady(connection_id, connection.peer_id, address),
        ConnectionEffectfulOpen(connection_id, config.limits.peer_streams_max),
        PeerConnected(
            connection_id, connection.peer_id, connection.is_incoming, connection.remote, ready.agent, ready.channels, connection.request_id
        ),
        ChannelsReady(connection_id),
        PeersDiscover(connection_id),
    )


def give_up(
    state: Connections, connection_id: ConnectionId, reason: Reason, *, by_peer: bool, is_transport_gone: bool
) -> tuple[Connections, FollowUps]:
    """Forget an attempt that failed, and tell everybody concerned."""
    connection = state.table[connection_id]
    follow_ups: list[Any] = [PeerDetached(connection_id, connection.peer_id, reason, by_peer, False)]
    if not is_transport_gone:
        follow_ups.append(DisconnectionEffectfulInit(connection_id, reason))
    follow_ups.append(
        ConnectionFailed(
            connection_id, connection.peer_id, connection.address, connection.is_incoming, reason, by_peer, connection.request_id
        )
    )
    return state.remove(connection_id), follow_ups


def observed_address(connection: Connection) -> DialAddress | None:
    """Where to dial a peer that dialled us.

    A QUIC node listens and dials on one socket, and its path was validated by the handshake, so
    the source of its packets is its address; what a peer says of itself is not asked (defect S8).
    """
    remote = connection.remote
    if remote is None or connection.transport not in _ONE_SOCKET:
        return None
    try:
        return QuicAddress(connection.peer_id, parse_ip(remote.host), remote.port)
    except AddressError:
        return None
