"""libp2p's part of a node: one machine, one clock, one input of time, one log with the rest; and nothing at all where it is off."""

from __future__ import annotations

from typing import Any

import pytest
from libp2p_slices.lab import START, address, config, host, peer_id
from libp2p_slices.pairs import IN, OWN_IDENTIFY, said

from mina_p2p.config import P2pConfig
from mina_p2p.disconnection.actions import Shutdown
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine
from mina_p2p.libp2p.notifications import NetworkPeerConnected, NetworkPeerIdentified
from mina_p2p.libp2p.protocols import IDENTIFY
from mina_p2p.libp2p.state import NetworkState, initial_network
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Clock, Store
from mina_p2p.table import empty_table
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.timeouts import CheckTimeouts, is_due, next_wake
from mina_p2p.trace import BytesSource, Reader, Schema, Tape, Writer, WriterOptions, replay
from mina_p2p.transport import SocketAddress

ARRIVAL = port.Libp2pConnectionOpened(IN, peer_id(1), False, SocketAddress(host(1).plain, 40_000))
EVENTS = (
    CheckTimeouts(),
    port.Libp2pListening((address(0),)),
    ARRIVAL,
    port.Libp2pStreamOpened(IN, OWN_IDENTIFY, IDENTIFY.name, True),
    port.Libp2pStreamMessageReceived(IN, OWN_IDENTIFY, said(1)),
    port.Libp2pStreamEnded(IN, OWN_IDENTIFY),
)
"""A peer comes and says who it is."""


def on() -> P2pState:
    return initial_state(P2pConfig(peer_id(0), DEVNET_CHAIN_ID, libp2p=config(0)), START)


def off() -> P2pState:
    return initial_state(P2pConfig(peer_id(0), DEVNET_CHAIN_ID), START)


def network_of(state: P2pState) -> NetworkState:
    assert state.network is not None
    return state.network


def test_the_part_does_in_a_node_what_it_does_alone() -> None:
    """The same events lead to the same state and the same effects."""
    alone, state, now = initial_network(config(0), START), on(), START
    for number, event in enumerate(EVENTS):
        now = Timestamp(START + number * SECOND)
        alone, effects, _ = network_machine().dispatch(alone, NetworkCheckTimeouts() if event == CheckTimeouts() else event, now)
        state, same, _ = p2p_machine().dispatch(state, event, now)
        assert same == effects
        check_invariants(state)
    assert network_of(state).replace(clock=alone.clock) == alone
    assert state.clock.now == now
    assert network_of(state).clock == Clock(0, START), "the time of all is the node's"


def test_a_node_without_the_part_refuses_its_inputs_and_never_wakes_for_it() -> None:
    """What a transport that nobody asked for could say changes nothing."""
    store, before = Store(p2p_machine(), off()), off()
    for event in (*EVENTS[1:], NetworkDial(address(1)), NetworkCheckTimeouts()):
        assert store.dispatch(event, START) == []
    assert store.state == before
    assert store.refused_by_reason["NetworkDial", "that part is off"] == 1
    assert next_wake(store.state, START) is None
    assert not is_due(store.state, START)


def test_one_input_of_time_is_enough_for_all() -> None:
    """`CheckTimeouts` leads to all that time does to the part, and `next_wake` knows when."""
    state = on()
    at = next_wake(state, START)
    assert at is not None
    assert at <= START + SECOND
    heartbeat = network_of(state).gossipsub.next_heartbeat_at
    state, _, _ = p2p_machine().dispatch(state, CheckTimeouts(), heartbeat)
    assert network_of(state).gossipsub.next_heartbeat_at > heartbeat
    assert not is_due(state, heartbeat)


def test_a_node_that_stops_says_goodbye_on_libp2p_too() -> None:
    """And dials nobody any more."""
    state, _, _ = p2p_machine().dispatch(on(), ARRIVAL, START)
    state, effects, _ = p2p_machine().dispatch(state, Shutdown(), START)
    (goodbye,) = (effect for effect in effects if isinstance(effect, port.Libp2pEffectfulDisconnect))
    assert (goodbye.connection_id, goodbye.reason.code) == (IN, ReasonCode.SHUTDOWN)
    assert not network_of(state).is_dialling_allowed


def test_the_log_of_a_node_with_the_part_replays() -> None:
    """With every value checked against its type hints while it is recorded."""
    schema = Schema.of(p2p_machine())
    store = Store(p2p_machine(), on())
    writer = Writer(store.machine, "mina_p2p", store.state, schema=schema, options=WriterOptions(hash_inputs=2, is_checked=True))
    store.observe(writer.add)
    told: list[Any] = []
    for number, event in enumerate(EVENTS):
        told += store.dispatch(event, Timestamp(START + number * SECOND))
    assert {NetworkPeerConnected, NetworkPeerIdentified} <= set(map(type, told))
    writer.close()
    tape = Tape(schema)
    log = b"".join(tape.append(chunk) for chunk in writer.take()) + tape.finish()
    result = replay(Reader(BytesSource(log)), p2p_machine(), schema)
    assert (result.divergence, result.is_verified) == (None, True)
    assert result.state_hash == schema.state_hash(store.state)


def test_what_is_wrong_in_the_part_is_found() -> None:
    """By whoever checks the node's state, with the path in it."""
    state, _, _ = p2p_machine().dispatch(on(), ARRIVAL, START)
    network = network_of(state)
    torn = state.replace(network=network.replace(links=network.links.replace(contacts=empty_table())))
    with pytest.raises(InvariantViolationError, match=r"network\.links"):
        check_invariants(torn)
    with pytest.raises(InvariantViolationError, match="network"):
        check_invariants(state.replace(network=None))


def test_a_node_is_one_peer_of_one_chain() -> None:
    """The settings of the part must be those of the node."""
    with pytest.raises(ValueError, match="another peer_id or chain_id"):
        P2pConfig(peer_id(1), DEVNET_CHAIN_ID, libp2p=config(0))
    with pytest.raises(ValueError, match="another peer_id or chain_id"):
        P2pConfig(peer_id(0), MAINNET_CHAIN_ID, libp2p=config(0))


def test_a_part_is_mounted_once_and_somewhere() -> None:
    """An action has one reducer, and a part a place."""
    with pytest.raises(CallerError, match="in the table already"):
        p2p_machine().mount("network", network_machine())
    with pytest.raises(CallerError, match="no field 'elsewhere'"):
        p2p_machine().mount("elsewhere", network_machine())
