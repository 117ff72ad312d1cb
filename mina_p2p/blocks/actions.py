"""What happens to blocks, and what the slice wants done. Guards ask the slice only, whichever root holds it."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.blocks.split import RawBlockBody, RawBlockHeader
from mina_p2p.blocks.state import QUEUE_KEY, HasBlocks, Permitted, Ticket
from mina_p2p.disconnection.reasons import Reason, StreamResetCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.record import Record, record

# --- commands and events ----------------------------------------------------------------------


@record
class BlocksPeerJoined(Record):
    """A connection is ready on which both sides speak channel 10."""

    connection_id: ConnectionId
    peer_id: PeerId

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        return self.connection_id not in state.blocks.peers


@record
class BlocksPeerLeft(Record):
    """That connection is over."""

    connection_id: ConnectionId

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        return self.connection_id in state.blocks.peers


@record
class BlocksItemKnown(Record):
    """A valid transaction or snark work, in its exact bytes in a block (`mina_p2p.blocks.split.work_item`)."""

    data: bytes


@record
class BlocksTipSet(Record):
    """The node software's best tip: made by it, or found better than ours by its own means.

    ``header`` and ``body`` are believed. What can not be read changes nothing.
    """

    header: RawBlockHeader
    body: RawBlockBody
    is_produced: bool = False
    """Whether this node made it."""


@record
class BlocksVerdict(Record):
    """The node software's verdict on a header's proofs and versions."""

    verdict_id: RequestId
    is_valid: bool

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        blocks = state.blocks
        if any(one.verdict_id == self.verdict_id and one.deadline > now for one in blocks.unjudged):
            return True
        return any(copy.verdict_id == self.verdict_id for candidate in blocks.candidates.values() for copy in candidate.copies)


@record
class BlocksAnswerReceived(Record):
    """The peer's answer to a request of ours, not decoded yet."""

    connection_id: ConnectionId
    ticket: Ticket
    frame: bytes

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        return self.connection_id in state.blocks.peers


@record
class BlocksAnswerEnded(Record):
    """The peer ended its half of a stream of ours: in order after an answer, and only then."""

    connection_id: ConnectionId
    ticket: Ticket

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        return self.connection_id in state.blocks.peers and self.ticket in state.blocks.tickets


@record
class BlocksAnswerReset(Record):
    """The peer gave up a stream of ours."""

    connection_id: ConnectionId
    ticket: Ticket
    code: StreamResetCode

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        return self.connection_id in state.blocks.peers and self.ticket in state.blocks.tickets


@record
class BlocksRequestReceived(Record):
    """A request of the peer's, not decoded yet."""

    connection_id: ConnectionId
    stream: StreamId
    frame: bytes

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        return self.connection_id in state.blocks.peers


@record
class BlocksRequestCancelled(Record):
    """The peer withdrew its permission, used or not, or a question that waits."""

    connection_id: ConnectionId
    stream: StreamId

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        peer = state.blocks.peers.get(self.connection_id)
        if peer is None:
            return False
        if any(wait.stream == self.stream for wait in peer.waiting):
            return True
        return self.stream == (peer.remote.stream if isinstance(peer.remote, Permitted) else peer.remote.answered)


@record
class BlocksPeerDue(Record):
    """A wait that a peer's record names is over."""

    connection_id: ConnectionId

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        peer = state.blocks.peers.get(self.connection_id)
        return peer is not None and (at := peer.wakes_at) is not None and at <= now


@record
class BlocksCandidateDue(Record):
    """A wait that a candidate names is over."""

    candidate: int

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        candidate = state.blocks.candidates.get(self.candidate)
        return candidate is not None and candidate.wakes_at <= now


@record
class BlocksQueueDue(Record):
    """There is room for the next body that peers wait for in a queue."""

    def is_enabled(self, state: HasBlocks, now: Timestamp) -> bool:
        at = state.blocks.queue_due_at
        return at is not None and at <= now


BlocksAction: TypeAlias = (
    BlocksPeerJoined
    | BlocksPeerLeft
    | BlocksItemKnown
    | BlocksTipSet
    | BlocksVerdict
    | BlocksAnswerReceived
    | BlocksAnswerEnded
    | BlocksAnswerReset
    | BlocksRequestReceived
    | BlocksRequestCancelled
    | BlocksPeerDue
    | BlocksCandidateDue
    | BlocksQueueDue
)


def blocks_timeout(key: int) -> BlocksPeerDue | BlocksCandidateDue | BlocksQueueDue:
    """The action of a deadline of this slice."""
    if key == QUEUE_KEY:
        return BlocksQueueDue()
    number, is_candidate = divmod(key, 2)
    return BlocksCandidateDue(number) if is_candidate else BlocksPeerDue(ConnectionId(number))


# --- what is wanted of whoever carries the channel (`mina_p2p.channels.block.reducer`) ------------


@record
class BlocksRequestSend(Record):
    """Open a stream for a request of ours; what comes of it is told by ``ticket``."""

    connection_id: ConnectionId
    ticket: Ticket
    frame: bytes
    answer_bytes_max: int
    """Credit, length header included."""
    frame_bytes_max: int


@record
class BlocksRequestCancel(Record):
    """Give up the stream of a request; nothing is told of it any more."""

    connection_id: ConnectionId
    ticket: Ticket


BlocksOutgoing: TypeAlias = BlocksRequestSend | BlocksRequestCancel

# --- what the node software is told -----------------------------------------------------------------


@record
class BlockHeaderReceived(Record):
    """A header of a block that would win; `BlocksVerdict` says whether its proofs and versions are valid.

    Its body is being fetched meanwhile; `mina_p2p.notifications.BestTipReceived` brings the whole block.
    """

    verdict_id: RequestId
    state_hash: bytes
    header: RawBlockHeader
    connection_id: ConnectionId
    peer_id: PeerId
    """Who sent it first."""
    deadline: Timestamp
    """From then on the verdict is no longer wanted, and the block is given up."""


@record
class BlockReceived(Record):
    """A block is complete: its header was found valid, its body is the one that the header promises.

    By channel 10 it was offered to other peers already, if it is better than the best we had; `BestTipSet` offers it to all.
    """

    state_hash: bytes
    block: RawBlock
    is_best: bool


@record
class BlockDropped(Record):
    """A block that peers announced can not be had, or has no valid header."""

    state_hash: bytes
    reason: Reason


BlocksNotification: TypeAlias = BlockHeaderReceived | BlockReceived | BlockDropped
