"""The six rules of the proposal, what they leave broken, and the additions that heal it (spec: address-gossip 2.1, 3).

Networks in memory, on a virtual clock, with every invariant checked after every input.
"""

from __future__ import annotations

from typing import Any

import pytest

from gossip.towns import PERIOD, Town
from mina_p2p.ids import SECOND
from mina_p2p.transport import ConnectionEffectfulDial


def town(*, nodes: int, seed: int = 1, is_strict: bool = False, **settings: Any) -> Town:
    """A network in which the first node is known to all, and that has become a mesh."""
    made = Town(seed, is_strict=is_strict, **settings)
    made.start(1)
    for place in range(2, nodes + 1):
        made.start(place, 1)
        made.run(1)
    assert made.until_mesh(2 * PERIOD) is not None
    return made


def dials(made: Town, place: int) -> list[int]:
    """Places that a node dials from now on, as they are dialled."""
    found: list[int] = []
    node = made.nodes[place]
    perform = node.perform

    def watched(effect: Any) -> None:
        if isinstance(effect, ConnectionEffectfulDial):
            found.append(int.from_bytes(effect.address.peer_id, "big"))
        perform(effect)

    node.perform = watched  # type: ignore[method-assign]  # the one way to see effects of one node
    return found


def test_rule_1_a_node_connects_to_what_it_was_configured_with() -> None:
    """Given dead, living, twice the same and its own address, a newcomer is connected with the living one."""
    made = Town(1)
    made.start(1)
    made.start(2, 1, 1, 2, 99)
    made.run(3)
    assert made.links(2) == {made.peer_id(1)}


def test_rule_3_a_lost_connection_is_not_repeated() -> None:
    """In the pure proposal a node that went is not dialled again, and its entry is deleted."""
    made = town(nodes=3, is_strict=True)
    made.crash(3)
    made.run(31)
    seen = dials(made, 2)
    made.run(20 * 60)
    assert 3 not in seen
    assert made.nodes[2].state.peers.find(made.peer_id(3)) is None


def test_rule_4_whoever_proves_its_id_is_accepted() -> None:
    """A node that nobody knows is connected with, and told to the others."""
    made = town(nodes=3)
    made.start(9, 3)
    made.run(10)
    assert made.is_mesh()


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


def test_a_node_that_comes_back_is_found_at_once() -> None:
    """Within the time for which it is remembered, too: its record is newer (spec: address-gossip 3.2)."""
    for away in (10, 40, 300):
        made = town(nodes=6)
        made.crash(4)
        made.run(away)
        made.start(4, 1)
        found = made.until_mesh(PERIOD)
        assert found is not None
        assert found <= 40, f"after {away} s"


def test_a_clock_that_went_back_does_not_make_a_node_invisible() -> None:
    """A record of ours with a later date comes back to us; ours is dated after it (AG-6, 5.4 point 3)."""
    made = town(nodes=4)
    made.nodes[3].jump_clock(100 * SECOND)
    made.run(2 * PERIOD)
    made.crash(3)
    made.run(35)
    made.start(3, 1)
    assert made.until_mesh(PERIOD) is not None
    made.run(2 * PERIOD)
    known = made.nodes[1].state.address_gossip.book.find(made.peer_id(3))
    assert known is not None
    assert known[1].record.issued_at == made.nodes[3].state.address_gossip.own.last_issued_at


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_bootstrap_that_restarts(is_strict: bool) -> None:
    """It knows nobody: in the pure proposal it is alone for ever, with AG-1 the others come within a period (spec 3.3)."""
    made = town(nodes=5, is_strict=is_strict)
    made.crash(1)
    made.run(60)
    made.start(1)
    found = made.until_mesh(3 * PERIOD)
    assert (found is None) == is_strict
    if found is not None:
        assert found <= 1.1 * PERIOD
    else:
        assert made.links(1) == set()


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_newcomer_while_the_bootstrap_is_down(is_strict: bool) -> None:
    """Stuck in the pure proposal; with AG-1 in the mesh a period after the bootstrap is back (spec 3.4)."""
    made = Town(3, is_strict=is_strict)
    made.start(2, 1)
    made.run(100)
    made.start(1)
    found = made.until_mesh(3 * PERIOD)
    assert (found is None) == is_strict


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_partition_with_two_bootstraps_on_each_side(is_strict: bool) -> None:
    """The case that redialling only where isolated does not heal: each side has configured peers that are connected (spec 3.5)."""
    made = Town(5, is_strict=is_strict)
    left, right = [1, 2, 3], [4, 5, 6]
    bootstraps = (1, 2, 4, 5)
    for place in (*left, *right):
        made.start(place, *bootstraps)
    assert made.until_mesh(2 * PERIOD) is not None
    made.cut(left, right)
    made.run(16 * 60)
    assert made.components() == 2
    made.simulation.network.heal()
    found = made.until_mesh(3 * PERIOD)
    assert (found is None) == is_strict
    assert made.components() == (2 if is_strict else 1)


def test_a_dead_address_dies_out() -> None:
    """A node that is gone is in no book after the life of its last record (AG-7)."""
    made = town(nodes=4)
    made.crash(4)
    made.run(16 * 60)
    assert all(made.peer_id(4) not in node.state.address_gossip.book.numbers for node in made.nodes.values())
