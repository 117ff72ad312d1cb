"""Dialling a peer: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.connection.hello import common_channels
from mina_p2p.connection.outgoing.actions import (
    ConnectionOutgoingAction,
    ConnectionOutgoingError,
    ConnectionOutgoingInit,
    ConnectionOutgoingRequest,
    ConnectionOutgoingSuccess,
    ConnectionOutgoingTimeout,
)
from mina_p2p.connection.state import Connection, Connections, OutgoingFinalizePending, OutgoingInit, Ready
from mina_p2p.connection.transitions import give_up, make_ready
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import Timestamp
from mina_p2p.notifications import ConnectionFailed
from mina_p2p.peer.actions import PeerAttached
from mina_p2p.peer.state import PeerSource
from mina_p2p.peer.trial import FELT
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps, expect
from mina_p2p.transport import ConnectionEffectfulDial


def reduce(state: Connections, action: ConnectionOutgoingAction, now: Timestamp, root: P2pState) -> tuple[Connections, FollowUps]:
    """Reduce one action of this slice."""
    timeouts = root.config.timeouts
    match action:
        case ConnectionOutgoingRequest(address=address, request_id=wanted_by):
            why = root.outgoing_refusal(address, now, is_user_request=True) or Reason(ReasonCode.UNSUPPORTED)
            refused = ConnectionFailed(None, address.peer_id, address, False, why, False, wanted_by)
            return state, (Attempt(ConnectionOutgoingInit(address, wanted_by), refused),)

        case ConnectionOutgoingInit(address=address, request_id=request_id):
            connection = Connection(
                address.peer_id,
                False,
                root.config.transport,
                address,
                None,
                now,
                Timestamp(now + timeouts.attempt),
                request_id,
                OutgoingInit(Timestamp(now + timeouts.outgoing_connection)),
            )
            state, connection_id = state.add(connection)
            source = PeerSource.CONFIG if request_id is None else PeerSource.USER
            return state, (
                PeerAttached(connection_id, address.peer_id, address, source),
                ConnectionEffectfulDial(connection_id, address),
            )

        case ConnectionOutgoingSuccess(connection_id=connection_id, hello=hello):
            connection = state.table[connection_id]
            expect(connection.status, OutgoingFinalizePending, action)
            if root.is_feeler(connection.peer_id):
                return state, (ConnectionOutgoingError(connection_id, FELT, False, False),)
            ready = Ready(now, common_channels(hello, root.config), hello.capabilities, hello.agent)
            return make_ready(state, connection_id, ready, root.config)

        case ConnectionOutgoingTimeout(connection_id=connection_id):
            return state, (ConnectionOutgoingError(connection_id, Reason(ReasonCode.CONNECTION_TIMEOUT), False, False),)

        case ConnectionOutgoingError(connection_id=connection_id, reason=reason, by_peer=by_peer, is_transport_gone=is_gone):
            return give_up(state, connection_id, reason, by_peer=by_peer, is_transport_gone=is_gone)

        case _:
            assert_never(action)
