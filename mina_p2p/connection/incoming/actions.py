"""What happens to an attempt of a peer."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.connection.hello import Hello
from mina_p2p.connection.state import IncomingFinalizePending
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.transport import ConnectionIncomingReceived


@record
class ConnectionIncomingInit(Record):
    """The arrival was found acceptable."""

    arrival: ConnectionIncomingReceived

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.incoming_decision(self.arrival.peer_id, self.arrival.remote, now) is None


@record
class ConnectionIncomingSuccess(Record):
    """The dialer's hello is good: the connection is ready."""

    connection_id: ConnectionId
    hello: Hello

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        return connection is not None and isinstance(connection.status, IncomingFinalizePending)


@record
class ConnectionIncomingTimeout(Record):
    """The attempt took too long."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        if connection is None or not connection.is_incoming:
            return False
        return connection.deadline is not None and connection.deadline <= now


@record
class ConnectionIncomingError(Record):
    """The attempt failed."""

    connection_id: ConnectionId
    reason: Reason
    by_peer: bool
    is_transport_gone: bool
    """Whether the transport has dropped it already, so that no goodbye can be sent."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        return connection is not None and isinstance(connection.status, IncomingFinalizePending)


ConnectionIncomingAction: TypeAlias = (
    ConnectionIncomingInit | ConnectionIncomingSuccess | ConnectionIncomingTimeout | ConnectionIncomingError
)
