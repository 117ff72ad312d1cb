"""Whole libp2p connections as targets: what happens on the wire between two honest ends, and a peer that knows the keys.

*On the wire* an input is a script: bytes are delivered in pieces, changed, dropped, doubled, swapped or made up, time passes,
ends open streams and send. Whatever the script does, nobody takes one for another, and what comes out of a stream is
what was put into it, in order: the beginning of it where the connection broke.

*An insider* has proved who it is; the input is what it says inside Noise, to a node that answers. All the bounds of
a connection must hold, whether the insider reads its answers or not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Final

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import SocketAddress
from mina_p2p.wire.varint import encode_delimited
from mina_p2p_effects.fuzzing.decoders import Decoder
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p import multistream as ms
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.connection import Connection, Phase, Profile
from mina_p2p_effects.transports.libp2p.events import Closed, StreamEnded, StreamLost, StreamMessage, StreamOpened, Upgraded
from mina_p2p_effects.transports.libp2p.noise import NoiseTransport
from mina_p2p_effects.transports.libp2p.pnet import NONCE_BYTES, Pnet
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol
from mina_p2p_effects.transports.libp2p.upgrade import Upgrade

_KEYS: Final = SecretKey.deterministic(1), SecretKey.deterministic(2)
_NETWORK_KEY: Final = DEVNET_CHAIN_ID.libp2p_network_key
_REMOTE: Final = SocketAddress("192.0.2.1", 8302)
_HEADER: Final = struct.Struct(">BBHII")
MESSAGE_MAX: Final = 300
RAW, NOTES, CALLS = (
    StreamProtocol("/fuzz/raw", Framing.RAW, 0),
    StreamProtocol("/fuzz/notes", Framing.DELIMITED, MESSAGE_MAX),
    StreamProtocol("/fuzz/calls", Framing.RPC, MESSAGE_MAX),
)
_SPOKEN: Final = {protocol.name: protocol for protocol in (RAW, NOTES, CALLS)}
LIMITS: Final = Libp2pConfig(
    incoming_streams_max=64, outgoing_streams_max=8, held_bytes_max=2_000, send_bytes_max=4_096, control_bytes_max=4_096
)
TURNS_MAX: Final = 256
"""Steps of a script; what is longer is cut."""
SLACK: Final = 64
"""Bytes of framing beside a queued message."""


def table() -> Iterator[Decoder]:
    """Both targets, where the extra ``libp2p`` is installed: a private network is what these connections are in."""
    if find_spec("Crypto") is None:
        return
    yield Decoder("libp2p.wire", on_the_wire, _scripts, ())
    yield Decoder("libp2p.insider", insider, _speeches, ())


def _profile(number: int, dice: Dice) -> Profile:
    return Profile(_KEYS[number], LIMITS, _SPOKEN, _NETWORK_KEY, dice.raw)


def _require(is_so: bool, what: str) -> None:
    if not is_so:
        raise AssertionError(what)


class _Watched:
    """A connection whose events are checked as they come."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.messages: dict[int, list[bytes]] = {}
        self.protocols: dict[int, str] = {}
        self.upgraded: Upgraded | None = None
        self.is_closed = False
        self._ended: set[int] = set()
        self._lost: set[int] = set()

    def take(self) -> list[object]:
        """The events since the last time, which say nothing that can not be."""
        connection = self.connection
        found: list[object] = []
        while connection.events:
            event = connection.events.popleft()
            found.append(event)
            _require(not self.is_closed, f"{event!r} after the end")
            match event:
                case Upgraded():
                    _require(self.upgraded is None, "upgraded twice")
                    self.upgraded = event
                case Closed():
                    self.is_closed = True
                case StreamOpened(handle=handle, protocol=protocol):
                    _require(handle not in self.protocols, f"stream {handle} opened twice")
                    self.protocols[handle] = protocol
                case StreamMessage(handle=handle, data=data):
                    is_open = handle in self.protocols and handle not in self._ended | self._lost
                    _require(is_open, f"stream {handle} speaks before or after its time")
                    most = _SPOKEN[self.protocols[handle]].message_bytes_max
                    _require(not most or len(data) <= most, f"a message of {len(data)} bytes")
                    self.messages.setdefault(handle, []).append(data)
                case StreamEnded(handle=handle):
                    _require(handle not in self._ended | self._lost, f"stream {handle} ended twice")
                    self._ended.add(handle)
                case StreamLost(handle=handle):
                    # It may have ended before, which is one half of it.
                    _require(handle not in self._lost, f"stream {handle} was lost twice")
                    self._lost.add(handle)
                case _:
                    pass
        self._check()
        return found

    def _check(self) -> None:
        connection = self.connection
        _require(self.is_closed == (connection.phase is Phase.CLOSED), f"phase {connection.phase.name}, closed: {self.is_closed}")
        _require(connection.held_bytes <= LIMITS.held_bytes_max, f"{connection.held_bytes} bytes are held")
        _require(connection.queued_bytes <= LIMITS.send_bytes_max + SLACK, f"{connection.queued_bytes} bytes wait to be sent")
        _require(
            connection.streams_count <= LIMITS.incoming_streams_max + LIMITS.outgoing_streams_max, f"{connection.streams_count} streams"
        )


# --- on the wire ---------------------------------------------------------------------------------------


class _Wire:
    """Two honest ends, and what is under way from each of them."""

    def __init__(self) -> None:
        self.now = 100.0
        dialer = Connection(_profile(0, Dice(1, "dialer")), _REMOTE, is_dialer=True, now=self.now, expected=_KEYS[1].peer_id)
        listener = Connection(_profile(1, Dice(1, "listener")), _REMOTE, is_dialer=False, now=self.now)
        self.ends = _Watched(dialer), _Watched(listener)
        self.under_way = bytearray(), bytearray()
        self.sent: dict[int, list[bytes]] = {}
        """Messages on the dialer's streams, by handle."""

    def deliver(self, who: int, count: int) -> None:
        """Let bytes from one end arrive at the other."""
        moving = self.under_way[who]
        moving += self.ends[who].connection.transmit()
        data = bytes(moving[:count])
        del moving[:count]
        if data:
            self.ends[1 - who].connection.receive(data, self.now)

    def settle(self, piece: int) -> None:
        """Let everything arrive."""
        for _ in range(TURNS_MAX):
            for who in (0, 1):
                self.deliver(who, piece)
            if not any(self.under_way) and not any(end.connection.has_output for end in self.ends):
                return

    def pass_time(self, seconds: int) -> None:
        """Timers that are due."""
        self.now += seconds
        for end in self.ends:
            deadline = end.connection.deadline()
            if deadline is not None and deadline <= self.now:
                end.connection.handle_timer(self.now)

    def speak(self, size: int) -> None:
        """The dialer opens a stream of notes and says something on it."""
        handle = len(self.sent)
        connection = self.ends[0].connection
        if connection.phase is not Phase.OPEN:
            return
        connection.open_stream(handle, (NOTES.name,))
        self.sent[handle] = [bytes((handle & 255,)) * size, bytes((size & 255,))]
        for message in self.sent[handle]:
            connection.send(handle, message)
        if size & 1:
            connection.close_write(handle)

    def check(self) -> None:
        """Nobody is taken for another, nothing is heard that was not said."""
        for who, end in enumerate(self.ends):
            end.take()
            _require(end.upgraded is None or end.upgraded.peer_id == _KEYS[1 - who].peer_id, "one is taken for another")
        heard = [messages for _, messages in sorted(self.ends[1].messages.items())]
        _require(not self.ends[0].messages, "the listener said nothing")
        for messages in heard:
            _require(any(messages == said[: len(messages)] for said in self.sent.values()), f"{messages!r} was never said")


def on_the_wire(data: bytes) -> tuple[Phase, Phase]:
    """Follow a script of pairs of bytes: what is done, and how much of it."""
    wire = _Wire()
    for at in range(0, min(len(data) - 1, 2 * TURNS_MAX), 2):
        what, much = data[at], data[at + 1]
        _STEPS[what % len(_STEPS)](wire, what >> 4 & 1, much)
        wire.check()
    for _ in range(3):
        # Long enough for a ping, and for one that is not answered.
        wire.settle(1 << 16)
        wire.check()
        wire.pass_time(40)
    wire.check()
    return wire.ends[0].connection.phase, wire.ends[1].connection.phase


def _flip(wire: _Wire, who: int, much: int) -> None:
    moving = wire.under_way[who]
    moving += wire.ends[who].connection.transmit()
    if moving:
        moving[much * 7 % len(moving)] ^= 1 + much % 255


def _drop(wire: _Wire, who: int, much: int) -> None:
    del wire.under_way[who][much : 2 * much + 1]


def _double(wire: _Wire, who: int, much: int) -> None:
    wire.under_way[who][much:much] = wire.under_way[who][: much + 1]


def _swap(wire: _Wire, who: int, much: int) -> None:
    moving, half = wire.under_way[who], 1 + much
    moving[: 2 * half] = moving[half : 2 * half] + moving[:half]


def _invent(wire: _Wire, who: int, much: int) -> None:
    wire.under_way[who].extend(bytes((much, 0, much ^ 255, 1)))


def _end(wire: _Wire, who: int, much: int) -> None:
    wire.ends[who].connection.end_of_input("cut" if much & 1 else "")


def _close(wire: _Wire, who: int, much: int) -> None:
    wire.ends[who].connection.close(Reason(ReasonCode.USER_REQUEST))


_STEPS: Final[tuple[Callable[[_Wire, int, int], None], ...]] = (
    lambda wire, _who, much: wire.settle(1 + much),
    lambda wire, who, much: wire.deliver(who, 1 + much),
    lambda wire, _who, much: wire.speak(much),
    _flip,
    lambda wire, _who, _much: wire.settle(1 << 16),
    _drop,
    _double,
    _swap,
    _invent,
    lambda wire, _who, much: wire.pass_time(much),
    _end,
    _close,
)


def _scripts(dice: Dice) -> Iterable[bytes]:
    yield bytes((4, 0, 2, 20, 2, 33, 4, 0, 9, 40, 4, 0))
    yield bytes((0, 6, 2, 90, 0, 0, 3, 5, 4, 0))
    yield bytes((1, 50, 17, 90, 8, 3, 4, 0))
    yield bytes((4, 0, 2, 8, 1, 4, 5, 1, 4, 0, 11, 0))
    yield bytes((4, 0)) + dice.raw(30)


# --- an insider ----------------------------------------------------------------------------------------


class _Insider:
    """A peer that has proved who it is, and then says whatever it likes."""

    def __init__(self, victim: Connection) -> None:
        dice = Dice(1, "insider")
        self._pnet = Pnet(_NETWORK_KEY, dice.raw(NONCE_BYTES))
        upgrade = Upgrade(_profile(0, dice), is_dialer=True, expected=None)
        self._noise: NoiseTransport | None = None
        while self._noise is None:
            victim.receive(self._pnet.send(bytes(upgrade.to_send)), 0.0)
            upgrade.to_send.clear()
            foundation = upgrade.receive(self._pnet.receive(victim.transmit()))
            if foundation is not None:
                self._noise = foundation.noise
        victim.receive(self._pnet.send(bytes(upgrade.to_send)), 0.0)

    def wrapped(self, plaintext: bytes) -> bytes:
        """As it goes over the wire."""
        return b"" if self._noise is None else self._pnet.send(self._noise.encrypt([plaintext]))


def insider(data: bytes) -> Phase:
    """A node that echoes, and what an authenticated peer says to it; the first byte says in what pieces, and whether it reads answers."""
    way, speech = (data[0], data[1:]) if data else (0, b"")
    size, is_reading = 1 + (way & 127), way < 128
    victim = Connection(_profile(1, Dice(1, "victim")), _REMOTE, is_dialer=False, now=0.0)
    watched, peer = _Watched(victim), _Insider(victim)
    watched.take()
    victim.open_stream(0, (CALLS.name,))
    victim.send(0, b"a question")
    for at in range(0, len(speech), size):
        victim.receive(peer.wrapped(speech[at : at + size]), 1.0)
        for event in watched.take():
            if isinstance(event, StreamMessage):
                victim.send(event.handle, event.data)
            elif isinstance(event, StreamEnded):
                victim.close_write(event.handle)
        watched.take()
        if is_reading:
            victim.transmit()
    for now in (15.0, 60.0, 120.0):
        victim.handle_timer(now)
        watched.take()
    victim.close(Reason(ReasonCode.SHUTDOWN))
    watched.take()
    _require(victim.held_bytes == 0, f"{victim.held_bytes} bytes are held after the end")
    return victim.phase


def _frame(kind: int, flags: int, stream: int, length: int) -> bytes:
    return _HEADER.pack(0, kind, flags, stream, length)


def _data(stream: int, content: bytes, flags: int = 0) -> bytes:
    return _frame(0, flags, stream, len(content)) + content


def _speeches(dice: Dice) -> Iterable[bytes]:
    hello = ms.encode_token(ms.HEADER)
    opened = _frame(1, 1, 1, 0)
    note = hello + ms.encode_token(NOTES.name) + encode_delimited(b"note") + encode_delimited(dice.raw(40))
    call = hello + ms.encode_token(CALLS.name) + (4).to_bytes(8, "little") + b"call"
    yield bytes((127,)) + opened + _data(1, note) + _data(1, b"", 4)
    yield bytes((11,)) + _data(3, call, 1) + _frame(1, 4, 3, 100) + _frame(2, 1, 0, 7) + _frame(2, 2, 0, 0)
    yield bytes((200,)) + _data(5, hello + ms.encode_token(RAW.name) + dice.raw(60), 1) + _frame(1, 8, 5, 0) + _frame(3, 0, 0, 0)
    yield bytes((60,)) + _data(2, hello + ms.encode_token(CALLS.name) + (2).to_bytes(8, "little") + b"ok") + _frame(0, 4, 2, 0)
    yield bytes((255,)) + b"".join(_frame(1, 1, 2 * number + 1, 0) + _data(2 * number + 1, note) for number in range(6))
