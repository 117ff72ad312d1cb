"""Search for inputs that break a promise, in every decoder and in the state machine.

Decoders are fed with valid encodings, mutated: they must return a value or raise the error that
they declare, write again what they read, and take no more memory and time than the input
justifies. The state machine is fed with events, commands and time, honest and hostile: no
invariant may break, what is refused may change nothing, and everything must be repeatable.
Inputs that reach new code are kept and mutated further.

What is found is reduced to the least that shows it, and written to --findings: as a log for
mina-p2p replay and its relatives, or as the bytes; --replay FILE runs such a file again. With
--jobs 1, one seed and --rounds, two runs do the same; --minutes alone bounds the time.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, shortened, whole
from mina_p2p_effects.cli.console import Console
from mina_p2p_effects.fuzzing.engine import Plan, matching
from mina_p2p_effects.fuzzing.engine import run as run_plan
from mina_p2p_effects.fuzzing.findings import replay_finding
from mina_p2p_effects.fuzzing.show import Progress, as_json, print_report

MINUTES_DEFAULT = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--minutes", type=_positive, default=None, metavar="M", help="how long (default: 1, or no bound with --rounds)")
    parser.add_argument("--rounds", type=whole(1), default=None, metavar="R", help="stop after R turns of each target")
    parser.add_argument(
        "--seed", type=whole(0, SEED_MAX), default=None, metavar="S", help="decides everything (default: a new one, printed)"
    )
    parser.add_argument("--jobs", type=whole(1), default=None, metavar="J", help="processes, seeded S, S+1, ... (default: one per core)")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="PATTERN",
        help="search only what matches, such as machine.* or wire.*; may be repeated",
    )
    parser.add_argument(
        "--corpus", type=directory, default=None, metavar="DIR", help="begin with the inputs in DIR, and keep new ones there"
    )
    parser.add_argument(
        "--findings",
        type=directory,
        default=Path("fuzz-findings"),
        metavar="DIR",
        help="where findings are written (default: fuzz-findings)",
    )
    parser.add_argument("--replay", type=Path, default=None, metavar="FILE", help="run the file of a finding again, and nothing else")
    parser.add_argument("--list", action="store_true", help="name the targets, and do nothing else")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 where nothing was found, 1 where something was."""
    if arguments.list:
        sys.stdout.write("".join(f"{name}\n" for name in matching(arguments.target)))
        return 0
    if arguments.replay is not None:
        return _replay(arguments.replay, arguments.target)
    seed: int = secrets.randbits(32) if arguments.seed is None else arguments.seed
    minutes: float | None = arguments.minutes
    if minutes is None and arguments.rounds is None:
        minutes = MINUTES_DEFAULT
    seconds = None if minutes is None else 60 * minutes
    plan = Plan(seed, matching(arguments.target), seconds, arguments.rounds, arguments.corpus, arguments.findings)
    jobs: int = arguments.jobs or os.cpu_count() or 1
    progress_console = Console(stderr=True)
    if not arguments.json:
        progress_console.print(f"seed {seed}, {len(plan.targets)} targets, {jobs} processes", highlight=False)
    with Progress(progress_console, seconds) as progress:
        report = run_plan(plan, progress.show, jobs)
    if arguments.json:
        sys.stdout.write(as_json(report))
    else:
        print_report(Console(), report)
    return 1 if report.findings else 0


def _replay(path: Path, targets: list[str]) -> int:
    if len(targets) > 1:
        raise CallerError("--replay takes one --target")
    if not path.is_file():
        raise CallerError(f"there is no file {path}")
    fault = replay_finding(path, targets[0] if targets else None)
    sys.stdout.write(f"{path}: {'nothing is wrong' if fault is None else fault}\n")
    return 0 if fault is None else 1


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{shortened(text)!a} is no number of minutes")
    return value
