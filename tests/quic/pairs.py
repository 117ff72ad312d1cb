"""Two ends of a QUIC connection without sockets, on a clock that the test moves.

`World` carries datagrams between two ends, a millisecond each way, and moves the clock to
the next deadline where nothing is on its way; what it carries may be lost, changed or
counted by the test. `Ours` drives this project's `Connection` with the smallest
reducer, `Stock` an unchanged aioquic connection that may send any frame it likes.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable
from typing import Any

from aioquic import tls
from aioquic.buffer import Buffer, encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from aioquic.quic.packet_builder import QuicPacketBuilder

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, ChainId, PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p.transport import (
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic.aioquic_hooks import QuicProfile
from mina_p2p_effects.transports.quic.certificate import OwnCertificate, make_certificate
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.connection import Connection
from mina_p2p_effects.transports.quic.exchanges import Phase

ALICE = SecretKey.deterministic(1)
BOB = SecretKey.deterministic(2)
CAROL = SecretKey.deterministic(3)
DIALER_ADDRESS = ("192.0.2.1", 1000)
LISTENER_ADDRESS = ("198.51.100.2", 2000)
TODAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OTHER_CHAIN = DEVNET_CHAIN_ID


def profile(key: SecretKey, config: QuicConfig | None = None, chain: ChainId = MAINNET_CHAIN_ID) -> QuicProfile:
    return QuicProfile(config or QuicConfig(), chain.quic_alpn, make_certificate(key))


class Ours:
    """A `Connection` of this project, with a log of its events and a reducer that says yes."""

    def __init__(self, connection: Connection, *, peer_streams: int = 16, agrees: bool = True) -> None:
        self.connection = connection
        self.log: list[Any] = []
        self.peer_streams = peer_streams
        self.agrees = agrees

    def receive(self, data: bytes, address: Any, now: float) -> None:
        self.connection.receive(data, address, now)
        self.react()

    def handle_timer(self, now: float) -> None:
        self.connection.handle_timer(now)
        self.react()

    def transmit(self, now: float) -> list[tuple[bytes, Any]]:
        datagrams = self.connection.transmit(now)
        self.react()
        return datagrams

    def deadline(self) -> float | None:
        return self.connection.deadline()

    def react(self) -> None:
        connection = self.connection
        while connection.events:
            event = connection.events.popleft()
            self.log.append(event)
            if not self.agrees:
                continue
            match event:
                case ConnectionIncomingReceived():
                    connection.accept(ConnectionId(70))
                case ConnectionEstablished():
                    connection.send_hello(b"hello of the dialer")
                case ConnectionHelloReceived():
                    if not connection.is_dialer:
                        connection.send_hello(b"hello of the listener")
                    connection.open(self.peer_streams)
                case _:
                    pass

    def heard(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.log if isinstance(event, kind)]

    @property
    def closed_by(self) -> tuple[Reason, bool] | None:
        for event in self.heard(ConnectionClosed):
            return event.reason, event.by_peer
        return None


class Listener:
    """Stands where the endpoint is: makes an `Ours` of the first packet."""

    def __init__(self, its_profile: QuicProfile, *, peer_streams: int = 16, agrees: bool = True) -> None:
        self.profile = its_profile
        self.peer_streams = peer_streams
        self.agrees = agrees
        self.ours: Ours | None = None

    @property
    def connection(self) -> Connection:
        assert self.ours is not None
        return self.ours.connection

    @property
    def log(self) -> list[Any]:
        return self.ours.log if self.ours else []

    def heard(self, kind: type[Any]) -> list[Any]:
        return self.ours.heard(kind) if self.ours else []

    @property
    def closed_by(self) -> tuple[Reason, bool] | None:
        return self.ours.closed_by if self.ours else None

    def receive(self, data: bytes, address: Any, now: float) -> None:
        if self.ours is None:
            header = pull_quic_header(Buffer(data=data), host_cid_length=8)
            connection = Connection(
                self.profile, lambda: TODAY, SocketAddress(*DIALER_ADDRESS), handle=1, original_cid=header.destination_cid
            )
            self.ours = Ours(connection, peer_streams=self.peer_streams, agrees=self.agrees)
        self.ours.receive(data, address, now)

    def handle_timer(self, now: float) -> None:
        if self.ours:
            self.ours.handle_timer(now)

    def transmit(self, now: float) -> list[tuple[bytes, Any]]:
        return self.ours.transmit(now) if self.ours else []

    def deadline(self) -> float | None:
        return self.ours.deadline() if self.ours else None


class Stock:
    """An unchanged aioquic connection."""

    def __init__(self, quic: QuicConnection) -> None:
        self.quic = quic
        self.events: list[Any] = []
        self.spool: list[tuple[bytes, Any]] = []

    @property
    def ended(self) -> ConnectionTerminated | None:
        event: ConnectionTerminated | None = self.quic._close_event
        return event

    def receive(self, data: bytes, address: Any, now: float) -> None:
        self.quic.receive_datagram(data, address, now)
        self._collect()

    def handle_timer(self, now: float) -> None:
        deadline = self.quic.get_timer()
        if deadline is not None and now >= deadline:
            self.quic.handle_timer(now)
        self._collect()

    def transmit(self, now: float) -> list[tuple[bytes, Any]]:
        spool, self.spool = self.spool, []
        return spool + (self.quic.datagrams_to_send(now) if self.quic._network_paths else [])

    def deadline(self) -> float | None:
        return self.quic.get_timer()

    def _collect(self) -> None:
        while (event := self.quic.next_event()) is not None:
            self.events.append(event)

    def send_frame(self, frame_type: int, body: bytes, now: float) -> None:
        """Send any frame at all in a packet of its own."""
        quic = self.quic
        builder = QuicPacketBuilder(
            host_cid=quic.host_cid, is_client=quic._is_client, max_datagram_size=1452, packet_number=quic._packet_number,
            peer_cid=quic._peer_cid.cid, version=quic._version,
        )  # fmt: skip
        builder.start_packet(QuicPacketType.ONE_RTT, quic._cryptos[tls.Epoch.ONE_RTT])
        builder.start_frame(frame_type, len(body)).push_bytes(body)
        self.spool += quic._flush_builder(builder=builder, network_path=quic._network_paths[0], peer_cid=quic._peer_cid.cid, now=now)

    def send_stream(self, stream: int, offset: int, data: bytes, now: float, *, fin: bool = False) -> None:
        """Send stream data whatever the flow control says."""
        body = encode_uint_var(stream) + encode_uint_var(offset) + encode_uint_var(len(data)) + data
        self.send_frame(0x0E | fin, body, now)


def stock_client(
    key: SecretKey | None,
    *,
    alpn: str = MAINNET_CHAIN_ID.quic_alpn,
    own: OwnCertificate | None = None,
    change: Callable[[Any], None] | None = None,
) -> Stock:
    """A client that has the identity of ``key``, presents ``own``, or has no certificate at all."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[alpn], verify_mode=ssl.CERT_NONE)
    own = own or (make_certificate(key) if key else None)
    if own is not None:
        configuration.certificate, configuration.private_key = own.certificate, own.private_key
    quic = QuicConnection(configuration=configuration)
    if change is not None:
        change(quic)
    quic.connect(LISTENER_ADDRESS, 0.0)
    return Stock(quic)


class StockServer(Stock):
    """An unchanged aioquic server; it asks for no client certificate."""

    def __init__(self, own: OwnCertificate, *, alpn: str = MAINNET_CHAIN_ID.quic_alpn, change: Callable[[Any], None] | None = None) -> None:
        self.configuration = QuicConfiguration(
            is_client=False, alpn_protocols=[alpn], certificate=own.certificate, private_key=own.private_key
        )
        self.change = change
        self.events = []
        self.spool = []
        self.quic: Any = None

    def receive(self, data: bytes, address: Any, now: float) -> None:
        if self.quic is None:
            header = pull_quic_header(Buffer(data=data), host_cid_length=8)
            self.quic = QuicConnection(configuration=self.configuration, original_destination_connection_id=header.destination_cid)
            if self.change is not None:
                self.change(self.quic)
        super().receive(data, address, now)

    def transmit(self, now: float) -> list[tuple[bytes, Any]]:
        return super().transmit(now) if self.quic else []

    def deadline(self) -> float | None:
        return self.quic.get_timer() if self.quic else None

    def handle_timer(self, now: float) -> None:
        if self.quic:
            super().handle_timer(now)


def dialer(
    its_profile: QuicProfile, expected: PeerId = BOB.peer_id, *, peer_streams: int = 16, today: dt.datetime = TODAY, agrees: bool = True
) -> Ours:
    connection = Connection(its_profile, lambda: today, SocketAddress(*LISTENER_ADDRESS), dialled=(ConnectionId(7), expected))
    connection.connect(LISTENER_ADDRESS, 0.0)
    return Ours(connection, peer_streams=peer_streams, agrees=agrees)


class World:
    """Carries datagrams between the end that dials and the end that listens."""

    def __init__(self, dialing: Any, listening: Any) -> None:
        self.ends = (dialing, listening)
        self.now = 0.0
        self.dialer_address: Any = DIALER_ADDRESS
        self.passes: Callable[[int, bytes], bool] = lambda sender, data: True  # sender: 0 the dialer, 1 the listener
        self.carried = [0, 0]

    def exchange(self) -> bool:
        """One transmit pass of each end; whether anything was sent."""
        sent = [end.transmit(self.now) for end in self.ends]
        self.now += 0.001
        for sender, datagrams in enumerate(sent):
            source = LISTENER_ADDRESS if sender else self.dialer_address
            for data, _ in datagrams:
                self.carried[sender] += 1
                if self.passes(sender, data):
                    self.ends[1 - sender].receive(data, source, self.now)
        return any(sent)

    def run(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        """Go on until it holds; fails where it does not within so many seconds of the world's time."""
        limit = self.now + seconds
        while not until():
            if self.exchange():
                continue
            deadlines = [deadline for end in self.ends if (deadline := end.deadline()) is not None]
            assert deadlines, f"nothing will happen any more; {self.describe()}"
            self.now = max(self.now, min(deadlines))
            assert self.now < limit, f"not within {seconds} s; {self.describe()}"
            for end in self.ends:
                end.handle_timer(self.now)

    def quiet(self, seconds: float = 0.2) -> None:
        """Let so much time pass."""
        limit = self.now + seconds
        while True:
            if self.exchange():
                continue
            deadlines = [deadline for end in self.ends if (deadline := end.deadline()) is not None]
            if not deadlines or min(deadlines) > limit:
                self.now = limit
                return
            self.now = max(self.now, min(deadlines))
            for end in self.ends:
                end.handle_timer(self.now)

    def describe(self) -> str:
        return "; ".join(str(getattr(end, "log", getattr(end, "events", None))) for end in self.ends)


def connected(
    dialer_config: QuicConfig | None = None, listener_config: QuicConfig | None = None, **options: Any
) -> tuple[World, Ours, Listener]:
    """Two of ours, past their hellos."""
    dialing = dialer(profile(ALICE, dialer_config), **options)
    listening = Listener(profile(BOB, listener_config), **options)
    world = World(dialing, listening)
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    world.quiet()
    return world, dialing, listening


def attacked(config: QuicConfig | None = None, *, hello: bool = True, **options: Any) -> tuple[World, Stock, Listener]:
    """A stock client, authenticated, against a listener of ours; past the hellos where ``hello``."""
    attacker = stock_client(CAROL, **options)
    listening = Listener(profile(BOB, config))
    world = World(attacker, listening)
    world.run(lambda: listening.ours is not None and listening.connection.phase is Phase.OPEN)
    if hello:
        attacker.quic.send_stream_data(0, b"\x00\x00\x00\x00\x05hello")
        world.run(lambda: bool(listening.heard(ConnectionHelloReceived)))
    world.quiet()
    return world, attacker, listening
