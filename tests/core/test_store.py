"""The dispatch loop: order, guards, choices, time, ids, refusals, bounds, failures, larger roots."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Clock, FollowUps, Machine, Refusal, Slice, Step, Steps, Store, expect, walk

NOW = Timestamp(1_000)


@record
class Tree(Record):
    """An action that leads to the actions it carries."""

    name: str
    children: tuple[Any, ...] = ()


@record
class Add(Record):
    """Adds to the counter; refused once the counter has reached ``below``."""

    amount: int
    below: int = 1_000_000

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        return state.counter.value < self.below

    def why_refused(self, state: Root, _now: Timestamp) -> str:
        return f"the counter is at {state.counter.value}"


@record
class Later(Record):
    """Enabled from a time on; gives no reason."""

    start: int

    def is_enabled(self, _state: Root, now: Timestamp) -> bool:
        return now >= self.start


@record
class Loop(Record):
    """Leads to ``count`` more of its kind, one after the other."""

    count: int


@record
class Break(Record):
    """Its reducer fails, or returns what it must not."""

    how: str


@record
class Over(Record):
    """Reduced over the whole root."""

    amount: int


@record
class Send(Record):
    """An effect."""

    payload: str


@record
class GuardedSend(Record):
    """An effect with a guard."""

    payload: str

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        return state.counter.value > 0


@record
class Unknown(Record):
    """In no table."""


@record
class Counter(Record):
    value: int = 0
    seen_at: int = 0


@record
class Journal(Record):
    names: tuple[str, ...] = ()


@record
class Root(Record):
    clock: Clock = Clock()
    counter: Counter = Counter()
    journal: Journal = Journal()


def reduce_counter(state: Counter, action: Any, now: Timestamp, root: Root) -> tuple[Counter, FollowUps]:
    assert root.counter is state
    match action:
        case Add(amount=amount):
            return state.replace(value=state.value + amount, seen_at=now), ()
        case Later():
            return state.replace(seen_at=now), ()
        case Loop(count=0):
            return state, ()
        case Loop(count=count):
            return state, (Loop(count - 1),)
        case Break(how="key"):
            return {}["missing"], ()
        case Break(how="unknown"):
            return state, (Unknown(),)
        case Break(how="unknown attempt"):
            return state, (Attempt(Unknown(), Send("x")),)
        case Break(how="caller"):
            raise CallerError("this command makes no sense now")
        case Break(how="deep"):
            return reduce_counter(state, action, now, root)
        case Break(how="after"):
            return state.replace(value=99), (Break("zero"),)
        case Break(how="nothing"):
            return None  # type: ignore[return-value]
        case Break():
            return 1 // 0, ()
        case _:
            raise AssertionError


def reduce_journal(state: Journal, action: Tree, _now: Timestamp, _root: Root) -> tuple[Journal, FollowUps]:
    return state.replace(names=(*state.names, action.name)), action.children


def reduce_over(state: Root, action: Over, _now: Timestamp) -> tuple[Root, FollowUps]:
    return state.replace(counter=state.counter.replace(value=action.amount)), [Tree("over")]


def machine(**keywords: Any) -> Machine[Root]:
    return Machine(
        Root,
        slices=[
            Slice("counter", [Add, Later, Loop, Break], reduce_counter),
            Slice("journal", [Tree], reduce_journal),
        ],
        reducers=[(Over, reduce_over)],
        effects=[Send, GuardedSend],
        **keywords,
    )


MACHINE = machine()


def run(action: Any, state: Root | None = None, now: Timestamp = NOW) -> tuple[Root, list[Any], Steps]:
    return MACHINE.dispatch(state or Root(), action, now)


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


TREES = st.recursive(
    st.builds(Tree, st.text("ab", max_size=2)),
    lambda children: st.builds(Tree, st.text("ab", max_size=2), st.lists(children, max_size=4).map(tuple)),
    max_leaves=30,
)


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


# Store


def test_the_store_holds_the_state_and_returns_the_effects():
    store = Store(MACHINE, Root())
    assert store.dispatch(Tree("a", (Add(1), Send("x"))), NOW) == [Send("x")]
    assert store.dispatch(Add(2), NOW) == []
    assert store.state.counter.value == 3
    assert store.state.clock == Clock(4, NOW)
    assert store.failure is None


def test_observers_see_every_dispatch_in_the_order_they_came():
    store = Store(MACHINE, Root())
    seen: list[Any] = []
    end_first = store.observe(lambda action, now, steps, state: seen.append(("first", action, now, len(steps), steps.refused_count, state)))
    store.observe(lambda *_: seen.append(("second",)))
    store.dispatch(Add(1), NOW)
    assert seen == [("first", Add(1), NOW, 1, 0, store.state), ("second",)]
    assert seen[0][-1] is store.state
    store.dispatch(Add(1, below=0), NOW)
    assert seen[2:] == [("first", Add(1, below=0), NOW, 0, 1, store.state), ("second",)]
    end_first()
    store.dispatch(Add(1), NOW)
    assert seen[4:] == [("second",)]


def test_an_observer_may_end_itself_while_others_are_called():
    store = Store(MACHINE, Root())
    seen: list[str] = []

    def once(*_: Any) -> None:
        seen.append("once")
        end()

    end = store.observe(once)
    store.observe(lambda *_: seen.append("always"))
    store.dispatch(Add(1), NOW)
    store.dispatch(Add(1), NOW)
    assert seen == ["once", "always", "always"]


def test_observers_see_no_failed_dispatch():
    store = Store(MACHINE, Root())
    store.observe(lambda *_: pytest.fail("nothing happened"))
    with pytest.raises(CallerError):
        store.dispatch(Unknown(), NOW)
    with pytest.raises(InvariantViolationError):
        store.dispatch(Break("zero"), NOW)


def test_refusals_are_counted_by_class_and_by_reason():
    store = Store(MACHINE, Root())
    store.dispatch(Tree("a", (Add(1, below=0), Later(NOW + 1), Add(1), Add(1, below=1))), NOW)
    store.dispatch(Add(5, below=0), NOW)
    assert store.refused_by_kind == {"Add": 3, "Later": 1}
    assert store.refused_by_reason == {("Add", "the counter is at 0"): 1, ("Add", "the counter is at 1"): 2}


def test_the_reason_is_that_of_the_moment_of_refusal():
    """Not that of the state after the dispatch, in which the guard might have said yes."""
    store = Store(MACHINE, Root())
    store.dispatch(Tree("a", (Add(1, below=0), Add(7))), NOW)
    assert store.refused_by_reason == {("Add", "the counter is at 0"): 1}


def test_the_counter_of_reasons_is_bounded_and_known_reasons_go_on_counting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Store, "WHY_REFUSED_KINDS_MAX", 3)
    store = Store(MACHINE, Root())
    for value in (0, 1, 2, 3, 4, 5):
        store.dispatch(Add(1, below=0), NOW)
        store.dispatch(Add(1, below=0), NOW)
        assert store.refused_by_kind["Add"] == 2 * value + 2
        store.dispatch(Add(1), NOW)
    assert sum(store.refused_by_reason.values()) == 6
    assert set(store.refused_by_reason) == {("Add", f"the counter is at {value}") for value in (0, 1, 2)}
    store.state = Root(clock=store.state.clock)
    store.dispatch(Add(1, below=0), NOW)
    assert store.refused_by_reason["Add", "the counter is at 0"] == 3


@pytest.mark.parametrize("action", [Break("zero"), Break("after"), Break("unknown"), Tree("a", (Add(1), Break("key"))), Loop(20_000)])
def test_a_violation_stops_the_store_with_the_last_good_state(action: Any):
    store = Store(MACHINE, Root())
    store.dispatch(Add(1), NOW)
    good = store.state
    with pytest.raises(InvariantViolationError) as caught:
        store.dispatch(action, NOW)
    assert store.state is good
    assert store.failure is caught.value
    with pytest.raises(InvariantViolationError, match="has stopped") as again:
        store.dispatch(Add(1), NOW)
    assert again.value.__cause__ is caught.value
    assert store.state is good


def test_misuse_does_not_stop_the_store():
    store = Store(MACHINE, Root())
    store.dispatch(Add(1), NOW)
    good = store.state
    for wrong, now in ((Unknown(), NOW), (Add(1), Timestamp(0)), (Break("caller"), NOW)):
        with pytest.raises(CallerError):
            store.dispatch(wrong, now)
        assert store.state is good
        assert store.failure is None
    store.dispatch(Add(1), NOW)
    assert store.state.counter.value == 2


def test_a_reason_that_can_not_be_given_is_our_fault():
    @record
    class Mute(Record):
        def is_enabled(self, state: Root, now: Timestamp) -> bool:
            return False

        def why_refused(self, state: Root, now: Timestamp) -> str:
            raise LookupError("x")

    store = Store(MACHINE.extend(effects=[Mute]), Root())
    good = store.state
    with pytest.raises(InvariantViolationError, match=r"Mute\.why_refused failed"):
        store.dispatch(Mute(), NOW)
    assert store.state is good
    assert isinstance(store.failure, InvariantViolationError)


# Larger roots


@record
class Wallet(Record):
    coins: int = 0


@record
class Network(Record):
    p2p: Root = Root()
    uptime: int = 0


@record
class App(Record):
    network: Network = Network()
    wallet: Wallet = Wallet()


@record
class Pay(Record):
    """An action of the outer root that leads to one of the inner."""

    coins: int

    def is_enabled(self, state: App, _now: Timestamp) -> bool:
        return state.wallet.coins >= self.coins and state.network.p2p.counter.value < 3


def reduce_wallet(state: Wallet, action: Pay, _now: Timestamp, root: App) -> tuple[Wallet, FollowUps]:
    assert root.wallet is state
    return state.replace(coins=state.coins - action.coins), (Add(1), Add(1, below=0), Send("paid"))


APP = MACHINE.lift(App, "network.p2p").extend(slices=[Slice("wallet", [Pay], reduce_wallet)])


def test_a_larger_root_holds_ours_and_adds_its_own_actions():
    store = Store(APP, App(wallet=Wallet(10)))
    assert store.dispatch(Pay(3), NOW) == [Send("paid")]
    assert store.state == App(Network(Root(Clock(3, NOW), Counter(1, NOW))), Wallet(7))
    assert store.refused_by_reason == {("Add", "the counter is at 1"): 1}, "an inner action explains itself by the inner state"
    store.dispatch(Add(5), NOW)
    assert store.state.network.p2p.counter.value == 6
    state = store.state
    store.dispatch(Pay(1), NOW)
    assert store.state is state
    assert APP.actions == tuple(sorted((*MACHINE.actions, Pay), key=lambda kind: kind.__name__))


@given(TREES)
def test_a_lifted_machine_does_to_the_part_what_the_machine_does_to_the_whole(tree: Tree):
    lifted = MACHINE.lift(App, "network.p2p")
    action = Tree("t", (tree, Add(1), Attempt(Add(1, below=1), Over(8)), Send("x")))
    alone, effects, steps = MACHINE.dispatch(Root(), action, NOW)
    app = App()
    inside, same_effects, same_steps = lifted.dispatch(app, action, NOW)
    assert inside.network.p2p == alone
    assert inside.wallet is app.wallet
    assert same_effects == effects
    assert list(same_steps) == list(steps)


def test_lifting_twice_is_lifting_along_the_joined_path():
    twice = MACHINE.lift(Network, "p2p").lift(App, "network")
    state, _, _ = twice.dispatch(App(), Tree("a", (Add(1),)), NOW)
    assert state.network.p2p == run(Tree("a", (Add(1),)))[0]
    assert twice.clock_path == "network.p2p.clock"
    same, _, steps = twice.dispatch(state, Add(1, below=0), NOW)
    assert same is state
    assert steps.refused_count == 1


def test_lifting_and_extending_leave_the_machine_as_it_was():
    assert Pay not in MACHINE.actions
    with pytest.raises(CallerError):
        MACHINE.dispatch(Root(), Pay(1), NOW)
    with pytest.raises(CallerError, match="in the table already"):
        MACHINE.extend(effects=[Add])


def test_a_lifted_machine_keeps_the_step_bound():
    with pytest.raises(InvariantViolationError, match="more than 3 steps"):
        machine(steps_max=lambda _state, _action: 3).lift(App, "network.p2p").dispatch(App(), Loop(9), NOW)


def test_a_path_to_nowhere_is_refused():
    with pytest.raises(CallerError, match="App has no field 'net'"):
        MACHINE.lift(App, "net.p2p")


def test_a_slice_may_have_a_reducer_for_each_action():
    """The table then leads straight to it; the slice's state goes round as ever."""

    def add(state: Counter, action: Add, now: Timestamp, _root: Root) -> tuple[Counter, FollowUps]:
        return state.replace(value=state.value + action.amount, seen_at=now), (Later(0),)

    def later(state: Counter, _action: Later, _now: Timestamp, _root: Root) -> tuple[Counter, FollowUps]:
        return state.replace(value=state.value * 2), ()

    two = Machine(Root, slices=[Slice("counter", {Add: add, Later: later})])
    state, _, steps = two.dispatch(Root(), Add(3), NOW)
    assert (state.counter.value, state.counter.seen_at) == (6, NOW)
    assert [type(step.action) for step in steps] == [Add, Later]
    assert state.clock == Clock(2, NOW)


@pytest.mark.parametrize("action", [Add(1), Tree("a"), Over(1), Send("x"), Tree("a", (Send("b"), Add(1))), Tree("a", (Add(1, below=0),))])
def test_the_clock_is_right_whatever_the_last_step_was(action: Any):
    """A reducer that changes something, one that does not, one over the root, an effect, a refusal: also in a larger root."""
    state, _, steps = run(action)
    assert state.clock == Clock(len(steps), NOW)
    lifted, _, steps = machine().lift(App, "network.p2p").dispatch(App(), action, NOW)
    assert lifted.network.p2p.clock == Clock(len(steps), NOW)


def test_one_reducer_alone_neither_asks_the_guard_nor_touches_the_clock():
    """For looking at single steps."""
    state, follow_ups = machine().reduce(Root(), Add(2, below=0), NOW)
    assert state == Root(counter=Counter(2, NOW))
    assert list(follow_ups) == []
    assert list(machine().reduce(Root(), Tree("a", (Send("b"),)), NOW)[1]) == [Send("b")]
    with pytest.raises(CallerError, match="reduced by nobody"):
        machine().reduce(Root(), Send("x"), NOW)
    with pytest.raises(CallerError, match="no action of this machine"):
        machine().reduce(Root(), Unknown(), NOW)


def test_one_action_may_get_another_guard_or_reducer():
    """The machine it was made from stays as it is."""
    first = machine()
    unguarded = first.replaced(Add, guard=lambda _action, _state, _now: True)
    assert unguarded.dispatch(Root(), Add(5, below=0), NOW)[0].counter.value == 5
    assert not first.is_enabled(Root(), Add(5, below=0), NOW)
    other = first.replaced(Add, reducer=lambda state, _action, _now: (state.replace(journal=Journal(("other",))), ()))
    state, _, _ = other.dispatch(Root(), Add(5), NOW)
    assert state == Root(Clock(1, NOW), journal=Journal(("other",)))
    assert other.dispatch(Root(), Add(5, below=0), NOW)[2].refused_count == 1, "the guard stays"
    with pytest.raises(CallerError, match="no action of this machine"):
        first.replaced(Unknown, guard=lambda _action, _state, _now: True)
    with pytest.raises(CallerError, match="reduced by nobody"):
        first.replaced(Send, reducer=lambda state, _action, _now: (state, ()))
