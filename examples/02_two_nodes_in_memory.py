"""Two whole nodes in one process, joined by a network in memory.

The nodes are the same as over QUIC; only the transport differs. What travels is what would
travel: frames of encoded bytes, on streams, by permission.
"""

from __future__ import annotations

import asyncio

from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.notifications import ItemReceived, PeerDisconnected
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.transports.memory import MemoryHub, MemoryTransport

hub = MemoryHub()


def make_node(number: int) -> Node:
    """A node on the hub, with a key that everybody knows: good for examples only."""
    key = SecretKey.deterministic(number)
    return Node(NodeConfig(secret_key=key, chain_id=MAINNET_CHAIN_ID, transport=MemoryTransport(hub, key.peer_id)))


async def next_item(node: Node) -> ItemReceived:
    """The next item that a node is asked to judge."""
    async for told in node.notifications():
        if isinstance(told, ItemReceived):
            return told
    raise RuntimeError("the node stopped")


async def main() -> None:
    """Spread one payment, then refuse another."""
    payments = MinaGenerator(seed=1)

    async with make_node(0) as alice, make_node(1) as bob:
        connected = await alice.connect(bob.addresses[0])
        print("alice dialled", connected.remote)

        # Alice vouches for what she adds. It is announced to Bob, because he permitted announcements
        # when they connected; he asks for the body, and is asked for a verdict.
        alice.add_transaction(RawUserCommand.of(payments.payment()))
        item = await next_item(bob)
        fee = item.info.fee if isinstance(item.info, TransactionInfo) else 0
        print(f"bob got {len(item.body)} bytes, fee {fee} nanomina")

        # Before the verdict nothing is in his pool, and he offers it to nobody.
        print("in bob's pool before the verdict:", item.key in bob.state.pools.transaction.items)
        bob.give_verdict(item.verdict_id, is_valid=True)
        print("and after it:", item.key in bob.state.pools.transaction.items)

        # A bad one costs the sender its connection, and it is told why.
        alice.add_transaction(RawUserCommand.of(payments.payment()))
        item = await next_item(bob)
        bob.give_verdict(item.verdict_id, is_valid=False)
        async for told in alice.notifications():
            if isinstance(told, PeerDisconnected):
                print("alice was told:", told.reason)
                break


asyncio.run(main())
