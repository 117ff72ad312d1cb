"""What is known of a node by its record, for people who ask why it is or is not dialled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from slices.lab import address, peer_id

from gossip.played import NOW, Peers, record_of
from mina_p2p.channels.address_gossip.messages import Libp2pPlace
from mina_p2p.config import Limits
from mina_p2p.discovery.account import record_account, records_known_as
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.peers.records import record_json, record_lines
from mina_p2p_effects.cli.peers.source import Source
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig

NOBODY_IS_DIALLED = Limits(peers_min=0)


def why(lab: Peers, n: int) -> str:
    """The sentence about a node's record."""
    found = record_account(lab.state, peer_id(n), lab.now)
    assert found is not None
    return found.why


def test_what_a_record_led_to() -> None:
    """Every reason there is, in a sentence; who answers for it, until its node is met; nothing, once it is no longer believed."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=1)
    connection_id = lab.join(1)
    for n in (10, 11, 12):
        lab.bring(connection_id, record_of(n))
        lab.wait(SECOND)
    assert why(lab, 10) == "it has had its attempt; a newer one is another"
    assert why(lab, 11) == "it waits for its turn, as do 1 more: 1 in a minute lead to a dial, drawn by lot"
    waiting = record_account(lab.state, peer_id(11), lab.now)
    assert waiting is not None
    assert (waiting.is_waiting, waiting.is_met, waiting.told_by, waiting.issued_at) == (True, False, peer_id(1), NOW)
    lab.join(12)
    assert why(lab, 12) == "its node is connected"
    met = record_account(lab.state, peer_id(12), lab.now)
    assert met is not None
    assert (met.is_met, met.told_by) == (True, None)
    assert record_account(lab.state, peer_id(99), lab.now) is None
    lab.close(connection_id)
    left = record_account(lab.state, peer_id(11), lab.now)
    assert left is not None
    assert (left.is_met, left.told_by) == (False, None)
    lab.wait(900 * SECOND)
    assert record_account(lab.state, peer_id(11), lab.now) is None


def test_a_record_that_leads_nowhere_says_so() -> None:
    """Its node is one that others have to dial."""
    lab = Peers(NOBODY_IS_DIALLED)
    lab.bring(lab.join(1), record_of(7, places=(Libp2pPlace(address(7).host, 8302),)))
    assert lab.state.peers.find(peer_id(7)) is None
    assert why(lab, 7) == "none of its addresses is one that this node dials by itself"


def test_records_are_found_by_the_beginning_of_an_id() -> None:
    """In either form."""
    lab = Peers(NOBODY_IS_DIALLED)
    connection_id = lab.join(1)
    lab.bring(connection_id, record_of(7))
    for text in (str(peer_id(7)), peer_id(7).libp2p, peer_id(7).libp2p[:-1]):
        assert [one.peer_id for one in records_known_as(lab.state, text, lab.now)] == [peer_id(7)]
    assert records_known_as(lab.state, str(peer_id(8)), lab.now) == []


def test_people_and_scripts_are_told() -> None:
    """The same of a node that waits: dates, place, who told it, and why."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=1)
    connection_id = lab.join(1)
    for n in (10, 11):
        lab.bring(connection_id, record_of(n))
        lab.wait(SECOND)
    source = Source(lab.state, lab.now, None)
    first, second, third = record_lines(source, peer_id(11))
    assert first.startswith("  own record     of 2023-11-14")
    assert first.endswith(f"; told by {peer_id(1)}, and its node not met")
    assert second.strip() == f"at {address(11)}"
    assert third.strip().startswith("it waits for its turn, as do 0 more")
    found = record_json(source, peer_id(11))
    assert found is not None
    assert (found["issued_at"], found["believed_until"], found["waits"]) == (NOW, NOW + 900, True)
    assert (found["addresses"], found["told_by"], found["met"]) == ([str(address(11))], str(peer_id(1)), False)
    assert record_lines(source, peer_id(99)) == []
    assert record_json(source, peer_id(99)) is None


def test_the_command_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the log of a node that gossips: of a peer that it met, with the rest; and how many records there are."""
    settings: dict[str, Any] = {
        "chain_id": MAINNET_CHAIN_ID,
        "host": "127.0.0.1",
        "port": 0,
        "are_private_addresses_allowed": True,
        "address_gossip": AddressGossipConfig(),
    }
    other_key = SecretKey.deterministic(1)

    async def run() -> None:
        happened = asyncio.Event()
        async with (
            Node(NodeConfig(secret_key=other_key, **settings)) as other,
            Node(NodeConfig(secret_key=SecretKey.deterministic(2), record_to=tmp_path / "node.log", **settings)) as node,
        ):
            node.store.observe(lambda *_what: happened.set())
            await node.connect(other.addresses[0])
            async with asyncio.timeout(60):
                while node.state.address_gossip.book.find(other_key.peer_id) is None:
                    happened.clear()
                    await happened.wait()

    asyncio.run(run())
    log, peer = str(tmp_path), str(other_key.peer_id)
    assert main(["peers", "explain", log, peer]) == 0
    assert "own record     of 20" in capsys.readouterr().out
    assert main(["peers", "explain", log, peer, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["met"] is True
    assert main(["peers", "explain", log, str(peer_id(99)), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["record"] is None
    assert main(["peers", "list", log]) == 0
    assert "1 address records of which 0 wait to lead to a dial" in capsys.readouterr().out
