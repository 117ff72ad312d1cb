"""Session tickets: what lets two nodes that know each other begin without certificates.

A resumed handshake proves that the other side holds the secret of an earlier, fully
authenticated one; no certificate is shown. So a ticket stands for an identity, and is
treated like one: it is bound to the peer id that the earlier handshake proved, works once,
lives an hour, is kept in memory only, and is forgotten when the peer is banned. Because it
works once, a recorded first flight can not be played again: the second one finds no ticket.
"""

from __future__ import annotations

from typing import Any, Protocol

from mina_p2p.identity import PeerId
from mina_p2p.record import Record, record


class SessionTicket(Protocol):
    """A TLS library's ticket, of which only the name is read here."""

    @property
    def ticket(self) -> bytes:
        """What the client sends to name it."""
        ...


@record
class Given(Record):
    """A ticket that we gave to a peer."""

    session: Any
    peer_id: PeerId
    until: float


@record
class Received(Record):
    """A ticket that a peer gave us."""

    session: Any
    hello: bytes
    """The hello that was sent in the connection it came from; it may travel early in the next one."""
    until: float


class Tickets:
    """The tickets of one node, in both directions. Times are the event loop's seconds.

    :param lifetime_s: how long a ticket can be used.
    :param tickets_max: tickets kept in each direction; the oldest go first.
    :param per_peer_max: tickets that one peer may hold of ours.
    """

    def __init__(self, *, lifetime_s: float, tickets_max: int, per_peer_max: int) -> None:
        self._lifetime_s = lifetime_s
        self._tickets_max = tickets_max
        self._per_peer_max = per_peer_max
        self._given: dict[bytes, Given] = {}
        self._names: dict[PeerId, list[bytes]] = {}  # of tickets given, by peer, oldest first
        self._received: dict[PeerId, Received] = {}

    def __len__(self) -> int:
        """Tickets kept in both directions."""
        return len(self._given) + len(self._received)

    def give(self, session: SessionTicket, peer_id: PeerId, now: float) -> None:
        """Remember a ticket that ``peer_id``, authenticated, is given."""
        name = session.ticket
        self._given[name] = Given(session, peer_id, now + self._lifetime_s)
        names = self._names.setdefault(peer_id, [])
        names.append(name)
        if len(names) > self._per_peer_max:
            self._drop(names[0])
        if len(self._given) > self._tickets_max:
            self._drop(next(iter(self._given)))

    def redeem(self, name: bytes, now: float) -> Given | None:
        """Use a ticket of ours, once; ``None`` where it is unknown, used, forgotten or too old."""
        given = self._drop(name)
        return given if given is not None and now < given.until else None

    def keep(self, session: SessionTicket, peer_id: PeerId, hello: bytes, now: float) -> None:
        """Keep the latest ticket that ``peer_id`` gave us."""
        self._received.pop(peer_id, None)
        self._received[peer_id] = Received(session, hello, now + self._lifetime_s)
        if len(self._received) > self._tickets_max:
            del self._received[next(iter(self._received))]

    def take(self, peer_id: PeerId, now: float) -> Received | None:
        """The ticket to dial ``peer_id`` with; it is used up by this."""
        received = self._received.pop(peer_id, None)
        return received if received is not None and now < received.until else None

    def forget(self, peer_id: PeerId) -> None:
        """Drop all tickets of a peer, in both directions."""
        self._received.pop(peer_id, None)
        for name in tuple(self._names.get(peer_id, ())):
            self._drop(name)

    def _drop(self, name: bytes) -> Given | None:
        given = self._given.pop(name, None)
        if given is not None:
            names = self._names[given.peer_id]
            names.remove(name)
            if not names:
                del self._names[given.peer_id]
        return given
