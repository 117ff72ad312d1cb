"""Several processes replay logs together: each takes a log, or a part of one between two checkpoints.

This process is one of them. It takes parts from the front and the others take them from the end, so
nobody waits while there is something to do. A process that dies, or can not send what it found, is
replaced by this one.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.synchronize import Lock
from pathlib import Path
from typing import Any, Final

from mina_p2p.record import Record, record
from mina_p2p.trace.chunks import ChunkKind
from mina_p2p.trace.machines import register_machine
from mina_p2p.trace.records import Index
from mina_p2p.trace.replay import ReplayResult, joined

_PARTS_PER_PROCESS: Final = 3
"""So that a process which is done early finds more to do."""

_ACTIONS_MIN: Final = 30_000
"""What is shorter is replayed sooner than another process has started, though it be a copy of this one."""

_TASKS: Final = Path("/proc/self/task")
"""Linux lists here all threads of this process, those that Python does not know of among them."""


@record
class Part(Record):
    """Something to replay."""

    log: int
    """Number of the log, from 0."""
    start: int
    end: int | None
    """Bytes from the log's beginning: of a checkpoint, and just behind the beginning of the next part's."""


Replaying = Callable[[Part], ReplayResult | str]
"""Replays a part; a text says why that was not possible. For processes that import all anew it has to be found by its name."""


def start_method() -> str:
    """How other processes begin: as copies of this one, which know all it has imported, where no other thread can be amid something."""
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 and _native_threads() == 1 else "spawn"


def _native_threads() -> int:
    try:
        return len(list(_TASKS.iterdir()))
    except OSError:
        return 2  # who can not be asked may have any number


def processes_for(logs: Sequence[Index], method: str) -> int:
    """How many processes are worth their start where nobody said; only copies of this one are made unasked.

    A program that starts others which import it anew has to be prepared for that.
    """
    actions = sum(_actions(index) for index in logs)
    if method != "fork" or actions < _ACTIONS_MIN or multiprocessing.current_process().daemon:
        return 1
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def parts_of(logs: Sequence[Index], jobs: int) -> list[Part]:
    """The parts of all logs, in order: some more than there are processes, as far as there are checkpoints."""
    total = sum(_actions(index) for index in logs) or 1
    return [
        part for number, index in enumerate(logs) for part in _parts(number, index, _PARTS_PER_PROCESS * jobs * _actions(index) / total)
    ]


def _actions(index: Index) -> int:
    ids = [first_id for kind, first_id in zip(index.kinds, index.first_ids, strict=True) if kind in {ChunkKind.STATE, ChunkKind.RECORDS}]
    return max(0, ids[-1] - ids[0]) if ids else 0


def _parts(log: int, index: Index, count: float) -> list[Part]:
    offsets = [offset for kind, offset in zip(index.kinds, index.offsets, strict=True) if kind == ChunkKind.STATE][1:-1]
    step = max(1, round(len(offsets) / count)) if count >= 1 else len(offsets) + 1
    cuts = offsets[step - 1 :: step]
    # The chunk that begins before an end is read whole, so a part ends with the next one's checkpoint.
    return [Part(log, start, end) for start, end in zip([0, *cuts], [*(cut + 1 for cut in cuts), None], strict=True)]


def can_be_named(source: object) -> bool:
    """Whether another process that imports all anew can be told where something is."""
    try:
        pickle.dumps(source)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def replay_parts(
    replaying: Replaying, parts: Sequence[Part], jobs: int, method: str, machines: Sequence[tuple[str, Any, int]]
) -> list[ReplayResult | str]:
    """Replay parts in several processes, this one among them, and put together what belongs to one log.

    :param machines: to register in processes that import all anew: name, source and version.
    :returns: for each log, in order.
    """
    context = multiprocessing.get_context(method)
    claims = [context.Lock() for _ in parts]
    begin = () if method == "fork" else tuple(machines), claims
    with ProcessPoolExecutor(min(jobs, len(parts)) - 1, mp_context=context, initializer=begin_process, initargs=begin) as pool:
        later = {number: pool.submit(_replay_unclaimed, replaying, number, parts[number]) for number in range(len(parts) - 1, 0, -1)}
        found = [replaying(parts[0])]
        found += [_result(claims[number], later[number], replaying, parts[number]) for number in range(1, len(parts))]
    by_log: dict[int, list[ReplayResult | str]] = {}
    for part, result in zip(parts, found, strict=True):
        by_log.setdefault(part.log, []).append(result)
    return [_joined(results) for results in by_log.values()]


_claims: list[Lock] = []
"""Of this process, where another one started it: who closes a part's lock replays it. Nobody waits for one, so it may die with its owner."""


def _replay_unclaimed(replaying: Replaying, number: int, part: Part) -> ReplayResult | str | None:
    """In another process: nothing, where the first one was sooner. To cancel would be to race with the executor, which may just have broken."""
    return replaying(part) if _claims[number].acquire(block=False) else None


def _result(claim: Lock, future: Future[ReplayResult | str | None], replaying: Replaying, part: Part) -> ReplayResult | str:
    if not claim.acquire(block=False):
        with suppress(Exception):  # whatever kept another process from it: this one says what it is
            if (result := future.result()) is not None:
                return result
    return replaying(part)


def _joined(results: Sequence[ReplayResult | str]) -> ReplayResult | str:
    known = [result for result in results if not isinstance(result, str)]
    return joined(known) if len(known) == len(results) else next(result for result in results if isinstance(result, str))


def begin_process(machines: Sequence[tuple[str, Any, int]], claims: Sequence[Lock] = ()) -> None:
    """Ctrl-C reaches all processes of a terminal: this one ends without a word, the first one speaks."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _claims[:] = claims
    for name, source, version in machines:
        register_machine(name, source, version=version)
