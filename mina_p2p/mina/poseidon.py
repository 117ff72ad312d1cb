"""Poseidon, the hash of Mina's ledger and chain (spec: wire-types 3.2).

A sponge of three field elements that absorbs two at a time. It is written once,
over whatever kind of integer computes fastest: ``gmpy2``'s where that package is
installed, Python's own elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Final, TypeAlias

from mina_p2p.mina.field import FP_MODULUS
from mina_p2p.mina.poseidon_constants import MDS, ROUND_CONSTANTS

State: TypeAlias = tuple[int, int, int]

_PREFIX_SIZE: Final = 20
_PACKED_BITS: Final = 255
"""A packed field has fewer bits than this, so that it is below the modulus."""

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Every byte with its bits in the other order."""


def _lanes(row: State, number: Callable[[int], int]) -> State:
    first, second, third = row
    return number(first), number(second), number(third)


class Poseidon:
    """The hash over one kind of integer.

    :param number: makes such an integer of an ``int``; ``int`` itself will do.
    """

    def __init__(self, number: Callable[[int], int] = int) -> None:
        self._number = number
        self._modulus = number(FP_MODULUS)
        first, second, third = MDS
        self._mds = _lanes(first, number), _lanes(second, number), _lanes(third, number)
        self._rounds = [_lanes(row, number) for row in ROUND_CONSTANTS]
        self._prefixes: dict[bytes, State] = {}

    def permute(self, state: State) -> State:
        """55 rounds: x to x^7 in every lane, mix, add the round's constants."""
        p = self._modulus
        (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = self._mds
        x, y, z = state
        for c0, c1, c2 in self._rounds:
            t = x * x % p
            u = t * x % p
            x = u * u % p * x % p
            t = y * y % p
            u = t * y % p
            y = u * u % p * y % p
            t = z * z % p
            u = t * z % p
            z = u * u % p * z % p
            x, y, z = (
                (m00 * x + m01 * y + m02 * z + c0) % p,
                (m10 * x + m11 * y + m12 * z + c1) % p,
                (m20 * x + m21 * y + m22 * z + c2) % p,
            )
        return x, y, z

    def prefix(self, name: str, padding: bytes = b"*") -> State:
        """The state after a domain prefix; kept, because there are few."""
        raw = name.encode("ascii").ljust(_PREFIX_SIZE, padding)
        known = self._prefixes.get(raw)
        if known is None:
            number = self._number
            known = self._prefixes[raw] = self.permute((number(int.from_bytes(raw, "little")), number(0), number(0)))
        return known

    def hash(self, start: State, fields: Sequence[int]) -> int:
        """The hash of ``fields``, each below the modulus, from the state ``start`` on.

        :raises ValueError: where a field is not below the modulus.
        """
        for value in fields:
            if not 0 <= value < FP_MODULUS:
                raise ValueError(f"{value:#x} is not below the modulus")
        p = self._modulus
        x, y, z = start
        for i in range(0, len(fields) - 1, 2):
            x, y, z = self.permute(((x + fields[i]) % p, (y + fields[i + 1]) % p, z))
        if len(fields) % 2:
            x, y, z = self.permute(((x + fields[-1]) % p, y, z))
        elif not fields:
            x, y, z = self.permute((x, y, z))
        return int(x)


@cache
def poseidon() -> Poseidon:
    """The fastest one that this environment can offer."""
    try:
        return Poseidon(import_module("gmpy2").mpz)
    except ImportError:
        return Poseidon()


def hash_fields(prefix: str, fields: Sequence[int]) -> int:
    """The hash of field elements under a domain prefix of at most 20 characters.

    :raises ValueError: where a field is not below the modulus.
    """
    engine = poseidon()
    return engine.hash(engine.prefix(prefix), fields)


def pack(items: Iterable[tuple[int, int]]) -> list[int]:
    """Pack small values, each with its number of bits, into as few fields as possible; the first is the highest.

    A negative number of bits marks a string of single bits, which may be cut anywhere.
    """
    packed: list[int] = []
    total = 0
    filled = 0
    for item, size in items:
        value, bits = item, size
        while bits < 0:
            fitting = min(-bits, _PACKED_BITS - 1 - filled)
            bits += fitting
            total = total << fitting | value >> -bits
            value &= (1 << -bits) - 1
            filled += fitting
            if bits:
                packed.append(total)
                total = filled = 0
        if filled + bits < _PACKED_BITS:
            total = total << bits | value
            filled += bits
        else:
            packed.append(total)
            total, filled = value, bits
    if filled:
        packed.append(total)
    return packed


class HashInput:
    """Collects what is hashed: fields, and small values that are packed behind them."""

    __slots__ = ("_fields", "_packed")

    def __init__(self) -> None:
        self._fields: list[int] = []
        self._packed: list[tuple[int, int]] = []

    def field(self, raw: bytes) -> None:
        """A field element of 32 bytes, little-endian."""
        self._fields.append(int.from_bytes(raw, "little"))

    def u32(self, value: int) -> None:
        """32 bits."""
        self._packed.append((value, 32))

    def u64(self, value: int) -> None:
        """64 bits."""
        self._packed.append((value, 64))

    def bool(self, value: bool) -> None:
        """One bit."""
        self._packed.append((int(value), 1))

    def bits(self, raw: bytes, count: int) -> None:
        """The first ``count`` bits of ``raw``, least significant bit of each byte first."""
        reversed_bits = int.from_bytes(raw.translate(_REVERSED), "big") >> len(raw) * 8 - count
        self._packed.append((reversed_bits, -count))

    def to_fields(self) -> list[int]:
        """All fields, then the packed ones."""
        return self._fields + pack(self._packed)
