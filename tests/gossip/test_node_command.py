"""``mina-p2p node --address-gossip``: processes that find each other by what they tell of themselves."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND
from mina_p2p_effects.cli import main, node_command
from mina_p2p_effects.cli.node.settings import read_settings

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gossip_kills.py"
LAST_RESORT_S = 240
"""A script that hangs is ended after so long; it has deadlines of its own."""


def options(*arguments: str) -> argparse.Namespace:
    """The options of a seed."""
    parser = argparse.ArgumentParser()
    node_command.add_arguments(parser)
    return parser.parse_args(["--seed", *arguments])


def network(*arguments: str) -> dict[str, float]:
    """What comes of a network of processes."""
    command = [sys.executable, str(SCRIPT), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_processes_that_know_one_find_each_other() -> None:
    """Nodes that know the first only, and ask nobody for peers, are all connected with all."""
    assert network("--nodes", "4", "--kills", "0", "--period", "30")["links"] == 6


@pytest.mark.skipif(os.environ.get("MINA_P2P_INTEROP") != "1", reason="a minute of processes; MINA_P2P_INTEROP=1 runs it")
def test_processes_that_are_killed_are_found_again() -> None:
    """Some are killed and come back, the first one too: within two periods after the last kill all are connected with all."""
    found = network("--nodes", "6", "--kills", "6", "--period", "40", "--pause", "3", "--down", "5", "--seed", "3")
    assert (found["kills"], found["links"]) == (6, 15)


def test_it_is_off_unless_asked_for() -> None:
    """Without the flag nothing is gossiped; with it alone, every two minutes."""
    assert read_settings(options()).address_gossip is None
    usual = read_settings(options("--address-gossip")).address_gossip
    assert usual is not None
    assert (usual.interval, usual.is_strict) == (120 * SECOND, False)


def test_a_short_interval_is_kept_up_with() -> None:
    """Where each node tells a record a second, one a second is taken of each; the first does not come later than the second."""
    found = read_settings(options("--address-gossip", "1", "--strict-address-gossip")).address_gossip
    assert found is not None
    assert (found.interval, found.first_after, found.issue_pause) == (SECOND, SECOND, SECOND)
    assert found.is_strict
    assert not found.redials_configured
    assert not found.retries_failures


def test_rules_without_gossip_are_a_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """The rules of what is off would be silently ignored, and what is told every quarter of an hour is forgotten before."""
    with pytest.raises(CallerError, match="--address-gossip"):
        read_settings(options("--strict-address-gossip"))
    with pytest.raises(SystemExit):
        main(["node", "--seed", "--address-gossip", "901"])
    assert "--address-gossip" in capsys.readouterr().err
