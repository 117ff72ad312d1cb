"""Our own record, those of connected peers, and those that are being checked."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Final

from mina_p2p.address import Libp2pAddress
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table

CHECKING_MAX: Final = 256
"""Records whose signatures wait for the runtime; more are not looked at. Each waits for `GossipsubConfig.signature_timeout`."""


@record
class Kept(Record):
    """A connected peer's record."""

    seq: int
    envelope: bytes


@record
class Claim(Record):
    """A record whose signature is being checked."""

    connection_id: ConnectionId
    """Over which it came."""
    teller: PeerId
    """From whom it came: the peer that it is about, or another one that names it."""
    peer_id: PeerId
    seq: int
    addresses: tuple[Libp2pAddress, ...]
    envelope: bytes
    deadline: Timestamp
    """When it is forgotten; claims are all given the same time, so a later one has a later deadline."""


@record
class PeerExchange(Record):
    """The slice."""

    own: bytes = b""
    """Our record in its envelope; empty where there is none."""
    signing: bytes = b""
    """The payload of our next one, while the runtime signs it."""
    records: Table[PeerNumber, Kept] = empty_table()
    checking: Table[int, Claim] = empty_table()
    next_id: int = 1

    @property
    def next_at(self) -> Timestamp | None:
        """When the wait for the oldest claim ends, if there is one."""
        oldest = self.checking.first_key()
        return None if oldest is None else self.checking[oldest].deadline

    def due(self, now: Timestamp, most: int) -> list[int]:
        """Numbers of claims whose wait is over, the oldest first."""
        return list(islice(takewhile(lambda number: self.checking[number].deadline <= now, self.checking), most))
