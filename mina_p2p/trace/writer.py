"""`Writer` and `Tape`: from what a store did to the bytes of a log.

``writer.add`` is an observer of a `Store` and the hot path of recording: it encodes the
input and notes which actions followed. Everything that costs more happens where a chunk
ends, in two stages that need not be on the same thread: the writer hands out finished but
uncompressed chunks (`Writer.take`), and a tape turns these into bytes (`Tape.append`).
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec

from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, Machine, Observer, Steps
from mina_p2p.trace.chunks import ChunkKind, OpenChunk, seal
from mina_p2p.trace.compile import plain
from mina_p2p.trace.errors import Gap
from mina_p2p.trace.records import (
    DIGEST_BYTES,
    INPUTS_MAX,
    Footer,
    Header,
    Index,
    footer_chunk,
    gap_chunk,
    header_chunk,
    index_chunk,
    records_chunk,
    state_chunk,
)
from mina_p2p.trace.schema import Schema, hash_of_encoded

_NOT_PACKED: Final = (OverflowError, UnicodeEncodeError, KeyError, TypeError, AttributeError, ValueError, RecursionError)


@record
class WriterOptions(Record):
    """How a log is cut."""

    chunk_bytes: int = 256 * 1024
    """Bytes of encoded inputs in a chunk of records, and actions, at most; one input may have more."""
    chunk_inputs: int = 4_096
    """Inputs in a chunk, at most. A chunk ends where its share of this and of ``chunk_bytes`` make one together."""
    chunk_duration: int = SECOND
    """Nanoseconds from a chunk's first input to its end; so much is lost where a process is killed."""
    hash_inputs: int = 2_000
    """The first chunk that ends so many inputs after the last hash of the state has the next ..."""
    hash_duration: int = 10 * SECOND
    """... or so many nanoseconds after."""
    checkpoint_inputs: int = 10_000
    """The whole state follows after so many inputs: what going back in time costs at most, where the state is small."""
    bytes_per_input: int = 16
    """Bounds what hashes cost: between two of them lie at least as many inputs as the encoded state has bytes divided by this."""
    checkpoint_bytes_per_input: int = 128
    """The same for checkpoints, whose bytes are written too: no more than this for each input, before compression."""
    digest_every: int = 32
    """The content of all that followed is kept as a checksum for every so-manieth input of a chunk; 1 for each, 0 for none.
    What followed from the others is compared by kind and cause, and by the hashes of the state."""
    is_checked: bool = False
    """Decode every input again before it is recorded: for tests. Type hints are not looked at when
    writing, so an input that breaks them can otherwise make its chunk unreadable."""


class Writer:
    """Collects what a store does into chunks; holds no more than one unfinished chunk."""

    def __init__(
        self,
        machine: Machine[Any],
        name: str,
        state: Any,
        *,
        version: int = 1,
        metadata: Mapping[str, str] | None = None,
        schema: Schema | None = None,
        options: WriterOptions | None = None,
    ) -> None:
        """Begin a log at ``state``.

        :param name: under which the machine is registered for replaying.
        :param version: of the machine's classes, as registered.
        :param metadata: texts for the header; ``peer_id`` names the node.
        :param schema: of the machine, where it is at hand already.
        :raises LogError: ``UNWRITABLE`` where the log can not hold the machine's actions or the
            state, ``SECRET`` where one of their fields is marked as secret.
        """
        self.schema: Final = schema or Schema.of(machine)
        self._options = options or WriterOptions()
        self._clock: attrgetter[Clock] = attrgetter(machine.clock_path)
        self._inputs: list[bytes] = []
        self._times: list[int] = []
        self._counts: list[int] = []
        self._kinds: list[int] = []
        self._depths: list[int] = []
        self._refusals: dict[int, list[int]] = {}
        self._digests = bytearray()
        self._room = [0, 0]
        """Bytes left in the chunk, and when it ends at the latest."""
        self.add: Final[Observer] = self._recording()
        """Record one dispatch; an observer for `Store.observe`. Raises `LogError`, ``UNWRITABLE``, where the
        input or what followed holds what its type hints exclude. Go on with `gap`."""
        self._chunks: list[OpenChunk] = []
        self.is_ready = True
        """Whether `take` has something to hand out."""
        self._state = state
        self._hashed_at: int = self._clock(state).now
        self._inputs_since_hash = 0
        self._inputs_since_checkpoint = 0
        self._state_bytes = 0
        header = Header(name, version, dict(metadata or {}), self.schema.header(), self.schema.digest)
        self._emit(header_chunk(header, self._hashed_at))
        self._checkpoint(self._encode_state(self._hashed_at))
        self._begin()

    def _begin(self) -> None:
        """An empty chunk; the lists stay the same, since `_recording` holds on to them."""
        for column in (self._inputs, self._times, self._counts, self._kinds, self._depths):
            column.clear()
        self._refusals = {}
        self._digests.clear()
        self._room[:] = self._options.chunk_bytes, 0

    def _inputs_min(self) -> int:
        return self._state_bytes // self._options.bytes_per_input

    def _checkpoint_inputs(self) -> int:
        return max(self._options.checkpoint_inputs, self._state_bytes // self._options.checkpoint_bytes_per_input)

    def _recording(self) -> Observer:
        """What `add` is: a closure, since looking up what it needs in ``self`` would cost a quarter of it."""
        write, pack, tags, schema = self.schema.writers, msgspec.msgpack.Encoder(enc_hook=plain).encode, self.schema.tags, self.schema
        inputs, room = self._inputs, self._room
        add_input, add_time, add_count = inputs.append, self._times.append, self._counts.append
        add_kind, add_depth = self._kinds.append, self._depths.append
        share = -(-self._options.chunk_bytes // self._options.chunk_inputs)
        digest_every, is_checked = self._options.digest_every or INPUTS_MAX, self._options.is_checked

        def add(action: Any, now: Timestamp, steps: Steps, state: Any) -> None:
            try:
                data = pack(write[type(action)](action))
            except _NOT_PACKED:
                data = schema.encode(action)
            if is_checked:
                schema.decode(data)
            raw = steps.raw
            if not len(inputs) % digest_every:
                self._digests += schema.digest_of(raw).to_bytes(DIGEST_BYTES, "big")
            for step, _, depth in raw:
                add_kind(tags[type(step)])
                add_depth(depth)
            if steps.refused:
                self._refusals[len(inputs)] = [tags[type(refused[0])] for refused in steps.refused]
            add_input(data)
            add_time(now)
            add_count(len(raw))
            self._state = state
            left = room[0] = room[0] - len(data) - len(raw) - share
            if left <= 0 or now >= room[1]:
                self._attend(now)

        return add

    def _attend(self, now: int) -> None:
        """The first input of a chunk decides when it ends at the latest; any other that comes here ends it."""
        if self._room[0] > 0 and len(self._inputs) == 1:
            self._room[1] = now + self._options.chunk_duration
        else:
            self.flush()

    def fail(self, action: Any, now: Timestamp, detail: str) -> None:
        """Record the input at which the store stopped: the log of a bug ends with its cause.

        :param detail: what the store said. Replaying expects a violation there too.
        :raises LogError: as `add`.
        """
        self._inputs.append(self.schema.encode(action))
        self._times.append(now)
        self._counts.append(0)
        self.flush(failure=detail)

    def flush(self, *, failure: str | None = None) -> None:
        """End the open chunk of records, so that `take` hands out all that was added.

        :raises LogError: ``UNWRITABLE`` where a hash is due and the state can not be encoded.
        """
        count = len(self._inputs)
        if not count:
            return
        self._inputs_since_hash += count
        self._inputs_since_checkpoint += count
        options, now = self._options, self._times[-1]
        is_many = self._inputs_since_hash >= options.hash_inputs or now >= self._hashed_at + options.hash_duration
        is_checkpoint = self._inputs_since_checkpoint >= self._checkpoint_inputs()
        encoded: bytes | None = None
        if is_checkpoint or (is_many and self._inputs_since_hash >= self._inputs_min()):
            encoded = self._encode_state(now)
        digest = hash_of_encoded(encoded) if encoded is not None else None
        first_id = self._clock(self._state).last_action_id + 1 - len(self._kinds)
        columns = (self._times, self._inputs, self._counts, self._kinds, self._depths, self._refusals)
        digests = (self._options.digest_every, bytes(self._digests)) if self._options.digest_every else None
        self._emit(records_chunk(first_id, *columns, digest, failure, digests))
        if encoded is not None and is_checkpoint:
            self._checkpoint(encoded)
        self._begin()

    def checkpoint(self) -> None:
        """End the open chunk and add the whole state.

        :raises LogError: as `flush`.
        """
        self.flush()
        self._checkpoint(self._encode_state(self._clock(self._state).now))

    def _emit(self, chunk: OpenChunk) -> None:
        self._chunks.append(chunk)
        self.is_ready = True

    def _encode_state(self, now: int) -> bytes:
        encoded = self.schema.encode(self._state)
        self._hashed_at = now
        self._state_bytes = len(encoded)
        self._inputs_since_hash = 0
        return encoded

    def _checkpoint(self, encoded: bytes) -> None:
        clock = self._clock(self._state)
        self._inputs_since_checkpoint = 0
        self._emit(state_chunk(encoded, clock.last_action_id, clock.now))

    def gap(self, missed: int, detail: str, state: Any) -> None:
        """Note that inputs are missing, and go on from ``state``.

        What was added before and not yet taken stays; see `abandon`.

        :param missed: how many inputs.
        :param state: the state after them.
        :raises LogError: ``UNWRITABLE`` where the state can not be encoded.
        """
        self.flush()
        before = self._clock(self._state)
        self._emit(gap_chunk(Gap(before.last_action_id, missed, detail), before.now))
        self._state = state
        self._checkpoint(self._encode_state(self._clock(state).now))
        self._begin()

    def abandon(self) -> int:
        """Drop all that `take` has not handed out.

        :returns: how many inputs that were.
        """
        dropped = len(self._inputs) + sum(chunk.inputs for chunk in self._chunks)
        self.take()
        self._begin()
        return dropped

    @property
    def state(self) -> Any:
        """The state after the last input that was added."""
        return self._state

    def take(self) -> list[OpenChunk]:
        """The chunks that are complete, in order; each is handed out once."""
        chunks, self._chunks = self._chunks, []
        self.is_ready = False
        return chunks

    def close(self) -> None:
        """End the log with the last state; `take` has the last chunks, `Tape.finish` the end.

        :raises LogError: as `flush`.
        """
        self.flush()
        if self._inputs_since_checkpoint:
            self.checkpoint()


class Tape:
    """Turns chunks into the bytes of one log, in order, and remembers where they are."""

    def __init__(self, schema: Schema, *, level: int | None = 1) -> None:
        """Begin an empty log.

        :param level: of zstd; ``None`` stores without compression.
        """
        self._schema = schema.digest
        self._level = level
        self._index = Index([], [], [], [], [], [])
        self._counts: list[tuple[int, int, int]] = []
        self._last: tuple[int, int, bytes] = 0, 0, hash_of_encoded(b"")
        self.length = 0
        """Bytes so far; where the next chunk begins."""

    def append(self, chunk: OpenChunk) -> bytes:
        """The bytes that follow.

        :raises LogError: ``UNWRITABLE`` for a chunk beyond the limit of the format; nothing follows then.
        """
        sealed = seal(chunk, self._schema, None if chunk.kind is ChunkKind.FOOTER else self._level)
        self._index.add(chunk.kind, self.length, chunk.first_id, chunk.first_time, chunk.tags, chunk.inputs)
        self._counts.append((chunk.inputs, chunk.actions, chunk.missed))
        if chunk.kind is ChunkKind.STATE:
            self._last = chunk.first_id, chunk.first_time, hash_of_encoded(chunk.parts[0])
        self.length += len(sealed)
        return sealed

    def rewind(self, length: int) -> None:
        """Forget the chunks from byte ``length`` on; for a writer whose disk did not take them."""
        while self._index.offsets and self._index.offsets[-1] >= length:
            self._index.remove_last()
            self._counts.pop()
        self.length = length

    def finish(self) -> bytes:
        """Index and footer: the last bytes of a log that was closed."""
        last_id, last_time, state_hash = self._last
        index_offset = self.length
        index = self.append(index_chunk(self._index, last_time))
        inputs, actions, missed = (sum(column) for column in zip(*self._counts, strict=True))
        footer = Footer(index_offset, inputs, actions, missed, last_id, last_time, state_hash)
        return index + self.append(footer_chunk(footer))
