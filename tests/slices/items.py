"""Small valid things to spread: payments, snark works, commitments, blocks, each a function of a number."""

from __future__ import annotations

from functools import cache
from typing import Any

from mina_p2p.channels.snark.messages import SnarkInfo
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.ids import ChannelId
from mina_p2p.mina.basics import CompressedPublicKey, SnarkJobId
from mina_p2p.mina.block import Block
from mina_p2p.mina.commands import UserCommand
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.snark_work import Snark
from mina_p2p.pool.actions import PoolInsert
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.pool.kinds import KINDS
from mina_p2p.wire import Codec, codec

_ZEROS = bytes(1 << 16)
_TAG_OF_ONE_PROOF = bytes.fromhex("8da47800")
_USER_COMMAND: Codec[Any] = codec(UserCommand)


def _zero(of: Any, prefix: bytes = b"") -> Any:
    """The value that is written as zeros, after a prefix that chooses a variant."""
    value, _ = codec(of).decode_from(prefix + _ZEROS, 0)
    return value


def word(n: int) -> bytes:
    """32 bytes that say ``n``."""
    return n.to_bytes(32, "little")


def public_key(n: int) -> CompressedPublicKey:
    """Somebody's key."""
    return CompressedPublicKey(word(n), False)


@cache
def payment(n: int, *, fee: int = 0) -> RawUserCommand:
    """A payment; its fee is ``n`` unless given."""
    command = _zero(UserCommand)
    common = command.payload.common.replace(fee=fee or n, fee_payer_pk=public_key(n), nonce=n)
    return RawUserCommand(_USER_COMMAND.encode(command.replace(payload=command.payload.replace(common=common))))


def payment_info(n: int, *, fee: int = 0) -> TransactionInfo:
    """What is announced of it."""
    return transaction_info(payment(n, fee=fee))


@cache
def snark(job: int, *, fee: int = 10, prover: int = 1) -> RawSnark:
    """A snark work for a job."""
    work = _zero(Snark, bytes(34) + _TAG_OF_ONE_PROOF)
    proof = work.proofs.proof
    source = proof.statement.source.replace(first_pass_ledger=word(job))
    proofs = work.proofs.replace(proof=proof.replace(statement=proof.statement.replace(source=source)))
    return RawSnark(codec(Snark).encode(work.replace(snarker=public_key(prover), fee=fee, proofs=proofs)))


def job_info(job: int, *, fee: int = 10, prover: int = 1) -> SnarkInfo:
    """What is announced of a snark work."""
    return snark_info(snark(job, fee=fee, prover=prover))


def job_id(job: int) -> SnarkJobId:
    """The id of a job."""
    return SnarkJobId(word(job), word(0), word(0), word(0))


def commitment(job: int, *, fee: int = 10, snarker: int = 1) -> SnarkJobCommitment:
    """A commitment to a job."""
    return SnarkJobCommitment(1_700_000_000_000, job_id(job), fee, public_key(snarker))


@cache
def block(height: int) -> RawBlock:
    """A block, of which only the height differs from the next."""
    empty = _zero(Block)
    state = empty.header.protocol_state
    chain = state.body.blockchain_state.replace(body_reference=bytes(32))
    consensus = state.body.consensus_state.replace(last_vrf_output=bytes(32), blockchain_length=height)
    body = state.body.replace(blockchain_state=chain, consensus_state=consensus)
    header = empty.header.replace(protocol_state=state.replace(body=body))
    return RawBlock(codec(Block).encode(empty.replace(header=header)))


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
