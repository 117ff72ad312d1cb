"""Messages of channel 4 (spec: pull-protocol 5.4)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.basics import CompressedPublicKey, TransactionHash
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec, IntU8, IntU32, Nat0, codec


@record
class TransactionInfo(Record):
    """What is announced of a transaction; the transaction itself is asked for on the RPC channel."""

    hash: TransactionHash
    fee_payer: CompressedPublicKey
    fee: Nat0
    """Nanomina."""
    nonce: IntU32


@record
class TransactionGetNext(Record):
    """Permits the peer to announce up to ``limit`` transactions."""

    limit: IntU8


@record
class TransactionWillSend(Record):
    """Promises ``count`` announcements."""

    count: IntU8


@record
class TransactionItem(Positional):
    """One announcement."""

    transaction: TransactionInfo


TransactionMessage: TypeAlias = Annotated[
    TransactionGetNext | TransactionWillSend | TransactionItem, serde("GetNext", "WillSend", "Transaction")
]

TRANSACTION_MESSAGE: Final[Codec[TransactionMessage]] = codec(TransactionMessage)
