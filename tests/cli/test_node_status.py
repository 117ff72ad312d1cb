"""What others read of ``mina-p2p node`` on ``/mina/node-status``."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import Any

import pytest
from support.network import NetworkNode, network_node
from support.node_process import node
from support.vectors import vectors_path

from mina_p2p.address import parse_address
from mina_p2p.identity import DEVNET_CHAIN_ID, ChainId
from mina_p2p.ids import RequestId
from mina_p2p.libp2p.node_status.actions import NetworkStatusAsk
from mina_p2p.libp2p.notifications import NetworkPeerIdentified, NetworkStatusReceived
from mina_p2p.mina.text import STATE_HASH
from mina_p2p_effects.cli.node.node_status import node_status
from mina_p2p_effects.keyfile import reveal_key_line
from mina_p2p_effects.keys import SecretKey

needs_pnet = pytest.mark.skipif(find_spec("Crypto") is None, reason="pycryptodome is not installed; it comes with the extra `libp2p`")
LOCAL: Any = {"are_private_addresses_allowed": True}
KEY = SecretKey.deterministic(5)


async def asked(we: NetworkNode, of: SecretKey) -> bytes:
    """What we read of a peer, once it has said that it can be asked."""
    await we.until(lambda: of.peer_id in [told.peer_id for told in we.heard(NetworkPeerIdentified)])
    assert we.node.command(NetworkStatusAsk(RequestId(1), of.peer_id))
    return (await we.next(NetworkStatusReceived)).status


@needs_pnet
@pytest.mark.parametrize("flags", [(), ("--disable-node-status",)])
def test_whoever_asks_a_running_node_reads_its_status(flags: tuple[str, ...]) -> None:
    """In OCaml's fields, from the start; nothing where the operator said so, as OCaml nodes do."""
    with node("--seed", "--network", "devnet", "--libp2p-keypair", reveal_key_line(KEY), *flags, transport="libp2p") as running:
        (address,) = running.until("listening")["addresses"]

        async def main() -> None:
            async with network_node(7, parse_address(address)) as we:
                read = await asked(we, KEY)
            if flags:
                assert read == b""
                return
            told = json.loads(read)
            assert told["node_peer_id"] == KEY.peer_id.libp2p
            assert told["node_ip_addr"] == "127.0.0.1"
            assert told["sync_status"] in {"Connecting", "Listening"}
            assert told["protocol_state_hash"] == "3NL93SipJfAMNDBRfQ8Uo8LPovC74mnJZfZYB5SK7mTtkL72dsPx"
            assert (told["block_producers"], told["ban_statuses"], told["k_block_hashes_and_timestamps"]) == ([], [], [])

        asyncio.run(main())
        assert running.end()[0] == 0


@needs_pnet
def test_the_fields_are_those_that_ocaml_nodes_read() -> None:
    """Names, order and kinds; the height is there with a best tip, and peers by the address that they say."""

    async def main() -> None:
        block = min(vectors_path("blocks").glob("*.bin")).read_bytes()
        async with network_node(5, settings=LOCAL) as seed, network_node(6, seed.dial_address, settings=LOCAL) as other:
            await seed.until(lambda: seed.heard(NetworkPeerIdentified))
            told = json.loads(node_status(seed.node, uptime_s=89.0, items_received=0))
            assert list(told) == [
                "node_ip_addr",
                "node_peer_id",
                "sync_status",
                "peers",
                "block_producers",
                "protocol_state_hash",
                "ban_statuses",
                "k_block_hashes_and_timestamps",
                "git_commit",
                "uptime_minutes",
            ]
            assert told["peers"] == [{"host": "127.0.0.1", "libp2p_port": other.port, "peer_id": other.libp2p}]
            assert (told["sync_status"], told["uptime_minutes"]) == ("Listening", 1)
            assert seed.node.set_best_tip(block)
            told = json.loads(node_status(seed.node, uptime_s=91.0, items_received=1))
            tip = seed.node.state.best_tips.own
            assert tip is not None
            text = STATE_HASH.text(tip.state_hash)
            assert told["protocol_state_hash"] == text
            assert told["k_block_hashes_and_timestamps"] == [[text, "no timestamp available"]]
            assert told["block_height_opt"] == tip.height
            assert (told["sync_status"], told["uptime_minutes"]) == ("Bootstrap", 2)

    asyncio.run(main())


@needs_pnet
def test_addresses_of_a_private_network_are_not_told() -> None:
    """A status has one text for everybody; a node of a network of its own tells them, as the test above shows."""

    async def main() -> None:
        async with network_node(5) as seed, network_node(6, seed.dial_address):
            await seed.until(lambda: seed.heard(NetworkPeerIdentified))
            told = json.loads(node_status(seed.node, uptime_s=0.0, items_received=0))
            assert (told["node_ip_addr"], told["peers"]) == ("0.0.0.0", [])

    asyncio.run(main())


@needs_pnet
@pytest.mark.parametrize("chain_id", [DEVNET_CHAIN_ID, ChainId(bytes(32))])
def test_a_network_without_known_genesis_has_no_state(chain_id: ChainId) -> None:
    """The hash is readable in any case, as readers take no status without one."""

    async def main() -> None:
        async with network_node(5, chain_id=chain_id) as seed:
            told = json.loads(node_status(seed.node, uptime_s=0.0, items_received=0))
            known = STATE_HASH.parse(told["protocol_state_hash"]) != bytes(32)
            assert known == (chain_id == DEVNET_CHAIN_ID)
            assert told["sync_status"] == "Connecting"

    asyncio.run(main())
