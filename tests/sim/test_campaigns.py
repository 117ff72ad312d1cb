"""Many seeds: on cores and clusters the same comes out, and an interrupted campaign goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND
from mina_p2p.testing.campaign import Options
from mina_p2p.testing.faults import FaultKind
from mina_p2p.testing.liars import STRATEGIES, NeverAnswers
from mina_p2p_effects.campaigns import executors
from mina_p2p_effects.campaigns.executors import EXECUTORS, Place
from mina_p2p_effects.campaigns.ledger import Ledger
from mina_p2p_effects.campaigns.runner import Broken, Done, Job, Result, run_alone
from mina_p2p_effects.campaigns.strategies import strategies_of
from mina_p2p_effects.cli import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--nodes", "3", "--transactions", "2", "--duration", "5", "--faults", "loss,names")


KINDS = (FaultKind.LOSS, FaultKind.NAMES)


def job(seed: int, **settings: Any) -> Job:
    fields: dict[str, Any] = {"transactions": 2, "fault_duration": 5 * SECOND, **settings}
    return Job(Options(seed, 3, KINDS, **fields))


def in_this_process(run: Callable[[Job], Result], jobs: Sequence[Job], place: Place) -> Iterator[Result]:
    return map(run, jobs)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds run in this process, which takes no time to begin."""
    monkeypatch.setattr("mina_p2p_effects.cli.simulate_command.EXECUTORS", {"local": in_this_process})


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["simulate", *SMALL, *arguments, "--json"]) == 0
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


# --- resuming ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_campaign_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds that the file holds do not run again, more seeds may be asked for, and the report is that of an uninterrupted campaign."""
    file = tmp_path / "campaign"
    whole = report(capsys, "--seeds", "1..6")
    assert report(capsys, "--seeds", "1..4", "--resume", str(file))["seeds"] == 4
    ran: list[int] = []

    def watched(run: Callable[[Job], Result], jobs: Sequence[Job], place: Place) -> Iterator[Result]:
        ran.extend(one.options.seed for one in jobs)
        return in_this_process(run, jobs, place)

    monkeypatch.setattr("mina_p2p_effects.cli.simulate_command.EXECUTORS", {"local": watched})
    resumed = report(capsys, "--seeds", "1..6", "--resume", str(file))
    assert ran == [5, 6]
    assert {name: value for name, value in resumed.items() if "seconds" not in name} == {
        name: value for name, value in whole.items() if "seconds" not in name
    }
    assert report(capsys, "--seeds", "1..6", "--resume", str(file)) | {"real_seconds": 0} == resumed | {"real_seconds": 0}
    assert ran == [5, 6]


def test_what_was_cut_off_runs_again(tmp_path: Path) -> None:
    """A crash in the middle of a line costs that seed only, and the file is whole again afterwards."""
    path = tmp_path / "campaign"
    ledger = Ledger(path, job(1))
    results = [run_alone(job(seed)) for seed in (1, 2)]
    for result in results:
        assert isinstance(result, Done)
        ledger.add(result)
    content = path.read_bytes()
    assert content.count(b"\n") == 3
    for cut in range(content.rindex(b"\n", 0, -1) + 2, len(content)):
        path.write_bytes(content[:cut])
        again = Ledger(path, job(1))
        assert again.done([job(1), job(2)]) == results[:1]
        assert again.done([job(2)]) == []
    assert isinstance(results[1], Done)
    Ledger(path, job(1)).add(results[1])
    assert path.read_bytes() == content
    assert Ledger(path, job(1)).done([job(2), job(1)]) == [results[1], results[0]]


def test_a_file_cut_off_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    """Nothing was done by then."""
    path = tmp_path / "campaign"
    Ledger(path, job(1))
    path.write_bytes(path.read_bytes()[:20])
    assert Ledger(path, job(1)).done([job(1)]) == []
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a file of somebody\n", "no file of a campaign"),
        (b"[1, 2]\n", "says no settings"),
        (b'{"nodes": 3}\n{"outcome": 5}\n', "no file of a campaign"),
        (b"\xff\xfe\n", "no file of a campaign"),
    ],
)
def test_other_files_are_left_alone(tmp_path: Path, content: bytes, why: str) -> None:
    """What is no ledger is refused, and stays as it is."""
    path = tmp_path / "campaign"
    path.write_bytes(content)
    with pytest.raises(CallerError, match=why):
        Ledger(path, job(1))
    assert path.read_bytes() == content


def test_other_settings_are_another_campaign(tmp_path: Path) -> None:
    """Results under different settings do not mix; the error names the setting. Another seed is the same campaign."""
    path = tmp_path / "campaign"
    Ledger(path, job(1))
    Ledger(path, job(99))
    for other, name in ((job(1, peers=3), "peers"), (job(1, is_swarm=True), "is_swarm"), (job(1).replace(is_twice=True), "is_twice")):
        with pytest.raises(CallerError, match=f"another campaign: {name} was"):
            Ledger(path, other)


# --- liars ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_users_bring_liars_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A class of the user's own module lies, alone or among shipped ones, and the command that is printed names it."""
    (tmp_path / "rude.py").write_text(
        "from mina_p2p.testing.liars import Strategy\n\n\n"
        "class Silent(Strategy):\n    def perform(self, node, effect):\n        return ()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["simulate", *SMALL, "--faults", "liars", "--liars", "rude:Silent", "--seed", "1", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["liars"] == ["Silent"]
    assert run["command"].endswith("--liars rude:Silent")
    assert strategies_of(("NeverAnswers",)) == (NeverAnswers,)
    assert strategies_of(()) == STRATEGIES


@pytest.mark.parametrize("name", ["Nobody", "nowhere:Class", "json:dumps", "json:nothing", "mina_p2p.table:Table", ":", "json:"])
def test_what_is_no_liar_is_refused(name: str) -> None:
    """With what there is, before anything runs."""
    with pytest.raises(CallerError, match=name):
        strategies_of((name,))


# --- executors --------------------------------------------------------------------------------


def test_a_seed_that_breaks_the_simulator_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its traceback; the others go on."""

    def boom(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("mina_p2p_effects.campaigns.runner.Run", boom)
    broken = run_alone(job(1))
    assert isinstance(broken, Broken)
    assert "planted" in broken.error
    assert not broken.is_good


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_an_engine_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with what to install."""

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(executors, "import_module", missing)
    with pytest.raises(CallerError, match=rf"pip install 'mina-p2p\[{name}\]'"):
        next(iter(EXECUTORS[name](run_alone, [job(1)], Place())))


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_a_cluster_gives_the_report_of_one_machine(name: str, module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cluster of one worker, begun for this: the merged report is the same, and it is resumable there too."""
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'mina-p2p[{name}]'")
    file = tmp_path / "campaign"
    arguments = ["simulate", *SMALL, "--seeds", "1..5", "--jobs", "1", "--executor", name, "--resume", str(file), "--json"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "effects")])
    made = subprocess.run(
        [sys.executable, "-m", "mina_p2p_effects.cli", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    there = json.loads(made.stdout)
    here = report(capsys, "--seeds", "1..5", "--resume", str(file))
    assert there | {"real_seconds": 0} == here | {"real_seconds": 0}
    alone = [run_alone(job(seed)) for seed in range(1, 6)]
    assert there["actions"] == sum(done.outcome.actions for done in alone if isinstance(done, Done))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seed", "1", "--executor", "dask"],
        ["--seed", "1", "--resume", "x"],
        ["--seeds", "1..2", "--cluster", "nowhere:1"],
        ["--seeds", "1..2", "--executor", "ray", "--record", "x"],
    ],
    ids=" ".join,
)
def test_choices_that_do_not_fit_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything runs."""
    assert main(["simulate", *SMALL, *arguments]) == 2
    assert "mina-p2p simulate: " in capsys.readouterr().err
