"""Keeping the peers file of a running node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from mina_p2p.state import P2pState
from mina_p2p_effects.peers_file import KeptPeers, PeersFileError, kept_of, nothing_kept, read_peers_file, write_peers_file

EVERY_S = 60.0
"""A crash loses what was learned since."""

_log = logging.getLogger(__name__)


class PeersKeeper:
    """Reads the file once, and writes it while the node runs and when it ends. Without a path it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.kept = self._read()
        """What the file held; ``None`` without a path."""
        self._read_state: Callable[[], P2pState] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def _read(self) -> KeptPeers | None:
        if self._path is None:
            return None
        if not self._path.exists():
            return nothing_kept()
        try:
            return read_peers_file(self._path)
        except (PeersFileError, OSError) as error:
            # A node that has forgotten its peers is better than none.
            _log.warning("peers of the last run are forgotten: %s", error)
            return nothing_kept()

    def begin(self, read_state: Callable[[], P2pState]) -> None:
        """Write from now on, from time to time."""
        if self._path is not None:
            self._read_state = read_state
            self._write_later()

    def _write_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._write_now)

    def _write_now(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())
        self._write_later()

    async def _write(self) -> None:
        path, read_state = self._path, self._read_state
        if path is None or read_state is None:
            return
        # The state is immutable, so that all of it but the disk's part is of one moment.
        kept = kept_of(read_state())
        try:
            await asyncio.to_thread(write_peers_file, path, kept)
        except OSError as error:
            _log.warning("what is known of peers is not kept in %s for now: %s", path, error.strerror or error)

    async def end(self) -> None:
        """Write a last time; call it while the connections are there."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await self._writing
        await self._write()
        self._read_state = None
