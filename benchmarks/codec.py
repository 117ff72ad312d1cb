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
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import msgspec

from mina_p2p.mina import hashes
from mina_p2p.mina.block import Block
from mina_p2p.mina.poseidon import Poseidon, poseidon
from mina_p2p.mina.raw import RawBlock
from mina_p2p.wire import Codec, Raw, codec
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

REPEATS = 7


def find_files() -> list[Path]:
    configured = os.environ.get("MINA_P2P_VECTORS")
    root = Path(configured) if configured else Path(__file__).resolve().parents[2] / "shared" / "vectors"
    return sorted((root / "blocks").glob("*.bin"), key=lambda path: path.stat().st_size)


def best(function: Any) -> float:
    """The least time of one call, in microseconds, of several batches with the collector off."""
    start = time.perf_counter()
    function()
    count = max(1, int(0.02 / max(time.perf_counter() - start, 1e-7)))
    times = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(REPEATS):
            start = time.perf_counter()
            for _ in range(count):
                function()
            times.append((time.perf_counter() - start) / count)
    finally:
        gc.enable()
    return min(times) * 1e6


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
            case RawShape(inner=inner, eager=eager):
                return self.type_of(inner) if eager or self.proofs else bytes
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
            case RawShape(inner=inner, eager=eager):
                return self.value_of(inner, value.value) if eager or self.proofs else bytes(value)
            case VariantShape(constructors=constructors):
                if isinstance(value, enum.IntEnum):
                    return int(value)
                tag = next(c.tag for c in constructors if c.cls is type(value))
                return self.struct(type(value), tag % 1000)(*self.parts(type(value), value))
            case _:
                return value

    def parts(self, cls: Any, value: Any) -> list[Any]:
        return [self.value_of(shape, getattr(value, name)) for name, shape in fields_of(cls)]


def open_everything(value: Any) -> None:
    """Decode every part that is still bytes."""
    if isinstance(value, Raw):
        open_everything(value.value)
    elif isinstance(value, tuple):
        for item in value:
            open_everything(item)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            open_everything(getattr(value, field.name))


def measure(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    blocks: Codec[Block] = codec(Block)
    block = blocks.decode(raw)
    row: dict[str, Any] = {"file": path.name, "bytes": len(raw)}
    row["decode_us"] = best(lambda: blocks.decode(raw))
    row["encode_us"] = best(lambda: blocks.encode(block))
    row["decode_all_us"] = best(lambda: open_everything(blocks.decode(raw)))
    for name, proofs in (("msgspec", False), ("msgspec_proofs", True)):
        mirror = Mirror(proofs=proofs)
        value = mirror.value_of(blocks.shape(), block)
        decoder, encoder = msgspec.msgpack.Decoder(mirror.type_of(blocks.shape())), msgspec.msgpack.Encoder()
        packed = encoder.encode(value)
        if decoder.decode(packed) != value:
            raise SystemExit(f"{name} does not round-trip {path.name}")
        row[f"{name}_decode_us"] = best(lambda d=decoder, p=packed: d.decode(p))
        row[f"{name}_encode_us"] = best(lambda e=encoder, v=value: e.encode(v))
        row[f"{name}_bytes"] = len(packed)
    row["decode_ratio"] = row["decode_us"] / row["msgspec_decode_us"]
    row["decode_ratio_proofs"] = row["decode_us"] / row["msgspec_proofs_decode_us"]
    return row


def measure_hashes(path: Path) -> dict[str, float]:
    block = RawBlock(path.read_bytes()).value
    state = block.header.protocol_state
    plain, fast = Poseidon(int), poseidon()
    made: dict[str, float] = {}
    for name, engine in (("int", plain), ("fast", fast)):
        start = engine.prefix("benchmark")
        made[f"permutation_{name}_us"] = best(lambda e=engine, s=start: e.permute(s))
    made["state_hash_us"] = best(lambda: hashes.state_hash(state))
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
    print("microseconds, best of batches, collector off; ratio = ours / msgspec (below 1: ours is faster)")
    print(
        f"{'bytes':>8} {'decode':>9} {'msgspec':>9} {'ratio':>6} {'msgspec+proofs':>15} {'ratio':>6} {'ours+proofs':>12} {'encode':>8} {'msgspec':>9}"
    )
    for row in rows:
        print(
            f"{row['bytes']:>8} {row['decode_us']:>9.1f} {row['msgspec_decode_us']:>9.1f} {row['decode_ratio']:>6.2f}"
            f" {row['msgspec_proofs_decode_us']:>15.1f} {row['decode_ratio_proofs']:>6.2f} {row['decode_all_us']:>12.1f}"
            f" {row['encode_us']:>8.1f} {row['msgspec_encode_us']:>9.1f}"
        )
    for name, value in digests.items():
        print(f"{name:>26} {value:10.2f}")


if __name__ == "__main__":
    main()
