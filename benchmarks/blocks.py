"""Ways to encode a block's outline, and what taking it apart costs: ``python benchmarks/blocks.py DIRECTORY``.

DIRECTORY holds blocks as wire bytes (``*.bin``). Sizes are bytes of the outline's message without the header.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from mina_p2p.blocks.split import Outline, Parts, full_outline, outline_salt, rebuild_body, short_id, short_outline, split_block, split_body
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.wire import codec

HASH_HINT = 32
JOB_HINT = 128
"""A snark job id: four ledger hashes."""
ASKER = bytes(32)


def sizes(parts: Parts, state_hash: bytes) -> dict[str, int]:
    """Bytes by encoding."""
    full, short = full_outline(parts), short_outline(parts, state_hash, ASKER)
    works = parts.frame.first.works + (0 if parts.frame.second is None else parts.frame.second.works)
    hints = works * JOB_HINT + (len(parts.items) - works) * HASH_HINT
    six = len(codec(Outline).encode(short)) - 2 * len(parts.items)
    with_digests = len(codec(Outline).encode(full))
    return {
        "digests and hints": with_digests + hints,
        "digests": with_digests,
        "8 bytes": len(codec(Outline).encode(short)),
        "6 bytes": six,
    }


def main() -> None:
    """Print a table of sizes, and the times for the largest block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    raws = [path.read_bytes() for path in sorted(parser.parse_args().directory.glob("*.bin"))]
    over: dict[str, int] = {}
    for raw in raws:
        _, body = split_block(raw)
        found, bound = sizes(split_body(body), state_hash_of_block(raw)), max(512, len(body) // 20)
        for name, size in found.items():
            over[name] = over.get(name, 0) + (size > bound)
        print(f"body {len(body):7} bound {bound:6} ", " ".join(f"{name} {size}" for name, size in found.items()))
    print("over the bound:", over)
    raw = max(raws, key=len)
    _, body = split_block(raw)
    parts, salt = split_body(body), outline_salt(bytes(32), ASKER)
    for name, run in (
        ("split a block", lambda: split_body(split_block(raw)[1])),
        ("rebuild its body", lambda: rebuild_body(parts.frame, parts.items)),
        ("6000 salted ids", lambda: [short_id(salt, bytes(32)) for _ in range(6_000)]),
    ):
        started = time.perf_counter()
        for _ in range(5):
            run()
        print(f"{name}: {(time.perf_counter() - started) / 5 * 1e3:.1f} ms ({len(raw)} bytes)")


if __name__ == "__main__":
    main()
