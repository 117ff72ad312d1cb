"""Lives of networks as one seed decides them, and the command that runs many (spec: address-gossip 3, 4.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.config import Limits
from mina_p2p.discovery.book import Book
from mina_p2p.errors import InvariantViolationError
from mina_p2p.testing.lifetimes import Life, Options, Outcome, is_well, lacks, leaks
from mina_p2p.testing.towns import Town
from mina_p2p_effects.campaigns.executors import Place
from mina_p2p_effects.campaigns.lifetimes import LifeResult, Lived, live_alone
from mina_p2p_effects.campaigns.runner import Broken
from mina_p2p_effects.cli import main

STAGES = ["growth", "newcomer", "return", "growth, few connections", "restart of the first", "partition and heal", "churn", "quiet"]
COMMAND = "mina_p2p_effects.cli.simulate_gossip_command"


def lived(seed: int, nodes: int = 10, churn: int = 3, **settings: Any) -> Outcome:
    """What comes of a life."""
    life = Life(Options(seed, nodes, churn, **settings))
    for _ in life.course():
        pass
    return life.outcome()


@pytest.mark.parametrize("seed", range(2))
def test_a_network_lives(seed: int) -> None:
    """Every stage is well within the rounds of the specification, no invariant is violated, nothing is left of who is gone."""
    outcome = lived(seed)
    assert [stage.name for stage in outcome.stages] == STAGES
    assert [stage for stage in outcome.stages if not stage.is_good] == []
    assert outcome.violations == ()
    assert outcome.is_good


def test_one_seed_decides_a_life() -> None:
    """The same seed does the same, action for action; another does something else."""
    first, again, other = lived(7, 5, 1), lived(7, 5, 1), lived(8, 5, 1)
    assert first == again
    assert first.trace_hash != other.trace_hash


def test_the_six_rules_do_not_heal_a_life() -> None:
    """With the pure proposal the first node is alone after its restart, which the stage says; growth is as good."""
    outcome = lived(1, 6, 1, is_strict=True)
    by_name = {stage.name: stage for stage in outcome.stages}
    assert by_name["growth"].is_good
    assert by_name["restart of the first"].rounds is None
    assert "place 1 has 0 connections, of 8 to 24" in by_name["restart of the first"].lacks
    assert not outcome.is_good


def test_a_large_network_is_no_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many nodes only the network of few connections lives, in which growth may take longer."""
    monkeypatch.setattr("mina_p2p.testing.lifetimes.MESH_NODES_MAX", 5)
    outcome = lived(1, 6, 1)
    assert [stage.name for stage in outcome.stages] == STAGES[3:]
    assert outcome.stages[0].rounds_max == 2.5


def grown(nodes: int = 4) -> Town:
    """A small mesh."""
    town = Town(1)
    for place in range(1, nodes + 1):
        town.start(place, *(() if place == 1 else (1,)), wished=3, most=3)
    assert town.until(lambda: is_well(town), 60) is not None
    return town


def test_what_is_not_well_is_said() -> None:
    """Parts that are apart, too few connections and too many of them each are."""
    town = grown()
    assert list(lacks(town)) == []
    assert list(leaks(town)) == []
    town.start(5, wished=3, most=3)
    assert list(lacks(town)) == ["2 parts that are not connected with each other", "place 5 has 0 connections, of 3 to 3"]
    town.nodes.pop(5)
    node = town.nodes[2]
    node.config = node.config.replace(limits=Limits(peers_min=1, peers_max=2))
    assert list(lacks(town)) == ["place 2 has 3 connections, of 1 to 2"]


def test_what_is_left_of_the_dead_is_said() -> None:
    """A record of a node that is gone is a leak once nobody may believe it any more."""
    town = grown()
    town.crash(4)
    town.run(60)
    assert sum("believes 1 records of nodes that are gone" in leak for leak in leaks(town)) == 3
    town.run(900)
    assert list(leaks(town)) == []


def test_a_violation_ends_a_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an invariant finds is in the outcome, and the seed is a failed one."""

    def broken(_book: Book, _known: object) -> object:
        raise InvariantViolationError("a reducer is wrong")

    monkeypatch.setattr(Book, "put", broken)
    outcome = lived(1, 3, 0)
    assert outcome.violations == ("a reducer is wrong",)
    assert not outcome.is_good


# --- the command ------------------------------------------------------------------------------

SMALL = ["--nodes", "4", "--churn", "1"]


def in_this_process(run: Callable[[Options], LifeResult], jobs: Sequence[Options], _place: Place) -> Iterator[LifeResult]:
    return map(run, jobs)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds run in this process, which takes no time to begin."""
    monkeypatch.setattr(f"{COMMAND}.EXECUTORS", {"local": in_this_process})


def report(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """What the command prints with ``--json``."""
    assert main(["simulate-gossip", *SMALL, *arguments, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_one_seed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """All stages with their rounds, and the command that shows it again."""
    found = report(capsys, "--seed", "3")
    assert [stage["name"] for stage in found["stages"]] == STAGES
    assert found["is_good"]
    assert found["command"] == "mina-p2p simulate-gossip --nodes 4 --seed 3 --churn 1"


@pytest.mark.usefixtures("here")
def test_many_seeds_go_on_where_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds in the file do not run again; other settings are another campaign."""
    file = str(tmp_path / "campaign")
    assert report(capsys, "--seeds", "1..2", "--resume", file)["seeds"] == 2
    ran: list[int] = []

    def watched(run: Callable[[Options], LifeResult], jobs: Sequence[Options], place: Place) -> Iterator[LifeResult]:
        ran.extend(options.seed for options in jobs)
        return in_this_process(run, jobs, place)

    monkeypatch.setattr(f"{COMMAND}.EXECUTORS", {"local": watched})
    found = report(capsys, "--seeds", "1..3", "--resume", file)
    assert ran == [3]
    assert (found["seeds"], found["failed"], found["broken"]) == (3, [], [])
    assert {row["name"] for row in found["stages"]} == set(STAGES)
    assert main(["simulate-gossip", "--nodes", "5", "--churn", "1", "--seeds", "1..3", "--resume", file]) == 2
    assert "nodes was 4, and is 5" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_seed_that_fails_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the report has the command that shows it again."""
    found = report(capsys, "--seeds", "1..1", "--strict", code=1)
    (failed,) = found["failed"]
    assert failed["command"] == "mina-p2p simulate-gossip --nodes 4 --seed 1 --churn 1 --strict"
    (row,) = (row for row in found["stages"] if row["name"] == "restart of the first")
    assert row["never"] == 1


def test_a_life_that_breaks_has_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many seeds, an error of the simulator is one seed's."""

    def boom(_options: Options) -> Lived:
        raise ZeroDivisionError("no time")

    monkeypatch.setattr("mina_p2p_effects.campaigns.lifetimes.Life", boom)
    broken = live_alone(Options(1))
    assert isinstance(broken, Broken)
    assert "ZeroDivisionError: no time" in broken.error


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of the stages."""
    assert main(["simulate-gossip", *SMALL, "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in STAGES)


@pytest.mark.parametrize("arguments", [["--resume", "x"], ["--cluster", "nowhere:1"], ["--executor", "dask"]], ids=" ".join)
def test_what_is_for_many_seeds_is_refused_for_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything runs."""
    assert main(["simulate-gossip", *SMALL, "--seed", "1", *arguments]) == 2
    assert "--seeds" in capsys.readouterr().err
