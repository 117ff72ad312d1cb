"""What became of a transaction. Names in double backquotes are the network's own."""

from __future__ import annotations

import enum
from typing import Annotated, TypeAlias

from mina_p2p.mina.text import Positional, yojson
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import UInt64


class FailureKind(enum.IntEnum):
    """The constructors of ``Mina_base__Transaction_status.Failure.Stable.V2`` that have no argument."""

    PREDICATE = 0
    SOURCE_NOT_PRESENT = 1
    RECEIVER_NOT_PRESENT = 2
    AMOUNT_INSUFFICIENT_TO_CREATE_ACCOUNT = 3
    CANNOT_PAY_CREATION_FEE_IN_TOKEN = 4
    SOURCE_INSUFFICIENT_BALANCE = 5
    SOURCE_MINIMUM_BALANCE_VIOLATION = 6
    RECEIVER_ALREADY_EXISTS = 7
    TOKEN_OWNER_NOT_CALLER = 8
    OVERFLOW = 9
    GLOBAL_EXCESS_OVERFLOW = 10
    LOCAL_EXCESS_OVERFLOW = 11
    LOCAL_SUPPLY_INCREASE_OVERFLOW = 12
    GLOBAL_SUPPLY_INCREASE_OVERFLOW = 13
    SIGNED_COMMAND_ON_ZKAPP_ACCOUNT = 14
    ZKAPP_ACCOUNT_NOT_PRESENT = 15
    UPDATE_NOT_PERMITTED_BALANCE = 16
    UPDATE_NOT_PERMITTED_ACCESS = 17
    UPDATE_NOT_PERMITTED_TIMING = 18
    UPDATE_NOT_PERMITTED_DELEGATE = 19
    UPDATE_NOT_PERMITTED_APP_STATE = 20
    UPDATE_NOT_PERMITTED_VERIFICATION_KEY = 21
    UPDATE_NOT_PERMITTED_ACTION_STATE = 22
    UPDATE_NOT_PERMITTED_ZKAPP_URI = 23
    UPDATE_NOT_PERMITTED_TOKEN_SYMBOL = 24
    UPDATE_NOT_PERMITTED_PERMISSIONS = 25
    UPDATE_NOT_PERMITTED_NONCE = 26
    UPDATE_NOT_PERMITTED_VOTING_FOR = 27
    ZKAPP_COMMAND_REPLAY_CHECK_FAILED = 28
    FEE_PAYER_NONCE_MUST_INCREASE = 29
    FEE_PAYER_MUST_BE_SIGNED = 30
    ACCOUNT_BALANCE_PRECONDITION_UNSATISFIED = 31
    ACCOUNT_NONCE_PRECONDITION_UNSATISFIED = 32
    ACCOUNT_RECEIPT_CHAIN_HASH_PRECONDITION_UNSATISFIED = 33
    ACCOUNT_DELEGATE_PRECONDITION_UNSATISFIED = 34
    ACCOUNT_ACTION_STATE_PRECONDITION_UNSATISFIED = 35
    ACCOUNT_PROVED_STATE_PRECONDITION_UNSATISFIED = 37
    ACCOUNT_IS_NEW_PRECONDITION_UNSATISFIED = 38
    PROTOCOL_STATE_PRECONDITION_UNSATISFIED = 39
    UNEXPECTED_VERIFICATION_KEY_HASH = 40
    VALID_WHILE_PRECONDITION_UNSATISFIED = 41
    INCORRECT_NONCE = 42
    INVALID_FEE_EXCESS = 43
    CANCELLED = 44


@record
class AccountAppStatePreconditionUnsatisfied(Positional):
    """The one failure with an argument, tag 36: which of the eight fields did not match."""

    index: UInt64


Failure: TypeAlias = Annotated[FailureKind | AccountAppStatePreconditionUnsatisfied, yojson("", "AccountAppStatePreconditionUnsatisfied")]
"""``Mina_base__Transaction_status.Failure.Stable.V2``"""
FailureTable: TypeAlias = tuple[tuple[Failure, ...], ...]
"""``Failure.Collection.Stable.V1``: the failures of each account update."""


@record
class Applied(Record):
    """The transaction took effect."""


@record
class Failed(Positional):
    """The transaction is in the block, its fee was paid, and nothing else happened."""

    failures: FailureTable


TransactionStatus: TypeAlias = Annotated[Applied | Failed, yojson("Applied", "Failed")]
"""``Mina_base__Transaction_status.Stable.V2``"""
