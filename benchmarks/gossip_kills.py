"""Real nodes that find each other by address gossip while some are killed: is the network whole again soon after?

    python benchmarks/gossip_kills.py                              # 20 nodes, ten minutes of kills, a period of 120 s
    python benchmarks/gossip_kills.py --nodes 5 --kills 4 --period 3 --json

Each node is a process of ``mina-p2p node`` over QUIC on loopback that knows the first one only and asks nobody for peers; the first
knows nobody. Nodes are killed (SIGKILL) at random, the first one too, and started again a while later with the same key at the same
port. Then all have to be connected with all within two periods of gossip after the last kill, as each node itself says.

Exit codes: 0 they were; 1 they were not, or a process ended by itself; 2 the arguments make no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mina_p2p_effects.keyfile import reveal_key_line
from mina_p2p_effects.keys import SecretKey

PERIODS_MAX = 2
LOOK_EVERY_S = 1
LINE_BYTES_MAX = 1 << 20
START_MAX_S = 60.0
EXIT_INTERRUPTED = 130


class Member:
    """A place at which one process after the other runs the same node."""

    def __init__(self, number: int, options: argparse.Namespace, happened: Callable[[], None]) -> None:
        self.number = number
        self.key = SecretKey.deterministic(number)
        self.id = str(self.key.peer_id)
        self.port = 0
        self.address = ""
        self.linked: frozenset[str] = frozenset()
        """With whom it is connected, as it says; nobody while it is down."""
        self.is_up = False
        self.ended_by_itself = False
        self._options = options
        self._happened = happened
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, *knows: str) -> None:
        """Run the node, and read what it says."""
        options = self._options
        arguments = [
            *("--libp2p-keypair", reveal_key_line(self.key), "--listen", f"127.0.0.1:{self.port}", "--allow-private-addresses"),
            *("--address-gossip", str(options.period), "--no-peers-discovery", "--min-connections", str(options.nodes - 1)),
            *("--transport", "quic", "--json", "--every", str(LOOK_EVERY_S)),
            *(["--strict-address-gossip"] if options.strict else []),
            *[part for known in knows for part in ("--peer", known)],
            *([] if knows else ["--seed"]),
        ]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mina_p2p_effects.cli", "node", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=None if options.stderr else asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES_MAX,
        )
        self.is_up = True
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == "listening":
                (self.address,) = said["addresses"]
                self.port = int(self.address.split("/udp/")[1].split("/")[0])
            elif said["event"] == "status":
                self.linked = frozenset(peer["peer_id"] for peer in said["peers"])
            else:
                continue
            self._happened()
        if self.is_up:
            self.ended_by_itself = True
            self._happened()

    async def kill(self) -> None:
        """End the process without a word."""
        process, reader = self._process, self._reader
        self.is_up, self.linked = False, frozenset()
        if process is not None and reader is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reader
            self.linked = frozenset()


class Network:
    """All members, and whether they are whole."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.dice = random.Random(options.seed)
        self._changed = asyncio.Event()
        self.members = [Member(number, options, self._changed.set) for number in range(1, options.nodes + 1)]
        self.kills = 0
        self.last_kill = time.monotonic()

    @property
    def links(self) -> int:
        """How many connections there are, as both ends say."""
        linked = {member.id: member.linked for member in self.members}
        return sum(one.id in linked[other] for one in self.members for other in one.linked if other in linked) // 2

    @property
    def is_whole(self) -> bool:
        """Whether all are connected with all."""
        return self.links == len(self.members) * (len(self.members) - 1) // 2

    def check(self) -> None:
        """Fail where a node ended that nobody ended."""
        for member in self.members:
            if member.ended_by_itself:
                raise SystemExit(f"node {member.number} ended by itself")

    async def until(self, is_so: Callable[[], bool], within_s: float) -> float | None:
        """Seconds until something is so; nothing where that takes too long."""
        began = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
                    self.check()
                return time.monotonic() - began
        return None

    async def grow(self) -> float | None:
        """Start all; seconds until the network is whole."""
        first, *others = self.members
        await first.start()
        if await self.until(lambda: bool(first.address), START_MAX_S) is None:
            raise SystemExit("the first node does not come up")
        began = time.monotonic()
        for member in others:
            await member.start(first.address)
        # On a slow machine so many processes take longer to start than the network to form.
        whole = await self.until(lambda: self.is_whole, PERIODS_MAX * self.options.period + START_MAX_S)
        return None if whole is None else time.monotonic() - began

    async def kill_some(self) -> None:
        """Kill and restart at random, for as long, or as often, as is asked for."""
        options, ends = self.options, time.monotonic() + 60 * self.options.minutes
        restarts: set[asyncio.Task[None]] = set()
        while self.kills < options.kills if options.kills is not None else time.monotonic() < ends:
            up = [member for member in self.members if member.is_up]
            if 3 * len(up) > 2 * len(self.members):
                member = self.dice.choice(up)
                await member.kill()
                self.kills, self.last_kill = self.kills + 1, time.monotonic()
                say(options, f"{self.kills:4} killed node {member.number}; {self.links} links left")
                restart = asyncio.create_task(self._restart(member))
                restarts.add(restart)
                restart.add_done_callback(restarts.discard)
            await asyncio.sleep(self.dice.uniform(0, 2 * options.pause))
            self.check()
        await asyncio.gather(*restarts)

    async def _restart(self, member: Member) -> None:
        await asyncio.sleep(self.dice.uniform(0, self.options.down))
        first = self.members[0]
        await member.start(*([] if member is first else [first.address]))

    async def end(self) -> None:
        """Kill all that is left."""
        await asyncio.gather(*(member.kill() for member in self.members))


def say(options: argparse.Namespace, text: str) -> None:
    """Progress, for people."""
    sys.stderr.write("" if options.json else f"{text}\n")


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole course; what came of it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        # Else the nodes would stay behind.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    network = Network(options)
    try:
        grown = await network.grow()
        say(options, "not whole at the start" if grown is None else f"whole {grown:.1f} s after the start")
        await network.kill_some()
        limit = PERIODS_MAX * options.period
        left = network.last_kill + limit - time.monotonic()
        if await network.until(lambda: network.is_whole, max(left, 0.0)) is None and not network.is_whole:
            healed = None
        else:
            healed = time.monotonic() - network.last_kill
        return {
            "nodes": options.nodes,
            "period_s": options.period,
            "kills": network.kills,
            "whole_after_start_s": None if grown is None else round(grown, 1),
            "whole_after_last_kill_s": None if healed is None else round(healed, 1),
            "allowed_s": limit,
            "links": network.links,
            "links_wanted": options.nodes * (options.nodes - 1) // 2,
            "cores": os.cpu_count(),
        }
    finally:
        await network.end()


def main() -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=20)
    long = parser.add_mutually_exclusive_group()
    long.add_argument("--minutes", type=float, default=10, help="for how long nodes are killed (default: 10)")
    long.add_argument("--kills", type=int, help="how many are killed, instead")
    parser.add_argument("--period", type=int, default=120, metavar="SECONDS", help="between two records of a node (default: 120)")
    parser.add_argument("--pause", type=float, default=10, metavar="SECONDS", help="between two kills, on the average (default: 10)")
    parser.add_argument("--down", type=float, default=30, metavar="SECONDS", help="longest time until a restart (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of the dice")
    parser.add_argument("--strict", action="store_true", help="by the six rules of the proposal alone, which do not heal everything")
    parser.add_argument("--stderr", action="store_true", help="show what the nodes complain of")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    if options.nodes < 2 or options.period < 1:
        parser.error("a network has two nodes at least, and a period a second")
    try:
        result = asyncio.run(run(options))
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result["whole_after_last_kill_s"] is not None else 1


if __name__ == "__main__":
    sys.exit(main())
