"""What happens to pools and candidates."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.propagation.state import RemoteRequested
from mina_p2p.channels.rpc.messages import RpcResponse
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.pool.kinds import check_item
from mina_p2p.pool.state import Fetching, VerifyPending, split_candidate_key
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
    """Use a peer's permission, if there is something it has not been sent."""

    connection_id: ConnectionId
    channel: ChannelId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, self.channel)
        if machine is None or not isinstance(machine.remote, RemoteRequested) or state.channels.is_send_blocked(self.connection_id):
            return False
        items = state.pools.of(self.channel).items
        return len(items) > 0 and machine.next_send_index < items.counter


@record
class PoolForget(Record):
    """A connection is over: its candidates lose a source."""

    connection_id: ConnectionId


PoolAction: TypeAlias = (
    PoolCandidateReceived | PoolFetchNext | PoolFetched | PoolVerdict | PoolVerdictTimeout | PoolInsert | PoolRemove | PoolSend | PoolForget
)


def verdict_timeout(key: int) -> PoolVerdictTimeout:
    """The action of a deadline of this slice."""
    return PoolVerdictTimeout(*split_candidate_key(key))
