"""What happens to gossip."""

from __future__ import annotations

import enum
from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.record import Record, record


class Verdict(enum.IntEnum):
    """What the node software finds about a message."""

    ACCEPT = 0
    """Pass it on."""
    IGNORE = 1
    """Drop it."""
    REJECT = 2
    """Drop it; whether its sender is worse for it is decided elsewhere, as in the OCaml node."""


@record
class NetworkPubsubSubscribe(Record):
    """Take part in a topic. A command."""

    topic: str

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        topic = state.gossipsub.topic(self.topic)
        return topic is None or not topic.is_subscribed


@record
class NetworkPubsubUnsubscribe(Record):
    """Leave a topic. A command."""

    topic: str

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        topic = state.gossipsub.topic(self.topic)
        return topic is not None and topic.is_subscribed


@record
class NetworkPubsubPublish(Record):
    """Send a message of ours. A command; one that was seen already is refused."""

    topic: str
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        config = state.config.gossipsub
        return len(self.data) <= config.message_bytes_max - 1024 and len(state.gossipsub.signing) < config.verifications_max


@record
class NetworkPubsubSigned(Record):
    """The signature of a message of ours. An event."""

    request_id: int
    signature: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.request_id in state.gossipsub.signing


@record
class NetworkPubsubVerified(Record):
    """Whether a signature is its author's. An event."""

    request_id: int
    is_valid: bool

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.request_id in state.gossipsub.verifying


@record
class NetworkPubsubVerdict(Record):
    """The node software's answer to `NetworkPubsubMessageReceived`. A command."""

    verdict_id: RequestId
    verdict: Verdict

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.verdict_id in state.gossipsub.validating


@record
class NetworkPubsubPeerIdentified(Record):
    """A peer has said what it speaks."""

    peer: PeerNumber
    connection_id: ConnectionId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer in state.identify.peers and state.links.linked(self.connection_id) is not None


@record
class NetworkPubsubStreamReady(Record):
    """Our stream to a peer is agreed."""

    peer: PeerNumber
    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer in state.gossipsub.neighbours


@record
class NetworkPubsubStreamGone(Record):
    """Our stream to a peer is lost, or the peer does not want it."""

    peer: PeerNumber
    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer in state.gossipsub.neighbours


@record
class NetworkPubsubPeerGone(Record):
    """A peer's last connection is over."""

    peer: PeerNumber
    peer_id: PeerId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer in state.gossipsub.neighbours


@record
class NetworkPubsubRpcReceived(Record):
    """A peer says something: subscriptions, messages, control."""

    connection_id: ConnectionId
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.linked(self.connection_id) is not None


@record
class NetworkPubsubHeartbeat(Record):
    """Keep meshes in shape, gossip, forget."""

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.gossipsub.next_heartbeat_at <= now


GossipsubAction: TypeAlias = (
    NetworkPubsubSubscribe
    | NetworkPubsubUnsubscribe
    | NetworkPubsubPublish
    | NetworkPubsubSigned
    | NetworkPubsubVerified
    | NetworkPubsubVerdict
    | NetworkPubsubPeerIdentified
    | NetworkPubsubStreamReady
    | NetworkPubsubStreamGone
    | NetworkPubsubPeerGone
    | NetworkPubsubRpcReceived
    | NetworkPubsubHeartbeat
)
