"""The life of a network that finds itself by address gossip, as one seed decides it: growth, newcomers, returns, partition, churn.

Each stage says how many rounds (of 120 s) it took and how many it may take; spec address-gossip 4.2 has these numbers for growth and
newcomers, 3.3 to 3.5 what the others come from. Up to `MESH_NODES_MAX` nodes, growth means that all are connected with all. Larger
networks, and what follows the return, have nodes that wish for a few connections: there, well is a network that is
one component in which every node has no less than it wishes for and no more than it may have.

Invariants are checked on the way. At the end, after the life of a record, nothing may be left of those who are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import attrs

from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND
from mina_p2p.record import Record, record
from mina_p2p.testing.campaign import Trace
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.towns import PERIOD, Town

MESH_NODES_MAX: Final = 120
"""A mesh of a thousand is half a million connections; and of two hundred, with thirty dials a minute, it takes more than two rounds."""
WISHED: Final = 8
MOST: Final = 24
ROUNDS_OF_GROWTH: Final = 2.0
ROUNDS_OF_GROWTH_LARGE: Final = 2.5
"""For networks of more than `MESH_NODES_MAX` (spec: address-gossip 4.2)."""
ROUNDS_OF_JOINING: Final = 0.2
ROUNDS_OF_HEALING: Final = 2.0
"""Configured peers are dialled each round, and what they tell spreads in the next one at the latest."""
ROUNDS_OF_QUIET: Final = 1.0
"""Even where nothing happens a connection is exchanged for another at times (`PeerTableConfig.rotation_interval`)."""
LOOK_EVERY_S: Final = 0.5
SAY_EVERY_S: Final = 10
SILENCE_S: Final = 30
"""Until peers notice that a node ended without a word."""
RECORD_LIFE_S: Final = 900
PARTITION_S: Final = 900
DOWN_S_MAX: Final = 60
"""From a crash until somebody is at that place again, or at another."""
ENTRIES_PER_NODE: Final = 3
"""Items of a gossip table for each node there is: one that is told, and those that are remembered."""


@record
class Options(Record):
    """What decides a life, together with the version of this library."""

    seed: int
    nodes: int = attrs.field(default=10, validator=attrs.validators.ge(3))
    churn_minutes: int = attrs.field(default=60, validator=attrs.validators.ge(0))
    churn_percent: int = attrs.field(default=30, validator=attrs.validators.and_(attrs.validators.ge(1), attrs.validators.le(100)))
    """Nodes that are replaced each minute."""
    is_strict: bool = False
    """Whether the six rules of the proposal are all there is; they do not heal everything."""
    check_every: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """Check invariants after every so manieth dispatch; 0 for what fits the number of nodes."""


@record
class Stage(Record):
    """One part of a life."""

    name: str
    rounds: float | None
    """Until all was well; nothing where it did not become so."""
    rounds_max: float
    lacks: tuple[str, ...] = ()
    """What was not well at its end."""

    @property
    def is_good(self) -> bool:
        """Whether it was well in time."""
        return self.rounds is not None and self.rounds <= self.rounds_max and not self.lacks


@record
class Outcome(Record):
    """What came of a life."""

    seed: int
    nodes: int
    stages: tuple[Stage, ...]
    violations: tuple[str, ...]
    """Of invariants; such a life ends there."""
    trace_hash: str
    actions: int
    virtual_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the library."""
        return not self.violations and all(stage.is_good for stage in self.stages)


def is_well(town: Town) -> bool:
    """Whether the network is one, and every node has as many connections as it should."""
    return next(lacks(town), None) is None


def lacks(town: Town) -> Iterator[str]:
    """What a network lacks that should be one, with the number of connections at each node within its bounds."""
    if (components := town.components()) != 1:
        yield f"{components} parts that are not connected with each other"
    for place, node in town.nodes.items():
        limits, ready = node.config.limits, node.state.connections.ready_count
        if ready < min(limits.peers_min, len(town.nodes) - 1) or ready > limits.peers_max:
            yield f"place {place} has {ready} connections, of {limits.peers_min} to {limits.peers_max}"


def left_over(town: Town) -> Iterator[str]:
    """All that is wrong with a network in which nothing happens: what it lacks, and what is left in it."""
    yield from lacks(town)
    yield from leaks(town)


def leaks(town: Town) -> Iterator[str]:
    """What is left at some node of what is long over."""
    living: set[PeerId] = {town.peer_id(place) for place in town.nodes}
    for place, node in town.nodes.items():
        state, slice_ = node.state, node.state.address_gossip
        ready = state.connections.ready_count
        if len(slice_.links) != ready:
            yield f"place {place} gossips with {len(slice_.links)} peers, and is connected with {ready}"
        if slice_.verifications or any(link.wanted or link.fetch is not None for link in slice_.links.values()):
            yield f"place {place} waits for records that nobody sends"
        if strangers := sum(PeerId(known.record.public_key) not in living for known in slice_.book.table.values()):
            yield f"place {place} believes {strangers} records of nodes that are gone"
        if len(slice_.gossip.table) > ENTRIES_PER_NODE * len(living):
            yield f"place {place} gossips {len(slice_.gossip.table)} items of {len(living)} nodes"


class Life:
    """One life, which goes on as `course` is asked for more."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stages: list[Stage] = []
        self.violations: list[str] = []
        self.trace = Trace()
        self.virtual_seconds = 0.0
        self._dice = Dice(options.seed, "lifetimes")
        self._last_place = options.nodes

    def outcome(self) -> Outcome:
        """What has come of it so far."""
        options = self.options
        return Outcome(
            options.seed,
            options.nodes,
            tuple(self.stages),
            tuple(self.violations),
            self.trace.digest(),
            self.trace.actions,
            self.virtual_seconds,
        )

    def course(self) -> Iterator[str]:
        """Live; says from time to time what it is at."""
        try:
            if self.options.nodes <= MESH_NODES_MAX:
                yield from self._mesh()
            yield from self._bounded()
        except InvariantViolationError as violation:
            self.violations.append(str(violation))

    # --- two networks ---------------------------------------------------------------------

    def _mesh(self) -> Iterator[str]:
        """A network in which all are connected with all."""
        nodes, dice = self.options.nodes, self._dice
        wished, most = nodes + 1, 2 * nodes + 2
        town = self._star(wished, most)
        yield from self._measure("growth", ROUNDS_OF_GROWTH, town, town.is_mesh)
        yield from self._wait(town, dice.below(PERIOD), "a newcomer is near")
        newcomer = self._new_place()
        town.start(newcomer, 1 + dice.below(nodes), wished=wished, most=most)
        yield from self._measure("newcomer", ROUNDS_OF_JOINING, town, partial(town.is_linked_with_all, newcomer))
        returning = 2 + dice.below(nodes - 1)
        town.crash(returning)
        yield from self._wait(town, dice.between(SILENCE_S + 1, 300), "a node is gone")
        town.start(returning, 1, wished=wished, most=most)
        yield from self._measure("return", ROUNDS_OF_JOINING, town, partial(town.is_linked_with_all, returning))
        self.virtual_seconds += town.now

    def _bounded(self) -> Iterator[str]:
        """A network whose nodes are content with a few connections."""
        nodes, dice = self.options.nodes, self._dice
        town = self._star(WISHED, MOST)
        well = partial(is_well, town)
        limit = ROUNDS_OF_GROWTH if nodes <= MESH_NODES_MAX else ROUNDS_OF_GROWTH_LARGE
        yield from self._measure("growth, few connections", limit, town, well)
        town.crash(1)
        yield from self._wait(town, dice.between(SILENCE_S + 1, 300), "the first node is gone")
        town.start(1, wished=WISHED, most=MOST)
        yield from self._measure("restart of the first", ROUNDS_OF_HEALING, town, well)
        places = dice.sample(list(town.nodes), nodes)
        town.cut(places[: nodes // 2], places[nodes // 2 :])
        yield from self._wait(town, PARTITION_S, "two halves are apart")
        town.heal()
        yield from self._measure("partition and heal", ROUNDS_OF_HEALING, town, well)
        yield from self._churn(town)
        yield from self._measure("churn", ROUNDS_OF_HEALING, town, well)
        yield from self._wait(town, RECORD_LIFE_S + SILENCE_S, "nothing happens")
        yield from self._measure("quiet", ROUNDS_OF_QUIET, town, lambda: next(left_over(town), None) is None, left_over)
        self.virtual_seconds += town.now

    def _star(self, wished: int, most: int) -> Town:
        """A network that begins: everybody knows the first only, whose address spreads by what they tell it."""
        options = self.options
        every = options.check_every or 2 * options.nodes
        town = Town(options.seed, check_every=every, observers=(self.trace.observer,), is_strict=options.is_strict)
        for place in range(1, options.nodes + 1):
            town.start(place, *(() if place == 1 else (1,)), wished=wished, most=most)
        return town

    def _churn(self, town: Town) -> Iterator[str]:
        """Nodes crash; the same come back, or others for them. The first one stays, since somebody has to be known."""
        options, dice, simulation = self.options, self._dice, town.simulation
        replaced = max(1, options.nodes * options.churn_percent // 100)
        pause = 60 / replaced
        for minute in range(options.churn_minutes):
            yield f"churn, minute {minute + 1} of {options.churn_minutes}"
            for _ in range(replaced):
                candidates = [place for place in town.nodes if place != 1]
                if candidates:
                    gone = dice.choice(candidates)
                    town.crash(gone)
                    place = gone if dice.chance(50) else self._new_place()
                    simulation.after(dice.below(DOWN_S_MAX * SECOND), partial(town.start, place, 1, wished=WISHED, most=MOST))
                town.run(pause)
        yield from self._wait(town, DOWN_S_MAX, "the last come back")

    def _new_place(self) -> int:
        self._last_place += 1
        return self._last_place

    def _wait(self, town: Town, seconds: int, what: str) -> Iterator[str]:
        for passed in range(0, seconds, SAY_EVERY_S):
            yield f"{what}, for {seconds - passed} s more"
            town.run(min(SAY_EVERY_S, seconds - passed))

    def _measure(
        self, name: str, rounds_max: float, town: Town, is_reached: Callable[[], bool], wrong: Callable[[Town], Iterator[str]] = lacks
    ) -> Iterator[str]:
        seconds, limit = 0.0, rounds_max * PERIOD
        yield name
        while not is_reached():
            if seconds >= limit:
                self.stages.append(Stage(name, None, rounds_max, tuple(wrong(town))))
                return
            town.run(LOOK_EVERY_S)
            seconds += LOOK_EVERY_S
            if seconds % SAY_EVERY_S == 0:
                yield f"{name}, {seconds:.0f} s"
        self.stages.append(Stage(name, round(seconds / PERIOD, 4), rounds_max))
