"""Logs to debug: those of a small simulated network in which peers lie and connections break."""

from __future__ import annotations

from pathlib import Path

from mina_p2p_effects.cli import main
from mina_p2p_effects.debugger.looking import By, look
from mina_p2p_effects.logs import open_sessions

FIRST_SEED = 6
SEEDS_TRIED = 20


def record_network(folder: Path) -> Path:
    """Record every node of a network in which somebody breaks the protocol, below ``folder``; where."""
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS_TRIED):
        logs = folder / f"seed-{seed}"
        words = ["--nodes", "4", "--faults", "liars,loss,latency", "--duration", "40"]
        assert main(["simulate", "--seed", str(seed), *words, "--record", str(logs), "--json"]) == 0
        if _troubled(logs):
            return logs
    raise AssertionError("no liar of these networks was caught: are violations still found?")


def troubled_log(folder: Path) -> Path:
    """The longest of the logs in which a peer broke the protocol."""
    return max(_troubled(folder))[1]


def _troubled(folder: Path) -> list[tuple[int, Path]]:
    found: list[tuple[int, Path]] = []
    for session in open_sessions(folder):
        with session:
            if look(session, By.VIOLATION, "", 0) is not None:
                found.append((session.count, session.paths[0]))
    return found
