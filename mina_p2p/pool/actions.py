"""What happens to pools and candidates."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.propagation.state import RemoteRequested
from mina_p2p.channels.rpc.messages import RpcResponse
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.pool.kinds import check_item
from mina_p2p.pool.state import Announced, Fetching, VerifyPending, split_candidate_key
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class PoolCandidateReceived(Record):
    """A peer announced an item."""

    connection_id: ConnectionId
    channel: ChannelId
    info: PropagationItem

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.connection_id in state.channels.table


@record
class PoolFetchNext(Record):
    """A peer may have room for a question: fetch the most wanted thing it announced."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        rpc = state.channels.rpc(self.connection_id)
        return rpc is not None and len(rpc.requests) < state.config.limits.rpc_requests_max


@record
class PoolFetched(Record):
    """A peer answered our question for a candidate; ``None``: it has nothing for us."""

    connection_id: ConnectionId
    channel: ChannelId
    candidate: int
    response: RpcResponse | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        candidate = state.pools.of(self.channel).candidates.get(self.candidate)
        return candidate is not None and candidate.status == Fetching(self.connection_id)


@record
class PoolItemPushed(Record):
    """An item came by gossip, whole: the node software is asked about it as if it had been fetched."""

    message: RequestId
    """That lists it; the relay hears under this id what becomes of it."""
    channel: ChannelId
    info: PropagationItem
    body: bytes
    peer_id: PeerId


@record
class PoolVerdict(Record):
    """The node software's verdict on an item."""

    verdict_id: RequestId
    is_valid: bool

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.verdict_id in state.pools.verdicts


@record
class PoolVerdictTimeout(Record):
    """No verdict came: the candidate is dropped; whoever announces it again is asked again."""

    channel: ChannelId
    candidate: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        candidate = state.pools.of(self.channel).candidates.get(self.candidate)
        return candidate is not None and isinstance(candidate.status, VerifyPending) and candidate.status.deadline <= now


@record
class PoolCandidateTimeout(Record):
    """Nobody could be asked for a candidate for long: it is given up."""

    channel: ChannelId
    candidate: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        candidate = state.pools.of(self.channel).candidates.get(self.candidate)
        return candidate is not None and isinstance(candidate.status, Announced) and candidate.gives_up_at <= now


@record
class PoolFetchHeldBack(Record):
    """Answers have come or been given up: peers of which nothing was fetched because of them have their turn."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return len(state.pools.held_back) > 0


@record
class PoolSettle(Record):
    """There is a new best tip: what it contains, and what can not follow it any more, is over."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.config.are_settled_items_dropped and state.best_tips.own is not None


@record
class PoolExpire(Record):
    """Items of a pool may be too old."""

    channel: ChannelId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        at = state.pools.of(self.channel).expires_at
        return at is not None and at <= now


@record
class PoolInsert(Record):
    """A valid item enters its pool, from the node software or after its verdict.

    Raises `CallerError` where ``channel``, ``key`` and ``info`` do not fit together.
    """

    channel: ChannelId
    key: bytes
    info: PropagationItem
    body: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        check_item(self.channel, self.key, self.info)
        return state.wants(self.channel, self.key, self.info)


@record
class PoolRemove(Record):
    """The node software no longer wants an item spread: mined, replaced, too old."""

    channel: ChannelId
    key: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.key in state.pools.of(self.channel).items


@record
class PoolSend(Record):
    """Use a peer's permission, if there is something it has not been sent, and its best tip lets it make sense of that."""

    connection_id: ConnectionId
    channel: ChannelId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        if machine is None or not isinstance(machine.remote, RemoteRequested) or state.channels.is_send_blocked(self.connection_id):
            return False
        if not state.is_in_step(self.connection_id):
            return False
        items = state.pools.of(self.channel).items
        return len(items) > 0 and machine.next_send_index < items.counter


@record
class PoolForget(Record):
    """A connection is over: its candidates lose a source."""

    connection_id: ConnectionId


PoolAction: TypeAlias = (
    PoolCandidateReceived
    | PoolFetchNext
    | PoolFetchHeldBack
    | PoolFetched
    | PoolItemPushed
    | PoolVerdict
    | PoolVerdictTimeout
    | PoolCandidateTimeout
    | PoolSettle
    | PoolExpire
    | PoolInsert
    | PoolRemove
    | PoolSend
    | PoolForget
)


def pool_timeout(state: P2pState, key: int) -> PoolAction:
    """The action of a deadline of this slice."""
    channel, number = split_candidate_key(key)
    if number == 0:
        return PoolExpire(channel)
    if isinstance(state.pools.of(channel).candidates[number].status, Announced):
        return PoolCandidateTimeout(channel, number)
    return PoolVerdictTimeout(channel, number)


def wake_held_back(state: P2pState) -> tuple[PoolFetchHeldBack, ...]:
    """What follows where an answer no longer uses what a node permits at one time; nothing where nobody waits for that."""
    return (PoolFetchHeldBack(),) if state.pools.held_back else ()
