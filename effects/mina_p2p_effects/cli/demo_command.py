"""Watch several nodes find each other over QUIC and spread data by permission.

Starts nodes as processes of their own, on loopback. Each knows one address. They find
each other, then payments, snark work, commitments and best tips spread until every node
has all of them. Each node records what it does; at the end every log is replayed and
compared, action by action.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, seconds, whole
from mina_p2p_effects.cli.console import Console
from mina_p2p_effects.cli.demo.parent import DemoOptions, Outcome, run_demo
from mina_p2p_effects.cli.demo.report import LiveProgress, Progress, SilentProgress, outcome_json, print_outcome

NODES_MAX = 50

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--nodes", type=whole(2, NODES_MAX), default=5, metavar="N", help=f"how many nodes, 2 to {NODES_MAX} (default: 5)")
    parser.add_argument(
        "--seed",
        type=whole(0, SEED_MAX >> 1),
        default=None,
        metavar="S",
        help="decides keys, data and dice (default: a new one, which is printed)",
    )
    parser.add_argument(
        "--blocks",
        type=Path,
        default=None,
        metavar="DIR",
        help="spread the blocks in DIR/*.bin and the snark work and transactions in them",
    )
    parser.add_argument(
        "--transactions", type=Path, default=None, metavar="FILE", help="spread the transactions of a JSON list of base64 texts"
    )
    parser.add_argument("--record", type=directory, default=None, metavar="DIR", help="keep the logs in DIR, one per node")
    parser.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help="give up after so long (default: 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 where all nodes converged and all logs were verified."""
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    console = Console(stderr=arguments.json)
    progress: Progress = SilentProgress() if arguments.json else LiveProgress(console)
    with tempfile.TemporaryDirectory(prefix="mina-p2p-demo-") as temporary:
        record_dir: Path = arguments.record if arguments.record is not None else Path(temporary)
        record_dir.mkdir(parents=True, exist_ok=True)
        if next(record_dir.glob("*.log"), None) is not None:
            raise CallerError(f"{record_dir} holds logs already; choose another directory for --record")
        if not arguments.json:
            console.print(f"seed {seed}; run again with --seed {seed} for the same keys and data")
        options = DemoOptions(arguments.nodes, seed, arguments.timeout, record_dir, arguments.blocks, arguments.transactions)
        outcome = _run_interruptibly(options, progress)
        if arguments.json:
            sys.stdout.write(outcome_json(outcome, record_dir) + "\n")
        else:
            print_outcome(console, outcome, record_dir, is_kept=arguments.record is not None)
    return 0 if outcome.converged and outcome.replay["verified"] else 1


def _run_interruptibly(options: DemoOptions, progress: Progress) -> Outcome:
    """Run the demo's event loop; a Ctrl-C while the loop itself begins or ends waits until it can be taken in order."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        return asyncio.run(_until_interrupted(options, progress))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)


async def _until_interrupted(options: DemoOptions, progress: Progress) -> Outcome:
    """Run the demo; the first Ctrl-C ends it in order, further ones are for the impatient.

    :raises KeyboardInterrupt: after an interrupt, whatever became of the demo meanwhile: a node that ended because of it is no news.
    """
    running = asyncio.ensure_future(run_demo(options, progress))
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        running.cancel()

    loop = asyncio.get_running_loop()
    for number in _INTERRUPTS:
        loop.add_signal_handler(number, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
    try:
        await asyncio.wait((running,))
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    error = None if running.cancelled() else running.exception()  # seen here, so that nobody complains that it was not
    if interrupted:
        raise KeyboardInterrupt from error
    return running.result()
