"""Whole nodes over the memory network: a dialer, a relay and a listener; a seed and its crowd; staged ledgers between them."""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import Any

import pytest
from support.vectors import vectors_path

from channels.lab import DISCOVERY, EXCHANGE, QUESTION, STREAMING, ledger
from channels.people import connector_answer, crypto_answer, key, software
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryOfferError
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeAnswerError
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcResponseCancel,
    ChannelsStreamingRpcResponseSendInit,
    StreamingRpcCancel,
    StreamingRpcRequestSend,
)
from mina_p2p.channels.streaming_rpc.messages import STAGED_LEDGER_PART
from mina_p2p.channels.streaming_rpc.parts import join_parts
from mina_p2p.config import Limits
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import MILLISECOND, SECOND, ConnectionId, RequestId
from mina_p2p.mina.raw import RawStagedLedgerAux
from mina_p2p.mina.staged_ledger import StagedLedgerPart, split_parts
from mina_p2p.notifications import PeerDisconnected, RpcFailed, StreamingRpcPartReceived, StreamingRpcRequested, StreamingRpcResponded
from mina_p2p.signaling.effects import (
    SignalingAnswerReceived,
    SignalingAnswerSent,
    SignalingFailed,
    SignalingOfferReceived,
    SignalingOfferWanted,
)
from mina_p2p.signaling.objects import Accepted
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.wire import codec

SIGNALING = (DISCOVERY, EXCHANGE)


def told(node: SimNode, kind: type[Any]) -> list[Any]:
    """What a node's software was told, of one kind."""
    return [notification for notification in node.notifications if isinstance(notification, kind)]


def dial(node: SimNode, other: SimNode) -> None:
    """Have one node connect to another."""
    node.dispatch(ConnectionOutgoingInit(other.port.dial_address, RequestId(1)))


def three(seed: int = 1, listener: Any = software) -> tuple[Simulation, SimNode, SimNode, SimNode]:
    """A dialer, a relay and a listener; only the dialer wants more connections."""
    sim = Simulation(seed, checks=(check_invariants,))
    relay = sim.add(peer_id=key(2), channels=SIGNALING, is_discovery_enabled=False, software=software)
    dialer = sim.add(peer_id=key(1), channels=SIGNALING, are_introductions_taken=True, software=software)
    listening = sim.add(peer_id=key(3), channels=SIGNALING, are_introductions_taken=True, is_discovery_enabled=False, software=listener)
    dial(dialer, relay)
    dial(listening, relay)
    return sim, dialer, relay, listening


def nobody_is_blamed(sim: Simulation) -> None:
    """Honest nodes end no connection for a violation."""
    for node in sim.nodes:
        blamed = [end.reason for end in told(node, PeerDisconnected) if end.reason.code.is_violation]
        assert blamed == [], f"{node.config.peer_id.short}: {blamed}"


def test_a_dialer_a_relay_and_a_listener() -> None:
    """The dialer's offer reaches the listener and the answer the dialer; the relay learns nothing but who they are."""
    sim, dialer, relay, listener = three()
    sim.run(2 * SECOND)
    (wanted,) = told(dialer, SignalingOfferWanted)
    assert wanted.target == key(3)
    (offered,) = told(listener, SignalingOfferReceived)
    assert (offered.offerer, offered.offer.sdp) == (key(1), f"offer for {key(3).short}")
    (answered,) = told(dialer, SignalingAnswerReceived)
    assert isinstance(answered.response, Accepted)
    assert answered.response.answer.sdp == f"answer for {key(1).short}"
    assert told(listener, SignalingAnswerSent)
    assert b"offer for" not in repr(relay.state).encode()
    sim.run(120 * SECOND)
    assert len(told(dialer, SignalingOfferWanted)) == 1
    nobody_is_blamed(sim)


def test_a_listener_that_crashes_with_the_offer() -> None:
    """The relay notices by silence; but it does not wait for that: its own deadline is shorter."""

    def crash(node: SimNode, effect: Any) -> None:
        if isinstance(effect, SignalingOfferReceived):
            node.simulation.network.detach(node.port, node.simulation.now)
        else:
            software(node, effect)

    sim, dialer, _, _ = three(listener=crash)
    sim.run(22 * SECOND)
    (answered,) = told(dialer, SignalingAnswerReceived)
    assert not isinstance(answered.response, Accepted)
    sim.run(100 * SECOND)
    nobody_is_blamed(sim)


def test_a_relay_that_crashes_fails_what_was_begun() -> None:
    """Both ends are told."""

    def silent(node: SimNode, effect: Any) -> None:
        reply = crypto_answer(node.config.peer_id, effect)
        if reply is not None:
            node.dispatch(reply)

    sim, dialer, relay, listener = three(listener=silent)
    sim.run(SECOND)
    sim.network.detach(relay.port, sim.now)
    sim.run(60 * SECOND)
    assert [failed.peer_id for failed in told(dialer, SignalingFailed)] == [key(3)]
    assert [failed.peer_id for failed in told(listener, SignalingFailed)] == [key(1)]


def crowd(seed: int, count: int) -> tuple[Simulation, str]:
    """A seed node and others that know only it; who is introduced connects. Returns the hash of everything that happened."""
    digest = blake2b(digest_size=16)

    def connecting(node: SimNode, effect: Any) -> None:
        digest.update(repr((node.config.peer_id.short, type(effect).__name__)).encode())
        if isinstance(effect, SignalingAnswerReceived) and isinstance(effect.response, Accepted):
            (target,) = [other for other in node.simulation.nodes if other.config.peer_id == effect.target]
            dial(node, target)
        software(node, effect)

    sim = Simulation(seed, checks=(check_invariants,))
    nodes = [sim.add(peer_id=key(n), channels=SIGNALING, are_introductions_taken=True, software=connecting) for n in range(count)]
    for node in nodes[1:]:
        dial(node, nodes[0])
    sim.run(300 * SECOND, until=lambda: all(len(node.ready_peers()) == count - 1 for node in nodes))
    return sim, digest.hexdigest()


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_introduces_its_crowd_until_everybody_knows_everybody(seed: int) -> None:
    """All find each other by introductions alone, whoever is connected being a relay for the others; twice the same."""
    sim, digest = crowd(seed, 7)
    assert [len(node.ready_peers()) for node in sim.nodes] == [6] * 7
    nobody_is_blamed(sim)
    assert crowd(seed, 7)[1] == digest


class Moody:
    """Software that answers at once, later, wrongly or never, as the dice say; and breaks off now and then."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.later: list[tuple[SimNode, Any]] = []

    def __call__(self, node: SimNode, effect: Any) -> None:
        """Take one effect."""
        reply = crypto_answer(node.config.peer_id, effect) or self._connector(effect) or self._ledger(effect)
        mood = self.dice.random()
        if reply is None or mood < 0.1:
            return
        if mood < 0.5:
            self.later.append((node, reply))
        else:
            node.dispatch(reply)

    def _connector(self, effect: Any) -> Any:
        if self.dice.random() < 0.8:
            return connector_answer(effect)
        match effect:
            case SignalingOfferWanted(connection_id=cid, stream=stream):
                return ChannelsSignalingDiscoveryOfferError(cid, stream)
            case SignalingOfferReceived(connection_id=cid, stream=stream):
                return ChannelsSignalingExchangeAnswerError(cid, stream)
            case _:
                return None

    def _ledger(self, effect: Any) -> Any:
        if not isinstance(effect, StreamingRpcRequested):
            return None
        if self.dice.random() < 0.2:
            return ChannelsStreamingRpcResponseCancel(effect.connection_id, effect.serial)
        parts = None if self.dice.random() < 0.2 else ledger(self.dice.randrange(1, 40))
        return ChannelsStreamingRpcResponseSendInit(effect.connection_id, effect.serial, parts)

    def act(self, sim: Simulation) -> None:
        """Something of what is left to do; and something that nobody asked for."""
        self.dice.shuffle(self.later)
        while self.later and self.dice.random() < 0.7:
            node, reply = self.later.pop()
            if node.port.is_alive:
                node.dispatch(reply)
        node = self.dice.choice(sim.nodes)
        if node.state.connections.table and self.dice.random() < 0.6:
            cid = self.dice.choice(node.state.connections.table.keys())
            request_id = RequestId(self.dice.randrange(5))
            node.dispatch(
                self.dice.choice(
                    [
                        StreamingRpcRequestSend(cid, request_id, QUESTION),
                        StreamingRpcRequestSend(cid, request_id, QUESTION),
                        StreamingRpcCancel(cid, request_id),
                        DisconnectionInit(cid, Reason(ReasonCode.USER_REQUEST)),
                    ]
                )
            )


@pytest.mark.parametrize("seed", range(8))
def test_honest_nodes_never_blame_each_other(seed: int) -> None:
    """Whatever their software does, and however late: no message of an honest node is a violation, and no invariant breaks."""
    dice = random.Random(seed)
    moody = Moody(dice)
    sim = Simulation(seed, checks=(check_invariants,), latency=dice.choice([1, 20, 400]) * MILLISECOND, jitter_percent=90)
    nodes = [sim.add(peer_id=key(n), channels=(*SIGNALING, STREAMING), are_introductions_taken=True, software=moody) for n in range(5)]
    for node in nodes[1:]:
        dial(node, nodes[0])
    for _ in range(120):
        sim.run(dice.choice([10 * MILLISECOND, 300 * MILLISECOND, 3 * SECOND, 20 * SECOND]))
        moody.act(sim)
    nobody_is_blamed(sim)
    assert any(told(node, SignalingOfferWanted) for node in nodes)
    assert any(told(node, StreamingRpcPartReceived) for node in nodes)


def pair(seed: int, **server: Any) -> tuple[Simulation, SimNode, SimNode, ConnectionId]:
    """A node that asks and one that serves."""
    sim = Simulation(seed, checks=(check_invariants,))
    asker = sim.add(peer_id=key(1), channels=(STREAMING,))
    serving = sim.add(peer_id=key(2), channels=(STREAMING,), **server)
    dial(asker, serving)
    sim.run(SECOND)
    return sim, asker, serving, asker.connection_to(key(2))


def test_a_real_staged_ledger_crosses_the_network_part_by_part() -> None:
    """Every byte, each part by its own Next, within its credit."""
    raw = RawStagedLedgerAux(vectors_path("staged_ledger", "aux_and_pending_coinbases.bin").read_bytes())
    parts = tuple(STAGED_LEDGER_PART.decode(codec(StagedLedgerPart).encode(part)) for part in split_parts(raw.value))

    def serve(node: SimNode, effect: Any) -> None:
        if isinstance(effect, StreamingRpcRequested):
            node.dispatch(ChannelsStreamingRpcResponseSendInit(effect.connection_id, effect.serial, parts))

    sim, asker, server, cid = pair(1, software=serve)
    asker.dispatch(StreamingRpcRequestSend(cid, RequestId(5), QUESTION))
    assert sim.run(60 * SECOND, until=lambda: bool(told(asker, StreamingRpcResponded)))
    received = [part.part for part in told(asker, StreamingRpcPartReceived)]
    assert told(asker, StreamingRpcResponded)[0].parts_count == len(parts) == len(received)
    assert join_parts(received) == raw
    sim.run(SECOND)
    assert server.state.channels.servings.active_count == 0
    assert asker.state.channels.answer_bytes_granted == 0
    nobody_is_blamed(sim)


def test_a_part_over_its_credit_ends_the_connection() -> None:
    """The transport counts, before the reducer sees anything: a server whose frames may be longer than the asker permits."""

    def serve(node: SimNode, effect: Any) -> None:
        if isinstance(effect, StreamingRpcRequested):
            big = (ledger()[0].replace(body=b"x" * 2_000), *ledger()[1:])
            node.dispatch(ChannelsStreamingRpcResponseSendInit(effect.connection_id, effect.serial, big))

    sim = Simulation(1, checks=(check_invariants,))
    asker = sim.add(peer_id=key(1), channels=(STREAMING,), limits=Limits(streaming_part_bytes_max=1_000))
    server = sim.add(peer_id=key(2), channels=(STREAMING,), software=serve)
    dial(asker, server)
    sim.run(SECOND)
    asker.dispatch(StreamingRpcRequestSend(asker.connection_to(key(2)), RequestId(5), QUESTION))
    sim.run(SECOND)
    assert [end.reason.code for end in told(asker, PeerDisconnected)] == [ReasonCode.CHANNEL_MSG_TOO_LARGE]
    assert len(told(asker, RpcFailed)) == 1
    assert told(asker, StreamingRpcPartReceived) == []


def test_an_asker_that_crashes_costs_the_server_nothing_for_long() -> None:
    """Its answer is given up with the connection, or 30 s after the last Next, whichever is first."""

    def serve(node: SimNode, effect: Any) -> None:
        if isinstance(effect, StreamingRpcRequested):
            node.dispatch(ChannelsStreamingRpcResponseSendInit(effect.connection_id, effect.serial, ledger(900)))

    sim, asker, server, cid = pair(1, software=serve)
    asker.dispatch(StreamingRpcRequestSend(cid, RequestId(5), QUESTION))
    sim.run(SECOND)
    assert server.state.channels.servings.active_count == 1
    sim.network.detach(asker.port, sim.now)
    sim.run(31 * SECOND)
    assert server.state.channels.servings.active_count == 0
