"""Lets the tests of this folder import ``trace_machine`` and gives them logs of it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "trace"))

import pytest
import trace_machine

from mina_p2p.trace import register_machine

register_machine("test", trace_machine.MACHINE)


@pytest.fixture(scope="session")
def log_bytes() -> bytes:
    """A closed log of 400 inputs with many chunks, checkpoints and refusals."""
    return trace_machine.record_log(400)


@pytest.fixture
def log_path(tmp_path: Path, log_bytes: bytes) -> Path:
    """The same as a file."""
    path = tmp_path / "node.log"
    path.write_bytes(log_bytes)
    return path
