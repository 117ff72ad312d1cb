"""Connections: every attempt and every live connection, by `ConnectionId`.

One table for both directions, because limits, deadlines and the rule of one connection
per peer do not ask who dialled. The two machines are beside this file:
`mina_p2p.connection.outgoing` and `mina_p2p.connection.incoming`.
"""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.address import AddressError, DialAddress, Host, dial_host, parse_ip
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Table, empty_table
from mina_p2p.transport import SocketAddress, TransportKind


@record
class OutgoingInit(Record):
    """The transport is dialling."""

    deadline: Timestamp


@record
class OutgoingFinalizePending(Record):
    """The handshake is complete and our hello is sent; the listener's is awaited."""

    deadline: Timestamp


@record
class IncomingFinalizePending(Record):
    """The arrival was accepted; the dialer's hello is awaited."""

    deadline: Timestamp


@record
class Ready(Record):
    """Both hellos are good; channels carry frames."""

    since: Timestamp
    channels: tuple[ChannelId, ...]
    """What both sides serve."""
    capabilities: tuple[str, ...]
    """What the peer announced."""
    agent: str


Connecting: TypeAlias = OutgoingInit | OutgoingFinalizePending | IncomingFinalizePending
ConnectionStatus: TypeAlias = Connecting | Ready


@record
class Connection(Record):
    """One attempt and what became of it."""

    peer_id: PeerId
    is_incoming: bool
    transport: TransportKind
    address: DialAddress | None
    """What we dialled; nothing for an arrival."""
    remote: SocketAddress | None
    """Where the packets come from, once known."""
    started_at: Timestamp
    attempt_deadline: Timestamp
    request_id: RequestId | None
    """The node software's request that this attempt answers, if it asked."""
    status: ConnectionStatus

    @property
    def host(self) -> Host | None:
        """Where the peer is: where its packets come from, else what we dial."""
        if self.remote is None:
            return None if self.address is None else dial_host(self.address)
        try:
            return parse_ip(self.remote.host)
        except AddressError:
            return None

    @property
    def deadline(self) -> Timestamp | None:
        """When this attempt is given up: its state's or its own end, whichever is first."""
        if isinstance(self.status, Ready):
            return None
        return min(self.status.deadline, self.attempt_deadline)


@record
class Connections(Record):
    """The slice's state."""

    deadlines: Deadlines
    """Waits by connection id."""
    table: Table[ConnectionId, Connection] = empty_table()
    last_id: ConnectionId = ConnectionId(0)
    ready_count: int = 0
    outgoing_count: int = 0
    """Connections and attempts that began with a dial of ours."""
    dialling_count: int = 0
    """Of these, attempts."""

    def __len__(self) -> int:
        return len(self.table)

    def get(self, connection_id: ConnectionId) -> Connection | None:
        """The connection of that id, while it lives."""
        return self.table.get(connection_id)

    def ready(self, connection_id: ConnectionId) -> Ready | None:
        """Its ready status, if it has come so far."""
        connection = self.table.get(connection_id)
        return connection.status if connection is not None and isinstance(connection.status, Ready) else None

    def is_dialling(self, connection_id: ConnectionId) -> bool:
        """Whether the transport is at it, for a dial of ours."""
        connection = self.table.get(connection_id)
        return connection is not None and isinstance(connection.status, OutgoingInit)

    def is_attempt(self, connection_id: ConnectionId) -> bool:
        """Whether that is a dial of ours that has not led to a connection yet."""
        connection = self.table[connection_id]
        return not connection.is_incoming and not isinstance(connection.status, Ready)

    def add(self, connection: Connection) -> tuple[Connections, ConnectionId]:
        """With a new connection, under the id that is returned."""
        connection_id = ConnectionId(self.last_id + 1)
        outgoing_count = self.outgoing_count + (not connection.is_incoming)
        return self.replace(last_id=connection_id, outgoing_count=outgoing_count).put(connection_id, connection), connection_id

    def put(self, connection_id: ConnectionId, connection: Connection) -> Connections:
        """With ``connection`` in the place of what that id was before."""
        deadlines, ready_count, dialling_count = self._without(connection_id)
        if (deadline := connection.deadline) is not None:
            deadlines = deadlines.add(deadline, connection_id)
            dialling_count += not connection.is_incoming
        else:
            ready_count += 1
        table = self.table.set(connection_id, connection)
        return self.replace(table=table, deadlines=deadlines, ready_count=ready_count, dialling_count=dialling_count)

    def remove(self, connection_id: ConnectionId) -> Connections:
        """Without that connection, which must be there."""
        deadlines, ready_count, dialling_count = self._without(connection_id)
        return self.replace(
            table=self.table.delete(connection_id),
            deadlines=deadlines,
            ready_count=ready_count,
            outgoing_count=self.outgoing_count - (not self.table[connection_id].is_incoming),
            dialling_count=dialling_count,
        )

    def _without(self, connection_id: ConnectionId) -> tuple[Deadlines, int, int]:
        """Deadlines, and counts of what is ready and of attempts by dials, as if that connection, which may be new, were gone."""
        old = self.table.get(connection_id)
        if old is None:
            return self.deadlines, self.ready_count, self.dialling_count
        if (deadline := old.deadline) is None:
            return self.deadlines, self.ready_count - 1, self.dialling_count
        return self.deadlines.cancel(deadline, connection_id), self.ready_count, self.dialling_count - (not old.is_incoming)
