"""``mina-p2p node`` as a process that prints JSON lines, read as fast as it prints them: a full pipe would stop it."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Any

CLI = [sys.executable, "-m", "mina_p2p_effects.cli"]
COMMAND = [*CLI, "node", "--listen", "127.0.0.1:0", "--allow-private-addresses"]
LAST_RESORT_S = 120
"""A process that hangs is killed after so long; nothing waits for it otherwise."""


class Process:
    """One node."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--json", "--every", "0.2", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.seen: list[dict[str, Any]] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: list[str] = []
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            Thread(target=self._read_lines, args=(self.process.stdout,), daemon=True),
            Thread(target=self._read_errors, args=(self.process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_lines(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        with stream:
            self._errors += stream

    def _next(self) -> dict[str, Any] | None:
        """The next line; nothing where there will be none."""
        line = self._lines.get(timeout=LAST_RESORT_S)
        if line is None:
            return None
        self.seen.append(json.loads(line))
        return self.seen[-1]

    def until(self, event: str, **fields: object) -> dict[str, Any]:
        """Read lines up to such an event."""
        while (said := self._next()) is not None:
            if said["event"] == event and all(said[name] == wanted for name, wanted in fields.items()):
                return said
        raise AssertionError((event, self.seen, self.errors))

    def until_peers(self, count: int) -> dict[str, Any]:
        """Read lines up to a status with so many peers."""
        while len((status := self.until("status"))["peers"]) != count:
            pass
        return status

    def end(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, Any]]]:
        """Signal, and what came of it: exit code and the lines that were not read before."""
        read = len(self.seen)
        self.process.send_signal(number)
        while self._next() is not None:
            pass
        return self.process.wait(LAST_RESORT_S), self.seen[read:]

    @property
    def errors(self) -> str:
        """What it wrote to standard error, once it has ended."""
        self.process.wait(LAST_RESORT_S)
        self._readers[1].join(LAST_RESORT_S)
        return "".join(self._errors)

    def kill(self) -> None:
        """End it, if it still runs, and forget it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LAST_RESORT_S)
        for reader in self._readers:
            reader.join(LAST_RESORT_S)


@contextmanager
def node(*arguments: str | Path, transport: str = "quic") -> Generator[Process]:
    """A running node; of options that are given twice the last one holds."""
    running = Process("--transport", transport, *arguments)
    try:
        yield running
    finally:
        running.kill()
