"""Hashes and ids that follow from bytes: of transactions, states, block bodies and snark jobs.

Functions that take bytes raise `DecodeError` where these are not what they should
be. Source: spec wire-types 3.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b, sha256
from struct import Struct
from typing import Final

from mina_p2p.errors import DecodeError
from mina_p2p.mina import text
from mina_p2p.mina.basics import CompressedPublicKey, Signature, SignedAmount, SignedFee, SnarkJobId
from mina_p2p.mina.block import Block, BlockBody
from mina_p2p.mina.commands import SignedCommand
from mina_p2p.mina.dummy_proof import dummy_transaction_proof
from mina_p2p.mina.poseidon import HashInput, hash_fields
from mina_p2p.mina.protocol_state import EpochData, ProtocolState, ProtocolStateBody, Registers
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.snark_work import OneProof, TwoProofs, job_id
from mina_p2p.mina.zkapp import CallForestItem, Control, ControlNoneGiven, ControlProof, ControlSignature, ZkappCommand
from mina_p2p.record import Record, record
from mina_p2p.wire import codec

HASH_SIZE: Final = 32
_ONE: Final = (1).to_bytes(32, "little")
_DUMMY_SIGNATURE: Final = Signature(_ONE, _ONE)
_SIGNATURE_SIZE: Final = 64

_BITSWAP_BLOCK_SIZE: Final = 262_144
_BITSWAP_LINKS_MAX: Final = (_BITSWAP_BLOCK_SIZE - 2) // HASH_SIZE
_U32: Final = Struct("<I")
_U16: Final = Struct("<H")


@record
class BlockSummary(Record):
    """What the best-tip channel and chain selection ask of a block first."""

    state_hash: bytes
    previous_state_hash: bytes
    height: int
    """Length of the chain up to this block."""
    global_slot: int
    """Slots since the last hard fork."""


_SUMMARIES_MAX: Final = 256
_summaries: Final[dict[bytes, BlockSummary]] = {}
"""Of the blocks asked about last, oldest first. What is remembered follows from the key, so nobody can tell but by the clock."""


def _blake2b(data: bytes) -> bytes:
    return blake2b(data, digest_size=HASH_SIZE).digest()


def transaction_hash(raw_user_command: bytes) -> bytes:
    """The 32-byte hash of a transaction, from its wire bytes with the tag.

    Authorizations do not count: the same transaction signed anew has the same hash.

    :raises DecodeError: no transaction.
    """
    raw = raw_user_command if isinstance(raw_user_command, RawUserCommand) else RawUserCommand(raw_user_command)
    command = raw.value
    if isinstance(command, SignedCommand):
        return _blake2b(raw[1:-_SIGNATURE_SIZE] + _ONE + _ONE)
    return _blake2b(codec(ZkappCommand).encode(_without_authorizations(command)))


def transaction_id_text(digest: bytes) -> str:
    """The text form ``5J…`` of a transaction hash."""
    return text.TRANSACTION_HASH.text(digest)


def _without_authorizations(command: ZkappCommand) -> ZkappCommand:
    return command.replace(
        fee_payer=command.fee_payer.replace(authorization=_DUMMY_SIGNATURE),
        account_updates=_dummy_forest(command.account_updates),
    )


def _dummy_forest(forest: tuple[CallForestItem, ...]) -> tuple[CallForestItem, ...]:
    # As deep as the decoder allows, or as the caller's own value is.
    return tuple(_dummy_tree(item) for item in forest)


def _dummy_tree(item: CallForestItem) -> CallForestItem:
    tree = item.elt
    update = tree.account_update.replace(authorization=_dummy_authorization(tree.account_update.authorization))
    return CallForestItem(tree.replace(account_update=update, calls=_dummy_forest(tree.calls)))


def _dummy_authorization(authorization: Control) -> Control:
    match authorization:
        case ControlProof():
            return ControlProof(dummy_transaction_proof())
        case ControlSignature():
            return ControlSignature(_DUMMY_SIGNATURE)
        case ControlNoneGiven():
            return authorization


def state_hash_from_body(previous_state_hash: bytes, body_hash: bytes) -> bytes:
    """The state hash over a previous state hash and a body hash, as chain proofs use it.

    :raises ValueError: where one is not below the modulus.
    """
    fields = [int.from_bytes(previous_state_hash, "little"), int.from_bytes(body_hash, "little")]
    return hash_fields("MinaProtoState", fields).to_bytes(HASH_SIZE, "little")


def state_hash(state: ProtocolState) -> bytes:
    """The hash that names a block.

    :raises ValueError: where a field of the state is not below the modulus.
    """
    return state_hash_from_body(state.previous_state_hash, state_body_hash(state.body))


def state_body_hash(body: ProtocolStateBody) -> bytes:
    """The hash of a protocol state without its link to the one before.

    :raises ValueError: where a field is not below the modulus.
    """
    return hash_fields("MinaProtoStateBody", _state_body_input(body).to_fields()).to_bytes(HASH_SIZE, "little")


def chain_proof_end(start: bytes, body_hashes: tuple[bytes, ...]) -> bytes:
    """The state hash that a chain proof ends at: best tips and ``get_transition_chain_proof`` are checked with it.

    :raises ValueError: where a hash is not below the modulus.
    """
    for body_hash in body_hashes:
        start = state_hash_from_body(start, body_hash)
    return start


def state_hash_of_block(raw_block: bytes) -> bytes:
    """The state hash of a block's wire bytes.

    :raises DecodeError: no block, or a field of its state is not below the modulus.
    """
    return block_summary(raw_block).state_hash


def block_summary(raw_block: bytes) -> BlockSummary:
    """The few facts that decide about a block.

    The whole block is decoded and its state hashed, which takes milliseconds, and a node hears of
    the same block from every peer: the last summaries are remembered, by the digest of the bytes.

    :raises DecodeError: no block, or a field of its state is not below the modulus.
    """
    digest = _blake2b(raw_block)
    known = _summaries.get(digest)
    if known is None:
        raw = raw_block if isinstance(raw_block, RawBlock) else RawBlock(raw_block)
        known = summary_of(raw.value)
        if len(_summaries) >= _SUMMARIES_MAX:
            del _summaries[next(iter(_summaries))]
        _summaries[digest] = known
    return known


def summary_of(block: Block) -> BlockSummary:
    """The same of a decoded block.

    :raises DecodeError: a field of its state is not below the modulus.
    """
    state = block.header.protocol_state
    try:
        digest = state_hash(state)
    except ValueError as error:
        raise DecodeError("header.protocol_state", 0, str(error)) from None
    consensus = state.body.consensus_state
    slot = consensus.curr_global_slot_since_hard_fork.slot_number
    return BlockSummary(digest, state.previous_state_hash, consensus.blockchain_length, slot)


def body_reference(body: BlockBody) -> bytes:
    """The root hash of a block body's Bitswap tree, which the block's header promises."""
    return body_reference_of_bytes(codec(BlockBody).encode(body))


def body_reference_of_bytes(raw: bytes) -> bytes:
    """The same from the body's wire bytes (spec: wire-types 3.4)."""
    data = _U32.pack(len(raw) + 1) + b"\x00" + raw
    size = len(data)
    room = _BITSWAP_BLOCK_SIZE - 2
    if size <= room:
        return _bitswap_block([], data)
    total = -(-(size - HASH_SIZE) // (room - HASH_SIZE))
    last_leaf = size - (room - HASH_SIZE) * (total - 1)
    full, part = divmod(total - 1, _BITSWAP_LINKS_MAX)
    leaves = total - full - (1 if part else 0)
    shapes = [(0, last_leaf)] + [(0, room)] * (leaves - 1)
    if part:
        shapes.append((part, room - HASH_SIZE * part))
    shapes += [(_BITSWAP_LINKS_MAX, room - HASH_SIZE * _BITSWAP_LINKS_MAX)] * full
    waiting: deque[bytes] = deque()
    end = size
    for links, length in shapes:
        taken = [waiting.popleft() for _ in range(links)]
        waiting.append(_bitswap_block(taken[::-1], data[end - length : end]))
        end -= length
    (root,) = waiting
    return root


def _bitswap_block(links: list[bytes], data: bytes) -> bytes:
    return _blake2b(_U16.pack(len(links)) + b"".join(links) + data)


def snark_job_id_of(raw_snark: bytes) -> SnarkJobId:
    """Which job a snark work of the pull protocol's RPC is for.

    :raises DecodeError: no snark work.
    """
    raw = raw_snark if isinstance(raw_snark, RawSnark) else RawSnark(raw_snark)
    return job_id(raw.value.proofs)


def snark_job_id_text(value: SnarkJobId) -> str:
    """``source_source-target_target``, in ledger hashes."""
    first, second, third, fourth = map(text.LEDGER_HASH.text, _job_hashes(value))
    return f"{first}_{second}-{third}_{fourth}"


def parse_snark_job_id(value: str) -> SnarkJobId:
    """Read the text form.

    :raises ValueError: another form.
    :raises Base58Error: one of its parts is no Base58Check text.
    """
    parts = [part for half in value.split("-") for part in half.split("_")]
    if len(parts) != 4 or value.count("-") != 1:
        raise ValueError("a snark job id has four ledger hashes")
    first, second, third, fourth = map(text.LEDGER_HASH.parse, parts)
    return SnarkJobId(first, second, third, fourth)


def snark_tie_breaker(proofs: OneProof | TwoProofs, prover: CompressedPublicKey) -> bytes:
    """Decides between two works for the same job and fee; greater wins."""
    return sha256(b"".join(_job_hashes(job_id(proofs))) + prover.x).digest()


def snark_order_key(job: SnarkJobId, fee: int, prover: CompressedPublicKey) -> tuple[tuple[int, ...], int, bytes]:
    """A key under which the better of two snark works is the greater one (spec: wire-types 3.6)."""
    hashes = _job_hashes(job)
    return tuple(int.from_bytes(part, "little") for part in hashes), -fee, sha256(b"".join(hashes) + prover.x).digest()


def _job_hashes(value: SnarkJobId) -> tuple[bytes, bytes, bytes, bytes]:
    return (
        value.source_first_pass_ledger,
        value.source_second_pass_ledger,
        value.target_first_pass_ledger,
        value.target_second_pass_ledger,
    )


def _state_body_input(body: ProtocolStateBody) -> HashInput:
    made = HashInput()
    constants = body.constants
    for number in (constants.k, constants.delta, constants.slots_per_epoch, constants.slots_per_sub_window, constants.grace_period_slots):
        made.u32(number)
    made.u64(constants.genesis_state_timestamp)
    made.field(body.genesis_state_hash)
    chain = body.blockchain_state
    staged = chain.staged_ledger_hash
    digest = sha256(staged.non_snark.ledger_hash[::-1] + staged.non_snark.aux_hash + staged.non_snark.pending_coinbase_aux).digest()
    made.bits(digest, 256)
    made.field(staged.pending_coinbase_hash)
    made.field(chain.genesis_ledger_hash)
    statement = chain.ledger_proof_statement
    _add_registers(made, statement.source)
    _add_registers(made, statement.target)
    made.field(statement.connecting_ledger_left)
    made.field(statement.connecting_ledger_right)
    _add_amount(made, statement.supply_increase)
    for excess in (statement.fee_excess.left, statement.fee_excess.right):
        made.field(excess.token)
        _add_amount(made, excess.amount)
    made.u64(chain.timestamp)
    made.bits(chain.body_reference, 256)
    consensus = body.consensus_state
    for number in (consensus.blockchain_length, consensus.epoch_count, consensus.min_window_density, *consensus.sub_window_densities):
        made.u32(number)
    made.bits(consensus.last_vrf_output, 253)
    made.u64(consensus.total_currency)
    made.u32(consensus.curr_global_slot_since_hard_fork.slot_number)
    made.u32(consensus.curr_global_slot_since_hard_fork.slots_per_epoch)
    made.u32(consensus.global_slot_since_genesis)
    made.bool(consensus.has_ancestor_in_same_checkpoint_window)
    made.bool(consensus.supercharge_coinbase)
    _add_epoch(made, consensus.staking_epoch_data)
    _add_epoch(made, consensus.next_epoch_data)
    for key in (consensus.block_stake_winner, consensus.block_creator, consensus.coinbase_receiver):
        made.field(key.x)
        made.bool(key.is_odd)
    return made


def _add_registers(made: HashInput, registers: Registers) -> None:
    made.field(registers.first_pass_ledger)
    made.field(registers.second_pass_ledger)
    made.field(registers.pending_coinbase_stack.data)
    made.field(registers.pending_coinbase_stack.state.init)
    made.field(registers.pending_coinbase_stack.state.curr)
    local = registers.local_state
    made.field(local.stack_frame)
    made.field(local.call_stack)
    made.field(local.transaction_commitment)
    made.field(local.full_transaction_commitment)
    _add_amount(made, local.excess)
    _add_amount(made, local.supply_increase)
    made.field(local.ledger)
    made.u32(local.account_update_index)
    made.bool(local.success)
    made.bool(local.will_succeed)


def _add_amount(made: HashInput, amount: SignedAmount | SignedFee) -> None:
    made.u64(amount.magnitude)
    made.bool(amount.sgn == 0)


def _add_epoch(made: HashInput, epoch: EpochData) -> None:
    made.field(epoch.seed)
    made.field(epoch.start_checkpoint)
    made.u32(epoch.epoch_length)
    made.field(epoch.ledger.hash)
    made.u64(epoch.ledger.total_currency)
    made.field(epoch.lock_checkpoint)
