"""What holds of the conversation channels in every state, after every dispatch."""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.channels.signaling_discovery import state as discovery
from mina_p2p.channels.signaling_exchange import state as exchange
from mina_p2p.channels.state import PeerChannels
from mina_p2p.channels.streaming_rpc import state as streaming
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.signaling.reducer import _fit, _have_keys
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants import check_invariants


def check(state: P2pState) -> None:
    """Everything: the shipped invariants for what is not ours, and those of this file."""
    check_invariants(without_conversations(state))
    found = list(violations(state))
    assert not found, "\n".join(found)


def without_conversations(state: P2pState) -> P2pState:
    """The state as if channels 1, 2 and 8 had never been; cancels exactly the waits that their records name."""
    channels = state.channels
    for connection_id in channels.table:
        channels = channels.with_streaming_rpc(connection_id, None)
        channels = channels.with_discovery(connection_id, None).with_exchange(connection_id, None)
    return state.replace(channels=channels)


def violations(state: P2pState) -> Iterator[str]:
    """All that is wrong."""
    yield from _left_over(state)
    yield from _servings(state)
    yield from _introductions(state)
    yield from _links(state)
    yield from _pairs(state)
    for connection_id, channels in state.channels.table.items():
        yield from (f"connection {connection_id}: {what}" for what in _peer(state, connection_id, channels))


def _left_over(state: P2pState) -> Iterator[str]:
    """An index that holds what no record names."""
    bare = without_conversations(state).channels
    if bare.servings.active_count or bare.servings.idle:
        yield f"servings of nobody: {bare.servings}"
    if bare.introductions.queue or bare.introductions.available:
        yield f"introductions of nobody: {bare.introductions}"


def _servings(state: P2pState) -> Iterator[str]:
    servings, most = state.channels.servings, state.config.limits.streaming_serving_max
    of_peers = [(cid, channels.streaming_rpc) for cid, channels in state.channels.table.items() if channels.streaming_rpc is not None]
    if servings.active_count != sum(rpc.is_served for _, rpc in of_peers):
        yield f"servings.active_count: {servings.active_count}"
    if servings.idle.keys() != [cid for cid, rpc in of_peers if rpc.is_idle]:
        yield f"servings.idle: {servings.idle}"
    if servings.active_count > most:
        yield f"{servings.active_count} answers at a time, at most {most}"
    if servings.idle and servings.active_count < most:
        yield f"{servings.idle} wait, and nothing keeps them"


def _introductions(state: P2pState) -> Iterator[str]:
    channels = state.channels
    queue, available = {}, []
    for cid, of_peer in channels.table.items():
        if of_peer.discovery is not None and isinstance(of_peer.discovery.local, discovery.DiscoveryRequested):
            queue[of_peer.discovery.local.ticket] = cid
        if of_peer.exchange is not None and isinstance(of_peer.exchange.remote, exchange.RemoteRequested):
            available.append(cid)
    if dict(channels.introductions.queue.items()) != dict(sorted(queue.items())):
        yield f"introductions.queue: {channels.introductions.queue}, derived {queue}"
    if channels.introductions.available.keys() != available:
        yield f"introductions.available: {channels.introductions.available}, derived {available}"
    if max(queue, default=0) > channels.introductions.last_ticket:
        yield "a ticket that was not issued"
    for requester in queue.values():
        for target in available:
            if _fit(state.signaling, requester, target, state) and _have_keys(requester, target, state):
                yield f"{requester} waits for an introduction and {target} is available"


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
        yield f"requesters say {promised}, targets {expected}"


def _pairs(state: P2pState) -> Iterator[str]:
    signaling = state.signaling
    if len(signaling.pairs) > state.config.limits.signaling_pairs_max:
        yield f"{len(signaling.pairs)} pairs remembered"
    if len(signaling.pairs) != len(signaling.index) or len(signaling.pairs) != len(signaling.deadlines):
        yield "pairs, their index and their deadlines differ in number"
    for number, pair in signaling.pairs.items():
        if not pair.one < pair.other or number > signaling.last_number or not signaling.remembers(pair.other, pair.one):
            yield f"pairs[{number}]: {pair}"
        signaling.deadlines.cancel(pair.until, number)  # raises where it does not wait


def _peer(state: P2pState, connection_id: ConnectionId, channels: PeerChannels) -> Iterator[str]:
    ours: list[StreamId] = []
    theirs: list[StreamId] = []
    halves: list[tuple[object, list[StreamId]]] = []
    if (rpc := channels.streaming_rpc) is not None:
        halves += [(rpc.local, ours), (rpc.remote, theirs)]
        yield from _streaming(state, rpc, channels.next_request_id)
    if channels.discovery is not None:
        halves += [(channels.discovery.local, ours), (channels.discovery.remote, theirs)]
    if channels.exchange is not None:
        halves += [(channels.exchange.local, ours), (channels.exchange.remote, theirs)]
    for half, streams in halves:
        if (stream := getattr(half, "stream", None)) is not None:
            streams.append(stream)
    if any(not channels.is_ours(stream) or stream // 4 >= channels.next_stream_number for stream in ours):
        yield f"streams {ours} are not all ones that we opened"
    if any(channels.is_ours(stream) for stream in theirs):
        yield f"streams {theirs} are not all the peer's"
    if len(set(ours)) != len(ours):
        yield f"streams {ours} are not all different"


def _streaming(state: P2pState, rpc: streaming.StreamingRpc, next_request_id: int) -> Iterator[str]:
    limits = state.config.limits
    match rpc.local:
        case streaming.Requested(id=number, progress=progress, bytes_received=size, deadline=deadline, gives_up_at=end):
            if number >= next_request_id or size > limits.streaming_answer_bytes_max or deadline > end:
                yield f"local: {rpc.local}"
            if isinstance(progress, streaming.BaseReceived | streaming.ScanStateBaseReceived | streaming.UpdatesReceived):
                yield "a part came and the next one was not permitted"
            if isinstance(progress, streaming.TreesReceived):
                yield "a tree came, and the answer neither goes on nor is over"
            if isinstance(progress, streaming.TreesPending) and not 0 <= progress.received < progress.trees <= limits.streaming_trees_max:
                yield f"progress: {progress}"
        case _:
            pass
    match rpc.remote:
        case streaming.RemoteRequested(serial=serial, progress=sending):
            if serial >= rpc.next_serial:
                yield f"serial {serial} was not issued"
            parts = getattr(sending, "parts", None)
            if parts == ():
                yield "nothing is left to send, and the answer has not ended"
        case _:
            pass
