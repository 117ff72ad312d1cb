"""Requests that overtake withdrawals and each other, on every channel that has one request open at a time.

The peer of these tests withdraws, waits, and asks again, as an honest one does; what it says arrives in any order that streams allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.lab import DISCOVERY, EXCHANGE, QUESTION, STREAMING, Lab, discovery, exchange, ledger
from channels.people import key
from channels.test_dialer import accepted, permitted, wanted
from channels.test_relay import introduce, offered
from mina_p2p.channels.conversations import CONVERSATIONS
from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.channels.signaling_discovery.messages import DISCOVERY_MESSAGE, DiscoveryAnswer, DiscoveryDiscover, DiscoveryGetNext
from mina_p2p.channels.signaling_discovery.state import RemoteDiscoveryRequested, RemoteRequested, TargetLost
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeGetNext
from mina_p2p.channels.signaling_exchange.state import RemoteRequested as Available
from mina_p2p.channels.streaming_rpc.actions import ChannelsStreamingRpcResponseSendInit
from mina_p2p.channels.streaming_rpc.messages import STREAMING_RPC_MESSAGE, StreamingRpcRequestMessage
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.notifications import StreamingRpcRequested
from mina_p2p.signaling.effects import SignalingFailed
from mina_p2p.transport import ChannelsEffectfulStreamReset, ChannelsStreamReset

REQUESTS: dict[ChannelId, bytes] = {
    **{channel: kind.encode_get_next(1) for channel, kind in KINDS.items()},
    DISCOVERY: DISCOVERY_MESSAGE.encode(DiscoveryGetNext()),
    EXCHANGE: EXCHANGE_MESSAGE.encode(ExchangeGetNext()),
    STREAMING: STREAMING_RPC_MESSAGE.encode(StreamingRpcRequestMessage(7, QUESTION)),
}
"""A request that a peer can make at any time, by channel."""


def remote(lab: Lab, cid: ConnectionId, channel: ChannelId) -> Any:
    """What the peer asked us for."""
    channels = lab.state.channels.table[cid]
    if channel in CONVERSATIONS:
        return CONVERSATIONS[channel].remote(channels)
    machine = channels.propagation(channel)
    assert machine is not None
    return machine.remote


def resets(lab: Lab) -> list[StreamId]:
    """Streams that we gave up by the last input."""
    return [effect.stream for effect in lab.of(ChannelsEffectfulStreamReset)]


@pytest.mark.parametrize("channel", REQUESTS)
def test_a_request_that_overtakes_a_withdrawal_takes_the_place_of_the_withdrawn(channel: ChannelId) -> None:
    """The stream before it is given up, and nobody is accused; the withdrawal finds nothing left to do."""
    lab = Lab()
    cid = lab.accept(1)
    first, second = lab.peer_stream(cid), lab.peer_stream(cid)
    lab.frame(cid, channel, first, REQUESTS[channel])
    lab.frame(cid, channel, second, REQUESTS[channel])
    assert resets(lab) == [first]
    assert remote(lab, cid, channel).stream == second
    before = lab.state
    lab.reset(cid, channel, first)
    assert lab.effects == []
    assert lab.state.replace(clock=before.clock) == before


@pytest.mark.parametrize("channel", REQUESTS)
def test_a_request_that_comes_after_a_later_one_is_void(channel: ChannelId) -> None:
    """It was withdrawn before the later one was made: its stream is given up, and nothing else happens."""
    lab = Lab()
    cid = lab.accept(1)
    first, second = lab.peer_stream(cid), lab.peer_stream(cid)
    lab.frame(cid, channel, second, REQUESTS[channel])
    before = lab.state
    lab.frame(cid, channel, first, REQUESTS[channel])
    assert lab.effects == [ChannelsEffectfulStreamReset(cid, first, StreamResetCode.CANCELLED)]
    assert lab.state.channels == before.channels


@pytest.mark.parametrize("channel", REQUESTS)
def test_a_second_request_on_one_stream_is_a_violation(channel: ChannelId) -> None:
    """Which is all that a transport without streams can show."""
    lab = Lab()
    cid = lab.accept(1)
    stream = lab.peer_stream(cid)
    lab.frame(cid, channel, stream, REQUESTS[channel])
    lab.frame(cid, channel, stream, REQUESTS[channel])
    code = ReasonCode.CHANNEL_MSG_UNEXPECTED if channel in KINDS else ReasonCode.CHANNEL_MSG_OVER_PERMISSION
    lab.violates(cid, code, channel)


def test_an_answered_question_is_no_longer_open() -> None:
    """What comes on an earlier stream than the answered one is void; on a later one it is the next question."""
    lab = Lab()
    cid = lab.accept(1)
    late, answered, after = lab.peer_stream(cid), lab.peer_stream(cid), lab.peer_stream(cid)
    lab.frame(cid, STREAMING, answered, REQUESTS[STREAMING])
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, None))
    lab.frame(cid, STREAMING, late, REQUESTS[STREAMING])
    assert resets(lab) == [late]
    lab.frame(cid, STREAMING, after, REQUESTS[STREAMING])
    assert (resets(lab), len(lab.of(StreamingRpcRequested))) == ([], 1)


def test_a_question_gives_its_turn_back_when_another_takes_its_place() -> None:
    """Answers that are prepared are counted; the node software's answer to the withdrawn question reaches nobody."""
    lab = Lab()
    cid = lab.accept(1)
    first = lab.ask(cid)
    second = lab.ask(cid, 1)
    assert resets(lab) == [first]
    assert [asked.serial for asked in lab.of(StreamingRpcRequested)] == [1]
    assert lab.state.channels.servings.active_count == 1
    before = lab.state
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger()))
    assert lab.state is before
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 1, ledger()))
    assert remote(lab, cid, STREAMING).stream == second


@pytest.mark.parametrize("begin", [permitted, wanted, accepted])
def test_a_dialer_drops_an_introduction_whose_relay_permits_anew(begin: Callable[[Lab], tuple[ConnectionId, StreamId]]) -> None:
    """At every stage; whoever makes connections is told if it was at it, and the new permission is used."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = begin(lab)
    later = lab.peer_stream(cid)
    lab.discovery(cid, later, DiscoveryGetNext())
    assert resets(lab) == [stream]
    assert [(failed.stream, failed.peer_id) for failed in lab.of(SignalingFailed)] == ([] if begin is permitted else [(stream, key(2))])
    assert lab.said() == ["reset", DiscoveryDiscover()]
    half = discovery(lab, cid).remote
    assert isinstance(half, RemoteDiscoveryRequested)
    assert half.stream == later


def test_a_dialer_without_need_keeps_the_new_permission() -> None:
    """As it kept the old one."""
    lab = Lab()
    cid, stream = permitted(lab)
    later = lab.peer_stream(cid)
    lab.discovery(cid, later, DiscoveryGetNext())
    assert lab.said() == ["reset"]
    half = discovery(lab, cid).remote
    assert isinstance(half, RemoteRequested)
    assert (resets(lab), half.stream) == ([stream], later)


def test_a_target_that_permits_anew_is_lost_to_its_requester() -> None:
    """A proposal is void, an offer is answered with nothing; then it is available, and nobody is promised to two."""
    lab = Lab()
    a, _, b, to_b = introduce(lab)
    later = lab.peer_stream(b)
    lab.exchange(b, later, ExchangeGetNext())
    assert resets(lab) == [to_b]
    assert exchange(lab, b).remote == Available(later)
    assert isinstance(discovery(lab, a).local, TargetLost)
    lab = Lab()
    a, _, b, to_b = offered(lab)
    later = lab.peer_stream(b)
    lab.exchange(b, later, ExchangeGetNext())
    assert lab.said() == ["reset", DiscoveryAnswer(None), "end"]
    assert resets(lab) == [to_b]
    assert exchange(lab, b).remote == Available(later)


def test_an_empty_permission_is_a_violation_on_a_later_stream_too() -> None:
    """What is wrong by itself is not excused by its place."""
    lab = Lab()
    cid = lab.accept(1)
    lab.frame(cid, ChannelId.TRANSACTION, lab.peer_stream(cid), KINDS[ChannelId.TRANSACTION].encode_get_next(1))
    lab.frame(cid, ChannelId.TRANSACTION, lab.peer_stream(cid), KINDS[ChannelId.TRANSACTION].encode_get_next(0))
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, ChannelId.TRANSACTION)


@given(channel=st.sampled_from(sorted(REQUESTS)), ranks=st.lists(st.integers(0, 20), min_size=12, max_size=12))
def test_whatever_order_streams_arrive_in_the_last_request_counts(channel: ChannelId, ranks: list[int]) -> None:
    """Six requests of which all but the last are withdrawn: nobody is accused, one at most is open at any time, and in the end it is the last.

    What one stream carries keeps its order, and of a stream that we gave up nothing comes any more, as transports promise.
    """
    lab = Lab()
    cid = lab.accept(1)
    streams = [lab.peer_stream(cid) for _ in range(6)]
    arrivals: list[tuple[int, StreamId, bool]] = []
    for turn, stream in enumerate(streams):
        asked, withdrawn = ranks[2 * turn], ranks[2 * turn] + ranks[2 * turn + 1]
        arrivals.append((asked, stream, True))
        if stream != streams[-1]:
            arrivals.append((withdrawn, stream, False))
    gone: set[StreamId] = set()
    for _, stream, is_request in sorted(arrivals, key=lambda arrival: arrival[0]):
        if stream in gone:
            continue
        if is_request:
            lab.frame(cid, channel, stream, REQUESTS[channel])
        else:
            lab.feed(ChannelsStreamReset(cid, channel, stream, StreamResetCode.CANCELLED))
            gone.add(stream)
        gone.update(resets(lab))
        assert cid in lab.state.channels.table
    assert gone == set(streams[:-1])
    assert remote(lab, cid, channel).stream == streams[-1]
