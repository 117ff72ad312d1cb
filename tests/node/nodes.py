"""Nodes over the memory transport, and a loop that leaves nothing running."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from support.vectors import vectors_path

from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.transports.memory import MemoryHub, MemoryTransport

DEADLINE_S = 60.0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or fail at a deadline; nothing may be left running."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"

    asyncio.run(bounded())


def payments() -> list[bytes]:
    entries = json.loads(vectors_path("commands", "payments.json").read_text())
    return [base64.b64decode(entry["wire_base64"]) for entry in entries[:10]]


def make(hub: MemoryHub, number: int, **settings: Any) -> Node:
    key = SecretKey.deterministic(number)
    config = {"chain_id": MAINNET_CHAIN_ID, "seed": number, **settings}
    return Node(NodeConfig(secret_key=key, transport=MemoryTransport(hub, key.peer_id), **config))


MakeNode = Callable[..., Node]
"""Makes the node of a number, with settings."""


def make_any(transport: str) -> MakeNode:
    """Nodes over one transport: ``memory`` or ``quic``."""
    if transport == "quic":
        return make_quic
    hub = MemoryHub()
    return lambda number, **settings: make(hub, number, **settings)


def make_quic(number: int, **settings: Any) -> Node:
    """A node over QUIC on this machine."""
    config = {"chain_id": MAINNET_CHAIN_ID, "seed": number, "host": "127.0.0.1", "port": 0, **settings}
    return Node(NodeConfig(secret_key=SecretKey.deterministic(number), **config))


@asynccontextmanager
async def two_nodes(**settings: Any) -> AsyncIterator[tuple[Node, Node]]:
    hub = MemoryHub()
    async with make(hub, 0, **settings) as one, make(hub, 1, **settings) as other:
        yield one, other


async def first(node: Node, kind: type[Any]) -> Any:
    async for notification in node.notifications():
        if isinstance(notification, kind):
            return notification
    raise AssertionError(f"the node stopped before {kind.__name__}")
