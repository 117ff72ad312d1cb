"""A qlog file for each connection: what QUIC did, for qvis and other viewers, within bounds.

Version 0.3 of qlog as a JSON text sequence (``.sqlog``: a record separator before each object, the header first), so
that a file is readable while it grows and after a crash. Events are those that aioquic reports, with two repairs: a lost packet is
named by its header, as the schema wants it, and what is not a number is left out. A file that has reached its size ends with
``mina:log_ended``; with too many files the oldest finished one goes; where all are still being written, a new connection gets none.

A debugging aid: it takes about four tenths as much time again as the connection itself, and shows peers' addresses to whoever reads it.

Source: draft-ietf-quic-qlog-main-schema-07 and draft-ietf-quic-qlog-quic-events-06; spec operator-conventions B5.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from aioquic.quic.logger import QuicLogger, QuicLoggerTrace

VERSION: Final = "0.3"
_SEPARATOR: Final = b"\x1e"
_ENDING_BYTES: Final = 256
"""Kept free in every file for its last event."""

_BEGINNINGS: Final = frozenset({"transport:datagrams_received", "transport:packet_sent", "transport:datagrams_sent"})
"""Before these, everything that was reported is complete: aioquic fills in a packet's frames after it has reported the packet."""

_log = logging.getLogger(__name__)


class QlogTrace(QuicLoggerTrace):
    """The file of one connection."""

    def __init__(self, path: Path, *, is_client: bool, odcid: bytes, bytes_max: int, clock: Callable[[], float], began: float) -> None:
        super().__init__(is_client=is_client, odcid=odcid)
        self.path = path
        self._file: BinaryIO | None = path.open("xb")
        self._bytes_left = bytes_max - _ENDING_BYTES
        self._clock = clock
        self._began = began
        self._pending: list[dict[str, Any]] = []
        kind = "client" if is_client else "server"
        common = {"ODCID": odcid.hex(), "time_format": "relative", "reference_time": round(time.time() * 1000, 3)}
        trace = {"vantage_point": {"name": "mina_p2p", "type": kind}, "common_fields": common}
        self._write({"qlog_version": VERSION, "qlog_format": "JSON-SEQ", "title": path.stem, "trace": trace})

    def log_event(self, *, category: str, event: str, data: dict[str, Any]) -> None:
        """Take one event; it is written when what it describes is complete."""
        if self._file is None:
            return
        name = f"{category}:{event}"
        if name in _BEGINNINGS:
            self._flush()
        if name == "recovery:packet_lost":
            data = {"header": {"packet_type": data["type"], "packet_number": data["packet_number"]}}
        self._pending.append({"time": round((self._clock() - self._began) * 1000, 3), "name": name, "data": data})

    def close(self) -> None:
        """Write what is left. Idempotent."""
        self._flush()
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                _log.warning("a qlog file could not be finished: %s", error)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for event in pending:
            if event["data"].get("frames", ()) is None:
                event["data"]["frames"] = []  # packets that we build ourselves, such as probes of the path
            self._write(event)

    def _write(self, record: dict[str, Any]) -> None:
        if self._file is None:
            return
        line = b"%b%b\n" % (_SEPARATOR, msgspec.json.encode(record))
        try:
            if len(line) > self._bytes_left:
                self._end(record)
            else:
                self._bytes_left -= len(line)
                self._file.write(line)
        except OSError as error:
            self._file = None
            _log.warning("a qlog file ends early: %s", error)

    def _end(self, record: dict[str, Any]) -> None:
        file, self._file = self._file, None
        self._pending.clear()
        if file is not None:
            last = {"time": record.get("time", 0.0), "name": "mina:log_ended", "data": {"reason": "the file has reached its size"}}
            file.write(b"%b%b\n" % (_SEPARATOR, msgspec.json.encode(last)))
            file.close()


class QlogFolder(QuicLogger):
    """Gives every connection of a node its file; stands where aioquic expects a logger.

    :param folder: made if it is not there.
    :param file_bytes_max: longest file.
    :param files_max: files of this run that are kept, so that the disk space is bounded by the product of both.
    """

    def __init__(self, folder: Path, *, file_bytes_max: int, files_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file_bytes_max = file_bytes_max
        self._files_max = files_max
        self._clock = clock
        self._open: set[QlogTrace] = set()
        self._finished: deque[Path] = deque()
        self._count = 0
        self.skipped = 0
        """Connections that got no file."""

    # aioquic takes what is returned for its optional trace; its own loggers always give one.
    def start_trace(self, is_client: bool, odcid: bytes) -> Any:
        """The trace of a new connection, or ``None`` where it gets none."""
        if len(self._open) >= self._files_max:
            self.skipped += 1
            return None
        while self._finished and len(self._open) + len(self._finished) >= self._files_max:
            self._finished.popleft().unlink(missing_ok=True)
        self._count += 1
        kind = "client" if is_client else "server"
        path = self._folder / f"{time.time_ns()}-{self._count}-{odcid.hex()}-{kind}.sqlog"
        try:
            trace = QlogTrace(
                path, is_client=is_client, odcid=odcid, bytes_max=self._file_bytes_max, clock=self._clock, began=self._clock()
            )
        except OSError as error:
            self.skipped += 1
            _log.warning("a connection gets no qlog file: %s", error)
            return None
        self._open.add(trace)
        return trace

    def end_trace(self, trace: QuicLoggerTrace) -> None:
        """A connection is over. Idempotent."""
        if isinstance(trace, QlogTrace) and trace in self._open:
            self._open.discard(trace)
            trace.close()
            self._finished.append(trace.path)
