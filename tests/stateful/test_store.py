"""The whole store under any inputs: nothing breaks a promise, nothing but misuse raises."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mina_p2p.disconnection.actions import Shutdown
from mina_p2p.errors import CallerError
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.testing.arguments import AnyAction
from mina_p2p.testing.catalog import START, small_config
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.testing.strategies import actions, inputs, states, times
from mina_p2p.testing.suggestions import Suggestions
from mina_p2p.timeouts import CheckTimeouts, is_due, next_deadline
from stateful.drive import Driven

EXAMPLES = int(os.environ.get("MINA_P2P_EXAMPLES", "60"))
"""How many scripts each machine tries; set it higher to search for longer."""

SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    derandomize="MINA_P2P_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


class AnyInput(RuleBasedStateMachine):
    """One node; peers and node software do as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.node = Driven(p2p_machine(), initial_state(small_config(), START))

    @initialize(is_discovery_enabled=st.booleans())
    def start(self, is_discovery_enabled: bool) -> None:
        """One of the node's settings."""
        self.node = Driven(p2p_machine(), initial_state(small_config(is_discovery_enabled=is_discovery_enabled), START))

    @rule(data=st.data(), hostility=st.sampled_from([0, 0, 2, 8]))
    def input(self, data: st.DataObject, hostility: int) -> None:
        """An event, a command, or a look at the clock."""
        draw = Suggestions(lambda bound: data.draw(st.integers(0, bound - 1)), self.node.state, hostility)
        self.node.do(draw.input(), self.node.state.clock.now)

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        """Deadlines end."""
        self.node.do(CheckTimeouts(), data.draw(times(self.node.state)))


class AnyActionAtAll(AnyInput):
    """The same; besides, follow-ups come from nowhere, with arguments that nearly fit."""

    @rule(data=st.data())
    def follow_up(self, data: st.DataObject) -> None:
        """Enabled: it is reduced without an `InvariantViolationError`; refused: the state is the same object."""
        draw = AnyAction(lambda bound: data.draw(st.integers(0, bound - 1)), self.node.state)
        self.node.do(draw.action(), self.node.state.clock.now)

    @precondition(lambda self: not self.node.state.is_stopping)
    @rule()
    def stop(self) -> None:
        """The node stops, and may be asked for more nevertheless."""
        self.node.do(Shutdown(), self.node.state.clock.now)


TestAnyInput = AnyInput.TestCase
TestAnyInput.settings = SETTINGS
TestAnyActionAtAll = AnyActionAtAll.TestCase
TestAnyActionAtAll.settings = SETTINGS


@SETTINGS
@given(state=states(), data=st.data())
def test_what_is_refused_changes_nothing_and_what_is_enabled_is_reduced(state: P2pState, data: st.DataObject) -> None:
    """In any state that inputs lead to, for any action at all."""
    action: Any = data.draw(actions(state))
    machine, now = p2p_machine(), data.draw(times(state))
    try:
        is_enabled = machine.is_enabled(state, action, now)
        after, _, steps = machine.dispatch(state, action, now)
    except CallerError:
        return
    assert is_enabled == bool(steps)
    assert is_enabled or after is state
    check_invariants(after)


@SETTINGS
@given(state=states(), data=st.data())
def test_every_wait_ends(state: P2pState, data: st.DataObject) -> None:
    """Looking at the clock when the next deadline is due ends at least one wait; no more than a turn's worth remains due."""
    due = next_deadline(state)
    if due is None:
        return
    now = max(due, data.draw(times(state)))
    before = sum(map(len, _wheels(state)))
    after, _, steps = p2p_machine().dispatch(state, CheckTimeouts(), now)
    assert len(steps) > 1
    if is_due(after, now):
        assert before > state.config.limits.deadlines_per_turn_max


@SETTINGS
@given(state=states(), data=st.data())
def test_dispatch_is_a_function(state: P2pState, data: st.DataObject) -> None:
    """The same state, input and time give the same state, effects and steps."""
    action, now = data.draw(inputs(state)), state.clock.now
    try:
        once, again = (p2p_machine().dispatch(state, action, now) for _ in range(2))
    except CallerError:
        return
    assert once[:2] == again[:2]
    assert once[2].raw == again[2].raw


def _wheels(state: P2pState) -> list[Any]:
    return [state.connections.deadlines, state.peers.deadlines, state.channels.deadlines, state.pools.deadlines]
