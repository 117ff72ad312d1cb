"""QUIC between two hosts: everything completes over a path with delay, loss and a rate limit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quic_paths.py"
UNUSABLE = 2
LAST_RESORT_S = 300


@pytest.mark.skipif(not SCRIPT.exists(), reason="needs the benchmarks folder of a checkout")
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root, Linux and ip"
)
def test_everything_completes_over_bad_paths() -> None:
    """Handshake, a large answer and a hundred small ones, beside TCP, with 50 ms each way, 2 % loss and 10 Mbit/s."""
    names = ("50 ms", "50 ms, 2 % loss, 10 Mbit/s")
    command = [sys.executable, str(SCRIPT), "--json", "--quick", *(part for name in names for part in ("--only", name))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT_S, check=False)
    if done.returncode == UNUSABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)
    assert set(rows) == set(names)
    for row in rows.values():
        assert row["completed"]
        assert row["rtt_ms"] >= 100  # the path is really there
        assert row["datagram_bytes"] == 1452  # its probe arrived, lost or not at first
