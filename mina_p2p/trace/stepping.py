"""`expand`: one dispatch step by step, with the state after each action.

`Machine.execute` gives the state after a whole dispatch. A debugger wants to stop between an
action and its follow-ups. This loop asks the machine for one guard and one reducer at a time;
it is slow, written for reading, and held to give exactly what the machine's own loop gives.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Machine

STEPS_MAX: Final = 1_000_000


@record
class Refusal(Record):
    """An action that its guard refused."""

    after: int
    """How many actions of the dispatch had been executed before."""
    depth: int
    action: Any
    why: str | None
    """For people, where the action's class can say."""


@record
class Expanded(Record):
    """One dispatch, step by step."""

    first_id: int
    """Id of the first action; the others follow without gaps."""
    actions: tuple[Any, ...]
    """What was executed, in order."""
    causes: tuple[int, ...]
    """Id of the cause of each; 0 for the input."""
    depths: tuple[int, ...]
    states: tuple[Any, ...]
    """The state after each. The clock moves with the last of them."""
    effects: tuple[bool, ...]
    """Whether the runtime performs it."""
    refusals: tuple[Refusal, ...]
    state: Any
    """The state after all of it."""


def expand(machine: Machine[Any], state: Any, action: Any, now: Timestamp) -> Expanded:
    """Dispatch ``action`` and tell every step.

    :raises CallerError: as `Machine.dispatch`.
    :raises InvariantViolationError: as `Machine.dispatch`.
    """
    first_id = last_action_id(machine)(state) + 1
    after = machine.execute(state, action, now)[0]
    steps: list[tuple[Any, int, int, Any, bool]] = []
    refusals: list[Refusal] = []

    def refuse(refused: Any, depth: int) -> None:
        refusals.append(Refusal(len(steps), depth, refused, machine.why_refused(state, refused, now)))

    stack = [(action, 0, 0)]
    while stack:
        action, cause, depth = stack.pop()
        if isinstance(action, Attempt):
            wanted = action.action
            if isinstance(wanted, Attempt):
                stack.append((Attempt(wanted.action, Attempt(wanted.otherwise, action.otherwise)), cause, depth))
            elif machine.is_enabled(state, wanted, now):
                stack.append((wanted, cause, depth))
            else:
                refuse(wanted, depth)
                stack.append((action.otherwise, cause, depth))
            continue
        if not machine.is_enabled(state, action, now):
            refuse(action, depth)
            continue
        if len(steps) == STEPS_MAX:
            raise InvariantViolationError(f"more than {STEPS_MAX} steps followed from one {steps[0][0].__class__.__qualname__}")
        is_effect = machine.is_effect(action.__class__)
        if not is_effect:
            state, follow_ups = machine.reduce(state, action, now)
            cause_id = first_id + len(steps)
            stack += [(follow_up, cause_id, depth + 1) for follow_up in reversed(follow_ups)]
        steps.append((action, cause, depth, state, is_effect))
    if steps:
        steps[-1] = (*steps[-1][:3], after, steps[-1][4])  # with its clock
    actions, causes, depths, states, effects = zip(*steps, strict=True) if steps else ((), (), (), (), ())
    return Expanded(first_id, actions, causes, depths, states, effects, tuple(refusals), after)


def last_action_id(machine: Machine[Any]) -> Callable[[Any], int]:
    """A function from a state of ``machine`` to the id of the last action that it includes."""
    find: Callable[[Any], int] = attrgetter(f"{machine.clock_path}.last_action_id")
    return find
