"""Where a campaign's seeds run: the cores of this machine, or a cluster of Ray's or Dask's.

An executor takes jobs and gives their results in whatever order they end. No more jobs are handed
over than keep its workers busy, so a campaign may have as many as one likes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p_effects.campaigns.runner import Broken

J = TypeVar("J")
"""A job: a value that can be sent to another process."""
R = TypeVar("R")
"""Its result, too."""

AHEAD: Final = 2
"""Jobs handed over for each worker: one that runs, and one that waits to be next."""
RETRIES: Final = 2
"""How often a job is tried again whose machine is lost; the same seed does the same there."""


@record
class Place(Record):
    """Where to run."""

    processes: int | None = None
    """On this machine, for as many workers; by default one per core."""
    cluster: str | None = None
    """Address of a cluster that runs already, of the executor's kind; by default one is begun here and ended again."""

    @property
    def workers(self) -> int:
        """Workers on this machine."""
        return self.processes or os.cpu_count() or 1


class Executor(Protocol):
    """Runs jobs somewhere."""

    def __call__(self, run: Callable[[J], R], jobs: Sequence[J], place: Place) -> Iterator[R | Broken[J]]:
        """Results in whatever order the jobs end.

        :param run: a function of a module, which gives a result whatever happens in it.
        """
        ...


def _engine(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise CallerError(f"this executor needs an extra: pip install 'mina-p2p[{extra}]'") from error


def run_local(run: Callable[[J], R], jobs: Sequence[J], place: Place) -> Iterator[R | Broken[J]]:
    """Over several processes of this machine."""
    if place.cluster is not None:
        raise CallerError("the local executor has no cluster; choose ray or dask")
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(place.workers, len(jobs)), partial(signal.signal, signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(run, jobs)


def run_on_ray(run: Callable[[J], R], jobs: Sequence[J], place: Place) -> Iterator[R | Broken[J]]:
    """On a Ray cluster."""
    ray = _engine("ray", "ray")
    if place.cluster is None:
        ray.init(address="local", num_cpus=place.workers, include_dashboard=False, log_to_driver=False)
    else:
        ray.init(address=place.cluster, log_to_driver=False)
    try:
        remote = ray.remote(run).options(num_cpus=1, max_retries=RETRIES)
        ahead = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        left, waiting = iter(jobs), dict[Any, J]()
        while True:
            waiting.update((remote.remote(job), job) for job in islice(left, ahead - len(waiting)))
            if not waiting:
                return
            ended, _ = ray.wait(list(waiting))
            for reference in ended:
                job = waiting.pop(reference)
                try:
                    result: R | Broken[J] = ray.get(reference)
                except ray.exceptions.RayError as error:
                    result = Broken(job, str(error))
                yield result
    finally:
        ray.shutdown()


def run_on_dask(run: Callable[[J], R], jobs: Sequence[J], place: Place) -> Iterator[R | Broken[J]]:
    """On a cluster of dask.distributed."""
    distributed = _engine("distributed", "dask")
    if place.cluster is None:
        with (
            distributed.LocalCluster(n_workers=place.workers, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield from _on_dask_client(distributed, client, run, jobs)
    else:
        with distributed.Client(place.cluster) as client:
            yield from _on_dask_client(distributed, client, run, jobs)


def _on_dask_client(distributed: Any, client: Any, run: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R | Broken[J]]:
    ahead = AHEAD * max(1, sum(client.nthreads().values()))
    left, waiting = iter(jobs), dict[Any, J]()

    def hand_over(count: int) -> list[Any]:
        futures = [(client.submit(run, job, pure=False, retries=RETRIES), job) for job in islice(left, count)]
        waiting.update(futures)
        return [future for future, _ in futures]

    ended = distributed.as_completed(hand_over(ahead))
    for future in ended:
        job = waiting.pop(future)
        ended.update(hand_over(1))
        yield future.result() if future.status == "finished" else Broken(job, str(future.exception()))


EXECUTORS: Final[Mapping[str, Executor]] = MappingProxyType({"local": run_local, "ray": run_on_ray, "dask": run_on_dask})
"""By the name that the command line gives them."""
