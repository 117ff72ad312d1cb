"""Stream data that arrived ahead of a gap, kept at its true size.

A receive buffer that is as long as the highest offset lets one byte at the end of
the window cost the whole window. Here a piece costs its own bytes, pieces never
overlap, and their number is bounded, so that many one-byte pieces cost little too.
"""

from __future__ import annotations

from bisect import bisect_left

from mina_p2p.errors import MinaP2pError


class TooManyGapsError(MinaP2pError):
    """The peer left more gaps than an honest loss of datagrams does."""


class Reassembly:
    """The bytes of one stream, in order, whatever order they come in."""

    __slots__ = ("_pieces", "_pieces_max", "held", "start")

    def __init__(self, start: int, pieces_max: int) -> None:
        self.start = start
        """Offset of the first byte that has not come."""
        self.held = 0
        """Bytes kept ahead of the gap."""
        self._pieces: list[tuple[int, bytes]] = []  # by offset; no two touch the same byte
        self._pieces_max = pieces_max

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._pieces)

    def add(self, offset: int, data: bytes) -> bytes:
        """Take the bytes from ``offset`` on; return those that are now complete in order.

        Bytes that came before are kept and their repetition is dropped, whether equal or not.

        :raises TooManyGapsError: where more than ``pieces_max`` pieces would be held.
        """
        if offset > self.start:
            self._hold(offset, data)
            return b""
        data = data[self.start - offset :]
        if not data:
            return b""
        self.start += len(data)
        return self._join(data) if self._pieces else data

    def clear(self) -> None:
        """Forget everything held."""
        self._pieces.clear()
        self.held = 0

    def _join(self, data: bytes) -> bytes:
        parts = [data]
        taken = 0
        for offset, piece in self._pieces:
            if offset > self.start:
                break
            taken += 1
            self.held -= len(piece)
            fresh = piece[self.start - offset :]
            parts.append(fresh)
            self.start += len(fresh)
        del self._pieces[:taken]
        return b"".join(parts)

    def _hold(self, offset: int, data: bytes) -> None:
        pieces = self._pieces
        index = bisect_left(pieces, (offset,))
        if index:
            before, piece = pieces[index - 1]
            covered = max(0, before + len(piece) - offset)
            offset, data = offset + covered, data[covered:]
        while data:
            following = pieces[index][0] if index < len(pieces) else offset + len(data)
            fresh = data[: following - offset]
            if fresh:
                if len(pieces) >= self._pieces_max:
                    raise TooManyGapsError(f"more than {self._pieces_max} pieces ahead of a gap")
                pieces.insert(index, (offset, fresh))
                self.held += len(fresh)
                index += 1
            if len(fresh) == len(data):
                return
            covered = following + len(pieces[index][1]) - offset
            offset, data = offset + covered, data[covered:]
            index += 1
