"""Every limit, time-out and choice of a node, in one record that is part of its state.

Durations are nanoseconds, sizes are bytes. Defaults are the reference's where it has one
(spec: pull-protocol 7.2); what has no counterpart there says why it is what it is.
"""

from __future__ import annotations

from typing import Any

import attrs

from mina_p2p.address import DialAddress
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identity import ChainId, PeerId
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.record import Record, field_names, record
from mina_p2p.relay.config import RelayConfig
from mina_p2p.transport import TransportKind

PROTOCOL_VERSION = 1
"""The version of hello and stream mapping that this library speaks."""

JITTER_PERCENT_MAX = 90
"""A back-off keeps a tenth of its length at least."""

_positive = attrs.validators.gt(0)


def _between(least: int, most: int) -> Any:
    return attrs.validators.and_(attrs.validators.ge(least), attrs.validators.le(most))


@record
class Limits(Record):
    """Bounds of every container and of every message."""

    peers_max: int = attrs.field(default=100, validator=_positive)
    """Connections in all; an attempt counts from its first moment (defect N7)."""
    peers_min: int = attrs.field(default=50, validator=attrs.validators.ge(0))
    """Below this many connections the node dials peers it knows."""
    peers_stable_percent: int = attrs.field(default=80, validator=_between(1, 100))
    """Share of ``peers_max`` above which one ready connection after the other makes room for newcomers (reference: 80 %)."""
    peers_protected_percent: int = attrs.field(default=40, validator=_between(0, 100))
    """Share of ``peers_max`` that never makes room: the connections that have been useful for longest."""
    peers_per_group_max: int = attrs.field(default=32, validator=_positive)
    """Connections with hosts of one network; what the node software or its configuration names is exempt, and so are private networks."""
    group_ipv4_bits: int = attrs.field(default=24, validator=_between(0, 32))
    """Leading bits of an IPv4 address that make a network, for all bounds and bans by network of the peer table."""
    group_ipv6_bits: int = attrs.field(default=48, validator=_between(0, 128))
    """Leading bits of an IPv6 address that make a network."""
    banned_groups_max: int = attrs.field(default=1_000, validator=_positive)
    """Bans of networks; the one that ends first gives way to a new one."""
    referrals_max: int = attrs.field(default=2, validator=_between(0, 4))
    """Addresses of other peers that a refusal for want of room names, as far as they fit, so that a newcomer gets on."""
    dials_per_tick_max: int = attrs.field(default=8, validator=_positive)
    """Dials that begin at one look at the deadlines, so that a start is no burst."""
    dials_pending_max: int = attrs.field(default=8, validator=_positive)
    """Dials under way at one time; all that a node dials by itself waits until there are fewer (spec: address-gossip 5.5)."""
    dials_per_group_max: int = attrs.field(default=4, validator=_positive)
    """Of these, dials into one network, so that nobody can have many nodes knock at somebody's door at once (spec: address-gossip 5.5);
    what the node software or its configuration names is exempt, and so are private networks."""
    peers_outgoing_percent: int = attrs.field(default=8, validator=_between(0, 100))
    """Share of ``peers_max`` that is kept for connections that this node dials, up to ``peers_min``: no number of arrivals can take
    these places, nor are they given up for newcomers (eclipse)."""
    known_peers_max: int = attrs.field(default=2_400, validator=_positive)
    """Records of peers, connected or not."""
    known_per_group_max: int = attrs.field(default=64, validator=_positive)
    """Records of peers with hosts of one network, but for those that are connected (eclipse); exempt as above."""
    discovered_per_source_max: int = attrs.field(default=100, validator=_positive)
    """Peers taken from one peer's answer: one liar can not fill the table."""
    shared_peers_max: int = attrs.field(default=100, validator=_positive)
    """Addresses in our own answer."""
    propagation_request_max: int = attrs.field(default=32, validator=attrs.validators.and_(_positive, attrs.validators.le(255)))
    """Items one permission asks for (reference: 32; its u8 allows 255)."""
    candidates_per_peer_max: int = attrs.field(default=32, validator=_positive)
    """Announced items of one kind that may wait for fetch or verdict, by peer (reference: 32).

    This also bounds how many announcers are remembered in all. Of one item they all are: what a peer
    announced it does not announce again, so that forgetting one could mean never to get the item.
    """
    pool_items_max: int = attrs.field(default=3_000, validator=_positive)
    """Items of one kind (reference: transaction pool size 3000); a full pool takes no more until one is removed."""
    tip_lag_max: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    """Blocks that a peer's best tip may be behind ours for pool items to be announced to it (reference: none, but it checks every
    tick; here announcements wait until the peer has caught up)."""
    rpc_requests_max: int = attrs.field(default=5, validator=_positive)
    """Requests of ours outstanding at one peer; what the reference accepts (C10)."""
    rpc_pending_max: int = attrs.field(default=5, validator=_positive)
    """Requests of one peer that wait for our answer."""
    peer_streams_max: int = attrs.field(default=16, validator=_positive)
    """Streams a peer may have open towards us: one per propagation and signaling channel, RPCs, one streaming RPC."""
    answer_bytes_granted_max: int = attrs.field(default=1 << 30, validator=_positive)
    """Answer bytes that all peers together may be permitted by RPC at one time."""
    streaming_part_bytes_max: int = attrs.field(default=16 << 20, validator=_positive)
    """Longest frame of one part of a streamed answer (spec: pull-protocol 3.3)."""
    streaming_answer_bytes_max: int = attrs.field(default=256 << 20, validator=_positive)
    """All parts of a streamed answer together, received or sent: what the same answer may take in one piece."""
    streaming_trees_max: int = attrs.field(default=1_024, validator=_positive)
    """Trees of a scan state that a peer may announce; mainnet's has at most 25."""
    streaming_serving_max: int = attrs.field(default=4, validator=_positive)
    """Streamed answers that are prepared or sent at one time, for all peers: each may hold a whole staged ledger."""
    signaling_pairs_max: int = attrs.field(default=1_000, validator=_positive)
    """Introductions that a relay remembers, so that it does not repeat them (defect R8)."""
    hello_bytes_max: int = attrs.field(default=4_096, validator=_positive)
    """Longest introduction of a peer; a longer one is an invalid one."""
    deadlines_per_turn_max: int = attrs.field(default=256, validator=_positive)
    """Due deadlines one `CheckTimeouts` takes; it is dispatched again while more are due."""

    @property
    def peers_outgoing(self) -> int:
        """Connections that this node keeps by dialling, whatever arrives."""
        return min(self.peers_min, self.peers_max * self.peers_outgoing_percent // 100)

    @property
    def peers_stable(self) -> int:
        """Ready connections up to which nobody has to make room."""
        return max(self.peers_min, self.peers_max * self.peers_stable_percent // 100)

    @property
    def peers_protected(self) -> int:
        """Ready connections that never have to make room."""
        return self.peers_max * self.peers_protected_percent // 100


@record
class Timeouts(Record):
    """Every wait ends; these say when."""

    outgoing_connection: int = 15 * SECOND
    """One state of an outgoing attempt."""
    incoming_connection: int = 30 * SECOND
    """One state of an incoming attempt."""
    hello: int = 5 * SECOND
    """From the handshake's end to the peer's hello."""
    attempt: int = 40 * SECOND
    """A whole attempt, whatever its states (defect N8)."""
    crossing_dials: int = 5 * SECOND
    """Two dials of each other within this time are one meeting: the dial of the greater id stays."""
    replace_connection: int = 30 * SECOND
    """A ready connection younger than this is not replaced by a new arrival of the same peer."""
    reconnect: int = 10 * SECOND
    """First back-off after a failure; doubles with each further one."""
    reconnect_max: int = 3_600 * SECOND
    """Longest back-off, before its jitter."""
    reconnect_foreign: int = 500 * SECOND
    """After a wrong chain or version; ten minutes at most with its jitter, since a node that moves to our chain has to be found again
    (spec: address-gossip AG-10)."""
    reconnect_duplicate: int = 5 * SECOND
    """After losing a simultaneous dial: nobody failed."""
    reconnect_full: int = 30 * SECOND
    """After a peer had no room: nobody failed, and it makes room from time to time."""
    reconnect_freed: int = 120 * SECOND
    """After one of two made room: others shall have it first."""
    churn: int = 10 * SECOND
    """Between two connections that make room (reference: 10 s)."""
    churn_age: int = 90 * SECOND
    """Connections younger than this make no room (reference: 90 s)."""
    address_proven: int = 86_400 * SECOND
    """A peer that was reached longer ago than this is worth no more than hearsay where records have to go."""
    reconnect_jitter_percent: int = 20
    """How far a back-off may be longer or shorter, so that many nodes do not come back at one moment; at most 90."""
    ban: int = 600 * SECOND
    """After a violation of the protocol."""
    parked_permission: int = 600 * SECOND
    """A permission that nobody used is withdrawn and given anew, so that no stream waits for ever."""
    best_tip_interval: int = 1 * SECOND
    """Least time between two best tips of one peer."""
    answer: int = 30 * SECOND
    """From the first word of an answer to its end (defect C7)."""
    verdict: int = 60 * SECOND
    """The node software's verdict on an item."""
    candidate: int = 300 * SECOND
    """From the first announcement of an item until it is given up, if nobody who announced it can be asked."""
    settled: int = 600 * SECOND
    """How long what a best tip settled is not fetched from peers that have not heard of that tip."""
    transaction_age: int = 7_200 * SECOND
    """How long a transaction is spread, and then not taken again (OCaml's ``transaction_expiry_hr``: 2 h)."""
    snark_age: int = 7_200 * SECOND
    """How long a snark work is spread, as above."""
    commitment_age: int = 600 * SECOND
    """How long a commitment is spread, as above: longer than the longest job takes (spec: pull-protocol 8.5)."""
    serve: int = 30 * SECOND
    """The node software's answer to a peer's request, at most; never more than 3/4 of our own patience for that kind (the waits
    ``rpc_...``), as others' is the same. Then the peer gets ``None`` (defect C5)."""
    rediscover: int = 60 * SECOND
    """Between two questions for peers while there are too few (reference: 60 s)."""
    rpc_best_tip_with_proof: int = 15 * SECOND
    """A peer's answer to a question for its best tip (this and the next six as the reference; spec: pull-protocol 5.7)."""
    rpc_ledger_query: int = 4 * SECOND
    """A peer's answer to a question about a ledger."""
    rpc_staged_ledger: int = 180 * SECOND
    """A peer's answer with a staged ledger in one piece."""
    rpc_block: int = 8 * SECOND
    """A peer's answer with a block."""
    rpc_snark: int = 8 * SECOND
    """A peer's answer with a snark work."""
    rpc_transaction: int = 8 * SECOND
    """A peer's answer with a transaction."""
    rpc_initial_peers: int = 5 * SECOND
    """A peer's answer with addresses of others."""
    streaming_rpc: int = 30 * SECOND
    """Between two parts of a streamed answer, in either role (reference: 30 s; defect C6)."""
    streaming_rpc_answer: int = 600 * SECOND
    """A whole streamed answer, however well it progresses."""
    streaming_rpc_serve: int = 20 * SECOND
    """The node software's answer to a peer's streamed question; less than that peer's patience (defect C5)."""
    signaling_make: int = 15 * SECOND
    """Making and encrypting an offer or an answer, or decrypting one (reference: 15 s for an attempt's state; defect R4)."""
    signaling_relay: int = 20 * SECOND
    """As a relay, from a proposal to the offer, from the offer to the answer, from the answer to the stream's end."""
    signaling_answer: int = 30 * SECOND
    """As a dialer, from the offer to the answer."""
    signaling_pause: int = 60 * SECOND
    """As a relay, from one introduction of a peer to its next (reference: 60 s), and until a pair that failed is tried again."""
    signaling_pair: int = 600 * SECOND
    """As a relay, until a pair is introduced again that was introduced, or of which one declined the other (defect R8)."""
    signaling_recheck: int = 10 * SECOND
    """How often a half that had no need or no room looks again (defect R3)."""
    stream_settle: int = 5 * SECOND
    """From a reset of a request of ours to the next one on its channel, which must not overtake it."""
    granularity: int = 100 * MILLISECOND
    """Resolution of all of the above: never early, at most this late."""

    def __attrs_post_init__(self) -> None:
        """Refuse a wait that would end at once or never.

        :raises ValueError: with the field that is wrong.
        """
        for name in field_names(type(self)):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is not positive")
        if self.reconnect_jitter_percent > JITTER_PERCENT_MAX:
            raise ValueError(f"reconnect_jitter_percent is over {JITTER_PERCENT_MAX}")
        if not self.signaling_make < self.signaling_relay < self.signaling_answer:
            # Whoever waits for another's work must wait longer than that work may take.
            raise ValueError("signaling_make, signaling_relay and signaling_answer must grow in this order")


ALL_CHANNELS = (
    ChannelId.SIGNALING_DISCOVERY,
    ChannelId.SIGNALING_EXCHANGE,
    ChannelId.BEST_TIP,
    ChannelId.TRANSACTION,
    ChannelId.SNARK,
    ChannelId.SNARK_JOB_COMMITMENT,
    ChannelId.RPC,
    ChannelId.STREAMING_RPC,
)
"""The channels this version serves."""


@record
class P2pConfig(Record):
    """Who a node is and how it behaves."""

    peer_id: PeerId
    """Who this node is: the id of its key."""
    chain_id: ChainId
    """Which network it is of; peers of another are refused."""
    seed: int = 0
    """64 bits that decide the dice of this node; not a secret."""
    agent: str = attrs.field(default="mina_p2p", validator=attrs.validators.max_len(64))
    """What the hello says of the program; for people."""
    channels: tuple[ChannelId, ...] = ALL_CHANNELS
    """The channels that the hello offers; those that both sides offer are used."""
    capabilities: tuple[str, ...] = ("quic-address",)
    """Short words that the hello announces; ``quic-address``: understands dial options of tag 2."""
    transport: TransportKind = TransportKind.QUIC
    """What carries the connections this node dials."""
    initial_peers: tuple[DialAddress, ...] = ()
    """Peers that the node knows from its start."""
    is_discovery_enabled: bool = True
    """Whether to ask peers for more peers while below ``limits.peers_min``."""
    are_introductions_taken: bool = False
    """Whether the node software makes WebRTC connections from offers and answers.

    Only then does the node ask relays to be introduced, and take the offers of others. As a relay it serves in any case.
    """
    are_private_addresses_allowed: bool = False
    """Whether addresses of private ranges are taken from global peers and dialled; peers of the same range always may."""
    are_settled_items_dropped: bool = True
    """Whether what a new best tip contains or outdates leaves the pools by itself, and is not taken from peers for a while."""
    address_gossip: AddressGossipConfig = AddressGossipConfig()
    """How addresses are gossiped, where ``channels`` has ``ChannelId.ADDRESS_GOSSIP``."""
    blocks: BlocksConfig = BlocksConfig()
    """How blocks are announced and fetched, where ``channels`` has ``ChannelId.BLOCK``; with peers that have it too that is in place
    of whole best tips."""
    libp2p: NetworkConfig | None = None
    """How this node takes part in libp2p's network, of the same peer id and chain; ``None``: not at all."""
    relay: RelayConfig = RelayConfig()
    """What is relayed between libp2p's gossip and those who pull, where ``libp2p`` is on."""
    peer_table: PeerTableConfig = PeerTableConfig()
    """How the table of peers is bounded against an owner of many addresses, and what it remembers."""
    limits: Limits = Limits()
    """Bounds of every container and of every message."""
    timeouts: Timeouts = Timeouts()
    """When every wait ends."""

    def __attrs_post_init__(self) -> None:
        """Refuse what could not work, before any state exists.

        :raises ValueError: with what to change.
        """
        if self.limits.peers_min > self.limits.peers_max:
            raise ValueError(f"peers_min {self.limits.peers_min} is over peers_max {self.limits.peers_max}; lower the former")
        if self.limits.known_peers_max < self.limits.peers_max:
            raise ValueError(
                f"known_peers_max {self.limits.known_peers_max} has no room for peers_max {self.limits.peers_max}; raise the former"
            )
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("a channel is listed twice")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError("seed must be 64 bits, not negative")
        if self.libp2p is not None and (self.libp2p.peer_id, self.libp2p.chain_id) != (self.peer_id, self.chain_id):
            raise ValueError("libp2p has another peer_id or chain_id; a node is one peer of one chain on every transport")
