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
from collections.abc import Callable
from typing import Any, TypeAlias

from aioquic.quic import events as quic_events

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.transport import (
    ChannelsSendUnblocked,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)
from mina_p2p_effects.metrics.traffic import ConnectionTraffic
from mina_p2p_effects.transports.quic.aioquic_hooks import (
    EndingKind,
    QuicProfile,
)
from mina_p2p_effects.transports.quic.budget import Holding
from mina_p2p_effects.transports.quic.exchanges import Exchanges, Phase
from mina_p2p_effects.transports.quic.path_mtu import PathMtu
from mina_p2p_effects.transports.quic.proof import PeerProof
from mina_p2p_effects.transports.quic.reasons import goodbye_text, reason_of
from mina_p2p_effects.transports.quic.streams import (
    StreamViolationError,
)

Address: TypeAlias = Any
"""A socket's address tuple, opaque here; equal ones are the same peer address."""

Datagrams: TypeAlias = list[tuple[bytes, Address]]


_COUNT_EVERY_BYTES = 16 * 1024
"""So much may arrive before what is held of it is counted."""


class Connection(Exchanges):
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
        self._proof = PeerProof(profile.alpn, utcnow, dialled[1] if dialled else None, profile.tickets)
        judge = self._proof.judge
        quic = profile.dial(judge) if dialled else profile.accept(judge, original_cid, retry_cid)
        super().__init__(profile.config, quic, profile.sending, dialled[0] if dialled else None, is_dialer=dialled is not None)
        self._proof.attach(quic)
        self.remote = remote
        self.handle = handle
        """The name of an arrival until it is accepted."""
        self.is_muted = False
        """Whether the reducer said goodbye and wants to hear no more."""
        self.admission: int | None = None
        """What its pending handshake is counted as."""
        self.peer_id: PeerId | None = None
        self.cids_issued: list[bytes] = [quic.host_cid]
        self.cids_retired: list[bytes] = []
        self.reset_token = b""
        """By what the endpoint knows a stateless reset of the peer, so far."""
        self.reason: Reason | None = None
        """Why it is closed."""
        self.pings_answered = 0
        """PING frames of ours that the peer has acknowledged."""
        self.wake: Callable[[Connection], None] = _nobody
        """Called where something happens to this connection while another one is handled."""
        self._phase_deadline: float | None = None
        self._ping_at = 0.0  # no keep-alive before this
        self._held = Holding(profile.receiving, quic.held_bytes, self._too_large)
        self._received = 0  # bytes since what is held was counted
        self._is_open = False  # both hellos were good
        quic.count_losses(self._lost)
        self._mtu = PathMtu(self._config)
        self._path: Address = None
        self._is_path_new = False  # not probed yet

    def dispose(self) -> None:
        """Drop everything, so that nothing waits for the collector. Nothing may follow."""
        self._backlog.close()
        self._held.leave()
        self.wake = _nobody
        self.quic.dispose()

    # --- datagrams and time

    def connect(self, address: Address, now: float, deadline: float | None = None) -> None:
        """Begin the handshake of a dialled connection; it ends at ``deadline``, or after the dial's time-out."""
        self._now = self._proof.now = now
        self._phase_deadline = now + self._config.dial_timeout_s if deadline is None else deadline
        received = self._proof.take_received()
        if received is not None:
            self.quic.resume(received.session)
        self.quic.connect(address, now)
        if received is not None and len(received.hello) <= self._config.early_bytes_max // 4:
            # Only a hello is safe to repeat and wanted before all else. Where the ticket is not taken, it goes when the handshake is over.
            self._early_hello = received.hello
            self._begin_control(received.hello)

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram."""
        self._now = self._proof.now = now
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

    def open(self, peer_streams_max: int) -> None:
        """Let the peer open streams."""
        if self.phase is Phase.OPEN:
            self._is_open = True
            self.quic.allow_streams(peer_streams_max)
            if self.peer_id is not None:
                self._proof.approve(self.peer_id, self._hello_sent)

    def close(self, reason: Reason, *, tell: bool = False) -> None:
        """Say goodbye and be closed.

        :param tell: whether the reducer learns of it, because it did not ask for it.
        """
        if self.phase is Phase.CLOSED:
            return
        self.quic.say_goodbye(int(reason.code), goodbye_text(reason))
        self._closed(reason, by_peer=False, tell=tell)

    # --- the handshake

    def _established(self, now: float) -> None:
        self.peer_id = self._proof.peer_id(self.quic)
        if self.peer_id is None:
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
                    case quic_events.PingAcknowledged():
                        self.pings_answered += 1
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
        reason = self._proof.refused or reason_of(ending, handshake_done=self.phase is not Phase.HANDSHAKE)
        self._closed(reason, by_peer=ending.kind is EndingKind.PEER, tell=True)

    def _closed(self, reason: Reason, *, by_peer: bool, tell: bool) -> None:
        self.phase = Phase.CLOSED
        self.reason = reason
        self._backlog.close()
        self._held.leave()
        if tell and self.connection_id is not None:
            self.events.append(ConnectionClosed(self.connection_id, reason, by_peer))

    # --- memory

    def _too_slow(self) -> None:
        self._give_way(Reason(ReasonCode.CHANNEL_SEND_FAILED, detail="the node's send buffers are full, and this peer's is the fullest"))

    def _hold(self, size: int) -> None:
        """Count, now and then, what is held of messages that are not whole; ``size`` is what a datagram may have added."""
        self._received += size
        if self._received < _COUNT_EVERY_BYTES:
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

    def _lost(self, count: int) -> None:
        self.counters.packets_lost += count

    # --- keep-alive

    def _keep_alive_s(self) -> float:
        return min(self._config.keep_alive_s, self.quic.idle_timeout() / 3)

    def _keep_alive_at(self) -> float | None:
        silent_since = self.quic.silent_since() if self.phase is Phase.OPEN else None
        return None if silent_since is None else max(self._ping_at, silent_since + self._keep_alive_s())


def _nobody(_: Connection) -> None: ...
