"""``mina-p2p block-study``: which blocks it takes, which it makes, what it refuses, and what it draws."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from blocks.lab import chain
from mina_p2p.blocks.split import is_body_of, split_block, split_body
from mina_p2p.blocks.study import Outcome, Protocol, Setting, study
from mina_p2p.channels.block.messages import BODY_BYTES_MAX, HEADER_BYTES_MAX
from mina_p2p.mina.block import Block
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.hashes import state_hash_of_block, summary_of
from mina_p2p.mina.raw import RawBlock
from mina_p2p_effects.cli import block_study_blocks, block_study_command, main
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
    found, left_out = read_blocks(tmp_path)
    assert [block.name for block in found] == ["z", "a"]
    assert left_out == []
    assert all(_wins(after.raw, before.raw) for before, after in pairwise(found))


def _wins(raw: bytes, over: bytes) -> bool:
    states = [RawBlock(one).value.header.protocol_state.body.consensus_state for one in (over, raw)]
    return select_chain(states[0], states[1], state_hash_of_block(over), state_hash_of_block(raw)).take


def _of_a_fork(number: int, height: int, density: int) -> bytes:
    """A block that no short fork leads to from the others."""
    block = RawBlock(FIRST.raw).value
    state = block.header.protocol_state
    consensus = state.body.consensus_state
    epoch = consensus.staking_epoch_data.replace(lock_checkpoint=bytes([number]) * 32)
    consensus = consensus.replace(blockchain_length=height, min_window_density=density, staking_epoch_data=epoch)
    made = block.header.replace(protocol_state=state.replace(body=state.body.replace(consensus_state=consensus)))
    return bytes(RawBlock.of(Block(made, block.body)))


def test_blocks_that_do_not_win_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No node would announce a higher block of a chain that is less dense; it is named, and the others reach everybody."""
    raws = [_of_a_fork(1, 1_000, 77), _of_a_fork(2, 1_001, 1), _of_a_fork(3, 1_002, 77)]
    for name, raw in zip("abc", raws, strict=True):
        (tmp_path / f"{name}.bin").write_bytes(raw)
    assert not _wins(raws[1], raws[0])
    assert _wins(raws[2], raws[0])
    assert main(["block-study", "--blocks", str(tmp_path), *SMALL, "--warm", "100"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()[:3]] == ["a", "c", "a"]
    assert printed.err.splitlines()[0].startswith("b is left out: it does not win over a (SubWindowDensity)")


def test_a_second_block_of_a_height_takes_the_place_of_one_that_does_not_win(tmp_path: Path) -> None:
    """What is left out is in nobody's way."""
    for name, raw in zip("abc", (_of_a_fork(1, 1_000, 77), _of_a_fork(2, 1_001, 1), _of_a_fork(3, 1_001, 77)), strict=True):
        (tmp_path / f"{name}.bin").write_bytes(raw)
    found, left_out = read_blocks(tmp_path)
    assert [block.name for block in found] == ["a", "c"]
    assert len(left_out) == 1


def test_blocks_too_large_for_channel_10_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, with the limit; a file that is too large for any block is not even read."""
    (tmp_path / "good.bin").write_bytes(FIRST.raw)
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(HEADER_BYTES_MAX + BODY_BYTES_MAX + 1)
    found, left_out = read_blocks(tmp_path)
    assert [block.name for block in found] == ["good"]
    assert left_out == [f"huge is left out: {(32 << 20) + 1} bytes, and channel 10 carries bodies of at most {31 << 20}"]
    monkeypatch.setattr(block_study_blocks, "BODY_BYTES_MAX", 1_000)
    assert main(["block-study", "--blocks", str(tmp_path), *SMALL]) == 2
    printed = capsys.readouterr()
    body = len(split_block(FIRST.raw)[1])
    assert f"good is left out: a body of {body} bytes, and channel 10 carries bodies of at most 1000" in printed.err
    assert "nothing to study: every block of the directory is left out" in printed.err


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({}, [], "holds no *.bin"),
        ({"good": FIRST.raw, "spoilt": b"no block"}, [], "spoilt.bin is no block: header.protocol_state"),
        ({"short": FIRST.raw[:-1]}, [], "short.bin is no block"),
        ({"longer": FIRST.raw + bytes(3)}, [], f"longer.bin is no block: value at byte {len(FIRST.raw)}: 3 bytes behind the end"),
        ({"mixed": FIRST.header + SECOND.body}, [], "mixed.bin: its header promises another body"),
        ({"good": FIRST.raw}, ["--plot", "picture.gif"], "picture.gif: a picture ends in one of .svg, .png, .pdf"),
    ],
    ids=["nothing", "no block", "short", "longer", "two blocks", "no picture"],
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


@pytest.mark.parametrize("plot", ["away.svg", "away.SVG"], ids=["lower", "upper"])
def test_a_picture_that_can_not_be_written_is_refused_before_the_runs(
    plot: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever case its suffix has; and nothing is left behind where it could be written."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    (tmp_path / plot).symlink_to(tmp_path / "nowhere" / plot)
    assert main(["block-study", "--generate", "15", *SMALL, "--plot", str(tmp_path / plot)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [f"mina-p2p block-study: {tmp_path / 'nowhere' / plot}: No such file or directory"]
    good = tmp_path / "good.SVG"
    assert main(["block-study", "--blocks", str(tmp_path), *SMALL, "--plot", str(good)]) == 2
    assert "holds no *.bin" in capsys.readouterr().err
    assert not good.exists()


def test_a_picture_of_more_rows_than_fit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the runs, too."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    rates, verify = (",".join(map(str, range(1, 12))) for _ in range(2))
    arguments = ["--rate", rates, "--verify", verify, "--plot", str(tmp_path / "study.svg")]
    assert main(["block-study", "--generate", "15", *SMALL, *arguments]) == 2
    assert "at most 100 rows, one for each of --rate with each of --verify; these are 121" in capsys.readouterr().err


def test_a_value_that_is_named_twice_runs_once(capsys: pytest.CaptureFixture[str]) -> None:
    """And one network is one."""
    lists = ["--rate", "10,10", "--warm", "100,100", "--verify", "0,0"]
    assert main(["block-study", "--generate", "15", *SMALL, *lists, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [run["protocol"] for run in printed["runs"]] == ["channel 10", "best tip", "gossipsub"]
    assert [row["networks"] for row in printed["compared"]] == [1]
    assert printed["is_complete"]


def test_each_run_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, before it begins: which of how many, and what; what it brought is on stderr, too, where stdout is for JSON alone."""
    assert main(["block-study", "--generate", "15,16", *SMALL, "--warm", "0,100", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    lines = printed.err.splitlines()
    assert [line for line in lines if line.startswith("run ")] == [
        "run 1 of 4: channel 10, 0 % warm, 10 Mbit/s, verify 0 ms, seed 1: 2 blocks after 2 empty ones",
        "run 2 of 4: best tip, 10 Mbit/s, verify 0 ms, seed 1: 2 blocks",
        "run 3 of 4: gossipsub, 10 Mbit/s, verify 0 ms, seed 1: 2 blocks",
        "run 4 of 4: channel 10, 100 % warm, 10 Mbit/s, verify 0 ms, seed 1: 2 blocks after 2 empty ones",
    ]
    assert [line.split()[0] for line in lines[:3]] == ["run", "generated-1", "generated-2"]


def _interrupted(raws: Sequence[bytes], protocol: Protocol, setting: Setting) -> Iterator[Outcome]:
    """A study in which Ctrl-C is pressed during the second network."""
    if setting.seed == 2 and protocol is Protocol.GOSSIP:
        raise KeyboardInterrupt
    yield from study(raws, protocol, setting)


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs, comparisons and the picture of them, and the exit code of an interruption; the JSON says that it is not all."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    monkeypatch.setattr(block_study_command, "study", _interrupted)
    picture = tmp_path / "study.svg"
    arguments = ["--generate", "15", *SMALL, "--warm", "100", "--seeds", "2"]
    assert main(["block-study", *arguments, "--json", "--plot", str(picture)]) == 130
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert not found["is_complete"]
    assert [(run["seed"], run["protocol"]) for run in found["runs"]][3:] == [(2, "channel 10"), (2, "best tip")]
    assert [row["networks"] for row in found["compared"]] == [1]
    assert printed.err.endswith("interrupted\n")
    assert "interrupted before the end" in picture.read_text()
    assert main(["block-study", *arguments]) == 130
    assert ", 1 network: ms to 99 %" in capsys.readouterr().out.splitlines()[-1]
