"""Room for newcomers: who has to go, who never has, and where those are sent for whom there is none (finding L11)."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.address import Ipv4, Ipv6, QuicAddress, parse_address
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.ids import SECOND, ChannelId, ConnectionId
from mina_p2p.notifications import ItemReceived
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.referrals import referrals, refusal
from mina_p2p.peer.state import BackingOff, PeerSource
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.timeouts import next_wake
from mina_p2p.transport import ConnectionClosed, ConnectionEffectfulReject, DisconnectionEffectfulInit
from slices.items import block, commitment, state_hash
from slices.lab import Lab, address, peer_id

TIMES = Timeouts()
FIVE = Limits(peers_max=5, peers_min=0, peers_stable_percent=60, peers_protected_percent=20)
"""Five places, of which two are kept free in the long run, and one is safe."""


def _full(**settings: Any) -> Lab:
    """A node whose places are all taken, by peers 1 to 5 in that order, a second between two."""
    lab = Lab(limits=FIVE, **settings)
    for n in range(1, 6):
        lab.accept(n)
        lab.wait(SECOND)
    return lab


def _freed(lab: Lab) -> list[int]:
    """Connections that made room, in the order in which they did."""
    ends = (e for e in lab.all if isinstance(e, DisconnectionEffectfulInit))
    return [e.connection_id for e in ends if e.reason.code == ReasonCode.FREE_UP_SPACE]


def _useful(lab: Lab, connection_id: ConnectionId, item: int) -> None:
    """A peer brings something that is found good."""
    lab.announce(connection_id, ChannelId.SNARK_JOB_COMMITMENT, commitment(item))
    told = next(e for e in reversed(lab.all) if isinstance(e, ItemReceived))
    lab.feed(PoolVerdict(told.verdict_id, is_valid=True))


def test_one_after_the_other_makes_room_down_to_the_stable_number() -> None:
    """Not before it is old enough, at the set pace, and no further than needed."""
    lab = _full()
    lab.wait(TIMES.churn_age - 10 * SECOND)
    assert _freed(lab) == []
    lab.wait(20 * SECOND)
    assert len(_freed(lab)) == 1
    lab.wait(TIMES.churn - SECOND)
    assert len(_freed(lab)) == 1
    lab.wait(2 * SECOND)
    assert len(_freed(lab)) == 2
    lab.wait(100 * TIMES.churn)
    assert len(_freed(lab)) == 2
    assert lab.state.connections.ready_count == FIVE.peers_stable == 3


def test_the_node_wakes_for_it_and_only_for_it() -> None:
    """A full node looks again when the next one may go; one with room does not."""
    lab = _full()
    wake = next_wake(lab.state, lab.now)
    assert wake is not None
    assert wake <= lab.now + TIMES.churn
    for _ in range(40):
        lab.wait(TIMES.churn)
    assert lab.state.connections.ready_count == FIVE.peers_stable
    before = lab.state.peers.next_churn_at
    lab.wait(TIMES.churn)
    assert lab.state.peers.next_churn_at == before


def test_who_makes_room_is_the_seeds_choice() -> None:
    """The same for the same seed; over many seeds everybody that is not safe."""

    def chosen(seed: int) -> tuple[int, ...]:
        lab = _full(seed=seed)
        _useful(lab, ConnectionId(1), 1)
        for _ in range(12):
            lab.wait(TIMES.churn)
        return tuple(_freed(lab))

    assert chosen(3) == chosen(3)
    assert {one for seed in range(40) for one in chosen(seed)} == {2, 3, 4, 5}


def test_the_oldest_of_the_useful_are_safe() -> None:
    """Not the oldest that never brought anything, nor a later one that did."""
    for seed in range(20):
        lab = _full(seed=seed)
        for n in (4, 2, 3):
            _useful(lab, ConnectionId(n), n)
        for _ in range(30):
            lab.wait(TIMES.churn)
            assert ConnectionId(2) in lab.state.connections.table
        assert FIVE.peers_protected == 1


def test_a_tip_that_becomes_ours_makes_useful() -> None:
    """Everybody who had it before us."""
    lab = _full()
    lab.announce(ConnectionId(3), ChannelId.BEST_TIP, block(3))
    lab.feed(BestTipSet(block(3), state_hash(3)))
    assert lab.peer(3).useful_at == lab.now
    assert lab.peer(2).useful_at is None


def test_use_of_a_former_connection_does_not_count() -> None:
    """Whoever comes back begins anew."""
    lab = Lab(limits=FIVE)
    first = lab.accept(1)
    _useful(lab, first, 1)
    lab.close(first)
    lab.wait(SECOND)
    again = lab.accept(1)
    for n in range(2, 6):
        lab.accept(n)
    lab.wait(SECOND)
    _useful(lab, ConnectionId(again + 1), 2)
    for _ in range(200):
        lab.wait(TIMES.churn)
        if len(_freed(lab)) == 2:
            break
    assert ConnectionId(again + 1) in lab.state.connections.table


def test_whom_a_person_named_stays() -> None:
    """An operator's peers are not weighed against others."""
    lab = Lab(limits=FIVE.replace(peers_protected_percent=0))
    named = [lab.connect(n) for n in (1, 2)]
    for n in range(3, 6):
        lab.accept(n)
    for _ in range(40):
        lab.wait(TIMES.churn)
    assert set(named) < set(lab.state.connections.table)
    assert lab.state.connections.ready_count == FIVE.peers_stable


def test_who_made_room_is_left_alone_for_a_while() -> None:
    """On both sides: neither dials the other before others had their chance, and nobody failed."""
    for by_peer in (False, True):
        lab = Lab(limits=Limits(peers_min=1))
        connection_id = lab.connect(1)
        lab.close(connection_id, ReasonCode.FREE_UP_SPACE, by_peer=by_peer)
        status = lab.peer(1).status
        assert isinstance(status, BackingOff)
        assert status.until >= lab.now + TIMES.reconnect_freed * 8 // 10
        assert (lab.peer(1).failures, lab.peer(1).is_address_proven) == (0, True)


def test_a_full_peer_is_tried_again_soon() -> None:
    """Its refusal says nothing against it, however often it comes: it makes room from time to time."""
    lab = Lab(limits=Limits(peers_min=1))
    lab.feed(PeerDiscovered(address(1), PeerSource.USER, None))
    for _ in range(6):
        lab.wait(2 * TIMES.reconnect_full)
        lab.feed(ConnectionClosed(lab.state.connections.last_id, Reason(ReasonCode.PEER_CAPACITY_FULL), by_peer=True))
        status = lab.peer(1).status
        assert isinstance(status, BackingOff)
        assert status.until <= lab.now + TIMES.reconnect_full * 12 // 10


# --- where else to try --------------------------------------------------------------------------


def test_a_refusal_names_others() -> None:
    """As many as it may, of those that are connected, by lot; never the asker itself."""
    lab = _full()
    named: set[str] = set()
    for n in range(20, 60):
        assert lab.arrive(n) is None
        (reject,) = lab.of(ConnectionEffectfulReject)
        found = referrals(reject.reason, 4)
        assert len(found) == len(set(found)) == lab.state.config.limits.referrals_max
        named |= {str(one) for one in found}
    assert named == {str(address(n)) for n in range(1, 6)}


def test_a_newcomer_goes_where_it_is_sent() -> None:
    """What a refusal names is in its table, as hearsay of that peer, and is dialled."""
    lab = Lab(limits=Limits(peers_min=4))
    connection_id = lab.dial(1)
    reason = refusal([address(2), address(3)])
    lab.feed(ConnectionClosed(connection_id, reason, by_peer=True))
    found = [lab.peer(n) for n in (2, 3)]
    assert [(peer.source, peer.is_address_proven) for peer in found] == [(PeerSource.REFERRAL, False)] * 2
    lab.wait(SECOND)
    assert all(lab.state.connection_of(peer.peer_id) is not None for peer in found)


def test_neighbours_are_believed_of_neighbours() -> None:
    """A private address that a peer of the same private network names."""
    lab = Lab(limits=Limits(peers_min=4))
    here = [address(n).replace(host=Ipv4.of(10, 0, 0, n)) for n in (1, 2)]
    lab.feed(ConnectionClosed(lab.dial(1, to=here[0]), refusal(here[1:]), by_peer=True))
    assert lab.peer(2).address == here[1]


@pytest.mark.parametrize(
    ("reason", "by_peer"),
    [
        (refusal([address(2)]), False),
        (refusal([address(2)]).replace(code=ReasonCode.SHUTDOWN), True),
        (Reason(ReasonCode.PEER_CAPACITY_FULL, detail=f"see {address(2)}"), True),
        (Reason(ReasonCode.PEER_CAPACITY_FULL, detail="try nonsense /ip4/1 try"), True),
        (refusal([address(2).replace(host=Ipv4.of(10, 0, 0, 1))]), True),
    ],
)
def test_nothing_else_is_taken_for_a_referral(reason: Reason, by_peer: bool) -> None:
    """Our own words, other reasons, other texts, garbage, and addresses that are not the peer's to give."""
    lab = Lab(limits=Limits(peers_min=4))
    lab.feed(ConnectionClosed(lab.dial(1), reason, by_peer))
    assert lab.state.peers.find(peer_id(2)) is None


def test_refusals_are_bounded() -> None:
    """Two long addresses at most, whatever there is; a text that names many is read as far as the bound goes."""
    long = [QuicAddress(peer_id(n), Ipv4.of(255, 255, 255, 250 + n), 65_535) for n in range(1, 5)]
    assert len(refusal(long).detail) <= DETAIL_CHARS_MAX
    assert referrals(refusal(long), 4) == tuple(long[:2])
    assert referrals(refusal(long), 1) == tuple(long[:1])
    longest = QuicAddress(peer_id(1), Ipv6.of(*[0xFFFF] * 8), 65_535)
    assert referrals(refusal([longest] * 3), 4) == (longest,)
    assert refusal([]).detail == ""
    assert parse_address(str(long[0])) == long[0]


# --- whole networks -----------------------------------------------------------------------------


@pytest.mark.parametrize("without", [{}, {"referrals_max": 0}, {"peers_stable_percent": 100}], ids=["both", "churn", "referrals"])
@pytest.mark.parametrize("seed", [2, 3])
def test_everybody_gets_in(seed: int, without: dict[str, int]) -> None:
    """Twelve nodes with five places each that all know the same four: nobody is left outside; either means is enough (finding L11)."""
    simulation = Simulation(seed)
    nodes: list[SimNode] = []
    for _ in range(12):
        known = tuple(node.port.dial_address for node in nodes[:4])
        nodes.append(simulation.add(initial_peers=known, limits=Limits(peers_max=5, peers_min=3, **without)))
    assert simulation.run(600 * SECOND, until=lambda: all(node.ready_peers() for node in nodes))


def test_a_newcomer_that_knows_one_full_node_gets_in() -> None:
    """By its refusal: no place becomes free in this network while it asks."""
    simulation = Simulation(5)
    limits = Limits(peers_max=3, peers_min=2)
    hub = simulation.add(limits=limits)
    nodes = [simulation.add(initial_peers=(hub.port.dial_address,), limits=limits) for _ in range(3)]
    assert simulation.run(60 * SECOND, until=lambda: len(hub.ready_peers()) == 3)
    newcomer = simulation.add(initial_peers=(hub.port.dial_address,), limits=limits)
    assert simulation.run(30 * SECOND, until=lambda: bool(newcomer.ready_peers()))
    assert set(newcomer.ready_peers()) <= {node.state.config.peer_id for node in nodes}
