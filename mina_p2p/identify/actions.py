"""What happens to identify."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identify.state import PARTS_MAX
from mina_p2p.ids import ConnectionId, PeerNumber, StreamId, Timestamp
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.record import Record, record


@record
class NetworkIdentifyRequestReceived(Record):
    """The peer asks who we are."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.stream(self.connection_id, self.stream) is not None


@record
class NetworkIdentifyPartReceived(Record):
    """A message of the peer's answer or push."""

    connection_id: ConnectionId
    stream: StreamId
    serial: int
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return len(state.identify.parts.get(self.serial, ())) < PARTS_MAX and state.links.linked(self.connection_id) is not None


@record
class NetworkIdentifyEnded(Record):
    """The answer or push is complete."""

    connection_id: ConnectionId
    serial: int

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.linked(self.connection_id) is not None


@record
class NetworkIdentifyLost(Record):
    """No answer will come on this stream."""

    connection_id: ConnectionId
    serial: int
    is_answer: bool
    """Whether we had asked; else it was a push."""


@record
class NetworkIdentifyPush(Record):
    """Tell a peer what has changed."""

    peer: PeerNumber

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer in state.identify.peers and state.links.connection_of(self.peer) is not None


@record
class NetworkIdentifyPeerGone(Record):
    """A peer's last connection is over."""

    peer: PeerNumber


IdentifyAction: TypeAlias = (
    NetworkIdentifyRequestReceived
    | NetworkIdentifyPartReceived
    | NetworkIdentifyEnded
    | NetworkIdentifyLost
    | NetworkIdentifyPush
    | NetworkIdentifyPeerGone
)
