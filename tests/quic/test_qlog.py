"""qlog files: what viewers need of them, and their bounds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.qlog import QlogFolder
from quic.nodes import Node
from quic.pairs import connected

PACKET_TYPES = {"initial", "handshake", "0RTT", "1RTT", "retry", "version_negotiation"}
NUMBER = (int, float)

# draft-ietf-quic-qlog-quic-events-06: the fields each frame must have, with their types.
FRAMES: dict[str, dict[str, Any]] = {
    "padding": {},
    "ping": {},
    "ack": {"acked_ranges": list},
    "reset_stream": {"stream_id": int, "error_code": int, "final_size": int},
    "stop_sending": {"stream_id": int, "error_code": int},
    "crypto": {"offset": int, "length": int},
    "new_token": {},
    "stream": {"stream_id": int, "offset": int, "length": int},
    "max_data": {"maximum": int},
    "max_stream_data": {"stream_id": int, "maximum": int},
    "max_streams": {"stream_type": str, "maximum": int},
    "new_connection_id": {"sequence_number": int, "retire_prior_to": int, "connection_id": str},
    "retire_connection_id": {"sequence_number": int},
    "connection_close": {"error_space": str, "error_code": int},
    "handshake_done": {},
    "path_challenge": {},
    "path_response": {},
}


def records(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON text sequence (RFC 7464), which must be whole."""
    parts = path.read_bytes().split(b"\x1e")
    assert parts[0] == b""
    assert all(part.endswith(b"\n") and part.count(b"\n") == 1 for part in parts[1:])
    return [json.loads(part, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")) for part in parts[1:]]


def check(path: Path) -> list[dict[str, Any]]:
    """Hold a file to the schema, as far as its kinds of events go; returns the events."""
    header, *events = records(path)
    assert header["qlog_version"] == "0.3"
    assert header["qlog_format"] == "JSON-SEQ"
    assert header["trace"]["vantage_point"]["type"] in {"client", "server"}
    assert header["trace"]["common_fields"]["time_format"] == "relative"
    assert header["trace"]["common_fields"]["reference_time"] > 1e12
    last = 0.0
    for event in events:
        assert last <= event["time"] < 3_600_000
        last = event["time"]
        category, _, kind = event["name"].partition(":")
        assert category in {"transport", "recovery", "security", "connectivity", "mina"}
        data = event["data"]
        if kind in {"packet_sent", "packet_received", "packet_lost"}:
            assert data["header"]["packet_type"] in PACKET_TYPES
            assert isinstance(data["header"]["packet_number"], int)
        if kind in {"packet_sent", "packet_received"}:
            assert data["raw"]["length"] > 0
            for frame in data["frames"]:
                for name, its_type in FRAMES[frame["frame_type"]].items():
                    assert isinstance(frame[name], its_type), frame
        if kind == "metrics_updated":
            assert all(isinstance(value, NUMBER) or value is None for value in data.values())
    return events


def frames_of(events: list[dict[str, Any]], name: str, kind: str) -> list[dict[str, Any]]:
    return [frame for event in events if event["name"] == name for frame in event["data"]["frames"] if frame["frame_type"] == kind]


def test_a_connection_is_told_whole(tmp_path: Path) -> None:
    """Both ends' files satisfy the schema; what one sent the other received, permissions included."""

    async def scenario() -> None:
        config = QuicConfig(qlog_dir=tmp_path)
        async with Node(1, config) as alice, Node(2, config, answer=bytes(50_000)) as bob:
            connection_id = await alice.dial(bob)
            await alice.ask(connection_id, 60_000)

    asyncio.run(scenario())
    (client,) = tmp_path.glob("*-client.sqlog")
    (server,) = tmp_path.glob("*-server.sqlog")
    assert records(client)[0]["trace"]["common_fields"]["ODCID"] == records(server)[0]["trace"]["common_fields"]["ODCID"]
    dialing, listening = check(client), check(server)
    stream = {"stream_id": 4}
    for sent, received in ((dialing, listening), (listening, dialing)):
        out = {(f["offset"], f["length"]) for f in frames_of(sent, "transport:packet_sent", "stream") if f.items() >= stream.items()}
        came = {
            (f["offset"], f["length"]) for f in frames_of(received, "transport:packet_received", "stream") if f.items() >= stream.items()
        }
        assert out
        assert came <= out
    permissions = frames_of(dialing, "transport:packet_sent", "max_stream_data")
    assert {"frame_type": "max_stream_data", "maximum": 60_000, "stream_id": 4} in permissions
    assert {"frame_type": "max_stream_data", "maximum": 60_000, "stream_id": 4} in frames_of(
        listening, "transport:packet_received", "max_stream_data"
    )
    assert frames_of(listening, "transport:packet_sent", "max_streams")
    assert frames_of(dialing, "transport:packet_sent", "connection_close")


def test_losses_are_named_by_their_header(tmp_path: Path) -> None:
    """As the schema has it, so that a viewer can mark the packet."""
    world, alice, bob = connected(listener_config=QuicConfig(qlog_dir=tmp_path))
    stream = StreamId(4)
    alice.connection.request(ChannelId.RPC, stream, b"please", 10_000, 10_000)
    world.quiet()
    answered = world.carried[1]
    world.passes = lambda sender, data: sender == 0 or world.carried[1] != answered + 1
    bob.connection.answer(stream, (bytes(9_000),), ends=True)
    world.run(lambda: bool(alice.heard(ChannelsStreamEnded)))
    assert alice.heard(ChannelsMessageReceived)
    bob.connection.quic.dispose()
    (file,) = tmp_path.iterdir()
    events = check(file)
    (lost,) = [event["data"]["header"] for event in events if event["name"] == "recovery:packet_lost"]
    assert lost in [
        {name: event["data"]["header"][name] for name in ("packet_type", "packet_number")}
        for event in events
        if event["name"] == "transport:packet_sent"
    ]


def test_a_file_keeps_within_its_size(tmp_path: Path) -> None:
    """However much happens: the last event says that the file ended before the connection did."""
    config = QuicConfig(qlog_dir=tmp_path, qlog_file_bytes_max=20_000)
    world, alice, bob = connected(config, config)
    alice.connection.request(ChannelId.RPC, StreamId(4), b"please", 1 << 20, 1 << 20)
    world.quiet()
    bob.connection.answer(StreamId(4), (bytes(500_000),), ends=True)
    world.run(lambda: bool(alice.heard(ChannelsStreamEnded)))
    for end in (alice, bob):
        end.connection.quic.dispose()
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    for file in files:
        assert 19_000 < file.stat().st_size <= 20_000
        assert check(file)[-1]["name"] == "mina:log_ended"


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    """The oldest finished file goes; where all are being written, a connection gets none."""
    folder = QlogFolder(tmp_path, file_bytes_max=4096, files_max=3)
    first = folder.start_trace(is_client=True, odcid=b"\x01" * 8)
    others = [folder.start_trace(is_client=True, odcid=bytes([number]) * 8) for number in (2, 3)]
    assert folder.start_trace(is_client=True, odcid=b"\x04" * 8) is None
    assert folder.skipped == 1
    folder.end_trace(first)
    folder.end_trace(first)
    fifth = folder.start_trace(is_client=False, odcid=b"\x05" * 8)
    assert not first.path.exists()
    assert {file.name.split("-")[2] for file in tmp_path.iterdir()} == {number.to_bytes().hex() * 8 for number in (2, 3, 5)}
    for trace in (*others, fifth):
        folder.end_trace(trace)
        check(trace.path)


def test_a_failing_disk_ends_the_log_and_not_the_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning, once for each file, and the node goes on."""
    folder = QlogFolder(tmp_path, file_bytes_max=100_000, files_max=3)
    trace = folder.start_trace(is_client=True, odcid=b"\x01" * 8)
    trace._file.close()

    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    trace._file = Full()
    for _ in range(3):
        trace.log_event(category="transport", event="datagrams_received", data={})
    folder.end_trace(trace)
    assert caplog.text.count("No space left") == 1
    tmp_path.chmod(0o700)
    folder = QlogFolder(tmp_path / "new", file_bytes_max=100_000, files_max=3)
    (tmp_path / "new").rmdir()
    assert folder.start_trace(is_client=True, odcid=b"\x01" * 8) is None
    assert folder.skipped == 1


def test_nothing_is_written_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off by default."""
    monkeypatch.chdir(tmp_path)
    _, alice, _ = connected()
    assert alice.connection.quic._quic_logger is None
    assert not list(tmp_path.iterdir())
