"""Connections, their streams, and the peers behind them: what the libp2p slices share.

A peer may have several connections, as Go nodes do; slices that speak of peers key their tables
by `PeerNumber`, which stands for a peer as long as it has one.
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import Libp2pAddress
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import expect
from mina_p2p.table import Deadlines, Index, Table, empty_table
from mina_p2p.transport import SocketAddress

_NO_STREAMS: Table[StreamId, Stream] = empty_table()


@record
class Stream(Record):
    """One stream of a connection, from its opening to the end of both halves."""

    protocol: str
    is_ours: bool
    token: int
    """What the slice that opened it calls it; 0 for the peer's."""
    serial: int
    """Unique in the life of the node."""
    active_at: Timestamp
    wait_at: Timestamp
    """When its wait is looked at; 0 for protocols whose streams may be idle."""
    is_ended_by_us: bool = False
    is_ended_by_peer: bool = False


@record
class Dialling(Record):
    """A dial under way."""

    address: Libp2pAddress
    since: Timestamp
    deadline: Timestamp
    """When it is given up, whatever the transport says."""


@record
class Linked(Record):
    """An authenticated connection."""

    peer: PeerNumber
    peer_id: PeerId
    is_dialer: bool
    remote: SocketAddress
    address: Libp2pAddress | None
    """What we dialled."""
    since: Timestamp
    streams: Table[StreamId, Stream] = _NO_STREAMS
    next_stream: StreamId = StreamId(1)
    is_ending: bool = False
    """Whether the peer takes no new streams, or we are closing."""

    def peer_streams(self, protocol: str) -> int:
        """How many streams of a protocol the peer has open."""
        return sum(1 for stream in self.streams.values() if stream.protocol == protocol and not stream.is_ours)


Link: TypeAlias = Dialling | Linked


@record
class Contact(Record):
    """A peer with at least one connection."""

    peer_id: PeerId
    connections: tuple[ConnectionId, ...]
    """Oldest first."""
    useful_at: Timestamp = Timestamp(0)
    """When the node software last found it useful."""


@record
class Links(Record):
    """All connections of the node."""

    deadlines: Deadlines
    """Of streams, by serial."""
    numbers: Index[PeerNumber]
    """By peer id, of the peers that are connected."""
    dials: Index[ConnectionId]
    """By peer id; one dial to a peer at a time."""
    dial_deadlines: Deadlines
    """Of dials, by connection id."""
    table: Table[ConnectionId, Link] = empty_table()
    contacts: Table[PeerNumber, Contact] = empty_table()
    serials: Table[int, tuple[ConnectionId, StreamId]] = empty_table()
    """Of streams that have a wait."""
    listening: tuple[Libp2pAddress, ...] = ()
    next_connection: ConnectionId = ConnectionId(1)
    next_peer: PeerNumber = PeerNumber(1)
    next_serial: int = 1

    def linked(self, connection_id: ConnectionId) -> Linked | None:
        """The authenticated connection of that id."""
        link = self.table.get(connection_id)
        return link if isinstance(link, Linked) else None

    def is_dialling(self, connection_id: ConnectionId) -> bool:
        """Whether that id is a dial under way."""
        return isinstance(self.table.get(connection_id), Dialling)

    def stream(self, connection_id: ConnectionId, stream: StreamId) -> Stream | None:
        """The live stream of that id."""
        link = self.linked(connection_id)
        return None if link is None else link.streams.get(stream)

    def connection_to(self, peer_id: PeerId) -> ConnectionId | None:
        """The oldest connection with that peer that takes streams."""
        number = self.numbers.get(peer_id)
        return None if number is None else self.connection_of(number)

    def connection_of(self, peer: PeerNumber) -> ConnectionId | None:
        """The oldest connection with that peer that takes streams."""
        contact = self.contacts.get(peer)
        for connection_id in () if contact is None else contact.connections:
            link = self.linked(connection_id)
            if link is not None and not link.is_ending:
                return connection_id
        return None

    def adding_dial(self, dialling: Dialling) -> Links:
        """With a dial under the next connection id."""
        number = self.next_connection
        return self.replace(
            table=self.table.set(number, dialling),
            dials=self.dials.set(dialling.address.peer_id, number),
            dial_deadlines=self.dial_deadlines.add(dialling.deadline, number),
            next_connection=ConnectionId(number + 1),
        )

    def without_dial(self, connection_id: ConnectionId, dialling: Dialling) -> Links:
        """Without a dial that is over."""
        return self.replace(
            table=self.table.delete(connection_id),
            dials=self.dials.delete(dialling.address.peer_id),
            dial_deadlines=self.dial_deadlines.cancel(dialling.deadline, connection_id),
        )

    def with_stream(self, connection_id: ConnectionId, stream: StreamId, value: Stream) -> Links:
        """With a stream that is there already changed."""
        link = expect(self.table[connection_id], Linked, self)
        return self.replace(table=self.table.set(connection_id, link.replace(streams=link.streams.set(stream, value))))

    def adding_stream(self, connection_id: ConnectionId, link: Linked, stream: StreamId, value: Stream) -> Links:
        """With a new stream, which takes the next serial."""
        deadlines, serials = self.deadlines, self.serials
        if value.wait_at:
            deadlines = deadlines.add(value.wait_at, value.serial)
            serials = serials.set(value.serial, (connection_id, stream))
        link = link.replace(streams=link.streams.set(stream, value))
        return self.replace(
            table=self.table.set(connection_id, link), deadlines=deadlines, serials=serials, next_serial=self.next_serial + 1
        )

    def without_stream(self, connection_id: ConnectionId, stream: StreamId) -> Links:
        """Without a stream and its wait."""
        link = expect(self.table[connection_id], Linked, self)
        gone = link.streams[stream]
        deadlines, serials = self.deadlines, self.serials
        if gone.wait_at:
            deadlines = deadlines.cancel(gone.wait_at, gone.serial)
            serials = serials.delete(gone.serial)
        table = self.table.set(connection_id, link.replace(streams=link.streams.delete(stream)))
        return self.replace(table=table, deadlines=deadlines, serials=serials)
