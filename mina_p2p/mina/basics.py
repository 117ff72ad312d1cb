"""Small types that most of Mina's messages share.

Names in double backquotes are the network's own (OCaml) names of the types.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, TypeAlias

from mina_p2p.mina import text
from mina_p2p.mina.text import Base58Check, DecimalMina, Positional, Text, yojson
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import BYTES_LIMIT, ByteString, Field, FixedBytes, MaxBytes, Tagged, UInt32, UInt64

CurrencyFee: TypeAlias = Annotated[UInt64, DecimalMina()]
"""Nanomina (``Currency.Fee.Stable.V1``)."""
CurrencyAmount: TypeAlias = UInt64
"""Nanomina (``Currency.Amount.Stable.V1``, ``Currency.Balance.Stable.V1``)."""
BlockTime: TypeAlias = UInt64
"""Milliseconds since the Unix epoch (``Block_time.Time.Stable.V1``)."""
GlobalSlotSinceGenesis: TypeAlias = Annotated[UInt32, Tagged(0)]
"""Slots since the genesis of the chain before the hard fork (``Mina_numbers__Global_slot_since_genesis.M.Stable.V1``)."""
GlobalSlotSinceHardFork: TypeAlias = Annotated[UInt32, Tagged(0)]
"""Slots since the last hard fork (``Mina_numbers__Global_slot_since_hard_fork.M.Stable.V1``)."""
GlobalSlotSpan: TypeAlias = Annotated[UInt32, Tagged(0, "GlobalSlotSpan")]
"""A number of slots (``Mina_numbers__Global_slot_span.Stable.V1``)."""

StateHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.STATE_HASH]
"""``Data_hash_lib__State_hash.Stable.V1``, printed ``3N…``."""
StateBodyHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.STATE_BODY_HASH]
"""``Mina_base__State_body_hash.Stable.V1``, printed ``3W…``."""
LedgerHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.LEDGER_HASH]
"""``Mina_base__Ledger_hash0.Stable.V1``, printed ``j…``."""
EpochSeed: TypeAlias = Annotated[bytes, FixedBytes(32), text.EPOCH_SEED]
"""``Mina_base__Epoch_seed.Stable.V1``, printed ``2v…``."""
ReceiptChainHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.RECEIPT_CHAIN_HASH]
"""``Mina_base__Receipt.Chain_hash.Stable.V1``, printed ``2n…``."""
PendingCoinbaseHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.PENDING_COINBASE_HASH]
"""``Mina_base__Pending_coinbase.Hash_versioned.Stable.V1``, printed ``2n…``."""
CoinbaseStackData: TypeAlias = Annotated[bytes, FixedBytes(32), text.COINBASE_STACK_DATA]
"""``Mina_base__Pending_coinbase.Coinbase_stack.Stable.V1``, printed ``4Q…``."""
CoinbaseStackHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.COINBASE_STACK_HASH]
"""``Mina_base__Pending_coinbase.Stack_hash.Stable.V1``, printed ``4Y…``."""
TokenId: TypeAlias = Annotated[bytes, FixedBytes(32), text.TOKEN_ID]
"""``Mina_base__Account_id.Digest.Stable.V1``, printed ``w…``."""
TransactionHash: TypeAlias = Annotated[bytes, FixedBytes(32), text.TRANSACTION_HASH]
"""Raw 32 bytes, printed ``5J…``."""
ChainIdBytes: TypeAlias = Annotated[bytes, FixedBytes(32), text.Hex()]
"""A chain id as it travels."""
StagedLedgerAuxHash: TypeAlias = Annotated[ByteString, text.STAGED_LEDGER_AUX_HASH]
"""``Staged_ledger_hash.Aux_hash.Stable.V1``."""
PendingCoinbaseAux: TypeAlias = Annotated[ByteString, text.PENDING_COINBASE_AUX]
"""``Staged_ledger_hash.Pending_coinbase_aux.Stable.V1``."""
Memo: TypeAlias = Annotated[ByteString, text.MEMO]
"""``Mina_base__Signed_command_memo.Stable.V1``: kind, length and 32 bytes of data, 34 by convention."""
TextBytes: TypeAlias = Annotated[bytes, MaxBytes(BYTES_LIMIT), Text()]
"""Text for people, which need not be UTF-8."""


class Sign(enum.IntEnum):
    """``Sgn.Stable.V1``."""

    POS = 0
    NEG = 1


@record
class SignedAmount(Record):
    """An amount with a sign (``signed_amount`` of ``Mina_state__Blockchain_state``), in nanomina."""

    magnitude: CurrencyAmount
    sgn: Annotated[Sign, yojson()]


@record
class SignedFee(Record):
    """The same bytes where the network's type is a fee (``Fee_excess``)."""

    magnitude: CurrencyFee
    sgn: Annotated[Sign, yojson()]


@record
class TokenFeeExcess(Record):
    """Fees of one token that were paid and not taken, or the reverse."""

    token: TokenId
    amount: SignedFee


@record
class FeeExcess(Positional):
    """``Mina_base__Fee_excess.Stable.V1``."""

    left: TokenFeeExcess
    right: TokenFeeExcess


@record
class CompressedPublicKey(Record):
    """A Mina account's key (``Non_zero_curve_point.Uncompressed.Stable.V1``), printed ``B62…``."""

    TEXT: ClassVar[Base58Check] = text.PUBLIC_KEY

    x: Field
    is_odd: bool


@record
class Signature(Record):
    """A Schnorr signature (``Mina_base__Signature.Stable.V1``), printed ``7m…``."""

    TEXT: ClassVar[Base58Check] = text.SIGNATURE

    field: Field
    scalar: Field


@record
class AccountId(Positional):
    """``Mina_base__Account_id.Stable.V2``. JSON shows this token id as a number."""

    public_key: CompressedPublicKey
    token_id: Field


@record
class ProtocolVersion(Record):
    """``Protocol_version.Stable.V2``."""

    transaction: UInt64
    network: UInt64
    patch: UInt64


@record
class SnarkJobId(Record):
    """Which ledger transition a snark work proves (`o1-labs/mina-rust@6fc3f265 core/src/snark/snark_job_id.rs`).

    The source is the first proof's, the target the last proof's. The order of the
    fields is the order in which ids compare, each hash as a number.
    """

    source_first_pass_ledger: LedgerHash
    source_second_pass_ledger: LedgerHash
    target_first_pass_ledger: LedgerHash
    target_second_pass_ledger: LedgerHash
