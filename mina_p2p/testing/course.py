"""How a simulated run goes: things go wrong, they stop, and then all must be well, whatever the nodes are."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from itertools import islice
from struct import Struct
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import attrs

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import MILLISECOND, SECOND, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Observer, Steps
from mina_p2p.testing.clockwork import START
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.faults import FaultKind, FaultSource, FaultyWorld
from mina_p2p.testing.health import Coverage

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
SOON: Final = 120 * SECOND
"""In a network that is well, something new has reached everybody by then: far less than it takes until an unused permission is renewed."""
MISSING_MAX: Final = 5

_HEAD: Final = Struct("<IQQI")


class NumberedNode(Protocol):
    """A node that a trace can name."""

    @property
    def number(self) -> int:
        """Counts the nodes that were ever started."""
        ...


class CourseWorld(FaultyWorld, Protocol):
    """What a course needs to know of its world."""

    @property
    def violations(self) -> list[str]:
        """What was found wrong so far."""
        ...


W = TypeVar("W", bound=CourseWorld)


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
    is_libp2p: bool = False
    """Whether the nodes are those of `mina_p2p.testing.libp2p_campaign`; else they pull."""
    is_about_blocks: bool = False
    """Whether the run is one of `mina_p2p.testing.block_campaign`, whose blocks have items."""


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

    def observer(self, node: NumberedNode) -> Observer:
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


class Course(ABC, Generic[W]):
    """One run, which goes on as long as `advance` is called."""

    def __init__(self, options: Options, sources: Mapping[FaultKind, FaultSource]) -> None:
        """Make the world, and plan what happens in it.

        :param sources: how each kind of fault comes about.
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
        self._active: dict[int, Iterator[int]] = {}
        self._last_fault = 0
        self._stretch = LOOKS_COARSE
        self.heal_at = Timestamp(START + (options.fault_duration if self.kinds else CALM))
        self._give_up_at = Timestamp(self.heal_at + self.patience())
        self.world = self.make_world()
        begin, end = (2 * SECOND, options.fault_duration * 4 // 5) if self.kinds else (CALM, CALM)
        self.plan_deals(begin, max(begin, end))
        self.world.clockwork.at(self.heal_at, self._heal)
        for kind in self.kinds:
            if kind in self._sources:
                self._plan_next(self._sources[kind])
        if self.kinds:
            self.plan_questions(begin)

    # --- what depends on the nodes ---------------------------------------------------------

    @abstractmethod
    def patience(self) -> int:
        """Virtual nanoseconds after the faults in which all must have become well."""

    @abstractmethod
    def make_world(self) -> W:
        """The world; its nodes start in the first second of its time."""

    @abstractmethod
    def plan_deals(self, begin: int, end: int) -> None:
        """Have things given to nodes to spread, from ``begin`` to ``end`` after now."""

    @abstractmethod
    def plan_questions(self, begin: int) -> None:
        """Have whatever else nodes do while things go wrong done from ``begin`` after now on."""

    @abstractmethod
    def look(self) -> Coverage:
        """How far things have spread."""

    @abstractmethod
    def has_come_up(self) -> bool:
        """Whether all nodes have the connections they need."""

    @abstractmethod
    def missing(self) -> Iterator[str]:
        """What is not well yet, one thing after the other."""

    @abstractmethod
    def deal_last(self) -> None:
        """Give something new to some node, now that all was well."""

    @abstractmethod
    def wrong_at_the_end(self) -> Iterator[str]:
        """What a look at the whole states of all nodes finds, whatever was looked at on the way."""

    @abstractmethod
    def liars(self) -> tuple[str, ...]:
        """Names of the strategies of nodes that lie."""

    # --- the beginning --------------------------------------------------------------------

    def _drawn_kinds(self) -> tuple[FaultKind, ...]:
        options = self.options
        if not options.is_swarm or not options.faults:
            return options.faults
        # Few kinds at a time find what a mixture of all would cover up.
        share = self.dice.choice((15, 35, 60, 100))
        drawn = [kind for kind in options.faults if self.dice.chance(share)]
        return tuple(drawn) or (self.dice.choice(options.faults),)

    def _scaled(self, duration: int) -> int:
        return max(10 * MILLISECOND, duration * 10 // max(10, self.options.nodes))

    # --- faults ---------------------------------------------------------------------------

    def _plan_next(self, source: FaultSource) -> None:
        every = self._scaled(source.every)
        self.world.clockwork.after(self.dice.between(every // 2, every * 3 // 2), partial(self._begin, source))

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
            self.world.clockwork.after(duration, partial(self._go_on, number))
            return
        self._active.pop(number, None)

    def _heal(self) -> None:
        self.phase = Phase.HEALING
        for number in list(self._active):
            cast("Generator[int, None, None]", self._active.pop(number)).close()

    # --- the course of it -----------------------------------------------------------------

    def advance(self) -> bool:
        """Let some virtual time pass, and look.

        :returns: whether it goes on.
        """
        world, clockwork = self.world, self.world.clockwork
        pace, before = min(self._pace(clockwork.now), self._stretch), self.trace.actions
        try:
            clockwork.run(pace)
        except InvariantViolationError as violation:
            where = 0 if clockwork.busy is None else clockwork.busy.number
            world.violations.append(f"node {where} at {self.seconds:.3f} s: {violation}")
        self._look(clockwork.now)
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
        seen = self.look()
        if not self.coverage or seen.replace(seconds=self.coverage[-1].seconds) != self.coverage[-1]:
            self.coverage.append(seen)
        if self.up_at is None and self.has_come_up():
            self.up_at, self.up_actions = self.seconds, self.trace.actions
        if self.world.violations:
            self._end()
        elif self.phase in {Phase.HEALING, Phase.FINALE}:
            if next(self.missing(), None) is None:
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
        self.deal_last()

    def _end(self) -> None:
        self.phase = Phase.OVER
        if not self.world.violations:
            self.world.violations.extend(self.wrong_at_the_end())
        self.coverage.append(self.look())

    @property
    def seconds(self) -> float:
        """Virtual seconds from the start."""
        return (self.world.clockwork.now - START) / SECOND

    def outcome(self) -> Outcome:
        """What has come of it by now."""
        world = self.world
        return Outcome(
            seed=self.options.seed,
            nodes=self.options.nodes,
            faults=tuple(kind.value for kind in self.kinds),
            liars=self.liars(),
            converged=self.converged,
            missing=() if self.converged else tuple(islice(self.missing(), MISSING_MAX)),
            violations=tuple(world.violations),
            trace_hash=self.trace.digest(),
            actions=self.trace.actions,
            dispatches=world.clockwork.dispatches,
            virtual_seconds=self.seconds,
            healed_at=(self.heal_at - START) / SECOND,
            up_at=self.up_at,
            up_actions=self.up_actions,
            coverage=tuple(self.coverage),
        )
