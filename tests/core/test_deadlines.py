"""`Deadlines`: never early, less than a granularity late, exact to cancel, due in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mina_p2p.ids import Timestamp
from mina_p2p.table import Deadlines, Table

GRANULARITY = 100
TIMES = st.integers(0, 5_000)


def at(nanoseconds: int) -> Timestamp:
    return Timestamp(nanoseconds)


@given(st.integers(0, 10**19), st.integers(1, 10**10), st.integers(0, 10**6))
def test_due_never_early_and_less_than_a_granularity_late(time: int, granularity: int, key: int):
    deadlines = Deadlines(granularity).add(at(time), key)
    due_at = deadlines.next_at()
    assert due_at is not None
    assert time <= due_at < time + granularity
    assert deadlines.due(at(due_at - 1), 1) == []
    assert deadlines.due(due_at, 1) == [key]


def test_without_waits_nothing_is_due():
    deadlines = Deadlines(GRANULARITY)
    assert deadlines.next_at() is None
    assert deadlines.due(at(10**18), 256) == []
    assert len(deadlines) == 0


def test_the_order_is_by_bucket_then_by_key():
    deadlines = Deadlines(GRANULARITY)
    for time, key in ((250, 1), (50, 9), (120, 5), (199, 2), (60, 3), (30_000, 0)):
        deadlines = deadlines.add(at(time), key)
    assert deadlines.due(at(10_000), 256) == [3, 9, 2, 5, 1]
    assert deadlines.due(at(200), 256) == [3, 9, 2, 5]
    assert deadlines.next_at() == 100


def test_at_most_so_many_are_returned():
    deadlines = Deadlines(GRANULARITY)
    for key in range(40):
        deadlines = deadlines.add(at(10 * key), key)
    assert deadlines.due(at(1_000), 0) == []
    assert deadlines.due(at(1_000), 1) == [0]
    assert deadlines.due(at(1_000), 15) == list(range(15))
    assert deadlines.due(at(1_000), 40) == deadlines.due(at(1_000), 41) == list(range(40))


def test_cancelling_what_was_never_added_is_an_error():
    deadlines = Deadlines(GRANULARITY).add(at(150), 1)
    for time, key in ((150, 2), (250, 1), (100, 1)):
        with pytest.raises(KeyError):
            deadlines.cancel(at(time), key)
    assert deadlines.cancel(at(150), 1) == Deadlines(GRANULARITY)


def test_an_emptied_bucket_is_gone():
    """Or a node's state would grow by every bucket that it ever used."""
    deadlines = Deadlines(GRANULARITY)
    for round_ in range(1_000):
        deadlines = deadlines.add(at(100 * round_), 1).cancel(at(100 * round_), 1)
    assert deadlines.buckets == Table()


def test_one_key_waits_once_per_bucket_and_in_several_buckets():
    deadlines = Deadlines(GRANULARITY).add(at(110), 7).add(at(190), 7).add(at(290), 7)
    assert len(deadlines) == 2
    assert deadlines.due(at(1_000), 9) == [7, 7]
    assert deadlines.cancel(at(110), 7).due(at(1_000), 9) == [7]


class Wheel(RuleBasedStateMachine):
    """Against a plain list of waits."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines = Deadlines(GRANULARITY)
        self.waits: dict[int, int] = {}
        self.versions: list[tuple[Deadlines, dict[int, int]]] = []

    @rule(time=TIMES, key=st.integers(0, 30))
    def add(self, time: int, key: int) -> None:
        if key in self.waits:
            self.deadlines = self.deadlines.cancel(at(self.waits[key]), key)
        self.deadlines = self.deadlines.add(at(time), key)
        self.waits[key] = time

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.waits)))
        self.deadlines = self.deadlines.cancel(at(self.waits.pop(key)), key)

    @rule(now=TIMES, count_max=st.integers(0, 10))
    def take(self, now: int, count_max: int) -> None:
        due = self.deadlines.due(at(now), count_max)
        expected = sorted(
            (-(-time // GRANULARITY), key) for key, time in self.waits.items() if -(-time // GRANULARITY) * GRANULARITY <= now
        )
        assert due == [key for _, key in expected][:count_max]
        for key in due:
            self.deadlines = self.deadlines.cancel(at(self.waits.pop(key)), key)

    @rule()
    def remember(self) -> None:
        self.versions.append((self.deadlines, dict(self.waits)))

    @invariant()
    def agrees(self) -> None:
        for deadlines, waits in [(self.deadlines, self.waits), *self.versions[-3:]]:
            assert len(deadlines) == len(waits)
            first: Any = min((-(-time // GRANULARITY) * GRANULARITY for time in waits.values()), default=None)
            assert deadlines.next_at() == first


def test_any_sequence_of_waits_agrees_with_a_list():
    run_state_machine_as_test(Wheel)
