"""What holds in every state of a node, whatever peers and node software do.

`check_invariants` is for tests and simulations, after every dispatch; it looks at the whole
state, so a node in service samples it. What is said twice in a state for speed must agree
with what it is derived from, every bound of the configuration must hold, and whatever
waits must have a deadline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from mina_p2p.channels.propagation.state import Propagation, RemoteRequested, Requested, Responding
from mina_p2p.channels.rpc.state import ForPool, Rpc
from mina_p2p.channels.rpc.state import Requested as RpcRequested
from mina_p2p.channels.state import PeerChannels, WaitKind, wait_key
from mina_p2p.connection.state import Connection, IncomingFinalizePending, Ready
from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp, is_opened_by_dialer
from mina_p2p.peer.state import Attached
from mina_p2p.pool.state import POOL_CHANNELS, Candidate, Fetching, Pool, VerifyPending, candidate_key
from mina_p2p.state import P2pState
from mina_p2p.table import Deadlines

PROPAGATION_CHANNELS = (ChannelId.BEST_TIP, *POOL_CHANNELS)


def check_invariants(state: P2pState) -> None:
    """Check everything.

    :raises InvariantViolationError: for the first thing that is wrong, with its path in the state.
    """
    for violation in violations(state):
        raise InvariantViolationError(violation)


def violations(state: P2pState) -> Iterator[str]:
    """Everything that is wrong in a state, as ``path: what``; nothing in a good one."""
    yield from _peers(state)
    yield from _connections(state)
    yield from _channels(state)
    yield from _best_tips(state)
    yield from _pools(state)


def _differ(path: str, found: Any, derived: Any) -> Iterator[str]:
    if found != derived:
        yield f"{path}: {found!r}, but it follows from the tables that it is {derived!r}"


def _over(path: str, found: int, bound: int) -> Iterator[str]:
    if found > bound:
        yield f"{path}: {found} is over its bound {bound}"


def _waits(path: str, deadlines: Deadlines, derived: Iterable[tuple[Timestamp | None, int]]) -> Iterator[str]:
    """Whether a timer wheel holds exactly the waits that the records name."""
    held = {(bucket, key) for bucket, keys in deadlines.buckets.items() for key in keys}
    named = {(-(-at // deadlines.granularity), key) for at, key in derived if at is not None}
    for bucket, key in sorted(held - named):
        yield f"{path}: key {key} waits in bucket {bucket}, and no record names that wait"
    for bucket, key in sorted(named - held):
        yield f"{path}: key {key} should wait in bucket {bucket}"
    yield from _differ(f"{path}.buckets", [bucket for bucket, keys in deadlines.buckets.items() if not keys], [])


# --- peers and connections --------------------------------------------------------------------


def _peers(state: P2pState) -> Iterator[str]:
    peers, limits = state.peers, state.config.limits
    for number, peer in peers.table.items():
        path = f"peers.table[{number}]"
        if peer.peer_id == state.config.peer_id:
            yield f"{path}: this node has a record of itself"
        yield from _differ(f"peers.index of record {number}", peers.index.get(peer.peer_id), number)
        if isinstance(peer.status, Attached):
            connection = state.connections.get(peer.status.connection_id)
            if connection is None or connection.peer_id != peer.peer_id:
                yield f"{path}.status: attached to connection {peer.status.connection_id}, which is not this peer's"
        if peer.failures < 0:
            yield f"{path}.failures: {peer.failures}"
        if peer.is_address_proven and peer.address is None:
            yield f"{path}: an address that is missing counts as proven"
    yield from _differ("peers.index.count", len(peers.index), len(peers.table))
    yield from _differ("peers.dialable", peers.dialable.keys(), [number for number, peer in peers.table.items() if peer.is_dialable])
    learned = Counter(peer.learned_from for peer in peers.table.values() if peer.learned_from is not None)
    yield from _differ("peers.learned_counts", dict(peers.learned_counts.items()), dict(sorted(learned.items())))
    for source, count in peers.learned_counts.items():
        yield from _over(f"peers.learned_counts[{source}]", count, limits.discovered_per_source_max)
    yield from _waits("peers.deadlines", peers.deadlines, ((peer.wakes_at, number) for number, peer in peers.table.items()))
    yield from _over("peers.table", max(peers.table, default=0), peers.last_number)
    # Only what is given by configuration, or attached at this moment, may go beyond the bound.
    yield from _over("len(peers)", len(peers), max(limits.known_peers_max, limits.peers_max, len(state.config.initial_peers)))


def _connections(state: P2pState) -> Iterator[str]:
    connections, limits = state.connections, state.config.limits
    ready = 0
    for connection_id, connection in connections.table.items():
        ready += isinstance(connection.status, Ready)
        yield from _connection(state, connection_id, connection)
    yield from _differ("connections.ready_count", connections.ready_count, ready)
    yield from _over("len(connections)", len(connections), limits.peers_max)
    yield from _over("connections.table", max(connections.table, default=0), connections.last_id)
    waits = ((connection.deadline, connection_id) for connection_id, connection in connections.table.items())
    yield from _waits("connections.deadlines", connections.deadlines, waits)
    twice = [str(peer_id) for peer_id, count in Counter(c.peer_id for c in connections.table.values()).items() if count > 1]
    yield from _differ("peers with two connections", sorted(twice), [])
    if state.is_stopping:
        yield from _differ("connections of a node that stops", connections.table.keys(), [])


def _connection(state: P2pState, connection_id: ConnectionId, connection: Connection) -> Iterator[str]:
    path = f"connections.table[{connection_id}]"
    yield from _differ(f"connection_of the peer of {connection_id}", state.connection_of(connection.peer_id), connection_id)
    yield from _differ(f"{path}.address is None", connection.address is None, connection.is_incoming)
    match connection.status:
        case Ready():
            yield from _differ(f"{path}.status.channels", [c for c in connection.status.channels if c not in state.config.channels], [])
        case IncomingFinalizePending():
            yield from _differ(f"{path}.is_incoming", connection.is_incoming, True)
        case _:
            yield from _differ(f"{path}.is_incoming", connection.is_incoming, False)


# --- channels ---------------------------------------------------------------------------------


def _channels(state: P2pState) -> Iterator[str]:
    channels = state.channels
    ready = [connection_id for connection_id in state.connections.table if state.connections.ready(connection_id) is not None]
    yield from _differ("channels.table", channels.table.keys(), ready)
    waits: list[tuple[Timestamp | None, int]] = []
    waiting: dict[ChannelId, list[ConnectionId]] = {}
    granted = 0
    for connection_id, of_peer in channels.table.items():
        path = f"channels.table[{connection_id}]"
        yield from _peer_channels(state, path, connection_id, of_peer)
        for channel in PROPAGATION_CHANNELS:
            if (machine := of_peer.propagation(channel)) is not None:
                waits.append((machine.deadline, wait_key(connection_id, WaitKind.PROPAGATION, channel)))
                if isinstance(machine.remote, RemoteRequested):
                    waiting.setdefault(channel, []).append(connection_id)
        if (rpc := of_peer.rpc) is not None:
            granted += rpc.answer_bytes_granted
            waits += [(request.deadline, wait_key(connection_id, WaitKind.RPC_REQUEST, request.id)) for request in rpc.requests]
            waits += [(serving.deadline, wait_key(connection_id, WaitKind.RPC_SERVING, serving.serial)) for serving in rpc.serving]
    yield from _waits("channels.deadlines", channels.deadlines, waits)
    found = {channel: there.keys() for channel, there in channels.waiting.items() if there}
    yield from _differ("channels.waiting", found, dict(sorted(waiting.items())))
    yield from _differ("channels.answer_bytes_granted", channels.answer_bytes_granted, granted)
    yield from _over("channels.answer_bytes_granted", granted, state.config.limits.answer_bytes_granted_max)


def _peer_channels(state: P2pState, path: str, connection_id: ConnectionId, channels: PeerChannels) -> Iterator[str]:
    connection = state.connections.get(connection_id)
    ready = state.connections.ready(connection_id)
    if connection is None or ready is None:
        return
    yield from _differ(f"{path}.is_dialer", channels.is_dialer, not connection.is_incoming)
    open_channels = [channel for channel in PROPAGATION_CHANNELS if channels.propagation(channel) is not None]
    if channels.rpc is not None:
        open_channels.append(ChannelId.RPC)
        yield from _rpc(state, f"{path}.rpc", channels.rpc, channels.next_request_id)
    agreed = [channel for channel in ready.channels if channel in {*PROPAGATION_CHANNELS, ChannelId.RPC}]
    yield from _differ(f"{path} that are open", open_channels, agreed)
    ours: list[StreamId] = [] if channels.rpc is None else [request.stream for request in channels.rpc.requests]
    for channel in PROPAGATION_CHANNELS:
        if (machine := channels.propagation(channel)) is not None:
            yield from _propagation(state, f"{path}.{channel.name.lower()}", channel, machine)
            ours += [machine.local.stream] if isinstance(machine.local, Requested | Responding) else []
    yield from _differ(f"{path}: streams of ours used twice", [stream for stream, count in Counter(ours).items() if count > 1], [])
    foreign = [s for s in ours if is_opened_by_dialer(s) != channels.is_dialer or s // 4 >= channels.next_stream_number]
    yield from _differ(f"{path}: streams of ours that we did not open", foreign, [])


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
    counter = state.best_tips.version + 1 if channel == ChannelId.BEST_TIP else state.pools.of(channel).items.counter
    yield from _over(f"{path}.next_send_index", machine.next_send_index, counter)


def _rpc(state: P2pState, path: str, rpc: Rpc, next_request_id: int) -> Iterator[str]:
    limits = state.config.limits
    yield from _over(f"len({path}.requests)", len(rpc.requests), limits.rpc_requests_max)
    yield from _over(f"len({path}.serving)", len(rpc.serving), limits.rpc_pending_max)
    ids = [request.id for request in rpc.requests]
    yield from _differ(f"{path}.requests: ids", ids, sorted({number for number in ids if number < next_request_id}))
    serials = [serving.serial for serving in rpc.serving]
    yield from _differ(f"{path}.serving: serials", serials, sorted({serial for serial in serials if serial < rpc.next_serial}))
    for what, values in (("ids", [s.id for s in rpc.serving]), ("streams", [s.stream for s in rpc.serving])):
        yield from _differ(f"{path}.serving: {what} used twice", [value for value, count in Counter(values).items() if count > 1], [])


# --- best tips and pools ----------------------------------------------------------------------


def _best_tips(state: P2pState) -> Iterator[str]:
    tips = state.best_tips
    yield from _differ("best_tips.own is None", tips.own is None, tips.version == 0)
    yield from _differ("best_tips.of_peers of nobody", [c for c in tips.of_peers if c not in state.channels.table], [])


def _pools(state: P2pState) -> Iterator[str]:
    pools = state.pools
    waits: list[tuple[Timestamp | None, int]] = []
    verdicts: dict[int, int] = {}
    for channel in POOL_CHANNELS:
        path, pool = f"pools.{channel.name.lower()}", pools.of(channel)
        yield from _items(state, path, pool)
        yield from _candidates(state, path, pool)
        for number, candidate in pool.candidates.items():
            yield from _candidate(state, f"{path}.candidates[{number}]", channel, number, candidate)
            key = candidate_key(channel, number)
            waits.append((candidate.wakes_at, key))
            if isinstance(candidate.status, VerifyPending):
                verdicts[candidate.status.verdict_id] = key
    yield from _waits("pools.deadlines", pools.deadlines, waits)
    yield from _differ("pools.verdicts", dict(pools.verdicts.items()), dict(sorted(verdicts.items())))
    yield from _over("pools.verdicts", max(pools.verdicts, default=0), pools.last_verdict_id)


def _items(state: P2pState, path: str, pool: Pool) -> Iterator[str]:
    items = pool.items
    for index, item in items.items.items():
        yield from _differ(f"{path}.items.by_key[{item.key.hex()[:16]}]", items.by_key.get(item.key), index)
    yield from _differ(f"{path}.items.by_key.count", len(items.by_key), len(items))
    yield from _over(f"{path}.items", max(items.items, default=-1), items.counter - 1)
    yield from _over(f"len({path}.items)", len(items), state.config.limits.pool_items_max)


def _candidates(state: P2pState, path: str, pool: Pool) -> Iterator[str]:
    by_connection: dict[ConnectionId, list[int]] = {}
    for number, candidate in pool.candidates.items():
        yield from _differ(f"{path}.find({candidate.identity.hex()[:16]})", pool.find(candidate.identity), (number, candidate))
        for connection_id in candidate.announcers:
            by_connection.setdefault(connection_id, []).append(number)
    found = {connection_id: numbers.keys() for connection_id, numbers in pool.by_connection.items()}
    yield from _differ(f"{path}.by_connection", found, dict(sorted(by_connection.items())))
    yield from _differ(f"{path}.index.count", len(pool.index), len(pool.candidates))
    yield from _over(f"{path}.candidates", max(pool.candidates, default=0), pool.last_number)
    for connection_id, numbers in pool.by_connection.items():
        yield from _over(f"{path}.by_connection[{connection_id}]", len(numbers), state.config.limits.candidates_per_peer_max)


def _candidate(state: P2pState, path: str, channel: ChannelId, number: int, candidate: Candidate) -> Iterator[str]:
    announcers = candidate.announcers
    yield from _differ(f"{path}.announcers used twice", [a for a, count in Counter(announcers).items() if count > 1], [])
    yield from _differ(f"{path}.announcers that are gone", [a for a in announcers if a not in state.channels.table], [])
    if not announcers and not isinstance(candidate.status, VerifyPending):
        yield f"{path}: nobody is left to fetch it from"
    if isinstance(candidate.status, Fetching):
        connection_id = candidate.status.connection_id
        rpc = state.channels.rpc(connection_id)
        asked = [r.purpose for r in rpc.requests if isinstance(r, RpcRequested)] if rpc is not None else []
        if connection_id not in announcers or ForPool(channel, number) not in asked:
            yield f"{path}.status: nothing was asked of connection {connection_id}"
