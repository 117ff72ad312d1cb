"""Which of two chains a node follows.

Two nodes that disagree here split the network, so the default is the rule of the
OCaml nodes that run it. The Rust node's rule is an option, for comparison with
its logs. Both prefer, at short range, the longer chain, then the greater VRF
output, then the greater state hash; at long range they ask first which chain is
denser in its worst window, projected to the later of the two slots. They differ in:

* which epoch a state is in: by its slot (OCaml), by its ``epoch_count`` (Rust);
* when the seed of the next epoch is final: one slot earlier with OCaml;
* the grace period, in which density does not count: 2237 slots (OCaml), 1440 (Rust);
* the projection: OCaml clears the sub-windows strictly between old and new slot;
  Rust counts slots instead and always clears at least one.

Source: spec wire-types 4.2 and 4.3; ``MinaProtocol/mina src/lib/consensus/proof_of_stake.ml``
and `o1-labs/mina-rust@6fc3f265 core/src/consensus.rs`.
"""

from __future__ import annotations

import enum
from hashlib import blake2b
from typing import Final

from mina_p2p.mina.network import MAINNET, NetworkConfig
from mina_p2p.mina.protocol_state import ConsensusState
from mina_p2p.record import Record, record

_RUST_GRACE_PERIOD_END: Final = 1440


class Rule(enum.Enum):
    """Whose rule decides."""

    OCAML = "ocaml"
    RUST = "rust"


class Reason(enum.Enum):
    """What decided. The names are those of the Rust node."""

    CHAIN_LENGTH = "ChainLength"
    VRF = "Vrf"
    STATE_HASH = "StateHash"
    SUB_WINDOW_DENSITY = "SubWindowDensity"


@record
class Decision(Record):
    """Whether the candidate replaces the tip, and why."""

    take: bool
    reason: Reason


def select_chain(
    tip: ConsensusState,
    candidate: ConsensusState,
    tip_hash: bytes,
    candidate_hash: bytes,
    rule: Rule = Rule.OCAML,
    network: NetworkConfig = MAINNET,
) -> Decision:
    """Compare two chains by the consensus states of their last blocks; a tie keeps the tip.

    :param tip_hash: state hash of the tip's block, ``candidate_hash`` of the other.
    """
    short = is_short_range(tip, candidate, rule)
    if not short:
        ours, theirs = relative_densities(tip, candidate, rule, network)
        if ours != theirs:
            return Decision(theirs > ours, Reason.SUB_WINDOW_DENSITY)
    if tip.blockchain_length != candidate.blockchain_length:
        return Decision(candidate.blockchain_length > tip.blockchain_length, Reason.CHAIN_LENGTH)
    ours_vrf, theirs_vrf = _digest(tip.last_vrf_output), _digest(candidate.last_vrf_output)
    if ours_vrf != theirs_vrf:
        return Decision(theirs_vrf > ours_vrf, Reason.VRF)
    return Decision(int.from_bytes(candidate_hash, "little") > int.from_bytes(tip_hash, "little"), Reason.STATE_HASH)


def is_short_range(tip: ConsensusState, candidate: ConsensusState, rule: Rule = Rule.OCAML) -> bool:
    """Whether the fork is so young that both chains share the checkpoint that their epochs build on."""
    tip_epoch, candidate_epoch = _epoch(tip, rule), _epoch(candidate, rule)
    if tip_epoch == candidate_epoch:
        return tip.staking_epoch_data.lock_checkpoint == candidate.staking_epoch_data.lock_checkpoint
    if tip_epoch + 1 == candidate_epoch:
        return _continues(tip, candidate, rule)
    if candidate_epoch + 1 == tip_epoch:
        return _continues(candidate, tip, rule)
    return False


def relative_densities(tip: ConsensusState, candidate: ConsensusState, rule: Rule, network: NetworkConfig) -> tuple[int, int]:
    """The least window densities of both chains, as if each had gone on empty to the later of the two slots."""
    slot = max(_slot(tip), _slot(candidate))
    return projected_density(tip, slot, rule, network), projected_density(candidate, slot, rule, network)


def projected_density(state: ConsensusState, slot: int, rule: Rule, network: NetworkConfig) -> int:
    """The least window density of a chain that goes on empty up to ``slot``, which is not before its own."""
    project = _projected_density_ocaml if rule is Rule.OCAML else _projected_density_rust
    return project(state, slot, network)


def _digest(vrf_output: bytes) -> bytes:
    return blake2b(vrf_output, digest_size=32).digest()


def _slot(state: ConsensusState) -> int:
    return state.curr_global_slot_since_hard_fork.slot_number


def _epoch(state: ConsensusState, rule: Rule) -> int:
    if rule is Rule.RUST:
        return state.epoch_count
    return _slot(state) // max(1, state.curr_global_slot_since_hard_fork.slots_per_epoch)


def _continues(behind: ConsensusState, ahead: ConsensusState, rule: Rule) -> bool:
    """Whether the chain that is one epoch ahead builds on the checkpoint that the one behind has locked for it."""
    slots_per_epoch = max(1, behind.curr_global_slot_since_hard_fork.slots_per_epoch)
    slot = _slot(behind) % slots_per_epoch
    seed_is_final = slot + 1 >= slots_per_epoch // 3 * 2 if rule is Rule.OCAML else slot >= slots_per_epoch * 2 // 3
    return seed_is_final and ahead.staking_epoch_data.lock_checkpoint == behind.next_epoch_data.lock_checkpoint


def _projected_density_ocaml(state: ConsensusState, slot: int, network: NetworkConfig) -> int:
    windows = network.sub_windows_per_window
    before, after = _slot(state) // network.slots_per_sub_window, slot // network.slots_per_sub_window
    if before == after or slot < network.grace_period_end:
        return state.min_window_density
    if after > before + windows:
        return 0
    cleared = {index % windows for index in range(before + 1, after)}
    if before % windows == after % windows:
        cleared = set(range(windows)) - {before % windows}
    density = sum(count for i, count in enumerate(state.sub_window_densities) if i not in cleared)
    return min(density, state.min_window_density)


def _projected_density_rust(state: ConsensusState, slot: int, network: NetworkConfig) -> int:
    if slot < _RUST_GRACE_PERIOD_END:
        return state.min_window_density
    windows = network.sub_windows_per_window
    shift = min(max(slot - (_slot(state) + 1), 0), windows)
    start = _slot(state) // network.slots_per_sub_window
    cleared = {(start + 1 + i) % windows for i in range(shift + 1)}
    density = sum(count for i, count in enumerate(state.sub_window_densities) if i not in cleared)
    return min(density, state.min_window_density)
