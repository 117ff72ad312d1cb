"""How long it takes to open a long log, to jump to any action in it with the state there, and to replay it whole.

    python benchmarks/seek.py [--json] [--actions N] [--peers N]

Records a run of the machine of ``benchmarks/log.py``, opens the log as a session, and jumps to
actions drawn at random: once each in a session that knows nothing yet, and in one that is kept
open. A jump makes the state behind the action, by replaying from the nearest checkpoint.

Replaying compares every action; beside it stands dispatching the same inputs without a recorder and
without any I/O. Logs can be cut at their checkpoints, so several processes share one. Times are of the
clock on the wall, so nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from log import MACHINE, SCHEMA, feed, initial

from mina_p2p.store import Machine, Store
from mina_p2p.trace import register_machine
from mina_p2p_effects.logs import open_session
from mina_p2p_effects.recorder import Recorder
from mina_p2p_effects.replay import replay_path

TARGET_SECONDS = 1.0
JUMPS = 40
FRESH = 10


def machine() -> Machine[Any]:
    """The machine, where other processes find it."""
    return MACHINE


def live(inputs: int, peers: int) -> float:
    """Inputs per second without a recorder."""
    store = Store(MACHINE, initial(peers))
    start = time.perf_counter()
    feed(store, inputs, peers)
    return inputs / (time.perf_counter() - start)


def replayed(path: Path, jobs: int) -> float:
    """Inputs per second of a replay that verifies everything."""
    start = time.perf_counter()
    (log,) = replay_path(path, jobs=jobs)
    spent = time.perf_counter() - start
    if log.result is None or not log.is_verified:
        raise SystemExit(f"the log is not verified: {log}")
    return log.result.inputs / spent


def record(path: Path, actions: int, peers: int) -> float:
    """Write the log; seconds."""
    start = time.perf_counter()
    store = Store(MACHINE, initial(peers))
    recorder = Recorder(path, MACHINE, "benchmark", store.state, schema=SCHEMA)
    recorder.attach(store)
    while store.state.clock.last_action_id < actions:
        feed(store, min(50_000, (actions - store.state.clock.last_action_id + 1) // 2), peers)
        recorder.settle()
    recorder.close()
    if recorder.missed_inputs:
        raise SystemExit(f"{recorder.missed_inputs} inputs were not recorded")
    return time.perf_counter() - start


def jump(session: Any, position: int) -> float:
    """Seconds until the action and the state behind it are there."""
    start = time.perf_counter()
    row, state = session.action(position), session.state_at(position)
    spent = time.perf_counter() - start
    if row.position == row.root + row.size - 1 and state.clock.last_action_id != row.action_id:
        raise SystemExit(f"the state at {position} is that of action {state.clock.last_action_id}")
    return spent


def measure(actions: int, peers: int) -> dict[str, Any]:
    """Measure everything; the result as JSON."""
    register_machine("benchmark", machine)
    jobs = os.cpu_count() or 1
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="mina-p2p-seek-") as name:
        path = Path(name) / "long.log"
        recording = record(path, actions, peers)
        opening: list[float] = []
        fresh: list[float] = []
        for _ in range(FRESH):
            start = time.perf_counter()
            with open_session(path) as session:
                opening.append(time.perf_counter() - start)
                fresh.append(opening[-1] + jump(session, dice.randrange(session.count)))
        with open_session(path) as session:
            count = session.count
            kept = [jump(session, dice.randrange(count)) for _ in range(JUMPS)]
            last = dice.randrange(count // 2, count)
            jump(session, last)
            back = [jump(session, last - step) for step in range(1, 100)]
        size = path.stat().st_size
        inputs = min(actions // 2, 200_000)
        before = live(inputs, peers)
        alone, shared = replayed(path, 1), replayed(path, jobs)
        rate = (before + live(inputs, peers)) / 2
    return {
        "python": platform.python_version(),
        "actions": count,
        "peers": peers,
        "bytes": size,
        "bytes per action": round(size / count, 2),
        "recorded in s": round(recording, 1),
        "opened in s": round(max(opening), 4),
        "opened and jumped in s": {"median": round(sorted(fresh)[FRESH // 2], 3), "worst": round(max(fresh), 3)},
        "jumped in s": {"median": round(sorted(kept)[JUMPS // 2], 3), "worst": round(max(kept), 3)},
        "one action back in ms": {"median": round(1e3 * sorted(back)[50], 3), "worst": round(1e3 * max(back), 3)},
        "live inputs/s": round(rate),
        "replay of the live rate": {"1 process": round(alone / rate, 2), f"{jobs} processes": round(shared / rate, 2)},
        "peak memory in MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "target met": max(fresh + kept) <= TARGET_SECONDS,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--actions", type=int, default=10_000_000, metavar="N", help="how long the log is (default: %(default)s)")
    parser.add_argument("--peers", type=int, default=1_000, metavar="N", help="how large the state is (default: %(default)s)")
    options = parser.parse_args()
    result = measure(options.actions, options.peers)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:<24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
