"""Replaying log files: `replay_path` for programs, `replay_command` for the command line."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

from mina_p2p.record import Record, record
from mina_p2p.store import Machine
from mina_p2p.trace.chunks import MAGIC
from mina_p2p.trace.errors import LogError
from mina_p2p.trace.machines import RegisteredMachine, machine_named
from mina_p2p.trace.reader import Reader
from mina_p2p.trace.records import Index
from mina_p2p.trace.replay import ReplayResult, replay
from mina_p2p_effects.replay_shared import Part, can_be_named, parts_of, processes_for, replay_parts, start_method

VERIFIED: Final = 0
DIVERGED: Final = 1
UNREADABLE: Final = 2

LOG_SUFFIXES: Final = (".mplog", ".log")
"""Files of a directory that count as logs even where they do not begin as one."""

_TEXT_MAX: Final = 400
"""Characters of a value in a report."""

_PART_DIGITS_MAX: Final = 9

_UNKNOWN: Final = Index([], [], [], [], [], [])
"""Of a log that can not be read."""


class FileSource:
    """A log file; it may grow while it is read."""

    def __init__(self, path: str | Path) -> None:
        """Open it.

        :raises OSError: where that is not possible.
        """
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def size(self) -> int:
        """How many bytes there are now."""
        return os.fstat(self._file).st_size

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on; fewer where the file ends."""
        size = min(size, max(0, self.size() - offset))
        parts: list[bytes] = []
        while size and (part := os.pread(self._file, size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@record
class LogReplay(Record):
    """One file and what came of it."""

    path: Path
    result: ReplayResult | None
    error: str = ""
    """Why there is no result."""

    @property
    def metadata(self) -> dict[str, str]:
        """Of the header; empty where that could not be read."""
        return self.result.header.metadata if self.result is not None and self.result.header is not None else {}

    @property
    def node(self) -> str:
        """Who recorded it: the peer id, else the file's name."""
        return self.metadata.get("peer_id", self.path.name)

    @property
    def part(self) -> int:
        """Which file of a log that rotated this is, from 0."""
        return part_number(self.metadata)

    @property
    def is_verified(self) -> bool:
        """Whether everything in the file was replayed and found equal."""
        return not self.error and self.result is not None and self.result.is_verified

    @property
    def exit_code(self) -> int:
        """``VERIFIED``, ``DIVERGED`` or ``UNREADABLE``."""
        if self.result is not None and self.result.divergence is not None:
            return DIVERGED
        return VERIFIED if self.is_verified else UNREADABLE


def replay_path(path: str | Path, machine: Machine[Any] | None = None, *, jobs: int | None = None) -> list[LogReplay]:
    """Replay a log, or all logs of a directory: by node, and the parts of a rotated log in their order.

    :param machine: what to run instead of the machine that a log names.
    :param jobs: processes that share the logs between them, a long one from checkpoint to checkpoint; this one is among
        them. On Linux the others are copies of this one, where it has a single thread; elsewhere each has to import all
        anew, which takes about half a second, and finds a machine only if it was registered by a function of a module.
        ``None``: as many as there are processors, where they can be copies and the logs are long enough for that to pay.
    :raises OSError: where ``path`` is not there or can not be listed.
    """
    root = Path(path)
    registered = RegisteredMachine("", machine, 0, {}) if machine is not None else None
    if not root.is_dir():
        root.stat()
        return _replay_files([root], registered, jobs)
    found = _replay_files(log_files(root), registered, jobs)
    found.sort(key=lambda log: (log.node, log.metadata.get("log", ""), log.part, log.path.name))
    return [_connected(before, log) for before, log in zip([None, *found], found, strict=False)]


def log_files(folder: Path) -> list[Path]:
    """The files of a directory that are logs by their name or by how they begin, by name.

    :raises OSError: where the directory can not be listed.
    """
    return [file for file in sorted(folder.iterdir()) if file.is_file() and _is_log(file)]


def part_number(metadata: Mapping[str, str]) -> int:
    """Which file of a log that rotated this is, from 0, by the header's texts."""
    text = metadata.get("part", "")
    return int(text) if text.isdecimal() and len(text) <= _PART_DIGITS_MAX else 0


def _is_log(path: Path) -> bool:
    if path.suffix in LOG_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _replay_files(paths: Sequence[Path], given: RegisteredMachine | None, jobs: int | None) -> list[LogReplay]:
    method = start_method()
    if given is None and jobs != 1 and (jobs is not None or method == "fork"):
        indices, machines = _contents(paths)
        jobs = processes_for(indices, method) if jobs is None else jobs
        parts = parts_of(indices, jobs)
        if jobs > 1 and len(parts) > 1 and (method == "fork" or can_be_named(machines)):
            found = replay_parts(partial(_replay_part, paths, None), parts, jobs, method, machines)
            return list(map(_replayed, paths, found))
    return [_replayed(path, _replay_part([path], given, Part(0, 0, None))) for path in paths]


def _contents(paths: Sequence[Path]) -> tuple[list[Index], list[tuple[str, Any, int]]]:
    """Where the chunks of logs are, and what replays them: name, source and version."""
    indices: list[Index] = []
    machines: dict[str, tuple[str, Any, int]] = {}
    for path in paths:
        index = _UNKNOWN
        with suppress(LogError, OSError), FileSource(path) as source:
            reader = Reader(source)
            found = machine_named(reader.header().machine)
            found.upgrade(reader.header())  # so that copies of this process have what that takes
            machines[found.name] = found.name, found.source, found.version
            index = reader.index()
        indices.append(index)
    return indices, list(machines.values())


def _replayed(path: Path, found: ReplayResult | str) -> LogReplay:
    return LogReplay(path, None, found) if isinstance(found, str) else LogReplay(path, found)


def _replay_part(paths: Sequence[Path], given: RegisteredMachine | None, part: Part) -> ReplayResult | str:
    """Replay a part of a log; or say why not."""
    try:
        with _no_garbage_collection(), FileSource(paths[part.log]) as source:
            reader = Reader(source)
            if given is not None:
                return replay(reader, given.machine, given.schema)
            header = reader.header()
            registered = machine_named(header.machine)
            reader.position = part.start
            found = replay(reader, registered.machine, registered.schema, registered.upgrade(header), end=part.end)
            return found.replace(header=None) if part.start else found  # which is long, and known from the first part
    except (LogError, OSError) as error:
        return str(error)


@contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Nothing a replay makes is a cycle; looking for some only costs."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


def _connected(before: LogReplay | None, log: LogReplay) -> LogReplay:
    """A part of a rotated log must begin at the state with which the part before it ended."""
    log_id = log.metadata.get("log")
    if log_id is None or before is None or before.metadata.get("log") != log_id or before.result is None or log.result is None:
        return log
    if before.result.is_closed and before.is_verified and before.result.state_hash != log.result.start_hash:
        return log.replace(error=f"it does not begin where {before.path.name} ended; is a part of this log missing?")
    return log


def state_hash(logs: Sequence[LogReplay]) -> str | None:
    """One log's state hash; of several nodes blake2b-256 over their hashes in the order of peer ids.

    :returns: hexadecimal digits; ``None`` where a state is not known.
    """
    last: dict[tuple[str, str], bytes | None] = {}
    for log in logs:
        last[log.node, log.metadata.get("log", log.path.name)] = log.result.state_hash if log.result is not None else None
    hashes = [last[key] for key in sorted(last)]
    known = [found for found in hashes if found is not None]
    if not known or len(known) != len(hashes):
        return None
    return (known[0] if len(known) == 1 else blake2b(b"".join(known), digest_size=32).digest()).hex()


def summary(logs: Sequence[LogReplay]) -> dict[str, Any]:
    """What ``mina-p2p replay --json`` prints: ``verified``, ``actions``, ``state_hash``, ``divergence``, and ``logs`` one by one."""
    divergences = [_divergence(log) for log in logs]
    return {
        "verified": bool(logs) and all(log.is_verified for log in logs),
        "actions": sum(log.result.actions for log in logs if log.result is not None),
        "state_hash": state_hash(logs),
        "divergence": next((found for found in divergences if found is not None), None),
        "logs": [_log(log) for log in logs],
    }


def _log(log: LogReplay) -> dict[str, Any]:
    result = log.result
    return {
        "path": str(log.path),
        "peer_id": log.metadata.get("peer_id"),
        "verified": log.is_verified,
        "closed": result is not None and result.is_closed,
        "inputs": result.inputs if result is not None else 0,
        "actions": result.actions if result is not None else 0,
        "state_hash": result.state_hash.hex() if result is not None and result.state_hash is not None else None,
        "failure": result.failure if result is not None else None,
        "error": log.error or None,
        "notes": [repr(note) for note in result.notes] if result is not None else [],
    }


def _divergence(log: LogReplay) -> dict[str, Any] | None:
    found = log.result.divergence if log.result is not None else None
    if found is None:
        return None
    return {
        "log": str(log.path),
        "peer_id": log.metadata.get("peer_id"),
        "action_id": found.action_id,
        "equal_until": found.equal_until,
        "recorded_kind": found.recorded_kind,
        "replayed_kind": found.replayed_kind,
        "recorded_cause": found.recorded_cause,
        "replayed_cause": found.replayed_cause,
        "path": found.path,
        "recorded": _text(found.recorded) if found.path is not None else None,
        "replayed": _text(found.replayed) if found.path is not None else None,
        "compared_at": found.compared_at,
    }


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}… ({len(text)} characters)"


def _printable(text: str) -> str:
    """Without what a log could do to a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _line(log: LogReplay) -> str:
    """What came of a log, in a sentence."""
    result = log.result
    if log.error or result is None:
        return f"{log.path}: unreadable: {log.error}"
    if result.divergence is not None:
        return f"{log.path}: diverged: {result.divergence}"
    counts = f"{result.actions} actions from {result.inputs} inputs"
    if not result.is_verified:
        return f"{log.path}: damaged: {counts} replayed and equal, the rest could not be"
    digest = result.state_hash.hex() if result.state_hash is not None else ""
    ended = "" if result.is_closed else "; the log was not closed"
    failed = f"; ends with the violation that stopped the store: {result.failure}" if result.failure is not None else ""
    return f"{log.path}: verified: {counts}, state {digest}{ended}{failed}"


def replay_command(
    paths: Sequence[str | Path], json_output: bool = False, *, write: Callable[[str], object] | None = None, jobs: int | None = None
) -> int:
    """``mina-p2p replay [--json] LOG...``: replay logs and directories of logs, and report.

    :param write: where the report goes; the standard output by default.
    :param jobs: as for `replay_path`.
    :returns: the exit code: 0 where all was verified, 1 where one diverged, 2 where one could not be read whole.
    """
    out = write or sys.stdout.write
    logs: list[LogReplay] = []
    for path in paths:
        try:
            found = replay_path(path, jobs=jobs)
        except OSError as error:
            found = [LogReplay(Path(path), None, error.strerror or str(error))]
        logs += found or [LogReplay(Path(path), None, "there is no log in this directory")]
    if json_output:
        out(json.dumps(summary(logs)) + "\n")
    else:
        for log in logs:
            out(_printable(_line(log)) + "\n")
            for note in log.result.notes if log.result is not None else ():
                out(f"  {_printable(str(note))}\n")
    codes = [log.exit_code for log in logs]
    return DIVERGED if DIVERGED in codes else max(codes, default=UNREADABLE)
