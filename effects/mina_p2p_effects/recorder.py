"""`Recorder`: writes what a store does to a log file, and never disturbs the node.

The store's thread encodes inputs and cuts chunks. Compressing, writing and syncing happen on
a thread of the recorder's own, in order. Where either fails, the recorder warns once, counts
what it misses, tries again from time to time, and goes on with a gap chunk that says how many
inputs are missing and a checkpoint. No exception of its own reaches the node.

A process that dies leaves a log that is readable up to its last complete chunk.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Literal, TypeAlias

from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Machine, Steps, Store
from mina_p2p.trace.chunks import ChunkKind, OpenChunk
from mina_p2p.trace.errors import Gap
from mina_p2p.trace.records import gap_chunk
from mina_p2p.trace.schema import Schema
from mina_p2p.trace.writer import Tape, Writer, WriterOptions

Sync: TypeAlias = Literal["never", "close", "chunk"]
"""When a file is synced to the disk: never, once it is complete, or after every write."""

QUEUED_BYTES_MAX: Final = 64 << 20
"""Uncompressed bytes that may wait for the disk; one more chunk is always let in."""

RETRY_AFTER: Final = 5 * SECOND
"""Nanoseconds, by the inputs' time, between two tries to go on after a failure."""


@record
class _Append(Record):
    """Chunks that follow in the open file."""

    chunks: tuple[OpenChunk, ...]


@record
class _Part(Record):
    """The open file ends here; another begins."""

    path: Path
    chunks: tuple[OpenChunk, ...]


@record
class _Close(Record):
    """The log ends here."""


class _Disk:
    """The file side: runs on the recorder's thread, one item after the other."""

    def __init__(self, path: Path, schema: Schema, *, level: int | None, sync: Sync) -> None:
        self.warnings: deque[str] = deque()
        self.broken = ""
        """Why nothing is written at present; empty where all is well."""
        self.length = 0
        """Bytes of the open file that hold complete chunks."""
        self.missed = 0
        """Inputs that gaps in the log tell of."""
        self._schema = schema
        self._level = level
        self._sync: Sync = sync
        self._dropped = 0
        self._last_id = 0
        self._path = path
        self._tape = Tape(schema, level=level)
        self._file = _create(path, sync)

    def handle(self, item: _Append | _Part | _Close) -> None:
        """Do what one item asks. Never raises: what goes wrong ends in ``warnings`` and ``broken``."""
        chunks = () if isinstance(item, _Close) else item.chunks
        try:
            match item:
                case _Append():
                    self._append(chunks)
                case _Part(path=path):
                    self._finish()
                    self._path, self._tape, self.length = path, Tape(self._schema, level=self._level), 0
                    self._file = _create(path, self._sync)
                    self._append(chunks)
                case _Close():
                    self._finish()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node goes on
            self._fail(error, chunks)

    def _append(self, chunks: tuple[OpenChunk, ...]) -> None:
        if chunks and chunks[0].kind is ChunkKind.GAP:
            # The way back: how many inputs are missing is known only here, where chunks were dropped.
            first = chunks[0]
            missed = first.missed + self._dropped
            chunks = (gap_chunk(Gap(self._last_id, missed, self.broken or "an input could not be recorded"), first.first_time), *chunks[1:])
            self._restore()
        elif self.broken:
            self._dropped += _inputs(chunks)
            return
        self._write(b"".join([self._tape.append(chunk) for chunk in chunks]))
        for chunk in chunks:
            self.missed += chunk.missed
            if chunk.kind is ChunkKind.RECORDS:
                self._last_id = chunk.first_id + chunk.actions - 1

    def _restore(self) -> None:
        if self._file < 0:
            self._file = _create(self._path, self._sync)
        if self.broken:
            os.ftruncate(self._file, self.length)
        self.broken = ""
        self._dropped = 0

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        if self._sync == "chunk":
            os.fsync(self._file)
        self.length += len(data)

    def _finish(self) -> None:
        if self._file < 0:
            return
        file, self._file = self._file, -1
        try:
            if not self.broken:
                self._file = file
                self._write(self._tape.finish())
            if self._sync != "never":
                os.fsync(file)
        finally:
            self._file = -1
            os.close(file)

    def _fail(self, error: Exception, chunks: tuple[OpenChunk, ...]) -> None:
        self._dropped += _inputs(chunks)
        self.broken = f"{self._path.name}: {error}"
        self.warnings.append(f"recording is interrupted: {self.broken}")
