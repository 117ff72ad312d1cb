"""Run a network of nodes in virtual time, let things go wrong, and see whether it recovers.

Every node is the shipped state machine; network, clocks, faults and lying peers are simulated,
and one seed decides all of it. Safety is checked on the way; after the faults stop, all honest
nodes must come to the same pools and the same best tip.

With --faults all, each seed draws some of the kinds; a list of kinds means just these. Kinds:
latency, reordering, streams (of one connection overtake each other), duplication, loss, half-open,
partition, one-way, slow-reader, slow-writer, crash, amnesia (a crash that forgets), identity
(somebody else at an address), clock, names, liars. Liars follow strategies, which --liars may choose;
your own are subclasses of mina_p2p.testing.liars.Strategy, given as module:Class.

A seed that fails is printed as the command that shows it again. With --record, every node's log is
written as that of any node; mina-p2p replay verifies it. Many seeds (--seeds 1..1000) run over all
cores, or on Ray or Dask (--executor); --resume keeps what is done, for when they are interrupted.

With --network blocks, the nodes are the same ones, and blocks hold transactions and snark works: what is looked at are the ways of
blocks (channel 10 and best tips), the liars are those of mina_p2p.testing.block_liars, and in the end three blocks, one after the
other, must each reach every honest node. Else blocks are empty, and what is looked at are pools.

With --network libp2p, the nodes are those of the network of OCaml nodes: all begin with the address of one seed, find
each other by Kademlia and gossip messages (--transactions of them). Safety and liveness are those of
mina_p2p.testing.libp2p_campaign, its liars those of mina_p2p.testing.libp2p_liars, which --liars does not choose; --record
writes no logs of them, and of the kinds of faults duplication and names do not exist there.

Exit codes: 0 all is well; 1 some seed failed; 2 the arguments make no sense.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND
from mina_p2p.testing.campaign import Options
from mina_p2p.testing.faults import parse_faults
from mina_p2p.testing.libp2p_campaign import KINDS as LIBP2P_KINDS
from mina_p2p_effects.campaigns.executors import EXECUTORS, Place
from mina_p2p_effects.campaigns.ledger import Ledger
from mina_p2p_effects.campaigns.runner import Broken, Done, Job, run_alone, run_job
from mina_p2p_effects.campaigns.strategies import strategies_of
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, new_file, whole
from mina_p2p_effects.cli.console import Console
from mina_p2p_effects.cli.simulate.plot import chart
from mina_p2p_effects.cli.simulate.report import Progress, campaign_json, dump, print_campaign, print_run, run_json

SEEDS_MAX = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--nodes", type=whole(2), default=10, metavar="N", help="how many nodes (default: 10)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--seed", type=whole(0, SEED_MAX), default=None, metavar="S", help="decides everything (default: a new one, printed)"
    )
    which.add_argument("--seeds", type=seed_range, default=None, metavar="A..B", help="run all seeds from A to B, over all cores")
    parser.add_argument(
        "--network",
        choices=("pull", "blocks", "libp2p"),
        default="pull",
        help="nodes that ask each other for what they miss; the same with blocks that have items; or nodes of the libp2p network, which gossip "
        "(default: pull)",
    )
    parser.add_argument("--faults", default="all", metavar="KINDS", help="a list with commas, all or none (default: all)")
    parser.add_argument(
        "--liars", default=None, metavar="NAMES", help="what liars are drawn from: a list of strategies, or module:Class of yours"
    )
    parser.add_argument("--peers", type=whole(1), default=20, metavar="K", help="connections a node wishes for, at most (default: 20)")
    parser.add_argument("--transactions", type=whole(1), default=20, metavar="T", help="transactions that spread (default: 20)")
    parser.add_argument(
        "--duration", type=whole(3), default=120, metavar="SECONDS", help="virtual seconds in which faults happen (default: 120)"
    )
    parser.add_argument("--check-every", type=whole(1), default=None, metavar="D", help="check invariants after one dispatch in D")
    parser.add_argument("--twice", action="store_true", help="run each seed twice and compare what happened")
    parser.add_argument("--jobs", type=whole(1), default=None, metavar="J", help="processes for --seeds (default: one per core)")
    parser.add_argument("--executor", choices=tuple(EXECUTORS), default="local", help="what runs --seeds (default: this machine's cores)")
    parser.add_argument("--cluster", default=None, metavar="ADDRESS", help="a Ray or Dask cluster that runs already (default: begin one)")
    parser.add_argument(
        "--resume", type=Path, default=None, metavar="FILE", help="keep results of --seeds in FILE, and leave out what it holds"
    )
    parser.add_argument("--record", type=directory, default=None, metavar="DIR", help="write every node's log to DIR; see mina-p2p replay")
    parser.add_argument("--plot", type=new_file, default=None, metavar="FILE.svg", help="draw how things spread over virtual time")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 where every seed converged without violation."""
    console = Console(stderr=arguments.json)
    progress = Progress(Console(stderr=True))
    if arguments.seeds is None:
        if arguments.executor != "local" or arguments.cluster is not None or arguments.resume is not None:
            raise CallerError("--executor, --cluster and --resume are for many seeds; give them with --seeds")
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
    folder: Path | None = arguments.record
    jobs = [_job(arguments, seed, None if folder is None else folder / f"seed-{seed}") for seed in seeds]
    if folder is not None and arguments.executor != "local":
        raise CallerError("--record writes to this machine's disk; give it with the local executor")
    ledger = None if arguments.resume is None else Ledger(arguments.resume, jobs[0])
    all_done: list[Done] = [] if ledger is None else ledger.done(jobs)
    known = {done.outcome.seed for done in all_done}
    left = [job for job in jobs if job.options.seed not in known]
    began = time.perf_counter()
    broken: list[Broken[Job]] = []
    results = EXECUTORS[arguments.executor](run_alone, left, Place(arguments.jobs, arguments.cluster)) if left else ()
    for result in results:
        if isinstance(result, Broken):
            broken.append(result)
        else:
            all_done.append(result)
            if ledger is not None:
                ledger.add(result)
        if not result.is_good:
            progress.failed(result)
        progress.seeds(len(all_done) + len(broken), len(broken) + sum(not done.is_good for done in all_done), len(jobs))
    report = campaign_json(all_done, broken, time.perf_counter() - began)
    if arguments.json:
        sys.stdout.write(dump(report))
    else:
        print_campaign(console, report)
    return 1 if report["failed"] or report["broken"] else 0


def _job(arguments: argparse.Namespace, seed: int, record_dir: Path | None) -> Job:
    faults, is_libp2p = parse_faults(arguments.faults), arguments.network == "libp2p"
    if is_libp2p:
        if record_dir is not None or arguments.liars:
            raise CallerError("--record and --liars are for nodes that pull; leave them out with --network libp2p")
        if arguments.faults == "all":
            faults = LIBP2P_KINDS
        foreign = [kind.value for kind in faults if kind not in LIBP2P_KINDS]
        if foreign:
            raise CallerError(f"{', '.join(foreign)}: not with --network libp2p; there are {', '.join(k.value for k in LIBP2P_KINDS)}")
    options = Options(
        seed,
        arguments.nodes,
        faults,
        is_swarm=arguments.faults == "all",
        peers=arguments.peers,
        transactions=arguments.transactions,
        fault_duration=arguments.duration * SECOND,
        check_every=arguments.check_every or 0,
        is_libp2p=is_libp2p,
        is_about_blocks=arguments.network == "blocks",
    )
    liars = tuple(name.strip() for name in arguments.liars.split(",")) if arguments.liars else ()
    strategies_of(liars)
    return Job(options, arguments.twice, record_dir, liars)


def seed_range(text: str) -> range:
    """A converter for argparse: ``A..B``."""
    first, dots, last = text.partition("..")
    try:
        seeds = range(int(first), int(last) + 1)
    except ValueError:
        seeds = range(0)
    if not dots or not seeds or seeds.start < 0 or len(seeds) > SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 1..100, of at most {SEEDS_MAX} seeds")
    return seeds
