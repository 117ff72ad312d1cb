"""A node over QUIC: ALPN, certificates, hello, then round trips of PING frames."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from typing import Final

from mina_p2p.address import QuicAddress
from mina_p2p.config import P2pConfig
from mina_p2p.connection.hello import Hello, make_hello, read_hello
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import ChannelId, ConnectionId
from mina_p2p.transport import ConnectionClosed, ConnectionEstablished, ConnectionHelloReceived, SocketAddress, TransportEvent
from mina_p2p_effects.cli.ping.causes import Cause, StepName, cause_of_reason
from mina_p2p_effects.cli.ping.plan import AGENT, Plan
from mina_p2p_effects.cli.ping.reach import first_to_answer, resolve, text_of
from mina_p2p_effects.cli.ping.report import NotReachedError, Report, clean, round_trips_text
from mina_p2p_effects.transports.quic.aioquic_hooks import EndingKind, QuicProfile
from mina_p2p_effects.transports.quic.certificate import make_certificate
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.connection import Connection

_OURS: Final = ConnectionId(1)
_HOUR_S: Final = 3600.0


async def ping_quic(plan: Plan, address: QuicAddress, report: Report) -> None:
    """Connect, exchange hellos, and measure round trips.

    :raises NotReachedError: for the step that failed.
    :raises TimeoutError: where the step under way got no answer.
    """
    config = P2pConfig(plan.secret_key.peer_id, plan.chain_id, agent=AGENT, channels=())
    # Waiting ends with the plan's time-out, which knows the step; the transport's own may not come before it.
    quic = QuicConfig(idle_timeout_s=max(QuicConfig().idle_timeout_s, 2 * plan.timeout_s))
    profile = QuicProfile(quic, plan.chain_id.quic_alpn, make_certificate(plan.secret_key))

    async def attempt(remote: SocketAddress) -> _Call:
        call = _Call(profile, address, remote, report)
        await call.begin()
        return call

    end = _now() + plan.timeout_s
    found = await resolve(address, report, end)
    report.begin(StepName.ANSWER)
    call, before = await first_to_answer(found, end, attempt)
    report.passed(f"QUIC from {text_of(call.remote)}{before}", remote=text_of(call.remote))
    try:
        async with asyncio.timeout_at(end):
            await call.shake_hands()
            await call.say_hello(config)
        await call.ping(plan)
    finally:
        call.end()


class _Socket(asyncio.DatagramProtocol):
    """A UDP socket connected to one address, so that the operating system tells of a refusal."""

    def __init__(self) -> None:
        self.inbox: deque[bytes] = deque()
        self.error: Exception | None = None
        self.news = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr  # there is only one
        self.inbox.append(data)
        self.news.set()

    def error_received(self, exc: Exception) -> None:
        self.error = exc
        self.news.set()


class _Call:
    """One connection with the socket that carries it."""

    def __init__(self, profile: QuicProfile, address: QuicAddress, remote: SocketAddress, report: Report) -> None:
        self.remote = remote
        self._peer_id = address.peer_id
        self._report = report
        self._socket = _Socket()
        self._transport: asyncio.DatagramTransport | None = None
        self._connection = Connection(profile, lambda: dt.datetime.now(dt.UTC), remote, dialled=(_OURS, address.peer_id))

    async def begin(self) -> None:
        """Open the socket, send the first flight, and wait for any answer.

        :raises OSError: where there is no way, or nobody listens.
        """
        where = (self.remote.host, self.remote.port)
        try:
            made, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self._socket, remote_addr=where)
            self._transport = made
            self._connection.connect(where, _now(), _now() + _HOUR_S)
            while not self._connection.counters.datagrams_in:
                await self._move()
        except BaseException:
            self.end()
            raise

    async def shake_hands(self) -> None:
        """To the end of the handshake: the same network, and the node that was dialled."""
        connection, report = self._connection, self._report
        report.begin(StepName.NETWORK)
        while True:
            alpn = connection.quic.negotiated_alpn()
            if alpn is not None and report.name is StepName.NETWORK:
                report.passed(f"ALPN {alpn}", alpn=alpn)
                report.begin(StepName.IDENTITY)
            event = self._taken()
            if isinstance(event, ConnectionEstablished):
                peer_id = event.peer_id.libp2p
                report.passed(f"TLS 1.3, and the certificate proves {peer_id}, who was dialled", peer_id=peer_id)
                return
            if event is None:
                await self._move()

    async def say_hello(self, config: P2pConfig) -> None:
        """Tell who we are; where the node does not want us, it says so now."""
        connection, report = self._connection, self._report
        report.begin(StepName.HELLO)
        connection.send_hello(make_hello(config))
        while not isinstance(event := self._taken(), ConnectionHelloReceived):
            if event is None:
                await self._move()
        hello = read_hello(event.frame, config)
        if isinstance(hello, Reason):
            raise NotReachedError(cause_of_reason(hello), clean(hello.detail))
        self._tell_hello(hello)

    def _tell_hello(self, hello: Hello) -> None:
        channels = [_channel_name(number) for number in hello.channels]
        capabilities = [clean(word) for word in hello.capabilities]
        agent, chain_id = clean(hello.agent), hello.chain_id.hex()
        self._report.passed(
            f"agent {agent or 'unnamed'}; chain {chain_id[:12]}…; {len(channels)} channels: {' '.join(channels)}",
            agent=agent,
            chain_id=chain_id,
            versions=[hello.lowest_version, hello.highest_version],
            channels=channels,
            capabilities=capabilities,
        )

    async def ping(self, plan: Plan) -> None:
        """Measure round trips."""
        connection, report = self._connection, self._report
        report.begin(StepName.PING)
        times: list[float] = []
        for number in range(1, plan.count + 1):
            answered, began = connection.pings_answered, _now()
            connection.quic.send_ping(number)
            async with asyncio.timeout(plan.timeout_s):
                while connection.pings_answered == answered:
                    await self._move()
                    self._taken()
            times.append(_now() - began)
        report.passed(round_trips_text(times), round_trips=times)

    def end(self) -> None:
        """Say goodbye and release everything; nothing may follow."""
        if self._transport is not None:
            self._connection.close(Reason(ReasonCode.USER_REQUEST, detail="the ping is over"))
            self._send()
            self._transport.close()
        self._connection.dispose()

    # --- what comes and goes

    def _taken(self) -> TransportEvent | None:
        """The next event.

        :raises NotReachedError: where it is the end.
        """
        connection = self._connection
        event = connection.events.popleft() if connection.events else None
        if isinstance(event, ConnectionClosed):
            ending = connection.quic.ending()
            is_other_version = ending is not None and ending.kind is EndingKind.VERSION
            cause = Cause.NO_COMMON_PROTOCOL if is_other_version else cause_of_reason(event.reason)
            raise NotReachedError(cause, clean(str(event.reason)))
        return event

    async def _move(self) -> None:
        """Send what waits, then take what comes, or do what is due.

        :raises OSError: where the operating system knows that nobody is there.
        """
        self._send()
        socket, connection, deadline = self._socket, self._connection, self._connection.deadline()
        timer = asyncio.get_running_loop().call_at(deadline, socket.news.set) if deadline is not None else None
        try:
            await socket.news.wait()
        finally:
            if timer is not None:
                timer.cancel()
        socket.news.clear()
        if socket.error is not None:
            raise socket.error
        while socket.inbox:
            connection.receive(socket.inbox.popleft(), (self.remote.host, self.remote.port), _now())
        if deadline is not None and _now() >= deadline:
            connection.handle_timer(_now())

    def _send(self) -> None:
        for data, _ in self._connection.transmit(_now()):
            if self._transport is not None:
                self._transport.sendto(data)


def _channel_name(number: int) -> str:
    try:
        return ChannelId(number).name.lower()
    except ValueError:
        return f"channel {number}"


def _now() -> float:
    return asyncio.get_running_loop().time()
