"""Invariants of the tables of new and tried peers."""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.ids import PeerNumber
from mina_p2p.peer.state import Attached, Feeler, Peer
from mina_p2p.state import P2pState
from mina_p2p.table import Table
from mina_p2p.testing.invariants.basis import differ, over


def peer_tables_violations(state: P2pState) -> Iterator[str]:
    """All that is wrong with the buckets, with what waits in them, and with tests for room in them."""
    peers, config = state.peers, state.config.peer_table
    new: dict[int, list[PeerNumber]] = {}
    tried: dict[int, list[PeerNumber]] = {}
    for number, peer in peers.table.items():
        yield from _place(state, number, peer)
        if peer.bucket is not None:
            (tried if peer.is_tried else new).setdefault(peer.bucket, []).append(number)
    for name, buckets, members, bound in (("new", peers.new, new, config.new_max), ("tried", peers.tried, tried, config.tried_max)):
        yield from differ(f"peers.{name}.members", _plain(buckets.members), members)
        waiting = {bucket: [n for n in numbers if peers.table[n].is_dialable] for bucket, numbers in members.items()}
        yield from differ(f"peers.{name}.dialable", _plain(buckets.dialable), {bucket: ns for bucket, ns in waiting.items() if ns})
        yield from over(f"peers.{name}.count", len(buckets), bound)
        sizes = {size: buckets_of.keys() for size, buckets_of in buckets.by_size.items()}
        derived = {size: [b for b in sorted(members) if len(members[b]) == size] for size in sorted(map(len, members.values()))}
        yield from differ(f"peers.{name}.by_size", sizes, derived)
        yield from differ(f"peers.{name}.count", len(buckets), sum(map(len, members.values())))
    given = [number for number, peer in peers.table.items() if peer.is_given and peer.is_dialable]
    yield from differ("peers.given", peers.given.keys(), given)
    yield from over("peers.anchors", len(peers.anchors), config.anchors_max)
    yield from over("peers.contests", len(peers.contests), config.contests_max)
    for number in peers.contests:
        if number not in peers.table or not peers.table[number].is_tried:
            yield f"peers.contests[{number}]: no tried peer has that number, and none makes room"
    yield from _feeler(state, peers.feeler)


def _place(state: P2pState, number: PeerNumber, peer: Peer) -> Iterator[str]:
    path = f"peers.table[{number}].bucket"
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
    elif (
        not state.connections.table[peer.status.connection_id].is_incoming
        and state.connections.ready(peer.status.connection_id) is not None
    ):
        yield "peers.feeler: a dial that only sees whether somebody is there goes on after that"


def _plain(table: Table[int, Table[PeerNumber, None]]) -> dict[int, list[PeerNumber]]:
    return {bucket: numbers.keys() for bucket, numbers in table.items()}
