"""bin_prot's integers, and what the compiled functions call for the rare cases.

Readers take the input and an offset and return the value and the offset behind
it. They are strict: an integer has one encoding (spec: wire-types 1.1). An
input that ends too early raises ``IndexError`` or ``struct.error``, which
`Codec` turns into `DecodeError` like `Malformed`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NoReturn

_U16: Final = Struct("<H")
_U32: Final = Struct("<I")
_U64: Final = Struct("<Q")
_I16: Final = Struct("<h")
_I32: Final = Struct("<i")
_I64: Final = Struct("<q")

SMALL: Final = tuple(bytes([i]) for i in range(128))
"""The encodings of 0 to 127, the same in both families."""

DEPTH_MAX: Final = 128
"""How deep a recursive type may be nested. A call forest of the network's largest zkApp command is far below."""


class Malformed(Exception):  # noqa: N818 - an internal signal; DecodeError is what leaves
    """The bytes at hand are wrong; the reason is the argument."""


def read_nat0(data: bytes, offset: int) -> tuple[int, int]:
    """Read a nat0: 0 to 2^64-1."""
    first = data[offset]
    if first < 0x80:
        return first, offset + 1
    if first == 0xFE:
        (value,), end, least = _U16.unpack_from(data, offset + 1), offset + 3, 0x80
    elif first == 0xFD:
        (value,), end, least = _U32.unpack_from(data, offset + 1), offset + 5, 0x1_0000
    elif first == 0xFC:
        (value,), end, least = _U64.unpack_from(data, offset + 1), offset + 9, 0x1_0000_0000
    else:
        raise Malformed(f"no nat0 starts with byte {first:#04x}")
    if value < least:
        raise Malformed(f"{value} is not in its shortest form")
    return value, end


def read_int(data: bytes, offset: int) -> tuple[int, int]:
    """Read a signed int: -2^63 to 2^63-1."""
    first = data[offset]
    if first < 0x80:
        return first, offset + 1
    if first == 0xFC:
        (value,) = _I64.unpack_from(data, offset + 1)
        end, bound = offset + 9, 0x8000_0000
    elif first == 0xFD:
        (value,) = _I32.unpack_from(data, offset + 1)
        end, bound = offset + 5, 0x8000
    elif first == 0xFE:
        (value,) = _I16.unpack_from(data, offset + 1)
        end, bound = offset + 3, 0x80
    elif first == 0xFF:
        value, end, bound = data[offset + 1] - 0x100, offset + 2, 0
        if value < -0x80:
            raise Malformed("the one-byte negative form holds a number that is not negative")
    else:
        raise Malformed(f"no int starts with byte {first:#04x}")
    if -bound <= value < bound:
        raise Malformed(f"{value} is not in its shortest form")
    return value, end


def read_uint64(data: bytes, offset: int) -> tuple[int, int]:
    """Read Mina's uint64, which is the signed number of the same 64 bits."""
    if data[offset] == 0xFC:  # an amount, a time stamp, a limb
        (value,) = _U64.unpack_from(data, offset + 1)
        if 0x8000_0000 <= value < 0xFFFF_FFFF_8000_0000:
            return value, offset + 9
    value, offset = read_int(data, offset)
    return (value if value >= 0 else value + 0x1_0000_0000_0000_0000), offset


def read_uint32(data: bytes, offset: int) -> tuple[int, int]:
    """Read Mina's uint32, which is the signed number of the same 32 bits."""
    if data[offset] == 0xFD:  # a slot, a height
        (value,) = _U32.unpack_from(data, offset + 1)
        if 0x8000 <= value < 0xFFFF_8000:
            return value, offset + 5
    value, offset = read_int(data, offset)
    if not -0x8000_0000 <= value < 0x8000_0000:
        raise Malformed(f"{value} does not fit 32 signed bits")
    return (value if value >= 0 else value + 0x1_0000_0000), offset


def write_nat0(value: int) -> bytes:
    """Write 0 to 2^64-1 in its shortest form.

    :raises ValueError: out of range.
    """
    if 0 <= value < 0x80:
        return SMALL[value]
    if 0 <= value < 0x1_0000:
        return b"\xfe" + value.to_bytes(2, "little")
    if 0 <= value < 0x1_0000_0000:
        return b"\xfd" + value.to_bytes(4, "little")
    if 0 <= value < 0x1_0000_0000_0000_0000:
        return b"\xfc" + value.to_bytes(8, "little")
    raise ValueError(f"{value} is not a nat0")


def write_int(value: int) -> bytes:
    """Write -2^63 to 2^63-1 in its shortest form.

    :raises ValueError: out of range.
    """
    if 0 <= value < 0x80:
        return SMALL[value]
    if -0x80 <= value < 0:
        return b"\xff" + value.to_bytes(1, "little", signed=True)
    if -0x8000 <= value < 0x8000:
        return b"\xfe" + value.to_bytes(2, "little", signed=True)
    if -0x8000_0000 <= value < 0x8000_0000:
        return b"\xfd" + value.to_bytes(4, "little", signed=True)
    if -0x8000_0000_0000_0000 <= value < 0x8000_0000_0000_0000:
        return b"\xfc" + value.to_bytes(8, "little", signed=True)
    raise ValueError(f"{value} does not fit 64 signed bits")


def write_uint64(value: int) -> bytes:
    """Write Mina's uint64.

    :raises ValueError: out of range.
    """
    if not 0 <= value < 0x1_0000_0000_0000_0000:
        raise ValueError(f"{value} is not a uint64")
    return write_int(value - 0x1_0000_0000_0000_0000 if value >= 0x8000_0000_0000_0000 else value)


def write_uint32(value: int) -> bytes:
    """Write Mina's uint32.

    :raises ValueError: out of range.
    """
    if not 0 <= value < 0x1_0000_0000:
        raise ValueError(f"{value} is not a uint32")
    return write_int(value - 0x1_0000_0000 if value >= 0x8000_0000 else value)


def write_ranged(value: int, low: int, high: int) -> bytes:
    """Write a signed int that must lie between ``low`` and ``high``.

    :raises ValueError: out of range.
    """
    if not low <= value <= high:
        raise ValueError(f"{value} is not between {low} and {high}")
    return write_int(value)


def read_byte_ints(data: bytes, offset: int, limit: int) -> tuple[bytes, int]:
    """Read a list of ints from 0 to 255 as bytes."""
    count, offset = read_nat0(data, offset)
    if count > limit:
        raise Malformed(f"{count} items, at most {limit} allowed")
    if count > len(data) - offset:
        refuse_count(count, len(data) - offset)
    values = bytearray(count)
    for i in range(count):
        value = data[offset]
        if value < 0x80:
            offset += 1
        else:
            value, offset = read_int(data, offset)
            if not 0 <= value < 0x100:
                raise Malformed(f"item {i} is {value}, not a byte")
        values[i] = value
    return bytes(values), offset


def write_byte_ints(value: bytes, limit: int) -> bytes:
    """Write bytes as a list of ints.

    :raises ValueError: more than ``limit`` bytes.
    """
    if len(value) > limit:
        raise ValueError(f"{len(value)} items, at most {limit} allowed")
    return write_nat0(len(value)) + b"".join([SMALL[x] if x < 0x80 else b"\xfe%c\x00" % x for x in value])


def read_utf8(data: bytes, start: int, end: int) -> str:
    """Read the text between two offsets."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: {error.reason}") from None


def polymorphic_tag(name: str) -> int:
    """The four-byte tag of a polymorphic variant's constructor (spec: wire-types 1.2)."""
    folded = 0
    for byte in name.encode("ascii"):
        folded = (223 * folded + byte) & 0x7FFF_FFFF
    if folded > 0x3FFF_FFFF:
        folded -= 0x8000_0000
    return ((folded << 1) | 1) & 0xFFFF_FFFF


def refuse(reason: str) -> NoReturn:
    """Refuse the bytes at hand."""
    raise Malformed(reason)


def refuse_count(count: int, left: int) -> NoReturn:
    """Refuse a count that the bytes left can not hold."""
    raise Malformed(f"{count} announced, but only {left} bytes are left")


def refuse_tag(tag: int, expected: str) -> NoReturn:
    """Refuse a tag, flag or padding byte."""
    raise Malformed(f"{expected} expected, not {tag:#04x}")


def refuse_value(reason: str) -> NoReturn:
    """Refuse to encode a value."""
    raise ValueError(reason)
