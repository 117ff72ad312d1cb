"""Run a network of nodes in virtual time, let things go wrong, and see whether it recovers.

Every node is the shipped state machine; network, clocks, faults and lying peers are simulated,
and one seed decides all of it. Safety is checked on the way; after the faults stop, all honest
nodes must come to the same pools and the same best tip.

With --faults all, each seed draws some of the kinds; a list of kinds means just these. Kinds:
latency, reordering, streams (of one connection overtake each other), duplication, loss, half-open,
partition, one-way, slow-reader, slow-writer, crash, amnesia (a crash that forgets), identity
(somebody else at an address), clock, names, liars.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND
from mina_p2p.testing.campaign import Options
from mina_p2p.testing.faults import parse_faults
from mina_p2p_effects.cli.simulate.plot import chart
from mina_p2p_effects.cli.simulate.report import Progress, campaign_json, dump, print_campaign, print_run, run_json
from mina_p2p_effects.cli.simulate.runner import Done, Job, run_job, run_jobs

SEEDS_MAX = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--nodes", type=_at_least(2), default=10, metavar="N", help="how many nodes (default: 10)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--seed", type=_at_least(0), default=None, metavar="S", help="decides everything (default: a new one, printed)")
    which.add_argument("--seeds", type=_seeds, default=None, metavar="A..B", help="run all seeds from A to B, over all cores")
    parser.add_argument("--faults", default="all", metavar="KINDS", help="a list with commas, all or none (default: all)")
    parser.add_argument("--peers", type=_at_least(1), default=20, metavar="K", help="connections a node wishes for, at most (default: 20)")
    parser.add_argument("--transactions", type=_at_least(1), default=20, metavar="T", help="transactions that spread (default: 20)")
    parser.add_argument(
        "--duration", type=_at_least(3), default=120, metavar="SECONDS", help="virtual seconds in which faults happen (default: 120)"
    )
    parser.add_argument("--check-every", type=_at_least(1), default=None, metavar="D", help="check invariants after one dispatch in D")
    parser.add_argument("--twice", action="store_true", help="run each seed twice and compare what happened")
    parser.add_argument("--jobs", type=_at_least(1), default=None, metavar="J", help="processes for --seeds (default: one per core)")
    parser.add_argument("--record", type=Path, default=None, metavar="DIR", help="write every node's log to DIR; see mina-p2p replay")
    parser.add_argument("--plot", type=Path, default=None, metavar="FILE.svg", help="draw how things spread over virtual time")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 where every seed converged without violation."""
    console = Console(stderr=arguments.json)
    progress = Progress(Console(stderr=True))
    if arguments.seeds is None:
        return _run_one(arguments, console, progress)
    if arguments.plot is not None:
        raise CallerError("--plot draws one run; give it with --seed")
    return _run_many(arguments, console, progress)


def _run_one(arguments: argparse.Namespace, console: Console, progress: Progress) -> int:
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    if not arguments.json:
        console.print(f"seed {seed}", highlight=False)
    done = run_job(_job(arguments, seed, arguments.record), progress.run)
    if arguments.plot is not None:
        arguments.plot.write_text(chart(done.outcome))
    if arguments.json:
        sys.stdout.write(dump(run_json(done)))
    else:
        print_run(console, done)
    return 0 if done.is_good else 1


def _run_many(arguments: argparse.Namespace, console: Console, progress: Progress) -> int:
    seeds: range = arguments.seeds
    processes: int = arguments.jobs or os.cpu_count() or 1
    folder: Path | None = arguments.record
    jobs = [_job(arguments, seed, None if folder is None else folder / f"seed-{seed}") for seed in seeds]
    began = time.perf_counter()
    good: list[Done] = []
    broken: list[tuple[Job, str]] = []
    for result in run_jobs(jobs, processes):
        if isinstance(result, Done):
            good.append(result)
        else:
            broken.append(result)
        if not (isinstance(result, Done) and result.is_good):
            progress.failed(result)
        failed = len(broken) + sum(not done.is_good for done in good)
        progress.seeds(len(good) + len(broken), failed, len(jobs))
    report = campaign_json(good, broken, time.perf_counter() - began, processes)
    if arguments.json:
        sys.stdout.write(dump(report))
    else:
        print_campaign(console, report)
    return 1 if report["failed"] or report["broken"] else 0


def _job(arguments: argparse.Namespace, seed: int, record_dir: Path | None) -> Job:
    options = Options(
        seed,
        arguments.nodes,
        parse_faults(arguments.faults),
        is_swarm=arguments.faults == "all",
        peers=arguments.peers,
        transactions=arguments.transactions,
        fault_duration=arguments.duration * SECOND,
        check_every=arguments.check_every or 0,
    )
    return Job(options, arguments.twice, record_dir)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def _seeds(text: str) -> range:
    first, dots, last = text.partition("..")
    try:
        seeds = range(int(first), int(last) + 1)
    except ValueError:
        seeds = range(0)
    if not dots or not seeds or seeds.start < 0 or len(seeds) > SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 1..100, of at most {SEEDS_MAX} seeds")
    return seeds
