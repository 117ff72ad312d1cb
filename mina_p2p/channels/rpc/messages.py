"""Messages of channel 7 (spec: pull-protocol 5.7).

A request names its kind by its class, and so does the answer. Blocks, ledgers and
transactions in answers are exact bytes that nothing has looked into; their
``value`` decodes them.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.basics import SnarkJobId
from mina_p2p.mina.ledger_query import LedgerQuery
from mina_p2p.mina.raw import RawBestTipWithProof, RawBlock, RawLedgerAnswer, RawSnark, RawStagedLedgerAux, RawUserCommand
from mina_p2p.record import Record, record
from mina_p2p.wire import Bytes32, Codec, Field, Nat0, Remainder, codec
from mina_p2p.wire.dial_options import WireDialAddress


@record
class BestTipWithProofRequest(Record):
    """Asks for the best tip and its proof."""


@record
class LedgerQueryRequest(Record):
    """Asks about the ledger with this hash."""

    ledger_hash: Field
    query: LedgerQuery


@record
class StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(Record):
    """Asks for the staged ledger of the block with this state hash."""

    block_hash: Field


@record
class BlockRequest(Record):
    """Asks for the block with this state hash."""

    block_hash: Field


@record
class SnarkRequest(Record):
    """Asks for the snark work of a job."""

    job_id: SnarkJobId


@record
class TransactionRequest(Record):
    """Asks for the transaction with this hash."""

    hash: Bytes32


@record
class InitialPeersRequest(Record):
    """Asks for addresses of other peers."""


RpcRequest: TypeAlias = (
    BestTipWithProofRequest
    | LedgerQueryRequest
    | StagedLedgerAuxAndPendingCoinbasesAtBlockRequest
    | BlockRequest
    | SnarkRequest
    | TransactionRequest
    | InitialPeersRequest
)


@record
class BestTipWithProofResponse(Record):
    """The best tip, the body hashes from a root block to it, and that root block."""

    body: Annotated[RawBestTipWithProof, Remainder()]


@record
class LedgerQueryResponse(Record):
    """Child hashes, accounts or their number, as was asked."""

    body: Annotated[RawLedgerAnswer, Remainder()]


@record
class StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(Record):
    """Scan state, staged ledger hash, pending coinbases and the blocks' states they need."""

    body: Annotated[RawStagedLedgerAux, Remainder()]


@record
class BlockResponse(Record):
    """The block."""

    body: Annotated[RawBlock, Remainder()]


@record
class SnarkResponse(Record):
    """The snark work."""

    body: Annotated[RawSnark, Remainder()]


@record
class TransactionResponse(Record):
    """The transaction."""

    body: Annotated[RawUserCommand, Remainder()]


@record
class InitialPeersResponse(Record):
    """Addresses of other peers."""

    peers: tuple[WireDialAddress, ...]


RpcResponse: TypeAlias = (
    BestTipWithProofResponse
    | LedgerQueryResponse
    | StagedLedgerAuxAndPendingCoinbasesAtBlockResponse
    | BlockResponse
    | SnarkResponse
    | TransactionResponse
    | InitialPeersResponse
)


@record
class RpcRequestMessage(Record):
    """A question under an id that the asker chose."""

    id: Nat0
    request: RpcRequest


@record
class RpcResponseMessage(Record):
    """The answer under the question's id; ``None`` where the peer does not have it."""

    id: Nat0
    response: RpcResponse | None


RpcMessage: TypeAlias = RpcRequestMessage | RpcResponseMessage

RPC_MESSAGE: Final[Codec[RpcMessage]] = codec(RpcMessage)
