"""Answers in parts, as node software asks for them and gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mina_p2p.channels.rpc.messages import InitialPeersRequest
from mina_p2p.channels.streaming_rpc.messages import (
    StagedLedgerPart,
    StagedLedgerPartBase,
    StagedLedgerPartPreviousIncompleteZkappUpdates,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartScanStateTree,
    StagedLedgerPartsRequest,
)
from mina_p2p.channels.streaming_rpc.state import GivenUp, WaitingForRequest
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import ConnectionId
from mina_p2p.notifications import StreamingRpcRequested
from mina_p2p_effects.node import Node, PeerError
from mina_p2p_effects.transports.memory import MemoryHub
from node.nodes import first, make, run, two_nodes

QUESTION = StagedLedgerPartsRequest(bytes(range(32)))


def ledger(trees: int = 3, body: bytes = b"tree") -> tuple[StagedLedgerPart, ...]:
    return (
        StagedLedgerPartBase(b"base"),
        StagedLedgerPartScanStateBase(trees, b"scan state"),
        StagedLedgerPartPreviousIncompleteZkappUpdates(b"updates"),
        *(StagedLedgerPartScanStateTree(body + b" %d" % n) for n in range(trees)),
    )


async def serve_once(node: Node, parts: Sequence[StagedLedgerPart] | None) -> StreamingRpcRequested:
    asked: StreamingRpcRequested = await first(node, StreamingRpcRequested)
    assert node.respond_parts(asked.connection_id, asked.serial, parts)
    assert not node.respond_parts(asked.connection_id, asked.serial, parts)
    return asked


async def taken(node: Node, connection_id: ConnectionId) -> tuple[list[StagedLedgerPart], bool | None]:
    async with node.request_parts(connection_id, QUESTION) as parts:
        found = [part async for part in parts]
    return found, parts.is_found


def test_parts_arrive_in_order_and_once_more() -> None:
    """All of them, and the next question on the same connection works as the first."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])
            for trees in (1, 4):
                serving = asyncio.ensure_future(serve_once(other, ledger(trees)))
                assert await taken(one, connected.connection_id) == (list(ledger(trees)), True)
                asked = await serving
                assert asked.request == QUESTION
                assert asked.peer_id == one.peer_id

    run(main())


def test_a_peer_without_it_says_so() -> None:
    """No part, and an end that is none of an answer (defect C5)."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])
            serving = asyncio.ensure_future(serve_once(other, None))
            assert await taken(one, connected.connection_id) == ([], False)
            await serving

    run(main())


def test_leaving_the_block_cancels() -> None:
    """The peer's software is no longer asked for anything, and the half becomes free again."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])
            async with one.request_parts(connected.connection_id, QUESTION) as parts:
                asked: Any = await first(other, StreamingRpcRequested)
                assert parts.is_found is None
            half = one.state.channels.streaming_rpc(connected.connection_id)
            assert half is not None
            assert isinstance(half.local, GivenUp | WaitingForRequest)
            assert not parts.cancel()
            # What is asked after it is answered after it.
            await one.request(connected.connection_id, InitialPeersRequest())
            assert not other.respond_parts(asked.connection_id, asked.serial, ledger())

    run(main())


def test_a_second_question_at_a_time_fails_at_once() -> None:
    """One streamed question per connection: whoever asks another one is told, and the first goes on."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])
            async with one.request_parts(connected.connection_id, QUESTION) as parts:
                with pytest.raises(PeerError, match="busy"):
                    await taken(one, connected.connection_id)
                serving = asyncio.ensure_future(serve_once(other, ledger()))
                assert [part async for part in parts] == list(ledger())
                assert parts.expected_count == len(ledger())
                await serving

    run(main())


def test_whoever_waits_hears_of_the_peers_end() -> None:
    """The connection's reason is the question's."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])
            async with one.request_parts(connected.connection_id, QUESTION) as parts:
                await first(other, StreamingRpcRequested)
                other.disconnect(one.peer_id)
                with pytest.raises(PeerError) as caught:
                    await anext(parts)
                assert caught.value.reason.code == ReasonCode.USER_REQUEST

    run(main())


def test_whoever_waits_hears_of_our_own_end() -> None:
    """A node that stops leaves nobody waiting."""

    async def main() -> None:
        hub = MemoryHub()
        async with make(hub, 1) as other:
            async with make(hub, 0) as one:
                connected = await one.connect(other.addresses[0])
                asking = asyncio.ensure_future(taken(one, connected.connection_id))
                await first(other, StreamingRpcRequested)
            with pytest.raises((PeerError, CallerError)):
                await asking

    run(main())


def test_an_answer_that_is_too_large_is_none_and_a_refused_one_a_failure() -> None:
    """Nothing over the limits leaves (defect C9); and node software may decline."""

    async def main() -> None:
        async with two_nodes(limits=Limits(streaming_part_bytes_max=1_000)) as (one, other):
            connected = await one.connect(other.addresses[0])
            serving = asyncio.ensure_future(serve_once(other, ledger(1, bytes(1_001))))
            assert await taken(one, connected.connection_id) == ([], False)
            await serving
            asking = asyncio.ensure_future(taken(one, connected.connection_id))
            asked: Any = await first(other, StreamingRpcRequested)
            with pytest.raises(CallerError, match="are no staged ledger"):
                other.respond_parts(asked.connection_id, asked.serial, ledger()[1:])
            assert other.cancel_response(asked.connection_id, asked.serial)
            with pytest.raises(PeerError, match="REFUSED"):
                await asking

    run(main())
