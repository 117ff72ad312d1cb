"""Routing table, look-ups, requests and provider records."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import TypeAlias

from mina_p2p.address import HostScope, Libp2pAddress, address_group, host_scope
from mina_p2p.identity import ChainId, PeerId
from mina_p2p.ids import ConnectionId, RequestId, Timestamp
from mina_p2p.libp2p.config import KademliaConfig, NetworkConfig
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table

KEY_BITS = 256


def position_of(key: bytes) -> int:
    """Where a key is; of a peer the key is its 38-byte multihash."""
    return int.from_bytes(sha256(key).digest(), "big")


def rendezvous_key(chain_id: ChainId) -> bytes:
    """The key under which the nodes of a chain announce themselves: a sha2-256 multihash (spec: libp2p 8.3)."""
    return b"\x12\x20" + sha256(chain_id.rendezvous.encode("ascii")).digest()


@record
class Entry(Record):
    """A peer of the routing table."""

    peer_id: PeerId
    position: int
    addresses: tuple[Libp2pAddress, ...]
    """Never empty."""
    seen_at: Timestamp

    @property
    def group(self) -> str | None:
        """The network of its first global address, by which diversity is kept."""
        return next((address_group(address.host) for address in self.addresses if host_scope(address.host) is HostScope.GLOBAL), None)


@record
class RoutingTable(Record):
    """Peers by the length of the prefix that their position shares with ours."""

    own_position: int
    buckets: Table[int, tuple[Entry, ...]] = empty_table()
    """Oldest seen first."""

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self.buckets.values())

    def entries(self) -> Iterator[Entry]:
        """All of them, from the farthest bucket on."""
        for bucket in self.buckets.values():
            yield from bucket

    def bucket_of(self, position: int) -> int:
        """The number of a position's bucket."""
        return KEY_BITS - (position ^ self.own_position).bit_length()

    def get(self, peer_id: PeerId) -> Entry | None:
        """The entry of a peer."""
        position = position_of(peer_id.multihash)
        return next((entry for entry in self.buckets.get(self.bucket_of(position), ()) if entry.peer_id == peer_id), None)

    def nearest(self, position: int, count: int) -> list[Entry]:
        """The entries nearest to a position, nearest first."""
        return sorted(self.entries(), key=lambda entry: entry.position ^ position)[:count]

    def adding(self, entry: Entry, config: KademliaConfig, is_connected: Callable[[PeerId], bool]) -> RoutingTable:
        """With a peer, where there is room: a full bucket gives up the one that was not seen for longest and is not connected."""
        number = self.bucket_of(entry.position)
        if number == KEY_BITS:
            return self
        bucket = tuple(other for other in self.buckets.get(number, ()) if other.peer_id != entry.peer_id)
        group = entry.group
        if (
            group is not None
            and sum(other.group == group for other in self.entries() if other.peer_id != entry.peer_id) >= config.per_group_max
        ):
            return self.without(entry.peer_id)
        if len(bucket) >= config.bucket_max:
            victim = next((other for other in bucket if not is_connected(other.peer_id)), None)
            if victim is None:
                return self
            bucket = tuple(other for other in bucket if other is not victim)
        return self.replace(buckets=self.buckets.set(number, (*bucket, entry)))

    def without(self, peer_id: PeerId) -> RoutingTable:
        """Without a peer; the same table where it is not in it."""
        number = self.bucket_of(position_of(peer_id.multihash))
        bucket = self.buckets.get(number, ())
        left = tuple(entry for entry in bucket if entry.peer_id != peer_id)
        if len(left) == len(bucket):
            return self
        return self.replace(buckets=self.buckets.set(number, left) if left else self.buckets.delete(number))


class Progress(enum.IntEnum):
    """How far a look-up is with a candidate."""

    FRESH = 0
    ASKED = 1
    ANSWERED = 2
    FAILED = 3


@record
class Candidate(Record):
    """A peer that a look-up knows."""

    peer_id: PeerId
    distance: int
    addresses: tuple[Libp2pAddress, ...]
    progress: Progress = Progress.FRESH


class LookupKind(enum.IntEnum):
    """What a look-up is for."""

    NODES = 0
    """The nearest peers of a key."""
    PROVIDERS = 1
    """Who announced itself under a key."""
    PROVIDE = 2
    """To announce ourselves to the nearest peers of a key."""


@record
class Lookup(Record):
    """One search. Candidates are sorted by distance."""

    kind: LookupKind
    key: bytes
    candidates: tuple[Candidate, ...]
    providers: tuple[PeerId, ...] = ()

    @property
    def asked_count(self) -> int:
        """Requests under way."""
        return sum(1 for candidate in self.candidates if candidate.progress is Progress.ASKED)

    def next(self, config: KademliaConfig) -> Candidate | None:
        """Whom to ask now: the nearest of the K nearest that have not failed, while there is room for a request."""
        if self.asked_count >= config.parallel:
            return None
        alive = (candidate for candidate in self.candidates if candidate.progress is not Progress.FAILED)
        return next((c for _, c in zip(range(config.bucket_max), alive, strict=False) if c.progress is Progress.FRESH), None)

    def is_over(self, config: KademliaConfig) -> bool:
        """Whether nobody is left to ask or to wait for."""
        return not self.asked_count and self.next(config) is None

    def marked(self, peer_id: PeerId, progress: Progress) -> Lookup:
        """With what became of a candidate."""
        changed = (c.replace(progress=progress) if c.peer_id == peer_id else c for c in self.candidates)
        return self.replace(candidates=tuple(changed))

    def heard(self, found: Iterable[Candidate], candidates_max: int) -> Lookup:
        """With more candidates; the farthest that nobody has asked give way."""
        known = {candidate.peer_id for candidate in self.candidates}
        merged = sorted((*self.candidates, *(c for c in found if c.peer_id not in known)), key=lambda c: c.distance)
        if len(merged) > candidates_max:
            kept = merged[:candidates_max]
            merged = kept + [c for c in merged[candidates_max:] if c.progress is Progress.ASKED]
        return self.replace(candidates=tuple(merged))


@record
class Connecting(Record):
    """The peer is being dialled, or has not been identified yet."""

    untried: tuple[Libp2pAddress, ...]
    """Addresses to try if the one being dialled fails."""


@record
class Asked(Record):
    """The request is on its stream."""

    connection_id: ConnectionId


RequestStatus: TypeAlias = Connecting | Asked


@record
class Request(Record):
    """What a look-up wants of one peer."""

    lookup_id: RequestId
    peer_id: PeerId
    status: RequestStatus
    deadline: Timestamp


@record
class Provider(Record):
    """Who announced itself under a key."""

    peer_id: PeerId
    addresses: tuple[Libp2pAddress, ...]
    until: Timestamp


@record
class Kademlia(Record):
    """The slice."""

    table: RoutingTable
    deadlines: Deadlines
    """Of requests."""
    providers: Index[tuple[Provider, ...]]
    """By key; oldest first."""
    provider_keys: tuple[bytes, ...]
    """Oldest first."""
    random: Random
    lookups: Table[RequestId, Lookup] = empty_table()
    requests: Table[int, Request] = empty_table()
    next_id: int = 1
    """Of look-ups and requests."""
    next_refresh_at: Timestamp | None = None
    """When the table is looked after next; nothing before it holds a peer."""
    own_keys: tuple[bytes, ...] = ()
    """Keys under which we announce ourselves again and again."""
    next_provide_at: Timestamp | None = None

    def providers_of(self, key: bytes, now: Timestamp) -> tuple[Provider, ...]:
        """Those whose announcement still holds."""
        return tuple(provider for provider in self.providers.get(key) or () if provider.until > now)


def initial_kademlia(config: NetworkConfig, salt: bytes, random: Random, now: Timestamp) -> Kademlia:
    """A slice that knows nobody."""
    table = RoutingTable(position_of(config.peer_id.multihash))
    keys = (rendezvous_key(config.chain_id),) if config.is_advertised and config.is_discovery_enabled else ()
    return Kademlia(table, Deadlines(config.granularity), Index(salt), (), random, own_keys=keys, next_provide_at=now if keys else None)
