"""``mina-p2p node`` when something is not as it should be: what is said says what to do."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.node import service
from mina_p2p_effects.cli.node.service import Service

needs_pnet = pytest.mark.skipif(find_spec("Crypto") is None, reason="pycryptodome is not installed; it comes with the extra `libp2p`")
DEAD = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
LIBP2P = ("--transport", "libp2p", "--allow-private-addresses")


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[str, str]:
    """What a short run says: as it goes, and of what is wrong."""
    assert main(["node", "--listen", "127.0.0.1:0", "--duration", "1.5", *map(str, arguments)]) == 0
    said = capsys.readouterr()
    return said.out, said.err


@needs_pnet
@pytest.mark.parametrize("network", ["devnet", DEVNET_CHAIN_ID.hex()])
def test_whoever_reaches_nobody_is_told_how_to_find_out_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: str
) -> None:
    """After half a minute, which is shorter here; each failure names the address that was dialled."""
    monkeypatch.setattr(service, "LONELY_S", 0.1)
    out, err = ran(capsys, "--network", network, "--peer", DEAD, *LIBP2P)
    assert f"nobody is connected; attempts go on. How far one gets: mina-p2p ping --network {network} {DEAD}\n" in err
    assert f"address {DEAD}, reason" in out


@needs_pnet
def test_a_seed_that_waits_for_others_is_left_in_peace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(service, "LONELY_S", 0.1)
    _, err = ran(capsys, "--seed", *LIBP2P)
    assert "nobody is connected" not in err


def test_a_connected_node_is_not_told_so() -> None:
    """The advice looks first whether anybody is there."""
    told: list[str] = []

    class Connected:
        peers = ("somebody",)

    class Quiet(Service):
        def __init__(self) -> None:
            """Nothing of a real one is needed."""

        def status(self) -> Any:
            return Connected()

        def _warn(self, text: str) -> None:
            told.append(text)

        def advise(self) -> None:
            self._advise_when_lonely(())

    Quiet().advise()
    assert told == []


def test_what_the_library_warns_of_is_said_in_the_commands_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A peers file that can not be written is named, with why; the node goes on. Nothing is left behind for later loggers."""
    (tmp_path / "file").write_text("")
    before = list(logging.getLogger("mina_p2p_effects").handlers)
    out, err = ran(capsys, "--seed", "--transport", "quic", "--peers-file", tmp_path / "file" / "peers.json")
    assert f"mina-p2p node: what is known of peers is not kept in {tmp_path / 'file' / 'peers.json'} for now: Not a directory\n" in err
    assert "stopped" in out
    assert logging.getLogger("mina_p2p_effects").handlers == before


@pytest.mark.parametrize("url", ["http://example.org/peers.txt", "ftp://example.org/peers.txt", "peers.txt", "https://"])
def test_a_list_that_could_be_anybodys_is_refused_at_once(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And not only when it is to be fetched: exit code 2, with the reason."""
    with pytest.raises(SystemExit) as ended:
        main(["node", "--peer-list-url", url])
    assert ended.value.code == 2
    assert "URL" in capsys.readouterr().err


def test_a_list_that_does_not_come_is_asked_for_again_soon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine's network may come up after the node; why there was none is said without numbers of the system's."""
    monkeypatch.setattr(service, "ASK_SOON_S", 0.2)
    _, err = ran(capsys, "--peer-list-url", "https://127.0.0.1:9/peers.txt", "--transport", "quic")
    assert err.count("mina-p2p node: no peer list: https://127.0.0.1:9/peers.txt: Connection refused\n") > 1
    assert "the list is asked for again in 0 s" in err


def test_a_directory_is_no_key_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It says so, rather than something about its parent."""
    assert main(["node", "--seed", "--libp2p-keypair", str(tmp_path)]) == 2
    assert f"{tmp_path} is a directory; name the key file in it" in capsys.readouterr().err
