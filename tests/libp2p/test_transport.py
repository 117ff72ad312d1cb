"""The port of the libp2p slices, over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest

from libp2p.nodes import DEADLINE_S
from libp2p.pairs import ALICE, BOB, NETWORK_KEY
from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.libp2p.protocols import IDENTIFY, KADEMLIA, PROTOCOLS
from mina_p2p.libp2p.transport import (
    FIRST_INCOMING,
    FIRST_PEER_STREAM,
    Libp2pConnectionClosed,
    Libp2pConnectionOpened,
    Libp2pEffectfulDial,
    Libp2pEffectfulDisconnect,
    Libp2pEffectfulSend,
    Libp2pEffectfulStreamEnd,
    Libp2pEffectfulStreamOpen,
    Libp2pEffectfulStreamReset,
    Libp2pListening,
    Libp2pStreamEnded,
    Libp2pStreamLost,
    Libp2pStreamMessageReceived,
    Libp2pStreamOpened,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.transport import Libp2pTransport

pytest.importorskip("Crypto.Cipher.Salsa20", reason="pycryptodome comes with the extra `libp2p`")

E = TypeVar("E")
OURS, THEIRS = ConnectionId(1), ConnectionId(FIRST_INCOMING)


class Told:
    """A transport and its events."""

    def __init__(self, key: SecretKey, **options: Any) -> None:
        self.transport = Libp2pTransport(key, PROTOCOLS.values(), network_key=NETWORK_KEY, **options)
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self, kind: type[E]) -> E:
        """The next event, which is of that kind."""
        async with asyncio.timeout(DEADLINE_S):
            event = await self.events.get()
        assert isinstance(event, kind), event
        return event


async def conversation() -> None:
    one, two = Told(ALICE, host=None), Told(BOB, host="127.0.0.1")
    assert await one.transport.start(one.events.put_nowait) is None
    assert (await one.next(Libp2pListening)).addresses == ()
    bound = await two.transport.start(two.events.put_nowait)
    assert bound is not None
    port = bound.port
    (address,) = (await two.next(Libp2pListening)).addresses
    assert address == Libp2pAddress(BOB.peer_id, Ipv4.of(127, 0, 0, 1), port)

    one.transport.perform(Libp2pEffectfulDial(OURS, address))
    opened = await one.next(Libp2pConnectionOpened)
    assert (opened.connection_id, opened.peer_id, opened.is_dialer, opened.remote.port) == (OURS, BOB.peer_id, True, port)
    accepted = await two.next(Libp2pConnectionOpened)
    assert (accepted.connection_id, accepted.peer_id, accepted.is_dialer) == (THEIRS, ALICE.peer_id, False)

    mine, other = StreamId(0), StreamId(FIRST_PEER_STREAM)
    one.transport.perform(Libp2pEffectfulStreamOpen(OURS, mine, (KADEMLIA.name,)))
    one.transport.perform(Libp2pEffectfulSend(OURS, mine, b"question"))
    assert await one.next(Libp2pStreamOpened) == Libp2pStreamOpened(OURS, mine, KADEMLIA.name, is_ours=True)
    assert await two.next(Libp2pStreamOpened) == Libp2pStreamOpened(THEIRS, other, KADEMLIA.name, is_ours=False)
    assert await two.next(Libp2pStreamMessageReceived) == Libp2pStreamMessageReceived(THEIRS, other, b"question")
    two.transport.perform(Libp2pEffectfulSend(THEIRS, other, b"answer"))
    two.transport.perform(Libp2pEffectfulStreamEnd(THEIRS, other))
    assert await one.next(Libp2pStreamMessageReceived) == Libp2pStreamMessageReceived(OURS, mine, b"answer")
    assert await one.next(Libp2pStreamEnded) == Libp2pStreamEnded(OURS, mine)
    one.transport.perform(Libp2pEffectfulStreamReset(OURS, mine))
    assert await two.next(Libp2pStreamLost) == Libp2pStreamLost(THEIRS, other, by_peer=True)

    one.transport.perform(Libp2pEffectfulStreamOpen(OURS, StreamId(1), (IDENTIFY.name,)))
    await one.next(Libp2pStreamOpened)
    await two.next(Libp2pStreamOpened)
    one.transport.perform(Libp2pEffectfulSend(OURS, StreamId(1), bytes(IDENTIFY.message_bytes_max + 1)))
    lost = await two.next(Libp2pStreamLost)
    assert (lost.by_peer, "larger than its protocol allows" in lost.detail) == (False, True)
    assert (await one.next(Libp2pStreamLost)).by_peer

    reason = Reason(ReasonCode.FREE_UP_SPACE)
    one.transport.perform(Libp2pEffectfulDisconnect(OURS, reason))
    assert await one.next(Libp2pConnectionClosed) == Libp2pConnectionClosed(OURS, reason, by_peer=False)
    while not isinstance(closed := await two.events.get(), Libp2pConnectionClosed):
        pass
    assert (closed.connection_id, closed.by_peer) == (THEIRS, True)
    await one.transport.stop()
    await two.transport.stop()


def test_a_conversation_in_the_words_of_the_port():
    asyncio.run(conversation())


def test_a_node_tells_where_it_can_be_reached():
    """At the hosts that it was given, else at those of its interfaces: at the bound port in both cases."""

    async def listening(**options: Any) -> tuple[int, tuple[Libp2pAddress, ...]]:
        told = Told(ALICE, **options)
        bound = await told.transport.start(told.events.put_nowait)
        await told.transport.stop()
        assert bound is not None
        return bound.port, (await told.next(Libp2pListening)).addresses

    given, loopback = Ipv4.of(198, 51, 100, 7), Ipv4.of(127, 0, 0, 1)
    port, addresses = asyncio.run(listening(external=(given,)))
    assert addresses == (Libp2pAddress(ALICE.peer_id, given, port),)
    port, addresses = asyncio.run(listening())
    assert Libp2pAddress(ALICE.peer_id, loopback, port) in addresses
