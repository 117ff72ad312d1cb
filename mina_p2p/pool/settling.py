"""Items that are over: in a block, outdated by one, or too old (spec: pull-protocol 8.2, 9.5).

The reference's node drops what a new best tip contains, in the pools that its peer-to-peer part reads from. Here the pools
are the library's, so the library does it, and tells the node software, which may give an item back: after
a change of branches it alone knows what has become valid again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mina_p2p.channels.propagation.actions import ChannelsPropagationRequestSend
from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.config import Timeouts
from mina_p2p.errors import DecodeError
from mina_p2p.ids import ChannelId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.mina.snark_work import job_id
from mina_p2p.notifications import PoolItemsDropped, WhyDropped
from mina_p2p.pool.announce import transaction_info
from mina_p2p.pool.kinds import job_key
from mina_p2p.pool.state import Fetching, Pools
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps


@record
class Settled(Record):
    """What a block makes an end of."""

    transactions: tuple[TransactionInfo, ...]
    jobs: tuple[bytes, ...]
    """Keys of the jobs whose work it contains."""

    @property
    def keys(self) -> dict[ChannelId, tuple[bytes, ...]]:
        """The keys of all of it, by pool."""
        of_transactions = tuple(info.hash for info in self.transactions)
        return {ChannelId.TRANSACTION: of_transactions, ChannelId.SNARK: self.jobs, ChannelId.SNARK_JOB_COMMITMENT: self.jobs}


def settled_by(block: RawBlock) -> Settled:
    """Read a block; one that can not be read settles nothing."""
    try:
        body = block.value.body
        transactions = tuple(transaction_info(command.data) for command in body.commands)
        return Settled(transactions, tuple(job_key(job_id(work.value.proofs)) for work in body.completed_works))
    except DecodeError:
        return Settled((), ())


def settle(state: Pools, block: RawBlock, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    """Drop what a block contains, and transactions whose nonce it has used up."""
    settled, follow_ups = settled_by(block), list[Any]()
    until = Timestamp(now + root.config.timeouts.settled)
    for channel, keys in settled.keys.items():
        pool = state.of(channel)
        included = tuple(key for key in keys if key in pool.items)
        outdated = tuple(_outdated(state, settled)) if channel == ChannelId.TRANSACTION else ()
        state = state.with_pool(channel, pool.forget_items((*keys, *outdated), until, root.config.limits.pool_items_max))
        follow_ups += told(channel, included, WhyDropped.INCLUDED) + told(channel, outdated, WhyDropped.OUTDATED)
        state, room = _drop_candidates(state, channel, frozenset((*keys, *outdated)))
        follow_ups += room
    return state, follow_ups


def _outdated(state: Pools, settled: Settled) -> Iterator[bytes]:
    """Keys of transactions that pay with a nonce that a block has used up."""
    used: dict[Any, int] = {}
    for info in settled.transactions:
        payer = info.fee_payer.x, info.fee_payer.is_odd
        used[payer] = max(used.get(payer, 0), info.nonce)
    included = {info.hash for info in settled.transactions}
    for item in state.transaction.items.items.values():
        announced = item.info
        if isinstance(announced, TransactionInfo) and announced.hash not in included:
            nonce = used.get((announced.fee_payer.x, announced.fee_payer.is_odd))
            if nonce is not None and announced.nonce <= nonce:
                yield announced.hash


def _drop_candidates(state: Pools, channel: ChannelId, keys: frozenset[bytes]) -> tuple[Pools, FollowUps]:
    """Without candidates of those keys, but for one that is just being fetched: what comes of that is looked at again."""
    room: list[Any] = []
    for number, candidate in state.of(channel).candidates.items():
        if candidate.key in keys and not isinstance(candidate.status, Fetching):
            state = state.drop(channel, number)
            room += [ChannelsPropagationRequestSend(connection_id, channel) for connection_id in candidate.announcers]
    return state, room


def expire(state: Pools, channel: ChannelId, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    """Drop items that are too old, at most as many as deadlines in one turn, and look again when the next one may be."""
    age, limits = max_age(root.config.timeouts, channel), root.config.limits
    pool, dropped = state.of(channel), list[bytes]()
    next_at: Timestamp | None = None
    for item in pool.items.items.values():
        if item.since + age > now or len(dropped) == limits.deadlines_per_turn_max:
            next_at = Timestamp(item.since + age)
            break
        dropped.append(item.key)
    pool = pool.forget_items(dropped, Timestamp(now + age), limits.pool_items_max)
    state = state.with_pool(channel, pool).with_expiry(channel, next_at)
    return state, told(channel, tuple(dropped), WhyDropped.EXPIRED)


def max_age(timeouts: Timeouts, channel: ChannelId) -> int:
    """How long an item of a pool is spread."""
    ages = {ChannelId.TRANSACTION: timeouts.transaction_age, ChannelId.SNARK: timeouts.snark_age}
    return ages.get(channel, timeouts.commitment_age)


def told(channel: ChannelId, keys: tuple[bytes, ...], why: WhyDropped) -> list[Any]:
    """What the node software hears, if there is anything to hear."""
    return [PoolItemsDropped(channel, keys, why)] if keys else []
