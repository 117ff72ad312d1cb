"""A libp2p node over TCP: pnet, multistream, Noise, Yamux; then identify, ping and, if it is wanted, status, where it offers them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final, NoReturn

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identify.messages import IDENTIFY_CODEC, PROTOCOL_VERSION, IdentifyMessage
from mina_p2p.libp2p.multiaddr import dialable
from mina_p2p.libp2p.node_status.state import STATUS_BYTES_MAX
from mina_p2p.libp2p.protocols import IDENTIFY, NODE_STATUS, PING
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.cli.ping.causes import Cause, StepName, cause_of_fault
from mina_p2p_effects.cli.ping.plan import AGENT, Plan
from mina_p2p_effects.cli.ping.reach import first_to_answer, resolve, text_of
from mina_p2p_effects.cli.ping.report import NotReachedError, Report, clean, round_trips_text
from mina_p2p_effects.cli.ping.told_status import facts_of, status_text
from mina_p2p_effects.transports.libp2p.config import YAMUX, Libp2pConfig
from mina_p2p_effects.transports.libp2p.connection import NOISE, Connection, Phase
from mina_p2p_effects.transports.libp2p.events import (
    FIRST_PEER_HANDLE,
    Closed,
    Event,
    StreamEnded,
    StreamLost,
    StreamMessage,
    StreamOpened,
    WentAway,
)
from mina_p2p_effects.transports.libp2p.pnet import NONCE_BYTES, xsalsa20
from mina_p2p_effects.transports.libp2p.profile import Profile
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol
from mina_p2p_effects.transports.libp2p.upgrade import Upgrade

PAYLOAD_BYTES: Final = 32
"""What the ping protocol sends and expects back."""

_READ_BYTES: Final = 64 * 1024
_IDENTIFY_HANDLE: Final = 1
_PING_HANDLE: Final = 2
_STATUS_HANDLE: Final = 3
_SPOKEN: Final = {
    protocol.name: StreamProtocol(protocol.name, Framing[protocol.framing.name], protocol.message_bytes_max)
    for protocol in (IDENTIFY, PING, NODE_STATUS)
}


async def ping_libp2p(plan: Plan, address: Libp2pAddress, report: Report) -> None:
    """Connect, ask who it is, and measure round trips.

    :raises NotReachedError: for the step that failed.
    :raises TimeoutError: where the step under way got no answer.
    :raises CallerError: where the extra ``libp2p`` is missing.
    """
    network_key = plan.chain_id.libp2p_network_key
    xsalsa20(network_key, bytes(NONCE_BYTES))  # before anything is promised: the extra is there
    config = Libp2pConfig(stream_negotiation_timeout_s=plan.timeout_s)
    profile = Profile(plan.secret_key, config, _SPOKEN, network_key, secrets.token_bytes)
    end = _now() + plan.timeout_s
    found = await resolve(address, report, end)
    report.begin(StepName.CONNECT)
    (reader, writer, remote), before = await first_to_answer(found, end, _connect)
    report.passed(f"TCP to {text_of(remote)}{before}", remote=text_of(remote))
    connection = Connection(profile, remote, is_dialer=True, now=_now(), expected=address.peer_id)
    call = _Call(reader, writer, connection, plan, report)
    try:
        try:
            async with asyncio.timeout_at(end):
                await call.upgrade(address)
        except TimeoutError:
            call.suspect_network()
            raise
        async with asyncio.timeout(plan.timeout_s):
            await call.identify(address)
        await call.ping()
        if plan.is_status_read:
            async with asyncio.timeout(plan.timeout_s):
                await call.status()
    finally:
        call.end()


async def _connect(address: SocketAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, SocketAddress]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    return reader, writer, address


class _Call:
    """A socket and its connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection, plan: Plan, report: Report
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._connection = connection
        self._plan = plan
        self._report = report
        self._received = 0  # bytes

    async def upgrade(self, address: Libp2pAddress) -> None:
        """From the socket to a connection that carries streams."""
        connection, report = self._connection, self._report
        upgrade = connection.upgrade
        report.begin(StepName.NETWORK)
        while upgrade is not None and not connection.events:
            await self._move()
            self._tell_progress(upgrade, address)
        if isinstance(connection.events[0], Closed):
            self._fail(connection.events[0])
        connection.events.popleft()

    def _tell_progress(self, upgrade: Upgrade, address: Libp2pAddress) -> None:
        """End the steps that what has just come has ended."""
        report, is_open = self._report, self._connection.peer_id is not None
        if report.name is StepName.NETWORK and upgrade.has_heard:
            report.passed("both sides have the network's key: the node's first words make sense")
            report.begin(StepName.SECURITY)
        if report.name is StepName.SECURITY and upgrade.phase is not Phase.SECURITY:
            report.passed(f"multistream agreed on {NOISE}")
            report.begin(StepName.IDENTITY)
        if report.name is StepName.IDENTITY and (is_open or upgrade.phase is Phase.MUXER):
            report.passed(f"Noise proves {address.peer_id.libp2p}, who was dialled", peer_id=address.peer_id.libp2p)
            report.begin(StepName.MUXER)
        if is_open:
            is_early = upgrade.phase is not Phase.MUXER
            report.passed(f"{YAMUX}, agreed {'inside Noise' if is_early else 'by multistream'}", muxer=YAMUX, early=is_early)

    def suspect_network(self) -> None:
        """Where the upgrade failed before anything that came made sense, the keys differ; whether the rest was noise, silence or the end.

        :raises NotReachedError: in that case.
        """
        if self._report.name is StepName.NETWORK and self._received > NONCE_BYTES:
            raise NotReachedError(Cause.WRONG_NETWORK, f"{self._received} bytes came, and are noise with the key of this network")

    async def identify(self, address: Libp2pAddress) -> None:
        """Ask who it is."""
        connection, report = self._connection, self._report
        report.begin(StepName.IDENTIFY)
        connection.open_stream(_IDENTIFY_HANDLE, (IDENTIFY.name,))
        while True:
            match await self._next(_IDENTIFY_HANDLE):
                case StreamMessage(data=data):
                    self._tell_identity(data, address)
                    connection.reset_stream(_IDENTIFY_HANDLE)
                    return
                case StreamLost() as lost:
                    report.not_offered(f"the node does not answer {IDENTIFY.name}: {_why_lost(lost)}")
                    return
                case StreamEnded():
                    report.not_offered("the node ended the stream without saying who it is")
                    return
                case _:
                    pass

    def _tell_identity(self, data: bytes, address: Libp2pAddress) -> None:
        try:
            who = IDENTIFY_CODEC.decode(data)
        except DecodeError as error:
            raise NotReachedError(Cause.BROKE_PROTOCOL, f"its identify message can not be read: {clean(str(error))}") from None
        agent = clean(who.agent_version or "")
        protocols = [clean(protocol) for protocol in who.protocols]
        seen = None if who.observed_addr is None else dialable(who.observed_addr, self._plan.secret_key.peer_id)
        observed = None if seen is None else str(seen).rpartition("/p2p/")[0]
        listens = [clean(str(found)) for each in who.listen_addrs if (found := dialable(each, address.peer_id))]
        self._report.passed(
            f"agent {agent or 'unnamed'}; sees us at {observed or 'an address it does not tell'}; {len(protocols)} protocols:"
            f" {' '.join(protocols)}",
            agent=agent,
            protocol_version=clean(who.protocol_version or ""),
            protocols=protocols,
            observed=observed,
            listens=listens,
        )

    async def ping(self) -> None:
        """Measure round trips; by Yamux alone where the ping protocol is not offered."""
        connection, report = self._connection, self._report
        report.begin(StepName.PING)
        connection.open_stream(_PING_HANDLE, (PING.name,))
        async with asyncio.timeout(self._plan.timeout_s):
            agreed = await self._next(_PING_HANDLE)
        if isinstance(agreed, StreamLost):
            measured = connection.round_trip_s
            also = f"; a round trip of Yamux took {1000 * measured:.2f} ms" if measured else ""
            report.not_offered(f"the node does not answer {PING.name}: {_why_lost(agreed)}{also}")
            return
        times: list[float] = []
        for _ in range(self._plan.count):
            payload, began, answer = secrets.token_bytes(PAYLOAD_BYTES), _now(), b""
            connection.send(_PING_HANDLE, payload)
            async with asyncio.timeout(self._plan.timeout_s):
                while len(answer) < PAYLOAD_BYTES:
                    event = await self._next(_PING_HANDLE)
                    if not isinstance(event, StreamMessage):
                        raise NotReachedError(Cause.CLOSED, f"the node ended the stream after {len(times)} round trips")
                    answer += event.data
            if answer != payload:
                raise NotReachedError(Cause.BROKE_PROTOCOL, "the answer to a ping holds other bytes than were sent")
            times.append(_now() - began)
        report.passed(round_trips_text(times), round_trips=times)
        connection.close_write(_PING_HANDLE)

    async def status(self) -> None:
        """Read what the node writes of itself, to its end."""
        connection, report = self._connection, self._report
        report.begin(StepName.STATUS)
        connection.open_stream(_STATUS_HANDLE, (NODE_STATUS.name,))
        status = b""
        while True:
            match await self._next(_STATUS_HANDLE):
                case StreamMessage(data=data):
                    status += data
                    if len(status) > STATUS_BYTES_MAX:
                        raise NotReachedError(Cause.BROKE_PROTOCOL, f"what it writes of itself is longer than {STATUS_BYTES_MAX} bytes")
                case StreamLost() as lost:
                    report.not_offered(f"the node does not answer {NODE_STATUS.name}: {_why_lost(lost)}")
                    return
                case StreamEnded():
                    break
                case _:
                    pass
        facts = facts_of(status)
        if facts is None:
            report.not_offered("what the node writes of itself is no JSON" if status else "the node tells nothing of itself")
        else:
            report.passed(status_text(facts), **facts)

    def end(self) -> None:
        """Say goodbye and let the socket go."""
        self._connection.close(Reason(ReasonCode.USER_REQUEST, detail="the ping is over"))
        self._write()
        self._writer.close()

    # --- what comes and goes

    async def _next(self, handle: int) -> Event:
        """The next event of one of our streams. The node's own streams are served on the way."""
        events = self._connection.events
        while True:
            while events:
                event = events.popleft()
                if isinstance(event, Closed):
                    self._fail(event)
                if isinstance(event, WentAway):
                    raise NotReachedError(Cause.CLOSED, "the node took the connection and says goodbye")
                self._serve(event)
                if getattr(event, "handle", None) == handle:
                    return event
            await self._move()

    async def _move(self) -> None:
        """Write what waits, then take what comes."""
        self._write()
        try:
            data = await self._reader.read(_READ_BYTES)
        except OSError as error:
            self._connection.end_of_input(error.strerror or str(error))
            return
        self._received += len(data)
        if data:
            self._connection.receive(data, _now())
        else:
            self._connection.end_of_input()

    def _write(self) -> None:
        while not self._writer.is_closing() and (data := self._connection.transmit()):
            self._writer.write(data)

    def _serve(self, event: Event) -> None:
        """Answer identify and ping, as any node does."""
        connection = self._connection
        match event:
            case StreamOpened(handle=handle, protocol=IDENTIFY.name) if handle >= FIRST_PEER_HANDLE:
                key = self._plan.secret_key.peer_id.protobuf
                message = IdentifyMessage(key, (), (IDENTIFY.name, PING.name), None, PROTOCOL_VERSION, AGENT)
                connection.send(handle, IDENTIFY_CODEC.encode(message))
                connection.close_write(handle)
            case StreamOpened(handle=handle, protocol=NODE_STATUS.name) if handle >= FIRST_PEER_HANDLE:
                connection.close_write(handle)  # there is nothing to tell of a ping
            case StreamMessage(handle=handle, data=data) if handle >= FIRST_PEER_HANDLE:
                connection.send(handle, data)
            case StreamEnded(handle=handle) if handle >= FIRST_PEER_HANDLE:
                connection.close_write(handle)
            case _:
                pass

    def _fail(self, closed: Closed) -> NoReturn:
        cause = cause_of_fault(closed.fault)
        self.suspect_network()
        raise NotReachedError(cause, closed.reason.detail)


def _why_lost(lost: StreamLost) -> str:
    return "it reset the stream" if lost.fault is None else clean(lost.fault.reason(lost.detail).detail)


def _now() -> float:
    return asyncio.get_running_loop().time()
