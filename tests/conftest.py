"""Lets a second run, in an environment where more is installed, leave out what the first has run already.

``MINA_P2P_RAN_TO`` names a file to which a run writes the tests that it ran: those that did not skip. ``MINA_P2P_RAN_BEFORE`` names
such a file of an earlier run, whose tests are left out. Nothing has to say of itself what it needs: a test that skipped for something
that was missing, or that was not even found without it, is one that did not run.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

_ran: list[str] = []


def pytest_configure() -> None:
    """A shell without job control starts what runs in its background deaf to Ctrl-C, and so would be every process of every test."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    before = os.environ.get("MINA_P2P_RAN_BEFORE")
    if before:
        known = set(Path(before).read_text().splitlines())
        left_out = [item for item in items if item.nodeid in known]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid not in known]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and not report.skipped:
        _ran.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    to = os.environ.get("MINA_P2P_RAN_TO")
    if to and not hasattr(session.config, "workerinput"):  # of several processes, the one that hears of all tests
        Path(to).write_text("".join(f"{name}\n" for name in _ran))
