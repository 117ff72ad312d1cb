"""Blocks. Names in double backquotes are the network's own.

The protocol state is decoded with the block. Proofs, transactions and snark works
stay the bytes that they are, after their layout was checked; their ``value`` decodes them.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from mina_p2p.mina.basics import ProtocolVersion, StateBodyHash, StateHash
from mina_p2p.mina.commands import CoinbaseFeeTransfer, UserCommandWithStatus
from mina_p2p.mina.proof import RawProof
from mina_p2p.mina.protocol_state import ProtocolState
from mina_p2p.mina.snark_work import RawSnarkWork
from mina_p2p.mina.text import Positional, yojson
from mina_p2p.mina.transaction_status import TransactionStatus
from mina_p2p.record import Record, record


@record
class BlockHeader(Record):
    """``Mina_block__Header.Stable.V2``."""

    protocol_state: ProtocolState
    protocol_state_proof: RawProof
    delta_block_chain_proof: tuple[StateHash, tuple[StateBodyHash, ...]]
    current_protocol_version: ProtocolVersion
    proposed_protocol_version_opt: ProtocolVersion | None


@record
class CoinbaseZero(Record):
    """No block reward in this part."""


@record
class CoinbaseOne(Positional):
    """The whole reward; a part of it may pay for snark work."""

    fee_transfer: CoinbaseFeeTransfer | None


@record
class CoinbaseTwo(Positional):
    """The reward in two halves."""

    fee_transfers: tuple[CoinbaseFeeTransfer, CoinbaseFeeTransfer | None] | None


AtMostTwoCoinbase: TypeAlias = Annotated[CoinbaseZero | CoinbaseOne | CoinbaseTwo, yojson("Zero", "One", "Two")]
"""``coinbase`` of ``Pre_diff_with_at_most_two_coinbase.Stable.V2``"""
AtMostOneCoinbase: TypeAlias = Annotated[CoinbaseZero | CoinbaseOne, yojson("Zero", "One")]
"""``coinbase`` of ``Pre_diff_with_at_most_one_coinbase.Stable.V2``"""


@record
class PreDiffTwo(Record):
    """``Staged_ledger_diff__Diff.Pre_diff_with_at_most_two_coinbase.Stable.V2``."""

    completed_works: tuple[RawSnarkWork, ...]
    commands: tuple[UserCommandWithStatus, ...]
    coinbase: AtMostTwoCoinbase
    internal_command_statuses: tuple[TransactionStatus, ...]


@record
class PreDiffOne(Record):
    """``Staged_ledger_diff__Diff.Pre_diff_with_at_most_one_coinbase.Stable.V2``."""

    completed_works: tuple[RawSnarkWork, ...]
    commands: tuple[UserCommandWithStatus, ...]
    coinbase: AtMostOneCoinbase
    internal_command_statuses: tuple[TransactionStatus, ...]


@record
class Diff(Positional):
    """``Staged_ledger_diff__Diff.Diff.Stable.V2``."""

    first: PreDiffTwo
    second: PreDiffOne | None


@record
class StagedLedgerDiff(Record):
    """``Staged_ledger_diff__Diff.Stable.V2``."""

    diff: Diff


@record
class BlockBody(Record):
    """``Staged_ledger_diff__Body.Stable.V1``."""

    staged_ledger_diff: StagedLedgerDiff

    @property
    def completed_works(self) -> tuple[RawSnarkWork, ...]:
        """Of both parts, in order."""
        diff = self.staged_ledger_diff.diff
        return diff.first.completed_works + (() if diff.second is None else diff.second.completed_works)

    @property
    def commands(self) -> tuple[UserCommandWithStatus, ...]:
        """Of both parts, in order."""
        diff = self.staged_ledger_diff.diff
        return diff.first.commands + (() if diff.second is None else diff.second.commands)


@record
class Block(Record):
    """``Mina_block__Block.Stable.V2``."""

    header: BlockHeader
    body: BlockBody
