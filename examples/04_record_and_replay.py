"""Record what a node does, then run it again and compare every action.

The log holds the initial state, each input whole, and each action that followed by its kind
and cause. The reducers are pure, so that is enough to repeat everything: on another machine,
in another year, without a network.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.notifications import ItemReceived
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.replay import replay_path


async def record(log: Path) -> None:
    """Let two nodes exchange one payment; the second records."""
    common = {"chain_id": MAINNET_CHAIN_ID, "host": "127.0.0.1", "port": 0}
    async with (
        Node(NodeConfig(secret_key=SecretKey.generate(), **common)) as sender,
        Node(NodeConfig(secret_key=SecretKey.generate(), record_to=log, **common)) as receiver,
    ):
        await receiver.connect(sender.addresses[0])
        sender.add_transaction(RawUserCommand.of(MinaGenerator(seed=1).payment()))
        async for told in receiver.notifications():
            if isinstance(told, ItemReceived):
                receiver.give_verdict(told.verdict_id, is_valid=True)
                break


def main() -> None:
    """Record, replay, damage the log, replay again."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "node.log"
        asyncio.run(record(log))

        (replayed,) = replay_path(log)
        result = replayed.result
        assert result is not None
        assert replayed.is_verified
        print(f"{log.stat().st_size} bytes: {result.inputs} inputs led to {result.actions} actions, all the same again")

        # A log is read after something went wrong, so damage is reported and never raised.
        damaged = bytearray(log.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        log.write_bytes(damaged)
        (replayed,) = replay_path(log)
        assert not replayed.is_verified
        print("after one flipped bit:", replayed.error or (replayed.result and replayed.result.notes))


if __name__ == "__main__":
    main()
