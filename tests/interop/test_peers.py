"""The foreign nodes themselves: that they are configured as Mina's are, before anything is concluded from them."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from typing import Any

import pytest
from libp2p.pairs import NETWORK_KEY

from interop.peers import Peer
from interop.running import KINDS, run
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p_effects.keys import SecretKey

TOPIC = "coda/consensus-messages/0.0.1"


async def started(stack: AsyncExitStack, command: list[str], number: int) -> Peer:
    return await stack.enter_async_context(Peer(command, SecretKey.deterministic(number).reveal_seed(), NETWORK_KEY))


def peer_id(number: int) -> str:
    return SecretKey.deterministic(number).peer_id.libp2p


@pytest.mark.parametrize("seed", KINDS)
@pytest.mark.parametrize("other", KINDS)
@run
async def test_a_node_that_knows_only_the_seed_finds_the_others(programs: Any, seed: str, other: str):
    """By provider records of the chain's rendezvous, under Mina's DHT prefix."""
    async with AsyncExitStack() as stack:
        first = await started(stack, programs(seed), 60)
        rest = [await started(stack, programs(other), number) for number in (61, 62)]
        for peer in rest:
            await peer.do("connect", addr=first.address)
        for peer in rest:
            await peer.until("table", peer_id(60))
        for peer in rest:
            await peer.do("advertise", topic=DEVNET_CHAIN_ID.rendezvous)
        found = await rest[1].do("discover", topic=DEVNET_CHAIN_ID.rendezvous)
        assert peer_id(61) in found["peers"]
        assert peer_id(61) in (await rest[1].do("peers"))["peers"]


@pytest.mark.parametrize("sender", KINDS)
@pytest.mark.parametrize("receiver", KINDS)
@run
async def test_gossip_has_the_id_that_every_node_computes(programs: Any, sender: str, receiver: str):
    async with AsyncExitStack() as stack:
        one, two = await started(stack, programs(sender), 60), await started(stack, programs(receiver), 61)
        for peer in (one, two):
            await peer.do("subscribe", topic=TOPIC)
        await one.do("connect", addr=two.address)
        arrived = asyncio.create_task(two.event("message"))
        number = 0
        while not arrived.done():  # published before the subscription is known, a message is nobody's
            number += 1
            await one.do("publish", topic=TOPIC, data=f"gossip {number}".encode().hex())
            await asyncio.wait((arrived,), timeout=0.2)
        message = await arrived
        data = bytes.fromhex(message["data"])
        assert message["message_id"] == hashlib.blake2b(data, key=TOPIC.encode(), digest_size=32).hexdigest()
        assert message["from"] == peer_id(60)
