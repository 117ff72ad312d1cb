"""``mina-p2p node`` on libp2p's network, alone and beside QUIC: what operators of OCaml nodes write, and what they see."""

from __future__ import annotations

import argparse
import subprocess
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.node_process import CLI, LAST_RESORT_S, Process, node

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.node import settings
from mina_p2p_effects.cli.node.settings import parse_listen, read_settings
from mina_p2p_effects.cli.node_command import add_arguments
from mina_p2p_effects.keyfile import reveal_key_line
from mina_p2p_effects.keys import SecretKey

needs_pnet = pytest.mark.skipif(find_spec("Crypto") is None, reason="pycryptodome is not installed; it comes with the extra `libp2p`")
LIBP2P = ("--transport", "libp2p")


@needs_pnet
def test_two_nodes_meet_over_tcp_and_their_logs_replay(tmp_path: Path) -> None:
    """One seed named in a list file is enough; both say who came, with what transport; the log holds no secret."""
    key, peers, logs = SecretKey.deterministic(5), tmp_path / "peers.txt", tmp_path / "logs"
    with node("--seed", "--libp2p-keypair", reveal_key_line(key), "--log", logs, "--metrics-port", "0", transport="libp2p") as seed:
        (address,) = seed.until("listening")["addresses"]
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert address.endswith(f"/p2p/{key.peer_id.libp2p}")
        url = seed.until("metrics")["url"]
        peers.write_text(f"# seeds\n{address}\n")
        with node("--peer-list-file", peers, transport="libp2p") as other:
            own_id = other.until("listening")["peer_id"]
            assert other.until("connected")["peer_id"] == str(key.peer_id)
            arrived = seed.until("connected", peer_id=own_id)
            assert (arrived["incoming"], arrived["transport"]) == (True, "libp2p")
            assert seed.until("identified", peer_id=own_id)["agent"] == "mina_p2p"
            row = _row(seed)
            assert (row["peer_id"], row["transport"], row["agent"]) == (own_id, "libp2p", "mina_p2p")
            assert row["bytes_in"] > 500
            with urllib.request.urlopen(url, timeout=LAST_RESORT_S) as response:
                figures = response.read().decode()
            assert "\nMina_libp2p_connected_peer_count 1.0\n" in figures
            assert "\nMina_libp2p_connections_total 1.0\n" in figures
            assert '\nmina_p2p_transport_peers{transport="libp2p"} 1.0\n' in figures
            assert other.end()[0] == 0
        assert seed.until("disconnected", peer_id=own_id)["transport"] == "libp2p"
        assert seed.end()[0] == 0
    replayed = subprocess.run([*CLI, "replay", str(logs)], capture_output=True, text=True, timeout=LAST_RESORT_S, check=False)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert not any(key.reveal_seed() in file.read_bytes() for file in logs.iterdir())


def _row(running: Process) -> dict[str, Any]:
    """The one peer's row, once its transport has counted a round trip's bytes and its name is known."""
    while True:
        rows: list[dict[str, Any]] = running.until("status")["peers"]
        if len(rows) == 1 and rows[0]["agent"] and rows[0]["bytes_in"]:
            return rows[0]


@needs_pnet
def test_a_node_is_on_both_networks_unless_told_otherwise() -> None:
    """It gives two addresses away, one peer dials each, and the external address stands in both."""
    with node("--seed", "--external-ip", "127.0.0.1", "--external-ip", "192.0.2.7", transport="both") as seed:
        addresses = seed.until("listening")["addresses"]
        assert [address.split("/")[2:4] for address in addresses] == [
            *(["127.0.0.1", "udp"], ["192.0.2.7", "udp"]),
            *(["127.0.0.1", "tcp"], ["192.0.2.7", "tcp"]),
        ]
        with (
            node("--peer", addresses[0], transport="quic") as pull,
            node("--peer", addresses[2], transport="libp2p") as push,
        ):
            seen = {pull.until("connected")["remote"], push.until("connected")["remote"]}
            assert len(seen) == 2
            assert {row["transport"] for row in seed.until_peers(2)["peers"]} == {"quic", "libp2p"}


@pytest.mark.parametrize(
    ("text", "is_libp2p", "host", "port"),
    [
        ("/ip4/0.0.0.0/tcp/8302", True, "0.0.0.0", 8302),
        ("/ip6/::/tcp/0", True, "::", 0),
        ("/ip4/127.0.0.1/udp/1/quic-v1", False, "127.0.0.1", 1),
        ("127.0.0.1:9", True, "127.0.0.1", 9),
    ],
)
def test_where_to_listen_may_be_a_multiaddress(text: str, is_libp2p: bool, host: str, port: int) -> None:
    """In the form of its transport."""
    assert parse_listen(text, is_libp2p=is_libp2p) == (host, port)


@pytest.mark.parametrize(
    ("text", "is_libp2p"),
    [
        ("/ip4/0.0.0.0/tcp/8302", False),
        ("/ip4/0.0.0.0/udp/8302/quic-v1", True),
        ("/dns4/example.org/tcp/8302", True),
        ("/ip4/0.0.0.0/tcp/8302/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", True),
        ("/ip4/example/tcp/8302", True),
        ("/ip4/0.0.0.0/tcp/70000", True),
        ("/", True),
    ],
)
def test_other_multiaddresses_are_refused(text: str, is_libp2p: bool) -> None:
    """With a sentence."""
    with pytest.raises(CallerError):
        parse_listen(text, is_libp2p=is_libp2p)


def test_options_that_contradict_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["node", "--seed", "--transport", "quic", "--libp2p-listen", "1"]) == 2
    assert "--libp2p-listen has no use" in capsys.readouterr().err


def read(*arguments: str) -> Any:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return read_settings(parser.parse_args(["--seed", *arguments]))


def test_without_the_extra_a_node_is_on_quic_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so; who asks for libp2p is told what to install."""

    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(settings, "find_spec", nothing)
    found = read()
    assert found.libp2p is None
    assert found.quic is not None
    assert "mina-p2p[libp2p]" in found.notes[0]
    for asked in (LIBP2P, ("--transport", "both"), ("--libp2p-listen", "1")):
        with pytest.raises(CallerError, match=r"mina-p2p\[libp2p\]"):
            read(*asked)
    assert read("--transport", "quic").notes == ()


@needs_pnet
def test_the_numbers_of_connections_are_the_helpers() -> None:
    """20 to 50 on libp2p unless the operator says otherwise; the port is that of --listen unless he gives another."""
    usual = read("--listen", "127.0.0.1:7")
    assert (usual.libp2p.connections_min, usual.libp2p.connections_max) == (20, 50)
    assert usual.libp2p_listen == ("127.0.0.1", 7)
    told = read("--max-connections", "10", "--min-connections", "4", "--libp2p-listen", "8303", *LIBP2P)
    assert (told.libp2p.connections_min, told.libp2p.connections_max) == (4, 10)
    assert (told.quic, told.libp2p_listen) == (None, ("0.0.0.0", 8303))
    assert read("--max-connections", "10").libp2p.connections_min == 10
    assert [read(*flag).libp2p.gating.is_isolated for flag in ((), ("--isolate-network",))] == [False, True]


@needs_pnet
def test_ocamls_flags_are_understood() -> None:
    """Where to listen in two parts, the queue of gossip, the protected share; nonsense is refused."""
    assert [read(*flags).libp2p_listen for flags in ((), ("--bind-ip", "127.0.0.1"), ("--external-port", "9"), ("--libp2p-port", "7"))] == [
        ("0.0.0.0", 8302),
        ("127.0.0.1", 8302),
        ("0.0.0.0", 9),
        ("0.0.0.0", 7),
    ]
    found = read("--bind-ip", "::1", "--external-port", "0", "--validation-queue-size", "7", "--peer-protection-rate", "0.35")
    assert (found.host, found.port) == ("::1", 0)
    assert (found.libp2p.gossipsub.validations_max, found.libp2p.protected_percent) == (7, 35)
    usual = read().libp2p
    assert (usual.gossipsub.validations_max, usual.protected_percent) == (150, 20)
    for flags in (("--listen", "1", "--bind-ip", "127.0.0.1"), ("--listen", "1", "--external-port", "2"), ("--bind-ip", "example.org")):
        with pytest.raises(CallerError):
            read(*flags)
    for rate in ("1.1", "-0.1", "nan", "much"):
        with pytest.raises(SystemExit):
            read("--peer-protection-rate", rate)


@needs_pnet
@pytest.mark.parametrize(("words", "is_on"), [(None, False), ((), True), (("true",), True), (("false",), False)])
def test_exchange_and_flooding_are_off_unless_they_are_wanted(words: tuple[str, ...] | None, is_on: bool) -> None:
    """OCaml's flags, with or without their word."""
    for flag, setting in (("--enable-peer-exchange", "is_peer_exchange_enabled"), ("--enable-flooding", "is_flooding")):
        found = read(*(() if words is None else (flag, *words)))
        assert getattr(found.libp2p.gossipsub, setting) is is_on


def test_the_help_names_both_networks() -> None:
    """For whoever looks for OCaml nodes."""
    told = subprocess.run([*CLI, "node", "--help"], capture_output=True, text=True, timeout=LAST_RESORT_S, check=True)
    assert "--libp2p-listen" in told.stdout
    assert "OCaml" in told.stdout


@needs_pnet
def test_direct_peers_are_addresses_of_libp2p() -> None:
    """One is enough to start with; another kind of address is refused with the form."""
    direct = "/ip4/192.0.2.7/tcp/8302/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    found = read_settings(parser.parse_args(["--direct-peer", direct]))
    assert found.libp2p is not None
    assert [str(one) for one in found.libp2p.direct_peers] == [direct]
    for other in ("nonsense", direct.replace("/tcp/8302", "/udp/8302/quic-v1")):
        with pytest.raises(CallerError, match="--direct-peer"):
            read("--direct-peer", other)
    with pytest.raises(CallerError, match="direct_peers"):
        read(*["--direct-peer", direct] * 65)
