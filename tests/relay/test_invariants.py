"""What must always hold of the relay is noticed when it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from slices.lab import Lab
from slices.tables.relay import BEST_TIP, BLOCK, ON, PAYMENT

from mina_p2p.ids import RequestId
from mina_p2p.relay.config import RelayConfig
from mina_p2p.relay.state import Relay
from mina_p2p.state import P2pState
from mina_p2p.table import empty_table
from mina_p2p.testing.invariants import violations

GOOD = Lab(**ON).feed(PAYMENT).feed(BEST_TIP).state
ONE = RequestId(1)


def with_relay(change: Callable[[Relay], Relay]) -> P2pState:
    return GOOD.replace(relay=change(GOOD.relay))


@pytest.mark.parametrize(
    ("torn", "path"),
    [
        pytest.param(with_relay(lambda relay: relay.replace(messages=empty_table())), "relay.by_item", id="who waits is gone"),
        pytest.param(with_relay(lambda relay: relay.replace(by_item=empty_table())), "relay.by_item", id="what it waits for is gone"),
        pytest.param(with_relay(lambda relay: relay.replace(serving=empty_table())), "relay.deadlines", id="a wait of nobody"),
        pytest.param(
            with_relay(lambda relay: relay.replace(deadlines=Lab(**ON).state.relay.deadlines)), "relay.deadlines", id="no deadline"
        ),
        pytest.param(
            with_relay(lambda relay: relay.replace(messages=relay.messages.set(ONE, relay.messages[ONE].replace(left=1)))),
            "relay.messages[1].left",
            id="half asked",
        ),
        pytest.param(
            with_relay(lambda relay: relay.replace(messages=relay.messages.set(ONE, relay.messages[ONE].replace(is_block=True)))),
            "relay.messages[1]",
            id="a block with items",
        ),
        pytest.param(GOOD.replace(network=None), "relay: something waits", id="no network"),
        pytest.param(
            Lab(**ON)
            .feed(BLOCK)
            .feed(PAYMENT.replace(notification=PAYMENT.notification.replace(verdict_id=RequestId(2))))
            .state.replace(config=GOOD.config.replace(relay=RelayConfig(messages_max=1, remembered_max=1))),
            "relay.messages: 2 is over its bound 1",
            id="over the bounds",
        ),
    ],
)
def test_what_is_wrong_is_found(torn: P2pState, path: str) -> None:
    assert list(violations(GOOD)) == []
    assert any(found.startswith(path) for found in violations(torn)), list(violations(torn))
