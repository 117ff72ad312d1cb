"""One seed, one run: a network is made, things go wrong, they stop, and all must be well in the end.

Safety is checked all the time: the invariants of `mina_p2p.testing.invariants`, that no honest
node accuses another, that every question of node software has one outcome. Liveness is checked
after the faults stop: every honest node is joined to the others, has what all have and follows
the same chain, though the liars go on lying.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from struct import Struct
from typing import Any, Final, cast

import attrs

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import MILLISECOND, SECOND, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Observer, Steps
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.faults import SOURCES, FaultKind, FaultSource
from mina_p2p.testing.health import Coverage, coverage, has_come_up, missing
from mina_p2p.testing.liars import STRATEGIES, Strategy
from mina_p2p.testing.sim import START, SimNode
from mina_p2p.testing.stock import Piece, Tip, stock
from mina_p2p.testing.world import World

CALM: Final = 5 * SECOND
"""From the start until items are dealt where nothing goes wrong, so that coming up can be looked at by itself."""
LOOKS_FIRST: Final = 10 * MILLISECOND
LOOKS_FINE: Final = 250 * MILLISECOND
LOOKS_COARSE: Final = 2 * SECOND
"""How often it is looked whether all is well: often until all members have come up, coarsely once that takes long."""
FINE_FOR: Final = 60 * SECOND
ALL_CHECKED_NODES_MAX: Final = 5
"""Up to so many nodes the invariants are checked after every dispatch; beyond that after one in half as many as there are nodes."""
MISSING_MAX: Final = 5

_HEAD: Final = Struct("<IQQI")


@record
class Options(Record):
    """What decides a run, together with the version of this library."""

    seed: int
    nodes: int = attrs.field(default=10, validator=attrs.validators.ge(2))
    faults: tuple[FaultKind, ...] = ()
    is_swarm: bool = False
    """Whether the seed chooses some of ``faults``; else all of them happen."""
    peers: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    """Connections that each node wishes for, at most."""
    transactions: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    fault_duration: int = 120 * SECOND
    patience: int = 3 * 3_600 * SECOND
    """Virtual time after which a network that has not converged is given up; bans and back-offs last up to an hour."""
    check_every: int = 0
    """Check invariants after every so manieth dispatch; 0 for what fits the number of nodes."""


@record
class Outcome(Record):
    """What came of a run."""

    seed: int
    nodes: int
    faults: tuple[str, ...]
    """Kinds that happened."""
    liars: tuple[str, ...]
    """Strategies of the nodes that lie."""
    converged: bool
    missing: tuple[str, ...]
    """The first things that a network that has not converged lacks."""
    violations: tuple[str, ...]
    """Of safety."""
    trace_hash: str
    """Over ids, kinds and times of all actions of all nodes."""
    actions: int
    dispatches: int
    virtual_seconds: float
    healed_at: float
    """When the faults stopped, in virtual seconds."""
    up_at: float | None
    """When every honest node first had its ready connections ..."""
    up_actions: int | None
    """... and the actions of all nodes until then."""
    coverage: tuple[Coverage, ...]

    @property
    def is_good(self) -> bool:
        """Whether the run is one that proves nothing against the library."""
        return self.converged and not self.violations


class _KindNames(dict[type[Any], bytes]):
    """Eight bytes for each action class, from its name."""

    def __missing__(self, kind: type[Any]) -> bytes:
        made = self[kind] = blake2b(kind.__qualname__.encode(), digest_size=8).digest()
        return made


class Trace:
    """A hash over what all nodes of a simulation do, in the order in which they do it."""

    def __init__(self) -> None:
        self.actions = 0
        self._hash = blake2b(digest_size=16)
        self._names = _KindNames()

    def observer(self, node: SimNode) -> Observer:
        """Watches one node's store."""
        number, names = node.number, self._names

        def observe(_action: Any, now: Timestamp, steps: Steps, _state: Any) -> None:
            raw = steps.raw
            self.actions += len(raw)
            self._hash.update(_HEAD.pack(number, now, steps.first_id, len(steps.refused)))
            self._hash.update(b"".join([names[type(action)] for action, _, _ in raw]))

        return observe

    def digest(self) -> str:
        """The hash so far, in hex."""
        return self._hash.hexdigest()


class Run:
    """One run, which goes on as long as `advance` is called."""

    def __init__(
        self,
        options: Options,
        *,
        observers: Iterable[Callable[[SimNode], Observer]] = (),
        strategies: Sequence[type[Strategy]] = STRATEGIES,
        sources: Mapping[FaultKind, FaultSource] = SOURCES,
    ) -> None:
        """Make the network and start its nodes.

        :param observers: each makes, of a node that starts, an observer of its store.
        :param strategies: whom the liars are drawn from.
        :param sources: how each kind of fault comes about.
        """
        self.options = options
        self.trace = Trace()
        self.dice = Dice(options.seed, "faults")
        self.kinds = self._drawn_kinds()
        self.coverage: list[Coverage] = []
        self.up_at: float | None = None
        self.up_actions: int | None = None
        self.is_healed = False
        self.is_over = False
        self.converged = False
        self._sources = sources
        self._active: dict[int, Iterator[int]] = {}
        self._last_fault = 0
        self.heal_at = Timestamp(START + (options.fault_duration if self.kinds else CALM))
        self.world = self._world(strategies, (self.trace.observer, *observers))
        self._plan()

    # --- the beginning --------------------------------------------------------------------

    def _drawn_kinds(self) -> tuple[FaultKind, ...]:
        options = self.options
        if not options.is_swarm or not options.faults:
            return options.faults
        # Few kinds at a time find what a mixture of all would cover up.
        share = self.dice.choice((15, 35, 60, 100))
        drawn = [kind for kind in options.faults if self.dice.chance(share)]
        return tuple(drawn) or (self.dice.choice(options.faults),)

    def _world(self, strategies: Sequence[type[Strategy]], observers: Sequence[Callable[[SimNode], Observer]]) -> World:
        options, dice = self.options, self.dice
        others = options.nodes - 1
        # Half of a small network, so that no part of it is content with itself; there is no churn that would mix it.
        least = min(options.peers, max(2, -(-others // 2)))
        peers = dice.between(least, max(least, min(options.peers, others))) if others <= options.peers else options.peers
        check_every = options.check_every or (1 if options.nodes <= ALL_CHECKED_NODES_MAX else options.nodes // 2)
        world = World(options.seed, stock(options.transactions), peers, check_every=check_every, observers=observers)
        world.excused = self._excused()
        liars_count = min(max(1, options.nodes // 8), options.nodes - 2) if FaultKind.LIARS in self.kinds else 0
        liars = dice.sample(range(options.nodes), liars_count)
        for number in range(options.nodes):
            world.add(dice.choice(strategies)(Dice(options.seed, f"liar {number}"), world.stock) if number in liars else None)
        for index, member in enumerate(world.members):
            known = [world.members[dice.below(index)]] if index else []
            more = dice.sample(world.members, dice.between(1, peers)) if self.kinds else dice.sample(world.members, peers)
            member.knows = [other for other in dict.fromkeys((*known, *more)) if other is not member]
        for member in world.members:
            delay = dice.below(SECOND) if self.kinds else 0
            world.simulation.after(delay, partial(world.start, member))
        return world

    def _excused(self) -> frozenset[ReasonCode]:
        """What honest nodes seem to do wrong in such weather."""
        if FaultKind.DUPLICATION in self.kinds:
            return frozenset(ReasonCode)
        return frozenset({ReasonCode.CHANNEL_TIMEOUT}) if self.kinds else frozenset()

    def _plan(self) -> None:
        world, dice, simulation = self.world, self.dice, self.world.simulation
        begin, end = (2 * SECOND, self.options.fault_duration * 4 // 5) if self.kinds else (CALM, CALM)
        *pieces, last = dice.sample(world.stock.pieces, len(world.stock.pieces))
        given: tuple[Piece | Tip, ...] = (*pieces, *world.stock.tips)
        for what in given:
            simulation.after(dice.between(begin, max(begin, end)), partial(world.deal, what))
        # Something new after the healing shows that the network does not only look as if it worked.
        simulation.at(self.heal_at, self._heal)
        simulation.at(Timestamp(self.heal_at + SECOND), partial(world.deal, last))
        for kind in self.kinds:
            if kind in self._sources:
                self._plan_next(self._sources[kind])
        if self.kinds:
            simulation.after(begin, self._plan_question)

    def _scaled(self, duration: int) -> int:
        return max(10 * MILLISECOND, duration * 10 // max(10, self.options.nodes))

    # --- faults ---------------------------------------------------------------------------

    def _plan_next(self, source: FaultSource) -> None:
        every = self._scaled(source.every)
        self.world.simulation.after(self.dice.between(every // 2, every * 3 // 2), partial(self._begin, source))

    def _begin(self, source: FaultSource) -> None:
        if self.is_healed:
            return
        self._last_fault += 1
        self._active[self._last_fault] = source.fault(self.world, self.dice)
        self._go_on(self._last_fault)
        self._plan_next(source)

    def _go_on(self, number: int) -> None:
        fault = self._active.get(number)
        if fault is None:
            return
        for duration in fault:
            self.world.simulation.after(duration, partial(self._go_on, number))
            return
        self._active.pop(number, None)

    def _heal(self) -> None:
        self.is_healed = True
        for number in list(self._active):
            cast("Generator[int, None, None]", self._active.pop(number)).close()

    def _plan_question(self) -> None:
        if not self.is_healed:
            self.world.ask()
            self.world.simulation.after(self._scaled(2 * SECOND), self._plan_question)

    # --- the course of it -----------------------------------------------------------------

    def advance(self) -> bool:
        """Let some virtual time pass, and look.

        :returns: whether it goes on.
        """
        world, simulation = self.world, self.world.simulation
        since = simulation.now - (self.heal_at if self.is_healed else START)
        try:
            if self.up_at is None and since < SECOND:
                simulation.run(LOOKS_FIRST)
            else:
                simulation.run(LOOKS_FINE if since < FINE_FOR or not self.is_healed else LOOKS_COARSE)
        except InvariantViolationError as violation:
            where = 0 if simulation.busy is None else simulation.busy.number
            world.violations.append(f"node {where} at {world.seconds:.3f} s: {violation}")
        self._look()
        return not self.is_over

    def _look(self) -> None:
        now = coverage(self.world)
        if not self.coverage or now.replace(seconds=self.coverage[-1].seconds) != self.coverage[-1]:
            self.coverage.append(now)
        if self.up_at is None and has_come_up(self.world):
            self.up_at, self.up_actions = self.world.seconds, self.trace.actions
        elapsed = self.world.simulation.now - self.heal_at
        if self.is_healed and elapsed > SECOND:
            self.converged = next(missing(self.world), None) is None
        self.is_over = bool(self.world.violations) or self.converged or elapsed > self.options.patience
        if self.is_over:
            self.coverage.append(now)

    def outcome(self) -> Outcome:
        """What has come of it by now."""
        world = self.world
        return Outcome(
            seed=self.options.seed,
            nodes=self.options.nodes,
            faults=tuple(kind.value for kind in self.kinds),
            liars=tuple(type(member.strategy).__name__ for member in world.members if member.strategy is not None),
            converged=self.converged,
            missing=() if self.converged else tuple(islice(missing(world), MISSING_MAX)),
            violations=tuple(world.violations),
            trace_hash=self.trace.digest(),
            actions=self.trace.actions,
            dispatches=world.simulation.dispatches,
            virtual_seconds=world.seconds,
            healed_at=(self.heal_at - START) / SECOND,
            up_at=self.up_at,
            up_actions=self.up_actions,
            coverage=tuple(self.coverage),
        )


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
