"""Every state and every action of the libp2p slices: what happens, and that everything else is refused."""

from __future__ import annotations

from typing import get_args

import pytest

from libp2p_slices.lab import check
from libp2p_slices.tables import TABLES
from mina_p2p.gossipsub.effects import GossipsubEffect
from mina_p2p.libp2p.machine import network_machine
from mina_p2p.libp2p.notifications import NetworkNotification
from mina_p2p.libp2p.transport import Libp2pEffect
from mina_p2p.trace.schema import Schema


@pytest.mark.parametrize("name", TABLES)
def test_every_combination_is_as_the_table_says(name: str) -> None:
    table = TABLES[name]
    assert table.outcomes() == {case: dict(table.expected.get(case, {})) for case in table.cases}


@pytest.mark.parametrize("name", TABLES)
def test_representative_states_are_good(name: str) -> None:
    """Tables are about states that can exist."""
    for state in TABLES[name].states.values():
        check(state)


def test_every_action_is_in_a_table() -> None:
    """An action that is added has to be added to a table."""
    machine = network_machine()
    covered = {type(case.action) for table in TABLES.values() for case in table.cases.values()}
    assert {action.__name__ for action in machine.actions if not machine.is_effect(action) and action not in covered} == set()


def test_what_leaves_the_state_changes_none() -> None:
    machine = network_machine()
    leaving = {*get_args(Libp2pEffect), *get_args(NetworkNotification), *get_args(GossipsubEffect)}
    assert leaving == {action for action in machine.actions if machine.is_effect(action)}


@pytest.mark.parametrize("name", TABLES)
def test_logs_hold_every_state_and_action(name: str) -> None:
    """What is written into a log is read back as it was."""
    schema = Schema.of(network_machine())
    for value in (*TABLES[name].states.values(), *(case.action for case in TABLES[name].cases.values())):
        assert schema.decode(schema.encode(value)) == value
