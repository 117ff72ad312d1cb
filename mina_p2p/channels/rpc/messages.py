"""Messages of channel 7 (spec: pull-protocol 5.7).

A request names its kind by its class, and so does the answer. Blocks, ledgers and
transactions in answers are exact bytes that nothing has looked into; their
``value`` decodes them.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.basics import LedgerHash, SnarkJobId, StateHash, TransactionHash
from mina_p2p.mina.ledger_query import LedgerQuery
from mina_p2p.mina.raw import RawBestTipWithProof, RawBlock, RawLedgerAnswer, RawSnark, RawStagedLedgerAux, RawUserCommand
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec, Nat0, Remainder, codec
from mina_p2p.wire.dial_options import WireDialAddress


@record
class BestTipWithProofRequest(Record):
    """Asks for the best tip and its proof."""


@record
class LedgerQueryRequest(Positional):
    """Asks about the ledger with this hash."""

    ledger_hash: LedgerHash
    query: LedgerQuery


@record
class StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(Positional):
    """Asks for the staged ledger of the block with this state hash."""

    block_hash: StateHash


@record
class BlockRequest(Positional):
    """Asks for the block with this state hash."""

    block_hash: StateHash


@record
class SnarkRequest(Positional):
    """Asks for the snark work of a job."""

    job_id: SnarkJobId


@record
class TransactionRequest(Positional):
    """Asks for the transaction with this hash."""

    hash: TransactionHash


@record
class InitialPeersRequest(Record):
    """Asks for addresses of other peers."""


RpcRequest: TypeAlias = Annotated[
    BestTipWithProofRequest
    | LedgerQueryRequest
    | StagedLedgerAuxAndPendingCoinbasesAtBlockRequest
    | BlockRequest
    | SnarkRequest
    | TransactionRequest
    | InitialPeersRequest,
    serde(
        "BestTipWithProof",
        "LedgerQuery",
        "StagedLedgerAuxAndPendingCoinbasesAtBlock",
        "Block",
        "Snark",
        "Transaction",
        "InitialPeers",
    ),
]


@record
class BestTipWithProofResponse(Positional):
    """The best tip, the body hashes from a root block to it, and that root block."""

    body: Annotated[RawBestTipWithProof, Remainder()]


@record
class LedgerQueryResponse(Positional):
    """Child hashes, accounts or their number, as was asked."""

    body: Annotated[RawLedgerAnswer, Remainder()]


@record
class StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(Positional):
    """Scan state, staged ledger hash, pending coinbases and the blocks' states they need."""

    body: Annotated[RawStagedLedgerAux, Remainder()]


@record
class BlockResponse(Positional):
    """The block."""

    body: Annotated[RawBlock, Remainder()]


@record
class SnarkResponse(Positional):
    """The snark work."""

    body: Annotated[RawSnark, Remainder()]


@record
class TransactionResponse(Positional):
    """The transaction."""

    body: Annotated[RawUserCommand, Remainder()]


@record
class InitialPeersResponse(Positional):
    """Addresses of other peers."""

    peers: tuple[WireDialAddress, ...]


RpcResponse: TypeAlias = Annotated[
    BestTipWithProofResponse
    | LedgerQueryResponse
    | StagedLedgerAuxAndPendingCoinbasesAtBlockResponse
    | BlockResponse
    | SnarkResponse
    | TransactionResponse
    | InitialPeersResponse,
    serde(
        "BestTipWithProof",
        "LedgerQuery",
        "StagedLedgerAuxAndPendingCoinbasesAtBlock",
        "Block",
        "Snark",
        "Transaction",
        "InitialPeers",
    ),
]


@record
class RpcRequestMessage(Positional):
    """A question under an id that the asker chose."""

    id: Nat0
    request: RpcRequest


@record
class RpcResponseMessage(Positional):
    """The answer under the question's id; ``None`` where the peer does not have it."""

    id: Nat0
    response: RpcResponse | None


RpcMessage: TypeAlias = Annotated[RpcRequestMessage | RpcResponseMessage, serde("Request", "Response")]

RPC_MESSAGE: Final[Codec[RpcMessage]] = codec(RpcMessage)
