"""Conversations: streams on which both sides speak in turns, and each turn has its own permission."""

from __future__ import annotations

import asyncio

import pytest

from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import (
    CONVERSATION_CHANNELS,
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionHelloReceived,
)
from mina_p2p_effects.transports.quic.config import QuicConfig
from quic.nodes import Node
from quic.pairs import attacked, connected

CHANNEL = ChannelId.STREAMING_RPC
ASKED = StreamId(4)
LARGEST = QuicConfig().request_bytes_max
OTHER_CHANNELS = sorted(set(ChannelId) - CONVERSATION_CHANNELS)


def frames(end):
    return [event.frame for event in end.heard(ChannelsMessageReceived)]


def ask(dialing, frame=b"first", permitted=1000, frame_max=100, *, channel=CHANNEL, ends=False):
    dialing.connection.request(channel, ASKED, frame, permitted, frame_max, ends=ends)


def speaking(permitted=1000, frame_max=100, dialer_config=None, listener_config=None):
    """A pair whose first frame has arrived."""
    world, dialing, listening = connected(dialer_config, listener_config)
    ask(dialing, permitted=permitted, frame_max=frame_max)
    world.run(lambda: frames(listening) == [b"first"])
    return world, dialing, listening


def answered_bytes(listening):
    """How far the answerer could send."""
    return listening.connection.quic._streams[ASKED].sender.highest_offset


def is_gone(*ends):
    return not any(end.connection.quic.has_stream(ASKED) for end in ends)


# --- turns


@pytest.mark.parametrize("channel", sorted(CONVERSATION_CHANNELS))
def test_several_turns_and_both_ends(channel):
    """Each further frame is a message on the same stream; the asker's end and the answer's end are events of their own."""
    world, dialing, listening = connected()
    ask(dialing, b"turn 0", channel=channel)
    for turn in range(5):
        world.run(lambda: len(frames(listening)) == turn + 1)  # noqa: B023 - called within the turn
        listening.connection.answer(ASKED, (b"answer %d" % turn, b""), ends=False)
        world.run(lambda: len(frames(dialing)) == 2 * turn + 2)  # noqa: B023
        dialing.connection.request_continue(ASKED, b"turn %d" % (turn + 1), 100, 50, ends=turn == 4)
    world.run(lambda: bool(listening.heard(ChannelsStreamEnded)))
    assert listening.heard(ChannelsStreamEnded) == [ChannelsStreamEnded(listening.connection.connection_id, channel, ASKED)]
    assert frames(listening) == [b"turn %d" % turn for turn in range(6)]
    listening.connection.answer(ASKED, (b"bye",), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert dialing.heard(ChannelsStreamEnded) == [ChannelsStreamEnded(dialing.connection.connection_id, channel, ASKED)]
    assert frames(dialing)[-1] == b"bye"
    world.quiet()
    assert is_gone(dialing, listening)
    assert dialing.closed_by is listening.closed_by is None


@pytest.mark.parametrize("channel", ChannelId)
def test_the_end_of_the_only_frame_is_an_event_where_there_are_conversations(channel):
    """On other channels one frame is all there is, and its end says nothing."""
    world, dialing, listening = connected()
    ask(dialing, channel=channel, ends=True)
    world.quiet()
    assert frames(listening) == [b"first"]
    assert len(listening.heard(ChannelsStreamEnded)) == (channel in CONVERSATION_CHANNELS)


@pytest.mark.parametrize("lost", range(10))
def test_any_one_datagram_may_be_lost(lost):
    """Three turns with answers complete, in order, whichever datagram is lost."""
    world, dialing, listening = speaking()
    before = sum(world.carried)
    world.passes = lambda sender, data: sum(world.carried) != before + lost + 1
    for turn in range(3):
        listening.connection.answer(ASKED, (b"x" * 90,), ends=turn == 2)
        world.run(lambda: len(frames(dialing)) == turn + 1)  # noqa: B023 - called within the turn
        if turn < 2:
            dialing.connection.request_continue(ASKED, b"next", 94, 90, ends=turn == 1)
            world.run(lambda: len(frames(listening)) == turn + 2)  # noqa: B023
    world.quiet(5)
    assert (len(listening.heard(ChannelsStreamEnded)), len(dialing.heard(ChannelsStreamEnded))) == (1, 1)
    assert is_gone(dialing, listening)


def test_a_long_answer_in_a_turn():
    """4 MB in the second turn flow under the window; the third turn's permission is exact again."""
    world, dialing, listening = speaking(permitted=14, frame_max=10)
    listening.connection.answer(ASKED, (b"x" * 10,), ends=False)
    world.run(lambda: frames(dialing) == [b"x" * 10])
    parts = tuple(bytes([n]) * 1_000_000 for n in range(4))
    dialing.connection.request_continue(ASKED, b"all", 4_000_016, 1_000_000, ends=False)
    world.run(lambda: len(frames(listening)) == 2)
    listening.connection.answer(ASKED, parts, ends=False)
    worst = 0

    def done():
        nonlocal worst
        worst = max(worst, dialing.connection._credits.outstanding)
        return len(frames(dialing)) == 5

    world.run(done)
    assert tuple(frames(dialing)[1:]) == parts
    assert worst <= QuicConfig().answer_window_bytes
    dialing.connection.request_continue(ASKED, b"more", 20, 16, ends=True)
    listening.connection.answer(ASKED, (b"x" * 16, b"surplus"), ends=False)
    world.quiet(2)
    assert answered_bytes(listening) == 14 + 4_000_016 + 20
    assert frames(dialing)[5:] == [b"x" * 16]
    assert dialing.closed_by is None


# --- credit of the answers


def test_credit_is_exact_in_each_turn():
    """What a turn permits is all that can be sent in it, to the byte, turn by turn."""
    world, dialing, listening = speaking(permitted=24, frame_max=20)
    total = 24
    listening.connection.answer(ASKED, (b"x" * 20, *([b"y" * 6] * 50)), ends=False)  # 10 bytes a frame, all at once
    world.quiet(2)
    assert answered_bytes(listening) == total
    for turn in range(1, 6):
        dialing.connection.request_continue(ASKED, b"next", 10 * turn, 20, ends=False)
        world.quiet(2)
        total += 10 * turn
        assert answered_bytes(listening) == total
        assert len(frames(dialing)) == 1 + (total - 24) // 10
    assert dialing.closed_by is None


def test_what_a_turn_left_is_not_added_to_the_next():
    """Of 1000 permitted bytes 14 are used; the next turn permits 2000: 2000 come from there on, not 2986."""
    world, dialing, listening = speaking(permitted=1000)
    listening.connection.answer(ASKED, (b"x" * 10,), ends=False)
    world.quiet()
    dialing.connection.request_continue(ASKED, b"next", 2000, 100, ends=False)
    listening.connection.answer(ASKED, (b"y" * 96,) * 50, ends=False)
    world.quiet(2)
    assert answered_bytes(listening) == 14 + 2000
    assert frames(dialing) == [b"x" * 10, *[b"y" * 96] * 20]
    assert dialing.closed_by is None


def test_using_what_an_earlier_turn_left_ends_the_connection():
    """1000 bytes are open and stay so; a turn that permits 30 gets 30: frames within are delivered, the rest is a violation."""
    world, dialing, listening = speaking(permitted=1000)
    dialing.connection.request_continue(ASKED, b"next", 30, 100, ends=False)
    world.quiet()
    listening.connection.answer(ASKED, (b"x" * 10, b"y" * 12, b"z"), ends=False)
    world.run(lambda: dialing.closed_by is not None and listening.closed_by is not None)
    reason, by_peer = dialing.closed_by
    assert (reason.code, reason.channel, by_peer) == (ReasonCode.CHANNEL_MSG_OVER_PERMISSION, CHANNEL, False)
    assert frames(dialing) == [b"x" * 10, b"y" * 12]
    assert listening.closed_by[0].code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION


def test_a_turn_may_permit_an_end_only():
    """Nothing more may be said, and the peer ends its half: that uses no permission, though credit is left."""
    world, dialing, listening = speaking(permitted=1000)
    dialing.connection.request_continue(ASKED, b"enough", 0, 0, ends=True)
    world.quiet()
    listening.connection.answer(ASKED, (), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert dialing.closed_by is None
    assert dialing.connection._credits.outstanding == 0


def test_the_frame_limit_is_the_turns():
    """A frame over the limit of its turn ends the connection, although an earlier turn allowed it."""
    world, dialing, listening = speaking(permitted=1000, frame_max=500)
    dialing.connection.request_continue(ASKED, b"next", 1000, 10, ends=False)
    world.quiet()
    listening.connection.answer(ASKED, (b"x" * 10, b"y" * 11), ends=False)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.CHANNEL_MSG_TOO_LARGE
    assert frames(dialing) == [b"x" * 10]


@pytest.mark.parametrize(("permitted", "is_over"), [(24, False), (23, True)])
def test_a_part_of_a_frame_that_came_before_the_turn_counts_in_it(permitted, is_over):
    """20 bytes of payload whose first half came before: the frame is whole in this turn, and uses 24 of its bytes."""
    world, attacker, listening = attacked()
    listening.connection.request(CHANNEL, StreamId(1), b"first", 1000, 100, ends=False)
    world.quiet()
    attacker.send_stream(1, 0, b"\x00\x00\x00\x14" + b"x" * 10, world.now)
    world.quiet()
    listening.connection.request_continue(StreamId(1), b"next", permitted, 100, ends=False)
    attacker.send_stream(1, 14, b"x" * 10, world.now)
    world.quiet()
    assert (listening.closed_by is not None) == is_over
    assert frames(listening) == ([] if is_over else [b"x" * 20])


@pytest.mark.parametrize(("permitted", "is_over"), [(10, False), (9, True)])
def test_what_had_come_and_was_not_delivered_counts_in_the_turn(permitted, is_over):
    """Of two frames that came together the reducer answers the first with a turn: the second is of that turn, or over it."""
    world, dialing, listening = speaking()
    dialing.agrees = False  # the events are taken by hand
    react, dialing.react = dialing.react, lambda: None
    listening.connection.answer(ASKED, (b"x", b"y" * 6), ends=False)
    world.run(lambda: len(dialing.connection.events) == 2)
    assert dialing.connection.events.popleft().frame == b"x"
    dialing.connection.request_continue(ASKED, b"next", permitted, 100, ends=False)
    dialing.react = react
    dialing.react()
    assert frames(dialing) == ([] if is_over else [b"y" * 6])
    assert (dialing.closed_by is not None) == is_over
    if is_over:
        assert dialing.closed_by[0].code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION
    else:
        listening.connection.answer(ASKED, (b"",), ends=False)  # 4 bytes that nobody permitted any more
        world.run(lambda: dialing.closed_by is not None)
        assert dialing.closed_by[0].code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION


@pytest.mark.parametrize("over", [20, 100_000])
def test_an_answer_beyond_the_credit_of_its_turn_is_never_taken(over):
    """Where no credit was left QUIC's own limit holds: one byte too many is FLOW_CONTROL_ERROR, wherever it lies."""
    world, attacker, listening = attacked()
    listening.connection.request(CHANNEL, StreamId(1), b"first", 10, 10, ends=False)
    world.quiet()
    listening.connection.request_continue(StreamId(1), b"next", 20, 16, ends=False)
    world.quiet()
    attacker.send_stream(1, over, b"x", world.now)
    world.run(lambda: listening.closed_by is not None)
    assert listening.closed_by[0].code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION
    assert not frames(listening)


def test_a_turn_that_wants_no_more_does_not_keep_others_waiting():
    """An answer waits for a share of the connection's credit; its next turn wants none: the one behind it is served."""
    config = QuicConfig(answer_window_bytes=4096, connection_credit_bytes=4096)
    world, dialing, listening = connected(config)
    for number in range(1, 4):
        dialing.connection.request(CHANNEL, StreamId(4 * number), b"?", 4096, 4092, ends=False)
    world.run(lambda: len(frames(listening)) == 3)
    dialing.connection.request_continue(StreamId(8), b"nothing", 0, 0, ends=False)
    for number in (1, 3):
        listening.connection.answer(StreamId(4 * number), (b"x" * 4092,), ends=True)
    world.run(lambda: len(dialing.heard(ChannelsStreamEnded)) == 2)
    assert len(frames(dialing)) == 2


# --- credit of the asker's half


def test_a_speaker_is_one_largest_frame_ahead():
    """Any number of largest frames pass, one after the other; the credit open is never more than one of them."""
    world, attacker, listening = attacked()
    offset = 0
    for turn in range(5):
        frame = LARGEST.to_bytes(4, "big") + bytes([turn]) * LARGEST
        data = bytes([CHANNEL]) + frame if not turn else frame
        attacker.quic.send_stream_data(4, data)
        offset += len(data)
        world.run(lambda: len(frames(listening)) == turn + 1)  # noqa: B023 - called within the turn
        world.quiet()
        assert attacker.quic._streams[4].max_stream_data_remote == offset + 4 + LARGEST
    assert {len(frame) for frame in frames(listening)} == {LARGEST}
    attacker.send_stream(4, offset + 4 + LARGEST, b"x", world.now)
    world.run(lambda: listening.closed_by is not None)
    assert listening.closed_by[0].code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION


def test_a_frame_that_is_not_whole_gives_no_credit():
    """Bytes alone move nothing: what counts is what was delivered."""
    world, attacker, listening = attacked()
    attacker.quic.send_stream_data(4, bytes([CHANNEL]) + LARGEST.to_bytes(4, "big") + bytes(LARGEST - 1))
    world.quiet()
    assert attacker.quic._streams[4].max_stream_data_remote == LARGEST + 5
    assert not frames(listening)


@pytest.mark.parametrize("channel", OTHER_CHANNELS)
def test_a_second_frame_on_other_channels_is_misuse(channel):
    """Whether it comes later or in the same piece."""
    world, dialing, listening = connected()
    ask(dialing, channel=channel)
    world.run(lambda: frames(listening) == [b"first"])
    dialing.connection.request_continue(ASKED, b"second", 10, 10, ends=False)
    world.run(lambda: listening.closed_by is not None)
    reason, by_peer = listening.closed_by
    assert (reason.code, reason.channel, by_peer) == (ReasonCode.STREAM_MISUSE, channel, False)
    assert frames(listening) == [b"first"]


@pytest.mark.parametrize(
    ("data", "fin", "code", "delivered"),
    [
        (b"", True, ReasonCode.STREAM_MISUSE, 0),
        (b"\x00\x00\x00\x02x", True, ReasonCode.STREAM_MISUSE, 0),
        (b"\x00\x00\x00\x01x\x00", True, ReasonCode.STREAM_MISUSE, 1),
        (b"\x00\x00\x00\x01x\x00\x00\x00\x01y\x00\x00\x40\x01", False, ReasonCode.CHANNEL_MSG_TOO_LARGE, 2),
    ],
    ids=["nothing", "cut frame", "cut second frame", "a later frame too large"],
)
def test_a_malformed_conversation_ends_the_connection(data, fin, code, delivered):
    """Frames before the fault are delivered, the fault has its reason, and no end is reported."""
    world, attacker, listening = attacked()
    attacker.send_stream(4, 0, bytes([CHANNEL]) + data, world.now, fin=fin)
    world.run(lambda: listening.closed_by is not None)
    assert listening.closed_by[0].code is code
    assert len(frames(listening)) == delivered
    assert not listening.heard(ChannelsStreamEnded)


# --- ends


def test_the_end_of_the_answer_ends_the_stream():
    """The asker's half ends with it: both sides forget the stream, and the number of streams slides on."""
    world, dialing, listening = connected(peer_streams=2)
    for number in range(1, 21):
        dialing.connection.request(CHANNEL, StreamId(4 * number), b"?", 100, 50, ends=False)
        world.run(lambda: len(frames(listening)) == number)  # noqa: B023 - called within the turn
        listening.connection.answer(StreamId(4 * number), (b"!",), ends=True)
        world.run(lambda: len(dialing.heard(ChannelsStreamEnded)) == number)  # noqa: B023
    world.quiet()
    assert not listening.heard(ChannelsStreamEnded)  # its end says nothing any more
    assert not listening.heard(ChannelsStreamReset)
    assert set(listening.connection.quic._streams) == {0}
    assert set(dialing.connection.quic._streams) == {0}


def test_what_comes_after_the_answer_ended_is_dropped():
    """The asker had gone on before it heard of the end: no message, no end, no violation, and nothing stays behind."""
    world, dialing, listening = speaking()
    listening.connection.answer(ASKED, (b"that was all",), ends=True)
    for turn in range(10):
        dialing.connection.request_continue(ASKED, b"%d" % turn * LARGEST, 100, 50, ends=False)  # more than there is credit for
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    dialing.connection.request_continue(ASKED, b"too late", 100, 50, ends=True)
    world.quiet(5)
    assert frames(listening) == [b"first"]
    assert not listening.heard(ChannelsStreamEnded)
    assert not listening.heard(ChannelsStreamReset)
    assert dialing.closed_by is listening.closed_by is None
    assert is_gone(dialing, listening)


def test_what_came_with_the_frame_that_ends_the_answer_is_dropped():
    """Three frames and an end come together; the reducer answers the first with an end: it hears of nothing else."""
    world, dialing, listening = connected()
    ask(dialing)
    dialing.connection.request_continue(ASKED, b"second", 100, 50, ends=True)
    ours = listening.ours
    react, ours.react = ours.react, lambda: None
    world.run(lambda: len(listening.connection.events) == 3)
    assert listening.connection.events.popleft().frame == b"first"
    listening.connection.answer(ASKED, (b"done",), ends=True)
    ours.react = react
    ours.react()
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    world.quiet()
    assert frames(dialing) == [b"done"]
    assert not frames(listening)
    assert not listening.heard(ChannelsStreamEnded)
    assert is_gone(dialing, listening)


def test_a_peer_that_ends_its_answer_and_refuses_the_rest_is_no_trouble():
    """The end of the answer and STOP_SENDING in one datagram: the answer counts, the other half is over already."""
    world, attacker, listening = attacked()
    listening.connection.request(CHANNEL, StreamId(1), b"first", 1000, 100, ends=False)
    world.quiet()
    attacker.send_stream(1, 0, b"\x00\x00\x00\x01x", world.now, fin=True)
    attacker.send_frame(0x05, b"\x01\x00", world.now)
    world.ends[1].connection.quic.receive_datagram(attacker.spool[0][0], world.dialer_address, world.now)
    world.ends[1].connection.quic.receive_datagram(attacker.spool[1][0], world.dialer_address, world.now)
    world.quiet()
    assert frames(listening) == [b"x"]
    assert len(listening.heard(ChannelsStreamEnded)) == 1
    assert not listening.heard(ChannelsStreamReset)
    assert listening.closed_by is None
    assert not listening.connection.quic.has_stream(1)


def test_going_on_after_our_half_ended_is_our_own_bug():
    """It raises and changes nothing, instead of opening credit for a question that can not be asked."""
    _, dialing, _ = connected()
    ask(dialing, permitted=10, ends=True)
    with pytest.raises(ValueError, match="can not go on"):
        dialing.connection.request_continue(ASKED, b"more", 1000, 100, ends=True)
    assert dialing.connection._credits.outstanding == 10


# --- resets


@pytest.mark.parametrize("turns", [0, 3])
@pytest.mark.parametrize("by_asker", [True, False])
def test_either_side_gives_a_conversation_up(turns, by_asker):
    """At any turn; the other side has the code, once, and nothing else of that stream; nothing stays behind."""
    world, dialing, listening = speaking()
    for turn in range(turns):
        listening.connection.answer(ASKED, (b"answer",), ends=False)
        dialing.connection.request_continue(ASKED, b"next", 100, 50, ends=False)
        world.run(lambda: len(frames(listening)) == turn + 2)  # noqa: B023 - called within the turn
    world.quiet()
    one, other = (dialing, listening) if by_asker else (listening, dialing)
    one.connection.reset(ASKED, StreamResetCode.REFUSED)
    before = len(one.log)
    # What the other side says before it knows:
    if by_asker:
        listening.connection.answer(ASKED, (b"late",), ends=True)
    else:
        dialing.connection.request_continue(ASKED, b"late", 100, 50, ends=True)
    world.quiet(5)
    assert len(one.log) == before
    if by_asker:
        assert not other.heard(ChannelsStreamReset)  # it had ended the exchange itself, as far as it knew
    else:
        assert other.heard(ChannelsStreamReset) == [
            ChannelsStreamReset(other.connection.connection_id, CHANNEL, ASKED, StreamResetCode.REFUSED)
        ]
    assert dialing.closed_by is listening.closed_by is None
    assert is_gone(dialing, listening)
    assert dialing.connection._credits.outstanding == 0
    dialing.connection.request_continue(ASKED, b"later still", 100, 50, ends=True)  # has nowhere to go
    listening.connection.answer(ASKED, (b"later still",), ends=True)
    world.quiet()
    assert dialing.closed_by is listening.closed_by is None


def test_the_answerer_hears_that_the_asker_gave_up():
    """A reset by the asker between two turns is an event with its code."""
    world, dialing, listening = speaking()
    dialing.connection.reset(ASKED, StreamResetCode.CANCELLED)
    world.quiet()
    assert listening.heard(ChannelsStreamReset) == [
        ChannelsStreamReset(listening.connection.connection_id, CHANNEL, ASKED, StreamResetCode.CANCELLED)
    ]
    assert is_gone(dialing, listening)


@pytest.mark.parametrize("ends", [True, False])
def test_after_our_reset_not_even_what_had_come_is_delivered(ends):
    """Frames, and an end, that came in the same batch as the one the reducer answers with a reset are dropped; other streams' are not."""
    world, dialing, listening = speaking()
    dialing.connection.request(CHANNEL, StreamId(8), b"other", 100, 50, ends=True)
    world.run(lambda: len(frames(listening)) == 2)
    react, dialing.react = dialing.react, lambda: None
    listening.connection.answer(ASKED, (b"one", b"two"), ends=ends)
    listening.connection.answer(StreamId(8), (b"of the other",), ends=True)
    world.run(lambda: len(dialing.connection.events) == 4 + ends)
    assert dialing.connection.events.popleft().frame == b"one"
    dialing.connection.reset(ASKED, StreamResetCode.CANCELLED)
    dialing.react = react
    dialing.react()
    world.quiet()
    assert frames(dialing) == [b"of the other"]
    assert [event.stream for event in dialing.heard(ChannelsStreamEnded)] == [StreamId(8)]
    assert is_gone(dialing, listening)


def test_a_reset_after_our_answer_ended_takes_nothing_back():
    """An answer that was ended arrives whole, whatever the reducer does with the stream's number."""
    world, dialing, listening = speaking(permitted=1 << 20, frame_max=1 << 20)
    listening.connection.answer(ASKED, (b"x" * 500_000,), ends=True)
    listening.connection.reset(ASKED, StreamResetCode.INTERNAL)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert frames(dialing) == [b"x" * 500_000]


def test_a_request_that_still_waits_for_its_stream_is_given_up():
    """Beyond the limit on streams a request waits; taken back it never reaches the wire, and those behind it do."""
    world, dialing, listening = connected(peer_streams=1)
    for number in (1, 2, 3):
        dialing.connection.request(CHANNEL, StreamId(4 * number), b"%d" % number, 100, 50, ends=False)
    world.run(lambda: frames(listening) == [b"1"])
    dialing.connection.reset(StreamId(8), StreamResetCode.CANCELLED)
    world.quiet()
    assert dialing.closed_by is listening.closed_by is None
    for stream in (4, 12):
        listening.connection.answer(StreamId(stream), (b"!",), ends=True)
        world.quiet(2)
    assert frames(listening)[-1] == b"3"
    assert b"2" not in frames(listening)
    assert len(dialing.heard(ChannelsStreamEnded)) == 2


# --- over real sockets


def test_two_nodes_hold_a_conversation():
    """By effects over loopback: turns, a long answer, the asker's end, the answer's end; then a reset from either side."""

    async def main():
        async with Node(1) as alice, Node(2) as bob:
            there = await alice.dial(bob)
            (hello,) = await bob.until(lambda: bob.heard(ConnectionHelloReceived))
            here = hello.connection_id
            perform, answer = alice.transport.perform, bob.transport.perform

            async def hears(node, count):
                await node.until(lambda: len(node.heard(ChannelsMessageReceived)) == count)
                return node.heard(ChannelsMessageReceived)[-1].frame

            perform(ChannelsEffectfulRequestSend(there, CHANNEL, ASKED, b"turn 0", 100, 50, ends=False))
            sizes = (1, 3_000_000, 10, 0)
            for turn, size in enumerate(sizes):
                assert await hears(bob, turn + 1) == b"turn %d" % turn
                answer(ChannelsEffectfulAnswerSend(here, ASKED, (b"x" * size,), ends=False))
                assert await hears(alice, turn + 1) == b"x" * size
                permitted = sizes[turn + 1] if turn < 3 else 0
                perform(ChannelsEffectfulRequestContinue(there, ASKED, b"turn %d" % (turn + 1), permitted + 4, permitted, ends=turn == 3))
            assert await hears(bob, 5) == b"turn 4"
            await bob.until(lambda: bob.heard(ChannelsStreamEnded))
            answer(ChannelsEffectfulAnswerSend(here, ASKED, (), ends=True))
            await alice.until(lambda: alice.heard(ChannelsStreamEnded))
            for number, (one, other, ids) in enumerate(((alice, bob, (there, here)), (bob, alice, (here, there)))):
                stream = StreamId(8 + 4 * number)
                perform(ChannelsEffectfulRequestSend(there, CHANNEL, stream, b"again", 100, 50, ends=False))
                await hears(bob, 6 + number)
                one.transport.perform(ChannelsEffectfulStreamReset(ids[0], stream, StreamResetCode.REFUSED))
                (reset,) = await other.until(lambda: other.heard(ChannelsStreamReset))  # noqa: B023 - awaited within the turn
                assert reset == ChannelsStreamReset(ids[1], CHANNEL, stream, StreamResetCode.REFUSED)
            assert not alice.heard(ConnectionClosed)
            assert not bob.heard(ConnectionClosed)

    asyncio.run(main())


def test_a_reset_inside_an_event_withdraws_the_rest_of_the_batch():
    """The reducer resets while it is told of the first of many frames that came together: it is told of no other."""

    async def main():
        async with Node(1) as alice, Node(2, answer=b"yes") as bob:
            there = await alice.dial(bob)
            bob.answer = None
            stream = alice.begin_ask(there)
            (message,) = await bob.until(lambda: bob.heard(ChannelsMessageReceived))
            feed = alice.transport._feed

            def reset_at_once(event):
                feed(event)
                if isinstance(event, ChannelsMessageReceived):
                    alice.transport.perform(ChannelsEffectfulStreamReset(there, stream, StreamResetCode.CANCELLED))

            alice.transport._feed = reset_at_once
            bob.transport.perform(ChannelsEffectfulAnswerSend(message.connection_id, stream, (b"one", b"two", b"three"), ends=True))
            await alice.until(lambda: alice.heard(ChannelsMessageReceived))
            alice.transport._feed = feed
            bob.answer = b"yes"
            assert await alice.ask(there) == [b"yes"]
            assert [event.frame for event in alice.heard(ChannelsMessageReceived) if event.stream == stream] == [b"one"]
            assert not [event for event in alice.heard(ChannelsStreamEnded) if event.stream == stream]

    asyncio.run(main())
