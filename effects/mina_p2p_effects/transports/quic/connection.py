"""One peer connection, without I/O: datagrams, time and effects in; datagrams and events out.

A connection passes handshake → offered (listener: waits for accept or reject) → open →
closed. Nothing that the peer sends is believed before the judge has passed its
certificate, and nothing is an event before the connection has its id.

Whoever drives it calls `receive` or `handle_timer` or one of the effects' methods, any
number of times, then `transmit` once, and takes `events`, one at a time from the left: an
effect may withdraw those that were not taken yet. All times are the loop's.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from aioquic.quic import events as quic_events

from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import CONTROL_STREAM, ChannelId, ConnectionId, StreamId, is_opened_by_dialer
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
    SocketAddress,
    TransportEvent,
    TransportKind,
)
from mina_p2p.wire.framing import HEADER_SIZE
from mina_p2p_effects.metrics.traffic import ConnectionTraffic
from mina_p2p_effects.transports.quic.aioquic_hooks import (
    ALERT_BAD_CERTIFICATE,
    ALERT_NO_APPLICATION_PROTOCOL,
    EndingKind,
    PeerRefusedError,
    PullQuicConnection,
    QuicProfile,
)
from mina_p2p_effects.transports.quic.backlog import Backlog
from mina_p2p_effects.transports.quic.budget import Holding
from mina_p2p_effects.transports.quic.certificate import CertificateError, verify_certificates
from mina_p2p_effects.transports.quic.counters import Counters
from mina_p2p_effects.transports.quic.credit import CreditBook
from mina_p2p_effects.transports.quic.path_mtu import PathMtu
from mina_p2p_effects.transports.quic.reasons import goodbye_text, reason_of, reset_code
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

Address: TypeAlias = Any
"""A socket's address tuple, opaque here; equal ones are the same peer address."""

Datagrams: TypeAlias = list[tuple[bytes, Address]]


_COUNT_EVERY_BYTES = 64 * 1024
"""So much may arrive before what is held of it is counted exactly."""


class Phase(enum.Enum):
    """Where a connection stands."""

    HANDSHAKE = enum.auto()
    OFFERED = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Connection:
    """One dialled or accepted connection; see the module."""

    def __init__(
        self,
        profile: QuicProfile,
        utcnow: Callable[[], dt.datetime],
        remote: SocketAddress,
        *,
        dialled: tuple[ConnectionId, PeerId] | None = None,
        handle: int = -1,
        original_cid: bytes = b"",
        retry_cid: bytes | None = None,
    ) -> None:
        self._config = profile.config
        self._alpn = profile.alpn
        self._utcnow = utcnow
        self.remote = remote
        self.is_dialer = dialled is not None
        self.connection_id = dialled[0] if dialled else None
        self._expected = dialled[1] if dialled else None
        self.handle = handle
        """The name of an arrival until it is accepted."""
        self.is_muted = False
        """Whether the reducer said goodbye and wants to hear no more."""
        self.admission: int | None = None
        """What its pending handshake is counted as."""
        self.quic: PullQuicConnection = profile.dial(self._judge) if dialled else profile.accept(self._judge, original_cid, retry_cid)
        self.phase = Phase.HANDSHAKE
        self.peer_id: PeerId | None = None
        self.events: deque[TransportEvent] = deque()
        self.cids_issued: list[bytes] = [self.quic.host_cid]
        self.cids_retired: list[bytes] = []
        self.reset_token = b""
        """By what the endpoint knows a stateless reset of the peer, so far."""
        self._phase_deadline: float | None = None
        self._ping_at = 0.0  # no keep-alive before this
        self.reason: Reason | None = None
        """Why it is closed."""
        self._refused: Reason | None = None
        self._hello_in: bytes | None = None  # came before the accept
        self._hello_out: bytes | None = None  # waits for the control stream
        self._credits = CreditBook(
            window=self._config.answer_window_bytes,
            window_max=self._config.answer_window_bytes_max,
            total=self._config.connection_credit_bytes,
        )
        self._backlog = Backlog(self._config, profile.sending, self.quic.unacknowledged, self._too_slow)
        self._held = Holding(profile.receiving, self.quic.held_bytes, self._too_large)
        self._received = 0  # bytes since what is held was counted
        self.wake: Callable[[Connection], None] = _nobody
        """Called where something happens to this connection while another one is handled."""
        self._is_open = False  # both hellos were good
        self.counters = Counters()
        self.quic.count_losses(self._lost)
        self._unsent: set[int] = set()  # streams with bytes that were not sent even once
        self._mtu = PathMtu(self._config)
        self._path: Address = None
        self._is_path_new = False  # not probed yet
        self._now = 0.0
        self._tickets = profile.tickets
        self._resumed_peer: PeerId | None = None  # whom the ticket was given that came
        self._ticket: Any = None  # came, and waits until the connection is known to be good
        self._hello_sent = b""
        self._early_hello: bytes | None = None
        if self._tickets is not None:
            self.quic.take_tickets(self._redeem, self._take_ticket)

    def dispose(self) -> None:
        """Drop everything, so that nothing waits for the collector. Nothing may follow."""
        self._backlog.close()
        self._held.leave()
        self.wake = _nobody
        self.quic.dispose()

    # --- datagrams and time

    def connect(self, address: Address, now: float, deadline: float | None = None) -> None:
        """Begin the handshake of a dialled connection; it ends at ``deadline``, or after the dial's time-out."""
        self._now = now
        self._phase_deadline = now + self._config.dial_timeout_s if deadline is None else deadline
        received = self._tickets.take(self._expected, now) if self._tickets is not None and self._expected is not None else None
        if received is not None:
            self.quic.resume(received.session)
        self.quic.connect(address, now)
        if received is not None and len(received.hello) <= self._config.early_bytes_max // 4:
            # Only a hello is safe to repeat and wanted before all else. Where the ticket is not taken, it goes when the handshake is over.
            self._early_hello = received.hello
            self._begin_control(received.hello)

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram."""
        self._now = now
        self.counters.bytes_in += len(data)
        self.counters.datagrams_in += 1
        if self.phase is Phase.CLOSED:
            return
        if self._phase_deadline is None and self.phase is Phase.HANDSHAKE:
            self._phase_deadline = now + self._config.handshake_timeout_s
        try:
            self.quic.receive_datagram(data, address, now)
        except Exception as error:  # noqa: BLE001 - aioquic met input that it does not handle: this peer's fault, not the node's end
            self.close(
                Reason(ReasonCode.TRANSPORT_ERROR, detail=f"the QUIC library failed on a datagram: {type(error).__name__}"), tell=True
            )
            return
        if not self.quic.has_heard() and not self.is_dialer:
            # A first packet with the right shape and wrong contents costs no state.
            self._closed(Reason(ReasonCode.TRANSPORT_ERROR, detail="no genuine first packet"), by_peer=False, tell=False)
            return
        self._digest(now)
        if self.phase is Phase.OPEN:
            self._hold(len(data))

    def was_reset(self) -> None:
        """The peer told us, by a stateless reset, that it does not know this connection."""
        if self.phase is not Phase.CLOSED:
            self.quic.drain()
            self._closed(
                Reason(ReasonCode.TRANSPORT_ERROR, detail="the peer has restarted and knows of no connection"), by_peer=True, tell=True
            )

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.phase is Phase.CLOSED:
            return
        self.quic.handle_timer(now)
        self._digest(now)
        if self._phase_deadline is not None and now >= self._phase_deadline:
            what = "no accept or reject" if self.phase is Phase.OFFERED else "the handshake did not finish"
            self.close(Reason(ReasonCode.CONNECTION_TIMEOUT, detail=f"{what} in time"), tell=True)
        elif self.phase is Phase.OPEN:
            self._mtu.timeouts(self.quic.probe_timeouts(), now)
            keep_alive_at = self._keep_alive_at()
            if keep_alive_at is not None and now >= keep_alive_at:
                self._ping_at = now + self._keep_alive_s()
                self.quic.send_ping(0)

    def deadline(self) -> float | None:
        """When `handle_timer` is wanted, at the latest."""
        if self.phase is Phase.CLOSED:
            return None
        times = (self.quic.get_timer(), self._phase_deadline, self._keep_alive_at(), self._mtu.probe_at)
        return min((time for time in times if time is not None), default=None)

    def transmit(self, now: float) -> Datagrams:
        """What to send now. A closed connection gives its goodbye, once."""
        datagrams = self._transmit(now)
        counters = self.counters
        for data, _ in datagrams:
            counters.bytes_out += len(data)
        counters.datagrams_out += len(datagrams)
        counters.credit_wait.set(now, is_so=self.phase is Phase.OPEN and bool(self._unsent) and self._waits_for_credit())
        counters.buffer_wait.set(now, is_so=self.phase is Phase.OPEN and self._backlog.is_blocked)
        return datagrams

    def _transmit(self, now: float) -> Datagrams:
        if self.phase is Phase.CLOSED:
            return self.quic.datagrams_to_send(now)
        if self._backlog.is_now_free():
            self._event(ChannelsSendUnblocked)
        if self._is_open:
            self._follow_path(now)
        self.quic.set_datagram_size(self._mtu.size)
        datagrams: Datagrams = self.quic.datagrams_to_send(now)
        if self.phase is Phase.OPEN and self._mtu.probe_at is not None and now >= self._mtu.probe_at:
            ticket = self._mtu.sent(now)
            datagrams += self.quic.path_probe(self._mtu.probe_size, now, lambda arrived: self._mtu.report(ticket, arrived=arrived))
        self._digest(now)
        return datagrams

    def _follow_path(self, now: float) -> None:
        """Begin with small datagrams at each address, and probe for larger ones once the peer is known to hear us there.

        A probe is much longer than what an unknown address may be sent (RFC 9000 8.2).
        """
        address = self.quic.get_peer_address()
        if address != self._path:
            self._path = address
            self._is_path_new = True
            self._mtu.reset()
        if self._is_path_new and self.quic.is_path_validated():
            self._is_path_new = False
            self._mtu.begin(now)

    # --- effects

    def accept(self, connection_id: ConnectionId) -> None:
        """Take an arrival; its hello, if it came, follows as an event."""
        if self.phase is not Phase.OFFERED:
            return
        self.phase = Phase.OPEN
        self._phase_deadline = None
        self.connection_id = connection_id
        if self._hello_in is not None:
            self.events.append(ConnectionHelloReceived(connection_id, self._hello_in))
            self._hello_in = None

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

    def _begin_control(self, hello: bytes) -> None:
        self.counters.streams_opened += 1
        self.quic.send_stream_data(CONTROL_STREAM, opening(CONTROL_KIND, hello))
        self.quic.adopt(CONTROL_STREAM, Control(self._config.hello_bytes_max, from_dialer=False))
        self.quic.grant(CONTROL_STREAM, self._config.hello_bytes_max + 4)

    def open(self, peer_streams_max: int) -> None:
        """Let the peer open streams."""
        if self.phase is Phase.OPEN:
            self._is_open = True
            self.quic.allow_streams(peer_streams_max)
            if self._ticket is not None:
                self._take_ticket(self._ticket)

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

    def close(self, reason: Reason, *, tell: bool = False) -> None:
        """Say goodbye and be closed.

        :param tell: whether the reducer learns of it, because it did not ask for it.
        """
        if self.phase is Phase.CLOSED:
            return
        self.quic.close(error_code=int(reason.code), reason_phrase=goodbye_text(reason))
        self._closed(reason, by_peer=False, tell=tell)

    # --- authentication

    def _judge(self, chain: tuple[bytes, ...], alpn: str | None) -> None:
        """Decide inside the handshake who the peer is (see `aioquic_hooks.Judge`)."""
        if alpn != self._alpn:
            raise PeerRefusedError(ALERT_NO_APPLICATION_PROTOCOL, "no common protocol")
        try:
            peer_id = verify_certificates(chain, self._utcnow())
        except CertificateError as error:
            self._refused = Reason(ReasonCode.AUTHENTICATION_FAILED, detail=str(error))
            raise PeerRefusedError(ALERT_BAD_CERTIFICATE, str(error)) from None
        if self._expected is not None and peer_id != self._expected:
            self._refused = Reason(
                ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, detail=f"dialled {self._expected.libp2p}, there answers {peer_id.libp2p}"
            )
            raise PeerRefusedError(ALERT_BAD_CERTIFICATE, "another peer was dialled")
        self.peer_id = peer_id

    def _redeem(self, name: bytes) -> Any:
        """What a ticket's name stands for; the ticket is used up by this."""
        given = self._tickets.redeem(name, self._now) if self._tickets is not None else None
        if given is None:
            return None
        self._resumed_peer = given.peer_id
        return given.session

    def _take_ticket(self, session: Any) -> None:
        """A ticket goes out with a listener's handshake, or came to a dialer, who keeps it once both hellos are good."""
        if self._tickets is None:
            return
        if not self.is_dialer:
            peer_id = self._resumed_peer if self.quic.is_resumed() else self.peer_id
            if peer_id is not None:
                self._tickets.give(session, peer_id, self._now)
        elif self._is_open and self.peer_id is not None:
            self._tickets.keep(session, self.peer_id, self._hello_sent, self._now)
        else:
            self._ticket = session

    def _established(self, now: float) -> None:
        is_authentic = self.quic.is_judged
        if self.quic.is_resumed() and self.quic.negotiated_alpn() == self._alpn:
            self.peer_id = self._expected if self.is_dialer else self._resumed_peer
            is_authentic = self.peer_id is not None
        if not is_authentic or self.peer_id is None:
            # Can happen only where a version of aioquic no longer calls the judge: then nobody is let in.
            self.close(Reason(ReasonCode.AUTHENTICATION_FAILED, detail="the peer was not authenticated"), tell=True)
            return
        self.quic.release_handshake()
        if self.connection_id is not None:
            self.phase = Phase.OPEN
            self._phase_deadline = None
            self.events.append(ConnectionEstablished(self.connection_id, self.peer_id, self.remote))
        else:
            self.phase = Phase.OFFERED
            self._phase_deadline = now + self._config.handshake_timeout_s
            self.events.append(ConnectionIncomingReceived(TransportKind.QUIC, self.handle, self.remote, self.peer_id))

    # --- what aioquic reports

    def _digest(self, now: float) -> None:
        try:
            while self.phase is not Phase.CLOSED and (event := self.quic.next_event()) is not None:
                match event:
                    case quic_events.StreamDataReceived(data=data, end_stream=ends, stream_id=stream):
                        self._stream_data(StreamId(stream), data, ends=ends)
                    case quic_events.StreamReset(error_code=code, stream_id=stream):
                        self._stream_stopped(StreamId(stream), code)
                    case quic_events.StopSendingReceived(error_code=code, stream_id=stream):
                        self._stream_stopped(StreamId(stream), code)
                    case quic_events.HandshakeCompleted():
                        self._established(now)
                    case quic_events.ConnectionIdIssued(connection_id=cid):
                        self.cids_issued.append(cid)
                    case quic_events.ConnectionIdRetired(connection_id=cid):
                        self.cids_retired.append(cid)
                    case _:
                        pass
        except StreamViolationError as violation:
            self.close(violation.reason, tell=True)
        if self.phase is not Phase.CLOSED:
            self._notice_ending()

    def _notice_ending(self) -> None:
        ending = self.quic.ending()
        if ending is None:
            return
        reason = self._refused or reason_of(ending, handshake_done=self.phase is not Phase.HANDSHAKE)
        self._closed(reason, by_peer=ending.kind is EndingKind.PEER, tell=True)

    def _closed(self, reason: Reason, *, by_peer: bool, tell: bool) -> None:
        self.phase = Phase.CLOSED
        self.reason = reason
        self._backlog.close()
        self._held.leave()
        if tell and self.connection_id is not None:
            self.events.append(ConnectionClosed(self.connection_id, reason, by_peer))

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
        is_known = isinstance(owner, Answer) or owner.is_answerable
        self._forget(stream, owner)
        self.quic.give_up(stream, code)
        if is_known:
            self._event(ChannelsStreamReset, owner.channel, stream, reset_code(code))

    def _forget(self, stream: StreamId, owner: Answer | Request) -> None:
        if isinstance(owner, Request):
            owner.is_over = True
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

    def _too_slow(self) -> None:
        self._give_way(Reason(ReasonCode.CHANNEL_SEND_FAILED, detail="the node's send buffers are full, and this peer's is the fullest"))

    def _hold(self, size: int) -> None:
        """Count a datagram among what is held of messages that are not whole."""
        self._held.add(size)
        self._received += size
        if self._received < _COUNT_EVERY_BYTES or self.phase is not Phase.OPEN:
            return
        self._received = 0
        self._held.recount()
        if self._held.size > self._config.receive_bytes_max:
            self.close(Reason(ReasonCode.FREE_UP_SPACE, detail="too much of this peer's messages is not whole"), tell=True)

    def _too_large(self) -> None:
        self._give_way(
            Reason(ReasonCode.FREE_UP_SPACE, detail="the node holds too many messages that are not whole, and most of this peer's")
        )

    def _give_way(self, reason: Reason) -> None:
        self.close(reason, tell=True)
        self.wake(self)

    # --- what others may know

    def traffic(self, now: float) -> ConnectionTraffic:
        """A snapshot; not of a connection that was disposed of."""
        rtt = self.quic.round_trip()
        window, in_flight = self.quic.flight()
        return ConnectionTraffic(
            self.connection_id,
            self.peer_id,
            self.remote,
            self.is_dialer,
            self.counters.traffic(now),
            self.quic.open_streams(),
            None if rtt is None else rtt[0],
            None if rtt is None else rtt[1],
            window,
            in_flight,
            self._mtu.size,
        )

    def _round_trip_s(self) -> float:
        found = self.quic.round_trip()
        return 0.0 if found is None else found[1]

    def _lost(self, count: int) -> None:
        self.counters.packets_lost += count

    def _waits_for_credit(self) -> bool:
        """Whether a stream has bytes that the peer does not permit now; forgets those that were sent."""
        states = {stream: self.quic.is_out_of_credit(stream) for stream in self._unsent}
        self._unsent = {stream for stream, is_out in states.items() if is_out is not None}
        return any(states.values())

    # --- keep-alive

    def _keep_alive_s(self) -> float:
        return min(self._config.keep_alive_s, self.quic.idle_timeout() / 3)

    def _keep_alive_at(self) -> float | None:
        silent_since = self.quic.silent_since() if self.phase is Phase.OPEN else None
        return None if silent_since is None else max(self._ping_at, silent_since + self._keep_alive_s())


def _nobody(_: Connection) -> None: ...
