"""A replay writes into one root in place of making a new one for each action, and nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from test_running import assert_same
from trace_machine import MACHINE, SCHEMA, initial, inputs

from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.store import Clock, FollowUps, Machine, Slice
from mina_p2p.trace import Schema
from mina_p2p.trace.machines import SHIPPED_MACHINE


@record
class Part(Record):
    total: int = 0
    seen: tuple[int, ...] = ()


@record
class Whole(Record):
    part: Part = Part()
    other: Part | None = None
    clock: Clock = Clock()


@record
class Keeping(Record):
    """A root that can be held by its own parts."""

    part: KeepingPart
    before: Keeping | None = None
    clock: Clock = Clock()


@record
class KeepingPart(Record):
    total: int = 0
    seen: tuple[int, ...] = ()
    kept: Any = None


@record
class Add(Record):
    amount: int

    def is_enabled(self, state: Any, now: Timestamp) -> bool:
        return self.amount != 5


@record
class Reset(Record):
    pass


@record
class Many(Record):
    left: int


@record
class Told(Record):
    pass


NOTHING_YET = Whole()

Reduce = Callable[[Any, Any, Timestamp, Any], tuple[Any, FollowUps]]


def add(part: Any, action: Add, _now: Timestamp, root: Any) -> tuple[Any, FollowUps]:
    """Reads the root, twice in a dispatch: it has to be as new as in a store."""
    part = part.replace(total=part.total + action.amount, seen=(*part.seen[-3:], root.part.total, root.clock.last_action_id))
    return part, (Add(action.amount - 1), Told()) if action.amount > 1 else ()


def keep(part: KeepingPart, action: Add, now: Timestamp, root: Keeping) -> tuple[KeepingPart, FollowUps]:
    """What a slice's reducer had better not do: the root is for reading."""
    return add(part, action, now, root)[0].replace(kept=root if action.amount == 3 else part.kept), ()


def pairs(count: int) -> list[tuple[Any, Timestamp]]:
    return [(Reset() if i % 40 == 39 else Add(i % 7), Timestamp(i)) for i in range(count)]


def reset(_state: Whole, _action: Any, _now: Timestamp) -> tuple[Whole, FollowUps]:
    return NOTHING_YET, (Add(2),)


def exchange(state: Whole, _action: Any, _now: Timestamp) -> tuple[Whole, FollowUps]:
    return state.replace(other=state.part, part=state.other or Part()), (Add(3), Told())


def nothing(state: Any, _action: Any, _now: Timestamp) -> tuple[Any, FollowUps]:
    return state, ()


def undoable(state: Keeping, _action: Any, _now: Timestamp) -> tuple[Keeping, FollowUps]:
    return Keeping(KeepingPart(), state if state.before is None else None, state.clock), (Add(3), Told())


@pytest.mark.parametrize("over_root", [reset, exchange, nothing])
def test_reducers_see_what_they_see_in_a_store(over_root: Any) -> None:
    """Whatever a reducer over the root makes of it, also where that is a constant."""
    machine = Machine(Whole, slices=[Slice("part", {Add: add})], reducers=[(Reset, over_root)], effects=[Told])
    schema = Schema.of(machine)
    assert not schema.can_hold(Whole)
    start = Whole()
    found = assert_same(machine, schema, start, pairs(200))
    assert found.refusals
    assert start == Whole()
    assert Whole() == NOTHING_YET


@pytest.mark.parametrize(("reduce", "over_root"), [(keep, nothing), (add, undoable), (keep, undoable)])
def test_a_root_that_is_kept_does_not_change(reduce: Reduce, over_root: Any) -> None:
    """By a slice in its state, by the root in itself: what was kept is what was there then."""
    machine = Machine(Keeping, slices=[Slice("part", {Add: reduce})], reducers=[(Reset, over_root)], effects=[Told])
    schema = Schema.of(machine)
    assert schema.can_hold(Keeping)
    assert_same(machine, schema, Keeping(KeepingPart()), pairs(200))


def test_the_machine_of_a_node_holds_no_roots() -> None:
    """So that its logs are replayed the fast way."""
    assert not SHIPPED_MACHINE.schema.can_hold(P2pState)


def test_the_state_that_is_given_stays_as_it_is() -> None:
    """Also where all inputs of a row come to their end."""
    start = initial()
    encoded = SCHEMA.encode(start)
    assert_same(MACHINE, SCHEMA, start, list(inputs(100)))
    assert SCHEMA.encode(start) == encoded


def test_parts_that_are_mounted_and_roots_that_are_lifted() -> None:
    """Their states are inside the root, and so may the clock be."""
    inner = Machine(Whole, slices=[Slice("part", {Add: add})], effects=[Told])
    outer = Machine(Outer, reducers=[(Reset, nothing_outer)]).mount("whole", inner)
    assert_same(outer, Schema.of(outer), Outer(Whole()), pairs(100))
    assert not assert_same(outer, Schema.of(outer), Outer(None), pairs(10)).state.clock.last_action_id
    lifted = inner.lift(Outer, "whole").extend(reducers=[(Reset, nothing_outer)])
    assert assert_same(lifted, Schema.of(lifted), Outer(Whole()), pairs(100)).state.whole.clock.last_action_id


@record
class Outer(Record):
    whole: Whole | None
    clock: Clock = Clock()


def nothing_outer(state: Outer, _action: Any, _now: Timestamp) -> tuple[Outer, FollowUps]:
    return state, ()


@record
class Checked(Record):
    """A class with a validator is one of attrs, into which nobody can write."""

    part: Part = attrs.field(default=Part(), validator=attrs.validators.instance_of(Part))
    clock: Clock = Clock()


def test_a_root_that_can_not_be_written_is_made_anew() -> None:
    """A class of attrs."""
    machine = Machine(Checked, slices=[Slice("part", {Add: add})], reducers=[(Reset, nothing)], effects=[Told])
    assert_same(machine, Schema.of(machine), Checked(), pairs(100))


def count_down(part: Part, action: Many, _now: Timestamp, _root: Whole) -> tuple[Part, FollowUps]:
    return part.replace(total=part.total + 1), (Many(action.left - 1),) if action.left else ()


@pytest.mark.parametrize(("left", "is_violation"), [(3, False), (8, False), (28, False), (40, True)])
def test_the_bound_of_steps_is_asked_where_it_may_matter(left: int, is_violation: bool) -> None:
    """Fewer steps than it can ever be, more than that, and more than it is."""
    asked: list[Any] = []

    def bound(_state: Whole, action: Any) -> int:
        asked.append(action)
        return 10 if action.left < 20 else 30

    machine = Machine(Whole, slices=[Slice("part", {Many: count_down})], steps_max=bound, steps_min=6)
    schema = Schema.of(machine)
    given = [(Many(1), Timestamp(0)), (Many(left), Timestamp(1)), (Many(1), Timestamp(2))]
    found = assert_same(machine, schema, Whole(), given)
    assert (found.error is not None) == is_violation
    asked.clear()
    assert_same(machine, schema, Whole(), given[:1])
    assert len(asked) == 1, "by `Machine.execute`, to which the row is compared, and by nobody else"
