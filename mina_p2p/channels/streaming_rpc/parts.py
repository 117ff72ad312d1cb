"""The parts of a streamed answer as exact bytes: what order they must have, and how they make one answer."""

from __future__ import annotations

from collections.abc import Sequence

from mina_p2p.channels.streaming_rpc.messages import (
    StagedLedgerPart,
    StagedLedgerPartBase,
    StagedLedgerPartPreviousIncompleteZkappUpdates,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartScanStateTree,
)
from mina_p2p.channels.streaming_rpc.state import PARTS_BEFORE_TREES
from mina_p2p.errors import CallerError
from mina_p2p.mina.raw import RawStagedLedgerAux
from mina_p2p.wire import write_nat0

_Begin = tuple[StagedLedgerPartBase, StagedLedgerPartScanStateBase, StagedLedgerPartPreviousIncompleteZkappUpdates]


def check_parts(parts: Sequence[StagedLedgerPart]) -> tuple[_Begin, Sequence[StagedLedgerPartScanStateTree]]:
    """The parts by kind.

    :raises CallerError: unless they are one of each of the first three kinds in their order, then as many trees as
        the second says, at least one.
    """
    match parts[:PARTS_BEFORE_TREES]:
        case [
            StagedLedgerPartBase() as base,
            StagedLedgerPartScanStateBase(trees=count) as scan_state,
            StagedLedgerPartPreviousIncompleteZkappUpdates() as updates,
        ]:
            trees = [part for part in parts[PARTS_BEFORE_TREES:] if isinstance(part, StagedLedgerPartScanStateTree)]
            if len(trees) == len(parts) - PARTS_BEFORE_TREES == count > 0:
                return (base, scan_state, updates), trees
        case _:
            pass
    kinds = ", ".join(type(part).__name__.removeprefix("StagedLedgerPart") for part in parts[: PARTS_BEFORE_TREES + 1])
    raise CallerError(f"{len(parts)} parts ({kinds} …) are no staged ledger: it takes one of each kind, then the announced number of trees")


def join_parts(parts: Sequence[StagedLedgerPart]) -> RawStagedLedgerAux:
    """One answer, as RPC kind 2 would have brought it; bytes are moved and not looked into (spec: pull-protocol 5.8).

    :raises CallerError: where these are not all parts of one answer in their order.
    """
    (base, scan_state, updates), trees = check_parts(parts)
    bodies = [tree.body for tree in trees]
    return RawStagedLedgerAux(b"".join([bodies[0], write_nat0(len(bodies) - 1), *bodies[1:], scan_state.body, updates.body, base.body]))
