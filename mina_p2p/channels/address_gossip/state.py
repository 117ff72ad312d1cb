"""The discovery by addresses: what each peer permitted and was told, what is known of whom, and our own record."""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

from mina_p2p.address import DialAddress, QuicAddress
from mina_p2p.channels.address_gossip.messages import AddressRecord, RecordBody
from mina_p2p.discovery.book import Allowance, Book, Known
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.gossiper import Gossiper, empty_gossiper
from mina_p2p.identity import KEY_LENGTH, PeerId
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber, StreamId, Timestamp
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table

RING_MAX: Final = 64
"""Keys that are remembered as named, each way, on one connection."""
FETCHES_PER_MESSAGE: Final = 2
FETCHES_MAX: Final = 4
"""Questions for records that each message with keys allows, and that can be saved up."""
CREDIT_MAX: Final = 8
MINUTE: Final = 60 * SECOND


class WaitKind(enum.IntEnum):
    """What a wait of this slice is for; part of its key."""

    GRANT = 0
    """The end of a pause, or of a permission that nobody used; the number is the connection, as for the next two."""
    FETCH = 1
    FLUSH = 2
    """Time to name what has been collected."""
    TICK = 3
    """Our own record is due; number 0."""
    EXPIRY = 4
    """A record is no longer to be believed; the number is that of the book."""
    DIAL = 5
    """More records may lead to dials; number 0."""
    CHECK = 6
    """The runtime's word on a signature; the number is that of the verification."""


def wait_key(kind: WaitKind, number: int = 0) -> int:
    """Key of one wait."""
    return number << 3 | kind


def split_wait_key(key: int) -> tuple[WaitKind, int]:
    """What `wait_key` put together."""
    return WaitKind(key & 7), key >> 3


@record
class Resting(Record):
    """The peer may not name anything; it is asked again at ``deadline``."""

    deadline: Timestamp


@record
class Granted(Record):
    """The peer may name up to ``limit`` records, whenever it likes."""

    limit: int
    stream: StreamId
    deadline: Timestamp
    """When an unused permission is withdrawn."""
    fetches_allowed: int
    """Questions that the peer would still take when it was given; it may use it before it has heard those that followed."""


@record
class Fetching(Record):
    """Records that the peer was asked for."""

    items: tuple[bytes, ...]
    stream: StreamId
    deadline: Timestamp


@record
class Permitted(Record):
    """What the peer permitted us, on its stream."""

    limit: int
    stream: StreamId


Grant: TypeAlias = Resting | Granted


@record
class Link(Record):
    """Channel 9 of one connection. Records are named by their item ids (`AddressKey.item_id`)."""

    peer_id: PeerId
    grant: Grant
    fetch: Fetching | None = None
    wanted: tuple[bytes, ...] = ()
    """To be asked for next."""
    fetches_allowed: int = 0
    """Questions for records that the peer will take from us."""
    permitted: Permitted | None = None
    due: tuple[bytes, ...] = ()
    """To be named when the permission is used."""
    flush_at: Timestamp | None = None
    fetches_left: int = 0
    """Questions for records that we will take from the peer."""
    sent: tuple[bytes, ...] = ()
    """What we named, the latest last: the peer may ask for it."""
    unanswered: tuple[bytes, ...] = ()
    """What the last message named: of this, the peer knows what it has not asked for by its next permission."""
    seen: tuple[bytes, ...] = ()
    """What the peer named, the latest last; nothing, in places of what it may have named on a stream that we gave up."""
    has_our_record: bool = False
    """Whether we named our own record to it; the first time that goes before everything else."""
    credit: int = 0
    """What its records were worth."""

    @property
    def askable(self) -> tuple[bytes, ...]:
        """What the peer surely remembers that it named; for a message that it may be sending it forgets the oldest of it."""
        return self.seen[-(RING_MAX - self.grant.limit) :] if isinstance(self.grant, Granted) else self.seen

    @property
    def waits(self) -> tuple[Timestamp | None, Timestamp | None, Timestamp | None]:
        """When its permission, its fetch and its collecting end."""
        return self.grant.deadline, None if self.fetch is None else self.fetch.deadline, self.flush_at


@record
class Own(Record):
    """Our own record, and what others say in our name."""

    addresses: tuple[DialAddress, ...]
    allowance: Allowance
    last_issued_at: int
    next_tick: Timestamp
    record: AddressRecord | None = None
    signing: RecordBody | None = None
    """Given away to be signed."""
    overtaken: Overtaken | None = None
    """The last time that a record with our signature was newer than ours."""


@record
class Overtaken(Record):
    """A record that our key signed and this node did not."""

    at: Timestamp
    times: int
    """How often that has come to pass, with no more than the life of a record in between."""


@record
class Waiting(Record):
    """A node whose record may lead to a dial, once others did not in the last minute."""

    address: QuicAddress
    learned_from: PeerNumber | None
    """Who passed the record on."""


@record
class Verification(Record):
    """A record whose signature is being checked."""

    record: AddressRecord
    connection_id: ConnectionId
    """Who sent it."""
    deadline: Timestamp
    """When it is given up."""


@record
class AddressGossip(Record):
    """The slice's state."""

    gossip: Gossiper
    deadlines: Deadlines
    book: Book
    own: Own
    links: Table[ConnectionId, Link] = empty_table()
    verifications: Table[int, Verification] = empty_table()
    last_verification: int = 0
    verified_in: tuple[int, int] = (0, 0)
    """A second, and how many signatures were given away to be checked in it."""
    dialled: tuple[Timestamp, ...] = ()
    """When records led to a dial in the last minute, the oldest first; at most `AddressGossipConfig.dials_per_minute`."""
    undialled: Table[int, Waiting] = empty_table()
    """Nodes of the book whose records have not led to a dial yet."""

    @property
    def dials_at(self) -> Timestamp | None:
        """When the next record may lead to a dial, where some wait for that."""
        return Timestamp(self.dialled[0] + MINUTE) if self.undialled and self.dialled else None

    def with_dials(self, dialled: tuple[Timestamp, ...], undialled: Table[int, Waiting]) -> AddressGossip:
        """With other records that led, or shall lead, to dials; the wait follows them."""
        if dialled is self.dialled and undialled is self.undialled:
            return self
        changed = self.replace(dialled=dialled, undialled=undialled)
        return changed.replace(deadlines=_moved(self.deadlines, wait_key(WaitKind.DIAL), self.dials_at, changed.dials_at))

    def with_link(self, connection_id: ConnectionId, new: Link | None) -> AddressGossip:
        """With a link's state, new or changed, or without it; its waits follow it."""
        old = self.links.get(connection_id)
        before = (None, None, None) if old is None else old.waits
        after = (None, None, None) if new is None else new.waits
        deadlines = self.deadlines
        if before != after:
            for kind in (WaitKind.GRANT, WaitKind.FETCH, WaitKind.FLUSH):
                deadlines = _moved(deadlines, wait_key(kind, connection_id), before[kind], after[kind])
        links = self.links.delete(connection_id) if new is None else self.links.set(connection_id, new)
        return self.replace(links=links, deadlines=deadlines)

    def with_check(self, number: int, new: Verification | None) -> AddressGossip:
        """With a signature that is to be checked, or without it; its wait follows it."""
        old = self.verifications.get(number)
        before, after = None if old is None else old.deadline, None if new is None else new.deadline
        verifications = self.verifications.discard(number) if new is None else self.verifications.set(number, new)
        return self.replace(verifications=verifications, deadlines=_moved(self.deadlines, wait_key(WaitKind.CHECK, number), before, after))

    def wait(self, key: int) -> Timestamp | None:
        """When a wait ends, if there is one of that key."""
        kind, number = split_wait_key(key)
        match kind:
            case WaitKind.TICK:
                return self.own.next_tick if number == 0 else None
            case WaitKind.EXPIRY:
                known = self.book.table.get(number)
                return None if known is None else known.ends_at
            case WaitKind.DIAL:
                return self.dials_at if number == 0 else None
            case WaitKind.CHECK:
                check = self.verifications.get(number)
                return None if check is None else check.deadline
            case _:
                link = self.links.get(ConnectionId(number))
                return None if link is None else link.waits[kind]

    def with_known(self, known: Known) -> AddressGossip:
        """With what is now known of a node; it is forgotten when its record is too old."""
        deadlines = self.deadlines
        if (found := self.book.find(known.record.public_key)) is not None:
            deadlines = deadlines.cancel(found[1].ends_at, wait_key(WaitKind.EXPIRY, found[0]))
        book, number = self.book.put(known)
        return self.replace(book=book, deadlines=deadlines.add(known.ends_at, wait_key(WaitKind.EXPIRY, number)))

    def without_known(self, number: int) -> AddressGossip:
        """Without a node of the book, which must be there."""
        key = wait_key(WaitKind.EXPIRY, number)
        changed = self.with_dials(self.dialled, self.undialled.discard(number))
        return changed.replace(book=self.book.remove(number), deadlines=changed.deadlines.cancel(self.book.table[number].ends_at, key))

    def held(self, item_id: bytes, now: Timestamp) -> AddressRecord | None:
        """The record of that id, if it is the newest of its node and still to be believed."""
        own = self.own.record
        if own is not None and own.key.item_id == item_id:
            return own
        found = self.book.find(item_id[:KEY_LENGTH])
        if found is None or found[1].ends_at <= now or found[1].record.key.item_id != item_id:
            return None
        return found[1].record

    def with_own(self, own: Own) -> AddressGossip:
        """With our own record's state; its wait follows it."""
        if own.next_tick == self.own.next_tick:
            return self.replace(own=own)
        return self.replace(own=own, deadlines=_moved(self.deadlines, wait_key(WaitKind.TICK), self.own.next_tick, own.next_tick))


def _moved(deadlines: Deadlines, key: int, old: Timestamp | None, new: Timestamp | None) -> Deadlines:
    if old == new:
        return deadlines
    if old is not None:
        deadlines = deadlines.cancel(old, key)
    return deadlines if new is None else deadlines.add(new, key)


def initial_address_gossip(
    config: AddressGossipConfig, random: Random, salt: bytes, granularity: int, now: Timestamp, *, is_on: bool
) -> AddressGossip:
    """The slice of a node that starts; nothing is ever due where ``is_on`` is not."""
    next_tick = Timestamp(now + config.first_after)
    deadlines = Deadlines(granularity)
    own = Own(config.addresses, Allowance(config.issues_burst, now), config.last_issued_at, next_tick)
    return AddressGossip(
        empty_gossiper(config.gossip, random, salt, granularity),
        deadlines.add(next_tick, wait_key(WaitKind.TICK)) if is_on else deadlines,
        Book(Index(salt), Index(salt)),
        own,
    )


def seconds(now: Timestamp) -> int:
    """Seconds since 1970, in which records are dated."""
    return now // SECOND
