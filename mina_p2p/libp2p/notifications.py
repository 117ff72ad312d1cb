"""What the node software is told by the libp2p slices."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, RequestId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.transport import SocketAddress


@record
class NetworkPeerConnected(Record):
    """The first connection with a peer is there."""

    connection_id: ConnectionId
    peer_id: PeerId
    is_dialer: bool
    remote: SocketAddress


@record
class NetworkPeerIdentified(Record):
    """A peer has said what it speaks and where it can be dialled."""

    peer_id: PeerId
    protocols: tuple[str, ...]
    addresses: tuple[Libp2pAddress, ...]
    agent: str


@record
class NetworkPeerDisconnected(Record):
    """The last connection with a peer is over."""

    peer_id: PeerId
    reason: Reason
    by_peer: bool


@record
class NetworkDialFailed(Record):
    """A dial did not become a connection."""

    address: Libp2pAddress
    reason: Reason


@record
class NetworkPeerDiscovered(Record):
    """Somebody named a peer that was not known to the look-up."""

    address: Libp2pAddress


@record
class NetworkKadLookupFinished(Record):
    """A look-up is over."""

    lookup_id: RequestId
    nearest: tuple[PeerId, ...]
    """Peers that answered, nearest first."""
    providers: tuple[PeerId, ...]


@record
class NetworkPubsubMessageReceived(Record):
    """A new message on a topic; `NetworkPubsubVerdict` with the same id says whether it is passed on."""

    verdict_id: RequestId
    topic: str
    data: bytes
    message_id: bytes
    author: PeerId
    from_peer: PeerId


@record
class NetworkPubsubPublished(Record):
    """A message of ours has been signed and sent."""

    message_id: bytes
    peers_count: int


@record
class NetworkRpcRequested(Record):
    """A peer asks; `NetworkRpcAnswer` or `NetworkRpcRefuse` with the same serial and query id answers."""

    serial: int
    query_id: int
    peer_id: PeerId
    tag: str
    query: bytes
    """What the method's codec reads (`mina_p2p.libp2p_rpc.state.method_of`); it has been checked that it does."""
    deadline: Timestamp
    """From then on the peer is told that there is no answer."""


@record
class NetworkRpcResponded(Record):
    """The answer to a `NetworkRpcCall`."""

    request_id: RequestId
    peer_id: PeerId
    tag: str
    answer: bytes
    """What the method's codec reads; it has been checked that it does."""


@record
class NetworkRpcFailed(Record):
    """No answer will come to a `NetworkRpcCall`."""

    request_id: RequestId
    detail: str


@record
class NetworkBanNotified(Record):
    """A peer says that it has banned us."""

    peer_id: PeerId
    time: float
    """Seconds since the Unix epoch, as it says."""


@record
class NetworkStatusReceived(Record):
    """The answer to a `NetworkStatusAsk`."""

    request_id: RequestId
    peer_id: PeerId
    status: bytes
    """As the peer wrote it; empty where it has none."""


@record
class NetworkStatusFailed(Record):
    """No answer will come to a `NetworkStatusAsk`."""

    request_id: RequestId
    detail: str


NetworkNotification: TypeAlias = (
    NetworkPeerConnected
    | NetworkPeerIdentified
    | NetworkPeerDisconnected
    | NetworkDialFailed
    | NetworkPeerDiscovered
    | NetworkKadLookupFinished
    | NetworkPubsubMessageReceived
    | NetworkPubsubPublished
    | NetworkRpcRequested
    | NetworkRpcResponded
    | NetworkRpcFailed
    | NetworkBanNotified
    | NetworkStatusReceived
    | NetworkStatusFailed
)
