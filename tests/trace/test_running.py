"""Running the inputs of a chunk in a row gives what `Machine.execute` gives for one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_machine import MACHINE, SCHEMA, Break, CheckTimeouts, MessageReceived, initial, inputs, make_machine, reduce

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, FollowUps, Machine
from mina_p2p.trace import Records, Schema
from mina_p2p.trace.records import Digests
from mina_p2p.trace.running import Outcome, run_inputs


def chunk_of(pairs: list[tuple[Any, Timestamp]], digests: Digests | None = None) -> Records:
    return Records(1, tuple(now for _, now in pairs), tuple(action for action, _ in pairs), (), (), (), {}, None, None, digests)


def one_by_one(machine: Machine[Any], schema: Schema, state: Any, pairs: list[tuple[Any, Timestamp]]) -> Outcome:
    """The same, written for reading."""
    made = Outcome(state)
    for place, (action, now) in enumerate(pairs):
        try:
            made.state, _, _, steps, refused = machine.execute(made.state, action, now)
        except (CallerError, InvariantViolationError) as error:
            made.error = error
            made.counts.append(0)
            break
        made.counts.append(len(steps))
        made.kinds += [schema.tags[type(step)] for step, _, _ in steps]
        made.depths += [depth for _, _, depth in steps]
        if refused:
            made.refusals[place] = tuple(schema.tags[type(action)] for action, *_ in refused)
    return made


def assert_same(machine: Machine[Any], schema: Schema, state: Any, pairs: list[tuple[Any, Timestamp]]) -> Outcome:
    found, expected = run_inputs(machine, schema, state, chunk_of(pairs)), one_by_one(machine, schema, state, pairs)
    assert found.state == expected.state
    assert (found.counts, found.kinds, found.depths, found.refusals) == (
        expected.counts,
        expected.kinds,
        expected.depths,
        expected.refusals,
    )
    assert (type(found.error), str(found.error)) == (type(expected.error), str(expected.error))
    return found


@pytest.mark.parametrize("count", [1, 63, 64, 65, 300])
def test_a_row_of_inputs_gives_what_they_give_one_by_one(count: int) -> None:
    """Steps, refusals, attempts and the state, at every number of inputs around a batch."""
    found = assert_same(MACHINE, SCHEMA, initial(), list(inputs(count)))
    assert len(found.counts) == count
    assert found.refusals or count < 63


@given(st.integers(0, 50), st.integers(0, 150), st.sampled_from(["violation", "time", "unknown", "refused"]))
@settings(max_examples=60, deadline=None)
def test_what_goes_wrong_is_what_the_machine_says(seed: int, place: int, trouble: str) -> None:
    """A violation, a time that goes back, an unknown action: the same error at the same input, and the state before it."""
    pairs = list(inputs(151, seed))
    now = pairs[place][1]
    wrong: tuple[Any, Timestamp] = {
        "violation": (Break(), now),
        "time": (CheckTimeouts(), Timestamp(now - 10**12)),
        "unknown": (Clock(), now),
        "refused": (MessageReceived(ConnectionId(99), b""), now),
    }[trouble]
    found = assert_same(MACHINE, SCHEMA, initial(seed), [*pairs[:place], wrong, *pairs[place:]])
    assert (found.error is None) == (trouble == "refused")


def test_a_reducer_that_fails_half_way_leaves_nothing_behind() -> None:
    """Steps that came before the violation within its dispatch are not counted."""

    def fails_late(state: Any, action: Any, now: Timestamp) -> tuple[Any, FollowUps]:
        if type(action).__name__ == "Ack" and state.net.acks == 9:
            raise ValueError("late")
        return reduce(state, action, now)

    found = assert_same(make_machine(fails_late), SCHEMA, initial(), list(inputs(200)))
    assert isinstance(found.error, InvariantViolationError)
    assert sum(found.counts) == len(found.kinds) == found.state.clock.last_action_id


@record
class Count(Record):
    clock: Clock = Clock()


@record
class Step(Record):
    left: int


@record
class EffectfulLast(Record):
    pass


def countdown(state: Count, action: Any, now: Timestamp) -> tuple[Count, FollowUps]:
    return state, (Step(action.left - 1),) if action.left else (EffectfulLast(), EffectfulLast())


@pytest.mark.parametrize("bound", [8, lambda _state, action: action.left + 3])
def test_the_bound_of_steps_is_kept(bound: Any) -> None:
    """A dispatch of as many steps as allowed passes, one more is a violation, effects count too."""
    machine = Machine(Count, reducers=[(Step, countdown)], effects=[EffectfulLast], steps_max=bound)
    schema = Schema.of(machine)
    errors = [assert_same(machine, schema, Count(), [(Step(left), Timestamp(1))]).error for left in range(3, 9)]
    assert errors[0] is None
    assert callable(bound) or [error is None for error in errors] == sorted([error is None for error in errors], reverse=True)
    assert callable(bound) or errors[-1] is not None


@pytest.mark.parametrize("every", [1, 3, 32, 100])
def test_the_first_changed_content_is_found_where_it_was_recorded(every: int) -> None:
    """Each checksum belongs to the place it was made for, whatever the distance between two."""
    pairs = list(inputs(150))
    state, values = initial(), b""
    for place, (action, now) in enumerate(pairs):
        state, _, _, steps, _ = MACHINE.execute(state, action, now)
        if place % every == 0:
            values += SCHEMA.digest_of(steps).to_bytes(4, "big")
    assert run_inputs(MACHINE, SCHEMA, initial(), chunk_of(pairs, Digests(every, values))).changed is None
    for place in range(0, 150, every):
        at = place // every * 4
        changed = values[:at] + bytes([values[at] ^ 1]) + values[at + 1 :]
        assert run_inputs(MACHINE, SCHEMA, initial(), chunk_of(pairs, Digests(every, changed))).changed == place
