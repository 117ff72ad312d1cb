"""Connections: how they begin, the hello, how they end; peers are played by the test."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.channels.best_tip.messages import BEST_TIP_MESSAGE, BestTipGetNext
from mina_p2p.config import Limits, Timeouts
from mina_p2p.connection.hello import HELLO
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.connection.state import OutgoingFinalizePending, OutgoingInit, Ready
from mina_p2p.disconnection.actions import DisconnectionInit, Shutdown
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId
from mina_p2p.notifications import ConnectionFailed, PeerConnected, PeerDisconnected
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.state import Attached, BackingOff, PeerSource
from mina_p2p.testing.sim import Simulation
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsStreamEnded,
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEffectfulReject,
    ConnectionHelloReceived,
    DisconnectionEffectfulInit,
)
from slices.lab import ME, Lab, address, hello, peer_id


def test_a_dial_becomes_a_connection() -> None:
    """Dial, handshake, our hello, theirs: then channels open and the node software is told, once."""
    lab = Lab()
    connection_id = lab.dial(1, request_id=5)
    assert lab.of(ConnectionEffectfulDial) == [ConnectionEffectfulDial(connection_id, address(1))]
    lab.establish(connection_id, 1)
    assert [type(effect) for effect in lab.effects] == [ConnectionEffectfulHelloSend]
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    assert lab.of(ConnectionEffectfulOpen) == [ConnectionEffectfulOpen(connection_id, lab.state.config.limits.peer_streams_max)]
    (connected,) = lab.of(PeerConnected)
    assert (connected.peer_id, connected.is_incoming, connected.request_id) == (peer_id(1), False, RequestId(5))
    assert {effect.channel for effect in lab.of(ChannelsEffectfulRequestSend)} == {3, 4, 5, 6}


def test_an_arrival_becomes_a_connection() -> None:
    """Accepted, their hello, then ours, before anything else leaves."""
    lab = Lab()
    connection_id = lab.arrive(1)
    assert connection_id is not None
    assert [type(effect) for effect in lab.effects] == [ConnectionEffectfulAccept]
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    assert [type(effect) for effect in lab.effects][:3] == [ConnectionEffectfulHelloSend, ConnectionEffectfulOpen, PeerConnected]


def test_channels_are_those_that_both_sides_serve() -> None:
    """What the other does not serve is not asked for; numbers nobody knows are allowed."""
    lab = Lab()
    connection_id = lab.accept(1, channels=(3, 7, 63))
    ready = lab.state.connections.ready(connection_id)
    assert ready is not None
    assert ready.channels == (ChannelId.BEST_TIP, ChannelId.RPC)
    assert [effect.channel for effect in lab.of(ChannelsEffectfulRequestSend)] == [ChannelId.BEST_TIP]


def test_announcements_that_can_not_be_fetched_are_not_asked_for() -> None:
    """Without the channel for questions only what is announced whole is asked for."""
    lab = Lab()
    lab.accept(1, channels=(3, 4, 5, 6))
    assert [e.channel for e in lab.of(ChannelsEffectfulRequestSend)] == [ChannelId.BEST_TIP, ChannelId.SNARK_JOB_COMMITMENT]


# --- the hello --------------------------------------------------------------------------------

BAD_HELLOS = {
    "another chain": (hello(chain_id=bytes(32)), ReasonCode.CHAIN_ID_MISMATCH),
    "newer versions only": (hello(lowest_version=2, highest_version=9), ReasonCode.PROTOCOL_VERSION_MISMATCH),
    "older versions only": (hello(lowest_version=0, highest_version=0), ReasonCode.PROTOCOL_VERSION_MISMATCH),
    "no version at all": (hello(lowest_version=5, highest_version=1), ReasonCode.PROTOCOL_VERSION_MISMATCH),
    "nothing": (b"", ReasonCode.HELLO_INVALID),
    "garbage": (b"\xff" * 50, ReasonCode.HELLO_INVALID),
    "cut short": (hello()[:-1], ReasonCode.HELLO_INVALID),
    "something behind it": (hello() + b"\0", ReasonCode.HELLO_INVALID),
    "more than the limit": (hello() + bytes(5_000), ReasonCode.HELLO_INVALID),
    "too many channels": (b"\x01\x01" + bytes(32) + b"\x41" + bytes(65), ReasonCode.HELLO_INVALID),
    "a channel count like the sea": (b"\x01\x01" + bytes(32) + b"\xfc" + b"\xff" * 8, ReasonCode.HELLO_INVALID),
}


@pytest.mark.parametrize("name", BAD_HELLOS)
@pytest.mark.parametrize("is_incoming", [True, False], ids=["from a dialer", "from a listener"])
def test_a_bad_hello_ends_the_attempt(name: str, is_incoming: bool) -> None:
    """The peer is told why; the node software hears of a failed attempt; another connection does not notice."""
    frame, code = BAD_HELLOS[name]
    lab = Lab()
    other = lab.accept(2)
    before = lab.state.channels.table[other]
    connection_id = lab.arrive(1) if is_incoming else lab.dial(1)
    assert connection_id is not None
    if not is_incoming:
        lab.establish(connection_id, 1)
    lab.feed(ConnectionHelloReceived(connection_id, frame))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is code
    assert lab.ended(connection_id) == reason
    assert connection_id not in lab.state.connections.table
    assert lab.state.channels.table[other] is before


def test_a_hello_may_come_once_and_in_turn() -> None:
    """A second hello, and one before the handshake's end, are violations."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    said = lab.goodbye(connection_id)
    assert said is not None
    assert said.code is ReasonCode.STREAM_MISUSE
    early = lab.dial(2)
    lab.feed(ConnectionHelloReceived(early, hello()))
    said = lab.goodbye(early)
    assert said is not None
    assert said.code is ReasonCode.STREAM_MISUSE


def test_no_hello_in_time() -> None:
    """A peer that says nothing is dropped after the hello's time, on both sides."""
    lab = Lab()
    silent = lab.arrive(1)
    dialled = lab.dial(2)
    lab.establish(dialled, 2)
    lab.wait(Timeouts().hello - 1)
    assert len(lab.state.connections) == 2
    lab.wait(Timeouts().granularity)
    assert len(lab.state.connections) == 0
    for connection_id in (silent, dialled):
        assert connection_id is not None
        assert lab.ended(connection_id) == Reason(ReasonCode.CONNECTION_TIMEOUT)
        assert lab.goodbye(connection_id) == Reason(ReasonCode.CONNECTION_TIMEOUT)


@pytest.mark.parametrize("channel", [ChannelId.BEST_TIP, ChannelId.RPC])
def test_frames_before_the_hello_end_the_attempt(channel: ChannelId) -> None:
    """Nothing but the hello may travel first."""
    lab = Lab()
    connection_id = lab.arrive(1)
    assert connection_id is not None
    lab.frame(connection_id, channel, StreamId(4), BEST_TIP_MESSAGE.encode(BestTipGetNext()))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert (reason.code, reason.channel) == (ReasonCode.CHANNEL_MSG_UNEXPECTED, channel)


def test_capabilities_and_agent_are_what_the_peer_said() -> None:
    """Unknown capabilities are kept; the agent's text reaches the node software."""
    lab = Lab()
    connection_id = lab.accept(1, capabilities=("x", "y"), agent="somebody")
    ready = lab.state.connections.ready(connection_id)
    assert ready is not None
    assert (ready.capabilities, ready.agent) == (("x", "y"), "somebody")
    assert lab.of(PeerConnected)[0].agent == "somebody"


def test_our_hello_is_within_its_own_limit() -> None:
    """What we send is what we would accept."""
    lab = Lab()
    lab.accept(1)
    frame = next(effect.frame for effect in lab.all if isinstance(effect, ConnectionEffectfulHelloSend))
    assert len(frame) <= lab.state.config.limits.hello_bytes_max
    assert HELLO.decode(frame).channels == tuple(sorted(lab.state.config.channels))


# --- attempts that fail -----------------------------------------------------------------------


def test_each_state_of_an_attempt_has_its_deadline_and_the_attempt_has_one_of_its_own() -> None:
    """Dialling takes at most so long; a handshake that ends at the last moment does not start the clock anew."""
    timeouts = Timeouts(outgoing_connection=20 * SECOND, hello=25 * SECOND, attempt=30 * SECOND)
    lab = Lab(timeouts=timeouts)
    connection_id = lab.dial(1)
    lab.wait(19 * SECOND)
    lab.establish(connection_id, 1)
    assert lab.state.connections.table[connection_id].deadline == lab.now + 11 * SECOND
    lab.wait(11 * SECOND)
    assert lab.ended(connection_id) == Reason(ReasonCode.CONNECTION_TIMEOUT)


def test_a_dial_that_takes_too_long() -> None:
    """The transport is told to forget it."""
    lab = Lab()
    connection_id = lab.dial(1, request_id=9)
    lab.wait(Timeouts().outgoing_connection)
    assert lab.of(DisconnectionEffectfulInit) == [DisconnectionEffectfulInit(connection_id, Reason(ReasonCode.CONNECTION_TIMEOUT))]
    (failed,) = lab.of(ConnectionFailed)
    assert (failed.request_id, failed.address) == (RequestId(9), address(1))


def test_another_peer_at_the_address() -> None:
    """The certified id decides: whoever answers is not taken for the one that was dialled, who is not blamed either."""
    lab = Lab()
    connection_id = lab.dial(1)
    lab.establish(connection_id, 2)
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH
    assert isinstance(lab.peer(1).status, BackingOff)
    assert lab.state.peers.find(peer_id(2)) is None


REFUSED_DIALS: dict[str, tuple[Any, ReasonCode]] = {
    "ourselves": (address(ME), ReasonCode.CONNECTING_TO_SELF),
    "connected": (address(1), ReasonCode.ALREADY_CONNECTED),
    "banned": (address(2), ReasonCode.PEER_BANNED),
    "full": (address(5), ReasonCode.PEER_CAPACITY_FULL),
}


@pytest.mark.parametrize("name", REFUSED_DIALS)
def test_a_dial_that_is_refused_is_answered_at_once(name: str) -> None:
    """The node software's wish has an answer with its id, whatever comes of it."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=1))
    banned = lab.accept(2)
    lab.feed(ConnectionHelloReceived(banned, hello()))
    lab.accept(1)
    if name == "full":
        lab.accept(3)
    wanted, code = REFUSED_DIALS[name]
    lab.feed(ConnectionOutgoingRequest(wanted, RequestId(3)))
    (failed,) = lab.of(ConnectionFailed)
    assert (failed.connection_id, failed.request_id, failed.reason.code) == (None, RequestId(3), code)
    assert not lab.of(ConnectionEffectfulDial)


def test_limits_count_attempts() -> None:
    """Three that only connect fill a node for three; a fourth is told so, and takes their place when they fail."""
    lab = Lab(limits=Limits(peers_max=3, peers_min=1))
    attempts = [lab.arrive(1), lab.arrive(2), lab.dial(3)]
    assert lab.arrive(4) is None
    assert lab.of(ConnectionEffectfulReject)[0].reason == Reason(ReasonCode.PEER_CAPACITY_FULL)
    lab.wait(Timeouts().hello + SECOND)
    assert lab.arrive(4) is not None
    assert attempts[2] in lab.state.connections.table


# --- the end ----------------------------------------------------------------------------------


def test_a_goodbye_tells_the_reason() -> None:
    """What the node software gives as reason is what the peer is told, and what it hears itself."""
    lab = Lab()
    connection_id = lab.accept(1)
    why = Reason(ReasonCode.USER_REQUEST, detail="enough")
    lab.feed(DisconnectionInit(connection_id, why))
    assert lab.goodbye(connection_id) == why
    assert lab.of(PeerDisconnected) == [PeerDisconnected(connection_id, peer_id(1), why, False)]


def test_the_peers_goodbye() -> None:
    """What a peer accuses us of ends the connection and bans nobody."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.close(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, by_peer=True)
    assert not lab.of(DisconnectionEffectfulInit)
    assert lab.of(PeerDisconnected)[0].by_peer
    assert isinstance(lab.peer(1).status, BackingOff)


def test_events_of_a_connection_that_is_gone_change_nothing() -> None:
    """Not even when the same peer has a new one (N1)."""
    lab = Lab()
    old = lab.accept(1)
    lab.close(old)
    new = lab.accept(1)
    before = lab.state
    frame = BEST_TIP_MESSAGE.encode(BestTipGetNext())
    late: list[Any] = [
        ConnectionClosed(old, Reason(ReasonCode.TRANSPORT_ERROR), False),
        ConnectionHelloReceived(old, hello()),
        ChannelsMessageReceived(old, ChannelId.BEST_TIP, StreamId(4), frame),
        ChannelsStreamEnded(old, ChannelId.BEST_TIP, StreamId(1)),
        ChannelsSendBlocked(old),
    ]
    for event in late:
        lab.feed(event)
        assert lab.state is before
        assert not lab.effects
    assert lab.peer(1).status == Attached(new)


def test_a_node_that_stops_says_goodbye_to_all() -> None:
    """Connections and attempts end; from then on nobody is dialled or accepted."""
    lab = Lab(limits=Limits(peers_min=10))
    ids = [lab.accept(1), lab.arrive(2), lab.dial(3)]
    lab.feed(PeerDiscovered(address(4), PeerSource.USER, None))
    lab.feed(Shutdown())
    assert {e.connection_id: e.reason.code for e in lab.of(DisconnectionEffectfulInit)} == dict.fromkeys(ids, ReasonCode.SHUTDOWN)
    assert len(lab.state.connections) == 0
    lab.wait(3_600 * SECOND)
    assert not lab.effects
    assert lab.arrive(5) is None
    assert lab.of(ConnectionEffectfulReject)[0].reason.code is ReasonCode.SHUTDOWN
    lab.feed(ConnectionOutgoingRequest(address(6), RequestId(1)))
    assert lab.of(ConnectionFailed)[0].reason.code is ReasonCode.SHUTDOWN


# --- with real nodes --------------------------------------------------------------------------


def test_two_nodes_connect_and_learn_why_the_other_left() -> None:
    """The reason travels."""
    simulation = Simulation(1)
    listener = simulation.add()
    dialer = simulation.add(initial_peers=(listener.port.dial_address,))
    assert simulation.run(SECOND, until=lambda: bool(dialer.ready_peers() and listener.ready_peers()))
    dialer.dispatch(DisconnectionInit(dialer.connection_to(listener.config.peer_id), Reason(ReasonCode.FREE_UP_SPACE, detail="bye")))
    simulation.run(SECOND)
    (told,) = [n for n in listener.notifications if isinstance(n, PeerDisconnected)]
    assert (told.reason, told.by_peer) == (Reason(ReasonCode.FREE_UP_SPACE, detail="bye"), True)


def test_a_node_of_another_chain_is_told_so() -> None:
    """Neither becomes ready; both know why; the dialer waits long before it tries again."""
    simulation = Simulation(1)
    listener = simulation.add()
    dialer = simulation.add(initial_peers=(listener.port.dial_address,), chain_id=type(listener.config.chain_id)(bytes(32)))
    simulation.run(2 * SECOND)
    for node in (listener, dialer):
        failures = [n.reason.code for n in node.notifications if isinstance(n, ConnectionFailed)]
        assert failures == [ReasonCode.CHAIN_ID_MISMATCH]
    (record,) = dialer.state.peers.table.values()
    assert isinstance(record.status, BackingOff)
    assert record.status.until - simulation.now > 390 * SECOND


def test_reconnect_after_a_crash_without_a_word() -> None:
    """A node that comes back under the same id is taken again, although its old connection still seems alive here."""
    simulation = Simulation(1)
    listener = simulation.add()
    dialer = simulation.add(initial_peers=(listener.port.dial_address,))
    assert simulation.run(SECOND, until=lambda: bool(dialer.ready_peers() and listener.ready_peers()))
    simulation.network.detach(dialer.port, simulation.now)
    again = simulation.add(peer_id=dialer.config.peer_id, initial_peers=(listener.port.dial_address,))
    assert simulation.run(120 * SECOND, until=lambda: bool(again.ready_peers()) and listener.ready_peers() == [again.config.peer_id])


def test_the_states_of_a_dial_in_order() -> None:
    """Init, then the peer's hello is awaited, then ready."""
    lab = Lab()
    connection_id: ConnectionId = lab.dial(1, to=QuicAddress(peer_id(1), Ipv4.of(9, 9, 9, 9), 1))
    seen = [lab.state.connections.table[connection_id].status]
    lab.establish(connection_id, 1)
    seen.append(lab.state.connections.table[connection_id].status)
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    seen.append(lab.state.connections.table[connection_id].status)
    assert [type(status) for status in seen] == [OutgoingInit, OutgoingFinalizePending, Ready]
    assert lab.peer(1).is_address_proven
