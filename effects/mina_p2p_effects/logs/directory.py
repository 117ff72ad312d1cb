"""Where the actions of one log file are: its chunks as a table of contents, without their payloads.

The table is read from the log's index, or from the heads of its chunks, so opening a log costs
nothing per action. How many actions a chunk holds follows from the ids in the heads; only where
damage lies behind a chunk it has to be read for that. Nothing here is trusted before the chunk
itself was read and fits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from mina_p2p.record import Record, record
from mina_p2p.trace.chunks import ChunkKind
from mina_p2p.trace.errors import BadChunk, Gap, LogError, Note, TornTail
from mina_p2p.trace.reader import Chunk, Item, Reader
from mina_p2p.trace.records import ACTIONS_MAX, Footer, Index, Records

_KNOWN: Final = frozenset((ChunkKind.STATE, ChunkKind.RECORDS, ChunkKind.GAP, ChunkKind.FOOTER))
UNKNOWN: Final = (1 << 64) - 1


@record
class Checkpoint(Record):
    """A whole state in the log."""

    block: int
    """It is the state before the first action of this block."""
    last_id: int
    time: int
    offset: int


class Directory:
    """The chunks of records of one file, called blocks here, and its checkpoints, in order."""

    def __init__(self) -> None:
        self.offsets = array("Q")
        """Per block: where its chunk begins, in bytes from the start of the file."""
        self.first_ids = array("Q")
        self.times = array("Q")
        """Per block: time of its first input."""
        self.starts = array("Q", [0])
        """Per block, and one more for the end: how many actions come before it."""
        self.tags: list[bytes] = []
        """Per block: which kinds are in it, as in `Index`; empty where the log has no index."""
        self.inputs = array("Q")
        """Per block: how many inputs are in it; `UNKNOWN` until it was read, where the log has no index."""
        self.checkpoints: list[Checkpoint] = []
        self.notes: list[Note] = []
        """Damage found so far, and gaps."""
        self.is_closed = False

    @property
    def count(self) -> int:
        """How many actions the file holds."""
        return self.starts[-1]

    def __len__(self) -> int:
        return len(self.offsets)

    def block_of(self, position: int) -> int:
        """The block that holds the action at ``position``, from 0 in this file."""
        return bisect_right(self.starts, position) - 1

    def block_with(self, action_id: int) -> int | None:
        """The block that holds the action with this id, if the file has it."""
        block = bisect_right(self.first_ids, action_id) - 1
        if block < 0 or action_id - self.first_ids[block] >= self.size(block):
            return None
        return block

    def size(self, block: int) -> int:
        """How many actions a block holds."""
        return self.starts[block + 1] - self.starts[block]

    def checkpoints_until(self, block: int) -> list[Checkpoint]:
        """The checkpoints at or before the beginning of a block, in order."""
        return self.checkpoints[: bisect_right(self.checkpoints, block, key=lambda checkpoint: checkpoint.block)]


class Surveyor:
    """Fills the directory of one file; asked again, it adds what the file has grown by."""

    def __init__(self, reader: Reader, read: Callable[[int], Item | None], digests: frozenset[bytes]) -> None:
        """Begin with an empty directory.

        :param read: what the chunk at an offset says; ``None`` where it is damaged.
        :param digests: of the schemas that the log's chunks can be read by.
        """
        self.directory = Directory()
        self._reader = reader
        self._read = read
        self._digests = digests
        self._open: int | None = None
        """Offset of the last block as long as its length is not known."""

    def use_index(self) -> bool:
        """Take the log's own index, if it has one that holds together; whether it does."""
        try:
            index, footer = self._reader.stored_index()
        except LogError:
            return False
        if not _is_plausible(index, footer):
            return False
        self.directory.is_closed = True
        inputs = index.inputs or [UNKNOWN] * len(index.kinds)
        for row in zip(index.kinds, index.offsets, index.first_ids, index.first_times, index.tags, inputs, strict=True):
            self._add(*row)
            if row[0] == ChunkKind.GAP:
                self._note_gap(row[1])
        self._close(footer.last_id)
        return True

    def walk(self, *, follow: bool = False) -> None:
        """Go from head to head, from where the last call ended.

        :param follow: leave an unfinished end alone, as the file still grows.
        """
        for found in self._reader.heads(follow=follow):
            match found:
                case Chunk(head=head) if head.schema in self._digests:
                    self._add(head.kind, head.offset, head.first_id, head.first_time, b"", UNKNOWN)
                    if head.kind == ChunkKind.GAP:
                        self._note_gap(head.offset)
                    self.directory.is_closed = head.kind == ChunkKind.FOOTER
                case Chunk():
                    self._count_open()
                case BadChunk() | TornTail():
                    self._count_open()
                    self.directory.notes.append(found)
        self._count_open()

    def _note_gap(self, offset: int) -> None:
        gap = self._read(offset)
        if isinstance(gap, Gap):
            self.directory.notes.append(gap)

    def _add(self, kind: int, offset: int, first_id: int, time: int, tags: bytes, inputs: int) -> None:
        directory = self.directory
        if kind not in _KNOWN:
            return
        match kind:
            case ChunkKind.RECORDS:
                self._close(first_id - 1)
                directory.offsets.append(offset)
                directory.first_ids.append(first_id)
                directory.times.append(time)
                directory.tags.append(tags)
                directory.inputs.append(inputs)
                directory.starts.append(directory.starts[-1])
                self._open = offset
            case ChunkKind.STATE:
                self._close(first_id)
                directory.checkpoints.append(Checkpoint(len(directory), first_id, time, offset))
            case _:
                self._close(first_id)

    def _close(self, last_id: int) -> None:
        """The open block's last action is this, unless that can not be."""
        if self._open is None:
            return
        count = last_id - self.directory.first_ids[-1] + 1
        if 0 <= count <= ACTIONS_MAX:
            self._open = None
            self.directory.starts[-1] += count
        else:
            self._count_open()

    def _count_open(self) -> None:
        """Read the open block to know its length."""
        if self._open is None:
            return
        offset, self._open = self._open, None
        item = self._read(offset)
        if isinstance(item, Records):
            self.directory.starts[-1] += len(item.kinds)


def _is_plausible(index: Index, footer: Footer) -> bool:
    """Whether an index could be what a recorder wrote: places and ids ascend, and all are numbers of a head."""
    ids = [first_id for kind, first_id in zip(index.kinds, index.first_ids, strict=True) if kind in _KNOWN]
    if not all(0 <= number < UNKNOWN for column in (index.first_times, index.inputs) for number in column):
        return False
    return _ascends([*index.offsets, footer.index_offset]) and _ascends([*ids, footer.last_id])


def _ascends(column: list[int]) -> bool:
    return column[-1] < UNKNOWN and all(before <= after for before, after in pairwise([0, *column]))
