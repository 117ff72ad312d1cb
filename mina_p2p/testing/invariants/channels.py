"""Invariants of the channels that carry items, questions and answers, and of what all channels share.

A dispatch changes a channel or two of one connection. So what a channel's record says (streams, waits, credit) is kept with the record
and read anew only where that is another object, and so are the sums over all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from operator import attrgetter, is_
from typing import Any, Final, TypeAlias

from mina_p2p.channels.propagation.state import Propagation, RemoteRequested, Requested, Responding
from mina_p2p.channels.rpc.state import Rpc
from mina_p2p.channels.state import PeerChannels, WaitKind, wait_key
from mina_p2p.connection.state import Connection, Ready
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.table import Table, empty_table
from mina_p2p.testing.invariants.agreement import Agreement, Waits
from mina_p2p.testing.invariants.basis import differ, over
from mina_p2p.testing.invariants.conversations import conversation_streams, conversation_waits, streaming_violations

PROPAGATION_CHANNELS = (ChannelId.BEST_TIP, *POOL_CHANNELS)
_CHANNELS: Final = (
    *PROPAGATION_CHANNELS,
    *(ChannelId.RPC, ChannelId.STREAMING_RPC, ChannelId.SIGNALING_DISCOVERY, ChannelId.SIGNALING_EXCHANGE, ChannelId.BLOCK),
)
_parts_of: Final = attrgetter(
    *(channel.name.lower() for channel in PROPAGATION_CHANNELS), "rpc", "streaming_rpc", "discovery", "exchange", "block"
)
"""The records of `PeerChannels`, in the order of `_CHANNELS`."""

_Wait: TypeAlias = tuple[Timestamp | None, int]


@record
class PartFacts(Record):
    """What follows from the record of one channel."""

    ours: tuple[StreamId, ...] = ()
    """Streams that we opened, of those in use."""
    theirs: tuple[StreamId, ...] = ()
    """Streams that the peer opened, of conversations."""
    waits: tuple[_Wait, ...] = ()
    is_awaited: bool = False
    """Whether the peer waits for items."""
    granted: int = 0
    """Bytes of answers."""


_CLOSED: Final = PartFacts()
_NO_PARTS: Final[tuple[Any, ...]] = (None,) * len(_CHANNELS)
_ASKING: Final = (_CHANNELS.index(ChannelId.RPC), _CHANNELS.index(ChannelId.STREAMING_RPC))


class ChannelsChecker:
    """Checks the channels of the connections of one node's states; of each only what is not the same as the last time."""

    def __init__(self, state: P2pState) -> None:
        """Nothing is known yet; every state has to have the configuration of this one."""
        self._table: Table[ConnectionId, PeerChannels] = empty_table()
        self._connections: Table[ConnectionId, Connection] = empty_table()
        self._parts: dict[ConnectionId, tuple[Any, ...]] = {}
        self._facts: dict[ConnectionId, list[PartFacts]] = {}
        """Of each of these parts."""
        self._sendable: Mapping[ChannelId, int] = {}
        self._waits = Waits("channels.deadlines", state.config.timeouts.granularity)
        self._waiting = Agreement("channels.waiting")
        self._granted = 0
        self.changed: set[ChannelId] = set()
        """Channels of which some connection's record was another the last time than the time before."""

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what has changed."""
        channels, connections = state.channels, state.connections.table
        changed = set(channels.table.changed_since(self._table))
        are_others = any((number in channels.table) != (number in self._table) for number in changed)
        changed.update(connections.changed_since(self._connections))
        if are_others or connections is not self._connections:
            ready = [number for number, connection in connections.items() if isinstance(connection.status, Ready)]
            yield from differ("channels.table", channels.table.keys(), ready)
        sendable = _sendable(state)
        if any(count < self._sendable.get(channel, 0) for channel, count in sendable.items()):
            changed |= {*self._forget_all(), *channels.table}
        before, self._table, self._sendable = self._table, channels.table, sendable
        connected, self._connections = self._connections, connections
        self.changed.clear()
        for connection_id in sorted(changed):
            known, of_peer, connection = before.get(connection_id), channels.table.get(connection_id), connections.get(connection_id)
            are_others = yield from self._parts_of_one(state, connection_id, known, of_peer)
            if of_peer is not None and (are_others or connection is not connected.get(connection_id)):
                yield from _peer_channels(f"channels.table[{connection_id}]", connection, of_peer, self._facts[connection_id])
        yield from self._waits.violations(channels.deadlines)
        yield from self._waiting.look_at_pairs(channels.waiting, may_be_empty=True)
        yield from self._waiting.violations()
        yield from differ("channels.answer_bytes_granted", channels.answer_bytes_granted, self._granted)
        yield from over("channels.answer_bytes_granted", self._granted, state.config.limits.answer_bytes_granted_max)

    def _forget_all(self) -> list[ConnectionId]:
        """Look at everything anew; whose channels were known is returned."""
        known = list(self._parts)
        for connection_id in known:
            self._take(connection_id, _NO_PARTS)
        return known

    def _take(self, connection_id: ConnectionId, parts: tuple[Any, ...]) -> list[tuple[int, PartFacts, PartFacts]]:
        """Take the records of a connection's channels into account.

        :returns: which are others than before, with what follows from them now and followed before.
        """
        facts = self._facts.setdefault(connection_id, [_CLOSED] * len(_CHANNELS))
        others: list[tuple[int, PartFacts, PartFacts]] = []
        for index, is_same in enumerate(map(is_, parts, self._parts.get(connection_id, _NO_PARTS))):
            if not is_same:
                old, new = facts[index], _part_facts(connection_id, _CHANNELS[index], parts[index])
                facts[index] = new
                self._count(connection_id, _CHANNELS[index], new, old)
                others.append((index, new, old))
        self._parts[connection_id] = parts
        return others

    def _parts_of_one(
        self, state: P2pState, connection_id: ConnectionId, old: PeerChannels | None, of_peer: PeerChannels | None
    ) -> Generator[str, None, bool]:
        """What is wrong inside the records of the channels of one connection.

        :returns: whether what they say together has to be looked at.
        """
        if of_peer is None:
            self._take(connection_id, _NO_PARTS)
            self._parts.pop(connection_id)
            self._facts.pop(connection_id)
            return False
        others = self._take(connection_id, _parts_of(of_peer))
        changed = [index for index, _, _ in others]
        if old is not None and of_peer.next_request_id < old.next_request_id:
            changed += _ASKING  # what was asked before may be of the future now
        for index in changed:
            yield from _part_violations(state, connection_id, _CHANNELS[index], of_peer, self._parts[connection_id][index], self._sendable)
        is_known = old is not None and old.is_dialer is of_peer.is_dialer and old.next_stream_number <= of_peer.next_stream_number
        return not is_known or any(
            new.ours != was.ours or new.theirs != was.theirs or (new is _CLOSED) != (was is _CLOSED) for _, new, was in others
        )

    def _count(self, connection_id: ConnectionId, channel: ChannelId, new: PartFacts, old: PartFacts) -> None:
        """Another record of a channel is there; keep the sums."""
        self.changed.add(channel)
        self._granted += new.granted - old.granted
        if new.waits != old.waits:
            for at, key in old.waits:
                self._waits.count(at, key, -1)
            for at, key in new.waits:
                self._waits.count(at, key, 1)
        if new.is_awaited != old.is_awaited:
            self._waiting.count((channel, connection_id), new.is_awaited - old.is_awaited)


def _sendable(state: P2pState) -> Mapping[ChannelId, int]:
    """The index after the last item that can be sent, by channel; it never goes back."""
    counters = {channel: state.pools.of(channel).items.counter for channel in POOL_CHANNELS}
    return {ChannelId.BEST_TIP: state.best_tips.version + 1, **counters}


# --- one channel of one connection --------------------------------------------------------------


def _part_facts(connection_id: ConnectionId, channel: ChannelId, part: Any) -> PartFacts:
    match part:
        case None:
            return _CLOSED
        case Propagation():
            asked = (part.local.stream,) if isinstance(part.local, Requested | Responding) else ()
            wait = part.deadline, wait_key(connection_id, WaitKind.PROPAGATION, channel)
            return PartFacts(asked, (), (wait,), isinstance(part.remote, RemoteRequested))
        case Rpc():
            waits = [(request.deadline, wait_key(connection_id, WaitKind.RPC_REQUEST, request.id)) for request in part.requests]
            waits += [(serving.deadline, wait_key(connection_id, WaitKind.RPC_SERVING, serving.serial)) for serving in part.serving]
            streams = tuple([request.stream for request in part.requests])
            return PartFacts(streams, (), tuple(waits), granted=part.answer_bytes_granted)
        case _ if channel == ChannelId.BLOCK:  # its waits are looked at where they are
            return PartFacts(tuple([stream for _, stream in part.open]))
        case _:
            ours, theirs = conversation_streams(part)
            granted = part.answer_bytes_granted if channel == ChannelId.STREAMING_RPC else 0
            return PartFacts(ours, theirs, conversation_waits(connection_id, channel, part), granted=granted)


def _part_violations(
    state: P2pState, connection_id: ConnectionId, channel: ChannelId, channels: PeerChannels, part: Any, sendable: Mapping[ChannelId, int]
) -> Iterator[str]:
    """What is wrong inside a record."""
    path = f"channels.table[{connection_id}].{channel.name.lower()}"
    if isinstance(part, Propagation):
        yield from _propagation(state, path, part, sendable[channel])
    elif isinstance(part, Rpc):
        yield from _rpc(state, path, part, channels.next_request_id)
    elif channel == ChannelId.STREAMING_RPC and part is not None:
        yield from streaming_violations(state, path, part, channels.next_request_id)


def _propagation(state: P2pState, path: str, machine: Propagation, sendable: int) -> Iterator[str]:
    match machine.local:
        case Requested(limit=limit):
            if not 0 < limit <= state.config.limits.propagation_request_max:
                yield f"{path}.local.limit: {limit}"
        case Responding(limit=limit, promised_count=promised, current_count=current):
            if not 0 <= current <= promised <= limit or promised == 0:
                yield f"{path}.local: {current} of {promised} promised of {limit} permitted items"
        case _:
            pass
    if isinstance(machine.remote, RemoteRequested) and machine.remote.limit <= 0:
        yield f"{path}.remote.limit: {machine.remote.limit}"
    yield from over(f"{path}.next_send_index", machine.next_send_index, sendable)


def _rpc(state: P2pState, path: str, rpc: Rpc, next_request_id: int) -> Iterator[str]:
    limits = state.config.limits
    yield from over(f"len({path}.requests)", len(rpc.requests), limits.rpc_requests_max)
    yield from over(f"len({path}.serving)", len(rpc.serving), limits.rpc_pending_max)
    ids = [request.id for request in rpc.requests]
    yield from differ(f"{path}.requests: ids", ids, sorted({number for number in ids if number < next_request_id}))
    serials = [serving.serial for serving in rpc.serving]
    yield from differ(f"{path}.serving: serials", serials, sorted({serial for serial in serials if serial < rpc.next_serial}))
    for what, values in (("ids", [s.id for s in rpc.serving]), ("streams", [s.stream for s in rpc.serving])):
        yield from differ(f"{path}.serving: {what} used twice", _twice(values), [])


# --- all channels of one connection ------------------------------------------------------------


def _peer_channels(path: str, connection: Connection | None, channels: PeerChannels, parts: list[PartFacts]) -> Iterator[str]:
    if connection is None or not isinstance(connection.status, Ready):
        return
    yield from differ(f"{path}.is_dialer", channels.is_dialer, not connection.is_incoming)
    open_channels = [channel for channel, part in zip(_CHANNELS, parts, strict=True) if part is not _CLOSED]
    if ChannelId.ADDRESS_GOSSIP in connection.status.channels:
        open_channels.append(ChannelId.ADDRESS_GOSSIP)  # its links are looked at where they are
    yield from differ(f"{path} that are open", sorted(open_channels), sorted(connection.status.channels))
    ours = [stream for part in parts for stream in part.ours]
    yield from differ(f"{path}: streams of ours used twice", _twice(ours), [])
    foreign = [stream for stream in ours if not channels.is_ours(stream) or stream // 4 >= channels.next_stream_number]
    yield from differ(f"{path}: streams of ours that we did not open", foreign, [])
    theirs = [stream for part in parts for stream in part.theirs if channels.is_ours(stream)]
    yield from differ(f"{path}: streams of the peer that we opened", theirs, [])


def _twice(values: list[Any]) -> list[Any]:
    if len(set(values)) == len(values):
        return []
    return [value for value, count in Counter(values).items() if count > 1]
