"""Address gossip between whole nodes over QUIC."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import attrs
import pytest

from mina_p2p.address import DialAddress, QuicAddress
from mina_p2p.config import Limits, Timeouts
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.testing.dice import Dice
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport

GOSSIP = AddressGossipConfig(interval=2 * SECOND, first_after=500 * MILLISECOND, cooldown=SECOND, cooldown_few=300 * MILLISECOND)


LAST_RESORT_S = 60
PERIOD_S = 20
"""Long against all that heals by itself, so that two of them are a bound that a slow machine keeps, too."""


def config(number: int, *knows: DialAddress, nodes: int, port: int = 0, gossip: AddressGossipConfig = GOSSIP) -> NodeConfig:
    """A node on loopback that finds others by gossip alone."""
    return NodeConfig(
        secret_key=SecretKey.deterministic(number),
        chain_id=MAINNET_CHAIN_ID,
        host="127.0.0.1",
        port=port,
        initial_peers=knows,
        is_discovery_enabled=False,
        are_private_addresses_allowed=True,
        address_gossip=gossip,
        limits=Limits(peers_min=nodes),
        timeouts=Timeouts(reconnect=SECOND),
        quic=QuicConfig(idle_timeout_s=2),
    )


async def crash(node: Node) -> None:
    """End a node as a power cut does: what it would say as it ends reaches nobody."""
    for transport in node._runtime.transports:
        assert isinstance(transport, QuicTransport)
        assert transport._endpoint is not None
        transport._endpoint.send = lambda *_what: None  # type: ignore[method-assign]  # nothing leaves any more
    await node.__aexit__(None, None, None)


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
        async with AsyncExitStack() as stack, asyncio.timeout(60):
            first = await stack.enter_async_context(Node(config(1, nodes=6)))
            known = first.addresses[0]
            others = [await stack.enter_async_context(Node(config(number, known, nodes=6))) for number in range(2, 7)]
            nodes = [first, *others]
            await until_mesh(nodes)
            assert all(len(node.state.address_gossip.links) == 5 for node in nodes)

    asyncio.run(run())


def test_two_nodes_meet_again_at_the_same_ports() -> None:
    """Five times over, each time as if they had never met (reference: run_two_node_network_five_times)."""

    async def run() -> None:
        ports = [0, 0]
        for _turn in range(5):
            async with AsyncExitStack() as stack, asyncio.timeout(LAST_RESORT_S):
                first = await stack.enter_async_context(Node(config(1, nodes=2, port=ports[0])))
                second = await stack.enter_async_context(Node(config(2, first.addresses[0], nodes=2, port=ports[1])))
                await until_mesh([first, second])
                found = [node.addresses[0] for node in (first, second)]
                assert all(
                    isinstance(address, QuicAddress) and port in {0, address.port} for address, port in zip(found, ports, strict=True)
                )
                ports = [address.port for address in found if isinstance(address, QuicAddress)]

    asyncio.run(run())


@pytest.mark.parametrize("count", [2, 3, 5, 9, 15])
def test_networks_of_several_sizes_are_whole(count: int) -> None:
    """All know the first one only, and start at once; with a period of a second (reference: check_varying_size_network_connects)."""

    async def run() -> None:
        gossip = GOSSIP.replace(interval=SECOND)
        async with AsyncExitStack() as stack, asyncio.timeout(LAST_RESORT_S):
            first = await stack.enter_async_context(Node(config(1, nodes=count, gossip=gossip)))
            known = first.addresses[0]
            starting = (Node(config(number, known, nodes=count, gossip=gossip)) for number in range(2, count + 1))
            nodes = [first, *[await stack.enter_async_context(node) for node in starting]]
            await until_mesh(nodes)
            assert all(node.state.connections.ready_count == count - 1 for node in nodes)

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(2))
def test_it_is_whole_within_two_periods_after_the_last_crash(seed: int) -> None:
    """Five nodes crash one after the other, the first one too, and come back with their keys at their ports, knowing the first only."""

    async def run() -> None:
        gossip, dice = GOSSIP.replace(interval=PERIOD_S * SECOND), Dice(seed, "crashes")
        nodes: dict[int, Node] = {}
        try:
            nodes[1] = await Node(config(1, nodes=6, gossip=gossip)).__aenter__()
            known = nodes[1].addresses[0]
            for number in range(2, 7):
                nodes[number] = await Node(config(number, known, nodes=6, gossip=gossip)).__aenter__()
            async with asyncio.timeout(LAST_RESORT_S):
                await until_mesh(list(nodes.values()))
            for number in dice.sample([1, *dice.sample(range(2, 7), 4)], 5):
                at = nodes[number].addresses[0]
                assert isinstance(at, QuicAddress)
                await crash(nodes.pop(number))
                knows = () if number == 1 else (known,)
                nodes[number] = await Node(config(number, *knows, nodes=6, port=at.port, gossip=gossip)).__aenter__()
            async with asyncio.timeout(2 * PERIOD_S):
                await until_mesh(list(nodes.values()))
        finally:
            await asyncio.gather(*(node.__aexit__(None, None, None) for node in nodes.values()))

    asyncio.run(run())


def test_it_is_off_by_default() -> None:
    """A node that was not told to gossip does not offer the channel, and is connected with all the same."""

    async def run() -> None:
        async with AsyncExitStack() as stack, asyncio.timeout(60):
            first = await stack.enter_async_context(Node(config(1, nodes=2)))
            silent = attrs.evolve(config(2, first.addresses[0], nodes=2), address_gossip=None)
            second = await stack.enter_async_context(Node(silent))
            await until_mesh([first, second])
            assert not first.state.address_gossip.links
            assert not second.state.address_gossip.links

    asyncio.run(run())
