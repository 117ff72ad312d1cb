"""Every row of the specification's tables of what heals by what, in periods until all are connected with all (address-gossip 3.3 to 3.6, 4.3).

Twelve nodes, three ways: by the six rules alone, by default, and by default with what a program keeps over restarts.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import pytest

from mina_p2p.peer.config import RememberedPeer
from mina_p2p.peer.memory import remembered
from mina_p2p.testing.towns import PERIOD, Town

EVERYBODY = range(1, 13)
NEVER = None


class How(enum.Enum):
    """What a network heals by."""

    RULES = "six rules"
    DEFAULT = "default"
    KEPT = "kept peers"


class Network:
    """A network that was whole once, and what its nodes keep."""

    def __init__(self, how: How, seed: int) -> None:
        self.how = how
        self.town = Town(seed, is_strict=how is How.RULES, check_every=50)
        self.kept: dict[int, tuple[RememberedPeer, ...]] = {}
        self.knows: dict[int, tuple[int, ...]] = {}
        """What a place is configured with, if that is not the first one."""
        self.order: Sequence[int] = EVERYBODY
        """In which they start."""

    def start(self, place: int) -> None:
        """Run a node, which knows the first only, or again what it knew."""
        kept = self.kept.get(place, ()) if self.how is How.KEPT else ()
        self.town.start(place, *self.knows.get(place, () if place == 1 else (1,)), remembered=kept)

    def crash(self, place: int) -> None:
        """End a node without a word."""
        self.kept[place] = remembered(self.town.nodes[place].state)
        self.town.crash(place)

    def whole(self) -> Town:
        """All of them, connected with all."""
        for place in self.order:
            self.start(place)
            self.town.run(1)
        assert self.town.until_mesh(2 * PERIOD) is not None
        return self.town


def growth(network: Network) -> None:
    """One node every ten seconds."""
    for place in EVERYBODY:
        network.start(place)
        if place != EVERYBODY[-1]:
            network.town.run(10)


def rejoining(network: Network) -> None:
    """A node is away for five minutes."""
    town = network.whole()
    network.crash(7)
    town.run(300)
    network.start(7)


def first_restarts(network: Network) -> None:
    """The first node, which lists nobody, is away for a minute."""
    town = network.whole()
    network.crash(1)
    town.run(60)
    network.start(1)


def first_knows_one(network: Network) -> None:
    """The same, but the first node lists one other (3.3)."""
    network.knows[1] = (7,)
    first_restarts(network)


def gone_while_all_runs(network: Network) -> None:
    """The first node goes for good; the others go on, and one that knows another of them comes (3.4)."""
    town = network.whole()
    network.crash(1)
    town.run(60)
    assert town.is_mesh()
    town.start(13, 5)


def blip(network: Network) -> None:
    """Two nodes do not reach each other for long enough to notice."""
    town = network.whole()
    town.cut([5], [6])
    town.run(45)
    assert not town.is_mesh()
    town.heal()


def partition(network: Network) -> None:
    """Two halves for a quarter of an hour, the first node in one of them."""
    town = network.whole()
    town.cut(EVERYBODY[:6], EVERYBODY[6:])
    town.run(900)
    town.heal()


def partition_of_two_firsts(network: Network) -> None:
    """The same, but each half has a first node, and these list each other (3.5)."""
    network.order = (1, 12, *EVERYBODY[1:11])
    for place in EVERYBODY:
        network.knows[place] = (1,) if place <= 6 else (12,)
    network.knows[1], network.knows[12] = (12,), (1,)
    partition(network)


def newcomer(network: Network) -> None:
    """The first node is down when another starts, and comes back later; kept peers are those of a neighbour."""
    town = network.whole()
    network.crash(12)
    network.crash(1)
    town.run(100)
    network.start(12)
    town.run(200)
    network.start(1)


def gone_for_good(network: Network) -> None:
    """The first node never comes back, and another restarts."""
    town = network.whole()
    network.crash(1)
    town.run(60)
    network.crash(8)
    town.run(60)
    network.start(8)


def mass_restart(network: Network) -> None:
    """All crash and come back, the first node a minute after the others."""
    town = network.whole()
    for place in EVERYBODY:
        network.crash(place)
    town.run(40)
    for place in EVERYBODY[1:]:
        network.start(place)
    town.run(60)
    network.start(1)


TABLE: dict[Callable[[Network], None], dict[How, float | None]] = {
    growth: {How.RULES: 0.1, How.DEFAULT: 0.1, How.KEPT: 0.1},
    rejoining: {How.RULES: 0.1, How.DEFAULT: 0.1, How.KEPT: 0.1},
    first_restarts: {How.RULES: NEVER, How.DEFAULT: 1.0, How.KEPT: 0.1},
    first_knows_one: {How.RULES: 0.1, How.DEFAULT: 0.1, How.KEPT: 0.1},
    gone_while_all_runs: {How.RULES: 0.1, How.DEFAULT: 0.1, How.KEPT: 0.1},
    blip: {How.RULES: 1.1, How.DEFAULT: 1.1, How.KEPT: 1.1},
    partition: {How.RULES: NEVER, How.DEFAULT: 1.0, How.KEPT: 1.0},
    partition_of_two_firsts: {How.RULES: NEVER, How.DEFAULT: 1.0, How.KEPT: 1.0},
    newcomer: {How.RULES: NEVER, How.DEFAULT: 1.1, How.KEPT: 1.0},
    gone_for_good: {How.RULES: NEVER, How.DEFAULT: 1.0, How.KEPT: 0.1},
    mass_restart: {How.RULES: NEVER, How.DEFAULT: 1.73, How.KEPT: 0.1},
}
"""Periods that each may take, in the words of the specification or less."""


@pytest.mark.parametrize("how", How, ids=lambda how: how.value)
@pytest.mark.parametrize("happening", TABLE, ids=lambda happening: happening.__name__)
def test_what_heals_by_what(happening: Callable[[Network], None], how: How) -> None:
    """In the time that the table allows, or not within four periods where the rules alone do not."""
    network = Network(how, 3)
    happening(network)
    allowed = TABLE[happening][how]
    found = network.town.until_mesh((4.0 if allowed is None else allowed + 1) * PERIOD)
    assert (found is None) == (allowed is None)
    assert allowed is None or found is None or found <= allowed * PERIOD
