"""Staged ledgers: as one answer, and as the parts of a streaming RPC. Names in double backquotes are the network's own."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import LedgerHash
from mina_p2p.mina.pending_coinbase import PendingCoinbase
from mina_p2p.mina.protocol_state import ProtocolState
from mina_p2p.mina.scan_state import Accumulator, IncompleteZkappUpdates, JobTrees, ScanState, WireScanTree
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import UInt32, UInt64


@record
class StagedLedgerAuxAndPendingCoinbases(Record):
    """What a node needs to rebuild the staged ledger of a block (`o1-labs/mina-rust@6fc3f265 p2p/src/channels/rpc/mod.rs`)."""

    scan_state: ScanState
    staged_ledger_hash: LedgerHash
    pending_coinbase: PendingCoinbase
    needed_blocks: tuple[ProtocolState, ...]


@record
class StagedLedgerPartsBase(Record):
    """The first part (`o1-labs/mina-rust@6fc3f265 p2p/src/channels/streaming_rpc/rpcs/staged_ledger_parts.rs`)."""

    staged_ledger_hash: LedgerHash
    pending_coinbase: PendingCoinbase
    needed_blocks: tuple[ProtocolState, ...]


@record
class ScanStateBase(Record):
    """The second part: the scan state without its trees."""

    trees: UInt32
    """How many trees will follow."""
    acc: Accumulator | None
    curr_job_seq_no: UInt64
    max_base_jobs: UInt64
    delay: UInt64


@record
class PreviousIncompleteZkappUpdates(Positional):
    """The third part."""

    updates: IncompleteZkappUpdates


@record
class ScanStateTree(Positional):
    """One tree, in the order of the list."""

    tree: WireScanTree


StagedLedgerPart: TypeAlias = Annotated[
    StagedLedgerPartsBase | ScanStateBase | PreviousIncompleteZkappUpdates | ScanStateTree,
    serde("Base", "ScanStateBase", "PreviousIncompleteZkappUpdates", "ScanStateTree"),
]
"""``StagedLedgerPartsResponse``"""


def join_parts(
    base: StagedLedgerPartsBase, scan_state: ScanStateBase, incomplete: PreviousIncompleteZkappUpdates, trees: tuple[ScanStateTree, ...]
) -> StagedLedgerAuxAndPendingCoinbases:
    """Put the parts together.

    :raises ValueError: another number of trees than announced, or none.
    """
    if not trees or len(trees) != scan_state.trees:
        raise ValueError(f"{len(trees)} trees where {scan_state.trees} were announced")
    first, *rest = (part.tree for part in trees)
    jobs = JobTrees((first, tuple(rest)), scan_state.acc, scan_state.curr_job_seq_no, scan_state.max_base_jobs, scan_state.delay)
    return StagedLedgerAuxAndPendingCoinbases(
        ScanState(jobs, incomplete.updates), base.staged_ledger_hash, base.pending_coinbase, base.needed_blocks
    )


def split_parts(value: StagedLedgerAuxAndPendingCoinbases) -> tuple[StagedLedgerPart, ...]:
    """The parts in the order in which they travel."""
    jobs = value.scan_state.scan_state
    first, rest = jobs.trees
    return (
        StagedLedgerPartsBase(value.staged_ledger_hash, value.pending_coinbase, value.needed_blocks),
        ScanStateBase(1 + len(rest), jobs.acc, jobs.curr_job_seq_no, jobs.max_base_jobs, jobs.delay),
        PreviousIncompleteZkappUpdates(value.scan_state.previous_incomplete_zkapp_updates),
        *(ScanStateTree(tree) for tree in (first, *rest)),
    )
