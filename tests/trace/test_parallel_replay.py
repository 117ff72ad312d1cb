"""A log that is replayed in segments gives what one replay of the whole gives."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trace_machine
from trace_machine import MACHINE, OPTIONS, SCHEMA, make_machine, reader, record_log, reduce

from mina_p2p.trace import BytesSource, ChunkKind, Reader, ReplayResult, joined, register_machine, replay
from mina_p2p.trace import machines as machines_module
from mina_p2p.trace.records import Index
from mina_p2p_effects import replay as replay_module
from mina_p2p_effects import replay_shared
from mina_p2p_effects.replay import replay_path
from mina_p2p_effects.replay_shared import Part


def in_segments(data: bytes, cuts: list[int], machine: object = MACHINE) -> ReplayResult:
    results: list[ReplayResult] = []
    for start, end in zip([0, *cuts], [*(cut + 1 for cut in cuts), None], strict=True):
        part = Reader(BytesSource(data))
        part.position = start
        results.append(replay(part, machine, SCHEMA, end=end))  # type: ignore[arg-type]
    return joined(results)


def checkpoints(data: bytes) -> list[int]:
    index = reader(data).index()
    return [offset for kind, offset in zip(index.kinds, index.offsets, strict=True) if kind == ChunkKind.STATE][1:-1]


def test_segments_give_what_the_whole_gives() -> None:
    """Counts, last state, notes and closing; only the comparisons at the cuts are as they were too."""
    data = record_log(600)
    whole = replay(reader(data), MACHINE, SCHEMA)
    cuts = checkpoints(data)
    assert len(cuts) >= 5
    for chosen in (cuts, cuts[::2], cuts[:1], []):
        assert in_segments(data, chosen) == whole


def test_the_first_divergence_is_the_one_that_is_named() -> None:
    """Whichever segment it is in, and though later ones, which begin with a recorded state, are found equal."""
    data = record_log(600)

    def wrong(state: trace_machine.Root, action: object, now: trace_machine.Timestamp) -> object:
        if isinstance(action, trace_machine.Ack) and state.net.acks == 20:
            return state, ()
        return reduce(state, action, now)

    machine = make_machine(wrong)  # type: ignore[arg-type]
    whole = replay(reader(data), machine, SCHEMA).divergence
    found = in_segments(data, checkpoints(data), machine).divergence
    assert whole is not None
    assert found is not None
    assert (found.action_id, found.recorded_kind, found.path) == (whole.action_id, whole.recorded_kind, whole.path)


def test_damage_is_told_once() -> None:
    """Wherever it is, a checkpoint at a cut included."""
    data = record_log(600)
    cuts = checkpoints(data)
    dice = random.Random(1)
    for place in [cuts[1] + 90, cuts[2] + 10, *(dice.randrange(9_000, len(data)) for _ in range(60))]:
        damaged = bytearray(data)
        damaged[place] ^= 1
        whole = replay(reader(bytes(damaged)), MACHINE, SCHEMA)
        parts = in_segments(bytes(damaged), cuts)
        assert parts.is_verified == whole.is_verified
        assert {type(note) for note in parts.notes} == {type(note) for note in whole.notes}
        assert parts.state_hash == whole.state_hash
        assert parts.inputs <= whole.inputs


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines_module, "_machines", dict(machines_module._machines))


@pytest.mark.usefixtures("registry")
def test_processes_share_a_log(tmp_path: Path) -> None:
    """The same result from several processes, copies of this one or new; a machine that new ones could not find is replayed here."""
    path = tmp_path / "node.log"
    path.write_bytes(record_log(600, options=OPTIONS))
    register_machine("test", MACHINE)
    (alone,) = replay_path(path, jobs=1)
    assert alone.is_verified
    (copied,) = replay_path(path, jobs=2)
    assert copied.result == alone.result
    with another_thread():
        (not_found,) = replay_path(path, jobs=2)
        machines_module._machines.pop("test")
        register_machine("test", trace_machine.make_machine)
        (imported,) = replay_path(path, jobs=2)
    assert not_found.result == imported.result == alone.result


@contextmanager
def another_thread() -> Iterator[None]:
    """This process is not copied meanwhile: the copy would lack the thread, and with it whatever that was amid."""
    is_over = threading.Event()
    other = threading.Thread(target=is_over.wait)
    other.start()
    try:
        yield
    finally:
        is_over.set()
        other.join()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(("actions_min", "processes"), [(200, 3), (10**6, 0)])
def test_processes_are_started_where_the_log_is_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actions_min: int, processes: int
) -> None:
    """Unless told how many, there is one for each processor, and none beside this one for a short log, or where it can not be copied."""
    path = tmp_path / "node.log"
    path.write_bytes(record_log(600, options=OPTIONS))
    register_machine("test", MACHINE)
    (alone,) = replay_path(path, jobs=1)
    asked: list[int] = []

    def shared(_replaying: object, parts: list[Part], jobs: int, _method: str, _machines: object) -> list[ReplayResult | None]:
        assert len(parts) > jobs
        asked.append(jobs)
        return [alone.result]

    monkeypatch.setattr(replay_shared, "_ACTIONS_MIN", actions_min)
    monkeypatch.setattr(replay_module, "replay_parts", shared)
    monkeypatch.setattr(replay_shared.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr(replay_shared.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(replay_module, "start_method", lambda: "fork")
    assert replay_path(path) == [alone]
    assert asked == [processes] * bool(processes)
    monkeypatch.setattr(replay_module, "start_method", lambda: "spawn")
    assert replay_path(path) == [alone]
    assert len(asked) == bool(processes)


@pytest.mark.usefixtures("registry")
def test_the_logs_of_a_directory_are_shared_out(tmp_path: Path) -> None:
    """Long ones from checkpoint to checkpoint, short ones whole; what can not be read is told as ever."""
    register_machine("test", MACHINE)
    for number, count in enumerate((600, 20, 300)):
        (tmp_path / f"{number}.log").write_bytes(record_log(count, seed=number, options=OPTIONS))
    (tmp_path / "broken.log").write_bytes(b"no log at all")
    (tmp_path / "empty.log").touch()
    alone = replay_path(tmp_path, jobs=1)
    assert replay_path(tmp_path, jobs=2) == alone
    assert replay_path(tmp_path, jobs=5) == alone
    assert sorted(bool(log.error) for log in alone) == [False, False, False, True, True]


def test_parts_are_cut_by_how_long_logs_are() -> None:
    """At checkpoints, in proportion, none of a log that is short or unknown; together they are the whole."""

    def index(checkpoints: int) -> Index:
        kinds = [ChunkKind.HEADER, *[ChunkKind.STATE, ChunkKind.RECORDS] * checkpoints, ChunkKind.STATE]
        numbers = list(range(len(kinds)))
        return Index([int(kind) for kind in kinds], [100 * number for number in numbers], numbers, numbers, [b""] * len(kinds))

    parts = replay_shared.parts_of([index(50), index(1), Index([], [], [], [], []), index(25)], 2)
    assert [sum(part.log == number for part in parts) for number in range(4)] == [5, 1, 1, 3]
    for before, part in pairwise(parts):
        assert part.start == (0 if part.log != before.log else before.end - 1 if before.end is not None else None)
    assert [part.end for part in parts].count(None) == 4


def test_what_another_process_can_not_do_is_done_here() -> None:
    """It dies, or its answer can not be sent; order and results stay."""
    here = os.getpid()

    def replaying(part: Part) -> Any:
        if os.getpid() != here:
            os._exit(1)
        return str(part.log)

    assert replay_shared.replay_parts(replaying, [Part(number, 0, None) for number in range(6)], 2, "fork", ()) == list("012345")
    parts = [Part(number, 0, None) for number in range(6)]
    assert replay_shared.replay_parts(dying_elsewhere, parts, 3, replay_shared.start_method(), ()) == list("012345")


def dying_elsewhere(part: Part) -> str:
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return str(part.log)


def test_an_interrupt_ends_the_others_without_a_word() -> None:
    """Ctrl-C reaches every process of a terminal; only the first one says so."""
    program = "import os, signal\nfrom mina_p2p_effects.replay_shared import begin_process\nbegin_process(())\nos.kill(os.getpid(), signal.SIGINT)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")
