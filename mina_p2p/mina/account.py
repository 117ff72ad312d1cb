"""Accounts and what they permit. Names in double backquotes are the network's own."""

from __future__ import annotations

import enum
from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import (
    CompressedPublicKey,
    CurrencyAmount,
    GlobalSlotSinceGenesis,
    GlobalSlotSpan,
    StateHash,
    TokenId,
)
from mina_p2p.mina.proof import VerificationKey
from mina_p2p.mina.text import Text, serde, yojson
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import ByteString, Field, MaxBytes, Padded, UInt32

ZkappUri: TypeAlias = Annotated[bytes, MaxBytes(255), Text()]
"""At most 255 bytes."""
TokenSymbol: TypeAlias = Annotated[bytes, MaxBytes(6), Text()]
"""At most 6 bytes."""


class AuthRequired(enum.IntEnum):
    """``Mina_base__Permissions.Auth_required.Stable.V2``."""

    NONE = 0
    EITHER = 1
    PROOF = 2
    SIGNATURE = 3
    IMPOSSIBLE = 4


Auth: TypeAlias = Annotated[AuthRequired, yojson()]


@record
class Permissions(Record):
    """``Mina_base__Permissions.Stable.V2``."""

    edit_state: Auth
    access: Auth
    send: Auth
    receive: Auth
    set_delegate: Auth
    set_permissions: Auth
    set_verification_key: tuple[Auth, UInt32]
    set_zkapp_uri: Auth
    edit_action_state: Auth
    set_token_symbol: Auth
    increment_nonce: Auth
    set_voting_for: Auth
    set_timing: Auth


@record
class Untimed(Record):
    """The whole balance can be spent."""


@record
class Timed(Record):
    """A vesting schedule."""

    initial_minimum_balance: CurrencyAmount
    cliff_time: GlobalSlotSinceGenesis
    cliff_amount: CurrencyAmount
    vesting_period: GlobalSlotSpan
    vesting_increment: CurrencyAmount


AccountTiming: TypeAlias = Annotated[Untimed | Timed, serde("Untimed", "Timed")]
"""``Mina_base__Account_timing.Stable.V2``"""


@record
class ZkappAccount(Record):
    """``Mina_base__Zkapp_account.Stable.V2``."""

    app_state: Annotated[tuple[Field, ...], Padded(8)]
    verification_key: VerificationKey | None
    zkapp_version: UInt32
    action_state: Annotated[tuple[Field, ...], Padded(5)]
    last_action_slot: GlobalSlotSinceGenesis
    proved_state: bool
    zkapp_uri: ZkappUri


@record
class Account(Record):
    """``Mina_base__Account.Binable_arg.Stable.V2``."""

    public_key: CompressedPublicKey
    token_id: TokenId
    token_symbol: ByteString
    balance: CurrencyAmount
    nonce: UInt32
    receipt_chain_hash: Field
    delegate: CompressedPublicKey | None
    voting_for: StateHash
    timing: AccountTiming
    permissions: Permissions
    zkapp: ZkappAccount | None
