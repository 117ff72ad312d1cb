"""What happens to connections and streams as such."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.libp2p.gating import GatingConfig
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkRpcFailed, NetworkRpcRequested, NetworkRpcResponded
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.record import Record, record


@record
class NetworkDial(Record):
    """Connect to a peer. A command, and a follow-up of whoever needs a connection."""

    address: Libp2pAddress

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.may_dial(self.address)

    def why_refused(self, state: NetworkState, now: Timestamp) -> str:
        """For counters."""
        denial = state.gating.denial(self.address.peer_id, self.address.host)
        return "connected, being dialled, full, or ourselves" if denial is None else denial.value


@record
class NetworkDialTimeout(Record):
    """A dial has taken too long."""

    connection_id: ConnectionId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.is_dialling(self.connection_id)


@record
class NetworkDiallingSet(Record):
    """From now on this node dials by itself, or waits for others only. A command; `NetworkDial` is never refused for it."""

    is_allowed: bool


@record
class NetworkGatingSet(Record):
    """Other lists of whom this node is not connected with, and whom always; what they deny ends. A command."""

    gating: GatingConfig


@record
class NetworkPeerAdd(Record):
    """Trust a peer and keep a connection with it, as with those of the configuration. A command."""

    address: Libp2pAddress

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.address.peer_id != state.config.peer_id


@record
class NetworkPeerUseful(Record):
    """The node software found a peer useful: of those that the routing table holds it is ended later. A command."""

    peer_id: PeerId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer_id in state.links.numbers


@record
class NetworkKeep(Record):
    """Dial where there are too few connections, end some where there are too many."""

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.next_keep_at <= now


@record
class NetworkDisconnect(Record):
    """End a connection."""

    connection_id: ConnectionId
    reason: Reason

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.connection_id in state.links.table


@record
class NetworkStreamOpen(Record):
    """Open a stream of ours and send the first messages on it."""

    connection_id: ConnectionId
    protocol: str
    token: int
    messages: tuple[bytes, ...]
    ends: bool
    """Whether our half ends behind them."""

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        link = state.links.linked(self.connection_id)
        return link is not None and not link.is_ending


@record
class NetworkStreamEnd(Record):
    """Send no more on a stream."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        stream = state.links.stream(self.connection_id, self.stream)
        return stream is not None and not stream.is_ended_by_us


@record
class NetworkStreamReset(Record):
    """Give up a stream; its slice hears no more of it."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.stream(self.connection_id, self.stream) is not None


@record
class NetworkStreamTimeout(Record):
    """A stream may have been idle for too long."""

    serial: int

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.serial in state.links.serials


@record
class NetworkHandOver(Record):
    """Something for the node software that a larger root may put into other words; a libp2p node by itself tells it as it is."""

    notification: NetworkPubsubMessageReceived | NetworkRpcRequested | NetworkRpcResponded | NetworkRpcFailed


LinkAction: TypeAlias = (
    NetworkDial | NetworkDialTimeout | NetworkDisconnect | NetworkStreamOpen | NetworkStreamEnd | NetworkStreamReset | NetworkStreamTimeout
)
