"""Draw what logs hold: peers, permissions and bytes over time, and how an item spreads.

    mina-p2p log plot node.log -o node.svg
    mina-p2p log plot logs/ -o spread.png --what spread --item 5ca1ab1e

One log shows one node; a directory, or several logs, a network, whose permissions and bytes are
summed. Permissions are those of propagation channels: granted by us, or held by us. The
item is by default the one that came to the most nodes; --items lists them.

Needs the extra 'plot': pip install 'mina-p2p[plot]'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.log.common import open_all, write, write_json
from mina_p2p_effects.plots.series import ItemKey, LogSeries, most_spread, read_series, time_span

WHATS = ("peers", "permissions", "bytes", "spread")
SUFFIXES = (".svg", ".png", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, nargs="+", metavar="LOG", help="a log, or a directory of logs")
    parser.add_argument("-o", "--output", type=_picture, metavar="FILE", help=f"what to write: {', '.join(SUFFIXES)}")
    parser.add_argument("--what", type=_whats, default=WHATS, metavar="NAMES", help=f"some of {','.join(WHATS)} (default: all)")
    parser.add_argument("--item", default="", metavar="HEX", help="the item to follow, by the beginning of its key")
    parser.add_argument("--items", action="store_true", help="list the items, with the number of nodes that had each, and draw nothing")
    parser.add_argument("--json", action="store_true", help="print what would be drawn as one JSON object; draws only with --output")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.output is None and not (arguments.json or arguments.items):
        raise CallerError("name the picture: --output FILE")
    with ExitStack() as stack:
        sessions = open_all(stack, arguments.log)
        span = time_span(sessions)
        series = sorted((read_series(session, span) for session in sessions), key=lambda one: one.name)
    for one in series:
        for problem in one.problems:
            sys.stderr.write(f"{one.name}: a part is missing: {problem}\n")
    item = _item(series, arguments.item)
    if arguments.items:
        _list_items(series, as_json=arguments.json)
        return 0
    if arguments.output is not None:
        from mina_p2p_effects.plots.figure import draw  # noqa: PLC0415 - needs an extra

        draw(series, arguments.what, item, arguments.output)
    if arguments.json:
        write_json(_as_json(series, item))
    else:
        write(f"{arguments.output}: {', '.join(arguments.what)} of {len(series)} {'node' if len(series) == 1 else 'nodes'}")
    return 0


def _item(series: Sequence[LogSeries], prefix: str) -> ItemKey | None:
    if not prefix:
        return most_spread(series)
    found = sorted({key for one in series for key in one.arrivals if key[1].hex().startswith(prefix.lower())})
    if len(found) != 1:
        raise CallerError(f"{len(found) or 'no'} items begin with {prefix!r}; --items lists them")
    return found[0]


def _list_items(series: Sequence[LogSeries], *, as_json: bool) -> None:
    keys = sorted(
        {key for one in series for key in one.arrivals},
        key=lambda key: min(one.arrivals[key].held for one in series if key in one.arrivals),
    )
    rows = [(key[0].name, key[1].hex(), sum(1 for one in series if key in one.arrivals)) for key in keys]
    if as_json:
        write_json([{"channel": channel, "key": key, "nodes": nodes} for channel, key, nodes in rows])
        return
    for channel, key, nodes in rows:
        write(f"{nodes:>6} {'node ' if nodes == 1 else 'nodes'}  {channel.lower():<22} {key}")


def _as_json(series: Sequence[LogSeries], item: ItemKey | None) -> dict[str, Any]:
    return {
        "start": series[0].start,
        "end": series[0].end,
        "item": {"channel": item[0].name, "key": item[1].hex()} if item is not None else None,
        "nodes": [
            {
                "name": one.name,
                "peers": one.peers,
                "permissions_granted": one.granted,
                "permissions_held": one.held,
                "bytes_in": one.bytes_in,
                "bytes_out": one.bytes_out,
                "item_received": one.arrivals[item].received if item in one.arrivals else None,
                "item_held": one.arrivals[item].held if item in one.arrivals else None,
                "problems": one.problems,
            }
            for one in series
        ],
    }


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix in SUFFIXES:
        return path
    raise argparse.ArgumentTypeError(f"the suffix says the format: one of {', '.join(SUFFIXES)}")


def _whats(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in WHATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(WHATS)}")
    return names
