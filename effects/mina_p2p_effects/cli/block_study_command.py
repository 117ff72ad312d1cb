"""Compare how blocks reach all nodes: by header, outline and missing items, or whole.

The blocks of a directory (files that end in .bin, wire bytes; one for each height) go through simulated networks in the order of
their heights, each from another producer: by channel 10, by the classic best-tip channel, and by GossipSub as OCaml nodes run it,
with the same topology, delays, producers and seed. Reported are bytes that a node receives, and the time until 50, 90 and 99 % of
the nodes have the block verified. A node's items are drawn by --warm; its links are as wide as its own connection (--rate), which
all its peers share. One network says little: --seeds runs several, each with delays, peers and producers of its own, and the medians of what they
say are reported too. With --quic the nodes are real ones, in this process, and links are those of loopback. Before, --earlier empty blocks teach nodes of channel 10 who announces early.

Exit codes: 0 every block reached every node; 1 some did not; 2 the arguments or blocks are unusable.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from mina_p2p.blocks.study import Outcome, Protocol, Setting, study
from mina_p2p.errors import CallerError, MinaP2pError
from mina_p2p.ids import MILLISECOND
from mina_p2p.mina.hashes import block_summary
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, new_file, whole
from mina_p2p_effects.cli.block_study_quic import studied_over_quic

SHARES: Final = (50, 90, 99)
FORMATS: Final = (".svg", ".png", ".pdf")
BYTES_PER_MBIT: Final = 125_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--blocks", type=directory, required=True, metavar="DIR", help="blocks as wire bytes, one in each *.bin")
    parser.add_argument("--nodes", type=whole(2, 10_000), default=50, metavar="N", help="how many nodes (default: 50)")
    parser.add_argument("--peers", type=whole(1, 100), default=20, metavar="K", help="peers of each, about (default: 20)")
    parser.add_argument("--warm", type=_numbers(0, 100), default=(0, 100), metavar="P,..", help="percent of items here (default: 0,100)")
    parser.add_argument("--rate", type=_numbers(1, 100_000), default=(10,), metavar="M,..", help="Mbit/s of a node (default: 10)")
    parser.add_argument(
        "--verify", type=_numbers(0, 60_000), default=(0,), metavar="MS,..", help="ms to verify a header or block (default: 0)"
    )
    parser.add_argument(
        "--earlier", type=whole(0, 1_000), default=32, metavar="E", help="empty blocks before, for nodes to learn from (default: 32)"
    )
    parser.add_argument(
        "--quic", action="store_true", help="real nodes over QUIC on loopback, channel 10 and best tips; --rate means nothing then"
    )
    parser.add_argument("--seed", type=whole(0, SEED_MAX), default=1, metavar="S", help="decides everything (default: 1)")
    parser.add_argument(
        "--seeds", type=whole(1, 1_000), default=1, metavar="N", help="so many networks, with this seed and the next ones (default: 1)"
    )
    parser.add_argument(
        "--plot", type=new_file, default=None, metavar="FILE", help="draw bytes and times as .svg, .png or .pdf (extra: plot)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 where every block reached every node."""
    blocks: Path = arguments.blocks
    paths = sorted(blocks.glob("*.bin"))
    if not paths:
        raise CallerError(f"{blocks} holds no *.bin; give the directory of the blocks")
    picture: Path | None = arguments.plot
    figure = None if picture is None else _figure(picture)
    outcomes: list[tuple[str, Outcome]] = []
    blocks_in_order = _in_order(paths)
    for setting in _settings(arguments):
        for protocol in Protocol:
            # Warmth means nothing to whole blocks: one run serves all.
            if protocol is not Protocol.OUTLINES and setting.warm_percent != arguments.warm[0]:
                continue
            if arguments.quic and protocol is Protocol.GOSSIP:
                continue
            raws = [raw for _, raw in blocks_in_order]
            runs = studied_over_quic(raws, protocol, setting) if arguments.quic else study(raws, protocol, setting)
            for (name, _), outcome in zip(blocks_in_order, runs, strict=True):
                outcomes.append((name, outcome))
                if not arguments.json:
                    sys.stdout.write(_line(name, outcome) + "\n")
                    sys.stdout.flush()
    compared = list(_compared(outcomes))
    if arguments.json:
        plain = [_plain(name, outcome) for name, outcome in outcomes]
        sys.stdout.write(json.dumps({"runs": plain, "compared": compared}, indent=1) + "\n")
    else:
        sys.stdout.writelines(_comparison(row) + "\n" for row in compared)
    if picture is not None:
        _draw(figure, outcomes, picture)
    return 0 if all(outcome.reached == outcome.setting.nodes - 1 for _, outcome in outcomes) else 1


def _in_order(paths: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Names and bytes of blocks, one for each height, the lowest first; others would lose and go nowhere."""
    found: dict[int, tuple[str, bytes]] = {}
    for path in paths:
        raw = path.read_bytes()
        found.setdefault(block_summary(raw).height, (path.stem, raw))
    return [found[height] for height in sorted(found)]


def _settings(arguments: argparse.Namespace) -> Iterable[Setting]:
    for rate in (0,) if arguments.quic else arguments.rate:
        for verify in arguments.verify:
            for seed in range(arguments.seed, arguments.seed + arguments.seeds):
                for warm in arguments.warm:
                    yield Setting(
                        arguments.nodes,
                        arguments.peers,
                        warm,
                        verify * MILLISECOND,
                        rate * BYTES_PER_MBIT,
                        seed=seed,
                        earlier=arguments.earlier,
                    )


def _compared(outcomes: Iterable[tuple[str, Outcome]]) -> Iterator[dict[str, Any]]:
    """Of each block, width of links, verification and share of warm items: medians over the networks of the time to 99 % of the nodes by
    channel 10, by the better of the others, and of the one over the other.
    """
    others: dict[tuple[str, int, int, int], list[int]] = {}
    ours: dict[tuple[str, int, int, int], list[Outcome]] = {}
    for name, outcome in outcomes:
        setting = outcome.setting
        if _is_by_outlines(outcome):
            ours.setdefault((name, setting.rate, setting.verify, setting.warm_percent), []).append(outcome)
        elif (at := outcome.time_to(99)) is not None:
            others.setdefault((name, setting.rate, setting.verify, setting.seed), []).append(at)
    for (name, rate, verify, warm), found in ours.items():
        better = {outcome.setting.seed: min(others.get((name, rate, verify, outcome.setting.seed), ()), default=None) for outcome in found}
        times = [(at, other) for one in found if (at := one.time_to(99)) is not None and (other := better[one.setting.seed]) is not None]
        if times:
            yield {
                "block": name,
                "block_bytes": found[0].block_bytes,
                "rate_mbit_per_second": rate // BYTES_PER_MBIT or None,
                "verify_ms": verify // MILLISECOND,
                "warm_percent": warm,
                "networks": len(times),
                "ms_to_99": median(at for at, _ in times) / MILLISECOND,
                "ms_of_the_better": median(other for _, other in times) / MILLISECOND,
                "of_the_better": median(at / other for at, other in times),
            }


def _comparison(row: dict[str, Any]) -> str:
    links = f"{row['rate_mbit_per_second']} Mbit/s" if row["rate_mbit_per_second"] else "loopback"
    networks = "1 network" if row["networks"] == 1 else f"{row['networks']} networks"
    return (
        f"{row['block'][:12]:12} {row['block_bytes']:7} B  {row['warm_percent']:3} % warm, {links}, verify {row['verify_ms']} ms, "
        f"{networks}: ms to 99 % {row['ms_to_99']:.0f}, of the better of the others {row['of_the_better']:.2f}"
    )


def _numbers(least: int, most: int) -> Callable[[str], tuple[int, ...]]:
    number = whole(least, most)

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(number(part) for part in text.split(","))

    return numbers


def _milliseconds(outcome: Outcome) -> list[int | None]:
    return [None if (at := outcome.time_to(share)) is None else at // MILLISECOND for share in SHARES]


def _line(name: str, outcome: Outcome) -> str:
    setting = outcome.setting
    warm = f"{setting.warm_percent:3} % warm" if _is_by_outlines(outcome) else " " * 10
    links = f"{setting.rate // BYTES_PER_MBIT} Mbit/s" if setting.rate else "loopback"
    times = " / ".join("-" if at is None else str(at) for at in _milliseconds(outcome))
    return (
        f"{name[:12]:12} {outcome.block_bytes:7} B  {outcome.protocol:10} {warm} "
        f"{links} verify {setting.verify // MILLISECOND} ms: "
        f"reached {outcome.reached}, ms to 50/90/99 % {times}, "
        f"bytes {outcome.useful_bytes:.0f} + {outcome.duplicate_bytes:.0f} twice + {outcome.announcement_bytes:.0f} announcing"
    )


def _plain(name: str, outcome: Outcome) -> dict[str, Any]:
    setting = outcome.setting
    return {
        "block": name,
        "block_bytes": outcome.block_bytes,
        "body_bytes": outcome.body_bytes,
        "protocol": outcome.protocol,
        "nodes": setting.nodes,
        "peers": setting.peers,
        "warm_percent": setting.warm_percent if _is_by_outlines(outcome) else None,
        "rate_mbit_per_second": setting.rate // BYTES_PER_MBIT or None,
        "verify_ms": setting.verify // MILLISECOND,
        "seed": setting.seed,
        "reached": outcome.reached,
        "ms_to": dict(zip(map(str, SHARES), _milliseconds(outcome), strict=True)),
        "useful_bytes": outcome.useful_bytes,
        "duplicate_bytes": outcome.duplicate_bytes,
        "announcement_bytes": outcome.announcement_bytes,
    }


def _figure(path: Path) -> Any:
    """An empty picture; made first, so that hours of runs do not end in a missing library."""
    if path.suffix not in FORMATS:
        raise CallerError(f"{path.name}: a picture ends in one of {', '.join(FORMATS)}")
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise MinaP2pError("drawing needs the extra: pip install 'mina-p2p[plot]'") from error
    return Figure(figsize=(9.0, 6.4), layout="constrained")


def _draw(figure: Any, outcomes: list[tuple[str, Outcome]], path: Path) -> None:
    """Two panels over the size of the block: bytes that a node receives, and the time to 99 %."""
    upper, lower = figure.subplots(2, 1, sharex=True)
    lines: dict[str, list[Outcome]] = {}
    for _, outcome in outcomes:
        lines.setdefault(_label(outcome), []).append(outcome)
    for label, found in lines.items():
        ordered = sorted(found, key=lambda outcome: outcome.block_bytes)
        sizes = [outcome.block_bytes / 1e3 for outcome in ordered]
        received = [(outcome.useful_bytes + outcome.duplicate_bytes + outcome.announcement_bytes) / 1e3 for outcome in ordered]
        upper.plot(sizes, received, marker="o", label=label)
        lower.plot(sizes, [math.nan if (at := outcome.time_to(99)) is None else at / 1e9 for outcome in ordered], marker="o", label=label)
    upper.set(ylabel="KB received by a node", xscale="log", yscale="log")
    lower.set(xlabel="KB of the block", ylabel="seconds to 99 % of nodes", yscale="log")
    upper.legend(fontsize=7)
    figure.savefig(path)


def _is_by_outlines(outcome: Outcome) -> bool:
    return outcome.protocol.startswith(Protocol.OUTLINES.value)


def _label(outcome: Outcome) -> str:
    setting = outcome.setting
    warm = f", {setting.warm_percent} % warm" if _is_by_outlines(outcome) else ""
    links = f"{setting.rate // BYTES_PER_MBIT} Mbit/s" if setting.rate else "loopback"
    return f"{outcome.protocol}{warm}, {links}, verify {setting.verify // MILLISECOND} ms"
