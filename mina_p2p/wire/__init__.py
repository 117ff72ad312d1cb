"""Bytes: bin_prot by declaration, and frames.

Declare a record, and it can be read and written::

    @record
    class TransactionInfo(Record):
        hash: Bytes32
        fee_payer: CompressedPublicKey
        fee: Nat0
        nonce: IntU32

    codec(TransactionInfo).decode(data)

* ``notation``: what annotations mean on the wire;
* ``shapes``: the same without Python's typing;
* ``compile_read``, ``compile_write``, ``compile_skip``: shapes into functions; ``source`` turns their failures into paths;
* ``codec``: the two functions of a type, compiled when first used;
* ``raw``: parts that keep their bytes and are decoded when asked for;
* ``primitives``: bin_prot's integers; ``framing``: cutting a stream into messages;
* ``dial_options``: addresses as the network writes them.
"""

from __future__ import annotations

from mina_p2p.errors import DecodeError
from mina_p2p.wire.codec import Codec, EncodeError, codec, encode
from mina_p2p.wire.framing import FrameCutter, FrameTooLarge, encode_frame
from mina_p2p.wire.notation import (
    Byte,
    ByteInts,
    Bytes32,
    ByteString,
    Char,
    Custom,
    Field,
    FixedBytes,
    Int,
    Int32,
    Int64,
    IntRange,
    IntU8,
    IntU16,
    IntU32,
    MaxBytes,
    MaxItems,
    Nat0,
    NeedsLength,
    Padded,
    Polymorphic,
    Remainder,
    SetOrKeep,
    Tagged,
    UInt32,
    UInt64,
    Unit,
    Utf8,
    Versioned,
)
from mina_p2p.wire.primitives import Malformed, read_nat0, write_nat0
from mina_p2p.wire.raw import Raw

__all__ = [
    "Byte",
    "ByteInts",
    "ByteString",
    "Bytes32",
    "Char",
    "Codec",
    "Custom",
    "DecodeError",
    "EncodeError",
    "Field",
    "FixedBytes",
    "FrameCutter",
    "FrameTooLarge",
    "Int",
    "Int32",
    "Int64",
    "IntRange",
    "IntU8",
    "IntU16",
    "IntU32",
    "Malformed",
    "MaxBytes",
    "MaxItems",
    "Nat0",
    "NeedsLength",
    "Padded",
    "Polymorphic",
    "Raw",
    "Remainder",
    "SetOrKeep",
    "Tagged",
    "UInt32",
    "UInt64",
    "Unit",
    "Utf8",
    "Versioned",
    "codec",
    "encode",
    "encode_frame",
    "read_nat0",
    "write_nat0",
]
