"""`Reader`: the chunks of a log, one after the other, around whatever is damaged.

A reader asks a `Source` for bytes by their place, so it reads files, memory and logs that
still grow. It never raises for damage inside a log: a damaged stretch is a `BadChunk` between
the others, an end inside a chunk is a `TornTail`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Protocol, TypeAlias

from mina_p2p.record import Record, record
from mina_p2p.trace.chunks import HEAD_LENGTH, MAGIC, RAW_LENGTH_MAX, ChunkKind, Head, open_payload, parse_head
from mina_p2p.trace.errors import BadChunk, Gap, LogError, LogFault, TornTail
from mina_p2p.trace.migrate import Upgrade
from mina_p2p.trace.records import (
    FOOTER_CHUNK_LENGTH,
    Footer,
    Header,
    Index,
    Records,
    read_footer,
    read_gap,
    read_header,
    read_index,
    read_records,
)
from mina_p2p.trace.schema import Schema

_WINDOW = 1 << 20


class Source(Protocol):
    """Where the bytes of a log are."""

    def size(self) -> int:
        """How many bytes there are now."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on; fewer where the source ends."""
        ...


class BytesSource:
    """A log in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = data

    def size(self) -> int:
        """How many bytes there are now."""
        return len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on; fewer where the data ends."""
        return bytes(self._data[offset : offset + size])


@record
class Chunk(Record):
    """An intact chunk."""

    head: Head
    payload: bytes


@record
class State(Record):
    """A checkpoint: the whole state after the action ``last_id``."""

    last_id: int
    time: int
    encoded: bytes
    """By the schema; `Schema.decode` makes the state of it."""


Item: TypeAlias = Header | State | Records | Gap | Footer | BadChunk | TornTail


class Reader:
    """Reads one log; where it stands is `position`."""

    def __init__(self, source: Source, *, payload_max: int = RAW_LENGTH_MAX) -> None:
        """Stand at the beginning.

        :param payload_max: bytes of one chunk, uncompressed, above which it counts as bad. Decoding takes
            up to some forty times as much for hostile content; give less for logs from strangers.
        """
        self._source = source
        self._payload_max = payload_max
        self.position = 0
        """Where the next chunk begins, in bytes from the start of the log."""
        self._searched = 0
        self._last_kind = 0
        """Of the chunk that was read last."""
        self._header: Header | None = None
        """Of the first chunk, once it was read: its schema takes longer to read than many inputs."""

    def header(self) -> Header:
        """The first chunk, wherever the reader stands.

        :raises LogError: ``NOT_A_LOG``; ``HEADER`` where it is damaged or cut; ``VERSION``.
        """
        if self._header is not None:
            return self._header
        start = self._source.read(0, HEAD_LENGTH)
        if start[: len(MAGIC)] != MAGIC[: len(start)] or not start:
            raise LogError(LogFault.NOT_A_LOG, "a log begins with a magic number, this with something else" if start else "it is empty")
        try:
            first = self._chunk_at(0, ChunkKind.HEADER)
            self._header = read_header(first.head, first.payload)
        except LogError as error:
            if error.fault is LogFault.VERSION:
                raise
            raise LogError(LogFault.HEADER, error.detail) from error
        return self._header

    def items(self, schema: Schema, *, upgrade: Upgrade | None = None, follow: bool = False) -> Iterator[Item]:
        """What the chunks say, from `position` on, until nothing more is there.

        Reads one chunk at a time, and no more than its head where it is none of this format.

        :param schema: what to decode records by; a chunk recorded by another schema is a `BadChunk`.
        :param upgrade: for the log's own schema, where that is another.
        :param follow: leave an unfinished end alone: the log still grows. Ask again later.
        """
        while (found := self._next(follow=follow, heads_only=False)) is not None:
            if not isinstance(found, Chunk):
                yield found
                continue
            if found.head.offset == 0 and self._header is not None:
                yield self._header
                continue
            try:
                item = _read(schema, upgrade, found.head, found.payload)
            except LogError as error:
                item = BadChunk(found.head.offset, found.head.end - found.head.offset, str(error))
            if item is not None:
                yield item

    def item_at(self, offset: int, schema: Schema, *, upgrade: Upgrade | None = None) -> Item | None:
        """What the chunk at ``offset`` says, wherever the reader stands; ``None`` for kinds that are not part of the story.

        :param upgrade: as in `items`.
        :raises LogError: for anything but an intact chunk that begins there.
        """
        head = parse_head(self._source.read(offset, HEAD_LENGTH).ljust(HEAD_LENGTH, b"\0"), offset)
        if head.raw_length > self._payload_max:
            raise LogError(LogFault.LENGTH, f"{head.raw_length} bytes; the reader was told to take at most {self._payload_max}")
        return _read(schema, upgrade, head, open_payload(head, self._source.read(offset, head.end - offset)))

    def chunks(self) -> Iterator[Chunk | BadChunk | TornTail]:
        """The intact chunks from `position` on, unread; needs no schema."""
        while (found := self._next(follow=False, heads_only=False)) is not None:
            yield found

    def heads(self, *, follow: bool = False) -> Iterator[Chunk | BadChunk | TornTail]:
        """As `chunks`, but without their payloads, which are neither read nor checked.

        :param follow: as in `items`.
        """
        while (found := self._next(follow=follow, heads_only=True)) is not None:
            yield found

    def index(self) -> Index:
        """Where the chunks are: from the footer, else by walking from head to head."""
        try:
            index, _ = self.stored_index()
        except LogError:
            return self._walked_index()
        return index

    def stored_index(self) -> tuple[Index, Footer]:
        """The index with which a log ends that was closed, and its footer; nobody has checked that it tells the truth.

        :raises LogError: where the log does not end so.
        """
        footer = read_footer(self._chunk_at(max(0, self._source.size() - FOOTER_CHUNK_LENGTH), ChunkKind.FOOTER).payload)
        return read_index(self._chunk_at(footer.index_offset, ChunkKind.INDEX).payload), footer

    def seek(self, action_id: int) -> int:
        """Stand at the last checkpoint from which ``action_id`` can be replayed.

        :returns: the id of the last action that the checkpoint includes.
        :raises LogError: ``INDEX`` where no checkpoint comes before the action.
        """
        for index in (self.index, self._walked_index):
            found = index()
            states = [i for i, kind in enumerate(found.kinds) if kind == ChunkKind.STATE]
            place = bisect_right(states, action_id - 1, key=lambda i: found.first_ids[i]) - 1
            if place < 0:
                continue
            offset, first_id = found.offsets[states[place]], found.first_ids[states[place]]
            if self._is_state(offset, first_id):
                self.position = offset
                return first_id
        raise LogError(LogFault.INDEX, f"no checkpoint before action {action_id}")

    def _is_state(self, offset: int, first_id: int) -> bool:
        try:
            head = parse_head(self._source.read(offset, HEAD_LENGTH).ljust(HEAD_LENGTH, b"\0"), offset)
        except LogError:
            return False
        return head.kind == ChunkKind.STATE and head.first_id == first_id

    def _chunk_at(self, offset: int, kind: ChunkKind) -> Chunk:
        head = parse_head(self._source.read(offset, HEAD_LENGTH).ljust(HEAD_LENGTH, b"\0"), offset)
        if head.kind != kind:
            raise LogError(LogFault.INDEX, f"the chunk at byte {offset} is no {kind.name.lower()}")
        return Chunk(head, open_payload(head, self._source.read(offset, head.end - offset)))

    def _walked_index(self) -> Index:
        index = Index([], [], [], [], [], [])
        for found in Reader(self._source).heads():
            if isinstance(found, Chunk):
                head = found.head
                index.add(head.kind, head.offset, head.first_id, head.first_time)
        return index

    def _next(self, *, follow: bool, heads_only: bool) -> Chunk | BadChunk | TornTail | None:
        """The next chunk or note; ``None`` where the log ends, or where more has to come first."""
        start = self.position
        data = self._source.read(start, HEAD_LENGTH)
        if len(data) < HEAD_LENGTH:
            return None if follow or not data else self._torn(start, "it ends inside the head of a chunk")
        try:
            head = parse_head(data, start)
        except LogError as error:
            return self._resume(start, str(error), follow=follow)
        if heads_only and head.end <= self._source.size():
            self.position, self._last_kind = head.end, head.kind
            return Chunk(head, b"")
        if head.raw_length > self._payload_max and head.end <= self._source.size():
            self.position = head.end
            return BadChunk(start, head.end - start, f"{head.raw_length} bytes; the reader was told to take at most {self._payload_max}")
        data = self._source.read(start, head.end - start)
        if len(data) < head.end - start:
            # What an intact head announces is missing: cut here, or a forged length that would hide what follows.
            return None if follow else self._resume(start, "it ends inside the payload of a chunk", follow=False)
        self.position, self._last_kind = head.end, head.kind
        try:
            return Chunk(head, open_payload(head, data))
        except LogError as error:
            return BadChunk(start, len(data), str(error))

    def _resume(self, start: int, detail: str, *, follow: bool) -> BadChunk | TornTail | None:
        """Go on at the next intact head after ``start``."""
        offset = max(start + 1, self._searched)
        while True:
            window = self._source.read(offset, _WINDOW)
            place = window.find(MAGIC)
            if place >= 0:
                offset += place
                data = self._source.read(offset, HEAD_LENGTH)
                if len(data) == HEAD_LENGTH and self._is_head(data, offset):
                    self.position = offset
                    return BadChunk(start, offset - start, detail)
                if len(data) < HEAD_LENGTH and follow:
                    self._searched = offset
                    return None
                offset += 1
            elif len(window) < _WINDOW:
                if follow:
                    self._searched = max(offset, offset + len(window) - len(MAGIC))
                    return None
                return self._torn(start, detail)
            else:
                offset += _WINDOW - len(MAGIC) + 1

    @staticmethod
    def _is_head(data: bytes, offset: int) -> bool:
        try:
            parse_head(data, offset)
        except LogError:
            return False
        return True

    def _torn(self, start: int, detail: str) -> TornTail | BadChunk:
        """The log ends in what is no chunk; a footer in its full length was not cut but damaged."""
        self.position = self._source.size()
        size = self.position - start
        if size == FOOTER_CHUNK_LENGTH and self._last_kind == ChunkKind.INDEX:
            return BadChunk(start, size, detail)
        return TornTail(start, size, detail)


def _read(schema: Schema, upgrade: Upgrade | None, head: Head, payload: bytes) -> Item | None:
    """What a chunk says; ``None`` for kinds that are not part of the story."""
    if upgrade is not None and head.schema == upgrade.digest:
        payload = upgrade.payload(head.kind, payload)
    elif head.schema != schema.digest:
        raise LogError(LogFault.SCHEMA, f"the chunk at byte {head.offset}")
    match head.kind:
        case ChunkKind.HEADER:
            return read_header(head, payload)
        case ChunkKind.STATE:
            return State(head.first_id, head.first_time, payload)
        case ChunkKind.RECORDS:
            return read_records(schema, head, payload)
        case ChunkKind.GAP:
            return read_gap(head, payload)
        case ChunkKind.FOOTER:
            return read_footer(payload)
        case _:
            return None
