"""Our node and foreign ones, running, as tests of whole networks need them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from libp2p.pairs import NETWORK_KEY
from support.network import NetworkNode, network_node

from interop.ours import theirs
from interop.peers import Peer
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p_effects.keys import SecretKey

RENDEZVOUS = DEVNET_CHAIN_ID.rendezvous


def ours(number: int, *seeds: str, **options: Any) -> AbstractAsyncContextManager[NetworkNode]:
    """Our node, which knows the seeds; see `NetworkNode`."""
    return network_node(number, *map(theirs, seeds), **options)


def peer_id(number: int) -> str:
    return SecretKey.deterministic(number).peer_id.libp2p


async def foreign(stack: AsyncExitStack, command: list[str], number: int, *options: str) -> Peer:
    """Another implementation's node; ``options`` are those of its program."""
    return await stack.enter_async_context(Peer([*command, *options], SecretKey.deterministic(number).reveal_seed(), NETWORK_KEY))


async def joined(peer: Peer, seed: str, seed_id: str) -> None:
    """What a foreign node does that knows only a seed (spec: libp2p 8.3)."""
    await peer.do("connect", addr=seed)
    await peer.until("table", seed_id)
    await peer.do("advertise", topic=RENDEZVOUS)
    await peer.do("discover", topic=RENDEZVOUS)
