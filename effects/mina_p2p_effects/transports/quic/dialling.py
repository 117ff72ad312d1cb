"""Dialling: names are resolved, addresses race, and the dial has one outcome.

`Dialler` holds what a transport's dials and its other parts share: the socket, the
connections, and when each of them wants to be woken.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from mina_p2p.address import Domain, HostScope, QuicAddress, host_scope, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId
from mina_p2p.transport import (
    ConnectionClosed,
    ConnectionEstablished,
    TransportEvent,
)
from mina_p2p_effects.transports.quic.aioquic_hooks import QuicProfile
from mina_p2p_effects.transports.quic.connection import Connection
from mina_p2p_effects.transports.quic.deadlines import Deadlines
from mina_p2p_effects.transports.quic.endpoint import Address, Batch, UdpEndpoint, plain_address
from mina_p2p_effects.transports.quic.exchanges import Phase
from mina_p2p_effects.transports.quic.race import Race, interleaved

GOODBYE = Reason(ReasonCode.SHUTDOWN, detail="the node stops")
"""How attempts and connections end that nobody wants any more."""


class Farewell:
    """What is left of a connection that we closed: its goodbye, repeated while the peer still sends."""

    __slots__ = ("cids", "datagrams", "heard")

    def __init__(self, cids: tuple[bytes, ...], datagrams: Batch) -> None:
        self.cids = cids
        self.datagrams = datagrams
        self.heard = 0


class Dialler(ABC):
    """The dialling part of a transport."""

    def __init__(self, profile: QuicProfile, utcnow: Callable[[], dt.datetime]) -> None:
        self._config = profile.config
        self._profile = profile
        self._utcnow = utcnow
        self._endpoint: UdpEndpoint | None = None
        self._deadlines: Deadlines[Connection | Race | Farewell] = Deadlines()
        self._connections: dict[Connection, set[bytes]] = {}  # with the connection ids that lead to each
        self._by_id: dict[ConnectionId, Connection] = {}
        self._races: dict[ConnectionId, Race] = {}  # dials whose handshakes go on
        self._racing: dict[Connection, Race] = {}  # their attempts
        self._resolving: dict[ConnectionId, asyncio.Task[None]] = {}
        self._resolver_slots = asyncio.Semaphore(self._config.names_resolving_max)

    @abstractmethod
    def _add(self, connection: Connection) -> None:
        """Take a connection that has sent its first flight."""

    @abstractmethod
    def _on(self, connection: Connection, action: Callable[[], None]) -> None:
        """Run an effect's part on its connection."""

    @abstractmethod
    def _give(self, event: TransportEvent) -> None:
        """Tell the reducer."""

    @abstractmethod
    def _arm(self) -> None:
        """Look again at the earliest deadline."""

    def _dial(self, connection_id: ConnectionId, address: Any) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        if not isinstance(address, QuicAddress):
            self._fail_dial(connection_id, Reason(ReasonCode.UNSUPPORTED, detail="not a QUIC address"))
        elif len(self._connections) + len(self._resolving) >= self._config.connections_max:
            self._fail_dial(connection_id, Reason(ReasonCode.TRANSPORT_ERROR, detail="this node has as many connections as it may have"))
        elif len(self._resolving) + sum(c.is_dialer and c.phase is Phase.HANDSHAKE for c in self._connections) >= self._config.dials_max:
            self._fail_dial(connection_id, Reason(ReasonCode.TRANSPORT_ERROR, detail="too many dials are in progress"))
        elif isinstance(address.host, Domain):
            task = asyncio.get_running_loop().create_task(self._resolve_and_connect(endpoint, connection_id, address))
            self._resolving[connection_id] = task
        else:
            try:
                resolved = [endpoint.address_of(address.host.plain, address.port)]
            except OSError:
                detail = "this node listens on IPv4 only" if endpoint.is_ipv4_only else "not an address that can be dialled"
                self._fail_dial(connection_id, Reason(ReasonCode.ADDRESS_UNRESOLVED, detail=detail))
            else:
                deadline = asyncio.get_running_loop().time() + self._config.dial_timeout_s
                self._begin_race(connection_id, address.peer_id, resolved, deadline)

    async def _resolve_and_connect(self, endpoint: UdpEndpoint, connection_id: ConnectionId, address: QuicAddress) -> None:
        deadline = asyncio.get_running_loop().time() + self._config.dial_timeout_s
        try:
            async with asyncio.timeout_at(deadline), self._resolver_slots:
                resolved = await endpoint.resolve(address.host.plain, address.port)
        except (OSError, UnicodeError) as error:  # asyncio's time-out is an OSError; the name codec refuses some names
            if self._resolving.pop(connection_id, None) is not None:
                detail = "the name service did not answer in time" if isinstance(error, TimeoutError) else f"{address.host} has no address"
                self._fail_dial(connection_id, Reason(ReasonCode.ADDRESS_UNRESOLVED, detail=detail))
        else:
            if self._resolving.pop(connection_id, None) is None:
                return  # the dial was given up meanwhile
            if not self._config.are_private_addresses_dialled:
                resolved = [found for found in resolved if host_scope(parse_ip(plain_address(found).host)) is HostScope.GLOBAL]
            if resolved:
                self._begin_race(connection_id, address.peer_id, interleaved(resolved, count_max=self._config.dial_addresses_max), deadline)
            else:
                detail = "the name leads to private or local addresses only, which are not dialled"
                self._fail_dial(connection_id, Reason(ReasonCode.ADDRESS_UNRESOLVED, detail=detail))

    def _begin_race(self, connection_id: ConnectionId, peer_id: PeerId, addresses: list[Address], deadline: float) -> None:
        race = self._races[connection_id] = Race(connection_id, peer_id, addresses, deadline)
        refused = self._attempt(race)
        if not race.attempts:
            del self._races[connection_id]
            detail = f"no datagram can be sent there: {refused.strerror}" if refused is not None else "the name has no address"
            self._fail_dial(connection_id, Reason(ReasonCode.TRANSPORT_ERROR, detail=detail))

    def _attempt(self, race: Race) -> OSError | None:
        """Send the first flight to the next address that the operating system can send to; why it refused the one before, if any."""
        endpoint, now = self._endpoint, asyncio.get_running_loop().time()
        refused: OSError | None = None
        while endpoint is not None and race.addresses:
            address = race.addresses.popleft()
            connection = Connection(self._profile, self._utcnow, plain_address(address), dialled=(race.connection_id, race.peer_id))
            connection.connect(address, now, race.deadline)
            errors = [endpoint.send(*datagram) for datagram in connection.transmit(now)]
            refused = errors[0]
            if refused is None:
                race.attempts.append(connection)
                self._racing[connection] = race
                self._add(connection)
                break
            connection.dispose()
        if race.addresses:
            self._deadlines.set(race, now + self._config.dial_stagger_s)
            self._arm()
        return refused

    def _is_news(self, connection: Connection, event: TransportEvent) -> bool:
        """Whether an event of an attempt is one of its dial: the first one to succeed, or the last one to fail."""
        race = self._racing.get(connection)
        if race is None:
            return True
        race.attempts.remove(connection)
        del self._racing[connection]
        if isinstance(event, ConnectionEstablished):
            self._by_id[race.connection_id] = connection
            self._end_race(race, Reason(ReasonCode.DUPLICATE_CONNECTION, detail="another address of this node answered first"))
            return True
        self._attempt(race)
        if race.attempts:
            return False
        self._end_race(race, GOODBYE)
        return True

    def _end_race(self, race: Race, reason: Reason) -> None:
        self._races.pop(race.connection_id, None)
        self._deadlines.forget(race)
        race.addresses.clear()
        for attempt in race.attempts:
            self._racing.pop(attempt, None)
            attempt.is_muted = True
            self._on(attempt, partial(attempt.close, reason))

    def _fail_dial(self, connection_id: ConnectionId, reason: Reason) -> None:
        """Report later: an event never arrives inside the effect that causes it."""
        asyncio.get_running_loop().call_soon(self._give, ConnectionClosed(connection_id, reason, by_peer=False))

    def _give_up_dial(self, connection_id: ConnectionId, reason: Reason) -> None:
        """The reducer wants a dial no more, at whichever point it is."""
        task = self._resolving.pop(connection_id, None)
        if task is not None:
            task.cancel()
        race = self._races.get(connection_id)
        if race is not None:
            self._end_race(race, reason)
