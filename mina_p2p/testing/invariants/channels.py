"""Invariants of the channels that carry items, questions and answers, and of what all channels share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from mina_p2p.channels.propagation.state import Propagation, RemoteRequested, Requested, Responding
from mina_p2p.channels.rpc.state import Rpc
from mina_p2p.channels.state import PeerChannels, WaitKind, wait_key
from mina_p2p.connection.state import Connection, Ready
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ
from mina_p2p.testing.invariants.conversations import conversation_channels, conversation_streams, conversation_waits, peer_violations

PROPAGATION_CHANNELS = (ChannelId.BEST_TIP, *POOL_CHANNELS)


@record
class Facts(Record):
    """What follows from the channels of one connection, for as long as they are the same objects."""

    channels: PeerChannels
    connection: Connection | None
    waits: tuple[tuple[Timestamp | None, int], ...]
    waiting: tuple[ChannelId, ...]
    """Channels on which the peer waits for items."""
    granted: int
    """Bytes of answers."""


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
                yield from _peer_channels(state, f"channels.table[{connection_id}]", connection, of_peer)
                facts = _facts(connection_id, connection, of_peer)
            self._facts[connection_id] = facts
        yield from self._sums(state)

    def _sums(self, state: P2pState) -> Iterator[str]:
        """What is kept for all connections together."""
        channels, waiting = state.channels, dict[ChannelId, list[ConnectionId]]()
        for connection_id, facts in self._facts.items():
            for channel in facts.waiting:
                waiting.setdefault(channel, []).append(connection_id)
        yield from waits_differ("channels.deadlines", channels.deadlines, (wait for facts in self._facts.values() for wait in facts.waits))
        found = {channel: there.keys() for channel, there in channels.waiting.items() if there}
        yield from differ("channels.waiting", found, dict(sorted(waiting.items())))
        granted = sum(facts.granted for facts in self._facts.values())
        yield from differ("channels.answer_bytes_granted", channels.answer_bytes_granted, granted)
        yield from over("channels.answer_bytes_granted", granted, state.config.limits.answer_bytes_granted_max)


def _sendable(state: P2pState) -> Mapping[ChannelId, int]:
    """The index after the last item that can be sent, by channel; it never goes back."""
    counters = {channel: state.pools.of(channel).items.counter for channel in POOL_CHANNELS}
    return {ChannelId.BEST_TIP: state.best_tips.version + 1, **counters}


def _facts(connection_id: ConnectionId, connection: Connection | None, channels: PeerChannels) -> Facts:
    machines = [(channel, machine) for channel in PROPAGATION_CHANNELS if (machine := channels.propagation(channel)) is not None]
    waits = [(machine.deadline, wait_key(connection_id, WaitKind.PROPAGATION, channel)) for channel, machine in machines]
    waits += conversation_waits(connection_id, channels)
    granted = 0 if channels.streaming_rpc is None else channels.streaming_rpc.answer_bytes_granted
    if (rpc := channels.rpc) is not None:
        granted += rpc.answer_bytes_granted
        waits += [(request.deadline, wait_key(connection_id, WaitKind.RPC_REQUEST, request.id)) for request in rpc.requests]
        waits += [(serving.deadline, wait_key(connection_id, WaitKind.RPC_SERVING, serving.serial)) for serving in rpc.serving]
    waiting = tuple(channel for channel, machine in machines if isinstance(machine.remote, RemoteRequested))
    return Facts(channels, connection, tuple(waits), waiting, granted)


def _peer_channels(state: P2pState, path: str, connection: Connection | None, channels: PeerChannels) -> Iterator[str]:
    if connection is None or not isinstance(connection.status, Ready):
        return
    yield from differ(f"{path}.is_dialer", channels.is_dialer, not connection.is_incoming)
    open_channels = [channel for channel in PROPAGATION_CHANNELS if channels.propagation(channel) is not None]
    open_channels += conversation_channels(channels)
    if channels.rpc is not None:
        open_channels.append(ChannelId.RPC)
        yield from _rpc(state, f"{path}.rpc", channels.rpc, channels.next_request_id)
    if ChannelId.ADDRESS_GOSSIP in connection.status.channels:
        open_channels.append(ChannelId.ADDRESS_GOSSIP)  # its links are looked at where they are
    if channels.block is not None:
        open_channels.append(ChannelId.BLOCK)
    yield from differ(f"{path} that are open", sorted(open_channels), sorted(connection.status.channels))
    ours, theirs = conversation_streams(channels)
    ours += [] if channels.block is None else [stream for _, stream in channels.block.open]
    if channels.rpc is not None:
        ours += [request.stream for request in channels.rpc.requests]
    for channel in PROPAGATION_CHANNELS:
        if (machine := channels.propagation(channel)) is not None:
            yield from _propagation(state, f"{path}.{channel.name.lower()}", channel, machine)
            ours += [machine.local.stream] if isinstance(machine.local, Requested | Responding) else []
    yield from peer_violations(state, path, channels)
    yield from differ(f"{path}: streams of ours used twice", [stream for stream, count in Counter(ours).items() if count > 1], [])
    foreign = [stream for stream in ours if not channels.is_ours(stream) or stream // 4 >= channels.next_stream_number]
    yield from differ(f"{path}: streams of ours that we did not open", foreign, [])
    yield from differ(f"{path}: streams of the peer that we opened", [stream for stream in theirs if channels.is_ours(stream)], [])


def _propagation(state: P2pState, path: str, channel: ChannelId, machine: Propagation) -> Iterator[str]:
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
    yield from over(f"{path}.next_send_index", machine.next_send_index, _sendable(state)[channel])


def _rpc(state: P2pState, path: str, rpc: Rpc, next_request_id: int) -> Iterator[str]:
    limits = state.config.limits
    yield from over(f"len({path}.requests)", len(rpc.requests), limits.rpc_requests_max)
    yield from over(f"len({path}.serving)", len(rpc.serving), limits.rpc_pending_max)
    ids = [request.id for request in rpc.requests]
    yield from differ(f"{path}.requests: ids", ids, sorted({number for number in ids if number < next_request_id}))
    serials = [serving.serial for serving in rpc.serving]
    yield from differ(f"{path}.serving: serials", serials, sorted({serial for serial in serials if serial < rpc.next_serial}))
    for what, values in (("ids", [s.id for s in rpc.serving]), ("streams", [s.stream for s in rpc.serving])):
        yield from differ(f"{path}.serving: {what} used twice", [value for value, count in Counter(values).items() if count > 1], [])
