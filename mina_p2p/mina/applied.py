"""Transactions as the scan state holds them: applied, with what their proof needs. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.account import Account
from mina_p2p.mina.basics import (
    AccountId,
    CompressedPublicKey,
    CurrencyAmount,
    GlobalSlotSinceGenesis,
    LedgerHash,
    StateBodyHash,
    StateHash,
)
from mina_p2p.mina.commands import Coinbase, FeeTransfer, SignedCommand
from mina_p2p.mina.protocol_state import LedgerProofStatement, PendingCoinbaseStack
from mina_p2p.mina.sync_ledger import SparseLedger
from mina_p2p.mina.text import Positional, serde
from mina_p2p.mina.transaction_status import TransactionStatus
from mina_p2p.mina.zkapp import ZkappCommand
from mina_p2p.record import Record, record


@record
class SignedCommandWithStatus(Record):
    """``Signed_command_applied.Common.Stable.V2.user_command``."""

    data: SignedCommand
    status: TransactionStatus


@record
class SignedCommandAppliedCommon(Record):
    """``Signed_command_applied.Common.Stable.V2``."""

    user_command: SignedCommandWithStatus


@record
class PaymentApplied(Record):
    """A payment, and the accounts that it made."""

    new_accounts: tuple[AccountId, ...]


@record
class StakeDelegationApplied(Record):
    """A delegation, and the delegate before it."""

    previous_delegate: CompressedPublicKey | None


@record
class NothingApplied(Record):
    """The command failed."""


SignedCommandAppliedBody: TypeAlias = Annotated[
    PaymentApplied | StakeDelegationApplied | NothingApplied, serde("Payment", "StakeDelegation", "Failed")
]
"""``Signed_command_applied.Body.Stable.V2``"""


@record
class SignedCommandApplied(Record):
    """``Signed_command_applied.Stable.V2``."""

    common: SignedCommandAppliedCommon
    body: SignedCommandAppliedBody


@record
class ZkappCommandWithStatus(Record):
    """``Zkapp_command_applied.Stable.V1.command``."""

    data: ZkappCommand
    status: TransactionStatus


@record
class ZkappCommandApplied(Record):
    """``Zkapp_command_applied.Stable.V1``."""

    accounts: tuple[tuple[AccountId, Account | None], ...]
    command: ZkappCommandWithStatus
    new_accounts: tuple[AccountId, ...]


CommandApplied: TypeAlias = Annotated[SignedCommandApplied | ZkappCommandApplied, serde("SignedCommand", "ZkappCommand")]
"""``Command_applied.Stable.V2``"""


@record
class FeeTransferWithStatus(Record):
    """``Fee_transfer_applied.Stable.V2.fee_transfer``."""

    data: FeeTransfer
    status: TransactionStatus


@record
class FeeTransferApplied(Record):
    """``Fee_transfer_applied.Stable.V2``."""

    fee_transfer: FeeTransferWithStatus
    new_accounts: tuple[AccountId, ...]
    burned_tokens: CurrencyAmount


@record
class CoinbaseWithStatus(Record):
    """``Coinbase_applied.Stable.V2.coinbase``."""

    data: Coinbase
    status: TransactionStatus


@record
class CoinbaseApplied(Record):
    """``Coinbase_applied.Stable.V2``."""

    coinbase: CoinbaseWithStatus
    new_accounts: tuple[AccountId, ...]
    burned_tokens: CurrencyAmount


@record
class VaryingCommand(Positional):
    """A user's transaction."""

    command: CommandApplied


Varying: TypeAlias = Annotated[VaryingCommand | FeeTransferApplied | CoinbaseApplied, serde("Command", "FeeTransfer", "Coinbase")]
"""``Transaction_applied.Varying.Stable.V2``"""


@record
class TransactionApplied(Record):
    """``Mina_transaction_logic.Transaction_applied.Stable.V2``."""

    previous_hash: LedgerHash
    varying: Varying


@record
class InitStackBase(Positional):
    """The stack before the transaction."""

    stack: PendingCoinbaseStack


@record
class InitStackMerge(Record):
    """The stack follows from the transactions before."""


InitStack: TypeAlias = Annotated[InitStackBase | InitStackMerge, serde("Base", "Merge")]
"""``Mina_state__Snarked_ledger_state.Pending_coinbase_stack_state.Init_stack.Stable.V1``"""


@record
class TransactionWithWitness(Record):
    """``Transaction_snark_scan_state.Transaction_with_witness.Stable.V2``."""

    transaction_with_info: TransactionApplied
    state_hash: tuple[StateHash, StateBodyHash]
    statement: LedgerProofStatement
    init_stack: InitStack
    first_pass_ledger_witness: SparseLedger
    second_pass_ledger_witness: SparseLedger
    block_global_slot: GlobalSlotSinceGenesis
