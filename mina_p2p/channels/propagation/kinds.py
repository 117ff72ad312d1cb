"""What is special to each channel that spreads items: its messages and their sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from mina_p2p.channels.best_tip.messages import BEST_TIP_MESSAGE, BestTipGetNext, BestTipItem
from mina_p2p.channels.snark.messages import SNARK_MESSAGE, SnarkGetNext, SnarkInfo, SnarkItem, SnarkWillSend
from mina_p2p.channels.snark_job_commitment.messages import (
    SNARK_JOB_COMMITMENT_MESSAGE,
    SnarkJobCommitment,
    SnarkJobCommitmentGetNext,
    SnarkJobCommitmentItem,
    SnarkJobCommitmentWillSend,
)
from mina_p2p.channels.transaction.messages import (
    TRANSACTION_MESSAGE,
    TransactionGetNext,
    TransactionInfo,
    TransactionItem,
    TransactionWillSend,
)
from mina_p2p.ids import ChannelId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec

PropagationItem: TypeAlias = TransactionInfo | SnarkInfo | SnarkJobCommitment | RawBlock
"""What travels: an announcement, or the thing itself where it is small or urgent."""

FRAME_HEADER_BYTES: Final = 4
PROMISE_BYTES_MAX: Final = 4
"""A tag and a count of at most 255."""


@record
class GetNext(Record):
    """A permission, of whichever channel."""

    limit: int


@record
class WillSend(Record):
    """A promise, of whichever channel."""

    count: int


@record
class Item(Record):
    """One item, of whichever channel."""

    item: PropagationItem


PropagationMessage: TypeAlias = GetNext | WillSend | Item


@lru_cache(maxsize=256)  # limits are few, and most of what is asked is the largest
def _get_next_payload(codec: Codec[Any], get_next: Callable[[int], Any], limit: int) -> bytes:
    return codec.encode(get_next(limit))


@record
class PropagationKind(Record):
    """One channel's messages."""

    channel: ChannelId
    item_bytes_max: int
    """Longest payload of a frame (spec: pull-protocol 3.3)."""
    codec: Codec[Any]
    get_next: Callable[[int], Any]
    will_send: Callable[[int], Any] | None
    """Missing where an item comes without a promise."""
    item: Callable[[Any], Any]

    def encode_get_next(self, limit: int) -> bytes:
        """The payload that permits ``limit`` items."""
        return _get_next_payload(self.codec, self.get_next, limit)

    def encode_answer(self, items: tuple[PropagationItem, ...]) -> tuple[bytes, ...]:
        """The payloads of an answer: the promise where there is one, then each item."""
        promise = () if self.will_send is None else (self.codec.encode(self.will_send(len(items))),)
        return (*promise, *(self.codec.encode(self.item(item)) for item in items))

    def decode(self, frame: bytes) -> PropagationMessage:
        """One message.

        :raises DecodeError: where ``frame`` is none.
        """
        match self.codec.decode(frame):
            case (
                TransactionItem(transaction=item)
                | SnarkItem(snark=item)
                | SnarkJobCommitmentItem(commitment=item)
                | BestTipItem(best_tip=item)
            ):
                return Item(item)
            case TransactionWillSend(count=count) | SnarkWillSend(count=count) | SnarkJobCommitmentWillSend(count=count):
                return WillSend(count)
            case TransactionGetNext(limit=limit) | SnarkGetNext(limit=limit) | SnarkJobCommitmentGetNext(limit=limit):
                return GetNext(limit)
            case _:
                return GetNext(1)

    def answer_bytes_max(self, limit: int) -> int:
        """Bytes that ``limit`` items can take on the wire, headers and promise included."""
        promise = FRAME_HEADER_BYTES + PROMISE_BYTES_MAX if self.will_send is not None else 0
        return promise + limit * (FRAME_HEADER_BYTES + self.item_bytes_max)


BEST_TIP: Final = PropagationKind(ChannelId.BEST_TIP, 32 << 20, BEST_TIP_MESSAGE, lambda _limit: BestTipGetNext(), None, BestTipItem)
TRANSACTION: Final = PropagationKind(
    ChannelId.TRANSACTION, 1_024, TRANSACTION_MESSAGE, TransactionGetNext, TransactionWillSend, TransactionItem
)
SNARK: Final = PropagationKind(ChannelId.SNARK, 1_024, SNARK_MESSAGE, SnarkGetNext, SnarkWillSend, SnarkItem)
SNARK_JOB_COMMITMENT: Final = PropagationKind(
    ChannelId.SNARK_JOB_COMMITMENT,
    2_048,
    SNARK_JOB_COMMITMENT_MESSAGE,
    SnarkJobCommitmentGetNext,
    SnarkJobCommitmentWillSend,
    SnarkJobCommitmentItem,
)

KINDS: Final[Mapping[ChannelId, PropagationKind]] = MappingProxyType(
    {kind.channel: kind for kind in (BEST_TIP, TRANSACTION, SNARK, SNARK_JOB_COMMITMENT)}
)
"""Every channel that this machine carries."""
