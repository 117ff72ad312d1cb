"""What recording and replaying cost a real node: the shipped machine and the inputs of a simulated network.

    python benchmarks/node_log.py [--json] [--rounds N]

``benchmarks/log.py`` measures with a machine that does next to nothing, so that what logs cost shows
as clearly as it can. Here the same inputs are dispatched by the machine of a node, without an
observer, with a recorder, and from the log that the simulator wrote. All run interleaved; times
are CPU times of the whole process, with the recorder's thread. Replaying is measured twice more by
the clock on the wall, in one process and in as many as `replay_path` chooses, so nothing else may
run meanwhile where those numbers are to mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

from mina_p2p.ids import Timestamp
from mina_p2p.store import Store
from mina_p2p.trace import machine_named
from mina_p2p_effects.cli import main as command
from mina_p2p_effects.logs import open_session
from mina_p2p_effects.recorder import Recorder
from mina_p2p_effects.replay import replay_path

MACHINE = machine_named("mina_p2p")
NETWORK = ["--nodes", "6", "--seed", "5", "--faults", "none", "--duration", "60", "--transactions", "2000"]
RECORDING_TARGET, RECORDING_AIM = 0.70, 0.75
REPLAY_TARGET = 1.0


class Run:
    """The inputs of one node's log, in three ways."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._numbers = count()
        with open_session(path) as session:
            self._state = session.state_at(-1)
            self.actions = session.count
            self.inputs: list[tuple[Any, Timestamp]] = [
                (action, Timestamp(now))
                for _, _, found in session.blocks()
                for action, now in zip(found.records.inputs, found.records.times, strict=True)
            ]
        self.bytes = path.stat().st_size

    def live(self) -> None:
        """Without an observer."""
        self._feed(Store(MACHINE.machine, self._state))

    def recorded(self) -> None:
        """With a recorder that writes a file on its thread."""
        store = Store(MACHINE.machine, self._state)
        recorder = Recorder(self._folder / f"{next(self._numbers)}.log", MACHINE.machine, "mina_p2p", self._state, schema=MACHINE.schema)
        recorder.attach(store)
        self._feed(store)
        recorder.close()
        if recorder.missed_inputs:
            raise SystemExit(f"{recorder.missed_inputs} inputs were not recorded")

    def replayed(self, jobs: int | None = 1) -> None:
        """From the file, with everything compared, in so many processes."""
        (log,) = replay_path(self._path, jobs=jobs)
        if not log.is_verified or log.result is None or log.result.actions != self.actions:
            raise SystemExit(f"the log is not verified: {log}")

    def _feed(self, store: Store[Any]) -> None:
        for action, now in self.inputs:
            store.dispatch(action, now)
        if store.state.clock.last_action_id != self.actions:
            raise SystemExit("the inputs led elsewhere than recorded")


def spent(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds of this process, and of the clock on the wall."""
    start, began = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - start, time.perf_counter() - began


def measure(rounds: int) -> dict[str, Any]:
    """Measure everything; the result as JSON."""
    with tempfile.TemporaryDirectory(prefix="mina-p2p-node-log-") as name:
        with redirect_stdout(StringIO()):
            if command(["simulate", *NETWORK, "--record", f"{name}/logs", "--json"]):
                raise SystemExit("the network did not come to rest")
        run = Run(max(Path(name, "logs").iterdir(), key=lambda path: path.stat().st_size), Path(name))
        ways = {"live": run.live, "recorded": run.recorded, "replayed": run.replayed, "shared": partial(run.replayed, None)}
        best, walls = dict.fromkeys(ways, 1e9), dict.fromkeys(ways, 1e9)
        for _ in range(rounds):
            for way, take in ways.items():
                cpu, wall = spent(take)
                best[way], walls[way] = min(best[way], cpu), min(walls[way], wall)
    del best["shared"]  # the others' share of it is not in there
    inputs = len(run.inputs)
    recorded, replayed = best["live"] / best["recorded"], best["live"] / best["replayed"]
    return {
        "python": platform.python_version(),
        "inputs": inputs,
        "actions": run.actions,
        **{f"{way} us per input": round(1e6 * seconds / inputs, 2) for way, seconds in best.items()},
        "recording costs in %": round(100 * (1 - recorded), 1),
        "recording target met": recorded >= RECORDING_TARGET,
        "recording aim met": recorded >= RECORDING_AIM,
        "replayed ratio": round(replayed, 3),
        "replay target met": replayed >= REPLAY_TARGET,
        "replayed ratio by the wall": {
            "1 process": round(walls["live"] / walls["replayed"], 3),
            f"as replay_path chooses, {len(os.sched_getaffinity(0))} processors": round(walls["live"] / walls["shared"], 3),
        },
        "bytes per action": round(run.bytes / run.actions, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="of each the best of N counts (default: %(default)s)")
    options = parser.parse_args()
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:<24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
