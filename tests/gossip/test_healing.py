"""What the six rules of the proposal leave broken, and the additions that heal it (spec: address-gossip 3).

Networks in memory, on a virtual clock, with every invariant checked after every input.
"""

from __future__ import annotations

import pytest

from gossip.grown import dials, town
from mina_p2p.ids import SECOND
from mina_p2p.testing.towns import PERIOD, Town


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
    made.heal()
    found = made.until_mesh(3 * PERIOD)
    assert (found is None) == is_strict
    assert made.components() == (2 if is_strict else 1)


def test_a_dead_address_dies_out() -> None:
    """A node that is gone is in no book after the life of its last record (AG-7)."""
    made = town(nodes=4)
    made.crash(4)
    made.run(16 * 60)
    assert all(made.peer_id(4) not in node.state.address_gossip.book.numbers for node in made.nodes.values())


def test_configured_peers_are_dialled_by_who_has_enough() -> None:
    """AG-1 is for each configured address at each tick: a node with all the connections it wishes for dials them too."""
    made = Town(1)
    made.start(1)
    for place in (2, 3, 4, 5):
        made.start(place, 1, wished=2, most=9)
    made.run(30)
    made.crash(1)
    made.run(60)
    assert all(node.state.connections.ready_count >= 2 for node in made.nodes.values())
    made.start(1)
    made.run(PERIOD + 1)
    assert len(made.links(1)) == 4


def test_a_dead_configured_peer_is_dialled_each_tick() -> None:
    """For ever, once a tick: the switch turns it off."""
    for is_on in (True, False):
        made = Town(1, are_configured_redialled=is_on)
        made.start(1)
        made.start(2, 1, 99, wished=1)
        made.run(30)
        seen = dials(made, 2)
        made.run(10 * PERIOD)
        assert seen.count(99) == (10 if is_on else 0)


def test_newcomers_get_on_where_the_only_known_node_is_full() -> None:
    """It refuses whom it has no room for and names others, and so does the work of a lobby (spec: address-gossip 5.7, AG-19)."""
    made = Town(1)
    made.start(1, wished=2, most=4)
    for place in range(2, 26):
        made.start(place, 1, wished=4, most=12)
    made.run(2 * PERIOD)
    assert made.components() == 1
    assert len(made.links(1)) <= 4
    assert min(len(made.links(place)) for place in made.nodes if place != 1) >= 4
