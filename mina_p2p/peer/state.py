"""Peers: what is known of other nodes, connected or not.

Every record is in exactly one status. The table is bounded; `Peers.put` is the one place
where a record changes, so that index, buckets, dialable sets and deadlines can not disagree with it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, TypeAlias

from mina_p2p.address import DialAddress, Host, HostScope, QuicAddress, address_group, dial_host, host_scope
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, Timestamp
from mina_p2p.peer.bans import GroupBans
from mina_p2p.peer.buckets import Buckets, Shape
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table


class PeerSource(enum.IntEnum):
    """How this node learned of a peer."""

    CONFIG = 0
    USER = 1
    INCOMING = 2
    INITIAL_PEERS = 3
    """Another peer's answer to the initial-peers RPC."""
    REFERRAL = 4
    """The refusal of a peer that had no room."""
    ADDRESS_GOSSIP = 5
    """A record that the peer itself signed."""
    SIGNALING = 6
    """A relay's introduction (signaling discovery)."""
    KADEMLIA = 7
    """A look-up in libp2p's distributed hash table."""
    REMEMBERED = 8
    """What was kept from the last run, in which a person had named it."""
    PEER_EXCHANGE = 9
    """A gossip peer that had no more room in its mesh, with a record that the peer itself signed."""


GIVEN: Final = frozenset({PeerSource.CONFIG, PeerSource.USER})
"""A person named the peer: bounds that are there against liars are not for it."""


@record
class Disconnected(Record):
    """Not connected; may be dialled if its address is known."""

    since: Timestamp


@record
class BackingOff(Record):
    """Not dialled before ``until``."""

    until: Timestamp
    reason: Reason


@record
class Banned(Record):
    """Neither dialled nor accepted before ``until``."""

    until: Timestamp
    reason: Reason
    since: Timestamp


@record
class Attached(Record):
    """Connecting or connected, by one connection."""

    connection_id: ConnectionId


PeerStatus: TypeAlias = Disconnected | BackingOff | Banned | Attached


@record
class Peer(Record):
    """One known node."""

    peer_id: PeerId
    address: DialAddress | None
    source: PeerSource
    """How we learned of it first."""
    learned_from: PeerNumber | None
    """Who told us, where a peer did."""
    status: PeerStatus
    is_address_proven: bool = False
    """Whether the peer was reached at this address, or its packets came from there after a handshake."""
    failures: int = 0
    """Failed attempts since the last success."""
    last_success: Timestamp | None = None
    useful_at: Timestamp | None = None
    """When it last gave us what the node software found good."""
    also_from: tuple[PeerSource, ...] = ()
    """In which other ways we have learned of it since."""
    told_in: str = ""
    """The network of who told us first; empty where nobody did."""
    is_tried: bool = False
    """Whether it is among those that we reached by a dial of our own."""
    bucket: int | None = None
    """Where it is in the table of new or of tried peers; nowhere if a person named it, and without an address."""

    @property
    def wakes_at(self) -> Timestamp | None:
        """When the status ends by itself."""
        return self.status.until if isinstance(self.status, BackingOff | Banned) else None

    @property
    def is_dialable(self) -> bool:
        """Whether it waits to be dialled over a pull transport; others have rules of their own."""
        if self.address is None or not isinstance(self.status, Disconnected):
            return False
        return self.is_given or (self.bucket is not None and isinstance(self.address, QuicAddress))

    @property
    def sources(self) -> tuple[PeerSource, ...]:
        """Every way in which we have learned of it, the first one first."""
        return (self.source, *self.also_from)

    @property
    def is_hopeless(self) -> bool:
        """Whether it was never reached and has been tried often enough: anybody else is worth more."""
        return self.last_success is None and self.failures >= HOPELESS_AFTER_FAILURES and not isinstance(self.status, Attached)

    @property
    def is_given(self) -> bool:
        """Whether a person named it."""
        return self.source in GIVEN

    def takes_address(self, address: DialAddress) -> bool:
        """Whether an address that somebody names is taken for this peer.

        The first one is. It gives way when dialling it has failed, or a liar who was first could
        hide a peer for ever.
        """
        if self.address is None:
            return True
        if isinstance(address, QuicAddress) and not isinstance(self.address, QuicAddress):
            return not self.is_given  # we can dial it ourselves
        is_doubtful = self.failures > 0 and not self.is_address_proven and not self.is_given
        return is_doubtful and address != self.address and not isinstance(self.status, Attached)

    def keep_rank(self, stale_before: Timestamp) -> int | None:
        """How much is lost with the record, the least first; ``None``: it has to stay.

        :param stale_before: a proven address that was last good before this is as hearsay.
        """
        match self.status:
            case Attached():
                return None
            case Banned():
                return 3
            case _:
                is_good = self.is_address_proven and (self.last_success or 0) >= stale_before
                return 2 if self.is_given else 1 if is_good else 0


HOPELESS_AFTER_FAILURES: Final = 3

_BOUNDED: Final = (HostScope.GLOBAL, HostScope.NAME)


@record
class Grouping(Record):
    """What counts as one network."""

    ipv4_bits: int
    ipv6_bits: int

    def of(self, host: Host) -> str:
        """The network of any host."""
        return address_group(host, self.ipv4_bits, self.ipv6_bits)

    def bounded(self, host: Host) -> str | None:
        """The network whose peers are bounded in number; ``None`` for private ones, where all neighbours are of one."""
        return self.of(host) if host_scope(host) in _BOUNDED else None


@record
class Feeler(Record):
    """A dial that only sees whether a peer can be reached."""

    number: PeerNumber


@record
class Peers(Record):
    """The slice's state."""

    index: Index[PeerNumber]
    deadlines: Deadlines
    """Ends of back-offs and bans, by peer number."""
    random: Random
    shape: Shape
    grouping: Grouping
    group_counts: Index[int]
    """Records by the network of their address, but for those that a person named."""
    group_bans: GroupBans
    table: Table[PeerNumber, Peer] = empty_table()
    dialable: Table[PeerNumber, None] = empty_table()
    """All that wait to be dialled, of both tables and of what persons named."""
    given: Table[PeerNumber, None] = empty_table()
    """Those of them that persons named."""
    anchors: Table[PeerNumber, None] = empty_table()
    """Connections of the last run, to be dialled before all others."""
    new: Buckets = Buckets()
    """What was heard of."""
    tried: Buckets = Buckets()
    """What was reached by a dial of our own."""
    contests: Table[PeerNumber, PeerNumber] = empty_table()
    """Tried peers that are tested before they make room, and for whom."""
    feeler: Feeler | None = None
    next_dial_at: Timestamp = Timestamp(0)
    """Not before this time is anybody drawn to be dialled: all that were drawn are of networks with enough dials under way."""
    next_rotation_at: Timestamp = Timestamp(0)
    """Not before this time does a dialled connection make room for another dial."""
    next_feeler_at: Timestamp = Timestamp(0)
    """Not before this time does a dial only see whether somebody can be reached."""
    learned_counts: Table[PeerNumber, int] = empty_table()
    """Records that each peer is the source of."""
    last_number: PeerNumber = PeerNumber(0)
    next_discovery_at: Timestamp = Timestamp(0)
    """Not before this time is anybody asked for more peers again."""
    next_churn_at: Timestamp = Timestamp(0)
    """Not before this time does a connection make room again."""

    def __len__(self) -> int:
        return len(self.table)

    def find(self, peer_id: PeerId) -> tuple[PeerNumber, Peer] | None:
        """The record of an id, with its number."""
        number = self.index.get(peer_id)
        return None if number is None else (number, self.table[number])

    def put(self, number: PeerNumber, peer: Peer) -> Peers:
        """With ``peer`` at ``number``, new or in the place of its former record; its bucket is found here."""
        old = self.table.get(number)
        has_moved = old is None or old.address is not peer.address or old.is_tried != peer.is_tried
        if has_moved or (peer.bucket is None and peer.address is not None and not peer.is_given):
            return self.without_place(number, old).with_record(number, old, peer.replace(bucket=self.bucket_for(peer, old)))
        return self.with_record(number, old, peer)

    def with_record(self, number: PeerNumber, old: Peer | None, peer: Peer) -> Peers:
        """With a record in the bucket that it names; use `put`, which finds it."""
        deadlines, new, tried, given = self.deadlines, self.new, self.tried, self.given
        if old is not None and (at := old.wakes_at) is not None:
            deadlines = deadlines.cancel(at, number)
        if (at := peer.wakes_at) is not None:
            deadlines = deadlines.add(at, number)
        is_dialable = peer.is_dialable
        is_over = isinstance(peer.status, BackingOff | Banned) and self.feeler == Feeler(number)
        if peer.bucket is None:
            given = given.set(number, None) if is_dialable else given.discard(number)
        elif peer.is_tried:
            tried = tried.put(peer.bucket, number, is_dialable=is_dialable)
        else:
            new = new.put(peer.bucket, number, is_dialable=is_dialable)
        return self.replace(
            table=self.table.set(number, peer),
            dialable=self.dialable.set(number, None) if is_dialable else self.dialable.discard(number),
            given=given,
            new=new,
            tried=tried,
            feeler=None if is_over else self.feeler,
            deadlines=deadlines,
            group_counts=self._counted(None if old is None else old.address, peer.address, peer),
        )

    def without_place(self, number: PeerNumber, old: Peer | None) -> Peers:
        """With a record in no bucket; a part of `put`."""
        if old is None or old.bucket is None:
            return self if number not in self.given else self.replace(given=self.given.delete(number))
        if old.is_tried:
            contests = self.contests.discard(number)
            return self.replace(tried=self.tried.remove(old.bucket, number), contests=contests)
        return self.replace(new=self.new.remove(old.bucket, number))

    def bucket_for(self, peer: Peer, old: Peer | None = None) -> int | None:
        """Where a record belongs; ``None`` where it has no place in the tables, or there is no room.

        :param old: what was known of the same peer, and makes room in any case.
        """
        if peer.address is None or peer.is_given:
            return None
        if peer.is_tried:
            return self.shape.tried_bucket(peer.address)
        bucket = self.shape.new_bucket(peer.address, peer.told_in or self.shape.group_of(peer.address))
        is_in_new = old is not None and old.bucket is not None and not old.is_tried
        return bucket if len(self.new) - is_in_new < self.shape.new_max else None

    def _counted(self, before: DialAddress | None, after: DialAddress | None, peer: Peer) -> Index[int]:
        """The counts by network, with one record's address changed."""
        counts = self.group_counts
        if before is after or before == after or peer.is_given:
            return counts
        if before is not None and (group := self.group_of(before)) is not None:
            left = (counts.get(group) or 0) - 1
            counts = counts.set(group, left) if left else counts.delete(group)
        if after is not None and (group := self.group_of(after)) is not None:
            counts = counts.set(group, (counts.get(group) or 0) + 1)
        return counts

    def group_of(self, address: DialAddress) -> bytes | None:
        """The network of an address, as a key of `group_counts`; ``None`` where it is not bounded."""
        host = dial_host(address)
        group = None if host is None else self.grouping.bounded(host)
        return None if group is None else group.encode()

    def has_group_room(self, address: DialAddress, source: PeerSource, known_per_group_max: int) -> bool:
        """Whether the record of an address' peer may have it, new and from ``source`` or in the place of its former one."""
        known, group = self.find(address.peer_id), self.group_of(address)
        if group is None or (source if known is None else known[1].source) in GIVEN:
            return True
        if known is not None and known[1].address is not None and self.group_of(known[1].address) == group:
            return True
        return (self.group_counts.get(group) or 0) < known_per_group_max

    def add(self, peer: Peer) -> Peers:
        """With a record for an id that has none."""
        number = PeerNumber(self.last_number + 1)
        counts = self.learned_counts
        if peer.learned_from is not None:
            counts = counts.set(peer.learned_from, counts.get(peer.learned_from, 0) + 1)
        grown = self.replace(last_number=number, index=self.index.set(peer.peer_id, number), learned_counts=counts)
        return grown.put(number, peer)

    def remove(self, number: PeerNumber) -> Peers:
        """Without that record, which must be there and not be attached."""
        peer = self.table[number]
        peers = self.without_place(number, peer)
        counts = self.learned_counts
        if peer.learned_from is not None:
            left = counts[peer.learned_from] - 1
            counts = counts.set(peer.learned_from, left) if left else counts.delete(peer.learned_from)
        at = peer.wakes_at
        return peers.replace(
            table=self.table.delete(number),
            anchors=self.anchors.discard(number),
            feeler=None if self.feeler == Feeler(number) else self.feeler,
            index=self.index.delete(peer.peer_id),
            dialable=self.dialable.discard(number),
            deadlines=self.deadlines if at is None else self.deadlines.cancel(at, number),
            learned_counts=counts,
            group_counts=self._counted(peer.address, None, peer),
        )

    def make_room(self, known_peers_max: int, keep_rank_max: int, stale_before: Timestamp) -> Peers | None:
        """With room for one more record, if need be by giving up the oldest of those that are missed least.

        :param keep_rank_max: give up nothing whose `Peer.keep_rank` is higher.
        :param stale_before: as in `Peer.keep_rank`.
        :returns: ``None`` where there is no room.
        """
        if len(self.table) < known_peers_max:
            return self
        number = _least_missed(self.table.items(), keep_rank_max, stale_before)
        return None if number is None else self.remove(number)

    def make_new_room(self, address: DialAddress, told_in: str) -> Peers | None:
        """With room for an address in the table of new peers; ``None`` where nobody makes it.

        A full table takes from its most crowded bucket, and there from the network that has most, unless the newcomer would be
        in as large a crowd. So who is alone in a bucket stays, however many come. Else the newcomer takes the place of somebody
        of its own bucket or the most crowded one that is hopeless or, where its own network is not known yet, of a known one.
        """
        if len(self.new) < self.shape.new_max:
            return self
        bucket, crowded = self.shape.new_bucket(address, told_in or self.shape.group_of(address)), self.new.most_crowded()
        members = self.new.members
        if self.new.size(crowded) >= self.new.size(bucket) + 2:
            number = _least_missed(self.largest_network(members[crowded]), GOOD, Timestamp(0))
        else:
            is_new = not self.is_network_known(address)
            there = ((n, self.table[n]) for b in (bucket, crowded) for n in members.get(b, ()))
            number = next((n for n, peer in there if peer.is_hopeless or (is_new and self._is_of_little_use(peer))), None)
        return None if number is None else self.remove(number)

    def is_network_known(self, address: DialAddress) -> bool:
        """Whether somebody of an address' network, or of one that shares its bucket, was reached before."""
        return self.tried.size(self.shape.tried_bucket(address)) > 0

    def _is_of_little_use(self, peer: Peer) -> bool:
        is_free = isinstance(peer.status, Disconnected | BackingOff)
        return is_free and peer.address is not None and self.is_network_known(peer.address)

    def largest_network(self, numbers: Iterable[PeerNumber]) -> list[tuple[PeerNumber, Peer]]:
        """Of some records with addresses those of the network that has most of them, ascending."""
        by_network = self.by_network(numbers)
        largest = max(by_network, key=lambda network: len(by_network[network]))
        return [(number, self.table[number]) for number in by_network[largest]]

    def by_network(self, numbers: Iterable[PeerNumber]) -> dict[str, list[PeerNumber]]:
        """Records with addresses by their network, in the order of the first of each."""
        found: dict[str, list[PeerNumber]] = {}
        for number in numbers:
            address = self.table[number].address
            if address is not None:
                found.setdefault(self.shape.group_of(address), []).append(number)
        return found

    def trim_group(self, address: DialAddress | None, known_per_group_max: int, stale_before: Timestamp) -> Peers:
        """With no more records of that address' network than its bound, as far as they are not connected or given."""
        group = None if address is None else self.group_of(address)
        peers = self
        while group is not None and (peers.group_counts.get(group) or 0) > known_per_group_max:
            members = (
                (n, p) for n, p in peers.table.items() if p.address is not None and not p.is_given and self.group_of(p.address) == group
            )
            number = _least_missed(members, ANYTHING, stale_before)
            if number is None:
                break
            peers = peers.remove(number)
        return peers


HEARSAY, GOOD, ANYTHING = 0, 1, 3
"""Highest `Peer.keep_rank` of records that make room: for what somebody said, and for what happens."""


def _least_missed(records: Iterable[tuple[PeerNumber, Peer]], keep_rank_max: int, stale_before: Timestamp) -> PeerNumber | None:
    ranks = ((peer.keep_rank(stale_before), peer.last_success or 0, number) for number, peer in records)
    candidates = [(rank, last_success, number) for rank, last_success, number in ranks if rank is not None and rank <= keep_rank_max]
    return min(candidates)[2] if candidates else None
