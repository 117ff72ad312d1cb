"""``mina-p2p ping`` against go-libp2p, in today's and in OCaml nodes' versions, and js-libp2p."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from libp2p.pairs import NETWORK_KEY

from interop.peers import Peer
from interop.running import KINDS, run
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p_effects.cli import main
from mina_p2p_effects.keys import SecretKey

THEM, OTHER = SecretKey.deterministic(50), SecretKey.deterministic(51)
STEPS = ["name", "connect", "network", "security", "identity", "muxer", "identify", "ping"]


async def ping(capsys: pytest.CaptureFixture[str], address: str, *options: str) -> tuple[int, Any]:
    code = await asyncio.to_thread(main, ["ping", address, "--network", "devnet", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_every_step_of_a_foreign_node(programs: Any, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is reached, says who it is and at which address it sees us, and answers pings."""
    async with Peer(programs(kind), THEM.reveal_seed(), NETWORK_KEY) as peer:
        code, told = await ping(capsys, peer.address, "--count", "5")
    assert code == 0, told
    assert [(step["name"], step["ok"]) for step in told["steps"]] == [(name, True) for name in STEPS]
    facts = {step["name"]: step.get("facts", {}) for step in told["steps"]}
    assert facts["identity"]["peer_id"] == THEM.peer_id.libp2p
    assert facts["identify"]["agent"]
    assert "/ipfs/ping/1.0.0" in facts["identify"]["protocols"]
    assert facts["identify"]["observed"].startswith("/ip4/127.0.0.1/tcp/")
    assert len(facts["ping"]["round_trips"]) == 5


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_a_foreign_node_of_another_network(programs: Any, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it makes of our noise, the step is the network's, and what to do names --network."""
    async with Peer(programs(kind), THEM.reveal_seed(), MAINNET_CHAIN_ID.libp2p_network_key) as peer:
        code, told = await ping(capsys, peer.address, "--timeout", "3")
    assert (code, told["result"]["step"]) == (1, "network"), told
    # Go says its first words before it reads ours. JavaScript reads them: it is gone if they make no sense to it, and
    # waits for more where the noise begins like the length of something longer.
    assert told["result"]["reason"] in ({"WRONG_NETWORK", "CLOSED", "NO_ANSWER"} if kind == "js" else {"WRONG_NETWORK"})
    assert "--network" in told["result"]["advice"]


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_another_foreign_node_than_the_one_dialled(programs: Any, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says who it is instead."""
    async with Peer(programs(kind), THEM.reveal_seed(), NETWORK_KEY) as peer:
        code, told = await ping(capsys, peer.address.replace(THEM.peer_id.libp2p, OTHER.peer_id.libp2p))
    assert (code, told["result"]["step"], told["result"]["reason"]) == (1, "identity", "WRONG_PEER")
    assert THEM.peer_id.libp2p in told["result"]["detail"]


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_a_foreign_node_without_a_private_network(programs: Any, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Any public libp2p node: it fails where the network's key is agreed."""
    async with Peer(programs(kind), THEM.reveal_seed(), None) as peer:
        code, told = await ping(capsys, peer.address, "--timeout", "3")
    assert (code, told["result"]["step"]) == (1, "network"), told
