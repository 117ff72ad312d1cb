"""Hypothesis strategies: inputs, actions and times for a node in a state, and states that inputs lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from mina_p2p.config import P2pConfig
from mina_p2p.errors import CallerError
from mina_p2p.ids import Timestamp
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.testing.arguments import AnyAction
from mina_p2p.testing.catalog import START, small_config
from mina_p2p.testing.suggestions import Suggestions


@st.composite
def inputs(draw: st.DrawFn, state: P2pState) -> Any:
    """An input for a node in that state."""
    return Suggestions(_below(draw), state).input()


@st.composite
def actions(draw: st.DrawFn, state: P2pState) -> Any:
    """Any action, for a node in that state."""
    return AnyAction(_below(draw), state).action()


@st.composite
def times(draw: st.DrawFn, state: P2pState) -> Timestamp:
    """When it happens."""
    return Suggestions(_below(draw), state).later()


@st.composite
def states(draw: st.DrawFn, config: P2pConfig | None = None, inputs_max: int = 40) -> P2pState:
    """A state that inputs lead to."""
    machine, state = p2p_machine(), initial_state(config or small_config(), START)
    for _ in range(draw(st.integers(0, inputs_max))):
        now = draw(times(state))
        try:
            state, _, _ = machine.dispatch(state, draw(inputs(state)), now)
        except CallerError:
            continue
    return state


def _below(draw: st.DrawFn) -> Callable[[int], int]:
    return lambda bound: draw(st.integers(0, bound - 1))
