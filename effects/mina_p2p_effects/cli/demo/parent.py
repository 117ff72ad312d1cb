"""The demo's parent: starts the nodes, watches them converge, verifies their logs, reports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import attrs

from mina_p2p.identity import ChainId
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.prng import Random
from mina_p2p_effects.cli.demo.data import shares_of
from mina_p2p_effects.cli.demo.protocol import Assignment, Share, peers_wanted
from mina_p2p_effects.cli.demo.report import Progress
from mina_p2p_effects.replay import replay_path, summary

LINE_BYTES_MAX = 64 * 1024 * 1024
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@attrs.frozen
class DemoOptions:
    """What a user can choose."""

    nodes_count: int
    seed: int
    timeout_s: float
    record_dir: Path
    blocks_dir: Path | None
    transactions_file: Path | None


@attrs.define
class NodeReport:
    """What the parent knows of one node."""

    number: int
    process: asyncio.subprocess.Process
    log_path: Path
    peer_id: str = ""
    address: str = ""
    latest: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """What it last said of its peers and items."""
    totals: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """What it counted, said when it stopped."""
    is_settled: bool = False
    """Whether the run is decided; that nodes leave one by one afterwards is nobody's news."""
    is_stopped: bool = False


@attrs.frozen
class Goal:
    """What every node shall have in the end."""

    transactions: int
    snarks: int
    commitments: int
    best_tip: str | None
    peers: int
    """Connections of every node."""

    @classmethod
    def of(cls, shares: list[Share], best_tip: bytes | None) -> Goal:
        """All that any node has."""
        return cls(
            len({item for share in shares for item in share.transactions}),
            len({item for share in shares for item in share.snarks}),
            len({item for share in shares for item in share.commitments}),
            None if best_tip is None else state_hash_of_block(best_tip).hex(),
            peers_wanted(len(shares)),
        )

    def is_reached(self, nodes: list[NodeReport]) -> bool:
        """Whether every node has found its peers and has everything."""
        return all(len(node.latest.get("peers", ())) >= self.peers and self._is_complete(node) for node in nodes)

    def _is_complete(self, node: NodeReport) -> bool:
        names = ("transactions", "snarks", "commitments", "best_tip")
        return all(node.latest.get(name) == getattr(self, name) for name in names)

    @property
    def items(self) -> int:
        """Items in all, a best tip counting as one."""
        return self.transactions + self.snarks + self.commitments + (self.best_tip is not None)


@attrs.frozen
class Outcome:
    """How a run went."""

    converged: bool
    seconds: float
    """From the first process's start to the moment when every node had everything."""
    goal: Goal
    nodes: list[NodeReport]
    replay: dict[str, Any]
    """What `mina_p2p_effects.replay.summary` says of all logs."""


async def run_demo(options: DemoOptions, progress: Progress) -> Outcome:
    """Run the demo to its end; a cancellation stops every process before it goes on."""
    shares, best_tip = shares_of(options.nodes_count, options.seed, options.blocks_dir, options.transactions_file)
    goal = Goal.of(shares, best_tip)
    changed = asyncio.Event()
    started = time.monotonic()
    async with _nodes(options, shares, changed) as nodes:
        progress.started(goal, nodes)
        converged = await _converged(goal, nodes, changed, options.timeout_s, progress)
        seconds = time.monotonic() - started
        for node in nodes:
            node.is_settled = True
    progress.stopped(converged=converged)
    logs = await asyncio.to_thread(replay_path, options.record_dir)
    return Outcome(converged, seconds, goal, nodes, summary(logs))


async def _converged(goal: Goal, nodes: list[NodeReport], changed: asyncio.Event, timeout_s: float, progress: Progress) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not goal.is_reached(nodes):
                if any(node.is_stopped for node in nodes):
                    return False
                changed.clear()
                await changed.wait()
                progress.moved(goal, nodes)
            return True
    return False


@contextlib.asynccontextmanager
async def _nodes(options: DemoOptions, shares: list[Share], changed: asyncio.Event) -> AsyncGenerator[list[NodeReport]]:
    """Every node's process, listening; all of them stopped at the end, whatever happens."""
    random = Random(options.seed).stream(7)
    chain_id, random = _demo_chain_id(random)
    nodes: list[NodeReport] = []
    readers: list[asyncio.Task[None]] = []
    try:
        for number, share in enumerate(shares):
            node_seed, random = random.next()
            first = nodes[0].address if nodes else None
            assignment = Assignment(
                number,
                _key_of(options.seed, number),
                node_seed,
                chain_id.hex(),
                options.nodes_count,
                first,
                str(options.record_dir / f"node-{number}.log"),
                share,
            )
            node = await _start(assignment)
            nodes.append(node)
            listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            readers.append(asyncio.create_task(_read(node, listening, changed)))
            if number == 0:
                # The others are told where this one listens; they start together.
                # Not wait_for, which Python 3.11 lets swallow a cancellation that comes together with the result.
                async with asyncio.timeout(START_TIMEOUT_S):
                    await listening
        yield nodes
    finally:
        await asyncio.shield(asyncio.ensure_future(_stop(nodes, readers)))


def _key_of(seed: int, number: int) -> str:
    """A key that the seed decides; worth nothing outside of the demo."""
    return blake2b(b"mina_p2p demo" + seed.to_bytes(8, "big") + number.to_bytes(8, "big"), digest_size=32).hexdigest()


def _demo_chain_id(random: Random) -> tuple[ChainId, Random]:
    """A chain of this run's own, so that nobody else's node on this machine answers."""
    words: list[bytes] = []
    for _ in range(4):
        word, random = random.next()
        words.append(word.to_bytes(8, "big"))
    return ChainId(b"".join(words)), random


async def _start(assignment: Assignment) -> NodeReport:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mina_p2p_effects.cli.demo.child",
        str(os.getpid()),  # for people who look at a list of processes
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        start_new_session=True,
    )
    stdin = process.stdin
    if stdin is None:
        raise RuntimeError("a process was made without a pipe")
    stdin.write(assignment.to_line().encode() + b"\n")
    with contextlib.suppress(ConnectionError):  # of a process that ended already, which is told where its output ends
        await stdin.drain()
    return NodeReport(assignment.number, process, Path(assignment.log_path))


async def _read(node: NodeReport, listening: asyncio.Future[None], changed: asyncio.Event) -> None:
    stdout = node.process.stdout
    if stdout is None:
        raise RuntimeError("a process was made without a pipe")
    while line := await stdout.readline():
        report = json.loads(line)
        event = report.pop("event")
        if event == "listening":
            node.address, node.peer_id = report["address"], report["peer_id"]
            if not listening.done():
                listening.set_result(None)
        elif event == "stopped":
            node.totals = report
        elif not node.is_settled:
            node.latest = report
        changed.set()
    node.is_stopped = True
    if not listening.done():
        listening.set_exception(RuntimeError(f"node {node.number} ended before it listened"))
        with contextlib.suppress(Exception):
            listening.exception()
    changed.set()


async def _stop(nodes: list[NodeReport], readers: list[asyncio.Task[None]]) -> None:
    for node in nodes:
        if node.process.stdin is not None:
            node.process.stdin.close()
    for node in nodes:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await node.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGKILL)
            await node.process.wait()
    await asyncio.gather(*readers, return_exceptions=True)
