"""Run networks that find themselves by address gossip, in virtual time: growth, newcomers, returns, partition, churn.

Every node is the shipped state machine and knows the first node only; network and clocks are simulated, and one seed decides
all of it. Each stage has to be well within so many rounds of 120 s (spec: address-gossip 4.2):

  growth, newcomer, return   all connected with all, in networks of up to 120 nodes
  few connections            the same network again, and larger ones: one component, each node with 8 to 24 connections
  restart of the first       it comes back and knows nobody
  partition and heal         two halves are apart for a quarter of an hour
  churn                      30 % of the nodes are replaced each minute, for an hour
  quiet                      after the life of a record: still well, and nothing is left of nodes that are gone

Many seeds (--seeds 1..1000) run over all cores, or on Ray or Dask (--executor); --resume keeps what is done, for when they are
interrupted. A seed that fails is printed as the command that shows it again.

Exit codes: 0 all is well; 1 some seed failed; 2 the arguments make no sense.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from mina_p2p.errors import CallerError
from mina_p2p.testing.lifetimes import Life, Options
from mina_p2p_effects.campaigns.executors import EXECUTORS, Place
from mina_p2p_effects.campaigns.ledger import LineLedger, settings_of
from mina_p2p_effects.campaigns.lifetimes import Lived, live, live_alone
from mina_p2p_effects.campaigns.runner import Broken
from mina_p2p_effects.cli.arguments import SEED_MAX, whole
from mina_p2p_effects.cli.console import Console
from mina_p2p_effects.cli.simulate.report import dump
from mina_p2p_effects.cli.simulate_command import seed_range

SAY_EVERY_S = 2.0
FAILED_SHOWN_MAX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--nodes", type=whole(3), default=10, metavar="N", help="how many nodes (default: 10)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--seed", type=whole(0, SEED_MAX), default=None, metavar="S", help="decides everything (default: a new one, printed)"
    )
    which.add_argument("--seeds", type=seed_range, default=None, metavar="A..B", help="run all seeds from A to B, over all cores")
    parser.add_argument(
        "--churn", type=whole(0), default=60, metavar="MINUTES", help="for how long nodes are replaced (default: 60 virtual minutes)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="by the six rules of the proposal alone, which do not heal everything: some stages fail"
    )
    parser.add_argument("--check-every", type=whole(1), default=None, metavar="D", help="check invariants after one dispatch in D")
    parser.add_argument("--jobs", type=whole(1), default=None, metavar="J", help="processes for --seeds (default: one per core)")
    parser.add_argument("--executor", choices=tuple(EXECUTORS), default="local", help="what runs --seeds (default: this machine's cores)")
    parser.add_argument("--cluster", default=None, metavar="ADDRESS", help="a Ray or Dask cluster that runs already (default: begin one)")
    parser.add_argument(
        "--resume", type=Path, default=None, metavar="FILE", help="keep results of --seeds in FILE, and leave out what it holds"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 where every stage of every seed was well in time."""
    errors = Console(stderr=True)
    if arguments.seeds is None:
        if arguments.executor != "local" or arguments.cluster is not None or arguments.resume is not None:
            raise CallerError("--executor, --cluster and --resume are for many seeds; give them with --seeds")
        return _run_one(arguments, errors)
    return _run_many(arguments, errors)


def _options(arguments: argparse.Namespace, seed: int) -> Options:
    return Options(seed, arguments.nodes, arguments.churn, is_strict=arguments.strict, check_every=arguments.check_every or 0)


def _run_one(arguments: argparse.Namespace, errors: Console) -> int:
    options = _options(arguments, secrets.randbits(32) if arguments.seed is None else arguments.seed)
    pace = _Pace()

    def progress(life: Life, what: str) -> None:
        if pace.is_time():
            errors.print(f"{what}: {life.trace.actions:,} actions so far", highlight=False)

    lived = live(options, progress)
    if arguments.json:
        sys.stdout.write(dump(life_json(lived, options)))
    else:
        _print_life(Console(), lived, options)
    return 0 if lived.is_good else 1


def _run_many(arguments: argparse.Namespace, errors: Console) -> int:
    jobs = [_options(arguments, seed) for seed in arguments.seeds]
    ledger = None
    if arguments.resume is not None:
        ledger = LineLedger(arguments.resume, settings_of(jobs[0]), Lived, lambda lived: lived.outcome.seed)
    all_lived = [] if ledger is None else [ledger.entries[job.seed] for job in jobs if job.seed in ledger.entries]
    known = {lived.outcome.seed for lived in all_lived}
    left = [job for job in jobs if job.seed not in known]
    began, pace, broken = time.perf_counter(), _Pace(), list[Broken[Options]]()
    for result in EXECUTORS[arguments.executor](live_alone, left, Place(arguments.jobs, arguments.cluster)) if left else ():
        if isinstance(result, Broken):
            broken.append(result)
        else:
            all_lived.append(result)
            if ledger is not None:
                ledger.put(result)
        if not result.is_good:
            errors.print(f"failed: {_failure(result)}", highlight=False, soft_wrap=True, markup=False)
        done = len(all_lived) + len(broken)
        if pace.is_time() or done == len(jobs):
            failed = len(broken) + sum(not lived.is_good for lived in all_lived)
            errors.print(f"{done} of {len(jobs)} seeds, {failed} failed", highlight=False)
    report = lives_json(all_lived, broken, jobs[0], time.perf_counter() - began)
    if arguments.json:
        sys.stdout.write(dump(report))
    else:
        _print_lives(Console(), report)
    return 1 if report["failed"] or report["broken"] else 0


class _Pace:
    """Says when it is time to say something."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def is_time(self) -> bool:
        now = time.monotonic()
        if now - self._said_at < SAY_EVERY_S:
            return False
        self._said_at = now
        return True


def command_of(options: Options) -> str:
    """The command that runs that seed again."""
    more = " --strict" * options.is_strict + (f" --check-every {options.check_every}" if options.check_every else "")
    return f"mina-p2p simulate-gossip --nodes {options.nodes} --seed {options.seed} --churn {options.churn_minutes}{more}"


def _failure(result: Lived | Broken[Options]) -> str:
    if isinstance(result, Broken):
        return f"{command_of(result.job)}: {result.error.strip().splitlines()[-1]}"
    outcome = result.outcome
    bad = [f"{stage.name}: {'; '.join(stage.lacks) or stage.rounds}" for stage in outcome.stages if not stage.is_good]
    return f"seed {outcome.seed}: {', '.join([*outcome.violations, *bad])}"


def life_json(lived: Lived, options: Options) -> dict[str, Any]:
    """One life, for ``--json``."""
    outcome = lived.outcome
    return {
        "seed": outcome.seed,
        "nodes": outcome.nodes,
        "is_good": outcome.is_good,
        "stages": [
            {"name": stage.name, "rounds": stage.rounds, "rounds_max": stage.rounds_max, "lacks": list(stage.lacks)}
            for stage in outcome.stages
        ],
        "violations": list(outcome.violations),
        "trace_hash": outcome.trace_hash,
        "actions": outcome.actions,
        "virtual_seconds": round(outcome.virtual_seconds, 3),
        "real_seconds": lived.real_seconds,
        "command": command_of(options.replace(seed=outcome.seed)),
    }


def lives_json(all_lived: Sequence[Lived], broken: Sequence[Broken[Options]], options: Options, real_seconds: float) -> dict[str, Any]:
    """Many lives as one report: for each stage how many rounds it took, and the lives that failed whole."""
    by_seed = sorted(all_lived, key=lambda lived: lived.outcome.seed)
    return {
        "seeds": len(by_seed) + len(broken),
        "nodes": options.nodes,
        "churn_minutes": options.churn_minutes,
        "stages": _stages_json(by_seed),
        "actions": sum(lived.outcome.actions for lived in by_seed),
        "virtual_seconds": round(sum(lived.outcome.virtual_seconds for lived in by_seed), 3),
        "real_seconds": round(real_seconds, 3),
        "run_seconds": round(sum(lived.real_seconds for lived in by_seed), 3),
        "failed": [life_json(lived, options) for lived in by_seed if not lived.is_good],
        "broken": [{"seed": one.job.seed, "error": one.error, "command": command_of(one.job)} for one in broken],
    }


def _stages_json(by_seed: Sequence[Lived]) -> list[dict[str, Any]]:
    rounds: dict[tuple[str, float], list[float | None]] = {}
    for lived in by_seed:
        for stage in lived.outcome.stages:
            rounds.setdefault((stage.name, stage.rounds_max), []).append(stage.rounds)
    found: list[dict[str, Any]] = []
    for (name, rounds_max), took in rounds.items():
        known = sorted(each for each in took if each is not None)
        middle, most = (known[len(known) // 2], known[-1]) if known else (None, None)
        row = {"name": name, "rounds_median": middle, "rounds_worst": most, "rounds_max": rounds_max, "never": len(took) - len(known)}
        found.append(row)
    return found


def _print_life(console: Console, lived: Lived, options: Options) -> None:
    outcome = lived.outcome
    table = Table("stage", "rounds", "at most", "lacks", title=f"{outcome.nodes} nodes, seed {outcome.seed}")
    for stage in outcome.stages:
        rounds = "never" if stage.rounds is None else f"{stage.rounds:.3f}"
        table.add_row(stage.name, rounds, f"{stage.rounds_max:g}", "\n".join(stage.lacks[:FAILED_SHOWN_MAX]))
    console.print(table)
    for violation in outcome.violations:
        console.print(violation, highlight=False, soft_wrap=True, markup=False)
    console.print(f"{outcome.actions:,} actions, {outcome.virtual_seconds:,.0f} s virtual in {lived.real_seconds:,.0f} s", highlight=False)
    if not lived.is_good:
        console.print(f"to see it again: {command_of(options)}", highlight=False, soft_wrap=True)


def _print_lives(console: Console, report: dict[str, Any]) -> None:
    table = Table("stage", "median", "worst", "at most", "never", title=f"{report['seeds']} seeds of {report['nodes']} nodes, in rounds")
    for row in report["stages"]:
        table.add_row(row["name"], *(str(row[name]) for name in ("rounds_median", "rounds_worst", "rounds_max", "never")))
    console.print(table)
    failed = [*report["failed"], *report["broken"]]
    console.print(
        f"{len(failed)} of {report['seeds']} failed; {report['actions']:,} actions, {report['virtual_seconds']:,.0f} s virtual "
        f"in {report['real_seconds']:,.0f} s",
        highlight=False,
    )
    for one in failed[:FAILED_SHOWN_MAX]:
        console.print(one["command"], highlight=False, soft_wrap=True)
