"""Mutations of bytes: what damage, malice and mistakes do to an encoding."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from mina_p2p.testing.dice import Dice

SIZE_MAX: Final = 1 << 16
"""Bytes of a mutated input, at most."""

_BYTES: Final = (0x00, 0x01, 0x02, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF, 0x0A, 0x2C, 0x2F)
"""Where encodings change their mind: ends of ranges, bin_prot's codes for longer integers, separators of texts."""

_LIES: Final = (
    b"\xfe\xff\xff",
    b"\xfe\x80\x00",
    b"\xfe\x7f\x00",
    b"\xfd\xff\xff\xff\xff",
    b"\xfd\x00\x00\x00\x80",
    b"\xfd\x00\x00\x01\x00",
    b"\xfc\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xfc\x01\x00\x00\x00\x00\x00\x00\x00",
    b"\xff\x80",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
)
"""Lengths and numbers that nothing justifies, and small ones in a long form."""

_WORD: Final = re.compile(rb'-?[0-9]+|"[^"]{0,200}"|null|true|false')
_WORDS: Final = (
    b"9" * 5_000,
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"1.5",
    b"null",
    b'""',
    b'"\\ud800"',
    b"[" * 3_000,
    b'{"a":' * 3_000,
    b"\xd9\xa3",
    b"18446744073709551616",
    b"[[]]",
)
"""What parsers of texts stumble over: numbers without end, nesting without end, half of a character."""

Mutation = Callable[[bytes, Dice, bytes], bytes]
"""``(data, dice, another input) -> mutated``; ``data`` is not empty."""


def _flip_bit(data: bytes, dice: Dice, _other: bytes) -> bytes:
    at = dice.below(len(data))
    return data[:at] + bytes((data[at] ^ (1 << dice.below(8)),)) + data[at + 1 :]


def _set_byte(data: bytes, dice: Dice, _other: bytes) -> bytes:
    at = dice.below(len(data))
    value = dice.choice(_BYTES) if dice.below(2) else dice.below(256)
    return data[:at] + bytes((value,)) + data[at + 1 :]


def _step_byte(data: bytes, dice: Dice, _other: bytes) -> bytes:
    at = dice.below(len(data))
    return data[:at] + bytes(((data[at] + dice.choice((-2, -1, 1, 2))) % 256,)) + data[at + 1 :]


def _lie(data: bytes, dice: Dice, _other: bytes) -> bytes:
    at, lie = dice.below(len(data)), dice.choice(_LIES)
    return data[:at] + lie + data[at + (1 if dice.below(2) else len(lie)) :]


def _cut(data: bytes, dice: Dice, _other: bytes) -> bytes:
    return data[: dice.below(len(data))]


def _remove(data: bytes, dice: Dice, _other: bytes) -> bytes:
    start, end = _range(data, dice)
    return data[:start] + data[end:]


def _insert(data: bytes, dice: Dice, _other: bytes) -> bytes:
    at = dice.below(len(data) + 1)
    return data[:at] + dice.raw(1 + dice.below(8)) + data[at:]


def _repeat(data: bytes, dice: Dice, _other: bytes) -> bytes:
    start, end = _range(data, dice)
    return data[:end] + data[start:end] * (1 + dice.below(4)) + data[end:]


def _swap(data: bytes, dice: Dice, _other: bytes) -> bytes:
    start, end = _range(data, dice)
    middle = start + dice.below(end - start + 1)
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _splice(data: bytes, dice: Dice, other: bytes) -> bytes:
    """The beginning of one and the end of another."""
    return data[: dice.below(len(data) + 1)] + other[dice.below(len(other) + 1) :]


def _graft(data: bytes, dice: Dice, other: bytes) -> bytes:
    """A part of another in place of one of ours."""
    if not other:
        return data
    start, end = _range(data, dice)
    from_other, to_other = _range(other, dice)
    return data[:start] + other[from_other:to_other] + data[end:]


def _word(data: bytes, dice: Dice, _other: bytes) -> bytes:
    """A number or a quoted text of a text is something else."""
    start = dice.below(len(data))
    found = _WORD.search(data, start) or _WORD.search(data)
    if found is None:
        return _set_byte(data, dice, b"")
    return data[: found.start()] + dice.choice(_WORDS) + data[found.end() :]


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip_bit,
    _set_byte,
    _step_byte,
    _lie,
    _lie,
    _cut,
    _remove,
    _insert,
    _repeat,
    _swap,
    _splice,
    _graft,
    _word,
)


def mutate(data: bytes, dice: Dice, others: Sequence[bytes]) -> bytes:
    """``data`` after one to four mutations, at most `SIZE_MAX` bytes.

    :param others: inputs from which parts may be taken; at least one.
    """
    for _ in range(1 + dice.below(4) * dice.below(2)):
        data = dice.choice(MUTATIONS)(data, dice, dice.choice(others)) if data else dice.raw(dice.below(9))
    return data[:SIZE_MAX]


def _range(data: bytes, dice: Dice) -> tuple[int, int]:
    """A stretch, short most times."""
    start = dice.below(len(data))
    longest = len(data) - start if dice.below(4) == 0 else min(16, len(data) - start)
    return start, start + 1 + dice.below(longest)
