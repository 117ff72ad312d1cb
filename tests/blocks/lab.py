"""One machine of blocks whose peers are played by the test, and blocks to play with."""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any, TypeVar, get_args

from mina_p2p.best_tip.actions import PeerBestTipKnown
from mina_p2p.blocks.actions import (
    BlockHeaderReceived,
    BlocksAction,
    BlocksAnswerReceived,
    BlocksItemKnown,
    BlocksNotification,
    BlocksOutgoing,
    BlocksPeerJoined,
    BlocksPeerLeft,
    BlocksRequestReceived,
    BlocksRequestSend,
    BlocksTipSet,
    BlocksVerdict,
    blocks_timeout,
)
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.blocks.reducer import reduce
from mina_p2p.blocks.split import Parts, RawBlockBody, RawBlockHeader, split_block, split_body
from mina_p2p.blocks.state import Blocks, Ticket, initial_blocks
from mina_p2p.channels.block.messages import BLOCK_MESSAGE, BlockAnswer, BlockGetBody, BlockRequest
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived
from mina_p2p.peer.actions import PeerBan
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, Machine, Slice
from mina_p2p.testing.invariants.blocks import check_blocks
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulStreamReset

T = TypeVar("T")
START = Timestamp(1_700_000_000 * SECOND)
ME = PeerId(bytes([200]) * 32)


@record
class Root(Record):
    """The smallest root that holds the slice."""

    clock: Clock
    blocks: Blocks


MACHINE: Machine[Root] = (
    Machine(
        Root,
        slices=(Slice("blocks", get_args(BlocksAction), reduce),),
        effects=(
            *get_args(BlocksOutgoing),
            *get_args(BlocksNotification),
            BestTipReceived,
            PeerBestTipKnown,
            ChannelsEffectfulAnswerSend,
            ChannelsEffectfulStreamReset,
            DisconnectionInit,
            PeerBan,
        ),
    )
    .replaced(DisconnectionInit, guard=lambda action, root, _now: action.connection_id in root.blocks.peers)
    .replaced(PeerBestTipKnown, guard=lambda action, root, _now: action.connection_id in root.blocks.peers)
    .replaced(PeerBan, guard=lambda _action, _root, _now: True)
)
"""Leaving a peer and banning it are effects here; the root of a node has slices for them."""


@record
class Sample(Record):
    """A block in all its forms."""

    raw: bytes
    state_hash: bytes
    header: RawBlockHeader
    body: RawBlockBody
    parts: Parts

    @property
    def tip(self) -> BlocksTipSet:
        """The command that makes it a node's best tip."""
        return BlocksTipSet(self.header, self.body)


def sample(raw: bytes) -> Sample:
    """From wire bytes."""
    header, body = split_block(raw)
    return Sample(raw, state_hash_of_block(raw), header, body, split_body(body))


@cache
def chain(length: int = 4, seed: int = 5) -> tuple[Sample, ...]:
    """Blocks one after the other, each better than the one before, with a few payments and a snark work."""
    generator = MinaGenerator(seed)
    blocks = [generator.genesis()]
    while len(blocks) < length:
        commands = tuple(generator.user_command() for _ in range(6))
        blocks.append(generator.block(blocks[-1], commands=commands, works=(generator.snark_work(two=False),)))
    return tuple(sample(bytes(RawBlock.of(block))) for block in blocks)


@cache
def foreign_copy(seed: int = 6) -> RawBlockHeader:
    """The last block's header with another proof: the same state, the same hash, another copy."""
    header = chain()[-1].header.value
    return RawBlockHeader.of(header.replace(protocol_state_proof=MinaGenerator(seed).proof()))


class Lab:
    """A machine, its clock, and what came of the last input."""

    def __init__(self, *, is_cold: bool = False, tip: Sample | None = None, **config: Any) -> None:
        self.now = START
        blocks = initial_blocks(BlocksConfig(**config), ME, b"salt")
        self.state = Root(Clock(0, START), blocks.replace(warmth=0 if is_cold else 100))
        self.effects: list[Any] = []
        self.all: list[Any] = []
        self._streams = 0
        if tip is not None:
            self.feed(tip.tip)

    def copy(self) -> Lab:
        """A second lab that goes on from where this one is."""
        other = copy(self)
        other.effects, other.all = [*self.effects], [*self.all]
        return other

    @property
    def blocks(self) -> Blocks:
        """The slice."""
        return self.state.blocks

    def feed(self, action: Any) -> Lab:
        """Dispatch one input; leave whom the machine leaves."""
        self.state, effects, _ = MACHINE.dispatch(self.state, action, self.now)
        self.effects = list(effects)
        self.all += effects
        check_blocks(self.blocks)
        self._check_waiting()
        for effect in tuple(effects):
            if isinstance(effect, DisconnectionInit) and effect.connection_id in self.blocks.peers:
                self.state, more, _ = MACHINE.dispatch(self.state, BlocksPeerLeft(effect.connection_id), self.now)
                self.effects += more
                self.all += more
                check_blocks(self.blocks)
                self._check_waiting()
        return self

    def _check_waiting(self) -> None:
        """Few questions of a peer wait, and each for what comes of a block that is being checked, or for its turn."""
        for peer in self.blocks.peers.values():
            assert len(peer.waiting) <= self.blocks.config.questions_waiting_max
            for wait in peer.waiting:
                if wait.place is not None:
                    assert isinstance(wait.question, BlockGetBody)
                    assert self.blocks.queue_due_at is not None
                    continue
                candidate = self.blocks.candidate_of(wait.question.state_hash)
                assert candidate is not None
                assert candidate.is_checked
                assert self.blocks.holding(wait.question.state_hash) is None

    def wait(self, duration: int) -> Lab:
        """Let time pass, wait by wait."""
        end, effects = Timestamp(self.now + duration), list[Any]()
        while (at := self.blocks.deadlines.next_at()) is not None and at <= end:
            self.now = max(self.now, at)
            for key in self.blocks.deadlines.due(self.now, 100):
                self.feed(blocks_timeout(key))
                effects += self.effects
        self.now, self.effects = end, effects
        return self

    def join(self, *numbers: int) -> Lab:
        """Peers connect; each is its number in every byte."""
        for number in numbers:
            self.feed(BlocksPeerJoined(ConnectionId(number), PeerId(bytes([number]) * 32)))
        return self

    def know(self, sample: Sample, *places: int) -> Lab:
        """Items of a block are in the pools: those at some places, or all."""
        for place in places or range(len(sample.parts.items)):
            self.feed(BlocksItemKnown(sample.parts.items[place]))
        return self

    def requests(self, number: int) -> list[tuple[Ticket, BlockRequest]]:
        """What was asked of a peer, and not answered or withdrawn."""
        sent = [e for e in self.all if isinstance(e, BlocksRequestSend) and e.connection_id == number]
        return [(e.ticket, BLOCK_MESSAGE.decode(e.frame)) for e in sent if e.ticket in self.blocks.tickets]  # type: ignore[misc]

    def ticket(self, number: int, kind: type[Any]) -> Ticket:
        """The last open request of a kind at a peer."""
        return [ticket for ticket, request in self.requests(number) if isinstance(request, kind)][-1]

    def has_asked(self, number: int, kind: type[Any]) -> bool:
        """Whether such a request is open there."""
        return any(isinstance(request, kind) for _, request in self.requests(number))

    def answer(self, number: int, kind: type[Any], answer: BlockAnswer) -> Lab:
        """A peer answers."""
        return self.feed_answer(number, self.ticket(number, kind), BLOCK_MESSAGE.encode(answer))

    def feed_answer(self, number: int, ticket: Ticket, frame: bytes) -> Lab:
        """A peer answers one request."""
        return self.feed(BlocksAnswerReceived(ConnectionId(number), ticket, frame))

    def ask(self, number: int, request: BlockRequest) -> Lab:
        """A peer asks."""
        self._streams += 4
        return self.feed(BlocksRequestReceived(ConnectionId(number), StreamId(self._streams), BLOCK_MESSAGE.encode(request)))

    def verdict(self, *, is_valid: bool = True) -> Lab:
        """The node software judges the header that it was asked about last."""
        asked = [e for e in self.all if isinstance(e, BlockHeaderReceived)]
        return self.feed(BlocksVerdict(asked[-1].verdict_id, is_valid))

    def of(self, kind: type[T]) -> list[T]:
        """Effects of one class, of the last input."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def answers(self) -> list[tuple[int, Any]]:
        """What the last input made us answer, by peer."""
        sent = self.of(ChannelsEffectfulAnswerSend)
        return [(effect.connection_id, BLOCK_MESSAGE.decode(effect.frames[0])) for effect in sent]

    def blamed(self) -> dict[int, Reason]:
        """Whom all inputs so far made us leave or ban, and why."""
        found: dict[int, Reason] = {}
        for effect in self.all:
            if isinstance(effect, DisconnectionInit):
                found[effect.connection_id] = effect.reason
            elif isinstance(effect, PeerBan):
                found[effect.peer_id[0]] = effect.reason
        return found
