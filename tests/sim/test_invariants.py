"""Invariants hold in all that nodes go through; what is wrong in a state is found, also by a checker that knows the state before."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sim.mutants import mutant

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber, Timestamp
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState
from mina_p2p.store import Machine, Observer
from mina_p2p.table import empty_table
from mina_p2p.testing.campaign import Options, Phase, Run
from mina_p2p.testing.faults import FaultKind
from mina_p2p.testing.invariants import Checker, check_invariants, sampled, violations
from mina_p2p.testing.sim import SimNode
from mina_p2p.timeouts import CheckTimeouts

KINDS = (FaultKind.LOSS, FaultKind.STREAMS, FaultKind.LIARS)


def busy_states() -> list[P2pState]:
    """The states that one node of a network goes through while items spread and connections break."""
    states: list[P2pState] = []

    def keep(node: SimNode) -> Observer:
        return lambda _action, _now, _steps, state: states.append(state) if node.number == 2 else None

    run = Run(Options(3, 4, KINDS, transactions=6, fault_duration=20 * SECOND), observers=(keep,))
    while run.world.seconds < 20:
        run.advance()
    return states


@pytest.fixture(scope="module")
def states() -> list[P2pState]:
    return busy_states()


def test_a_checker_with_a_memory_sees_what_one_without_sees(states: list[P2pState]) -> None:
    """State by state nothing is wrong, whatever is remembered of those before."""
    checker, seldom = Checker(), Checker()
    for number, state in enumerate(states):
        assert list(checker.violations(state)) == []
        if number % 7 == 0:
            seldom.check(state)
            check_invariants(state)
    assert len(states) > 150


def first(states: list[P2pState], holds: Callable[[P2pState], object]) -> P2pState:
    return next(state for state in reversed(states) if holds(state))


def _of_some_peer(state: P2pState, **changes: Any) -> P2pState:
    connection_id, channels = next(iter(state.channels.table.items()))
    table = state.channels.table.set(connection_id, channels.replace(**changes))
    return state.replace(channels=state.channels.replace(table=table))


def _tampered_pool(state: P2pState, change: Callable[[Any], Any]) -> P2pState:
    return state.replace(pools=state.pools.replace(transaction=change(state.pools.transaction)))


CORRUPTIONS: dict[str, tuple[Callable[[P2pState], object], Callable[[P2pState], P2pState]]] = {
    "peers.table: ": (
        lambda s: len(s.peers),
        lambda s: s.replace(peers=s.peers.replace(last_number=PeerNumber(0))),
    ),
    "peers.dialable": (
        lambda s: s.connections.ready_count,
        lambda s: s.replace(peers=s.peers.replace(dialable=s.peers.dialable.set(next(iter(s.peers.table)), None))),
    ),
    "connections.ready_count": (
        lambda s: s.connections.ready_count,
        lambda s: s.replace(connections=s.connections.replace(ready_count=s.connections.ready_count + 1)),
    ),
    "connections of a node that stops": (lambda s: len(s.connections), lambda s: s.replace(is_stopping=True)),
    "channels.answer_bytes_granted": (
        lambda s: s.channels.table,
        lambda s: s.replace(channels=s.channels.replace(answer_bytes_granted=s.channels.answer_bytes_granted + 1)),
    ),
    "channels.waiting": (
        lambda s: any(there for _, there in s.channels.waiting.items()),
        lambda s: s.replace(channels=s.channels.replace(waiting=empty_table())),
    ),
    "channels.deadlines": (
        lambda s: s.channels.table,
        lambda s: s.replace(channels=s.channels.replace(deadlines=s.channels.deadlines.add(Timestamp(s.clock.now + SECOND), 5))),
    ),
    "is_dialer": (lambda s: s.channels.table, lambda s: _of_some_peer(s, is_dialer=not next(s.channels.table.values()).is_dialer)),
    "that are open": (lambda s: s.channels.table, lambda s: _of_some_peer(s, rpc=None)),
    "streams of ours that we did not open": (
        lambda s: s.channels.table,
        lambda s: _of_some_peer(s, next_stream_number=0),
    ),
    "channels.servings.active_count": (
        lambda s: s.channels.table,
        lambda s: s.replace(channels=s.channels.replace(servings=s.channels.servings.replace(active_count=1))),
    ),
    "channels.introductions.available": (
        lambda s: s.channels.table,
        lambda s: s.replace(
            channels=s.channels.replace(
                introductions=s.channels.introductions.replace(available=s.channels.introductions.available.set(ConnectionId(999), None))
            )
        ),
    ),
    "signaling.deadlines": (
        lambda s: True,
        lambda s: s.replace(signaling=s.signaling.replace(deadlines=s.signaling.deadlines.add(s.clock.now, 1))),
    ),
    "pools.transaction.items.by_key": (
        lambda s: len(s.pools.transaction.items) > 1,
        lambda s: _tampered_pool(
            s, lambda pool: pool.replace(items=pool.items.replace(items=pool.items.items.delete(pool.items.items.first_key())))
        ),
    ),
    "pools.transaction.candidates": (
        lambda s: len(s.pools.transaction.candidates),
        lambda s: _tampered_pool(s, lambda pool: pool.replace(last_number=PeerNumber(0))),
    ),
    "best_tips.own is None": (
        lambda s: s.best_tips.own is not None,
        lambda s: s.replace(best_tips=s.best_tips.replace(version=0)),
    ),
}


@pytest.mark.parametrize("path", CORRUPTIONS)
def test_what_is_wrong_is_found_and_named(states: list[P2pState], path: str) -> None:
    """One field of a good state made wrong: both find it under its path, the one that knew the good state too."""
    suits, corrupt = CORRUPTIONS[path]
    good = first(states, suits)
    bad = corrupt(good)
    checker = Checker()
    checker.check(good)
    for found in (list(checker.violations(bad)), list(violations(bad))):
        assert any(path in violation for violation in found), found
    with pytest.raises(InvariantViolationError):
        check_invariants(bad)


def finds(checker: Checker, state: P2pState) -> bool:
    """Whether a checker finds anything wrong; what it can not even read is wrong."""
    try:
        return any(True for _ in checker.violations(state))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return True


def leading_to(bad: P2pState) -> Machine[P2pState]:
    """The shipped machine, but for one reducer that is as wrong as can be."""

    def reducer(_state: P2pState, _action: Any, _now: Timestamp) -> tuple[P2pState, tuple[()]]:
        return bad, ()

    return p2p_machine().replaced(CheckTimeouts, reducer=reducer)


MUTANTS = 700


@pytest.mark.parametrize("seed", range(4))
def test_what_one_action_makes_wrong_is_found_by_who_knows_the_states_before(states: list[P2pState], seed: int) -> None:
    """A reducer changes one thing somewhere in a good state: a checker with a memory finds just what one without finds."""
    dice, found = random.Random(seed), 0
    for _ in range(MUTANTS // 4):
        number = dice.randrange(2, len(states))
        path, bad = mutant(dice, states[number])
        checker = Checker()
        for state in states[number - dice.randrange(3) : number + 1]:
            checker.check(state)
        after, _, _ = leading_to(bad).dispatch(states[number], CheckTimeouts(), states[number].clock.now)
        is_found = finds(Checker(), after)
        assert finds(checker, after) == is_found, path
        found += is_found
    assert MUTANTS // 4 > found > MUTANTS // 12


@pytest.mark.parametrize("path", CORRUPTIONS)
def test_what_was_made_right_again_is_right(states: list[P2pState], path: str) -> None:
    """From a good state to another good one, however far apart: nothing that was remembered stands in the way."""
    good = first(states, CORRUPTIONS[path][0])
    checker = Checker()
    for state in (states[0], good, states[-1], good, states[1]):
        assert list(checker.violations(state)) == []


def test_all_is_looked_at_when_a_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checks on the way have not seen is found at the end, by checks that remember nothing."""

    def blind(_checker: Checker, _state: P2pState) -> None:
        pass

    monkeypatch.setattr(Checker, "check", blind)
    run = Run(Options(1, 3, transactions=2))
    while run.phase is not Phase.FINALE:
        run.advance()
    store: Any = run.world.members[1].node and run.world.members[1].node.store
    store.state = CORRUPTIONS["peers.table: "][1](store.state)
    while run.advance():
        pass
    assert any("peers.table" in violation for violation in run.outcome().violations)


def test_a_node_in_service_checks_now_and_then(states: list[P2pState]) -> None:
    """Every third dispatch is looked at; what is wrong after one in between is found then."""
    observe = sampled(3)
    bad = CORRUPTIONS["connections.ready_count"][1](states[-1])
    seen: Any = None
    for state in (states[-1], bad):
        observe(None, state.clock.now, seen, state)
    with pytest.raises(InvariantViolationError, match="ready_count"):
        observe(None, bad.clock.now, seen, bad)


def test_other_bounds_are_looked_at_anew(states: list[P2pState]) -> None:
    """A checker that knows a state under one configuration looks at all of it under another."""
    state = first(states, lambda s: len(s.pools.transaction.items) > 1)
    checker = Checker()
    checker.check(state)
    limits = state.config.limits.replace(pool_items_max=1)
    with pytest.raises(InvariantViolationError, match="over its bound 1"):
        checker.check(state.replace(config=state.config.replace(limits=limits)))
