"""Running seeds: one in this process, many over all cores."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mina_p2p.record import Record, record
from mina_p2p.testing.campaign import Options, Outcome, Run
from mina_p2p_effects.cli.simulate.logs import Logs

OBJECTS_BETWEEN_COLLECTIONS = 5_000_000


@record
class Job(Record):
    """One seed, and what is wanted besides."""

    options: Options
    is_twice: bool = False
    """Run it a second time and compare the hashes."""
    record_dir: Path | None = None


@record
class Done(Record):
    """What came of it."""

    job: Job
    outcome: Outcome
    real_seconds: float
    """Of the first run."""
    is_deterministic: bool | None
    """Whether the second run did the same; unknown where there was none."""

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the library."""
        return self.outcome.is_good and self.is_deterministic is not False


@contextmanager
def rare_collections() -> Generator[Callable[[], None]]:
    """Without Python's cyclic collector, which would look at the states of all nodes again and again.

    States hold no cycles; what does is little, and is collected when the function that this gives
    is called and there is much of it.
    """
    was_enabled = gc.isenabled()
    gc.disable()

    def collect() -> None:
        if gc.get_count()[0] > OBJECTS_BETWEEN_COLLECTIONS:
            gc.collect()

    try:
        yield collect
    finally:
        if was_enabled:
            gc.enable()


def run_job(job: Job, progress: Callable[[Run], None] | None = None) -> Done:
    """Run one seed.

    :param progress: called as the first run goes on.
    """
    began = time.perf_counter()
    logs = None if job.record_dir is None else Logs(job.record_dir)
    with rare_collections() as collect:
        run = Run(job.options, observers=() if logs is None else (logs.observer,))
        while run.advance():
            collect()
            if progress is not None:
                progress(run)
        if logs is not None:
            logs.close(run.world.simulation)
        outcome = run.outcome()
        real_seconds = time.perf_counter() - began
        same = None
        if job.is_twice:
            again = Run(job.options, is_checked=not outcome.is_good)
            while again.advance():
                collect()
            same = again.outcome() == outcome
    return Done(job, outcome, real_seconds, same)


def _run_alone(job: Job) -> Done | tuple[Job, str]:
    try:
        done = run_job(job)
    except Exception:  # noqa: BLE001 - whatever it is, it belongs in the report, and the other seeds go on
        return job, traceback.format_exc()
    # The course of each run is of no interest among many, and large.
    return done.replace(outcome=done.outcome.replace(coverage=()))


def run_jobs(jobs: list[Job], processes: int) -> Iterator[Done | tuple[Job, str]]:
    """Run seeds over several processes, in whatever order they end; those in which the simulator itself fails give its traceback."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(jobs)), partial(signal.signal, signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(_run_alone, jobs)
