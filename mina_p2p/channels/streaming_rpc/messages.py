"""Messages of channel 8 (spec: pull-protocol 5.8).

The parts of a staged ledger arrive in the order of `StagedLedgerPart`, the last kind
as often as `StagedLedgerPartScanStateBase` announced.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.basics import StateHash
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec, IntU32, Nat0, Remainder, Tagged, codec


@record
class StagedLedgerPartsRequest(Positional):
    """Asks for the staged ledger of the block with this state hash, part by part."""

    block_hash: StateHash


StreamingRpcRequest: TypeAlias = Annotated[StagedLedgerPartsRequest, Tagged(0), serde("StagedLedgerParts")]


@record
class StagedLedgerPartBase(Record):
    """The first part: staged ledger hash, pending coinbases, needed blocks' states."""

    body: Annotated[bytes, Remainder()]


@record
class StagedLedgerPartScanStateBase(Record):
    """The second part: the scan state without its trees, and how many trees will follow."""

    trees: IntU32
    body: Annotated[bytes, Remainder()]


@record
class StagedLedgerPartPreviousIncompleteZkappUpdates(Record):
    """The third part."""

    body: Annotated[bytes, Remainder()]


@record
class StagedLedgerPartScanStateTree(Record):
    """One tree of the scan state."""

    body: Annotated[bytes, Remainder()]


StagedLedgerPart: TypeAlias = Annotated[
    StagedLedgerPartBase | StagedLedgerPartScanStateBase | StagedLedgerPartPreviousIncompleteZkappUpdates | StagedLedgerPartScanStateTree,
    serde("Base", "ScanStateBase", "PreviousIncompleteZkappUpdates", "ScanStateTree"),
]
"""One part. Its bytes with the tag are a ``StagedLedgerPartsResponse`` of `mina_p2p.mina.staged_ledger`."""


@record
class StagedLedgerPartsResponse(Positional):
    """One part of a staged ledger."""

    part: StagedLedgerPart


StreamingRpcResponse: TypeAlias = Annotated[StagedLedgerPartsResponse, Tagged(0), serde("StagedLedgerParts")]


@record
class StreamingRpcNext(Positional):
    """Permits one further part of the answer."""

    id: Nat0


@record
class StreamingRpcRequestMessage(Positional):
    """A question under an id that the asker chose; permits the first part."""

    id: Nat0
    request: StreamingRpcRequest


@record
class StreamingRpcResponseMessage(Positional):
    """One part of the answer; ``None`` where the peer does not have it."""

    id: Nat0
    response: StreamingRpcResponse | None


StreamingRpcMessage: TypeAlias = Annotated[
    StreamingRpcNext | StreamingRpcRequestMessage | StreamingRpcResponseMessage, serde("Next", "Request", "Response")
]

STAGED_LEDGER_PART: Final[Codec[StagedLedgerPart]] = codec(StagedLedgerPart)
STREAMING_RPC_MESSAGE: Final[Codec[StreamingRpcMessage]] = codec(StreamingRpcMessage)
