"""Reduced cases of a node: numbers of connections, streams and verdicts follow what is left."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.channels.propagation.state import Requested, Responding
from mina_p2p.config import ALL_CHANNELS, PROTOCOL_VERSION, P2pConfig
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, Timestamp
from mina_p2p.peer.actions import PeerUnban
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.testing.catalog import ME, OTHERS, START, announcements
from mina_p2p.trace.machines import SHIPPED_MACHINE
from mina_p2p.trace.minimise import Input
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)
from mina_p2p_effects.fuzzing.cases import Case, minimise_case, play
from mina_p2p_effects.fuzzing.rebind import Rebinder

PEERS = len(OTHERS)
HELLO_FRAME = HELLO.encode(Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, tuple(map(int, ALL_CHANNELS)), (), "peer"))
TRANSACTION = KINDS[ChannelId.TRANSACTION]


def a_node() -> P2pState:
    return initial_state(P2pConfig(ME, MAINNET_CHAIN_ID, is_discovery_enabled=False), START)


def a_case() -> Case:
    """Every peer connects, promises an item on the stream that it was given, and announces it; the last announces two."""
    assert TRANSACTION.will_send is not None
    machine, state = p2p_machine(), a_node()
    inputs: list[Input] = []

    def feed(action: Any) -> None:
        nonlocal state
        item = Input(action, Timestamp(START + len(inputs) * SECOND))
        inputs.append(item)
        state, _, steps = machine.dispatch(state, action, item.now)
        assert steps

    for number, peer in enumerate(OTHERS):
        feed(ConnectionIncomingReceived(TransportKind.QUIC, 100 + number, SocketAddress(f"1.0.{number}.1", 8302), peer))
    for number in range(PEERS):
        feed(ConnectionHelloReceived(ConnectionId(number + 1), HELLO_FRAME))
    for number in range(PEERS):
        connection_id = ConnectionId(number + 1)
        found = state.channels.propagation(connection_id, ChannelId.TRANSACTION)
        assert found is not None
        assert isinstance(found.local, Requested)
        stream = found.local.stream
        promised = 2 if number == PEERS - 1 else 1
        feed(
            ChannelsMessageReceived(connection_id, ChannelId.TRANSACTION, stream, TRANSACTION.codec.encode(TRANSACTION.will_send(promised)))
        )
        item = TRANSACTION.codec.encode(TRANSACTION.item(announcements(ChannelId.TRANSACTION)[number]))
        feed(ChannelsMessageReceived(connection_id, ChannelId.TRANSACTION, stream, item))
    return Case(SHIPPED_MACHINE.name, a_node(), tuple(inputs))


def nobody_promised_two_and_sent_one(state: P2pState) -> bool:
    for channels in state.channels.table.values():
        found = channels.propagation(ChannelId.TRANSACTION)
        if found is not None and isinstance(found.local, Responding) and (found.local.promised_count, found.local.current_count) == (2, 1):
            return False
    return True


def test_a_fault_on_the_last_connection_needs_no_other() -> None:
    """Of 24 inputs about six connections four are left, about one, which is the first now."""
    smaller, fault = minimise_case(a_case(), nobody_promised_two_and_sent_one)
    assert [type(item.action) for item in smaller.inputs] == [
        ConnectionIncomingReceived,
        ConnectionHelloReceived,
        ChannelsMessageReceived,
        ChannelsMessageReceived,
    ]
    assert smaller.inputs[0].action.handle == 100 + PEERS - 1
    assert {item.action.connection_id for item in smaller.inputs[1:]} == {1}
    assert play(smaller, nobody_promised_two_and_sent_one) == fault


def test_all_inputs_keep_their_numbers() -> None:
    """Nothing is left out, nothing changes."""
    case = a_case()
    bound = Rebinder(p2p_machine(), case.initial_state, case.inputs)
    assert bound.part(range(len(case.inputs))) == case.inputs


@pytest.mark.parametrize("left_out", range(PEERS))
def test_inputs_about_what_is_left_out_are_about_nothing(left_out: int) -> None:
    """They do not become inputs of another connection: those go on as they did."""
    case = a_case()
    bound = Rebinder(p2p_machine(), case.initial_state, case.inputs)
    state, refused = case.initial_state, 0
    for item in bound.part(place for place in range(len(case.inputs)) if place != left_out):
        state, _, steps = p2p_machine().dispatch(state, item.action, item.now)
        refused += not steps
    assert refused == 3
    assert [state.connections.ready(ConnectionId(number)) is not None for number in range(1, PEERS + 1)] == [True] * (PEERS - 1) + [False]


def test_what_outsiders_number_stays() -> None:
    """Handles of arrivals and what no effect has named are left alone."""
    case = a_case().replace(inputs=(*a_case().inputs, Input(PeerUnban(OTHERS[0]), Timestamp(START + 1_000 * SECOND))))
    bound = Rebinder(p2p_machine(), case.initial_state, case.inputs)
    assert bound.part([3, len(case.inputs) - 1]) == (case.inputs[3], case.inputs[-1])
