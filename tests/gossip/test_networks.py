"""Whole networks under many seeds: how soon they are a mesh, and what is left after churn (spec: address-gossip 4.2)."""

from __future__ import annotations

import random

import pytest

from mina_p2p.ids import SECOND
from mina_p2p.state import P2pState
from mina_p2p.testing.towns import PERIOD, Town

SEEDS_OF_THE_GATE = 20


def star(nodes: int, seed: int, *, wished: int = 50, most: int = 200) -> Town:
    """Everybody knows the first only."""
    made = Town(seed, check_every=11)
    made.start(1, wished=wished, most=most)
    for place in range(2, nodes + 1):
        made.start(place, 1, wished=wished, most=most)
    return made


@pytest.mark.parametrize("seeds", range(4))
def test_ten_nodes_are_a_mesh_within_a_tenth_of_a_round(seeds: int) -> None:
    """Two rounds are allowed; addresses are told on the first connection, so that nobody waits for a tick."""
    for seed in range(seeds, SEEDS_OF_THE_GATE, 4):
        found = star(10, seed).until_mesh(2 * PERIOD)
        assert found is not None, f"seed {seed}"
        assert found <= PERIOD / 10, f"seed {seed}"


def test_a_joiner_is_linked_with_all_soon() -> None:
    """Within a fifth of a round, whatever the seed."""
    for seed in range(5):
        made = star(8, seed)
        assert made.until_mesh(2 * PERIOD) is not None
        made.run(seed * 13)
        made.start(9, 5)
        found = made.until_mesh(PERIOD)
        assert found is not None
        assert found <= PERIOD / 5


def test_degrees_stay_in_bounds() -> None:
    """Nodes that wish for five connections dial for no more, and the network is one."""
    made = star(24, 1, wished=5, most=12)
    made.run(PERIOD)
    assert made.components() == 1
    degrees = [len(made.links(place)) for place in made.nodes]
    assert min(degrees) >= 4
    assert max(degrees) <= 12


@pytest.mark.parametrize("seed", range(2))
def test_after_churn_the_network_is_one_and_nothing_is_left(seed: int) -> None:
    """Thirty per cent of the nodes are replaced each minute; a round later all are connected, and nobody waits for the dead."""
    dice = random.Random(seed)
    made = star(12, seed)
    made.run(5)
    for _minute in range(4):
        for place in dice.sample(range(2, 13), 4):
            made.crash(place)
            made.run(dice.uniform(0, 5))
            made.start(place, 1)
        made.run(30)
    assert made.until_mesh(2 * PERIOD) is not None
    made.run(2 * PERIOD)
    assert made.components() == 1
    for node in made.nodes.values():
        slice_ = node.state.address_gossip
        assert len(slice_.links) == len(slice_.book) == 11
        assert not slice_.verifications
        assert all(not link.wanted for link in slice_.links.values()), [link for link in slice_.links.values() if link.wanted]
        # Each node issues once a period, and an item is remembered for a minute after it was told.
        assert len(slice_.gossip.table) <= 3 * 12


def test_clocks_need_not_agree() -> None:
    """Up to two minutes ahead a node is believed; one that is further ahead is not told on, and gets on by those that it hears of."""
    made = Town(1)
    for place in range(1, 8):
        made.start(place, *(() if place == 1 else (1,))).jump_clock(20 * (place - 1) * SECOND)
        made.run(1)
    found = made.until_mesh(2 * PERIOD)
    assert found is not None
    assert found <= PERIOD / 10
    made.start(8, 1).jump_clock(300 * SECOND)
    found = made.until_mesh(2 * PERIOD)
    assert found is not None
    made.run(PERIOD)
    books = [made.nodes[place].state.address_gossip.book.numbers for place in range(1, 8)]
    assert not any(made.peer_id(8) in numbers for numbers in books)
    assert all(made.peer_id(other) in made.nodes[8].state.address_gossip.book.numbers for other in range(1, 8))


def test_one_seed_decides_everything() -> None:
    """Two runs of a seed end in the same states, another seed in others."""
    ends: list[list[P2pState]] = []
    for seed in (4, 4, 5):
        made = star(6, seed)
        made.run(PERIOD)
        ends.append([node.state for node in made.nodes.values()])
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]
