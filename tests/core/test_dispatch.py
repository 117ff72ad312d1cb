"""One dispatch: order, guards and choices, refusals, effects, the table, whose fault, the bound, steps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trees import (
    MACHINE,
    NOW,
    TREES,
    Add,
    Break,
    Counter,
    GuardedSend,
    Journal,
    Later,
    Loop,
    Over,
    Root,
    Send,
    Tree,
    Unknown,
    machine,
    reduce_counter,
    reduce_journal,
    reduce_over,
    run,
)
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Clock, Machine, Refusal, Slice, Step, expect, walk

# Order


def test_follow_ups_run_depth_first_and_in_order():
    action = Tree("a", (Tree("b", (Tree("c"), Tree("d", (Tree("e"),)))), Tree("f", (Tree("g"),)), Tree("h")))
    state, _, steps = run(action)
    assert state.journal.names == tuple("abcdefgh")
    assert [(step.action_id, step.cause_id, step.depth, step.action.name) for step in steps] == [
        (1, 0, 0, "a"),
        (2, 1, 1, "b"),
        (3, 2, 2, "c"),
        (4, 2, 2, "d"),
        (5, 4, 3, "e"),
        (6, 1, 1, "f"),
        (7, 6, 2, "g"),
        (8, 1, 1, "h"),
    ]


def test_the_walk_is_a_tree_of_names():
    _, _, steps = run(Tree("a", (Tree("b", (Add(1), Send("x"))), Attempt(Add(1, below=0), Over(5)))))
    assert list(walk(steps)) == ["Tree", "  Tree", "    Add", "    Send", "  Over", "    Tree"]


def preorder(tree: Tree) -> list[str]:
    return [tree.name, *(name for child in tree.children for name in preorder(child))]


@given(TREES, TREES)
def test_ids_grow_without_gaps_and_every_cause_is_the_parent(first: Tree, second: Tree):
    state, _, steps = run(first)
    state, _, more = run(second, state)
    assert [s.action.name for s in steps] == preorder(first)
    assert [s.action.name for s in more] == preorder(second)
    assert [s.action_id for s in (*steps, *more)] == list(range(1, 1 + len(steps) + len(more)))
    assert more.first_id == 1 + len(steps)
    for part in (steps, more):
        assert part[0].cause_id == 0
        by_id = {s.action_id: s for s in part}
        for step in part[1:]:
            cause = by_id[step.cause_id]
            assert cause.action_id < step.action_id
            assert cause.depth + 1 == step.depth
            assert any(step.action is child for child in cause.action.children)
    assert state.clock == Clock(len(steps) + len(more), NOW)


def test_a_long_chain_does_not_recurse():
    _, _, steps = run(Loop(9_000))
    assert len(steps) == 9_001
    assert steps[-1] == Step(9_001, 9_000, 9_000, Loop(0))


# Guards and choices


def test_a_guard_is_asked_when_its_turn_comes():
    """Both actions were enabled when they were queued; the first closes the door to the second."""
    state, _, steps = run(Tree("a", (Add(1, below=1), Add(10, below=1), Add(100))))
    assert state.counter.value == 101
    assert steps.refusals == [Refusal(1, 1, Add(10, below=1))]
    assert steps.refused_count == 1


def test_a_guard_sees_what_an_earlier_branch_did_deep_down():
    state, _, steps = run(Tree("a", (Tree("b", (Add(5),)), Add(1, below=5))))
    assert state.counter.value == 5
    assert [refusal.action for refusal in steps.refusals] == [Add(1, below=5)]


def test_an_attempt_that_is_allowed_is_its_action():
    state, effects, steps = run(Tree("a", (Attempt(Add(1), Send("no")), Tree("b"))))
    assert state.counter.value == 1
    assert effects == []
    assert [(type(s.action), s.cause_id, s.depth) for s in steps] == [(Tree, 0, 0), (Add, 1, 1), (Tree, 1, 1)]
    assert steps.refused_count == 0


def test_an_attempt_that_is_refused_is_its_alternative_in_the_same_place():
    state, effects, steps = run(Tree("a", (Attempt(Add(1, below=0), Send("instead")), Tree("b"))))
    assert effects == [Send("instead")]
    assert state.journal.names == ("a", "b")
    assert [(type(s.action), s.cause_id, s.depth) for s in steps] == [(Tree, 0, 0), (Send, 1, 1), (Tree, 1, 1)]
    assert steps.refusals == [Refusal(1, 1, Add(1, below=0))]


def test_an_alternative_may_be_refused_too():
    state = Root()
    after, effects, steps = run(Attempt(Add(1, below=0), GuardedSend("x")), state)
    assert after is state
    assert (effects, len(steps)) == ([], 0)
    assert [refusal.action for refusal in steps.refusals] == [Add(1, below=0), GuardedSend("x")]


NO, YES = Add(1, below=0), Add(1)


@pytest.mark.parametrize(
    ("attempt", "executed", "refused"),
    [
        (Attempt(NO, Attempt(NO, Send("last"))), [Send("last")], [NO, NO]),
        (Attempt(NO, Attempt(YES, Send("last"))), [YES], [NO]),
        (Attempt(Attempt(NO, NO), Send("last")), [Send("last")], [NO, NO]),
        (Attempt(Attempt(NO, YES), Send("last")), [YES], [NO]),
        (Attempt(Attempt(YES, NO), Send("last")), [YES], []),
        (Attempt(Attempt(NO, Attempt(NO, NO)), Attempt(Attempt(NO, Send("deep")), Send("last"))), [Send("deep")], [NO] * 4),
    ],
)
def test_nested_attempts_execute_the_first_that_is_allowed(attempt: Attempt, executed: list[Any], refused: list[Any]):
    assert MACHINE.is_enabled(Root(), attempt, NOW)
    _, _, steps = run(attempt)
    assert [step.action for step in steps] == executed
    assert [refusal.action for refusal in steps.refusals] == refused


ATTEMPTS = st.recursive(st.sampled_from([NO, YES]), lambda inner: st.builds(Attempt, inner, inner), max_leaves=12)


@given(ATTEMPTS)
def test_an_attempt_is_enabled_exactly_if_it_executes_something(action: Any):
    state = Root()
    after, _, steps = run(action, state)
    assert len(steps) == MACHINE.is_enabled(state, action, NOW)
    assert (after is state) == (not steps)


def test_is_enabled_asks_the_guard():
    assert MACHINE.is_enabled(Root(), Send("x"), NOW)
    assert not MACHINE.is_enabled(Root(), GuardedSend("x"), NOW)
    assert not MACHINE.is_enabled(Root(), Later(NOW + 1), NOW)
    assert MACHINE.is_enabled(Root(), Later(NOW), NOW)
    with pytest.raises(CallerError, match="Unknown is no action"):
        MACHINE.is_enabled(Root(), Unknown(), NOW)


# Refusals and time


def test_a_refused_input_leaves_the_same_state_object():
    """Not even the clock moves, so a flood of refused inputs costs no memory."""
    state = Root()
    after, effects, steps = run(Add(1, below=0), state)
    assert after is state
    assert effects == []
    assert list(steps) == []
    assert steps.refusals == [Refusal(0, 0, Add(1, below=0))]


def test_a_slice_that_does_not_change_is_not_replaced():
    state, _, _ = run(Add(1))
    after, _, _ = run(Loop(3), state)
    assert after.counter is state.counter
    assert after.journal is state.journal
    assert after.clock.last_action_id == state.clock.last_action_id + 4


def test_all_actions_of_a_dispatch_see_one_now():
    state, _, _ = run(Tree("a", (Add(1), Tree("b", (Later(2_000), Later(3_000))))), now=Timestamp(2_000))
    assert state.counter.seen_at == 2_000
    assert state.clock.now == 2_000


def test_time_may_stand_still_but_not_go_back():
    state, _, _ = run(Add(1))
    state, _, _ = run(Add(1), state)
    with pytest.raises(CallerError, match="goes back by 1 ns"):
        run(Add(1), state, Timestamp(NOW - 1))
    assert run(Add(1), state, Timestamp(NOW + 1))[0].counter.value == 3


# Effects


def test_effects_come_out_in_the_order_of_their_steps():
    _, effects, steps = run(Tree("a", (Send("1"), Tree("b", (Send("2"), GuardedSend("refused"), Add(1), GuardedSend("3"))), Send("4"))))
    assert effects == [Send("1"), Send("2"), GuardedSend("3"), Send("4")]
    assert [s.action for s in steps if MACHINE.is_effect(type(s.action))] == effects


def test_an_effect_as_input_is_handed_on():
    state, effects, steps = run(Send("x"))
    assert effects == [Send("x")]
    assert [s.action for s in steps] == [Send("x")]
    assert state == Root(clock=Clock(1, NOW))


def test_a_reducer_over_the_root_replaces_any_part_and_may_return_a_list():
    state, _, steps = run(Over(7))
    assert state.counter.value == 7
    assert state.journal.names == ("over",)
    assert len(steps) == 2


# The table


def test_the_table_lists_every_action_once():
    assert MACHINE.actions == (Add, Break, GuardedSend, Later, Loop, Over, Send, Tree)
    assert [MACHINE.is_effect(action) for action in (Send, Add, Over)] == [True, False, False]


@pytest.mark.parametrize(
    "twice",
    [
        {"slices": [Slice("counter", [Add], reduce_counter), Slice("journal", [Add], reduce_journal)]},
        {"slices": [Slice("counter", [Add, Add], reduce_counter)]},
        {"effects": [Send, Send]},
        {"slices": [Slice("counter", [Add], reduce_counter)], "effects": [Add]},
        {"reducers": [(Over, reduce_over), (Over, reduce_over)]},
        {"effects": [Attempt]},
    ],
)
def test_an_action_has_exactly_one_reducer(twice: dict[str, Any]):
    with pytest.raises(CallerError, match="in the table already"):
        Machine(Root, **twice)


def test_a_machine_names_fields_that_exist():
    with pytest.raises(CallerError, match="Root has no field 'missing'"):
        Machine(Root, slices=[Slice("missing", [Add], reduce_counter)])
    for path in ("missing", "missing.clock"):
        with pytest.raises(CallerError, match="Root has no field 'missing'"):
            Machine(Root, clock=path)


# Whose fault


def test_an_unknown_input_is_the_callers_fault():
    for action in (Unknown(), Attempt(Unknown(), Send("x")), Attempt(Add(1, below=0), Unknown()), "text", None):
        with pytest.raises(CallerError, match="is no action of this machine"):
            run(action)


@pytest.mark.parametrize("how", ["unknown", "unknown attempt"])
def test_an_unknown_follow_up_is_our_fault(how: str):
    with pytest.raises(InvariantViolationError, match="a reducer returned Unknown"):
        run(Break(how))


@pytest.mark.parametrize("how", ["zero", "key", "nothing", "deep"])
def test_an_exception_in_a_reducer_is_our_fault_and_names_the_action(how: str):
    with pytest.raises(InvariantViolationError, match="Break was not reduced") as caught:
        run(Break(how))
    assert caught.value.__cause__ is not None


def test_an_exception_in_a_guard_is_our_fault():
    @record
    class Odd(Record):
        def is_enabled(self, state: Root, now: Timestamp) -> bool:
            raise LookupError("x")

    extended = MACHINE.extend(effects=[Odd])
    with pytest.raises(InvariantViolationError, match=r"Odd was not reduced: LookupError"):
        extended.dispatch(Root(), Odd(), NOW)


def test_a_reducer_may_refuse_a_command_as_misuse():
    with pytest.raises(CallerError, match="makes no sense"):
        run(Break("caller"))


def test_what_is_not_an_exception_passes_through():
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Machine(Root, reducers=[(Over, interrupted)]).dispatch(Root(), Over(1), NOW)


def test_expect_checks_what_the_guard_made_sure_of():
    assert expect(Counter(3), Counter, Add(1)).value == 3
    with pytest.raises(InvariantViolationError, match="Add needs Counter, found Journal"):
        expect(Journal(), Counter, Add(1))


# The bound


def test_a_dispatch_takes_as_many_steps_as_its_input_justifies():
    bounded = machine(steps_max=lambda _state, action: action.count + 1 if isinstance(action, Loop) else 3)
    for count in (0, 1, 50):
        assert len(bounded.dispatch(Root(), Loop(count), NOW)[2]) == count + 1
    assert len(bounded.dispatch(Root(), Tree("a", (Tree("b"), Send("c"))), NOW)[2]) == 3


@pytest.mark.parametrize(
    "action",
    [
        Tree("a", (Tree("b"), Tree("c"), Tree("d"))),
        Tree("a", (Send("b"), Send("c"), Send("d"))),
        Tree("a", (Tree("b", (Tree("c", (Tree("d"),)),)),)),
        Tree("a", (Attempt(Add(1, below=0), Send("b")), Send("c"), Send("d"))),
        Loop(3),
        Loop(5_000_000),
    ],
)
def test_more_steps_than_that_are_our_fault(action: Any):
    with pytest.raises(InvariantViolationError, match="more than 3 steps followed from one"):
        machine(steps_max=lambda _state, _action: 3).dispatch(Root(), action, NOW)


def test_refused_actions_are_no_steps():
    bounded = machine(steps_max=lambda _state, _action: 2)
    _, _, steps = bounded.dispatch(Root(), Tree("a", (*[Add(1, below=0)] * 50, Add(1))), NOW)
    assert (len(steps), steps.refused_count) == (2, 50)


# Steps


def test_steps_are_a_sequence():
    _, _, steps = run(Tree("a", (Tree("b"), Add(1))), Root(clock=Clock(41, NOW)))
    first, second, third = Step(42, 0, 0, Tree("a", (Tree("b"), Add(1)))), Step(43, 42, 1, Tree("b")), Step(44, 42, 1, Add(1))
    assert list(steps) == [first, second, third] == steps[:] == [steps[0], steps[1], steps[2]] == [steps[-3], steps[-2], steps[-1]]
    assert steps[::-1] == [third, second, first]
    assert steps[1:] == [second, third]
    assert list(reversed(steps)) == [third, second, first]
    assert second in steps
    assert steps.index(third) == 2
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            steps[beyond]


def test_dispatch_is_a_function_of_its_arguments():
    """One state can be led into two futures, and the same input gives equal results."""
    start, _, _ = run(Add(1))
    one, other = run(Add(10), start), run(Tree("x", (Add(20),)), start)
    assert (start.counter.value, one[0].counter.value, other[0].counter.value) == (1, 11, 21)
    assert run(Add(10), start) == one
