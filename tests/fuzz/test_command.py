"""``mina-p2p fuzz``: what it says, writes and returns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mina_p2p_effects.cli import main
from mina_p2p_effects.fuzzing import decoders as registry
from mina_p2p_effects.fuzzing import machines
from mina_p2p_effects.fuzzing.decoders import register_decoder
from mina_p2p_effects.fuzzing.engine import target_names
from mina_p2p_effects.fuzzing.machines import register_machine_target
from mina_p2p_effects.replay import replay_path

from .planted import DECODERS, TARGET


@pytest.fixture
def planted() -> Iterator[None]:
    """A decoder and a machine with faults are targets, too."""
    decoder = DECODERS["raises"][0]
    register_decoder(decoder)
    register_machine_target(TARGET)
    yield
    del registry._registered[decoder.name], machines._targets[TARGET.name]


def fuzz(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = main(["fuzz", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_nothing_found_is_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one JSON object that counts, and no file."""
    folder = tmp_path / "found"
    code, out = fuzz(capsys, "--rounds", 2, "--seed", 1, "--jobs", 1, "--target", "text.*", "--findings", folder, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["findings"] == []
    assert (report["seed"], report["rounds"]) == (1, 2)
    assert report["targets"].keys() == {name for name in target_names() if name.startswith("text.")}
    assert report["executions"] == sum(target["executions"] for target in report["targets"].values()) > 2_000
    assert report["coverage"] > 100
    assert not folder.exists()


def test_findings_are_written_and_run_again(planted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Exit code 1; the bytes of one and the log of the other show it again, and no longer once it is mended."""
    folder = tmp_path / "found"
    code, out = fuzz(capsys, "--rounds", 10, "--seed", 1, "--jobs", 1, "--target", "planted.*", "--findings", folder, "--json")
    assert code == 1
    found = {Path(finding["path"]).suffix: finding for finding in json.loads(out)["findings"] if "digit" not in finding["fault"]}
    assert found.keys() == {".bin", ".mplog"}
    assert "KeyError" in found[".bin"]["fault"]
    assert found[".mplog"]["size"] == 5
    for finding in found.values():
        assert finding["command"] == f"mina-p2p fuzz --replay {finding['path']}"
        code, out = fuzz(capsys, "--replay", finding["path"])
        assert code == 1
        assert finding["fault"] in out
    monkeypatch.setitem(registry._registered, "planted.raises", DECODERS["raises"][0].replace(errors=(Exception,)))
    assert fuzz(capsys, "--replay", found[".bin"]["path"])[0] == 0
    monkeypatch.setitem(machines._targets, TARGET.name, TARGET.replace(new_check=lambda: lambda _state: None))
    assert fuzz(capsys, "--replay", found[".mplog"]["path"])[0] == 0


def test_a_log_of_a_violation_is_named_by_replay(planted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A violation that the machine itself finds is what ``mina-p2p replay`` stumbles over, too."""
    folder = tmp_path / "found"
    fuzz(capsys, "--rounds", 1, "--seed", 1, "--jobs", 1, "--target", TARGET.name, "--findings", folder, "--json")
    results = [log for path in folder.iterdir() for log in replay_path(path)]
    named = [str(log.result.divergence) for log in results if log.result is not None and log.result.divergence is not None]
    assert len(named) == 1
    assert "no such digit" in named[0]
    assert {log.metadata["target"] for log in results} == {TARGET.name}


def test_the_table_names_groups_and_findings(planted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--json``: a table, each finding with its command, and a last line."""
    code, out = fuzz(capsys, "--rounds", 10, "--seed", 1, "--jobs", 1, "--target", "planted.raises", "--findings", tmp_path / "found")
    assert code == 1
    assert "planted.raises" in out
    assert "mina-p2p fuzz --replay" in out
    assert "seed 1" in out.splitlines()[-1]


def test_mistakes_are_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that does not exist, a file that is not there or belongs to none, more than one target for a replay."""
    assert fuzz(capsys, "--target", "nothing")[0] == 2
    assert fuzz(capsys, "--replay", tmp_path / "text.host--0.bin")[0] == 2
    (tmp_path / "other.bin").write_bytes(b"")
    assert fuzz(capsys, "--replay", tmp_path / "other.bin")[0] == 2
    assert fuzz(capsys, "--replay", tmp_path / "other.bin", "--target", "text.host")[0] == 0
    assert fuzz(capsys, "--replay", tmp_path / "other.bin", "--target", "text.host", "--target", "text.address")[0] == 2
    for wrong in (["--minutes", "0"], ["--rounds", "0"], ["--seed", "x"], ["--jobs", "0"]):
        with pytest.raises(SystemExit) as stopped:
            main(["fuzz", *wrong])
        assert stopped.value.code == 2


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """One in a line, all or those that match."""
    assert fuzz(capsys, "--list") == (0, "".join(f"{name}\n" for name in target_names()))
    assert fuzz(capsys, "--list", "--target", "machine.*") == (0, "machine.node\nmachine.network\n")


def run_apart(folder: Path, hash_seed: str, *arguments: str | Path) -> Any:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "mina_p2p_effects.cli", "fuzz", "--json", "--findings", "f", "--corpus", "c", *map(str, arguments)]
    folder.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    return json.loads(done.stdout)


def test_one_seed_decides_everything(tmp_path: Path) -> None:
    """Two processes with the same seed run the same inputs, whatever the hash seed, and keep the same corpus."""
    arguments = ["--rounds", "1", "--seed", "11", "--jobs", "1", "--target", "machine.*", "--target", "json.offer"]
    one, other = (run_apart(tmp_path / seed, seed, *arguments) for seed in ("1", "2"))
    for report in (one, other):
        del report["seconds"]
    assert one == other
    kept = [{path.relative_to(tmp_path / seed): path.read_bytes() for path in (tmp_path / seed / "c").rglob("*-*")} for seed in ("1", "2")]
    assert kept[0] == kept[1] != {}


def test_several_processes_report_as_one(tmp_path: Path) -> None:
    """Each with a seed of its own; executions add up, and the corpus is begun with the next time."""
    arguments = ["--rounds", "1", "--seed", "3", "--target", "text.host"]
    report = run_apart(tmp_path / "several", "0", *arguments, "--jobs", "2")
    assert report["targets"]["text.host"]["executions"] >= 2 * 300
    assert any((tmp_path / "several" / "c" / "text.host").iterdir())
