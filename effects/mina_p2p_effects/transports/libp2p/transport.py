"""`Libp2pTransport`: the events and effects of `mina_p2p.libp2p.transport` over an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from mina_p2p.address import Host, Libp2pAddress, parse_ip
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.libp2p.protocols import Protocol
from mina_p2p.libp2p.transport import (
    Libp2pConnectionClosed,
    Libp2pConnectionOpened,
    Libp2pEffect,
    Libp2pEffectfulDial,
    Libp2pEffectfulDisconnect,
    Libp2pEffectfulSend,
    Libp2pEffectfulStreamEnd,
    Libp2pEffectfulStreamOpen,
    Libp2pEffectfulStreamReset,
    Libp2pEvent,
    Libp2pListening,
    Libp2pStreamEnded,
    Libp2pStreamLost,
    Libp2pStreamMessageReceived,
    Libp2pStreamOpened,
    Libp2pWentAway,
)
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.interfaces import reachable_at
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.metrics.traffic import TransportTraffic
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.endpoint import Libp2pEndpoint
from mina_p2p_effects.transports.libp2p.events import Event, StreamEnded, StreamLost, StreamMessage, StreamOpened, Upgraded, WentAway
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol

EventSink: TypeAlias = Callable[[Libp2pEvent], None]


class Libp2pTransport:
    """The libp2p transport of one node. All calls are on the event loop's thread.

    :param protocols: what may be spoken on streams.
    :param network_key: `ChainId.libp2p_network_key`; ``None`` for a network without a pre-shared key.
    :param host: the address to bind; ``None`` does not listen.
    :param port: the TCP port to bind; 0 takes any.
    :param external: hosts at which others reach this node at the bound port, where the bound address does not say it.
    :raises CallerError: where a private network is asked for and the extra ``libp2p`` is missing.
    """

    def __init__(
        self,
        secret_key: SecretKey,
        protocols: Iterable[Protocol],
        *,
        network_key: bytes | None,
        host: str | None = "0.0.0.0",  # noqa: S104 - a node serves every interface
        port: int = 0,
        external: tuple[Host, ...] = (),
        config: Libp2pConfig | None = None,
    ) -> None:
        spoken = [StreamProtocol(each.name, Framing[each.framing.name], each.message_bytes_max) for each in protocols]
        self._peer_id: PeerId = secret_key.peer_id
        self._external = external
        self._feed: EventSink | None = None
        self.endpoint = Libp2pEndpoint(secret_key, spoken, network_key=network_key, host=host, port=port, config=config)
        """For reports: what its connections hold and wait for."""

    async def start(self, feed: EventSink) -> SocketAddress | None:
        """Listen, and give events to ``feed``; the first one is `Libp2pListening`.

        :returns: what is bound; ``None`` where it does not listen.
        :raises OSError: where the address can not be bound.
        """
        self._feed = feed
        bound = await self.endpoint.start(self._take)
        if bound is None:
            feed(Libp2pListening(()))
            return None
        hosts = self._external or reachable_at(parse_ip(bound.host))
        feed(Libp2pListening(tuple(Libp2pAddress(self._peer_id, host, bound.port) for host in hosts)))
        return bound

    async def stop(self) -> None:
        """Say goodbye to every peer and release everything; no event follows. Idempotent."""
        self._feed = None
        await self.endpoint.stop()

    def traffic(self) -> TransportTraffic:
        """What its connections have carried so far."""
        return self.endpoint.traffic()

    def perform(self, effect: Libp2pEffect) -> None:
        """Carry out one effect; what it causes happens after this returns.

        :raises CallerError: for an id in use, and for a protocol that is not spoken.
        """
        endpoint = self.endpoint
        match effect:
            case Libp2pEffectfulSend(connection_id=connection_id, stream=stream, data=data):
                endpoint.send(connection_id, stream, data)
            case Libp2pEffectfulStreamOpen(connection_id=connection_id, stream=stream, protocols=protocols):
                endpoint.open_stream(connection_id, stream, protocols)
            case Libp2pEffectfulStreamEnd(connection_id=connection_id, stream=stream):
                endpoint.close_write(connection_id, stream)
            case Libp2pEffectfulStreamReset(connection_id=connection_id, stream=stream):
                endpoint.reset_stream(connection_id, stream)
            case Libp2pEffectfulDial(connection_id=connection_id, address=address):
                endpoint.dial(connection_id, address)
            case Libp2pEffectfulDisconnect(connection_id=connection_id, reason=reason):
                endpoint.close(connection_id, reason)

    def _take(self, number: int, event: Event) -> None:
        if self._feed is not None:
            self._feed(_translated(ConnectionId(number), event))


def _translated(connection_id: ConnectionId, event: Event) -> Libp2pEvent:
    match event:
        case StreamMessage(handle=handle, data=data):
            return Libp2pStreamMessageReceived(connection_id, StreamId(handle), data)
        case StreamOpened(handle=handle, protocol=protocol, is_ours=is_ours):
            return Libp2pStreamOpened(connection_id, StreamId(handle), protocol, is_ours)
        case StreamEnded(handle=handle):
            return Libp2pStreamEnded(connection_id, StreamId(handle))
        case StreamLost(handle=handle, fault=fault, detail=detail):
            told = "" if fault is None else fault.reason(detail).detail
            return Libp2pStreamLost(connection_id, StreamId(handle), fault is None, told)
        case Upgraded(peer_id=peer_id, is_dialer=is_dialer, remote=remote):
            return Libp2pConnectionOpened(connection_id, peer_id, is_dialer, remote)
        case WentAway():
            return Libp2pWentAway(connection_id)
        case _:
            return Libp2pConnectionClosed(connection_id, event.reason, event.by_peer)
