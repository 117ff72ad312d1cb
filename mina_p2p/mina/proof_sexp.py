"""Proofs as base64 of an s-expression, the text form that OCaml gives to ledger and zkApp proofs.

A record is ``((field value)…)``, a list or tuple ``(a b…)``, an option ``()`` or
``(value)``; field elements are ``0x`` and 64 upper-case digits, limbs 16 lower-case
digits (`o1-labs/mina-rust@6fc3f265 mina-p2p-messages/src/v2/manual.rs`, ``bigint.rs``).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final, TypeAlias

from mina_p2p.mina.proof import Proof, RawProof
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    FixedShape,
    IntShape,
    ListShape,
    OptionShape,
    PaddedShape,
    RecordShape,
    Shape,
    TupleShape,
    UnitShape,
    VariantShape,
    fields_of,
)

Sexp: TypeAlias = "bytes | list[Sexp]"

SEXP_LENGTH_MAX: Final = 200_000
"""No text of a proof is longer, in characters; real ones have about 45,000."""

_DEPTH_MAX: Final = 32
_TOKEN: Final = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+))', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(\d{3}|.)", re.DOTALL)
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"b": b"\b", b"r": b"\r"}
_PLAIN: Final = re.compile(rb"[!#-'*-:<-\[\]-~]+")


def proof_to_text(proof: RawProof) -> str:
    """The text of a proof.

    :raises DecodeError: where the bytes are no proof.
    """
    return base64.urlsafe_b64encode(_print(_dump(RecordShape(Proof), proof.value))).decode()


def proof_from_text(text: str) -> RawProof:
    """Read the text of a proof.

    :raises ValueError: no text of a proof.
    """
    if len(text) > SEXP_LENGTH_MAX:
        raise ValueError(f"{len(text)} characters are no proof")
    try:
        sexp = _parse(base64.urlsafe_b64decode(text))
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None
    return RawProof.of(_load(RecordShape(Proof), sexp))


def _dump(shape: Shape, value: Any) -> Sexp:
    match shape:
        case RecordShape(cls=cls):
            return [[name.encode(), _dump(field, getattr(value, name))] for name, field in fields_of(cls)]
        case TupleShape(items=items):
            return [_dump(item, part) for item, part in zip(items, value, strict=True)]
        case ListShape(inner=inner) | PaddedShape(inner=inner):
            return [_dump(inner, part) for part in value]
        case OptionShape(inner=inner):
            return [] if value is None else [_dump(inner, value)]
        case FixedShape():
            return b"0x%064X" % int.from_bytes(value, "little")
        case IntShape():
            return b"%016x" % value
        case ByteShape():
            return bytes([value])
        case BoolShape():
            return b"true" if value else b"false"
        case VariantShape():
            return bytes(value.name, "ascii")
        case UnitShape():
            return []
        case _:
            raise ValueError(f"proofs hold no {shape!r}")


def _load(shape: Shape, sexp: Sexp) -> Any:
    match shape, sexp:
        case RecordShape(cls=cls), list():
            fields = fields_of(cls)
            if len(sexp) != len(fields):
                raise ValueError(f"{cls.__qualname__} has {len(fields)} fields, not {len(sexp)}")
            values: list[Any] = []
            for (name, field), pair in zip(fields, sexp, strict=True):
                if not isinstance(pair, list) or len(pair) != 2 or pair[0] != name.encode():
                    raise ValueError(f"field {name} of {cls.__qualname__} expected")
                values.append(_load(field, pair[1]))
            return cls(*values)
        case TupleShape(items=items), list():
            return tuple(_load(item, part) for item, part in zip(items, sexp, strict=True))
        case ((ListShape(inner=inner) | PaddedShape(inner=inner)), list()):
            return tuple(_load(inner, part) for part in sexp)
        case OptionShape(inner=inner), list() if len(sexp) <= 1:
            return _load(inner, sexp[0]) if sexp else None
        case FixedShape(size=size), bytes():
            return int(sexp, 16).to_bytes(size, "little")
        case IntShape(), bytes():
            return int(sexp, 16)
        case ByteShape(), bytes() if len(sexp) == 1:
            return sexp[0]
        case BoolShape(), b"true" | b"false":
            return sexp == b"true"
        case VariantShape(constructors=constructors), bytes():
            names = {constructor.name.encode(): constructor.member for constructor in constructors}
            if sexp not in names:
                raise ValueError(f"{sexp!r} is none of {sorted(names)}")
            return names[sexp]
        case UnitShape(), []:
            return None
        case _:
            raise ValueError(f"{shape!r} expected")


def _print(sexp: Sexp) -> bytes:
    # As OCaml's shortest form: a space only between two parts that would otherwise run together.
    if isinstance(sexp, bytes):
        return sexp if _PLAIN.fullmatch(sexp) else b'"' + b"".join(map(_escaped, sexp)) + b'"'
    made = b""
    for part in map(_print, sexp):
        apart = made and not made.endswith((b")", b'"')) and not part.startswith((b"(", b'"'))
        made += b" " + part if apart else part
    return b"(" + made + b")"


def _escaped(byte: int) -> bytes:
    if byte in b'"\\':
        return b"\\%c" % byte
    return b"%c" % byte if 0x20 <= byte < 0x7F else b"\\%03d" % byte


def _parse(data: bytes) -> Sexp:
    stack: list[list[Sexp]] = [[]]
    position = 0
    end = len(data.rstrip())
    while position < end:
        token = _TOKEN.match(data, position)
        if token is None:
            raise ValueError(f"no s-expression at byte {position}")
        position = token.end()
        opening, closing, quoted, plain = token.groups()
        if opening:
            if len(stack) > _DEPTH_MAX:
                raise ValueError(f"nested deeper than {_DEPTH_MAX}")
            stack.append([])
        elif closing:
            done = stack.pop()
            if not stack:
                raise ValueError("a parenthesis too many")
            stack[-1].append(done)
        else:
            stack[-1].append(plain if quoted is None else _ESCAPE.sub(_unescaped, quoted))
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError("one s-expression expected")
    return stack[0][0]


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found.group(1)
    if escape.isdigit() and len(escape) == 3:
        return bytes([int(escape)])
    return _ESCAPES.get(escape, escape)
