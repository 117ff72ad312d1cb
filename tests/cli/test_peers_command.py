"""``mina-p2p peers``: what is known of peers, from whom, and why they are or are not dialled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slices.lab import Lab, address, peer_id

from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.peer.account import account
from mina_p2p.peer.actions import PeerBan, PeerDiscovered
from mina_p2p.peer.config import PeerTableConfig, RememberedPeer
from mina_p2p.peer.state import PeerSource
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.peers_command import SUBCOMMANDS
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.peers_file import KeptPeers, write_peers_file

DEAD = QuicAddress(PeerId(bytes(31) + b"\x09"), Ipv4.of(127, 0, 0, 1), 9)
HEARD = QuicAddress(PeerId(bytes(31) + b"\x08"), Ipv4.of(203, 0, 113, 8), 8302)

NOWHERE = QuicAddress(PeerId(bytes(31) + b"\x07"), Ipv4.of(0, 0, 0, 0), 8302)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs ``mina-p2p peers`` in this process; exit code and output."""

    def run(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["peers", *map(str, arguments)])
        return code, capsys.readouterr().out

    return run


Run = Callable[..., tuple[int, str]]


def _node(number: int, **settings: Any) -> Node:
    fields: dict[str, Any] = {
        "chain_id": MAINNET_CHAIN_ID,
        "host": "127.0.0.1",
        "port": 0,
        "are_private_addresses_allowed": True,
        **settings,
    }
    return Node(NodeConfig(secret_key=SecretKey.deterministic(number), **fields))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a node that was connected with one peer, banned another, and heard of a third."""
    folder = tmp_path_factory.mktemp("log")

    async def record() -> None:
        # One connection is enough for this node, so that what it heard of waits.
        limits = Limits(peers_min=1)
        table = PeerTableConfig(are_feelers_sent=False)
        async with _node(1) as other, _node(2, record_to=folder / "node.log", limits=limits, peer_table=table) as node:
            await node.connect(other.addresses[0])
            node.ban(DEAD.peer_id, 3600.0, "it lied")
            node.command(PeerDiscovered(HEARD, PeerSource.INITIAL_PEERS, None))
            node.command(PeerDiscovered(HEARD, PeerSource.INITIAL_PEERS, None))
            teller = node.state.peers.find(other.peer_id)
            assert teller is not None
            node.command(PeerDiscovered(NOWHERE, PeerSource.REFERRAL, teller[0]))

    asyncio.run(record())
    return folder


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_says_how_it_is_used(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence for each option."""
    with pytest.raises(SystemExit) as ended:
        main(["peers", name, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_list_shows_who_is_known(log: Path, run: Run) -> None:
    """One a line with table, status, sources and address, and how many there are."""
    code, text = run("list", log)
    assert code == 0
    lines = text.splitlines()
    assert len(lines) == 4
    assert any("new" in line and "initial_peers" in line and str(HEARD) in line for line in lines)
    assert "3 known" in lines[-1]
    code, text = run("list", log, "--json", "--table", "new")
    (only,) = json.loads(text)
    assert (only["address"], only["sources"], only["status"]) == (str(HEARD), ["initial_peers"], "Disconnected")
    assert run("list", log, "--max", "1")[1].count("\n") == 2


def test_explain_says_from_whom_and_why_not(log: Path, run: Run) -> None:
    """In the guards' own words, with what happened."""
    heard = str(HEARD.peer_id)[:-1]
    code, text = run("explain", log, heard)
    assert code == 0
    assert "a peer's list (initial peers)" in text
    assert "203.0.113.0/24 for bounds, 203.0.0.0/16 for buckets" in text
    assert "PeerDiscovered" in text
    other = SecretKey.deterministic(1).peer_id
    code, text = run("explain", log, other.libp2p, "--history", "5")
    assert code == 0
    assert "by itself" not in text
    assert "left alone" in text, "the node has stopped, so the connection is over"
    code, text = run("explain", log, DEAD.peer_id, "--json")
    found = json.loads(text)
    assert found["banned"]["reason"] == "PEER_BANNED: it lied"
    assert [row["kind"] for row in found["history"]][-1] == "PeerBan"


def test_explain_shows_who_named_a_peer_in_vain(log: Path, run: Run) -> None:
    """Of a known one what came of it the second time; of one that was never known who named it, where, and why it was not taken."""
    code, text = run("explain", log, HEARD.peer_id)
    assert code == 0
    assert text.count("named in vain") == 1
    assert f"{HEARD}, a peer's list (initial peers): it is known already, and its address stays" in text
    code, text = run("explain", log, NOWHERE.peer_id)
    assert code == 1
    other = SecretKey.deterministic(1).peer_id
    assert f"{NOWHERE}, the refusal of a full peer by {other}: such an address is not believed from there" in text
    (only,) = json.loads(run("explain", log, NOWHERE.peer_id, "--json")[1])["named_in_vain"]
    assert (only["named_by"], only["address"], only["how"]) == (str(other), str(NOWHERE), "the refusal of a full peer")
    assert "named in vain" not in run("explain", log, NOWHERE.peer_id, "--history", "0")[1]


def test_explain_of_nobody_finds_nothing(log: Path, run: Run) -> None:
    """Exit code 1; what is no peer at all is refused with 2."""
    code, text = run("explain", log, peer_id(77))
    assert code == 1
    assert "nothing is known of it" in text
    assert json.loads(run("explain", log, peer_id(77), "--json")[1])["known"] is False
    assert run("explain", log, "nonsense")[0] == 2
    assert run("list", log / "absent")[0] == 2


def test_an_id_that_is_not_enough_is_refused(tmp_path: Path, run: Run) -> None:
    """All ids begin alike."""
    path = _file(tmp_path, address(1), address(2))
    assert run("explain", path, "12D3")[0] == 2


def _file(folder: Path, *addresses: QuicAddress) -> Path:
    path = folder / "peers.json"
    peers = tuple(RememberedPeer(each, PeerSource.REFERRAL, "", is_tried=n == 0, is_anchor=n == 0) for n, each in enumerate(addresses))
    write_peers_file(path, KeptPeers(bytes(16), peers, 0))
    return path


def test_a_peers_file_is_a_source_too(tmp_path: Path, run: Run) -> None:
    """As a node would start with it."""
    path = _file(tmp_path, address(1), address(2))
    code, text = run("list", path)
    assert code == 0
    assert "as a node would start with this file: 2 known, 1 tried, 1 new" in text
    code, text = run("explain", path, str(address(1)))
    assert "it is dialled first, as an anchor" in text
    (tmp_path / "broken.json").write_text("{")
    assert run("list", tmp_path / "broken.json")[0] == 2


def test_check_finds_who_can_not_be_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each dial is told when it is over; exit code 1 where one fails, 0 where all are reached."""

    async def check() -> tuple[int, str, int]:
        async with _node(1) as other:
            (live,) = other.addresses
            assert isinstance(live, QuicAddress)
            path = _file(tmp_path, live, DEAD)
            code = await asyncio.to_thread(main, ["peers", "check", str(path), "--timeout", "1"])
            text = capsys.readouterr().out
            return code, text, await asyncio.to_thread(main, ["peers", "check", str(path), str(live), "--json"])

    code, text, named = asyncio.run(check())
    assert code == 1
    assert "the tables agree with themselves" in text
    assert "1 of 2 addresses reached" in text
    assert f"FAILED  {DEAD}" in text
    assert named == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["violations"], found["reached"], len(found["dialled"])) == ([], 1, 1)


def test_check_looks_at_the_tables_alone(log: Path, run: Run) -> None:
    """With --no-dial; naming who is not known is refused."""
    assert run("check", log, "--no-dial")[0] == 0
    assert run("check", log, "nobody")[0] == 2


def test_why_a_peer_is_not_dialled() -> None:
    """Every reason there is, in a sentence."""
    lab = Lab(
        limits=Limits(peers_min=1, peers_max=3, peers_outgoing_percent=0), peer_table=PeerTableConfig(new_max=1, are_feelers_sent=False)
    )

    def why(n: int) -> str:
        found = account(lab.state, peer_id(n), lab.now)
        assert found is not None
        return found.why

    lab.feed(PeerDiscovered(address(1), PeerSource.INITIAL_PEERS, None))
    assert why(1) == "it may be drawn: one of 1 that wait to be dialled"
    connection_id = lab.dial(2)
    assert why(2) == "being connected now: we dialled it"
    assert why(1) == "not dialled now: PEER_CAPACITY_FULL: 1 connections are enough"
    lab.close(connection_id)
    assert why(2).startswith("left alone for another")
    assert "TRANSPORT_ERROR, 1 failures in a row" in why(2)
    lab.accept(3)
    assert why(3) == "connected now: it came to us"
    lab.close(lab.state.connections.last_id)
    lab.now = Timestamp(lab.now + 60 * SECOND)
    assert why(3) == "there is no room for it in the table of new peers"
    lab.feed(PeerBan(peer_id(4), Timestamp(lab.now + SECOND), Reason(ReasonCode.USER_REQUEST)))
    assert why(4) == "nobody has said where it can be dialled"
    lab.feed(PeerBan(peer_id(1), Timestamp(lab.now + SECOND), Reason(ReasonCode.USER_REQUEST)))
    assert why(1) == "not dialled now: PEER_BANNED: USER_REQUEST"
    assert account(lab.state, peer_id(99), lab.now) is None
