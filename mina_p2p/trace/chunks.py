"""The outer form of a log: self-contained chunks, one after the other.

A chunk is a head of 72 bytes and a payload. The head tells how long the payload is, so a
reader can go from head to head without reading payloads; it has a checksum of its own, so a
length is trusted only where it is intact; it begins with a magic number, so reading can go
on behind damage. Nothing is allocated on the word of a length before it was checked.

The layout is written down byte by byte in ``docs/reference/log-format.md``.
"""

from __future__ import annotations

import enum
import struct
import zlib
from hashlib import blake2b
from typing import Final

import zstandard

from mina_p2p.record import Record, record
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.schema import DIGEST_LENGTH

MAGIC: Final = b"\x89MPLOG\r\n"
"""Every chunk begins so, and so does every log. As in PNG, a transfer that takes it for text breaks it."""

FORMAT_VERSION: Final = 1

HEAD: Final = struct.Struct(f">8sBBBB{DIGEST_LENGTH}sQQQQ16sI")
"""Magic, version, kind, compression, zero, schema, first action id, first time, stored length, raw length, digest, CRC."""

HEAD_LENGTH: Final = HEAD.size
_DIGEST_AT: Final = HEAD_LENGTH - 20

RAW_LENGTH_MAX: Final = 320 << 20
"""Bytes of one payload, uncompressed: room for one frame of 256 MiB."""

NUMBER_MAX: Final = 1 << 63
"""Ids and times stay below, so that other formats can hold them, too."""

FREE_LENGTH: Final = 1 << 20
RATIO_MAX: Final = 256
"""A payload over `FREE_LENGTH` that expands more than this is not a log's: the writer stores it as it is."""


class ChunkKind(enum.IntEnum):
    """What a chunk holds. A reader passes over kinds that it does not know."""

    HEADER = 1
    STATE = 2
    """A whole state: the initial one, and checkpoints."""
    RECORDS = 3
    GAP = 4
    INDEX = 5
    FOOTER = 6


class Compression(enum.IntEnum):
    """How a payload is stored."""

    NONE = 0
    ZSTD = 1


@record
class OpenChunk(Record):
    """A chunk that is complete but not yet compressed."""

    kind: ChunkKind
    first_id: int
    """First action id that it tells of; for a state the last one that it includes."""
    first_time: int
    """Time of its first input, or of its state; nanoseconds."""
    parts: tuple[bytes, ...]
    """The payload, in pieces."""
    inputs: int = 0
    actions: int = 0
    missed: int = 0
    """Inputs that a gap tells of."""
    tags: tuple[int, ...] = ()
    """Kinds of the actions in it, for the index."""

    @property
    def size(self) -> int:
        """Bytes of the payload, uncompressed."""
        return sum(map(len, self.parts))


@record
class Head(Record):
    """The head of a chunk, checked on its own."""

    kind: int
    compression: Compression
    schema: bytes
    first_id: int
    first_time: int
    stored_length: int
    raw_length: int
    digest: bytes
    offset: int
    """Where the chunk begins, in bytes from the start of the log."""

    @property
    def end(self) -> int:
        """Where the next chunk begins."""
        return self.offset + HEAD_LENGTH + self.stored_length


def seal(chunk: OpenChunk, schema: bytes, level: int | None) -> bytes:
    """The bytes of a chunk.

    :param schema: digest of the schema that its payload is written by.
    :param level: of zstd, or ``None`` to store it as it is.
    :raises LogError: ``UNWRITABLE`` where the payload is larger than `RAW_LENGTH_MAX`.
    """
    raw = chunk.parts[0] if len(chunk.parts) == 1 else b"".join(chunk.parts)
    if len(raw) > RAW_LENGTH_MAX:
        raise LogError(LogFault.UNWRITABLE, f"{len(raw)} bytes in one chunk; at most {RAW_LENGTH_MAX} are possible")
    stored, compression = raw, Compression.NONE
    if level is not None:
        packed = zstandard.ZstdCompressor(level=level).compress(raw)
        if len(packed) < len(raw) and not _is_beyond_belief(len(packed), len(raw)):
            stored, compression = packed, Compression.ZSTD
    return _head(chunk, schema, compression, stored, len(raw)) + stored


def _head(chunk: OpenChunk, schema: bytes, compression: Compression, stored: bytes, raw_length: int) -> bytes:
    values = (MAGIC, FORMAT_VERSION, chunk.kind, compression, 0, schema, chunk.first_id, chunk.first_time, len(stored), raw_length)
    start = HEAD.pack(*values, b"", 0)[:_DIGEST_AT]
    start += blake2b(stored, digest_size=16, key=start).digest()
    return start + zlib.crc32(start).to_bytes(4, "big")


def _is_beyond_belief(stored_length: int, raw_length: int) -> bool:
    return raw_length > FREE_LENGTH and raw_length > RATIO_MAX * stored_length


def parse_head(data: bytes, offset: int) -> Head:
    """Read the head of the chunk at ``offset`` of a log.

    :param data: `HEAD_LENGTH` bytes.
    :raises LogError: ``CHECKSUM`` where it is no intact head, ``VERSION``, ``COMPRESSION``, ``LENGTH``, or ``CONTENT``
        for an id or a time that no log reaches.
    """
    magic, version, kind, compression, zero, schema, first_id, first_time, stored, raw, digest, crc = HEAD.unpack(data)
    if magic != MAGIC or zlib.crc32(data[:-4]) != crc:
        raise LogError(LogFault.CHECKSUM, f"no intact chunk begins at byte {offset}")
    if version != FORMAT_VERSION or zero:
        raise LogError(LogFault.VERSION, f"format version {version} at byte {offset}; this version reads {FORMAT_VERSION}")
    if compression not in (Compression.NONE, Compression.ZSTD):
        raise LogError(LogFault.COMPRESSION, f"unknown compression {compression} at byte {offset}")
    is_equal = compression == Compression.NONE
    if raw > RAW_LENGTH_MAX or stored > raw or (stored == raw) != is_equal or _is_beyond_belief(stored, raw):
        raise LogError(LogFault.LENGTH, f"the chunk at byte {offset} announces {stored} bytes that expand to {raw}")
    if max(first_id, first_time) >= NUMBER_MAX:
        raise LogError(LogFault.CONTENT, f"the chunk at byte {offset} is of action {first_id} at {first_time} ns, which no log reaches")
    return Head(kind, Compression(compression), schema, first_id, first_time, stored, raw, digest, offset)


def open_payload(head: Head, data: bytes) -> bytes:
    """The payload of a chunk, checked and expanded.

    :param data: the whole chunk.
    :raises LogError: ``CHECKSUM`` or ``COMPRESSION``.
    """
    stored = data[HEAD_LENGTH:]
    if blake2b(stored, digest_size=16, key=data[:_DIGEST_AT]).digest() != head.digest:
        raise LogError(LogFault.CHECKSUM, f"the payload of the chunk at byte {head.offset} is damaged")
    if head.compression is Compression.NONE:
        return stored
    try:
        # zstandard allocates what the frame itself announces, so that has to be asked first.
        if zstandard.frame_content_size(stored) != head.raw_length:
            raise LogError(LogFault.COMPRESSION, f"the chunk at byte {head.offset} holds another length than it announces")
        raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=head.raw_length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise LogError(LogFault.COMPRESSION, f"the chunk at byte {head.offset}: {error}") from error
    if len(raw) != head.raw_length:
        raise LogError(LogFault.COMPRESSION, f"the chunk at byte {head.offset} expands to {len(raw)} bytes")
    return raw
