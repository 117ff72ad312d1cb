"""An owner of 4 500 addresses against one node, for a day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.testing.eclipse import Day, Options, run
from mina_p2p.testing.invariants import check_invariants

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "eclipse.py"
LAST_RESORT_S = 240
SEEDS = range(1, 1 + int(os.environ.get("MINA_P2P_ECLIPSE_SEEDS", "50")))
"""A twentieth of what `benchmarks/eclipse.py` runs; each takes some seconds."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_victim_has_an_honest_outgoing_peer_after_a_day(seed: int) -> None:
    """In each of these seeds; 99 of 100 is what is promised."""
    outcome = run(Options(seed))
    assert outcome.is_good, outcome
    assert outcome.honest + outcome.attacking >= 7, "its places are taken but for a dial under way"


def test_the_same_seed_is_the_same_day() -> None:
    """With every figure."""
    options = Options(7, hours=3, restart_h=1)
    assert run(options) == run(options) != run(options.replace(seed=8))


def test_invariants_hold_through_the_day() -> None:
    """Looked at each hour, in a day with restarts each second hour."""
    day = Day(Options(3, hours=6, restart_h=2, attackers=1_500))
    for _ in day.course():
        check_invariants(day.state)


def test_without_what_is_judged_the_victim_is_lost() -> None:
    """The day would show it: with one bucket for all, and no look at networks, no honest peer is left in seeds in which there else are."""
    blind = PeerTableConfig(
        new_buckets=1,
        new_buckets_per_source=1,
        tried_buckets=1,
        tried_buckets_per_group=1,
        group_ipv4_bits=0,
        group_ipv6_bits=0,
        draws_max=1,
        rotation_interval=1 << 60,
        anchors_max=0,
    )
    assert [run(Options(seed, table=blind)).honest for seed in (1, 2)] == [0, 0]


def test_many_seeds_go_on_where_they_were_interrupted(tmp_path: Path) -> None:
    """What is in the file is not run again, and counts; a file of other days is refused."""
    file = tmp_path / "days.jsonl"

    def script(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), "--hours", "1", "--jobs", "1", "--json", "--resume", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT_S, check=False)

    first = json.loads(script("--seeds", "2").stdout)
    lines = file.read_text().splitlines()
    assert len(lines) == 3
    more = json.loads(script("--seeds", "3").stdout)
    assert file.read_text().splitlines()[:3] == lines
    assert (first["seeds"], more["seeds"], more["broken"]) == (2, 3, 0)
    assert sum(more["by_honest"].values()) == 3
    other = script("--seeds", "2", "--honest", "400")
    assert other.returncode == 2
    assert "honest was 500" in other.stderr
