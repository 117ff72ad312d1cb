"""Three nodes over real QUIC on loopback; two of them know only the first.

They find each other through it, then a block and some payments reach all three. A node and
its node software are two things: the library carries, the software decides. Here it is
`play_software`, which believes everything.
"""

from __future__ import annotations

import asyncio
import contextlib

from mina_p2p.address import DialAddress
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.mina.raw import RawBlock, RawUserCommand
from mina_p2p.notifications import BestTipReceived, ItemReceived, PeerConnected
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig

PAYMENTS = 10


async def play_software(node: Node, nodes: list[Node], done: asyncio.Event) -> None:
    """Take whatever comes. Real node software checks signatures, proofs and balances first."""
    async for told in node.notifications():
        if done.is_set():
            return  # the nodes stop now, and a stopped node takes no commands
        match told:
            case PeerConnected(peer_id=peer_id, is_incoming=is_incoming):
                print(f"{node.peer_id.short} {'was dialled by' if is_incoming else 'dialled'} {peer_id.short}")
            case ItemReceived(verdict_id=verdict_id):
                node.give_verdict(verdict_id, is_valid=True)
            case BestTipReceived(block=block):
                node.set_best_tip(block)
            case _:
                pass
        # The state is a value: looking at it is all that watching takes.
        if all(map(has_everything, nodes)):
            done.set()


def make_node(*known: DialAddress) -> Node:
    """A node on a free port of loopback, with a fresh key."""
    return Node(NodeConfig(secret_key=SecretKey.generate(), chain_id=MAINNET_CHAIN_ID, host="127.0.0.1", port=0, initial_peers=known))


def has_everything(node: Node) -> bool:
    """Whether a node is connected to both others and has what they have."""
    state = node.state
    return state.connections.ready_count == 2 and len(state.pools.transaction.items) == PAYMENTS and state.best_tips.own is not None


async def main() -> None:
    """Run the three nodes until each has everything."""
    generator = MinaGenerator(seed=1)
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(make_node())
        second = await stack.enter_async_context(make_node(*first.addresses))
        third = await stack.enter_async_context(make_node(*first.addresses))
        nodes, done = [first, second, third], asyncio.Event()
        software = [asyncio.create_task(play_software(node, nodes, done)) for node in nodes]

        second.set_best_tip(RawBlock.of(generator.genesis()))
        for _ in range(PAYMENTS):
            third.add_transaction(RawUserCommand.of(generator.payment()))

        async with asyncio.timeout(20):
            await done.wait()
        print(f"all three have {PAYMENTS} payments and the block")

    # The nodes have said goodbye, so their streams of notifications have ended.
    await asyncio.gather(*software)


asyncio.run(main())
