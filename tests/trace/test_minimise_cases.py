"""Logs that show a fault: read, played, reduced, written again, and made into a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trace_machine import MACHINE, CheckTimeouts, Connected, Gone, Root, initial, inputs, make_machine, record_log, reduce

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.store import FollowUps
from mina_p2p.trace import BytesSource, Chunk, ChunkKind, LogError, Reader, register_machine
from mina_p2p.trace.minimise import Input
from mina_p2p_effects.fuzzing.cases import Case, kind_of_fault, minimise_case, play, read_case, write_case, write_pytest_file
from mina_p2p_effects.replay import replay_path

register_machine("test", MACHINE)


def breaks_at_three(state: Root, action: Any, now: Timestamp) -> tuple[Root, FollowUps]:
    """A reducer with a planted fault: it can not count beyond three peers."""
    if isinstance(action, Connected) and len(state.net.peers) == 3:
        raise InvariantViolationError(f"a fourth peer at {now}")
    return reduce(state, action, now)


register_machine("test-broken", make_machine(breaks_at_three))


def nobody_is_gone(state: Root) -> bool:
    """A check that says no."""
    return not any(isinstance(peer.status, Gone) for peer in state.net.peers.values())


def few_bytes(state: Root) -> None:
    """A check that raises."""
    received = sum(peer.bytes_in for peer in state.net.peers.values())
    assert received < 60, f"{received} bytes"


def a_case(machine: str = "test", count: int = 300) -> Case:
    return Case(machine, initial(), tuple(Input(action, now) for action, now in inputs(count)))


def test_a_log_is_read_as_the_inputs_that_were_recorded(tmp_path: Path) -> None:
    """Whole, in order, with the state before them, and however many checkpoints it has."""
    path = tmp_path / "run.mplog"
    path.write_bytes(record_log(300))
    assert read_case(path) == a_case()


def test_behind_damage_a_log_is_read_from_the_next_checkpoint_on(tmp_path: Path) -> None:
    """What comes before can not be played without what is missing."""
    data = bytearray(record_log(300))
    data[len(data) // 2] ^= 1
    path = tmp_path / "run.mplog"
    path.write_bytes(data)
    found = read_case(path)
    assert 0 < len(found.inputs) < 300
    assert found.inputs == a_case().inputs[-len(found.inputs) :]
    assert play(found) is None


def test_a_log_without_a_state_is_refused(tmp_path: Path) -> None:
    """There is nothing to start from, and it is said why."""
    path = tmp_path / "run.mplog"
    path.write_bytes(b"nothing")
    with pytest.raises(LogError):
        read_case(path)
    write_case(path, a_case())
    data = bytearray(path.read_bytes())
    for chunk in Reader(BytesSource(bytes(data))).heads():
        assert isinstance(chunk, Chunk)
        if chunk.head.kind == ChunkKind.STATE:
            data[chunk.head.end - 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogError, match=r"a state to begin with: .* can not be read"):
        read_case(path)


@pytest.mark.parametrize("check", [nobody_is_gone, few_bytes, None])
def test_a_case_is_reduced_and_keeps_its_fault(tmp_path: Path, check: Any) -> None:
    """By a check that says no, by one that raises, and by a violation of the machine; the log of it is read back the same."""
    case = a_case("test" if check else "test-broken")
    before = play(case, check)
    assert before is not None
    smaller, fault = minimise_case(case, check)
    assert fault.kind == before.kind
    assert len(smaller.inputs) == fault.at + 1 <= 8
    write_case(tmp_path / "small.mplog", smaller, {"fault": fault.text})
    again = read_case(tmp_path / "small.mplog")
    assert again == smaller
    assert play(again, check) == fault


def test_no_part_of_a_case_is_played_twice() -> None:
    """Where no number of the machine changes without the others, the inputs with other numbers are those as they were."""
    last, played, tries = inputs(40), [0], [0]
    times = tuple(Input(CheckTimeouts(), now) for _, now in last)

    def late(state: Root) -> bool:
        played[0] += state.clock.last_action_id == 0
        return state.clock.last_action_id < 5

    smaller, _ = minimise_case(Case("test", initial(), times), late, progress=lambda seen: tries.__setitem__(0, seen.tries))
    assert len(smaller.inputs) == 5
    assert played[0] <= tries[0] + 2


def test_replaying_a_case_names_the_violation(tmp_path: Path) -> None:
    """A log of a case at whose end the machine fails is not verified: the failure is named. One without failure is."""
    smaller, fault = minimise_case(a_case("test-broken"))
    write_case(tmp_path / "broken.mplog", smaller)
    (log,) = replay_path(tmp_path / "broken.mplog")
    assert log.exit_code == 1
    assert log.result is not None
    assert fault.text in str(log.result.divergence)
    write_case(tmp_path / "good.mplog", a_case())
    (log,) = replay_path(tmp_path / "good.mplog")
    assert log.is_verified


def test_a_case_without_a_fault_is_refused() -> None:
    """There is nothing to reduce to."""
    with pytest.raises(CallerError, match="nothing goes wrong"):
        minimise_case(a_case())


def test_the_kind_of_a_fault_is_its_text_without_what_varies() -> None:
    """Numbers and bytes differ from input to input; what is wrong does not."""
    assert kind_of_fault("peers[3]: 17 is over its bound, b'ab' at 00ffab12cd") == kind_of_fault(
        "peers[4]: 2 is over its bound, b'' at 1234abcdff"
    )
    assert kind_of_fault("peers: wrong") != kind_of_fault("pools: wrong")


PROBE = """
from mina_p2p.trace import register_machine
import trace_machine

def nobody_is_gone(state):
    return not any(isinstance(peer.status, trace_machine.Gone) for peer in state.net.peers.values())

register_machine("test", trace_machine.MACHINE)
"""


def test_the_pytest_file_fails_while_the_fault_is_there(tmp_path: Path) -> None:
    """It runs as it stands: it fails on the log with the fault, and passes on one without."""
    smaller, fault = minimise_case(a_case(), nobody_is_gone)
    write_case(tmp_path / "gone-1.mplog", smaller)
    path = write_pytest_file(tmp_path / "gone-1.mplog", "probe:nobody_is_gone")
    assert path == tmp_path / "test_gone_1.py"
    (tmp_path / "probe.py").write_text(PROBE)
    write_case(tmp_path / "good.mplog", a_case().replace(inputs=smaller.inputs[:-1]))
    write_pytest_file(tmp_path / "good.mplog", "probe:nobody_is_gone")
    folders = f"{tmp_path}:{Path(__file__).parent}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": folders}, cwd=tmp_path)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert fault.text in done.stdout


@pytest.mark.parametrize("assertion", ["probe", "probe:", ":check", "pro be:check", "probe:check()", "probe:a.b"])
def test_what_is_no_function_is_refused(tmp_path: Path, assertion: str) -> None:
    """Nothing that is no plain name reaches the file."""
    with pytest.raises(CallerError, match="module:function"):
        write_pytest_file(tmp_path / "x.mplog", assertion)
    assert not list(tmp_path.iterdir())
