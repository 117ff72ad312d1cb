"""The smallest program over the QUIC transport, for the benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mina_p2p.address import QuicAddress, parse_ip
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
    ChannelsStreamEnded,
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportEvent,
    TransportKind,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport

MESSAGE = bytes(1024)
CHUNK = bytes(64 * 1024)
CONFIG = QuicConfig(handshakes_pending_per_group_max=512, handshakes_pending_max=512, retry_above=512, connections_max=4096, dials_max=512)


class Node:
    """The smallest program over the transport: hellos, and answers of a given size."""

    def __init__(self, number: int, host: str = "127.0.0.1", port: int = 0, config: QuicConfig = CONFIG) -> None:
        self.key = SecretKey.deterministic(number)
        self.transport = QuicTransport(self.key, MAINNET_CHAIN_ID, host, port, config)
        self.address = SocketAddress("", 0)
        self.next_id = 1
        self.ready: dict[ConnectionId, asyncio.Event] = {}
        self.next_stream: dict[ConnectionId, int] = {}
        self.on_stream: dict[tuple[ConnectionId, StreamId], Callable[[], None]] = {}
        self.frames = 0
        self.answer: tuple[bytes, int] = (MESSAGE, 1)
        self.owed: list[tuple[ConnectionId, StreamId, int]] = []
        self.is_blocked = False
        self.closed = 0
        self.on_closed: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        self.address = await self.transport.start(self.feed)

    def feed(self, event: TransportEvent) -> None:
        perform = self.transport.perform
        match event:
            case ChannelsMessageReceived(connection_id=connection_id, stream=stream, frame=frame):
                self.frames += 1
                if (connection_id, stream) not in self.on_stream:
                    count = int(frame[5:]) if frame.startswith(b"want ") else self.answer[1]
                    self.owed.append((connection_id, stream, count))
                    self.pay()
            case ChannelsStreamEnded(connection_id=connection_id, stream=stream):
                self.on_stream.pop((connection_id, stream))()
            case ChannelsSendBlocked():
                self.is_blocked = True
            case ChannelsSendUnblocked():
                self.is_blocked = False
                self.pay()
            case ConnectionIncomingReceived(handle=handle):
                perform(ConnectionEffectfulAccept(TransportKind.QUIC, handle, self.new_id()))
            case ConnectionEstablished(connection_id=connection_id):
                perform(ConnectionEffectfulHelloSend(connection_id, b"hello"))
            case ConnectionHelloReceived(connection_id=connection_id):
                if connection_id in self.ready:
                    self.ready[connection_id].set()
                else:
                    perform(ConnectionEffectfulHelloSend(connection_id, b"hello"))
                perform(ConnectionEffectfulOpen(connection_id, 64))
            case ConnectionClosed():
                self.closed += 1
                self.on_closed.set()
            case _:
                pass

    def pay(self) -> None:
        """Answer in pieces, as far as back-pressure lets us."""
        frame = self.answer[0]
        step = max(1, len(CHUNK) // (len(frame) + 4))
        while self.owed and not self.is_blocked:
            connection_id, stream, count = self.owed.pop(0)
            now = min(count, step)
            self.transport.perform(ChannelsEffectfulAnswerSend(connection_id, stream, (frame,) * now, ends=now == count))
            if now < count:
                self.owed.insert(0, (connection_id, stream, count - now))

    def new_id(self) -> ConnectionId:
        self.next_id += 1
        return ConnectionId(self.next_id)

    async def dial(self, other: Node) -> ConnectionId:
        return await self.dial_at(other.key.peer_id, other.address)

    async def dial_at(self, peer_id: PeerId, where: SocketAddress) -> ConnectionId:
        connection_id = self.new_id()
        is_ready = self.ready[connection_id] = asyncio.Event()
        self.next_stream[connection_id] = 4
        address = QuicAddress(peer_id, parse_ip(where.host), where.port)
        self.transport.perform(ConnectionEffectfulDial(connection_id, address))
        await asyncio.wait_for(is_ready.wait(), 20)
        return connection_id

    def ask(self, connection_id: ConnectionId, size: int, frame_max: int, done: Callable[[], None], request: bytes = b"please") -> None:
        stream = StreamId(self.next_stream[connection_id])
        self.next_stream[connection_id] += 4
        self.on_stream[connection_id, stream] = done
        self.transport.perform(ChannelsEffectfulRequestSend(connection_id, ChannelId.RPC, stream, request, size, frame_max))

    async def fetch(self, connection_id: ConnectionId, size: int, frame_max: int, request: bytes = b"please") -> None:
        done = asyncio.Event()
        self.ask(connection_id, size, frame_max, done.set, request)
        await done.wait()
