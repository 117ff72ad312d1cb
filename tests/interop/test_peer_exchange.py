"""Peer exchange with go-libp2p as OCaml nodes run it with ``--enable-peer-exchange``: who is pruned finds others by it alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from interop.nodes import foreign, ours, peer_id
from interop.ours import theirs
from interop.running import run
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.config import TOPIC_V0, GossipsubConfig
from mina_p2p.peer.state import PeerSource

GO = ["go", "ocaml"]
ON = GossipsubConfig(is_peer_exchange_enabled=True)
ALONE: dict[str, Any] = {"is_discovery_enabled": False, "connections_min": 0, "settings": {"are_private_addresses_allowed": True}}
"""Without Kademlia, which would find them, too; on this machine's addresses."""
FULL = 2
"""Peers of a mesh that has no more room."""


@pytest.mark.parametrize("kind", GO)
@run
async def test_whom_go_names_as_it_prunes_us_is_dialled(programs: Any, kind: str):
    """By the record that they gave Go in identify; they are in the peer table, named by Go."""
    async with AsyncExitStack() as stack:
        hub = await foreign(stack, programs(kind), 60, "-peer-exchange", "-mesh-max", str(FULL))
        await hub.do("subscribe", topic=TOPIC_V0)
        for number in (61, 62):
            spoke = await foreign(stack, programs(kind), number)
            await spoke.do("subscribe", topic=TOPIC_V0)
            await spoke.do("connect", addr=hub.address)
            await meshed(hub, spoke, number)
        we = await stack.enter_async_context(ours(7, gossipsub=ON, **ALONE))
        we.node.command(NetworkDial(theirs(hub.address)))
        await we.until(lambda: {peer_id(61), peer_id(62)} <= set(we.peers))
        assert we.peers[peer_id(61)] == we.peers[peer_id(62)] == [True]
        known = {peer.peer_id.libp2p: peer.sources for peer in we.node.state.peers.table.values()}
        assert known[peer_id(61)] == known[peer_id(62)] == (PeerSource.PEER_EXCHANGE,)


async def meshed(hub: Any, spoke: Any, number: int) -> None:
    """Until what one of them says reaches the other, which only a mesh or a heartbeat's gossip brings about."""
    heard = asyncio.create_task(spoke.event("message"))
    count = 0
    while not heard.done():
        count += 1
        await hub.do("publish", topic=TOPIC_V0, data=f"{number} {count}".encode().hex())
        await asyncio.wait((heard,), timeout=0.2)


@pytest.mark.parametrize("kind", GO)
@run
async def test_go_dials_whom_we_name_as_we_prune_it(programs: Any, kind: str):
    """We have what others signed from identify; Go checks it, and dials."""
    small = ON.replace(mesh_max=FULL, mesh_wanted=FULL, mesh_min=1, mesh_outgoing_min=0)
    async with AsyncExitStack() as stack:
        we = await stack.enter_async_context(ours(7, gossipsub=small, **ALONE))
        first = [await foreign(stack, programs(kind), number) for number in (61, 62)]
        for peer in first:
            await peer.do("subscribe", topic=TOPIC_V0)
            await peer.do("connect", addr=we.address)
        await we.until(lambda: we.mesh(TOPIC_V0) == FULL and len(we.network.exchange.records) == FULL)
        last = await foreign(stack, programs(kind), 63)
        await last.do("subscribe", topic=TOPIC_V0)
        await last.do("connect", addr=we.address)
        for number in (61, 62):
            await last.until("peers", peer_id(number))


@pytest.mark.parametrize("kind", GO)
@run
async def test_go_takes_our_record_and_passes_it_on(programs: Any, kind: str):
    """Between two of ours and a hub of Go's: the one that is pruned finds the other by what that one has signed."""
    async with AsyncExitStack() as stack:
        hub = await foreign(stack, programs(kind), 60, "-peer-exchange", "-mesh-max", str(FULL))
        await hub.do("subscribe", topic=TOPIC_V0)
        nodes = [await stack.enter_async_context(ours(number, gossipsub=ON, **ALONE)) for number in (7, 8, 9)]
        for node in nodes:
            node.node.command(NetworkDial(theirs(hub.address)))
            await node.until(lambda node=node: node.mesh(TOPIC_V0) == 1 or len(node.peers) > 1)
        everybody = {node.libp2p for node in nodes}
        last = nodes[-1]
        await last.until(lambda: everybody - {last.libp2p} <= set(last.peers))
