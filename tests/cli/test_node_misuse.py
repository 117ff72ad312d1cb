"""`Node` used wrongly: a sentence at the place of the mistake, and no node that ends or leaks for it."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

import pytest

from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig


def config(**settings: Any) -> NodeConfig:
    settings = {"host": "127.0.0.1", "port": 0, **settings}
    return NodeConfig(secret_key=SecretKey.deterministic(1), chain_id=MAINNET_CHAIN_ID, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 65536},
        {"port": -1},
        {"traffic_every_s": 0},
        {"record_rotate_bytes": 0},
        {"record_rotate_after_s": 0},
        {"traffic_every_s": math.nan},
        {"initial_peers": ("/ip4/127.0.0.1",)},
    ],
)
def test_a_setting_that_can_not_be_meant_is_refused(settings: dict[str, Any]) -> None:
    """When the config is made, not when the node runs: a port would be taken modulo 65536."""
    with pytest.raises(CallerError):
        config(**settings)


def test_a_node_is_entered_once() -> None:
    """A second time would leave the first one's socket behind."""

    async def run() -> None:
        node = Node(config())
        async with node:
            with pytest.raises(CallerError, match="entered once"):
                await node.__aenter__()
            assert node.addresses
        with pytest.raises(CallerError, match="entered once"):
            await node.__aenter__()

    asyncio.run(run())


def test_the_text_of_an_address_is_no_address() -> None:
    """It is refused, and the node goes on."""

    async def run() -> None:
        async with Node(config()) as node:
            with pytest.raises(CallerError, match="parse_address"):
                await node.connect(cast("Any", str(node.addresses[0])))
            assert node.lift_all_bans()

    asyncio.run(run())


@pytest.mark.parametrize("duration_s", [math.inf, math.nan, 1e300])
def test_a_ban_has_an_end(duration_s: float) -> None:
    """What is no time that a log could hold is refused, of a peer and of a network."""
    node = Node(config())
    with pytest.raises(CallerError):
        node.ban(PeerId(bytes(32)), duration_s)
    with pytest.raises(CallerError):
        node.ban_group("203.0.113.1", duration_s)
