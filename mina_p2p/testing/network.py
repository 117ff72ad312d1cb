"""A network in memory that carries out transport effects, with a clock of its own.

Deterministic: what is delivered when follows from the effects, their times and the seed.
It keeps the rules of `mina_p2p.transport` to the letter (authenticated ids, hellos first,
credit for answers, typed closes), so that a node can not tell it from QUIC. Pure: time
comes with each call, delivery is a call of the node's ``feed``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import TypeAlias, assert_never

from mina_p2p.address import QuicAddress, dial_host, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.prng import Random
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
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    SocketAddress,
    TransportEffect,
    TransportEvent,
    TransportKind,
)

FRAME_HEADER_BYTES = 4
IDLE_TIMEOUT = 30 * SECOND
"""After this a node notices that the other end is dead without a goodbye."""

Feed: TypeAlias = Callable[[TransportEvent], None]
Deliver: TypeAlias = Callable[[Timestamp], None]


class MemoryPort:
    """One node's attachment to the network."""

    def __init__(self, network: MemoryNetwork, peer_id: PeerId, address: SocketAddress, feed: Feed) -> None:
        self.network = network
        self.peer_id = peer_id
        self.address = address
        self.feed = feed
        self.is_alive = True
        self.ends: dict[ConnectionId, _End] = {}
        self.arrivals: dict[int, _End] = {}
        self.bytes_sent = 0
        """Payload and frame headers of what this node sent."""

    @property
    def dial_address(self) -> QuicAddress:
        """What others dial to reach this node."""
        return QuicAddress(self.peer_id, parse_ip(self.address.host), self.address.port)


class _Stream:
    """Credit of one request, kept by the side that asked."""

    __slots__ = ("bytes_left", "channel", "frame_bytes_max")

    def __init__(self, channel: ChannelId, bytes_left: int, frame_bytes_max: int) -> None:
        self.channel = channel
        self.bytes_left = bytes_left
        self.frame_bytes_max = frame_bytes_max


class _End:
    """One end of a link."""

    def __init__(self, port: MemoryPort, connection_id: ConnectionId | None) -> None:
        self.port = port
        self.connection_id = connection_id
        self.other: _End = self
        self.asked: dict[StreamId, _Stream] = {}
        """Streams this end opened."""
        self.served: dict[StreamId, ChannelId] = {}
        """Streams the other end opened."""
        self.is_open = False
        self.is_gone = False
        self.free_at = Timestamp(0)
        """Nothing arrives before what was sent earlier."""


class MemoryNetwork:
    """Links between ports, and a queue of what is on its way."""

    def __init__(self, seed: int = 0, *, latency: int = 20 * MILLISECOND, jitter_percent: int = 25) -> None:
        """A network without nodes.

        :param latency: nanoseconds one way.
        """
        self._random = Random(seed).stream(1_000)
        self._latency = latency
        self._jitter_percent = jitter_percent
        self._ports: dict[tuple[str, int], MemoryPort] = {}
        self._queue: list[tuple[Timestamp, int, Deliver]] = []
        self._count = 0
        self._handles = 0
        self._cut: set[frozenset[PeerId]] = set()

    # --- who is there ---------------------------------------------------------------------

    def attach(self, peer_id: PeerId, address: SocketAddress, feed: Feed) -> MemoryPort:
        """Connect a node.

        :raises CallerError: where the address is taken.
        """
        key = address.host, address.port
        if key in self._ports:
            raise CallerError(f"{address.host}:{address.port} is taken in this network")
        port = self._ports[key] = MemoryPort(self, peer_id, address, feed)
        return port

    def detach(self, port: MemoryPort, now: Timestamp) -> None:
        """The node is gone without a word, as in a crash; its peers notice by silence."""
        port.is_alive = False
        self._ports.pop((port.address.host, port.address.port), None)
        for end in list(port.ends.values()):
            self._break(end, now)

    def cut(self, one: PeerId, other: PeerId, now: Timestamp) -> None:
        """Separate two nodes: links between them die, new ones can not be made."""
        self._cut.add(frozenset((one, other)))
        for port in self._ports.values():
            if port.peer_id == one:
                for end in list(port.ends.values()):
                    if end.other.port.peer_id == other:
                        self._break(end, now)
                        self._break(end.other, now)

    def heal(self) -> None:
        """Undo every `cut`."""
        self._cut.clear()

    def _break(self, end: _End, now: Timestamp) -> None:
        self._drop(end)
        reason = Reason(ReasonCode.TRANSPORT_ERROR, detail="idle: nothing was heard of the peer")
        self._at(Timestamp(now + IDLE_TIMEOUT), lambda _now: self._closed(end.other, reason, by_peer=False))

    # --- time -----------------------------------------------------------------------------

    def next_at(self) -> Timestamp | None:
        """When the next delivery is due."""
        return self._queue[0][0] if self._queue else None

    def deliver_next(self) -> Timestamp:
        """Deliver the next thing.

        :returns: its time.
        """
        at, _, deliver = heappop(self._queue)
        deliver(at)
        return at

    def _at(self, at: Timestamp, deliver: Deliver) -> None:
        self._count += 1
        heappush(self._queue, (at, self._count, deliver))

    def _delay(self) -> int:
        delay, self._random = self._random.jitter(self._latency, self._jitter_percent)
        return delay

    # --- effects --------------------------------------------------------------------------

    def perform(self, port: MemoryPort, effect: TransportEffect, now: Timestamp) -> None:
        """Carry out one effect of a node."""
        match effect:
            case ConnectionEffectfulDial():
                self._dial(port, effect, now)
            case ConnectionEffectfulAccept(handle=handle, connection_id=connection_id):
                if (end := port.arrivals.pop(handle, None)) is not None:
                    end.connection_id = connection_id
                    port.ends[connection_id] = end
            case ConnectionEffectfulReject(handle=handle, reason=reason):
                if (end := port.arrivals.pop(handle, None)) is not None:
                    self._goodbye(end, reason, now)
            case _:
                end = port.ends.get(effect.connection_id)
                if end is not None:
                    self._perform_on(end, effect, now)

    def _perform_on(
        self,
        end: _End,
        effect: ConnectionEffectfulHelloSend
        | ConnectionEffectfulOpen
        | ChannelsEffectfulRequestSend
        | ChannelsEffectfulRequestContinue
        | ChannelsEffectfulAnswerSend
        | ChannelsEffectfulStreamReset
        | DisconnectionEffectfulInit,
        now: Timestamp,
    ) -> None:
        match effect:
            case ConnectionEffectfulHelloSend(frame=frame):
                self._send(end, now, len(frame), lambda other, cid: other.port.feed(ConnectionHelloReceived(cid, frame)))
            case ConnectionEffectfulOpen():
                end.is_open = True
            case ChannelsEffectfulRequestSend():
                self._request(end, effect, now)
            case ChannelsEffectfulRequestContinue():
                self._continue(end, effect, now)
            case ChannelsEffectfulAnswerSend():
                self._answer(end, effect, now)
            case ChannelsEffectfulStreamReset(stream=stream, code=code):
                self._reset(end, stream, code, now)
            case DisconnectionEffectfulInit(reason=reason):
                self._goodbye(end, reason, now)
            case _:
                assert_never(effect)

    def _dial(self, port: MemoryPort, effect: ConnectionEffectfulDial, now: Timestamp) -> None:
        connection_id, address = effect.connection_id, effect.address
        host = dial_host(address)
        where = (host.plain, address.port) if isinstance(address, QuicAddress) and host is not None else ("", 0)
        end = _End(port, connection_id)
        port.ends[connection_id] = end

        def arrive(at: Timestamp) -> None:
            listener = self._ports.get(where)
            if end.is_gone or not port.is_alive:
                return
            if listener is None or frozenset((port.peer_id, listener.peer_id)) in self._cut:
                refused = Reason(ReasonCode.TRANSPORT_ERROR, detail="nobody listens there")
                self._at(Timestamp(at + self._delay()), lambda _at: self._closed(end, refused, by_peer=False))
                return
            if listener.peer_id != address.peer_id:
                wrong = Reason(ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, detail="another peer answers there")
                self._at(Timestamp(at + self._delay()), lambda _at: self._closed(end, wrong, by_peer=False))
                return
            self._connect(end, listener, at)

        self._at(Timestamp(now + self._delay()), arrive)

    def _connect(self, end: _End, listener: MemoryPort, at: Timestamp) -> None:
        other = _End(listener, None)
        end.other, other.other = other, end
        remote = listener.address

        def finished(dialer: _End, connection_id: ConnectionId) -> None:
            # The dialer's last handshake message is on its way, and all it says from now on behind it.
            other.free_at = arrival = max(Timestamp(dialer.free_at + self._delay()), other.free_at)
            self._at(arrival, lambda _at: self._arrived(other))
            dialer.port.feed(ConnectionEstablished(connection_id, listener.peer_id, remote))

        self._send(other, at, 0, finished)

    def _arrived(self, end: _End) -> None:
        """The handshake is complete at the listener too."""
        if not end.port.is_alive:
            return
        self._handles += 1
        end.port.arrivals[self._handles] = end
        dialer = end.other.port
        end.port.feed(ConnectionIncomingReceived(TransportKind.MEMORY, self._handles, dialer.address, dialer.peer_id))

    def _request(self, end: _End, effect: ChannelsEffectfulRequestSend, now: Timestamp) -> None:
        stream, channel, frame = effect.stream, effect.channel, effect.frame
        end.asked[stream] = _Stream(channel, effect.answer_bytes_max, effect.frame_bytes_max)

        def arrive(other: _End, connection_id: ConnectionId) -> None:
            other.served[stream] = channel
            other.port.feed(ChannelsMessageReceived(connection_id, channel, stream, frame))
            if effect.ends and channel in CONVERSATION_CHANNELS:
                self._asked_all(other, connection_id, stream)

        self._send(end, now, len(frame), arrive)

    def _continue(self, end: _End, effect: ChannelsEffectfulRequestContinue, now: Timestamp) -> None:
        stream, asked = effect.stream, end.asked.get(effect.stream)
        if asked is None:
            return
        asked.bytes_left, asked.frame_bytes_max = effect.answer_bytes_max, effect.frame_bytes_max

        def arrive(other: _End, connection_id: ConnectionId) -> None:
            channel = other.served.get(stream)
            if channel is None:
                return
            other.port.feed(ChannelsMessageReceived(connection_id, channel, stream, effect.frame))
            if effect.ends:
                self._asked_all(other, connection_id, stream)

        self._send(end, now, len(effect.frame), arrive)

    def _asked_all(self, end: _End, connection_id: ConnectionId, stream: StreamId) -> None:
        channel = end.served.get(stream)
        if channel is not None:
            end.port.feed(ChannelsStreamEnded(connection_id, channel, stream))

    def _answer(self, end: _End, effect: ChannelsEffectfulAnswerSend, now: Timestamp) -> None:
        stream = effect.stream
        if stream not in end.served:
            return
        for frame in effect.frames:
            self._send(end, now, len(frame), lambda other, cid, frame=frame: self._answer_arrives(other, cid, stream, frame))  # type: ignore[misc]
        if effect.ends:
            del end.served[stream]
            self._send(end, now, 0, lambda other, cid: self._answer_ends(other, cid, stream))

    def _answer_arrives(self, end: _End, connection_id: ConnectionId, stream: StreamId, frame: bytes) -> None:
        asked = end.asked.get(stream)
        if asked is None:
            return
        asked.bytes_left -= FRAME_HEADER_BYTES + len(frame)
        if len(frame) > asked.frame_bytes_max:
            self._violated(end, Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, asked.channel))
        elif asked.bytes_left < 0:
            self._violated(end, Reason(ReasonCode.CHANNEL_MSG_OVER_PERMISSION, asked.channel))
        else:
            end.port.feed(ChannelsMessageReceived(connection_id, asked.channel, stream, frame))

    def _answer_ends(self, end: _End, connection_id: ConnectionId, stream: StreamId) -> None:
        asked = end.asked.pop(stream, None)
        if asked is not None:
            end.port.feed(ChannelsStreamEnded(connection_id, asked.channel, stream))

    def _reset(self, end: _End, stream: StreamId, code: StreamResetCode, now: Timestamp) -> None:
        if end.asked.pop(stream, None) is None and end.served.pop(stream, None) is None:
            return

        def arrive(other: _End, connection_id: ConnectionId) -> None:
            asked = other.asked.pop(stream, None)
            channel = asked.channel if asked is not None else other.served.pop(stream, None)
            if channel is not None:
                other.port.feed(ChannelsStreamReset(connection_id, channel, stream, code))

        self._send(end, now, 0, arrive)

    # --- links ----------------------------------------------------------------------------

    def _send(self, end: _End, now: Timestamp, size: int, arrive: Callable[[_End, ConnectionId], None]) -> None:
        """Let something arrive at the other end, after all that was sent before it."""
        other = end.other
        end.port.bytes_sent += size + FRAME_HEADER_BYTES if size else 0
        other.free_at = at = max(Timestamp(now + self._delay()), other.free_at)

        def deliver(_at: Timestamp) -> None:
            if not other.is_gone and other.port.is_alive and other.connection_id is not None:
                arrive(other, other.connection_id)

        self._at(at, deliver)

    def _goodbye(self, end: _End, reason: Reason, now: Timestamp) -> None:
        other = end.other
        self._drop(end)
        if other is not end:
            at = max(Timestamp(now + self._delay()), other.free_at)
            self._at(at, lambda _at: self._closed(other, reason, by_peer=True))

    def _violated(self, end: _End, reason: Reason) -> None:
        self._closed(end, reason, by_peer=False)
        self._closed(end.other, reason, by_peer=True)

    def _closed(self, end: _End, reason: Reason, *, by_peer: bool) -> None:
        if end.is_gone:
            return
        connection_id = end.connection_id
        self._drop(end)
        if connection_id is not None and end.port.is_alive:
            end.port.feed(ConnectionClosed(connection_id, reason, by_peer))

    def _drop(self, end: _End) -> None:
        end.is_gone = True
        if end.connection_id is not None:
            end.port.ends.pop(end.connection_id, None)

    def ports(self) -> Iterator[MemoryPort]:
        """The nodes that are attached, in the order in which they came."""
        return iter(list(self._ports.values()))
