"""Channels 1, 2 and 8: every state and every action, and that everything else is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from channels.tables_signaling import DIALER, LISTENER, MATCHER, RELAY, TARGETS
from channels.tables_streaming import ASKING, SERVING
from mina_p2p.channels.signaling_discovery import state as discovery
from mina_p2p.channels.signaling_discovery.actions import SignalingDiscoveryAction
from mina_p2p.channels.signaling_exchange import state as exchange
from mina_p2p.channels.signaling_exchange.actions import SignalingExchangeAction
from mina_p2p.channels.streaming_rpc import state as streaming
from mina_p2p.channels.streaming_rpc.actions import StreamingRpcAction
from mina_p2p.signaling.actions import SignalingAction
from mina_p2p.testing.invariants import check_invariants

TABLES = {
    "our streamed question": ASKING,
    "the peer's streamed question": SERVING,
    "discovery as a relay": RELAY,
    "discovery as a dialer": DIALER,
    "exchange as a listener": LISTENER,
    "exchange as a relay": TARGETS,
    "matcher": MATCHER,
}

WITHIN_A_DISPATCH = (
    "Received",
    "then PartReady",
    "its turn",
    "just gone",
    "within a match",
    "nothing asked",
    "another is available",
    "another asked",
)
"""States that no dispatch leaves behind."""


@pytest.mark.parametrize("name", TABLES)
def test_every_combination_is_as_the_table_says(name: str) -> None:
    """What a table does not list is refused; what it lists leads where it says."""
    table = TABLES[name]
    assert table.outcomes() == {case: dict(table.expected.get(case, {})) for case in table.cases}
    assert set(table.expected) <= set(table.cases)


@pytest.mark.parametrize("name", ["our streamed question", "the peer's streamed question"])
def test_representative_states_are_good(name: str) -> None:
    """Those of the signaling tables are planted, with streams that nobody opened; the others came about."""
    for label, state in TABLES[name].states.items():
        if not any(word in label for word in WITHIN_A_DISPATCH):
            check_invariants(state)


def test_every_action_is_in_a_table() -> None:
    """An action that is added has to be added here."""
    covered = {type(case.action) for table in TABLES.values() for case in table.cases.values()}
    unions = (StreamingRpcAction, SignalingDiscoveryAction, SignalingExchangeAction, SignalingAction)
    assert {action.__name__ for union in unions for action in get_args(union)} == {action.__name__ for action in covered}


@pytest.mark.parametrize(
    ("union", "table", "seen_by_its_progress"),
    [
        (streaming.LocalHalf, ASKING, {"Requested"}),
        (streaming.ReceiveProgress, ASKING, set()),
        (streaming.RemoteHalf, SERVING, {"RemoteRequested"}),
        (streaming.SendProgress, SERVING, set()),
        (discovery.LocalHalf, RELAY, set()),
        (discovery.RemoteHalf, DIALER, set()),
        (exchange.LocalHalf, LISTENER, set()),
        (exchange.RemoteHalf, TARGETS, set()),
    ],
)
def test_every_state_is_in_a_table(union: Any, table: Any, seen_by_its_progress: set[str]) -> None:
    """A state that is added has to be added here."""
    found = {type(table.look(state)).__name__ for state in table.states.values()}
    assert {kind.__name__ for kind in get_args(union)} - seen_by_its_progress <= found
