"""What signaling asks of others: effects with an answer, and news for whoever makes WebRTC connections.

One introduction is named by the connection and the stream that carry it; answers repeat both, and one that
comes too late is refused. Every wait for an answer has a deadline in the state.
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.record import Record, record
from mina_p2p.signaling.objects import ConnectionResponse, Offer

# --- for the runtime: encryption between two identities (spec: pull-protocol 1.2) -----------------


@record
class SignalingEffectfulOfferEncrypt(Record):
    """Encrypt an offer for its target; answered by `ChannelsSignalingDiscoveryOfferEncrypted`."""

    connection_id: ConnectionId
    stream: StreamId
    target: PeerId
    offer: bytes


@record
class SignalingEffectfulAnswerDecrypt(Record):
    """Decrypt a target's response; answered by `ChannelsSignalingDiscoveryAnswerDecrypted`."""

    connection_id: ConnectionId
    stream: StreamId
    target: PeerId
    answer: bytes


@record
class SignalingEffectfulOfferDecrypt(Record):
    """Decrypt an offerer's offer; answered by `ChannelsSignalingExchangeOfferDecrypted`."""

    connection_id: ConnectionId
    stream: StreamId
    offerer: PeerId
    offer: bytes


@record
class SignalingEffectfulAnswerEncrypt(Record):
    """Encrypt our response for an offerer; answered by `ChannelsSignalingExchangeAnswerEncrypted`."""

    connection_id: ConnectionId
    stream: StreamId
    offerer: PeerId
    answer: bytes


# --- for whoever makes connections -----------------------------------------------------------------
#
# No transport of this library makes a WebRTC connection yet. These are notifications to the node software, and
# where an introduction succeeds, nothing else follows from it here: neither a connection nor a record of a peer.


@record
class SignalingOfferWanted(Record):
    """A relay introduces us to ``target``: make an offer.

    Answered by `ChannelsSignalingDiscoveryOfferReady` or `ChannelsSignalingDiscoveryOfferError`. Then follows
    `SignalingAnswerReceived` or `SignalingFailed`.
    """

    connection_id: ConnectionId
    """Of the relay."""
    stream: StreamId
    target: PeerId


@record
class SignalingAnswerReceived(Record):
    """What the target says to our offer. An acceptance is the target's, and meant for us (defect S2)."""

    connection_id: ConnectionId
    stream: StreamId
    target: PeerId
    response: ConnectionResponse


@record
class SignalingOfferReceived(Record):
    """``offerer`` wants a connection, and may have one: make an answer.

    Answered by `ChannelsSignalingExchangeAnswerReady` or `ChannelsSignalingExchangeAnswerError`. Then follows
    `SignalingAnswerSent` or `SignalingFailed`.
    """

    connection_id: ConnectionId
    """Of the relay."""
    stream: StreamId
    offerer: PeerId
    offer: Offer


@record
class SignalingAnswerSent(Record):
    """Our acceptance is with the relay: the offerer will connect."""

    connection_id: ConnectionId
    stream: StreamId
    offerer: PeerId


@record
class SignalingFailed(Record):
    """What was begun by `SignalingOfferWanted` or `SignalingOfferReceived` comes to nothing."""

    connection_id: ConnectionId
    stream: StreamId
    peer_id: PeerId
    """The target, or the offerer."""
    reason: Reason


SignalingEffect: TypeAlias = (
    SignalingEffectfulOfferEncrypt | SignalingEffectfulAnswerDecrypt | SignalingEffectfulOfferDecrypt | SignalingEffectfulAnswerEncrypt
)
SignalingNotification: TypeAlias = (
    SignalingOfferWanted | SignalingAnswerReceived | SignalingOfferReceived | SignalingAnswerSent | SignalingFailed
)
