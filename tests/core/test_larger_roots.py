"""A machine inside a larger root, and one reducer or guard alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from core.trees import (
    MACHINE,
    NOW,
    TREES,
    Add,
    Counter,
    Journal,
    Later,
    Loop,
    Over,
    Root,
    Send,
    Tree,
    Unknown,
    machine,
    run,
)
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Clock, FollowUps, Machine, Slice, Store


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
