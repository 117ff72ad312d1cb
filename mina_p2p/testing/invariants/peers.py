"""Invariants of the peer table: its records, the tables of new and tried peers, and all that is derived from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from mina_p2p.connection.state import Connection
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, Timestamp
from mina_p2p.peer.buckets import Buckets
from mina_p2p.peer.state import Attached, Feeler, Peer
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.table import Table, empty_table
from mina_p2p.testing.invariants.agreement import Agreement, Waits
from mina_p2p.testing.invariants.basis import differ, over


def peers_violations(state: P2pState) -> Iterator[str]:
    """All that is wrong with the peer table of one state."""
    return PeersChecker(state).violations(state)


@record
class _Facts(Record):
    """What follows from one record."""

    peer_id: PeerId
    wakes_at: Timestamp | None
    learned_from: PeerNumber | None
    group: bytes | None
    attached: ConnectionId | None
    is_dialable: bool
    is_given: bool
    bucket: int | None
    is_tried: bool


class _Tables:
    """One of the two tables of buckets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members = Agreement(f"peers.{name}.members")
        self.dialable = Agreement(f"peers.{name}.dialable")
        self.by_size = Agreement(f"peers.{name}.by_size")
        self.sizes: Counter[int] = Counter()

    def count(self, number: PeerNumber, facts: _Facts, by: int) -> None:
        """A record is in this table from now on, or no longer."""
        bucket = facts.bucket
        if bucket is None:
            return
        self.members.count((bucket, number), by)
        if facts.is_dialable:
            self.dialable.count((bucket, number), by)
        if size := self.sizes[bucket]:
            self.by_size.count((size, bucket), -1)
        self.sizes[bucket] = size + by
        if size + by:
            self.by_size.count((size + by, bucket), 1)

    def violations(self, buckets: Buckets, count_max: int) -> Iterator[str]:
        """What is wrong with it."""
        yield from self.members.look_at_pairs(buckets.members)
        yield from self.dialable.look_at_pairs(buckets.dialable)
        yield from self.by_size.look_at_pairs(buckets.by_size)
        for part in (self.members, self.dialable, self.by_size):
            yield from part.violations()
        yield from over(f"peers.{self.name}.count", len(buckets), count_max)
        yield from differ(f"peers.{self.name}.count", len(buckets), len(self.members))


_NOBODY: Final[Table[Any, Any]] = empty_table()


class PeersChecker:
    """Checks the peer table of one node's states, and that connections and peers know of each other."""

    def __init__(self, state: P2pState) -> None:
        """Nothing is known yet; every state has to have the configuration of this one."""
        self._table: Table[PeerNumber, Peer] = _NOBODY
        self._connections: Table[ConnectionId, Connection] = _NOBODY
        self._facts: dict[PeerNumber, _Facts] = {}
        self._waits = Waits("peers.deadlines", state.config.timeouts.granularity)
        self._index = Agreement("peers.index")
        self._dialable = Agreement("peers.dialable")
        self._given = Agreement("peers.given")
        self._learned = Agreement("peers.learned_counts")
        self._groups = Agreement("peers.group_counts")
        self._connected: Counter[bytes] = Counter()
        self._new, self._tried = _Tables("new"), _Tables("tried")
        self._attached = Agreement("connection_of")
        """Found: whom each connection is with. Derived: which connection each peer is attached to."""

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what is not the same as in the state that was looked at last."""
        peers = state.peers
        groups: set[bytes] = set()
        changed, self._table = peers.table.changed_since(self._table), peers.table
        for number in changed:
            if (known := self._facts.pop(number, None)) is not None:
                self._count(number, known, -1, groups)
        for number in changed:
            if (peer := peers.table.get(number)) is not None:
                facts = self._facts[number] = _facts(state, peer)
                self._count(number, facts, 1, groups)
                yield from _peer_violations(state, number, peer)
        yield from self._bounds(state, groups)
        yield from self._derived(state)
        yield from self._of_connections(state)
        yield from _feeler(state, peers.feeler)

    def _count(self, number: PeerNumber, facts: _Facts, by: int, groups: set[bytes]) -> None:
        """Take a record into account, or no longer."""
        self._index.derive(facts.peer_id, number if by > 0 else None)
        self._waits.count(facts.wakes_at, number, by)
        if facts.is_dialable:
            self._dialable.count(number, by)
            if facts.is_given:
                self._given.count(number, by)
        if facts.learned_from is not None:
            self._learned.count(facts.learned_from, by)
        if facts.attached is not None:
            self._attached.count((facts.attached, facts.peer_id), by)
        if facts.group is not None:
            groups.add(facts.group)
            self._groups.count(facts.group, by)
            self._connected[facts.group] += by * (facts.attached is not None)
        (self._tried if facts.is_tried else self._new).count(number, facts, by)

    def _bounds(self, state: P2pState, groups: set[bytes]) -> Iterator[str]:
        peers, limits, config = state.peers, state.config.limits, state.config.peer_table
        for group in sorted(groups):
            most = max(limits.known_per_group_max, self._connected[group])
            yield from over(f"peers with addresses of {group!r}", self._groups.derived(group) or 0, most)
        yield from over("peers.table", max(peers.table, default=0), peers.last_number)
        # Only what is given by configuration, or attached at this moment, may go beyond the bound.
        yield from over("len(peers)", len(peers), max(limits.known_peers_max, limits.peers_max, len(state.config.initial_peers)))
        most = max(peers.learned_counts.values(), default=0)
        yield from over("peers.learned_counts of one source", most, limits.discovered_per_source_max)
        yield from over("len(peers.group_bans)", len(peers.group_bans), limits.banned_groups_max)
        yield from over("peers.anchors", len(peers.anchors), config.anchors_max)
        yield from over("peers.contests", len(peers.contests), config.contests_max)
        for number in peers.contests:
            if number not in peers.table or not peers.table[number].is_tried:
                yield f"peers.contests[{number}]: no tried peer has that number, and none makes room"

    def _derived(self, state: P2pState) -> Iterator[str]:
        """Whether all that is derived from the records agrees with them."""
        peers, config = state.peers, state.config.peer_table
        yield from self._index.look_at_index(peers.index)
        yield from differ("peers.index.count", len(peers.index), len(peers.table))
        self._dialable.look_at_keys(peers.dialable)
        self._given.look_at_keys(peers.given)
        self._learned.look_at_values(peers.learned_counts)
        yield from self._groups.look_at_index(peers.group_counts)
        for part in (self._index, self._dialable, self._given, self._learned, self._groups):
            yield from part.violations()
        yield from self._waits.violations(peers.deadlines)
        yield from self._new.violations(peers.new, config.new_max)
        yield from self._tried.violations(peers.tried, config.tried_max)

    def _of_connections(self, state: P2pState) -> Iterator[str]:
        """Each peer with a connection has one, and that is with this peer."""
        table, before = state.connections.table, self._connections
        self._connections = table
        changed = table.changed_since(before)
        for connection_id in changed:
            if (old := before.get(connection_id)) is not None:
                self._attached.find((connection_id, old.peer_id), None)
        for connection_id in changed:
            if (new := table.get(connection_id)) is not None:
                self._attached.find((connection_id, new.peer_id), 1)
        yield from self._attached.violations()


def _facts(state: P2pState, peer: Peer) -> _Facts:
    return _Facts(
        peer_id=peer.peer_id,
        wakes_at=peer.wakes_at,
        learned_from=peer.learned_from,
        group=None if peer.address is None or peer.is_given else state.peers.group_of(peer.address),
        attached=peer.status.connection_id if isinstance(peer.status, Attached) else None,
        is_dialable=peer.is_dialable,
        is_given=peer.is_given,
        bucket=peer.bucket,
        is_tried=peer.is_tried,
    )


def _peer_violations(state: P2pState, number: PeerNumber, peer: Peer) -> Iterator[str]:
    """What is wrong with one record by itself."""
    path = f"peers.table[{number}]"
    if peer.peer_id == state.config.peer_id:
        yield f"{path}: this node has a record of itself"
    if peer.failures < 0:
        yield f"{path}.failures: {peer.failures}"
    if peer.is_address_proven and peer.address is None:
        yield f"{path}: an address that is missing counts as proven"
    path = f"{path}.bucket"
    if peer.bucket is None:
        if peer.is_tried:
            yield f"{path}: a tried peer is in no bucket"
        return
    if peer.address is None or peer.is_given:
        yield f"{path}: {'a peer that a person named' if peer.is_given else 'nobody without an address'} is bounded by buckets"
        return
    shape = state.peers.shape
    told_in = peer.told_in or shape.group_of(peer.address)
    yield from differ(path, peer.bucket, shape.tried_bucket(peer.address) if peer.is_tried else shape.new_bucket(peer.address, told_in))


def _feeler(state: P2pState, feeler: Feeler | None) -> Iterator[str]:
    if feeler is None:
        return
    peer = state.peers.table.get(feeler.number)
    if peer is None or not isinstance(peer.status, Attached):
        yield f"peers.feeler: {feeler.number} is nobody that is being dialled"
        return
    connection = state.connections.get(peer.status.connection_id)
    is_outgoing = connection is not None and not connection.is_incoming
    if is_outgoing and state.connections.ready(peer.status.connection_id) is not None:
        yield "peers.feeler: a dial that only sees whether somebody is there goes on after that"
