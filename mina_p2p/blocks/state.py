"""Blocks: state."""

from __future__ import annotations

import enum
from typing import Final, NewType, Protocol, TypeAlias

from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.blocks.items import Items
from mina_p2p.blocks.ranking import Race
from mina_p2p.blocks.split import Frame, Outline, Parts, RawBlockBody, RawBlockHeader
from mina_p2p.channels.block.messages import BlockQuestion, Wants
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.mina.protocol_state import ConsensusState
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table

Ticket = NewType("Ticket", int)
"""A request of ours: a counter that no two of them share. Whoever carries it opens a stream for it."""


class Kind(enum.IntEnum):
    """What a question about a block is for."""

    HEADER = 0
    OUTLINE = 1
    ITEMS = 2
    BODY = 3


# --- what a peer may send us, and we it ---------------------------------------------------------


@record
class Asked(Record):
    """We permitted one announcement."""

    ticket: Ticket
    wants: Wants
    body_bytes_max: int
    """Up to which size a body may come with a header."""
    deadline: Timestamp


@record
class Unsettled(Record):
    """The peer announced a block that we are fetching or verifying; its next permission comes after that."""

    candidate: int


@record
class Paused(Record):
    """The last announcement was of no use, or the permission was given up; the next one comes at ``deadline``."""

    deadline: Timestamp


LocalHalf: TypeAlias = Asked | Unsettled | Paused


@record
class NotAsked(Record):
    """The peer permits nothing."""

    answered: StreamId | None = None
    """Where its last permission was used: withdrawn before the answer was read, it was not told."""
    told: bytes = b""
    """The state hash of that answer."""


@record
class Permitted(Record):
    """The peer permits one announcement, on its stream."""

    stream: StreamId
    wants: Wants
    body_bytes_max: int


RemoteHalf: TypeAlias = NotAsked | Permitted


@record
class Owing(Record):
    """A question that somebody else has answered: late as it is, the answer is due."""

    ticket: Ticket
    deadline: Timestamp
    kind: Kind
    """Of the answer. What it says nobody looks at any more."""
    is_queued: bool = False
    """Whether the peer said that others come first; it may once."""


@record
class Served(Record):
    """How much of a block a peer was sent."""

    state_hash: bytes
    bytes_sent: int


@record
class Waiting(Record):
    """A peer's question about a block that is being checked, or for a body that is sent after others."""

    stream: StreamId
    question: BlockQuestion
    deadline: Timestamp
    place: int | None = None
    """In the queue for bodies, where it is that."""
    is_told: bool = False
    """Whether the peer knows that others come first: it is told once."""


USELESS_MAX = 5
UNJUDGED_MAX = 64
HAS_MAX = 8
"""Blocks that we remember a peer to have."""


@record
class BlockPeer(Record):
    """A connection that speaks channel 10."""

    peer_id: PeerId
    local: LocalHalf
    remote: RemoteHalf = NotAsked()
    has: tuple[bytes, ...] = ()
    """State hashes of what it announced to us or we to it, oldest first."""
    checks: tuple[bytes, ...] = ()
    """State hashes of what it said that it was checking: it may come to hold them or not."""
    useless: int = 0
    """Headers that lost, one after the other: each costs a hash, so that the next permission comes later each time."""
    owing: tuple[Owing, ...] = ()
    served: tuple[Served, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    @property
    def wakes_at(self) -> Timestamp | None:
        """The end of its earliest wait."""
        times = [owing.deadline for owing in self.owing] + [wait.deadline for wait in self.waiting]
        if isinstance(self.local, Asked | Paused):
            times.append(self.local.deadline)
        return min(times, default=None)


# --- what is being fetched ------------------------------------------------------------------------


@record
class Question(Record):
    """Asked of an announcer."""

    ticket: Ticket
    connection_id: ConnectionId
    kind: Kind
    indexes: tuple[int, ...]
    """Of items."""
    asked_at: Timestamp
    hedge_at: Timestamp | None
    """When another announcer is asked too; ``None`` once that time is over."""
    deadline: Timestamp
    along: int = 0
    """Up to which size a body may come with the header."""
    is_queued: bool = False
    """Whether the peer said that others come first."""


@record
class Copy(Record):
    """A header in its exact bytes. Headers of one state hash may differ in proofs and versions."""

    header: RawBlockHeader
    digest: bytes
    senders: tuple[tuple[ConnectionId, PeerId], ...]
    verdict_id: RequestId | None
    """The question to the node software; ``None`` once it has found the copy valid."""
    deadline: Timestamp


@record
class Unjudged(Record):
    """A copy that waits for its verdict though its block is decided: were it invalid, whoever sent it would lie all the same."""

    verdict_id: RequestId
    senders: tuple[tuple[ConnectionId, PeerId], ...]
    deadline: Timestamp


@record
class Facts(Record):
    """What every header of a state hash says."""

    state_hash: bytes
    previous_state_hash: bytes
    consensus: ConsensusState
    body_reference: bytes

    @property
    def height(self) -> int:
        """Blocks up to this one."""
        return self.consensus.blockchain_length


@record
class OutlineClaim(Record):
    """What a peer said the outline is."""

    connection_id: ConnectionId
    peer_id: PeerId
    outline: Outline


@record
class ItemClaim(Record):
    """What a peer said an item is, against another peer's outline."""

    connection_id: ConnectionId
    peer_id: PeerId
    index: int
    digest: bytes


Claim: TypeAlias = OutlineClaim | ItemClaim


@record
class NoOutline(Record):
    """Nothing is known of the body."""


@record
class Assembling(Record):
    """Items are looked for."""

    source: ConnectionId
    """Whose outline it is."""
    frame: Frame
    ids: tuple[bytes, ...]
    salt: bytes | None
    """Of short ids; ``None`` where the ids are digests."""
    found: tuple[bytes | None, ...]

    @property
    def size(self) -> int:
        """Bytes of the items that are here, one that is named twice counted twice."""
        return sum(len(data) for data in self.found if data is not None)


@record
class WholeWanted(Record):
    """Peers contradict each other, or outlines came to nothing: only the whole body decides."""


@record
class Complete(Record):
    """The body is here and is what the header promises."""

    body: RawBlockBody
    parts: Parts
    here: int
    """Bytes of its items that were here when it came."""


Body: TypeAlias = NoOutline | Assembling | WholeWanted | Complete


@record
class Candidate(Record):
    """A block that peers announced and that may win."""

    number: int
    state_hash: bytes
    gives_up_at: Timestamp
    announcers: tuple[ConnectionId, ...]
    """Who is said to hold it, or will say whether it does, and has not failed; in the order of their announcements."""
    checking: tuple[ConnectionId, ...] = ()
    """Those of them who did not hold it yet when they announced it."""
    facts: Facts | None = None
    """``None`` while there is no header."""
    copies: tuple[Copy, ...] = ()
    condemned: tuple[bytes, ...] = ()
    """Digests of copies that the node software found invalid."""
    body: Body = NoOutline()
    questions: tuple[Question, ...] = ()
    tried: tuple[tuple[Kind, ConnectionId], ...] = ()
    """Who was asked for a header, an outline or a body; nobody is asked twice."""
    claims: tuple[Claim, ...] = ()
    """What can be judged once the body is known."""
    spare: tuple[bytes, ...] = ()
    """Items that came for an outline that was given up."""
    is_last_resort: bool = False
    """Whether peers are asked that did not announce it."""
    taken: tuple[tuple[ConnectionId, int], ...] = ()
    """Nanoseconds that peers took for their answers about it, once they held it."""

    @property
    def wakes_at(self) -> Timestamp:
        """The end of its earliest wait."""
        times = [self.gives_up_at]
        times += [question.deadline if question.hedge_at is None else question.hedge_at for question in self.questions]
        times += [copy.deadline for copy in self.copies if copy.verdict_id is not None]
        return min(times)

    @property
    def is_checked(self) -> bool:
        """Whether its header is here, and its verdict or body is waited for."""
        return self.facts is not None and bool(self.copies)

    def taken_by(self, connection_id: ConnectionId) -> int:
        """How long a peer took for all its answers about it."""
        return next((time for known, time in self.taken if known == connection_id), 0)

    def is_held_by(self, connection_id: ConnectionId) -> bool:
        """Whether a peer said that it holds the block."""
        return connection_id in self.announcers and connection_id not in self.checking

    @property
    def valid(self) -> Copy | None:
        """A copy that the node software found valid."""
        return next((copy for copy in self.copies if copy.verdict_id is None), None)


@record
class Held(Record):
    """A block that we can serve."""

    facts: Facts
    header: RawBlockHeader
    body: RawBlockBody
    parts: Parts
    is_produced: bool = False
    """Whether it is this node's own: nobody else can send its header before us, so all peers are sent it."""

    @property
    def size(self) -> int:
        """Bytes of the whole block."""
        return len(self.header) + len(self.body)


@record
class Blocks(Record):
    """The slice's state."""

    config: BlocksConfig
    peer_id: PeerId
    """Who we are: the salt of short ids that we are sent follows from it."""
    deadlines: Deadlines
    """Keys are `peer_key` and `candidate_key`."""
    items: Items
    by_hash: Index[int]
    """Candidates by state hash."""
    peers: Table[ConnectionId, BlockPeer] = empty_table()
    candidates: Table[int, Candidate] = empty_table()
    tickets: Table[Ticket, int] = empty_table()
    """Requests without an answer: the candidate they are about, 0 for permissions and for what is owed."""
    held: tuple[Held, ...] = ()
    """Oldest first."""
    tip: Facts | None = None
    """The best block of which a proof was found valid."""
    early: bytes | None = None
    """The state hash of a block that is offered before the verdict on its header; it is held, and still a candidate."""
    losers: tuple[bytes, ...] = ()
    """Hashes of blocks that lost or could not be had."""
    unjudged: tuple[Unjudged, ...] = ()
    """Copies of blocks that are decided, those decided last."""
    races: tuple[Race, ...] = ()
    """Of the last blocks that were taken, and of those that are being fetched."""
    preferred: tuple[ConnectionId, ...] = ()
    """Who may send headers, as the races say."""
    is_ranked: bool = True
    """Whether ``preferred`` is chosen since the last block was taken."""
    warmth: int = 0
    """Percent of the last block's items, by their bytes, that were here already."""
    earlier_warmth: tuple[int, ...] = ()
    """Of the blocks before it: one with few items says little."""
    link_free_at: Timestamp = Timestamp(0)
    """When all that was sent will have left by this node's own connection."""
    queue_due_at: Timestamp | None = None
    """When the next body is sent of those that peers wait for in a queue."""
    last_place: int = 0
    """In that queue."""
    last_number: int = 0
    last_ticket: Ticket = Ticket(0)
    last_verdict_id: RequestId = RequestId(0)

    @property
    def is_cold(self) -> bool:
        """Whether whole blocks are asked for."""
        return self.warmth < self.config.cold_percent

    @property
    def body_along_max(self) -> int:
        """Up to which size a body shall come with its header. While there is no block at all, one peer is asked for a whole one."""
        is_little = self.tip is None or min(self.warmth, *self.earlier_warmth, 100) >= self.config.warm_percent
        return self.config.body_along_max if is_little else self.config.body_along_unknown_max(is_cold=self.is_cold)

    def holding(self, state_hash: bytes) -> Held | None:
        """The block of that hash, where we hold it."""
        return next((held for held in self.held if held.facts.state_hash == state_hash), None)

    def is_settled(self, state_hash: bytes) -> bool:
        """Whether a block is held and nothing about it is open."""
        return self.holding(state_hash) is not None and state_hash not in self.by_hash

    def candidate_of(self, state_hash: bytes) -> Candidate | None:
        """The candidate of that hash."""
        number = self.by_hash.get(state_hash)
        return None if number is None else self.candidates[number]

    def with_peer(self, connection_id: ConnectionId, new: BlockPeer | None) -> Blocks:
        """With ``new`` in place of a peer's record, and its wait."""
        old = self.peers.get(connection_id)
        deadlines = moved(
            self.deadlines, peer_key(connection_id), None if old is None else old.wakes_at, None if new is None else new.wakes_at
        )
        peers = self.peers.delete(connection_id) if new is None else self.peers.set(connection_id, new)
        return self.replace(peers=peers, deadlines=deadlines)

    def with_queue_due(self, at: Timestamp | None) -> Blocks:
        """With another time for the next body of the queue."""
        return self.replace(queue_due_at=at, deadlines=moved(self.deadlines, QUEUE_KEY, self.queue_due_at, at))

    def with_candidate(self, number: int, new: Candidate | None) -> Blocks:
        """With ``new`` in place of a candidate, and its wait."""
        old, by_hash = self.candidates.get(number), self.by_hash
        deadlines = moved(
            self.deadlines, candidate_key(number), None if old is None else old.wakes_at, None if new is None else new.wakes_at
        )
        if new is None:
            gone = self.candidates[number]
            return self.replace(candidates=self.candidates.delete(number), deadlines=deadlines, by_hash=by_hash.delete(gone.state_hash))
        if old is None:
            by_hash = by_hash.set(new.state_hash, number)
        return self.replace(candidates=self.candidates.set(number, new), deadlines=deadlines, by_hash=by_hash)


class HasBlocks(Protocol):
    """A root state that holds this slice."""

    @property
    def blocks(self) -> Blocks:
        """The slice."""
        ...


def initial_blocks(config: BlocksConfig, peer_id: PeerId, salt: bytes) -> Blocks:
    """The slice of a node that starts.

    :param salt: of its indexes, from the node's seed.
    """
    items = Items(Index(salt), config.items_bytes_max, config.items_max)
    return Blocks(config, peer_id, Deadlines(config.granularity), items, Index(salt), warmth=config.warmth_at_start)


QUEUE_KEY: Final = 0
"""The key of the queue's wait; no connection is number 0."""


def peer_key(connection_id: ConnectionId) -> int:
    """The key of a peer's wait."""
    return connection_id * 2


def candidate_key(number: int) -> int:
    """The key of a candidate's wait."""
    return number * 2 + 1


def moved(deadlines: Deadlines, key: int, old: Timestamp | None, new: Timestamp | None) -> Deadlines:
    """With a wait at another time."""
    if old == new:
        return deadlines
    if old is not None:
        deadlines = deadlines.cancel(old, key)
    return deadlines if new is None else deadlines.add(new, key)
