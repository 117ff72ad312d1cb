"""One seed, one run: a network is made, things go wrong, they stop, and all must be well in the end.

Safety is checked all the time: the invariants of `mina_p2p.testing.invariants`, that no honest
node accuses another, that every question of node software has one outcome. Liveness is checked
after the faults stop, though the liars go on lying: every honest node comes to be joined to the
others, to have what all have and to follow the same chain. Then something new must reach all of
them soon: a network may look well and only have been rescued by its slowest timers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from struct import Struct
from typing import Any, Final, cast

import attrs

from mina_p2p.config import Limits, Timeouts
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
ACTIONS_BETWEEN_LOOKS: Final = 100_000
"""Where more than about so much happens between two looks, they come nearer to each other, so that progress can be told."""
FINE_FOR: Final = 60 * SECOND
ALL_CHECKED_NODES_MAX: Final = 5
"""Up to so many nodes the invariants are checked after every dispatch; beyond that after one in half as many as there are nodes."""
MISSING_MAX: Final = 5
SOON: Final = 120 * SECOND
"""In a network that is well, something new has reached everybody by then: far less than it takes until an unused permission is renewed."""
SETTLED: Final = 400 * SECOND
"""A network of which no node had to ban another is well by then."""
GENTLE: Final = frozenset({FaultKind.REORDERING, FaultKind.STREAMS, FaultKind.SLOW_READER, FaultKind.SLOW_WRITER, FaultKind.NAMES})
"""Kinds that end no connection."""
AGE: Final = 30 * 86_400 * SECOND
PATIENT: Final = Timeouts(transaction_age=AGE, snark_age=AGE, commitment_age=AGE)
"""Items do not grow old here, because clocks jump by hours: what began somewhere must be everywhere in the end."""

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
    """Virtual time after the faults in which the network may become well; bans and back-offs last up to an hour.

    Without faults it is `SOON`, after gentle ones `SETTLED`.
    """
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


class Phase(enum.Enum):
    """Where a run stands."""

    CALM = "calm"
    """Nothing goes wrong; items are dealt at its end."""
    FAULTS = "faults"
    """Items are dealt while things go wrong."""
    HEALING = "healing"
    """Nothing goes wrong any more, but for the liars."""
    FINALE = "finale"
    """All was well; something new is on its way."""
    OVER = "over"


class Run:
    """One run, which goes on as long as `advance` is called."""

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
        self.options = options
        self.trace = Trace()
        self.dice = Dice(options.seed, "faults")
        self.kinds = self._drawn_kinds()
        self.coverage: list[Coverage] = []
        self.up_at: float | None = None
        self.up_actions: int | None = None
        self.phase = Phase.FAULTS if self.kinds else Phase.CALM
        self.converged = False
        self._sources = sources
        self._is_checked = is_checked
        self._active: dict[int, Iterator[int]] = {}
        self._last_fault = 0
        self._stretch = LOOKS_COARSE
        self.heal_at = Timestamp(START + (options.fault_duration if self.kinds else CALM))
        self._give_up_at = Timestamp(self.heal_at + self._patience())
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

    def _patience(self) -> int:
        if not self.kinds:
            return SOON
        return min(self.options.patience, SETTLED) if GENTLE.issuperset(self.kinds) else self.options.patience

    def _world(self, strategies: Sequence[type[Strategy]], observers: Sequence[Callable[[SimNode], Observer]]) -> World:
        options, dice = self.options, self.dice
        others = options.nodes - 1
        # Half of a small network, so that no part of it is content with itself; there is no churn that would mix it.
        least = min(options.peers, max(2, -(-others // 2)))
        peers = dice.between(least, max(least, min(options.peers, others))) if others <= options.peers else options.peers
        check_every = options.check_every or (1 if options.nodes <= ALL_CHECKED_NODES_MAX else options.nodes // 2)
        checked = check_every if self._is_checked else None
        limits, timeouts = (_drawn_limits(dice), _drawn_timeouts(dice)) if options.is_swarm else (Limits(), PATIENT)
        world = World(options.seed, stock(options.transactions), peers, limits, timeouts, check_every=checked, observers=observers)
        world.excused = self._excused()
        liars_count = min(max(1, options.nodes // 8), options.nodes - 2) if FaultKind.LIARS in self.kinds else 0
        liars = dice.sample(range(options.nodes), liars_count)
        for number in range(options.nodes):
            world.add(dice.choice(strategies)(Dice(options.seed, f"liar {number}"), world.stock) if number in liars else None)
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

    def _plan(self) -> None:
        world, dice, simulation = self.world, self.dice, self.world.simulation
        begin, end = (2 * SECOND, self.options.fault_duration * 4 // 5) if self.kinds else (CALM, CALM)
        *pieces, self._last_piece = dice.sample(world.stock.pieces, len(world.stock.pieces))
        *tips, self._last_tip = world.stock.tips
        given: tuple[Piece | Tip, ...] = (*pieces, *tips)
        for what in given:
            simulation.after(dice.between(begin, max(begin, end)), partial(world.deal, what))
        simulation.at(self.heal_at, self._heal)
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
        if self.phase is not Phase.FAULTS:
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
        self.phase = Phase.HEALING
        for number in list(self._active):
            cast("Generator[int, None, None]", self._active.pop(number)).close()

    def _plan_question(self) -> None:
        if self.phase is Phase.FAULTS:
            self.world.ask()
            self.world.simulation.after(self._scaled(2 * SECOND), self._plan_question)

    # --- the course of it -----------------------------------------------------------------

    def advance(self) -> bool:
        """Let some virtual time pass, and look.

        :returns: whether it goes on.
        """
        world, simulation = self.world, self.world.simulation
        pace, before = min(self._pace(simulation.now), self._stretch), self.trace.actions
        try:
            simulation.run(pace)
        except InvariantViolationError as violation:
            where = 0 if simulation.busy is None else simulation.busy.number
            world.violations.append(f"node {where} at {world.seconds:.3f} s: {violation}")
        self._look(simulation.now)
        did = self.trace.actions - before
        if did > ACTIONS_BETWEEN_LOOKS:
            self._stretch = max(pace // 2, LOOKS_FIRST // 10)
        elif did < ACTIONS_BETWEEN_LOOKS // 10:
            self._stretch = min(2 * self._stretch, LOOKS_COARSE)
        return self.phase is not Phase.OVER

    def _pace(self, now: Timestamp) -> int:
        if self.up_at is None and now < START + SECOND:
            return LOOKS_FIRST
        return LOOKS_COARSE if self.phase is Phase.HEALING and now > self.heal_at + FINE_FOR else LOOKS_FINE

    def _look(self, now: Timestamp) -> None:
        seen = coverage(self.world)
        if not self.coverage or seen.replace(seconds=self.coverage[-1].seconds) != self.coverage[-1]:
            self.coverage.append(seen)
        if self.up_at is None and has_come_up(self.world):
            self.up_at, self.up_actions = self.world.seconds, self.trace.actions
        if self.world.violations:
            self._end()
        elif self.phase in {Phase.HEALING, Phase.FINALE}:
            if next(missing(self.world), None) is None:
                self._succeed(now)
            elif now > self._give_up_at:
                self._end()

    def _succeed(self, now: Timestamp) -> None:
        if self.phase is Phase.FINALE:
            self.converged = True
            self._end()
            return
        self.phase = Phase.FINALE
        self._give_up_at = Timestamp(now + SOON)
        self.world.deal(self._last_piece)
        self.world.deal(self._last_tip)

    def _end(self) -> None:
        self.phase = Phase.OVER
        self.coverage.append(coverage(self.world))

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
