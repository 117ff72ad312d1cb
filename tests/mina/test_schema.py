"""The declared types have the layout of the network's type tree, root by root."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.vectors import vectors_path

from mina_p2p.mina import scan_state
from mina_p2p.mina.catalog import TYPE_NAMES, annotation_of
from mina_p2p.mina.rpc import RPC_METHODS
from mina_p2p.wire.dial_options import read_dial_address, read_host, read_peer_id, read_signaling
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    BytesShape,
    CustomShape,
    FixedShape,
    FloatShape,
    IntShape,
    ListShape,
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
    shape_of,
)

PRIMITIVES = {"bool": BoolShape(), "char": ByteShape(), "unit": UnitShape(), "float64": FloatShape()}
INTEGERS = {
    "uint64": (True, 0, 2**64 - 1, 64), "uint32": (True, 0, 2**32 - 1, 32), "int64": (True, -(2**63), 2**63 - 1, 0),
    "int32": (True, -(2**31), 2**31 - 1, 0), "inti32": (True, -(2**31), 2**31 - 1, 0), "intu32": (True, 0, 2**32 - 1, 0),
    "intu16": (True, 0, 2**16 - 1, 0), "intu8": (True, 0, 255, 0), "nat0": (False, 0, 2**64 - 1, 0),
}  # fmt: skip
HAND_WRITTEN = {
    "PeerId": read_peer_id, "Host": read_host, "SignalingMethod": read_signaling, "P2pConnectionOutgoingInitOpts": read_dial_address,
}  # fmt: skip
FLATTENED = {"LedgerHashTransition": 4}
"""Records that are one flat record of so many fields here: the same bytes."""
QUERY_ID = "QueryId is a signed int: spec README, corrections"


class Walk:
    """Compares schema and shapes; raises ``AssertionError`` with the path of the first difference."""

    def __init__(self) -> None:
        folder = vectors_path("index.json").parent.parent / "spec" / "mina-types-v2.json"
        if not folder.exists():
            pytest.skip("the type tree is not beside the vectors")
        self.schema = json.loads(folder.read_text())
        self.types = self.schema["types"]
        self.seen: set[tuple[str, Shape]] = set()

    def check(self, kind: Any, shape: Shape, path: str) -> None:
        if isinstance(shape, RawShape):
            self.check(kind, shape.inner, path)
        elif isinstance(kind, dict):
            self.combinator(kind, shape, path)
        elif kind == "field":
            assert isinstance(shape, FixedShape), path
            assert shape.size == 32, path
        elif kind in PRIMITIVES:
            assert shape == PRIMITIVES[kind], path
        elif kind in INTEGERS:
            assert isinstance(shape, IntShape), path
            bounds = shape.range
            expected = INTEGERS["int64"] if path.endswith("Header.id") else INTEGERS[kind]
            assert (bounds.signed, bounds.low, bounds.high, bounds.wrap_bits) == expected, path
        elif (kind, shape) not in self.seen:
            self.seen.add((kind, shape))
            self.named(kind, shape, path)

    def named(self, name: str, shape: Shape, path: str) -> None:
        if name in HAND_WRITTEN:
            assert isinstance(shape, CustomShape), path
            assert shape.custom.read is HAND_WRITTEN[name], path
            return
        if name in FLATTENED:
            assert isinstance(shape, RecordShape), path
            assert len(fields_of(shape.cls)) == FLATTENED[name], path
            return
        declared = self.types[name]
        match declared["kind"]:
            case "alias":
                self.check(declared["of"], shape, path)
            case "fixed_bytes":
                assert isinstance(shape, FixedShape), path
                assert shape.size == declared["n"], path
            case "scan_tree":
                assert isinstance(shape, CustomShape), path
                assert shape.custom.read is scan_state.read_scan_tree, path
                self.check(declared["base"], RecordShape(scan_state.BaseItem), f"{path}.base")
                self.check(declared["merge"], RecordShape(scan_state.MergeItem), f"{path}.merge")
            case "record":
                self.parts([item for _, item in declared["fields"]], shape, path)
            case "tuple":
                self.parts(declared["items"], shape, path)
            case "variant" | "polyvariant":
                self.variant(declared, shape, path)
            case other:
                pytest.fail(f"{path}: a {other}")

    def variant(self, declared: Any, shape: Shape, path: str) -> None:
        constructors = declared["ctors"]
        if isinstance(shape, OptionShape):
            assert shape.some_tag == 0, path
            assert len(constructors) == 2, path
            assert "args" not in constructors[1], path
            self.check(constructors[0]["args"][0], shape.inner, path)
            return
        if isinstance(shape, TaggedShape):
            assert [c["tag"] for c in constructors] == [shape.tag], path
            self.arguments(constructors[0], shape.inner, path)
            return
        assert isinstance(shape, VariantShape), path
        assert shape.polymorphic == (declared["kind"] == "polyvariant"), path
        assert [c.get("tag", c.get("hash")) for c in constructors] == [c.tag for c in shape.constructors], path
        for expected, made in zip(constructors, shape.constructors, strict=True):
            if made.member is None:
                self.arguments(expected, RecordShape(made.cls), f"{path}<{expected['name']}>")
            else:
                assert "args" not in expected, path
                assert "fields" not in expected, path
                assert made.member.name.replace("_", "") == expected["name"].replace("_", "").upper(), path

    def arguments(self, constructor: Any, shape: Shape, path: str) -> None:
        """A constructor's record holds its arguments, or is its one argument."""
        items = [item for _, item in constructor["fields"]] if "fields" in constructor else constructor.get("args", [])
        if len(items) == 1:
            before = set(self.seen)
            try:
                self.parts(items, shape, path)
            except AssertionError:
                self.seen = before
                self.check(items[0], shape, path)
        else:
            self.parts(items, shape, path)

    def parts(self, items: list[Any], shape: Shape, path: str) -> None:
        assert isinstance(shape, RecordShape | TupleShape), path
        made = [(f"[{i}]", item) for i, item in enumerate(shape.items)] if isinstance(shape, TupleShape) else fields_of(shape.cls)
        if any(isinstance(part, RemainderShape) for _, part in made):
            return  # the rest is not looked into: its value has a type of its own in the catalog
        assert len(made) == len(items), path
        for item, (name, part) in zip(items, made, strict=True):
            self.check(item, part, f"{path}.{name}")

    def combinator(self, kind: dict[str, Any], shape: Shape, path: str) -> None:
        match kind, shape:
            case {"option": inner}, OptionShape(inner=made, some_tag=1):
                self.check(inner, made, path)
            case {"list": "intu8"}, CustomShape():
                pass  # bytes as a list of ints
            case {"list": inner}, ListShape(inner=made, limit=limit):
                assert limit == kind.get("max"), path
                self.check(inner, made, f"{path}[]")
            case {"padded": inner, "n": n}, PaddedShape(inner=made, size=size):
                assert size == n, path
                self.check(inner, made, f"{path}[]")
            case {"tuple": items}, _:
                self.parts(items, shape, path)
            case {"record": fields}, _:
                self.parts([item for _, item in fields], shape, path)
            case {"bytes": limit}, BytesShape(limit=made):
                assert made == limit, path
            case {"versioned": inner, "v": version}, VersionedShape(version=made, inner=part):
                assert made == version, path
                self.check(inner, part, path)
            case {"rpc_result": results}, VariantShape(constructors=constructors):
                for result, constructor in zip(results, constructors, strict=True):
                    self.arguments({"args": [result]}, RecordShape(constructor.cls), path)
            case _:
                pytest.fail(f"{path}: {kind} is not {shape}")


def test_declared_types_are_the_networks() -> None:
    """Every root is declared, every type that can be reached from one has its layout here, and so has every RPC."""
    walk = Walk()
    roots = {root for group in walk.schema["roots"].values() for root in group}
    assert roots <= set(TYPE_NAMES)
    for name in TYPE_NAMES:
        if name in walk.types:
            walk.check(name, shape_of(annotation_of(name)), name)
    for rpc in walk.schema["rpcs"]:
        (method,) = [method for method in RPC_METHODS if (method.tag, method.version) == (rpc["tag"], rpc["version"])]
        walk.check(rpc["query"], shape_of(method.query), f"{rpc['tag']} query")
        walk.check(rpc["response"], shape_of(method.response), f"{rpc['tag']} response")
    missing = set(walk.types) - {name for name, _ in walk.seen}
    hand_written = {"HttpSignalingInfo", "P2pConnectionOutgoingInitLibp2pOpts", "LedgerHashTransitionPasses"}
    assert missing <= hand_written
