"""Yamux: vectors, credit, order, fairness, habits of Go and Rust, and violations."""

from __future__ import annotations

from contextlib import suppress
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libp2p.pairs import vector
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError
from mina_p2p_effects.transports.libp2p.noise import PLAINTEXT_BYTES_MAX
from mina_p2p_effects.transports.libp2p.yamux import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW_UPDATE, Yamux

WINDOW = 256 * 1024


def header(kind: int, flags: int, stream: int, length: int, version: int = 0) -> bytes:
    return pack(">BBHII", version, kind, flags, stream, length)


class Side:
    """A session and what it told."""

    def __init__(self, *, is_initiator: bool = True, **limits: Any) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.yamux = Yamux(Libp2pConfig(**limits), self, is_initiator=is_initiator, now=0.0)
        self.now = 0.0

    def stream_opened(self, stream: int) -> None:
        self.told.append(("opened", stream))

    def stream_data(self, stream: int, data: memoryview) -> None:
        if self.told and self.told[-1][:2] == ("data", stream):
            self.told[-1] = ("data", stream, self.told[-1][2] + bytes(data))
        else:
            self.told.append(("data", stream, bytes(data)))

    def stream_ended(self, stream: int) -> None:
        self.told.append(("ended", stream))

    def stream_was_reset(self, stream: int) -> None:
        self.told.append(("reset", stream))

    def went_away(self) -> None:
        self.told.append(("away",))

    def receive(self, *frames: bytes) -> list[tuple[Any, ...]]:
        self.yamux.receive(b"".join(frames), self.now)
        told, self.told = self.told, []
        return told

    def sent(self) -> bytes:
        out = b""
        while data := self.yamux.take():
            assert len(data) <= PLAINTEXT_BYTES_MAX
            out += data
        return out

    def fault(self, *frames: bytes) -> Fault:
        with pytest.raises(LayerError) as caught:
            self.receive(*frames)
        return caught.value.fault


class Two:
    """Two sessions joined."""

    def __init__(self, **limits: Any) -> None:
        self.first, self.second = Side(is_initiator=True, **limits), Side(is_initiator=False, **limits)

    def settle(self, piece: int = 1 << 20) -> None:
        moved = True
        while moved:
            moved = False
            for sender, receiver in ((self.first, self.second), (self.second, self.first)):
                data = sender.sent()
                moved = moved or bool(data)
                for at in range(0, len(data), piece):
                    receiver.yamux.receive(data[at : at + piece], receiver.now)


def test_opening_is_what_go_sends():
    side = Side()
    assert side.yamux.open() == 1
    assert side.sent() == vector("yamux_open_go")["hex"]
    assert side.receive(vector("yamux_ack_go")["hex"]) == []
    side.yamux.close_write(1)
    assert side.sent() == vector("yamux_fin_go")["hex"]
    assert side.yamux.open() == 3


def test_accepting_answers_at_once_as_go_does():
    side = Side(is_initiator=False)
    assert side.receive(vector("yamux_open_go")["hex"]) == [("opened", 1)]
    assert side.sent() == vector("yamux_ack_go")["hex"]
    assert side.receive(vector("yamux_fin_go")["hex"]) == [("ended", 1)]
    side.yamux.reset(1)
    assert side.sent() == vector("yamux_rst_go")["hex"]


def test_a_stream_that_rust_opens_with_data():
    side = Side(is_initiator=False)
    assert side.receive(vector("yamux_data_syn_rust")["hex"]) == [("opened", 1), ("data", 1, b"abc")]


def test_flags_of_end_are_taken_on_data_and_on_window_updates():
    side = Side(is_initiator=False)
    assert side.receive(header(DATA, SYN | FIN, 1, 2), b"hi") == [("opened", 1), ("data", 1, b"hi"), ("ended", 1)]
    assert side.receive(header(DATA, SYN, 3, 0), header(DATA, RST, 3, 0)) == [("opened", 3), ("reset", 3)]


def test_pings_are_answered_and_measured():
    side = Side()
    assert side.receive(vector("yamux_ping")["hex"]) == []
    assert side.sent() == vector("yamux_pong")["hex"]
    side.now = 50.0
    side.yamux.handle_timer(side.now)
    assert side.sent() == header(PING, SYN, 0, 1)
    side.now = 50.25
    assert side.receive(header(PING, ACK, 0, 9), header(PING, ACK, 0, 1)) == []
    assert side.yamux.round_trip_s == 0.25
    assert side.yamux.deadline() == 80.25


def test_a_peer_that_does_not_answer_a_ping_is_gone():
    side = Side()
    side.yamux.handle_timer(1.0)
    assert side.yamux.deadline() == 11.0
    side.yamux.handle_timer(10.9)
    with pytest.raises(LayerError) as caught:
        side.yamux.handle_timer(11.0)
    assert caught.value.fault is Fault.PING_TIMEOUT


def test_going_away():
    side = Side()
    assert side.receive(vector("yamux_goaway_normal")["hex"]) == [("away",)]
    assert side.yamux.open() is None
    assert side.fault(vector("yamux_goaway_protocol")["hex"]) is Fault.GO_AWAY_PROTOCOL
    assert side.fault(header(GO_AWAY, 0, 0, 2)) is Fault.GO_AWAY_INTERNAL
    side.yamux.go_away(1)
    assert side.sent() == vector("yamux_goaway_protocol")["hex"]


def test_never_more_is_sent_than_the_window_allows():
    side = Side()
    stream = side.yamux.open()
    assert stream is not None
    side.yamux.write(stream, bytes(WINDOW + 10))
    side.yamux.close_write(stream)
    out = side.sent()
    assert out.count(bytes(1000)) <= WINDOW // 1000
    assert WINDOW < len(out) < WINDOW + 12 * 7
    assert (side.yamux.queued_bytes, side.yamux.has_output) == (10, False)
    side.receive(header(WINDOW_UPDATE, 0, stream, 4))
    assert side.sent() == header(DATA, 0, stream, 4) + bytes(4)
    side.receive(header(WINDOW_UPDATE, 0, stream, 100))
    assert side.sent() == header(DATA, 0, stream, 6) + bytes(6) + header(WINDOW_UPDATE, FIN, stream, 0)
    assert side.yamux.queued_bytes == 0


def test_credit_is_given_back_when_half_of_it_was_used():
    side = Side(is_initiator=False)
    side.receive(header(WINDOW_UPDATE, SYN, 1, 0))
    side.sent()
    half = WINDOW // 2
    side.receive(header(DATA, 0, 1, half - 1), bytes(half - 1))
    assert side.sent() == b""
    side.receive(header(DATA, 0, 1, 1), b"x")
    assert side.sent() == vector("yamux_window_update_128k")["hex"]


def test_a_window_grows_only_while_it_is_emptied_within_the_round_trip():
    side = Side(is_initiator=False, window_bytes_max=1024 * 1024)
    side.receive(header(WINDOW_UPDATE, SYN, 1, 0))
    side.now = 10.0
    side.yamux.handle_timer(10.0)
    side.now = 10.5
    side.receive(header(PING, ACK, 0, 1))
    side.sent()

    def use(size: int) -> int:
        side.receive(header(DATA, 0, 1, size), bytes(size))
        out = side.sent()
        return int.from_bytes(out[8:12], "big") if out else 0

    assert use(WINDOW) == WINDOW
    side.now += 1.9
    assert use(WINDOW) == 2 * WINDOW
    side.now += 2.1
    assert use(2 * WINDOW) == 2 * WINDOW
    side.now += 0.1
    assert use(2 * WINDOW) == 4 * WINDOW
    assert use(4 * WINDOW) == 4 * WINDOW


def test_streams_take_turns():
    side = Side()
    one, two = side.yamux.open(), side.yamux.open()
    assert one is not None
    assert two is not None
    side.yamux.write(one, bytes(200_000))
    side.yamux.write(two, b"small")
    first, second = side.yamux.take(), side.yamux.take()
    assert second.startswith(header(DATA, 0, two, 5) + b"small")
    assert len(first) == PLAINTEXT_BYTES_MAX


def test_small_messages_share_a_frame():
    side = Side()
    stream = side.yamux.open()
    assert stream is not None
    side.sent()
    for _ in range(10):
        side.yamux.write(stream, b"0123456789")
    assert side.sent() == header(DATA, 0, stream, 100) + b"0123456789" * 10


def test_streams_beyond_the_limit_are_reset():
    side = Side(is_initiator=False, incoming_streams_max=64)
    for number in range(64):
        side.receive(header(WINDOW_UPDATE, SYN, 2 * number + 1, 0))
    side.sent()
    assert side.receive(header(DATA, SYN, 129, 3), b"abc") == []
    assert side.sent() == header(WINDOW_UPDATE, RST, 129, 0)
    side.receive(header(WINDOW_UPDATE, RST, 1, 0))
    assert side.receive(header(WINDOW_UPDATE, SYN, 131, 0)) == [("opened", 131)]


def test_no_more_streams_are_opened_than_the_limit():
    side = Side(outgoing_streams_max=2)
    assert [side.yamux.open() for _ in range(3)] == [1, 3, None]
    side.yamux.reset(1)
    assert side.yamux.open() == 5


def test_frames_of_streams_that_are_gone_are_passed_over():
    side = Side(is_initiator=False)
    frames = (
        header(DATA, 0, 7, 3),
        b"abc",
        header(WINDOW_UPDATE, FIN, 7, 5),
        header(DATA, RST, 2, 1),
        b"x",
        header(WINDOW_UPDATE, SYN, 1, 0),
    )
    assert side.receive(*frames) == [("opened", 1)]


def test_an_id_may_be_used_again_once_its_stream_is_gone():
    """The Rust node has fixed ids."""
    side = Side(is_initiator=False)
    assert side.receive(header(DATA, SYN | FIN, 5, 0)) == [("opened", 5), ("ended", 5)]
    side.yamux.close_write(5)
    assert 5 not in side.yamux
    assert side.receive(header(DATA, SYN, 5, 1), b"x") == [("opened", 5), ("data", 5, b"x")]


def test_nothing_is_sent_behind_the_end():
    side = Side()
    stream = side.yamux.open()
    assert stream is not None
    side.yamux.close_write(stream)
    side.yamux.close_write(stream)
    side.sent()
    side.yamux.write(stream, b"late")
    side.yamux.write(77, b"nobody")
    side.yamux.close_write(77)
    side.yamux.reset(77)
    assert side.sent() == b""


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (header(DATA, 0, 1, 0, version=1), Fault.FRAME_MALFORMED),
        (header(4, 0, 1, 0), Fault.FRAME_MALFORMED),
        (header(DATA, 0x10, 1, 0), Fault.FRAME_MALFORMED),
        (header(DATA, SYN, 0, 0), Fault.FRAME_MALFORMED),
        (header(PING, SYN, 1, 0), Fault.FRAME_MALFORMED),
        (header(GO_AWAY, 0, 2, 0), Fault.FRAME_MALFORMED),
        (header(DATA, SYN, 2, 0), Fault.STREAM_MISUSE),
        (header(DATA, SYN, 1, 0) * 2, Fault.STREAM_MISUSE),
        (header(DATA, SYN | FIN, 1, 0) + header(DATA, 0, 1, 1), Fault.STREAM_MISUSE),
        (header(DATA, SYN, 1, WINDOW + 1), Fault.WINDOW_EXCEEDED),
        (header(DATA, SYN, 1, 0xFFFFFFFF), Fault.WINDOW_EXCEEDED),
        (header(DATA, 0, 9, 16 * 1024 * 1024 + 1), Fault.WINDOW_EXCEEDED),
        (header(WINDOW_UPDATE, SYN, 1, 0xFFFFFFFF), Fault.WINDOW_EXCEEDED),
    ],
)
def test_violations_are_named(frame: bytes, expected: Fault):
    assert Side(is_initiator=False).fault(frame) is expected


def test_data_in_pieces_can_not_exceed_the_window():
    side = Side(is_initiator=False)
    side.receive(header(DATA, SYN, 1, WINDOW // 2 - 1), bytes(WINDOW // 2 - 1))
    assert side.fault(header(DATA, 0, 1, WINDOW // 2 + 2)) is Fault.WINDOW_EXCEEDED


@given(st.data())
def test_what_is_written_arrives_in_order_on_every_stream(data: st.DataObject):
    two = Two()
    piece = data.draw(st.sampled_from([1, 11, 1000, 1 << 20]))
    sizes = st.integers(0, 2000) if piece < 1000 else st.sampled_from([0, 1, 70_000, 300_000])
    written: dict[int, bytes] = {}
    for _ in range(data.draw(st.integers(1, 3))):
        stream = two.first.yamux.open()
        assert stream is not None
        written[stream] = b""
    for turn, stream in enumerate(data.draw(st.lists(st.sampled_from(sorted(written)), max_size=6))):
        content = bytes((turn + 1,)) * data.draw(sizes)
        two.first.yamux.write(stream, content)
        written[stream] += content
        if data.draw(st.booleans()):
            two.settle(piece)
    for stream in written:
        two.first.yamux.close_write(stream)
    two.settle(piece)
    for stream, content in written.items():
        assert b"".join(entry[2] for entry in two.second.told if entry[:2] == ("data", stream)) == content
        assert two.second.told.count(("ended", stream)) == 1
        two.second.yamux.close_write(stream)
    two.settle()
    assert (len(two.first.yamux), len(two.second.yamux), two.first.yamux.queued_bytes) == (0, 0, 0)


FRAMES = st.builds(
    lambda kind, flags, stream, length, body: header(kind, flags, stream, length) + body,
    st.integers(0, 4),
    st.integers(0, 17),
    st.integers(0, 4),
    st.integers(0, 20) | st.sampled_from([WINDOW, 2**32 - 1]),
    st.binary(max_size=20),
)


@given(st.lists(FRAMES, max_size=12), st.integers(1, 40))
def test_any_input_is_told_or_a_typed_fault(frames: list[bytes], piece: int):
    side = Side(is_initiator=False)
    data = b"".join(frames)
    with suppress(LayerError):
        for at in range(0, len(data), piece):
            side.receive(data[at : at + piece])
            side.yamux.open()
    assert len(side.yamux._header) < 12
    side.sent()
