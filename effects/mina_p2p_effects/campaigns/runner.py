"""Running one seed."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from mina_p2p.record import Record, record
from mina_p2p.testing.block_campaign import BlockRun
from mina_p2p.testing.block_liars import BLOCK_STRATEGIES
from mina_p2p.testing.campaign import Options, Outcome, Run
from mina_p2p.testing.libp2p_campaign import NetworkRun
from mina_p2p_effects.campaigns.logs import Logs
from mina_p2p_effects.campaigns.strategies import strategies_of

OBJECTS_BETWEEN_COLLECTIONS = 5_000_000


@record
class Job(Record):
    """One seed, and what is wanted besides."""

    options: Options
    is_twice: bool = False
    """Run it a second time and compare the hashes."""
    record_dir: Path | None = None
    liars: tuple[str, ...] = ()
    """Names of strategies that liars are drawn from; see `mina_p2p_effects.campaigns.strategies`."""


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


J = TypeVar("J")


@record
class Broken(Record, Generic[J]):
    """A run that had no end: the simulator failed, or the machine it ran on."""

    job: J
    error: str
    """For people; the last line says most."""

    @property
    def is_good(self) -> bool:
        """Never."""
        return False


Result: TypeAlias = Done | Broken[Job]


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


AnyRun: TypeAlias = Run | NetworkRun
"""A run of nodes of one kind or the other."""


def run_job(job: Job, progress: Callable[[AnyRun], None] | None = None) -> Done:
    """Run one seed.

    :param progress: called as the first run goes on.
    """
    began = time.perf_counter()
    logs = None if job.record_dir is None else Logs(job.record_dir)
    with rare_collections() as collect:
        run = _begun(job, logs, is_checked=True)
        while run.advance():
            collect()
            if progress is not None:
                progress(run)
        if logs is not None and isinstance(run, Run):
            logs.close(run.world.simulation)
        outcome = run.outcome()
        real_seconds = time.perf_counter() - began
        same = None
        if job.is_twice:
            # A run that was good does the same without being checked.
            again = _begun(job, None, is_checked=not outcome.is_good)
            while again.advance():
                collect()
            same = again.outcome() == outcome
    return Done(job, outcome, real_seconds, same)


def _begun(job: Job, logs: Logs | None, *, is_checked: bool) -> AnyRun:
    if job.options.is_libp2p:
        return NetworkRun(job.options, is_checked=is_checked)
    observers = () if logs is None else (logs.observer,)
    if job.options.is_about_blocks:
        strategies = strategies_of(job.liars, BLOCK_STRATEGIES)
        return BlockRun(job.options, observers=observers, strategies=strategies, is_checked=is_checked)
    return Run(job.options, observers=observers, strategies=strategies_of(job.liars), is_checked=is_checked)


def run_alone(job: Job) -> Result:
    """Run one seed among many, wherever; it always has a result, and a small one."""
    try:
        done = run_job(job)
    except Exception:  # noqa: BLE001 - whatever it is, it belongs in the report, and the other seeds go on
        return Broken(job, traceback.format_exc())
    # The course of each run is of no interest among many, and large.
    return done.replace(outcome=done.outcome.replace(coverage=()))
