"""Invariants of the channels on which both sides speak in turns, and of what a relay matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from mina_p2p.channels.signaling_discovery import state as discovery
from mina_p2p.channels.signaling_exchange import state as exchange
from mina_p2p.channels.state import WaitKind, wait_key
from mina_p2p.channels.streaming_rpc import state as streaming
from mina_p2p.identity import is_curve_point
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ

_Conversation: TypeAlias = streaming.StreamingRpc | discovery.Discovery | exchange.Exchange
_KINDS: Final = {
    ChannelId.STREAMING_RPC: WaitKind.STREAMING_LOCAL,
    ChannelId.SIGNALING_DISCOVERY: WaitKind.DISCOVERY_LOCAL,
    ChannelId.SIGNALING_EXCHANGE: WaitKind.EXCHANGE_LOCAL,
}
"""Of the local half's wait; the remote half's is the next."""
CONVERSATIONS: Final = frozenset(_KINDS)
"""Channels on which both sides speak in turns."""

# --- of one connection ------------------------------------------------------------------------


def conversation_waits(connection_id: ConnectionId, channel: ChannelId, record: _Conversation) -> tuple[tuple[Timestamp | None, int], ...]:
    """Deadlines that the halves name, with their keys."""
    kind, (local, remote) = _KINDS[channel], record.waits
    waits = (local, wait_key(connection_id, kind, 0))
    return (waits,) if remote is None else (waits, (remote, wait_key(connection_id, WaitKind(kind + 1), 0)))


def conversation_streams(record: _Conversation) -> tuple[tuple[StreamId, ...], tuple[StreamId, ...]]:
    """Streams that we opened and that the peer opened, of those in use."""
    ours: StreamId | None = getattr(record.local, "stream", None)
    theirs: StreamId | None = getattr(record.remote, "stream", None)
    return () if ours is None else (ours,), () if theirs is None else (theirs,)


def streaming_violations(state: P2pState, path: str, rpc: streaming.StreamingRpc, next_request_id: int) -> Iterator[str]:
    """What is wrong with the streamed questions of one connection."""
    limits = state.config.limits
    match rpc.local:
        case streaming.Requested(id=number, progress=progress, bytes_received=size, deadline=deadline, gives_up_at=end):
            yield from over(f"{path}.local.id", number, next_request_id - 1)
            yield from over(f"{path}.local.bytes_received", size, limits.streaming_answer_bytes_max)
            yield from over(f"{path}.local.deadline", deadline, end)
            match progress:
                case streaming.BaseReceived() | streaming.ScanStateBaseReceived() | streaming.UpdatesReceived():
                    yield f"{path}.local: a part came and the next one was not permitted"
                case streaming.TreesReceived():
                    yield f"{path}.local: a tree came, and the answer neither goes on nor is over"
                case streaming.TreesPending(received=received, trees=trees) if not 0 <= received < trees <= limits.streaming_trees_max:
                    yield f"{path}.local.progress: {progress}"
                case _:
                    pass
        case _:
            pass
    match rpc.remote:
        case streaming.RemoteRequested(serial=serial, progress=sending):
            yield from over(f"{path}.remote.serial", serial, rpc.next_serial - 1)
            if getattr(sending, "parts", None) == ():
                yield f"{path}.remote: nothing is left to send, and the answer has not ended"
        case _:
            pass


# --- of all connections together --------------------------------------------------------------


def conversations_violations(state: P2pState) -> Iterator[str]:
    """What is wrong between connections: whom we serve, and who is introduced to whom."""
    yield from _servings(state)
    yield from _introductions(state)
    yield from _links(state)


def _servings(state: P2pState) -> Iterator[str]:
    servings, most = state.channels.servings, state.config.limits.streaming_serving_max
    of_peers = [(cid, channels.streaming_rpc) for cid, channels in state.channels.table.items() if channels.streaming_rpc is not None]
    yield from differ("channels.servings.active_count", servings.active_count, sum(rpc.is_served for _, rpc in of_peers))
    yield from differ("channels.servings.idle", servings.idle.keys(), [cid for cid, rpc in of_peers if rpc.is_idle])
    yield from over("channels.servings.active_count", servings.active_count, most)
    if servings.idle and servings.active_count < most:
        yield f"channels.servings.idle: {servings.idle} wait, and nothing keeps them"


def _introductions(state: P2pState) -> Iterator[str]:
    introductions = state.channels.introductions
    queue: dict[int, ConnectionId] = {}
    available: list[ConnectionId] = []
    for cid, channels in state.channels.table.items():
        if channels.discovery is not None and isinstance(channels.discovery.local, discovery.DiscoveryRequested):
            queue[channels.discovery.local.ticket] = cid
        if channels.exchange is not None and isinstance(channels.exchange.remote, exchange.RemoteRequested):
            available.append(cid)
    yield from differ("channels.introductions.queue", dict(introductions.queue.items()), dict(sorted(queue.items())))
    yield from differ("channels.introductions.available", introductions.available.keys(), available)
    yield from over("channels.introductions.queue", max(queue, default=0), introductions.last_ticket)
    for requester in queue.values():
        for target in available:
            if _fit(state, requester, target):
                yield f"channels.introductions: {requester} waits for an introduction and {target} is available"


def _fit(state: P2pState, requester: ConnectionId, target: ConnectionId) -> bool:
    """Whether two can be introduced: they were not lately, and somebody can encrypt for both (defect R2)."""
    if requester == target:
        return False
    one, other = (state.connections.table[connection_id].peer_id for connection_id in (requester, target))
    return not state.signaling.remembers(one, other) and is_curve_point(one) and is_curve_point(other)


def _links(state: P2pState) -> Iterator[str]:
    """A target works for one requester at a time, and each of the two knows it (spec: pull-protocol 10.2, 3)."""
    promised: dict[tuple[ConnectionId, ConnectionId], str] = {}
    expected: dict[tuple[ConnectionId, ConnectionId], str] = {}
    for cid, channels in state.channels.table.items():
        match channels.discovery and channels.discovery.local:
            case discovery.Discovered(target_connection=target):
                promised[cid, target] = "promised"
            case discovery.DiscoveredAccepted(target_connection=target):
                promised[cid, target] = "offered"
            case _:
                pass
        match channels.exchange and channels.exchange.remote:
            case exchange.Promised(requester=requester):
                expected[requester, cid] = "promised"
            case exchange.RemoteOffered(requester=requester):
                expected[requester, cid] = "offered"
            case _:
                pass
    if promised != expected:
        yield f"channels: requesters say {promised}, targets {expected}"


def pairs_violations(state: P2pState) -> Iterator[str]:
    """What is wrong with a relay's memory of introductions."""
    signaling = state.signaling
    yield from over("len(signaling.pairs)", len(signaling.pairs), state.config.limits.signaling_pairs_max)
    yield from differ("signaling.index.count", len(signaling.index), len(signaling.pairs))
    yield from over("signaling.pairs", max(signaling.pairs, default=0), signaling.last_number)
    for number, pair in signaling.pairs.items():
        if not pair.one < pair.other or not signaling.remembers(pair.other, pair.one):
            yield f"signaling.pairs[{number}]: {pair}"
    waits = ((pair.until, number) for number, pair in signaling.pairs.items())
    yield from waits_differ("signaling.deadlines", signaling.deadlines, waits)
