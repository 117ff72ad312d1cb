"""One dial to several addresses of a peer: they race, the first to finish its handshake wins (RFC 8305).

A name often has an address of each family, of which one leads nowhere without anybody
saying so. Waiting for that one's time-out before trying the other would cost seconds; so the
next attempt begins a little after the last one, or at once when that fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p_effects.transports.quic.connection import Connection

Address: TypeAlias = Any
"""A socket address tuple."""


def interleaved(addresses: Iterable[Address], *, count_max: int) -> list[Address]:
    """Addresses in the resolver's order, but by turns of the two families (RFC 8305 4); at most so many."""
    families: dict[bool, deque[Address]] = {}
    for address in addresses:
        host: str = address[0]
        families.setdefault("." in host, deque()).append(address)  # IPv4, also where an IPv6 socket writes ::ffff:192.0.2.1
    chosen: list[Address] = []
    while len(chosen) < count_max and any(families.values()):
        chosen += [family.popleft() for family in families.values() if family]
    return chosen[:count_max]


class Race:
    """The attempts of one dial."""

    __slots__ = ("addresses", "attempts", "connection_id", "deadline", "peer_id")

    def __init__(self, connection_id: ConnectionId, peer_id: PeerId, addresses: Iterable[Address], deadline: float) -> None:
        self.connection_id = connection_id
        self.peer_id = peer_id
        self.addresses = deque(addresses)
        """Those that were not tried yet."""
        self.attempts: list[Connection] = []
        """Handshakes that are going on."""
        self.deadline = deadline
        """When all of it must be over."""
