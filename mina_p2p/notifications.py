"""What the node software is told: effects that the runtime hands over, as data.

A notification that asks for something carries an id; the command that answers repeats it.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from mina_p2p.address import DialAddress
from mina_p2p.blocks.actions import BlocksNotification
from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.rpc.messages import RpcRequest, RpcResponse
from mina_p2p.channels.streaming_rpc.messages import StagedLedgerPart, StreamingRpcRequest
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.record import Record, record
from mina_p2p.signaling.effects import SignalingNotification
from mina_p2p.transport import SocketAddress


@record
class PeerConnected(Record):
    """A connection is ready."""

    connection_id: ConnectionId
    peer_id: PeerId
    is_incoming: bool
    remote: SocketAddress | None
    agent: str
    channels: tuple[ChannelId, ...]
    request_id: RequestId | None
    """Of the command that asked for it, if one did."""


@record
class PeerDisconnected(Record):
    """A ready connection is over."""

    connection_id: ConnectionId
    peer_id: PeerId
    reason: Reason
    by_peer: bool


@record
class ConnectionFailed(Record):
    """An attempt did not become a connection."""

    connection_id: ConnectionId | None
    """Nothing where it was refused before it began."""
    peer_id: PeerId
    address: DialAddress | None
    is_incoming: bool
    reason: Reason
    by_peer: bool
    request_id: RequestId | None


@record
class IdentityDuplicated(Record):
    """Another node signs addresses with this node's key, again after this node has told newer ones: two nodes, one identity.

    Peers keep one connection with an identity, so the two push each other out for ever. At most one in each
    `AddressGossipConfig.issue_pause`. Whether it is a copied key file or a stolen one is for the operator to find out.
    """

    connection_id: ConnectionId
    """Who told this node."""
    issued_at: int
    """When the other node dated its record, in seconds since 1970."""
    times: int
    """How often that has come to pass."""


@record
class BestTipReceived(Record):
    """A peer has a new best tip; whether it is better is the node software's decision (`BestTipSet`)."""

    connection_id: ConnectionId
    """`mina_p2p.relay.state.BY_LIBP2P` where it was gossiped; so in all notifications of things that both worlds have."""
    peer_id: PeerId
    block: RawBlock
    state_hash: bytes
    verdict_id: RequestId | None = None
    """Where it was gossiped: `RelayVerdict` with this id, or `BestTipSet`, lets it go on to others."""


@record
class ItemReceived(Record):
    """A new item for a pool; its validity is the node software's verdict (`PoolVerdict`)."""

    verdict_id: RequestId
    channel: ChannelId
    key: bytes
    info: PropagationItem
    body: bytes
    """The thing itself; empty where ``info`` is all there is."""
    connection_id: ConnectionId
    peer_id: PeerId


class WhyDropped(enum.IntEnum):
    """Why the library took items out of a pool."""

    INCLUDED = 0
    """The best tip contains them, or work for their job."""
    OUTDATED = 1
    """The best tip contains another transaction of the same payer with the same or a higher nonce."""
    EXPIRED = 2
    """They have been there for `Timeouts.transaction_age`, `Timeouts.snark_age` or `Timeouts.commitment_age`."""


@record
class PoolItemsDropped(Record):
    """Items left their pool without a command; whoever knows better gives them back (`PoolInsert`)."""

    channel: ChannelId
    keys: tuple[bytes, ...]
    why: WhyDropped


@record
class RpcRequested(Record):
    """A peer asks what the library can not answer; `PeerAnswer` with this connection and serial answers (`ChannelsRpcResponseSend` too, if it
    was asked on a pull connection).
    """

    connection_id: ConnectionId
    peer_id: PeerId
    serial: int
    request: RpcRequest
    deadline: Timestamp
    """From then on the peer has been told that there is no answer."""


@record
class RpcResponded(Record):
    """The answer to a question of the node software; ``None``: the peer does not have it."""

    request_id: RequestId
    connection_id: ConnectionId
    response: RpcResponse | None


@record
class RpcFailed(Record):
    """No answer will come to a question of the node software."""

    request_id: RequestId
    reason: Reason


@record
class StreamingRpcRequested(Record):
    """A peer asks for an answer in parts; `ChannelsStreamingRpcResponseSendInit` with this connection and serial answers."""

    connection_id: ConnectionId
    peer_id: PeerId
    serial: int
    request: StreamingRpcRequest
    deadline: Timestamp
    """From then on the peer has been told that there is no answer."""


@record
class AnswerNotSent(Record):
    """An answer of the node software is over a limit; the peer was told that there is none (defect C9)."""

    connection_id: ConnectionId
    peer_id: PeerId
    serial: int
    """Of the `RpcRequested` or `StreamingRpcRequested`."""
    reason: Reason


@record
class StreamingRpcPartReceived(Record):
    """One part of an answer. It is handed over here and not kept; `join_parts` makes one answer of all."""

    request_id: RequestId
    connection_id: ConnectionId
    part: StagedLedgerPart
    received_count: int
    """Parts that have come, with this one."""
    expected_count: int
    """Parts in all, as far as is known."""


@record
class StreamingRpcResponded(Record):
    """The parts of an answer have all come; or none will, because the peer does not have what was asked for."""

    request_id: RequestId
    connection_id: ConnectionId
    parts_count: int | None
    """``None``: the peer does not have it, or not any more; parts that came are of no use."""


@record
class ListenerReady(Record):
    """Peers can dial this address."""

    address: SocketAddress


@record
class ListenerFailed(Record):
    """A transport can not listen."""

    detail: str


Notification: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | ConnectionFailed
    | IdentityDuplicated
    | BestTipReceived
    | ItemReceived
    | PoolItemsDropped
    | RpcRequested
    | RpcResponded
    | RpcFailed
    | StreamingRpcRequested
    | AnswerNotSent
    | StreamingRpcPartReceived
    | StreamingRpcResponded
    | ListenerReady
    | ListenerFailed
    | SignalingNotification
    | BlocksNotification
)
