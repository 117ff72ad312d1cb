"""Being dialled: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.connection.hello import common_channels, make_hello
from mina_p2p.connection.incoming.actions import (
    ConnectionIncomingAction,
    ConnectionIncomingError,
    ConnectionIncomingInit,
    ConnectionIncomingSuccess,
    ConnectionIncomingTimeout,
)
from mina_p2p.connection.state import Connection, Connections, IncomingFinalizePending, Ready
from mina_p2p.connection.transitions import give_up, make_ready
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import Timestamp
from mina_p2p.peer.actions import PeerAttached
from mina_p2p.peer.state import PeerSource
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect
from mina_p2p.transport import ConnectionEffectfulAccept, ConnectionEffectfulHelloSend


def reduce(state: Connections, action: ConnectionIncomingAction, now: Timestamp, root: P2pState) -> tuple[Connections, FollowUps]:
    """Reduce one action of this slice."""
    timeouts = root.config.timeouts
    match action:
        case ConnectionIncomingInit(arrival=arrival):
            connection = Connection(
                arrival.peer_id,
                True,
                arrival.transport,
                None,
                arrival.remote,
                now,
                Timestamp(now + timeouts.attempt),
                None,
                IncomingFinalizePending(Timestamp(now + min(timeouts.incoming_connection, timeouts.hello))),
            )
            state, connection_id = state.add(connection)
            return state, (
                PeerAttached(connection_id, arrival.peer_id, None, PeerSource.INCOMING),
                ConnectionEffectfulAccept(arrival.transport, arrival.handle, connection_id),
            )

        case ConnectionIncomingSuccess(connection_id=connection_id, hello=hello):
            connection = state.table[connection_id]
            expect(connection.status, IncomingFinalizePending, action)
            ready = Ready(now, common_channels(hello, root.config), hello.capabilities, hello.agent)
            state, follow_ups = make_ready(state, connection_id, ready, root.config)
            # Ours goes out last of the two, so that a dialer that has it knows that we are ready.
            return state, (ConnectionEffectfulHelloSend(connection_id, make_hello(root.config)), *follow_ups)

        case ConnectionIncomingTimeout(connection_id=connection_id):
            return state, (ConnectionIncomingError(connection_id, Reason(ReasonCode.CONNECTION_TIMEOUT), False, False),)

        case ConnectionIncomingError(connection_id=connection_id, reason=reason, by_peer=by_peer, is_transport_gone=is_gone):
            return give_up(state, connection_id, reason, by_peer=by_peer, is_transport_gone=is_gone)

        case _:
            assert_never(action)
