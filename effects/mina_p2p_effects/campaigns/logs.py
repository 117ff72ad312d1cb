"""Logs of simulated nodes: one file per node, like those of nodes that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p.ids import Timestamp
from mina_p2p.store import Observer, Steps
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.trace.machines import SHIPPED_MACHINE
from mina_p2p.trace.writer import Tape, Writer


class _Log:
    """One node's."""

    def __init__(self, path: Path, node: SimNode) -> None:
        metadata = {"peer_id": str(node.config.peer_id), "agent": node.config.agent, "node": str(node.number)}
        schema = SHIPPED_MACHINE.schema
        self._path = path
        self.writer = Writer(SHIPPED_MACHINE.machine, SHIPPED_MACHINE.name, node.state, metadata=metadata, schema=schema)
        self._tape = Tape(schema)
        path.write_bytes(b"")

    def add(self, action: Any, now: Timestamp, steps: Steps, state: Any) -> None:
        self.writer.add(action, now, steps, state)
        if self.writer.is_ready:
            self._write()

    def close(self) -> None:
        self.writer.close()
        self._write()
        self._append(self._tape.finish())

    def _write(self) -> None:
        self._append(b"".join([self._tape.append(chunk) for chunk in self.writer.take()]))

    def _append(self, data: bytes) -> None:
        # Opened anew each time, because a thousand nodes are more files than a process may hold open.
        with self._path.open("ab") as file:
            file.write(data)


class Logs:
    """Those of all nodes of one simulation."""

    def __init__(self, folder: Path) -> None:
        """Write to ``folder``, which is made if need be.

        :raises CallerError: where it holds logs already.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if next(folder.glob("*.log"), None) is not None:
            raise CallerError(f"{folder} holds logs already; choose another directory for --record")
        self._folder = folder
        self._logs: dict[int, _Log] = {}

    def observer(self, node: SimNode) -> Observer:
        """Record a node that starts."""
        log = self._logs[node.number] = _Log(self._folder / f"node-{node.number:04}.log", node)
        return log.add

    def close(self, simulation: Simulation) -> None:
        """End all logs; that of a node in which a bug was found with what it dispatched last."""
        failed = simulation.busy if simulation.failed_input is not None else None
        for number, log in self._logs.items():
            if failed is not None and number == failed.number:
                log.writer.fail(simulation.failed_input, failed.now, str(failed.store.failure))
            log.close()
