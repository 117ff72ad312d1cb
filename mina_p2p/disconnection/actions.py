"""Ending a connection."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class DisconnectionInit(Record):
    """End a connection, whatever its state: say goodbye and forget it."""

    connection_id: ConnectionId
    reason: Reason

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.connection_id in state.connections.table


@record
class DisconnectionFinish(Record):
    """A ready connection is over: nothing of it stays in the state."""

    connection_id: ConnectionId
    reason: Reason
    by_peer: bool

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.connections.ready(self.connection_id) is not None


@record
class Shutdown(Record):
    """The node stops: goodbye to all, and no further dials or accepts."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return not state.is_stopping


DisconnectionAction: TypeAlias = DisconnectionInit | DisconnectionFinish | Shutdown
