"""Messages of channel 10 (docs/explanation/block-propagation.md, "Messages").

Every stream carries one request and one answer. Headers and bodies are the bytes of the block:
a block is its header's bytes followed by its body's.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final, TypeAlias

from mina_p2p.blocks.split import Outline, RawBlockBody, RawBlockHeader
from mina_p2p.mina.text import serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Bytes32, Codec, MaxBytes, MaxItems, Nat0, codec

BODY_BYTES_MAX: Final = (32 << 20) - (1 << 20)
"""Longest body; with its header it fits the longest frame of the best-tip channel (spec: pull-protocol 3.3)."""
HEADER_BYTES_MAX: Final = 1 << 20
"""Longest header with what comes along, where that is no body. Mainnet's headers have 12.7 KB."""
INDEXES_MAX: Final = 3_200
"""Items that one request may name, so that it has at most 16 KiB wherever they are (`docs/explanation/quic-mapping.md`, "Streams"); a block with more is asked
for in several."""


class Wants(enum.IntEnum):
    """What a permission is for."""

    HASH = 0
    HEADER = 1
    FULL = 2


@record
class BlockGetNext(Record):
    """Permits one announcement: the best tip that the asker was not told of and has not told of itself, now or later."""

    wants: Wants
    body_bytes_max: Nat0
    """Up to this size the body comes along with a header. No meaning with ``FULL``."""


@record
class BlockGetHeader(Record):
    """Asks for the header of a block that was announced."""

    state_hash: Bytes32
    body_bytes_max: Nat0
    """Up to this size the body comes along."""


@record
class BlockGetOutline(Record):
    """Asks for the outline by full digests."""

    state_hash: Bytes32


@record
class BlockGetItems(Record):
    """Asks for items by their places."""

    state_hash: Bytes32
    indexes: Annotated[tuple[Nat0, ...], MaxItems(INDEXES_MAX)]
    """Ascending, none twice."""


@record
class BlockGetBody(Record):
    """Asks for the whole body."""

    state_hash: Bytes32


@record
class BlockHash(Record):
    """Announces a block that the sender holds."""

    state_hash: Bytes32


@record
class AloneRest(Record):
    """Nothing comes along."""


@record
class OutlineRest(Record):
    """The outline by salted digests, of a body that is larger than what may come along."""

    outline: Outline


@record
class BodyRest(Record):
    """The body."""

    body: RawBlockBody


@record
class BlockHeaderItem(Record):
    """A header of a block that the sender holds."""

    header: RawBlockHeader
    rest: AloneRest | OutlineRest | BodyRest


@record
class BlockOutlineItem(Record):
    """The outline that was asked for."""

    outline: Outline


@record
class BlockItems(Record):
    """The items that were asked for, in the order of their places."""

    items: Annotated[tuple[Annotated[bytes, MaxBytes(BODY_BYTES_MAX)], ...], MaxItems(INDEXES_MAX)]


@record
class BlockBodyItem(Record):
    """The body that was asked for."""

    body: RawBlockBody


@record
class BlockNotHeld(Record):
    """The answerer no longer holds that block, or not so many items, or declines."""


@record
class BlockChecking(Record):
    """Announces, for a hash permission, a block that the sender does not hold yet: its header is here and would win, and its verdict or body is waited for.

    A question about it is answered once that is decided.
    """

    state_hash: Bytes32


@record
class BlockQueued(Record):
    """Comes before the answer on its stream, where bodies for others are sent first: the asker may ask somebody else meanwhile."""


BlockQuestion: TypeAlias = BlockGetHeader | BlockGetOutline | BlockGetItems | BlockGetBody
BlockRequest: TypeAlias = BlockGetNext | BlockQuestion
BlockAnswer: TypeAlias = (
    BlockHash | BlockHeaderItem | BlockOutlineItem | BlockItems | BlockBodyItem | BlockNotHeld | BlockChecking | BlockQueued
)
BlockMessage: TypeAlias = Annotated[
    BlockGetNext
    | BlockGetHeader
    | BlockGetOutline
    | BlockGetItems
    | BlockGetBody
    | BlockHash
    | BlockHeaderItem
    | BlockOutlineItem
    | BlockItems
    | BlockBodyItem
    | BlockNotHeld
    | BlockChecking
    | BlockQueued,
    serde(
        "GetNext",
        "GetHeader",
        "GetOutline",
        "GetItems",
        "GetBody",
        "Hash",
        "Header",
        "Outline",
        "Items",
        "Body",
        "NotHeld",
        "Checking",
        "Queued",
    ),
]

BLOCK_MESSAGE: Final[Codec[BlockMessage]] = codec(BlockMessage)
OUTLINE_BYTES_MAX: Final = 8 << 20
"""An outline with full digests."""
QUEUED_FRAME: Final = BLOCK_MESSAGE.encode(BlockQueued())
"""All that `BlockQueued` ever looks like."""
