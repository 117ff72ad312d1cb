"""A network in memory that carries out transport effects, with a clock of its own.

Deterministic: what is delivered when follows from the effects, their times and the seed.
It keeps the rules of `mina_p2p.transport` to the letter (authenticated ids, hellos first,
credit for answers, typed closes), so that a node can not tell it from QUIC. Pure: time
comes with each call, delivery is a call of the node's ``feed``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import MILLISECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.libp2p.transport import Libp2pEffect
from mina_p2p.testing.libp2p_streams import Libp2pStreams
from mina_p2p.testing.links import FRAME_HEADER_BYTES, End, Links, MemoryPort, Stream
from mina_p2p.transport import (
    CONVERSATION_CHANNELS,
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    TransportEffect,
    TransportKind,
)

REQUEST_BYTES_MAX: Final = 16 * 1024
"""Longest request, as over QUIC."""


class MemoryNetwork(Links):
    """Links between ports, made and used as effects say."""

    def __init__(self, seed: int = 0, *, latency: int = 20 * MILLISECOND, jitter_percent: int = 25) -> None:
        """A network without nodes.

        :param latency: nanoseconds one way.
        """
        super().__init__(seed, latency, jitter_percent)
        self._handles = 0
        self._libp2p = Libp2pStreams(self)
        self._on_connection: dict[type[Any], Callable[[End, Any, Timestamp], None]] = {
            ConnectionEffectfulHelloSend: self._hello,
            ConnectionEffectfulOpen: self._open,
            ChannelsEffectfulRequestSend: self._request,
            ChannelsEffectfulRequestContinue: self._continue,
            ChannelsEffectfulAnswerSend: self._answer,
            ChannelsEffectfulStreamReset: self._give_up,
            DisconnectionEffectfulInit: lambda end, effect, now: self.goodbye(end, effect.reason, now),
        }

    # --- effects --------------------------------------------------------------------------

    def perform_libp2p(self, port: MemoryPort, effect: Libp2pEffect, now: Timestamp) -> None:
        """Carry out one effect of a node that speaks libp2p."""
        self.now = max(self.now, now)
        self._libp2p.perform(port, effect, now)

    def perform(self, port: MemoryPort, effect: TransportEffect, now: Timestamp) -> None:
        """Carry out one effect of a node."""
        self.now = max(self.now, now)
        match effect:
            case ConnectionEffectfulDial():
                self._dial(port, effect, now)
            case ConnectionEffectfulAccept(handle=handle, connection_id=connection_id):
                if (end := port.arrivals.pop(handle, None)) is not None:
                    end.connection_id = connection_id
                    port.ends[connection_id] = end
            case ConnectionEffectfulReject(handle=handle, reason=reason):
                if (end := port.arrivals.pop(handle, None)) is not None:
                    self.goodbye(end, reason, now)
            case _:
                end = port.ends.get(effect.connection_id)
                if end is not None:
                    self._on_connection[type(effect)](end, effect, now)

    def _hello(self, end: End, effect: ConnectionEffectfulHelloSend, now: Timestamp) -> None:
        frame = effect.frame
        self.send(end, now, len(frame), lambda other, cid: self.feed(other.port, ConnectionHelloReceived(cid, frame)))

    def _open(self, end: End, effect: ConnectionEffectfulOpen, now: Timestamp) -> None:
        end.is_open = True

    def _dial(self, port: MemoryPort, effect: ConnectionEffectfulDial, now: Timestamp) -> None:
        end = port.ends[effect.connection_id] = End(port, effect.connection_id)

        def met(dialer: End, listener: MemoryPort) -> None:
            self.feed(port, ConnectionEstablished(effect.connection_id, listener.peer_id, listener.address))

        self.reach(end, effect.address, now, met, lambda _at: self._arrived(end.other))

    def _arrived(self, end: End) -> None:
        """The handshake is complete at the listener too."""
        self._handles += 1
        end.port.arrivals[self._handles] = end
        dialer = end.other.port
        self.feed(end.port, ConnectionIncomingReceived(TransportKind.MEMORY, self._handles, dialer.address, dialer.peer_id))

    def _request(self, end: End, effect: ChannelsEffectfulRequestSend, now: Timestamp) -> None:
        stream, channel, frame = effect.stream, effect.channel, effect.frame
        end.asked[stream] = Stream(channel, effect.answer_bytes_max, effect.frame_bytes_max)

        def arrive(other: End, connection_id: ConnectionId) -> None:
            if len(frame) > REQUEST_BYTES_MAX:
                self.violated(other, Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, channel))
                return
            other.served[stream] = channel
            self.feed(other.port, ChannelsMessageReceived(connection_id, channel, stream, frame))
            if effect.ends and channel in CONVERSATION_CHANNELS:
                self._asked_all(other, connection_id, stream)

        self.send(end, now, len(frame), arrive, stream)

    def _continue(self, end: End, effect: ChannelsEffectfulRequestContinue, now: Timestamp) -> None:
        stream, asked = effect.stream, end.asked.get(effect.stream)
        if asked is None:
            return
        asked.bytes_left, asked.frame_bytes_max = effect.answer_bytes_max, effect.frame_bytes_max

        def arrive(other: End, connection_id: ConnectionId) -> None:
            channel = other.served.get(stream)
            if channel is None:
                return
            self.feed(other.port, ChannelsMessageReceived(connection_id, channel, stream, effect.frame))
            if effect.ends:
                self._asked_all(other, connection_id, stream)

        self.send(end, now, len(effect.frame), arrive, stream)

    def _asked_all(self, end: End, connection_id: ConnectionId, stream: StreamId) -> None:
        channel = end.served.get(stream)
        if channel is not None:
            self.feed(end.port, ChannelsStreamEnded(connection_id, channel, stream))

    def _answer(self, end: End, effect: ChannelsEffectfulAnswerSend, now: Timestamp) -> None:
        stream = effect.stream
        if stream not in end.served:
            return
        for frame in effect.frames:
            self.send(end, now, len(frame), partial(self._answer_arrives, stream=stream, frame=frame), stream)
        if effect.ends:
            end.answered[stream] = end.served.pop(stream)
            self.send(end, now, 0, lambda other, cid: self._answer_ends(other, cid, stream), stream)

    def _answer_arrives(self, end: End, connection_id: ConnectionId, stream: StreamId, frame: bytes) -> None:
        asked = end.asked.get(stream)
        if asked is None:
            return
        asked.bytes_left -= FRAME_HEADER_BYTES + len(frame)
        if len(frame) > asked.frame_bytes_max:
            self.violated(end, Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, asked.channel))
        elif asked.bytes_left < 0:
            self.violated(end, Reason(ReasonCode.CHANNEL_MSG_OVER_PERMISSION, asked.channel))
        else:
            self.feed(end.port, ChannelsMessageReceived(connection_id, asked.channel, stream, frame))

    def _answer_ends(self, end: End, connection_id: ConnectionId, stream: StreamId) -> None:
        asked = end.asked.pop(stream, None)
        if asked is not None:
            end.other.answered.pop(stream, None)
            self.feed(end.port, ChannelsStreamEnded(connection_id, asked.channel, stream))

    def _give_up(self, end: End, effect: ChannelsEffectfulStreamReset, now: Timestamp) -> None:
        stream, code = effect.stream, effect.code
        if end.asked.pop(stream, None) is None and end.served.pop(stream, None) is None:
            return

        def arrive(other: End, connection_id: ConnectionId) -> None:
            asked = other.asked.pop(stream, None)
            channel = asked.channel if asked is not None else other.served.pop(stream, None) or other.answered.pop(stream, None)
            if channel is not None:
                self.feed(other.port, ChannelsStreamReset(connection_id, channel, stream, code))

        self.send(end, now, 0, arrive, stream)
