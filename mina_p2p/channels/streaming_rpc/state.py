"""The streaming RPC channel of one connection: one question of ours and one of the peer's, answered part by part.

Progress is a union of states (spec: pull-protocol 6.5). What a state is called after a
part that has come or gone, is what the next one is measured against.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from mina_p2p.channels.streaming_rpc.messages import (
    StagedLedgerPart,
    StagedLedgerPartBase,
    StagedLedgerPartPreviousIncompleteZkappUpdates,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartScanStateTree,
    StreamingRpcRequest,
)
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table

PARTS_BEFORE_TREES: Final = 3
EXPECTED_PARTS_UNKNOWN: Final = 27
"""Parts to expect until the second one says how many: 3, and the 24 trees that mainnet's scan state usually has."""


@record
class WaitingForRequest(Record):
    """Nothing is asked."""


# --- receiving --------------------------------------------------------------------------------


@record
class BasePending(Record):
    """The first part is permitted."""


@record
class BaseReceived(Record):
    """The first part has come."""


@record
class ScanStateBasePending(Record):
    """The second part is permitted."""


@record
class ScanStateBaseReceived(Record):
    """The second part has come, and said how many trees there are."""

    trees: int


@record
class UpdatesPending(Record):
    """The third part, of incomplete zkApp updates, is permitted."""

    trees: int


@record
class UpdatesReceived(Record):
    """The third part has come."""

    trees: int


@record
class TreesPending(Record):
    """A tree is permitted."""

    trees: int
    received: int


@record
class TreesReceived(Record):
    """A tree has come; at least one."""

    trees: int
    received: int


PartPending: TypeAlias = BasePending | ScanStateBasePending | UpdatesPending | TreesPending
PartReceived: TypeAlias = BaseReceived | ScanStateBaseReceived | UpdatesReceived | TreesReceived
ReceiveProgress: TypeAlias = PartPending | PartReceived


def after_part(progress: ReceiveProgress, part: StagedLedgerPart, trees_max: int) -> PartReceived | None:
    """The progress once ``part`` has come; ``None`` where that is not the part that was permitted."""
    match progress, part:
        case BasePending(), StagedLedgerPartBase():
            return BaseReceived()
        case ScanStateBasePending(), StagedLedgerPartScanStateBase(trees=trees) if 1 <= trees <= trees_max:
            return ScanStateBaseReceived(trees)
        case UpdatesPending(trees=trees), StagedLedgerPartPreviousIncompleteZkappUpdates():
            return UpdatesReceived(trees)
        case TreesPending(trees=trees, received=received), StagedLedgerPartScanStateTree():
            return TreesReceived(trees, received + 1)
        case _:
            return None


def after_next(progress: ReceiveProgress) -> PartPending | None:
    """The progress once a further part is permitted; ``None`` where one is already, or none is left."""
    match progress:
        case BaseReceived():
            return ScanStateBasePending()
        case ScanStateBaseReceived(trees=trees):
            return UpdatesPending(trees)
        case UpdatesReceived(trees=trees):
            return TreesPending(trees, 0)
        case TreesReceived(trees=trees, received=received) if received < trees:
            return TreesPending(trees, received)
        case _:
            return None


def is_complete(progress: ReceiveProgress) -> bool:
    """Whether every part has come."""
    return isinstance(progress, TreesReceived) and progress.received == progress.trees


def is_last_permitted(progress: ReceiveProgress) -> bool:
    """Whether the permitted part is the last."""
    return isinstance(progress, TreesPending) and progress.received == progress.trees - 1


def parts_received(progress: ReceiveProgress) -> int:
    """How many parts have come."""
    match progress:
        case BasePending():
            return 0
        case BaseReceived() | ScanStateBasePending():
            return 1
        case ScanStateBaseReceived() | UpdatesPending():
            return 2
        case UpdatesReceived():
            return PARTS_BEFORE_TREES
        case TreesPending(received=received) | TreesReceived(received=received):
            return PARTS_BEFORE_TREES + received


def parts_expected(progress: ReceiveProgress) -> int:
    """How many parts there will be in all."""
    match progress:
        case BasePending() | BaseReceived() | ScanStateBasePending():
            return EXPECTED_PARTS_UNKNOWN
        case _:
            return PARTS_BEFORE_TREES + progress.trees


@record
class Requested(Record):
    """A question of ours that is not answered to the end."""

    id: int
    request: StreamingRpcRequest
    request_id: RequestId
    """The node software's own id of it."""
    stream: StreamId
    progress: ReceiveProgress
    bytes_received: int
    """Of parts; the parts themselves are with the node software and not kept."""
    answer_bytes_max: int
    """Credit of one part."""
    gives_up_at: Timestamp
    """When the whole answer must have come."""
    deadline: Timestamp
    """When the next progress must have come."""


@record
class Responded(Record):
    """A question that is answered, on a stream that has not ended yet.

    The node software hears of the answer's end with the stream's, so that the next question it asks is not refused.
    """

    stream: StreamId
    deadline: Timestamp
    request_id: RequestId
    parts_count: int | None
    """``None``: the peer does not have what was asked for."""


@record
class GivenUp(Record):
    """We reset our question's stream; the next question waits, so that it can not overtake the reset."""

    deadline: Timestamp


LocalHalf: TypeAlias = WaitingForRequest | Requested | Responded | GivenUp


# --- sending ----------------------------------------------------------------------------------


@record
class LedgerGetIdle(Record):
    """The node software prepares as many answers as it may; this one has to wait."""


@record
class LedgerGetPending(Record):
    """The node software was asked."""


@record
class PartReady(Record):
    """The next part is permitted, and goes when what was sent before has left."""

    parts: tuple[StagedLedgerPart, ...]
    """Those that are not sent."""
    sent: int


@record
class BaseSent(Record):
    """The first part is sent; the peer's ``Next`` is awaited."""

    parts: tuple[StagedLedgerPart, ...]


@record
class ScanStateBaseSent(Record):
    """The second part is sent."""

    parts: tuple[StagedLedgerPart, ...]


@record
class UpdatesSent(Record):
    """The third part is sent."""

    parts: tuple[StagedLedgerPart, ...]


@record
class TreesSending(Record):
    """A tree is sent, and not the last one."""

    parts: tuple[StagedLedgerPart, ...]
    trees_sent: int


PartSent: TypeAlias = BaseSent | ScanStateBaseSent | UpdatesSent | TreesSending
SendProgress: TypeAlias = LedgerGetIdle | LedgerGetPending | PartReady | PartSent


def part_ready(progress: SendProgress) -> PartReady | None:
    """The progress once a further part is permitted; ``None`` where none is due."""
    match progress:
        case BaseSent(parts=parts):
            return PartReady(parts, 1)
        case ScanStateBaseSent(parts=parts):
            return PartReady(parts, 2)
        case UpdatesSent(parts=parts):
            return PartReady(parts, PARTS_BEFORE_TREES)
        case TreesSending(parts=parts, trees_sent=trees_sent):
            return PartReady(parts, PARTS_BEFORE_TREES + trees_sent)
        case _:
            return None


def part_sent(ready: PartReady) -> PartSent | None:
    """The progress once the first of the ready parts is sent; ``None`` where that was the last."""
    left, sent = ready.parts[1:], ready.sent + 1
    if not left:
        return None
    match sent:
        case 1:
            return BaseSent(left)
        case 2:
            return ScanStateBaseSent(left)
        case 3:
            return UpdatesSent(left)
        case _:
            return TreesSending(left, sent - PARTS_BEFORE_TREES)


@record
class RemoteRequested(Record):
    """A question of the peer's that is not answered to the end."""

    serial: int
    """Ours; the peer's id is the peer's choice and keys nothing."""
    id: int
    request: StreamingRpcRequest
    stream: StreamId
    progress: SendProgress
    deadline: Timestamp
    """When the node software's answer, or the peer's ``Next``, must have come."""


@record
class RemoteResponded(Record):
    """The peer's last question was answered, refused or given up, on this stream."""

    stream: StreamId


RemoteHalf: TypeAlias = WaitingForRequest | RemoteRequested | RemoteResponded


@record
class StreamingRpc(Record):
    """Both directions."""

    local: LocalHalf = WaitingForRequest()
    remote: RemoteHalf = WaitingForRequest()
    next_serial: int = 0
    last_responded: Timestamp = Timestamp(0)
    """When this peer was last served; who was not for longest is next (defect C6)."""

    @property
    def waits(self) -> tuple[Timestamp | None, Timestamp | None]:
        """Deadlines of the local and the remote half."""
        local, remote = self.local, self.remote
        return (
            None if isinstance(local, WaitingForRequest) else local.deadline,
            remote.deadline if isinstance(remote, RemoteRequested) else None,
        )

    @property
    def answer_bytes_granted(self) -> int:
        """Credit that is out for the answer."""
        return self.local.answer_bytes_max if isinstance(self.local, Requested) else 0

    @property
    def is_idle(self) -> bool:
        """Whether the peer waits for its turn to be served."""
        return isinstance(self.remote, RemoteRequested) and isinstance(self.remote.progress, LedgerGetIdle)

    @property
    def is_served(self) -> bool:
        """Whether an answer for the peer is being prepared or sent."""
        return isinstance(self.remote, RemoteRequested) and not isinstance(self.remote.progress, LedgerGetIdle)


@record
class Servings(Record):
    """Answers to all peers: each may take the memory of a whole staged ledger, so they are counted."""

    active_count: int = 0
    """Answers that are being prepared or sent."""
    idle: Table[ConnectionId, None] = empty_table()
    """Peers that wait for their turn."""

    def moved(self, connection_id: ConnectionId, old: StreamingRpc | None, new: StreamingRpc | None) -> Servings:
        """With the state of one connection changed."""
        was_served, was_idle = (old.is_served, old.is_idle) if old is not None else (False, False)
        served, idle = (new.is_served, new.is_idle) if new is not None else (False, False)
        if (served, idle) == (was_served, was_idle):
            return self
        table = self.idle.set(connection_id, None) if idle else self.idle.discard(connection_id)
        return self.replace(active_count=self.active_count + served - was_served, idle=table)
