"""The parts of messages that stay bytes until someone asks for their value.

Each is a `mina_p2p.wire.Raw`: exact wire bytes with a typed ``value``.
"""

# ruff: noqa: F401 - the imports are used in quotes, in the bases of the classes
from __future__ import annotations

from typing import TYPE_CHECKING

from mina_p2p.wire.raw import Raw

if TYPE_CHECKING:
    from mina_p2p.mina.block import Block
    from mina_p2p.mina.commands import UserCommand
    from mina_p2p.mina.rpc import BestTipWithProof
    from mina_p2p.mina.snark_work import Snark
    from mina_p2p.mina.staged_ledger import StagedLedgerAuxAndPendingCoinbases
    from mina_p2p.mina.sync_ledger import LedgerAnswer


class RawBlock(Raw["Block"], of="mina_p2p.mina.block.Block"):
    """A block."""


class RawUserCommand(Raw["UserCommand"], of="mina_p2p.mina.commands.UserCommand"):
    """A transaction as it travels, tag byte included."""


class RawSnark(Raw["Snark"], of="mina_p2p.mina.snark_work.Snark"):
    """A snark work as the pull protocol's RPC writes it."""


class RawBestTipWithProof(Raw["BestTipWithProof"], of="mina_p2p.mina.rpc.BestTipWithProof"):
    """The best tip, and the proof that it descends from a root block."""


class RawLedgerAnswer(Raw["LedgerAnswer"], of="mina_p2p.mina.sync_ledger.LedgerAnswer"):
    """The answer to a ledger query."""


class RawStagedLedgerAux(Raw["StagedLedgerAuxAndPendingCoinbases"], of="mina_p2p.mina.staged_ledger.StagedLedgerAuxAndPendingCoinbases"):
    """A staged ledger's scan state and pending coinbases; many megabytes."""
