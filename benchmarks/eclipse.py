"""How often an owner of many addresses eclipses a node; see docs/explanation/eclipse.md.

python benchmarks/eclipse.py                       1 000 seeds on all processors
python benchmarks/eclipse.py --seeds 50 --json     fewer, for scripts
python benchmarks/eclipse.py --resume FILE         keep what is done in FILE, and go on from there

Prints a line for each victim that ends without an honest outgoing connection, or whose seed has no end. Exit code 1 where there are more
than one in a hundred of these.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

import attrs

from mina_p2p.errors import CallerError
from mina_p2p.testing.eclipse import Options, Outcome, run
from mina_p2p_effects.campaigns.executors import EXECUTORS, Place
from mina_p2p_effects.campaigns.ledger import LineLedger, settings_of
from mina_p2p_effects.campaigns.runner import Broken
from mina_p2p_effects.cli.arguments import whole

ECLIPSED_PER_HUNDRED_MAX = 1
SAY_EVERY_S = 10.0


def run_alone(options: Options) -> Outcome | Broken[Options]:
    """One seed among many; it always has a result."""
    try:
        return run(options)
    except Exception:  # noqa: BLE001 - whatever it is, it belongs in the report, and the other seeds go on
        return Broken(options, traceback.format_exc())


def summary(outcomes: list[Outcome], broken: int, seconds: float) -> dict[str, float]:
    """What all of them together say."""
    count = max(1, len(outcomes))
    return {
        "seeds": len(outcomes) + broken,
        "eclipsed": sum(not outcome.is_good for outcome in outcomes),
        "broken": broken,
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
    parser.add_argument("--seeds", type=whole(1), default=1_000, metavar="N", help="so many (default: 1000)")
    parser.add_argument("--first", type=whole(0), metavar="S", default=1, help="the first one (default: 1)")
    parser.add_argument("--jobs", type=whole(1), default=None, metavar="J", help="processes (default: one for each processor)")
    parser.add_argument("--resume", type=Path, default=None, metavar="FILE", help="keep results in FILE, and leave out what it holds")
    parser.add_argument(
        "--json", action="store_true", help="the summary as one JSON object, with how many ended with how many honest peers"
    )
    for name in ("attackers", "attacker_networks", "honest", "honest_tellers", "hours", "restart_h", "outgoing"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Options(1), name))
    arguments = parser.parse_args()
    names = {field.name for field in attrs.fields(Options)} - {"seed", "table"}
    settings = {name: getattr(arguments, name) for name in names}
    wanted = [Options(seed, **settings) for seed in range(arguments.first, arguments.first + arguments.seeds)]
    try:
        ledger = None if arguments.resume is None else LineLedger(arguments.resume, settings_of(wanted[0]), Outcome, lambda one: one.seed)
    except CallerError as error:
        parser.error(str(error))
    known = {} if ledger is None else ledger.entries
    outcomes = [known[options.seed] for options in wanted if options.seed in known]
    left = [options for options in wanted if options.seed not in known]
    began = said_at = time.perf_counter()
    broken = 0
    for result in EXECUTORS["local"](run_alone, left, Place(arguments.jobs)) if left else ():
        if isinstance(result, Broken):
            broken += 1
            sys.stderr.write(f"broken: seed {result.job.seed}: {result.error}\n")
            continue
        outcomes.append(result)
        if ledger is not None:
            ledger.put(result)
        if not result.is_good:
            sys.stderr.write(f"eclipsed: {result}\n")
        if time.perf_counter() - said_at > SAY_EVERY_S:
            said_at = time.perf_counter()
            bad = sum(not outcome.is_good for outcome in outcomes)
            sys.stderr.write(f"{len(outcomes) + broken} of {len(wanted)} seeds, {bad} eclipsed\n")
    found = summary(outcomes, broken, time.perf_counter() - began)
    by_honest = {n: sum(outcome.honest == n for outcome in outcomes) for n in range(arguments.outgoing + 1)}
    if arguments.json:
        sys.stdout.write(json.dumps({**found, "by_honest": by_honest}) + "\n")
    else:
        for name, value in found.items():
            sys.stdout.write(f"{name:24} {value:>10}\n")
        sys.stdout.write(f"{'honest: how many':24} {', '.join(f'{n}: {count}' for n, count in by_honest.items())}\n")
    return int((found["eclipsed"] + found["broken"]) * 100 > ECLIPSED_PER_HUNDRED_MAX * found["seeds"])


if __name__ == "__main__":
    sys.exit(main())
