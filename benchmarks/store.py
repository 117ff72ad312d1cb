"""Actions per second through the full store, beside other stores and a mutable floor.

    python benchmarks/store.py [--json] [--quick]

``support/stores.py`` says what one step is and what each contender does for it. All run
interleaved in one go; the README beside this file says how to read the result.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from support import stores
from support.redux import Redux
from support.rounds import Contender, Lane, UnavailableError, interleave

SIZES = (10, 1_000, 10_000)
OURS = "mina_p2p"
PYTHON_REDUX = "python-redux"
JS_TEXT = "redux (JS), spreads, peers by text id"
JS_SPREAD = "redux (JS), spreads, peers by number"
JS_IMMUTABLE = "redux (JS), immutable.js"
FLOOR = "mutable floor"


def contenders(redux: Redux) -> dict[str, Callable[[int], Contender]]:
    """Every contender by name, as a function of the number of peers."""
    return {
        OURS: stores.mina_p2p,
        FLOOR: stores.mutable_floor,
        PYTHON_REDUX: stores.python_redux,
        "pydux": stores.pydux,
        JS_TEXT: lambda peers: redux.contender("text", peers),
        JS_SPREAD: lambda peers: redux.contender("spread", peers),
        JS_IMMUTABLE: lambda peers: redux.contender("immutable", peers),
    }


def run(sizes: tuple[int, ...], rounds: int, seconds: float) -> dict[str, Any]:
    """Measure everything; the result as JSON."""
    lanes: dict[tuple[str, int], Lane] = {}
    missing: dict[str, str] = {}
    redux = Redux()
    try:
        for size in sizes:
            for name, make in contenders(redux).items():
                try:
                    lanes[name, size] = Lane(f"{name}, {size} peers", make(size), seconds, 1_000_000)
                except UnavailableError as error:
                    missing[name] = str(error)
        interleave(list(lanes.values()), rounds)
        rows = [_row(lanes, name, sizes) for name in contenders(redux) if name not in missing]
    finally:
        redux.close()
    return {
        "benchmark": "store",
        "machine": _machine(),
        "rounds": rounds,
        "seconds_per_sample": seconds,
        "actions_per_second": rows,
        "missing": missing,
        "targets": _targets(lanes, sizes),
    }


def _row(lanes: dict[tuple[str, int], Lane], name: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    return {
        "store": name,
        "by_peers": {
            str(size): {
                "median": round(lanes[name, size].rate * stores.ACTIONS_PER_MESSAGE),
                "lowest": round(min(lanes[name, size].rates) * stores.ACTIONS_PER_MESSAGE),
                "highest": round(max(lanes[name, size].rates) * stores.ACTIONS_PER_MESSAGE),
                "mina_p2p_is_times_as_fast": round(lanes[OURS, size].ratio_to(lanes[name, size]), 3),
            }
            for size in sizes
        },
    }


def _targets(lanes: dict[tuple[str, int], Lane], sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def target(what: str, ours: tuple[str, int], other: tuple[str, int], at_least: float, aim: float | None = None) -> None:
        if other in lanes:
            ratio = lanes[ours].ratio_to(lanes[other])
            found.append({"target": what, "at_least": at_least, "aim": aim, "measured": round(ratio, 3), "met": ratio >= at_least})
        else:
            found.append({"target": what, "at_least": at_least, "aim": aim, "measured": None, "met": None})

    for size in sizes:
        target(f"times python-redux, {size} peers", (OURS, size), (PYTHON_REDUX, size), 3.5, 4.5)
    for size in sizes:
        target(f"times JS redux, peers by text id, {size} peers", (OURS, size), (JS_TEXT, size), 1.0)
    for size in sizes:
        target(f"times JS redux, peers by number, {size} peers", (OURS, size), (JS_SPREAD, size), 1.0)
    for size in sizes:
        target(f"times the mutable floor, {size} peers (at most 3 times slower)", (OURS, size), (FLOOR, size), 1 / 3, 1 / 2)
    if {10, 10_000} <= set(sizes):
        target("10000 peers, times the rate of 10", (OURS, 10_000), (OURS, 10), 0.6, 0.7)
    return found


def _machine() -> dict[str, Any]:
    versions = {}
    for package in ("attrs", "immutables", "python-redux", "pydux"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    try:
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        node = None
    return {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count(), "node": node, **versions}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    sizes = list(next(iter(result["actions_per_second"]))["by_peers"])
    lines = [f"{'actions per CPU second (mina_p2p is x times as fast)':56}" + "".join(f"{size + ' peers':>24}" for size in sizes)]
    for row in result["actions_per_second"]:
        cells = (row["by_peers"][size] for size in sizes)
        lines.append(f"{row['store']:56}" + "".join(f"{c['median']:>14,}  ({c['mina_p2p_is_times_as_fast']:6.2f})" for c in cells))
    lines += [f"{name:56}{'not measured: ' + why}" for name, why in result["missing"].items()]
    lines.append("")
    for target in result["targets"]:
        verdict = {True: "met", False: "MISSED", None: "not measured"}[target["met"]]
        measured = "-" if target["measured"] is None else f"{target['measured']:.2f}"
        aim = f" (aim {target['aim']:.2f})" if target["aim"] else ""
        lines.append(f"{target['target']:62}{measured:>8}   at least {target['at_least']:.2f}{aim}: {verdict}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Actions per second through the full store, beside other stores.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: 3 short rounds")
    options = parser.parse_args(arguments)
    rounds, seconds = (3, 0.03) if options.quick else (11, 0.2)
    result = run(SIZES, rounds, seconds)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
