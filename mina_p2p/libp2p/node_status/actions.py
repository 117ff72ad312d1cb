"""What happens to statuses."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.libp2p.node_status.state import ASKS_MAX, STATUS_BYTES_MAX
from mina_p2p.libp2p.protocols import NODE_STATUS
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.record import Record, record


@record
class NetworkStatusSet(Record):
    """From now on others read this status. A command."""

    status: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return len(self.status) <= STATUS_BYTES_MAX


@record
class NetworkStatusAsk(Record):
    """Read a peer's status. A command; `NetworkStatusReceived` or `NetworkStatusFailed` follows."""

    request_id: RequestId
    """Not one that is under way; positive."""
    peer_id: PeerId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        number, asks = state.links.numbers.get(self.peer_id), state.node_status.asks
        identity = None if number is None else state.identify.peers.get(number)
        is_spoken = identity is not None and NODE_STATUS.name in identity.protocols
        has_room = len(asks) < ASKS_MAX and self.request_id > 0 and self.request_id not in asks
        return is_spoken and has_room and state.links.connection_to(self.peer_id) is not None

    def why_refused(self, state: NetworkState, now: Timestamp) -> str:
        """For counters."""
        return "not connected, not spoken there, asked already, or too many at once"


@record
class NetworkStatusRequestReceived(Record):
    """A peer reads ours."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.stream(self.connection_id, self.stream) is not None


@record
class NetworkStatusPartReceived(Record):
    """A piece of a peer's."""

    request_id: RequestId
    connection_id: ConnectionId
    stream: StreamId
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.request_id in state.node_status.asks


@record
class NetworkStatusEnded(Record):
    """A peer's is complete."""

    request_id: RequestId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.request_id in state.node_status.asks


@record
class NetworkStatusLost(Record):
    """A peer's will not be complete."""

    request_id: RequestId
    detail: str

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.request_id in state.node_status.asks


NodeStatusAction: TypeAlias = (
    NetworkStatusSet | NetworkStatusAsk | NetworkStatusRequestReceived | NetworkStatusPartReceived | NetworkStatusEnded | NetworkStatusLost
)
