"""Recording to files: what a node's log survives, and that the node does not notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trace_machine import (
    MACHINE,
    OPTIONS,
    SCHEMA,
    Ack,
    Break,
    MessageReceived,
    Root,
    initial,
    inputs,
    make_machine,
    reader,
    record_log,
    reduce,
)

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import MILLISECOND, ConnectionId, Timestamp
from mina_p2p.store import Store
from mina_p2p.trace import Gap, Reader, Tape, TornTail, Writer, machines, register_machine, replay
from mina_p2p_effects import recorder as recorder_module
from mina_p2p_effects.recorder import Recorder
from mina_p2p_effects.replay import DIVERGED, UNREADABLE, VERIFIED, FileSource, replay_command, replay_path, summary

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine under the name that the logs of these tests give it."""
    monkeypatch.setattr(machines, "_machines", {})
    register_machine("test", MACHINE)


class Run:
    """A store that is recorded."""

    def __init__(self, path: Path, *, seed: int = 1, is_threaded: bool = False, **options: Any) -> None:
        self.store = Store(MACHINE, initial(seed))
        self.warnings: list[str] = []
        options.setdefault("options", OPTIONS)
        options.setdefault("metadata", {"peer_id": path.stem})
        self.recorder = Recorder(
            path, MACHINE, "test", self.store.state, schema=SCHEMA, is_threaded=is_threaded, on_warning=self.warnings.append, **options
        )
        self.recorder.attach(self.store)

    def feed(self, count: int, *, skip: int = 0, seed: int = 1) -> None:
        for at, (action, now) in enumerate(inputs(skip + count, seed)):
            if at >= skip:
                self.store.dispatch(action, now)


@pytest.mark.parametrize("is_threaded", [True, False])
@pytest.mark.parametrize("sync", ["never", "close", "chunk"])
def test_a_recorded_run_is_verified_from_its_file(tmp_path: Path, is_threaded: bool, sync: Any) -> None:
    """The same with and without a thread, however it is synced."""
    run = Run(tmp_path / "one.log", is_threaded=is_threaded, sync=sync)
    run.feed(200)
    run.recorder.close()
    run.recorder.close()
    (log,) = replay_path(tmp_path / "one.log")
    assert log.is_verified
    assert log.result is not None
    assert log.result.inputs == 200
    assert log.result.state_hash == SCHEMA.state_hash(run.store.state)
    assert (run.warnings, run.recorder.missed_inputs) == ([], 0)


def test_nothing_is_recorded_after_closing(tmp_path: Path) -> None:
    """The store goes on without its observer."""
    run = Run(tmp_path / "one.log")
    run.feed(50)
    run.recorder.close()
    run.feed(50, skip=50)
    (log,) = replay_path(tmp_path / "one.log")
    assert log.result is not None
    assert log.result.inputs == 50


def test_a_file_that_exists_is_not_touched(tmp_path: Path) -> None:
    """A log is evidence."""
    (tmp_path / "one.log").write_text("mine")
    with pytest.raises(FileExistsError):
        Run(tmp_path / "one.log")
    assert (tmp_path / "one.log").read_text() == "mine"


CRASH = """
import os, sys
from test_recorder import Run
from pathlib import Path
run = Run(Path(sys.argv[1]), is_threaded=True, options=None)
run.feed(100)
run.recorder.flush(run.store.state.clock.now)
run.recorder.settle()
run.feed(50, skip=100)
os.kill(os.getpid(), 9)
"""


def test_a_process_that_is_killed_leaves_what_was_flushed(tmp_path: Path) -> None:
    """Without a footer, and verified as far as it goes."""
    path = tmp_path / "one.log"
    root = HERE.parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [root, root / "effects", HERE]))}
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(path)], env=environment, check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (log,) = replay_path(path)
    assert log.is_verified
    assert log.result is not None
    assert not log.result.is_closed
    assert 100 <= log.result.inputs <= 150


def test_a_log_is_read_while_it_is_written(tmp_path: Path) -> None:
    """A follower has every input once the recorder has flushed it."""
    run = Run(tmp_path / "one.log")
    with FileSource(tmp_path / "one.log") as source:
        follower = Reader(source)
        seen = 0
        for at in range(0, 200, 25):
            run.feed(25, skip=at)
            run.recorder.flush(run.store.state.clock.now)
            seen += sum(len(getattr(item, "inputs", ())) for item in follower.items(SCHEMA, follow=True))
            assert seen == at + 25
        run.recorder.close()
        assert list(follower.items(SCHEMA, follow=True))


def test_a_log_rotates_by_size(tmp_path: Path) -> None:
    """Every part can be replayed by itself, and the parts connect."""
    run = Run(tmp_path / "one.log", rotate_bytes=8_000)
    run.feed(600)
    run.recorder.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == "one.000001.log"
    assert names[-1] == "one.log"
    assert len(names) >= 3
    logs = replay_path(tmp_path)
    assert [log.path.name for log in logs] == ["one.log", *names[:-1]]
    assert all(log.is_verified for log in logs)
    assert sum(log.result.inputs for log in logs if log.result is not None) == 600
    assert summary(logs)["state_hash"] == SCHEMA.state_hash(run.store.state).hex()
    (tmp_path / "one.000001.log").unlink()
    logs = replay_path(tmp_path)
    assert [log.is_verified for log in logs[:2]] == [True, False]
    assert "one.log ended" in logs[1].error


def test_a_log_rotates_by_age(tmp_path: Path) -> None:
    """By the inputs' time, whatever its size; the parts connect."""
    run = Run(tmp_path / "one.log", rotate_after=200 * MILLISECOND)
    run.feed(600)
    began = run.store.state.clock.now
    run.recorder.close()
    logs = replay_path(tmp_path)
    assert 3 <= len(logs) <= began // (200 * MILLISECOND) + 2
    assert all(log.is_verified for log in logs)
    assert sum(log.result.inputs for log in logs if log.result is not None) == 600


class Disk:
    """Stands before ``os.write``: takes so many bytes, then fails until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write: Callable[[int, Any], int] = os.write
        monkeypatch.setattr(recorder_module.os, "write", self.write)

    def write(self, file: int, data: Any) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = self._write(file, data[: self.room])
        self.room -= taken
        return taken


@pytest.mark.parametrize("room", [2_000, 2_900, 3_333, 4_500])
@pytest.mark.parametrize("is_threaded", [True, False])
def test_a_full_disk_is_a_warning_and_a_counted_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, is_threaded: bool) -> None:
    """The node goes on; once there is room again the log goes on too, behind a gap that says how many inputs are missing."""
    monkeypatch.setattr(recorder_module, "RETRY_AFTER", 20_000_000)
    disk = Disk(monkeypatch, room)
    run = Run(tmp_path / "one.log", is_threaded=is_threaded)
    for at in range(0, 400, 40):
        run.feed(40, skip=at)
        run.recorder.settle()
    disk.room = 10**9
    run.feed(400, skip=400)
    run.recorder.close()
    assert any("interrupted: one.log: No space left" in warning for warning in run.warnings)
    assert run.store.state.clock.last_action_id > 900
    (log,) = replay_path(tmp_path / "one.log")
    assert log.result is not None
    assert log.result.divergence is None
    assert log.is_verified
    gaps = [note for note in log.result.notes if isinstance(note, Gap)]
    assert gaps
    assert len(gaps) == len(log.result.notes)
    assert sum(gap.inputs for gap in gaps) == run.recorder.missed_inputs > 0
    assert log.result.inputs + run.recorder.missed_inputs == 800
    assert log.result.state_hash == SCHEMA.state_hash(run.store.state)
    assert log.result.is_closed


def test_a_disk_that_stays_full_leaves_a_readable_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before is there, and closing neither raises nor hangs."""
    Disk(monkeypatch, 3_333)
    run = Run(tmp_path / "one.log")
    run.feed(400)
    run.recorder.close()
    assert run.warnings
    (log,) = replay_path(tmp_path / "one.log")
    assert log.result is not None
    assert log.is_verified
    assert not log.result.is_closed
    assert not any(isinstance(note, TornTail) for note in log.result.notes), "the incomplete chunk was taken back"
    assert log.result.inputs + run.recorder.missed_inputs == 400


def test_the_operator_is_warned_once_of_one_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the recorder tries again; and again where it comes back."""
    monkeypatch.setattr(recorder_module, "RETRY_AFTER", 10_000_000)
    disk = Disk(monkeypatch, 3_333)
    run = Run(tmp_path / "one.log")
    run.feed(400)
    assert len(run.warnings) == 1
    disk.room = 10_000
    run.feed(600, skip=400)
    assert len(run.warnings) == 2
    run.recorder.close()


def test_a_part_that_can_not_be_made_is_made_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation that fails is a gap too; the part that follows has its own header."""
    monkeypatch.setattr(recorder_module, "RETRY_AFTER", 20_000_000)
    made, fails = recorder_module._create, [True]

    def create(path: Path, sync: Any) -> int:
        if path.name != "one.log" and fails[0]:
            raise PermissionError(13, "Permission denied")
        return made(path, sync)

    monkeypatch.setattr(recorder_module, "_create", create)
    run = Run(tmp_path / "one.log", rotate_bytes=8_000)
    run.feed(400)
    assert [path.name for path in tmp_path.iterdir()] == ["one.log"]
    fails[0] = False
    run.feed(400, skip=400)
    run.recorder.close()
    logs = replay_path(tmp_path)
    assert all(log.result is not None and log.result.divergence is None for log in logs)
    assert sum(log.result.inputs for log in logs if log.result is not None) + run.recorder.missed_inputs == 800
    assert run.recorder.missed_inputs > 0
    assert any("Permission denied" in warning for warning in run.warnings)


@pytest.mark.parametrize(("frame", "is_checked"), [(object(), False), ("no bytes", True)])
def test_an_input_that_can_not_be_recorded_is_left_out(tmp_path: Path, frame: Any, is_checked: bool) -> None:
    """All others are there, the gap says that one is missing, and the node never sees an exception."""
    run = Run(tmp_path / "one.log", options=OPTIONS.replace(is_checked=is_checked))
    run.feed(50)
    run.store.dispatch(MessageReceived(ConnectionId(999), frame), run.store.state.clock.now)
    run.feed(50, skip=50)
    run.recorder.close()
    assert ["not recorded" in warning for warning in run.warnings] == [True]
    (log,) = replay_path(tmp_path / "one.log")
    assert log.is_verified
    assert log.result is not None
    assert (log.result.inputs, run.recorder.missed_inputs) == (100, 1)
    (gap,) = log.result.notes
    assert isinstance(gap, Gap)
    assert gap.inputs == 1
    assert "not recorded" in gap.detail


def test_the_input_that_stopped_a_store_is_the_last_of_its_log(tmp_path: Path) -> None:
    """So the log of a bug shows the bug when it is replayed."""
    run = Run(tmp_path / "one.log")
    run.feed(50)
    now = run.store.state.clock.now
    with pytest.raises(InvariantViolationError) as raised:
        run.store.dispatch(Break(), now)
    run.recorder.record_failure(Break(), now, raised.value)
    run.recorder.close()
    (log,) = replay_path(tmp_path / "one.log")
    assert log.is_verified
    assert log.result is not None
    assert log.result.failure is not None


# --- the command --------------------------------------------------------------------------------


def logs_of(folder: Path) -> None:
    for number, name in enumerate(["carol", "alice", "bob"]):
        (folder / f"{number}.log").write_bytes(record_log(60 + 20 * number, seed=number, metadata={"peer_id": name}))


def run_command(paths: list[Path], *, is_json: bool = False) -> tuple[int, str]:
    lines: list[str] = []
    return replay_command(paths, is_json, write=lines.append), "".join(lines)


def test_a_verified_log_is_one_line_and_exit_code_0(tmp_path: Path) -> None:
    """With counts and the state hash."""
    path = tmp_path / "one.log"
    path.write_bytes(record_log(60))
    code, text = run_command([path])
    result = replay(reader(path.read_bytes()), MACHINE)
    assert code == VERIFIED
    assert result.state_hash is not None
    assert text == f"{path}: verified: {result.actions} actions from 60 inputs, state {result.state_hash.hex()}\n"


def test_the_json_of_a_directory_is_over_all_nodes(tmp_path: Path) -> None:
    """Actions are summed; the hash is over the nodes' hashes in the order of peer ids."""
    from hashlib import blake2b

    logs_of(tmp_path)
    (tmp_path / "notes.txt").write_text("not a log")
    code, text = run_command([tmp_path], is_json=True)
    found = json.loads(text)
    results = {log.node: log.result for log in replay_path(tmp_path)}
    assert code == VERIFIED
    assert list(results) == ["alice", "bob", "carol"]
    hashes = [result.state_hash for result in results.values() if result is not None and result.state_hash is not None]
    assert found["verified"] is True
    assert found["divergence"] is None
    assert found["actions"] == sum(result.actions for result in results.values() if result is not None)
    assert found["state_hash"] == blake2b(b"".join(hashes), digest_size=32).hexdigest()
    assert [log["peer_id"] for log in found["logs"]] == ["alice", "bob", "carol"]
    _, text = run_command([tmp_path / "1.log"], is_json=True)
    assert json.loads(text)["state_hash"] == hashes[0].hex()


def test_a_divergence_is_exit_code_1_and_told_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Action, path, both values; in JSON and in words."""

    def lossy(state: Root, action: Any, now: Timestamp) -> Any:
        after, follow_ups = reduce(state, action, now)
        if isinstance(action, Ack):
            after = after.replace(net=after.net.replace(acks=0))
        return after, follow_ups

    logs_of(tmp_path)
    monkeypatch.setattr(machines, "_machines", {})
    register_machine("test", make_machine(lossy))
    code, text = run_command([tmp_path], is_json=True)
    found = json.loads(text)
    assert code == DIVERGED
    assert found["verified"] is False
    assert found["divergence"]["path"] == "net.acks"
    assert found["divergence"]["replayed"] == "0"
    assert found["divergence"]["peer_id"] == "alice"
    code, text = run_command([tmp_path])
    assert code == DIVERGED
    assert text.count(": diverged: the states differ after action") == 3
    assert "net.acks is" in text


@pytest.mark.parametrize("damage", ["no log", "empty", "missing", "empty folder", "flipped", "header", "machine"])
def test_what_can_not_be_read_whole_is_exit_code_2(tmp_path: Path, damage: str) -> None:
    """In a line that says why; never a traceback."""
    path = tmp_path / "one.log"
    data = bytearray(record_log(60))
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    if damage == "header":
        data[100] ^= 1
    if damage == "machine":
        machines._machines.clear()
    if damage == "empty folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"no log": b"hello", "empty": b""}.get(damage, bytes(data)))
    code, text = run_command([path])
    assert code == UNREADABLE
    assert text.startswith(f"{path}: {'damaged' if damage == 'flipped' else 'unreadable'}: ")
    code, text = run_command([path], is_json=True)
    assert code == UNREADABLE
    assert json.loads(text)["verified"] is False


def test_a_torn_log_is_verified_as_far_as_it_goes(tmp_path: Path) -> None:
    """As after a power cut; the note says how much is missing."""
    path = tmp_path / "one.log"
    path.write_bytes(record_log(60)[:-200])
    code, text = run_command([path])
    assert code == VERIFIED
    assert "the log was not closed" in text
    assert "are not complete" in text


def test_a_log_can_not_write_to_the_terminal(tmp_path: Path) -> None:
    """What is in a log comes from strangers: peers, and whoever sent the log."""
    store = Store(MACHINE, initial())
    writer = Writer(MACHINE, "test", store.state, schema=SCHEMA, metadata={"peer_id": "a\x1b[2J", "part": "٣", "log": "x"})
    writer.fail(Break(), Timestamp(1), "\x1b[31mred\r\nlines")
    writer.close()
    tape = Tape(SCHEMA)
    path = tmp_path / "one.log"
    path.write_bytes(b"".join(tape.append(chunk) for chunk in writer.take()) + tape.finish())
    for paths in ([path], [tmp_path]):
        code, text = run_command(paths)
        assert code == VERIFIED
        assert text.count("\n") == 1
        assert "\x1b" not in text
        assert "\\x1b[31mred" in text


def test_the_garbage_collector_is_as_before(tmp_path: Path) -> None:
    """It is off only while a log is replayed."""
    import gc

    path = tmp_path / "one.log"
    path.write_bytes(record_log(60))
    assert gc.isenabled()
    replay_path(path)
    assert gc.isenabled()
    path.write_bytes(b"")
    replay_path(path)
    assert gc.isenabled()
