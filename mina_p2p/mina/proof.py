"""Proofs: one shape for block proofs, ledger proofs and zkApp proofs.

Nobody in a p2p node looks into them, so other types hold them as `RawProof`; here is
what stands inside. Names in double backquotes are the network's own.
"""

from __future__ import annotations

import enum
from typing import Annotated, TypeAlias

from mina_p2p.mina.text import yojson
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import Char, Field, MaxItems, Padded, UInt64, Unit
from mina_p2p.wire.raw import Raw

Point: TypeAlias = tuple[Field, Field]
"""A curve point, or a pair of evaluations."""
Evaluations: TypeAlias = tuple[Annotated[tuple[Field, ...], MaxItems(16)], Annotated[tuple[Field, ...], MaxItems(16)]]
"""Evaluations at zeta and at zeta times omega."""
Limbs2: TypeAlias = Annotated[tuple[UInt64, ...], Padded(2)]
Limbs4: TypeAlias = Annotated[tuple[UInt64, ...], Padded(4)]
"""``Limb_vector__Constant.Hex64.Stable.V1``: 64-bit limbs of a number."""


class ProofsVerified(enum.IntEnum):
    """``Pickles_base__Proofs_verified.Stable.V1``."""

    N0 = 0
    N1 = 1
    N2 = 2


@record
class ScalarChallenge(Record):
    """128 bits in two limbs."""

    inner: Limbs2


@record
class BulletproofChallenge(Record):
    """``Reduced_messages_for_next_proof_over_same_field.Wrap.Challenges_vector.Stable.V2.a``."""

    prechallenge: ScalarChallenge


@record
class FeatureFlags(Record):
    """Which optional gates a circuit uses."""

    range_check0: bool
    range_check1: bool
    foreign_field_add: bool
    foreign_field_mul: bool
    xor: bool
    rot: bool
    lookup: bool
    runtime_tables: bool


@record
class Plonk(Record):
    """The challenges of the PLONK argument."""

    alpha: ScalarChallenge
    beta: Limbs2
    gamma: Limbs2
    zeta: ScalarChallenge
    joint_combiner: ScalarChallenge | None
    feature_flags: FeatureFlags


@record
class BranchData(Record):
    """``Composition_types__Branch_data.Stable.V1``."""

    proofs_verified: Annotated[ProofsVerified, yojson()]
    domain_log2: Char


@record
class DeferredValues(Record):
    """What the next proof has to check."""

    plonk: Plonk
    bulletproof_challenges: Annotated[tuple[BulletproofChallenge, ...], Padded(16)]
    branch_data: BranchData


@record
class MessagesForNextWrapProof(Record):
    """``Pickles__Reduced_messages_for_next_proof_over_same_field.Wrap.Stable.V2``."""

    challenge_polynomial_commitment: Point
    old_bulletproof_challenges: Annotated[tuple[Annotated[tuple[BulletproofChallenge, ...], Padded(15)], ...], Padded(2)]


@record
class ProofState(Record):
    """The proof's part of the statement."""

    deferred_values: DeferredValues
    sponge_digest_before_evaluations: Limbs4
    messages_for_next_wrap_proof: MessagesForNextWrapProof


@record
class MessagesForNextStepProof(Record):
    """What the next step proof has to know."""

    app_state: Unit
    challenge_polynomial_commitments: tuple[Point, ...]
    old_bulletproof_challenges: tuple[Annotated[tuple[BulletproofChallenge, ...], Padded(16)], ...]


@record
class ProofStatement(Record):
    """What the proof says."""

    proof_state: ProofState
    messages_for_next_step_proof: MessagesForNextStepProof


@record
class AllEvaluations(Record):
    """Evaluations of every column of the previous proofs."""

    w: Annotated[tuple[Evaluations, ...], Padded(15)]
    coefficients: Annotated[tuple[Evaluations, ...], Padded(15)]
    z: Evaluations
    s: Annotated[tuple[Evaluations, ...], Padded(6)]
    generic_selector: Evaluations
    poseidon_selector: Evaluations
    complete_add_selector: Evaluations
    mul_selector: Evaluations
    emul_selector: Evaluations
    endomul_scalar_selector: Evaluations
    range_check0_selector: Evaluations | None
    range_check1_selector: Evaluations | None
    foreign_field_add_selector: Evaluations | None
    foreign_field_mul_selector: Evaluations | None
    xor_selector: Evaluations | None
    rot_selector: Evaluations | None
    lookup_aggregation: Evaluations | None
    lookup_table: Evaluations | None
    lookup_sorted: Annotated[tuple[Evaluations | None, ...], Padded(5)]
    runtime_lookup_table: Evaluations | None
    runtime_lookup_table_selector: Evaluations | None
    xor_lookup_selector: Evaluations | None
    lookup_gate_lookup_selector: Evaluations | None
    range_check_lookup_selector: Evaluations | None
    foreign_field_mul_lookup_selector: Evaluations | None


@record
class PreviousEvaluations(Record):
    """Evaluations with the public input."""

    public_input: Point
    evals: AllEvaluations


@record
class PreviousEvaluationsAndFt(Record):
    """``prev_evals`` of a proof."""

    evals: PreviousEvaluations
    ft_eval1: Field


@record
class WireCommitments(Record):
    """``Pickles__Wrap_wire_proof.Commitments.Stable.V1``."""

    w_comm: Annotated[tuple[Point, ...], Padded(15)]
    z_comm: Point
    t_comm: Annotated[tuple[Point, ...], Padded(7)]


@record
class WireEvaluations(Record):
    """``Pickles__Wrap_wire_proof.Evaluations.Stable.V1``."""

    w: Annotated[tuple[Point, ...], Padded(15)]
    coefficients: Annotated[tuple[Point, ...], Padded(15)]
    z: Point
    s: Annotated[tuple[Point, ...], Padded(6)]
    generic_selector: Point
    poseidon_selector: Point
    complete_add_selector: Point
    mul_selector: Point
    emul_selector: Point
    endomul_scalar_selector: Point


@record
class Bulletproof(Record):
    """The opening proof."""

    lr: Annotated[tuple[tuple[Point, Point], ...], MaxItems(16)]
    z_1: Field
    z_2: Field
    delta: Point
    challenge_polynomial_commitment: Point


@record
class WireProof(Record):
    """``Pickles__Wrap_wire_proof.Stable.V1``."""

    commitments: WireCommitments
    evaluations: WireEvaluations
    ft_eval1: Field
    bulletproof: Bulletproof


@record
class Proof(Record):
    """``Pickles__Proof.Proofs_verified_2.Repr.Stable.V2``, ``Proofs_verified_max.Stable.V2``."""

    statement: ProofStatement
    prev_evals: PreviousEvaluationsAndFt
    proof: WireProof


class RawProof(Raw[Proof], of="mina_p2p.mina.proof.Proof"):
    """A proof that nobody has looked into; its layout was checked."""


@record
class WrapIndex(Record):
    """The commitments that make a verification key."""

    sigma_comm: Annotated[tuple[Point, ...], Padded(7)]
    coefficients_comm: Annotated[tuple[Point, ...], Padded(15)]
    generic_comm: Point
    psm_comm: Point
    complete_add_comm: Point
    mul_comm: Point
    emul_comm: Point
    endomul_scalar_comm: Point


@record
class VerificationKey(Record):
    """``Mina_base__Verification_key_wire.Stable.V1``."""

    max_proofs_verified: Annotated[ProofsVerified, yojson()]
    actual_wrap_domain_size: Annotated[ProofsVerified, yojson()]
    wrap_index: WrapIndex
