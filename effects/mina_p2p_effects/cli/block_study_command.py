"""Compare how blocks reach all nodes: by header, outline and missing items, or whole.

The blocks of a directory (files that end in .bin, wire bytes; one for each height) go through simulated networks in the
order of their heights, each from another producer: by channel 10, by the classic best-tip channel, and by GossipSub as
OCaml nodes run it, with the same topology, delays, producers and seed. After them, or without them, come generated blocks
of the sizes that --generate names.

Reported are bytes that a node receives, and the time until 50, 90 and 99 % of the nodes have the block verified. A node's
items are drawn by --warm; its links are as wide as its own connection (--rate), which all its peers share. Before,
--earlier empty blocks teach nodes of channel 10 who announces early. One network says little: --seeds runs several, each with
delays, peers and producers of its own, and the medians of what they say are reported too. With --quic the nodes are real
ones, in this process, and links are those of loopback.

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
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, new_file, whole
from mina_p2p_effects.cli.block_study_blocks import NamedBlock, generated_blocks, read_blocks
from mina_p2p_effects.cli.block_study_quic import studied_over_quic

SHARES: Final = (50, 90, 99)
FORMATS: Final = (".svg", ".png", ".pdf")
BYTES_PER_MBIT: Final = 125_000
KB: Final = 1_000
KB_MIN, KB_MAX = 15, 20_000
"""Of a generated block: a header alone has 12.7 KB."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--blocks", type=directory, default=None, metavar="DIR", help="blocks as wire bytes, one in each *.bin")
    parser.add_argument(
        "--generate", type=_numbers(KB_MIN, KB_MAX), default=(), metavar="KB,..", help="blocks of so many KB, of payments, zkApps and works"
    )
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
    blocks_in_order = _blocks(arguments.blocks, arguments.generate)
    picture: Path | None = arguments.plot
    figure = None if picture is None else _figure(picture)
    outcomes: list[tuple[str, Outcome]] = []
    for setting in _settings(arguments):
        for protocol in Protocol:
            # Warmth means nothing to whole blocks: one run serves all.
            if protocol is not Protocol.OUTLINES and setting.warm_percent != arguments.warm[0]:
                continue
            if arguments.quic and protocol is Protocol.GOSSIP:
                continue
            raws = [block.raw for block in blocks_in_order]
            runs = studied_over_quic(raws, protocol, setting) if arguments.quic else study(raws, protocol, setting)
            for block, outcome in zip(blocks_in_order, runs, strict=True):
                outcomes.append((block.name, outcome))
                if not arguments.json:
                    sys.stdout.write(_line(block.name, outcome) + "\n")
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


def _blocks(folder: Path | None, sizes: tuple[int, ...]) -> list[NamedBlock]:
    """What is studied, in order; which files are left out is said."""
    if folder is None and not sizes:
        raise CallerError("nothing to study: give --blocks DIR, --generate KB,.. or both")
    found, others = ([], []) if folder is None else read_blocks(folder)
    for other in others:
        rival = next(block.name for block in found if block.height == other.height)
        sys.stderr.write(f"{other.name} is left out: {rival} has the same height, {other.height}\n")
    after = found[-1].raw if found else None
    return [*found, *generated_blocks([size * KB for size in sizes], after)]


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
    """Two panels over the size of the block: bytes that a node receives, and the time to 99 %; of several networks the medians."""
    upper, lower = figure.subplots(2, 1, sharex=True)
    lines: dict[str, dict[int, list[Outcome]]] = {}
    for _, outcome in outcomes:
        lines.setdefault(_label(outcome), {}).setdefault(outcome.block_bytes, []).append(outcome)
    for label, found in lines.items():
        sizes = sorted(found)
        for panel, value in ((upper, _received), (lower, _seconds_to_all)):
            middle = [_middle([value(outcome) for outcome in found[size]]) for size in sizes]
            panel.plot([size / KB for size in sizes], middle, marker="o", label=label)
    upper.set(ylabel="KB received by a node", xscale="log", yscale="log")
    lower.set(xlabel="KB of the block", ylabel="seconds to 99 % of nodes", yscale="log")
    for axis in (upper.yaxis, lower.yaxis, lower.xaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
        axis.set_tick_params(which="both", labelsize=7)
    setting = outcomes[0][1].setting
    networks = len({outcome.setting.seed for _, outcome in outcomes})
    upper.set_title(f"{setting.nodes} nodes, about {setting.peers} peers each, networks: {networks}", fontsize=9)
    upper.legend(fontsize=7)
    figure.savefig(path)


def _middle(values: list[float]) -> float:
    """Their median; none where one of them is none."""
    return math.nan if any(map(math.isnan, values)) else median(values)


def _received(outcome: Outcome) -> float:
    """Kilobytes of all kinds."""
    return (outcome.useful_bytes + outcome.duplicate_bytes + outcome.announcement_bytes) / KB


def _seconds_to_all(outcome: Outcome) -> float:
    """To 99 % of the nodes; none where they were never reached, which breaks the line."""
    return math.nan if (at := outcome.time_to(99)) is None else at / SECOND


def _is_by_outlines(outcome: Outcome) -> bool:
    return outcome.protocol.startswith(Protocol.OUTLINES.value)


def _label(outcome: Outcome) -> str:
    setting = outcome.setting
    warm = f", {setting.warm_percent} % warm" if _is_by_outlines(outcome) else ""
    links = f"{setting.rate // BYTES_PER_MBIT} Mbit/s" if setting.rate else "loopback"
    return f"{outcome.protocol}{warm}, {links}, verify {setting.verify // MILLISECOND} ms"
