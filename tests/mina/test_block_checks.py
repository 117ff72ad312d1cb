"""Blocks are checked as the Rust node checks them, in its order."""

from __future__ import annotations

from typing import Any

import pytest
from support.vectors import vectors_path

from mina_p2p.mina.basics import ProtocolVersion
from mina_p2p.mina.block import Block, BlockHeader
from mina_p2p.mina.block_checks import BlockFault, header_fault
from mina_p2p.mina.network import DEVNET, MAINNET
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import codec

SLOT = 9


def header(**changes: Any) -> BlockHeader:
    generator = MinaGenerator(1)
    return generator.block(generator.genesis(), slots=SLOT, commands=()).header.replace(**changes)


def with_body(**changes: Any) -> BlockHeader:
    made = header()
    return made.replace(protocol_state=made.protocol_state.replace(body=made.protocol_state.body.replace(**changes)))


OTHER_CONSTANTS = header().protocol_state.body.constants.replace(k=291)
CASES = [
    (header(), SLOT, None),
    (header(), SLOT - 1, BlockFault.TOO_EARLY),
    (header(), SLOT + 1, BlockFault.TOO_LATE),
    (with_body(genesis_state_hash=bytes(32)), SLOT, BlockFault.GENESIS),
    (header(current_protocol_version=ProtocolVersion(0, 0, 0)), SLOT, BlockFault.VERSION),
    (header(proposed_protocol_version_opt=ProtocolVersion(0, 0, 0)), SLOT, BlockFault.VERSION),
    (header(proposed_protocol_version_opt=ProtocolVersion(4, 0, 0)), SLOT, None),
    (header(current_protocol_version=ProtocolVersion(3, 1, 0)), SLOT, BlockFault.VERSION_MISMATCH),
    (header(current_protocol_version=ProtocolVersion(2, 0, 0)), SLOT, BlockFault.VERSION_MISMATCH),
    (header(current_protocol_version=ProtocolVersion(3, 0, 7)), SLOT, None),
    (with_body(constants=OTHER_CONSTANTS), SLOT, BlockFault.CONSTANTS),
    (with_body(constants=OTHER_CONSTANTS, genesis_state_hash=bytes(32)), SLOT, BlockFault.GENESIS),
]


@pytest.mark.parametrize(("checked", "slot", "fault"), CASES)
def test_first_fault_is_named(checked: BlockHeader, slot: int, fault: BlockFault | None) -> None:
    """Each fault alone, and the earlier check where there are two."""
    assert header_fault(checked, slot, MAINNET) is fault


def test_old_blocks_are_accepted_for_catching_up() -> None:
    """Lateness is no fault where the caller says so; the other checks stay."""
    assert header_fault(header(), SLOT + 1000, MAINNET, may_be_late=True) is None
    assert header_fault(header(), SLOT + 1000, DEVNET, may_be_late=True) is BlockFault.GENESIS


def test_real_blocks_have_no_fault_in_their_slot() -> None:
    """Every mainnet block of the vectors passes at its own time, and only with its own network."""
    for path in sorted(vectors_path("blocks").glob("*.bin")):
        checked = codec(Block).decode(path.read_bytes()).header
        slot = checked.protocol_state.body.consensus_state.curr_global_slot_since_hard_fork.slot_number
        assert MAINNET.global_slot(checked.protocol_state.body.blockchain_state.timestamp) == slot
        assert header_fault(checked, slot, MAINNET) is None
        assert header_fault(checked, slot, DEVNET) is BlockFault.GENESIS
