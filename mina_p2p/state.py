"""The root of the state. Everything starts here.

Questions that need more than one slice are methods here, so that guards and reducers
ask them in the same words.
"""

from __future__ import annotations

from mina_p2p.address import (
    AddressError,
    DialAddress,
    Host,
    HostScope,
    Libp2pAddress,
    QuicAddress,
    SignalingRelay,
    WebRtcAddress,
    dial_host,
    host_scope,
    parse_ip,
)
from mina_p2p.best_tip.state import BestTips
from mina_p2p.blocks.state import Blocks, initial_blocks
from mina_p2p.channels.address_gossip.state import AddressGossip, initial_address_gossip
from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.state import Channels
from mina_p2p.config import P2pConfig
from mina_p2p.connection.state import Connections, OutgoingFinalizePending, Ready
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, PeerNumber, Timestamp
from mina_p2p.libp2p.state import NetworkState, initial_network
from mina_p2p.peer.bans import Ban
from mina_p2p.peer.start import initial_peers
from mina_p2p.peer.state import Attached, Banned, Peer, Peers
from mina_p2p.pool.distributed import DistributedPool
from mina_p2p.pool.kinds import KINDS as POOL_KINDS
from mina_p2p.pool.state import Pool, Pools
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.relay.state import Relay, initial_relay
from mina_p2p.signaling.state import Signaling
from mina_p2p.store import Clock
from mina_p2p.table import Deadlines, Index
from mina_p2p.transport import SocketAddress

_BEST_TIP = ChannelId.BEST_TIP

CAPABILITY_QUIC_ADDRESS = "quic-address"
"""The peer understands dial options of the variant with tag 2 (design 8)."""


@record
class ReplaceExisting(Record):
    """An arrival is accepted instead of this connection."""

    connection_id: ConnectionId


@record
class P2pState(Record):
    """All that a node knows."""

    clock: Clock
    config: P2pConfig
    peers: Peers
    connections: Connections
    channels: Channels
    best_tips: BestTips
    pools: Pools
    signaling: Signaling
    address_gossip: AddressGossip
    blocks: Blocks
    relay: Relay
    is_stopping: bool = False
    network: NetworkState | None = None
    """What is known of libp2p's network, where this node takes part in it. Its clock stands still: time is in ``clock``."""

    def connection_of(self, peer_id: PeerId) -> ConnectionId | None:
        """The one connection, or attempt, with that peer."""
        found = self.peers.find(peer_id)
        if found is None or not isinstance(found[1].status, Attached):
            return None
        return found[1].status.connection_id

    def group_ban(self, host: Host, now: Timestamp) -> Ban | None:
        """The ban of a host's network, while it lasts."""
        bans = self.peers.group_bans
        return bans.of(self.peers.grouping.of(host), now) if bans.index.count else None

    def why_banned(self, peer_id: PeerId, now: Timestamp) -> Ban | None:
        """Why, since when and until when that peer is neither dialled nor accepted; ``None`` where it is not banned.

        Its own ban, else that of the network in which it was last known to be.
        """
        found = self.peers.find(peer_id)
        if found is None:
            return None
        match found[1].status:
            case Banned(since=since, until=until, reason=reason) if until > now:
                return Ban(peer_id, since, until, reason)
            case _:
                host = None if found[1].address is None else dial_host(found[1].address)
                return None if host is None else self.group_ban(host, now)

    def bans(self, now: Timestamp) -> list[Ban]:
        """All bans that last: those of peers in the order of their records, then those of networks."""
        of_peers = ((peer.peer_id, peer.status) for peer in self.peers.table.values() if isinstance(peer.status, Banned))
        own = [Ban(peer_id, status.since, status.until, status.reason) for peer_id, status in of_peers if status.until > now]
        return own + self.peers.group_bans.all(now)

    def connections_in(self, group: str) -> list[ConnectionId]:
        """Connections and attempts with hosts of a network."""
        hosts = ((connection_id, connection.host) for connection_id, connection in self.connections.table.items())
        return [connection_id for connection_id, host in hosts if host is not None and self.peers.grouping.of(host) == group]

    def _is_crowded(self, host: Host | None) -> str | None:
        """The network of a host, where there are as many connections with it as there may be."""
        most = self.config.limits.peers_per_group_max
        if host is None or len(self.connections) < most:
            return None
        group = self.peers.grouping.bounded(host)
        return None if group is None or len(self.connections_in(group)) < most else group

    def referrals(self, asker: PeerId, remote: SocketAddress) -> list[DialAddress]:
        """Where else a peer may try for which there is no room: peers that we are connected with, at proven addresses it can reach."""
        scopes = {HostScope.GLOBAL, HostScope.NAME, _scope_of(remote)}
        found: list[DialAddress] = []
        for connection in self.connections.table.values():
            known = self.peers.find(connection.peer_id)
            if known is None or connection.peer_id == asker or not isinstance(connection.status, Ready):
                continue
            address = known[1].address
            if isinstance(address, QuicAddress) and known[1].is_address_proven and host_scope(address.host) in scopes:
                found.append(address)
        return found

    def outgoing_refusal(self, address: DialAddress, now: Timestamp, *, is_user_request: bool) -> Reason | None:
        """Why ``address`` shall not be dialled now; ``None`` if it may be.

        A person's wish overrides back-off and the wished number of connections, not the limits (defect N9).
        """
        limits = self.config.limits
        if self.is_stopping:
            return Reason(ReasonCode.SHUTDOWN)
        if address.peer_id == self.config.peer_id:
            return Reason(ReasonCode.CONNECTING_TO_SELF)
        if not isinstance(address, QuicAddress):
            return Reason(ReasonCode.UNSUPPORTED, detail="this node dials QUIC addresses only")
        if len(self.connections) >= limits.peers_max:
            return Reason(ReasonCode.PEER_CAPACITY_FULL, detail=f"{limits.peers_max} connections already")
        found = self.peers.find(address.peer_id)
        if found is not None:
            status = found[1].status
            if isinstance(status, Attached):
                return Reason(ReasonCode.ALREADY_CONNECTED)
            if isinstance(status, Banned):
                return Reason(ReasonCode.PEER_BANNED, detail=str(status.reason))
        if (ban := self.group_ban(address.host, now)) is not None:
            return Reason(ReasonCode.PEER_BANNED, detail=f"{ban.whom}: {ban.reason}"[:DETAIL_CHARS_MAX])
        if is_user_request:
            return None
        if found is None or not found[1].is_dialable:
            return Reason(ReasonCode.UNSUPPORTED, detail="the peer is not waiting to be dialled")
        if not self.lacks_connections() and not found[1].is_given and not self.is_feeler(address.peer_id):
            return Reason(ReasonCode.PEER_CAPACITY_FULL, detail=f"{limits.peers_min} connections are enough")
        if not found[1].is_given and (group := self._is_crowded(address.host)) is not None:
            return Reason(ReasonCode.PEER_CAPACITY_FULL, detail=f"{limits.peers_per_group_max} connections with {group} already")
        return self.dial_refusal(found[1])

    def dial_refusal(self, peer: Peer) -> Reason | None:
        """Why a peer has to wait for the end of dials that are under way; ``None`` if it has not to (spec: address-gossip 5.5)."""
        limits, connections = self.config.limits, self.connections
        if connections.dialling_count >= limits.dials_pending_max:
            return Reason(ReasonCode.PEER_CAPACITY_FULL, detail=f"{limits.dials_pending_max} dials under way already")
        if peer.is_given or peer.address is None or connections.dialling_count < limits.dials_per_group_max:
            return None
        host = dial_host(peer.address)
        group = None if host is None else self.peers.grouping.bounded(host)
        if group is None or sum(connections.is_attempt(cid) for cid in self.connections_in(group)) < limits.dials_per_group_max:
            return None
        return Reason(ReasonCode.PEER_CAPACITY_FULL, detail=f"{limits.dials_per_group_max} dials into {group} under way already")

    def may_dial(self) -> bool:
        """Whether this node looks for somebody to dial: it lacks connections, and not too many dials are under way."""
        return self.lacks_connections() and self.connections.dialling_count < self.config.limits.dials_pending_max and not self.is_stopping

    def lacks_connections(self) -> bool:
        """Whether this node dials: it has too few connections, or so few of its own that arrivals are nearly all it has."""
        limits, connections = self.config.limits, self.connections
        count = len(connections.table)
        return count < limits.peers_min or (connections.outgoing_count < limits.peers_outgoing and count < limits.peers_max)

    def is_feeler(self, peer_id: PeerId) -> bool:
        """Whether that peer is, or is about to be, dialled only to see whether it can be reached."""
        feeler = self.peers.feeler
        return feeler is not None and self.peers.index.get(peer_id) == feeler.number

    def may_feel(self) -> bool:
        """Whether somebody is there to be dialled only to see whether it can be reached, and room for that."""
        peers = self.peers
        if peers.feeler is not None or not (peers.new.dialable or peers.contests) or not self.config.peer_table.are_feelers_sent:
            return False
        limits, connections = self.config.limits, self.connections
        has_enough = connections.ready_count >= limits.peers_min and not self.lacks_connections()
        has_room = len(connections) < limits.peers_max and connections.dialling_count < limits.dials_pending_max
        return has_enough and has_room and not self.is_stopping

    def may_rotate(self) -> bool:
        """Whether a connection by a dial of ours could make room for another dial: there are enough, and somebody else waits."""
        limits, connections = self.config.limits, self.connections
        is_enough = connections.outgoing_count >= limits.peers_outgoing > 0 and not self.lacks_connections()
        return is_enough and bool(self.peers.dialable) and not self.is_stopping

    def outgoing_networks(self) -> frozenset[str]:
        """The networks with which this node has a connection by a dial of its own, or an attempt."""
        dialled = (connection.address for connection in self.connections.table.values() if not connection.is_incoming)
        return frozenset(self.peers.shape.group_of(address) for address in dialled if address is not None)

    def told_in(self, learned_from: PeerNumber | None) -> str:
        """The network of a peer that tells us of others, as the table of new peers counts it; empty where nobody tells."""
        teller = None if learned_from is None else self.peers.table.get(learned_from)
        return "" if teller is None or teller.address is None else self.peers.shape.group_of(teller.address)

    def incoming_decision(self, peer_id: PeerId, remote: SocketAddress, now: Timestamp) -> Reason | ReplaceExisting | None:
        """What to do with an authenticated arrival: ``None`` accepts it (spec: pull-protocol 7.5, design 4)."""
        if self.is_stopping:
            return Reason(ReasonCode.SHUTDOWN)
        if peer_id == self.config.peer_id:
            return Reason(ReasonCode.CONNECTING_TO_SELF)
        found = self.peers.find(peer_id)
        status = None if found is None else found[1].status
        if isinstance(status, Banned):
            return Reason(ReasonCode.PEER_BANNED)
        host = _ip_of(remote)
        if host is not None and self.group_ban(host, now) is not None:
            return Reason(ReasonCode.PEER_BANNED)
        if isinstance(status, Attached):
            return self._between_two(status.connection_id, peer_id, now)
        is_given = found is not None and found[1].is_given
        if not is_given and self._is_crowded(host) is not None:
            return Reason(ReasonCode.PEER_CAPACITY_FULL)
        limits, connections = self.config.limits, self.connections
        kept_for_dials = 0 if is_given else max(0, limits.peers_outgoing - connections.outgoing_count)
        if len(connections) + kept_for_dials >= limits.peers_max:
            return Reason(ReasonCode.PEER_CAPACITY_FULL)
        return None

    def _between_two(self, existing_id: ConnectionId, peer_id: PeerId, now: Timestamp) -> Reason | ReplaceExisting:
        """Which of two connections with one peer stays: the one that is there, or the arrival.

        Both sides must come to the same answer without talking. Where we dialled each other
        within ``crossing_dials``, or our dial has reached the peer and waits for its hello, the
        dial of the greater id stays. A later arrival means that the peer no longer knows the old
        connection: the newest wins, but not more often than ``replace_connection`` allows.
        """
        timeouts = self.config.timeouts
        existing = self.connections.table[existing_id]
        age = now - existing.started_at
        is_crossing = age <= timeouts.crossing_dials or isinstance(existing.status, OutgoingFinalizePending)
        if not existing.is_incoming and is_crossing:
            peers_dial_stays = peer_id > self.config.peer_id
            return ReplaceExisting(existing_id) if peers_dial_stays else Reason(ReasonCode.ALREADY_CONNECTED)
        is_attempt_of_ours = not existing.is_incoming and not isinstance(existing.status, Ready)
        if is_attempt_of_ours or age >= timeouts.replace_connection:
            return ReplaceExisting(existing_id)
        return Reason(ReasonCode.ALREADY_CONNECTED)

    def accepts_address(self, address: DialAddress, learned_from: PeerNumber | None, now: Timestamp) -> bool:
        """Whether an address that somebody named may enter the peer table.

        Addresses of private ranges are believed from peers of the same range only: elsewhere
        they mean somebody else's machine.
        """
        if isinstance(address, WebRtcAddress):
            return self._is_introduced_by(address, learned_from)
        if (isinstance(address, Libp2pAddress) and self.network is None) or self.group_ban(address.host, now) is not None:
            return False
        scope = host_scope(address.host)
        if scope in {HostScope.GLOBAL, HostScope.NAME}:
            return True
        if scope is HostScope.RESERVED:
            return False
        if learned_from is None or self.config.are_private_addresses_allowed:
            return True
        return self._scope_of_peer(learned_from) == scope

    def _is_introduced_by(self, address: WebRtcAddress, learned_from: PeerNumber | None) -> bool:
        """Whether who names that address is itself the relay that it leads by, and introductions are taken."""
        teller = None if learned_from is None else self.peers.table.get(learned_from)
        is_relay = teller is not None and address.signaling == SignalingRelay(teller.peer_id)
        return is_relay and self.config.are_introductions_taken

    def _scope_of_peer(self, number: PeerNumber) -> HostScope | None:
        peer = self.peers.table.get(number)
        if peer is None:
            return None
        if isinstance(peer.status, Attached):
            remote = self.connections.table[peer.status.connection_id].remote
            return None if remote is None else _scope_of(remote)
        # It has just refused us, at the address that we dialled.
        host = None if peer.address is None else dial_host(peer.address)
        return None if host is None else host_scope(host)

    def peers_to_share(self, connection_id: ConnectionId) -> tuple[DialAddress, ...]:
        """Addresses for the peer of a connection: proven ones, of a range that it can reach (defect S8)."""
        ready = self.connections.ready(connection_id)
        asker_id = self.connections.table[connection_id].peer_id
        found = self.peers.find(asker_id)
        if ready is None or found is None or CAPABILITY_QUIC_ADDRESS not in ready.capabilities:
            return ()
        scope = self._scope_of_peer(found[0])
        shared: list[DialAddress] = []
        for number, peer in self.peers.table.items():
            if number == found[0] or not peer.is_address_proven or not isinstance(peer.address, QuicAddress):
                continue
            if isinstance(peer.status, Banned) or host_scope(peer.address.host) not in {HostScope.GLOBAL, HostScope.NAME, scope}:
                continue
            shared.append(peer.address)
            if len(shared) == self.config.limits.shared_peers_max:
                break
        return tuple(shared)

    def request_limit(self, connection_id: ConnectionId, channel: ChannelId) -> int:
        """How many items to permit a peer now."""
        if channel == _BEST_TIP:
            return 1
        if POOL_KINDS[channel].request is not None and self.channels.rpc(connection_id) is None:
            return 0  # what could not be fetched need not be announced
        limits = self.config.limits
        room = limits.candidates_per_peer_max - self.pools.of(channel).held_from(connection_id)
        most = limits.propagation_request_max
        return most if room >= most else max(0, room)

    def is_in_step(self, connection_id: ConnectionId) -> bool:
        """Whether a peer is near enough to our best tip to judge pool items (spec: pull-protocol 8.2, sync check).

        Who is far behind can not tell what is valid now, and would only have to fetch it. Of whom nothing is known is
        taken to be near, as is everybody while we have no tip ourselves.
        """
        own, tip = self.best_tips.own, self.best_tips.of_peers.get(connection_id)
        return own is None or own.height is None or tip is None or tip.height + self.config.limits.tip_lag_max >= own.height

    def wants(self, channel: ChannelId, key: bytes, info: PropagationItem) -> bool:
        """Whether an item would enter its pool: it is new and there is room, or it is better than what has its key."""
        items = self.pools.of(channel).items
        known = items.get(key)
        if known is None:
            return len(items) < self.config.limits.pool_items_max
        return POOL_KINDS[channel].is_better(info, known.info)


def _ip_of(remote: SocketAddress) -> Host | None:
    try:
        return parse_ip(remote.host)
    except AddressError:
        return None


def _scope_of(remote: SocketAddress) -> HostScope | None:
    host = _ip_of(remote)
    return None if host is None else host_scope(host)


def initial_state(config: P2pConfig, now: Timestamp) -> P2pState:
    """The state of a node that starts."""
    random = Random(config.seed)
    granularity = config.timeouts.granularity
    waits = Deadlines(granularity)
    salt = config.seed.to_bytes(8, "big")
    pool = Pool(DistributedPool(Index(salt)), DistributedPool(Index(salt)), Index(salt))
    return P2pState(
        Clock(0, now),
        config,
        initial_peers(config, random.stream(0), salt, now),
        Connections(waits),
        Channels(waits),
        BestTips(),
        Pools(waits, pool, pool, pool),
        Signaling(waits, random.stream(1), Index(salt)),
        initial_address_gossip(
            config.address_gossip, random.stream(2), salt, granularity, now, is_on=ChannelId.ADDRESS_GOSSIP in config.channels
        ),
        initial_blocks(config.blocks, config.peer_id, salt),
        initial_relay(salt, granularity),
        network=None if config.libp2p is None else initial_network(config.libp2p, now),
    )
