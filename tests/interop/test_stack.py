"""The byte-level stack against go-libp2p and js-libp2p: handshakes, streams, large transfers, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from libp2p.pairs import ECHO, NETWORK_KEY

from interop.ours import IDENTIFY, PING, Identify, OurNode, theirs
from interop.peers import Peer, PeerError
from interop.running import KINDS, run
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.wire.protobuf import protobuf
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.config import YAMUX
from mina_p2p_effects.transports.libp2p.events import Closed, StreamEnded, StreamLost, StreamMessage, Upgraded
from mina_p2p_effects.transports.libp2p.faults import Fault

THEM = SecretKey.deterministic(50)
NETWORKS = [pytest.param(NETWORK_KEY, id="private"), pytest.param(None, id="open")]
MEGABYTES_10 = 10 * 1024 * 1024


@asynccontextmanager
async def pair(command: list[str], network_key: bytes | None, **options: Any) -> AsyncIterator[tuple[OurNode, Peer]]:
    async with Peer(command, THEM.reveal_seed(), network_key) as peer, OurNode(1, network_key=network_key, **options) as ours:
        yield ours, peer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network_key", NETWORKS)
@pytest.mark.parametrize("early", [True, False], ids=["early muxer", "muxer by multistream"])
@pytest.mark.parametrize("announced", [False, True], ids=["plain", "simultaneous-connect"])
@run
async def test_we_dial(programs: Any, kind: str, network_key: bytes | None, early: bool, announced: bool):
    limits = {"has_early_muxer": early, "is_simultaneous_connect_announced": announced}
    async with pair(programs(kind), network_key, **limits) as (ours, peer):
        number = await ours.dial(theirs(peer.address))
        connected = await peer.event("connected")
        assert connected["peer_id"] == ours.secret_key.peer_id.libp2p
        # js-libp2p does not say how it came to its muxer.
        assert connected.get("muxer", YAMUX) == YAMUX
        assert connected.get("early_muxer", early) == early
        handle = await ours.open(number, ECHO.name)
        ours.endpoint.send(number, handle, b"hello")
        ours.endpoint.close_write(number, handle)
        assert (await ours.next(StreamMessage))[1] == StreamMessage(handle, b"hello")
        assert (await ours.next(StreamEnded))[1].handle == handle


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network_key", NETWORKS)
@pytest.mark.parametrize("early", [True, False], ids=["early muxer", "muxer by multistream"])
@pytest.mark.parametrize("identifies", [True, False], ids=["with identify", "without identify"])
@run
async def test_they_dial(programs: Any, kind: str, network_key: bytes | None, early: bool, identifies: bool):
    """With identify they open streams lazily, without it they wait for each answer: both pipelining habits."""
    async with pair(programs(kind), network_key, has_early_muxer=early, identifies=identifies) as (ours, peer):
        await peer.do("connect", addr=ours.dial_text)
        _, upgraded = await ours.next(Upgraded)
        assert (upgraded.peer_id, upgraded.is_dialer) == (THEM.peer_id, False)
        us = ours.secret_key.peer_id.libp2p
        await peer.do("echo", peer=us, count=1, bytes=1000)
        await peer.do("ping", peer=us)
        with pytest.raises(PeerError):
            await peer.do("open", peer=us, protocol="/nobody/speaks/this")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network_key", NETWORKS)
@run
async def test_ten_megabytes_from_us_and_back(programs: Any, kind: str, network_key: bytes | None):
    async with pair(programs(kind), network_key) as (ours, peer):
        number = await ours.dial(theirs(peer.address))
        handle = await ours.open(number, ECHO.name)
        content = bytes(range(251)) * (MEGABYTES_10 // 251)
        for at in range(0, len(content), 100_000):
            ours.endpoint.send(number, handle, content[at : at + 100_000])
        ours.endpoint.close_write(number, handle)
        received = bytearray()

        def is_complete() -> bool:
            ended = False
            for _, event in ours.told:
                assert not isinstance(event, StreamLost | Closed), event
                received.extend(event.data if isinstance(event, StreamMessage) and event.handle == handle else b"")
                ended = ended or (isinstance(event, StreamEnded) and event.handle == handle)
            ours.told.clear()
            return ended

        await ours.until(is_complete)
        assert received == content


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network_key", NETWORKS)
@run
async def test_ten_megabytes_from_them_and_back(programs: Any, kind: str, network_key: bytes | None):
    async with pair(programs(kind), network_key) as (ours, peer):
        await peer.do("connect", addr=ours.dial_text)
        await peer.do("echo", peer=ours.secret_key.peer_id.libp2p, count=1, bytes=MEGABYTES_10)


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_many_streams_at_once_in_both_directions(programs: Any, kind: str):
    async with pair(programs(kind), NETWORK_KEY) as (ours, peer):
        number = await ours.dial(theirs(peer.address))
        await peer.until("peers", ours.secret_key.peer_id.libp2p)  # its side of the handshake may be over later than ours
        they = asyncio.create_task(peer.do("echo", peer=ours.secret_key.peer_id.libp2p, count=100, bytes=20_000))
        for handle in range(1000, 1100):
            ours.endpoint.open_stream(number, handle, (ECHO.name,))
            ours.endpoint.send(number, handle, bytes((handle % 256,)) * 20_000)
            ours.endpoint.close_write(number, handle)
        mine = range(1000, 1100)
        await ours.until(lambda: sum(isinstance(event, StreamEnded) and event.handle in mine for _, event in ours.told) == 100)
        echoed = dict.fromkeys(mine, b"")
        for _, event in ours.told:
            if isinstance(event, StreamMessage) and event.handle in mine:
                echoed[event.handle] += event.data
        assert echoed == {handle: bytes((handle % 256,)) * 20_000 for handle in mine}
        await they


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_we_ping_and_identify_them(programs: Any, kind: str):
    async with pair(programs(kind), NETWORK_KEY) as (ours, peer):
        number = await ours.dial(theirs(peer.address))
        handle = await ours.open(number, PING.name)
        ours.endpoint.send(number, handle, bytes(range(32)))
        assert (await ours.next(StreamMessage))[1] == StreamMessage(handle, bytes(range(32)))
        handle = await ours.open(number, IDENTIFY.name)
        _, message = await ours.next(StreamMessage)
        identified = protobuf(Identify).decode(message.data)
        assert identified.public_key == THEM.peer_id.protobuf
        assert {ECHO.name, "/coda/kad/1.0.0", "/meshsub/1.1.0"} <= set(identified.protocols)


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_what_they_do_not_speak_is_lost_and_the_rest_goes_on(programs: Any, kind: str):
    unknown = ECHO.replace(name="/nobody/speaks/this")
    async with pair(programs(kind), NETWORK_KEY, more=(unknown,)) as (ours, peer):
        number = await ours.dial(theirs(peer.address))
        ours.endpoint.open_stream(number, 900, (unknown.name,))
        lost = await ours.next(StreamLost)
        assert (lost[1].handle, lost[1].fault) in {(900, Fault.NO_COMMON_PROTOCOL), (900, None)}
        ours.endpoint.open_stream(number, 901, (unknown.name, ECHO.name))
        ours.endpoint.send(number, 901, b"the second choice")
        assert (await ours.next(StreamMessage))[1] == StreamMessage(901, b"the second choice")


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_another_network_does_not_connect(programs: Any, kind: str):
    async with Peer(programs(kind), THEM.reveal_seed(), bytes(32)) as peer, OurNode(1, dial_timeout_s=5.0) as ours:
        ours.endpoint.dial(1, theirs(peer.address))
        _, closed = await ours.next(Closed)
        assert closed.fault in {Fault.WRONG_NETWORK, Fault.LOST, Fault.NEGOTIATION_TIMEOUT}


@pytest.mark.parametrize("kind", KINDS)
@run
async def test_both_ends_of_a_connection_are_noticed(programs: Any, kind: str):
    async with pair(programs(kind), NETWORK_KEY) as (ours, peer):
        number = await ours.dial(theirs(peer.address))
        await peer.event("connected")
        ours.endpoint.close(number, Reason(ReasonCode.USER_REQUEST))
        assert (await peer.event("disconnected"))["peer_id"] == ours.secret_key.peer_id.libp2p
        await ours.next(Closed, number)
        number = await ours.dial(theirs(peer.address))
        await peer.event("connected")
        await peer.do("disconnect", peer=ours.secret_key.peer_id.libp2p)
        _, closed = await ours.next(Closed, number)
        # Who closes a socket before having read everything resets it.
        assert closed.fault in {Fault.CLOSED, Fault.LOST}
        assert closed.by_peer
