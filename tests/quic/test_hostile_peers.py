"""An authenticated peer that does what the mapping forbids, and unauthenticated ones that try to get in.

The attacker is an unchanged aioquic connection that can send any frame. Every attack has a
typed reason, and what it made us hold is bounded.
"""

from __future__ import annotations

import tracemalloc

import pytest
from aioquic.buffer import encode_uint_var
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives.serialization import Encoding

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
)
from mina_p2p_effects.transports.quic.aioquic_hooks import PeerRefusedError
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.exchanges import Phase
from quic.pairs import (
    ALICE,
    BOB,
    CAROL,
    TODAY,
    Listener,
    StockServer,
    World,
    attacked,
    dialer,
    profile,
    stock_client,
)
from quic.test_certificate import build

REQUEST = b"\x04\x00\x00\x00\x04next"  # channel TRANSACTION, one frame
LIMIT = QuicConfig().request_bytes_max + 5


def ended(world, listening, code, channel=None):
    world.run(lambda: listening.closed_by is not None)
    world.exchange()  # the goodbye
    reason, by_peer = listening.closed_by
    assert (reason.code, reason.channel, by_peer) == (code, channel, False)
    return reason


# --- getting in


def test_a_client_without_certificate_is_never_an_event():
    """It may believe that it is connected; we never do, and say why."""
    attacker, listening = stock_client(None), Listener(profile(BOB))
    world = World(attacker, listening)
    world.run(lambda: attacker.ended is not None)
    assert listening.log == []
    assert listening.connection.phase is Phase.CLOSED
    assert listening.connection.reason.code is ReasonCode.AUTHENTICATION_FAILED
    assert attacker.ended.error_code == QuicErrorCode.CRYPTO_ERROR + 116  # certificate_required


@pytest.mark.parametrize("fault", ["missing", "signature", "expired", "host_key_type", "critical"])
def test_a_client_with_a_bad_certificate_is_never_an_event(fault):
    """Its hello, which comes with its proof, is not looked at."""
    attacker = stock_client(None, own=build(CAROL, fault=fault))
    listening = Listener(profile(BOB))
    attacker.quic.send_stream_data(0, b"\x00\x00\x00\x00\x05hello")
    world = World(attacker, listening)
    world.run(lambda: attacker.ended is not None)
    assert listening.log == []
    assert listening.connection.reason.code is ReasonCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize("fault", ["missing", "signature", "expired", "host_key_type", "critical"])
def test_a_server_with_a_bad_certificate_is_not_believed(fault):
    """The dialer ends the handshake with a reason for people."""
    dialing = dialer(profile(ALICE))
    world = World(dialing, StockServer(build(BOB, fault=fault)))
    world.run(lambda: dialing.closed_by is not None)
    reason, by_peer = dialing.closed_by
    assert (reason.code, by_peer) == (ReasonCode.AUTHENTICATION_FAILED, False)
    assert [type(event) for event in dialing.log] == [ConnectionClosed]


def test_a_chain_of_two_certificates_is_refused():
    """Exactly one certificate; a second one is refused although the first is good."""
    own = build(CAROL)

    def with_two(quic):
        quic.configuration.certificate_chain = [own.certificate]

    attacker, listening = stock_client(None, own=own, change=with_two), Listener(profile(BOB))
    world = World(attacker, listening)
    world.run(lambda: attacker.ended is not None)
    assert listening.log == []
    assert listening.connection.reason.code is ReasonCode.AUTHENTICATION_FAILED


def test_someone_elses_certificate_does_not_help():
    """A copied certificate fails at the proof that its key is held."""
    stolen, own = build(ALICE), build(CAROL)
    attacker, listening = stock_client(None, own=stolen.replace(private_key=own.private_key)), Listener(profile(BOB))
    world = World(attacker, listening)
    world.run(lambda: attacker.ended is not None)
    assert listening.log == []


def test_a_server_without_alpn_is_refused():
    """A server that answers without the common name is not ours."""
    server = StockServer(build(BOB), change=lambda quic: setattr(quic.configuration, "alpn_protocols", None))
    dialing = dialer(profile(ALICE))
    world = World(dialing, server)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.NO_COMMON_PROTOCOL


@pytest.mark.parametrize("alpn", [None, "h3", "mina-pull/1/0000000000000000"])
def test_the_judge_itself_refuses_another_alpn(alpn):
    """Whatever the library lets pass, the common name is ours or nothing."""
    dialing = dialer(profile(ALICE))
    with pytest.raises(PeerRefusedError) as caught:
        dialing.connection._proof.judge((build(BOB).certificate.public_bytes(Encoding.DER),), alpn)
    assert caught.value.alert == 120


def test_tickets_are_neither_given_nor_taken():
    """No session ticket is issued: nobody resumes without a certificate."""
    tickets = []
    attacker = stock_client(CAROL, change=lambda quic: setattr(quic, "_session_ticket_handler", tickets.append))
    listening = Listener(profile(BOB))
    world = World(attacker, listening)
    world.run(lambda: bool(listening.heard(ConnectionIncomingReceived)))
    world.quiet(5)
    assert tickets == []


@pytest.mark.parametrize("size", [100_000, 4_000_000])
def test_endless_handshake_data_is_cut_off(size):
    """A TLS message may announce 16 MB; we take 32 KiB and hold no more."""
    world, attacker, listening = attacked()
    config = listening.profile.config
    offset = 0
    while attacker.ended is None and offset < size:
        chunk = b"\x04\xff\xff\xff" + bytes(996) if not offset else bytes(1000)
        attacker.send_frame(0x06, encode_uint_var(offset) + encode_uint_var(1000) + chunk, world.now)
        offset += 1000
        world.exchange()
    assert attacker.ended.error_code == QuicErrorCode.CRYPTO_BUFFER_EXCEEDED
    assert offset <= config.handshake_bytes_max + 4000


def test_early_handshake_data_costs_what_it_weighs():
    """One byte of CRYPTO data far ahead does not allocate the distance."""
    world, attacker, listening = attacked()
    tracemalloc.start()
    attacker.send_frame(0x06, encode_uint_var(30_000) + encode_uint_var(1) + b"x", world.now)
    world.exchange()
    held = listening.connection.quic._crypto_streams
    assert max(len(stream.receiver._buffer) for stream in held.values()) == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000
    assert listening.closed_by is None


# --- sending without permission


def test_a_stock_peer_delivers_not_one_byte_before_both_hellos():
    """Until the hellos are good, the control stream is the only stream there is."""
    world, attacker, listening = attacked(hello=False)
    attacker.send_stream(4, 0, REQUEST, world.now)
    ended(world, listening, ReasonCode.STREAM_MISUSE)
    assert [type(event) for event in listening.log] == [ConnectionIncomingReceived, ConnectionClosed]
    assert attacker.ended.error_code == QuicErrorCode.STREAM_LIMIT_ERROR


def test_a_frame_whose_type_can_not_be_read():
    """Its error is QUIC's, whatever its number means among the application's codes."""
    world, attacker, listening = attacked()
    attacker.send_frame(0x00, b"\x40", world.now)
    ended(world, listening, ReasonCode.TRANSPORT_ERROR)
    assert attacker.ended.error_code == QuicErrorCode.FRAME_ENCODING_ERROR
    assert attacker.ended.frame_type is not None


def test_the_listeners_side_of_a_stock_server_can_not_begin_streams():
    """A dialer lets nobody open a stream before the hellos."""
    server = StockServer(build(BOB))
    dialing = dialer(profile(ALICE))
    world = World(dialing, server)
    world.run(lambda: bool(server.events) and server.quic._handshake_complete)
    server.send_stream(1, 0, REQUEST, world.now)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.STREAM_MISUSE
    assert not dialing.heard(ChannelsMessageReceived)


@pytest.mark.parametrize("offset", [0, 5, 100_000])
def test_an_answer_beyond_its_permission_is_never_taken(offset):
    """A permission of 20 bytes: the 21st ends the connection, wherever it lies, and is not delivered."""
    world, attacker, listening = attacked()
    listening.connection.request(ChannelId.SNARK, StreamId(1), b"next", 20, 16)
    world.quiet()
    attacker.send_stream(1, offset, b"\x00\x00\x00\x10" + bytes(17), world.now)
    ended(world, listening, ReasonCode.CHANNEL_MSG_OVER_PERMISSION)
    assert not listening.heard(ChannelsMessageReceived)
    assert attacker.ended.error_code == QuicErrorCode.FLOW_CONTROL_ERROR


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x00\x00\x08half"])
def test_an_answer_that_ends_inside_a_message(data):
    """The end of an answer is an end between messages."""
    world, attacker, listening = attacked()
    listening.connection.request(ChannelId.SNARK, StreamId(1), b"next", 20, 16)
    world.quiet()
    attacker.send_stream(1, 0, data, world.now, fin=True)
    ended(world, listening, ReasonCode.ANSWER_TRUNCATED, ChannelId.SNARK)


def test_without_credit_not_even_an_early_byte_is_taken():
    """A permission of nothing is no permission."""
    world, attacker, listening = attacked()
    listening.connection.request(ChannelId.SNARK, StreamId(1), b"?", 0, 16)
    world.quiet()
    attacker.send_stream(1, 0, b"x", world.now)
    ended(world, listening, ReasonCode.CHANNEL_MSG_OVER_PERMISSION)


def test_data_on_a_stream_that_we_never_opened():
    """Answers to questions nobody asked."""
    world, attacker, listening = attacked()
    attacker.send_stream(1, 0, b"\x00\x00\x00\x01x", world.now)
    ended(world, listening, ReasonCode.STREAM_MISUSE)
    assert not listening.heard(ChannelsMessageReceived)


def test_a_stream_after_its_answer_ended_says_nothing():
    """What was permitted and not used is void with the end."""
    world, attacker, listening = attacked()
    listening.connection.request(ChannelId.SNARK, StreamId(1), b"?", 100, 16)
    world.quiet()
    attacker.send_stream(1, 0, b"\x00\x00\x00\x01x", world.now, fin=True)
    world.quiet()
    attacker.send_stream(1, 5, b"\x00\x00\x00\x01y", world.now)
    world.quiet(1)
    assert [event.frame for event in listening.heard(ChannelsMessageReceived)] == [b"x"]


def test_too_many_streams():
    """One stream more than the limit ends the connection."""
    world, attacker, listening = attacked()
    for number in range(1, 18):
        attacker.send_stream(4 * number, 0, REQUEST, world.now)
    ended(world, listening, ReasonCode.STREAM_MISUSE)
    assert len(listening.heard(ChannelsMessageReceived)) == 16


def test_unidirectional_streams_do_not_exist():
    """The limit is zero from the start."""
    world, attacker, listening = attacked()
    attacker.send_stream(2, 0, b"x", world.now)
    ended(world, listening, ReasonCode.STREAM_MISUSE)


def test_datagram_frames_are_not_accepted():
    """The extension was not offered."""
    world, attacker, listening = attacked()
    attacker.send_frame(0x31, b"\x01x", world.now)
    ended(world, listening, ReasonCode.TRANSPORT_ERROR)


@pytest.mark.parametrize(
    ("data", "fin", "code", "channel"),
    [
        (b"\x00" + bytes(4), False, ReasonCode.STREAM_MISUSE, None),
        (b"\x0b" + bytes(4), False, ReasonCode.STREAM_MISUSE, None),
        (b"\x40\x04" + bytes(4), False, ReasonCode.STREAM_MISUSE, None),
        (b"\x04\x00\x00\x40\x01", False, ReasonCode.CHANNEL_MSG_TOO_LARGE, ChannelId.TRANSACTION),
        (b"\x04\xff\xff\xff\xff", False, ReasonCode.CHANNEL_MSG_TOO_LARGE, ChannelId.TRANSACTION),
        (b"\x07" + bytes(8), False, ReasonCode.STREAM_MISUSE, ChannelId.RPC),
        (b"\x07" + bytes(5), False, ReasonCode.STREAM_MISUSE, ChannelId.RPC),
        (b"\x07\x00\x00\x00\x02x", True, ReasonCode.STREAM_MISUSE, ChannelId.RPC),
        (b"\x07\x00", True, ReasonCode.STREAM_MISUSE, ChannelId.RPC),
        (b"\x07", True, ReasonCode.STREAM_MISUSE, ChannelId.RPC),
        (b"", True, ReasonCode.STREAM_MISUSE, None),
    ],
    ids=["control kind", "no channel", "long varint", "too large", "huge", "two requests", "rest", "cut frame", "cut header", "empty", "nothing"],
)  # fmt: skip
def test_a_malformed_request_ends_the_connection(data, fin, code, channel):
    """A request is a channel, one frame and an end; everything else has its reason."""
    world, attacker, listening = attacked()
    attacker.send_stream(4, 0, data, world.now, fin=fin)
    ended(world, listening, code, channel)
    assert not [event for event in listening.heard(ChannelsMessageReceived) if event.frame]


@pytest.mark.parametrize(
    ("data", "fin", "code"),
    [
        (b"\x07\x00\x00\x00\x01x", False, ReasonCode.STREAM_MISUSE),
        (b"\x00\x00\x00\x10\x01", False, ReasonCode.HELLO_INVALID),
        (b"\x00\x00\x00\x00\x01x\x00\x00\x00\x01y", False, ReasonCode.STREAM_MISUSE),
        (b"\x00\x00\x00\x00\x01x", True, ReasonCode.STREAM_MISUSE),
        (b"\x00", True, ReasonCode.STREAM_MISUSE),
    ],
    ids=["a channel", "too long", "twice", "hello and end", "only an end"],
)
def test_a_malformed_control_stream_ends_the_connection(data, fin, code):
    """The first stream carries the kind and one hello, and stays open."""
    world, attacker, listening = attacked(hello=False)
    attacker.send_stream(0, 0, data, world.now, fin=fin)
    ended(world, listening, code)


def test_a_second_hello_later_ends_the_connection():
    """One hello is all that the control stream carries."""
    world, attacker, listening = attacked()
    attacker.quic.send_stream_data(0, b"\x00\x00\x00\x05again")
    ended(world, listening, ReasonCode.STREAM_MISUSE)
    assert len(listening.heard(ConnectionHelloReceived)) == 1


@pytest.mark.parametrize("frame_type", [0x04, 0x05], ids=["RESET_STREAM", "STOP_SENDING"])
def test_resetting_the_control_stream_ends_the_connection(frame_type):
    """It lives as long as the connection."""
    world, attacker, listening = attacked()
    body = b"\x00\x00" + (encode_uint_var(10) if frame_type == 0x04 else b"")
    attacker.send_frame(frame_type, body, world.now)
    ended(world, listening, ReasonCode.STREAM_MISUSE)


@pytest.mark.parametrize(
    "second",
    [(len(REQUEST), b"x", False), (len(REQUEST) - 1, b"xy", True), (0, REQUEST[:4], True)],
    ids=["beyond the end", "a later end", "an earlier end"],
)
def test_a_stream_has_one_end(second):
    """Data beyond the end and another end are violations, although the request was complete."""
    world, attacker, listening = attacked()
    attacker.quic.send_stream_data(4, REQUEST, end_stream=True)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    offset, data, fin = second
    attacker.send_stream(4, offset, data, world.now, fin=fin)
    ended(world, listening, ReasonCode.STREAM_MISUSE)
    assert attacker.ended.error_code == QuicErrorCode.FINAL_SIZE_ERROR


def test_an_end_before_what_has_come():
    """An end below an offset that was already used is a violation."""
    world, attacker, listening = attacked()
    attacker.send_stream(4, 50, b"x", world.now)
    attacker.send_stream(4, 0, REQUEST, world.now, fin=True)
    ended(world, listening, ReasonCode.STREAM_MISUSE)
    assert attacker.ended.error_code == QuicErrorCode.FINAL_SIZE_ERROR


# --- memory


def test_sparse_offsets_cost_what_they_weigh():
    """One byte at the end of each window: a few hundred bytes held, where a buffer per offset would take megabytes."""
    config = QuicConfig()
    world, attacker, listening = attacked(config)
    for number in range(16):
        listening.connection.request(ChannelId.BEST_TIP, StreamId(4 * number + 1), b"?", 32 << 20, 32 << 20)
    world.quiet()
    tracemalloc.start()
    for number in range(16):
        attacker.send_stream(4 * number + 1, config.answer_window_bytes - 1, b"x", world.now)
        attacker.send_stream(4 * number + 4, LIMIT - 1, b"x", world.now)
    world.quiet()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert listening.closed_by is None


def test_many_small_pieces_are_bounded_by_number():
    """Every other byte, for ever: the count of pieces is capped, not only their weight."""
    config = QuicConfig(gaps_max=100)
    world, attacker, listening = attacked(config)
    listening.connection.request(ChannelId.BEST_TIP, StreamId(1), b"?", 1 << 20, 1 << 20)
    world.quiet()
    for number in range(110):
        attacker.send_stream(1, 2 * number + 1, b"x", world.now)
    ended(world, listening, ReasonCode.TRANSPORT_ERROR)


def test_rapid_resets_do_not_pile_up():
    """Opening and resetting streams in turn keeps no state and delivers nothing unasked."""
    world, attacker, listening = attacked()
    for number in range(1, 200):
        if attacker.quic._remote_max_streams_bidi <= number:
            world.quiet(0.05)
        attacker.quic.send_stream_data(4 * number, REQUEST)
        attacker.quic.reset_stream(4 * number, 0)
        world.exchange()
    world.quiet(2)
    assert listening.closed_by is None
    assert len(listening.connection.quic._streams) <= 17
    resets = len(listening.heard(ChannelsStreamReset))
    assert resets <= len(listening.heard(ChannelsMessageReceived))


def test_a_request_that_is_cancelled_before_it_is_whole_is_no_event():
    """The reducer hears of a stream with its request, not before."""
    world, attacker, listening = attacked()
    attacker.quic.send_stream_data(4, REQUEST[:3])
    world.exchange()
    attacker.quic.reset_stream(4, 0)
    world.quiet(1)
    assert not listening.heard(ChannelsStreamReset)
    assert listening.closed_by is None


# --- RFC 9000 section 21


def test_acknowledging_what_was_not_sent():
    """An optimistic acknowledgement beyond our packets is a protocol violation."""
    world, attacker, listening = attacked()
    attacker.send_frame(0x02, encode_uint_var(100_000) + b"\x00\x00\x00", world.now)
    ended(world, listening, ReasonCode.TRANSPORT_ERROR)
    assert attacker.ended.error_code == QuicErrorCode.PROTOCOL_VIOLATION


def test_acknowledging_without_having_received():
    """A peer that acknowledges everything blindly meets a packet number that was left out."""
    world, attacker, listening = attacked()
    attacker.quic.send_stream_data(4, REQUEST, end_stream=True)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    world.quiet()
    world.passes = lambda sender, data: sender == 1  # its honest acknowledgements do not come in between
    listening.connection.quic._until_skip = 0
    listening.connection.answer(StreamId(4), (b"x" * 10_000,), ends=True)
    world.exchange()
    world.passes = lambda sender, data: True
    highest = listening.connection.quic._packet_number - 1
    attacker.send_frame(0x02, encode_uint_var(highest) + b"\x00\x00" + encode_uint_var(highest), world.now)
    ended(world, listening, ReasonCode.TRANSPORT_ERROR)
    assert "not sent" in listening.closed_by[0].detail


def test_a_storm_of_path_challenges_is_answered_with_bounds():
    """The queue of challenges is bounded; the connection lives."""
    world, attacker, listening = attacked()
    attacker.send_frame(0x1A, (bytes(8) + b"\x1a") * 120 + bytes(8), world.now)
    attacker.send_frame(0x1A, (bytes(8) + b"\x1a") * 120 + bytes(8), world.now)
    world.exchange()
    assert all(len(path.remote_challenges) <= 32 for path in listening.connection.quic._network_paths)
    world.quiet(1)
    assert listening.closed_by is None


def test_a_storm_of_connection_ids_ends_the_connection():
    """More ids than were allowed."""
    world, attacker, listening = attacked()
    for number in range(8, 30):
        attacker.send_frame(0x18, encode_uint_var(number) + b"\x00\x08" + number.to_bytes(8, "big") + bytes(16), world.now)
    ended(world, listening, ReasonCode.TRANSPORT_ERROR)


def test_retiring_ids_for_ever_keeps_few():
    """Each retired id is replaced; the number alive stays small and the endpoint learns of each."""
    world, attacker, listening = attacked()
    for _ in range(50):
        attacker.quic.change_connection_id()
        world.quiet(0.05)
    assert listening.closed_by is None
    assert len(listening.connection.quic._host_cids) <= 8
    assert len(listening.connection.cids_issued) - len(listening.connection.cids_retired) <= 9


def test_a_damaged_datagram_changes_nothing():
    """What was changed on the way does not decrypt."""
    world, attacker, listening = attacked()
    world.passes = lambda sender, data: sender == 1
    attacker.send_stream(4, 0, REQUEST, world.now)
    (data, _), *_ = attacker.spool
    attacker.spool.clear()
    for position in range(0, len(data), 7):
        damaged = data[:position] + bytes((data[position] ^ 0x55,)) + data[position + 1 :]
        listening.receive(damaged, world.dialer_address, world.now)
    assert listening.closed_by is None
    assert not listening.heard(ChannelsMessageReceived)


def test_what_the_library_can_not_handle_ends_one_connection(monkeypatch):
    """An exception inside aioquic is that connection's end, with a reason, and goes nowhere else."""
    world, attacker, listening = attacked()

    def broken(*_, **__):
        raise IndexError("a bug")

    monkeypatch.setattr(listening.connection.quic, "_payload_received", broken)
    attacker.send_stream(4, 0, REQUEST, world.now)
    reason = ended(world, listening, ReasonCode.TRANSPORT_ERROR)
    assert "IndexError" in reason.detail


def test_nothing_is_believed_where_the_judge_was_not_asked():
    """A version of aioquic that no longer calls our check lets nobody in."""
    attacker, listening = stock_client(CAROL), Listener(profile(BOB))
    world = World(attacker, listening)
    world.exchange()
    context = listening.connection.quic.tls
    del context._server_handle_certificate_verify  # the hook; the class's own method remains
    world.run(lambda: attacker.ended is not None)
    assert listening.log == []
    assert listening.connection.reason.code is ReasonCode.AUTHENTICATION_FAILED
    assert TODAY
    assert not listening.heard(ConnectionHelloReceived)
