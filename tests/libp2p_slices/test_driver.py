"""Two whole nodes over TCP: real handshakes, signatures and frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("Crypto", reason="pycryptodome is not installed; it comes with the extra `libp2p`")

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.errors import CallerError
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, NetworkPubsubVerdict, Verdict
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, ChainId
from mina_p2p.ids import RequestId
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.config import TOPIC_V0, NetworkConfig
from mina_p2p.libp2p.notifications import (
    NetworkDialFailed,
    NetworkPubsubMessageReceived,
    NetworkPubsubPublished,
    NetworkRpcRequested,
    NetworkRpcResponded,
)
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.driver import Libp2pNode

DEADLINE_S = 20.0


class Running:
    """A node, what it told, and a way to wait."""

    def __init__(self, number: int, chain_id: ChainId) -> None:
        key = SecretKey.deterministic(number)
        quick = Libp2pConfig(dial_timeout_s=2.0, upgrade_timeout_s=2.0)  # a wrong key may look like a message that is still coming
        self.node = Libp2pNode(NetworkConfig(key.peer_id, chain_id, seed=number), key, host="127.0.0.1", transport_config=quick)
        self.told: list[Any] = []
        self.port = 0
        self._news = asyncio.Event()
        self.node.store.observe(lambda *_: self._news.set())
        self.node.listen(self._take)

    def _take(self, notification: Any) -> None:
        self.told.append(notification)
        if isinstance(notification, NetworkPubsubMessageReceived):
            self.node.command(NetworkPubsubVerdict(notification.verdict_id, Verdict.ACCEPT))
        if isinstance(notification, NetworkRpcRequested):
            self.node.command(NetworkRpcAnswer(notification.serial, notification.query_id, b"\x01" + bytes(32)))

    @property
    def address(self) -> Libp2pAddress:
        return Libp2pAddress(self.node.state.config.peer_id, Ipv4.of(127, 0, 0, 1), self.port)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def heard(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.told if isinstance(one, kind)]


@asynccontextmanager
async def running(number: int, chain_id: ChainId = DEVNET_CHAIN_ID) -> AsyncIterator[Running]:
    made = Running(number, chain_id)
    made.port = await made.node.start() or 0
    try:
        yield made
    finally:
        await made.node.stop()


def mesh(one: Running) -> int:
    topic = one.node.state.gossipsub.topic(TOPIC_V0)
    return 0 if topic is None else len(topic.mesh)


def test_gossip_and_rpc_between_two():
    """Everything at once: discovery of the third, a signed message to all, a question and its answer."""

    async def whole() -> None:
        async with AsyncExitStack() as stack:
            seed, one, two = [await stack.enter_async_context(running(number)) for number in (1, 2, 3)]
            assert one.node.command(NetworkDial(seed.address))
            await seed.until(lambda: len(seed.node.state.kademlia.table) == 1)
            assert two.node.command(NetworkDial(seed.address))
            await two.until(lambda: len(two.node.state.links.contacts) == 2)
            for node in (seed, one, two):
                await node.until(lambda node=node: mesh(node) == 2)
            one.node.command(NetworkPubsubPublish(TOPIC_V0, b"news"))
            for node in (seed, two):
                await node.until(lambda node=node: node.heard(NetworkPubsubMessageReceived))
                assert [(m.data, m.author) for m in node.heard(NetworkPubsubMessageReceived)] == [(b"news", one.address.peer_id)]
            assert [told.peers_count for told in one.heard(NetworkPubsubPublished)] == [2]
            assert one.node.command(NetworkRpcCall(RequestId(1), two.address.peer_id, "Get_transition_knowledge", b"\x00"))
            await one.until(lambda: one.heard(NetworkRpcResponded))
            assert one.heard(NetworkRpcResponded)[0].answer == (bytes(32),)

    asyncio.run(whole())


def test_nodes_of_two_chains_do_not_meet():
    async def whole() -> None:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(running(1))
            two = await stack.enter_async_context(running(2, MAINNET_CHAIN_ID))
            one.node.command(NetworkDial(two.address))
            await one.until(lambda: one.heard(NetworkDialFailed))
            assert not one.node.state.links.contacts

    asyncio.run(whole())


def test_a_node_is_stopped_once_and_for_all():
    async def whole() -> None:
        async with running(1) as one:
            await one.node.stop()
            await one.node.stop()
            assert one.node.is_over
            with pytest.raises(CallerError):
                one.node.command(NetworkDial(one.address))

    asyncio.run(whole())


def test_the_key_must_be_the_nodes():
    with pytest.raises(CallerError):
        Libp2pNode(NetworkConfig(SecretKey.deterministic(1).peer_id, DEVNET_CHAIN_ID), SecretKey.deterministic(2))
