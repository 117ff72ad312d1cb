"""``mina-p2p ping --status``: what a node writes of itself is read, and nothing of it is believed."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.nodes import Node as Libp2pPeer
from support.network import network_node

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.libp2p.node_status.actions import NetworkStatusSet
from mina_p2p.libp2p.node_status.state import STATUS_BYTES_MAX
from mina_p2p.libp2p.protocols import NODE_STATUS
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.node.node_status import node_status
from mina_p2p_effects.cli.ping.told_status import facts_of, status_text
from mina_p2p_effects.transports.libp2p.events import StreamOpened
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol

needs_pnet = pytest.mark.skipif(find_spec("Crypto") is None, reason="pycryptodome is not installed; it comes with the extra `libp2p`")
OCAML = {
    "node_ip_addr": "198.51.100.1",
    "node_peer_id": "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB",
    "sync_status": "Synced",
    "peers": [{"host": "198.51.100.2", "libp2p_port": 8302, "peer_id": "12D3KooWLjs54xHzVmMmGYb7W5RVibqbwD1co7M2ZMfPgPm7iAag"}],
    "block_producers": [],
    "protocol_state_hash": "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP",
    "ban_statuses": [],
    "k_block_hashes_and_timestamps": [],
    "git_commit": "fc6be4c5",
    "uptime_minutes": 12,
    "block_height_opt": 359612,
}


async def status_of(capsys: pytest.CaptureFixture[str], address: object) -> tuple[int, dict[str, Any]]:
    """Exit code, and the step of that name."""
    code = await asyncio.to_thread(main, ["ping", str(address), "--network", "devnet", "--count", "1", "--json", "--status"])
    steps = json.loads(capsys.readouterr().out)["steps"]
    return code, next(step for step in steps if step["name"] == "status")


@needs_pnet
@pytest.mark.parametrize(
    ("status", "is_ok", "detail"),
    [
        (json.dumps(OCAML).encode(), True, "Synced; height 359612; up 12 minutes; 1 peer; version fc6be4c5"),
        (b"", None, "the node tells nothing of itself"),
        (b"not now", None, "what the node writes of itself is no JSON"),
        (b"{}" + bytes(STATUS_BYTES_MAX - 2), None, "what the node writes of itself is no JSON"),
    ],
)
def test_a_status_is_read_to_its_end(capsys: pytest.CaptureFixture[str], status: bytes, is_ok: bool | None, detail: str) -> None:
    """Whatever it is, a node that answers is reached."""

    async def main_() -> None:
        async with network_node(2) as node:
            assert node.node.command(NetworkStatusSet(status))
            code, step = await status_of(capsys, node.address)
        assert (code, step["ok"], step["detail"]) == (0, is_ok, detail)

    asyncio.run(main_())


@needs_pnet
def test_our_own_nodes_status_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    async def main_() -> None:
        async with network_node(2) as node:
            assert node.node.command(NetworkStatusSet(node_status(node.node, uptime_s=0.0, items_received=0)))
            _, step = await status_of(capsys, node.address)
        assert step["facts"]["sync_status"] == "Connecting"
        assert (step["facts"]["peers"], step["facts"]["uptime_minutes"]) == (0, 0)

    asyncio.run(main_())


@needs_pnet
@pytest.mark.parametrize(("spoken", "code"), [((), 0), ((StreamProtocol(NODE_STATUS.name, Framing.RAW, 0),), 1)])
def test_a_node_without_a_status_and_one_without_end(capsys: pytest.CaptureFixture[str], spoken: tuple[Any, ...], code: int) -> None:
    """The first does not offer it, which is no failure; the other writes more than any node does, and is left."""

    async def main_() -> None:
        peer = Libp2pPeer(2, protocols=spoken, network_key=DEVNET_CHAIN_ID.libp2p_network_key)

        def write_on(number: int, event: Any) -> None:
            if isinstance(event, StreamOpened):
                peer.endpoint.send(number, event.handle, bytes(STATUS_BYTES_MAX + 1))

        peer.on_event = write_on
        async with peer:
            address = Libp2pAddress(peer.secret_key.peer_id, Ipv4.of(127, 0, 0, 1), peer.address.port)
            found, step = await status_of(capsys, address)
        assert (found, step["ok"]) == (code, False if code else None)

    asyncio.run(main_())


def test_over_quic_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "/ip4/127.0.0.1/udp/1/quic-v1/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", "--status"]) == 2
    assert "--status is for addresses of libp2p" in capsys.readouterr().err


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(OCAML)), inner),
    )
)
def test_whatever_is_written_becomes_short_facts_or_none(told: object) -> None:
    """Texts that fit a terminal, numbers, counts: fit for JSON again, and shown without a fault."""
    facts = facts_of(json.dumps(told).encode())
    assert (facts is None) == (not isinstance(told, dict))
    if facts is not None:
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts
        assert all(len(value) <= 500 and value.isprintable() for value in facts.values() if isinstance(value, str))
        assert status_text(facts).isprintable()


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"peers":' * 50_000, b"\xff", b"1" * 10_000, b'{"uptime_minutes": 1e999}'])
def test_hostile_texts_are_no_status(data: bytes) -> None:
    """Deep nesting, broken UTF-8, numbers without end."""
    assert facts_of(data) in (None, {})
