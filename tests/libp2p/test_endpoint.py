"""Endpoints on the loopback interface: dials, refusals, large transfers, back-pressure, ends."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from inspect import signature
from typing import Any

import pytest

from libp2p.nodes import DEADLINE_S, LOOPBACK, Node
from libp2p.pairs import CALLS, ECHO, NOTES
from mina_p2p.address import Domain, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.endpoint import FIRST_INCOMING
from mina_p2p_effects.transports.libp2p.events import FIRST_PEER_HANDLE, Closed, StreamEnded, StreamMessage, StreamOpened, Upgraded
from mina_p2p_effects.transports.libp2p.faults import Fault

pytest.importorskip("Crypto.Cipher.Salsa20", reason="pycryptodome comes with the extra `libp2p`")

Test = Callable[..., Coroutine[Any, Any, None]]


def run(test: Test) -> Callable[..., None]:
    """Run a test on a loop of its own, and let no transport be forgotten in it."""

    def inner(*args: Any, **kwargs: Any) -> None:
        async def whole() -> None:
            async with asyncio.timeout(3 * DEADLINE_S):
                await test(*args, **kwargs)

        asyncio.run(whole(), debug=False)
        gc.collect()

    inner.__doc__ = test.__doc__
    inner.__name__ = test.__name__
    inner.__signature__ = signature(test)
    return inner


@run
async def test_two_nodes_meet_and_talk():
    async with Node(1) as one, Node(2) as two:
        dialled = await one.dial(two.dial_address)
        accepted, upgraded = await two.next(Upgraded)
        assert (upgraded.peer_id, upgraded.is_dialer, upgraded.remote.host) == (one.secret_key.peer_id, False, "127.0.0.1")
        assert accepted >= FIRST_INCOMING
        handle = await one.open(dialled, NOTES.name)
        one.endpoint.send(dialled, handle, b"hello")
        _, opened = await two.next(StreamOpened)
        _, message = await two.next(StreamMessage)
        assert (opened.protocol, message.data) == (NOTES.name, b"hello")
        two.endpoint.send(accepted, opened.handle, b"you too")
        two.endpoint.close_write(accepted, opened.handle)
        assert (await one.next(StreamMessage))[1] == StreamMessage(handle, b"you too")
        assert (await one.next(StreamEnded))[1] == StreamEnded(handle)


@run
async def test_ten_megabytes_both_ways_at_once():
    """Echoed while they come, through windows and full sockets; nothing is lost or reordered."""
    async with Node(1, socket_high_bytes=64 * 1024) as one, Node(2) as two:
        two.on_event = lambda number, event: (
            two.endpoint.send(number, event.handle, event.data) if isinstance(event, StreamMessage) else None
        )
        dialled = await one.dial(two.dial_address)
        handle = await one.open(dialled, ECHO.name)
        content = bytes(range(256)) * 4096 * 10
        for at in range(0, len(content), 60_000):
            one.endpoint.send(dialled, handle, content[at : at + 60_000])
        received = bytearray()

        def take() -> bool:
            for _, event in one.told:
                received.extend(event.data if isinstance(event, StreamMessage) else b"")
            one.told.clear()
            return len(received) >= len(content)

        await one.until(take)
        assert received == content


@run
async def test_many_streams_at_once():
    async with Node(1) as one, Node(2) as two:
        dialled = await one.dial(two.dial_address)
        for handle in range(200):
            one.endpoint.open_stream(dialled, handle, (CALLS.name,))
            one.endpoint.send(dialled, handle, f"call {handle}".encode() * 100)
            one.endpoint.close_write(dialled, handle)
        await two.until(lambda: sum(isinstance(event, StreamEnded) for _, event in two.told) == 200)
        messages = {event.data for _, event in two.told if isinstance(event, StreamMessage)}
        assert messages == {f"call {handle}".encode() * 100 for handle in range(200)}
        for handle in range(200):
            two.endpoint.close_write(FIRST_INCOMING, FIRST_PEER_HANDLE + handle)
        await one.until(lambda: sum(isinstance(event, StreamEnded) for _, event in one.told) == 200)
        connection = one.endpoint.connection(dialled)
        assert connection is not None
        assert not connection._channels


@run
async def test_what_listens_not_is_unreachable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Node(1) as one:
            one.endpoint.dial(1, Libp2pAddress(SecretKey.deterministic(2).peer_id, LOOPBACK, taken.getsockname()[1]))
            _, closed = await one.next(Closed)
            assert closed.fault is Fault.UNREACHABLE


@run
async def test_a_name_without_address_is_unresolved_and_one_that_leads_inside_is_not_dialled():
    async with Node(1) as one, Node(2) as two:
        peer_id = two.secret_key.peer_id
        for number, name in enumerate(("nowhere.invalid", "localhost", "x" * 70)):
            one.endpoint.dial(number, Libp2pAddress(peer_id, Domain(name), two.address.port))
            assert (await one.next(Closed, number))[1].fault is Fault.UNRESOLVED


@run
async def test_a_name_is_resolved_and_dialled():
    async with Node(1, are_private_addresses_dialled=True) as one, Node(2) as two:
        await one.dial(Libp2pAddress(two.secret_key.peer_id, Domain("localhost"), two.address.port))


@run
async def test_another_peer_behind_the_address_is_refused():
    async with Node(1) as one, Node(2) as two:
        one.endpoint.dial(1, Libp2pAddress(SecretKey.deterministic(3).peer_id, LOOPBACK, two.address.port))
        _, closed = await one.next(Closed)
        assert closed.fault is Fault.PEER_ID_MISMATCH
    assert not two.told


@run
async def test_a_dial_can_be_given_up_at_any_moment():
    async with Node(1) as one, Node(2) as two:
        reason = Reason(ReasonCode.USER_REQUEST)
        for turns in range(12):
            one.endpoint.dial(turns, two.dial_address)
            for _ in range(turns):
                await asyncio.sleep(0)
            one.endpoint.close(turns, reason)
            assert (await one.next(Closed, turns))[1] == Closed(Fault.LOCAL, reason, by_peer=False)
        assert len(one.endpoint) == 0


@run
async def test_an_end_is_told_to_both_sides_once():
    async with Node(1) as one, Node(2) as two:
        dialled = await one.dial(two.dial_address)
        await two.next(Upgraded)
        one.endpoint.close(dialled, Reason(ReasonCode.FREE_UP_SPACE))
        assert (await one.next(Closed))[1].reason == Reason(ReasonCode.FREE_UP_SPACE)
        _, closed = await two.next(Closed)
        assert (closed.fault, closed.by_peer) == (Fault.CLOSED, True)
        one.endpoint.close(dialled, Reason(ReasonCode.FREE_UP_SPACE))
        one.endpoint.send(dialled, 1, b"x")
        one.endpoint.open_stream(dialled, 1, (NOTES.name,))
        assert (len(one.endpoint), len(two.endpoint)) == (0, 0)
        assert not [event for _, event in two.told if isinstance(event, Closed)]


@run
async def test_a_stopped_node_leaves_its_peers():
    async with Node(2) as two:
        async with Node(1) as one:
            await one.dial(two.dial_address)
        await two.next(Closed)
        assert len(two.endpoint) == 0


async def _connect(node: Node) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", node.address.port)


@run
async def test_whoever_proves_nothing_is_never_told_of():
    async with Node(1, network_key=None, upgrade_timeout_s=0.05) as one:
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x13/multistream/1.0.0\n\x07/noise\n" + bytes(500)):
            reader, writer = await _connect(one)
            writer.write(said)
            await reader.read()
            writer.close()
            await writer.wait_closed()
        assert not one.told
        assert len(one.endpoint) == 0


@run
async def test_more_strangers_than_allowed_are_closed_at_once():
    async with Node(1, incoming_pending_max=2, network_key=None) as one, Node(2, network_key=None) as two:
        (reader, writer), (other_reader, other_writer) = [await _connect(one) for _ in range(2)]
        await asyncio.gather(reader.readexactly(20), other_reader.readexactly(20))
        refused, extra = await _connect(one)
        assert await _read_or_lost(refused) == b""
        assert one.endpoint.refused == 1
        writer.write(b"\x00")
        assert await reader.read() == b""  # given up, which makes room
        await two.dial(one.dial_address)
        for each in (writer, other_writer, extra):
            each.close()


async def _read_or_lost(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(100)
    except ConnectionResetError:
        return b""


@run
async def test_a_number_in_use_is_the_callers_mistake():
    async with Node(1) as one, Node(2) as two:
        number = await one.dial(two.dial_address)
        for wrong in (number, -1, FIRST_INCOMING):
            with pytest.raises(CallerError):
                one.endpoint.dial(wrong, two.dial_address)


@run
async def test_a_peer_that_reads_slowly_holds_back_its_own_data_only():
    """What waits is in our queue, not in the socket's buffer, and leaves when the peer reads again."""
    async with Node(1, socket_high_bytes=64 * 1024) as one, Node(2) as two:
        dialled = await one.dial(two.dial_address)
        handle = await one.open(dialled, CALLS.name)
        await two.next(StreamOpened)
        reading = two.endpoint._links[FIRST_INCOMING].transport
        writing = one.endpoint._links[dialled].transport
        assert reading is not None
        assert writing is not None
        reading.pause_reading()
        for number in range(40):
            one.endpoint.send(dialled, handle, bytes((number,)) * 900_000)
        connection = one.endpoint.connection(dialled)
        assert connection is not None
        await asyncio.sleep(0)
        assert connection.queued_bytes > 30_000_000
        assert writing.get_write_buffer_size() < 64 * 1024 + 400_000
        reading.resume_reading()
        await two.until(lambda: sum(isinstance(event, StreamMessage) for _, event in two.told) == 40)
        assert [event.data[0] for _, event in two.told if isinstance(event, StreamMessage)] == list(range(40))
        assert connection.queued_bytes == 0


@run
async def test_a_bug_on_one_connection_is_reported_and_leaves_the_others():
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    async with Node(1) as one, Node(2) as two, Node(3) as three:
        first, second = await one.dial(two.dial_address), await one.dial(three.dial_address)
        connection = one.endpoint.connection(first)
        assert connection is not None

        def fail() -> bytes:
            raise ZeroDivisionError

        connection.transmit = fail  # type: ignore[method-assign]
        one.endpoint.open_stream(first, 90, (NOTES.name,))
        _, closed = await one.next(Closed, first)
        assert closed.fault is Fault.LOST
        assert "ZeroDivisionError" in closed.reason.detail
        assert isinstance(reported[0], ZeroDivisionError)
        await two.next(Closed)
        await one.open(second, NOTES.name)


@run
async def test_an_owner_that_fails_on_an_event_is_reported_and_gets_the_next():
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def fail(number: int, event: object) -> None:
        raise LookupError

    async with Node(1) as one, Node(2) as two:
        one.on_event = fail
        dialled = await one.dial(two.dial_address)
        await one.open(dialled, NOTES.name)
        assert {type(error) for error in reported} == {LookupError}


def test_uvloop_is_served_as_well():
    """Its transports, timers and resolver differ in kind from asyncio's."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop comes with the extra `speed`")

    async def whole() -> None:
        async with asyncio.timeout(DEADLINE_S), Node(1, are_private_addresses_dialled=True) as one, Node(2) as two:
            dialled = await one.dial(Libp2pAddress(two.secret_key.peer_id, Domain("localhost"), two.address.port))
            handle = await one.open(dialled, CALLS.name)
            for _ in range(10):
                one.endpoint.send(dialled, handle, bytes(900_000))
            await two.until(lambda: sum(isinstance(event, StreamMessage) for _, event in two.told) == 10)
            one.endpoint.close(dialled, Reason(ReasonCode.USER_REQUEST))
            await two.next(Closed)

    uvloop.run(whole())
