"""The dummy proof that stands in for every proof when a zkApp command is hashed.

The network made it by counting: each number in it is the BLAKE2s digest of a
label and a counter, cut to the field, and the counters run backwards through the
record, because OCaml evaluates a record's fields from the last to the first. Three
curve points are not random: the generator of Pallas, and a commitment that follows
from the challenges. So the 10,368 bytes are built here from what they mean
(spec: wire-types 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import blake2s
from typing import Final

from mina_p2p.mina.field import FP_MODULUS, FQ_MODULUS
from mina_p2p.mina.proof import (
    AllEvaluations,
    BranchData,
    Bulletproof,
    BulletproofChallenge,
    DeferredValues,
    Evaluations,
    FeatureFlags,
    MessagesForNextStepProof,
    MessagesForNextWrapProof,
    Plonk,
    Point,
    PreviousEvaluations,
    PreviousEvaluationsAndFt,
    Proof,
    ProofState,
    ProofStatement,
    ProofsVerified,
    RawProof,
    ScalarChallenge,
    WireCommitments,
    WireEvaluations,
    WireProof,
)

_GENERATOR: Final[Point] = (
    (1).to_bytes(32, "little"),
    0x1B74B5A30A12937C53DFA9F06378EE548F655BD4333D477119CF7A23CAED2ABB.to_bytes(32, "little"),
)
_CHALLENGE_COMMITMENT: Final[Point] = (
    0x0FD332BC7DFD613056419FDB0559B4534048252D441179C1E79BF01549549962.to_bytes(32, "little"),
    0x160504505EA5EB041D033936E7B1A6553A163C7CE2E6B1C74FA2C1F78552D7AC.to_bytes(32, "little"),
)


@cache
def dummy_transaction_proof() -> RawProof:
    """The proof's bytes; made once."""
    return RawProof.of(Proof(_statement(), _previous_evaluations(), _wire_proof()))


def _random(label: str, counter: int) -> int:
    return int.from_bytes(blake2s(f"{label}_{counter}".encode()).digest(), "little")


def _challenge(counter: int) -> tuple[int, int]:
    value = _random("chal", counter)
    return value & 0xFFFF_FFFF_FFFF_FFFF, value >> 64 & 0xFFFF_FFFF_FFFF_FFFF


def _fields(label: str, modulus: int, start: int) -> Iterator[bytes]:
    """Field elements for the counters from ``start`` down to 1."""
    return (((_random(label, counter) & ((1 << 255) - 1)) % modulus).to_bytes(32, "little") for counter in range(start, 0, -1))


def _challenges(start: int, count: int) -> tuple[BulletproofChallenge, ...]:
    return tuple(BulletproofChallenge(ScalarChallenge(_challenge(start - i))) for i in range(count))


def _statement() -> ProofStatement:
    plonk = Plonk(
        alpha=ScalarChallenge(_challenge(39)),
        beta=_challenge(38),
        gamma=_challenge(37),
        zeta=ScalarChallenge(_challenge(36)),
        joint_combiner=None,
        feature_flags=FeatureFlags(*[False] * 8),
    )
    deferred = DeferredValues(plonk, _challenges(31, 16), BranchData(ProofsVerified.N0, 14))
    old = _challenges(15, 15)
    return ProofStatement(
        ProofState(deferred, (0, 0, 0, 0), MessagesForNextWrapProof(_CHALLENGE_COMMITMENT, (old, old))),
        MessagesForNextStepProof(None, (), ()),
    )


def _previous_evaluations() -> PreviousEvaluationsAndFt:
    numbers = _fields("fp", FP_MODULUS, 178)
    ft_eval1, at_zeta, at_zeta_omega = next(numbers), next(numbers), next(numbers)

    def one() -> Evaluations:
        return (next(numbers),), (next(numbers),)

    def many(count: int) -> tuple[Evaluations, ...]:
        return tuple(one() for _ in range(count))

    w, coefficients, z, s = many(15), many(15), one(), many(6)
    generic, poseidon, complete_add, mul, emul, endomul_scalar = many(6)
    evaluations = AllEvaluations(
        w, coefficients, z, s, generic, poseidon, complete_add, mul, emul, endomul_scalar,
        None, None, None, None, None, None, None, None, (None,) * 5, None, None, None, None, None, None,
    )  # fmt: skip
    return PreviousEvaluationsAndFt(PreviousEvaluations((at_zeta, at_zeta_omega), evaluations), ft_eval1)


def _wire_proof() -> WireProof:
    numbers = _fields("fq", FQ_MODULUS, 93)
    z_1, z_2 = next(numbers), next(numbers)
    for _ in range(2):
        next(numbers)  # went into points, which the generator replaced
    ft_eval1 = next(numbers)
    for _ in range(2):
        next(numbers)

    def many(count: int) -> tuple[Point, ...]:
        return tuple((next(numbers), next(numbers)) for _ in range(count))

    w, coefficients, (z,), s = many(15), many(15), many(1), many(6)
    return WireProof(
        WireCommitments((_GENERATOR,) * 15, _GENERATOR, (_GENERATOR,) * 7),
        WireEvaluations(w, coefficients, z, s, *many(6)),
        ft_eval1,
        Bulletproof(((_GENERATOR, _GENERATOR),) * 15, z_1, z_2, _GENERATOR, _GENERATOR),
    )
