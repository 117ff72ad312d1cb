"""Entering the table of tried peers, and test before evict.

Where it is full, a newcomer takes the place of one of the most crowded bucket, if its own is less crowded. Else somebody of its
own bucket is in question, the one that was good longest ago: it leaves if it fails a test, a dial that only sees whether
it can be reached. So nobody who answers is pushed out by any number of others of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import PeerNumber, Timestamp
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import Attached, BackingOff, Peer, Peers

FELT = Reason(ReasonCode.ONLY_A_TEST)
"""Why such a dial ends once the peer has proved that it is there."""


def reached(peers: Peers, number: PeerNumber, config: PeerTableConfig, now: Timestamp) -> Peers:
    """A dial of ours has reached a peer: it is tried from now on, if there is room or will be."""
    peers = peers.replace(contests=peers.contests.discard(number))
    peer = peers.table[number]
    if peer.is_tried or peer.is_given or peer.address is None:
        return peers
    if len(peers.tried) < config.tried_max:
        return peers.put(number, peer.replace(is_tried=True))
    bucket, crowded = peers.shape.tried_bucket(peer.address), peers.tried.most_crowded()
    if peers.tried.size(crowded) >= peers.tried.size(bucket) + 2:
        members = peers.largest_network(peers.tried.members[crowded])
        return _in_the_place_of(peers, _least_good(members), number)
    occupant = _least_good((n, peers.table[n]) for n in peers.tried.members.get(bucket, peers.tried.members[crowded]))
    if occupant is None:
        return peers
    other = peers.table[occupant]
    if isinstance(other.status, BackingOff) and other.failures:
        return _in_the_place_of(peers, occupant, number)
    is_good = other.last_success is not None and other.last_success > now - config.tested_within
    if is_good or occupant in peers.contests or len(peers.contests) >= config.contests_max:
        return peers
    return peers.replace(contests=peers.contests.set(occupant, number))


def unreached(peers: Peers, number: PeerNumber) -> Peers:
    """A dial of ours has failed: who was to be tested makes room for who wanted it."""
    newcomer = peers.contests.get(number)
    if newcomer is None:
        return peers
    peers = peers.replace(contests=peers.contests.delete(number))
    wants_it = newcomer in peers.table and not peers.table[newcomer].is_tried and peers.table[newcomer].bucket is not None
    return _in_the_place_of(peers, number, newcomer) if wants_it else peers


def _least_good(records: Iterable[tuple[PeerNumber, Peer]]) -> PeerNumber | None:
    """Who was good longest ago, of those that are not connected."""
    found = [(peer.last_success or 0, number) for number, peer in records if not isinstance(peer.status, Attached)]
    return min(found)[1] if found else None


def _in_the_place_of(peers: Peers, occupant: PeerNumber | None, newcomer: PeerNumber) -> Peers:
    """With the newcomer among the tried. The occupant is only heard of from now on, and can go when others come."""
    if occupant is None:
        return peers
    peers = peers.put(newcomer, peers.table[newcomer].replace(is_tried=True))
    return peers.put(occupant, peers.table[occupant].replace(is_tried=False))
