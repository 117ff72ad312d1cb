"""Exports hold what the log holds, in the forms that the other tools read; redacted logs hold no address and replay."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.address import Domain, Ipv4, host_scope, parse_ip
from mina_p2p.wire.dial_options import write_host
from mina_p2p_effects.cli import main
from mina_p2p_effects.logs import LogSession, open_session, open_sessions
from mina_p2p_effects.logs.exports.devtools import WINDOW_MAX, export_devtools
from mina_p2p_effects.logs.exports.jsonl import export_jsonl
from mina_p2p_effects.logs.exports.parquet import export_parquet
from mina_p2p_effects.logs.exports.perfetto import export_perfetto
from mina_p2p_effects.logs.merge import links
from mina_p2p_effects.logs.pseudonyms import Pseudonyms
from mina_p2p_effects.logs.redact import redact
from mina_p2p_effects.logs.text import jsonable
from mina_p2p_effects.replay import replay_path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network") / "logs"
    options = ["--nodes", "3", "--seed", "4", "--faults", "none", "--duration", "3", "--transactions", "6"]
    assert main(["simulate", *options, "--record", str(folder), "--json"]) == 0
    return folder


def lines(sessions: list[LogSession]) -> list[dict[str, Any]]:
    file = io.StringIO()
    count = export_jsonl(sessions, file)
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert len(rows) == count
    return rows


def test_json_lines_have_every_action_whole(network: Path) -> None:
    """With its cause, its peer, and all that it says."""
    sessions = open_sessions(network)
    rows = lines(sessions)
    expected = [
        (session.node, row.action_id, row.cause_id or None, row.kind, jsonable(session.content(row.position)))
        for session in sessions
        for row in session.actions()
    ]
    assert [(row["node"], row["id"], row["cause"], row["kind"], row["action"]) for row in rows] == expected
    others = {session.node for session in sessions}
    assert {row["peer"] for row in rows if row["peer"]} <= others
    received = [row for row in rows if row["kind"] == "ChannelsMessageReceived" and row["depth"] == 0]
    assert all(row["peer"] and row["bytes"] and row["channel"] for row in received)


def test_a_trace_nests_and_its_arrows_have_two_ends(network: Path) -> None:
    """Slices of one track never overlap except inside each other; an arrow ends in another process, not before it began in cause."""
    sessions = open_sessions(network)
    file = io.StringIO()
    count = export_perfetto(sessions, file)
    events = json.loads(file.getvalue())["traceEvents"]
    assert len(events) == count
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == sum(session.count for session in sessions)
    for pid in range(1, 4):
        for track in {event["tid"] for event in slices if event["pid"] == pid}:
            open_until: list[int] = []
            for event in sorted(
                (event for event in slices if event["pid"] == pid and event["tid"] == track),
                key=lambda e: (round(e["ts"] * 1_000), -e["dur"]),
            ):
                start, end = round(event["ts"] * 1_000), round((event["ts"] + event["dur"]) * 1_000)
                while open_until and open_until[-1] <= start:
                    open_until.pop()
                assert not open_until or end <= open_until[-1]
                open_until.append(end)
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert starts.keys() == ends.keys()
    assert len(starts) == len(links(sessions)) > 50
    assert all(starts[flow]["pid"] != ends[flow]["pid"] for flow in starts)
    counters = [event["args"] for event in events if event["ph"] == "C" and event["pid"] == 1]
    assert counters == sorted(counters, key=lambda c: (c["received"], c["sent"]))


def resolve(root: Any, path: str) -> Any:
    """What a reference of jsan means."""
    found = root
    for part in path.removeprefix("$.").replace("[", ".[").split("."):
        found = found[int(part[1:-1])] if part.startswith("[") else found[part]
        while isinstance(found, dict) and found.keys() == {"$jsan"}:
            found = resolve(root, found["$jsan"])
    return found


def expand(root: Any, value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$jsan"}:
            return expand(root, resolve(root, value["$jsan"]))
        return {name: expand(root, item) for name, item in value.items()}
    return [expand(root, item) for item in value] if isinstance(value, list) else value


def without_kinds(value: Any) -> Any:
    """Plain values without the name of the record's class, which the export leaves out at the top."""
    if isinstance(value, dict):
        return {name: without_kinds(item) for name, item in value.items() if name != "kind"}
    return [without_kinds(item) for item in value] if isinstance(value, list) else value


def test_redux_devtools_get_a_window_with_the_state_behind_every_action(log_path: Path) -> None:
    """Lists fit together as the interface requires, and references lead to the states that they stand for."""
    with open_session(log_path) as session:
        file = io.StringIO()
        assert export_devtools(session, file, 100, 40) == 40
        lifted = json.loads(file.getvalue())
        assert lifted["stagedActionIds"] == list(range(41))
        assert len(lifted["computedStates"]) == len(lifted["actionsById"]) == lifted["nextActionId"] == 41
        assert lifted["actionsById"]["0"]["action"]["type"] == "@@INIT"
        for place, computed in enumerate(lifted["computedStates"]):
            state = session.state_at(99 + place)
            assert without_kinds(expand(lifted, computed["state"])) == without_kinds(jsonable(state))
            if place:
                assert lifted["actionsById"][str(place)]["action"]["type"] == session.action(99 + place).kind
        assert expand(lifted, lifted["committedState"]) == expand(lifted, lifted["computedStates"][0]["state"])
        assert export_devtools(session, io.StringIO(), 0, 10**6) == min(WINDOW_MAX, session.count)


def test_parquet_has_the_rows_of_json_lines(network: Path, tmp_path: Path) -> None:
    """Types included: times are times."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra export")
    sessions = open_sessions(network)
    path = tmp_path / "log.parquet"
    expected = lines(sessions)
    assert export_parquet(sessions, path) == len(expected)
    table = parquet.read_table(path)
    assert table.num_rows == len(expected)
    rows = table.drop_columns(["time", "ns", "action"]).to_pylist()
    assert rows == [{name: value for name, value in row.items() if name not in {"time", "action"}} for row in expected]
    assert table.column("ns").to_pylist() == [row["time"] for row in expected]
    assert table.column("time").cast("int64").to_pylist() == [row["time"] // 1_000 for row in expected]
    assert [None if text is None else json.loads(text) for text in table.column("action").to_pylist()] == [
        row["action"] for row in expected
    ]


# --- redaction ------------------------------------------------------------------------------------

HOSTS = [
    *map(
        parse_ip,
        ("203.0.113.7", "203.0.113.8", "8.8.8.8", "99.1.130.255", "192.168.1.20", "10.0.0.1", "172.20.3.4", "2a02:6b8::a1:1", "fd00::1:2"),
    ),
    Domain("seed-1.minaprotocol.com"),
]


@pytest.mark.parametrize("host", HOSTS, ids=str)
def test_another_address_has_the_form_and_scope_of_the_first(host: Any) -> None:
    """As long in text and on the wire, as public or private, and never the same where there is room for another."""
    others = {Pseudonyms(bytes([key]) * 32).host(host) for key in range(40)}
    assert len(others) > 5
    for other in others:
        assert host_scope(other) == host_scope(host)
        assert len(write_host(other)) == len(write_host(host))
        assert len(str(other)) == len(str(host))


def test_networks_stay_networks_and_loopback_stays() -> None:
    """Neighbours have neighbours' names; 127.0.0.1 names nobody."""
    names = Pseudonyms(b"k" * 32)
    one, two, far = (names.host(parse_ip(text)).packed for text in ("203.0.113.7", "203.0.113.8", "203.7.113.7"))
    assert one[:3] == two[:3]
    assert one[3] != two[3]
    assert one[:2] != far[:2]
    assert names.host(parse_ip("127.0.0.1")) == parse_ip("127.0.0.1")
    text = names.text("dialled 203.0.113.7:8302, then [2a02:6b8::a1:1], at 12:30:45, version 1.2.3")
    assert "203.0.113.7" not in text
    assert "2a02:6b8::a1:1" not in text
    assert text.endswith("at 12:30:45, version 1.2.3")
    frame = b"\x00" + write_host(parse_ip("203.0.113.7")) + b"\x07" + b"203.0.113.8"
    assert names.data(frame) == b"\x00" + write_host(Ipv4(one)) + b"\x07" + Ipv4(two).plain.encode()


def test_a_redacted_log_names_nobody_and_replays(network: Path, tmp_path: Path) -> None:
    """The same actions, ids and times; no address of the network in any chunk."""
    for session in open_sessions(network):
        target = tmp_path / session.paths[0].name
        result = redact(session, target)
        assert result.changed == result.missed == 0
        assert result.addresses >= 3
        (replayed,) = replay_path(target)
        assert replayed.is_verified
        with open_session(target) as redacted:
            assert [(row.action_id, row.kind, row.time) for row in redacted.actions()] == [
                (row.action_id, row.kind, row.time) for row in session.actions()
            ]
            said = "".join(json.dumps(row) for row in lines([redacted])) + repr(redacted.state_at(redacted.count - 1))
            everything = "".join(json.dumps(row) for row in lines([session]))
            found = {name for name in ("node-1.example", "node-2.example", "node-3.example", "198.51.100.") if name in everything}
            assert found
            assert not any(name in said for name in found)


def test_a_damaged_log_is_redacted_around_the_damage(tmp_path: Path, log_bytes: bytes) -> None:
    """What can not be replayed is left out, counted, and noted as a gap."""
    data = bytearray(log_bytes)
    data[len(data) // 2] ^= 1
    path = tmp_path / "damaged.log"
    path.write_bytes(data)
    with open_session(path) as session:
        result = redact(session, tmp_path / "out.mplog")
        assert 0 < result.missed < 400
        assert result.missed + result.inputs >= 380
    with open_session(tmp_path / "out.mplog") as redacted:
        assert len(redacted.notes) == 1
        assert redacted.count == result.actions
