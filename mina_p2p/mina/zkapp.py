"""zkApp commands. Names in double backquotes are the network's own.

A field of an update that is ``None`` is kept as it is; a precondition that is
``None`` is not checked.
"""

from __future__ import annotations

import enum
from typing import Annotated, TypeAlias

from mina_p2p.mina.account import Permissions, TokenSymbol, ZkappUri
from mina_p2p.mina.basics import (
    CompressedPublicKey,
    CurrencyAmount,
    CurrencyFee,
    EpochSeed,
    GlobalSlotSinceGenesis,
    GlobalSlotSpan,
    LedgerHash,
    Memo,
    Signature,
    SignedAmount,
    StateHash,
    TokenId,
)
from mina_p2p.mina.proof import RawProof, VerificationKey
from mina_p2p.mina.text import Positional, SexpBase64, yojson
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import Field, MaxItems, Padded, SetOrKeep, UInt32, Unit

_set_or_keep = SetOrKeep("Set", "Keep")
_check = SetOrKeep("Check", "Ignore")


@record
class TimingInfo(Record):
    """``Mina_base__Account_update.Update.Timing_info.Stable.V1``."""

    initial_minimum_balance: CurrencyAmount
    cliff_time: GlobalSlotSinceGenesis
    cliff_amount: CurrencyAmount
    vesting_period: GlobalSlotSpan
    vesting_increment: CurrencyAmount


@record
class Update(Record):
    """What changes in an account (``Mina_base__Account_update.Update.Stable.V1``)."""

    app_state: Annotated[tuple[Annotated[Field | None, _set_or_keep], ...], Padded(8)]
    delegate: Annotated[CompressedPublicKey | None, _set_or_keep]
    verification_key: Annotated[VerificationKey | None, _set_or_keep]
    permissions: Annotated[Permissions | None, _set_or_keep]
    zkapp_uri: Annotated[ZkappUri | None, _set_or_keep]
    token_symbol: Annotated[TokenSymbol | None, SetOrKeep("Set", "Keep", yojson=False)]
    timing: Annotated[TimingInfo | None, _set_or_keep]
    voting_for: Annotated[StateHash | None, _set_or_keep]


@record
class AmountInterval(Record):
    """Both ends belong to it."""

    lower: CurrencyAmount
    upper: CurrencyAmount


@record
class LengthInterval(Record):
    """Both ends belong to it."""

    lower: UInt32
    upper: UInt32


@record
class SlotInterval(Record):
    """Both ends belong to it."""

    lower: GlobalSlotSinceGenesis
    upper: GlobalSlotSinceGenesis


CheckField: TypeAlias = Annotated[Field | None, _check]
CheckBool: TypeAlias = Annotated[bool | None, _check]
CheckLedgerHash: TypeAlias = Annotated[LedgerHash | None, _check]
CheckStateHash: TypeAlias = Annotated[StateHash | None, _check]
CheckAmount: TypeAlias = Annotated[AmountInterval | None, _check]
CheckLength: TypeAlias = Annotated[LengthInterval | None, _check]
CheckSlot: TypeAlias = Annotated[SlotInterval | None, _check]


@record
class EpochLedgerPrecondition(Record):
    """``Mina_base__Zkapp_precondition.Protocol_state.Epoch_data.Stable.V1.epoch_ledger``."""

    hash: CheckLedgerHash
    total_currency: CheckAmount


@record
class EpochDataPrecondition(Record):
    """``Mina_base__Zkapp_precondition.Protocol_state.Epoch_data.Stable.V1``."""

    ledger: EpochLedgerPrecondition
    seed: Annotated[EpochSeed | None, _check]
    start_checkpoint: CheckStateHash
    lock_checkpoint: CheckStateHash
    epoch_length: CheckLength


@record
class NetworkPrecondition(Record):
    """``Mina_base__Zkapp_precondition.Protocol_state.Stable.V1``."""

    snarked_ledger_hash: CheckLedgerHash
    blockchain_length: CheckLength
    min_window_density: CheckLength
    total_currency: CheckAmount
    global_slot_since_genesis: CheckSlot
    staking_epoch_data: EpochDataPrecondition
    next_epoch_data: EpochDataPrecondition


@record
class AccountPrecondition(Record):
    """``Mina_base__Zkapp_precondition.Account.Stable.V2``."""

    balance: CheckAmount
    nonce: CheckLength
    receipt_chain_hash: CheckField
    delegate: Annotated[CompressedPublicKey | None, _check]
    state: Annotated[tuple[CheckField, ...], Padded(8)]
    action_state: CheckField
    proved_state: CheckBool
    is_new: CheckBool


@record
class Preconditions(Record):
    """``Mina_base__Account_update.Preconditions.Stable.V1``."""

    network: NetworkPrecondition
    account: AccountPrecondition
    valid_while: CheckSlot


class MayUseToken(enum.IntEnum):
    """``Mina_base__Account_update.May_use_token.Stable.V1``."""

    NO = 0
    PARENTS_OWN_TOKEN = 1
    INHERIT_FROM_PARENT = 2


@record
class SignatureKind(Record):
    """The update is authorized by a signature."""


@record
class ProofKind(Positional):
    """The update is authorized by a proof for the verification key with this hash."""

    verification_key_hash: Field


@record
class NoneGivenKind(Record):
    """The update is not authorized."""


AuthorizationKind: TypeAlias = Annotated[SignatureKind | ProofKind | NoneGivenKind, yojson("Signature", "Proof", "NoneGiven")]
"""``Mina_base__Account_update.Authorization_kind.Stable.V1``"""
Events: TypeAlias = tuple[Annotated[tuple[Field, ...], MaxItems(16)], ...]
"""``Mina_base__Account_update.Body.Events'.Stable.V1``"""


@record
class AccountUpdateBody(Record):
    """``Mina_base__Account_update.Body.Stable.V1``."""

    public_key: CompressedPublicKey
    token_id: TokenId
    update: Update
    balance_change: SignedAmount
    increment_nonce: bool
    events: Events
    actions: Events
    call_data: Field
    preconditions: Preconditions
    use_full_commitment: bool
    implicit_account_creation_fee: bool
    may_use_token: Annotated[MayUseToken, yojson()]
    authorization_kind: AuthorizationKind


@record
class ControlProof(Positional):
    """Authorized by a proof."""

    proof: Annotated[RawProof, SexpBase64()]


@record
class ControlSignature(Positional):
    """Authorized by a signature."""

    signature: Signature


@record
class ControlNoneGiven(Record):
    """Not authorized."""


Control: TypeAlias = Annotated[ControlProof | ControlSignature | ControlNoneGiven, yojson("Proof", "Signature", "NoneGiven")]
"""``Mina_base__Control.Stable.V2``"""


@record
class AccountUpdate(Record):
    """``Mina_base__Account_update.T.Stable.V1``."""

    body: AccountUpdateBody
    authorization: Control


@record
class CallTree(Record):
    """An account update and the updates that it calls. The digest is not on the wire."""

    account_update: AccountUpdate
    account_update_digest: Unit
    calls: tuple[CallForestItem, ...]


@record
class CallForestItem(Record):
    """A tree of a call forest. The hash is not on the wire."""

    elt: CallTree
    stack_hash: Unit = None


@record
class FeePayerBody(Record):
    """``Mina_base__Account_update.Body.Fee_payer.Stable.V1``."""

    public_key: CompressedPublicKey
    fee: CurrencyFee
    valid_until: GlobalSlotSinceGenesis | None
    nonce: UInt32


@record
class FeePayer(Record):
    """``Mina_base__Account_update.Fee_payer.Stable.V1``."""

    body: FeePayerBody
    authorization: Signature


@record
class ZkappCommand(Record):
    """``Mina_base__Zkapp_command.T.Stable.V1.Wire.Stable.V1``."""

    fee_payer: FeePayer
    account_updates: tuple[CallForestItem, ...]
    memo: Memo
