"""RPC of OCaml nodes: the messages around it, and the queries and answers of every method.

The stream framing around a message is no part of it. Names in double backquotes are
the network's own. Source: spec wire-types 2.4, pull-protocol 5.7.
"""

from __future__ import annotations

import enum
from functools import cache
from typing import Annotated, Any, Final, TypeAlias

from mina_p2p.errors import DecodeError
from mina_p2p.mina.basics import CompressedPublicKey, StateHash, TextBytes
from mina_p2p.mina.block import Block
from mina_p2p.mina.gossip import ArchiveRpc
from mina_p2p.mina.ledger_query import LedgerQuery
from mina_p2p.mina.pending_coinbase import PendingCoinbase
from mina_p2p.mina.protocol_state import ConsensusState, ProtocolState
from mina_p2p.mina.scan_state import ScanState
from mina_p2p.mina.sync_ledger import LedgerAnswer, SparseLedger
from mina_p2p.mina.text import JsonNumber, Positional, Text, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.codec import Codec, codec
from mina_p2p.wire.notation import (
    ByteString,
    Field,
    Int,
    Int32,
    IntU32,
    MaxBytes,
    Nat0,
    Polymorphic,
    UInt64,
    Unit,
    Versioned,
)

QueryId: TypeAlias = Annotated[Int, JsonNumber()]
"""A signed int, unlike the ids on the pull channels (spec: README, corrections)."""
PeerIdText: TypeAlias = ByteString
"""``Network_peer__Peer.Id.Stable.V1``: a libp2p peer id as text."""


@record
class Peer(Record):
    """``Network_peer__Peer.Stable.V1``."""

    host: ByteString
    libp2p_port: UInt64
    peer_id: PeerIdText


@record
class BestTipWithProof(Record):
    """The best tip of the pull protocol's answer, with body hashes and root block."""

    best_tip: Block
    proof: tuple[tuple[Field, ...], Block]


@record
class BlockWithProof(Record):
    """``Proof_carrying_data``: a block, body hashes and root block."""

    data: Block
    proof: tuple[tuple[Field, ...], Block]


@record
class AncestryQuery(Record):
    """A consensus state and its block's hash."""

    data: ConsensusState
    hash: StateHash


class SyncStatus(enum.IntEnum):
    """``Sync_status.T.Stable.V1``; the values have no meaning on the wire."""

    CONNECTING = 0
    LISTENING = 1
    OFFLINE = 2
    BOOTSTRAP = 3
    SYNCED = 4
    CATCHUP = 5


@record
class Unbanned(Record):
    """Not banned."""


@record
class BannedUntil(Positional):
    """Banned until a time in seconds since the Unix epoch."""

    time: float


BannedStatus: TypeAlias = Annotated[Unbanned | BannedUntil, serde("Unbanned", "BannedUntil")]
"""``Trust_system__Banned_status.Stable.V1``"""


@record
class PeerStatus(Record):
    """``Trust_system__Peer_status.Stable.V1``."""

    trust: float
    banned: BannedStatus


@record
class NodeStatus(Record):
    """The answer to ``get_node_status`` as the Rust node declares it; spec wire-types 8.6 has the doubts."""

    node_ip_addr: Annotated[bytes, MaxBytes(1000), Text(), Versioned(1)]
    node_peer_id: PeerIdText
    sync_status: Annotated[SyncStatus, Polymorphic(("Connecting", "Listening", "Offline", "Bootstrap", "Synced", "Catchup")), serde()]
    peers: tuple[PeerIdText, ...]
    block_producers: tuple[CompressedPublicKey, ...]
    protocol_state_hash: StateHash
    ban_statuses: tuple[tuple[PeerIdText, PeerStatus], ...]
    k_block_hashes_and_timestamps: tuple[tuple[StateHash, TextBytes], ...]
    git_commit: TextBytes
    uptime_minutes: Int32
    block_height_opt: Int32 | None


@record
class BinIoExn(Record):
    """The peer could not read the query."""


@record
class ConnectionClosed(Record):
    """The connection ended."""


@record
class WriteError(Record):
    """The peer could not write the answer."""


@record
class UncaughtExn(Record):
    """The peer failed."""


@record
class UnimplementedRpc(Positional):
    """The peer does not know the method in this version."""

    tag: TextBytes
    version: Annotated[IntU32, JsonNumber()]


@record
class UnknownQueryId(Positional):
    """An answer to no question."""

    id: Annotated[Nat0, JsonNumber()]


RpcKernelError: TypeAlias = Annotated[
    BinIoExn | ConnectionClosed | WriteError | UncaughtExn | UnimplementedRpc | UnknownQueryId,
    serde("Bin_io_exn", "Connection_closed", "Write_error", "Uncaught_exn", "Unimplemented_rpc", "Unknown_query_id"),
]
"""``Rpc_kernel.Rpc_error``; spec wire-types 8.7 has the doubts."""


@record
class Heartbeat(Record):
    """Nothing to say."""


@record
class QueryHeader(Record):
    """Method, version and id of a query; its data follows with its length."""

    tag: TextBytes
    version: Annotated[IntU32, JsonNumber()]
    id: QueryId


@record
class ResponseHeader(Record):
    """The id of the query that is answered; the result follows."""

    id: QueryId


MessageHeader: TypeAlias = Annotated[Heartbeat | QueryHeader | ResponseHeader, serde("Heartbeat", "Query", "Response")]
"""The beginning of every message."""


@record
class Query(Record):
    """A question; ``data`` holds the exact bytes of the method's query."""

    tag: TextBytes
    version: Annotated[IntU32, JsonNumber()]
    id: QueryId
    data: ByteString


@record
class ResponseOk(Positional):
    """The exact bytes of the method's answer."""

    data: ByteString


@record
class ResponseError(Positional):
    """The method was not run, or failed."""

    error: RpcKernelError


@record
class Response(Record):
    """An answer."""

    id: QueryId
    data: Annotated[ResponseOk | ResponseError, serde("Ok", "Error")]


RpcMessage: TypeAlias = Annotated[Heartbeat | Query | Response, serde("Heartbeat", "Query", "Response")]
"""A whole message of a stream, without the framing."""


@record
class StagedLedgerAnswer(Positional):
    """Scan state, ledger hash, pending coinbases, needed blocks' states."""

    scan_state: ScanState
    staged_ledger_hash: Field
    pending_coinbase: PendingCoinbase
    needed_blocks: tuple[ProtocolState, ...]


@record
class TransitionChainProof(Positional):
    """The hash of the oldest state, and body hashes from it on."""

    state_hash: Field
    body_hashes: tuple[Field, ...]


@record
class ErrorText(Positional):
    """Why a method has no answer, as an s-expression or text."""

    message: ByteString


@record
class LedgerAnswerOk(Positional):
    """The ledger's answer."""

    answer: LedgerAnswer


@record
class NodeStatusOk(Positional):
    """The node's status."""

    status: NodeStatus


@record
class EpochLedgerOk(Positional):
    """The epoch ledger."""

    ledger: SparseLedger


_result: Final = serde("Ok", "Error")


@record
class RpcMethod(Record):
    """One method: how it is asked for, and the annotations of its query and its answer."""

    tag: str
    version: int
    query: Any
    response: Any

    @property
    def query_codec(self) -> Codec[Any]:
        """The codec of the query's data."""
        return _codecs(self.tag, self.version)[0]

    @property
    def response_codec(self) -> Codec[Any]:
        """The codec of the answer's data."""
        return _codecs(self.tag, self.version)[1]


RPC_METHODS: Final[tuple[RpcMethod, ...]] = (
    RpcMethod("Send_archive_diff", 0, ArchiveRpc, Unit),
    RpcMethod("__Versioned_rpc.Menu", 1, Unit, tuple[tuple[TextBytes, Annotated[IntU32, JsonNumber()]], ...]),
    RpcMethod("get_some_initial_peers", 1, Unit, tuple[Peer, ...]),
    RpcMethod("get_staged_ledger_aux_and_pending_coinbases_at_hash", 2, Field, StagedLedgerAnswer | None),
    RpcMethod("answer_sync_ledger_query", 3, tuple[Field, LedgerQuery], Annotated[LedgerAnswerOk | ErrorText, _result]),
    RpcMethod("get_transition_chain", 2, tuple[Field, ...], tuple[Block, ...] | None),
    RpcMethod("get_transition_chain_proof", 1, Field, TransitionChainProof | None),
    RpcMethod("Get_transition_knowledge", 1, Unit, tuple[Field, ...]),
    RpcMethod("get_ancestry", 2, AncestryQuery, BlockWithProof | None),
    RpcMethod("ban_notify", 1, float, Unit),
    RpcMethod("get_best_tip", 2, Unit, BlockWithProof | None),
    RpcMethod("get_node_status", 2, Unit, Annotated[NodeStatusOk | ErrorText, _result]),
    RpcMethod("get_epoch_ledger", 2, Field, Annotated[EpochLedgerOk | ErrorText, _result]),
)
"""Every method (spec: wire-types 2.4). The bytes of queries and answers stand behind their length in `Query` and `ResponseOk`."""


def rpc_method(tag: str, version: int) -> RpcMethod | None:
    """The method with this name and version, or none."""
    return next((method for method in RPC_METHODS if (method.tag, method.version) == (tag, version)), None)


@cache
def _codecs(tag: str, version: int) -> tuple[Codec[Any], Codec[Any]]:
    method = rpc_method(tag, version)
    if method is None:
        raise KeyError(tag, version)
    return codec(method.query), codec(method.response)


def query_value(query: Query) -> Any:
    """What a query asks, by its method.

    :raises DecodeError: an unknown method or version, or other bytes than the method's.
    """
    method = rpc_method(query.tag.decode(errors="replace"), query.version)
    if method is None:
        raise DecodeError("tag", 0, f"no method {query.tag!r} in version {query.version}")
    return method.query_codec.decode(query.data)


def response_value(method: RpcMethod, response: Response) -> Any:
    """What a response answers to a method's query, or the `RpcKernelError` in its place.

    :raises DecodeError: other bytes than the method's.
    """
    if isinstance(response.data, ResponseError):
        return response.data.error
    return method.response_codec.decode(response.data.data)
