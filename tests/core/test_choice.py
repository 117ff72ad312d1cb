"""A choice between two actions: whose guards are asked, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Clock, FollowUps, Machine

NOW = Timestamp(1_000)

asked: list[str] = []
"""Names of the actions whose guards were asked, in order."""


@record
class Root(Record):
    """How many actions were executed."""

    clock: Clock = Clock()
    count: int = 0


@record
class Do(Record):
    """Executed as long as no more than ``below`` were; leads to others."""

    name: str
    below: int
    children: tuple[Any, ...] = ()

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        asked.append(self.name)
        return state.count < self.below


def reduce(state: Root, action: Do, _now: Timestamp) -> tuple[Root, FollowUps]:
    return state.replace(count=state.count + 1), action.children


MACHINE = Machine(Root, reducers=[(Do, reduce)])


@pytest.fixture(autouse=True)
def _forget() -> None:
    asked.clear()


def names(action: Any) -> list[str]:
    return [step.action.name for step in MACHINE.dispatch(Root(), action, NOW)[2]]


def test_the_guard_of_a_choice_is_asked_once() -> None:
    """The state is the same when the chosen action is executed as when it was chosen."""
    assert names(Attempt(Do("first", 9), Do("second", 9))) == ["first"]
    assert asked == ["first"]


def test_the_guard_of_an_alternative_is_asked_once() -> None:
    """It is the next after the one that was refused."""
    assert names(Attempt(Do("first", 0), Do("second", 9))) == ["second"]
    assert asked == ["first", "second"]


def test_what_follows_a_choice_is_asked_itself() -> None:
    """That a guard has said yes counts for the chosen action alone: neither for its follow-ups nor for what waits behind it."""
    chosen = Attempt(Do("chosen", 9, (Do("too late", 1),)), Do("other", 9))
    assert names(Do("root", 9, (chosen, Do("waits", 3), Do("waits too", 3)))) == ["root", "chosen", "waits"]
    assert asked == ["root", "chosen", "too late", "waits", "waits too"]


def test_the_same_action_object_is_asked_again() -> None:
    """A guard's answer is about one moment, not about the object."""
    once = Do("once", 1)
    assert names(Attempt(Do("never", 0), Attempt(once, once))) == ["once"]
    assert asked == ["never", "once"]
    asked.clear()
    again = Do("again", 2, (once,))
    assert names(Attempt(again, once)) == ["again"]
    assert asked == ["again", "once"]
