"""Items for simulations: what honest nodes spread, and what liars pass off as such."""

from __future__ import annotations

from functools import cache, cached_property
from hashlib import blake2b
from typing import Final

from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.ids import ChannelId
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.hashes import BlockSummary, summary_of
from mina_p2p.mina.protocol_state import ConsensusState
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.pool.actions import PoolInsert
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.pool.kinds import KINDS, identity
from mina_p2p.record import Record, record
from mina_p2p.testing.mina import MinaGenerator

SNARK_JOBS: Final = 3
FAKES: Final = 8
_TIMESTAMP_MS: Final = 1_700_000_000_000


@record
class Piece(Record):
    """One item for a pool."""

    channel: ChannelId
    key: bytes
    info: PropagationItem
    body: bytes

    @property
    def insert(self) -> PoolInsert:
        """The command that spreads it."""
        return PoolInsert(self.channel, self.key, self.info, self.body)


@record
class Tip(Record):
    """One block that can be a best tip."""

    block: RawBlock
    summary: BlockSummary
    consensus: ConsensusState

    def is_better_than(self, other: Tip) -> bool:
        """Whether a node with ``other`` changes to this one."""
        return select_chain(other.consensus, self.consensus, other.summary.state_hash, self.summary.state_hash).take


class Stock:
    """What there is to spread in a simulation.

    Signatures and proofs here are random, so nobody can check them; instead `is_genuine` knows
    what an honest node made.
    """

    def __init__(self, transactions: int) -> None:
        """Make so many transactions, a few snark works, commitments to them, and the blocks of a small fork."""
        self._generator = MinaGenerator(transactions)
        self.transactions = tuple(self._payment() for _ in range(transactions))
        self.fakes = tuple(self._payment() for _ in range(FAKES))
        """Payments that no honest node made."""
        self.snarks = tuple(piece for _ in range(SNARK_JOBS) for piece in self._snarks_for_one_job())
        """Two for each job, of which one is better."""
        self.commitments = tuple(self._commitment(number, piece) for number, piece in enumerate(self.snarks[::2]))
        self._genuine = frozenset(map(_digest, (*self.transactions, *self.snarks, *self.commitments)))

    @cached_property
    def tips(self) -> tuple[Tip, ...]:
        """A block, two that compete to follow it, and one after the first of these."""
        generator = self._generator
        root = generator.genesis()
        left = generator.block(root, commands=())
        right = generator.block(root, slots=2, commands=())
        blocks = (root, left, right, generator.block(left, slots=3, commands=()))
        return tuple(Tip(RawBlock.of(b), summary_of(b), b.header.protocol_state.body.consensus_state) for b in blocks)

    @cached_property
    def _tips_by_hash(self) -> dict[bytes, Tip]:
        return {tip.summary.state_hash: tip for tip in self.tips}

    def tip(self, state_hash: bytes) -> Tip | None:
        """The block of that name, if an honest node made one."""
        return self._tips_by_hash.get(state_hash)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All genuine items for pools."""
        return *self.transactions, *self.snarks, *self.commitments

    def is_genuine(self, channel: ChannelId, info: PropagationItem, body: bytes) -> bool:
        """What a node software that checks signatures and proofs would say."""
        return _digest(Piece(channel, KINDS[channel].key(info), info, body)) in self._genuine

    def _payment(self) -> Piece:
        raw = RawUserCommand.of(self._generator.payment())
        info = transaction_info(raw)
        return Piece(ChannelId.TRANSACTION, info.hash, info, bytes(raw))

    def _snarks_for_one_job(self) -> tuple[Piece, Piece]:
        dear = self._generator.snark()
        cheap = dear.replace(fee=dear.fee // 2 + 1, snarker=self._generator.public_key())
        dear = dear.replace(fee=dear.fee + 2_000_000)
        first, second = (RawSnark.of(work) for work in (dear, cheap))
        return self._snark(first), self._snark(second)

    def _snark(self, raw: RawSnark) -> Piece:
        info = snark_info(raw)
        return Piece(ChannelId.SNARK, KINDS[ChannelId.SNARK].key(info), info, bytes(raw))

    def _commitment(self, number: int, snark: Piece) -> Piece:
        work = snark_info(RawSnark(snark.body))
        info = SnarkJobCommitment(_TIMESTAMP_MS + number, work.job_id, work.fee, work.prover)
        channel = ChannelId.SNARK_JOB_COMMITMENT
        return Piece(channel, KINDS[channel].key(info), info, b"")


@cache
def stock(transactions: int) -> Stock:
    """The items of every simulation with so many transactions; made once, because blocks and proofs take long to make."""
    return Stock(transactions)


def _digest(piece: Piece) -> bytes:
    made = blake2b(piece.key, digest_size=16)
    made.update(identity(piece.channel, piece.info))
    made.update(piece.body)
    return made.digest()
