"""What happens to records of peers."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import DialAddress, Host
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, Timestamp
from mina_p2p.peer.state import GIVEN, Attached, BackingOff, Banned, Disconnected, PeerSource
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class PeerDiscovered(Record):
    """Somebody named a peer and where to dial it."""

    address: DialAddress
    source: PeerSource
    learned_from: PeerNumber | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return not self.why_refused(state, now)

    def why_refused(self, state: P2pState, now: Timestamp) -> str:
        """For people, without names: why it changes nothing; empty where it does."""
        if self.address.peer_id == state.config.peer_id:
            return "it is this node itself"
        if not state.accepts_address(self.address, self.learned_from, now):
            return "such an address is not believed from there"
        limits, known = state.config.limits, state.peers.find(self.address.peer_id)
        if not state.config.peer_table.believes(self.source):
            return "this way of learning of peers is off"
        if known is not None and not known[1].takes_address(self.address):
            return "" if self.source not in known[1].sources else "it is known already, and its address stays"
        if not state.peers.has_group_room(self.address, self.source, limits.known_per_group_max):
            return "as many peers of its network are known as may be"
        if known is not None:
            return ""
        if self.source not in GIVEN and state.peers.make_new_room(self.address, state.told_in(self.learned_from)) is None:
            return "there is no room for it in the table of new peers"
        if self.learned_from is None or state.peers.learned_counts.get(self.learned_from, 0) < limits.discovered_per_source_max:
            return ""
        return "who named it has named as many as are taken from one peer"


@record
class PeerAnnounced(Record):
    """A peer says itself, signed and dated, where it can be dialled: it may be dialled once, whatever happened before."""

    address: DialAddress
    source: PeerSource
    learned_from: PeerNumber | None
    """Who passed it on."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return not self.why_refused(state, now)

    def why_refused(self, state: P2pState, now: Timestamp) -> str:
        """As `PeerDiscovered.why_refused`."""
        found = state.peers.find(self.address.peer_id)
        if found is None:
            return PeerDiscovered(self.address, self.source, self.learned_from).why_refused(state, now)
        if not isinstance(found[1].status, BackingOff | Disconnected):
            return "it is connected, being connected, or banned"
        if not state.accepts_address(self.address, self.learned_from, now):
            return "such an address is not believed from there"
        if not state.config.peer_table.believes(self.source):
            return "this way of learning of peers is off"
        has_room = state.peers.has_group_room(self.address, self.source, state.config.limits.known_per_group_max)
        return "" if has_room else "as many peers of its network are known as may be"


@record
class PeersRedialGiven(Record):
    """Peers that a person named and that are not connected may be dialled at once."""


@record
class PeerAttached(Record):
    """A connection attempt with this peer began, ours or its own."""

    connection_id: ConnectionId
    peer_id: PeerId
    address: DialAddress | None
    source: PeerSource

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        connection = state.connections.get(self.connection_id)
        return connection is not None and connection.peer_id == self.peer_id


@record
class PeerReady(Record):
    """The peer's connection carries channels."""

    connection_id: ConnectionId
    peer_id: PeerId
    address: DialAddress | None
    """Where it was reached, or where its packets come from, in the form to dial."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        found = state.peers.find(self.peer_id)
        is_attached = found is not None and found[1].status == Attached(self.connection_id)
        return is_attached and state.connections.ready(self.connection_id) is not None


@record
class PeerDetached(Record):
    """The peer's connection or attempt is over."""

    connection_id: ConnectionId
    peer_id: PeerId
    reason: Reason
    by_peer: bool
    """Whether the reason is what the peer told us; its accusations ban nobody."""
    was_ready: bool

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        found = state.peers.find(self.peer_id)
        is_attached = found is not None and found[1].status == Attached(self.connection_id)
        return is_attached and self.connection_id not in state.connections.table


@record
class PeerUndialable(Record):
    """A known peer can not be dialled after all: it waits as after a failure."""

    number: PeerNumber
    reason: Reason

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.number in state.peers.dialable


@record
class PeerWoken(Record):
    """A back-off or a ban is over."""

    number: PeerNumber

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        peer = state.peers.table.get(self.number)
        return peer is not None and peer.wakes_at is not None and peer.wakes_at <= now


@record
class PeerBan(Record):
    """The node software bans a peer until a time; a connection with it ends."""

    peer_id: PeerId
    until: Timestamp
    reason: Reason

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.until > now and self.peer_id != state.config.peer_id


@record
class PeerUnban(Record):
    """The node software lifts a ban."""

    peer_id: PeerId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        found = state.peers.find(self.peer_id)
        return found is not None and isinstance(found[1].status, Banned | BackingOff)


@record
class PeerGroupBan(Record):
    """The node software bans the network of a host until a time; connections with it end."""

    host: Host
    until: Timestamp
    reason: Reason

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.until > now


@record
class PeerGroupUnban(Record):
    """The node software lifts the ban of a host's network."""

    host: Host

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.group_ban(self.host, now) is not None


@record
class BansReset(Record):
    """The node software lifts all bans."""


@record
class PeerUseful(Record):
    """A peer gave us what the node software found good."""

    peer_id: PeerId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.peer_id in state.peers.index


@record
class PeersChurn(Record):
    """So many connections that newcomers may find no place: one makes room, drawn by lot."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.connections.ready_count > state.config.limits.peers_stable and state.peers.next_churn_at <= now


@record
class PeersDiscover(Record):
    """Ask one ready peer for the peers it knows."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return (
            state.config.is_discovery_enabled
            and len(state.connections) < state.config.limits.peers_min
            and state.connections.ready(self.connection_id) is not None
        )


@record
class PeersDiscoverRandom(Record):
    """Too few connections for a while: ask some ready peer again."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return (
            state.config.is_discovery_enabled
            and state.connections.ready_count > 0
            and len(state.connections) < state.config.limits.peers_min
            and state.peers.next_discovery_at <= now
        )


@record
class ConnectionOutgoingRandomInit(Record):
    """Below the wished number of connections: dial some peer that waits for it."""

    more: int
    """How many further ones may follow in this turn."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.peers.next_dial_at <= now and bool(state.peers.dialable) and state.may_dial()


@record
class ConnectionFeelerInit(Record):
    """Enough connections: see from time to time whether somebody of whom we only heard can be reached."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.peers.next_feeler_at <= now and state.may_feel()


@record
class PeersRotate(Record):
    """A connection by a dial of ours makes room for another dial, so that nobody keeps all of them for ever."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.peers.next_rotation_at <= now and state.may_rotate()


PeerAction: TypeAlias = (
    PeerDiscovered
    | PeerAnnounced
    | PeersRedialGiven
    | PeerAttached
    | PeerReady
    | PeerDetached
    | PeerUndialable
    | PeerWoken
    | PeerBan
    | PeerUnban
    | PeerGroupBan
    | PeerGroupUnban
    | BansReset
    | PeerUseful
    | PeersChurn
    | PeersDiscover
    | PeersDiscoverRandom
    | ConnectionOutgoingRandomInit
    | ConnectionFeelerInit
    | PeersRotate
)
