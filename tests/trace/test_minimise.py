"""Delta debugging: what is left still fails, and nothing of it can be left out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_machine import MACHINE, Ask, CheckTimeouts, Connected, Gone, MessageReceived, Root, initial, inputs

from mina_p2p.errors import CallerError
from mina_p2p.trace.minimise import Input, Minimised, Progress, minimise, smallest


@given(st.lists(st.integers(0, 9), max_size=60), st.sets(st.integers(0, 9), max_size=4))
def test_what_is_left_of_a_sequence_is_one_of_each_that_matters(items: list[int], needed: set[int]) -> None:
    """A fault that needs some members, wherever they stand, keeps just one of each, in their order."""
    items += sorted(needed)

    def fails(candidate: list[int]) -> bool:
        return needed <= set(candidate)

    left = smallest(items, fails)
    assert sorted(left) == sorted(needed)
    rest = iter(items)
    assert all(item in rest for item in left)


@given(st.integers(1, 200), st.integers(1, 5))
def test_no_single_member_can_be_left_out(count: int, modulus: int) -> None:
    """Where the fault depends on how many there are, the search ends where each one less hides it."""

    def fails(candidate: list[int]) -> bool:
        return len(candidate) >= modulus or candidate == list(range(count))

    left = smallest(list(range(count)), fails)
    assert all(not fails(left[:i] + left[i + 1 :]) for i in range(len(left)))


@given(st.integers(0, 12), st.integers(0, 5), st.integers(2, 3))
def test_what_belongs_together_is_left_out_together(others: int, groups: int, size: int) -> None:
    """Groups of which only all members can be missing, and nobody between them matters."""
    items = [("fault", 0), *(("other", i) for i in range(others)), *((f"group {i}", j) for j in range(size) for i in range(groups))]

    def fails(candidate: list[tuple[str, int]]) -> bool:
        sizes = Counter(name for name, _ in candidate)
        return bool(sizes["fault"]) and all(sizes[f"group {i}"] in {0, size} for i in range(groups))

    assert smallest(items, fails) == [("fault", 0)]


def broken_after(candidate: list[Input]) -> bool:
    """The planted fault: a peer was thrown out for what it sent."""
    state: Root = initial()
    for item in candidate:
        state, _, _ = MACHINE.dispatch(state, item.action, item.now)
    return any(isinstance(peer.status, Gone) for peer in state.net.peers.values())


def a_log() -> list[Input]:
    """Long, with the fault somewhere in it."""
    return [Input(action, now) for action, now in inputs(400)]


def test_a_log_is_reduced_to_the_inputs_that_matter() -> None:
    """Of hundreds of inputs the two remain that throw a peer out, and the result fails from the same state."""
    seen: list[Progress] = []
    found = minimise(initial(), a_log(), broken_after, progress=seen.append)
    assert found.is_minimal
    assert broken_after(list(found.inputs))
    assert len(found.inputs) == 2
    assert isinstance(found.inputs[0].action, Connected)
    assert isinstance(found.inputs[1].action, MessageReceived | Ask | CheckTimeouts)
    assert [step.tries for step in seen] == list(range(1, found.tries + 1))
    assert seen[-1].count == len(found.inputs)
    assert [step.count for step in seen] == sorted((step.count for step in seen), reverse=True)


def test_inputs_of_what_is_gone_are_refused_and_do_no_harm() -> None:
    """Inputs that name what an earlier input would have made stay valid without it: any part of a log can be tried."""
    for part in (a_log()[1:], a_log()[100:], a_log()[::3]):
        broken_after(part)


def test_the_bound_on_tries_is_kept() -> None:
    """A search that runs out of tries gives the best so far and says that it is not the end."""
    log = a_log()
    calls = 0

    def fails(candidate: list[Input]) -> bool:
        nonlocal calls
        calls += 1
        return broken_after(candidate)

    found: Minimised[Root] = minimise(initial(), log, fails, tries_max=5)
    assert (found.tries, calls, found.is_minimal) == (5, 5, False)
    assert len(found.inputs) < len(log)
    assert broken_after(list(found.inputs))


@pytest.mark.parametrize("tries_max", [0, 100])
def test_a_log_without_the_fault_is_refused(tries_max: int) -> None:
    """What does not fail can not be reduced."""
    with pytest.raises(CallerError, match="do not fail"):
        minimise(initial(), a_log()[:0], broken_after, tries_max=tries_max)
