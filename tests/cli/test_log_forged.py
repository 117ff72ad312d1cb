"""Every tool for logs, over logs with good checksums that say what no recorder says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mina_p2p.ids import MILLISECOND, ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.state import initial_state
from mina_p2p.testing.catalog import OTHERS, START, small_config
from mina_p2p.trace import BytesSource, Chunk, ChunkKind, Reader, machine_named
from mina_p2p.trace.chunks import OpenChunk, seal
from mina_p2p.trace.minimise import Input
from mina_p2p.transport import ChannelsStreamEnded, ConnectionIncomingReceived, SocketAddress, TransportKind
from mina_p2p_effects.cli import main
from mina_p2p_effects.fuzzing.cases import Case, write_case

Columns = list[Any]

FORGERIES: dict[str, Callable[[Columns], object]] = {
    "times": lambda columns: columns.__setitem__(0, [1 << 62] * len(columns[0])),
    "kinds": lambda columns: columns.__setitem__(3, [1 << 40] * len(columns[3])),
    "depths": lambda columns: columns.__setitem__(4, [1 << 50] * len(columns[4])),
    "deep": lambda columns: columns.__setitem__(4, bytes([255]) * len(columns[4])),
    "refusals": lambda columns: columns[5].update({0: [1 << 60, -5]}),
    "failure": lambda columns: columns.__setitem__(7, "\x1b[31mgone\n"),
    "nothing": lambda _: None,
}
HEADS = {"first id": {"first_id": (1 << 64) - 1}, "first time": {"first_time": (1 << 64) - 1}}

COMMANDS = [
    "log info {log}",
    "log cat {log}",
    "log cat {log} --json",
    "log grep {log} frame",
    "log seek {log} 3 --diff",
    "log diff {log} {whole}",
    "log merge {log} {whole}",
    "log export {log} {out}.json",
    "log export {log} {out}.jsonl",
    "log export {log} {out}.dev --format devtools",
    "log export {log} {out}.parquet",
    "log redact {log} {out}.log",
    "log minimise {log} --out {out}.mplog --tries 3",
    "replay {log}",
    "replay {log} --json",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a node that some dialled, and to which one of them says something of a connection with an absurd number."""
    path = tmp_path_factory.mktemp("forged") / "whole.log"
    inputs: list[Input] = []
    for number in range(6):
        where = SocketAddress(f"1.0.{number}.1", 8302)
        arrival = ConnectionIncomingReceived(TransportKind.QUIC, number, where, OTHERS[number % len(OTHERS)])
        inputs.append(Input(arrival, Timestamp(START + number * MILLISECOND)))
    ended = ChannelsStreamEnded(ConnectionId(1 << 70), ChannelId.SNARK, StreamId(1))
    inputs.append(Input(ended, Timestamp(START + 7 * MILLISECOND)))
    write_case(path, Case("mina_p2p", initial_state(small_config(), START), tuple(inputs)))
    return path


def forged(whole: Path, what: str) -> bytes:
    made: list[bytes] = []
    for chunk in Reader(BytesSource(whole.read_bytes())).chunks():
        assert isinstance(chunk, Chunk)
        head, payload = chunk.head, chunk.payload
        kind, numbers = ChunkKind(head.kind), {"first_id": head.first_id, "first_time": head.first_time}
        if kind in {ChunkKind.INDEX, ChunkKind.FOOTER}:
            continue
        if kind is ChunkKind.RECORDS:
            numbers |= HEADS.get(what, {})
            if what in FORGERIES:
                columns = msgspec.msgpack.decode(payload)
                FORGERIES[what](columns)
                payload = msgspec.msgpack.encode(columns)
        made.append(seal(OpenChunk(kind, **numbers, parts=(payload,)), machine_named("mina_p2p").schema.digest, None))
    return b"".join(made)


@pytest.mark.parametrize("what", [*FORGERIES, *HEADS])
def test_no_tool_stumbles_over_a_forged_log(whole: Path, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ends with one of its exit codes, says why where it can not, and sends nothing of the log to the terminal as it is."""
    path = tmp_path / "forged.log"
    path.write_bytes(forged(whole, what))
    for command in COMMANDS:
        capsys.readouterr()
        assert main([word.format(log=path, whole=whole, out=tmp_path / "out") for word in command.split()]) in {0, 1, 2}, command
        printed = capsys.readouterr()
        assert "\x1b" not in printed.out + printed.err
        assert len(printed.out) < 1_000_000
