"""Every state and every action of every slice: what happens, and that everything else is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from mina_p2p import notifications, transport
from mina_p2p.channels.propagation.state import LocalHalf, RemoteHalf
from mina_p2p.channels.rpc import state as rpc_state
from mina_p2p.connection.state import ConnectionStatus
from mina_p2p.peer.state import PeerStatus
from mina_p2p.pool.state import CandidateStatus
from mina_p2p.reducer import p2p_machine
from mina_p2p.testing.invariants import check_invariants
from slices.tables.connections import CONNECTIONS
from slices.tables.events import EVENTS
from slices.tables.peers import PEERS
from slices.tables.pools import BEST_TIPS, POOLS
from slices.tables.propagation import LOCAL, REMOTE, TIPS_LOCAL
from slices.tables.relay import RELAY
from slices.tables.rpc import ASKING, SERVING

TABLES = {
    "connections": CONNECTIONS,
    "peers": PEERS,
    "local halves": LOCAL,
    "local half of best tips": TIPS_LOCAL,
    "remote halves": REMOTE,
    "our questions": ASKING,
    "peers' questions": SERVING,
    "best tips": BEST_TIPS,
    "pools": POOLS,
    "relay": RELAY,
    "events": EVENTS,
}

TABLES_ELSEWHERE = (
    "mina_p2p.channels.streaming_rpc",
    "mina_p2p.channels.signaling",
    "mina_p2p.signaling",
    "mina_p2p.channels.address_gossip",
    "mina_p2p.libp2p",
    "mina_p2p.identify",
    "mina_p2p.kademlia",
    "mina_p2p.gossipsub",
    "mina_p2p.peer_exchange",
    "mina_p2p.blocks",
)
"""Slices whose tables are in ``tests/channels``, ``tests/gossip``, ``tests/blocks`` and ``tests/libp2p_slices``."""


@pytest.mark.parametrize("name", TABLES)
def test_every_combination_is_as_the_table_says(name: str) -> None:
    """What a table does not list is refused; what it lists leads where it says."""
    assert TABLES[name].outcomes() == {case: dict(TABLES[name].expected.get(case, {})) for case in TABLES[name].cases}


@pytest.mark.parametrize("name", TABLES)
def test_representative_states_are_good(name: str) -> None:
    """Tables are about states that can exist, but for one within a dispatch."""
    for label, state in TABLES[name].states.items():
        if "just gone" not in label:
            check_invariants(state)


def test_every_action_is_in_a_table() -> None:
    """An action that is added has to be added here, or in a table of its own slice."""
    machine = p2p_machine()
    covered = {type(case.action) for table in TABLES.values() for case in table.cases.values()}
    assert {
        action.__name__
        for action in machine.actions
        if not machine.is_effect(action) and action not in covered and not action.__module__.startswith(TABLES_ELSEWHERE)
    } == set()


@pytest.mark.parametrize(
    ("union", "tables"),
    [
        (ConnectionStatus, ["connections"]),
        (PeerStatus, ["peers"]),
        (LocalHalf, ["local halves"]),
        (RemoteHalf, ["remote halves"]),
        (rpc_state.Requested | rpc_state.Responded, ["our questions"]),
        (CandidateStatus, ["pools"]),
    ],
)
def test_every_state_is_in_a_table(union: Any, tables: list[str]) -> None:
    """A state that is added has to be added here."""
    found = {type(TABLES[name].look(state)) for name in tables for state in TABLES[name].states.values()}
    assert {kind.__name__ for kind in get_args(union) if kind not in found} == set()


def test_effects_and_notifications_are_reduced_by_nobody() -> None:
    """What leaves the state changes none."""
    machine = p2p_machine()
    leaving = {*get_args(transport.TransportEffect), *get_args(notifications.Notification)}
    assert leaving <= {action for action in machine.actions if machine.is_effect(action)}
