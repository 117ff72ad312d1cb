"""Sessions over logs that are damaged or forged: everything can be asked, and nothing but the declared errors comes back."""

from __future__ import annotations

import random
import tracemalloc
from itertools import islice
from pathlib import Path

import msgspec
import pytest
import trace_machine as tm

from mina_p2p.trace import BytesSource, Chunk, ChunkKind, LogError, Reader
from mina_p2p.trace.chunks import OpenChunk, seal
from mina_p2p_effects.logs import Query, open_session, search


def ask_everything(path: Path) -> int:
    """Go through a log in every way; how many actions it shows."""
    with open_session(path) as session:
        rows = list(session.actions(0, 3_000))
        for row in rows[:: max(1, len(rows) // 40)]:
            for question in (session.content, session.state_at, session.state_before):
                try:
                    question(row.position)
                except LogError:
                    continue
            session.children(row.position)
            cause = session.cause(row.position)
            assert cause is None or 0 <= cause < row.position
            try:
                session.position_of(row.action_id)
            except LogError:
                continue
        list(session.refusals())
        session.failure()
        list(islice(search(session, Query(text="frame")), 50))
        list(islice(search(session, Query(peer="#3"), session.count, backward=True), 50))
        return len(rows)


def test_flipped_bits_and_cuts_never_break_a_session(tmp_path: Path) -> None:
    """Two hundred damaged logs; only one that has no header is refused."""
    data = tm.record_log(120)
    header = next(iter(Reader(BytesSource(data)).heads()))
    assert isinstance(header, Chunk)
    dice = random.Random(7)
    path = tmp_path / "damaged.log"
    for attempt in range(200):
        damaged = bytearray(data if attempt % 3 else data[: dice.randrange(header.head.end, len(data))])
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(header.head.end, len(damaged)) if len(damaged) > header.head.end else 0] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        if len(damaged) > header.head.end:
            ask_everything(path)
    damaged = bytearray(data)
    damaged[20] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(LogError):
        open_session(path)


def rebuilt(data: bytes, **changes: object) -> bytes:
    """A log with good checksums, whose heads or records say something else."""
    made: list[bytes] = []
    for number, chunk in enumerate(Reader(BytesSource(data)).chunks()):
        assert isinstance(chunk, Chunk)
        kind, first_id, time, payload = ChunkKind(chunk.head.kind), chunk.head.first_id, chunk.head.first_time, chunk.payload
        if kind in {ChunkKind.INDEX, ChunkKind.FOOTER}:
            continue
        if kind is ChunkKind.RECORDS and number % 3 == 0:
            first_id = int(changes.get("first_id", first_id))  # type: ignore[call-overload]
            time = int(changes.get("time", time))  # type: ignore[call-overload]
            columns = msgspec.msgpack.decode(payload)
            if "depths" in changes:
                columns[4] = [changes["depths"]] * len(columns[4])
            if "kinds" in changes:
                columns[3] = [changes["kinds"]] * len(columns[3])
            payload = msgspec.msgpack.encode(columns)
        made.append(seal(OpenChunk(kind, first_id, time, (payload,)), tm.SCHEMA.digest, None))
    return b"".join(made)


@pytest.mark.parametrize(
    "changes",
    [
        {"first_id": 0},
        {"first_id": (1 << 64) - 1},
        {"first_id": 1 << 63},
        {"time": (1 << 64) - 1},
        {"time": 0},
        {"depths": 0},
        {"depths": 1 << 60},
        {"kinds": 1 << 60},
        {"kinds": 0},
    ],
    ids=str,
)
def test_forged_heads_and_columns_never_break_a_session(tmp_path: Path, changes: dict[str, int]) -> None:
    """Ids and times that are none, trees that are none, kinds that are none: shown as they are, or as unreadable."""
    path = tmp_path / "forged.log"
    path.write_bytes(rebuilt(tm.record_log(200), **changes))
    assert ask_everything(path) > 100


def test_what_a_head_promises_costs_no_memory(tmp_path: Path) -> None:
    """Two blocks whose ids lie sixteen million apart claim so many actions; none of them is held."""
    path = tmp_path / "promises.log"
    path.write_bytes(rebuilt(tm.record_log(200), first_id=(1 << 24) - 5))
    tracemalloc.start()
    try:
        with open_session(path) as session:
            assert session.count > 1_000
            session.action(session.count - 1)
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
