"""RFC 9000, section 21, attack by attack: what an authenticated peer can make us hold, send and compute is bounded.

The attacker repeats one thing for ever. What the connection holds is weighed, object by
object, after many repetitions and after many more: it must not have grown. Datagrams that
we send and Python calls that we make are counted, so that neither grows with repetition.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from aioquic import tls
from aioquic.buffer import encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import ChannelsStreamEnded, ConnectionHelloReceived, ConnectionIncomingReceived
from mina_p2p_effects.transports.quic.aioquic_hooks import QuicProfile
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.exchanges import Phase
from quic.pairs import ALICE, BOB, CAROL, DIALER_ADDRESS, Listener, Ours, World, attacked, connected, dialer, profile, stock_client

REQUEST = b"\x04\x00\x00\x00\x04next"
SHARED = (type, ModuleType, FunctionType, FrameType, QuicProfile, QuicConfig, QuicConfiguration)


def weight(root: object) -> int:
    """Bytes of everything that only ``root`` leads to; code, types and what all connections share are left out."""
    seen: set[int] = set()
    waiting = [root]
    total = 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, SHARED):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        waiting.extend(gc.get_referents(each))
    return total


def calls(action: Callable[[], Any]) -> int:
    """How many Python and C functions ``action`` calls."""
    count = 0

    def count_one(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count_one)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def asked(its: QuicProfile, others: QuicProfile, permitted: int = 1 << 20) -> tuple[World, Ours, Listener]:
    """Two ends, past their hellos, and one request of the dialer."""
    dialing, listening = dialer(its), Listener(others)
    world = World(dialing, listening)
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    world.quiet()
    dialing.connection.request(ChannelId.RPC, StreamId(4), b"?", permitted + 4, permitted)
    world.quiet()
    return world, dialing, listening


class Siege:
    """An attacker that sends what it likes, hears nothing, and acknowledges nothing."""

    def __init__(self, config: QuicConfig | None = None) -> None:
        self.world, self.attacker, self.listening = attacked(config)
        self.source: Any = DIALER_ADDRESS
        self.datagrams_in = self.datagrams_out = self.bytes_in = self.bytes_out = 0
        self.step = 0

    @property
    def connection(self) -> Any:
        return self.listening.connection

    def send(self, frame_type: int, body: bytes) -> None:
        self.attacker.send_frame(frame_type, body, self.world.now)

    def repeat(self, attack: Callable[[Siege], None], count: int) -> int:
        """Attack so often; the calls that we made for it."""
        made = 0
        for _ in range(count):
            self.world.now += 0.002
            self.step += 1
            attack(self)
            spool, self.attacker.spool = self.attacker.spool, []
            made += calls(lambda spool=spool: self.take(spool))
        return made

    def take(self, spool: list[tuple[bytes, Any]]) -> None:
        for data, _ in spool:
            self.datagrams_in += 1
            self.bytes_in += len(data)
            self.listening.receive(data, self.source, self.world.now)
        deadline = self.listening.deadline()
        if deadline is not None and deadline <= self.world.now:
            self.listening.handle_timer(self.world.now)
        for data, _ in self.listening.transmit(self.world.now):
            self.datagrams_out += 1
            self.bytes_out += len(data)


def ping(siege: Siege) -> None:
    siege.send(0x01, b"")


def path_challenges(siege: Siege) -> None:
    siege.send(0x1A, (siege.step.to_bytes(8, "big") + b"\x1a") * 100 + bytes(8))


def new_paths(siege: Siege) -> None:
    """A datagram from a new address each time, as an attacker on the path or a peer behind a broken translator would."""
    siege.source = (f"203.0.113.{siege.step % 250}", 1 + siege.step % 60_000)
    siege.send(0x01, b"")


def probed_paths(siege: Siege) -> None:
    siege.source = (f"203.0.113.{siege.step % 250}", 1 + siege.step % 60_000)
    siege.send(0x1A, siege.step.to_bytes(8, "big"))


def gaps_in_packet_numbers(siege: Siege) -> None:
    siege.attacker.quic._packet_number += 1
    siege.send(0x01, b"")


def empty_stream_frames(siege: Siege) -> None:
    siege.send(0x0E, encode_uint_var(4) + encode_uint_var(0) + encode_uint_var(0))


def the_same_bytes_again(siege: Siege) -> None:
    siege.attacker.send_stream(4, 5000, bytes(900), siege.world.now)


def overlapping_pieces(siege: Siege) -> None:
    siege.attacker.send_stream(4, 1000 + siege.step % 10_000, bytes(100), siege.world.now)


def blocked_frames(siege: Siege) -> None:
    siege.send(0x15, encode_uint_var(4 * (1 + siege.step % 16)) + encode_uint_var(siege.step))
    siege.send(0x16, encode_uint_var(siege.step))
    siege.send(0x14, encode_uint_var(siege.step))


def credit_frames(siege: Siege) -> None:
    siege.send(0x11, encode_uint_var(4) + encode_uint_var(siege.step))
    siege.send(0x12, encode_uint_var(100 + siege.step))
    siege.send(0x10, encode_uint_var(1 << 40))


def rotating_connection_ids(siege: Siege) -> None:
    """Each new id retires all before it."""
    number = 7 + siege.step
    body = encode_uint_var(number) + encode_uint_var(number) + b"\x08" + number.to_bytes(8, "big") + bytes(16)
    siege.send(0x18, body)


def repeated_connection_ids(siege: Siege) -> None:
    siege.send(0x18, encode_uint_var(1) + encode_uint_var(0) + b"\x08" + bytes(8) + bytes(16))


def retired_ids(siege: Siege) -> None:
    siege.send(0x19, encode_uint_var(1))


def resets_of_one_stream(siege: Siege) -> None:
    siege.send(0x04, encode_uint_var(4) + b"\x00" + encode_uint_var(0))


def stops_of_one_stream(siege: Siege) -> None:
    siege.send(0x05, encode_uint_var(4) + b"\x00")


def resets_of_all_streams(siege: Siege) -> None:
    siege.send(0x04, encode_uint_var(4 * (1 + siege.step % 16)) + b"\x00" + encode_uint_var(0))


def key_updates(siege: Siege) -> None:
    siege.attacker.quic._cryptos[tls.Epoch.ONE_RTT].update_key()
    siege.send(0x01, b"")


def padding(siege: Siege) -> None:
    siege.send(0x00, bytes(1000))


def old_handshake_data(siege: Siege) -> None:
    siege.send(0x06, encode_uint_var(100) + encode_uint_var(900) + bytes(900))


def tokens(siege: Siege) -> None:
    """A client may not send these; one is enough."""
    siege.send(0x07, encode_uint_var(500) + bytes(500))


REPEATED = [
    ping, path_challenges, new_paths, probed_paths, gaps_in_packet_numbers, empty_stream_frames, the_same_bytes_again, overlapping_pieces,
    blocked_frames, credit_frames, rotating_connection_ids, repeated_connection_ids, retired_ids, resets_of_one_stream,
    stops_of_one_stream, resets_of_all_streams, key_updates, padding, old_handshake_data, tokens,
]  # fmt: skip


@pytest.mark.parametrize("attack", REPEATED, ids=lambda attack: attack.__name__)
def test_repetition_costs_no_memory_and_no_more_work(attack):
    """700 repetitions, then 700 more that make us hold nothing more, send no more than comes, and compute no more than before."""
    siege = Siege()
    siege.repeat(attack, 700)
    held = weight(siege.connection)
    first = siege.repeat(attack, 350)
    second = siege.repeat(attack, 350)
    assert weight(siege.connection) < min(held + 160 * 1024, 1024 * 1024)
    assert second < 1.3 * first + 1000
    assert siege.datagrams_out <= siege.datagrams_in + 64
    assert siege.bytes_out <= 3 * siege.bytes_in + 3600


def test_a_new_address_is_sent_no_more_than_three_times_what_came_from_it():
    """21.1: an authenticated peer that claims to have moved can not make us flood the address, our own size probes included."""
    siege = Siege()
    for number in range(40):
        siege.source = ("203.0.113.9", 1000 + number)
        before_in, before_out = siege.bytes_in, siege.bytes_out
        siege.repeat(lambda each: each.send(0x01, b""), 5)
        assert siege.bytes_out - before_out <= 3 * (siege.bytes_in - before_in)
    assert siege.listening.closed_by is None


def test_acknowledgements_of_many_single_packets():
    """An ACK frame of hundreds of ranges is read once, and frees what it names."""
    world, attacker, listening = attacked()
    listening.connection.request(ChannelId.RPC, StreamId(1), b"?", 1, 1)
    quic = listening.connection.quic
    for _ in range(400):
        quic.send_ping(0)
        listening.transmit(world.now)
        world.now += 0.01
    largest = quic._packet_number - 1
    body = encode_uint_var(largest) + b"\x00" + encode_uint_var(150) + b"\x00" + b"\x00\x00" * 150
    attacker.send_frame(0x02, body, world.now)
    ((data, _),) = attacker.spool
    attacker.spool = []
    made = calls(lambda: listening.receive(data, DIALER_ADDRESS, world.now))
    assert made < 40_000
    assert weight(listening.connection) < 512 * 1024


def test_a_peer_that_never_acknowledges_is_not_remembered_packet_by_packet():
    """Acknowledgements of ours that are never acknowledged leave a bounded trace, and recent ones are still recognised."""
    siege = Siege()
    siege.repeat(ping, 3000)
    sent = siege.connection.quic._spaces[tls.Epoch.ONE_RTT].sent_packets
    assert 256 <= len(sent) <= 1024


# --- what is not whole


def test_messages_that_never_become_whole_are_bounded_by_connection():
    """Ten answers of a megabyte each, none of which is finished: beyond the connection's cap it ends, at nobody's fault."""
    config = QuicConfig(receive_bytes_max=2 << 20)
    world, dialing, listening = connected(config)
    for number in range(10):
        dialing.connection.request(ChannelId.RPC, StreamId(4 * number + 4), b"?", 1 << 20, 1 << 20)
    world.quiet()
    for number in range(10):
        listening.connection.quic.send_stream_data(4 * number + 4, (1 << 20).to_bytes(4, "big") + bytes((1 << 20) - 100))
    largest = 0

    def over() -> bool:
        nonlocal largest
        largest = max(largest, 0 if dialing.closed_by else dialing.connection.quic.held_bytes())
        return dialing.closed_by is not None

    world.run(over)
    assert dialing.closed_by[0].code is ReasonCode.FREE_UP_SPACE
    assert largest <= (2 << 20) + 128 * 1024


def test_messages_that_never_become_whole_are_bounded_by_node():
    """Of two connections of one node, the one that holds most gives way; the other is not asked to."""
    config = QuicConfig(receive_total_bytes_max=2 << 20)
    shared = profile(ALICE, config)
    ends = []
    for permitted in (1 << 20, 8 << 20):
        world, dialing, listening = asked(shared, profile(BOB), permitted)
        listening.connection.quic.send_stream_data(4, permitted.to_bytes(4, "big") + bytes(permitted - 100))
        ends.append((world, dialing))
    (little_world, little), (much_world, much) = ends
    little_world.quiet(5)
    assert little.connection.quic.held_bytes() > 1_000_000
    much_world.run(lambda: much.closed_by is not None)
    assert much.closed_by[0].code is ReasonCode.FREE_UP_SPACE
    assert little.closed_by is None
    assert shared.receiving.total <= 1.1 * (1 << 20)


# --- slow readers


def test_the_slowest_gives_way_where_the_nodes_buffers_are_full():
    """Eight peers take nothing: the node's cap holds at every moment, those with most are closed, and one that reads is served."""
    config = QuicConfig(send_total_bytes_max=4 << 20)
    shared = profile(BOB, config)
    slow = [asked(profile(ALICE), shared)[2] for _ in range(8)]
    quick_world, quick, serving = asked(profile(ALICE), shared)
    for number, listening in enumerate(slow):
        listening.connection.answer(StreamId(4), (bytes(900_000 + number),), ends=True)
        held = sum(each.connection.quic.unacknowledged(4) for each in slow if each.connection.phase is Phase.OPEN)
        assert held <= 4 << 20
    serving.connection.answer(StreamId(4), (bytes(100_000),), ends=True)
    quick_world.run(lambda: bool(quick.heard(ChannelsStreamEnded)))
    assert serving.closed_by is None
    gone = [listening.connection.reason.code for listening in slow if listening.connection.phase is Phase.CLOSED]
    assert gone == [ReasonCode.CHANNEL_SEND_FAILED] * 4
    assert shared.sending.total <= 4 << 20


# --- anything at all

FRAMES = st.tuples(
    st.integers(0, 0x40),
    st.lists(st.one_of(st.integers(0, 40), st.integers(0, 1 << 20), st.integers(0, (1 << 62) - 1)), max_size=6).map(
        lambda numbers: b"".join(map(encode_uint_var, numbers))
    ),
    st.binary(max_size=40),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAMES, max_size=12))
def test_no_frame_harms_us(frames):
    """Whatever an authenticated peer sends in its packets: the connection goes on, or ends with a reason of ours; nothing fails inside, and little is held."""
    siege = Siege()
    listening = siege.listening
    siege.connection.request(ChannelId.RPC, StreamId(1), b"?", 10_000, 1000)
    for frame_type, numbers, rest in frames:
        siege.repeat(lambda each, frame_type=frame_type, body=numbers + rest: each.send(frame_type, body), 1)
    ended = listening.closed_by
    if ended is not None:
        assert "library failed" not in ended[0].detail
        assert ended[0].code is not ReasonCode.UNKNOWN or ended[1]
    assert weight(siege.connection) < 512 * 1024
    assert siege.bytes_out <= 3 * siege.bytes_in + 3600


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_no_client_hello_harms_us(changes, is_cut):
    """A ClientHello with any bytes changed, or cut: its sender is let in by its proof alone, else the attempt ends or waits for its time-out."""
    attacker = stock_client(CAROL)
    sender = attacker.quic._crypto_streams[tls.Epoch.INITIAL].sender
    for where, value in changes:
        sender._buffer[int(where * len(sender._buffer))] = value
    if is_cut:
        end = int(changes[0][0] * len(sender._buffer))
        del sender._buffer[end:]
        sender._buffer_stop = end
        sender._pending.subtract(end, 1 << 20)
    listening = Listener(profile(BOB))
    world = World(attacker, listening)
    for _ in range(8):
        world.exchange()
    assert all(event.peer_id == CAROL.peer_id for event in listening.heard(ConnectionIncomingReceived))
    if listening.ours is not None and listening.connection.reason is not None:
        assert "library failed" not in listening.connection.reason.detail
        assert listening.connection.reason.code in {
            ReasonCode.TRANSPORT_ERROR,
            ReasonCode.AUTHENTICATION_FAILED,
            ReasonCode.NO_COMMON_PROTOCOL,
        }
