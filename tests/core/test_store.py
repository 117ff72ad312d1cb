"""`Store`: the state, the observers, the counters, and what stops it."""

from __future__ import annotations

from typing import Any

import pytest

from core.trees import (
    MACHINE,
    NOW,
    Add,
    Break,
    Later,
    Loop,
    Root,
    Send,
    Tree,
    Unknown,
)
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, Store


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
