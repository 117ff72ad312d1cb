"""A `Node` that takes part in libp2p's network, alone or beside its pull connections: real handshakes, signatures and frames over TCP."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("Crypto", reason="pycryptodome is not installed; it comes with the extra `libp2p`")

from support.network import NetworkNode, network_node

from mina_p2p.address import Ipv4, Libp2pAddress, QuicAddress, parse_ip
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.gossipsub.actions import NetworkPubsubPublish
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID
from mina_p2p.ids import RequestId
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.config import TOPIC_V0, NetworkConfig
from mina_p2p.libp2p.notifications import (
    NetworkPeerConnected,
    NetworkPeerDisconnected,
    NetworkPubsubMessageReceived,
    NetworkPubsubPublished,
    NetworkRpcResponded,
)
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall
from mina_p2p.notifications import ListenerReady, PeerConnected
from mina_p2p_effects.failures import PeerError
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig
from mina_p2p_effects.replay import replay_path
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from node.nodes import run

BOTH = {"quic": NodeConfig(secret_key=SecretKey.deterministic(1), chain_id=DEVNET_CHAIN_ID).quic}
"""Settings of a node with pull connections as well."""


def test_discovery_gossip_and_rpc_among_three(tmp_path: Path) -> None:
    """One seed is enough to find the third; a signed message reaches all, a question its answer; the log of it all replays."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            seed = await stack.enter_async_context(network_node(1))
            one = await stack.enter_async_context(network_node(2, seed.dial_address, settings={"record_to": tmp_path / "one.log"}))
            await seed.until(lambda: len(seed.network.kademlia.table) == 1)
            two = await stack.enter_async_context(network_node(3, seed.dial_address))
            await two.until(lambda: len(two.peers) == 2)
            two.answer = lambda asked: NetworkRpcAnswer(asked.serial, asked.query_id, b"\x01" + bytes(32))
            for node in (seed, one, two):
                await node.until(lambda node=node: node.mesh(TOPIC_V0) == 2)
            one.node.command(NetworkPubsubPublish(TOPIC_V0, b"news"))
            for node in (seed, two):
                message = await node.next(NetworkPubsubMessageReceived)
                assert (message.data, message.author) == (b"news", one.dial_address.peer_id)
            assert (await one.next(NetworkPubsubPublished)).peers_count == 2
            assert one.node.command(NetworkRpcCall(RequestId(1), two.dial_address.peer_id, "Get_transition_knowledge", b"\x00"))
            assert (await one.next(NetworkRpcResponded)).request_id == RequestId(1)
        key = SecretKey.deterministic(2)
        assert key.reveal_seed() not in (tmp_path / "one.log").read_bytes()

    run(main())
    (log,) = replay_path(tmp_path / "one.log")
    assert log.result is not None
    assert (log.result.divergence, log.result.is_verified) == (None, True)


def test_one_node_on_both_transports() -> None:
    """Who dials it over QUIC is a pull peer, who dials over TCP is one of libp2p; both learn who it is, and it says where it is."""

    async def main() -> None:
        async with network_node(1, settings=BOTH) as both, network_node(2) as push, network_node(3, settings=BOTH) as pull:
            quic, tcp = both.node.addresses
            assert isinstance(quic, QuicAddress)
            assert tcp == both.dial_address
            assert len(both.heard(ListenerReady)) == 2
            assert isinstance(await push.node.connect(both.dial_address), NetworkPeerConnected)
            with pytest.raises(PeerError, match="ALREADY_CONNECTED"):
                await push.node.connect(both.dial_address)
            assert isinstance(await pull.node.connect(quic), PeerConnected)
            assert (await both.next(NetworkPeerConnected)).peer_id == push.node.peer_id
            assert (await both.next(PeerConnected)).peer_id == pull.node.peer_id
            assert both.node.disconnect(push.node.peer_id)
            assert both.node.disconnect(pull.node.peer_id)
            assert not both.node.disconnect(SecretKey.deterministic(9).peer_id)
            assert (await both.next(NetworkPeerDisconnected)).reason.code is ReasonCode.USER_REQUEST

    run(main())


def test_nodes_of_two_chains_do_not_meet() -> None:
    """The pre-shared key differs, and no handshake comes to an end."""

    async def main() -> None:
        quick = {"libp2p_transport": Libp2pConfig(dial_timeout_s=2.0, upgrade_timeout_s=2.0)}
        async with network_node(1, settings=quick) as one, network_node(2, chain_id=MAINNET_CHAIN_ID, settings=quick) as two:
            with pytest.raises(PeerError):
                await one.node.connect(two.dial_address)
            assert not one.peers

    run(main())


def test_a_node_says_where_it_is_told_to_be_reached() -> None:
    """The external host, at the port that is bound; behind a socket bound to all addresses, those of the machine."""

    async def main() -> None:
        host = parse_ip("192.0.2.77")
        async with network_node(1, settings={"external_hosts": (host,)}) as named:
            assert named.network.addresses == (Libp2pAddress(named.node.peer_id, host, named.port),)
            assert named.node.addresses == list(named.network.addresses)
        async with network_node(2, settings={"libp2p_listen": ("0.0.0.0", 0)}) as everywhere:
            assert Ipv4.of(127, 0, 0, 1) in {address.host for address in everywhere.network.addresses}

    run(main())


def test_a_node_that_only_dials_listens_nowhere() -> None:
    """And connects all the same."""

    async def main() -> None:
        async with network_node(1) as seed, network_node(2, seed.dial_address, settings={"libp2p_listen": None}) as quiet:
            assert quiet.node.addresses == []
            await quiet.until(lambda: quiet.peers == {seed.libp2p: [True]})

    run(main())


def test_a_port_in_use_is_an_error_that_leaves_nothing_behind() -> None:
    """Also where the other transport listens already."""

    async def main() -> None:
        async with network_node(1) as first:
            second = NetworkNode(2, settings={**BOTH, "libp2p_listen": ("127.0.0.1", first.port)})
            with pytest.raises(OSError, match="in use"):
                await second.node.__aenter__()

    run(main())


def test_a_stopped_node_takes_no_commands() -> None:
    """Whatever they concern."""

    async def main() -> None:
        async with network_node(1) as one:
            address = one.dial_address
        with pytest.raises(CallerError, match="stopped"):
            one.node.command(NetworkDial(address))

    run(main())


ADDRESS = Libp2pAddress(SecretKey.deterministic(5).peer_id, Ipv4.of(127, 0, 0, 1), 8302)
PULL_ADDRESS = QuicAddress(SecretKey.deterministic(5).peer_id, Ipv4.of(127, 0, 0, 1), 8302)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"initial_peers": (ADDRESS,)}, "libp2p, which is off"),
        ({"libp2p": NetworkConfig(ADDRESS.peer_id, DEVNET_CHAIN_ID)}, "another peer_id or chain_id"),
        ({"libp2p_listen": ("127.0.0.1", 70_000)}, "port 70000 is none"),
        ({"quic": None, "initial_peers": (PULL_ADDRESS,)}, "quic is off"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(settings: dict[str, Any], text: str) -> None:
    """Before anything runs."""
    with pytest.raises(CallerError, match=text):
        NodeConfig(secret_key=SecretKey.deterministic(1), chain_id=DEVNET_CHAIN_ID, **settings)


def test_a_node_without_libp2p_dials_no_address_of_it() -> None:
    """With a word about what to set."""

    async def main() -> None:
        config = NodeConfig(secret_key=SecretKey.deterministic(1), chain_id=DEVNET_CHAIN_ID, host="127.0.0.1", port=0)
        async with Node(config) as node:
            with pytest.raises(CallerError, match=r"NodeConfig\.libp2p"):
                await node.connect(ADDRESS)
            assert node.network is None

    run(main())


def test_the_extra_is_missed_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a node of pull connections works, and one of libp2p is refused with the extra's name."""
    monkeypatch.setitem(__import__("sys").modules, "Crypto.Cipher.Salsa20", None)

    async def main() -> None:
        key = SecretKey.deterministic(1)
        async with Node(NodeConfig(secret_key=key, chain_id=DEVNET_CHAIN_ID, host="127.0.0.1", port=0)):
            await asyncio.sleep(0)
        with pytest.raises(CallerError, match=r"mina-p2p\[libp2p\]"):
            Node(NodeConfig(secret_key=key, chain_id=DEVNET_CHAIN_ID, libp2p=NetworkConfig(key.peer_id, DEVNET_CHAIN_ID)))

    run(main())


def test_a_node_on_both_transports_dials_at_once() -> None:
    """Though one of them listens before the other can dial."""

    async def main() -> None:
        async with network_node(1) as seed, network_node(2, seed.dial_address, settings=BOTH) as both:
            await both.until(lambda: both.peers == {seed.libp2p: [True]})

    run(main())


def test_peers_of_the_last_run_are_dialled_at_the_next(tmp_path: Path) -> None:
    """A node that knows nobody else comes back to whom its file names, though the seed of the last run is gone."""
    file = {"peers_file": tmp_path / "peers.json"}

    async def main() -> None:
        async with network_node(3) as other:
            async with network_node(1) as seed, network_node(2, seed.dial_address, settings=file) as one:
                await one.until(lambda: one.peers.get(seed.libp2p) == [True])
                await other.node.connect(one.dial_address)
                await one.until(lambda: one.network.kademlia.table.get(other.node.peer_id) is not None)
            async with network_node(2, settings=file) as again:
                await again.until(lambda: again.peers == {other.libp2p: [True]})

    run(main())
