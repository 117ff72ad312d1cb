"""`mina-p2p log minimise` takes a log that rotated as the one log that it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trace_machine as tm

from mina_p2p.store import Store
from mina_p2p_effects.cli import main
from mina_p2p_effects.recorder import Recorder


def few_acks(state: Any) -> bool:
    """What is wrong soon behind the end of the first file."""
    return state.net.acks < 60


@pytest.fixture
def rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files of one log."""
    folder = tmp_path / "logs"
    folder.mkdir()
    store = Store(tm.MACHINE, tm.initial())
    recorder = Recorder(
        folder / "node.log", tm.MACHINE, "test", store.state, schema=tm.SCHEMA, rotate_bytes=8_000, options=tm.OPTIONS, is_threaded=False
    )
    recorder.attach(store)
    for action, now in tm.inputs(600):
        store.dispatch(action, now)
    recorder.close()
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return folder


def test_a_fault_behind_the_first_file_is_found_and_reduced(rotated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the first file's state on, over all files; the result is beside the directory."""
    assert len(list(rotated.iterdir())) > 2
    arguments = ["--assert", "test_minimise_rotated:few_acks", "--json", "--tries", "150"]
    assert main(["log", "minimise", str(rotated / "node.log"), *arguments]) == 2
    capsys.readouterr()
    assert main(["log", "minimise", str(rotated), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"] < found["inputs_before"] == 600
    assert Path(found["log"]) == rotated.with_name("logs-minimal.mplog")


def test_a_log_of_which_files_are_missing_is_refused(rotated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is between would be missing without a word."""
    (rotated / "node.000001.log").unlink()
    assert main(["log", "minimise", str(rotated), "--assert", "test_minimise_rotated:few_acks"]) == 2
    assert "missing" in capsys.readouterr().err
