"""Work that takes too long of the processor is a fault; a machine that halted meanwhile is none."""

from __future__ import annotations

import pytest

from mina_p2p_effects.fuzzing import costs
from mina_p2p_effects.fuzzing.costs import ATTEMPTS_MAX, processor_time
from mina_p2p_effects.fuzzing.examine import SECONDS_MAX, examine_costs

from .planted import SEED, decoder


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What each attempt takes by the clock; the last one of the list first."""
    left: list[float] = []
    now = 0.0
    begins = False

    def process_time() -> float:
        nonlocal now, begins
        begins = not begins
        if not begins:
            now += left.pop()
        return now

    monkeypatch.setattr(costs.time, "process_time", process_time)
    return left


def test_work_that_is_fast_enough_is_done_once(takes: list[float]) -> None:
    """With its result."""
    takes += [7.0, 0.5]
    assert processor_time(lambda: "done", 1.0) == ("done", 0.5)
    assert takes == [7.0]


def test_one_slow_attempt_is_the_machines(takes: list[float]) -> None:
    """The fastest counts."""
    takes += [0.25, 9.0, 30.0]
    results = iter("abc")
    assert processor_time(lambda: next(results), 1.0) == ("c", 0.25)


def test_work_that_is_always_slow_is_a_fault(takes: list[float]) -> None:
    """After so many attempts, which say how slow at least."""
    takes += [2 * SECONDS_MAX] * ATTEMPTS_MAX
    assert examine_costs(decoder("slow"), SEED) == f"reading {len(SEED)} bytes took {2 * SECONDS_MAX} s"
    assert takes == []
