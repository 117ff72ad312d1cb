"""Protocol states: what a block says about the chain. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import (
    BlockTime,
    CoinbaseStackData,
    CoinbaseStackHash,
    CompressedPublicKey,
    CurrencyAmount,
    EpochSeed,
    FeeExcess,
    GlobalSlotSinceGenesis,
    GlobalSlotSinceHardFork,
    LedgerHash,
    PendingCoinbaseAux,
    PendingCoinbaseHash,
    SignedAmount,
    SignedFee,
    StagedLedgerAuxHash,
    StateHash,
)
from mina_p2p.mina.text import Base64Url, Hex
from mina_p2p.mina.transaction_status import FailureTable
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import ByteString, Field, UInt32, Unit

BodyReference: TypeAlias = Annotated[ByteString, Hex()]
"""``Consensus__Body_reference.Stable.V1``: 32 bytes."""
VrfOutput: TypeAlias = Annotated[ByteString, Base64Url()]
"""``Consensus_vrf.Output.Truncated.Stable.V1``: 32 bytes."""


@record
class NonSnarkStagedLedgerHash(Record):
    """``Mina_base__Staged_ledger_hash.Non_snark.Stable.V1``."""

    ledger_hash: LedgerHash
    aux_hash: StagedLedgerAuxHash
    pending_coinbase_aux: PendingCoinbaseAux


@record
class StagedLedgerHash(Record):
    """``Mina_base__Staged_ledger_hash.Stable.V1``."""

    non_snark: NonSnarkStagedLedgerHash
    pending_coinbase_hash: PendingCoinbaseHash


@record
class PendingCoinbaseStateStack(Record):
    """``Mina_base__Pending_coinbase.State_stack.Stable.V1``."""

    init: CoinbaseStackHash
    curr: CoinbaseStackHash


@record
class PendingCoinbaseStack(Record):
    """``Mina_base__Pending_coinbase.Stack_versioned.Stable.V1``."""

    data: CoinbaseStackData
    state: PendingCoinbaseStateStack


@record
class LocalState(Record):
    """``Mina_transaction_logic__Zkapp_command_logic.Local_state.Value.Stable.V1``."""

    stack_frame: Field
    call_stack: Field
    transaction_commitment: Field
    full_transaction_commitment: Field
    excess: SignedFee
    supply_increase: SignedFee
    ledger: LedgerHash
    success: bool
    account_update_index: UInt32
    failure_status_tbl: FailureTable
    will_succeed: bool


@record
class Registers(Record):
    """One end of a ledger transition."""

    first_pass_ledger: LedgerHash
    second_pass_ledger: LedgerHash
    pending_coinbase_stack: PendingCoinbaseStack
    local_state: LocalState


@record
class LedgerProofStatement(Record):
    """What a ledger proof says (``Mina_state__Snarked_ledger_state.Stable.V2``)."""

    source: Registers
    target: Registers
    connecting_ledger_left: LedgerHash
    connecting_ledger_right: LedgerHash
    supply_increase: SignedAmount
    fee_excess: FeeExcess
    sok_digest: Unit = None


@record
class LedgerProofStatementWithSok(Record):
    """The same with the digest of who made the proof (``With_sok.Stable.V2``)."""

    source: Registers
    target: Registers
    connecting_ledger_left: LedgerHash
    connecting_ledger_right: LedgerHash
    supply_increase: SignedAmount
    fee_excess: FeeExcess
    sok_digest: ByteString


@record
class BlockchainState(Record):
    """``Mina_state__Blockchain_state.Value.Stable.V2``."""

    staged_ledger_hash: StagedLedgerHash
    genesis_ledger_hash: LedgerHash
    ledger_proof_statement: LedgerProofStatement
    timestamp: BlockTime
    body_reference: BodyReference


@record
class ConsensusGlobalSlot(Record):
    """``Consensus__Global_slot.Stable.V1``."""

    slot_number: GlobalSlotSinceHardFork
    slots_per_epoch: UInt32


@record
class EpochLedger(Record):
    """``Mina_base__Epoch_ledger.Value.Stable.V1``."""

    hash: LedgerHash
    total_currency: CurrencyAmount


@record
class EpochData(Record):
    """``Staking_value_versioned.Value.Stable.V1`` and ``Next_value_versioned.Value.Stable.V1``."""

    ledger: EpochLedger
    seed: EpochSeed
    start_checkpoint: StateHash
    lock_checkpoint: StateHash
    epoch_length: UInt32


@record
class ConsensusState(Record):
    """``Consensus__Proof_of_stake.Data.Consensus_state.Value.Stable.V2``."""

    blockchain_length: UInt32
    epoch_count: UInt32
    min_window_density: UInt32
    sub_window_densities: tuple[UInt32, ...]
    last_vrf_output: VrfOutput
    total_currency: CurrencyAmount
    curr_global_slot_since_hard_fork: ConsensusGlobalSlot
    global_slot_since_genesis: GlobalSlotSinceGenesis
    staking_epoch_data: EpochData
    next_epoch_data: EpochData
    has_ancestor_in_same_checkpoint_window: bool
    block_stake_winner: CompressedPublicKey
    block_creator: CompressedPublicKey
    coinbase_receiver: CompressedPublicKey
    supercharge_coinbase: bool


@record
class ProtocolConstants(Record):
    """``Mina_base__Protocol_constants_checked.Value.Stable.V1``."""

    k: UInt32
    slots_per_epoch: UInt32
    slots_per_sub_window: UInt32
    grace_period_slots: UInt32
    delta: UInt32
    genesis_state_timestamp: BlockTime


@record
class ProtocolStateBody(Record):
    """``Mina_state__Protocol_state.Body.Value.Stable.V2``."""

    genesis_state_hash: StateHash
    blockchain_state: BlockchainState
    consensus_state: ConsensusState
    constants: ProtocolConstants


@record
class ProtocolState(Record):
    """``Mina_state__Protocol_state.Value.Stable.V2``. Its hash is the state hash of its block."""

    previous_state_hash: StateHash
    body: ProtocolStateBody
