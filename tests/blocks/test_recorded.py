"""What a node did with blocks is in its log, and a replay does the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

from blocks.lab import chain
from mina_p2p.blocks.actions import BlockHeaderReceived, BlockReceived
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.replay import replay_path
from mina_p2p_effects.transports.memory import MemoryHub, MemoryTransport

_, FIRST, _, LAST = chain()


def test_a_node_that_fetched_blocks_can_be_replayed(tmp_path: Path) -> None:
    """Headers, verdicts, bodies: every step comes out again, and the state in the end."""
    asyncio.run(_play(tmp_path))
    for name in ("maker.log", "taker.log"):
        (log,) = replay_path(tmp_path / name)
        assert log.result is not None
        assert log.result.divergence is None
        assert log.result.failure is None


async def _play(folder: Path) -> None:
    hub = MemoryHub()

    def make(number: int, name: str) -> Node:
        key = SecretKey.deterministic(number)
        transport = MemoryTransport(hub, key.peer_id)
        return Node(NodeConfig(secret_key=key, chain_id=MAINNET_CHAIN_ID, seed=number, transport=transport, record_to=folder / name))

    async with asyncio.timeout(60), make(1, "maker.log") as maker, make(2, "taker.log") as taker:
        await taker.connect(maker.addresses[0])
        for block in (FIRST, LAST):
            maker.set_best_tip(block.raw, is_produced=True)
            async for told in taker.notifications():
                match told:
                    case BlockHeaderReceived(verdict_id=verdict_id):
                        assert taker.give_header_verdict(verdict_id, is_valid=True)
                        assert not taker.give_header_verdict(verdict_id, is_valid=True)
                    case BlockReceived(state_hash=state_hash):
                        assert state_hash == block.state_hash
                        break
                    case _:
                        pass
