"""Reading logs that are cut, damaged, forged, growing, or long."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from functools import cache

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_machine import MACHINE, OPTIONS, SCHEMA, MessageReceived, initial, inputs, reader, record_log

from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.store import Store
from mina_p2p.trace import (
    BadChunk,
    BytesSource,
    Chunk,
    ChunkKind,
    Footer,
    Header,
    LogError,
    LogFault,
    Reader,
    Records,
    State,
    Tape,
    TornTail,
    Writer,
    WriterOptions,
    replay,
)
from mina_p2p.trace.chunks import (
    FREE_LENGTH,
    HEAD,
    HEAD_LENGTH,
    MAGIC,
    RATIO_MAX,
    RAW_LENGTH_MAX,
    Compression,
    OpenChunk,
    open_payload,
    parse_head,
    seal,
)
from mina_p2p.trace.records import FOOTER_CHUNK_LENGTH, HEADER_LENGTH_MAX, INPUTS_MAX


@cache
def log() -> bytes:
    return record_log(60)


@cache
def whole() -> list[Chunk]:
    found = list(reader(log()).chunks())
    assert all(isinstance(chunk, Chunk) for chunk in found)
    return [chunk for chunk in found if isinstance(chunk, Chunk)]


def test_a_log_is_made_of_the_chunks_that_the_format_names() -> None:
    """Header, initial state, records and states, index, footer."""
    kinds = [chunk.head.kind for chunk in whole()]
    assert kinds[:3] == [ChunkKind.HEADER, ChunkKind.STATE, ChunkKind.RECORDS]
    assert kinds[-2:] == [ChunkKind.INDEX, ChunkKind.FOOTER]
    assert kinds.count(ChunkKind.RECORDS) == 3
    items = list(reader(log()).items(SCHEMA))
    footer = items[-1]
    assert isinstance(items[0], Header)
    assert isinstance(items[1], State)
    assert isinstance(footer, Footer)
    assert footer.inputs == sum(len(item.inputs) for item in items if isinstance(item, Records)) == 60
    assert footer.actions == footer.last_id == sum(len(item.kinds) for item in items if isinstance(item, Records))
    states = [item for item in items if isinstance(item, State)]
    assert footer.state_hash == SCHEMA.state_hash(SCHEMA.decode(states[-1].encoded))


def test_a_cut_at_every_byte_leaves_every_complete_chunk() -> None:
    """And says where the rest begins and how long it is."""
    data = log()
    for cut in range(len(data)):
        found = list(reader(data[:cut]).chunks())
        complete = [chunk for chunk in whole() if chunk.head.end <= cut]
        assert found[: len(complete)] == complete
        start = complete[-1].head.end if complete else 0
        rest = found[len(complete) :]
        if start == cut:
            assert not rest
        else:
            (tail,) = rest
            assert isinstance(tail, TornTail)
            assert (tail.offset, tail.size) == (start, cut - start)


def test_a_flipped_bit_anywhere_costs_one_chunk_and_no_more() -> None:
    """In every byte of the log in turn: all other chunks are read, nothing is raised, nothing is silent."""
    data, dice = log(), random.Random(5)
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << dice.randrange(8)
        others = [chunk for chunk in whole() if not chunk.head.offset <= place < chunk.head.end]
        found = list(reader(bytes(flipped)).chunks())
        assert [chunk for chunk in found if isinstance(chunk, Chunk)] == others
        notes = [chunk for chunk in found if not isinstance(chunk, Chunk)]
        assert len(notes) == 1
        assert notes[0].offset <= place < notes[0].offset + notes[0].size


def test_a_damaged_log_is_replayed_or_refused_but_raises_nothing_else() -> None:
    """Cuts and flips together; a change that goes unnoticed must not exist."""
    data, dice = log(), random.Random(6)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        del damaged[dice.randrange(HEAD_LENGTH, len(damaged)) :]
        if damaged[: len(MAGIC)] != data[: len(MAGIC)]:
            with pytest.raises(LogError) as raised:
                replay(reader(bytes(damaged)), MACHINE, SCHEMA)
            assert raised.value.fault is LogFault.NOT_A_LOG
            continue
        result = replay(reader(bytes(damaged)), MACHINE, SCHEMA)
        assert result.divergence is None
        assert result.notes or result.state_hash is None or not result.is_closed


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_noise_is_no_log(noise: bytes, has_magic: bool) -> None:
    """Nothing but `LogError` and notes come of it."""
    data = MAGIC + noise if has_magic else noise
    with pytest.raises(LogError):
        reader(data).header()
    assert all(isinstance(found, TornTail | BadChunk) for found in reader(data).items(SCHEMA))


@pytest.mark.parametrize(("data", "fault"), [(b"", LogFault.NOT_A_LOG), (b"hello, log", LogFault.NOT_A_LOG), (log()[:50], LogFault.HEADER)])
def test_what_is_no_log_is_told_from_a_log_without_a_header(data: bytes, fault: LogFault) -> None:
    """The first is another file, the second a crash in the first moment."""
    with pytest.raises(LogError) as raised:
        reader(data).header()
    assert raised.value.fault is fault


def test_a_log_whose_header_is_damaged_is_replayed_by_a_machine_that_is_given() -> None:
    """Every chunk names its schema, so the rest of the log is not lost with the first chunk."""
    data = bytearray(log())
    data[HEAD_LENGTH] ^= 1
    with pytest.raises(LogError) as raised:
        reader(bytes(data)).header()
    assert raised.value.fault is LogFault.HEADER
    result = replay(reader(bytes(data)), MACHINE)
    assert result.inputs == 60
    assert result.divergence is None
    assert result.header is None
    assert not result.is_verified


# --- forged chunks: everything correct but what they claim -------------------------------------


def forged(
    kind: int = 3, compression: int = 1, stored: bytes = b"x", stored_length: int | None = None, raw_length: int = 100, version: int = 1
) -> bytes:
    from hashlib import blake2b

    length = len(stored) if stored_length is None else stored_length
    start = HEAD.pack(MAGIC, version, kind, compression, 0, SCHEMA.digest, 1, 1, length, raw_length, b"", 0)[: HEAD_LENGTH - 20]
    start += blake2b(stored, digest_size=16, key=start).digest()
    return start + zlib.crc32(start).to_bytes(4, "big") + stored


def bomb(size: int) -> bytes:
    """A zstd frame of a few bytes that expands to ``size``."""
    compressor = zstandard.ZstdCompressor(level=19).compressobj(size=size)
    block = bytes(1 << 20)
    return b"".join([compressor.compress(block) for _ in range(size >> 20)]) + compressor.flush()


FORGED = {
    "a length beyond all": forged(stored_length=2**63, raw_length=2**63),
    "a length beyond the limit": forged(raw_length=RAW_LENGTH_MAX + 1, stored_length=RAW_LENGTH_MAX),
    "a length beyond the file": forged(stored_length=10**6, raw_length=2 * 10**6),
    "stored longer than raw": forged(stored=b"xy", raw_length=1),
    "stored as it is, of another length": forged(compression=0, stored=b"xy", raw_length=3),
    "no zstd": forged(stored=b"xy", raw_length=3),
    "unknown compression": forged(compression=7),
    "unknown version": forged(version=9),
    "a zip bomb that says so": forged(stored=bomb(64 << 20), raw_length=64 << 20),
    "a zip bomb that says less": forged(stored=bomb(64 << 20), raw_length=100_000),
    "a zstd frame that says nothing of its size": forged(
        stored=zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000)), raw_length=1000
    ),
    "bytes behind the zstd frame": forged(stored=zstandard.ZstdCompressor().compress(bytes(1000)) + b"tail", raw_length=1000),
    "records that are none": forged(compression=0, stored=b"\x91" * 1000, raw_length=1000),
    "records nested a million times": forged(stored=zstandard.ZstdCompressor().compress(b"\x91" * 10**6), raw_length=10**6),
    "columns of different lengths": forged(
        compression=0, stored=(columns := msgspec.msgpack.encode(([0, 0], [], [], [], [], {}, None, None))), raw_length=len(columns)
    ),
    "an index of nothing": forged(kind=5, compression=0, stored=b"\x80", raw_length=1),
    "a footer of another length": forged(kind=6, compression=0, stored=b"\x80", raw_length=1),
    "a gap of nothing": forged(kind=4, compression=0, stored=b"\x80", raw_length=1),
}


@pytest.mark.parametrize("chunk", FORGED.values(), ids=FORGED)
def test_a_forged_chunk_is_a_bad_chunk_among_good_ones(chunk: bytes) -> None:
    """Its checksums are right. It is refused for what it claims, and reading goes on behind it."""
    start = whole()[1].head.end
    data = log()[:start] + chunk + log()[start:]
    items = list(reader(data).items(SCHEMA))
    bad = [item for item in items if isinstance(item, BadChunk | TornTail)]
    rest = [item for item in items if not isinstance(item, BadChunk | TornTail)]
    assert len(rest) == len(list(reader(log()).items(SCHEMA)))
    if chunk is not FORGED["an index of nothing"]:  # passed over, as the story does not need it
        assert [type(item) for item in bad] == [BadChunk]
        assert bad[0].offset == start


def test_a_zip_bomb_is_refused_before_it_expands() -> None:
    """By what the head announces and by what the frame announces, each before anything is allocated."""
    data = FORGED["a zip bomb that says so"]
    with pytest.raises(LogError) as raised:
        parse_head(data[:HEAD_LENGTH], 0)
    assert raised.value.fault is LogFault.LENGTH
    data = FORGED["a zip bomb that says less"]
    with pytest.raises(LogError) as raised:
        open_payload(parse_head(data[:HEAD_LENGTH], 0), data)
    assert raised.value.fault is LogFault.COMPRESSION


@pytest.mark.parametrize("name", [name for name in FORGED if "length" in name or "bomb" in name])
def test_forged_lengths_take_no_memory(name: str) -> None:
    """Reading past them needs no more than the log itself has, and a window to look for the next chunk."""
    data = log() + FORGED[name] + log()
    tracemalloc.start()
    try:
        assert sum(isinstance(item, Chunk) for item in reader(data).chunks()) >= len(whole())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_columns_longer_than_any_writer_makes_are_refused() -> None:
    """A length that msgpack would expand into objects is checked before it does."""
    column = b"\xdd" + (INPUTS_MAX + 1).to_bytes(4, "big") + bytes(INPUTS_MAX + 1)
    payload = b"\x98" + column + b"\x90" * 4 + b"\x80\xc0\xc0"
    data = forged(compression=0, stored=payload, raw_length=len(payload))
    (bad,) = reader(data).items(SCHEMA)
    assert isinstance(bad, BadChunk)
    assert "length" in bad.detail


def test_a_reader_can_be_told_to_take_only_small_chunks() -> None:
    """For logs from strangers: what is larger is passed over, unread."""
    strict = Reader(BytesSource(log()), payload_max=1_000)
    sizes = [chunk.head.raw_length for chunk in strict.chunks() if isinstance(chunk, Chunk)]
    assert sizes
    assert max(sizes) <= 1_000
    bad = [note for note in Reader(BytesSource(log()), payload_max=1_000).chunks() if isinstance(note, BadChunk)]
    assert len(bad) + len(sizes) == len(whole())


HEADERS = {
    "no array": b"\x80",
    "no schema": msgspec.msgpack.encode(("test", 1, [], {})),
    "a schema of something else": msgspec.msgpack.encode(("test", 1, [], {"classes": [1], "enums": []})),
    "a machine without a name": msgspec.msgpack.encode((None, 1, [], {"classes": [], "enums": []})),
    "longer than any": msgspec.msgpack.encode(("test", 1, [["x", "y" * HEADER_LENGTH_MAX]], {"classes": [], "enums": []})),
}


@pytest.mark.parametrize("payload", HEADERS.values(), ids=HEADERS)
def test_a_forged_header_is_refused(payload: bytes) -> None:
    """With the declared error, whatever it holds."""
    data = forged(kind=1, compression=0, stored=payload, raw_length=len(payload))
    with pytest.raises(LogError) as raised:
        reader(data + log()).header()
    assert raised.value.fault is LogFault.HEADER


def test_what_would_look_like_a_bomb_is_written_uncompressed() -> None:
    """So that the reader's rule costs no honest log anything."""
    payload = bytes(FREE_LENGTH + 1)
    data = seal(OpenChunk(ChunkKind.STATE, 1, 1, (payload,)), SCHEMA.digest, 3)
    head = parse_head(data[:HEAD_LENGTH], 0)
    assert head.compression is Compression.NONE
    assert open_payload(head, data) == payload
    small = seal(OpenChunk(ChunkKind.STATE, 1, 1, (payload[:-1],)), SCHEMA.digest, 3)
    assert parse_head(small[:HEAD_LENGTH], 0).compression is Compression.ZSTD
    assert len(small) * RATIO_MAX < FREE_LENGTH


def test_a_foreign_index_does_not_lead_a_reader_astray() -> None:
    """An index whose offsets point elsewhere is replaced by walking from head to head."""
    data = log()
    index_at = whole()[-2].head.offset
    tape = Tape(SCHEMA)
    for chunk in whole()[:-2]:
        tape.append(OpenChunk(ChunkKind(chunk.head.kind), chunk.head.first_id, chunk.head.first_time, (b"x",)))
    tape.length = index_at
    moved = data[:index_at] + tape.finish()
    honest = reader(data)
    misled = reader(moved)
    assert misled.seek(100) == honest.seek(100)
    assert misled.position == honest.position


# --- growing and seeking ------------------------------------------------------------------------


class Growing:
    """A source that has some of the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.available = 0

    def size(self) -> int:
        return self.available

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : min(offset + size, self.available)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_a_growing_log_can_be_followed(steps: list[int]) -> None:
    """In whatever portions its bytes come, a follower sees each chunk once, as soon as it is complete."""
    source = Growing(log())
    follower = Reader(source)
    found = []
    for step in steps:
        source.available = min(len(log()), source.available + step)
        found += list(follower.items(SCHEMA, follow=True))
        complete = [chunk for chunk in whole() if chunk.head.end <= source.available]
        assert len(found) == len([chunk for chunk in complete if chunk.head.kind != ChunkKind.INDEX])
    source.available = len(log())
    found += list(follower.items(SCHEMA, follow=True))
    assert found == list(reader(log()).items(SCHEMA))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(100, 3000))
def test_a_follower_gets_past_damage(steps: list[int], place: int) -> None:
    """It waits until the chunk behind the damage is there, and goes on."""
    data = bytearray(log())
    damaged = whole()[2].head.offset + place % 60
    data[damaged] ^= 8
    source = Growing(bytes(data))
    follower = Reader(source)
    found = []
    for step in [*steps, len(data)]:
        source.available = min(len(data), source.available + step)
        found += list(follower.items(SCHEMA, follow=True))
    assert found == list(reader(bytes(data)).items(SCHEMA))


@pytest.mark.parametrize("is_closed", [True, False])
def test_seeking_finds_the_last_checkpoint_before_an_action(is_closed: bool) -> None:
    """With an index or without, and replaying from there reaches the same end."""
    data = record_log(400, is_closed=is_closed)
    states = [item.last_id for item in reader(data).items(SCHEMA) if isinstance(item, State)]
    assert len(states) >= 5
    whole_replay = replay(reader(data), MACHINE)
    for action_id in (1, 2, states[1], states[1] + 1, states[2], whole_replay.last_id):
        found = reader(data)
        expected = max(state for state in states if state < action_id)
        assert found.seek(action_id) == expected
        result = replay(found, MACHINE)
        assert result.is_verified
        assert result.state_hash == whole_replay.state_hash
        assert result.actions == whole_replay.last_id - expected
    with pytest.raises(LogError) as raised:
        reader(data).seek(0)
    assert raised.value.fault is LogFault.INDEX


def test_the_index_tells_which_kinds_are_where() -> None:
    """For a search by kind that opens only the chunks that have it."""
    index = reader(record_log(200)).index()
    items = [item for item in reader(record_log(200)).items(SCHEMA) if isinstance(item, Records)]
    bits = [int.from_bytes(tags, "little") for kind, tags in zip(index.kinds, index.tags, strict=True) if kind == ChunkKind.RECORDS]
    assert [{tag for tag in range(bit.bit_length()) if bit >> tag & 1} for bit in bits] == [set(item.kinds) for item in items]
    assert (
        index.offsets == [chunk.head.offset for chunk in reader(record_log(200)).chunks() if isinstance(chunk, Chunk)][: len(index.offsets)]
    )


def test_a_footer_has_the_length_by_which_it_is_found() -> None:
    """From the end of a log."""
    footer = whole()[-1]
    assert footer.head.end - footer.head.offset == FOOTER_CHUNK_LENGTH
    assert footer.head.compression is Compression.NONE


# --- sizes ----------------------------------------------------------------------------------------


def test_a_derived_action_costs_little() -> None:
    """Far less than 40 bytes after compression; an input about what its event has."""
    options = WriterOptions(checkpoint_inputs=10**9, hash_inputs=10**9)
    size = len(record_log(4_000, options=options, level=1, is_closed=False))
    store = Store(MACHINE, initial())
    payload = 0
    for action, now in inputs(4_000):
        payload += len(getattr(action, "frame", b""))
        store.dispatch(action, now)
    assert store.state.clock.last_action_id > 4_500
    assert (size - payload) / store.state.clock.last_action_id < 12


def test_checkpoints_keep_their_distance_whenever_hashes_are_due() -> None:
    """So many inputs, and no more bytes for each than allowed, which keeps going back in time short where states are large."""

    def distances(**how: int) -> list[int]:
        options = WriterOptions(chunk_inputs=10, hash_inputs=10**9, hash_duration=10**18, bytes_per_input=1, **how)
        counts = [0]
        for item in reader(record_log(400, options=options)).items(SCHEMA):
            if isinstance(item, Records):
                counts[-1] += len(item.inputs)
            elif isinstance(item, State):
                counts.append(0)
        return counts[1:-2]

    assert distances(checkpoint_inputs=100, checkpoint_bytes_per_input=1 << 30) == [100, 100, 100]
    large = distances(checkpoint_inputs=10, checkpoint_bytes_per_input=20)
    assert large == sorted(large)
    assert large[-1] > 4 * large[0] > 0


def test_a_frame_of_256_mebibytes_is_recorded() -> None:
    """One input may be as large as the largest frame of the network; the limit is above it."""
    assert RAW_LENGTH_MAX > 256 << 20
    big = b"\x07" * (9 << 20)  # the same path with less memory: beyond every limit of a normal chunk
    store = Store(MACHINE, initial())
    writer = Writer(MACHINE, "test", store.state, schema=SCHEMA, options=OPTIONS)
    store.observe(writer.add)
    for now in range(3):
        store.dispatch(MessageReceived(ConnectionId(1), big), Timestamp(now))
        assert writer.is_ready
    writer.close()
    tape = Tape(SCHEMA)
    data = b"".join(tape.append(chunk) for chunk in writer.take()) + tape.finish()
    frames = [action.frame for item in reader(data).items(SCHEMA) if isinstance(item, Records) for action in item.inputs]
    assert frames == [big, big, big]
    assert replay(Reader(BytesSource(memoryview(data))), MACHINE).is_verified
