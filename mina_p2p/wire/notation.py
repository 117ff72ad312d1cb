"""How a record says what its fields look like on the wire.

A field's annotation is an ordinary type, which is what type checkers and
readers see, plus a marker where the type alone does not fix the bytes:

* ``bool``, ``float``, ``None`` (unit), ``T | None`` (option), ``tuple[A, B]``,
  ``tuple[T, ...]`` (list), another record, an ``IntEnum`` (a variant of
  constructors without arguments): as bin_prot writes them;
* ``A | B | C`` of records: a variant whose tags are the positions in this
  declaration. An ``IntEnum`` in such a union holds the tags that are its
  values, and the records take the free ones in order. (Python takes two unions of
  the same classes for one, whatever their order, where both stand in ``Annotated``
  with equal markers: declare such variants with records of their own);
* integers, bytes and everything unusual: ``Annotated[type, marker, ...]``.
  Later markers wrap what earlier ones made: ``Annotated[UInt32, Tagged(0)]``
  is a tag byte 0 and then a uint32.

Source: spec wire-types 1.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from mina_p2p.record import Record, record

BYTES_LIMIT = 100_000_000
"""No byte string is longer than this, in bytes (spec: wire-types 1.2)."""


@record
class IntRange(Record):
    """A bin_prot integer between ``low`` and ``high``, both allowed.

    ``signed`` chooses between OCaml's ``int`` and ``nat0``. ``wrap_bits`` is for
    Mina's unsigned numbers, whose wire form is the signed number of as many
    bits; it is 0 elsewhere.
    """

    signed: bool
    low: int
    high: int
    wrap_bits: int = 0


@record
class Byte(Record):
    """An ``int`` that is one raw byte: OCaml's ``char``."""


@record
class FixedBytes(Record):
    """``size`` raw bytes without a length."""

    size: int


@record
class MaxBytes(Record):
    """A byte string: nat0 length, at most ``limit``, then the bytes."""

    limit: int


@record
class ByteInts(Record):
    """``bytes`` that the wire holds as a list of ints, one for each byte; at most ``limit`` of them."""

    limit: int


@record
class Utf8(Record):
    """A ``str`` of at most ``limit`` bytes of UTF-8."""

    limit: int


@record
class MaxItems(Record):
    """A list of at most ``limit`` items."""

    limit: int


@record
class Padded(Record):
    """Exactly ``size`` items, then one byte 0, and no count."""

    size: int


@record
class SetOrKeep(Record):
    """``T | None`` whose tags are 0 for a value and 1 for none.

    ``some`` and ``none`` are the names of the two constructors in JSON, ``yojson`` its style.
    """

    some: str = "Set"
    none: str = "Keep"
    yojson: bool = True


@record
class Polymorphic(Record):
    """A union whose tags are OCaml's hashes of the constructors' names, in the union's order."""

    names: tuple[str, ...]


@record
class Tagged(Record):
    """One tag byte in front: a variant with a single constructor called ``name``."""

    tag: int = 0
    name: str = ""


@record
class Versioned(Record):
    """The bin_prot int ``version`` in front."""

    version: int


@record
class NeedsLength(Record):
    """The length in bytes as nat0 in front; it is checked."""


@record
class Remainder(Record):
    """``bytes`` up to the end of the input, not looked into. Only the last field can be that."""


@record
class Custom(Record):
    """A hand-written pair of functions.

    ``read(data, offset)`` returns the value and the offset behind it, or raises
    `Malformed`, ``IndexError`` or ``struct.error``; ``write(value)`` returns the bytes.
    ``size_min`` is the least number of bytes a value takes.
    """

    read: Callable[[bytes, int], tuple[Any, int]]
    write: Callable[[Any], bytes]
    size_min: int = 1


Nat0: TypeAlias = Annotated[int, IntRange(signed=False, low=0, high=2**64 - 1)]
Int64: TypeAlias = Annotated[int, IntRange(signed=True, low=-(2**63), high=2**63 - 1)]
Int: TypeAlias = Int64
Int32: TypeAlias = Annotated[int, IntRange(signed=True, low=-(2**31), high=2**31 - 1)]
IntU8: TypeAlias = Annotated[int, IntRange(signed=True, low=0, high=2**8 - 1)]
IntU16: TypeAlias = Annotated[int, IntRange(signed=True, low=0, high=2**16 - 1)]
IntU32: TypeAlias = Annotated[int, IntRange(signed=True, low=0, high=2**32 - 1)]
UInt32: TypeAlias = Annotated[int, IntRange(signed=True, low=0, high=2**32 - 1, wrap_bits=32)]
UInt64: TypeAlias = Annotated[int, IntRange(signed=True, low=0, high=2**64 - 1, wrap_bits=64)]
Char: TypeAlias = Annotated[int, Byte()]
Bytes32: TypeAlias = Annotated[bytes, FixedBytes(32)]
Field: TypeAlias = Annotated[bytes, FixedBytes(32)]
"""A field element: 32 bytes, little-endian; values from the modulus on are not refused here."""
ByteString: TypeAlias = Annotated[bytes, MaxBytes(BYTES_LIMIT)]
Unit: TypeAlias = None
"""One byte 0."""
