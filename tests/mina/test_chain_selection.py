"""Chain selection: which vectors pin which rule, and what both rules have in common.

The five recorded forks are pinned by the Rust node's own tests; the pairs of real
mainnet states were computed, and both rules agree on them. Where the rules differ,
the cases below were worked out by hand from their definitions.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import vectors_path, vectors_root

from mina_p2p.mina import text
from mina_p2p.mina.basics import CompressedPublicKey
from mina_p2p.mina.chain_selection import Decision, Reason, Rule, is_short_range, relative_densities, select_chain
from mina_p2p.mina.network import DEVNET, MAINNET
from mina_p2p.mina.protocol_state import ConsensusGlobalSlot, ConsensusState, EpochData, EpochLedger

ZERO = bytes(32)
KEY = CompressedPublicKey(ZERO, is_odd=False)


def consensus(
    slot: int = 0,
    *,
    length: int = 1,
    epoch: int | None = None,
    minimum: int = 77,
    densities: tuple[int, ...] = (7,) * 11,
    vrf: bytes = ZERO,
    staking_lock: bytes = ZERO,
    next_lock: bytes = ZERO,
    slots_per_epoch: int = 7140,
) -> ConsensusState:
    """A consensus state with the fields that chain selection reads."""
    staking = EpochData(EpochLedger(ZERO, 0), ZERO, ZERO, staking_lock, 1)
    coming = EpochData(EpochLedger(ZERO, 0), ZERO, ZERO, next_lock, 1)
    return ConsensusState(
        length, slot // slots_per_epoch if epoch is None else epoch, minimum, densities, vrf, 0,
        ConsensusGlobalSlot(slot, slots_per_epoch), slot, staking, coming, True, KEY, KEY, KEY, True,
    )  # fmt: skip


def cases() -> list[dict[str, Any]]:
    root = vectors_root()
    return [] if root is None else json.loads((root / "consensus" / "forks.json").read_text())


def state_of(item: dict[str, Any]) -> ConsensusState:
    slot = item["curr_global_slot"]
    return consensus(
        int(slot["slot_number"]),
        length=int(item["blockchain_length"]),
        epoch=int(item["epoch_count"]),
        minimum=int(item["min_window_density"]),
        densities=tuple(map(int, item["sub_window_densities"])),
        vrf=base64.urlsafe_b64decode(item["last_vrf_output"]),
        staking_lock=text.STATE_HASH.parse(item["staking_lock_checkpoint"]),
        next_lock=text.STATE_HASH.parse(item["next_lock_checkpoint"]),
        slots_per_epoch=int(slot["slots_per_epoch"]),
    )


def test_fork_vectors_are_there() -> None:
    """The parametrised test below is not empty where there are vectors."""
    assert len(json.loads(vectors_path("consensus", "forks.json").read_text())) == len(cases())


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['branch']}-{case['name']}")
@pytest.mark.parametrize("rule", Rule)
def test_fork_is_decided_as_recorded(case: dict[str, Any], rule: Rule) -> None:
    """Every recorded fork is decided as recorded; the rules differ only where a case says so."""
    tip, candidate = state_of(case["tip"]), state_of(case["candidate"])
    hashes = text.STATE_HASH.parse(case["tip_hash"]), text.STATE_HASH.parse(case["candidate_hash"])
    decision = select_chain(tip, candidate, *hashes, rule=rule)
    assert decision == Decision(case["expect_take"], Reason(case["expect_reason"]))
    assert is_short_range(tip, candidate, rule) == (case["branch"] == "short")


# Sub-windows of seven slots; slot 7000 is in sub-window 1000, which is number 10 of the ring of eleven.
DENSITIES = (1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3)
PROJECTIONS = [
    ("the same slot", 7000, 7000, 40, 34 - 1),
    ("one slot later", 7000, 7001, 40, 34 - 1),
    ("two slots later", 7000, 7002, 40, 34 - 1 - 2),
    ("the end of the same sub-window", 7000, 7006, 40, 34 - 1 - 2 - 3 - 4 - 5 - 6),
    ("the next sub-window", 7000, 7007, 34, 34 - 1 - 2 - 3 - 4 - 5 - 6 - 7),
    ("two sub-windows later", 7000, 7014, 33, 0),
    ("ten sub-windows later", 7000, 7070, 2 + 3, 0),
    ("eleven sub-windows later", 7000, 7077, 3, 0),
    ("twelve sub-windows later", 7000, 7084, 0, 0),
    ("in the grace period of both", 100, 1400, 40, 40),
    ("in the grace period of one", 1400, 1500, 40, 0),
    ("before the end of OCaml's grace period", 2230, 2236, 40, 34 - 1 - 2 - 3 - 4 - 5 - 6),
    ("at the end of OCaml's grace period", 2230, 2240, 34 - 1, 3),
]


@pytest.mark.parametrize(("what", "slot", "later", "ocaml", "rust"), PROJECTIONS)
def test_projected_density(what: str, slot: int, later: int, ocaml: int, rust: int) -> None:
    """OCaml clears the sub-windows strictly between, Rust as many as there are slots between, and one more."""
    state = consensus(slot, minimum=40, densities=DENSITIES)
    other = consensus(later, minimum=0)
    assert relative_densities(state, other, Rule.OCAML, MAINNET)[0] == ocaml, what
    assert relative_densities(state, other, Rule.RUST, MAINNET)[0] == rust, what


def test_rules_differ_one_slot_before_the_seed_is_final() -> None:
    """At slot 4759 of an epoch OCaml's next seed is final, Rust's is not yet: short range for one only."""
    behind = consensus(4759, next_lock=b"\x01" * 32)
    ahead = consensus(7140, staking_lock=b"\x01" * 32)
    assert is_short_range(behind, ahead, Rule.OCAML)
    assert not is_short_range(behind, ahead, Rule.RUST)
    assert is_short_range(ahead, behind, Rule.OCAML)
    assert not is_short_range(consensus(4758, next_lock=b"\x01" * 32), ahead, Rule.OCAML)
    assert is_short_range(consensus(4760, next_lock=b"\x01" * 32), ahead, Rule.RUST)


def test_rules_differ_in_what_an_epoch_is() -> None:
    """OCaml counts epochs by slots, Rust believes the counter in the state."""
    tip, candidate = consensus(100, epoch=3), consensus(200, epoch=9)
    assert is_short_range(tip, candidate, Rule.OCAML)
    assert not is_short_range(tip, candidate, Rule.RUST)


@pytest.mark.parametrize("rule", Rule)
def test_order_of_the_criteria(rule: Rule) -> None:
    """Length before VRF before state hash; state hashes compare as little-endian numbers; a tie keeps the tip."""
    low, high = b"\x00" * 31 + b"\x01", b"\xff" * 31 + b"\x00"
    assert select_chain(consensus(length=2), consensus(length=3), high, low, rule) == Decision(True, Reason.CHAIN_LENGTH)
    assert select_chain(consensus(length=3), consensus(length=2), low, high, rule) == Decision(False, Reason.CHAIN_LENGTH)
    assert select_chain(consensus(), consensus(vrf=b"a"), low, high, rule).reason is Reason.VRF
    assert select_chain(consensus(), consensus(), high, low, rule) == Decision(True, Reason.STATE_HASH)
    assert select_chain(consensus(), consensus(), low, low, rule) == Decision(False, Reason.STATE_HASH)


states = st.builds(
    lambda slot, length, minimum, densities, lock: consensus(
        slot, length=length, minimum=minimum, densities=tuple(densities), staking_lock=lock * 32, next_lock=lock * 32
    ),
    st.integers(0, 20_000),
    st.integers(1, 3),
    st.integers(0, 77),
    st.lists(st.integers(0, 7), min_size=11, max_size=11),
    st.sampled_from([b"\x00", b"\x01"]),
)


@given(states, states, st.sampled_from(Rule))
def test_two_nodes_with_the_same_two_chains_agree(tip: ConsensusState, candidate: ConsensusState, rule: Rule) -> None:
    """Whichever chain is the tip, the same one wins, for the same reason."""
    one, two = b"\x01" * 32, b"\x02" * 32
    forth, back = select_chain(tip, candidate, one, two, rule), select_chain(candidate, tip, two, one, rule)
    assert forth.take != back.take
    assert forth.reason is back.reason


@given(states, st.integers(0, 200), st.sampled_from(Rule))
def test_density_never_grows_by_waiting(state: ConsensusState, wait: int, rule: Rule) -> None:
    """A later comparison never makes a chain denser, and never denser than its minimum."""
    slot = state.curr_global_slot_since_hard_fork.slot_number
    sooner = relative_densities(state, consensus(slot + wait), rule, MAINNET)[0]
    later = relative_densities(state, consensus(slot + wait + 7), rule, MAINNET)[0]
    assert later <= sooner <= state.min_window_density


def test_networks_have_the_ids_that_their_constants_give() -> None:
    """Chain id and preshared key of both public networks follow from their constants."""
    for case in json.loads(vectors_path("text", "chain_id.json").read_text()):
        network = {"mainnet": MAINNET, "devnet": DEVNET}[case["network"]]
        assert network.chain_id.hex() == case["chain_id"]
        assert network.preshared_key.hex() == case["preshared_key_computed"]
        assert network.genesis_timestamp_ms == case["genesis_timestamp_ms"]
        assert text.STATE_HASH.text(network.genesis_state_hash) == case["genesis_state_hash"]


def test_slots_and_epochs_follow_from_the_time() -> None:
    """Slots are three minutes, count from the hard fork's genesis, and 7140 make an epoch."""
    start = MAINNET.genesis_timestamp_ms
    assert MAINNET.global_slot(start) == 0
    assert MAINNET.global_slot(start + 179_999) == 0
    assert MAINNET.global_slot(start - 1) == -1
    assert MAINNET.global_slot(start + 180_000) == 1
    assert MAINNET.slot_since_genesis(1) == 564_481
    assert MAINNET.epoch_and_slot(7141) == (1, 1)
    assert (MAINNET.slots_per_window, MAINNET.grace_period_end) == (77, 2237)
