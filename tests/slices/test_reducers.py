"""Slices whose actions each have a reducer of their own list all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import pytest

from mina_p2p.channels.propagation import reducer as propagation
from mina_p2p.channels.propagation.actions import PropagationAction
from mina_p2p.channels.rpc import reducer as rpc
from mina_p2p.channels.rpc.actions import RpcAction


@pytest.mark.parametrize(
    ("reducers", "union"),
    [(propagation.REDUCERS, PropagationAction), (rpc.REDUCERS, RpcAction)],
    ids=["propagation", "rpc"],
)
def test_every_action_of_the_union_has_a_reducer(reducers: Mapping[type[Any], Any], union: Any) -> None:
    """An action that is added to the union is added to the table, and no other is there."""
    assert set(reducers) == set(get_args(union))
