"""Tests of who can be reached, and entering the table of tried peers."""

from __future__ import annotations

from slices.lab import Lab, address

from mina_p2p.address import QuicAddress
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND, PeerNumber
from mina_p2p.notifications import PeerConnected
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import BackingOff, Feeler, Peer
from mina_p2p.timeouts import next_wake
from mina_p2p.transport import ConnectionEffectfulDial
from peers.world import answer, at, hear, node

ONE_BUCKET = PeerTableConfig(tried_max=2, tried_buckets=1, tried_buckets_per_group=1)
INTERVAL = PeerTableConfig().feeler_interval


def _record(lab: Lab, where: QuicAddress) -> tuple[PeerNumber, Peer]:
    found = lab.state.peers.find(where.peer_id)
    assert found is not None
    return found


def _is_tried(lab: Lab, where: QuicAddress) -> bool:
    return _record(lab, where)[1].is_tried


def _is_feeling(lab: Lab) -> bool:
    return isinstance(lab.state.peers.feeler, Feeler)


def _n(where: QuicAddress) -> int:
    return int.from_bytes(where.peer_id, "big")


def _reach(lab: Lab, where: QuicAddress) -> None:
    """By a dial of ours, which ends then."""
    connection_id = lab.dial(_n(where), to=where)
    answer(lab, _n(where))
    lab.close(connection_id)


def _satisfied(table: PeerTableConfig | None = None) -> Lab:
    """A node with as many connections as it wishes for."""
    lab = node(table, peers_max=10, peers_min=1)
    lab.accept(9_999)
    return lab


def test_who_was_dialled_with_success_is_tried() -> None:
    """An arrival is not: whoever sends packets may have made up where they come from in future."""
    lab = node()
    hear(lab, at(1, 1))
    assert not _is_tried(lab, at(1, 1))
    _reach(lab, at(1, 1))
    assert _is_tried(lab, at(1, 1))
    lab.close(lab.accept(7))
    assert not _is_tried(lab, address(7))


def test_a_node_with_enough_connections_tests_whom_it_only_heard_of() -> None:
    """One after the other, with a pause; the peer is told why, nobody is told of a connection, and the peer is tried from then on."""
    lab = _satisfied()
    hear(lab, at(1, 1))
    hear(lab, at(2, 1))
    lab.wait(0)
    (dial,) = lab.of(ConnectionEffectfulDial)
    assert _is_feeling(lab)
    assert isinstance(dial.address, QuicAddress)
    answer(lab, _n(dial.address))
    goodbye = lab.goodbye(dial.connection_id)
    assert goodbye is not None
    assert goodbye.code is ReasonCode.ONLY_A_TEST
    assert not lab.of(PeerConnected)
    assert not _is_feeling(lab)
    record = _record(lab, dial.address)[1]
    assert (record.is_tried, record.failures, record.last_success, record.is_address_proven) == (True, 0, lab.now, True)
    lab.wait(INTERVAL - SECOND)
    assert not lab.of(ConnectionEffectfulDial)
    assert next_wake(lab.state, lab.now) is not None
    lab.wait(SECOND)
    assert len(lab.of(ConnectionEffectfulDial)) == 1


def test_a_test_that_fails_ends_like_any_dial() -> None:
    """Back-off, one failure more, and the next test may begin; a deadline ends one that hangs."""
    lab = _satisfied()
    hear(lab, at(1, 1))
    lab.wait(0)
    lab.wait(lab.state.config.timeouts.attempt)
    record = _record(lab, at(1, 1))[1]
    assert (isinstance(record.status, BackingOff), record.failures, record.is_tried) == (True, 1, False)
    assert not _is_feeling(lab)


def test_no_tests_while_connections_are_wanted() -> None:
    """Nor in a full node, nor where they are off, nor by a node that stops."""
    wanting = node(peers_min=3, peers_max=10)
    hear(wanting, at(1, 1))
    full = node(peers_min=1, peers_max=1)
    full.accept(9_999)
    hear(full, at(1, 1))
    off = _satisfied(PeerTableConfig(are_feelers_sent=False))
    hear(off, at(1, 1))
    for lab in (wanting, full, off):
        assert not lab.state.may_feel()
    full.wait(0)
    off.wait(0)
    assert not full.of(ConnectionEffectfulDial)
    assert not off.of(ConnectionEffectfulDial)


def test_a_full_table_tests_before_it_evicts() -> None:
    """The one that was good longest ago is dialled: where it answers, it stays, and the newcomer waits."""
    lab = _satisfied(ONE_BUCKET)
    for network in (1, 2):
        hear(lab, at(network, 1))
        _reach(lab, at(network, 1))
        lab.wait(SECOND)
    lab.wait(ONE_BUCKET.tested_within)
    lab.wait(INTERVAL)
    hear(lab, at(3, 1))
    _reach(lab, at(3, 1))
    (old, _), (newcomer, _) = _record(lab, at(1, 1)), _record(lab, at(3, 1))
    assert dict(lab.state.peers.contests.items()) == {old: newcomer}
    assert not _is_tried(lab, at(3, 1))
    lab.wait(INTERVAL)
    (dial,) = lab.of(ConnectionEffectfulDial)
    assert dial.address == at(1, 1), "the test comes before those of newcomers"
    answer(lab, _n(at(1, 1)))
    assert [_is_tried(lab, at(n, 1)) for n in (1, 2, 3)] == [True, True, False]
    assert not lab.state.peers.contests


def test_who_fails_the_test_makes_room() -> None:
    """It is only heard of from then on."""
    lab = _satisfied(ONE_BUCKET)
    for network in (1, 2):
        hear(lab, at(network, 1))
        _reach(lab, at(network, 1))
        lab.wait(SECOND)
    lab.wait(ONE_BUCKET.tested_within)
    lab.wait(INTERVAL)
    hear(lab, at(3, 1))
    _reach(lab, at(3, 1))
    lab.wait(INTERVAL)
    (dial,) = lab.of(ConnectionEffectfulDial)
    lab.close(dial.connection_id)
    assert [_is_tried(lab, at(n, 1)) for n in (1, 2, 3)] == [False, True, True]
    assert _record(lab, at(1, 1))[1].bucket is not None


def test_who_was_good_lately_is_not_tested() -> None:
    """No number of newcomers makes a node dial the same good peers again and again."""
    lab = _satisfied(ONE_BUCKET)
    for network in (1, 2, 3, 4):
        hear(lab, at(network, 1))
        _reach(lab, at(network, 1))
        lab.wait(SECOND)
    assert [_is_tried(lab, at(n, 1)) for n in (1, 2, 3, 4)] == [True, True, False, False]
    assert not lab.state.peers.contests


def test_who_has_failed_already_goes_at_once() -> None:
    """Its last dial was the test."""
    lab = _satisfied(ONE_BUCKET)
    for network in (1, 2):
        hear(lab, at(network, 1))
        _reach(lab, at(network, 1))
        lab.wait(SECOND)
    lab.close(lab.dial(_n(at(1, 1)), to=at(1, 1)))
    hear(lab, at(3, 1))
    _reach(lab, at(3, 1))
    assert [_is_tried(lab, at(n, 1)) for n in (1, 2, 3)] == [False, True, True]


def test_a_crowd_makes_room_for_who_is_alone() -> None:
    """Of a full table the most crowded bucket gives, though all in it are good: five of one owner against one of another."""
    table = PeerTableConfig(tried_max=5, tried_buckets=64, tried_buckets_per_group=1)
    lab = _satisfied(table)
    for host in range(1, 6):
        hear(lab, at(1, host))
        _reach(lab, at(1, host))
        lab.wait(SECOND)
    hear(lab, at(2, 1))
    _reach(lab, at(2, 1))
    assert _is_tried(lab, at(2, 1))
    assert sum(_is_tried(lab, at(1, host)) for host in range(1, 6)) == 4
    assert not _is_tried(lab, at(1, 1)), "the one that was good longest ago"


def test_what_a_person_named_is_in_no_bucket() -> None:
    """It takes nobody's place, and nobody takes its own."""
    lab = node(PeerTableConfig(new_max=1, tried_max=1))
    for n in range(5):
        lab.connect(n + 1)
    assert len(lab.state.peers) == 5
    assert len(lab.state.peers.tried) == len(lab.state.peers.new) == 0
