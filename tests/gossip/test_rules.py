"""The six rules of the proposal, in the order of its first text (spec: address-gossip 2.1, 4.3).

Networks in memory, on a virtual clock, with every invariant checked after every input; and one node whose peers are played.
"""

from __future__ import annotations

import pytest
from slices.lab import ME, hello, peer_id

from gossip.grown import dials, town
from gossip.played import NOW, Peers, record_of
from mina_p2p.address import Domain, QuicAddress
from mina_p2p.channels.address_gossip.actions import AddressGossipEffectfulSign, AddressGossipSigned
from mina_p2p.config import Limits
from mina_p2p.identity import ChainId
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.towns import PERIOD, PORT, Town
from mina_p2p.transport import ConnectionEffectfulDial, ConnectionEffectfulReject, ConnectionHelloReceived


def test_rule_1_a_node_connects_to_what_it_was_configured_with() -> None:
    """Given dead, living, twice the same, its own and unresolvable addresses, a newcomer is connected with the living one."""
    made = Town(1)
    made.start(1)
    node = made.start(2, 1, 1, 2, 99, more=(QuicAddress(made.peer_id(98), Domain("nowhere.example"), PORT),))
    made.run(3)
    assert made.links(2) == {made.peer_id(1)}
    assert node.state.peers.find(made.peer_id(2)) is None


def test_rule_1_the_node_itself_is_never_counted() -> None:
    """A first node that lists itself alone is alone, dials nobody, and is there for the first that comes (AG-2)."""
    made = Town(1)
    made.start(1, 1)
    seen = dials(made, 1)
    made.run(3 * PERIOD)
    assert (seen, made.links(1)) == ([], set())
    made.start(2, 1)
    made.run(3)
    assert made.links(1) == {made.peer_id(2)}


def test_rule_2_a_lost_connection_is_not_repeated() -> None:
    """In the pure proposal a node that went is not dialled again, and its entry is deleted."""
    made = town(nodes=3, is_strict=True)
    made.crash(3)
    made.run(31)
    seen = dials(made, 2)
    made.run(20 * 60)
    assert 3 not in seen
    assert made.nodes[2].state.peers.find(made.peer_id(3)) is None


def test_rule_2_a_failed_dial_is_not_repeated() -> None:
    """What a record leads to and does not answer is dialled once, and again only for a newer record; no back-off remembers it."""
    made = Town(1, is_strict=True)
    for place in (1, 2):
        made.start(place, 1)
    made.cut([2], [3])
    seen = dials(made, 2)
    made.start(3, 1)
    made.run(PERIOD - 30)
    assert seen == [3]
    assert made.nodes[2].state.peers.find(made.peer_id(3)) is None, "its entry is deleted with its failure"
    made.run(PERIOD)
    assert seen == [3, 3]


NO_DIALS = Limits(peers_min=0)
"""A node that is content with who comes."""

ORDERS = [
    ("open 1", "open 2", "close 1", "close 2"),
    ("open 1", "open 2", "close 2", "close 1"),
    ("open 1", "close 1", "open 2", "close 2"),
    ("open 2", "open 1", "close 1", "close 2"),
    ("open 2", "open 1", "close 2", "close 1"),
    ("open 2", "close 2", "open 1", "close 1"),
]


def test_rule_3_a_connection_is_in_the_map_by_the_id_of_its_node() -> None:
    """Whoever dialled it: one entry for each id, which leads to its connection and is gone with it."""
    lab = Peers()
    dialled, arrived = lab.connect(7), lab.join(207)
    assert lab.state.connection_of(peer_id(7)) == dialled
    assert lab.state.connection_of(peer_id(207)) == arrived
    lab.close(dialled)
    assert lab.state.connection_of(peer_id(7)) is None
    assert lab.state.connection_of(peer_id(207)) == arrived


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
def test_rule_3_the_newest_connection_is_in_the_map(order: tuple[str, ...]) -> None:
    """Half a minute apart, the newer one replaces the older; that one's end, which comes late, touches nothing (AG-4)."""
    lab, ids, newest = Peers(NO_DIALS), dict[str, ConnectionId](), None
    for event in order:
        lab.wait(31 * SECOND)
        what, number = event.split()
        if what == "open":
            newest = ids[number] = lab.join(201)
        else:
            lab.close(ids[number])
            newest = None if newest == ids[number] else newest
        assert _linked(lab, 201) == newest, event


@pytest.mark.parametrize("other", [ME - 1, ME + 1])
@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
def test_rule_3_of_two_crossing_dials_that_of_the_greater_id_stays(order: tuple[str, ...], other: int) -> None:
    """1 is our dial and has begun before, 2 is the peer's: in any order of what follows there is one connection, the same at both ends."""
    lab = Peers()
    ids: dict[str, ConnectionId | None] = {"1": lab.dial(other)}
    is_ours_to_stay = other < ME
    # What should be: our dial waits, is ready or is over; the peer's is ready or not.
    ours, theirs = "waits", False
    for event in order:
        lab.wait(SECOND // 2)
        what, number = event.split()
        if event == "open 1" and ours == "waits":
            lab.establish(_known(ids, "1"), other).feed(ConnectionHelloReceived(_known(ids, "1"), hello(channels=(9,))))
            ours = "ready"
        elif event == "open 2":
            ids["2"] = lab.arrive(other)
            is_taken = ours == "over" or not is_ours_to_stay
            assert (ids["2"] is not None) == is_taken
            if is_taken:
                lab.feed(ConnectionHelloReceived(_known(ids, "2"), hello(channels=(9,))))
                ours, theirs = "over", True
        elif what == "close":
            if ids.get(number) is not None:
                lab.close(_known(ids, number))
            ours, theirs = ("over", theirs) if number == "1" else (ours, False)
        assert _linked(lab, other) == (ids["1"] if ours == "ready" else ids["2"] if theirs else None), event


def _linked(lab: Peers, n: int) -> ConnectionId | None:
    """The ready connection with a peer."""
    found = lab.state.connection_of(peer_id(n))
    return found if found is not None and lab.state.connections.ready(found) is not None else None


def _known(ids: dict[str, ConnectionId | None], number: str) -> ConnectionId:
    found = ids[number]
    assert found is not None
    return found


def test_rule_4_whoever_proves_its_id_is_accepted() -> None:
    """A node that nobody knows is connected with, and told to the others."""
    made = town(nodes=3)
    made.start(9, 3)
    made.run(10)
    assert made.is_mesh()


def test_rule_4_a_hundred_come() -> None:
    """Each valid id is accepted while there is room; beyond that it is refused, and nothing is kept of it."""
    lab = Peers(Limits(peers_max=60, peers_min=0, peers_stable_percent=100, peers_per_group_max=100))
    accepted = [n for n in range(1, 100) if lab.arrive(n) is not None]
    assert len(accepted) == 60
    assert all(lab.state.peers.find(peer_id(n)) is None for n in range(1, 100) if n not in accepted)


def test_rule_4_who_is_of_another_chain_is_refused() -> None:
    """Before it is told anything, and whatever it says of channels."""
    lab = Peers()
    connection_id = lab.arrive(1)
    assert connection_id is not None
    lab.feed(ConnectionHelloReceived(connection_id, hello(channels=(9,), chain_id=ChainId(bytes(32)))))
    assert lab.goodbye(connection_id) is not None
    assert not lab.state.address_gossip.links


def test_rule_4_nobody_connects_with_our_own_id() -> None:
    """A node that came back to itself, or another with its key, is refused at once."""
    lab = Peers()
    assert lab.arrive(ME) is None
    assert lab.of(ConnectionEffectfulReject)
    assert not lab.state.connections.table


def test_rule_5_addresses_are_told_every_period() -> None:
    """Each period brings one newer record of every node to every node, in a network where nothing happens."""
    made = town(nodes=3)
    made.run(PERIOD)

    def dates() -> list[int]:
        book = made.nodes[1].state.address_gossip.book
        return [known.record.issued_at for known in book.table.values()]

    before = dates()
    made.run(PERIOD)
    assert len(before) == 2
    assert [after - date for after, date in zip(dates(), before, strict=True)] == [PERIOD, PERIOD]


def test_rule_5_goes_on_when_alone_and_after_a_jump_of_the_clock() -> None:
    """Dates go on without peers; missed ticks are skipped and not made up for."""
    made = Town(1)
    node = made.start(1)
    made.run(5 * PERIOD)
    own = node.state.address_gossip.own
    assert own.record is not None
    node.jump_clock(10 * PERIOD * SECOND)
    made.run(1)
    later = node.state.address_gossip.own
    assert later.last_issued_at - own.last_issued_at >= 10 * PERIOD
    assert node.now < later.next_tick <= node.now + PERIOD * SECOND


def test_rule_5_keeps_its_beat() -> None:
    """The first record 5 s after the start, the others exactly a period apart, whether or not anybody is there."""
    made = Town(1)
    dated: list[int] = []
    node = made.start(1)
    software = node.software
    assert software is not None

    def watched(node: SimNode, told: object) -> None:
        if isinstance(told, AddressGossipEffectfulSign):
            dated.append(round(made.now))
        software(node, told)

    node.software = watched
    made.run(4 * PERIOD)
    assert dated == [5, 5 + PERIOD, 5 + 2 * PERIOD, 5 + 3 * PERIOD]


def test_rule_5_dates_never_go_back() -> None:
    """A node that starts again with a clock an hour behind dates its record after the last one, which its program kept (AG-6)."""
    lab = Peers(last_issued_at=NOW + 3_600)
    lab.join(1)
    (effect,) = lab.of(AddressGossipEffectfulSign)
    assert effect.issued_at == NOW + 3_601
    before = lab.state
    lab.feed(AddressGossipSigned(effect.issued_at, bytes(63)))  # no signature, whoever answers so
    assert lab.state.address_gossip == before.address_gossip
    lab.feed(AddressGossipSigned(effect.issued_at, bytes(64)))
    lab.wait(5 * SECOND)
    (effect,) = lab.of(AddressGossipEffectfulSign)
    assert effect.issued_at == NOW + 3_602


def test_rule_6_an_address_is_dialled_once() -> None:
    """A record that leads nowhere is dialled once, by whomever it is told; each newer one is one more attempt."""
    made = Town(1, is_strict=True)
    for place in (1, 2, 4):
        made.start(place, 1)
    made.cut([2], [3])
    seen = dials(made, 2)
    made.start(3, 1, 4, addresses=(made.address(3).replace(port=9),))
    versions: set[int] = set()
    for _second in range(3 * PERIOD):
        made.run(1)
        found = made.nodes[2].state.address_gossip.book.find(made.peer_id(3))
        if found is not None:
            versions.add(found[1].record.issued_at)
    assert len(versions) >= 4
    assert seen.count(3) == len(versions)


def test_rule_6_the_own_address_is_not_dialled() -> None:
    """A node that hears its own record does nothing about it."""
    made = town(nodes=4)
    seen = dials(made, 2)
    made.run(3 * PERIOD)
    assert 2 not in seen
    assert all(known.record.public_key != made.peer_id(2) for known in made.nodes[2].state.address_gossip.book.table.values())


def test_rule_6_the_same_record_of_five_peers_is_one_dial() -> None:
    """It is asked of one of them, and is worth one attempt; a newer one is worth one more."""
    lab = Peers()
    relayers = [lab.join(n) for n in range(1, 6)]
    for version in range(2):
        for relayer in relayers:
            lab.bring(relayer, record_of(207, issued_at=NOW + version))
        lab.wait(2 * SECOND)
        dialled = [effect.connection_id for effect in lab.all if isinstance(effect, ConnectionEffectfulDial)]
        assert len(dialled) == version + 1
        lab.close(dialled[-1])


def test_rule_6_another_nodes_record_of_our_address_is_not_dialled() -> None:
    """Where we are, nobody else is: to dial that would be to dial ourselves."""
    lab = Peers()
    relayer = lab.join(1)
    lab.bring(relayer, record_of(7, places=record_of(ME).places))
    assert lab.state.peers.find(peer_id(7)) is None
