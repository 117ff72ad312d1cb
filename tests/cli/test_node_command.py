"""``mina-p2p node``: processes that find each other, say what they do, and end in order."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from support.node_process import CLI, COMMAND, LAST_RESORT_S, node

from mina_p2p.errors import CallerError
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.node.settings import parse_listen, read_network
from mina_p2p_effects.keyfile import reveal_key_line
from mina_p2p_effects.keys import SecretKey


def test_two_nodes_meet_and_end_in_order(tmp_path: Path) -> None:
    """A seed and a node with a list file connect; either signal ends one with a goodbye, exit code 0 and a log that replays."""
    peers, logs = tmp_path / "peers.txt", tmp_path / "logs"
    with node("--seed", "--log", logs, "--qlog", tmp_path / "qlog") as seed:
        listening = seed.until("listening")
        foreign = "/ip4/203.0.113.7/tcp/8302/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
        peers.write_text(f"# a comment\n\nnonsense\n{foreign}\n{listening['addresses'][0]}\n")
        with node("--peer-list-file", peers) as other:
            own_id = other.until("listening")["peer_id"]
            assert other.until("connected")["peer_id"] == listening["peer_id"]
            assert seed.until("connected", peer_id=own_id)["incoming"] is True
            (row,) = seed.until_peers(1)["peers"]
            assert row["peer_id"] == own_id
            assert row["bytes_in"] > 1200
            assert row["transport"] == "quic"
            assert row["rtt_ms"] > 0
            code, rest = other.end(signal.SIGINT)
            assert code == 0
            assert rest[-1]["event"] == "stopped"
        left = seed.until("disconnected", peer_id=own_id)
        assert left["by_peer"] is True
        assert left["reason"].startswith("SHUTDOWN")
        status = seed.until_peers(0)
        assert status["traffic"]["quic"]["connections_total"] == 1
        assert status["traffic"]["quic"]["bytes_in"] >= row["bytes_in"]
        assert seed.end()[0] == 0
    (trace,) = (tmp_path / "qlog").iterdir()
    assert trace.name.endswith("-server.sqlog")
    replayed = subprocess.run([*CLI, "replay", str(logs)], capture_output=True, text=True, timeout=LAST_RESORT_S, check=False)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_lines_of_other_transports_are_left_out_and_said(tmp_path: Path) -> None:
    """What a list holds that is no address is named with its line; what can not be dialled is counted; the node starts."""
    peers = tmp_path / "peers.txt"
    peers.write_text("nonsense\n/ip4/203.0.113.7/tcp/8302/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB\n")
    with node("--peer-list-file", peers) as running:
        assert running.until("status")["known_peers"] == 0
        running.end()
        errors = running.errors
    assert "line 1" in errors
    assert "1 of 1 peers have addresses of other transports" in errors


def test_the_key_makes_the_peer_and_the_operator_the_address() -> None:
    """A key line in place of a file; the address to give away is the external one with the port that was bound."""
    key = SecretKey.deterministic(5)
    with node("--seed", "--libp2p-keypair", reveal_key_line(key), "--external-ip", "203.0.113.7", "--network", "devnet") as running:
        listening = running.until("listening")
        assert listening["peer_id"] == str(key.peer_id)
        assert listening["network"] == "devnet"
        (address,) = listening["addresses"]
        assert address.startswith("/ip4/203.0.113.7/udp/")
        assert address.endswith(f"/quic-v1/p2p/{key.peer_id.libp2p}")
        assert reveal_key_line(key)[:40] not in json.dumps(running.seen)


def test_another_network_stays_apart() -> None:
    """Nodes of different chains do not connect, and the failure says so."""
    with node("--seed", "--network", "devnet") as seed:
        address = seed.until("listening")["addresses"][0]
        with node("--peer", address) as other:
            assert "NO_COMMON_PROTOCOL" in other.until("failed")["reason"]


def test_the_status_is_drawn_on_a_terminal() -> None:
    """``--status`` shows the node's id and its peers' table, and a signal ends it with 0."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--transport", "quic", "--seed", "--status"],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "150"},
    )
    os.close(theirs)
    seen = ""
    try:
        while "waits for permission" not in seen:
            seen += os.read(ours, 4096).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            seen += more.decode(errors="replace")
        assert process.wait(LAST_RESORT_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "mainnet" in seen
    assert "stopped" in seen


def test_metrics_are_served_under_the_names_that_dashboards_know() -> None:
    """``GET /metrics`` while the node runs; other paths and methods get their answers too."""
    pytest.importorskip("prometheus_client", reason="needs the extra: metrics")
    with node("--seed", "--metrics-port", "0") as running:
        url = running.until("metrics")["url"]
        with urllib.request.urlopen(url, timeout=LAST_RESORT_S) as response:
            text = response.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url.replace("/metrics", "/"), timeout=LAST_RESORT_S)
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(url, b"body", timeout=LAST_RESORT_S)
        assert running.end()[0] == 0
    for name in ("connections_total", "peer_count", "connected_peer_count", "total_bandwidth_in", "bandwidth_rate_out"):
        assert f"\nMina_libp2p_{name} 0.0\n" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nobody to connect to"),
        (("--seed", "--network", "no-such-network"), "is no network"),
        (("--seed", "--network", "0" * 63 + "x"), "64 hex digits"),
        (("--seed", "--listen", "localhost:1"), "no numeric IP"),
        (("--seed", "--listen", "127.0.0.1:99999"), "no port"),
        (("--seed", "--peer", "nonsense"), "--peer"),
        (("--seed", "--external-ip", "example.org"), "no numeric IP"),
        (("--seed", "--min-connections", "9", "--max-connections", "8"), "--min-connections 9 is over"),
        (("--seed", "--status"), "--status draws on a terminal"),
        (("--peer-list-file", "/no/such/file"), "No such file"),
        (("--seed", "--libp2p-keypair", "/no/such/file"), "there is no file"),
        (("--seed", "--status", "--json"), "not allowed with"),
        (("--seed", "--every", "0"), "no time to wait"),
        (("--seed", "--metrics-port", "70000"), "no port"),
    ],
)
def test_what_can_not_work_is_refused_with_a_sentence(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and no exception."""
    monkeypatch.setenv("MINA_LIBP2P_PASS", "")
    try:
        code: object = main(["node", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8302", "0.0.0.0", 8302),
        ("127.0.0.1", "127.0.0.1", 8302),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::]:0", "::", 0),
        ("[::1]", "::1", 8302),
        ("::1", "::1", 8302),
    ],
)
def test_where_to_listen(text: str, host: str, port: int) -> None:
    """Host, port or both."""
    assert parse_listen(text) == (host, port)


def test_a_network_may_come_from_a_file(tmp_path: Path) -> None:
    """As hex digits, or as JSON; what is neither is refused."""
    file = tmp_path / "private.txt"
    file.write_text(f"{DEVNET_CHAIN_ID}\n")
    assert read_network(str(file)) == ("private", DEVNET_CHAIN_ID)
    file.write_text(json.dumps({"chain_id": str(MAINNET_CHAIN_ID), "name": "ours"}))
    assert read_network(str(file)) == ("ours", MAINNET_CHAIN_ID)
    assert read_network(str(DEVNET_CHAIN_ID))[1] == DEVNET_CHAIN_ID
    for content in ("", "{", "{}", '{"chain_id": 7}', "00" * 31):
        file.write_text(content)
        with pytest.raises(CallerError, match=r"64 hex digits|JSON"):
            read_network(str(file))
