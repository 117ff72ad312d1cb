"""Invariants of best tips and pools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from mina_p2p.channels.rpc.state import ForPool
from mina_p2p.channels.rpc.state import Requested as RpcRequested
from mina_p2p.ids import ChannelId
from mina_p2p.pool.distributed import DistributedPool
from mina_p2p.pool.state import POOL_CHANNELS, Candidate, Fetching, Pool, VerifyPending, candidate_key, expiry_key
from mina_p2p.state import P2pState
from mina_p2p.table import Table, empty_table
from mina_p2p.testing.invariants.agreement import Agreement, Waits
from mina_p2p.testing.invariants.basis import differ, over

_NOTHING: Final[Table[Any, Any]] = empty_table()


def best_tips_violations(state: P2pState) -> Iterator[str]:
    """All that is wrong with best tips."""
    tips = state.best_tips
    yield from differ("best_tips.own is None", tips.own is None, tips.version == 0)
    yield from differ("best_tips.of_peers of nobody", [c for c in tips.of_peers if c not in state.channels.table], [])


class PoolsChecker:
    """Checks the pools of one node's states, and what peers announced for them."""

    def __init__(self, state: P2pState) -> None:
        """Nothing is known yet; every state has to have the configuration of this one."""
        self._waits = Waits("pools.deadlines", state.config.timeouts.granularity)
        self._verdicts = Agreement("pools.verdicts")
        self._pools = [_PoolChecker(channel, self._waits, self._verdicts) for channel in POOL_CHANNELS]

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what is not the same as in the state that was looked at last."""
        pools, connected = state.pools, state.channels.table
        for pool in self._pools:
            yield from pool.violations(state)
        yield from differ("pools.held_back of nobody", [c for c in pools.held_back if c not in connected], [])
        if pools.held_back and state.channels.answer_bytes_granted == 0:
            yield f"pools.held_back: {pools.held_back} wait for answers that nobody owes"
        yield from self._waits.violations(pools.deadlines)
        self._verdicts.look_at_values(pools.verdicts)
        yield from self._verdicts.violations()
        yield from over("pools.verdicts", max(pools.verdicts, default=0), pools.last_verdict_id)


class _PoolChecker:
    """Checks one pool."""

    def __init__(self, channel: ChannelId, waits: Waits, verdicts: Agreement) -> None:
        self._channel = channel
        self._path = path = f"pools.{channel.name.lower()}"
        self._waits = waits
        self._verdicts = verdicts
        self._pool: Pool | None = None
        self._items = _ItemsChecker(f"{path}.items")
        self._gone = _ItemsChecker(f"{path}.gone")
        self._candidates: Table[int, Candidate] = _NOTHING
        self._fetching: dict[int, Candidate] = {}
        self._index = Agreement(f"{path}.index")
        self._by_connection = Agreement(f"{path}.by_connection")

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what has changed; what connects it with connections is looked at every time."""
        pool, path = state.pools.of(self._channel), self._path
        if pool is not self._pool:
            yield from self._changed(state, pool)
        gone = [number for number in pool.by_connection if number not in state.channels.table]
        yield from differ(f"{path}.announcers that are gone", gone, [])
        for number, candidate in self._fetching.items():
            yield from _fetching(state, f"{path}.candidates[{number}]", self._channel, number, candidate)

    def _changed(self, state: P2pState, pool: Pool) -> Iterator[str]:
        path, limits, before = self._path, state.config.limits, self._pool
        self._pool = pool
        if before is None or before.expires_at != pool.expires_at:
            self._waits.count(None if before is None else before.expires_at, expiry_key(self._channel), -1)
            self._waits.count(pool.expires_at, expiry_key(self._channel), 1)
        if pool.expires_at is None and len(pool.items):
            yield f"{path}: nothing looks at the age of its items"
        yield from self._items.violations(pool.items, limits.pool_items_max)
        yield from self._gone.violations(pool.gone, limits.pool_items_max)
        if before is None or before.candidates is not pool.candidates:
            yield from self._other_candidates(pool)
        yield from self._index.look_at_index(pool.index)
        yield from self._by_connection.look_at_pairs(pool.by_connection)
        for part in (self._index, self._by_connection):
            yield from part.violations()
        yield from differ(f"{path}.index.count", len(pool.index), len(pool.candidates))
        yield from over(f"{path}.candidates", max(pool.candidates, default=0), pool.last_number)
        most = max(map(len, pool.by_connection.values()), default=0)
        yield from over(f"{path}.by_connection of one peer", most, limits.candidates_per_peer_max)

    def _other_candidates(self, pool: Pool) -> Iterator[str]:
        before, self._candidates = self._candidates, pool.candidates
        changed = pool.candidates.changed_since(before)
        for number in changed:
            if (old := before.get(number)) is not None:
                self._count(number, old, -1)
        for number in changed:
            if (new := pool.candidates.get(number)) is not None:
                self._count(number, new, 1)
                yield from _candidate(f"{self._path}.candidates[{number}]", new)

    def _count(self, number: int, candidate: Candidate, by: int) -> None:
        """Take a candidate into account, or no longer."""
        key = candidate_key(self._channel, number)
        self._index.derive(candidate.identity, number if by > 0 else None)
        for connection_id in candidate.announcers:
            self._by_connection.count((connection_id, number), by)
        self._waits.count(candidate.wakes_at, key, by)
        if isinstance(candidate.status, VerifyPending):
            self._verdicts.derive(candidate.status.verdict_id, key if by > 0 else None)
        if by > 0 and isinstance(candidate.status, Fetching):
            self._fetching[number] = candidate
        else:
            self._fetching.pop(number, None)


class _ItemsChecker:
    """Checks a log of items."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pool: DistributedPool[Any] | None = None
        self._items: Table[int, Any] = _NOTHING
        self._by_key = Agreement(f"{path}.by_key")

    def violations(self, pool: DistributedPool[Any], items_max: int) -> Iterator[str]:
        """All that is wrong, of what has changed."""
        if pool is self._pool:
            return
        self._pool = pool
        before, self._items = self._items, pool.items
        changed = pool.items.changed_since(before)
        for number in changed:
            if (old := before.get(number)) is not None:
                self._by_key.derive(old.key, None)
        for number in changed:
            if (new := pool.items.get(number)) is not None:
                self._by_key.derive(new.key, number)
        yield from self._by_key.look_at_index(pool.by_key)
        yield from self._by_key.violations()
        yield from differ(f"{self._path}.by_key.count", len(pool.by_key), len(pool))
        yield from over(self._path, max(pool.items, default=-1), pool.counter - 1)
        yield from over(f"len({self._path})", len(pool), items_max)


def _candidate(path: str, candidate: Candidate) -> Iterator[str]:
    """What is wrong with one candidate by itself."""
    twice = [announcer for announcer, count in Counter(candidate.announcers).items() if count > 1]
    yield from differ(f"{path}.announcers used twice", twice, [])
    if not candidate.announcers and not isinstance(candidate.status, VerifyPending):
        yield f"{path}: nobody is left to fetch it from"


def _fetching(state: P2pState, path: str, channel: ChannelId, number: int, candidate: Candidate) -> Iterator[str]:
    """Whether what is said to be fetched was asked for."""
    if not isinstance(candidate.status, Fetching):
        return
    connection_id = candidate.status.connection_id
    rpc = state.channels.rpc(connection_id)
    asked = [r.purpose for r in rpc.requests if isinstance(r, RpcRequested)] if rpc is not None else []
    if connection_id not in candidate.announcers or ForPool(channel, number) not in asked:
        yield f"{path}.status: nothing was asked of connection {connection_id}"
