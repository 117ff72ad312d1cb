"""How many dials are under way at one time, and how many of these into one network (spec: address-gossip 5.5)."""

from __future__ import annotations

import pytest
from slices.lab import Lab, peer_id

from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.ids import SECOND, ConnectionId, RequestId
from mina_p2p.peer.account import account
from mina_p2p.peer.actions import PeersRedialGiven
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import Attached, Disconnected, PeerSource
from mina_p2p.transport import ConnectionEffectfulDial
from peers.world import answer, at, hear, node

MANY = {"peers_min": 50, "peers_max": 100}


def near(n: int) -> QuicAddress:
    """One of many hosts of one /24."""
    return QuicAddress(peer_id(5_000 + n), Ipv4.of(7, 7, 7, n), 8302)


def private(n: int) -> QuicAddress:
    """One of many neighbours."""
    return QuicAddress(peer_id(6_000 + n), Ipv4.of(10, 0, 0, n), 8302)


def dials(lab: Lab) -> list[QuicAddress]:
    """All that were dialled so far."""
    found = (effect.address for effect in lab.all if isinstance(effect, ConnectionEffectfulDial))
    return [address for address in found if isinstance(address, QuicAddress)]


def attempts(lab: Lab) -> list[ConnectionId]:
    """Dials that are under way."""
    return [cid for cid in lab.state.connections.table if lab.state.connections.is_attempt(cid)]


def pass_time(lab: Lab, looks: int) -> Lab:
    """Let the node look at what is due some times, a second apart."""
    for _ in range(looks):
        lab.wait(SECOND)
    return lab


def test_so_many_dials_are_under_way_at_one_time() -> None:
    """Eight, however long they take; where one ends the next begins, and none is counted as a failure for having waited."""
    lab = node(None, **MANY)
    for network in range(30):
        hear(lab, at(network, 1))
    pass_time(lab, 5)
    assert len(dials(lab)) == len(attempts(lab)) == 8
    assert len(lab.state.peers.dialable) == 22
    lab.close(attempts(lab)[0])
    pass_time(lab, 1)
    assert len(dials(lab)) == 9
    first = lab.state.connections.table[attempts(lab)[0]].peer_id
    lab.establish(attempts(lab)[0], int.from_bytes(first, "big"))
    pass_time(lab, 1)
    assert len(dials(lab)) == 9, "it is not ready before the hello"


def test_four_of_them_into_one_network() -> None:
    """However many addresses of it were named: four strangers knock at once, the others wait, and go on when these are through."""
    lab = node(None, **MANY)
    for n in range(1, 21):
        hear(lab, near(n))
    pass_time(lab, 5)
    assert len(dials(lab)) == 4
    assert isinstance(lab.peer(5_020).status, Disconnected | Attached)
    waiting = [n for n in range(1, 21) if isinstance(lab.peer(5_000 + n).status, Disconnected)]
    assert len(waiting) == 16, "who waits is not taken for one that failed"
    found = account(lab.state, near(waiting[0]).peer_id, lab.now)
    assert found is not None
    assert found.why == "not dialled now: PEER_CAPACITY_FULL: 4 dials into 7.7.7.0/24 under way already"
    for connection_id in attempts(lab)[:2]:
        lab.close(connection_id)
    pass_time(lab, 3)
    assert len(dials(lab)) == 6
    assert len(attempts(lab)) == 4


def test_one_network_keeps_no_other_waiting() -> None:
    """Where four of it are under way, the four other places are for others."""
    lab = node(None, **MANY)
    for n in range(1, 61):
        hear(lab, near(n))
    for network in range(4):
        hear(lab, at(network, 1))
    pass_time(lab, 30)
    assert len(attempts(lab)) <= 8
    assert {at(network, 1) for network in range(4)} <= set(dials(lab))


def test_nobody_is_looked_for_all_the_time() -> None:
    """Where only peers are left that wait for others of their network, the node looks again after a second."""
    lab = node(None, **MANY)
    for n in range(1, 21):
        hear(lab, near(n))
    pass_time(lab, 2)
    assert lab.state.peers.next_dial_at > lab.now - SECOND
    lab.wait(SECOND // 10)
    before = lab.state.peers.random
    lab.wait(SECOND // 10)
    assert lab.state.peers.random == before, "nobody is drawn meanwhile"


@pytest.mark.parametrize("kind", ["named by a person", "neighbours"])
def test_who_is_exempt_from_the_bound_by_network(kind: str) -> None:
    """What a person named, and private ranges, in which all neighbours are of one network; not from the other bound."""
    lab = node(None, **MANY)
    for n in range(1, 21):
        if kind == "neighbours":
            hear(lab, private(n))
        else:
            hear(lab, near(n), PeerSource.CONFIG)
    pass_time(lab, 3)
    assert len(attempts(lab)) == 8


def test_a_persons_wish_does_not_wait() -> None:
    """It is dialled at once, whatever is under way."""
    lab = node(None, **MANY)
    for network in range(30):
        hear(lab, at(network, 1))
    pass_time(lab, 3)
    lab.feed(ConnectionOutgoingRequest(near(1), RequestId(1)))
    assert dials(lab)[-1] == near(1)
    assert len(attempts(lab)) == 9


def test_configured_peers_are_not_dialled_beyond_it() -> None:
    """Dialling them again at each tick (AG-1) bypasses how many are wished for, not how many may be under way."""
    lab = node(peers_min=0, peers_max=100, dials_per_tick_max=20)
    for network in range(30):
        hear(lab, at(network, 1), PeerSource.CONFIG)
    lab.feed(PeersRedialGiven())
    assert len(attempts(lab)) == 8


def test_a_test_of_an_address_waits_too() -> None:
    """A feeler is a dial like others."""
    lab = node(PeerTableConfig(feeler_interval=10 * SECOND), peers_min=1, peers_max=100, dials_pending_max=1)
    hear(lab, at(1, 1))
    lab.wait(SECOND)
    answer(lab, int.from_bytes(at(1, 1).peer_id, "big"))
    lab.feed(ConnectionOutgoingRequest(near(1), RequestId(1)))
    hear(lab, at(2, 1))
    pass_time(lab, 12)
    assert lab.state.peers.feeler is None
    lab.close(attempts(lab)[0])
    pass_time(lab, 1)
    assert lab.state.peers.feeler is not None
