"""Two whole connections without sockets: the upgrade by every path, streams, ends, limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libp2p.pairs import ALICE, BOB, CALLS, ECHO, HERE, NETWORK_KEY, NOTES, THERE, Pair, fault_of, profile, vector
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.connection import Connection, Phase
from mina_p2p_effects.transports.libp2p.events import (
    FIRST_PEER_HANDLE,
    Closed,
    StreamEnded,
    StreamLost,
    StreamMessage,
    StreamOpened,
    Upgraded,
    WentAway,
)
from mina_p2p_effects.transports.libp2p.faults import Fault
from mina_p2p_effects.transports.libp2p.multistream import encode_token

pytest.importorskip("Crypto.Cipher.Salsa20", reason="pycryptodome comes with the extra `libp2p`")

THEIRS = FIRST_PEER_HANDLE


@pytest.mark.parametrize("network_key", [None, NETWORK_KEY], ids=["open", "private"])
@pytest.mark.parametrize("early", [(True, True), (True, False), (False, True), (False, False)], ids=str)
@pytest.mark.parametrize("announced", [False, True], ids=["plain", "simultaneous-connect"])
@pytest.mark.parametrize("piece", [1, None])
def test_both_sides_are_upgraded_and_know_each_other(network_key: Any, early: tuple[bool, bool], announced: bool, piece: int | None):
    dialer = profile(ALICE, network_key=network_key, has_early_muxer=early[0], is_simultaneous_connect_announced=announced)
    pair = Pair(dialer, profile(BOB, network_key=network_key, has_early_muxer=early[1]))
    pair.piece = piece
    pair.settle()
    assert pair.events(pair.dialer) == [Upgraded(BOB.peer_id, is_dialer=True, remote=HERE)]
    assert pair.events(pair.listener) == [Upgraded(ALICE.peer_id, is_dialer=False, remote=THERE)]


@pytest.mark.parametrize("early", [True, False])
def test_two_dialers_become_one_connection(early: bool):
    pair = Pair()
    for name, key, other in (("dialer", ALICE, BOB), ("listener", BOB, ALICE)):
        made = profile(key, is_simultaneous_connect_announced=True, has_early_muxer=early)
        setattr(pair, name, Connection(made, HERE, is_dialer=True, now=pair.now, expected=other.peer_id))
    pair.opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.listener.open_stream(1, (NOTES.name,))
    pair.settle()
    for side in (pair.dialer, pair.listener):
        assert set(pair.events(side)) == {StreamOpened(1, NOTES.name, is_ours=True), StreamOpened(THEIRS, NOTES.name, is_ours=False)}


def test_a_dialer_says_nothing_that_needs_an_answer_first():
    """Header and /noise leave at once; behind a private network's nonce."""
    assert len(Pair().dialer.transmit()) == 24 + 20 + 8
    assert Pair(profile(ALICE, network_key=None)).dialer.transmit() == encode_token("/multistream/1.0.0") + encode_token("/noise")


@pytest.mark.parametrize("protocol", [NOTES, CALLS, ECHO])
def test_messages_arrive_whole_in_both_directions(protocol: Any):
    pair = Pair().opened()
    pair.dialer.open_stream(7, (protocol.name,))
    pair.dialer.send(7, b"a question")
    pair.settle()
    assert pair.events(pair.listener) == [StreamOpened(THEIRS, protocol.name, is_ours=False), StreamMessage(THEIRS, b"a question")]
    assert pair.events(pair.dialer) == [StreamOpened(7, protocol.name, is_ours=True)]
    pair.listener.send(THEIRS, b"an answer")
    pair.listener.close_write(THEIRS)
    pair.settle()
    assert pair.events(pair.dialer) == [StreamMessage(7, b"an answer"), StreamEnded(7)]
    pair.dialer.send(7, b"more")
    pair.dialer.close_write(7)
    pair.settle()
    assert pair.events(pair.listener) == [StreamMessage(THEIRS, b"more"), StreamEnded(THEIRS)]
    assert not pair.dialer._channels
    assert not pair.listener._channels
    assert not pair.dialer._by_handle


def test_of_several_protocols_the_first_that_the_peer_speaks_is_used():
    listener = profile(BOB)
    pair = Pair(listener=listener.replace(protocols={CALLS.name: CALLS})).opened()
    pair.dialer.open_stream(1, (NOTES.name, CALLS.name))
    pair.dialer.send(1, b"waits for the agreement")
    pair.dialer.close_write(1)
    pair.settle()
    assert pair.events(pair.dialer) == [StreamOpened(1, CALLS.name, is_ours=True)]
    told = [StreamOpened(THEIRS, CALLS.name, is_ours=False), StreamMessage(THEIRS, b"waits for the agreement"), StreamEnded(THEIRS)]
    assert pair.events(pair.listener) == told


def test_a_stream_for_what_the_peer_does_not_speak_is_lost():
    pair = Pair(listener=profile(BOB).replace(protocols={CALLS.name: CALLS})).opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.settle()
    (lost,) = pair.events(pair.dialer)
    assert isinstance(lost, StreamLost)
    assert (lost.handle, lost.fault) == (1, Fault.NO_COMMON_PROTOCOL)
    assert pair.events(pair.listener) == []
    assert not pair.listener._channels


def test_a_large_message_passes_through_the_windows():
    pair = Pair().opened()
    pair.dialer.open_stream(1, (CALLS.name,))
    pair.dialer.send(1, bytes(range(256)) * 3900)
    pair.settle()
    assert pair.events(pair.listener)[1:] == [StreamMessage(THEIRS, bytes(range(256)) * 3900)]
    assert (pair.dialer.queued_bytes, pair.listener.held_bytes) == (0, 0)


def test_a_reset_is_told_to_the_other_side_only():
    pair = Pair().opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.settle()
    pair.events(pair.listener)
    pair.events(pair.dialer)
    pair.dialer.reset_stream(1)
    pair.settle()
    assert pair.events(pair.dialer) == []
    assert pair.events(pair.listener) == [StreamLost(THEIRS, None)]
    pair.listener.send(THEIRS, b"to nobody")
    pair.listener.close_write(THEIRS)
    pair.listener.reset_stream(THEIRS)
    assert not pair.listener.has_output


def test_closing_is_told_and_nothing_follows():
    pair = Pair().opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.dialer.close(Reason(ReasonCode.USER_REQUEST, detail="enough"))
    pair.settle()
    assert pair.events(pair.dialer) == [Closed(Fault.LOCAL, Reason(ReasonCode.USER_REQUEST, detail="enough"), by_peer=False)]
    pair.listener.end_of_input()
    *others, closed = pair.events(pair.listener)
    assert set(others) == {StreamOpened(THEIRS, NOTES.name, is_ours=False), WentAway()}
    assert isinstance(closed, Closed)
    assert (closed.fault, closed.by_peer) == (Fault.CLOSED, True)
    for side in (pair.dialer, pair.listener):
        side.receive(b"late", 0.0)
        side.handle_timer(1e9)
        side.end_of_input()
        side.close(Reason(ReasonCode.SHUTDOWN))
        assert (side.deadline(), side.events, side.phase) == (None, type(side.events)(), Phase.CLOSED)


def test_another_network_is_recognised():
    """Nobody can tell a wrong key from noise, but noise is what it looks like."""
    pair = Pair(listener=profile(BOB, network_key=bytes(32)))
    pair.settle()
    pair.pass_time(20)
    faults = {fault_of(pair.events(side)) for side in (pair.dialer, pair.listener)}
    assert faults <= {Fault.WRONG_NETWORK, Fault.NEGOTIATION_TIMEOUT}
    assert Fault.WRONG_NETWORK in faults


def test_a_private_node_refuses_an_open_one():
    pair = Pair(profile(ALICE, network_key=None))
    pair.settle()
    assert fault_of(pair.events(pair.dialer)) in {Fault.TOKEN_MALFORMED, Fault.NEGOTIATION_MISUSE}


def test_another_peer_than_the_expected_one_is_refused():
    pair = Pair(expected=SecretKey.deterministic(8).peer_id)
    pair.settle()
    (closed,) = pair.events(pair.dialer)
    assert isinstance(closed, Closed)
    assert (closed.fault, closed.reason.code) == (Fault.PEER_ID_MISMATCH, ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH)


def test_this_node_itself_is_refused():
    pair = Pair(profile(ALICE), profile(ALICE), expected=None)
    pair.settle()
    assert fault_of(pair.events(pair.dialer)) is Fault.SELF_CONNECTION


@pytest.mark.parametrize("steps", range(4))
def test_a_peer_that_stops_during_the_upgrade_is_given_up(steps: int):
    pair = Pair(profile(ALICE, has_early_muxer=False))
    for _ in range(steps):
        pair._carry(pair.dialer, pair.listener)
        pair._carry(pair.listener, pair.dialer)
    if pair.listener.phase is not Phase.OPEN:
        assert pair.listener.deadline() == 115.0
        pair.listener.handle_timer(114.9)
        assert not pair.events(pair.listener)
        pair.listener.handle_timer(115.0)
        assert fault_of(pair.events(pair.listener)) is Fault.NEGOTIATION_TIMEOUT


def test_a_peer_that_leaves_during_the_upgrade_is_told():
    pair = Pair()
    pair.dialer.end_of_input()
    (closed,) = pair.events(pair.dialer)
    assert isinstance(closed, Closed)
    assert (closed.fault, closed.by_peer) == (Fault.LOST, True)
    assert "another network" in closed.reason.detail


def test_a_silent_peer_is_noticed_and_a_living_one_kept():
    pair = Pair().opened()
    pair.pass_time(200)
    assert not pair.dialer.events
    for _ in range(60):
        pair.now += 1
        pair.dialer.handle_timer(pair.now)
        pair.dialer.transmit()
    assert fault_of(pair.events(pair.dialer)) is Fault.PING_TIMEOUT


def test_a_stream_that_agrees_on_nothing_is_reset_in_time():
    pair = Pair().opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.dialer.transmit()  # lost on purpose
    pair.dialer.handle_timer(pair.now + 9.9)
    assert not pair.dialer.events
    pair.dialer.handle_timer(pair.now + 10.0)
    assert pair.events(pair.dialer)[0] == StreamLost(1, Fault.NEGOTIATION_TIMEOUT)
    assert not pair.dialer._channels


@pytest.mark.parametrize(
    ("protocol", "raw", "fault"),
    [
        (NOTES, b"\xa1\x8d\x06", Fault.MESSAGE_TOO_LARGE),
        (NOTES, b"\xff" * 9, Fault.MESSAGE_MALFORMED),
        (CALLS, (1_000_001).to_bytes(8, "little"), Fault.MESSAGE_TOO_LARGE),
    ],
)
def test_a_message_that_its_protocol_does_not_allow_ends_its_stream_at_its_length(protocol: Any, raw: bytes, fault: Fault):
    pair = Pair(profile(ALICE).replace(protocols={protocol.name: ECHO.replace(name=protocol.name)})).opened()
    pair.dialer.open_stream(1, (protocol.name,))
    pair.dialer.send(1, raw)
    pair.settle()
    lost = pair.events(pair.listener)[-1]
    assert isinstance(lost, StreamLost)
    assert (lost.handle, lost.fault) == (THEIRS, fault)
    assert pair.listener.phase is Phase.OPEN
    assert pair.events(pair.dialer)[-1] == StreamLost(1, None)


def test_an_end_inside_a_message_is_no_end():
    pair = Pair(profile(ALICE).replace(protocols={NOTES.name: ECHO.replace(name=NOTES.name)})).opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.dialer.send(1, b"\x05ab")
    pair.dialer.close_write(1)
    pair.settle()
    lost = pair.events(pair.listener)[-1]
    assert isinstance(lost, StreamLost)
    assert lost.fault is Fault.MESSAGE_MALFORMED
    assert pair.listener.held_bytes == 0


def test_unfinished_messages_of_one_connection_are_bounded():
    dialer = profile(ALICE).replace(protocols={CALLS.name: ECHO.replace(name=CALLS.name)})
    pair = Pair(dialer, profile(BOB, held_bytes_max=250_000)).opened()
    for handle in range(3):
        pair.dialer.open_stream(handle, (CALLS.name,))
        pair.dialer.send(handle, (1_000_000).to_bytes(8, "little") + bytes(100_000))
    pair.settle()
    lost = [event for event in pair.events(pair.listener) if isinstance(event, StreamLost)]
    assert [event.fault for event in lost] == [Fault.MEMORY_EXCEEDED]
    assert pair.listener.held_bytes == 200_000
    for handle in range(3):
        pair.dialer.reset_stream(handle)
    pair.settle()
    assert pair.listener.held_bytes == 0


def test_unfinished_messages_of_all_connections_are_bounded():
    dialer = profile(ALICE).replace(protocols={CALLS.name: ECHO.replace(name=CALLS.name)})
    listener = profile(BOB, held_bytes_total_max=250_000)
    pairs = [Pair(dialer, listener).opened() for _ in range(3)]
    for pair in pairs:
        pair.dialer.open_stream(1, (CALLS.name,))
        pair.dialer.send(1, (1_000_000).to_bytes(8, "little") + bytes(100_000))
        pair.settle()
    assert [pair.listener.held_bytes for pair in pairs] == [100_000, 100_000, 0]
    assert pairs[2].events(pairs[2].listener)[-1] == StreamLost(THEIRS, Fault.MEMORY_EXCEEDED)
    pairs[0].listener.end_of_input()
    assert listener.budget.held_bytes == 100_000
    pairs[1].dialer.reset_stream(1)
    pairs[1].settle()
    assert listener.budget.held_bytes == 0


@pytest.mark.parametrize("protocols", [(NOTES.name,), (NOTES.name, CALLS.name)])
def test_what_waits_to_be_sent_is_bounded(protocols: tuple[str, ...]):
    pair = Pair(profile(ALICE, send_bytes_max=400_000)).opened()
    pair.dialer.open_stream(1, protocols)
    pair.dialer.send(1, bytes(99_000))
    pair.dialer.send(1, bytes(99_000))
    pair.dialer.send(1, bytes(210_000))
    assert pair.events(pair.dialer) == [StreamLost(1, Fault.SEND_EXCEEDED)]
    pair.settle()
    assert pair.dialer.queued_bytes == 0


def test_a_peer_that_calls_for_answers_and_reads_none_is_cut_off():
    pair = Pair().opened()
    ping = bytes.fromhex("000200010000000000000007")
    noise = pair.dialer._noise
    pnet = pair.dialer._pnet
    assert noise is not None
    assert pnet is not None
    for _ in range(20):
        pair.listener.receive(pnet.send(noise.encrypt([ping * 1000])), pair.now)
    assert fault_of(pair.events(pair.listener)) is Fault.NOT_READING


def test_streams_that_come_and_go_leave_nothing_behind():
    pair = Pair(profile(ALICE).replace(protocols={"/no": ECHO.replace(name="/no"), NOTES.name: NOTES})).opened()
    for handle in range(2000):
        pair.dialer.open_stream(handle, (NOTES.name if handle % 3 else "/no",))
        pair.dialer.reset_stream(handle)
        if handle % 50 == 0:
            pair.settle()
            pair.events(pair.listener)
    pair.settle()
    for side in (pair.dialer, pair.listener):
        assert not side._channels
        assert not side._by_handle
        assert len(side._negotiating) < 200


def test_orders_on_what_is_not_there_are_refused_or_ignored():
    pair = Pair().opened()
    with pytest.raises(CallerError):
        pair.dialer.open_stream(THEIRS, (NOTES.name,))
    with pytest.raises(CallerError):
        pair.dialer.open_stream(1, ("/unknown",))
    with pytest.raises(CallerError):
        pair.dialer.open_stream(1, ())
    pair.dialer.open_stream(1, (NOTES.name,))
    with pytest.raises(CallerError):
        pair.dialer.open_stream(1, (NOTES.name,))
    pair.dialer.send(99, b"x")
    pair.dialer.close_write(99)
    pair.dialer.reset_stream(99)


def test_the_capture_of_js_libp2p_leads_a_listener_into_noise():
    """Its first noise message is cut in the capture, so an answer can not come yet; what came is in order."""
    found = vector("pnet_capture_js_libp2p_dialer")
    listener = Connection(profile(BOB, network_key=found["psk"]), HERE, is_dialer=False, now=0.0)
    listener.receive(found["wire"], 0.0)
    assert listener.phase is Phase.NOISE
    assert not listener.events


@settings(deadline=None)
@given(st.data())
def test_changed_bytes_end_a_connection_with_a_typed_reason(data: st.DataObject):
    """Whatever is flipped, dropped or repeated on the wire: typed ends, no exception, nothing undue is told."""
    pair = Pair(profile(ALICE, has_early_muxer=data.draw(st.booleans()), network_key=None), profile(BOB, network_key=None))
    turns = data.draw(st.integers(0, 8))
    for turn in range(12):
        sender, receiver = (pair.dialer, pair.listener) if turn % 2 == 0 else (pair.listener, pair.dialer)
        wire = bytearray(sender.transmit())
        if turn == turns and wire:
            at = data.draw(st.integers(0, len(wire) - 1))
            change = data.draw(st.sampled_from(["flip", "cut", "double", "garbage"]))
            if change == "flip":
                wire[at] ^= 1 << data.draw(st.integers(0, 7))
            elif change == "cut":
                del wire[at : at + 1 + data.draw(st.integers(0, 30))]
            elif change == "double":
                wire[at:at] = wire[at : at + 20]
            else:
                wire[at:at] = data.draw(st.binary(min_size=1, max_size=40))
        receiver.receive(bytes(wire), pair.now)
        if pair.dialer.phase is Phase.OPEN and turn == 6:
            pair.dialer.open_stream(1, (NOTES.name,))
            pair.dialer.send(1, b"note")
    pair.pass_time(60)
    for side in (pair.dialer, pair.listener):
        for event in side.events:
            assert not isinstance(event, StreamMessage) or event.data == b"note"
            assert not isinstance(event, Upgraded) or event.peer_id in {ALICE.peer_id, BOB.peer_id}
            assert not isinstance(event, Closed) or event.reason.detail


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=10), st.booleans(), st.booleans())
def test_a_peer_that_sends_anything_is_no_trouble(pieces: list[bytes], dials: bool, private: bool):
    side = Connection(profile(ALICE, network_key=NETWORK_KEY if private else None), HERE, is_dialer=dials, now=0.0)
    for piece in pieces:
        side.receive(piece, 0.0)
        side.transmit()
    side.handle_timer(15.0)
    assert fault_of(list(side.events)) in set(Fault)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=8))
def test_a_proved_peer_that_sends_anything_is_no_trouble(plaintexts: list[bytes]):
    """What is behind the encryption is fuzzed too: Yamux and the streams' negotiation."""
    pair = Pair(profile(ALICE, network_key=None), profile(BOB, network_key=None)).opened()
    pair.dialer.open_stream(1, (NOTES.name,))
    pair.settle()
    noise = pair.dialer._noise
    assert noise is not None
    data_frame = bytes.fromhex("0000000000000001")
    for plaintext in plaintexts:
        framed = data_frame + len(plaintext).to_bytes(4, "big") + plaintext
        pair.listener.receive(noise.encrypt([framed, plaintext] if len(plaintext) % 2 else [framed]), pair.now)
        pair.listener.transmit()
    assert pair.listener.held_bytes <= sum(map(len, plaintexts))
