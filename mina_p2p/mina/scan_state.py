"""The scan state: the snark jobs that are open. Names in double backquotes are the network's own."""

from __future__ import annotations

import enum
from typing import Annotated, Final, TypeAlias, TypeVar

from mina_p2p.mina.applied import TransactionWithWitness
from mina_p2p.mina.snark_work import LedgerProof, SokMessage
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire.codec import Codec, codec
from mina_p2p.wire.notation import Custom, Polymorphic, UInt64
from mina_p2p.wire.primitives import Malformed, read_int, refuse_count, write_int

_Item = TypeVar("_Item")

_ITEM_SIZE_MIN: Final = 3
"""The least size of an item of a tree: a weight of two bytes and a tag."""


class JobStatus(enum.IntEnum):
    """``Parallel_scan.Job_status.Stable.V1``."""

    TODO = 0
    DONE = 1


Status: TypeAlias = Annotated[JobStatus, serde()]


@record
class Weight(Record):
    """``Parallel_scan.Weight.Stable.V1``."""

    base: UInt64
    merge: UInt64


@record
class LedgerProofWithSok(Positional):
    """``Transaction_snark_scan_state.Ledger_proof_with_sok_message.Stable.V2``."""

    proof: LedgerProof
    sok: SokMessage


@record
class BaseEmpty(Record):
    """No job."""


@record
class BaseFull(Record):
    """A transaction to be proved."""

    job: TransactionWithWitness
    seq_no: UInt64
    status: Status


@record
class BaseItem(Positional):
    """A leaf of a tree (``base_t``)."""

    weight: Weight
    job: Annotated[BaseEmpty | BaseFull, serde("Empty", "Full")]


@record
class MergeEmpty(Record):
    """No job."""


@record
class MergePart(Positional):
    """The left proof is there."""

    left: LedgerProofWithSok


@record
class MergeFull(Record):
    """Two proofs to be merged."""

    left: LedgerProofWithSok
    right: LedgerProofWithSok
    seq_no: UInt64
    status: Status


@record
class MergeItem(Positional):
    """An inner node of a tree (``merge_t``)."""

    weights: tuple[Weight, Weight]
    job: Annotated[MergeEmpty | MergePart | MergeFull, serde("Empty", "Part", "Full")]


@record
class ScanTree(Record):
    """One tree of jobs; level ``i`` of ``merges`` has 2^i items, ``bases`` has 2^len(merges)."""

    merges: tuple[tuple[MergeItem, ...], ...]
    bases: tuple[BaseItem, ...]


_MERGE_ITEM: Final[Codec[MergeItem]] = codec(MergeItem)
_BASE_ITEM: Final[Codec[BaseItem]] = codec(BaseItem)


def read_scan_tree(data: bytes, offset: int) -> tuple[ScanTree, int]:
    """Read a tree, level by level from the root (spec: pull-protocol A.3)."""
    levels: list[tuple[MergeItem, ...]] = []
    while True:
        tag = data[offset]
        if tag > 1:
            raise Malformed(f"a scan tree's 0 or 1 expected, not {tag:#04x}")
        offset += 1
        width = 1 << len(levels)
        if tag == 0:
            break
        depth, offset = read_int(data, offset)
        if depth != len(levels):
            raise Malformed(f"level {depth} where level {len(levels)} is expected")
        merges, offset = _read_items(_MERGE_ITEM, data, offset, width)
        levels.append(merges)
    bases, offset = _read_items(_BASE_ITEM, data, offset, width)
    return ScanTree(tuple(levels), bases), offset


def write_scan_tree(value: ScanTree) -> bytes:
    """Write a tree.

    :raises ValueError: where a level has another number of items than its depth demands.
    """
    pieces: list[bytes] = []
    for depth, merges in enumerate(value.merges):
        if len(merges) != 1 << depth:
            raise ValueError(f"level {depth} has {len(merges)} items, not {1 << depth}")
        pieces += [b"\x01", write_int(depth), *map(_MERGE_ITEM.encode, merges)]
    if len(value.bases) != 1 << len(value.merges):
        raise ValueError(f"{len(value.bases)} leaves, not {1 << len(value.merges)}")
    return b"".join([*pieces, b"\x00", *map(_BASE_ITEM.encode, value.bases)])


def _read_items(items: Codec[_Item], data: bytes, offset: int, count: int) -> tuple[tuple[_Item, ...], int]:
    if count * _ITEM_SIZE_MIN > len(data) - offset:
        refuse_count(count, len(data) - offset)
    made: list[_Item] = []
    for _ in range(count):
        item, offset = items.read(data, offset)
        made.append(item)
    return tuple(made), offset


WireScanTree: TypeAlias = Annotated[ScanTree, Custom(read_scan_tree, write_scan_tree, 1 + _ITEM_SIZE_MIN)]
"""``Transaction_snark_scan_state.Stable.V2.scan_state.trees.a``"""


@record
class BorderBlockContinuedInTheNextTree(Positional):
    """Whether the last block of a tree goes on in the next one."""

    continued: bool


@record
class IncompleteZkappUpdates(Positional):
    """``previous_incomplete_zkapp_updates``: zkApp commands whose second pass is still to come."""

    transactions: tuple[TransactionWithWitness, ...]
    continuation: Annotated[
        BorderBlockContinuedInTheNextTree,
        Polymorphic(("Border_block_continued_in_the_next_tree",)),
        serde("Border_block_continued_in_the_next_tree"),
    ]


Accumulator: TypeAlias = tuple[LedgerProofWithSok, tuple[TransactionWithWitness, ...]]
"""The last proof that came out of the top, and its transactions."""


@record
class JobTrees(Record):
    """``Transaction_snark_scan_state.Stable.V2.scan_state``."""

    trees: tuple[WireScanTree, tuple[WireScanTree, ...]]
    acc: Accumulator | None
    curr_job_seq_no: UInt64
    max_base_jobs: UInt64
    delay: UInt64


@record
class ScanState(Record):
    """``Transaction_snark_scan_state.Stable.V2``."""

    scan_state: JobTrees
    previous_incomplete_zkapp_updates: IncompleteZkappUpdates
