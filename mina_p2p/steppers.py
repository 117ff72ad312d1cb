"""How a reducer becomes a step over the whole root, wherever in it the reducer's state lives.

`mina_p2p.store` calls steppers in its loop; they are made once, when a machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from mina_p2p.codegen import compile_function
from mina_p2p.errors import CallerError
from mina_p2p.ids import Timestamp
from mina_p2p.record import copy_expression, field_names, setter

Followed: TypeAlias = tuple[Any, Sequence[Any]]
"""A state, and the actions that follow."""

ClockAt: TypeAlias = Callable[[int, Timestamp], Any]
"""Makes the root's clock from the id of the last action and the time."""

Stepper: TypeAlias = Callable[[Any, Any, Timestamp, Any, int], Followed]
"""``(root, action, now, what waits, action id) -> (root, follow-ups)``: a reducer as the loop calls it.

Where nothing waits and nothing follows it also writes the clock: a copy of the root costs
as much as all else in a step, and this way the last step needs no second one.
"""


def slice_stepper(root: Any, field: str, reduce: Callable[[Any, Any, Timestamp, Any], Followed], clock: str, clock_at: ClockAt) -> Stepper:
    """Compile the step over the root that calls a slice's reducer and puts its state back."""
    require_field(root, field)
    names: dict[str, Any] = {"reduce": reduce, "Clock": clock_at, root.__name__: root, "set_clock": lens(root, clock)[1]}
    copied = copy_expression(root, "state", {field: "after"})
    last = f"set_clock({copied}, Clock(action_id, now))"
    if clock in field_names(root):
        last = copy_expression(root, "state", {field: "after", clock: "Clock(action_id, now)"})
    source = (
        "def route(state, action, now, waiting, action_id):\n"
        f"    before = state.{field}\n"
        "    after, follow_ups = reduce(before, action, now, state)\n"
        "    if not waiting and not follow_ups:\n"
        f"        return {last}, follow_ups\n"
        "    if after is before:\n"
        "        return state, follow_ups\n"
        f"    return {copied}, follow_ups\n"
    )
    made = compile_function("route", source, names, f"route {root.__qualname__}.{field}")
    if can_overwrite(root, clock):
        source = (
            "def route(state, action, now, waiting, action_id):\n"
            f"    before = state.{field}\n"
            "    after, follow_ups = reduce(before, action, now, state)\n"
            "    if after is not before:\n"
            f"        overwrite(state, {field!r}, after)\n"
            "    if not waiting and not follow_ups:\n"
            f"        overwrite(state, {clock!r}, Clock(action_id, now))\n"
            "    return state, follow_ups\n"
        )
        names["overwrite"] = overwrite
        made.in_place = compile_function("route", source, names, f"route in place {root.__qualname__}.{field}")
    return cast("Stepper", made)


def root_stepper(reducer: Callable[[Any, Any, Timestamp], Followed], set_clock: Callable[[Any, Any], Any], clock_at: ClockAt) -> Stepper:
    """The step of a reducer over the whole root."""

    def step(state: Any, action: Any, now: Timestamp, waiting: Any, action_id: int) -> Followed:
        after, follow_ups = reducer(state, action, now)
        return (after if waiting or follow_ups else set_clock(after, clock_at(action_id, now))), follow_ups

    def step_in_place(state: Any, action: Any, now: Timestamp, waiting: Any, action_id: int) -> Followed:
        after, follow_ups = reducer(state, action, now)
        if after is not state:
            after = after.replace()  # who else has what a reducer returns nobody knows: a constant of its module, say
        return (after if waiting or follow_ups else set_clock(after, clock_at(action_id, now))), follow_ups

    made: Any = step
    made.in_place = step_in_place
    return step


overwrite: Callable[[Any, str, Any], None] = msgspec.structs.force_setattr
"""Write a field of a record that nobody else holds: a fifth of what a copy of the root costs."""


def overwriter(name: str) -> Callable[[Any, Any], Any]:
    """A writer of one field, as `lens` has it, that returns the record it was given."""

    def put(state: Any, value: Any) -> Any:
        overwrite(state, name, value)
        return state

    return put


def can_overwrite(root: Any, clock: str) -> bool:
    """Whether `overwrite` can write a root's fields, the clock among them."""
    return clock in field_names(root) and issubclass(root, msgspec.Struct)


def in_place(stepper: Stepper) -> Stepper:
    """The same step for a root that nobody else holds, into which it may write; it returns one that nobody else holds either."""
    made: Stepper = getattr(stepper, "in_place", stepper)
    return made


def require_field(root: Any, name: str) -> None:
    """See that a record has a field.

    :raises CallerError: where it has not.
    """
    if name not in field_names(root):
        raise CallerError(f"{root.__qualname__} has no field {name!r}")


def lens(root: Any, path: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """Compiled reader and writer of a dotted path of record fields."""
    *parents, last = path.split(".")
    require_field(root, parents[0] if parents else last)
    get = compile_function("get", f"def get(state):\n    return state.{path}\n", {}, f"get {path}")
    if parents:
        inner = ".".join(parents)
        put_source = f"def put(state, value):\n    return _outer(state, state.{inner}.replace({last}=value))\n"
        put = compile_function("put", put_source, {"_outer": lens(root, inner)[1]}, f"put {path}")
    else:
        put = setter(root, last)
    return get, put


def lifted_stepper(get: Any, put: Any, stepper: Stepper) -> Stepper:
    """The step of an inner root, which is always there, and whose clock is the one."""

    def step(state: Any, action: Any, now: Timestamp, waiting: Any, action_id: int) -> Followed:
        before = get(state)
        after, follow_ups = stepper(before, action, now, waiting, action_id)
        return (state if after is before else put(state, after)), follow_ups

    return step


def mounted_stepper(get: Any, put: Any, stepper: Stepper, set_clock: Callable[[Any, Any], Any], clock_at: ClockAt) -> Stepper:
    """The step of a part that has a clock of its own, which stands still: the root's is the one."""

    def step(state: Any, action: Any, now: Timestamp, waiting: Any, action_id: int) -> Followed:
        before = get(state)
        # As if something waited always: the part's own clock is not written.
        after, follow_ups = stepper(before, action, now, True, action_id)
        if after is not before:
            state = put(state, after)
        return (state if waiting or follow_ups else set_clock(state, clock_at(action_id, now))), follow_ups

    return step


def mounted_guard(get: Any, guard: Any, *, is_reduced: bool) -> Any:
    """The guard asked about a part that may not be there; nothing refuses an effect that has no guard."""
    if guard is None and not is_reduced:
        return None

    def is_enabled(action: Any, state: Any, now: Timestamp) -> bool:
        part = get(state)
        return part is not None and (guard is None or bool(guard(action, part, now)))

    return is_enabled


def mounted_reason(get: Any, why: Any) -> Any:
    """``why_refused``, asked about a part that may not be there."""
    if why is None:
        return None

    def why_refused(action: Any, state: Any, now: Timestamp) -> str:
        part = get(state)
        return "that part is off" if part is None else str(why(action, part, now))

    return why_refused


def lifted_question(get: Any, question: Any) -> Any:
    """A guard or ``why_refused``, asked about the inner state."""
    if question is None:
        return None

    def ask(action: Any, state: Any, now: Timestamp) -> Any:
        return question(action, get(state), now)

    return ask
