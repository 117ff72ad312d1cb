"""The root of the libp2p slices: a machine of their own, which a larger root can hold."""

from __future__ import annotations

from mina_p2p.address import HostScope, Libp2pAddress, host_scope
from mina_p2p.gossipsub.state import Gossipsub, initial_gossipsub
from mina_p2p.identify.state import Identify
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.kademlia.state import Kademlia, initial_kademlia
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.gating import EVERY_PRIVATE_RANGE, Gating, initial_gating, remote_ip
from mina_p2p.libp2p.links import Links
from mina_p2p.libp2p.node_status.state import NodeStatus
from mina_p2p.libp2p.protocols import KADEMLIA, PROTOCOLS
from mina_p2p.libp2p_rpc.state import Rpcs
from mina_p2p.peer_exchange.state import PeerExchange
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.store import Clock
from mina_p2p.table import Deadlines, Index


@record
class NetworkState(Record):
    """All that a libp2p node knows."""

    clock: Clock
    config: NetworkConfig
    links: Links
    identify: Identify
    kademlia: Kademlia
    gossipsub: Gossipsub
    rpcs: Rpcs
    gating: Gating
    node_status: NodeStatus
    exchange: PeerExchange
    next_keep_at: Timestamp
    """When to look after the number of connections next."""
    next_direct_at: Timestamp = Timestamp(0)
    """When to dial direct peers next."""
    is_dialling_allowed: bool = True
    """Whether this node dials by itself."""

    @property
    def addresses(self) -> tuple[Libp2pAddress, ...]:
        """Where others can dial us, for identify and Kademlia."""
        return self.config.external_addresses or self.links.listening

    @property
    def protocols(self) -> tuple[str, ...]:
        """What this node speaks, as it says in identify."""
        return tuple(name for name in PROTOCOLS if name != KADEMLIA.name or self.config.is_discovery_enabled)

    def scope_of(self, connection_id: ConnectionId) -> HostScope | None:
        """From where a connection's peer speaks to us."""
        link = self.links.linked(connection_id)
        ip = None if link is None else remote_ip(link.remote.host)
        return None if ip is None else host_scope(ip)

    def accepts_address(self, address: Libp2pAddress, named_by: ConnectionId) -> bool:
        """Whether an address that a peer named is believed: private ones only from peers of the same range, none of who is banned."""
        return self.shows_address(address, named_by) and not self.gating.is_unwanted(address.peer_id, address.host)

    def shows_address(self, address: Libp2pAddress, to: ConnectionId) -> bool:
        """Whether the peer of a connection could dial that address: those of private ranges only from the same range."""
        scope = host_scope(address.host)
        if scope is HostScope.GLOBAL or scope is HostScope.NAME:
            return True
        return scope is not HostScope.RESERVED and (self.config.are_private_addresses_allowed or self.scope_of(to) is scope)

    def may_dial(self, address: Libp2pAddress) -> bool:
        """Whether that address can be dialled now."""
        links, config = self.links, self.config
        return (
            address.peer_id != config.peer_id
            and len(links.table) < config.connections_hard_max
            and len(links.dials) < config.dials_max
            and address.peer_id not in links.dials
            and links.connection_to(address.peer_id) is None
            and self.gating.denial(address.peer_id, address.host) is None
        )

    def is_direct(self, peer_id: PeerId) -> bool:
        """Whether that peer is given everything, outside of meshes."""
        return any(address.peer_id == peer_id for address in self.config.direct_peers)

    def is_settled(self, peer_id: PeerId) -> bool:
        """Whether that peer is connected and has been identified."""
        number = self.links.numbers.get(peer_id)
        return number is not None and number in self.identify.peers


def initial_network(config: NetworkConfig, now: Timestamp) -> NetworkState:
    """The state of a libp2p node that starts."""
    salt = (config.seed & (1 << 64) - 1).to_bytes(8, "big")
    random = Random(config.seed & (1 << 64) - 1)
    return NetworkState(
        Clock(0, now),
        config,
        Links(Deadlines(config.granularity), Index(salt), Index(salt), Deadlines(config.granularity)),
        Identify(),
        initial_kademlia(config, salt, random.stream(10), now),
        initial_gossipsub(config, salt, random.stream(11), now),
        Rpcs(Deadlines(config.granularity)),
        initial_gating(
            config.gating,
            EVERY_PRIVATE_RANGE if config.are_private_addresses_allowed else config.known_private_ranges,
            tuple(address.peer_id for address in (*config.initial_peers, *config.direct_peers)),
            salt,
        ),
        NodeStatus(),
        PeerExchange(),
        now,
    )
