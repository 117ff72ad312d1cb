"""Places that arrivals can not take, sources that are off, and from whom a peer is known."""

from __future__ import annotations

from slices.lab import Lab

from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND, PeerNumber, Timestamp
from mina_p2p.notifications import PeerDisconnected
from mina_p2p.peer.actions import PeerAnnounced
from mina_p2p.peer.churn import makes_room, makes_way
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import PeerSource
from mina_p2p.timeouts import next_wake
from mina_p2p.transport import ConnectionEffectfulDial, ConnectionEffectfulReject
from peers.world import answer, at, hear, is_known, node


def _flooded() -> Lab:
    """As many arrivals as are let in."""
    lab = node(peers_max=50, peers_min=20, peers_outgoing_percent=8, peers_per_group_max=100)
    for n in range(1, 60):
        connection_id = lab.arrive(n)
        if connection_id is None:
            assert lab.of(ConnectionEffectfulReject)[0].reason.code is ReasonCode.PEER_CAPACITY_FULL
    return lab


def test_arrivals_leave_places_for_dials() -> None:
    """Four of fifty; the node dials, although it has more connections than it wishes for."""
    lab = _flooded()
    assert len(lab.state.connections) == 46
    for n in range(6):
        hear(lab, at(n, 1))
    lab.wait(0)
    assert len(lab.of(ConnectionEffectfulDial)) == 4
    assert lab.state.connections.outgoing_count == 4
    lab.wait(1)
    assert not lab.of(ConnectionEffectfulDial)


def test_a_peer_that_a_person_named_may_take_them() -> None:
    """The bound is against strangers."""
    lab = _flooded()
    hear(lab, at(1, 1), PeerSource.USER)
    assert lab.arrive(int.from_bytes(at(1, 1).peer_id, "big")) is not None


def test_dials_make_no_room_for_arrivals_while_they_are_few() -> None:
    """Else an attacker who comes often enough would have thrown every dialled peer out, one after the other."""
    lab = node(peers_max=50, peers_min=20, peers_stable_percent=40, peers_protected_percent=0, peers_per_group_max=100)
    for n in range(4):
        number = int.from_bytes(at(n, 1).peer_id, "big")
        hear(lab, at(n, 1))
        lab.dial(number, to=at(n, 1))
        answer(lab, number)
    arrived = [lab.accept(n) for n in range(1, 31)]
    lab.now = Timestamp(lab.now + lab.state.config.timeouts.churn_age)
    assert set(makes_room(lab.state, lab.now)) == set(arrived)
    lab.dial(7_777)
    assert set(makes_room(lab.state, lab.now)) > set(arrived), "more of its own than are kept"


def test_dialled_connections_make_way_for_one_another_from_time_to_time() -> None:
    """One in half an hour, drawn by lot, and another is dialled; not the young ones, nor what a person named, nor where nobody waits."""
    lab = node(peers_max=50, peers_min=4)
    for n in range(4):
        number = int.from_bytes(at(n, 1).peer_id, "big")
        hear(lab, at(n, 1))
        lab.wait(0)
        answer(lab, number)
    interval = lab.state.config.peer_table.rotation_interval
    lab.wait(interval)
    assert len(lab.state.connections) == 4, "nobody else is there"
    hear(lab, at(9, 1))
    assert next_wake(lab.state, lab.now) == lab.now + lab.state.config.timeouts.granularity
    lab.wait(SECOND)
    (told,) = lab.of(PeerDisconnected)
    assert told.reason.code is ReasonCode.FREE_UP_SPACE
    lab.wait(SECOND)
    assert [dial.address for dial in lab.of(ConnectionEffectfulDial)] == [at(9, 1)]
    assert makes_way(lab.state, lab.now), "three old ones, and the attempt is none"
    assert len(makes_way(lab.state, lab.now)) == 3


def test_what_a_person_named_makes_no_way() -> None:
    """It is for the person to say."""
    lab = node(peers_max=50, peers_min=4)
    for n in range(1, 5):
        lab.connect(n)
    lab.wait(lab.state.config.peer_table.rotation_interval)
    assert makes_way(lab.state, lab.now) == []


def test_small_nodes_keep_no_places() -> None:
    """A share of ten is none; nor is it more than the wished number."""
    assert Limits(peers_max=10, peers_min=5).peers_outgoing == 0
    assert Limits(peers_max=100, peers_min=3).peers_outgoing == 3
    assert Limits().peers_outgoing == 8


def test_a_source_that_is_off_is_not_believed() -> None:
    """Neither for newcomers nor for another address of a peer that is known; what a person names is in any case."""
    lab = node(PeerTableConfig(sources=(PeerSource.INITIAL_PEERS,)))
    for n, source in enumerate(PeerSource):
        hear(lab, at(n, 1), source)
    known = [source for n, source in enumerate(PeerSource) if is_known(lab, at(n, 1))]
    assert known == [PeerSource.CONFIG, PeerSource.USER, PeerSource.INITIAL_PEERS]
    before = lab.state
    n = list(PeerSource).index(PeerSource.INITIAL_PEERS)
    lab.feed(PeerAnnounced(at(n, 1).replace(port=9), PeerSource.ADDRESS_GOSSIP, None))
    assert lab.state is before


def test_all_ways_in_which_a_peer_was_learned_of_are_known() -> None:
    """The first one, and the others in their order; each once."""
    lab = node()
    ways = (PeerSource.REFERRAL, PeerSource.KADEMLIA, PeerSource.REFERRAL, PeerSource.INITIAL_PEERS)
    for source in ways:
        hear(lab, at(1, 1), source)
    lab.feed(PeerAnnounced(at(1, 1), PeerSource.ADDRESS_GOSSIP, None))
    found = lab.state.peers.find(at(1, 1).peer_id)
    assert found is not None
    assert found[1].sources == (PeerSource.REFERRAL, PeerSource.KADEMLIA, PeerSource.INITIAL_PEERS, PeerSource.ADDRESS_GOSSIP)


def test_who_told_decides_the_bucket() -> None:
    """The same address told by peers of two networks is in two places; in which first, there it stays."""
    one, two = node(), node()
    for lab, teller in ((one, 1), (two, 2)):
        hear(lab, at(teller, 1))
        hear(lab, at(9, 1), learned_from=PeerNumber(1))
    places = [lab.state.peers.table[PeerNumber(2)] for lab in (one, two)]
    assert [place.told_in for place in places] == ["20.1.0.0/16", "20.2.0.0/16"]
    assert places[0].bucket != places[1].bucket
    hear(one, at(3, 1))
    hear(one, at(9, 1), PeerSource.REFERRAL, learned_from=PeerNumber(3))
    assert one.state.peers.table[PeerNumber(2)].bucket == places[0].bucket
