"""Invariants of the channels that carry items, questions and answers, and of what all channels share.

A dispatch changes a channel or two of one connection. So what a channel's record says (streams, waits, credit) is kept with the record
and read anew only where that is another object; what connects records is looked at every time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, Final, TypeAlias

from mina_p2p.channels.propagation.state import Propagation, RemoteRequested, Requested, Responding
from mina_p2p.channels.rpc.state import Rpc
from mina_p2p.channels.state import PeerChannels, WaitKind, wait_key
from mina_p2p.connection.state import Connection, Ready
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ
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
    """What follows from the record of one channel, for as long as it is the same object."""

    part: Any
    ours: tuple[StreamId, ...] = ()
    """Streams that we opened, of those in use."""
    theirs: tuple[StreamId, ...] = ()
    """Streams that the peer opened, of conversations."""
    waits: tuple[_Wait, ...] = ()
    is_awaited: bool = False
    """Whether the peer waits for items."""
    granted: int = 0
    """Bytes of answers."""


@record
class Facts(Record):
    """What follows from the channels of one connection, for as long as they are the same objects."""

    channels: PeerChannels
    connection: Connection | None
    parts: tuple[PartFacts, ...]


_CLOSED: Final = PartFacts(None)
_UNKNOWN: Final = (_CLOSED,) * len(_CHANNELS)


class ChannelsChecker:
    """Checks the channels of all connections; those of one only when they are not the same as the last time."""

    def __init__(self) -> None:
        self._facts: dict[ConnectionId, Facts] = {}
        self._sendable: Mapping[ChannelId, int] = {}

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what has changed."""
        channels, connections = state.channels, state.connections
        ready = [number for number, connection in connections.table.items() if isinstance(connection.status, Ready)]
        yield from differ("channels.table", channels.table.keys(), ready)
        before, self._facts, sendable = self._facts, {}, _sendable(state)
        if any(count < self._sendable.get(channel, 0) for channel, count in sendable.items()):
            before = {}
        self._sendable = sendable
        for connection_id, of_peer in channels.table.items():
            facts, connection = before.get(connection_id), connections.table.get(connection_id)
            if facts is None or facts.channels is not of_peer or facts.connection is not connection:
                path, known = f"channels.table[{connection_id}]", _UNKNOWN if facts is None else facts.parts
                facts = Facts(of_peer, connection, tuple(map(partial(_part_facts, connection_id), _CHANNELS, _parts_of(of_peer), known)))
                yield from _parts_violations(state, path, of_peer, facts.parts, known, sendable)
                yield from _peer_channels(path, connection, of_peer, facts.parts)
            self._facts[connection_id] = facts
        yield from self._sums(state)

    def _sums(self, state: P2pState) -> Iterator[str]:
        """What is kept for all connections together."""
        channels, waiting = state.channels, dict[ChannelId, list[ConnectionId]]()
        waits, granted = list[_Wait](), 0
        for connection_id, facts in self._facts.items():
            for channel, part in zip(_CHANNELS, facts.parts, strict=True):
                waits += part.waits
                granted += part.granted
                if part.is_awaited:
                    waiting.setdefault(channel, []).append(connection_id)
        yield from waits_differ("channels.deadlines", channels.deadlines, waits)
        found = {channel: there.keys() for channel, there in channels.waiting.items() if there}
        yield from differ("channels.waiting", found, dict(sorted(waiting.items())))
        yield from differ("channels.answer_bytes_granted", channels.answer_bytes_granted, granted)
        yield from over("channels.answer_bytes_granted", granted, state.config.limits.answer_bytes_granted_max)


def _sendable(state: P2pState) -> Mapping[ChannelId, int]:
    """The index after the last item that can be sent, by channel; it never goes back."""
    counters = {channel: state.pools.of(channel).items.counter for channel in POOL_CHANNELS}
    return {ChannelId.BEST_TIP: state.best_tips.version + 1, **counters}


# --- one channel of one connection --------------------------------------------------------------


def _part_facts(connection_id: ConnectionId, channel: ChannelId, part: Any, known: PartFacts) -> PartFacts:
    if known.part is part:
        return known
    match part:
        case None:
            return _CLOSED
        case Propagation():
            asked = (part.local.stream,) if isinstance(part.local, Requested | Responding) else ()
            wait = part.deadline, wait_key(connection_id, WaitKind.PROPAGATION, channel)
            return PartFacts(part, asked, (), (wait,), isinstance(part.remote, RemoteRequested))
        case Rpc():
            waits = [(request.deadline, wait_key(connection_id, WaitKind.RPC_REQUEST, request.id)) for request in part.requests]
            waits += [(serving.deadline, wait_key(connection_id, WaitKind.RPC_SERVING, serving.serial)) for serving in part.serving]
            streams = tuple([request.stream for request in part.requests])
            return PartFacts(part, streams, (), tuple(waits), granted=part.answer_bytes_granted)
        case _ if channel == ChannelId.BLOCK:  # its waits are looked at where they are
            return PartFacts(part, tuple([stream for _, stream in part.open]))
        case _:
            ours, theirs = conversation_streams(part)
            granted = part.answer_bytes_granted if channel == ChannelId.STREAMING_RPC else 0
            return PartFacts(part, ours, theirs, conversation_waits(connection_id, channel, part), granted=granted)


def _parts_violations(
    state: P2pState,
    path: str,
    channels: PeerChannels,
    parts: tuple[PartFacts, ...],
    known: tuple[PartFacts, ...],
    sendable: Mapping[ChannelId, int],
) -> Iterator[str]:
    """What is wrong inside the records that have changed."""
    for channel, new, old in zip(_CHANNELS, parts, known, strict=True):
        if new is old:
            continue
        at = f"{path}.{channel.name.lower()}"
        if isinstance(new.part, Propagation):
            yield from _propagation(state, at, new.part, sendable[channel])
        elif isinstance(new.part, Rpc):
            yield from _rpc(state, at, new.part, channels.next_request_id)
        elif channel == ChannelId.STREAMING_RPC and new.part is not None:
            yield from streaming_violations(state, at, new.part, channels.next_request_id)


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


def _peer_channels(path: str, connection: Connection | None, channels: PeerChannels, parts: tuple[PartFacts, ...]) -> Iterator[str]:
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
