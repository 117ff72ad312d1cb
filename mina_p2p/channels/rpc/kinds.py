"""What is special to each kind of RPC: its answer, its deadline, its size (spec: pull-protocol 5.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from mina_p2p.channels.rpc import messages as m
from mina_p2p.config import Timeouts
from mina_p2p.mina.ledger_query import WhatChildHashes, WhatContents
from mina_p2p.record import Record, record

KIB: Final = 1 << 10
MIB: Final = 1 << 20

LEDGER_DEPTH: Final = 35
"""Levels of Mina's account ledger."""
CONTENTS_SUBTREE_DEPTH_MAX: Final = 6
"""Accounts are asked for in subtrees of at most 2 to this many, as reference requesters do (defect S11)."""


@record
class RpcKind(Record):
    """One kind of question."""

    name: str
    """The reference's name."""
    response: type[Any]
    timeout: Callable[[Timeouts], int]
    answer_bytes_max: int
    """Longest payload of the answer's frame."""


KINDS: Final[Mapping[type[Any], RpcKind]] = MappingProxyType(
    {
        m.BestTipWithProofRequest: RpcKind("BestTipWithProof", m.BestTipWithProofResponse, lambda t: t.rpc_best_tip_with_proof, 32 * MIB),
        m.LedgerQueryRequest: RpcKind("LedgerQuery", m.LedgerQueryResponse, lambda t: t.rpc_ledger_query, 1 * MIB),
        m.StagedLedgerAuxAndPendingCoinbasesAtBlockRequest: RpcKind(
            "StagedLedgerAuxAndPendingCoinbasesAtBlock",
            m.StagedLedgerAuxAndPendingCoinbasesAtBlockResponse,
            lambda t: t.rpc_staged_ledger,
            256 * MIB,
        ),
        m.BlockRequest: RpcKind("Block", m.BlockResponse, lambda t: t.rpc_block, 32 * MIB),
        m.SnarkRequest: RpcKind("Snark", m.SnarkResponse, lambda t: t.rpc_snark, 1 * MIB),
        m.TransactionRequest: RpcKind("Transaction", m.TransactionResponse, lambda t: t.rpc_transaction, 2 * MIB),
        m.InitialPeersRequest: RpcKind("InitialPeers", m.InitialPeersResponse, lambda t: t.rpc_initial_peers, 64 * KIB),
    }
)


def kind_of(request: m.RpcRequest) -> RpcKind:
    """What is special to a question's kind."""
    return KINDS[type(request)]


def is_reasonable(request: m.RpcRequest) -> bool:
    """Whether a peer may ask this: a ledger address within the tree, a subtree of bounded size (defect S11)."""
    if not isinstance(request, m.LedgerQueryRequest):
        return True
    match request.query:
        case WhatContents(address=address):
            return LEDGER_DEPTH - CONTENTS_SUBTREE_DEPTH_MAX <= address.depth <= LEDGER_DEPTH
        case WhatChildHashes(address=address):
            return 0 <= address.depth < LEDGER_DEPTH
        case _:
            return True
