"""The peer table of a node that starts: what its configuration names, then what it remembers of the last run."""

from __future__ import annotations

from mina_p2p.config import P2pConfig
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.peer.bans import GroupBans
from mina_p2p.peer.buckets import Shape
from mina_p2p.peer.config import SALT_LENGTH, PeerTableConfig, RememberedPeer
from mina_p2p.peer.state import GIVEN, Disconnected, Grouping, Peer, Peers, PeerSource
from mina_p2p.prng import Random
from mina_p2p.table import Deadlines, Index


def initial_peers(config: P2pConfig, random: Random, salt: bytes, now: Timestamp) -> Peers:
    """The slice's state.

    :param salt: of the indexes.
    """
    limits = config.limits
    grouping = Grouping(limits.group_ipv4_bits, limits.group_ipv6_bits)
    waits = Deadlines(config.timeouts.granularity)
    shape = shape_of(config.peer_table, config.seed)
    peers: Peers = Peers(Index(salt), waits, random, shape, grouping, Index(salt), GroupBans(Index(salt)))
    peers = peers.replace(next_rotation_at=Timestamp(now + config.peer_table.rotation_interval))
    for address in config.initial_peers:
        if address.peer_id != config.peer_id and address.peer_id not in peers.index:
            peers = peers.add(Peer(address.peer_id, address, PeerSource.CONFIG, None, Disconnected(now)))
    for known in config.peer_table.remembered:
        if known.address.peer_id != config.peer_id:
            peers = _remembering(peers, known, config, now)
    return peers


def shape_of(table: PeerTableConfig, seed: int) -> Shape:
    """The buckets of a node."""
    salt = table.salt
    if salt is None:
        first, random = Random(seed).stream(3).next()
        second, _ = random.next()
        salt = first.to_bytes(SALT_LENGTH // 2, "big") + second.to_bytes(SALT_LENGTH // 2, "big")
    return Shape(
        salt,
        table.new_max,
        table.new_buckets,
        table.new_buckets_per_source,
        table.tried_max,
        table.tried_buckets,
        table.tried_buckets_per_group,
        table.group_ipv4_bits,
        table.group_ipv6_bits,
    )


def _remembering(peers: Peers, known: RememberedPeer, config: P2pConfig, now: Timestamp) -> Peers:
    """With one that was known before, where there is room; the bounds are those for everybody, since what is kept came from others."""
    peer_id: PeerId = known.address.peer_id
    limits = config.limits
    if peer_id not in peers.index:
        if len(peers) >= limits.known_peers_max or not peers.has_group_room(known.address, known.source, limits.known_per_group_max):
            return peers
        is_tried = known.is_tried and len(peers.tried) < config.peer_table.tried_max
        peer = Peer(
            peer_id,
            known.address,
            PeerSource.REMEMBERED if known.source in GIVEN else known.source,
            None,
            Disconnected(now),
            is_address_proven=is_tried,
            last_success=None if known.last_success is None else min(known.last_success, now),
            told_in=known.told_in,
            is_tried=is_tried,
        )
        if peers.bucket_for(peer) is None:
            return peers
        peers = peers.add(peer)
    number = peers.index.get(peer_id)
    is_anchor = known.is_anchor and number is not None and len(peers.anchors) < config.peer_table.anchors_max
    return peers.replace(anchors=peers.anchors.set(number, None)) if is_anchor and number is not None else peers
