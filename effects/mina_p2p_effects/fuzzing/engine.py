"""The engine: turns for every target, one after the other, until the time is over."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from queue import Empty
from typing import Any, Final

from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p_effects.fuzzing.decoders import decoders
from mina_p2p_effects.fuzzing.explorer import Explorer
from mina_p2p_effects.fuzzing.findings import Written, write_finding
from mina_p2p_effects.fuzzing.machines import machine_targets
from mina_p2p_effects.fuzzing.search import ByteSearch, Search

DECODER_TURN: Final = 400
MACHINE_TURN: Final = 24_000
"""Executions in one turn."""
_DECODERS_BETWEEN: Final = 16
"""Turns of decoders between two of the machines: these have as much behind them as all decoders, and get about half of the time."""

_TELL_EVERY_S: Final = 1.0


@record
class Plan(Record):
    """What to search, and for how long."""

    seed: int
    targets: tuple[str, ...]
    seconds: float | None = None
    """Real time; ``None`` for no bound."""
    rounds: int | None = None
    """Turns of each target; ``None`` for no bound."""
    corpus: Path | None = None
    """A folder whose inputs are begun with, and that gets those that showed something new."""
    findings: Path = Path("fuzz-findings")


@record
class TargetReport(Record):
    """How one target fared."""

    name: str
    executions: int
    coverage: int
    """Different lines and outcomes that were seen."""
    fresh: int
    """How many of them in this run were seen after the first turn."""
    findings: int


@record
class Report(Record):
    """How a run fared, or stands."""

    seed: int
    seconds: float
    rounds: int
    targets: tuple[TargetReport, ...]
    findings: tuple[Written, ...]

    @property
    def executions(self) -> int:
        """Of all targets."""
        return sum(target.executions for target in self.targets)

    @property
    def coverage(self) -> int:
        """Of all targets."""
        return sum(target.coverage for target in self.targets)


OnReport = Callable[[Report], None]
"""Called after each turn."""


def target_names() -> tuple[str, ...]:
    """Every target: machines first, then decoders by name."""
    return (*machine_targets(), *sorted(decoders()))


def matching(patterns: Sequence[str]) -> tuple[str, ...]:
    """The targets that match one of some patterns, such as ``wire.*``; all without patterns.

    :raises CallerError: where a pattern matches none.
    """
    names = target_names()
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise CallerError(f"no target matches {pattern!r}; mina-p2p fuzz --list names them")
    return tuple(name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns))


def round_of(targets: Sequence[str]) -> Iterator[str]:
    """Every target once, machines again and again among the decoders."""
    machines = [name for name in targets if name in machine_targets()]
    others = [name for name in targets if name not in machine_targets()]
    yield from machines
    for at, name in enumerate(others, 1):
        yield name
        if at % _DECODERS_BETWEEN == 0:
            yield from machines


def new_search(name: str, seed: int) -> Search:
    """The search in one target.

    :raises CallerError: where there is no such target.
    """
    machine = machine_targets().get(name)
    if machine is not None:
        return Explorer(machine, seed)
    decoder = decoders().get(name)
    if decoder is None:
        raise CallerError(f"no target is called {name!r}")
    return ByteSearch(decoder, seed)


class _Turns:
    """One process's part of a run."""

    def __init__(self, plan: Plan, is_stopped: Callable[[], bool]) -> None:
        self._plan = plan
        self._is_stopped = is_stopped
        self._began = time.monotonic()
        self._searches: dict[str, Search] = {}
        self._loaded: dict[str, set[Path]] = {}
        self._first: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._known: set[tuple[str, str]] = set()
        self._written: list[Written] = []
        self._rounds = 0

    def run(self, on_report: OnReport) -> Report:
        """Take turns until time or rounds are over, or until an interrupt, which ends the run early."""
        try:
            for _ in self._turns():
                on_report(self.report())
        except KeyboardInterrupt:
            pass
        if self._plan.corpus is not None:
            for search in self._searches.values():
                _save(self._plan.corpus / search.name, search, self._loaded.get(search.name, set()))
        return self.report()

    def _turns(self) -> Iterator[None]:
        while self._plan.rounds is None or self._rounds < self._plan.rounds:
            for name in round_of(self._plan.targets):
                if self._is_over():
                    return
                self._turn(name)
                yield
            self._rounds += 1

    def _is_over(self) -> bool:
        seconds = self._plan.seconds
        return self._is_stopped() or (seconds is not None and time.monotonic() - self._began >= seconds)

    def _turn(self, name: str) -> None:
        search = self._searches.get(name)
        is_first = search is None
        if search is None:
            search = self._searches[name] = new_search(name, self._plan.seed)
            if self._plan.corpus is not None:
                self._loaded[name] = _load(self._plan.corpus / name, search)
        for finding in search.turn(MACHINE_TURN if name in machine_targets() else DECODER_TURN):
            if finding.kind in self._known:
                continue  # only with less of it can one see that it is the same
            self._known.add(finding.kind)
            self._counts[name] = self._counts.get(name, 0) + 1
            self._written.append(write_finding(self._plan.findings, finding, self._plan.seed))
        if is_first:
            self._first[name] = search.coverage

    def report(self) -> Report:
        """How it stands."""
        targets = tuple(
            TargetReport(name, search.executions, search.coverage, search.coverage - self._first.get(name, 0), self._counts.get(name, 0))
            for name, search in self._searches.items()
        )
        return Report(self._plan.seed, time.monotonic() - self._began, self._rounds, targets, tuple(self._written))


def _load(folder: Path, search: Search) -> set[Path]:
    """Begin with the files of a folder; which these are."""
    found = {path for path in folder.iterdir() if path.is_file()} if folder.is_dir() else set[Path]()
    for path in sorted(found):
        search.load(path.read_bytes())
    return found


def _save(folder: Path, search: Search, loaded: set[Path]) -> None:
    """Write what is worth keeping in place of what was loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in search.corpus().items():
        path = folder / name
        loaded.discard(path)
        path.write_bytes(data)
    for path in loaded:
        path.unlink(missing_ok=True)


# --- one process, or several ------------------------------------------------------------------------


def run(plan: Plan, on_report: OnReport, jobs: int = 1) -> Report:
    """Search: in this process, where the seed decides everything, or in several, which take the seeds from ``plan.seed`` on.

    An interrupt ends the search early, with its report.

    :raises OSError: where findings or corpus can not be written.
    :raises CallerError: where a process of the search died.
    """
    if jobs == 1:
        return _Turns(plan, lambda: False).run(on_report)
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    stop = context.Event()
    workers = [context.Process(target=_work, args=(plan.replace(seed=plan.seed + job), job, queue, stop)) for job in range(jobs)]
    for worker in workers:
        worker.start()
    latest: dict[int, Report] = {}
    running = set(range(jobs))
    while running:
        try:
            job, report, is_last = queue.get(timeout=1)
            latest[job] = report
            running -= {job} if is_last else set()
            on_report(merged(plan.seed, list(latest.values())))
        except Empty:
            running -= {job for job in running if not workers[job].is_alive()}
        except KeyboardInterrupt:
            stop.set()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise CallerError("a process of the search died; --jobs 1 shows why")
    return merged(plan.seed, list(latest.values()))


def _work(plan: Plan, job: int, queue: Any, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    said_at = time.monotonic()

    def tell(report: Report) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _TELL_EVERY_S:
            said_at = time.monotonic()
            queue.put((job, report, False))

    queue.put((job, _Turns(plan, stop.is_set).run(tell), True))


def merged(seed: int, reports: Sequence[Report]) -> Report:
    """Several processes' reports as one: a finding of two counts once, and of coverage the greater."""
    targets: dict[str, TargetReport] = {}
    findings: dict[tuple[str, str], Written] = {}
    for report in reports:
        for target in report.targets:
            known = targets.get(target.name)
            targets[target.name] = target if known is None else _united(known, target)
        for written in report.findings:
            findings.setdefault(written.finding.kind, written)
    return Report(
        seed,
        max((report.seconds for report in reports), default=0.0),
        min((report.rounds for report in reports), default=0),
        tuple(targets.values()),
        tuple(findings.values()),
    )


def _united(one: TargetReport, other: TargetReport) -> TargetReport:
    return TargetReport(
        one.name,
        one.executions + other.executions,
        max(one.coverage, other.coverage),
        max(one.fresh, other.fresh),
        max(one.findings, other.findings),
    )
