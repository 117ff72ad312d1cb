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
    reason: str = ""
    """Why there is a gap, if they begin with one."""


@record
class _Part(Record):
    """The open file ends here; another begins."""

    path: Path
    chunks: tuple[OpenChunk, ...]


@record
class _Close(Record):
    """The log ends here."""


@record
class _Settle(Record):
    """Someone waits for everything before this."""

    done: threading.Event


_Item: TypeAlias = _Append | _Part | _Settle | _Close


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
        self.dropped = 0
        """Inputs that were handed over and lost since."""
        self._schema = schema
        self._level = level
        self._sync: Sync = sync
        self._warned = ""
        """What the operator knows already."""
        self._last_id = 0
        self._path = path
        self._tape = Tape(schema, level=level)
        self._header: tuple[OpenChunk, ...] = ()
        self._file = _create(path, sync)

    def handle(self, item: _Item) -> None:
        """Do what one item asks. Never raises: what goes wrong ends in ``warnings`` and ``broken``."""
        chunks = item.chunks if isinstance(item, _Append | _Part) else ()
        try:
            match item:
                case _Append(reason=reason):
                    self._append(chunks, reason)
                case _Part(path=path):
                    self._begin_part(path, chunks)
                case _Settle(done=done):
                    done.set()
                case _Close():
                    self._finish()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node goes on
            self._fail(error, chunks)

    def _begin_part(self, path: Path, chunks: tuple[OpenChunk, ...]) -> None:
        try:
            self._finish()
        except OSError as error:
            self.warnings.append(f"{self._path.name} is without its footer: {_reason(error)}")
        self._path, self._tape, self.length = path, Tape(self._schema, level=self._level), 0
        self._header = chunks[:1]
        self._file = _create(path, self._sync)
        self._append(chunks)

    def _append(self, chunks: tuple[OpenChunk, ...], reason: str = "") -> None:
        is_way_back = chunks[0].kind is ChunkKind.GAP
        if is_way_back:
            chunks = self._restored(chunks, self.broken or reason)
        elif self.broken:
            self.dropped += _inputs(chunks)
            return
        self._write(b"".join([self._tape.append(chunk) for chunk in chunks]))
        if is_way_back:
            self.dropped = 0
            self._warned = ""
        for chunk in chunks:
            self.missed += chunk.missed
            if chunk.kind is ChunkKind.RECORDS:
                self._last_id = chunk.first_id + chunk.actions - 1

    def _restored(self, chunks: tuple[OpenChunk, ...], reason: str) -> tuple[OpenChunk, ...]:
        """Make the file ready to go on behind its last complete chunk.

        How many inputs are missing is known only here, where chunks were dropped.
        """
        gap = chunks[0]
        chunks = (gap_chunk(Gap(self._last_id, gap.missed + self.dropped, reason), gap.first_time), *chunks[1:])
        if self._file < 0:
            self._file = _create(self._path, self._sync)
            chunks = (*self._header, *chunks)
        elif self.broken:
            _truncate(self._file, self.length)
        self.broken = ""
        return chunks

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
        try:
            if self.broken:
                _truncate(self._file, self.length)
            else:
                self._write(self._tape.finish())
            if self._sync != "never":
                os.fsync(self._file)
        finally:
            file, self._file = self._file, -1
            os.close(file)

    def _fail(self, error: Exception, chunks: tuple[OpenChunk, ...]) -> None:
        self._tape.rewind(self.length)
        self.dropped += _inputs(chunks)
        self.broken = f"{self._path.name}: {_reason(error)}"
        if self.broken != self._warned:
            self._warned = self.broken
            self.warnings.append(f"recording is interrupted: {self.broken}")


class Recorder:
    """Records one store into one log."""

    def __init__(
        self,
        path: str | Path,
        machine: Machine[Any],
        name: str,
        state: Any,
        *,
        version: int = 1,
        metadata: Mapping[str, str] | None = None,
        schema: Schema | None = None,
        options: WriterOptions | None = None,
        level: int | None = 1,
        sync: Sync = "close",
        rotate_bytes: int | None = None,
        rotate_after: int | None = None,
        is_threaded: bool = True,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        """Begin a new file at ``state``; a file that exists is not touched.

        :param name: under which the machine is registered, see `mina_p2p.trace.machines`.
        :param version: of its classes, as registered.
        :param metadata: texts for the header; ``peer_id`` names the node.
        :param level: of zstd; ``None`` stores without compression.
        :param rotate_bytes: begin another file once one has so many bytes: ``node.log`` is
            followed by ``node.000001.log``. Each can be replayed by itself.
        :param rotate_after: the same once one covers so many nanoseconds, by the inputs' time.
        :param is_threaded: write on a thread of its own; without, a slow disk holds up the store.
        :param on_warning: called on the caller's thread with a sentence for the operator.
        :raises OSError: where the file can not be made, such as ``FileExistsError``.
        :raises LogError: ``UNWRITABLE`` or ``SECRET``, see `Schema`.
        """
        self._machine, self._name, self._version = machine, name, version
        self._schema = schema or Schema.of(machine)
        self._options = options
        self._metadata = {"log": os.urandom(8).hex(), **(metadata or {})}
        self._first_path = Path(path)
        self._rotate_bytes = rotate_bytes
        self._rotate_after = rotate_after
        self._part_began: int | None = None
        """Time of the first chunk that was handed over for the open part."""
        self._on_warning = on_warning
        self._parts = 0
        self._missed = 0
        self._retry_at: int | None = None
        """When to try to go on; ``None`` while all is well."""
        self._state = state
        """The last state, while nothing is recorded."""
        self._reason = ""
        self._is_closed = False
        self._stop_observing: Callable[[], None] | None = None
        self._writer = self._new_writer(state)
        self._disk = _Disk(self._first_path, self._schema, level=level, sync=sync)
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=f"record {self._first_path.name}", daemon=True) if is_threaded else None
        if self._thread is not None:
            self._thread.start()
        self._put(_Append(tuple(self._writer.take())))

    def _new_writer(self, state: Any) -> Writer:
        metadata = {**self._metadata, "part": str(self._parts)}
        return Writer(
            self._machine,
            self._name,
            state,
            version=self._version,
            metadata=metadata,
            schema=self._schema,
            options=self._options,
        )

    @property
    def missed_inputs(self) -> int:
        """How many inputs are not in the log; exact once the recorder is closed."""
        return self._missed + self._disk.missed + self._disk.dropped

    @property
    def is_interrupted(self) -> bool:
        """Whether nothing is recorded at present."""
        return self._retry_at is not None or bool(self._disk.broken)

    def attach(self, store: Store[Any]) -> None:
        """Record every dispatch of ``store`` from now on, until `close`.

        Its state must be the one that the recorder was made with.
        """
        self._stop_observing = store.observe(self.observe)

    def observe(self, action: Any, now: Timestamp, steps: Steps, state: Any) -> None:
        """Record one dispatch; what `attach` gives to the store."""
        if self._retry_at is not None:
            self._missed += 1
            self._state = state
            if now >= self._retry_at:
                self._resume(now)
            return
        try:
            self._writer.add(action, now, steps, state)
        except Exception as error:  # noqa: BLE001 - the node goes on, whatever it is
            self._skip(error, now, state)
            return
        if self._writer.is_ready:
            self._hand_over(now)

    def record_failure(self, action: Any, now: Timestamp, error: Exception) -> None:
        """Record the input at which the store stopped, and let the disk have all there is."""
        if self._retry_at is None:
            self._guarded(lambda: self._writer.fail(action, now, str(error)), now)

    def flush(self, now: Timestamp) -> None:
        """Let the disk have all there is; for a timer, so that the log of an idle node is complete too."""
        if self._retry_at is None:
            self._guarded(self._writer.flush, now)
        elif now >= self._retry_at:
            self._resume(now)
        self._warn()

    def settle(self) -> None:
        """Wait until the thread has written what it was given, for tests and measurements."""
        if self._thread is not None:
            done = threading.Event()
            self._queue.put(_Settle(done))
            done.wait()

    def close(self, timeout_seconds: float | None = 30.0) -> None:
        """End the log with its footer and wait until it is written."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._stop_observing is not None:
            self._stop_observing()
        if self._retry_at is None and self._disk.broken:
            self._suspend("", self._writer.abandon(), Timestamp(0), self._writer.state)
        if self._retry_at is not None:
            self._resume(Timestamp(0))
        if self._retry_at is None:
            self._guarded(self._writer.close, Timestamp(0))
        self._put(_Close())
        if self._thread is not None:
            self._thread.join(timeout_seconds)
            if self._thread.is_alive():
                self._disk.warnings.append(f"{self._first_path.name} is not written after {timeout_seconds} s")
        self._warn()

    def _guarded(self, step: Callable[[], None], now: Timestamp) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the node goes on, whatever it is
            self._suspend(f"recording is interrupted: {error}", self._writer.abandon(), now, self._writer.state)
        else:
            self._hand_over(now)

    def _skip(self, error: Exception, now: Timestamp, state: Any) -> None:
        """Leave out the one input that can not be recorded, if it is only that."""
        try:
            self._writer.flush()
            missed = 1
        except Exception:  # noqa: BLE001 - then it is the state that can not be recorded
            missed = self._writer.abandon()
        else:
            self._hand_over(now)
        self._suspend(f"an input is not recorded: {error}", missed, now, state)
        self._resume(now)

    def _suspend(self, warning: str, missed: int, now: Timestamp, state: Any) -> None:
        """Count inputs instead of recording them until `_resume`; an empty warning is one that was given already."""
        self._missed += missed
        self._retry_at = now + RETRY_AFTER
        self._state = state
        self._reason = warning
        if warning:
            self._disk.warnings.append(warning)
        self._warn()

    def _resume(self, now: Timestamp) -> None:
        """Go on with a gap and a checkpoint; the disk says by ``broken`` if it could not."""
        try:
            self._writer.gap(self._missed, self._reason, self._state)
        except Exception as error:  # noqa: BLE001 - the node goes on, whatever it is
            self._missed += self._writer.abandon()
            self._retry_at = now + RETRY_AFTER
            self._disk.warnings.append(f"recording is still interrupted: {_reason(error)}")
            self._warn()
            return
        self._missed = 0
        self._retry_at = None
        self._put(_Append(tuple(self._writer.take()), self._reason))

    def _hand_over(self, now: Timestamp) -> None:
        chunks = tuple(self._writer.take())
        state = self._writer.state
        if self._disk.broken:
            self._suspend("", _inputs(chunks) + self._writer.abandon(), now, state)
        elif self._queued_bytes > QUEUED_BYTES_MAX:
            warning = "recording is interrupted: the disk is slower than the node"
            self._suspend(warning, _inputs(chunks) + self._writer.abandon(), now, state)
        elif chunks:
            self._put(_Append(chunks))
            if self._is_part_full(now):
                self._rotate(now)
        self._warn()

    def _is_part_full(self, now: Timestamp) -> bool:
        if self._part_began is None:
            self._part_began = now
        is_old = self._rotate_after is not None and now >= self._part_began + self._rotate_after
        return is_old or (self._rotate_bytes is not None and self._disk.length + self._queued_bytes >= self._rotate_bytes)

    def _rotate(self, now: Timestamp) -> None:
        try:
            self._writer.close()
            last = tuple(self._writer.take())
            self._parts += 1
            self._writer = self._new_writer(self._writer.state)
        except Exception as error:  # noqa: BLE001 - the node goes on, whatever it is
            self._suspend(f"recording is interrupted: {error}", self._writer.abandon(), now, self._writer.state)
            return
        self._part_began = None
        if last:
            self._put(_Append(last))
        self._put(_Part(part_path(self._first_path, 0, self._parts), tuple(self._writer.take())))

    def _put(self, item: _Item) -> None:
        if self._thread is None:
            self._disk.handle(item)
            return
        with self._lock:
            self._queued_bytes += _size(item)
        self._queue.put(item)

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            self._disk.handle(item)
            with self._lock:
                self._queued_bytes -= _size(item)
            if isinstance(item, _Close):
                return

    def _warn(self) -> None:
        while self._disk.warnings:
            warning = self._disk.warnings.popleft()
            if self._on_warning is not None:
                self._on_warning(warning)


def part_path(path: Path, part: int, other: int) -> Path:
    """Where the part ``other`` of a log is whose part ``part`` is at ``path``: ``node.log``, ``node.000001.log`` …"""
    stem = path.stem.removesuffix(f".{part:06}") if part else path.stem
    return path.with_name(f"{stem}.{other:06}{path.suffix}" if other else f"{stem}{path.suffix}")


def _reason(error: Exception) -> str:
    """What an error says, to the operator: "No space left on device"."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _create(path: Path, sync: Sync) -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    if sync != "never":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return file


def _truncate(file: int, length: int) -> None:
    os.ftruncate(file, length)
    os.lseek(file, length, os.SEEK_SET)


def _inputs(chunks: tuple[OpenChunk, ...]) -> int:
    return sum(chunk.inputs + chunk.missed for chunk in chunks)


def _size(item: _Item) -> int:
    return sum(chunk.size for chunk in item.chunks) if isinstance(item, _Append | _Part) else 0
