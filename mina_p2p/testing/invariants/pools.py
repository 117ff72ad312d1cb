"""Invariants of best tips and pools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mina_p2p.channels.rpc.state import ForPool
from mina_p2p.channels.rpc.state import Requested as RpcRequested
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.pool.state import POOL_CHANNELS, Candidate, Fetching, Pool, VerifyPending, candidate_key, expiry_key
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import Memory, differ, over, waits_differ


def best_tips_violations(state: P2pState) -> Iterator[str]:
    """All that is wrong with best tips."""
    tips = state.best_tips
    yield from differ("best_tips.own is None", tips.own is None, tips.version == 0)
    yield from differ("best_tips.of_peers of nobody", [c for c in tips.of_peers if c not in state.channels.table], [])


def pools_violations(state: P2pState, memory: Memory) -> Iterator[str]:
    """All that is wrong with pools and what peers announced for them."""
    pools = state.pools
    waits: list[tuple[Timestamp | None, int]] = []
    verdicts: dict[int, int] = {}
    for channel in POOL_CHANNELS:
        path, pool = f"pools.{channel.name.lower()}", pools.of(channel)
        waits.append((pool.expires_at, expiry_key(channel)))
        if pool.expires_at is None and len(pool.items):
            yield f"{path}: nothing looks at the age of its items"
        if not memory.is_known(f"{path}.items", pool.items):
            yield from _items(state, path, pool)
        if not memory.is_known(path, pool):
            yield from _candidates(state, path, pool)
        for number, candidate in pool.candidates.items():
            yield from _candidate(state, f"{path}.candidates[{number}]", channel, number, candidate)
            key = candidate_key(channel, number)
            waits.append((candidate.wakes_at, key))
            if isinstance(candidate.status, VerifyPending):
                verdicts[candidate.status.verdict_id] = key
    yield from differ("pools.held_back of nobody", [c for c in pools.held_back if c not in state.channels.table], [])
    if pools.held_back and state.channels.answer_bytes_granted == 0:
        yield f"pools.held_back: {pools.held_back} wait for answers that nobody owes"
    yield from waits_differ("pools.deadlines", pools.deadlines, waits)
    yield from differ("pools.verdicts", dict(pools.verdicts.items()), dict(sorted(verdicts.items())))
    yield from over("pools.verdicts", max(pools.verdicts, default=0), pools.last_verdict_id)


def _items(state: P2pState, path: str, pool: Pool) -> Iterator[str]:
    items = pool.items
    for index, item in items.items.items():
        yield from differ(f"{path}.items.by_key[{item.key.hex()[:16]}]", items.by_key.get(item.key), index)
    yield from differ(f"{path}.items.by_key.count", len(items.by_key), len(items))
    yield from over(f"{path}.items", max(items.items, default=-1), items.counter - 1)
    yield from over(f"len({path}.items)", len(items), state.config.limits.pool_items_max)
    yield from over(f"len({path}.gone)", len(pool.gone), state.config.limits.pool_items_max)


def _candidates(state: P2pState, path: str, pool: Pool) -> Iterator[str]:
    by_connection: dict[ConnectionId, list[int]] = {}
    for number, candidate in pool.candidates.items():
        yield from differ(f"{path}.find({candidate.identity.hex()[:16]})", pool.find(candidate.identity), (number, candidate))
        for connection_id in candidate.announcers:
            by_connection.setdefault(connection_id, []).append(number)
    found = {connection_id: numbers.keys() for connection_id, numbers in pool.by_connection.items()}
    yield from differ(f"{path}.by_connection", found, dict(sorted(by_connection.items())))
    yield from differ(f"{path}.index.count", len(pool.index), len(pool.candidates))
    yield from over(f"{path}.candidates", max(pool.candidates, default=0), pool.last_number)
    for connection_id, numbers in pool.by_connection.items():
        yield from over(f"{path}.by_connection[{connection_id}]", len(numbers), state.config.limits.candidates_per_peer_max)


def _candidate(state: P2pState, path: str, channel: ChannelId, number: int, candidate: Candidate) -> Iterator[str]:
    announcers = candidate.announcers
    yield from differ(f"{path}.announcers used twice", [a for a, count in Counter(announcers).items() if count > 1], [])
    yield from differ(f"{path}.announcers that are gone", [a for a in announcers if a not in state.channels.table], [])
    if not announcers and not isinstance(candidate.status, VerifyPending):
        yield f"{path}: nobody is left to fetch it from"
    if isinstance(candidate.status, Fetching):
        connection_id = candidate.status.connection_id
        rpc = state.channels.rpc(connection_id)
        asked = [r.purpose for r in rpc.requests if isinstance(r, RpcRequested)] if rpc is not None else []
        if connection_id not in announcers or ForPool(channel, number) not in asked:
            yield f"{path}.status: nothing was asked of connection {connection_id}"
