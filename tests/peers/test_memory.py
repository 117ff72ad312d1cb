"""What outlives a restart."""

from __future__ import annotations

from slices.lab import ME, Lab, address, peer_id

from mina_p2p.address import QuicAddress
from mina_p2p.config import Limits
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.peer.config import PeerTableConfig, RememberedPeer
from mina_p2p.peer.memory import remembered
from mina_p2p.peer.state import PeerSource
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.transport import ConnectionEffectfulDial
from peers.world import answer, at, hear, node


def _n(where: QuicAddress) -> int:
    return int.from_bytes(where.peer_id, "big")


def _lived() -> Lab:
    """Six connections by dials, one after the other, an arrival, and what was heard of."""
    lab = node(peers_min=6)
    for n in range(6):
        hear(lab, at(n, 1))
        lab.dial(_n(at(n, 1)), to=at(n, 1))
        answer(lab, _n(at(n, 1)))
        lab.now = Timestamp(lab.now + SECOND)
    lab.accept(7)
    hear(lab, at(50, 1))
    return lab


def _again(kept: tuple[RememberedPeer, ...], **limits: int) -> Lab:
    return node(PeerTableConfig(remembered=kept), **limits)


def test_the_youngest_dialled_connections_are_the_anchors() -> None:
    """Two of them: who restarts shall also get others. Arrivals are none."""
    kept = remembered(_lived().state)
    assert {peer.address for peer in kept if peer.is_anchor} == {at(4, 1), at(5, 1)}
    assert all(peer.is_anchor for peer in kept[:2])
    assert {peer.address for peer in kept if peer.is_tried} == {at(n, 1) for n in range(6)}
    assert {peer.address for peer in kept if not peer.is_tried} == {at(50, 1), address(7)}


def test_anchors_are_dialled_first_after_a_restart() -> None:
    """Before everybody else, whatever is drawn."""
    lab = _again(remembered(_lived().state), peers_min=2)
    check_invariants(lab.state)
    lab.wait(0)
    assert {effect.address for effect in lab.of(ConnectionEffectfulDial)} == {at(4, 1), at(5, 1)}
    assert not lab.state.peers.anchors


def test_both_tables_are_the_same_after_a_restart() -> None:
    """Buckets too, where the salt is the same; what is known of success as well."""
    before = _lived().state
    after = _again(remembered(before)).state
    for kept in remembered(before):
        old, new = before.peers.find(kept.address.peer_id), after.peers.find(kept.address.peer_id)
        assert old is not None
        assert new is not None
        what = [(p.bucket, p.is_tried, p.told_in, p.source) for p in (old[1], new[1])]
        assert what[0] == what[1]
        succeeded = old[1].last_success
        assert new[1].last_success == (None if succeeded is None else min(succeeded, after.clock.now)), "nothing was good in future"
    assert len(remembered(after)) == len(remembered(before)), "nothing is lost where it restarts again at once"


def test_what_is_remembered_is_bounded_as_all_that_is_heard() -> None:
    """The file came from others once; what is not ours, or says that it was good in future, is taken for what it is."""
    config = PeerTableConfig(new_max=5, tried_max=4, anchors_max=2)
    lab = Lab(limits=Limits(), peer_table=config)
    kept = tuple(
        RememberedPeer(at(n, 1), PeerSource.REFERRAL, "", is_tried=n % 2 == 0, is_anchor=True, last_success=lab.now) for n in range(30)
    )
    mine = RememberedPeer(address(ME), PeerSource.REFERRAL)
    lab = Lab(limits=Limits(), peer_table=config.replace(remembered=(mine, *kept)))
    peers = lab.state.peers
    check_invariants(lab.state)
    assert (len(peers.new), len(peers.tried), len(peers.anchors)) == (5, 4, 2)
    assert peers.find(peer_id(ME)) is None


def test_what_persons_named_is_theirs_to_name_again() -> None:
    """But an anchor that was named is dialled like one, as a peer like others."""
    lab = node()
    lab.connect(1)
    lab.close(lab.connect(2))
    (kept,) = remembered(lab.state)
    assert (kept.address, kept.is_anchor, kept.source) == (address(1), True, PeerSource.REMEMBERED)
    again = _again((kept,))
    found = again.state.peers.find(peer_id(1))
    assert found is not None
    assert not found[1].is_given
