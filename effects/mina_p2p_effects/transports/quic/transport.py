"""`QuicTransport`: the effects and events of `mina_p2p.transport` over QUIC.

Everything happens in `_settle`, at the end of one wake-up of the event loop, whatever
woke it: events go to the reducer, whose effects may touch more connections, until none
is left; then every touched connection transmits, once. So a hundred datagrams that came
together are answered together, and an effect can never re-enter what called it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable
from functools import partial

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import ChainId
from mina_p2p.ids import ConnectionId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEffectfulReject,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    SocketAddress,
    TransportEffect,
    TransportEvent,
    TransportKind,
    TransportListening,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.metrics.traffic import Traffic, TransportTraffic
from mina_p2p_effects.transports.port import EventSink
from mina_p2p_effects.transports.quic.admission import Admission, Admitted
from mina_p2p_effects.transports.quic.aioquic_hooks import CONNECTION_ID_BYTES, REQUIREMENT, QuicProfile, missing_hooks
from mina_p2p_effects.transports.quic.certificate import make_certificate
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.connection import Connection
from mina_p2p_effects.transports.quic.deadlines import Deadlines
from mina_p2p_effects.transports.quic.dialling import GOODBYE, Dialler, Farewell
from mina_p2p_effects.transports.quic.endpoint import Address, Batch, UdpEndpoint, plain_address
from mina_p2p_effects.transports.quic.exchanges import Phase
from mina_p2p_effects.transports.quic.race import Race
from mina_p2p_effects.transports.quic.resets import RESET_BYTES_MIN, TOKEN_BYTES, StatelessResets, reset_key, reset_token

_CROWDED = Reason(ReasonCode.PEER_CAPACITY_FULL, detail="too many handshakes are pending from this network")


class QuicTransport(Dialler):
    """The QUIC transport of one node; see `mina_p2p_effects.transports.port.Transport`.

    :param secret_key: the node's identity.
    :param chain_id: peers of another chain fail in the handshake.
    :param host: the address to bind; ``::`` serves IPv4 and IPv6.
    :param port: the UDP port to bind; 0 takes any.
    """

    def __init__(
        self,
        secret_key: SecretKey,
        chain_id: ChainId,
        host: str = "::",
        port: int = 0,
        config: QuicConfig | None = None,
        *,
        utcnow: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        key = reset_key(secret_key)
        super().__init__(
            QuicProfile(config or QuicConfig(), chain_id.quic_alpn, make_certificate(secret_key), partial(reset_token, key)), utcnow
        )
        self._bind = (host, port)
        self._stateless_resets = StatelessResets(key, self._config.resets_per_second_max)
        self._admission = Admission(self._config)
        self._pending: dict[int, Connection] = {}  # admitted, and their handshake not over
        self._feed: EventSink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # uvloop's handles do not tell
        self._settle_handle: asyncio.Handle | None = None
        self._is_settling = False
        self._next_handle = 0
        self._arrivals: dict[int, Connection] = {}
        self._routes: dict[bytes, Connection | Farewell] = {}
        self._reset_tokens: dict[bytes, Connection] = {}  # what a peer's stateless reset ends in
        self._touched: dict[Connection, None] = {}
        self.refused: Counter[ReasonCode] = Counter()
        """Incoming connections that ended without having been accepted, by reason; no event names them."""
        self._ended = Traffic()
        self._connections_total = 0

    @property
    def kind(self) -> TransportKind:
        """``TransportKind.QUIC``."""
        return TransportKind.QUIC

    async def start(self, feed: EventSink) -> SocketAddress:
        """Listen, and give events to ``feed``; the first one is `TransportListening`.

        :raises OSError: where the address can not be bound.
        :raises CallerError: where the installed aioquic does not fit.
        """
        missing = missing_hooks()
        if missing:
            raise CallerError(f"this version of aioquic does not fit: it lacks {', '.join(missing)}; install {REQUIREMENT}")
        self._endpoint = await UdpEndpoint.bind(*self._bind, self._config, self._on_batch)
        self._feed = feed
        address = self._endpoint.address
        self._give(TransportListening(TransportKind.QUIC, address))
        return address

    async def stop(self) -> None:
        """Say goodbye to every peer and release everything; no event follows. Idempotent."""
        self._feed = None
        tasks = tuple(self._resolving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        for connection in tuple(self._connections):
            try:
                connection.close(GOODBYE)
                for data, address in connection.transmit(asyncio.get_running_loop().time()):
                    endpoint.send(data, address)
            except Exception as error:  # noqa: BLE001 - the others still want their goodbye
                self._fault(connection, error)
            self._ended = self._ended.plus(connection.counters.traffic(asyncio.get_running_loop().time()))
            connection.dispose()
        for handle in (self._timer, self._settle_handle):
            if handle is not None:
                handle.cancel()
        self._timer = self._settle_handle = None
        for table in (
            self._connections,
            self._by_id,
            self._arrivals,
            self._pending,
            self._races,
            self._racing,
            self._routes,
            self._reset_tokens,
            self._touched,
        ):
            table.clear()
        self._deadlines = Deadlines()
        await endpoint.flush(self._config.stop_timeout_s)
        endpoint.close()

    def perform(self, effect: TransportEffect) -> None:
        """Carry out one effect; what it causes happens after this returns."""
        if self._endpoint is None:
            return
        match effect:
            case ConnectionEffectfulDial(connection_id=connection_id, address=address):
                self._dial(connection_id, address)
            case ConnectionEffectfulAccept(handle=handle, connection_id=connection_id):
                self._accept(handle, connection_id)
            case ConnectionEffectfulReject(handle=handle, reason=reason):
                arrival = self._arrivals.pop(handle, None)
                if arrival is not None:
                    self._forget_banned(arrival, reason)
                    self._on(arrival, lambda: arrival.close(reason))
            case DisconnectionEffectfulInit(connection_id=connection_id, reason=reason):
                self._disconnect(connection_id, reason)
            case _:
                connection = self._by_id.get(effect.connection_id)
                if connection is not None:
                    self._on(connection, lambda: _apply(connection, effect))

    def traffic(self) -> TransportTraffic:
        """What all connections have carried; those that ended stay in the sum."""
        now = asyncio.get_running_loop().time() if self._connections else 0.0
        live = tuple(connection.traffic(now) for connection in self._connections)
        total = self._ended
        for each in live:
            total = total.plus(each.total)
        return TransportTraffic(TransportKind.QUIC, total, self._connections_total, live)

    # --- accepting and leaving

    def _accept(self, handle: int, connection_id: ConnectionId) -> None:
        connection = self._arrivals.pop(handle, None)
        if connection is None or connection.phase is not Phase.OFFERED:
            self._fail_dial(connection_id, Reason(ReasonCode.CHANNEL_CLOSED, detail="the peer left before it was accepted"))
            return
        self._by_id[connection_id] = connection
        self._on(connection, lambda: connection.accept(connection_id))

    def _disconnect(self, connection_id: ConnectionId, reason: Reason) -> None:
        self._give_up_dial(connection_id, reason)
        connection = self._by_id.pop(connection_id, None)
        if connection is not None:
            connection.is_muted = True
            self._forget_banned(connection, reason)
            self._on(connection, lambda: connection.close(reason))

    def _forget_banned(self, connection: Connection, reason: Reason) -> None:
        """A banned peer's tickets are void."""
        tickets = self._profile.tickets
        if tickets is not None and connection.peer_id is not None and reason.code is ReasonCode.PEER_BANNED:
            tickets.forget(connection.peer_id)

    # --- what wakes us

    def _on_batch(self, batch: Batch) -> None:
        now = asyncio.get_running_loop().time()
        for data, address in batch:
            # The first bytes say whose it is (RFC 8999): a short header is followed by our connection id.
            long = data[0] & 0x80 if data else 0
            cid = data[6 : 6 + data[5]] if long and len(data) > 6 else data[1 : 1 + CONNECTION_ID_BYTES]
            route = self._routes.get(cid)
            if isinstance(route, Connection):
                self._receive(route, data, address, now)
            elif route is None and long:
                self._arrive(data, address, now)
            elif route is None:
                self._stray(data, address, now)
            else:
                self._repeat_goodbye(route)
        self._settle()

    def _receive(self, connection: Connection, data: bytes, address: Address, now: float) -> None:
        self._touched[connection] = None
        try:
            connection.receive(data, address, now)
        except Exception as error:  # noqa: BLE001 - one connection's trouble stays its own
            self._fault(connection, error)

    def _stray(self, data: bytes, address: Address, now: float) -> None:
        """A packet of an established connection that we do not know: a stateless reset, or one that deserves it."""
        connection = self._reset_tokens.get(data[-TOKEN_BYTES:]) if len(data) >= RESET_BYTES_MIN else None
        if connection is not None:
            self._on(connection, connection.was_reset)
            return
        answer = self._stateless_resets.answer(data, now)
        if answer is not None and self._endpoint is not None:
            self._endpoint.send(answer, address)

    def _arrive(self, data: bytes, address: Address, now: float) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        remote = plain_address(address)
        verdict = self._admission.judge(data, address, remote.host, connections=len(self._connections), now=now)
        if isinstance(verdict, bytes):
            endpoint.send(verdict, address)
        elif isinstance(verdict, Admitted):
            self._next_handle += 1
            connection = Connection(
                self._profile,
                self._utcnow,
                remote,
                handle=self._next_handle,
                original_cid=verdict.original_cid,
                retry_cid=verdict.retry_cid,
            )
            connection.admission = verdict.number
            self._pending[verdict.number] = connection
            crowding = self._pending.get(verdict.gives_way) if verdict.gives_way is not None else None
            if crowding is not None:
                self._on(crowding, lambda: crowding.close(_CROWDED, tell=True))
            connection.cids_issued.append(verdict.retry_cid or verdict.original_cid)
            self._add(connection)
            self._receive(connection, data, address, now)

    def _add(self, connection: Connection) -> None:
        self._connections[connection] = set()
        connection.wake = self._touch
        self._connections_total += 1
        self._update_routes(connection)
        self._touch(connection)

    def _on_timer(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for owner in self._deadlines.due(now):
            if isinstance(owner, Farewell):
                self._deadlines.forget(owner)
                for cid in owner.cids:
                    self._routes.pop(cid, None)
                continue
            if isinstance(owner, Race):
                self._attempt(owner)
                continue
            try:
                deadline = owner.deadline()
                if deadline is not None and deadline > now:
                    self._deadlines.set(owner, deadline)
                else:
                    owner.handle_timer(now)
                    self._touched[owner] = None
            except Exception as error:  # noqa: BLE001 - as in `_receive`
                self._fault(owner, error)
        self._settle()

    def _on(self, connection: Connection, action: Callable[[], None]) -> None:
        """Run an effect's part on its connection."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - as in `_receive`
            self._fault(connection, error)
        self._touch(connection)

    def _touch(self, connection: Connection) -> None:
        """Settle this connection: in the pass that is under way, or in one that begins soon."""
        self._touched[connection] = None
        if not self._is_settling and self._settle_handle is None:
            self._settle_handle = asyncio.get_running_loop().call_soon(self._settle)

    def _fault(self, connection: Connection, error: Exception) -> None:
        """Our own bug, or aioquic's: the runtime learns of it, this connection ends, the others go on."""
        asyncio.get_running_loop().call_exception_handler(
            {"message": "the QUIC transport failed on one connection, which was closed", "exception": error}
        )
        reason = Reason(ReasonCode.TRANSPORT_ERROR, detail=f"internal error: {type(error).__name__}")
        connection.close(reason, tell=not connection.is_muted)
        self._touched[connection] = None

    # --- settling

    def _settle(self) -> None:
        if self._is_settling:
            return
        self._is_settling = True
        if self._settle_handle is not None:
            self._settle_handle.cancel()
            self._settle_handle = None
        try:
            now = asyncio.get_running_loop().time()
            while self._touched:
                sending: dict[Connection, None] = {}
                while self._touched:
                    sending |= self._touched
                    touched, self._touched = self._touched, {}
                    for connection in touched:
                        self._deliver(connection)
                for connection in sending:
                    self._transmit(connection, now)
            self._arm()
        finally:
            self._is_settling = False

    def _deliver(self, connection: Connection) -> None:
        while connection.events and not connection.is_muted:
            event = connection.events.popleft()
            if isinstance(event, ConnectionIncomingReceived):
                self._arrivals[event.handle] = connection
            if self._is_news(connection, event):
                self._give(event)

    def _give(self, event: TransportEvent) -> None:
        if self._feed is None:
            return
        try:
            self._feed(event)
        except Exception as error:  # noqa: BLE001 - the runtime's own; it must not stop a pass half-way
            asyncio.get_running_loop().call_exception_handler({"message": "an event could not be dispatched", "exception": error})

    def _transmit(self, connection: Connection, now: float) -> None:
        endpoint = self._endpoint
        if endpoint is None or connection not in self._connections:
            return
        try:
            datagrams = connection.transmit(now)
            endpoint.send_all(datagrams)
            self._update_routes(connection)
            if connection.admission is not None and connection.phase is not Phase.HANDSHAKE:
                self._admission.release(connection.admission)
                del self._pending[connection.admission]
                connection.admission = None
            if connection.phase is Phase.CLOSED:
                self._remove(connection, datagrams, now)
            elif connection.events:
                self._touched[connection] = None
            else:
                self._deadlines.set(connection, connection.deadline())
        except Exception as error:  # noqa: BLE001 - as in `_receive`
            cannot_even_say_goodbye = connection.phase is Phase.CLOSED
            self._fault(connection, error)
            if cannot_even_say_goodbye:
                self._remove(connection, [], now)

    def _update_routes(self, connection: Connection) -> None:
        cids = self._connections[connection]
        for cid in connection.cids_issued:
            cids.add(cid)
            self._routes[cid] = connection
        for cid in connection.cids_retired:
            cids.discard(cid)
            self._routes.pop(cid, None)
        connection.cids_issued.clear()
        connection.cids_retired.clear()
        token = connection.quic.peer_reset_token()
        if token and token != connection.reset_token:
            self._reset_tokens.pop(connection.reset_token, None)
            self._reset_tokens[token] = connection
            connection.reset_token = token

    def _remove(self, connection: Connection, goodbye: Batch, now: float) -> None:
        self._deliver(connection)
        cids = tuple(self._connections.pop(connection))
        self._ended = self._ended.plus(connection.counters.traffic(now))
        self._deadlines.forget(connection)
        self._touched.pop(connection, None)
        if connection.connection_id is not None:
            if self._by_id.get(connection.connection_id) is connection:
                del self._by_id[connection.connection_id]
        elif connection.reason is not None:
            self._arrivals.pop(connection.handle, None)
            self.refused[connection.reason.code] += 1
        for cid in cids:
            del self._routes[cid]
        self._reset_tokens.pop(connection.reset_token, None)
        if goodbye and self._config.farewell_s:
            farewell = Farewell(cids, goodbye)
            self._routes.update(dict.fromkeys(cids, farewell))
            self._deadlines.set(farewell, now + self._config.farewell_s)
        connection.dispose()

    def _repeat_goodbye(self, farewell: Farewell) -> None:
        """Answer the 1st, 2nd, 4th, 8th ... datagram after the end, so that two closed ends can not keep each other busy."""
        farewell.heard += 1
        if self._endpoint is not None and farewell.heard & (farewell.heard - 1) == 0:
            for data, address in farewell.datagrams:
                self._endpoint.send(data, address)

    def _arm(self) -> None:
        time = self._deadlines.next
        if time is None or (self._timer is not None and self._timer_at <= time):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = time
        self._timer = asyncio.get_running_loop().call_at(time, self._on_timer)


def _apply(connection: Connection, effect: TransportEffect) -> None:
    match effect:
        case ChannelsEffectfulAnswerSend(stream=stream, frames=frames, ends=ends):
            connection.answer(stream, frames, ends=ends)
        case ChannelsEffectfulRequestSend():
            connection.request(
                effect.channel, effect.stream, effect.frame, effect.answer_bytes_max, effect.frame_bytes_max, ends=effect.ends
            )
        case ChannelsEffectfulRequestContinue():
            connection.request_continue(effect.stream, effect.frame, effect.answer_bytes_max, effect.frame_bytes_max, ends=effect.ends)
        case ChannelsEffectfulStreamReset(stream=stream, code=code):
            connection.reset(stream, code)
        case ConnectionEffectfulHelloSend(frame=frame):
            connection.send_hello(frame)
        case ConnectionEffectfulOpen(peer_streams_max=peer_streams_max):
            connection.open(peer_streams_max)
        case _:
            raise CallerError(f"{type(effect).__name__} is no effect on a connection")
