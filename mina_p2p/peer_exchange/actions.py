"""What happens in peer exchange."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.gossipsub.messages import PrunedPeer
from mina_p2p.ids import ConnectionId, PeerNumber, Timestamp
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer_exchange.messages import SIGNATURE_BYTES
from mina_p2p.peer_exchange.state import CHECKING_MAX
from mina_p2p.record import Record, record


def _is_on(state: NetworkState) -> bool:
    return state.config.gossipsub.is_peer_exchange_enabled


@record
class NetworkExchangeOwnChanged(Record):
    """Our addresses are others than those that we have signed."""

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return _is_on(state)


@record
class NetworkExchangeSigned(Record):
    """The signature of our record. An event."""

    payload: bytes
    signature: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return bool(self.payload) and state.exchange.signing == self.payload and len(self.signature) == SIGNATURE_BYTES


@record
class NetworkExchangeRecordReceived(Record):
    """A peer has sent its own record."""

    connection_id: ConnectionId
    envelope: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        has_room = len(state.exchange.checking) < CHECKING_MAX
        return _is_on(state) and has_room and state.links.linked(self.connection_id) is not None


@record
class NetworkExchangePeersReceived(Record):
    """A peer that has pruned us names others."""

    connection_id: ConnectionId
    peers: tuple[PrunedPeer, ...]

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return _is_on(state) and state.links.linked(self.connection_id) is not None


@record
class NetworkExchangeVerified(Record):
    """Whether a record is signed by the peer that it is about. An event."""

    number: int
    is_valid: bool

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.number in state.exchange.checking


@record
class NetworkExchangeTimeout(Record):
    """The runtime has not said in time whether a record is signed by its peer: nothing is believed, and nobody blamed."""

    number: int

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        claim = state.exchange.checking.get(self.number)
        return claim is not None and claim.deadline <= now


@record
class NetworkExchangePeerGone(Record):
    """A peer's last connection is over."""

    peer: PeerNumber

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.peer in state.exchange.records


PeerExchangeAction: TypeAlias = (
    NetworkExchangeOwnChanged
    | NetworkExchangeSigned
    | NetworkExchangeRecordReceived
    | NetworkExchangePeersReceived
    | NetworkExchangeVerified
    | NetworkExchangeTimeout
    | NetworkExchangePeerGone
)
