"""`Libp2pEndpoint`: connections over TCP on asyncio's loop.

It listens, dials, moves bytes between sockets and `Connection` objects, wakes those at their
deadlines, and hands on what they tell. It decides nothing.

Everything a wake-up caused is settled before it ends: events are given out, whose takers may give orders to any
connection, until there are none; then every connection that was touched writes, as far as its socket takes it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, cast

from mina_p2p.address import Domain, HostScope, Libp2pAddress, host_scope, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p.transport import SocketAddress, TransportKind
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.metrics.traffic import ConnectionTraffic, Traffic, TransportTraffic
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.connection import Connection, Phase, Profile
from mina_p2p_effects.transports.libp2p.events import Closed, Event, Upgraded
from mina_p2p_effects.transports.libp2p.faults import Fault
from mina_p2p_effects.transports.libp2p.pnet import NONCE_BYTES, xsalsa20
from mina_p2p_effects.transports.libp2p.protocols import StreamProtocol

FIRST_INCOMING: Final = 1 << 32
"""Numbers of connections below it are the owner's to give, to those that it dials."""

EventSink: TypeAlias = Callable[[int, Event], None]
"""Takes the number of a connection and what it tells."""

_GOODBYE: Final = Reason(ReasonCode.SHUTDOWN, detail="the node stops")
_V4_MAPPED: Final = "::ffff:"


class _Link(asyncio.Protocol):
    """A socket and its connection."""

    def __init__(self, endpoint: Libp2pEndpoint, number: int, expected: PeerId | None = None, began: float | None = None) -> None:
        self._endpoint = endpoint
        self.number = number
        self._expected = expected
        self._began = began  # of a dial
        self.transport: asyncio.Transport | None = None
        self.connection: Connection | None = None
        self.is_full = False  # the socket takes no more for now
        self.is_known = began is not None  # whoever connected and proved nothing was never there
        self.timer: asyncio.TimerHandle | None = None
        self.timer_at = 0.0  # uvloop's handles do not tell
        self.bytes_in = 0
        self.bytes_out = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by name
        self._endpoint.adopt(self, self.transport, self._expected, self._began)

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self.connection is not None:
            # What this raises would be our own bug; asyncio reports it and closes this connection only.
            self.connection.receive(data, self._endpoint.time())
            self._endpoint.touch(self)
            self._endpoint.settle()

    def eof_received(self) -> None:
        self._end("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("" if exc is None else str(exc) or type(exc).__name__)
        self.transport = None
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._endpoint.touch(self)
        self._endpoint.settle()

    def _end(self, detail: str) -> None:
        if self.connection is not None:
            self.connection.end_of_input(detail)
            self._endpoint.touch(self)
            self._endpoint.settle()


class Libp2pEndpoint:
    """The libp2p connections of one node. All calls are on the event loop's thread.

    :param secret_key: the node's identity.
    :param protocols: what may be spoken on streams.
    :param network_key: `ChainId.libp2p_network_key`; ``None`` for a network without a pre-shared key.
    :param host: the address to bind; ``None`` does not listen.
    :param port: the TCP port to bind; 0 takes any.
    :raises CallerError: where a private network is asked for and the extra ``libp2p`` is missing.
    """

    def __init__(
        self,
        secret_key: SecretKey,
        protocols: Iterable[StreamProtocol],
        *,
        network_key: bytes | None,
        host: str | None = "0.0.0.0",  # noqa: S104 - a node serves every interface
        port: int = 0,
        config: Libp2pConfig | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if network_key is not None:
            xsalsa20(network_key, bytes(NONCE_BYTES))
        self._config = config or Libp2pConfig()
        self._profile = Profile(secret_key, self._config, {protocol.name: protocol for protocol in protocols}, network_key, random)
        self._bind = (host, port)
        self._feed: EventSink | None = None
        self._server: asyncio.Server | None = None
        self._links: dict[int, _Link] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._incoming_pending: dict[int, None] = {}
        self._next_incoming = FIRST_INCOMING
        self._touched: dict[_Link, None] = {}
        self._is_settling = False
        self._settle_handle: asyncio.Handle | None = None
        self.refused = 0
        """Incoming connections that were closed at once because there were too many."""
        self._begun = 0
        self._past = Traffic()

    async def start(self, feed: EventSink) -> SocketAddress | None:
        """Listen, and from now on give events to ``feed``.

        :returns: where peers can dial; ``None`` where it does not listen.
        :raises OSError: where the address can not be bound.
        """
        host, port = self._bind
        if host is not None:
            self._server = await asyncio.get_running_loop().create_server(self._incoming, host, port)
        self._feed = feed
        return _plain(self._server.sockets[0].getsockname()) if self._server is not None else None

    async def stop(self) -> None:
        """Say goodbye to every peer and release sockets, tasks and timers; no event follows. Idempotent."""
        self._feed = None
        tasks = tuple(self._dials.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._dials.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        links = tuple(self._links.values())
        for link in links:
            self.close(link.number, _GOODBYE)
        self.settle()
        if links:
            _, slow = await asyncio.wait([link.lost for link in links], timeout=self._config.stop_timeout_s)
            for link in links:
                if link.lost in slow and link.transport is not None:
                    link.transport.abort()
            if slow:
                await asyncio.wait(slow)

    def __len__(self) -> int:
        return len(self._links)

    def traffic(self) -> TransportTraffic:
        """Bytes over TCP, of each live connection and of all there ever were; nothing is counted in datagrams."""
        rows = tuple(row for link in self._links.values() if (row := _row(link)) is not None)
        total = self._past
        for row in rows:
            total = total.plus(row.total)
        return TransportTraffic(TransportKind.LIBP2P, total, self._begun, rows)

    # --- orders

    def dial(self, number: int, address: Libp2pAddress) -> None:
        """Connect; `Upgraded` or `Closed` with this number follows, which must be new and below `FIRST_INCOMING`.

        :raises CallerError: for another number.
        """
        if number in self._links or number in self._dials or not 0 <= number < FIRST_INCOMING:
            raise CallerError(f"connection number {number} is in use, or not below {FIRST_INCOMING}")
        if self._feed is None:
            return
        if len(self._links) + len(self._dials) >= self._config.connections_max or len(self._dials) >= self._config.dials_max:
            self._fail_dial(number, Fault.UNREACHABLE, "this node has as many connections or dials as it may have")
            return
        self._dials[number] = asyncio.get_running_loop().create_task(self._dial(number, address))

    def open_stream(self, number: int, handle: int, protocols: Sequence[str]) -> None:
        """`Connection.open_stream`; like all orders, nothing where the connection is gone."""
        link = self._ordered(number)
        if link is not None and link.connection is not None:
            link.connection.open_stream(handle, protocols)

    def send(self, number: int, handle: int, message: bytes) -> None:
        """`Connection.send`."""
        link = self._ordered(number)
        if link is not None and link.connection is not None:
            link.connection.send(handle, message)

    def close_write(self, number: int, handle: int) -> None:
        """`Connection.close_write`."""
        link = self._ordered(number)
        if link is not None and link.connection is not None:
            link.connection.close_write(handle)

    def reset_stream(self, number: int, handle: int) -> None:
        """`Connection.reset_stream`."""
        link = self._ordered(number)
        if link is not None and link.connection is not None:
            link.connection.reset_stream(handle)

    def close(self, number: int, reason: Reason) -> None:
        """End a connection, or a dial; `Closed` with ``reason`` follows."""
        task = self._dials.pop(number, None)
        if task is not None:
            task.cancel()
            if number not in self._links:
                asyncio.get_running_loop().call_soon(self._give, number, Closed(Fault.LOCAL, reason, by_peer=False))
        link = self._ordered(number)
        if link is not None and link.connection is not None:
            link.connection.close(reason)

    def connection(self, number: int) -> Connection | None:
        """The live connection of that number, for reports."""
        link = self._links.get(number)
        return link.connection if link is not None else None

    def _ordered(self, number: int) -> _Link | None:
        link = self._links.get(number)
        if link is not None:
            self.touch(link)
            if not self._is_settling and self._settle_handle is None:
                self._settle_handle = asyncio.get_running_loop().call_soon(self.settle)
        return link

    # --- connecting

    def _incoming(self) -> _Link:
        self._next_incoming += 1
        return _Link(self, self._next_incoming - 1)

    def adopt(self, link: _Link, transport: asyncio.Transport, expected: PeerId | None, began: float | None) -> None:
        """Begin the upgrade of a socket, or refuse it."""
        peer = transport.get_extra_info("peername")
        if began is None:
            is_over = len(self._links) >= self._config.connections_max or len(self._incoming_pending) >= self._config.incoming_pending_max
            self.refused += is_over
        else:
            is_over = link.number not in self._dials  # given up meanwhile
        if self._feed is None or is_over or peer is None:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=self._config.socket_high_bytes)
        is_dialer = began is not None
        now = self.time() if began is None else began
        self._begun += 1
        link.connection = Connection(self._profile, _plain(peer), is_dialer=is_dialer, now=now, expected=expected)
        self._links[link.number] = link
        if not is_dialer:
            self._incoming_pending[link.number] = None
        self.touch(link)
        self.settle()

    async def _dial(self, number: int, address: Libp2pAddress) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        fault, detail = Fault.UNRESOLVED, f"{address.host} has no address"
        try:
            async with asyncio.timeout(self._config.dial_timeout_s):
                for host in await self._resolve(address):
                    try:
                        await loop.create_connection(lambda: _Link(self, number, address.peer_id, began), host, address.port)
                    except OSError as error:
                        fault, detail = Fault.UNREACHABLE, error.strerror or str(error)
                    else:
                        self._dials.pop(number, None)
                        return
        except TimeoutError:
            fault, detail = Fault.UNREACHABLE, "no answer in time"
        except (OSError, UnicodeError):  # the name service, or a name that its codec refuses
            pass
        if self._dials.pop(number, None) is not None:
            self._fail_dial(number, fault, detail)

    async def _resolve(self, address: Libp2pAddress) -> list[str]:
        """Numeric hosts to try."""
        if not isinstance(address.host, Domain):
            return [address.host.plain]
        found = await asyncio.get_running_loop().getaddrinfo(address.host.plain, address.port, proto=6)
        hosts = list(dict.fromkeys(_plain(entry[4]).host for entry in found))
        if not self._config.are_private_addresses_dialled:
            hosts = [host for host in hosts if host_scope(parse_ip(host)) is HostScope.GLOBAL]
        return hosts[: self._config.dial_addresses_max]

    def _fail_dial(self, number: int, fault: Fault, detail: str) -> None:
        """Report later: an event never arrives inside the order that causes it."""
        closed = Closed(fault, fault.reason(detail), by_peer=False)
        asyncio.get_running_loop().call_soon(self._give, number, closed)

    # --- settling

    def time(self) -> float:
        """The loop's time, which is every connection's."""
        return asyncio.get_running_loop().time()

    def touch(self, link: _Link) -> None:
        """Something happened to this connection: `settle` looks at it."""
        self._touched[link] = None

    def settle(self) -> None:
        """Give out events and write, until nothing is left to do."""
        if self._is_settling:
            return
        self._is_settling = True
        if self._settle_handle is not None:
            self._settle_handle.cancel()
            self._settle_handle = None
        try:
            while self._touched:
                settling: dict[_Link, None] = {}
                while self._touched:
                    settling |= self._touched
                    touched, self._touched = self._touched, {}
                    for link in touched:
                        self._deliver(link)
                for link in settling:
                    try:
                        self._write(link)
                    except Exception as error:  # noqa: BLE001 - one connection's trouble stays its own
                        self._fault(link, error)
        finally:
            self._is_settling = False

    def _deliver(self, link: _Link) -> None:
        connection = link.connection
        if connection is None:
            return
        if connection.phase is Phase.OPEN or connection.phase is Phase.CLOSED:
            self._incoming_pending.pop(link.number, None)
        events, number = connection.events, link.number
        while events:
            event = events.popleft()
            link.is_known = link.is_known or isinstance(event, Upgraded)
            if link.is_known:
                self._give(number, event)

    def _give(self, number: int, event: Event) -> None:
        if self._feed is None:
            return
        try:
            self._feed(number, event)
        except Exception as error:  # noqa: BLE001 - the owner's own; it must not stop a pass half-way
            asyncio.get_running_loop().call_exception_handler({"message": "an event could not be dispatched", "exception": error})

    def _write(self, link: _Link) -> None:
        connection, transport = link.connection, link.transport
        if connection is None:
            return
        is_closed = connection.phase is Phase.CLOSED
        while transport is not None and not transport.is_closing() and (is_closed or not link.is_full):
            data = connection.transmit()
            if not data:
                break
            link.bytes_out += len(data)
            transport.write(data)
        if is_closed:
            self._release(link)
        else:
            self._arm(link, connection)

    def _fault(self, link: _Link, error: Exception) -> None:
        """Our own bug: the owner of the loop learns of it, this connection ends, the others go on."""
        message = "the libp2p transport failed on one connection, which was closed"
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
        connection, transport = link.connection, link.transport
        if connection is not None:
            connection.end_of_input(f"internal error: {type(error).__name__}")
            self._deliver(link)
        self._release(link)
        if transport is not None:
            transport.abort()

    def _release(self, link: _Link) -> None:
        if self._links.pop(link.number, None) is not None:
            self._past = self._past.plus(Traffic(link.bytes_in, link.bytes_out))
        if link.timer is not None:
            link.timer.cancel()
            link.timer = None
        transport, link.connection = link.transport, None
        if transport is not None and not transport.is_closing():
            transport.close()
            # A peer that does not read must not keep the socket.
            asyncio.get_running_loop().call_later(self._config.stop_timeout_s, transport.abort)

    def _arm(self, link: _Link, connection: Connection) -> None:
        """Wake the connection at its deadline; a timer that is early enough stays."""
        deadline = connection.deadline()
        if deadline is None or (link.timer is not None and link.timer_at <= deadline):
            return
        if link.timer is not None:
            link.timer.cancel()
        link.timer_at = deadline
        link.timer = asyncio.get_running_loop().call_at(deadline, self._on_timer, link)

    def _on_timer(self, link: _Link) -> None:
        link.timer = None
        if link.connection is not None:
            link.connection.handle_timer(self.time())
            self.touch(link)
            self.settle()


def _row(link: _Link) -> ConnectionTraffic | None:
    connection = link.connection
    if connection is None:
        return None
    return ConnectionTraffic(
        ConnectionId(link.number) if link.is_known else None,
        connection.peer_id,
        connection.remote,
        connection.is_dialer,
        Traffic(link.bytes_in, link.bytes_out),
        streams_open=connection.streams_count,
        rtt_s=connection.round_trip_s or None,
        rtt_min_s=None,
        window_bytes=0,
        in_flight_bytes=connection.queued_bytes,
        datagram_bytes=0,
    )


def _plain(address: tuple[Any, ...]) -> SocketAddress:
    """A socket's tuple as host and port; IPv4 seen through an IPv6 socket is IPv4 again, zones are left out."""
    host: str = address[0]
    return SocketAddress(host.removeprefix(_V4_MAPPED).partition("%")[0] if ":" in host else host, address[1])
