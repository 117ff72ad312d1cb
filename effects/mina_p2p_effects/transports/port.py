"""What the runtime and a transport expect of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from mina_p2p.transport import SocketAddress, TransportEffect, TransportEvent, TransportKind

EventSink: TypeAlias = Callable[[TransportEvent], None]
"""Takes one event. The runtime dispatches it at once, or after the dispatch that is under way."""


class Transport(Protocol):
    """One transport of one node. All calls are on the event loop's thread."""

    @property
    def kind(self) -> TransportKind:
        """Which effects are for this transport."""
        ...

    async def start(self, feed: EventSink) -> SocketAddress:
        """Listen, and from now on give events to ``feed``; the first is `TransportListening`.

        :returns: the address that peers can dial.
        :raises OSError: where it can not listen.
        """
        ...

    def perform(self, effect: TransportEffect) -> None:
        """Carry out one effect; never blocks, never raises for a peer's fault.

        An effect that names a connection this transport does not know (any more) is ignored.
        """
        ...

    async def stop(self) -> None:
        """Say goodbye to every peer, then release sockets, tasks and timers. Idempotent."""
        ...
