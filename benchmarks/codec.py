"""The wire codec beside msgspec's msgpack, on the same blocks, in one run.

``python benchmarks/codec.py [--json] [FILE ...]``; without files, the blocks of the
vectors (``MINA_P2P_VECTORS``, or beside the checkout). msgspec decodes the same tree
of the same field types into its own structs, once with every proof as bytes, which
it does not look into, and once with proofs decoded; our codec leaves a proof as
bytes after it has checked its layout.
"""

from __future__ import annotations

import argparse
import enum
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from mina_p2p.mina import hashes
from mina_p2p.mina.block import Block
from mina_p2p.mina.poseidon import Poseidon, poseidon
from mina_p2p.mina.proof import RawProof
from mina_p2p.mina.raw import RawBlock
from mina_p2p.mina.snark_work import OneProof, TwoProofs
from mina_p2p.mina.zkapp import ControlProof, ZkappCommand
from mina_p2p.wire import Codec, codec
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    IntShape,
    ListShape,
    OptionShape,
    PaddedShape,
    RawShape,
    RecordShape,
    Shape,
    TaggedShape,
    TupleShape,
    UnitShape,
    VariantShape,
    fields_of,
)

ROUNDS = 15


def find_files() -> list[Path]:
    configured = os.environ.get("MINA_P2P_VECTORS")
    root = Path(configured) if configured else Path(__file__).resolve().parents[2] / "shared" / "vectors"
    return sorted((root / "blocks").glob("*.bin"), key=lambda path: path.stat().st_size)


def best(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The least time of one call of each, in microseconds.

    They take turns, because a shared machine changes its speed; the collector is off.
    """
    counts: dict[str, int] = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        counts[name] = max(1, int(0.005 / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in functions}
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for name, function in functions.items():
                start = time.perf_counter()
                for _ in range(counts[name]):
                    function()
                times[name].append((time.perf_counter() - start) / counts[name])
    finally:
        gc.enable()
    return {name: min(measured) * 1e6 for name, measured in times.items()}


class Mirror:
    """msgspec structs with the fields of our records, and the values of a block in them."""

    def __init__(self, *, proofs: bool) -> None:
        self.proofs = proofs
        self.struct = cache(self._struct)
        self.making: list[str] = []

    def _struct(self, cls: Any, tag: int | None) -> Any:
        name = self.name_of(cls, tag)
        self.making.append(name)
        fields = [(f"f{i}", self.type_of(shape)) for i, (_, shape) in enumerate(fields_of(cls))]
        self.making.pop()
        # msgspec looks up the names in recursive types in the module that the struct claims to be from.
        made = msgspec.defstruct(name, fields, array_like=True, gc=False, frozen=True, tag=tag, module=__name__)
        globals()[name] = made
        return made

    def name_of(self, cls: Any, tag: int | None) -> str:
        return f"{cls.__name__}_{tag}_{'full' if self.proofs else 'lean'}"

    def type_of(self, shape: Shape) -> Any:
        match shape:
            case UnitShape():
                return None
            case BoolShape():
                return bool
            case IntShape() | ByteShape():
                return int
            case RecordShape(cls=cls):
                return self.struct(cls, None)
            case TupleShape(items=items):
                return tuple[tuple(self.type_of(item) for item in items)]
            case ListShape(inner=RecordShape(cls=cls)) if self.name_of(cls, None) in self.making:
                return f"tuple[{self.name_of(cls, None)}, ...]"
            case ListShape(inner=inner) | PaddedShape(inner=inner):
                return tuple[self.type_of(inner), ...]
            case OptionShape(inner=inner):
                return self.type_of(inner) | None
            case TaggedShape(inner=inner):
                return self.type_of(inner)
            case RawShape(cls=cls, inner=inner):
                return bytes if cls is RawProof and not self.proofs else self.type_of(inner)
            case VariantShape(constructors=constructors):
                made: Any = None
                for constructor in constructors:
                    one = int if constructor.member is not None else self.struct(constructor.cls, constructor.tag % 1000)
                    made = one if made is None else made | one
                return made
            case _:
                return bytes

    def value_of(self, shape: Shape, value: Any) -> Any:
        match shape:
            case RecordShape(cls=cls):
                return self.struct(cls, None)(*self.parts(cls, value))
            case TupleShape(items=items):
                return tuple(self.value_of(item, part) for item, part in zip(items, value, strict=True))
            case ListShape(inner=inner) | PaddedShape(inner=inner):
                return tuple(self.value_of(inner, part) for part in value)
            case OptionShape(inner=inner):
                return None if value is None else self.value_of(inner, value)
            case TaggedShape(inner=inner):
                return self.value_of(inner, value)
            case RawShape(cls=cls, inner=inner):
                return bytes(value) if cls is RawProof and not self.proofs else self.value_of(inner, value.value)
            case VariantShape(constructors=constructors):
                if isinstance(value, enum.IntEnum):
                    return int(value)
                tag = next(c.tag for c in constructors if c.cls is type(value))
                return self.struct(type(value), tag % 1000)(*self.parts(type(value), value))
            case _:
                return value

    def parts(self, cls: Any, value: Any) -> list[Any]:
        return [self.value_of(shape, getattr(value, name)) for name, shape in fields_of(cls)]


def open_block(block: Block, *, proofs: bool) -> None:
    """Decode the parts that are still bytes; proofs only where told."""
    found = [block.header.protocol_state_proof]
    for work in block.body.completed_works:
        match work.value.proofs:
            case OneProof(proof=one):
                found.append(one.proof)
            case TwoProofs(pair=pair):
                found += [one.proof for one in pair]
    for command in block.body.commands:
        value = command.data.value
        todo = list(value.account_updates) if isinstance(value, ZkappCommand) else []
        while todo:
            tree = todo.pop().elt
            todo += tree.calls
            if isinstance(tree.account_update.authorization, ControlProof):
                found.append(tree.account_update.authorization.proof)
    if proofs:
        for proof in found:
            _ = proof.value


def plain(value: Any) -> Any:
    """A struct and all that is in it as lists, which msgspec decodes without a type."""
    if isinstance(value, msgspec.Struct):
        return [plain(getattr(value, name)) for name in value.__struct_fields__]
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def measure(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    blocks: Codec[Block] = codec(Block)
    block = blocks.decode(raw)
    functions: dict[str, Callable[[], Any]] = {
        "decode_us": lambda: blocks.decode(raw),
        "encode_us": lambda: blocks.encode(block),
        "decode_opened_us": lambda: open_block(blocks.decode(raw), proofs=False),
        "decode_proofs_us": lambda: open_block(blocks.decode(raw), proofs=True),
    }
    for name, proofs in (("msgspec", False), ("msgspec_proofs", True)):
        mirror = Mirror(proofs=proofs)
        value = mirror.value_of(blocks.shape(), block)
        decoder, encoder = msgspec.msgpack.Decoder(mirror.type_of(blocks.shape())), msgspec.msgpack.Encoder()
        packed, untyped = encoder.encode(value), encoder.encode(plain(value))
        if decoder.decode(packed) != value:
            raise SystemExit(f"{name} does not round-trip {path.name}")
        functions[f"{name}_decode_us"] = partial(decoder.decode, packed)
        functions[f"{name}_encode_us"] = partial(encoder.encode, value)
        functions[f"{name}_untyped_decode_us"] = partial(msgspec.msgpack.decode, untyped)
    row: dict[str, Any] = {"file": path.name, "bytes": len(raw), **best(functions)}
    for column in ("msgspec", "msgspec_proofs", "msgspec_untyped", "msgspec_proofs_untyped"):
        row[f"ratio_{column}"] = row["decode_us"] / row[f"{column}_decode_us"]
    return row


def measure_hashes(path: Path) -> dict[str, float]:
    state = RawBlock(path.read_bytes()).value.header.protocol_state
    plain_engine, fast_engine = Poseidon(int), poseidon()
    plain_start, fast_start = plain_engine.prefix("benchmark"), fast_engine.prefix("benchmark")
    made = best(
        {
            "permutation_int_us": lambda: plain_engine.permute(plain_start),
            "permutation_fast_us": lambda: fast_engine.permute(fast_start),
            "state_hash_us": lambda: hashes.state_hash(state),
        }
    )
    made["state_hash_permutations"] = made["state_hash_us"] / made["permutation_fast_us"]
    made["gmpy2_speedup"] = made["permutation_int_us"] / made["permutation_fast_us"]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("files", nargs="*", type=Path, help="blocks as wire bytes")
    arguments = parser.parse_args()
    files = arguments.files or find_files()
    if not files:
        sys.exit("no blocks: name files, or set MINA_P2P_VECTORS")
    rows = [measure(path) for path in files]
    digests = measure_hashes(files[0])
    if arguments.json:
        print(json.dumps({"blocks": rows, "hashes": digests}))
        return
    columns = [
        ("bytes", "bytes", 0),
        ("ours", "decode_us", 1),
        ("+opened", "decode_opened_us", 1),
        ("+proofs", "decode_proofs_us", 1),
        ("msgspec", "msgspec_decode_us", 1),
        ("+proofs", "msgspec_proofs_decode_us", 1),
        ("ratio", "ratio_msgspec_proofs", 2),
        ("untyped", "msgspec_untyped_decode_us", 1),
        ("+proofs", "msgspec_proofs_untyped_decode_us", 1),
        ("ratio", "ratio_msgspec_proofs_untyped", 2),
        ("encode", "encode_us", 1),
        ("msgspec", "msgspec_encode_us", 1),
    ]
    print("microseconds, best of batches, collector off")
    print("ours: layout of every part checked; +opened: transactions and snark works decoded; +proofs: proofs as well")
    print("msgspec: the same tree as typed structs with proofs as bytes; +proofs: proofs decoded; untyped: as plain lists")
    print("ratio: ours / msgspec with proofs decoded (below 1: ours is faster)")
    print("".join(f"{title:>9}" for title, _, _ in columns))
    for row in rows:
        print("".join(f"{row[key]:>9.{digits}f}" for _, key, digits in columns))
    for name, value in digests.items():
        print(f"{name:>26} {value:10.2f}")


if __name__ == "__main__":
    main()
