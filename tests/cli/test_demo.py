"""The commands as a user types them, in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.vectors import vectors_path

from mina_p2p_effects.cli import demo_command

TIMEOUT_S = 120
COMMAND = [sys.executable, "-m", "mina_p2p_effects.cli"]


def mina_p2p(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def demo(*arguments: str | Path) -> dict[str, Any]:
    done = mina_p2p("demo", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One demo of three nodes, with its logs kept."""
    folder = tmp_path_factory.mktemp("demo")
    return demo("--nodes", "3", "--seed", "7", "--record", folder), folder


def test_nodes_converge_and_their_logs_replay(recorded: tuple[dict[str, Any], Path]) -> None:
    """Every node is connected, has every item, broke no rule; every log was verified."""
    result, folder = recorded
    assert result["converged"] is True
    assert result["seconds"] > 0
    assert result["log"] == str(folder)
    assert len(result["nodes"]) == 3
    ids = {node["peer_id"] for node in result["nodes"]}
    assert len(ids) == 3
    for node in result["nodes"]:
        assert node["peers"]
        assert set(node["peers"]) <= ids - {node["peer_id"]}
        assert node["items"] == result["items"]
        assert node["bytes_in"] > 0
        assert node["bytes_out"] > 0
        assert 0 < node["permissions_used"] <= node["permissions_granted"]
        assert node["violations"] == []
    replay = result["replay"]
    assert replay["verified"] is True
    assert replay["actions"] > 0
    assert len(replay["state_hash"]) == 64
    assert replay["divergence"] is None
    assert len(list(folder.iterdir())) >= 3


def test_bytes_are_what_was_sent_and_received(recorded: tuple[dict[str, Any], Path]) -> None:
    """Nothing is lost on loopback: what all nodes received is at most what all sent."""
    nodes = recorded[0]["nodes"]
    assert sum(node["bytes_in"] for node in nodes) <= sum(node["bytes_out"] for node in nodes)


def test_replay_command_agrees_with_the_demo(recorded: tuple[dict[str, Any], Path]) -> None:
    """``replay --json`` of the directory prints the same object."""
    result, folder = recorded
    done = mina_p2p("replay", "--json", folder)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert {name: again[name] for name in ("verified", "actions", "state_hash", "divergence")} == {
        name: result["replay"][name] for name in ("verified", "actions", "state_hash", "divergence")
    }


def test_one_log_replays_for_people(recorded: tuple[dict[str, Any], Path]) -> None:
    """A single log prints a line that says so."""
    log = min(recorded[1].iterdir())
    done = mina_p2p("replay", log)
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "garbage"])
def test_damaged_logs_are_reported_and_never_a_traceback(recorded: tuple[dict[str, Any], Path], tmp_path: Path, damage: str) -> None:
    """A flipped bit, a cut tail and things that are no logs give a message and an exit code."""
    data = bytearray(min(recorded[1].iterdir()).read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 4
    elif damage == "cut":
        del data[len(data) * 2 // 3 :]
    elif damage == "empty":
        data.clear()
    else:
        data[:] = bytes(range(256)) * 40
    path = tmp_path / "node.log"
    path.write_bytes(data)
    done = mina_p2p("replay", path)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in {0, 1, 2}
    if damage != "cut":
        assert done.returncode != 0
    assert (done.stdout + done.stderr).strip()


def test_real_blocks_and_transactions_spread() -> None:
    """``--blocks`` and ``--transactions`` feed mainnet data, and the best block wins everywhere."""
    result = demo(
        "--nodes", "3", "--seed", "1", "--blocks", vectors_path("blocks"), "--transactions", vectors_path("commands", "payments.json")
    )
    assert result["converged"] is True
    assert result["replay"]["verified"] is True
    assert result["items"] > 80


def test_unusable_input_is_named() -> None:
    """A folder without blocks is an error message, not a run."""
    done = mina_p2p("demo", "--json", "--blocks", "/nonexistent")
    assert done.returncode == 2
    assert "/nonexistent" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("after_line", [1, 2])
def test_ctrl_c_ends_cleanly(after_line: int) -> None:
    """An interrupt at any moment ends every process, without a traceback."""
    process = subprocess.Popen(
        [*COMMAND, "demo", "--seed", "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for _ in range(after_line):
        process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert "Traceback" not in out + err
    assert process.returncode == 130, (out, err)
    left = subprocess.run(["pgrep", "-f", f"demo.child {process.pid}$"], capture_output=True, text=True, check=False).stdout
    assert not left.split()


@pytest.mark.parametrize("end", [asyncio.CancelledError, BrokenPipeError, None], ids=["cancelled", "a node that ended", "converged"])
def test_ctrl_c_counts_whatever_becomes_of_the_run(end: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that the interrupt ended too, or a run that is over before it is told, are no reason to say that all went well."""

    async def run_demo(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if end is not None:
            raise end

    monkeypatch.setattr(demo_command, "run_demo", run_demo)
    options: Any = None
    with pytest.raises(KeyboardInterrupt):
        demo_command._run_interruptibly(options, demo_command.SilentProgress())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_help_says_what_each_command_does() -> None:
    """``--help`` lists every command with a line of its own."""
    done = mina_p2p("--help")
    assert done.returncode == 0
    for name in ("demo", "replay", "inspect", "key"):
        assert name in done.stdout
        assert "usage" in mina_p2p(name, "--help").stdout
