"""The comparison of ways in which a block travels, as a function and as a command."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from mina_p2p.blocks.study import EARLIER, Protocol, Setting, study
from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND
from mina_p2p.mina.raw import RawBlock
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p_effects.cli import main


@cache
def _block() -> bytes:
    """A block that wins over those that a study begins with, with payments and a snark work."""
    generator = MinaGenerator(9)
    tip = generator.genesis()
    for _ in range(EARLIER):
        tip = generator.block(tip, commands=())
    made = generator.block(tip, commands=tuple(generator.user_command() for _ in range(20)), works=(generator.snark_work(),))
    return bytes(RawBlock.of(made))


def test_warm_nodes_receive_little_more_than_the_header() -> None:
    """And cold ones the block once; the classic channel brings it from every peer."""
    setting = Setting(nodes=8, peers=4)
    warm = study(_block(), Protocol.OUTLINES, setting)
    assert warm.reached == 7
    header = warm.block_bytes - warm.body_bytes
    assert warm.useful_bytes <= header + max(512, warm.body_bytes // 20)
    classic = study(_block(), Protocol.BEST_TIP, setting)
    assert classic.reached == 7
    assert classic.useful_bytes >= classic.block_bytes
    assert warm.useful_bytes + warm.duplicate_bytes < classic.useful_bytes + classic.duplicate_bytes


def test_the_seed_decides() -> None:
    """The same network, the same outcome; another seed, another one."""
    setting = Setting(nodes=5, peers=2, warm_percent=50, verify=100 * MILLISECOND)
    first, again = (study(_block(), Protocol.OUTLINES, setting) for _ in range(2))
    assert first == again
    assert study(_block(), Protocol.OUTLINES, setting.replace(seed=2)).times != first.times


def test_times_are_of_shares_of_the_nodes() -> None:
    """The time of the node that makes the share full; nothing where the share was not reached."""
    outcome = study(_block(), Protocol.BEST_TIP, Setting(nodes=5, peers=2))
    assert outcome.time_to(99) == outcome.times[-1]
    assert outcome.time_to(50) == outcome.times[1]
    assert outcome.replace(times=outcome.times[:2]).time_to(99) is None


def test_a_network_of_one_is_none() -> None:
    """It says what is needed."""
    with pytest.raises(CallerError):
        study(_block(), Protocol.OUTLINES, Setting(nodes=1))


def test_the_command_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything a script wants, and a picture."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    (tmp_path / "one.bin").write_bytes(_block())
    picture = tmp_path / "study.svg"
    assert main(["block-study", "--blocks", str(tmp_path), "--nodes", "4", "--peers", "2", "--json", "--plot", str(picture)]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["protocol"], run["warm_percent"], run["reached"]) for run in runs] == [
        ("channel 10", 0, 3),
        ("best tip", None, 3),
        ("channel 10", 100, 3),
    ]
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize("extra", [[], ["--plot", "x.txt"]])
def test_what_can_not_be_studied_is_refused(tmp_path: Path, extra: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without blocks, a block that is none, a picture of no form: exit code 2."""
    assert main(["block-study", "--blocks", str(tmp_path), *extra]) == 2
    (tmp_path / "one.bin").write_bytes(b"no block")
    assert main(["block-study", "--blocks", str(tmp_path), *extra]) == 2
    assert capsys.readouterr().err
