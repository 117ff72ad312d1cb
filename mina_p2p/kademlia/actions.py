"""What happens to Kademlia."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.kademlia.messages import KadMessage
from mina_p2p.kademlia.state import Asked, LookupKind
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.record import Record, record


@record
class NetworkKadLookupStart(Record):
    """Search; a command, and what the slice does from time to time."""

    kind: LookupKind
    key: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        config = state.config.kademlia
        has_room = state.config.is_discovery_enabled and len(state.kademlia.lookups) < config.lookups_max
        return has_room and 0 < len(self.key) <= config.provider_key_bytes_max


@record
class NetworkKadAdvertise(Record):
    """Announce ourselves under a key now and from time to time. A command."""

    key: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.config.is_discovery_enabled and 0 < len(self.key) <= state.config.kademlia.provider_key_bytes_max


@record
class NetworkKadLookupStep(Record):
    """Ask whom a look-up may ask now, or end it."""

    lookup_id: RequestId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.lookup_id in state.kademlia.lookups


@record
class NetworkKadRequestSend(Record):
    """The peer of a request is connected and identified: ask it."""

    request_id: int
    connection_id: ConnectionId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        request = state.kademlia.requests.get(self.request_id)
        return request is not None and not isinstance(request.status, Asked)


@record
class NetworkKadResponseReceived(Record):
    """An answer came."""

    connection_id: ConnectionId
    stream: StreamId
    request_id: int
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        request = state.kademlia.requests.get(self.request_id)
        return request is not None and request.status == Asked(self.connection_id)


@record
class NetworkKadRequestError(Record):
    """No answer will come: stream lost, undecodable answer, or too late."""

    request_id: int
    is_peers_fault: bool = True
    """Else it was not asked, because this node could not dial."""

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.request_id in state.kademlia.requests


@record
class NetworkKadRequestReceived(Record):
    """A peer asks."""

    connection_id: ConnectionId
    stream: StreamId
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.stream(self.connection_id, self.stream) is not None


@record
class NetworkKadAddProviderReceived(Record):
    """A peer announces itself under a key."""

    connection_id: ConnectionId
    stream: StreamId
    message: KadMessage

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        key, link = self.message.key, state.links.linked(self.connection_id)
        return link is not None and key is not None and 0 < len(key) <= state.config.kademlia.provider_key_bytes_max


@record
class NetworkKadPeerIdentified(Record):
    """A peer has said what it speaks."""

    peer: PeerNumber
    connection_id: ConnectionId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        is_there = self.peer in state.identify.peers and state.links.linked(self.connection_id) is not None
        return is_there and state.config.is_discovery_enabled


@record
class NetworkKadPeerUnreachable(Record):
    """A dial failed, or a peer can not be identified."""

    peer_id: PeerId


@record
class NetworkKadPeerGone(Record):
    """A peer's last connection is over."""

    peer_id: PeerId


@record
class NetworkKadTick(Record):
    """Look after the table, and announce ourselves again, where it is time."""


KademliaAction: TypeAlias = (
    NetworkKadLookupStart
    | NetworkKadAdvertise
    | NetworkKadLookupStep
    | NetworkKadRequestSend
    | NetworkKadResponseReceived
    | NetworkKadRequestError
    | NetworkKadRequestReceived
    | NetworkKadAddProviderReceived
    | NetworkKadPeerIdentified
    | NetworkKadPeerUnreachable
    | NetworkKadPeerGone
    | NetworkKadTick
)
