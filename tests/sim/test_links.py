"""The memory network's weather: what nodes notice of it, and when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.address import Domain, QuicAddress
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.rpc.actions import RpcRequestSend
from mina_p2p.channels.rpc.messages import BlockRequest
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, SECOND, RequestId, StreamId, Timestamp
from mina_p2p.notifications import BestTipReceived, ConnectionFailed, PeerConnected, PeerDisconnected
from mina_p2p.testing.links import IDLE_TIMEOUT, LOST, End, Links, MemoryPort
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.testing.stock import stock
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import ChannelsSendBlocked, ChannelsSendUnblocked, ConnectionClosed, SocketAddress


def pair(**settings: Any) -> tuple[Simulation, SimNode, SimNode]:
    """A listener and a dialer that are connected, and nothing under way."""
    simulation = Simulation(7, **settings)
    listener = simulation.add(is_discovery_enabled=False)
    dialer = simulation.add(is_discovery_enabled=False)
    dialer.dispatch(ConnectionOutgoingRequest(listener.port.dial_address, RequestId(1)))
    assert simulation.run(SECOND, until=lambda: bool(listener.ready_peers() and dialer.ready_peers()))
    simulation.run(SECOND)
    return simulation, listener, dialer


def told(node: SimNode, kind: type[Any]) -> list[Any]:
    return [notification for notification in node.notifications if isinstance(notification, kind)]


def _has_tips(node: SimNode, count: int) -> bool:
    return len(told(node, BestTipReceived)) == count


def set_tip(node: SimNode, number: int = 0) -> None:
    tip = stock(1).tips[number]
    node.dispatch(BestTipSet(tip.block, tip.summary.state_hash))


def test_both_sides_of_a_cut_notice_by_the_silence() -> None:
    """A cut kills the connection at both ends after the idle time, not before, and nothing can be dialled across it."""
    simulation, listener, dialer = pair()
    simulation.network.cut(listener.config.peer_id, dialer.config.peer_id, simulation.now)
    simulation.run(IDLE_TIMEOUT - SECOND)
    assert listener.ready_peers()
    assert dialer.ready_peers()
    simulation.run(2 * SECOND)
    assert told(listener, PeerDisconnected)[0].reason.code == ReasonCode.TRANSPORT_ERROR
    assert told(dialer, PeerDisconnected)[0].reason.code == ReasonCode.TRANSPORT_ERROR
    simulation.run(60 * SECOND)
    assert not dialer.ready_peers()
    simulation.network.heal()
    assert simulation.run(600 * SECOND, until=lambda: bool(dialer.ready_peers()))


def test_what_was_sent_into_a_short_cut_arrives_after_it() -> None:
    """Loss below the transport is delay: a cut that heals within the idle time ends nothing."""
    simulation, listener, dialer = pair()
    simulation.network.cut(listener.config.peer_id, dialer.config.peer_id, simulation.now)
    set_tip(listener)
    simulation.run(IDLE_TIMEOUT - SECOND)
    assert not told(dialer, BestTipReceived)
    simulation.network.heal()
    simulation.run(60 * SECOND)
    assert told(dialer, BestTipReceived)
    assert not told(listener, PeerDisconnected)


def test_a_one_way_cut_is_noticed_first_where_nothing_arrives() -> None:
    """Who hears nothing gives up after the idle time; the other still heard it until then, and gives up as much later."""
    simulation, listener, dialer = pair()
    simulation.network.block(listener.config.peer_id, dialer.config.peer_id, simulation.now)
    set_tip(dialer)
    simulation.run(SECOND)
    assert told(listener, BestTipReceived), "the other direction is open"
    simulation.run(IDLE_TIMEOUT)
    assert told(dialer, PeerDisconnected)
    assert not told(listener, PeerDisconnected)
    simulation.run(IDLE_TIMEOUT)
    assert told(listener, PeerDisconnected)


def test_a_half_open_connection_is_replaced_by_the_next_dial() -> None:
    """One side knows that the connection is gone; its new dial, later than that, gets through to the side that does not."""
    simulation, listener, dialer = pair()
    simulation.run(60 * SECOND)
    (end,) = dialer.port.ends.values()
    simulation.network.vanish(end, simulation.now, LOST)
    assert told(dialer, PeerDisconnected)
    assert listener.ready_peers()
    assert simulation.run(25 * SECOND, until=lambda: len(told(listener, PeerConnected)) == 2)
    assert told(listener, PeerDisconnected)[0].reason.code == ReasonCode.DUPLICATE_CONNECTION


def test_a_lost_connection_is_known_to_both_at_once() -> None:
    """`lose` tells both nodes, and each hears it once."""
    simulation, listener, dialer = pair()
    (end,) = listener.port.ends.values()
    simulation.network.lose(end)
    assert [len(told(node, PeerDisconnected)) for node in (listener, dialer)] == [1, 1]
    simulation.run(5 * SECOND)
    assert [len(told(node, PeerDisconnected)) for node in (listener, dialer)] == [1, 1]


def test_a_slow_reader_blocks_and_unblocks_its_peer() -> None:
    """Too much on its way to a slow reader is reported to the sender; so is that it has caught up; nothing is lost."""
    events: list[type[Any]] = []
    simulation, listener, dialer = pair(observers=(lambda _node: lambda action, *_: events.append(type(action)),))
    simulation.network.send_high_bytes = 10_000
    dialer.port.read_rate = 2_000
    set_tip(listener)
    simulation.run(SECOND)
    assert ChannelsSendBlocked in events
    assert ChannelsSendUnblocked not in events
    assert not told(dialer, BestTipReceived)
    simulation.run(20 * SECOND)
    assert ChannelsSendUnblocked in events
    assert told(dialer, BestTipReceived)


def test_bandwidth_is_shared_by_what_a_node_sends() -> None:
    """A block of 12 kB takes six seconds at 2 kB per second, and the one after it another six."""
    simulation, listener, dialer = pair()
    listener.port.write_rate = 2_000
    for number in (0, 1):
        set_tip(listener, number)
        began, arrived = simulation.now, number + 1
        assert simulation.run(10 * SECOND, until=partial(_has_tips, dialer, arrived))
        assert 6 * SECOND < simulation.now - began < 8 * SECOND


def test_names_are_resolved_by_the_network() -> None:
    """A name stands for its address; while it can not be resolved, the dial fails with that reason."""
    simulation = Simulation(7)
    listener, dialer = simulation.add(is_discovery_enabled=False), simulation.add(is_discovery_enabled=False)
    simulation.network.names["one.example"] = listener.port.address.host
    named = QuicAddress(listener.config.peer_id, Domain("one.example"), 8302)
    dialer.port.can_resolve = False
    dialer.dispatch(ConnectionOutgoingRequest(named, RequestId(1)))
    simulation.run(SECOND)
    assert told(dialer, ConnectionFailed)[0].reason.code == ReasonCode.ADDRESS_UNRESOLVED
    dialer.port.can_resolve = True
    simulation.run(60 * SECOND)
    assert told(dialer, PeerConnected)


def test_duplicated_events_change_nothing_where_they_are_stale() -> None:
    """With every event fed twice, nodes break no invariant, and a connection that is gone stays gone."""
    simulation, listener, dialer = pair()
    simulation.network.duplicates_per_mille = 1_000
    (end,) = listener.port.ends.values()
    simulation.network.lose(end)
    simulation.run(SECOND)
    assert [len(told(node, PeerDisconnected)) for node in (listener, dialer)] == [1, 1]
    assert listener.store.refused_by_kind[ConnectionClosed.__name__] == 1


def test_a_clock_that_jumps_makes_waits_due_at_once() -> None:
    """A question whose deadline lies within the jump fails without true time passing; the clock of the store never goes back."""
    simulation, listener, dialer = pair()
    listener.port.latency = 60 * SECOND
    dialer.dispatch(RpcRequestSend(dialer.connection_to(listener.config.peer_id), RequestId(9), BlockRequest(bytes(32))))
    dialer.jump_clock(60 * SECOND)
    simulation.run(MILLISECOND)
    assert told(dialer, PeerDisconnected)[0].reason.code == ReasonCode.RPC_TIMEOUT
    assert dialer.state.clock.now == simulation.now - MILLISECOND + 60 * SECOND
    dialer.dispatch(CheckTimeouts())


def test_a_crashed_node_takes_no_more_inputs() -> None:
    """What was on its way to it, and what it planned, comes to nothing; another can start at its address."""
    simulation, listener, dialer = pair()
    set_tip(dialer)
    listener.later(SECOND, CheckTimeouts())
    listener.crash()
    state = listener.state
    simulation.run(10 * SECOND)
    assert listener.state is state
    again = simulation.add(peer_id=listener.config.peer_id, address=listener.port.address)
    simulation.run(60 * SECOND)
    assert again.ready_peers() == [dialer.config.peer_id]


def test_a_clock_that_stands_still_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that is always due would keep a simulation busy for ever at one moment: it is reported instead."""
    simulation, *_ = pair()
    monkeypatch.setattr("mina_p2p.testing.clockwork.STEPS_AT_ONCE_MAX", 100)

    def again() -> None:
        simulation.after(0, again)

    again()
    with pytest.raises(InvariantViolationError, match="clock stands still"):
        simulation.run(SECOND)


def _noting(arrived: list[int], number: int) -> Callable[[Timestamp], None]:
    return lambda _at: arrived.append(number)


SENDINGS = st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from([0, 4, 8]), st.integers(0, 2_000)), min_size=2, max_size=30)


@given(SENDINGS, st.integers(0, 1_000), st.booleans(), st.sampled_from([0, 40_000]))
def test_streams_overtake_each_other_within_bounds(script: list[tuple[int, int, int]], seed: int, is_cut: bool, rate: int) -> None:
    """What travels on one stream keeps its order; nothing overtakes what was sent longer ago than the lag, through cuts and slow links too."""
    links = Links(seed, 20 * MILLISECOND, 25)
    ends = []
    for number in (1, 2):
        port = MemoryPort(links, PeerId(bytes([number]) * 32), SocketAddress(f"1.1.1.{number}", 1), lambda _event: None)
        port.stream_lag, port.write_rate = 500 * MILLISECOND, rate
        ends.append(End(port, None))
    ends[0].other, ends[1].other = ends[1], ends[0]
    sent: list[tuple[int, int]] = []
    arrived: list[int] = []
    if is_cut:
        links.block(ends[0].port.peer_id, ends[1].port.peer_id, Timestamp(0))
    now = 0
    for pause, stream, size in script:
        now += pause * MILLISECOND
        number = len(sent)
        sent.append((now, stream))
        links.carry(ends[0], Timestamp(now), size, _noting(arrived, number), StreamId(stream))
    if is_cut:
        links.unblock(ends[0].port.peer_id, ends[1].port.peer_id, Timestamp(now))
    while links.next_at() is not None:
        links.deliver_next()
    assert sorted(arrived) == list(range(len(sent)))
    place = {number: index for index, number in enumerate(arrived)}
    for later, (at, stream) in enumerate(sent):
        for earlier in range(later):
            is_same = sent[earlier][1] == stream
            if is_same or at - sent[earlier][0] >= SECOND:
                assert place[earlier] < place[later]


def test_streams_do_overtake_each_other() -> None:
    """The weather is what it says: of things sent at once on many streams, some come in another order."""
    simulation, listener, dialer = pair()
    end, other = next(iter(dialer.port.ends.values())), next(iter(listener.port.ends.values()))
    assert end.other is other
    arrived: list[int] = []
    for lag, is_reordered in ((0, False), (SECOND, True)):
        dialer.port.stream_lag = lag
        arrived.clear()
        for number in range(20):
            simulation.network.carry(end, simulation.now, 0, _noting(arrived, number), StreamId(4_000 + 4 * number))
        simulation.run(5 * SECOND)
        assert sorted(arrived) == list(range(20))
        assert (arrived != sorted(arrived)) == is_reordered
