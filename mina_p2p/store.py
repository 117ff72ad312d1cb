"""The dispatch loop: one pure function, and a thin holder around it.

``machine.dispatch(state, action, now)`` returns the new state, the effects to perform and
the steps it took. Everything it needs is in its arguments, so it can be called without a
`Store`, forked, replayed and searched.

* An *action* is a record. Its class may offer ``is_enabled(state, now) -> bool``, the guard,
  and ``why_refused(state, now) -> str`` for people.
* A *reducer* is ``(state, action, now) -> (state, follow-ups)``. Follow-ups are actions.
* An *effectful* action is reduced by nobody; it is handed to the runtime, in order.

Order is depth first, as in redux-rs: an action's follow-ups run, each with all of its own,
before whatever was waiting. A guard is evaluated when its action's turn comes, not when it
was queued. The stack is explicit; nothing recurses. All actions of one dispatch see the
same ``now``, which never goes back from one dispatch to the next.

A machine is generic in the root state: `Machine.lift` gives the machine of a larger root
that holds this one's, for node software with slices of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, overload

from mina_p2p.errors import CallerError, InvariantViolationError, MinaP2pError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.steppers import (
    Stepper,
    can_overwrite,
    in_place,
    lens,
    lifted_question,
    lifted_stepper,
    mounted_guard,
    mounted_reason,
    mounted_stepper,
    overwriter,
    root_stepper,
    slice_stepper,
)

S = TypeVar("S")
Outer = TypeVar("Outer")
T = TypeVar("T")

Action: TypeAlias = Any
"""Any record that a machine's table knows; the slices' unions say which."""

FollowUps: TypeAlias = Sequence[Any]
Reducer: TypeAlias = Callable[[S, Any, Timestamp], tuple[S, FollowUps]]
SliceReducer: TypeAlias = Callable[[T, Any, Timestamp, Any], tuple[T, FollowUps]]


_REDUCED, _EFFECT, _ATTEMPT = 0, 1, 2


@record
class Clock(Record):
    """What the loop remembers between two dispatches; part of the root state."""

    last_action_id: int = 0
    now: Timestamp = Timestamp(0)


@record
class Attempt(Record):
    """A follow-up with a way out: ``otherwise`` is dispatched if ``action`` is refused.

    Either may be an attempt itself: the first that is not refused is executed.
    How a peer's message that its guard refuses becomes that peer's disconnection, and how a
    choice between two actions is written.
    """

    action: Action
    otherwise: Action


@record
class Step(Record):
    """One action that was executed."""

    action_id: int
    """Strictly increasing over the life of the state."""
    cause_id: int
    """Id of the action whose follow-up this was; 0 for the input."""
    depth: int
    """0 for the input."""
    action: Action


@record
class Refusal(Record):
    """One action that its guard refused; it changed nothing."""

    cause_id: int
    depth: int
    action: Action


RawSteps: TypeAlias = list[tuple[Action, int, int]]
"""``(action, cause id, depth)`` per step, in order."""

RawRefusals: TypeAlias = list[tuple[Action, int, int, Any]]
"""``(action, cause id, depth, state)`` per refusal, with the state in which the guard said no."""


@record
class Steps(Record):
    """The steps of one dispatch, in order: what a sequence of `Step` records is, built only when read."""

    first_id: int
    """Id of the first step; the others follow without gaps."""
    raw: RawSteps
    """For observers in a hurry. Read only."""
    refused: RawRefusals
    """Read only."""

    def __len__(self) -> int:
        return len(self.raw)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        count = len(self.raw)
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(count))]
        action, cause, depth = self.raw[index]
        return Step(self.first_id + index % count, cause, depth, action)

    def __iter__(self) -> Iterator[Step]:
        return (Step(action_id, cause, depth, action) for action_id, (action, cause, depth) in enumerate(self.raw, self.first_id))

    def index(self, step: Step) -> int:
        """Where ``step`` is.

        :raises ValueError: where it is not.
        """
        return list(self).index(step)

    @property
    def refused_count(self) -> int:
        """How many actions their guards refused."""
        return len(self.refused)

    @property
    def refusals(self) -> list[Refusal]:
        """What was refused, in order."""
        return [Refusal(cause, depth, action) for action, cause, depth, _ in self.refused]


class Slice(Generic[T]):
    """One part of a root state with the actions that change it.

    :param field: name of the root's field that holds the slice's state.
    :param actions: the classes that ``reduce`` handles; or each class with a reducer of its
        own, which spares a slice with many actions the search for the right branch.
    :param reduce: ``(slice state, action, now, root) -> (slice state, follow-ups)``; ``root`` is for reading.
    """

    __slots__ = ("field", "reducers")

    @overload
    def __init__(self, field: str, actions: Mapping[type[Any], SliceReducer[T]]) -> None: ...
    @overload
    def __init__(self, field: str, actions: Iterable[type[Any]], reduce: SliceReducer[T]) -> None: ...
    def __init__(self, field: str, actions: Any, reduce: SliceReducer[T] | None = None) -> None:
        self.field = field
        self.reducers: tuple[tuple[type[Any], SliceReducer[T]], ...] = (
            tuple(actions.items()) if reduce is None else tuple((action, reduce) for action in actions)
        )


class Machine(Generic[S]):
    """A table from action type to guard and reducer, for one type of root state."""

    def __init__(
        self,
        root: type[S],
        *,
        slices: Iterable[Slice[Any]] = (),
        reducers: Iterable[tuple[type[Any], Reducer[S]]] = (),
        effects: Iterable[type[Any]] = (),
        clock: str = "clock",
        steps_max: int | Callable[[S, Action], int] = 10_000,
        steps_min: int = 0,
    ) -> None:
        """Build the table.

        :param slices: parts of the root, each with its actions.
        :param reducers: actions that are reduced over the whole root.
        :param effects: actions that the runtime performs.
        :param clock: dotted path of the root's `Clock`.
        :param steps_max: bound of the steps of one dispatch, or how it follows from the state before it and its input.
        :param steps_min: what that function never falls below, so that a replay need not ask it for every input.
        :raises CallerError: where an action is given twice.
        """
        self._table: dict[type[Any], tuple[int, Any, Stepper | None]] = {Attempt: (_ATTEMPT, None, None)}
        self._why: dict[type[Any], Any] = {}
        self._steps_max = steps_max
        self._bound: int = steps_max if isinstance(steps_max, int) else 0
        self._bound_of: Callable[[S, Action], int] | None = None if isinstance(steps_max, int) else steps_max
        self._steps_min = steps_min
        self.root = root
        self.clock_path = clock
        self._get_clock, self._set_clock = lens(root, clock)
        for part in slices:
            steppers: dict[SliceReducer[Any], Stepper] = {}
            for action, reduce in part.reducers:
                if reduce not in steppers:
                    steppers[reduce] = slice_stepper(root, part.field, reduce, clock, Clock)
                self._add(action, _REDUCED, steppers[reduce])
        for action, over_root in reducers:
            self._add(action, _REDUCED, root_stepper(over_root, self._set_clock, Clock))
        for action in effects:
            self._add(action, _EFFECT, None)

    def _add(self, action: type[Any], kind: int, stepper: Stepper | None, guard: Any = None, why: Any = None) -> None:
        if action in self._table:
            raise CallerError(f"{action.__qualname__} is in the table already; an action has exactly one reducer")
        self._table[action] = kind, guard or getattr(action, "is_enabled", None), stepper
        self._why[action] = why or getattr(action, "why_refused", None)

    @property
    def actions(self) -> tuple[type[Any], ...]:
        """Every action class of the table, by name."""
        return tuple(sorted((a for a in self._table if a is not Attempt), key=lambda a: a.__qualname__))

    def is_effect(self, action: type[Any]) -> bool:
        """Whether the runtime performs actions of this class."""
        return self._table[action][0] == _EFFECT

    def lift(self, root: type[Outer], path: str) -> Machine[Outer]:
        """This machine for a larger root, whose field at the dotted ``path`` holds ours.

        The clock stays ours. Give the outer root's own actions with `extend`.
        """
        get, put = lens(root, path)
        bound_of = self._bound_of
        outer: Machine[Outer] = Machine(
            root,
            clock=f"{path}.{self.clock_path}",
            steps_max=self._bound if bound_of is None else lambda state, action: bound_of(get(state), action),
            steps_min=self._steps_min,
        )
        for action, (kind, guard, stepper) in self._table.items():
            if action is Attempt:
                continue
            why = self._why[action]
            outer._add(
                action,
                kind,
                None if stepper is None else lifted_stepper(get, put, stepper),
                lifted_question(get, guard),
                lifted_question(get, why),
            )
        return outer

    def extend(
        self,
        *,
        slices: Iterable[Slice[Any]] = (),
        reducers: Iterable[tuple[type[Any], Reducer[S]]] = (),
        effects: Iterable[type[Any]] = (),
    ) -> Machine[S]:
        """A machine with more actions; this one stays as it is."""
        bounds: dict[str, Any] = {"steps_max": self._steps_max, "steps_min": self._steps_min}
        more = Machine(self.root, slices=slices, reducers=reducers, effects=effects, clock=self.clock_path, **bounds)
        for action, (kind, guard, stepper) in self._table.items():
            if action is not Attempt:
                more._add(action, kind, stepper, guard, self._why[action])
        return more

    def mount(self, field: str, inner: Machine[T]) -> Machine[S]:
        """This machine with all actions of ``inner``, whose state is in ``field`` of our root; this one stays as it is.

        Where the field holds ``None``, all actions of ``inner`` that somebody reduces are refused. The clock of all is ours;
        where ``inner``'s root has one of its own, it stands still. Steps are bounded by ours: see ``steps_max``.

        :raises CallerError: where an action is in both tables, or the root has no such field.
        """
        get, put = lens(self.root, field)
        more: Machine[S] = self.extend()
        for action, (kind, guard, stepper) in inner._table.items():
            if action is Attempt:
                continue
            more._add(
                action,
                kind,
                None if stepper is None else mounted_stepper(get, put, stepper, self._set_clock, Clock),
                mounted_guard(get, guard, is_reduced=stepper is not None),
                mounted_reason(get, inner._why[action]),
            )
        return more

    def replaced(
        self, action: type[Any], *, guard: Callable[[Any, S, Timestamp], bool] | None = None, reducer: Reducer[S] | None = None
    ) -> Machine[S]:
        """A machine in which one action has another guard or reducer; this one stays as it is.

        For trying a change on a recorded log, and for showing that a test finds a planted fault.

        :raises CallerError: where the table has no such action, or a reducer is given for an effect.
        """
        if action not in self._why:
            raise CallerError(f"{action.__qualname__} is no action of this machine; its table is Machine.actions")
        kind, old_guard, old_stepper = self._table[action]
        if reducer is not None and kind == _EFFECT:
            raise CallerError(f"{action.__qualname__} is an effect, which is reduced by nobody")
        other = self.extend()
        table: Any = other._table  # noqa: SLF001 - one of our own kind, and nobody else has it yet
        table[action] = kind, guard or old_guard, old_stepper if reducer is None else root_stepper(reducer, self._set_clock, Clock)
        return other

    @cached_property
    def rehearsal(self) -> Machine[S]:
        """This machine for `run` with a root that nobody else holds: it writes into that root in place of making new ones.

        Not for machines whose slices or actions hold roots. Its bound of steps may be lower, never higher; where it is
        exceeded, or anything else raises, the root is spoiled: the same inputs have to go through this machine. States in
        refusals are not those in which the guards said no.
        """
        made: Machine[S] = self.extend()
        made._table = {
            action: (kind, guard, None if stepper is None else in_place(stepper)) for action, (kind, guard, stepper) in self._table.items()
        }
        if self._bound_of is not None and self._steps_min:
            made._bound, made._bound_of = self._steps_min, None
        if can_overwrite(self.root, self.clock_path):
            made._set_clock = overwriter(self.clock_path)
        return made

    def reduce(self, state: S, action: Action, now: Timestamp) -> tuple[S, FollowUps]:
        """Run the reducer of ``action`` alone: no guard, no follow-ups, no new action id.

        For looking at single steps: tables of transitions, diagrams.

        :raises CallerError: where the table has no such action, or nobody reduces it.
        """
        stepper = self._entry(action)[2]
        if stepper is None:
            raise CallerError(f"{type(action).__qualname__} is reduced by nobody")
        after: tuple[S, FollowUps] = stepper(state, action, now, True, 0)
        return after

    def is_enabled(self, state: S, action: Action, now: Timestamp) -> bool:
        """Whether dispatching ``action`` now would execute it.

        :raises CallerError: where the table has no such action.
        """
        guard = self._entry(action)[1]
        if isinstance(action, Attempt):
            return self.is_enabled(state, action.action, now) or self.is_enabled(state, action.otherwise, now)
        return guard is None or bool(guard(action, state, now))

    def why_refused(self, state: S, action: Action, now: Timestamp) -> str | None:
        """For people: why the guard of ``action`` refuses it in ``state``; ``None`` where its class does not say.

        :raises InvariantViolationError: where its class should but fails.
        """
        why = self._why.get(action.__class__)
        try:
            return None if why is None else str(why(action, state, now))
        except Exception as error:
            raise InvariantViolationError(f"{type(action).__qualname__}.why_refused failed: {error!r}") from error

    def _entry(self, action: Action) -> tuple[int, Any, Any]:
        kind: type[Any] = action.__class__
        if kind not in self._table:
            raise CallerError(f"{kind.__qualname__} is no action of this machine; its table is Machine.actions")
        return self._table[kind]

    def dispatch(self, state: S, action: Action, now: Timestamp) -> tuple[S, list[Action], Steps]:
        """Execute ``action`` and all that follows from it.

        :param now: time of the input in nanoseconds, not before the last dispatch's.
        :returns: the new state (the same object if everything was refused), the effects in
            order, and the steps.
        :raises CallerError: for an unknown action, or a ``now`` that goes back.
        :raises InvariantViolationError: where a reducer is wrong; the state given stays valid.
        """
        state, effects, first_id, steps, refused = self.execute(state, action, now)
        return state, effects, Steps(first_id, steps, refused)

    def execute(self, state: S, action: Action, now: Timestamp) -> tuple[S, list[Action], int, RawSteps, RawRefusals]:
        """`dispatch`, with the fields of `Steps` in place of it, for a caller that may not look at them."""
        effects: list[Action] = []
        steps: RawSteps = []
        refused: RawRefusals = []
        state, next_id = self.run(state, ((action, now),), effects, steps, refused)
        return state, effects, next_id - len(steps), steps, refused

    def run(
        self,
        state: S,
        inputs: Iterable[tuple[Action, Timestamp]],
        effects: list[Action],
        steps: RawSteps,
        refused: RawRefusals,
        ends: list[tuple[int, int]] | None = None,
    ) -> tuple[S, int]:
        """The loop: dispatch a row of inputs, each with its time, and add what comes of them to four lists.

        A replay calls it with many inputs at once, which spares it a call and the lists for each.

        :param ends: takes for each input the id behind its last action, and how long ``refused`` is then.
        :returns: the new state, and the id of the next action.
        :raises: as `dispatch`. The lists then hold what had happened until then; the state given stays valid.
        """
        table, bound, bound_of = self._table, self._bound, self._bound_of
        clock = self._get_clock(state)
        action_id, latest = clock.last_action_id + 1, clock.now
        stack: list[tuple[Action, int, int]] = []
        is_chosen = False
        for given, now in inputs:
            if now < latest:
                raise CallerError(f"the time goes back by {latest - now} ns; feed a clock that never does")
            first_id = action_id
            id_max = first_id + (bound if bound_of is None else bound_of(state, given))
            item: tuple[Action, int, int] = (given, 0, 0)
            try:
                while True:
                    action, cause, depth = item
                    kind, guard, stepper = table[type(action)]
                    if is_chosen:
                        # Its guard has just said yes.
                        is_chosen = False
                        guard = None
                    if guard is not None and not guard(action, state, now):
                        refused.append((action, cause, depth, state))
                    elif stepper is not None:
                        state, follow_ups = stepper(state, action, now, stack, action_id)
                        steps.append(item)
                        action_id += 1
                        if action_id > id_max:
                            break
                        if follow_ups:
                            cause = action_id - 1
                            depth += 1
                            if len(follow_ups) > 1:
                                for follow_up in follow_ups[:0:-1]:
                                    stack.append((follow_up, cause, depth))  # noqa: PERF401 - a comprehension costs a frame on 3.11
                            item = (follow_ups[0], cause, depth)
                            continue
                        if not stack:
                            break  # and the stepper has written the clock
                    elif kind == _EFFECT:
                        steps.append(item)
                        action_id += 1
                        effects.append(action)
                    else:
                        item, is_chosen = self._choose(state, item, now, refused)
                        continue
                    if not stack:
                        if action_id > first_id:
                            state = self._set_clock(state, Clock(action_id - 1, now))
                        break
                    item = stack.pop()
            except (CallerError, InvariantViolationError):
                raise
            except Exception as error:
                raise self._blame(item, error) from error
            if action_id > id_max:
                kind_of_input = type(given).__qualname__
                raise InvariantViolationError(f"more than {id_max - first_id} steps followed from one {kind_of_input}")
            if action_id > first_id:
                latest = now
            if ends is not None:
                ends.append((action_id, len(refused)))
        return state, action_id

    def _choose(
        self,
        state: S,
        item: tuple[Attempt, int, int],
        now: Timestamp,
        refused: RawRefusals,
    ) -> tuple[tuple[Action, int, int], bool]:
        """What is next instead of an attempt, and whether its guard has been asked already."""
        attempt, cause, depth = item
        action = attempt.action
        if isinstance(action, Attempt):
            # The same choice, nested the other way round.
            return (Attempt(action.action, Attempt(action.otherwise, attempt.otherwise)), cause, depth), False
        _, guard, _ = self._table[type(action)]
        if guard is None or guard(action, state, now):
            return (action, cause, depth), True
        refused.append((action, cause, depth, state))
        return (attempt.otherwise, cause, depth), False

    def _blame(self, item: tuple[Action, int, int], error: Exception) -> MinaP2pError:
        """Whose fault it is that ``item`` could not be executed."""
        action, cause, _ = item
        if isinstance(action, Attempt):
            action = action.action
        if isinstance(error, KeyError) and type(action) not in self._table:
            if cause:
                return InvariantViolationError(f"a reducer returned {type(action).__qualname__}, which is no action of this machine")
            return CallerError(f"{type(action).__qualname__} is no action of this machine; its table is Machine.actions")
        return InvariantViolationError(f"{type(action).__qualname__} was not reduced: {error!r}")


Observer: TypeAlias = Callable[[Any, Timestamp, Steps, Any], None]
"""``(input, now, steps, state after)``, called after every dispatch that executed or refused something."""


class Store(Generic[S]):
    """Holds the current state of one machine, its observers and its counters."""

    WHY_REFUSED_KINDS_MAX: ClassVar[int] = 1_000

    def __init__(self, machine: Machine[S], state: S) -> None:
        self.machine = machine
        self.state = state
        self.refused_by_kind: Counter[str] = Counter()
        """How often a guard refused, by action class."""
        self.refused_by_reason: Counter[tuple[str, str]] = Counter()
        """The same by class and reason, for classes that offer ``why_refused``; bounded."""
        self._observers: tuple[Observer, ...] = ()
        self._failed: InvariantViolationError | None = None

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call ``observer`` after every dispatch; the returned function ends that.

        The state has changed by then, so an observer handles its own errors: one that it
        lets go reaches the caller of `dispatch` in place of the effects.
        """
        self._observers = (*self._observers, observer)

        def end() -> None:
            others = list(self._observers)
            others.remove(observer)
            self._observers = tuple(others)

        return end

    @property
    def failure(self) -> InvariantViolationError | None:
        """The violation that stopped this store, if one did."""
        return self._failed

    def dispatch(self, action: Action, now: Timestamp) -> list[Action]:
        """Dispatch one input.

        :returns: the effects to perform, in order.
        :raises InvariantViolationError: from now on, once a reducer was found wrong: the
            state is the last good one, and nothing may go on from it.
        :raises CallerError: for an unknown action or a time that goes back; the store goes on.
        """
        if self._failed is not None:
            raise InvariantViolationError("the store has stopped after an earlier violation") from self._failed
        effects: list[Action] = []
        steps: RawSteps = []
        refused: RawRefusals = []
        try:
            state, next_id = self.machine.run(self.state, ((action, now),), effects, steps, refused)
            if refused:
                self._count(refused, now)
        except InvariantViolationError as violation:
            self._failed = violation
            raise
        self.state = state
        if self._observers:
            seen = Steps(next_id - len(steps), steps, refused)
            for observer in self._observers:
                observer(action, now, seen, state)
        return effects

    def _count(self, refused: RawRefusals, now: Timestamp) -> None:
        for action, _, _, state in refused:
            kind = type(action).__qualname__
            self.refused_by_kind[kind] += 1
            why = self.machine.why_refused(state, action, now)
            if why is None:
                continue
            reason = kind, why
            if reason in self.refused_by_reason or len(self.refused_by_reason) < self.WHY_REFUSED_KINDS_MAX:
                self.refused_by_reason[reason] += 1


def expect(value: object, kind: type[T], action: Action) -> T:
    """``value`` as a ``kind``, which the guard of ``action`` has made sure of.

    :raises InvariantViolationError: where it is something else: guard and reducer disagree.
    """
    if isinstance(value, kind):
        return value
    raise InvariantViolationError(f"{type(action).__qualname__} needs {kind.__qualname__}, found {type(value).__qualname__}")


def walk(steps: Iterable[Step]) -> Iterator[str]:
    """The steps as an indented tree of names, for people and goldens."""
    return (f"{'  ' * step.depth}{type(step.action).__qualname__}" for step in steps)
