"""Every guard is needed: where one says yes too often, some promise of the node is broken, and the watch sees it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mina_p2p.errors import InvariantViolationError
from mina_p2p.reducer import p2p_machine
from mina_p2p.testing.arguments import AnyAction, reduced_actions
from stateful.drive import Driven, corpus
from stateful.weaken import Guard, always, weakenings, with_guard

TRIES = 8, 2
"""Of one action in each state of the corpus, with a weaker guard and with its own. The former is found in the first few states, mostly."""

REDUNDANT = {
    "BestTipSend: without `not isinstance(machine.remote, RemoteRequested)`": "asked again by the guard of ResponseSend",
    "BestTipSend: without `machine.next_send_index <= state.best_tips.version`": "asked again by the guard of ResponseSend",
    "ConnectionOutgoingRandomInit: without `state.peers.next_dial_at <= now`": "what is drawn in vain is refused again",
    "PeerDiscovered: never `if self.source not in GIVEN and state.peers.make_new_room(self.address, state.told_in(self.learned_from)) is None`": (
        "the reducer takes nobody in for whom nobody makes room"
    ),
    "PeersDiscover: without `state.connections.ready(self.connection_id) is not None`": "asked again by the guard of RequestSend",
    "PeersDiscoverRandom: without `state.config.is_discovery_enabled`": "asked again by the guard of PeersDiscover",
    "PeersDiscoverRandom: without `len(state.connections) < state.config.limits.peers_min`": "asked again by the guard of PeersDiscover",
    "PeersDiscoverRandom: Lt 0 of `len(state.connections) < state.config.limits.peers_min`": "asked again by the guard of PeersDiscover",
    "PoolFetchHeldBack: always yes": "where nobody waits, nothing follows",
    "PoolFetchHeldBack: Gt 0 of `len(state.pools.held_back) > 0`": "the same",
    "PoolFetchNext: always yes": "the reducer fetches nothing without a free question",
    "PoolFetchNext: without `len(rpc.requests) < state.config.limits.rpc_requests_max`": "the same",
    "PoolFetchNext: Lt 0 of `len(rpc.requests) < state.config.limits.rpc_requests_max`": "the same",
    "PoolSend: without `len(items) > 0`": "the reducer sends nothing where there is nothing to send",
    "PoolSend: Gt 0 of `len(items) > 0`": "the same",
    "PoolSend: without `machine.next_send_index < items.counter`": "the same",
    "PoolSend: Lt 0 of `machine.next_send_index < items.counter`": "the same",
}
"""Clauses that only save work: what they refuse, something else refuses, or it comes to nothing."""


def _all_weakenings() -> dict[str, tuple[type[Any], Guard]]:
    found: dict[str, tuple[type[Any], Guard]] = {}
    for action in reduced_actions():
        for name, guard in weakenings(action):
            found[name] = action, guard
        if hasattr(action, "is_enabled"):
            found[f"{action.__name__}: always yes"] = action, always
    return found


WEAKENINGS = _all_weakenings()


def _broken_promise(action: type[Any], guard: Guard, tries: int) -> str | None:
    """The first promise that is broken by a machine with that guard."""
    machine, dice = with_guard(p2p_machine(), action, guard), random.Random(1)
    for state in corpus():
        for _ in range(tries):
            driven = Driven(machine, state)
            draw = AnyAction(dice.randrange, state, hostility=1)
            try:
                driven.do(draw.arguments(action), draw.later())
            except (AssertionError, InvariantViolationError) as error:
                return str(error)
    return None


@pytest.mark.parametrize("name", [name for name in WEAKENINGS if name not in REDUNDANT])
def test_a_weaker_guard_is_found(name: str) -> None:
    """A guard with one clause less, or a boundary moved by one, lets something happen that must not."""
    assert _broken_promise(*WEAKENINGS[name], TRIES[0]) is not None


@pytest.mark.parametrize("action", [action for action in reduced_actions() if hasattr(action, "is_enabled")])
def test_the_guards_as_they_are_break_nothing(action: type[Any]) -> None:
    """The same inputs on the shipped machine: what finds the weaker guards finds nothing here."""
    assert _broken_promise(action, action.is_enabled, TRIES[1]) is None


def test_redundant_clauses_exist() -> None:
    """A clause that was removed or has got a purpose leaves the list."""
    assert set(REDUNDANT) <= set(WEAKENINGS)
