"""QUIC endurance: whole nodes connect and part thousands of times; what stays behind is printed.

    python benchmarks/quic_soak.py [--cycles N] [--every N] [--json] [--loop asyncio|uvloop]

Two nodes with their stores in one process over loopback. Every ``--every`` cycles a row: resident memory after a collection,
tasks, descriptors, objects that the collector follows, cycles each second. Exit code 1 where tasks or descriptors differ at the end
from what they were after the first row, or resident memory grew by more than ``--growth-max`` bytes a cycle.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.notifications import PeerDisconnected
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.transports.quic import QuicConfig


def config(number: int) -> NodeConfig:
    return NodeConfig(
        secret_key=SecretKey.deterministic(number),
        chain_id=MAINNET_CHAIN_ID,
        host="127.0.0.1",
        port=0,
        seed=number,
        is_discovery_enabled=False,
        are_private_addresses_allowed=True,
        quic=QuicConfig(farewell_s=0),
    )


async def cycle(dialer: Node, listener: Node) -> None:
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    end = listener._runtime.listen(lambda event: left.set_result(None) if isinstance(event, PeerDisconnected) and not left.done() else None)
    try:
        made = await dialer.connect(listener.addresses[0])
        dialer.disconnect(made.peer_id)
        async with asyncio.timeout(20):
            await left
    finally:
        end()


async def drain(node: Node) -> None:
    async for _ in node.notifications():
        pass


def row(cycles: int, began: float) -> dict[str, Any]:
    gc.collect()
    return {
        "cycles": cycles,
        "resident_bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "objects": len(gc.get_objects()),
        "cycles_per_second": round(cycles / (time.perf_counter() - began), 1) if cycles else 0.0,
    }


async def soak(cycles: int, every: int, *, is_json: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with Node(config(1)) as alice, Node(config(2)) as bob:
        following = [asyncio.ensure_future(drain(node)) for node in (alice, bob)]
        began = time.perf_counter()
        for number in range(1, cycles + 1):
            await cycle(*((alice, bob) if number % 2 else (bob, alice)))
            if number % every == 0 or number == cycles:
                rows.append(row(number, began))
                if not is_json:
                    last = rows[-1]
                    print(
                        f"{last['cycles']:7} cycles  {last['resident_bytes'] / 1e6:8.2f} MB  {last['tasks']} tasks  "
                        f"{last['descriptors']} descriptors  {last['objects']} objects  {last['cycles_per_second']} cycles/s",
                        flush=True,
                    )
        for task in following:
            task.cancel()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1_000)
    parser.add_argument("--growth-max", type=float, default=200.0, metavar="BYTES", help="resident bytes a cycle, after the first row")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    arguments = parser.parse_args()
    work = soak(arguments.cycles, arguments.every, is_json=arguments.json)
    if arguments.loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(work)
    else:
        rows = asyncio.run(work)
    first, last = rows[0], rows[-1]
    grown = (last["resident_bytes"] - first["resident_bytes"]) / max(1, last["cycles"] - first["cycles"])
    is_good = grown <= arguments.growth_max and all(first[name] == last[name] for name in ("tasks", "descriptors"))
    if arguments.json:
        json.dump({"rows": rows, "bytes_per_cycle": grown, "is_good": is_good}, sys.stdout, indent=2)
        print()
    else:
        print(f"{'good' if is_good else 'NOT good'}: {grown:.1f} bytes a cycle stay")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
