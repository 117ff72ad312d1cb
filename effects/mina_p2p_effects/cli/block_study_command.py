"""Compare how blocks reach all nodes: by header, outline and missing items, or whole.

The blocks of a directory (files that end in .bin, wire bytes) go through simulated networks in the order of their heights,
each from another producer: by channel 10, by the classic best-tip channel, and by GossipSub as OCaml nodes run it, with the
same topology, delays, producers and seed. After them, or without them, come generated blocks of the sizes that --generate
names. Left out, and named on stderr with the reason, are a second block of one height, one that does not win over the one
before (nodes would not announce it), and one with a body larger than channel 10 carries.

Reported are bytes that a node receives, and the time until 50, 90 and 99 % of the nodes have the block verified. A node's
items are drawn by --warm; its links are as wide as its own connection (--rate), which all its peers share. Before,
--earlier empty blocks teach nodes of channel 10 who announces early. One network says little: --seeds runs several, each with
delays, peers and producers of its own, and the medians of what they say are reported too, with the number of networks in which
99 % of the nodes were not reached. --plot draws a row of panels for each of --rate with each of --verify. With --quic the nodes
are real ones, in this process, and links are those of loopback.

Each run is announced on stderr before it begins. Ctrl-C ends the study, with the report and the picture of what is done.

Exit codes: 0 every block reached every node; 1 some did not; 2 the arguments or blocks are unusable; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mina_p2p.blocks.study import Protocol, Setting, study
from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND
from mina_p2p_effects.cli import block_study_chart
from mina_p2p_effects.cli.arguments import SEED_MAX, directory, new_file, whole
from mina_p2p_effects.cli.block_study_blocks import NamedBlock, generated_blocks, read_blocks
from mina_p2p_effects.cli.block_study_quic import studied_over_quic
from mina_p2p_effects.cli.block_study_report import BYTES_PER_MBIT, Named, compared, comparison, line, links, plain

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
    picture: Path | None = arguments.plot
    if picture is not None:
        block_study_chart.checked(picture, len(arguments.rate) * len(arguments.verify))
    blocks_in_order = _blocks(arguments.blocks, arguments.generate)
    outcomes: list[Named] = []
    try:
        for name, outcome in _outcomes(blocks_in_order, arguments):
            outcomes.append((name, outcome))
            # What is printed at the end is all that a script wants to read; a person wants to see that it goes on.
            shown = sys.stderr if arguments.json else sys.stdout
            shown.write(line(name, outcome) + "\n")
            shown.flush()
    except KeyboardInterrupt:
        if outcomes:
            _report(outcomes, arguments, is_complete=False)
        raise
    _report(outcomes, arguments, is_complete=True)
    return 0 if all(outcome.reached == outcome.setting.nodes - 1 for _, outcome in outcomes) else 1


def _outcomes(blocks: Sequence[NamedBlock], arguments: argparse.Namespace) -> Iterator[Named]:
    """All runs, each announced on stderr before it begins."""
    raws = [block.raw for block in blocks]
    wanted = [
        (setting, protocol)
        for setting in _settings(arguments)
        for protocol in _protocols(arguments)
        # Warmth means nothing to whole blocks: one run serves all.
        if protocol is Protocol.OUTLINES or setting.warm_percent == arguments.warm[0]
    ]
    for number, (setting, protocol) in enumerate(wanted, 1):
        warm = f"{setting.warm_percent} % warm, " if protocol is Protocol.OUTLINES else ""
        earlier = f" after {setting.earlier} empty ones" if protocol is Protocol.OUTLINES and setting.earlier else ""
        count = "1 block" if len(blocks) == 1 else f"{len(blocks)} blocks"
        sys.stderr.write(
            f"run {number} of {len(wanted)}: {protocol.value}, {warm}{links(setting)}, verify {setting.verify // MILLISECOND} ms, "
            f"seed {setting.seed}: {count}{earlier}\n"
        )
        sys.stderr.flush()
        runs = studied_over_quic(raws, protocol, setting) if arguments.quic else study(raws, protocol, setting)
        for block, outcome in zip(blocks, runs, strict=True):
            yield block.name, outcome


def _protocols(arguments: argparse.Namespace) -> list[Protocol]:
    """Those that can run, channel 10 among them."""
    return [protocol for protocol in Protocol if protocol is not Protocol.GOSSIP or not arguments.quic]


def _report(outcomes: Sequence[Named], arguments: argparse.Namespace, *, is_complete: bool) -> None:
    """What is said at the end, be it an early one."""
    rows = list(compared(outcomes, len(_protocols(arguments)) - 1))
    if arguments.json:
        runs = [plain(name, outcome) for name, outcome in outcomes]
        sys.stdout.write(json.dumps({"is_complete": is_complete, "runs": runs, "compared": rows}, indent=1) + "\n")
    else:
        sys.stdout.writelines(comparison(row) + "\n" for row in rows)
    sys.stdout.flush()
    if arguments.plot is not None:
        block_study_chart.draw(outcomes, arguments.plot, is_complete=is_complete)


def _blocks(folder: Path | None, sizes: tuple[int, ...]) -> list[NamedBlock]:
    """What is studied, in order; which files are left out is said."""
    if folder is None and not sizes:
        raise CallerError("nothing to study: give --blocks DIR, --generate KB,.. or both")
    found, left_out = ([], []) if folder is None else read_blocks(folder)
    sys.stderr.writelines(line + "\n" for line in left_out)
    if not found and not sizes:
        raise CallerError("nothing to study: every block of the directory is left out")
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


def _numbers(least: int, most: int) -> Callable[[str], tuple[int, ...]]:
    number = whole(least, most)

    def numbers(text: str) -> tuple[int, ...]:
        # Named twice, a value would run twice, and count as two networks.
        return tuple(dict.fromkeys(number(part) for part in text.split(",")))

    return numbers
