"""One connection, without I/O: TCP's bytes and time in; bytes, an authenticated peer and its streams out.

The layers are joined here: pnet, the upgrade, Noise, Yamux, and on each stream the choice of a protocol and its
messages. Nothing the peer sends is an event before it has proved who it is.

Whoever drives it calls `receive`, `end_of_input`, `handle_timer` or one of the orders, any number of times, then
takes `events` from the left and writes what `transmit` gives, as long as the socket takes it. All times are
seconds of one clock. No call raises for a peer's fault: the connection ends with a `Closed`.

Memory of one connection: at most one unfinished token, Noise frame and Yamux header, at most ``held_bytes_max`` of
unfinished messages (and of all connections together ``held_bytes_total_max``), ``send_bytes_max`` waiting to be sent
and ``control_bytes_max`` of answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.identity import PeerId
from mina_p2p.transport import SocketAddress
from mina_p2p.wire.framing import FrameTooLarge
from mina_p2p_effects.transports.libp2p.events import (
    FIRST_PEER_HANDLE,
    Closed,
    Event,
    StreamEnded,
    StreamLost,
    StreamMessage,
    StreamOpened,
    Upgraded,
    WentAway,
)
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError
from mina_p2p_effects.transports.libp2p.multistream import Agreed, Chooser, Proposer
from mina_p2p_effects.transports.libp2p.noise import NoiseTransport
from mina_p2p_effects.transports.libp2p.pnet import NONCE_BYTES, Pnet
from mina_p2p_effects.transports.libp2p.profile import Profile
from mina_p2p_effects.transports.libp2p.protocols import Cutter, StreamProtocol
from mina_p2p_effects.transports.libp2p.upgrade import NOISE, Phase, Upgrade, taken
from mina_p2p_effects.transports.libp2p.yamux import GO_AWAY_NORMAL, GO_AWAY_PROTOCOL, Yamux

__all__ = ["NOISE", "Connection", "Phase", "Profile"]

_BATCH_BYTES = 256 * 1024
"""Most plaintext that one `transmit` enciphers."""


class _Channel:
    """One stream that is negotiating or in use."""

    __slots__ = (
        "cutter",
        "deadline",
        "handle",
        "held",
        "is_ended",
        "is_ending",
        "is_ours",
        "negotiation",
        "protocol",
        "stream",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, handle: int, stream: int, negotiation: Chooser | Proposer, deadline: float, *, is_ours: bool) -> None:
        self.handle = handle
        self.stream = stream  # Yamux's id
        self.negotiation: Chooser | Proposer | None = negotiation
        self.deadline = deadline
        self.is_ours = is_ours
        self.is_ending = False  # we will send no more
        self.is_ended = False  # the peer will send no more
        self.protocol: StreamProtocol | None = None  # of ours with a single choice at once: our messages do not wait for the agreement
        self.cutter: Cutter | None = None
        self.held = 0
        self.waiting: list[bytes] = []  # messages for a protocol that is not agreed yet
        self.waiting_bytes = 0


class Connection:
    """One dialled or accepted connection; see the module.

    :param remote: the other end, for the event.
    :param now: when the attempt began.
    :param expected: who must answer, where that is known.
    """

    def __init__(self, profile: Profile, remote: SocketAddress, *, is_dialer: bool, now: float, expected: PeerId | None = None) -> None:
        config = profile.config
        self._profile = profile
        self._config = config
        self.remote = remote
        self.is_dialer = is_dialer
        self.phase = Phase.SECURITY
        self.peer_id: PeerId | None = None
        """Who it is, once proved."""
        self.events: deque[Event] = deque()
        self._deadline = now + (config.dial_timeout_s if is_dialer else config.upgrade_timeout_s)
        self._now = now
        self._pnet = Pnet(profile.network_key, profile.random(NONCE_BYTES)) if profile.network_key is not None else None
        self._upgrade: Upgrade | None = Upgrade(profile, is_dialer=is_dialer, expected=expected)
        self._noise: NoiseTransport | None = None
        self._yamux: Yamux | None = None
        self._out = bytearray()  # of the layers under Yamux
        self._channels: dict[int, _Channel] = {}  # by Yamux's id
        self._by_handle: dict[int, _Channel] = {}
        self._negotiating: deque[_Channel] = deque()  # by deadline; those that are done are passed over
        self._next_handle = FIRST_PEER_HANDLE
        self._held = 0
        self._budget = profile.budget
        self._out += self._upgrade.to_send
        self._upgrade.to_send.clear()

    # --- bytes and time

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the socket."""
        if self.phase is Phase.CLOSED:
            return
        self._now = now
        try:
            if self._pnet is not None:
                data = self._pnet.receive(data)
            if self._upgrade is None:
                self._take_ciphertext(data)
            else:
                self._continue_upgrade(self._upgrade, data)
        except LayerError as error:
            self._fail(error)

    def end_of_input(self, detail: str = "") -> None:
        """The socket will give no more: the peer closed it, or it failed, which ``detail`` says."""
        if self.phase is Phase.OPEN:
            self._close(Fault.LOST if detail else Fault.CLOSED, detail, by_peer=True)
        elif self.phase is not Phase.CLOSED:
            told = detail or "the peer closed it; often that means another network"
            self._close(Fault.LOST, f"in the phase {self.phase.name}: {told}", by_peer=True)

    def deadline(self) -> float | None:
        """When `handle_timer` has something to do."""
        if self.phase is Phase.CLOSED:
            return None
        if self._yamux is None:
            return self._deadline
        while self._negotiating and self._negotiating[0].negotiation is None:
            self._negotiating.popleft()
        ping = self._yamux.deadline()
        return min(ping, self._negotiating[0].deadline) if self._negotiating else ping

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.phase is Phase.CLOSED:
            return
        self._now = now
        if self._yamux is None:
            if now >= self._deadline:
                self._close(Fault.NEGOTIATION_TIMEOUT, f"in the phase {self.phase.name}", by_peer=False)
            return
        while self._negotiating and self._negotiating[0].deadline <= now:
            channel = self._negotiating.popleft()
            if channel.negotiation is not None:
                self._lose(channel, Fault.NEGOTIATION_TIMEOUT)
        try:
            self._yamux.handle_timer(now)
        except LayerError as error:
            self._fail(error)

    def transmit(self) -> bytes:
        """The next bytes for the socket, at most about 300 KB; empty where there are none. What is taken must be written."""
        out = bytes(self._out)
        self._out.clear()
        if self._yamux is not None and self._noise is not None:
            plaintexts: list[bytes] = []
            size = 0
            while size < _BATCH_BYTES and (plaintext := self._yamux.take()):
                plaintexts.append(plaintext)
                size += len(plaintext)
            if plaintexts:
                out += self._noise.encrypt(plaintexts)
        return self._pnet.send(out) if self._pnet is not None and out else out

    @property
    def upgrade(self) -> Upgrade | None:
        """What becomes of the upgrade, for reports; ``None`` when it is over."""
        return self._upgrade

    @property
    def has_output(self) -> bool:
        """Whether `transmit` gives anything."""
        return bool(self._out) or (self._yamux is not None and self._yamux.has_output)

    @property
    def queued_bytes(self) -> int:
        """Bytes of streams that wait to be sent."""
        return self._yamux.queued_bytes if self._yamux is not None else 0

    @property
    def held_bytes(self) -> int:
        """Bytes of unfinished incoming messages."""
        return self._held

    @property
    def streams_count(self) -> int:
        """Streams of both sides that live."""
        return len(self._channels)

    @property
    def round_trip_s(self) -> float:
        """The last measured round trip; 0 before."""
        return self._yamux.round_trip_s if self._yamux is not None else 0.0

    # --- orders

    def open_stream(self, handle: int, protocols: Sequence[str]) -> None:
        """Open a stream for the first of ``protocols`` (ids of the profile) that the peer speaks.

        `StreamOpened` or `StreamLost` with this ``handle`` follows. Of a single protocol, messages that are sent before
        travel at once.

        :raises CallerError: for a handle in use, or a protocol that the profile lacks.
        """
        if handle in self._by_handle or not 0 <= handle < FIRST_PEER_HANDLE:
            raise CallerError(f"stream handle {handle} is in use, or not below {FIRST_PEER_HANDLE}")
        if not protocols or not all(protocol in self._profile.protocols for protocol in protocols):
            raise CallerError(f"streams can be opened for protocols of the profile, not for {protocols!r}")
        if self._yamux is None:
            return
        stream = self._yamux.open()
        if stream is None:
            self.events.append(StreamLost(handle, Fault.STREAM_MISUSE, "no more streams can be opened on this connection"))
            return
        channel = _Channel(handle, stream, Proposer(protocols), self._now + self._config.stream_negotiation_timeout_s, is_ours=True)
        if len(protocols) == 1:
            channel.protocol = self._profile.protocols[protocols[0]]
        self._add(channel)

    def send(self, handle: int, message: bytes) -> None:
        """Send one message, which is framed here, or bytes of a raw protocol."""
        channel = self._by_handle.get(handle)
        if channel is None or self._yamux is None or channel.is_ending:
            return
        if self._yamux.queued_bytes + channel.waiting_bytes + len(message) > self._config.send_bytes_max:
            self._lose(channel, Fault.SEND_EXCEEDED)
        elif channel.protocol is None:
            channel.waiting.append(message)
            channel.waiting_bytes += len(message)
        else:
            self._yamux.write(channel.stream, channel.protocol.frame(message))

    def close_write(self, handle: int) -> None:
        """Send no more on a stream than what was sent."""
        channel = self._by_handle.get(handle)
        if channel is None or self._yamux is None:
            return
        channel.is_ending = True
        if channel.protocol is not None:
            self._yamux.close_write(channel.stream)
        if channel.is_ended:
            self._drop(channel)  # what is queued still leaves

    def reset_stream(self, handle: int) -> None:
        """Abort a stream; nothing more is told about it."""
        channel = self._by_handle.get(handle)
        if channel is not None and self._yamux is not None:
            self._drop(channel)
            self._yamux.reset(channel.stream)

    def close(self, reason: Reason) -> None:
        """End the connection with our own reason; the peer sees a normal end."""
        if self.phase is not Phase.CLOSED:
            self._say_goodbye(GO_AWAY_NORMAL)
            self._end(Closed(Fault.LOCAL, reason, by_peer=False))

    # --- what has come

    def _take_ciphertext(self, data: bytes) -> None:
        yamux, noise = self._yamux, self._noise
        if yamux is None or noise is None:
            return
        for plaintext in noise.decrypt(data):
            yamux.receive(plaintext, self._now)
        if yamux.control_bytes > self._config.control_bytes_max:
            raise LayerError(Fault.NOT_READING)

    def _continue_upgrade(self, upgrade: Upgrade, data: bytes) -> None:
        try:
            foundation = upgrade.receive(data)
        finally:
            self.phase = upgrade.phase
            self._out += upgrade.to_send
            upgrade.to_send.clear()
        if foundation is None:
            return
        self._upgrade = None
        self.phase = Phase.OPEN
        self.peer_id = foundation.peer_id
        self.events.append(Upgraded(foundation.peer_id, self.is_dialer, self.remote))
        self._noise = foundation.noise
        self._yamux = Yamux(self._config, self, is_initiator=foundation.is_initiator, now=self._now)
        self._yamux.handle_timer(self._now)
        for plaintext in foundation.plaintexts:
            self._yamux.receive(plaintext, self._now)

    # --- what Yamux tells

    def stream_opened(self, stream: int) -> None:
        """The peer opened a stream: it will propose protocols."""
        handle = self._next_handle
        self._next_handle += 1
        deadline = self._now + self._config.stream_negotiation_timeout_s
        self._add(_Channel(handle, stream, Chooser(self._profile.protocols), deadline, is_ours=False))

    def stream_data(self, stream: int, data: memoryview) -> None:
        """Bytes of a stream: of its negotiation, then of its messages."""
        channel = self._channels.get(stream)
        if channel is None:
            return
        if channel.negotiation is None:
            self._take_messages(channel, data)
            return
        try:
            agreed = channel.negotiation.receive(bytes(data))
        except LayerError as error:
            self._lose(channel, error.fault, error.detail)
            return
        self._write_negotiation(channel)
        if agreed is not None:
            self._agree(channel, agreed)

    def stream_ended(self, stream: int) -> None:
        """The peer ended its half."""
        channel = self._channels.get(stream)
        if channel is None:
            return
        if channel.negotiation is not None:
            self._lose(channel, Fault.NO_COMMON_PROTOCOL, "the stream ended before a protocol was agreed")
        elif channel.cutter is not None and not channel.cutter.is_between_messages:
            self._lose(channel, Fault.MESSAGE_MALFORMED, "the stream ended inside a message")
        else:
            self.events.append(StreamEnded(channel.handle))
            channel.is_ended = True
            if channel.is_ending:
                self._drop(channel)

    def stream_was_reset(self, stream: int) -> None:
        """The peer aborted a stream."""
        channel = self._channels.get(stream)
        if channel is not None:
            self._tell_loss(channel, None)
            self._drop(channel)

    def went_away(self) -> None:
        """The peer takes no new streams."""
        self.events.append(WentAway())

    # --- streams

    def _add(self, channel: _Channel) -> None:
        self._channels[channel.stream] = channel
        self._by_handle[channel.handle] = channel
        self._negotiating.append(channel)
        if len(self._negotiating) > 2 * len(self._channels) + 64:
            self._negotiating = deque(entry for entry in self._negotiating if entry.negotiation is not None)
        self._write_negotiation(channel)

    def _write_negotiation(self, channel: _Channel) -> None:
        if self._yamux is not None and channel.negotiation is not None and channel.negotiation.to_send:
            self._yamux.write(channel.stream, taken(channel.negotiation))

    def _agree(self, channel: _Channel, agreed: Agreed) -> None:
        channel.negotiation = None
        protocol = self._profile.protocols[agreed.protocol]
        channel.cutter = protocol.cutter()
        was_waiting = channel.protocol is None
        channel.protocol = protocol
        self.events.append(StreamOpened(channel.handle, protocol.name, channel.is_ours))
        if was_waiting and self._yamux is not None:
            for message in channel.waiting:
                self._yamux.write(channel.stream, protocol.frame(message))
            channel.waiting.clear()
            if channel.is_ending:
                self._yamux.close_write(channel.stream)
        if agreed.rest:
            self._take_messages(channel, memoryview(agreed.rest))

    def _take_messages(self, channel: _Channel, data: memoryview) -> None:
        cutter = channel.cutter
        if cutter is None:
            return
        messages: list[bytes] = []
        failure: DecodeError | None = None
        try:
            cutter.feed(data, messages)
        except DecodeError as error:
            failure = error
        handle, put = channel.handle, self.events.append
        for message in messages:
            put(StreamMessage(handle, message))
        if failure is not None:
            fault = Fault.MESSAGE_TOO_LARGE if isinstance(failure, FrameTooLarge) else Fault.MESSAGE_MALFORMED
            self._lose(channel, fault, failure.reason)
            return
        held = cutter.buffered
        if held != channel.held:
            self._hold(held - channel.held)
            channel.held = held
            if self._held > self._config.held_bytes_max or self._budget.held_bytes > self._config.held_bytes_total_max:
                self._lose(channel, Fault.MEMORY_EXCEEDED)

    def _lose(self, channel: _Channel, fault: Fault, detail: str = "") -> None:
        """Reset a stream because of ``fault``."""
        self._tell_loss(channel, fault, detail)
        self._drop(channel)
        if self._yamux is not None:
            self._yamux.reset(channel.stream)

    def _tell_loss(self, channel: _Channel, fault: Fault | None, detail: str = "") -> None:
        """One of the peer's streams that never had a protocol leaves without an event, as it came."""
        if channel.is_ours or channel.negotiation is None:
            self.events.append(StreamLost(channel.handle, fault, detail))

    def _drop(self, channel: _Channel) -> None:
        if self._channels.get(channel.stream) is channel:
            del self._channels[channel.stream]
        self._by_handle.pop(channel.handle, None)
        self._hold(-channel.held)
        channel.held = 0
        channel.negotiation = None  # for the queue of deadlines

    def _hold(self, size: int) -> None:
        self._held += size
        self._budget.held_bytes += size

    # --- the end

    def _fail(self, error: LayerError) -> None:
        self._say_goodbye(GO_AWAY_PROTOCOL)
        self._close(error.fault, error.detail, by_peer=False)

    def _say_goodbye(self, code: int) -> None:
        if self._yamux is not None and self._noise is not None:
            self._yamux.go_away(code)
            self._out += self._noise.encrypt([self._yamux.take()])

    def _close(self, fault: Fault, detail: str, *, by_peer: bool) -> None:
        self._end(Closed(fault, fault.reason(detail), by_peer))

    def _end(self, closed: Closed) -> None:
        self.phase = Phase.CLOSED
        self._yamux = self._upgrade = None
        self._channels.clear()
        self._by_handle.clear()
        self._negotiating.clear()
        self._hold(-self._held)
        self.events.append(closed)
