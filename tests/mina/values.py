"""Hypothesis strategies for values of any declared type, from its shape."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from mina_p2p.mina import scan_state
from mina_p2p.mina.proof import RawProof
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import Codec
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    BytesShape,
    CustomShape,
    FixedShape,
    FloatShape,
    IntShape,
    ListShape,
    NeedsLengthShape,
    OptionShape,
    PaddedShape,
    RawShape,
    RecordShape,
    RemainderShape,
    Shape,
    TaggedShape,
    TupleShape,
    UnitShape,
    VariantShape,
    VersionedShape,
    fields_of,
    is_recursive,
)

PROOFS = st.sampled_from([MinaGenerator(seed).proof() for seed in (1, 2)])
"""Drawing the hundreds of fields of a proof is slow; the type of proofs has its own test."""


def values(codec: Codec[Any]) -> st.SearchStrategy[Any]:
    """Values that the codec can write."""
    return strategy(codec.shape())


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    edges = {
        0,
        1,
        127,
        128,
        255,
        256,
        2**15 - 1,
        2**15,
        2**16,
        2**31 - 1,
        2**31,
        2**32 - 1,
        2**32,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -1,
        -128,
        -129,
        low,
        high,
    }
    return st.one_of(st.sampled_from(sorted(edge for edge in edges if low <= edge <= high)), st.integers(low, high))


@cache
def strategy(shape: Shape) -> st.SearchStrategy[Any]:
    match shape:
        case UnitShape():
            return st.none()
        case BoolShape():
            return st.booleans()
        case FloatShape():
            return st.floats(allow_nan=False)
        case ByteShape():
            return st.integers(0, 255)
        case IntShape(range=bounds):
            return integers(bounds.low, bounds.high)
        case FixedShape(size=size, cls=cls):
            # One drawn byte repeated: a proof has hundreds of fields, and none is looked into.
            return st.one_of(st.integers(0, 255).map(lambda byte: cls(bytes([byte]) * size)), st.just(cls(bytes(range(size)))))
        case BytesShape(limit=limit):
            return st.binary(max_size=min(limit, 40))
        case RemainderShape(cls=cls):
            return st.binary(max_size=20).map(cls)
        case CustomShape(custom=custom) if custom.read is scan_state.read_scan_tree:
            return scan_trees()
        case CustomShape():
            return st.nothing()
        case RawShape(cls=cls) if cls is RawProof:
            return PROOFS
        case RawShape(cls=cls, inner=inner):
            return strategy(inner).map(cls.of)
        case OptionShape(inner=inner):
            return st.one_of(st.none(), strategy(inner))
        case ListShape(inner=inner, limit=limit):
            return st.lists(strategy(inner), max_size=min(limit or 3, 3)).map(tuple)
        case PaddedShape(inner=inner, size=size):
            return st.lists(strategy(inner), min_size=size, max_size=size).map(tuple)
        case TupleShape(items=items):
            return st.tuples(*map(strategy, items))
        case RecordShape(cls=cls) if is_recursive(cls):
            return st.deferred(lambda: st.builds(cls, *[strategy(field) for _, field in fields_of(cls)]))
        case RecordShape(cls=cls):
            return st.builds(cls, *[strategy(field) for _, field in fields_of(cls)])
        case VariantShape(constructors=constructors):
            return st.one_of([st.just(c.member) if c.member is not None else strategy(RecordShape(c.cls)) for c in constructors])
        case TaggedShape(inner=inner) | VersionedShape(inner=inner) | NeedsLengthShape(inner=inner):
            return strategy(inner)


@cache
def scan_trees() -> st.SearchStrategy[scan_state.ScanTree]:
    bases = strategy(RecordShape(scan_state.BaseItem))
    merges = strategy(RecordShape(scan_state.MergeItem))

    def levels(depth: int) -> st.SearchStrategy[scan_state.ScanTree]:
        upper = st.tuples(*[st.tuples(*[merges] * (1 << level)) for level in range(depth)])
        return st.builds(scan_state.ScanTree, upper, st.tuples(*[bases] * (1 << depth)))

    return st.one_of(levels(0), levels(1))
