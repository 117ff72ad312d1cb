"""The notation: every marker, its bytes, and what is refused."""

from __future__ import annotations

import enum
import json
import math
import pickle
import struct
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import vectors_path

from mina_p2p.record import Record, record
from mina_p2p.wire import (
    Bytes32,
    ByteString,
    Char,
    Custom,
    DecodeError,
    EncodeError,
    FixedBytes,
    Int,
    Int32,
    Int64,
    IntU8,
    IntU16,
    IntU32,
    Malformed,
    MaxBytes,
    MaxItems,
    Nat0,
    NeedsLength,
    Padded,
    Polymorphic,
    Raw,
    Remainder,
    SetOrKeep,
    Tagged,
    UInt32,
    UInt64,
    Unit,
    Utf8,
    Versioned,
    codec,
    encode,
)
from mina_p2p.wire.primitives import DEPTH_MAX, polymorphic_tag


class Colour(enum.IntEnum):
    RED = 0
    GREEN = 2


@record
class Nothing(Record):
    pass


@record
class Pair(Record):
    left: UInt32
    right: bool


@record
class Tree(Record):
    label: IntU8
    children: tuple[Tree, ...]


@record
class Holder(Record):
    before: UInt64
    part: RawPair
    after: bool


@record
class NotDeclared(Record):
    field: int


class RawPair(Raw[Pair], of=f"{__name__}.Pair"):
    """Two fields that stay bytes."""


def read_reversed(data: bytes, offset: int) -> tuple[bytes, int]:
    if data[offset] == 0:
        raise Malformed("a zero")
    return data[offset : offset + 2][::-1], offset + 2


Reversed = Annotated[bytes, Custom(read_reversed, lambda value: value[::-1], 2)]

GOOD: list[tuple[Any, Any, str]] = [
    (Unit, None, "00"),
    (bool, True, "01"),
    (float, -1.5, "000000000000f8bf"),
    (Char, 0xFF, "ff"),
    (Nat0, 2**64 - 1, "fcffffffffffffffff"),
    (Int, -129, "fe7fff"),
    (UInt32, 2**32 - 1, "ffff"),
    (UInt32, 2**31, "fd00000080"),
    (UInt64, 2**64 - 1, "ffff"),
    (UInt64, 2**63, "fc0000000000000080"),
    (IntU32, 2**32 - 1, "fcffffffff00000000"),
    (IntU16, 40_000, "fd409c0000"),
    (IntU8, 200, "fec800"),
    (Int32, -(2**31), "fd00000080"),
    (Bytes32, b"\x07" * 32, "07" * 32),
    (Annotated[bytes, FixedBytes(0)], b"", ""),
    (ByteString, b"abc", "03616263"),
    (ByteString, b"x" * 200, "fec800" + "78" * 200),
    (Annotated[str, Utf8(10)], "é", "02c3a9"),
    (Int64 | None, None, "00"),
    (Int64 | None, 5, "0105"),
    (Annotated[Int64 | None, SetOrKeep()], None, "01"),
    (Annotated[Int64 | None, SetOrKeep()], 5, "0005"),
    (tuple[bool, UInt32], (True, 7), "0107"),
    (tuple[UInt32, ...], (1, 2, 3), "03010203"),
    (tuple[Bytes32, ...], (b"\x01" * 32,), "01" + "01" * 32),
    (Annotated[tuple[bool, ...], Padded(3)], (True, False, True), "01000100"),
    (Annotated[tuple[bool, ...], MaxItems(2)], (True, False), "020100"),
    (Annotated[UInt32, Tagged(7)], 5, "0705"),
    (Annotated[UInt32, Versioned(300)], 5, "fe2c0105"),
    (Annotated[ByteString, NeedsLength()], b"ab", "03026162"),
    (Annotated[tuple[Pair, ...], NeedsLength(), Versioned(2)], (Pair(1, right=True),), "0203010101"),
    (Pair, Pair(5, right=True), "0501"),
    (Pair | Nothing, Nothing(), "01"),
    (Nothing | Pair, Nothing(), "00"),
    (Pair | Nothing | None, None, "00"),
    (Pair | Nothing | None, Nothing(), "0101"),
    (Colour | Pair | Nothing, Pair(5, right=False), "010500"),
    (Colour | Pair | Nothing, Colour.GREEN, "02"),
    (Colour | Pair | Nothing, Nothing(), "03"),
    (Annotated[Pair | Nothing, Polymorphic(("One", "Two"))], Pair(5, right=True), "8da478000501"),
    (Annotated[Pair | Nothing, Polymorphic(("One", "Two"))], Nothing(), "d94a8000"),
    (Annotated[Colour, Polymorphic(("One", "Two"))], Colour.GREEN, "d94a8000"),
    (Tree, Tree(1, (Tree(2, ()), Tree(3, (Tree(4, ()),)))), "010202000301" + "0400"),
    (Annotated[bytes, Remainder()], b"rest", "72657374"),
    (Reversed, b"ab", "6261"),
    (Holder, Holder(300, RawPair(b"\x05\x01"), after=True), "fe2c01050101"),
]


@pytest.mark.parametrize(("kind", "value", "wire"), GOOD)
def test_notation_says_the_bytes(kind: Any, value: Any, wire: str) -> None:
    """Every marker writes these bytes and reads them back, at any offset."""
    both = codec(kind)
    assert both.encode(value).hex() == wire
    assert both.decode(bytes.fromhex(wire)) == value
    if kind != Annotated[bytes, Remainder()]:
        assert both.decode_from(b"??" + bytes.fromhex(wire) + b"!", 2) == (value, 2 + len(wire) // 2)


BAD: list[tuple[Any, str, str, int, str]] = [
    (Unit, "01", "", 0, "unit"),
    (bool, "02", "", 0, "0 or 1"),
    (bool, "", "", 0, "ends"),
    (float, "00000000000000", "", 0, "ends"),
    (Nat0, "80", "", 0, "no nat0"),
    (Nat0, "ff", "", 0, "no nat0"),
    (Nat0, "fe7f00", "", 0, "shortest"),
    (Nat0, "fdffff0000", "", 0, "shortest"),
    (Nat0, "fcffffffff00000000", "", 0, "shortest"),
    (Nat0, "fd000000", "", 0, "ends"),
    (Int, "80", "", 0, "no int"),
    (Int, "fb", "", 0, "no int"),
    (Int, "ff7f", "", 0, "not negative"),
    (Int, "fe80ff", "", 0, "shortest"),
    (Int, "fe7f00", "", 0, "shortest"),
    (Int, "fdff7f0000", "", 0, "shortest"),
    (Int, "fc0000008000", "", 0, "ends"),
    (Int, "fc00000080ffffffff", "", 0, "shortest"),
    (UInt32, "fcffffffff00000000", "", 0, "32 signed bits"),
    (UInt32, "fc0000008000000000", "", 0, "32 signed bits"),
    (UInt64, "fc7f00000000000000", "", 0, "shortest"),
    (IntU32, "ffff", "", 0, "not between"),
    (IntU32, "fc0000000001000000", "", 0, "not between"),
    (IntU16, "fd00000100", "", 0, "not between"),
    (IntU8, "fe0001", "", 0, "not between"),
    (Int32, "fc0000008000000000", "", 0, "not between"),
    (Bytes32, "07" * 31, "", 0, "ends"),
    (ByteString, "0461", "", 0, "left"),
    (ByteString, "fcffffffffffffffff", "", 0, "at most"),
    (Annotated[bytes, MaxBytes(2)], "03616263", "", 0, "at most 2"),
    (Annotated[str, Utf8(10)], "02c328", "", 0, "UTF-8"),
    (Int64 | None, "02", "", 0, "0 or 1"),
    (Annotated[Int64 | None, SetOrKeep()], "02", "", 0, "0 or 1"),
    (tuple[UInt32, ...], "0301", "", 0, "left"),
    (tuple[UInt32, ...], "fcffffffffffffffff", "", 0, "left"),
    (tuple[Bytes32, ...], "02" + "01" * 63, "", 0, "left"),
    (tuple[Nothing, ...], "fd00000100", "", 0, "left"),
    (tuple[Pair, ...], "0205010502", "[1].right", 4, "0 or 1"),
    (Annotated[tuple[bool, ...], Padded(3)], "01000101", "", 3, "fixed number"),
    (Annotated[tuple[bool, ...], MaxItems(2)], "03010001", "", 0, "at most 2"),
    (Annotated[UInt32, Tagged(7)], "0605", "", 0, "tag 7"),
    (Annotated[UInt32, Versioned(1)], "0205", "", 0, "version 1"),
    (Annotated[UInt32, NeedsLength()], "0205", "", 0, "left"),
    (Annotated[UInt32, NeedsLength()], "020505", "", 2, "announced end"),
    (Annotated[UInt32, NeedsLength()], "01fe8000", "", 4, "announced end"),
    (Pair | Nothing, "02", "", 0, "tag below 2"),
    (Pair | Nothing, "000502", "<Pair>.right", 2, "0 or 1"),
    (Colour | Pair | Nothing, "04", "", 0, "tag below 4"),
    (Annotated[Pair | Nothing, Polymorphic(("One", "Two"))], "8da47801", "", 0, "hashes"),
    (Annotated[Pair | Nothing, Polymorphic(("One", "Two"))], "8da478", "", 0, "ends"),
    (Tree, "0101" * DEPTH_MAX + "0100", ".children[0]" * (DEPTH_MAX - 0), 2 * DEPTH_MAX, "nested deeper"),
    (Reversed, "0000", "", 0, "a zero"),
    (Holder, "fe2c01050201", "part.right", 4, "0 or 1"),
    (Holder, "fe2c0105", "part.right", 4, "ends"),
    (Pair, "050100", "", 2, "behind the end"),
]


@pytest.mark.parametrize(("kind", "wire", "path", "offset", "reason"), BAD)
def test_other_bytes_are_refused_with_their_place(kind: Any, wire: str, path: str, offset: int, reason: str) -> None:
    """Whatever is not the one encoding of a value raises `DecodeError` with field, offset and reason."""
    with pytest.raises(DecodeError, match=reason) as caught:
        codec(kind).decode(bytes.fromhex(wire))
    assert (caught.value.path, caught.value.offset) == (path.removeprefix("."), offset)
    assert str(caught.value).startswith(path.removeprefix(".") or "value")


UNWRITABLE: list[tuple[Any, Any, str]] = [
    (Unit, 0, ""),
    (bool, 1, ""),
    (Char, 256, ""),
    (Nat0, -1, ""),
    (Nat0, 2**64, ""),
    (Int, 2**63, ""),
    (UInt32, 2**32, ""),
    (UInt64, -1, ""),
    (IntU8, 256, ""),
    (Bytes32, b"short", ""),
    (Annotated[bytes, MaxBytes(2)], b"abc", ""),
    (Annotated[tuple[bool, ...], Padded(3)], (True,), ""),
    (Annotated[tuple[bool, ...], MaxItems(1)], (True, True), ""),
    (tuple[bool, UInt32], (True,), ""),
    (Pair, Nothing(), ""),
    (Pair, Pair(5, right=1), "right"),  # type: ignore[arg-type]
    (tuple[Pair, ...], (Pair(5, right=True), Pair(-1, right=True)), "[1].left"),
    (Pair | Nothing, 5, ""),
    (Colour | Pair | Nothing, 0, ""),
    (UInt32, "5", ""),
    (ByteString, 5, ""),
]


@pytest.mark.parametrize(("kind", "value", "path"), UNWRITABLE)
def test_value_of_another_type_or_range_is_not_written(kind: Any, value: Any, path: str) -> None:
    """What a reader would refuse, or would read as another value, raises `EncodeError` with the field."""
    with pytest.raises(EncodeError) as caught:
        codec(kind).encode(value)
    assert caught.value.path == path


@pytest.mark.parametrize("kind", [NotDeclared, int, dict, tuple[int, ...], Annotated[int, "note"], Colour, NotDeclared | None])
def test_annotation_that_fixes_no_bytes_is_refused(kind: Any) -> None:
    """A type that says nothing about the wire is a mistake of the programmer, found at the first use."""
    with pytest.raises(TypeError):
        codec(kind).encode(None)


def test_encode_writes_a_record_by_its_class() -> None:
    """The function for records needs no codec by hand."""
    assert encode(Pair(5, right=True)) == b"\x05\x01"


def test_raw_part_decodes_when_asked_and_once() -> None:
    """A part that stayed bytes is these bytes, and remembers its value."""
    held = codec(Holder).decode(bytes.fromhex("fe2c01050101"))
    assert held.part == b"\x05\x01"
    assert held.part.value == Pair(5, right=True)
    assert held.part.value is held.part.value
    assert RawPair.of(Pair(5, right=True)) == held.part
    assert pickle.loads(pickle.dumps(held.part)).value == held.part.value
    assert hash(held.part) == hash(b"\x05\x01")
    with pytest.raises(DecodeError):
        _ = RawPair(b"\x05").value
    assert "2 bytes" in repr(RawPair(bytes(17))) or "17 bytes" in repr(RawPair(bytes(17)))


def test_polymorphic_tags_are_ocamls() -> None:
    """The hashes of names that the network uses."""
    assert polymorphic_tag("One").to_bytes(4, "little").hex() == "8da47800"
    assert polymorphic_tag("Two").to_bytes(4, "little").hex() == "d94a8000"
    assert polymorphic_tag("Border_block_continued_in_the_next_tree").to_bytes(4, "little").hex() == "532829fb"


NAMED = {
    "nat0": Nat0, "int64": Int64, "int32": Int32, "uint64": UInt64, "uint32": UInt32, "intu8": IntU8, "intu16": IntU16, "intu32": IntU32,
    "bool": bool, "unit": Unit, "char": Char, "float64": float,
}  # fmt: skip


def test_primitive_vectors() -> None:
    """Values and bytes that the reference's tests pin; the lenient forms that it reads are refused here."""
    vectors = json.loads(vectors_path("primitives.json").read_text())
    known = [item for item in vectors["ok"] if item["type"] in NAMED]
    assert len(known) > 20
    for item in known:
        value = int(item["value"]) if isinstance(item["value"], str) else item["value"]
        both = codec(NAMED[item["type"]])
        assert both.encode(value).hex() == item["hex"], item
        assert both.decode(bytes.fromhex(item["hex"])) == value


@given(st.binary(max_size=12), st.sampled_from(list(NAMED)))
def test_primitives_have_one_encoding(data: bytes, name: str) -> None:
    """Whatever is read from any bytes is written as exactly the bytes that were read."""
    both = codec(NAMED[name])
    try:
        value, end = both.decode_from(data, 0)
    except DecodeError:
        return
    if not (isinstance(value, float) and math.isnan(value)):
        assert both.encode(value) == data[:end]


@given(st.integers(-(2**63), 2**63 - 1))
def test_ints_take_the_least_room(value: int) -> None:
    """The encoding of an int is the shortest of the five forms that can hold it."""
    wire = codec(Int).encode(value)
    forms = [(1, 0, 127), (2, -128, -1), (3, -(2**15), 2**15 - 1), (5, -(2**31), 2**31 - 1), (9, -(2**63), 2**63 - 1)]
    assert len(wire) == next(size for size, low, high in forms if low <= value <= high)
    assert codec(Int).decode(wire) == value


@given(st.floats())
def test_floats_keep_their_bits(value: float) -> None:
    """A float is its IEEE 754 bytes, whatever number it is."""
    wire = codec(float).encode(value)
    assert wire == struct.pack("<d", value)
    again = codec(float).decode(wire)
    assert again == value or math.isnan(value)
