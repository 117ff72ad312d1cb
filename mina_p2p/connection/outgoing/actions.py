"""What happens to an attempt of ours."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import DialAddress
from mina_p2p.connection.hello import Hello
from mina_p2p.connection.state import OutgoingFinalizePending, OutgoingInit
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.ids import ConnectionId, RequestId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class ConnectionOutgoingRequest(Record):
    """The node software wants a connection; a `PeerConnected` or `ConnectionFailed` with this id will follow."""

    address: DialAddress
    request_id: RequestId


@record
class ConnectionOutgoingInit(Record):
    """Dial a peer; by the node's own wish, or the node software's if there is a ``request_id``."""

    address: DialAddress
    request_id: RequestId | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.outgoing_refusal(self.address, now, is_user_request=self.request_id is not None) is None

    def why_refused(self, state: P2pState, now: Timestamp) -> str:
        """The reason's name, for counters and people."""
        refusal = state.outgoing_refusal(self.address, now, is_user_request=self.request_id is not None)
        return refusal.code.name if refusal is not None else ""


@record
class ConnectionOutgoingSuccess(Record):
    """The listener's hello is good: the connection is ready."""

    connection_id: ConnectionId
    hello: Hello

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        return connection is not None and isinstance(connection.status, OutgoingFinalizePending)


@record
class ConnectionOutgoingTimeout(Record):
    """The attempt, or its present state, took too long."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        if connection is None or connection.is_incoming:
            return False
        return connection.deadline is not None and connection.deadline <= now


@record
class ConnectionOutgoingError(Record):
    """The attempt failed."""

    connection_id: ConnectionId
    reason: Reason
    by_peer: bool
    is_transport_gone: bool
    """Whether the transport has dropped it already, so that no goodbye can be sent."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        return connection is not None and isinstance(connection.status, OutgoingInit | OutgoingFinalizePending)


ConnectionOutgoingAction: TypeAlias = (
    ConnectionOutgoingRequest | ConnectionOutgoingInit | ConnectionOutgoingSuccess | ConnectionOutgoingTimeout | ConnectionOutgoingError
)
