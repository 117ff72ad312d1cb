"""An endpoint whose events tests wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self, TypeVar

from libp2p.pairs import NETWORK_KEY, PROTOCOLS
from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p import Libp2pConfig, Libp2pEndpoint
from mina_p2p_effects.transports.libp2p.events import Event, StreamOpened, Upgraded

E = TypeVar("E", bound=Event)

DEADLINE_S = 60.0
"""How long a test waits for what must happen; it fails then, so nothing depends on it being short."""
LOOPBACK = Ipv4.of(127, 0, 0, 1)


class Node:
    """A node on the loopback interface, with all it was told."""

    def __init__(self, number: int, *, network_key: bytes | None = NETWORK_KEY, protocols: Any = None, **limits: Any) -> None:
        self.secret_key = SecretKey.deterministic(number)
        self.endpoint = Libp2pEndpoint(
            self.secret_key,
            PROTOCOLS.values() if protocols is None else protocols,
            network_key=network_key,
            host="127.0.0.1",
            config=Libp2pConfig(**limits),
        )
        self.told: list[tuple[int, Event]] = []
        self.on_event: Callable[[int, Event], None] | None = None
        self.address = SocketAddress("", 0)
        self._news = asyncio.Event()
        self._dialled = 0
        self._handles = 0

    async def __aenter__(self) -> Self:
        self.address = await self.endpoint.start(self._take) or self.address
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.endpoint.stop()

    def _take(self, number: int, event: Event) -> None:
        self.told.append((number, event))
        self._news.set()
        if self.on_event is not None:
            self.on_event(number, event)

    @property
    def dial_address(self) -> Libp2pAddress:
        return Libp2pAddress(self.secret_key.peer_id, LOOPBACK, self.address.port)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until ``condition``, which is asked after every event."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def next(self, kind: type[E], number: int | None = None) -> tuple[int, E]:
        """Take the first event of this kind (and connection) out of what was told."""
        found: list[tuple[int, E]] = []

        def look() -> bool:
            for entry in self.told:
                if isinstance(entry[1], kind) and number in {None, entry[0]}:
                    self.told.remove(entry)
                    found.append((entry[0], entry[1]))
                    return True
            return False

        await self.until(look)
        return found[0]

    async def dial(self, address: Libp2pAddress) -> int:
        """Connect; the connection's number."""
        self._dialled += 1
        self.endpoint.dial(self._dialled, address)
        number, _ = await self.next(Upgraded, self._dialled)
        return number

    async def open(self, number: int, *protocols: str) -> int:
        """Open a stream; its handle."""
        self._handles += 1
        handle = self._handles
        self.endpoint.open_stream(number, handle, protocols)
        _, opened = await self.next(StreamOpened, number)
        assert opened.handle == handle
        return handle
