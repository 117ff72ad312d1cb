"""A dialer, a relay and a listener complete an exchange: real nodes, real encryption, in memory and over QUIC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mina_p2p.channels.rpc.messages import InitialPeersRequest
from mina_p2p.channels.signaling_discovery.state import RemoteAnswered
from mina_p2p.config import Limits, Timeouts
from mina_p2p.ids import SECOND
from mina_p2p.signaling.effects import (
    SignalingAnswerReceived,
    SignalingAnswerSent,
    SignalingFailed,
    SignalingOfferReceived,
    SignalingOfferWanted,
)
from mina_p2p.signaling.objects import Accepted, InternalError
from mina_p2p_effects.node import Node
from mina_p2p_effects.transports.memory import MemoryHub
from node.nodes import MakeNode, first, make, make_any, run

DIALER: dict[str, Any] = {"are_introductions_taken": True, "timeouts": Timeouts(granularity=60 * SECOND)}
"""Looks at what it could dial once a minute only, so that it does not find by address whom it is to be introduced to."""
LISTENER: dict[str, Any] = {"are_introductions_taken": True, "limits": Limits(peers_min=0)}
"""Takes offers, and wants no introductions."""
RELAY: dict[str, Any] = {"limits": Limits(peers_min=0)}
"""As nodes are by default, but that it looks for nobody."""


@pytest.fixture(params=["memory", "quic"])
def make_node(request: pytest.FixtureRequest) -> MakeNode:
    return make_any(request.param)


@asynccontextmanager
async def three(make_node: MakeNode) -> AsyncIterator[tuple[Node, Node, Node]]:
    """A dialer and a listener that are connected to one relay."""
    async with make_node(0, **DIALER) as dialer, make_node(1, **RELAY) as relay, make_node(2, **LISTENER) as listener:
        await listener.connect(relay.addresses[0])
        await dialer.connect(relay.addresses[0])
        yield dialer, relay, listener


def test_an_exchange_is_completed(make_node: MakeNode) -> None:
    """Each side learns what the other's session is; the relay saw neither, and no connection follows by itself."""

    async def main() -> None:
        async with three(make_node) as (dialer, relay, listener):
            wanted: SignalingOfferWanted = await first(dialer, SignalingOfferWanted)
            assert wanted.target == listener.peer_id
            assert dialer.give_offer(wanted, "v=0 offer")
            received: SignalingOfferReceived = await first(listener, SignalingOfferReceived)
            assert (received.offerer, received.offer.sdp) == (dialer.peer_id, "v=0 offer")
            assert received.offer.target_peer_id == listener.peer_id
            assert listener.give_answer(received, "v=0 answer")
            sent: SignalingAnswerSent = await first(listener, SignalingAnswerSent)
            assert sent.offerer == dialer.peer_id
            answered: SignalingAnswerReceived = await first(dialer, SignalingAnswerReceived)
            assert isinstance(answered.response, Accepted)
            assert answered.response.answer.sdp == "v=0 answer"
            # Nothing takes either side's word twice, and what the exchange led to is in the state: an answer, no connection.
            assert not dialer.give_offer(wanted, "again")
            assert not listener.give_answer(received, "again")
            discovery = dialer.state.channels.discovery(wanted.connection_id)
            assert discovery is not None
            assert discovery.remote == RemoteAnswered(listener.peer_id)
            assert dialer.state.connection_of(listener.peer_id) is None
            assert listener.state.connection_of(dialer.peer_id) is None
            assert relay.state.connections.ready_count == 2

    run(main())


def test_a_listener_without_an_answer_says_so(make_node: MakeNode) -> None:
    """The dialer hears it encrypted as well."""

    async def main() -> None:
        async with three(make_node) as (dialer, _, listener):
            wanted: SignalingOfferWanted = await first(dialer, SignalingOfferWanted)
            assert dialer.give_offer(wanted, "v=0 offer")
            received: SignalingOfferReceived = await first(listener, SignalingOfferReceived)
            assert listener.give_answer(received, None)
            answered: SignalingAnswerReceived = await first(dialer, SignalingAnswerReceived)
            assert answered.response == InternalError()

    run(main())


def test_a_dialer_without_an_offer_lets_the_listener_go(make_node: MakeNode) -> None:
    """The target is promised to nobody any more, and was not bothered (defect R6)."""

    async def main() -> None:
        async with three(make_node) as (dialer, relay, listener):
            wanted: SignalingOfferWanted = await first(dialer, SignalingOfferWanted)
            of_listener = relay.state.connection_of(listener.peer_id)
            assert of_listener is not None
            assert of_listener not in relay.state.channels.introductions.available
            assert dialer.give_offer(wanted, None)
            # What is asked after it is answered after it.
            await dialer.request(wanted.connection_id, InitialPeersRequest())
            assert of_listener in relay.state.channels.introductions.available

    run(main())


def test_the_relays_end_is_told(make_node: MakeNode) -> None:
    """Whoever makes connections hears that an introduction comes to nothing."""

    async def main() -> None:
        async with three(make_node) as (dialer, relay, _):
            wanted: SignalingOfferWanted = await first(dialer, SignalingOfferWanted)
            relay.disconnect(dialer.peer_id)
            failed: SignalingFailed = await first(dialer, SignalingFailed)
            assert (failed.stream, failed.peer_id) == (wanted.stream, wanted.target)

    run(main())


def test_nodes_without_webrtc_only_relay() -> None:
    """By default nobody is asked to make an offer, and nobody is offered one: an introduction could lead to nothing."""

    async def main() -> None:
        hub = MemoryHub()
        async with make(hub, 0) as one, make(hub, 1, limits=Limits(peers_min=0)) as relay, make(hub, 2) as other:
            await asyncio.gather(one.connect(relay.addresses[0]), other.connect(relay.addresses[0]))
            connected = relay.state.connections.table.keys()
            assert len(connected) == 2
            assert not relay.state.channels.introductions.queue
            assert not relay.state.channels.introductions.available
            for connection_id in connected:
                assert relay.state.channels.discovery(connection_id) is not None

    run(main())
