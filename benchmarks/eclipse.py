"""How often an owner of many addresses eclipses a node; see docs/explanation/eclipse.md.

python benchmarks/eclipse.py                       1 000 seeds on all processors
python benchmarks/eclipse.py --seeds 50 --json     fewer, for scripts

Prints a line for each victim that ends without an honest outgoing connection. Exit code 1 where there are more than one in a hundred.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import attrs

from mina_p2p.testing.eclipse import Options, Outcome, run

ECLIPSED_PER_HUNDRED_MAX = 1


def _run(settings: Any, seed: int) -> Outcome:
    return run(Options(seed, **settings))


def summary(outcomes: list[Outcome], seconds: float) -> dict[str, float]:
    """What all of them together say."""
    count = len(outcomes)
    return {
        "seeds": count,
        "eclipsed": sum(not outcome.is_good for outcome in outcomes),
        "honest_mean": round(sum(outcome.honest for outcome in outcomes) / count, 3),
        "outgoing_mean": round(sum(outcome.honest + outcome.attacking for outcome in outcomes) / count, 3),
        "tried_honest_mean": round(sum(outcome.tried_honest for outcome in outcomes) / count, 1),
        "tried_attacking_mean": round(sum(outcome.tried_attacking for outcome in outcomes) / count, 1),
        "eclipsed_minutes_mean": round(sum(outcome.eclipsed_minutes for outcome in outcomes) / count, 1),
        "dials_mean": round(sum(outcome.dials for outcome in outcomes) / count, 1),
        "seconds": round(seconds, 1),
    }


def main() -> int:
    """Run the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1_000, help="so many (default: 1000)")
    parser.add_argument("--first", type=int, default=1, help="the first one (default: 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one for each processor)")
    parser.add_argument(
        "--json", action="store_true", help="the summary as one JSON object, with how many ended with how many honest peers"
    )
    for name in ("attackers", "attacker_networks", "honest", "honest_tellers", "hours", "restart_h", "outgoing"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Options(1), name))
    arguments = parser.parse_args()
    names = {field.name for field in attrs.fields(Options)} - {"seed", "table"}
    settings = {name: getattr(arguments, name) for name in names}
    began = time.perf_counter()
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(arguments.workers) as pool:
        for outcome in pool.map(partial(_run, settings), range(arguments.first, arguments.first + arguments.seeds)):
            outcomes.append(outcome)
            if not outcome.is_good:
                sys.stderr.write(f"eclipsed: {outcome}\n")
    found = summary(outcomes, time.perf_counter() - began)
    by_honest = {n: sum(outcome.honest == n for outcome in outcomes) for n in range(arguments.outgoing + 1)}
    if arguments.json:
        sys.stdout.write(json.dumps({**found, "by_honest": by_honest}) + "\n")
    else:
        for name, value in found.items():
            sys.stdout.write(f"{name:24} {value:>10}\n")
        sys.stdout.write(f"{'honest: how many':24} {', '.join(f'{n}: {count}' for n, count in by_honest.items())}\n")
    return int(found["eclipsed"] * 100 > ECLIPSED_PER_HUNDRED_MAX * found["seeds"])


if __name__ == "__main__":
    sys.exit(main())
