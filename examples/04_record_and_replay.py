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


def config(log: Path | None = None) -> NodeConfig:
    """A node on a free port of loopback; with a ``log`` it records."""
    return NodeConfig(secret_key=SecretKey.generate(), chain_id=MAINNET_CHAIN_ID, host="127.0.0.1", port=0, record_to=log)


async def record(log: Path) -> None:
    """Let two nodes exchange one payment; the second records."""
    async with Node(config()) as sender, Node(config(log)) as receiver:
        await receiver.connect(sender.addresses[0])
        sender.add_transaction(RawUserCommand.of(MinaGenerator(seed=1).payment()))
        async for told in receiver.notifications():
            if isinstance(told, ItemReceived):
                receiver.give_verdict(told.verdict_id, is_valid=True)
                break


def report(log: Path) -> None:
    """Replay, and say what came of it."""
    for replayed in replay_path(log):
        print("verified:", replayed.is_verified)
        if replayed.result is None:
            print("  unreadable:", replayed.error)
        else:
            print(f"  {replayed.result.inputs} inputs led to {replayed.result.actions} actions")
            for note in replayed.result.notes:
                print(" ", note)


def main() -> None:
    """Record, replay, damage the log, replay again."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "node.log"
        asyncio.run(record(log))
        report(log)

        # Logs are read after something went wrong, so damage is stepped over and told, never raised.
        data = bytearray(log.read_bytes())
        data[-1_000] ^= 1
        log.write_bytes(data)
        report(log)


if __name__ == "__main__":
    main()
