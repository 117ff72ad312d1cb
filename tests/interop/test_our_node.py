"""Our libp2p slices over TCP against foreign nodes: identify, Kademlia, GossipSub, and how peers find each other."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from typing import Any

import pytest

from interop.nodes import foreign, joined, ours, peer_id
from interop.ours import theirs
from interop.running import KINDS, run
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, Verdict
from mina_p2p.identity import PeerId
from mina_p2p.kademlia.actions import NetworkKadLookupStart
from mina_p2p.kademlia.state import LookupKind
from mina_p2p.libp2p.actions import NetworkDial, NetworkDiallingSet
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.notifications import NetworkKadLookupFinished, NetworkPeerIdentified, NetworkPubsubMessageReceived
from mina_p2p.libp2p.protocols import PROTOCOLS


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_both_sides_say_who_they_are(programs: Any, kind: str):
    """Their list reaches us, ours reaches them, and they admit us to their table, for which they ask us about ourselves."""
    async with AsyncExitStack() as stack:
        peer, we = await foreign(stack, programs(kind), 60), await stack.enter_async_context(ours(7))
        assert we.node.command(NetworkDial(theirs(peer.address)))
        told = await we.next(NetworkPeerIdentified)
        assert {"/coda/kad/1.0.0", "/meshsub/1.1.0", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"} <= set(told.protocols)
        assert theirs(peer.address) in told.addresses
        await peer.until("table", we.libp2p)
        if kind != "js":
            assert set((await peer.do("protocols", peer=we.libp2p))["protocols"]) == set(PROTOCOLS)
        await peer.do("ping", peer=we.libp2p)


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_a_look_up_finds_whom_only_the_other_knows(programs: Any, kind: str):
    async with AsyncExitStack() as stack:
        first, second = await foreign(stack, programs(kind), 60), await foreign(stack, programs(kind), 61)
        await second.do("connect", addr=first.address)
        await first.until("table", peer_id(61))
        we = await stack.enter_async_context(ours(7))
        we.node.command(NetworkDiallingSet(False))
        we.node.command(NetworkDial(theirs(first.address)))
        await we.until(lambda: any(isinstance(one, NetworkKadLookupFinished) for one in we.told) and not we.network.kademlia.lookups)
        we.node.command(NetworkDiallingSet(True))
        we.node.command(NetworkKadLookupStart(LookupKind.NODES, PeerId.parse(peer_id(61)).multihash))
        (lookup_id,) = we.network.kademlia.lookups
        await we.until(lambda: any(one.lookup_id == lookup_id for one in we.heard(NetworkKadLookupFinished)))
        (found,) = (one for one in we.heard(NetworkKadLookupFinished) if one.lookup_id == lookup_id)
        assert found.nearest[0].libp2p == peer_id(61)


@pytest.mark.parametrize("verdict", [Verdict.ACCEPT, Verdict.REJECT])
@pytest.mark.parametrize(("sender", "receiver"), [("go", "go"), ("go", "js"), ("js", "go"), ("ocaml", "js"), ("js", "ocaml")])
@run
async def test_gossip_passes_through_us_if_we_find_it_valid(programs: Any, sender: str, receiver: str, verdict: Verdict):
    """Two nodes that know only us hear each other, with the id that all compute; what we reject goes no further."""
    async with AsyncExitStack() as stack:
        # Without Kademlia, or they would find each other through us and need us no more.
        we = await stack.enter_async_context(ours(7, verdict=verdict, is_discovery_enabled=False))
        one, two = await foreign(stack, programs(sender), 60), await foreign(stack, programs(receiver), 61)
        for peer in (one, two):
            await peer.do("subscribe", topic=TOPIC_V0)
            await peer.do("connect", addr=we.address)

        def mesh() -> int:
            topic = we.network.gossipsub.topic(TOPIC_V0)
            return 0 if topic is None else len(topic.mesh)

        await we.until(lambda: mesh() == 2)
        arrived = asyncio.create_task(we.next(NetworkPubsubMessageReceived))
        number = 0
        while not arrived.done():  # published before they count us in, a message is nobody's
            number += 1
            await one.do("publish", topic=TOPIC_V0, data=f"from afar {number}".encode().hex())
            await asyncio.wait((arrived,), timeout=0.2)
        heard = await arrived
        expected = hashlib.blake2b(heard.data, key=TOPIC_V0.encode(), digest_size=32).digest()
        assert heard.author.libp2p == peer_id(60)
        assert heard.message_id == expected
        we.node.command(NetworkPubsubPublish(TOPIC_V0, b"our own"))
        told: dict[str, tuple[str, str]] = {}
        wanted = {b"our own".hex()} | ({heard.data.hex()} if verdict is Verdict.ACCEPT else set())
        while not wanted <= told.keys():  # Go checks several at once, so their order is anything
            message = await two.event("message")
            told[message["data"]] = message["from"], message["message_id"]
        assert told[b"our own".hex()][0] == we.libp2p
        assert told.get(heard.data.hex()) == ((peer_id(60), expected.hex()) if verdict is Verdict.ACCEPT else None)


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_we_find_all_and_a_newcomer_finds_us(programs: Any, kind: str):
    """Knowing only the seed, we connect to everybody; when we dial no more, a node that knows only the seed comes to us."""
    async with AsyncExitStack() as stack:
        seed = await foreign(stack, programs(kind), 60)
        for number in (61, 62, 63):
            await joined(await foreign(stack, programs(kind), number), seed.address, peer_id(60))
        we = await stack.enter_async_context(ours(7, seed.address))
        everybody = {peer_id(number) for number in (60, 61, 62, 63)}
        await we.until(lambda: everybody <= set(we.peers))
        await seed.until("table", we.libp2p)
        we.node.command(NetworkDiallingSet(False))
        newcomer = await foreign(stack, programs(kind), 64)
        await joined(newcomer, seed.address, peer_id(60))
        await we.until(lambda: peer_id(64) in we.peers)
        assert we.peers[peer_id(64)] == [False]


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_we_are_the_seed(programs: Any, kind: str):
    """Foreign nodes that know only us find each other through us."""
    async with AsyncExitStack() as stack:
        we = await stack.enter_async_context(ours(7))
        we.node.command(NetworkDiallingSet(False))
        peers = [await foreign(stack, programs(kind), number) for number in (61, 62)]
        for peer in peers:
            await joined(peer, we.address, we.libp2p)
        await peers[1].until("peers", peer_id(61))


@run
async def test_behind_several_of_ours(programs: Any):
    """A chain of ours in front of a foreign seed: the last one finds the seed's other peers, a newcomer finds it."""
    async with AsyncExitStack() as stack:
        seed = await foreign(stack, programs("go"), 60)
        await joined(await foreign(stack, programs("go"), 61), seed.address, peer_id(60))
        before, chain = seed.address, []
        for number in (7, 8, 9):
            chain.append(await stack.enter_async_context(ours(number, before)))
            before = chain[-1].address
        last = chain[-1]
        await last.until(lambda: {peer_id(60), peer_id(61)} <= set(last.peers))
        await seed.until("table", last.libp2p)
        for one in chain:
            one.node.command(NetworkDiallingSet(False))
        await joined(await foreign(stack, programs("go"), 64), seed.address, peer_id(60))
        await last.until(lambda: peer_id(64) in last.peers)
        assert last.peers[peer_id(64)] == [False]
