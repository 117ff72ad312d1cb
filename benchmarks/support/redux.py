"""Redux in JavaScript as a contender: Node processes that run ``redux.mjs``."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from support.rounds import UnavailableError
from support.stores import Totals, check_totals

PACKAGES = ("redux@5", "immutable@5")
_SCRIPT = Path(__file__).with_name("redux.mjs")


class Redux:
    """The npm packages in a temporary folder, and the processes that use them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mina-p2p-redux-")
        self._processes: list[subprocess.Popen[str]] = []
        self._missing = self._install()

    def _install(self) -> str | None:
        """What is missing, or ``None``."""
        npm = shutil.which("npm")
        if shutil.which("node") is None or npm is None:
            return "node or npm is not installed"
        command = [npm, "install", "--prefix", self._folder.name, "--no-audit", "--no-fund", "--silent", *PACKAGES]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        return None if result.returncode == 0 else f"npm could not install {' '.join(PACKAGES)}"

    def contender(self, kind: str, peers: int) -> NodeStore:
        """One store in a process of its own, so that none disturbs what the JIT knows of another.

        :param kind: how peers are kept: ``text``, ``spread`` or ``immutable``.
        :raises UnavailableError: without Node, npm or the packages.
        """
        if self._missing is not None:
            raise UnavailableError(self._missing)
        process = subprocess.Popen(
            ["node", str(_SCRIPT)], cwd=self._folder.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        self._processes.append(process)
        return NodeStore(process, kind, peers)

    def close(self) -> None:
        """End the processes and remove the packages."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._folder.cleanup()


class NodeStore:
    """A `Contender`; its CPU time is the whole Node process's, its helper threads' included."""

    def __init__(self, process: subprocess.Popen[str], kind: str, peers: int) -> None:
        self._process = process
        self._request: dict[str, Any] = {"store": kind, "peers": peers}
        self._totals = Totals(0, 0, 0)

    def measure(self, count: int) -> float:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process was started without pipes")
        stdin.write(json.dumps({**self._request, "count": count}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        self._totals = Totals(answer["messages"], answer["acks"], answer["size"])
        return float(answer["seconds"])

    def check(self, count: int) -> None:
        check_totals(self._totals, count)
