"""One seed, one run: a network is made, things go wrong, they stop, and all must be well in the end.

Safety is checked all the time: the invariants of `mina_p2p.testing.invariants`, that no honest
node accuses another, that every question of node software has one outcome. Liveness is checked
after the faults stop, though the liars go on lying: every honest node comes to be joined to the
others, to have what all have and to follow the same chain. Then something new must reach all of
them soon: a network may look well and only have been rescued by its slowest timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import SECOND
from mina_p2p.store import Observer
from mina_p2p.testing.course import ALL_CHECKED_NODES_MAX, SOON, Course, Options, Outcome, Phase, Trace
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.faults import SOURCES, FaultKind, FaultSource
from mina_p2p.testing.health import Coverage, coverage, has_come_up, missing
from mina_p2p.testing.invariants import violations
from mina_p2p.testing.liars import STRATEGIES, Strategy
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.stock import Piece, Stock, Tip, stock
from mina_p2p.testing.world import World

__all__ = ["Options", "Outcome", "Phase", "Run", "Trace", "simulate"]

SETTLED: Final = 400 * SECOND
"""A network of which no node had to ban another is well by then."""
GENTLE: Final = frozenset({FaultKind.REORDERING, FaultKind.STREAMS, FaultKind.SLOW_READER, FaultKind.SLOW_WRITER, FaultKind.NAMES})
"""Kinds that end no connection."""
AGE: Final = 30 * 86_400 * SECOND
PATIENT: Final = Timeouts(transaction_age=AGE, snark_age=AGE, commitment_age=AGE)
"""Items do not grow old here, because clocks jump by hours: what began somewhere must be everywhere in the end."""


def _drawn_limits(dice: Dice) -> Limits:
    """Some seeds have nodes with little room."""
    if dice.chance(50):
        return Limits()
    return Limits(
        propagation_request_max=dice.choice((1, 3, 32)),
        candidates_per_peer_max=dice.choice((1, 4, 32)),
        rpc_requests_max=dice.choice((1, 2, 5)),
        deadlines_per_turn_max=dice.choice((1, 3, 256)),
    )


def _drawn_timeouts(dice: Dice) -> Timeouts:
    """Some seeds have nodes that withdraw permissions while answers are on their way."""
    if dice.chance(50):
        return PATIENT
    return PATIENT.replace(parked_permission=dice.choice((1, 3, 20, 60)) * SECOND, rediscover=dice.choice((5, 20, 60)) * SECOND)


class Run(Course[World]):
    """One run of nodes with pull connections, which goes on as long as `advance` is called."""

    def __init__(
        self,
        options: Options,
        *,
        observers: Iterable[Callable[[SimNode], Observer]] = (),
        strategies: Sequence[type[Strategy]] = STRATEGIES,
        sources: Mapping[FaultKind, FaultSource] = SOURCES,
        is_checked: bool = True,
    ) -> None:
        """Make the network and start its nodes.

        :param observers: each makes, of a node that starts, an observer of its store.
        :param strategies: whom the liars are drawn from.
        :param sources: how each kind of fault comes about.
        :param is_checked: whether the invariants are checked; a second run of a seed that was good needs no checks to be compared.
        """
        self._is_checked = is_checked
        self._strategies = strategies
        self._observers = tuple(observers)
        super().__init__(options, sources)

    def patience(self) -> int:
        """Little where nothing or little goes wrong."""
        if not self.kinds:
            return SOON
        return min(self.options.patience, SETTLED) if GENTLE.issuperset(self.kinds) else self.options.patience

    def stock(self) -> Stock:
        """What there is to spread."""
        return stock(self.options.transactions)

    def liars_max(self) -> int:
        """How many lie, where any does."""
        return max(1, self.options.nodes // 8)

    def make_world(self) -> World:
        """Members, liars among them, and whom they know."""
        options, dice = self.options, self.dice
        others = options.nodes - 1
        # Half of a small network, so that no part of it is content with itself; there is no churn that would mix it.
        least = min(options.peers, max(2, -(-others // 2)))
        peers = dice.between(least, max(least, min(options.peers, others))) if others <= options.peers else options.peers
        check_every = options.check_every or (1 if options.nodes <= ALL_CHECKED_NODES_MAX else options.nodes // 2)
        checked = check_every if self._is_checked else None
        limits, timeouts = (_drawn_limits(dice), _drawn_timeouts(dice)) if options.is_swarm else (Limits(), PATIENT)
        world = World(
            options.seed,
            self.stock(),
            peers,
            limits,
            timeouts,
            check_every=checked,
            observers=(self.trace.observer, *self._observers),
        )
        world.excused = self._excused()
        liars_count = min(self.liars_max(), options.nodes - 2) if FaultKind.LIARS in self.kinds else 0
        liars = dice.sample(range(options.nodes), liars_count)
        for number in range(options.nodes):
            world.add(dice.choice(self._strategies)(Dice(options.seed, f"liar {number}"), world.stock) if number in liars else None)
        self._introduce(world, peers)
        for member in world.members:
            delay = dice.below(SECOND) if self.kinds else 0
            world.simulation.after(delay, partial(world.start, member))
        return world

    def _introduce(self, world: World, peers: int) -> None:
        """Say whom each member's nodes are configured with.

        Honest members are joined by pairs that know each other: nothing helps a node that knows
        liars only, or only addresses at which somebody else lives by now.
        """
        dice = self.dice
        for member in world.members:
            count = dice.between(1, peers) if self.kinds else peers
            member.knows = [other for other in dice.sample(world.members, count) if other is not member]
        for index, member in enumerate(world.honest[1:], 1):
            other = world.honest[dice.below(index)]
            member.knows = list(dict.fromkeys((*member.knows, other)))
            other.knows = list(dict.fromkeys((*other.knows, member)))

    def _excused(self) -> frozenset[ReasonCode]:
        """What honest nodes seem to do wrong in such weather."""
        if FaultKind.DUPLICATION in self.kinds:
            return frozenset(ReasonCode)
        return frozenset({ReasonCode.CHANNEL_TIMEOUT}) if self.kinds else frozenset()

    def plan_deals(self, begin: int, end: int) -> None:
        """Items and tips, but for the last of each."""
        world, dice = self.world, self.dice
        *pieces, self._last_piece = dice.sample(world.stock.pieces, len(world.stock.pieces))
        *tips, self._last_tip = world.stock.tips
        given: tuple[Piece | Tip, ...] = (*pieces, *tips)
        for what in given:
            world.simulation.after(dice.between(begin, end), partial(world.deal, what))

    def plan_questions(self, begin: int) -> None:
        """Nodes ask each other for blocks."""
        self.world.simulation.after(begin, self._ask)

    def _ask(self) -> None:
        if self.phase is Phase.FAULTS:
            self.world.ask()
            self.world.simulation.after(self._scaled(2 * SECOND), self._ask)

    def look(self) -> Coverage:
        """How far things have spread."""
        return coverage(self.world)

    def has_come_up(self) -> bool:
        """Whether every honest member has its ready connections."""
        return has_come_up(self.world)

    def missing(self) -> Iterator[str]:
        """What an honest network lacks."""
        return missing(self.world)

    def deal_last(self) -> None:
        """The last item and the last tip."""
        self.world.deal(self._last_piece)
        self.world.deal(self._last_tip)

    def wrong_at_the_end(self) -> Iterator[str]:
        """What all invariants say of all nodes that run, where they are checked."""
        simulation = self.world.simulation
        for node in simulation.nodes if self._is_checked else ():
            if node.port.is_alive:
                yield from (f"node {node.number} at {self.seconds:.3f} s: {violation}" for violation in violations(node.state))

    def liars(self) -> tuple[str, ...]:
        """Names of the strategies of members that lie."""
        return tuple(type(member.strategy).__name__ for member in self.world.members if member.strategy is not None)


def simulate(options: Options, *, progress: Callable[[Run], None] | None = None, **settings: Any) -> Outcome:
    """Run one seed to its end.

    :param progress: called from time to time.
    :param settings: further arguments of `Run`.
    """
    run = Run(options, **settings)
    while run.advance():
        if progress is not None:
            progress(run)
    return run.outcome()
