"""Address gossip between whole nodes over QUIC."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import attrs

from mina_p2p.address import DialAddress
from mina_p2p.config import Limits, Timeouts
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig

GOSSIP = AddressGossipConfig(interval=2 * SECOND, first_after=500 * MILLISECOND, cooldown=SECOND, cooldown_few=300 * MILLISECOND)


def config(number: int, *knows: DialAddress, nodes: int) -> NodeConfig:
    """A node on loopback that finds others by gossip alone."""
    return NodeConfig(
        secret_key=SecretKey.deterministic(number),
        chain_id=MAINNET_CHAIN_ID,
        host="127.0.0.1",
        port=0,
        initial_peers=knows,
        is_discovery_enabled=False,
        are_private_addresses_allowed=True,
        address_gossip=GOSSIP,
        limits=Limits(peers_min=nodes),
        timeouts=Timeouts(reconnect=SECOND),
    )


def peers(node: Node) -> set[PeerId]:
    """With whom a node is connected."""
    connections = node.state.connections
    return {connection.peer_id for number, connection in connections.table.items() if connections.ready(number) is not None}


async def until_mesh(nodes: list[Node]) -> None:
    """Wait until all are connected with all."""
    everybody = {node.peer_id for node in nodes}
    happened = asyncio.Event()

    def observer(*_what: object) -> None:
        happened.set()

    for node in nodes:
        node.store.observe(observer)
    while not all(peers(node) == everybody - {node.peer_id} for node in nodes):
        happened.clear()
        await happened.wait()


def test_nodes_that_know_one_find_all() -> None:
    """Real signatures, real streams: six nodes that know the first are all connected with all."""

    async def run() -> None:
        async with AsyncExitStack() as stack, asyncio.timeout(30):
            first = await stack.enter_async_context(Node(config(1, nodes=6)))
            known = first.addresses[0]
            others = [await stack.enter_async_context(Node(config(number, known, nodes=6))) for number in range(2, 7)]
            nodes = [first, *others]
            await until_mesh(nodes)
            assert all(len(node.state.address_gossip.links) == 5 for node in nodes)

    asyncio.run(run())


def test_it_is_off_by_default() -> None:
    """A node that was not told to gossip does not offer the channel, and is connected with all the same."""

    async def run() -> None:
        async with AsyncExitStack() as stack, asyncio.timeout(20):
            first = await stack.enter_async_context(Node(config(1, nodes=2)))
            silent = attrs.evolve(config(2, first.addresses[0], nodes=2), address_gossip=None)
            second = await stack.enter_async_context(Node(silent))
            await until_mesh([first, second])
            assert not first.state.address_gossip.links
            assert not second.state.address_gossip.links

    asyncio.run(run())
