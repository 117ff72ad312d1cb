"""``mina-p2p block-study``: which blocks it takes, which it makes, what it refuses, and what it draws."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from blocks.lab import chain
from mina_p2p.blocks.split import is_body_of, split_block, split_body
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.hashes import summary_of
from mina_p2p.mina.raw import RawBlock
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.block_study_blocks import NamedBlock, generated_blocks, read_blocks

SMALL = ("--nodes", "4", "--peers", "2", "--earlier", "2")
_, FIRST, SECOND, _ = chain()


@cache
def _generated() -> tuple[NamedBlock, ...]:
    return tuple(generated_blocks((15_000, 120_000, 900_000), FIRST.raw))


def test_generated_blocks_have_their_size() -> None:
    """At most a payment less than wanted; payments alone in small ones, works and zkApp commands too in large ones."""
    sizes = [len(block.raw) for block in _generated()]
    assert all(0 <= wanted - size < 300 for wanted, size in zip((15_000, 120_000, 900_000), sizes, strict=True))
    items = [split_body(split_block(block.raw)[1]).items for block in _generated()]
    assert max(map(len, items[0])) < 300
    assert sum(len(item) > 20_000 for item in items[2]) > 20
    assert sum(len(item) < 300 for item in items[2]) > 200


def test_generated_blocks_are_taken_by_nodes() -> None:
    """Bodies are those that the headers promise, and each wins over the one before."""
    blocks = [RawBlock(raw).value for raw in (FIRST.raw, *(block.raw for block in _generated()))]
    for raw in (block.raw for block in _generated()):
        header, body = split_block(raw)
        assert is_body_of(body, header.value.protocol_state.body.blockchain_state.body_reference)
    for before, after in pairwise(blocks):
        states = before.header.protocol_state.body.consensus_state, after.header.protocol_state.body.consensus_state
        assert select_chain(*states, summary_of(before).state_hash, summary_of(after).state_hash).take


def test_the_same_seed_generates_the_same() -> None:
    """And another seed another block."""
    (again,) = generated_blocks((15_000,), FIRST.raw)
    assert again == _generated()[0]
    (other,) = generated_blocks((15_000,), FIRST.raw, seed=2)
    assert other.raw != again.raw


def test_blocks_can_be_made_instead_of_given(capsys: pytest.CaptureFixture[str]) -> None:
    """A user without any blocks compares sizes of choice."""
    assert main(["block-study", "--generate", "20,60", *SMALL, "--warm", "100", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["block"] for run in runs] == ["generated-1", "generated-2"] * 3
    assert {run["reached"] for run in runs} == {3}
    warm = [run for run in runs if run["protocol"] == "channel 10"]
    assert all(run["useful_bytes"] <= run["block_bytes"] - run["body_bytes"] + max(512, run["body_bytes"] // 20) for run in warm)


def test_generated_blocks_follow_given_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every one reaches everybody; of two blocks of one height one is named as left out."""
    (tmp_path / "a.bin").write_bytes(FIRST.raw)
    (tmp_path / "b.bin").write_bytes(FIRST.raw)
    assert main(["block-study", "--blocks", str(tmp_path), "--generate", "30", *SMALL, "--warm", "0"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()[:2]] == ["a", "generated-1"]
    assert "b is left out: a has the same height" in printed.err


def test_blocks_are_in_the_order_of_their_heights(tmp_path: Path) -> None:
    """Whatever the names of the files are; others in the directory are no matter."""
    (tmp_path / "z.bin").write_bytes(FIRST.raw)
    (tmp_path / "a.bin").write_bytes(SECOND.raw)
    (tmp_path / "notes.txt").write_text("no block")
    found, others = read_blocks(tmp_path)
    assert [block.name for block in found] == ["z", "a"]
    assert others == []


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({}, [], "holds no *.bin"),
        ({"good": FIRST.raw, "spoilt": b"no block"}, [], "spoilt.bin is no block: protocol_state"),
        ({"short": FIRST.raw[:-1]}, [], "short.bin is no block"),
        ({"mixed": FIRST.header + SECOND.body}, [], "mixed.bin: its header promises another body"),
        ({"good": FIRST.raw}, ["--plot", "picture.gif"], "picture.gif: a picture ends in one of .svg, .png, .pdf"),
    ],
    ids=["nothing", "no block", "short", "two blocks", "no picture"],
)
def test_what_can_not_be_studied_is_named(
    files: dict[str, bytes], arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which file, and what is wrong with it, before anything runs: exit code 2 and one line."""
    for name, data in files.items():
        (tmp_path / f"{name}.bin").write_bytes(data)
    assert main(["block-study", "--blocks", str(tmp_path), *SMALL, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


def test_no_blocks_and_no_directory_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is an empty directory."""
    assert main(["block-study", *SMALL]) == 2
    assert "--blocks DIR, --generate KB,.. or both" in capsys.readouterr().err
    assert main(["block-study", "--blocks", str(tmp_path / "nowhere"), *SMALL]) == 2
    assert "nowhere is no directory" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_picture_of_several_networks_is_drawn(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each way, through the medians of the networks."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    picture = tmp_path / f"study.{suffix}"
    assert main(["block-study", "--generate", "20,40", *SMALL, "--warm", "100", "--seeds", "2", "--plot", str(picture)]) == 0
    capsys.readouterr()
    start = picture.read_bytes()[:8]
    assert start.startswith(b"<?xml" if suffix == "svg" else b"\x89PNG")
