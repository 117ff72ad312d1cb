"""Waits of one role that depend on those of another."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.config import ALL_CHANNELS, Timeouts
from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.transport import CONVERSATION_CHANNELS


def test_r4_waits_are_within_the_bounds_that_make_sense() -> None:
    """15 to 30 s for every half that waits for a word, as the reference's attempts take 15 s."""
    t = Timeouts()
    assert all(15 * SECOND <= wait <= 30 * SECOND for wait in (t.signaling_make, t.signaling_relay, t.signaling_answer))
    assert t.streaming_rpc_serve < t.streaming_rpc


@pytest.mark.parametrize("waits", [{"signaling_make": 25 * SECOND}, {"signaling_relay": 40 * SECOND}, {"signaling_answer": 20 * SECOND}])
def test_whoever_waits_for_another_waits_longer_than_it_may_take(waits: dict[str, Any]) -> None:
    """Else honest peers would give each other up."""
    with pytest.raises(ValueError, match="must grow in this order"):
        Timeouts(**waits)


def test_conversations_are_channels_1_2_and_8() -> None:
    """The three on which streams carry more than a request and its answer."""
    assert sorted(CONVERSATION_CHANNELS) == [ChannelId.SIGNALING_DISCOVERY, ChannelId.SIGNALING_EXCHANGE, ChannelId.STREAMING_RPC]
    assert set(CONVERSATION_CHANNELS) < set(ALL_CHANNELS)
