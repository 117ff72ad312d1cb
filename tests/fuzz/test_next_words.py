"""Channels 9 and 10 are spoken well enough that a search gets behind their first message."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.errors import CallerError
from mina_p2p.ids import ChannelId
from mina_p2p.reducer import p2p_machine
from mina_p2p.testing.dice import Dice
from mina_p2p_effects.fuzzing.machines import NODE

WALKS, LENGTH = 30, 300


def _reached(channel: ChannelId, wanted: set[str]) -> set[str]:
    """Those of the wanted actions that happened, by random walks from the state that speaks on the channel only."""
    (start,) = [state for state in NODE.starts() if channel in state.config.channels]
    machine, found = p2p_machine(), set[str]()
    for seed in range(WALKS):
        dice, state, check = Dice(seed, channel.name), start, NODE.new_check()
        effects: list[Any] = []
        for _ in range(LENGTH):
            drawn = NODE.draw(dice, state, tuple(effects))
            try:
                state, effects, steps = machine.dispatch(state, drawn.action, drawn.now)
            except CallerError:
                continue
            check(state)
            found.update(type(step.action).__name__ for step in steps)
        if wanted <= found:
            break
    return wanted & found


@pytest.mark.parametrize(
    ("channel", "wanted"),
    [
        (
            ChannelId.ADDRESS_GOSSIP,
            {
                "AddressGossipGrantReceived",
                "AddressGossipAdvertsReceived",
                "AddressGossipRecordsReceived",
                "AddressGossipEffectfulSign",
                "AddressGossipEffectfulVerify",
            },
        ),
        (ChannelId.BLOCK, {"BlocksAnswerReceived", "BlockHeaderReceived", "BlocksRequestReceived", "BlocksTipSet", "BlocksVerdict"}),
    ],
)
def test_a_walk_gets_behind_the_first_message(channel: ChannelId, wanted: set[str]) -> None:
    """Records are named, fetched and given away to be checked; headers reach the node software, and its word comes back."""
    assert _reached(channel, wanted) == wanted
