"""A node over real sockets: the transport, a log of its events, and a reducer that says yes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from mina_p2p.address import QuicAddress, parse_host
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID, ChainId, PeerId
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    SocketAddress,
    TransportEvent,
    TransportKind,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport

DEADLINE_S = 60.0
"""Longest that any test waits; only a failing one does."""


class Node:
    def __init__(
        self,
        number: int,
        config: QuicConfig | None = None,
        *,
        chain: ChainId = MAINNET_CHAIN_ID,
        host: str = "127.0.0.1",
        answer: bytes | None = None,
    ) -> None:
        self.key = SecretKey.deterministic(number)
        self.transport = QuicTransport(self.key, chain, host, 0, config)
        self.answer = answer
        self.address = SocketAddress("", 0)
        self.log: list[Any] = []
        self.accepts: Callable[[ConnectionIncomingReceived], bool] = lambda _: True
        self._next_id = 1000 * number
        self._streams: dict[ConnectionId, int] = {}
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.address = await self.transport.start(self.feed)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.transport.stop()

    def feed(self, event: TransportEvent) -> None:
        self.log.append(event)
        self._changed.set()
        perform = self.transport.perform
        match event:
            case ConnectionIncomingReceived(handle=handle) if self.accepts(event):
                perform(ConnectionEffectfulAccept(TransportKind.QUIC, handle, self.new_id()))
            case ConnectionEstablished(connection_id=connection_id):
                self._streams[connection_id] = 4
                perform(ConnectionEffectfulHelloSend(connection_id, b"hello"))
            case ConnectionHelloReceived(connection_id=connection_id):
                if connection_id not in self._streams:
                    self._streams[connection_id] = 1
                    perform(ConnectionEffectfulHelloSend(connection_id, b"hello"))
                perform(ConnectionEffectfulOpen(connection_id, 16))
            case ChannelsMessageReceived(connection_id=connection_id, stream=stream) if self.answer is not None:
                if self._streams[connection_id] % 2 != stream % 2 or self._is_theirs(connection_id, stream):
                    perform(ChannelsEffectfulAnswerSend(connection_id, stream, (self.answer,), ends=True))
            case _:
                pass

    def _is_theirs(self, connection_id: ConnectionId, stream: StreamId) -> bool:
        return (self._streams[connection_id] + stream) % 2 == 1

    def new_id(self) -> ConnectionId:
        self._next_id += 1
        return ConnectionId(self._next_id)

    def heard(self, kind: type[Any], connection_id: ConnectionId | None = None) -> list[Any]:
        return [event for event in self.log if isinstance(event, kind) and connection_id in {None, getattr(event, "connection_id", None)}]

    async def until(self, predicate: Callable[[], Any]) -> Any:
        """Wait for an event after which it holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := predicate()):
                self._changed.clear()
                await self._changed.wait()
        return found

    def begin_dial(self, host: str, port: int, peer_id: PeerId) -> ConnectionId:
        connection_id = self.new_id()
        self.transport.perform(ConnectionEffectfulDial(connection_id, QuicAddress(peer_id, parse_host(host), port)))
        return connection_id

    async def dial(self, other: Node, host: str | None = None) -> ConnectionId:
        """Connect, both hellos included."""
        connection_id = self.begin_dial(host or other.address.host, other.address.port, other.key.peer_id)
        await self.until(lambda: self.heard(ConnectionHelloReceived, connection_id) or self.heard(ConnectionClosed, connection_id))
        assert self.heard(ConnectionHelloReceived, connection_id), self.log
        return connection_id

    async def fails(self, connection_id: ConnectionId) -> tuple[Reason, bool]:
        (event, *_) = await self.until(lambda: self.heard(ConnectionClosed, connection_id))
        return event.reason, event.by_peer

    def begin_ask(self, connection_id: ConnectionId, permitted: int = 1 << 20) -> StreamId:
        stream = StreamId(self._streams[connection_id])
        self._streams[connection_id] += 4
        self.transport.perform(ChannelsEffectfulRequestSend(connection_id, ChannelId.RPC, stream, b"please", permitted, permitted))
        return stream

    async def ask(self, connection_id: ConnectionId, permitted: int = 1 << 20) -> list[bytes]:
        """A request and the frames of its answer."""
        stream = self.begin_ask(connection_id, permitted)
        await self.until(lambda: any(event.stream == stream for event in self.heard(ChannelsStreamEnded, connection_id)))
        return [event.frame for event in self.heard(ChannelsMessageReceived, connection_id) if event.stream == stream]

    def leave(self, connection_id: ConnectionId, code: ReasonCode = ReasonCode.USER_REQUEST) -> None:
        self.transport.perform(DisconnectionEffectfulInit(connection_id, Reason(code)))
