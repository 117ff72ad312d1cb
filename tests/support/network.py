"""A `Node` of libp2p's network on this machine, with all that it told, for tests that need the transport itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from mina_p2p.address import DialAddress, Ipv4, Libp2pAddress
from mina_p2p.gossipsub.actions import NetworkPubsubVerdict, Verdict
from mina_p2p.identity import DEVNET_CHAIN_ID, ChainId
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkRpcRequested
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcRefuse
from mina_p2p.notifications import BestTipReceived, ItemReceived
from mina_p2p.relay.config import RelayConfig
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig

DEADLINE_S = 60.0
APART = RelayConfig(push_to_pull=(), pull_to_push=(), are_questions_translated=False)
T = TypeVar("T")


def _no_answer(request: NetworkRpcRequested) -> NetworkRpcRefuse:
    return NetworkRpcRefuse(request.serial, request.query_id, "this node knows nothing")


class NetworkNode:
    """A node, its node software, and a way to wait.

    :param number: of its key and of its dice.
    :param peers: whom it knows at first.
    :param verdict: what it says of every gossiped message.
    :param settings: of its `NodeConfig`, by default one of libp2p alone on a free port, whose gossip reaches the node software as it came.
    :param options: of its `NetworkConfig`.
    """

    def __init__(
        self,
        number: int,
        *peers: DialAddress,
        chain_id: ChainId = DEVNET_CHAIN_ID,
        verdict: Verdict = Verdict.ACCEPT,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.secret_key = SecretKey.deterministic(number)
        network = NetworkConfig(self.secret_key.peer_id, chain_id, **options)
        config: dict[str, Any] = {"quic": None, "libp2p_listen": ("127.0.0.1", 0), "host": "127.0.0.1", "port": 0, "relay": APART}
        config |= settings or {}
        self.node = Node(
            NodeConfig(secret_key=self.secret_key, chain_id=chain_id, seed=number, initial_peers=peers, libp2p=network, **config)
        )
        self.told: list[Any] = []
        self.answer: Callable[[NetworkRpcRequested], NetworkRpcAnswer | NetworkRpcRefuse] = _no_answer
        """What is said to peers' questions."""
        self.judge: Callable[[ItemReceived | BestTipReceived], Verdict] = lambda _told: verdict
        """What is found of what the relay, where it is on, brings from either world."""
        self._verdict = verdict
        self._news = asyncio.Event()
        self.node.store.observe(self._wake)

    def _wake(self, *_: object) -> None:
        self._news.set()

    async def follow(self) -> None:
        """What the node software does, until the node stops."""
        async for told in self.node.notifications():
            self.told.append(told)
            if isinstance(told, NetworkPubsubMessageReceived):
                self.node.command(NetworkPubsubVerdict(told.verdict_id, self._verdict))
            if isinstance(told, NetworkRpcRequested):
                self.node.command(self.answer(told))
            if isinstance(told, ItemReceived | BestTipReceived):
                self._judge(told)
            self._news.set()

    def _judge(self, told: ItemReceived | BestTipReceived) -> None:
        verdict = self.judge(told)
        if isinstance(told, ItemReceived):
            if verdict is not Verdict.IGNORE:
                self.node.give_verdict(told.verdict_id, is_valid=verdict is Verdict.ACCEPT)
        elif verdict is Verdict.ACCEPT:
            self.node.set_best_tip(told.block)
        elif told.verdict_id is not None:
            self.node.give_tip_verdict(told.verdict_id, verdict)

    @property
    def network(self) -> NetworkState:
        """The libp2p part of the node's state."""
        assert self.node.network is not None
        return self.node.network

    @property
    def port(self) -> int:
        """The TCP port that is bound."""
        return self.network.links.listening[0].port

    @property
    def dial_address(self) -> Libp2pAddress:
        """Where others on this machine dial it."""
        return Libp2pAddress(self.secret_key.peer_id, Ipv4.of(127, 0, 0, 1), self.port)

    @property
    def address(self) -> str:
        """The same as foreign programs want it."""
        return str(self.dial_address)

    @property
    def libp2p(self) -> str:
        """Who it is, as libp2p writes it."""
        return self.secret_key.peer_id.libp2p

    @property
    def peers(self) -> dict[str, list[bool]]:
        """Whom it is connected with over libp2p, and for each connection whether it dialled."""
        links = self.network.links
        return {
            contact.peer_id.libp2p: [link.is_dialer for one in contact.connections if (link := links.linked(one)) is not None]
            for contact in links.contacts.values()
        }

    def mesh(self, name: str) -> int:
        """How many peers it gossips a topic with."""
        topic = self.network.gossipsub.topic(name)
        return 0 if topic is None else len(topic.mesh)

    def heard(self, kind: type[T]) -> list[T]:
        """Notifications of a kind, and no other ones."""
        return [one for one in self.told if isinstance(one, kind)]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until ``condition``, which is asked after every input and every notification."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def next(self, kind: type[T]) -> T:
        """Take the first notification of that kind."""
        await self.until(lambda: self.heard(kind))
        found = self.heard(kind)[0]
        self.told.remove(found)
        return found


@asynccontextmanager
async def network_node(number: int, *peers: DialAddress, **options: Any) -> AsyncGenerator[NetworkNode]:
    """A node that runs; see `NetworkNode`."""
    made = NetworkNode(number, *peers, **options)
    async with made.node:
        following = asyncio.create_task(made.follow())
        try:
            yield made
        finally:
            following.cancel()
            await asyncio.wait((following,))
            if not following.cancelled() and (error := following.exception()) is not None:
                raise error
