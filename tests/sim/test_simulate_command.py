"""The command ``mina-p2p simulate``: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mina_p2p.errors import CallerError
from mina_p2p.testing.campaign import Options, Outcome
from mina_p2p.testing.faults import FaultKind
from mina_p2p.testing.health import Coverage
from mina_p2p_effects.campaigns.runner import Broken, Done, Job, run_job
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.simulate.plot import chart
from mina_p2p_effects.cli.simulate.report import campaign_json, command_of, run_json
from mina_p2p_effects.replay import replay_path

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--nodes", "4", "--transactions", "4", "--duration", "20")


def outcome(**changes: Any) -> Outcome:
    made = Outcome(
        seed=7,
        nodes=3,
        faults=("loss",),
        liars=(),
        converged=True,
        missing=(),
        violations=(),
        trace_hash="ab" * 16,
        actions=100,
        dispatches=20,
        virtual_seconds=30.0,
        healed_at=20.0,
        up_at=0.1,
        up_actions=60,
        coverage=(Coverage(0.0, 0.0, 0.0, 0.0), Coverage(10.0, 1.0, 0.5, 1.0), Coverage(30.0, 1.0, 1.0, 1.0)),
    )
    return made.replace(**changes)


def done(**changes: Any) -> Done:
    job = Job(Options(7, 3, (FaultKind.LOSS, FaultKind.NAMES)))
    return Done(job, outcome(**changes), 1.5, None)


def test_json_has_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    """One object and nothing else on standard output; the exit code says that all is well."""
    assert main(["simulate", *SMALL, "--seed", "3", "--twice", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seed"] == 3
    assert report["nodes"] == 4
    assert report["converged"] is True
    assert report["violations"] == []
    assert report["deterministic"] is True
    assert len(report["trace_hash"]) == 32
    assert report["actions"] > 100
    assert report["virtual_seconds"] > 20
    assert report["real_seconds"] > 0


def test_the_hash_does_not_depend_on_the_process() -> None:
    """Two processes with different hash seeds do the same."""
    hashes: set[str] = set()
    for hash_seed in ("1", "77"):
        command = [sys.executable, "-m", "mina_p2p_effects.cli", "simulate", *SMALL, "--seed", "11", "--json"]
        path = os.pathsep.join([str(ROOT), str(ROOT / "effects")])
        made = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
        hashes.add(json.loads(made.stdout)["trace_hash"])
    assert len(hashes) == 1


def test_a_range_of_seeds_makes_one_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds run in processes, in any order; the report is the same as if each had run alone."""
    assert main(["simulate", *SMALL, "--seeds", "1..4", "--jobs", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seeds"] == 4
    assert report["failed"] == report["broken"] == report["violations"] == []
    assert main(["simulate", *SMALL, "--seeds", "1..4", "--jobs", "1", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["trace_hash"] == report["trace_hash"]
    assert again["actions"] == report["actions"]


def test_recorded_logs_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each node leaves a log like that of any node, also one that crashed; a folder with logs is not written over."""
    arguments = ["simulate", *SMALL, "--seed", "3", "--faults", "crash", "--record", str(tmp_path / "logs"), "--json"]
    assert main(arguments) == 0
    actions = json.loads(capsys.readouterr().out)["actions"]
    replays = replay_path(tmp_path / "logs")
    assert len(replays) > 4, "nodes that came back have logs of their own"
    assert all(replay.is_verified for replay in replays)
    assert sum(replay.result.actions for replay in replays if replay.result is not None) == actions
    assert main(arguments) == 2
    assert "holds logs already" in capsys.readouterr().err


def test_a_bug_is_the_last_input_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a node in which a reducer is wrong ends with the input at which it was; replaying finds the same violation there."""
    from mina_p2p.errors import InvariantViolationError
    from mina_p2p.pool import reducer

    def broken(*_: object) -> None:
        raise InvariantViolationError("planted")

    monkeypatch.setattr(reducer, "_fetched", broken)
    failed = run_job(Job(Options(1, 3, transactions=2), record_dir=tmp_path))
    assert "planted" in failed.outcome.violations[0]
    replays = replay_path(tmp_path)
    assert all(replay.is_verified for replay in replays)
    assert sum(replay.result is not None and replay.result.failure is not None for replay in replays) == 1


def test_the_chart_is_well_formed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An SVG with a line for each share, that begins on the left and ends on the right."""
    path = tmp_path / "chart.svg"
    assert main(["simulate", *SMALL, "--seed", "3", "--plot", str(path)]) == 0
    drawing = ET.parse(path).getroot()
    lines = [element.attrib["d"] for element in drawing.iter("{http://www.w3.org/2000/svg}path")]
    assert len(lines) == 3
    assert all(re.fullmatch(r"M60\..*H840\.0V[0-9.]+", line) for line in lines)
    assert "seed 3" in capsys.readouterr().out


def test_the_chart_draws_what_happened() -> None:
    """Shares are steps in time, the time of faults is shaded, and text is escaped."""
    drawn = chart(outcome(faults=("a<b",)))
    assert 'd="M60.0 374.0H320.0V215.0H840.0V56.0"' in drawn
    assert 'width="520.0"' in drawn, "20 of 30 seconds"
    assert "a&lt;b" in drawn


@pytest.mark.parametrize(
    "arguments",
    [["--nodes", "1"], ["--seeds", "5..4"], ["--seeds", "5"], ["--seeds", "-1..4"], ["--seed", "1", "--seeds", "1..2"], ["--seed", "-1"]],
    ids=" ".join,
)
def test_arguments_without_a_meaning_are_refused(arguments: list[str]) -> None:
    """Before anything runs."""
    with pytest.raises(SystemExit) as caught:
        main(["simulate", *arguments])
    assert caught.value.code == 2


@pytest.mark.parametrize("arguments", [["--faults", "rain"], ["--seeds", "1..2", "--plot", "x.svg"]], ids=" ".join)
def test_choices_that_can_not_be_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence, and the exit code of unusable input."""
    assert main(["simulate", *arguments]) == 2
    assert "mina-p2p simulate: " in capsys.readouterr().err


def test_a_failed_seed_comes_with_its_command() -> None:
    """What is printed for it runs the same seed with the same settings."""
    assert run_json(done())["command"] == (
        "mina-p2p simulate --nodes 3 --seed 7 --faults loss,names --peers 20 --transactions 20 --duration 120"
    )
    assert "--faults all" in command_of(Job(Options(7, 3, tuple(FaultKind), is_swarm=True)))
    assert "--faults none" in command_of(Job(Options(7, 3)))


def test_a_report_names_every_seed_that_failed() -> None:
    """Seeds with violations, without convergence, that do something else the second time, or in which the simulator broke."""
    bad = [
        done(seed=3, violations=("node 1 at 2.000 s: wrong",), converged=False),
        done(seed=1, converged=False, missing=("something",)),
        done(seed=2).replace(is_deterministic=False),
    ]
    report = campaign_json([*bad, done(seed=9)], [Broken(done().job, "Traceback")], 2.0)
    assert [run["seed"] for run in report["failed"]] == [1, 2, 3]
    assert report["violations"] == ["seed 3: node 1 at 2.000 s: wrong"]
    assert report["converged"] is False
    assert report["deterministic"] is False
    assert report["broken"][0]["seed"] == 7
    assert report["seeds"] == 5
    assert not done(converged=False).is_good
    assert done().is_good


def test_logs_do_not_mix(tmp_path: Path) -> None:
    """A folder that holds logs is refused before a run begins."""
    (tmp_path / "node-0001.log").write_bytes(b"")
    with pytest.raises(CallerError, match="holds logs already"):
        run_job(Job(Options(1, 2), record_dir=tmp_path))
