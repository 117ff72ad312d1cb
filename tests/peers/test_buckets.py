"""Buckets of the peer table: how much one owner can have."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slices.lab import Lab, hello, peer_id

from mina_p2p.address import Ipv4, Ipv6, QuicAddress
from mina_p2p.ids import PeerNumber
from mina_p2p.peer.choice import choose
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.start import shape_of
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.transport import ConnectionHelloReceived
from peers.world import at, hear, is_known, node

SHAPE = shape_of(PeerTableConfig(), 1)


def test_what_one_network_tells_is_in_few_buckets_whatever_it_invents() -> None:
    """Ten thousand addresses of as many networks, told in one network: as many buckets as the setting says."""
    told = {SHAPE.new_bucket(at(n % 5_000, n // 5_000 + 1), "9.9.0.0/16") for n in range(10_000)}
    assert len(told) == PeerTableConfig().new_buckets_per_source


def test_what_one_network_runs_is_in_few_buckets() -> None:
    """Sixty thousand hosts of one /16, or of one /32 of IPv6."""
    for count in (1, 4):
        shape = shape_of(PeerTableConfig(tried_buckets_per_group=count), 1)
        ipv4 = {shape.tried_bucket(at(1, n)) for n in range(1, 60_000, 7)}
        ipv6 = {shape.tried_bucket(QuicAddress(peer_id(n), Ipv6.of(0x2A01, 7, n, 0, 0, 0, 0, 1), 8302)) for n in range(5_000)}
        assert len(ipv4) == len(ipv6) == count


def test_many_networks_are_in_many_buckets() -> None:
    """Each in its own, but for chance."""
    assert len({SHAPE.tried_bucket(at(n, 1)) for n in range(100)}) > 85


def test_who_shares_a_bucket_is_decided_by_the_salt() -> None:
    """Nobody can tell without it; with it everybody comes to the same."""
    addresses = [at(n, 1) for n in range(200)]
    one, two = (shape_of(PeerTableConfig(salt=bytes([n]) * 16), 1) for n in (1, 2))
    assert [one.tried_bucket(a) for a in addresses] != [two.tried_bucket(a) for a in addresses]
    assert one == shape_of(PeerTableConfig(salt=bytes([1]) * 16), 99), "a salt of its own does not depend on the dice"
    assert shape_of(PeerTableConfig(), 1) != shape_of(PeerTableConfig(), 2)


@pytest.mark.parametrize("salt", [b"", b"short", bytes(17)])
def test_a_salt_has_its_length(salt: bytes) -> None:
    """16 bytes, or none."""
    with pytest.raises(ValueError, match="salt"):
        PeerTableConfig(salt=salt)


def test_hosts_of_private_networks_are_networks_of_their_own() -> None:
    """A node in a local network may know all its neighbours."""
    neighbours = [QuicAddress(peer_id(n), Ipv4.of(10, 0, 0, n), 8302) for n in range(1, 200)]
    assert len({SHAPE.group_of(address) for address in neighbours}) == len(neighbours)
    assert len({SHAPE.tried_bucket(address) for address in neighbours}) > 150


def test_a_small_network_of_one_owner_fits_as_a_whole() -> None:
    """Buckets have no size of their own: where there is room, nobody is left out."""
    lab = node()
    for n in range(1, 301):
        hear(lab, at(1, n))
    assert sum(is_known(lab, at(1, n)) for n in range(1, 301)) == 300


FEW = PeerTableConfig(new_max=40, new_buckets=64, new_buckets_per_source=8)


def test_a_flood_of_one_owner_pushes_nobody_out() -> None:
    """Twenty addresses of twenty networks stay while a thousand of one come, and twenty more get in after it."""
    lab = node(FEW)
    for n in range(20):
        hear(lab, at(n, 1))
    for n in range(1, 1_001):
        hear(lab, at(100, n))
    assert all(is_known(lab, at(n, 1)) for n in range(20))
    assert len(lab.state.peers.new) == 40
    for n in range(200, 220):
        hear(lab, at(n, 1))
    known = sum(is_known(lab, at(n, 1)) for n in range(200, 220))
    assert known >= 17, "some share a bucket with others"
    assert all(is_known(lab, at(n, 1)) for n in range(20))


def test_a_full_table_of_equals_takes_nobody_but_for_the_hopeless() -> None:
    """Who was there first stays, until it has been tried in vain three times."""
    lab = node(FEW.replace(new_max=3, new_buckets=1, new_buckets_per_source=1))
    for n in range(4):
        hear(lab, at(n, 1))
    assert [is_known(lab, at(n, 1)) for n in range(4)] == [True, True, True, False]
    number, peer = lab.state.peers.find(at(1, 1).peer_id) or (PeerNumber(0), None)
    assert peer is not None
    lab.state = lab.state.replace(peers=lab.state.peers.put(number, peer.replace(failures=3)))
    hear(lab, at(3, 1))
    assert [is_known(lab, at(n, 1)) for n in range(4)] == [True, False, True, True]


def test_a_draw_is_of_buckets_then_of_networks() -> None:
    """Two hundred addresses of one owner have hardly more chances than one of another."""
    lab = node()
    for n in range(1, 201):
        hear(lab, at(100, n))
    for n in range(10):
        hear(lab, at(n, 1))
    drawn: Counter[bool] = Counter()
    peers = lab.state.peers
    for _ in range(2_000):
        number, random = choose(peers, (), 1)
        peers = peers.replace(random=random)
        drawn[number > 200] += 1
    # One bucket of eleven, or of a few less where two share one.
    assert drawn[False] < 2_000 * 0.2


def test_networks_that_are_connected_are_drawn_less() -> None:
    """A second connection with one network only if no other is drawn for a while."""
    lab = node()
    for n in (1, 2):
        hear(lab, at(n, 1))
    network = SHAPE.group_of(at(1, 1))
    peers, firsts = lab.state.peers, 0
    for _ in range(300):
        number, random = choose(peers, {network}, 8)
        peers = peers.replace(random=random)
        firsts += number == 1
    assert firsts < 15, "about one in 256"


def test_half_of_the_draws_are_of_each_table() -> None:
    """However many are in one of them."""
    lab = node()
    for n in range(100):
        hear(lab, at(n, 1))
    peers = lab.state.peers
    for number in (1, 2, 3):
        peers = peers.put(PeerNumber(number), peers.table[PeerNumber(number)].replace(is_tried=True))
    tried = 0
    for _ in range(2_000):
        number, random = choose(peers, (), 1)
        peers = peers.replace(random=random)
        tried += number <= 3
    assert 900 < tried < 1_100


def test_what_is_heard_of_is_there_to_find_new_networks() -> None:
    """Of forty addresses whose networks are known and one of another, that one is drawn; without it, the tried are."""
    lab = node()
    for network in (1, 2):
        for host in range(1, 21):
            hear(lab, at(network, host))
    hear(lab, at(3, 1))
    peers = lab.state.peers
    for number in (1, 21):
        peers = peers.put(PeerNumber(number), peers.table[PeerNumber(number)].replace(is_tried=True))
    drawn: Counter[str] = Counter()
    for n in range(400):
        if n == 200:
            peers = peers.remove(PeerNumber(41))
        number, random = choose(peers, (), 32)
        peers = peers.replace(random=random)
        what = "tried" if number in {1, 21} else "another" if number == 41 else "known"
        drawn[f"{what} {n // 200}"] += 1
    assert drawn["known 0"] + drawn["known 1"] == 0
    assert 70 < drawn["another 0"] < 130
    assert drawn["tried 1"] == 200


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9), st.sampled_from(["hear", "ready", "fail", "forget"])), max_size=60))
def test_buckets_agree_with_the_records_after_anything(steps: list[tuple[int, int, str]]) -> None:
    """Whatever happens to records, the tables say the same as they."""
    lab = node(PeerTableConfig(new_max=6, new_buckets=4, tried_max=3, tried_buckets=2, contests_max=1))
    for network, host, what in steps:
        address = at(network, host)
        found = lab.state.peers.find(address.peer_id)
        if what == "hear":
            hear(lab, address)
        elif found is not None and what == "forget" and not lab.state.connections.table:
            lab.state = lab.state.replace(peers=lab.state.peers.remove(found[0]))
        elif found is not None and what in {"ready", "fail"}:
            _dial(lab, address, is_good=what == "ready")
        check_invariants(lab.state)


def _dial(lab: Lab, address: QuicAddress, *, is_good: bool) -> None:
    n = int.from_bytes(address.peer_id, "big")
    if lab.state.connection_of(address.peer_id) is not None:
        return
    connection_id = lab.dial(n, to=address)
    if is_good and connection_id in lab.state.connections.table:
        lab.establish(connection_id, n)
        lab.feed(ConnectionHelloReceived(connection_id, hello()))
    if connection_id in lab.state.connections.table:
        lab.close(connection_id)
