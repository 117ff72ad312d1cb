"""Real blocks, transactions and snark work between foreign nodes and ours, and on to our nodes that only pull."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any

import pytest
from support.network import NetworkNode
from support.vectors import vectors_path

from interop.nodes import foreign, ours, peer_id
from interop.peers import Peer
from interop.running import run
from mina_p2p.gossipsub.actions import Verdict
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.ids import SECOND
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.notifications import NetworkPubsubPublished
from mina_p2p.mina.raw import RawBlock, RawSnark
from mina_p2p.notifications import BestTipReceived, ItemReceived
from mina_p2p.relay.config import RelayConfig
from mina_p2p.relay.messages import block_message, read_message, snark_message, transaction_message
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node, NodeConfig

YEAR = 365 * 24 * 3600 * SECOND
ON: dict[str, Any] = {"relay": RelayConfig(tip_age_max=100 * YEAR)}
"""Real blocks are old by now."""

QUIC = NodeConfig(secret_key=SecretKey.deterministic(1), chain_id=DEVNET_CHAIN_ID).quic
PAIRS = [("go", "js"), ("js", "go"), ("ocaml", "js"), ("js", "ocaml"), ("go", "ocaml")]


@cache
def messages() -> dict[str, bytes]:
    """Real gossip as it travels, by name."""
    found = {path.stem: path.read_bytes() for path in sorted(vectors_path("gossip").glob("*.bin"))}
    return {name: len(body).to_bytes(8, "little") + body for name, body in found.items()}


def message_id(data: bytes) -> str:
    """As go-libp2p computes it for OCaml nodes (spec: libp2p 9)."""
    return hashlib.blake2b(data, key=TOPIC_V0.encode(), digest_size=32).hexdigest()


def bodies_of(data: bytes) -> list[bytes]:
    """The items of a message, or the block, as our node software is told them."""
    found = read_message(data)
    return list(found) if isinstance(found, tuple) else [found]


def told_bodies(node: NetworkNode) -> list[bytes]:
    """Of what our node software was told."""
    return [one.body for one in node.heard(ItemReceived)] + [one.block for one in node.heard(BestTipReceived)]


@asynccontextmanager
async def between(programs: Any, sender: str, receiver: str, **options: Any) -> AsyncGenerator[tuple[Peer, NetworkNode, Peer]]:
    """Two foreign nodes that know only ours, which is between them."""
    async with AsyncExitStack() as stack:
        # Without Kademlia, or they would find each other through us and need us no more.
        we = await stack.enter_async_context(ours(7, is_discovery_enabled=False, settings=ON, **options))
        one, two = await foreign(stack, programs(sender), 60), await foreign(stack, programs(receiver), 61)
        for peer in (one, two):
            await join(peer, we)
        await we.until(lambda: we.mesh(TOPIC_V0) == 2)
        yield one, we, two


async def join(peer: Peer, we: NetworkNode) -> None:
    """Until it counts us in: what it published before would be nobody's. What is no message of Mina's goes no further."""
    await peer.do("subscribe", topic=TOPIC_V0)
    await peer.do("connect", addr=we.address)
    arrived = asyncio.create_task(we.until(lambda: any(bytes.fromhex(message_id(data)) in we.network.gossipsub.seen for data in said)))
    said: list[bytes] = []
    while not arrived.done():
        said.append(f"{peer.address} {len(said)}".encode())
        await peer.do("publish", topic=TOPIC_V0, data=said[-1].hex())
        await asyncio.wait((arrived,), timeout=0.2)


async def heard_by(peer: Peer, *wanted: bytes) -> dict[bytes, dict[str, Any]]:
    """What a foreign node hears until it has heard all that is wanted: each once, in any order, and nothing else but its own."""
    found: dict[bytes, dict[str, Any]] = {}
    while found.keys() != set(wanted):
        said = await peer.event("message")
        if peer.address.endswith(said["from"]):
            continue  # Go tells its own messages too
        data = bytes.fromhex(said["data"])
        assert data in wanted
        assert data not in found
        found[data] = said
    return found


@pytest.mark.parametrize(("sender", "receiver"), PAIRS)
@run
async def test_real_gossip_through_ours_and_back(programs: Any, sender: str, receiver: str):
    """Blocks, snark work, transactions: found valid here, they go on as they came, under the id that all three compute."""
    async with between(programs, sender, receiver) as (one, we, two):
        there = dict(list(messages().items())[:3])
        back = {name: data for name, data in messages().items() if name not in there}
        for source, target, sent in ((one, two, there), (two, one, back)):
            we.told.clear()
            for data in sent.values():
                await source.do("publish", topic=TOPIC_V0, data=data.hex())
            found = await heard_by(target, *sent.values())
            for data, said in found.items():
                assert said["message_id"] == message_id(data)
                assert said["from"] == peer_id(60 if source is one else 61)
            assert sorted(told_bodies(we)) == sorted(body for data in sent.values() for body in bodies_of(data))
            assert {one.connection_id for one in we.heard(ItemReceived)} | {one.connection_id for one in we.heard(BestTipReceived)} == {0}
            for data in sent.values():
                assert bytes.fromhex(message_id(data)) in we.network.gossipsub.seen


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.IGNORE])
@pytest.mark.parametrize(("sender", "receiver"), PAIRS[:3])
@run
async def test_what_is_not_found_valid_goes_no_further(programs: Any, sender: str, receiver: str, verdict: Verdict):
    """Nor is who passed it on left for it: Go scores no peers either. A later block that is valid passes."""
    async with between(programs, sender, receiver) as (one, we, two):
        bad, good = block_message(blocks()[0]), block_message(blocks()[1])
        we.judge = lambda told: Verdict.ACCEPT if told == good_told(told) else verdict

        def good_told(told: Any) -> Any:
            return told if isinstance(told, BestTipReceived) and told.block == blocks()[1] else None

        await one.do("publish", topic=TOPIC_V0, data=bad.hex())
        assert (await we.next(BestTipReceived)).block == blocks()[0]
        await we.until(lambda: not len(we.network.gossipsub.validating))
        await one.do("publish", topic=TOPIC_V0, data=good.hex())
        await heard_by(two, good)
        assert set(we.peers) == {peer_id(60), peer_id(61)}
        assert we.node.state.best_tips.own is not None
        assert we.node.state.best_tips.own.block == blocks()[1]


@run
async def test_what_is_no_gossip_goes_no_further(programs: Any):
    """Signed well, and no message of Mina's: our node software does not hear of it."""
    async with between(programs, "go", "js") as (one, we, two):
        good = block_message(blocks()[0])
        for data in (b"?", b"\x05\x00\x00\x00\x00\x00\x00\x00news!", good[:-1]):
            await one.do("publish", topic=TOPIC_V0, data=data.hex())
            await we.until(lambda data=data: bytes.fromhex(message_id(data)) in we.network.gossipsub.seen)
        await one.do("publish", topic=TOPIC_V0, data=good.hex())
        await heard_by(two, good)
        assert told_bodies(we) == [blocks()[0]]


@pytest.mark.parametrize("kind", ["go", "ocaml", "js"])
@run
async def test_what_our_node_software_gives_is_gossip_that_they_take(programs: Any, kind: str):
    """Signed as they demand; the block's message is the one that its producer would send."""
    async with between(programs, kind, "go") as (one, we, two):
        transactions = read_message(messages()["transaction_pool_diff"])
        work = read_message(messages()["snark_pool_diff-two"])
        assert isinstance(transactions, tuple)
        assert isinstance(work, RawSnark)
        assert we.node.add_transaction(transactions[0])
        assert we.node.add_snark(work)
        assert we.node.set_best_tip(blocks()[2])
        expected = (transaction_message(transactions[0]), snark_message(work), block_message(blocks()[2]))
        for peer in (one, two):
            for data, said in (await heard_by(peer, *expected)).items():
                assert (said["message_id"], said["from"]) == (message_id(data), we.libp2p)
        assert len(we.heard(NetworkPubsubPublished)) == 3


@pytest.mark.parametrize("kind", ["go", "js"])
@run
async def test_between_who_only_pulls_and_who_only_pushes(programs: Any, kind: str):
    """Over QUIC here, over TCP there; each way every item once, and nothing comes back as news."""
    async with AsyncExitStack() as stack:
        we = await stack.enter_async_context(ours(7, is_discovery_enabled=False, settings={**ON, "quic": QUIC}))
        pusher = await foreign(stack, programs(kind), 60)
        puller = await stack.enter_async_context(
            Node(NodeConfig(secret_key=SecretKey.deterministic(8), chain_id=DEVNET_CHAIN_ID, host="127.0.0.1", port=0))
        )
        told: list[Any] = []
        following = asyncio.create_task(believe(puller, told))
        stack.callback(following.cancel)
        await join(pusher, we)
        await we.until(lambda: we.mesh(TOPIC_V0) == 1)
        await puller.connect(we.node.addresses[0])

        await pusher.do("publish", topic=TOPIC_V0, data=messages()["transaction_pool_diff"].hex())
        await pusher.do("publish", topic=TOPIC_V0, data=messages()["new_state-359612"].hex())
        await we.until(lambda: len(told_bodies(we)) == 3)
        async with asyncio.timeout(60):
            while len(told) < 3:
                await asyncio.wait((following,), timeout=0.05)
        assert sorted(told) == sorted(told_bodies(we))

        work = read_message(messages()["snark_pool_diff-one"])
        assert isinstance(work, RawSnark)
        assert puller.add_snark(work)
        assert puller.set_best_tip(blocks()[1])
        await heard_by(pusher, snark_message(work), block_message(blocks()[1]))
        assert len(told) == 3
        assert [one.body for one in we.heard(ItemReceived)].count(work) == 1


async def believe(node: Node, told: list[Any]) -> None:
    """Node software that finds everything valid; ``told`` takes what it hears of."""
    async for one in node.notifications():
        if isinstance(one, ItemReceived):
            told.append(one.body)
            node.give_verdict(one.verdict_id, is_valid=True)
        if isinstance(one, BestTipReceived) and node.set_best_tip(one.block):
            told.append(one.block)


@cache
def blocks() -> tuple[RawBlock, ...]:
    """Some real blocks."""
    return tuple(RawBlock(path.read_bytes()) for path in sorted(vectors_path("blocks").glob("*.bin"))[4:8])
