"""What can be said against a block without looking at its proof.

The checks and their order are those of the Rust node (spec: wire-types 4.4;
`o1-labs/mina-rust@6fc3f265 core/src/block/prevalidate.rs`). Only a block that is too
early may become acceptable later.
"""

from __future__ import annotations

import enum

from mina_p2p.mina.block import BlockHeader
from mina_p2p.mina.network import NetworkConfig
from mina_p2p.mina.protocol_state import ProtocolConstants


class BlockFault(enum.Enum):
    """Why a block is refused."""

    TOO_EARLY = "its slot has not begun"
    TOO_LATE = "its slot is over"
    GENESIS = "it belongs to a chain with another genesis block"
    VERSION = "a protocol version is no version"
    VERSION_MISMATCH = "it is of another protocol version"
    CONSTANTS = "its constants are not the network's"


def protocol_constants(network: NetworkConfig) -> ProtocolConstants:
    """The constants that every block of a network carries."""
    return ProtocolConstants(
        network.k,
        network.slots_per_epoch,
        network.slots_per_sub_window,
        network.grace_period_slots,
        network.delta,
        network.genesis_timestamp_ms,
    )


def header_fault(header: BlockHeader, current_slot: int, network: NetworkConfig, *, may_be_late: bool = False) -> BlockFault | None:
    """The first fault of a header, or ``None``.

    :param current_slot: slots since the hard fork, as `NetworkConfig.global_slot` gives them for the present time.
    :param may_be_late: for blocks that are fetched to catch up.
    """
    body = header.protocol_state.body
    slot = body.consensus_state.curr_global_slot_since_hard_fork.slot_number
    if current_slot < slot:
        return BlockFault.TOO_EARLY
    if not may_be_late and current_slot - slot > network.delta:
        return BlockFault.TOO_LATE
    if body.genesis_state_hash != network.genesis_state_hash:
        return BlockFault.GENESIS
    current, proposed = header.current_protocol_version, header.proposed_protocol_version_opt
    if current.transaction < 1 or (proposed is not None and proposed.transaction < 1):
        return BlockFault.VERSION
    if (current.transaction, current.network) != (network.header_transaction_version, network.header_network_version):
        return BlockFault.VERSION_MISMATCH
    if body.constants != protocol_constants(network):
        return BlockFault.CONSTANTS
    return None
