"""What concerns all channels of a connection at once."""

from __future__ import annotations

from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class ChannelsReady(Record):
    """A connection became ready: open the channels that both sides serve."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.connection_id not in state.channels.table and state.connections.ready(self.connection_id) is not None
