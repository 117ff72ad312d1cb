"""What happens on channel 9, and in the discovery that it serves.

Guards of messages say what a peer may do; one that is refused ends the connection (spec: address-gossip 5.3).
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import DialAddress
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_RECORD,
    ADVERTS_MAX,
    FETCH_MAX,
    RECORD_BYTES_MAX,
    SIGNATURE_BYTES,
    AddressKey,
    AddressRecord,
)
from mina_p2p.channels.address_gossip.state import Granted, Link, Resting
from mina_p2p.discovery.config import ADDRESSES_MAX
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


def _link(state: P2pState, connection_id: ConnectionId) -> Link | None:
    return state.address_gossip.links.get(connection_id)


# --- links ------------------------------------------------------------------------------------


@record
class AddressGossipPeerReady(Record):
    """A connection is ready: its peer was met, and gossips if both sides serve channel 9."""

    connection_id: ConnectionId
    is_agreed: bool
    """Whether both sides serve the channel."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        is_on = ChannelId.ADDRESS_GOSSIP in state.config.channels
        return is_on and state.connections.ready(self.connection_id) is not None and _link(state, self.connection_id) is None


@record
class AddressGossipPeerGone(Record):
    """A connection that carried the channel is over."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return _link(state, self.connection_id) is not None and self.connection_id not in state.connections.table


# --- permissions ------------------------------------------------------------------------------


@record
class AddressGossipGrantSend(Record):
    """Permit the peer to name records, once all that it named before is decided."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        return (
            link is not None and isinstance(link.grant, Resting) and link.grant.deadline <= now and link.fetch is None and not link.wanted
        )


@record
class AddressGossipGrantReceived(Record):
    """The peer permits us to name up to ``limit`` records."""

    connection_id: ConnectionId
    stream: StreamId
    limit: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link, channels = _link(state, self.connection_id), state.channels.table.get(self.connection_id)
        if link is None or channels is None or channels.is_ours(self.stream) or not 1 <= self.limit <= ADVERTS_MAX:
            return False
        # One on a newer stream takes the place of one whose withdrawal is still on its way.
        return link.permitted is None or link.permitted.stream < self.stream


@record
class AddressGossipGrantEnded(Record):
    """A stream that we opened ended, without the message that it permitted if it is still awaited."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        if link is None:
            return False
        is_awaited = isinstance(link.grant, Granted) and link.grant.stream == self.stream
        return not is_awaited and (link.fetch is None or link.fetch.stream != self.stream)


@record
class AddressGossipStreamReset(Record):
    """The peer gave up a stream: it withdrew a permission, or declined what we asked."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        if link is None:
            return False
        is_grant = isinstance(link.grant, Granted) and link.grant.stream == self.stream
        is_fetch = link.fetch is not None and link.fetch.stream == self.stream
        return is_grant or is_fetch or (link.permitted is not None and link.permitted.stream == self.stream)


# --- naming records ---------------------------------------------------------------------------


@record
class AddressGossipAdvertsSend(Record):
    """Use the peer's permission: name what has been collected."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        return link is not None and link.permitted is not None and bool(link.due)


@record
class AddressGossipAdvertsReceived(Record):
    """The peer names records that it holds."""

    connection_id: ConnectionId
    stream: StreamId
    keys: tuple[AddressKey, ...]

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        if link is None or not isinstance(link.grant, Granted) or link.grant.stream != self.stream:
            return False
        return 1 <= len(self.keys) <= link.grant.limit and len(set(self.keys)) == len(self.keys)


# --- fetching records -------------------------------------------------------------------------


@record
class AddressGossipFetchSend(Record):
    """Ask the peer for records that it named and that we want."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        return link is not None and link.fetch is None and bool(link.wanted) and link.fetches_allowed > 0


@record
class AddressGossipFetchReceived(Record):
    """The peer asks for records that we named."""

    connection_id: ConnectionId
    stream: StreamId
    keys: tuple[AddressKey, ...]

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link, channels = _link(state, self.connection_id), state.channels.table.get(self.connection_id)
        if link is None or channels is None or channels.is_ours(self.stream) or link.fetches_left == 0:
            return False
        items = {key.item_id for key in self.keys if key.issued_at < 1 << 64}
        return 1 <= len(self.keys) <= FETCH_MAX and len(items) == len(self.keys) and items <= set(link.sent)


@record
class AddressGossipRecordsReceived(Record):
    """The peer sends what we asked for."""

    connection_id: ConnectionId
    stream: StreamId
    records: tuple[AddressRecord | None, ...]

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        link = _link(state, self.connection_id)
        if link is None or link.fetch is None or link.fetch.stream != self.stream or len(self.records) != len(link.fetch.items):
            return False
        pairs = zip(self.records, link.fetch.items, strict=True)
        return all(found is None or (found.key.item_id == item and _is_in_bounds(found)) for found, item in pairs)


def _is_in_bounds(found: AddressRecord) -> bool:
    return len(ADDRESS_RECORD.encode(found)) <= RECORD_BYTES_MAX


# --- waits ------------------------------------------------------------------------------------


@record
class AddressGossipTimeout(Record):
    """A wait of the slice is over."""

    key: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        at = state.address_gossip.wait(self.key)
        return at is not None and at <= now


@record
class AddressGossipItemTimeout(Record):
    """A wait of the gossiper is over."""

    key: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        at = state.address_gossip.gossip.wait(self.key)
        return at is not None and at <= now


# --- our own record, and signatures -----------------------------------------------------------


@record
class AddressGossipOwnSet(Record):
    """The node software says where this node can be dialled, in place of what it said before."""

    addresses: tuple[DialAddress, ...]

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        is_ours = all(address.peer_id == state.config.peer_id for address in self.addresses)
        return is_ours and len(self.addresses) <= ADDRESSES_MAX and self.addresses != state.address_gossip.own.addresses


@record
class AddressGossipIssue(Record):
    """Make a new record of our own, and tell it."""

    is_on_time: bool
    """Whether it is the one of this interval, which waits for no signature; else it needs an allowance."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        own, config = state.address_gossip.own, state.config.address_gossip
        if ChannelId.ADDRESS_GOSSIP not in state.config.channels or not own.addresses:
            return False
        return self.is_on_time or (own.signing is None and own.allowance.taken(config.issues_burst, config.issue_pause, now) is not None)


@record
class AddressGossipSigned(Record):
    """Answer of an `AddressGossipEffectfulSign`."""

    issued_at: int
    signature: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        signing = state.address_gossip.own.signing
        return signing is not None and signing.issued_at == self.issued_at and len(self.signature) == SIGNATURE_BYTES


@record
class AddressGossipVerified(Record):
    """Answer of an `AddressGossipEffectfulVerify`."""

    number: int
    is_valid: bool

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.number in state.address_gossip.verifications


AddressGossipAction: TypeAlias = (
    AddressGossipPeerReady
    | AddressGossipPeerGone
    | AddressGossipGrantSend
    | AddressGossipGrantReceived
    | AddressGossipGrantEnded
    | AddressGossipStreamReset
    | AddressGossipAdvertsSend
    | AddressGossipAdvertsReceived
    | AddressGossipFetchSend
    | AddressGossipFetchReceived
    | AddressGossipRecordsReceived
    | AddressGossipTimeout
    | AddressGossipItemTimeout
    | AddressGossipOwnSet
    | AddressGossipIssue
    | AddressGossipSigned
    | AddressGossipVerified
)


# --- effects ----------------------------------------------------------------------------------


@record
class AddressGossipEffectfulSign(Record):
    """Sign our own record; answered by `AddressGossipSigned`."""

    issued_at: int
    message: bytes


@record
class AddressGossipEffectfulVerify(Record):
    """Check a signature; answered by `AddressGossipVerified`."""

    number: int
    peer_id: PeerId
    message: bytes
    signature: bytes


AddressGossipEffect: TypeAlias = AddressGossipEffectfulSign | AddressGossipEffectfulVerify
