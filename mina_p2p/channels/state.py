"""Channels: the permissions of every ready connection.

One record per connection holds its channels, because they share what a connection has
once: the numbering of streams. `Channels.with_propagation`, `Channels.with_rpc` and their
like are the only places where a half changes, so that deadlines and waiting lists follow it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from mina_p2p.channels.block.state import BlockStreams
from mina_p2p.channels.propagation.state import Propagation, RemoteRequested
from mina_p2p.channels.rpc.state import Rpc
from mina_p2p.channels.signaling_discovery.state import Discovery, DiscoveryRequested
from mina_p2p.channels.signaling_exchange.state import Exchange, Introductions
from mina_p2p.channels.signaling_exchange.state import RemoteRequested as Available
from mina_p2p.channels.streaming_rpc.state import Servings, StreamingRpc
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp, is_opened_by_dialer, stream_id
from mina_p2p.record import Record, record, setter
from mina_p2p.table import Deadlines, Table, empty_table

SERIAL_BITS: Final = 40
"""Requests and answers of one connection are numbered; a connection does not live long enough for more."""


_CONNECTION_SHIFT: Final = SERIAL_BITS + 4
_SERIAL_MASK: Final = (1 << SERIAL_BITS) - 1


class WaitKind(enum.IntEnum):
    """What a deadline of this slice is about; part of its key."""

    PROPAGATION = 0
    """A local half; the serial is the channel."""
    RPC_REQUEST = 1
    """A request of ours; the serial is its id."""
    RPC_SERVING = 2
    """A request of the peer's; the serial is ours."""
    STREAMING_LOCAL = 3
    """The one streamed request of ours; serial 0, as for all that follow."""
    STREAMING_REMOTE = 4
    DISCOVERY_LOCAL = 5
    DISCOVERY_REMOTE = 6
    EXCHANGE_LOCAL = 7
    """The other half of this channel waits for nothing of its own."""


_NO_WAITS: Final[tuple[Timestamp | None, Timestamp | None]] = None, None
_PROPAGATION: Final = WaitKind.PROPAGATION  # members of an enum are slow to look up on 3.11
_RPC_REQUEST: Final = WaitKind.RPC_REQUEST
_RPC_SERVING: Final = WaitKind.RPC_SERVING


def wait_key(connection_id: ConnectionId, kind: WaitKind | int, serial: int) -> int:
    """Key of one wait, unique among those that can be pending at one time."""
    return (connection_id << _CONNECTION_SHIFT) | (kind << SERIAL_BITS) | (serial & _SERIAL_MASK)


def split_wait_key(key: int) -> tuple[ConnectionId, WaitKind, int]:
    """What `wait_key` put together."""
    return ConnectionId(key >> _CONNECTION_SHIFT), WaitKind((key >> SERIAL_BITS) & 15), key & _SERIAL_MASK


@record
class PeerChannels(Record):
    """The channels of one connection; one that was not agreed upon is missing."""

    is_dialer: bool
    """Whether we dialled: decides the ids of our streams."""
    next_stream_number: int
    best_tip: Propagation | None
    transaction: Propagation | None
    snark: Propagation | None
    snark_job_commitment: Propagation | None
    rpc: Rpc | None
    is_send_blocked: bool = False
    """Whether so much waits to be sent to the peer that items are held back."""
    next_request_id: int = 0
    """One numbering of questions for channels 7 and 8 (spec: pull-protocol 5.7)."""
    streaming_rpc: StreamingRpc | None = None
    discovery: Discovery | None = None
    exchange: Exchange | None = None
    block: BlockStreams | None = None

    def propagation(self, channel: ChannelId) -> Propagation | None:
        """The permission machine of a channel."""
        get = _GET.get(channel)
        return None if get is None else get(self)

    def is_ours(self, stream: StreamId) -> bool:
        """Whether we open streams with such an id."""
        return is_opened_by_dialer(stream) == self.is_dialer

    def next_stream(self) -> tuple[StreamId, PeerChannels]:
        """An id for a stream that we open now."""
        number = self.next_stream_number
        return stream_id(number, by_dialer=self.is_dialer), self.replace(next_stream_number=number + 1)

    def next_request(self) -> tuple[int, PeerChannels]:
        """An id for a question that we ask now."""
        return self.next_request_id, self.replace(next_request_id=self.next_request_id + 1)


_GET: Final[Mapping[ChannelId, Callable[[PeerChannels], Propagation | None]]] = MappingProxyType(
    {
        ChannelId.BEST_TIP: attrgetter("best_tip"),
        ChannelId.TRANSACTION: attrgetter("transaction"),
        ChannelId.SNARK: attrgetter("snark"),
        ChannelId.SNARK_JOB_COMMITMENT: attrgetter("snark_job_commitment"),
    }
)
_PUT: Final[Mapping[ChannelId, Callable[[PeerChannels, Any], PeerChannels]]] = MappingProxyType(
    {channel: setter(PeerChannels, channel.name.lower()) for channel in _GET}
)


@record
class Channels(Record):
    """The slice's state."""

    deadlines: Deadlines
    table: Table[ConnectionId, PeerChannels] = empty_table()
    waiting: Table[ChannelId, Table[ConnectionId, None]] = empty_table()
    """Connections whose peers gave us a permission that we have not used, by channel."""
    answer_bytes_granted: int = 0
    """Credit given for answers of requests that are under way, at all peers."""
    servings: Servings = Servings()
    """Streamed answers for all peers."""
    introductions: Introductions = Introductions()
    """What we can match as a relay."""

    def propagation(self, connection_id: ConnectionId, channel: ChannelId) -> Propagation | None:
        """The permission machine of one channel of one connection, where there is one."""
        channels, get = self.table.get(connection_id), _GET.get(channel)
        return None if channels is None or get is None else get(channels)

    def rpc(self, connection_id: ConnectionId) -> Rpc | None:
        """The RPC channel of one connection, where there is one."""
        channels = self.table.get(connection_id)
        return None if channels is None else channels.rpc

    def streaming_rpc(self, connection_id: ConnectionId) -> StreamingRpc | None:
        """The streaming RPC channel of one connection, where there is one."""
        channels = self.table.get(connection_id)
        return None if channels is None else channels.streaming_rpc

    def discovery(self, connection_id: ConnectionId) -> Discovery | None:
        """The signaling discovery channel of one connection, where there is one."""
        channels = self.table.get(connection_id)
        return None if channels is None else channels.discovery

    def exchange(self, connection_id: ConnectionId) -> Exchange | None:
        """The signaling exchange channel of one connection, where there is one."""
        channels = self.table.get(connection_id)
        return None if channels is None else channels.exchange

    def is_send_blocked(self, connection_id: ConnectionId) -> bool:
        """Whether items for that peer are held back."""
        channels = self.table.get(connection_id)
        return channels is not None and channels.is_send_blocked

    def waiting_for(self, channel: ChannelId) -> list[ConnectionId]:
        """Connections that would be sent an item now, ascending."""
        return self.waiting.get(channel, _NOBODY).keys()

    def with_propagation(
        self, connection_id: ConnectionId, channel: ChannelId, new: Propagation, channels: PeerChannels | None = None
    ) -> Channels:
        """With ``new`` as that machine's state.

        :param channels: the connection's record, where more of it changed than this.
        """
        table, deadlines, waiting = self.table, self.deadlines, self.waiting
        channels = channels if channels is not None else table[connection_id]
        old = _GET[channel](channels)
        if old is None or old.local is not new.local:
            key = wait_key(connection_id, _PROPAGATION, channel)
            deadlines = _moved(deadlines, key, None if old is None else old.deadline, new.deadline)
        if old is None or old.remote is not new.remote:
            waiting = _marked(waiting, channel, connection_id, is_waiting=isinstance(new.remote, RemoteRequested))
        return self.replace(table=table.set(connection_id, _PUT[channel](channels, new)), deadlines=deadlines, waiting=waiting)

    def with_rpc(self, connection_id: ConnectionId, new: Rpc, channels: PeerChannels | None = None) -> Channels:
        """With ``new`` as the RPC channel's state; ``channels`` as above."""
        channels = channels if channels is not None else self.table[connection_id]
        old = channels.rpc if channels.rpc is not None else _NO_RPC
        deadlines, granted = self.deadlines, self.answer_bytes_granted
        if old.requests is not new.requests:
            granted += new.answer_bytes_granted - old.answer_bytes_granted
            for request in old.requests:
                if request not in new.requests:
                    deadlines = deadlines.cancel(request.deadline, wait_key(connection_id, _RPC_REQUEST, request.id))
            for request in new.requests:
                if request not in old.requests:
                    deadlines = deadlines.add(request.deadline, wait_key(connection_id, _RPC_REQUEST, request.id))
        if old.serving is not new.serving:
            for serving in old.serving:
                if serving not in new.serving:
                    deadlines = deadlines.cancel(serving.deadline, wait_key(connection_id, _RPC_SERVING, serving.serial))
            for serving in new.serving:
                if serving not in old.serving:
                    deadlines = deadlines.add(serving.deadline, wait_key(connection_id, _RPC_SERVING, serving.serial))
        table = self.table.set(connection_id, channels.replace(rpc=new))
        return self.replace(table=table, deadlines=deadlines, answer_bytes_granted=granted)

    def with_streaming_rpc(self, connection_id: ConnectionId, new: StreamingRpc | None, channels: PeerChannels | None = None) -> Channels:
        """With ``new`` as the streaming RPC channel's state; ``channels`` as above."""
        channels = channels if channels is not None else self.table[connection_id]
        old = channels.streaming_rpc
        granted = self.answer_bytes_granted
        granted += (0 if new is None else new.answer_bytes_granted) - (0 if old is None else old.answer_bytes_granted)
        return self.replace(
            table=self.table.set(connection_id, channels.replace(streaming_rpc=new)),
            deadlines=_halves_moved(self.deadlines, connection_id, WaitKind.STREAMING_LOCAL, old, new),
            answer_bytes_granted=granted,
            servings=self.servings.moved(connection_id, old, new),
        )

    def with_discovery(self, connection_id: ConnectionId, new: Discovery | None, channels: PeerChannels | None = None) -> Channels:
        """With ``new`` as the signaling discovery channel's state; ``channels`` as above."""
        channels = channels if channels is not None else self.table[connection_id]
        old = channels.discovery
        queue = self.introductions.queue
        if old is not None and isinstance(old.local, DiscoveryRequested):
            queue = queue.delete(old.local.ticket)
        if new is not None and isinstance(new.local, DiscoveryRequested):
            queue = queue.set(new.local.ticket, connection_id)
        return self.replace(
            table=self.table.set(connection_id, channels.replace(discovery=new)),
            deadlines=_halves_moved(self.deadlines, connection_id, WaitKind.DISCOVERY_LOCAL, old, new),
            introductions=self.introductions.replace(queue=queue),
        )

    def with_exchange(self, connection_id: ConnectionId, new: Exchange | None, channels: PeerChannels | None = None) -> Channels:
        """With ``new`` as the signaling exchange channel's state; ``channels`` as above."""
        channels = channels if channels is not None else self.table[connection_id]
        old = channels.exchange
        available = self.introductions.available
        if new is not None and isinstance(new.remote, Available):
            available = available.set(connection_id, None)
        else:
            available = available.discard(connection_id)
        return self.replace(
            table=self.table.set(connection_id, channels.replace(exchange=new)),
            deadlines=_halves_moved(self.deadlines, connection_id, WaitKind.EXCHANGE_LOCAL, old, new),
            introductions=self.introductions.replace(available=available),
        )

    def add(self, connection_id: ConnectionId, channels: PeerChannels) -> Channels:
        """With the channels of a connection that became ready, on which nothing was said yet; what they wait for is due from now on."""
        deadlines = self.deadlines
        for kind, conversation in (
            (WaitKind.STREAMING_LOCAL, channels.streaming_rpc),
            (WaitKind.DISCOVERY_LOCAL, channels.discovery),
            (WaitKind.EXCHANGE_LOCAL, channels.exchange),
        ):
            if conversation is not None:
                deadlines = _halves_moved(deadlines, connection_id, kind, None, conversation)
        return self.replace(table=self.table.set(connection_id, channels), deadlines=deadlines)

    def forget(self, connection_id: ConnectionId) -> Channels:
        """Without the channels of a connection; the same where it had none."""
        channels = self.table.get(connection_id)
        if channels is None:
            return self
        if channels.streaming_rpc is not None:
            return self.with_streaming_rpc(connection_id, None).forget(connection_id)
        if channels.discovery is not None:
            return self.with_discovery(connection_id, None).forget(connection_id)
        if channels.exchange is not None:
            return self.with_exchange(connection_id, None).forget(connection_id)
        deadlines, waiting = self.deadlines, self.waiting
        for channel in _GET:
            machine = channels.propagation(channel)
            if machine is not None:
                deadlines = _moved(deadlines, wait_key(connection_id, WaitKind.PROPAGATION, channel), machine.deadline, None)
                waiting = _marked(waiting, channel, connection_id, is_waiting=False)
        forgotten = self.replace(deadlines=deadlines, waiting=waiting)
        if channels.rpc is not None:
            forgotten = forgotten.with_rpc(connection_id, _NO_RPC)
        return forgotten.replace(table=forgotten.table.delete(connection_id))


_NOBODY: Final[Table[ConnectionId, None]] = empty_table()
_NO_RPC: Final = Rpc()


def _halves_moved(
    deadlines: Deadlines,
    connection_id: ConnectionId,
    kind: WaitKind,
    old: StreamingRpc | Discovery | Exchange | None,
    new: StreamingRpc | Discovery | Exchange | None,
) -> Deadlines:
    """With the waits of a channel's two halves changed; ``kind`` is the local half's, the remote half's follows it."""
    before = _NO_WAITS if old is None else old.waits
    after = _NO_WAITS if new is None else new.waits
    if before == after:
        return deadlines
    for half in (0, 1):
        if before[half] != after[half]:
            key = wait_key(connection_id, kind + half, 0)
            deadlines = _moved(deadlines, key, before[half], after[half])
    return deadlines


def _moved(deadlines: Deadlines, key: int, old: Timestamp | None, new: Timestamp | None) -> Deadlines:
    if old is not None:
        deadlines = deadlines.cancel(old, key)
    return deadlines if new is None else deadlines.add(new, key)


def _marked(
    waiting: Table[ChannelId, Table[ConnectionId, None]], channel: ChannelId, connection_id: ConnectionId, *, is_waiting: bool
) -> Table[ChannelId, Table[ConnectionId, None]]:
    there = waiting.get(channel, _NOBODY)
    if (connection_id in there) == is_waiting:
        return waiting
    return waiting.set(channel, there.set(connection_id, None) if is_waiting else there.delete(connection_id))
