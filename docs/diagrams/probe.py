"""Finding out what the shipped machine does: every step that changes a state, seen while it happens.

Nothing here knows the transitions. A `World` offers inputs; `explore` dispatches all of them from
every state that they lead to, and notes each single step of each dispatch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, TypeAlias

from mina_p2p.ids import Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import Machine

STATES_MAX = 5_000
"""A world whose `World.key` tells too many states apart would run for ever."""

Input: TypeAlias = tuple[Any, Timestamp]
"""An action and when it arrives."""


class World(NamedTuple):
    """A start, and what can happen."""

    start: P2pState
    inputs: Callable[[P2pState], Iterable[Input]]
    key: Callable[[P2pState], Hashable]
    """States with equal keys are explored once."""


class Step(NamedTuple):
    """One executed action with the state around it."""

    action: Any
    parent: Any
    """The action that it followed from; ``None`` for an input."""
    before: P2pState
    after: P2pState


Noted: TypeAlias = list[tuple[P2pState, P2pState]]


def watched(machine: Machine[P2pState], noted: Noted) -> Machine[P2pState]:
    """A machine that does the same, and notes the states around every reduced action."""
    classes = machine.actions
    return Machine(
        machine.root,
        reducers=[(kind, _noting(machine, noted)) for kind in classes if not machine.is_effect(kind)],
        effects=[kind for kind in classes if machine.is_effect(kind)],
        clock=machine.clock_path,
    )


def _noting(machine: Machine[P2pState], noted: Noted) -> Any:
    def reduce_and_note(state: P2pState, action: Any, now: Timestamp) -> Any:
        after, follow_ups = machine.reduce(state, action, now)
        noted.append((state, after))
        return after, follow_ups

    return reduce_and_note


def explore(machine: Machine[P2pState], world: World) -> list[Step]:
    """Every step of every dispatch that the world's inputs lead to, breadth first.

    :raises RuntimeError: where there is no end to it.
    """
    noted: Noted = []
    watching = watched(machine, noted)
    found: list[Step] = []
    seen = {world.key(world.start)}
    waiting = deque([world.start])
    while waiting:
        state = waiting.popleft()
        for action, now in world.inputs(state):
            noted.clear()
            after, _, steps = watching.dispatch(state, action, now)
            reduced = [step for step in steps if not machine.is_effect(type(step.action))]
            for step, (step_before, step_after) in zip(reduced, noted, strict=True):
                parent = steps[step.cause_id - steps.first_id].action if step.cause_id else None
                found.append(Step(step.action, parent, step_before, step_after))
            if (key := world.key(after)) not in seen:
                seen.add(key)
                waiting.append(after)
        if len(seen) > STATES_MAX:
            raise RuntimeError(f"more than {STATES_MAX} states; World.key tells too much apart")
    return found
