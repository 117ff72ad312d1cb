"""Pools: state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeAlias

from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.errors import CallerError
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.pool.distributed import DistributedPool
from mina_p2p.record import Record, record, setter
from mina_p2p.table import Deadlines, Index, Table, empty_table


@record
class PoolItem(Record):
    """One item that the node software declared valid."""

    key: bytes
    info: PropagationItem
    """What is announced of it."""
    body: bytes
    """The item itself, in its exact wire bytes; empty where ``info`` is all."""
    since: Timestamp
    """When it entered."""


@record
class Gone(Record):
    """An item that is over: whoever announces it again before ``until`` has not heard of that yet."""

    key: bytes
    until: Timestamp


@record
class Announced(Record):
    """Known, not asked for."""


@record
class Fetching(Record):
    """Asked for at one of its announcers."""

    connection_id: ConnectionId


@record
class VerifyPending(Record):
    """The node software decides."""

    verdict_id: RequestId
    connection_id: ConnectionId
    """Over which connection it came; `mina_p2p.relay.state.BY_LIBP2P` where it was gossiped."""
    peer_id: PeerId
    """Who sent it, and pays if it is invalid, even if it has left by then."""
    body: bytes
    deadline: Timestamp


CandidateStatus: TypeAlias = Announced | Fetching | VerifyPending


@record
class Candidate(Record):
    """An item that peers announced.

    Announcements that say different things of one key are different candidates, so that no
    liar can stand in the way of what others announced.
    """

    key: bytes
    identity: bytes
    """Of what was announced; see `mina_p2p.pool.kinds.identity`."""
    info: PropagationItem
    announcers: tuple[ConnectionId, ...]
    """Sources that have not failed, in the order of their announcements."""
    status: CandidateStatus
    gives_up_at: Timestamp
    """When it is given up unless somebody is just being asked for it."""

    @property
    def wakes_at(self) -> Timestamp | None:
        """When the status ends by itself; a question under way has its own deadline."""
        match self.status:
            case VerifyPending(deadline=deadline):
                return deadline
            case Announced():
                return self.gives_up_at
            case Fetching():
                return None


@record
class Pool(Record):
    """Items and candidates of one kind."""

    items: DistributedPool[PoolItem]
    gone: DistributedPool[Gone]
    """The last items that were in blocks or too old, so that they are not fetched again."""
    index: Index[int]
    """Candidate numbers by identity."""
    candidates: Table[int, Candidate] = empty_table()
    by_connection: Table[ConnectionId, Table[int, None]] = empty_table()
    """Candidates that each peer announced; what it may announce is bounded by their number."""
    last_number: int = 0
    expires_at: Timestamp | None = None
    """When to look for items that are too old; ``None`` while there is nothing to look for."""

    def held_from(self, connection_id: ConnectionId) -> int:
        """How many candidates that peer has announced."""
        held = self.by_connection.get(connection_id)
        return 0 if held is None else len(held)

    def is_gone(self, key: bytes, now: Timestamp) -> bool:
        """Whether that item is over, as far as is remembered."""
        found = self.gone.get(key)
        return found is not None and found.until > now

    def forget_items(self, keys: Iterable[bytes], until: Timestamp, gone_max: int) -> Pool:
        """Without the items of those keys, where they are there, and with the memory that they are over.

        :param gone_max: how many are remembered at all; the oldest are forgotten first.
        """
        items, gone = self.items, self.gone
        for key in keys:
            items = items.remove(key) if key in items else items
            gone = gone.insert(key, Gone(key, until))
        for index in gone.items.keys()[: max(0, len(gone) - gone_max)]:
            gone = gone.remove(gone.items[index].key)
        return self.replace(items=items, gone=gone)

    def find(self, identity: bytes) -> tuple[int, Candidate] | None:
        """The candidate of that identity."""
        number = self.index.get(identity)
        return None if number is None else (number, self.candidates[number])

    def put(self, number: int, candidate: Candidate) -> Pool:
        """With ``candidate`` at ``number``, the next one or in the place of what it was."""
        old = self.candidates.get(number)
        by_connection = self.by_connection
        before = () if old is None else old.announcers
        if before != candidate.announcers:
            for connection_id in before:
                if connection_id not in candidate.announcers:
                    by_connection = _dropped(by_connection, connection_id, number)
            for connection_id in candidate.announcers:
                by_connection = by_connection.set(connection_id, by_connection.get(connection_id, _NONE).set(number, None))
        candidates = self.candidates.set(number, candidate)
        if old is not None:
            return self.replace(candidates=candidates, by_connection=by_connection)
        index = self.index.set(candidate.identity, number)
        return self.replace(candidates=candidates, by_connection=by_connection, index=index, last_number=number)

    def drop(self, number: int) -> Pool:
        """Without that candidate."""
        candidate = self.candidates[number]
        by_connection = self.by_connection
        for connection_id in candidate.announcers:
            by_connection = _dropped(by_connection, connection_id, number)
        index = self.index.delete(candidate.identity)
        return self.replace(candidates=self.candidates.delete(number), by_connection=by_connection, index=index)


@record
class Pools(Record):
    """The slice's state."""

    deadlines: Deadlines
    """Waits for verdicts, by `verdict_key`."""
    transaction: Pool
    snark: Pool
    snark_job_commitment: Pool
    last_verdict_id: RequestId = RequestId(0)
    verdicts: Table[RequestId, int] = empty_table()
    """What each open question to the node software is about, by `candidate_key`."""
    held_back: tuple[ConnectionId, ...] = ()
    """Peers of which nothing is fetched because all others' answers use up what a node permits at one time; the first is next."""

    def of(self, channel: ChannelId) -> Pool:
        """The pool of a channel.

        :raises CallerError: where it has none.
        """
        get = _GET.get(channel)
        if get is None:
            raise CallerError(f"{channel.name} has no pool")
        return get(self)

    def with_pool(self, channel: ChannelId, pool: Pool) -> Pools:
        """With ``pool`` as that of a channel."""
        return _PUT[channel](self, pool)

    def put(self, channel: ChannelId, number: int, candidate: Candidate) -> Pools:
        """With ``candidate`` in its pool, and its deadline in place of its former one."""
        return self._timed(channel, number, candidate).with_pool(channel, self.of(channel).put(number, candidate))

    def drop(self, channel: ChannelId, number: int) -> Pools:
        """Without that candidate and its deadline."""
        return self._timed(channel, number, None).with_pool(channel, self.of(channel).drop(number))

    def _timed(self, channel: ChannelId, number: int, new: Candidate | None) -> Pools:
        old = self.of(channel).candidates.get(number)
        key = candidate_key(channel, number)
        verdicts = self.verdicts
        if old is not None and isinstance(old.status, VerifyPending):
            verdicts = verdicts.delete(old.status.verdict_id)
        if new is not None and isinstance(new.status, VerifyPending):
            verdicts = verdicts.set(new.status.verdict_id, key)
        timed = self._moved(key, None if old is None else old.wakes_at, None if new is None else new.wakes_at)
        return timed if verdicts is self.verdicts else timed.replace(verdicts=verdicts)

    def _moved(self, key: int, old: Timestamp | None, new: Timestamp | None) -> Pools:
        if old == new:
            return self
        deadlines = self.deadlines if old is None else self.deadlines.cancel(old, key)
        return self.replace(deadlines=deadlines if new is None else deadlines.add(new, key))

    def with_expiry(self, channel: ChannelId, at: Timestamp | None) -> Pools:
        """With another time at which to look for items that are too old."""
        pool = self.of(channel)
        timed = self._moved(expiry_key(channel), pool.expires_at, at)
        return timed.with_pool(channel, pool.replace(expires_at=at))


POOL_CHANNELS: Final = (ChannelId.TRANSACTION, ChannelId.SNARK, ChannelId.SNARK_JOB_COMMITMENT)

_GET: Final[Mapping[ChannelId, Callable[[Pools], Pool]]] = MappingProxyType(
    {channel: attrgetter(channel.name.lower()) for channel in POOL_CHANNELS}
)
_PUT: Final[Mapping[ChannelId, Callable[[Pools, Pool], Pools]]] = MappingProxyType(
    {channel: setter(Pools, channel.name.lower()) for channel in POOL_CHANNELS}
)
_NONE: Final[Table[int, None]] = empty_table()


def candidate_key(channel: ChannelId, number: int) -> int:
    """One int for a candidate of any pool."""
    return number * 16 + channel


def expiry_key(channel: ChannelId) -> int:
    """The key of a pool's wait for items to become too old: that of no candidate, as they count from 1."""
    return candidate_key(channel, 0)


def split_candidate_key(key: int) -> tuple[ChannelId, int]:
    """What `candidate_key` put together."""
    return ChannelId(key % 16), key // 16


def _dropped(
    by_connection: Table[ConnectionId, Table[int, None]], connection_id: ConnectionId, number: int
) -> Table[ConnectionId, Table[int, None]]:
    left = by_connection[connection_id].delete(number)
    return by_connection.set(connection_id, left) if left else by_connection.delete(connection_id)
