"""Two of our connections against each other, in virtual time."""

from __future__ import annotations

import pytest

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode, StreamResetCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
)
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.exchanges import Phase
from quic.pairs import ALICE, BOB, CAROL, OTHER_CHAIN, TODAY, Listener, World, connected, dialer, profile

RPC = ChannelId.RPC
REQUEST = StreamId(4)


def test_both_learn_the_authenticated_id_and_the_others_hello():
    """A connection begins with the certified ids and one hello each way, and nothing else."""
    _, dialing, listening = connected()
    assert [type(event) for event in dialing.log] == [ConnectionEstablished, ConnectionHelloReceived]
    assert [type(event) for event in listening.log] == [ConnectionIncomingReceived, ConnectionHelloReceived]
    assert dialing.log[0].peer_id == BOB.peer_id
    assert listening.log[0].peer_id == ALICE.peer_id
    assert dialing.log[1].frame == b"hello of the listener"
    assert listening.log[1].frame == b"hello of the dialer"


def test_an_answer_comes_in_frames_and_ends():
    """Request, frames in order, end; the stream's numbers are then free on both sides."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"question", 1000, 100)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    assert listening.heard(ChannelsMessageReceived) == [
        ChannelsMessageReceived(listening.connection.connection_id, RPC, REQUEST, b"question")
    ]
    listening.connection.answer(REQUEST, (b"one", b"", b"three" * 20), ends=False)
    world.quiet()
    listening.connection.answer(REQUEST, (b"four",), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert [event.frame for event in dialing.heard(ChannelsMessageReceived)] == [b"one", b"", b"three" * 20, b"four"]
    world.quiet()
    assert not dialing.connection.quic.has_stream(REQUEST)
    assert not listening.connection.quic.has_stream(REQUEST)


def test_the_listener_asks_too():
    """Permissions go both ways; the listener's streams have odd numbers."""
    world, dialing, listening = connected()
    listening.connection.request(ChannelId.BEST_TIP, StreamId(1), b"tip?", 1000, 100)
    world.run(lambda: bool(dialing.heard(ChannelsMessageReceived)))
    dialing.connection.answer(StreamId(1), (b"tip",), ends=True)
    world.run(lambda: bool(listening.heard(ChannelsStreamEnded)))
    assert [event.frame for event in listening.heard(ChannelsMessageReceived)] == [b"tip"]


def test_an_answer_that_ends_at_once_is_only_an_end():
    """An empty answer returns the permission unused."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"?", 1000, 100)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert not dialing.heard(ChannelsMessageReceived)


def test_a_parked_permission_waits_and_is_used_later():
    """A stream without an answer stays open across many keep-alives."""
    world, dialing, listening = connected()
    dialing.connection.request(ChannelId.TRANSACTION, REQUEST, b"next", 1000, 100)
    world.quiet(300)
    listening.connection.answer(REQUEST, (b"item",), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert dialing.closed_by is None


@pytest.mark.parametrize("lost", range(12))
def test_any_one_datagram_may_be_lost(lost):
    """Whichever datagram is lost, handshake, hellos, request and answer complete."""
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB))
    world = World(dialing, listening)
    world.passes = lambda sender, data: sum(world.carried) != lost + 1
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    dialing.connection.request(RPC, REQUEST, b"question", 100_000, 50_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"x" * 50_000,), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert dialing.heard(ChannelsMessageReceived)[0].frame == b"x" * 50_000


def test_a_large_answer_flows_under_a_window_and_loss():
    """Ten windows of answer arrive whole while every 29th datagram is lost; never is more credit open than the window."""
    config = QuicConfig(answer_window_bytes=16_384, answer_window_bytes_max=16_384)
    world, dialing, listening = connected(config)
    world.passes = lambda sender, data: sum(world.carried) % 29 != 0
    frames = tuple(bytes([n]) * 9_000 for n in range(20))
    total = sum(len(frame) + 4 for frame in frames)
    book = dialing.connection._credits
    worst = 0

    def done():
        nonlocal worst
        worst = max(worst, book.outstanding)
        return bool(dialing.heard(ChannelsStreamEnded))

    dialing.connection.request(RPC, REQUEST, b"all of it", total, 9_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, frames, ends=True)
    world.run(done, seconds=600)
    assert tuple(event.frame for event in dialing.heard(ChannelsMessageReceived)) == frames
    assert 0 < worst <= 16_384
    assert book.outstanding == 0


def test_a_large_answer_does_not_delay_a_small_one():
    """While 4 MB are on their way, a small answer needs little more than what was in flight already."""
    world, dialing, listening = connected()
    dialing.connection.request(ChannelId.BEST_TIP, REQUEST, b"all", 5_000_000, 5_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"x" * 4_000_000,), ends=True)
    before = world.carried[1]
    world.run(lambda: world.carried[1] - before > 1000)
    before = world.carried[1]
    dialing.connection.request(RPC, StreamId(8), b"quick", 1000, 1000)
    world.run(lambda: len(listening.heard(ChannelsMessageReceived)) == 2)
    listening.connection.answer(StreamId(8), (b"here",), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert dialing.heard(ChannelsStreamEnded)[0].stream == StreamId(8)
    assert world.carried[1] - before < 2 * QuicConfig().answer_window_bytes // 1200


def test_credit_is_exactly_what_was_permitted():
    """An answer of the permitted size passes; the peer can not put one byte more on the wire."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"?", 104, 100)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"x" * 100, b"surplus"), ends=False)
    world.quiet(5)
    assert [event.frame for event in dialing.heard(ChannelsMessageReceived)] == [b"x" * 100]
    assert listening.connection.quic._streams[REQUEST].sender.highest_offset == 104
    assert dialing.closed_by is None


def test_a_frame_over_its_channels_limit_ends_the_connection():
    """The length is refused when its header comes; frames before it are delivered."""
    world, dialing, listening = connected()
    dialing.connection.request(ChannelId.TRANSACTION, REQUEST, b"?", 10_000, 100)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"good", b"x" * 101), ends=True)
    world.run(lambda: dialing.closed_by is not None and listening.closed_by is not None)
    reason, by_peer = dialing.closed_by
    assert (reason.code, reason.channel, by_peer) == (ReasonCode.CHANNEL_MSG_TOO_LARGE, ChannelId.TRANSACTION, False)
    assert [event.frame for event in dialing.heard(ChannelsMessageReceived)] == [b"good"]
    assert listening.closed_by[0].code is ReasonCode.CHANNEL_MSG_TOO_LARGE
    assert listening.closed_by[1]


@pytest.mark.parametrize("code", StreamResetCode)
def test_the_answerer_refuses_with_a_code(code):
    """The requester learns the code, once; the connection goes on."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"?", 1000, 100)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.reset(REQUEST, code)
    world.quiet(5)
    assert dialing.heard(ChannelsStreamReset) == [ChannelsStreamReset(dialing.connection.connection_id, RPC, REQUEST, code)]
    assert not listening.heard(ChannelsStreamReset)
    assert dialing.closed_by is listening.closed_by is None
    assert not dialing.connection.quic.has_stream(REQUEST)
    assert not listening.connection.quic.has_stream(REQUEST)


def test_the_requester_cancels_in_the_middle_of_an_answer():
    """The answerer learns it and stops; what it had buffered is freed; the credit returns."""
    config = QuicConfig(answer_window_bytes=8192)
    world, dialing, listening = connected(config)
    dialing.connection.request(RPC, REQUEST, b"?", 1_000_000, 100_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"x" * 100_000,), ends=False)
    world.exchange()
    world.exchange()
    dialing.connection.reset(REQUEST, StreamResetCode.CANCELLED)
    world.exchange()
    assert listening.connection.quic.has_stream(REQUEST)  # until its reset is acknowledged, but without its 100 000 bytes:
    assert listening.connection.quic.unacknowledged(REQUEST) == 0
    world.quiet(5)
    assert listening.heard(ChannelsStreamReset) == [
        ChannelsStreamReset(listening.connection.connection_id, RPC, REQUEST, StreamResetCode.CANCELLED)
    ]
    assert not dialing.heard(ChannelsStreamReset)
    assert dialing.connection._credits.outstanding == 0
    assert listening.connection.quic.unacknowledged(REQUEST) == 0
    listening.connection.answer(REQUEST, (b"late",), ends=True)  # has nowhere to go, and is no error
    world.quiet()
    assert dialing.closed_by is listening.closed_by is None


def test_streams_slide_as_they_finish():
    """Fifty requests go through a limit of two at a time; those beyond it wait in order."""
    world, dialing, listening = connected(peer_streams=2)
    for number in range(1, 51):
        dialing.connection.request(RPC, StreamId(4 * number), b"%d" % number, 100, 50)
    answered = 0

    def step():
        nonlocal answered
        messages = listening.heard(ChannelsMessageReceived)
        assert len(messages) - answered <= 2
        if len(messages) > answered:
            listening.connection.answer(messages[answered].stream, (messages[answered].frame,), ends=True)
            answered += 1
        return len(dialing.heard(ChannelsStreamEnded)) == 50

    world.run(step)
    assert [event.frame for event in listening.heard(ChannelsMessageReceived)] == [b"%d" % number for number in range(1, 51)]


def test_a_stream_number_out_of_turn_is_our_own_bug():
    """The reducer's numbers are sequential; another one raises instead of reaching the wire."""
    _, dialing, _ = connected()
    for stream in (0, 1, 8, 5):
        with pytest.raises(ValueError, match="can not be opened"):
            dialing.connection.request(RPC, StreamId(stream), b"?", 1, 1)


def test_back_pressure_is_reported_once_each_way():
    """Above the high watermark once blocked; below the low one once unblocked, when the peer takes the bytes."""
    config = QuicConfig(send_high_bytes=50_000, send_low_bytes=10_000)
    world, dialing, listening = connected(QuicConfig(answer_window_bytes=4096), config)
    dialing.connection.request(RPC, REQUEST, b"?", 200_000, 100_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    world.passes = lambda sender, data: sender == 1  # the dialer's acknowledgements are lost: a slow peer
    listening.connection.answer(REQUEST, (b"x" * 40_000,), ends=False)
    world.exchange()
    assert not listening.heard(ChannelsSendBlocked)
    listening.connection.answer(REQUEST, (b"x" * 20_000,), ends=False)
    listening.connection.answer(REQUEST, (b"x" * 20_000,), ends=True)
    world.exchange()
    assert len(listening.heard(ChannelsSendBlocked)) == 1
    assert not listening.heard(ChannelsSendUnblocked)
    world.passes = lambda sender, data: True
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)), seconds=120)
    world.quiet()
    assert len(listening.heard(ChannelsSendBlocked)) == len(listening.heard(ChannelsSendUnblocked)) == 1


def test_the_hard_cap_ends_a_connection_whose_peer_takes_nothing():
    """Beyond the cap nothing is buffered: the connection closes with the reason."""
    world, dialing, listening = connected(None, QuicConfig(send_bytes_max=100_000))
    dialing.connection.request(RPC, REQUEST, b"?", 1_000_000, 1_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"x" * 99_000,), ends=False)
    assert listening.connection.phase is Phase.OPEN
    listening.connection.answer(REQUEST, (b"x" * 1_000,), ends=False)
    world.run(lambda: dialing.closed_by is not None)
    assert listening.closed_by[0].code is ReasonCode.CHANNEL_SEND_FAILED
    assert not listening.closed_by[1]
    assert dialing.closed_by[0].code is ReasonCode.CHANNEL_SEND_FAILED
    assert dialing.closed_by[1]


@pytest.mark.parametrize("code", ReasonCode)
def test_a_goodbye_carries_every_reason(code):
    """Code and text arrive in the very datagram that carries them; the channel stands in the text."""
    world, dialing, listening = connected()
    dialing.connection.close(Reason(code, ChannelId.SNARK, "what it was"))
    world.exchange()
    assert listening.closed_by == (Reason(code, None, "SNARK: what it was"), True)
    assert not dialing.heard(ConnectionClosed)


def test_a_goodbyes_text_is_bounded_and_printable():
    """Control characters and length are taken out of what goes to logs and terminals."""
    world, dialing, listening = connected()
    dialing.connection.close(Reason(ReasonCode.USER_REQUEST, None, "\x1b[31mred\n" + "x" * 1000))
    world.exchange()
    text = listening.closed_by[0].detail
    assert len(text) <= DETAIL_CHARS_MAX
    assert text.isprintable()
    assert text.startswith("?[31mred?x")


def test_rejecting_an_arrival_tells_it_why():
    """An arrival that is not accepted gets the reason, and never an id."""
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB), agrees=False)
    world = World(dialing, listening)
    world.run(lambda: bool(listening.heard(ConnectionIncomingReceived)))
    listening.connection.close(Reason(ReasonCode.PEER_CAPACITY_FULL, None, "full"))
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by == (Reason(ReasonCode.PEER_CAPACITY_FULL, None, "full"), True)
    assert [type(event) for event in listening.log] == [ConnectionIncomingReceived]


def test_an_arrival_that_nobody_answers_times_out():
    """Accept or reject must come within the handshake's time."""
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB), agrees=False)
    world = World(dialing, listening)
    world.run(lambda: dialing.closed_by is not None, seconds=6)
    assert dialing.closed_by[0].code is ReasonCode.CONNECTION_TIMEOUT


def test_another_peer_answers_than_was_dialled():
    """The dialer ends the handshake; the listener has no event at all."""
    dialing, listening = dialer(profile(ALICE), CAROL.peer_id), Listener(profile(BOB))
    world = World(dialing, listening)
    world.run(lambda: dialing.closed_by is not None and listening.connection.phase is Phase.CLOSED)
    reason, by_peer = dialing.closed_by
    assert (reason.code, by_peer) == (ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, False)
    assert CAROL.peer_id.libp2p in reason.detail
    assert BOB.peer_id.libp2p in reason.detail
    assert [type(event) for event in dialing.log] == [ConnectionClosed]
    assert listening.log == []
    assert listening.connection.reason.code is ReasonCode.AUTHENTICATION_FAILED


def test_another_chain_has_no_common_protocol():
    """ALPN filters: both ends have the reason, and no connection is offered."""
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB, chain=OTHER_CHAIN))
    world = World(dialing, listening)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.NO_COMMON_PROTOCOL
    assert dialing.closed_by[1]
    assert listening.connection.reason.code is ReasonCode.NO_COMMON_PROTOCOL
    assert listening.log == []


def test_a_clock_far_in_the_future_says_expired():
    """Dates are checked in the handshake, against the given clock."""
    dialing, listening = dialer(profile(ALICE), today=TODAY.replace(year=5000)), Listener(profile(BOB))
    world = World(dialing, listening)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.AUTHENTICATION_FAILED
    assert "4096" in dialing.closed_by[0].detail


def test_nobody_answers_a_dial():
    """A dial to nowhere ends after its time-out."""
    dialing = dialer(profile(ALICE))
    world = World(dialing, Listener(profile(BOB)))
    world.passes = lambda sender, data: False
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.CONNECTION_TIMEOUT
    assert 10 <= world.now < 10.1


def test_an_idle_connection_stays_up_for_hours_and_a_dead_one_does_not():
    """Keep-alives carry a connection through any silence; a peer that vanished is noticed after the idle time-out."""
    world, dialing, listening = connected()
    before = sum(world.carried)
    world.quiet(6 * 3600)
    assert dialing.closed_by is listening.closed_by is None
    assert sum(world.carried) - before < 6 * 3600 / 10 * 4
    world.passes = lambda sender, data: False
    world.run(lambda: dialing.closed_by is not None and listening.closed_by is not None, seconds=61)
    assert dialing.closed_by[0].code is ReasonCode.TRANSPORT_ERROR
    assert "idle" in dialing.closed_by[0].detail


def test_a_peer_that_changes_its_port_keeps_its_connection():
    """Migration: the path is validated and the answer arrives at the new address."""
    world, dialing, listening = connected()
    world.dialer_address = ("192.0.2.99", 4444)
    dialing.connection.request(RPC, REQUEST, b"?", 1000, 100)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(REQUEST, (b"found you",), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert listening.connection.quic.get_peer_address() == ("192.0.2.99", 4444)


@pytest.mark.parametrize(("path", "size"), [(1500, 1452), (1451, 1200), (1280, 1200)])
def test_the_datagram_size_is_found_by_probing(path, size):
    """1452 bytes where the path carries them, 1200 where it does not; the probe's loss harms nothing."""
    world = connected_over(path)
    dialing, listening = world.ends
    dialing.connection.request(RPC, REQUEST, b"?", 2_000_000, 1_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    largest = 0

    def passes(sender, data):
        nonlocal largest
        largest = max(largest, len(data))
        return len(data) <= path

    world.quiet(10)
    world.passes = passes
    listening.connection.answer(REQUEST, (b"x" * 1_000_000,), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    assert largest == size


def connected_over(path_bytes):
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB))
    world = World(dialing, listening)
    world.passes = lambda sender, data: len(data) <= path_bytes
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    return world


def test_a_path_that_shrinks_later_is_survived():
    """Where large datagrams begin to vanish, the size falls back and the answer arrives."""
    world, dialing, listening = connected()
    dialing.connection.request(RPC, REQUEST, b"?", 2_000_000, 1_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    world.quiet(5)
    world.passes = lambda sender, data: len(data) <= 1300
    listening.connection.answer(REQUEST, (b"x" * 300_000,), ends=True)
    world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)), seconds=120)
    assert dialing.closed_by is None


def test_a_full_hello_and_a_full_request_fit_the_first_credit():
    """The constant credit of peer-opened streams holds the largest of both, and a byte more is refused."""
    config = QuicConfig(request_bytes_max=100, hello_bytes_max=4096)
    dialing, listening = dialer(profile(ALICE, config), agrees=False), Listener(profile(BOB, config))
    world = World(dialing, listening)
    world.run(lambda: bool(dialing.heard(ConnectionEstablished)))
    dialing.connection.send_hello(b"h" * 4096)
    world.run(lambda: bool(listening.heard(ConnectionHelloReceived)))
    dialing.connection.request(RPC, REQUEST, b"r" * 100, 10, 10)
    dialing.connection.request(RPC, StreamId(8), b"r" * 101, 10, 10)
    world.run(lambda: listening.closed_by is not None)
    assert [len(event.frame) for event in listening.heard(ChannelsMessageReceived)] == [100]
    assert listening.closed_by[0].code is ReasonCode.CHANNEL_MSG_TOO_LARGE


def test_secrets_do_not_show():
    """Neither certificate nor connection prints a key."""
    its_profile = profile(ALICE)
    shown = repr(its_profile) + repr(dialer(its_profile)) + repr(its_profile.listening.certificate)
    assert ALICE.reveal_seed().hex() not in shown


@pytest.mark.parametrize("size", [40, 12_700, 200_000])
@pytest.mark.parametrize("is_read", [False, True])
def test_whoever_answered_learns_that_the_answer_was_not_read(size: int, is_read: bool):
    """A permission that is taken back while its answer travels: what was not read was not told, and is told again."""
    world, dialing, listening = connected()
    stream = StreamId(4)
    dialing.connection.request(ChannelId.BLOCK, stream, b"next", 1 << 20, 1 << 20)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(stream, (bytes(size),), ends=True)
    if is_read:
        world.run(lambda: bool(dialing.heard(ChannelsStreamEnded)))
    dialing.connection.reset(stream, StreamResetCode.CANCELLED)
    world.quiet()
    connection_id = listening.connection.connection_id
    assert connection_id is not None
    told = [ChannelsStreamReset(connection_id, ChannelId.BLOCK, stream, StreamResetCode.CANCELLED)]
    assert listening.heard(ChannelsStreamReset) == ([] if is_read else told)
    assert len(dialing.heard(ChannelsMessageReceived)) == is_read
    listening.connection.reset(stream, StreamResetCode.CANCELLED)
    world.quiet()
    assert dialing.closed_by is listening.closed_by is None
