"""The memory transport: nodes of one process, over `mina_p2p.testing.network`."""

from __future__ import annotations

import asyncio

from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.testing.links import MemoryPort
from mina_p2p.testing.network import MemoryNetwork
from mina_p2p.transport import SocketAddress, TransportEffect, TransportKind, TransportListening
from mina_p2p_effects.clock import Clock
from mina_p2p_effects.transports.port import EventSink


class MemoryHub:
    """The network that nodes of one event loop share; delivers in real time."""

    def __init__(self, seed: int = 0, *, latency: int = MILLISECOND) -> None:
        """An empty network.

        :param latency: nanoseconds one way.
        """
        self.network = MemoryNetwork(seed, latency=latency)
        self.clock = Clock()
        self._timer: asyncio.TimerHandle | None = None
        self._hosts = 0

    def next_address(self) -> SocketAddress:
        """An address that no node has had yet."""
        self._hosts += 1
        return SocketAddress(f"1.{self._hosts >> 16 & 255}.{self._hosts >> 8 & 255}.{self._hosts & 255}", 8302)

    def changed(self) -> None:
        """Something may be on its way: see that it is delivered in time."""
        at = self.network.next_at()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            delay = max(0, at - self.clock.now()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        while (at := self.network.next_at()) is not None and at <= self.clock.now():
            self.network.deliver_next()
        self.changed()


class MemoryTransport:
    """One node's transport on a hub."""

    def __init__(self, hub: MemoryHub, peer_id: PeerId) -> None:
        self._hub = hub
        self._peer_id = peer_id
        self._port: MemoryPort | None = None

    @property
    def kind(self) -> TransportKind:
        """Memory."""
        return TransportKind.MEMORY

    async def start(self, feed: EventSink) -> SocketAddress:
        """Attach to the hub."""
        address = self._hub.next_address()
        self._port = self._hub.network.attach(self._peer_id, address, feed)
        feed(TransportListening(self.kind, address))
        return address

    def perform(self, effect: TransportEffect) -> None:
        """Carry out one effect."""
        if self._port is not None:
            self._hub.network.perform(self._port, effect, self._hub.clock.now())
            self._hub.changed()

    async def stop(self) -> None:
        """Leave the hub."""
        if self._port is not None:
            self._hub.network.detach(self._port, self._hub.clock.now())
            self._port = None
            self._hub.changed()
