"""Ten thousand cuts and ten thousand flipped bits: every complete chunk is recovered, and nothing raises."""

from __future__ import annotations

import random
from functools import cache

import pytest
from trace_machine import SCHEMA, reader, record_log

from mina_p2p.trace import BadChunk, Chunk, ChunkKind, LogError, Records, TornTail, WriterOptions
from mina_p2p.trace.chunks import HEAD_LENGTH

TRIES = 10_000


@cache
def log() -> bytes:
    """A log of some ten chunks and more than ten thousand bytes."""
    data = record_log(200, options=WriterOptions(chunk_inputs=60, hash_inputs=60, checkpoint_inputs=120), level=None)
    assert len(data) > TRIES
    return data


@cache
def whole() -> tuple[Chunk, ...]:
    return tuple(chunk for chunk in reader(log()).chunks() if isinstance(chunk, Chunk))


def places(seed: int, bound: int) -> list[int]:
    """Where to damage: the edges of chunks and their heads, then anywhere."""
    edges = {chunk.head.offset + shift for chunk in whole() for shift in (-1, 0, 1, HEAD_LENGTH - 1, HEAD_LENGTH, HEAD_LENGTH + 1)}
    dice = random.Random(seed)
    found = sorted(edge for edge in edges if 0 <= edge < bound)
    return found + dice.sample(range(bound), TRIES - len(found))


def test_a_power_cut_at_any_byte_leaves_every_complete_chunk() -> None:
    """What was complete is there, in order and unchanged; the rest is one torn tail, or nothing at all."""
    for cut in places(1, len(log())):
        found = list(reader(log()[:cut]).chunks())
        complete = [chunk for chunk in whole() if chunk.head.end <= cut]
        assert found[: len(complete)] == complete
        rest = found[len(complete) :]
        is_clean = cut == (complete[-1].head.end if complete else 0)
        assert rest == [] if is_clean else len(rest) == 1 and isinstance(rest[0], TornTail)


def test_a_flipped_bit_costs_the_chunk_that_it_hits_and_no_other() -> None:
    """Every other chunk is found, unchanged; the damage is named with its place."""
    dice = random.Random(2)
    for place in places(3, len(log())):
        data = bytearray(log())
        data[place] ^= 1 << dice.randrange(8)
        found = list(reader(bytes(data)).chunks())
        others = [chunk for chunk in whole() if not chunk.head.offset <= place < chunk.head.end]
        assert [item for item in found if isinstance(item, Chunk)] == others
        notes = [item for item in found if not isinstance(item, Chunk)]
        assert len(notes) == 1
        assert isinstance(notes[0], BadChunk)
        assert notes[0].offset <= place < notes[0].offset + notes[0].size


def test_what_is_left_of_damaged_logs_can_be_decoded() -> None:
    """One log with a hundred damages: whatever comes out is of the log, and nothing raises."""
    dice = random.Random(4)
    originals = {item.first_id: item for item in reader(log()).items(SCHEMA) if isinstance(item, Records)}
    for _ in range(200):
        data = bytearray(log())
        for _ in range(dice.randrange(1, 100)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        for item in reader(bytes(data)).items(SCHEMA):
            if isinstance(item, Records):
                assert originals[item.first_id] == item


def test_a_footer_that_is_damaged_is_no_torn_tail() -> None:
    """It is there in its full length, so nothing was cut; without its last byte it was."""
    footer = whole()[-1]
    assert footer.head.kind == ChunkKind.FOOTER
    for place in range(footer.head.offset, footer.head.end):
        data = bytearray(log())
        data[place] ^= 0x10
        assert isinstance(list(reader(bytes(data)).chunks())[-1], BadChunk)
    assert isinstance(list(reader(log()[:-1]).chunks())[-1], TornTail)


def test_a_log_of_nothing_but_nesting_is_refused() -> None:
    """A million levels of msgpack arrays, sealed with good checksums: a typed error, not a crash."""
    with pytest.raises(LogError):
        SCHEMA.decode(b"\x91" * 1_000_000)
    with pytest.raises(LogError):
        SCHEMA.decode(b"\x92\x01" * 1_000_000)
