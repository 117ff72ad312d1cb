"""What happens on the streams of one connection: hellos, requests and their answers, credit, back-pressure.

`Connection` adds the handshake, time and the end. Events are appended to `Exchanges.events`;
a peer that uses a stream against the mapping raises `StreamViolationError` out of
`_stream_data` and `_stream_stopped`, which ends the connection.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any

from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.ids import CONTROL_STREAM, ChannelId, ConnectionId, StreamId, is_opened_by_dialer
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionHelloReceived,
    TransportEvent,
)
from mina_p2p.wire.framing import HEADER_SIZE
from mina_p2p_effects.transports.quic.aioquic_hooks import (
    PullQuicConnection,
)
from mina_p2p_effects.transports.quic.backlog import Backlog
from mina_p2p_effects.transports.quic.budget import Budget
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.counters import Counters
from mina_p2p_effects.transports.quic.credit import CreditBook
from mina_p2p_effects.transports.quic.reasons import reset_code
from mina_p2p_effects.transports.quic.streams import (
    CONTROL_KIND,
    Answer,
    Control,
    Request,
    StreamViolationError,
    encode_frames,
    opening,
    over_permission,
)


class Phase(enum.Enum):
    """Where a connection stands."""

    HANDSHAKE = enum.auto()
    OFFERED = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Exchanges(ABC):
    """The streams of one connection, which is open for them in `Phase.OPEN` only."""

    def __init__(
        self, config: QuicConfig, quic: PullQuicConnection, sending: Budget, connection_id: ConnectionId | None, *, is_dialer: bool
    ) -> None:
        self._config = config
        self.quic = quic
        self.is_dialer = is_dialer
        self.connection_id: ConnectionId | None = connection_id
        """``None`` until an arrival is accepted."""
        self.phase = Phase.HANDSHAKE
        self.events: deque[TransportEvent] = deque()
        self.counters = Counters()
        self._now = 0.0
        self._hello_in: bytes | None = None  # came before the accept
        self._hello_out: bytes | None = None  # waits for the control stream
        self._hello_sent = b""
        self._early_hello: bytes | None = None
        self._credits = CreditBook(
            window=config.answer_window_bytes, window_max=config.answer_window_bytes_max, total=config.connection_credit_bytes
        )
        self._backlog = Backlog(config, sending, quic.unacknowledged, self._too_slow)
        self._unsent: set[int] = set()  # streams with bytes that were not sent even once

    @abstractmethod
    def close(self, reason: Reason, *, tell: bool = False) -> None:
        """Say goodbye and be closed.

        :param tell: whether the reducer learns of it, because it did not ask for it.
        """

    @abstractmethod
    def _too_slow(self) -> None:
        """End the connection, because all of the node's together have too much to send and this one most."""

    # --- effects

    def send_hello(self, frame: bytes) -> None:
        """Send our hello; a listener's waits until the dialer has opened the control stream."""
        if self.phase is not Phase.OPEN:
            return
        self._hello_sent = frame
        if self._early_hello is not None:
            if frame != self._early_hello:
                self.close(Reason(ReasonCode.TRANSPORT_ERROR, detail="another hello was sent early; dial again"), tell=True)
        elif self.is_dialer:
            self._begin_control(frame)
        elif self.quic.has_stream(CONTROL_STREAM):
            self.quic.send_stream_data(CONTROL_STREAM, encode_frames((frame,)))
        else:
            self._hello_out = frame

    def request(
        self, channel: ChannelId, stream: StreamId, frame: bytes, answer_bytes_max: int, frame_bytes_max: int, *, ends: bool = True
    ) -> None:
        """Open ``stream`` with a request, and give its answer credit.

        :raises ValueError: for a stream number that is not the next one of this side.
        """
        if self.phase is not Phase.OPEN:
            return
        if stream != self.quic.get_next_available_stream_id() or stream == CONTROL_STREAM:
            raise ValueError(f"stream {stream} can not be opened; the next one is {self.quic.get_next_available_stream_id()}")
        self.counters.streams_opened += 1
        if self._send(stream, opening(channel, frame), channel, ends=ends):
            answer = Answer(channel, answer_bytes_max, frame_bytes_max, is_asking=not ends)
            self.quic.adopt(stream, answer)
            self._extend(answer, stream)

    def request_continue(self, stream: StreamId, frame: bytes, answer_bytes_max: int, frame_bytes_max: int, *, ends: bool) -> None:
        """Send a further frame on our half, and replace what may be answered. Of a stream that is over, nothing is left to ask.

        :raises ValueError: where our half ended before.
        """
        answer: Any = self.quic.owner_of(stream) if self.phase is Phase.OPEN else None
        if not isinstance(answer, Answer):
            return
        if not answer.is_asking:
            raise ValueError(f"stream {stream} can not go on; its half of ours has ended")
        # The permission counts from what the reducer was told of: what came since, under the earlier one, uses it up.
        untold = sum(
            HEADER_SIZE + len(event.frame) for event in self.events if isinstance(event, ChannelsMessageReceived) and event.stream == stream
        )
        surplus = answer.unfinished + untold
        if surplus > answer_bytes_max:
            self._withdraw(stream)
            self.close(over_permission(answer.channel), tell=True)
        elif self._send(stream, encode_frames((frame,)), answer.channel, ends=ends):
            answer.is_asking = not ends
            answer.set_frame_limit(frame_bytes_max)
            self._credits.permit(answer.credit, answer.credit.consumed - surplus + answer_bytes_max)
            self._extend(answer, stream)

    def answer(self, stream: StreamId, frames: tuple[bytes, ...], *, ends: bool) -> None:
        """Send on our half of a stream that the peer opened. Of one that is over, nothing is left to send to."""
        request: Any = self.quic.owner_of(stream) if self.phase is Phase.OPEN else None
        if not isinstance(request, Request) or not request.is_answerable:
            return
        request.is_over = ends
        request.is_answered = ends and not request.is_conversation
        if ends and request.is_conversation:
            self._withdraw(stream)  # what the asker said meanwhile is dropped, as what it will still say
        self._send(stream, encode_frames(frames), request.channel, ends=ends)

    def reset(self, stream: StreamId, code: StreamResetCode) -> None:
        """Give up a stream in both directions. Of one that is over, only the events that were not delivered are left to drop."""
        self._withdraw(stream)
        owner: Any = self.quic.owner_of(stream) if self.phase is Phase.OPEN else None
        if not isinstance(owner, Answer | Request) or (isinstance(owner, Request) and owner.is_over):
            return
        self._forget(stream, owner)
        self.quic.give_up(stream, code)

    # --- what the peer does

    def _stream_data(self, stream: StreamId, data: bytes, *, ends: bool) -> None:
        owner: Any = self.quic.owner_of(stream)
        if owner is None:
            if is_opened_by_dialer(stream) == self.is_dialer:
                return  # a request that was given up; what was on its way still comes
            owner = self._peer_opened(stream)
        match owner:
            case Answer():
                self._answer_data(owner, stream, data, ends=ends)
            case Request(is_over=False):
                self._request_data(owner, stream, data, ends=ends)
            case Control():
                frame = owner.feed(data, ends=ends)
                if frame is not None:
                    self._hello(frame)
            case _:
                pass

    def _peer_opened(self, stream: StreamId) -> Control | Request:
        owner: Control | Request
        self.counters.streams_accepted += 1
        if stream == CONTROL_STREAM:
            owner = Control(self._config.hello_bytes_max, from_dialer=True)
            if self._hello_out is not None:
                self.quic.send_stream_data(CONTROL_STREAM, encode_frames((self._hello_out,)))
                self._hello_out = None
        else:
            owner = Request(self._config.request_bytes_max)
        self.quic.adopt(stream, owner)
        return owner

    def _hello(self, frame: bytes) -> None:
        if self.connection_id is None:
            self._hello_in = frame
        else:
            self.events.append(ConnectionHelloReceived(self.connection_id, frame))

    def _answer_data(self, answer: Answer, stream: StreamId, data: bytes, *, ends: bool) -> None:
        self._cut(answer, stream, data)
        self._credits.consume(answer.credit, len(data))
        if ends:
            answer.end()
            self._forget(stream, answer)
            if answer.is_asking:
                self.quic.end_sending(stream, StreamResetCode.CANCELLED)
            self._event(ChannelsStreamEnded, answer.channel, stream)
        else:
            self._extend(answer, stream)

    def _request_data(self, request: Request, stream: StreamId, data: bytes, *, ends: bool) -> None:
        is_new = self._cut(request, stream, data)
        if ends:
            request.end()
            if request.is_conversation:
                self._event(ChannelsStreamEnded, request.channel, stream)
        elif is_new and request.is_conversation:
            self.quic.grant(stream, request.credit)

    def _cut(self, owner: Answer | Request, stream: StreamId, data: bytes) -> bool:
        """Report the frames that are whole now; whether there are any.

        :raises StreamViolationError: after the frames before it were reported.
        """
        try:
            frames: Sequence[bytes] = owner.feed(data)
        except StreamViolationError as violation:
            self._messages(owner.channel, stream, violation.complete)
            raise
        self._messages(owner.channel, stream, frames)
        return bool(frames)

    def _messages(self, channel: ChannelId | None, stream: StreamId, frames: Sequence[bytes]) -> None:
        if self.connection_id is not None and channel is not None:
            for frame in frames:
                self.events.append(ChannelsMessageReceived(self.connection_id, channel, stream, frame))

    def _stream_stopped(self, stream: StreamId, code: int) -> None:
        """The peer reset its half, or wants no more of ours: either ends the whole exchange."""
        owner: Any = self.quic.owner_of(stream)
        if owner is None:
            if is_opened_by_dialer(stream) == self.is_dialer:
                return
            owner = self._peer_opened(stream)
        if isinstance(owner, Control):
            raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, detail="the control stream was reset"))
        # What was not read was not told: whoever answered learns of it.
        is_known = isinstance(owner, Answer) or owner.is_answerable or owner.is_answered
        self._forget(stream, owner)
        self.quic.give_up(stream, code)
        if is_known:
            self._event(ChannelsStreamReset, owner.channel, stream, reset_code(code))

    def _begin_control(self, hello: bytes) -> None:
        self.counters.streams_opened += 1
        self.quic.send_stream_data(CONTROL_STREAM, opening(CONTROL_KIND, hello))
        self.quic.adopt(CONTROL_STREAM, Control(self._config.hello_bytes_max, from_dialer=False))
        self.quic.grant(CONTROL_STREAM, self._config.hello_bytes_max + 4)

    def _forget(self, stream: StreamId, owner: Answer | Request) -> None:
        if isinstance(owner, Request):
            owner.is_over, owner.is_answered = True, False
            return
        self.quic.adopt(stream, None)
        self._credits.close(owner.credit)
        self._serve_waiting()

    def _withdraw(self, stream: StreamId) -> None:
        """Drop the events of a stream that were not taken yet."""
        if self.events:
            self.events = deque(event for event in self.events if getattr(event, "stream", None) != stream)

    def _event(self, kind: type[Any], *fields: object) -> None:
        self.events.append(kind(self.connection_id, *fields))

    # --- credit and back-pressure

    def _extend(self, answer: Answer, stream: StreamId) -> None:
        offset = self._credits.extend(answer.credit, stream, self._now, self._round_trip_s)
        if offset is not None:
            self.quic.grant(stream, offset)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        if self._credits.is_short:
            for stream, offset in self._credits.serve(self._now):
                self.quic.grant(stream, offset)

    def _round_trip_s(self) -> float:
        found = self.quic.round_trip()
        return 0.0 if found is None else found[1]

    def _send(self, stream: StreamId, data: bytes, channel: ChannelId | None, *, ends: bool) -> bool:
        """Hand bytes to aioquic, unless that would exceed the hard cap; then the connection ends."""
        if not self._backlog.reserve(stream, len(data)):
            reason = Reason(ReasonCode.CHANNEL_SEND_FAILED, channel, "the peer is too slow: the send buffer is full")
            self.close(reason, tell=True)
        if self.phase is not Phase.OPEN:
            return False
        self.quic.send_stream_data(stream, data, end_stream=ends)
        self._unsent.add(stream)
        if self._backlog.is_now_blocked():
            self._event(ChannelsSendBlocked)
        return True

    def _waits_for_credit(self) -> bool:
        """Whether a stream has bytes that the peer does not permit now; forgets those that were sent."""
        states = {stream: self.quic.is_out_of_credit(stream) for stream in self._unsent}
        self._unsent = {stream for stream, is_out in states.items() if is_out is not None}
        return any(states.values())
