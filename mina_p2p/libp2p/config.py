"""Every limit, duration and choice of the libp2p slices. Durations are nanoseconds (spec: libp2p 7 to 9, 11)."""

from __future__ import annotations

from attrs import field
from attrs.validators import ge, gt, max_len

from mina_p2p.address import Libp2pAddress
from mina_p2p.identity import ChainId, PeerId
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.libp2p.gating import GatingConfig, IpRange
from mina_p2p.record import Record, record

AGENT = "mina_p2p"
TOPIC_V0 = "coda/consensus-messages/0.0.1"
"""The one topic in use. A subscription to any newer one makes OCaml nodes drop this one (spec: libp2p 9)."""


@record
class KademliaConfig(Record):
    """Routing table, look-ups and provider records."""

    bucket_max: int = field(default=20, validator=gt(0))
    """Peers of a bucket, peers of an answer, peers a look-up ends with: Kademlia's K."""
    parallel: int = field(default=6, validator=gt(0))
    """Requests of one look-up under way."""
    candidates_max: int = field(default=100, validator=gt(0))
    """Peers that one look-up remembers."""
    lookups_max: int = field(default=8, validator=gt(0))
    addresses_max: int = field(default=16, validator=gt(0))
    """Addresses of one peer."""
    dial_addresses_max: int = field(default=3, validator=gt(0))
    """Addresses of one peer that a look-up tries."""
    per_group_max: int = field(default=3, validator=gt(0))
    """Peers of the table, and peers that one PRUNE tells of, whose first global address is in one network (spec: libp2p 8.2)."""
    request_timeout: int = field(default=25 * SECOND, validator=gt(0))
    """From the choice of a peer to its answer, dial included."""
    refresh: int = field(default=600 * SECOND, validator=gt(0))
    refresh_when_small: int = field(default=60 * SECOND, validator=gt(0))
    """The same while the table holds ``small_max`` peers or fewer."""
    small_max: int = field(default=10, validator=ge(0))
    provider_validity: int = field(default=48 * 3600 * SECOND, validator=gt(0))
    provide_again: int = field(default=6 * 3600 * SECOND, validator=gt(0))
    provider_keys_max: int = field(default=256, validator=gt(0))
    providers_per_key_max: int = field(default=200, validator=gt(0))
    provider_key_bytes_max: int = field(default=80, validator=gt(0))


@record
class GossipsubConfig(Record):
    """GossipSub's parameters; the helper runs with the library's defaults (spec: libp2p 9)."""

    mesh_wanted: int = field(default=6, validator=gt(0))
    mesh_min: int = field(default=5, validator=gt(0))
    mesh_max: int = field(default=12, validator=gt(0))
    mesh_outgoing_min: int = field(default=2, validator=ge(0))
    gossip_peers_min: int = field(default=6, validator=ge(0))
    gossip_percent: int = field(default=25, validator=ge(0))
    history_windows: int = field(default=5, validator=gt(0))
    gossip_windows: int = field(default=3, validator=gt(0))
    heartbeat: int = field(default=SECOND, validator=gt(0))
    heartbeat_first: int = field(default=100 * MILLISECOND, validator=gt(0))
    fanout_ttl: int = field(default=60 * SECOND, validator=gt(0))
    prune_backoff: int = field(default=60 * SECOND, validator=gt(0))
    unsubscribe_backoff: int = field(default=10 * SECOND, validator=gt(0))
    seen_ttl: int = field(default=120 * SECOND, validator=gt(0))
    iwant_answers_max: int = field(default=3, validator=gt(0))
    """How often one message is sent again to one peer."""
    ihave_messages_max: int = field(default=10, validator=gt(0))
    """IHAVEs of one peer that are looked at between two heartbeats."""
    ihave_ids_max: int = field(default=5000, validator=gt(0))
    """Ids that one peer may make us ask for between two heartbeats."""
    message_bytes_max: int = field(default=32 << 20, validator=gt(0))
    cache_bytes_max: int = field(default=256 << 20, validator=gt(0))
    """Bytes of messages that are kept for peers that ask; the oldest windows give way."""
    validations_max: int = field(default=150, validator=gt(0))
    """Messages that wait for a verdict; more are dropped, and can be asked for again."""
    validation_bytes_max: int = field(default=256 << 20, validator=gt(0))
    """Bytes of such messages; what would be over is dropped in the same way. One message may always wait."""
    validation_timeout: int = field(default=300 * SECOND, validator=gt(0))
    verifications_max: int = field(default=1024, validator=gt(0))
    """Signatures that wait for the runtime."""
    seen_max: int = field(default=200_000, validator=gt(0))
    topics_per_peer_max: int = field(default=16, validator=gt(0))
    backoffs_max: int = field(default=4096, validator=gt(0))
    is_peer_exchange_enabled: bool = False
    """Whether peers that are pruned are told of others, and those are dialled of whom we are told; signed records in identify go with it."""
    exchanged_peers_max: int = field(default=16, validator=gt(0))
    """Peers that one PRUNE tells of."""
    signature_timeout: int = field(default=60 * SECOND, validator=gt(0))
    """For a signature by the runtime, or its word on one: messages and records that wait longer are forgotten."""
    is_flooding: bool = False
    """Whether our own messages go to every subscriber instead of the mesh."""


@record
class NetworkConfig(Record):
    """One node of a libp2p network."""

    peer_id: PeerId
    chain_id: ChainId
    seed: int = 0
    """Of the dice."""
    initial_peers: tuple[Libp2pAddress, ...] = ()
    direct_peers: tuple[Libp2pAddress, ...] = field(default=(), validator=max_len(64))
    """Peers that have agreed to be connected with us: trusted, dialled again and again, and given every message, outside of any mesh."""
    direct_every: int = field(default=300 * SECOND, validator=gt(0))
    """How often those that are not connected are dialled."""
    external_addresses: tuple[Libp2pAddress, ...] = ()
    """Told to others instead of what the transport listens on."""
    connections_min: int = field(default=20, validator=ge(0))
    """Below, peers that were discovered are dialled."""
    connections_max: int = field(default=50, validator=gt(0))
    """Above, those that are least useful are ended until ``connections_min`` are left (the helper's low and high water)."""
    connections_hard_max: int = field(default=100, validator=gt(0))
    """Arrivals above are refused, and nothing is dialled."""
    grace: int = field(default=15 * SECOND, validator=ge(0))
    """Age under which a connection is not ended for want of room."""
    keep_every: int = field(default=10 * SECOND, validator=gt(0))
    """How often the number of connections is looked after."""
    is_discovery_enabled: bool = True
    """Whether this node speaks Kademlia; else it knows whom it is told of and who comes."""
    is_advertised: bool = True
    """Whether this node announces itself under the chain's rendezvous, and looks for others there."""
    protected_percent: int = field(default=20, validator=ge(0))
    """Share of the routing table whose peers are not ended for want of room, though at most ``connections_min`` of them (spec: libp2p 11)."""
    dials_max: int = field(default=32, validator=gt(0))
    """Dials under way."""
    dial_timeout: int = field(default=30 * SECOND, validator=gt(0))
    """From a dial to the authenticated connection; the transport gives up before, but for a fault of its own."""
    per_peer_max: int = field(default=4, validator=gt(0))
    """Connections with one peer: Go nodes open several."""
    are_private_addresses_allowed: bool = False
    """Whether addresses of private ranges are believed from everybody, not only from peers of the same range, and dialled."""
    known_private_ranges: tuple[IpRange, ...] = ()
    """Private ranges that are dialled besides those from which peers have come; trusted peers are dialled wherever they are."""
    gating: GatingConfig = GatingConfig()
    """Whom this node is not connected with, and whom always; `NetworkGatingSet` replaces it. Peers of ``initial_peers`` are trusted."""
    granularity: int = field(default=100 * MILLISECOND, validator=gt(0))
    topics: tuple[str, ...] = (TOPIC_V0,)
    agent: str = AGENT
    kademlia: KademliaConfig = field(factory=KademliaConfig)
    gossipsub: GossipsubConfig = field(factory=GossipsubConfig)
