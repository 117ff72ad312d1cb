"""Small valid things to spread: payments, snark works, commitments, blocks, each a function of a number."""

from __future__ import annotations

from functools import cache

from mina_p2p.channels.snark.messages import SnarkInfo
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.ids import ChannelId
from mina_p2p.mina.basics import CompressedPublicKey
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.pool.actions import PoolInsert
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.pool.kinds import KINDS
from mina_p2p.testing.mina import MinaGenerator


@cache
def public_key(n: int) -> CompressedPublicKey:
    """Somebody's key."""
    return MinaGenerator(n).public_key()


@cache
def payment(n: int, *, fee: int = 0) -> RawUserCommand:
    """A payment; its fee is ``n`` unless given."""
    command = MinaGenerator(n).payment(nonce=n)
    common = command.payload.common.replace(fee=fee or n)
    return RawUserCommand.of(command.replace(payload=command.payload.replace(common=common)))


def payment_info(n: int, *, fee: int = 0) -> TransactionInfo:
    """What is announced of it."""
    return transaction_info(payment(n, fee=fee))


@cache
def snark(job: int, *, fee: int = 10, prover: int = 1) -> RawSnark:
    """A snark work for a job."""
    return RawSnark.of(MinaGenerator(job).snark().replace(fee=fee, snarker=public_key(prover)))


def job_info(job: int, *, fee: int = 10, prover: int = 1) -> SnarkInfo:
    """What is announced of a snark work."""
    return snark_info(snark(job, fee=fee, prover=prover))


def commitment(job: int, *, fee: int = 10, snarker: int = 1) -> SnarkJobCommitment:
    """A commitment to a job."""
    return SnarkJobCommitment(1_700_000_000_000, job_info(job).job_id, fee, public_key(snarker))


@cache
def block(height: int) -> RawBlock:
    """A block, of its own chain."""
    return RawBlock.of(MinaGenerator(height).genesis())


@cache
def chain(length: int) -> tuple[RawBlock, ...]:
    """Blocks that follow one another."""
    return tuple(RawBlock.of(one) for one in MinaGenerator(5).chain(length))


@cache
def state_hash(height: int) -> bytes:
    """The state hash of that block."""
    return state_hash_of_block(block(height))


def insert_payment(n: int) -> PoolInsert:
    """The command that puts a payment into the pool."""
    return PoolInsert(ChannelId.TRANSACTION, payment_info(n).hash, payment_info(n), payment(n))


def insert_snark(job: int, *, fee: int = 10, prover: int = 1) -> PoolInsert:
    """The command that puts a snark work into the pool."""
    info = job_info(job, fee=fee, prover=prover)
    return PoolInsert(ChannelId.SNARK, KINDS[ChannelId.SNARK].key(info), info, snark(job, fee=fee, prover=prover))


def insert_commitment(job: int, *, fee: int = 10) -> PoolInsert:
    """The command that puts a commitment into the pool."""
    info = commitment(job, fee=fee)
    return PoolInsert(ChannelId.SNARK_JOB_COMMITMENT, KINDS[ChannelId.SNARK_JOB_COMMITMENT].key(info), info, b"")
