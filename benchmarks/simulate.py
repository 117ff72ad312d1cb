"""How fast whole networks are simulated: actions per second, and simulated over real time.

    python benchmarks/simulate.py [--json] [--quick | --full]

Every node is the shipped state machine, every frame is encoded and decoded, and nothing goes wrong.
*Coming up* is from the first dial until every node has four ready connections of the twenty that it
wishes for; *settling* is from there until all pools and all tips are equal, and something new has
reached everybody. Times are CPU times of one process. ``--full`` lets a thousand nodes settle on a
hundred transactions too, which takes many minutes.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time
from typing import Any

import attrs

from mina_p2p.testing.campaign import Options, Run
from mina_p2p.testing.health import has_come_up
from mina_p2p.testing.stock import stock
from mina_p2p_effects.campaigns.runner import rare_collections

SEED = 1
UP_SECONDS_MAX = 10.0
UP_ACTIONS_PER_NODE_MAX = 600
TARGET_NODES = 1_000


@attrs.frozen
class Case:
    """One network."""

    nodes: int
    transactions: int
    settles: bool
    """Whether it goes on after coming up."""
    is_checked: bool = False
    """Whether the invariants are checked as in a campaign."""

    @property
    def name(self) -> str:
        """What a row is called."""
        what = f"settle on {self.transactions} transactions" if self.settles else "come up"
        return f"{self.nodes:,} nodes {what}" + (", checked" if self.is_checked else "")


QUICK = (Case(10, 20, settles=True), Case(100, 20, settles=False))
USUAL = (
    Case(10, 20, settles=True),
    Case(10, 20, settles=True, is_checked=True),
    Case(100, 20, settles=True),
    Case(1_000, 20, settles=False),
)
FULL = (*USUAL, Case(1_000, 100, settles=True))


def measure(case: Case) -> dict[str, Any]:
    """Run one network; a row of the result."""
    options = Options(SEED, case.nodes, transactions=case.transactions)
    # Items are made once for all runs with so many; that is not what is measured.
    list(stock(case.transactions).tips)
    began = time.process_time()
    with rare_collections() as collect:
        run = Run(options, is_checked=case.is_checked)
        while run.up_at is None and run.advance():
            collect()
        assert has_come_up(run.world), "the network did not come up"
        up_seconds = time.process_time() - began
        while case.settles and run.advance():
            collect()
        seconds = time.process_time() - began
    outcome = run.outcome()
    assert not case.settles or outcome.is_good, outcome.missing
    return {
        "case": case.name,
        "nodes": case.nodes,
        "up_cpu_seconds": round(up_seconds, 2),
        "up_actions_per_node": None if run.up_actions is None else round(run.up_actions / case.nodes, 1),
        "actions": outcome.actions,
        "cpu_seconds": round(seconds, 2),
        "actions_per_second": round(outcome.actions / seconds),
        "virtual_seconds": round(outcome.virtual_seconds, 2),
        "simulated_over_real": round(outcome.virtual_seconds / seconds, 3),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a thousand nodes must keep to when they come up."""
    found = [row for row in rows if row["nodes"] == TARGET_NODES][:1]
    return [
        {"target": target, "at_most": bound, "measured": row[key], "met": row[key] <= bound}
        for row in found
        for target, key, bound in (
            (f"CPU seconds in which {TARGET_NODES:,} nodes come up", "up_cpu_seconds", UP_SECONDS_MAX),
            ("actions per node for that", "up_actions_per_node", UP_ACTIONS_PER_NODE_MAX),
        )
    ]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'':42}{'up: CPU s':>10}{'actions/node':>14}{'CPU s':>9}{'actions/s':>11}{'virtual s':>11}{'sim/real':>10}{'MB':>7}"]
    lines += [
        f"{row['case']:42}{row['up_cpu_seconds']:>10.2f}{row['up_actions_per_node']:>14,.0f}{row['cpu_seconds']:>9.2f}"
        f"{row['actions_per_second']:>11,}{row['virtual_seconds']:>11.2f}{row['simulated_over_real']:>10.3f}{row['peak_memory_mb']:>7,}"
        for row in result["rows"]
    ]
    for target in result["targets"]:
        verdict = "met" if target["met"] else "MISSED"
        lines.append(f"{target['target']:62}{target['measured']:>8.1f}   at most {target['at_most']}: {verdict}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast whole networks are simulated.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small networks only")
    size.add_argument("--full", action="store_true", help="with a thousand nodes that settle on a hundred transactions")
    options = parser.parse_args(arguments)
    rows = [measure(case) for case in (QUICK if options.quick else FULL if options.full else USUAL)]
    machine = {"python": platform.python_version(), "platform": platform.platform()}
    result = {"benchmark": "simulate", "machine": machine, "rows": rows, "targets": targets(rows)}
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
