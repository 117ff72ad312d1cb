"""Transactions that users send, and the ones that blocks make. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import CompressedPublicKey, CurrencyAmount, CurrencyFee, GlobalSlotSinceGenesis, Memo, Signature, TokenId
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.mina.text import Positional, serde, yojson
from mina_p2p.mina.transaction_status import TransactionStatus
from mina_p2p.mina.zkapp import ZkappCommand
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import Polymorphic, Tagged, UInt32


@record
class SignedCommandCommon(Record):
    """``Mina_base__Signed_command_payload.Common.Stable.V2``."""

    fee: CurrencyFee
    fee_payer_pk: CompressedPublicKey
    nonce: UInt32
    valid_until: GlobalSlotSinceGenesis
    memo: Memo


@record
class Payment(Record):
    """``Mina_base__Payment_payload.Stable.V2``."""

    receiver_pk: CompressedPublicKey
    amount: CurrencyAmount


@record
class SetDelegate(Record):
    """The one constructor of ``Mina_base__Stake_delegation.Stable.V2``."""

    new_delegate: CompressedPublicKey


@record
class StakeDelegation(Positional):
    """Lets another key produce blocks with the stake."""

    delegation: Annotated[SetDelegate, Tagged(0, "SetDelegate"), yojson("SetDelegate")]


SignedCommandBody: TypeAlias = Annotated[Payment | StakeDelegation, yojson("Payment", "StakeDelegation")]
"""``Mina_base__Signed_command_payload.Body.Stable.V2``"""


@record
class SignedCommandPayload(Record):
    """``Mina_base__Signed_command_payload.Stable.V2``."""

    common: SignedCommandCommon
    body: SignedCommandBody


@record
class SignedCommand(Record):
    """``Mina_base__Signed_command.Stable.V2``."""

    payload: SignedCommandPayload
    signer: CompressedPublicKey
    signature: Signature


UserCommand: TypeAlias = Annotated[SignedCommand | ZkappCommand, yojson("SignedCommand", "ZkappCommand")]
"""``Mina_base__User_command.Stable.V2``"""


@record
class UserCommandWithStatus(Record):
    """A transaction in a block."""

    data: RawUserCommand
    status: TransactionStatus


@record
class FeeTransferSingle(Record):
    """``Mina_base__Fee_transfer.Single.Stable.V2``."""

    receiver_pk: CompressedPublicKey
    fee: CurrencyFee
    fee_token: TokenId


@record
class FeeTransferOne(Positional):
    """To one receiver."""

    single: FeeTransferSingle


@record
class FeeTransferTwo(Positional):
    """To two receivers."""

    pair: tuple[FeeTransferSingle, FeeTransferSingle]


FeeTransfer: TypeAlias = Annotated[FeeTransferOne | FeeTransferTwo, Polymorphic(("One", "Two")), serde("One", "Two")]
"""``Mina_base__Fee_transfer.Stable.V2``"""


@record
class CoinbaseFeeTransfer(Record):
    """``Mina_base__Coinbase_fee_transfer.Stable.V1``."""

    receiver_pk: CompressedPublicKey
    fee: CurrencyFee


@record
class Coinbase(Record):
    """``Mina_base__Coinbase.Stable.V1``."""

    receiver: CompressedPublicKey
    amount: CurrencyAmount
    fee_transfer: CoinbaseFeeTransfer | None


@record
class TransactionCommand(Positional):
    """A user's transaction."""

    command: RawUserCommand


@record
class TransactionFeeTransfer(Positional):
    """Fees for block producer and snark workers."""

    fee_transfer: FeeTransfer


@record
class TransactionCoinbase(Positional):
    """The block reward."""

    coinbase: Coinbase


Transaction: TypeAlias = Annotated[
    TransactionCommand | TransactionFeeTransfer | TransactionCoinbase, serde("Command", "FeeTransfer", "Coinbase")
]
"""``Mina_transaction__Transaction.Stable.V2``"""
