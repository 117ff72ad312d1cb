"""What a log is: who recorded it, how much is in it, how long it lasts, and what is damaged.

A directory means all logs in it. The exit code is 1 where a log is damaged or ends with a
violation that stopped its node.
"""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mina_p2p.trace.errors import BadChunk, TornTail
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import FOUND, add_json, open_all, write, write_json
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import clock_text, describe, printable

_KINDS_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, nargs="+", metavar="LOG", help="a log, or a directory of logs")
    parser.add_argument(
        "--kinds", type=whole(0), default=_KINDS_SHOWN, metavar="N", help="show the N most frequent kinds (default: %(default)s)"
    )
    add_json(parser, "one JSON list with an object for each log")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with ExitStack() as stack:
        found = [_info(session) for session in open_all(stack, arguments.log)]
    if arguments.json:
        write_json(found)
    else:
        for info in found:
            _print(info, arguments.kinds)
    return FOUND if any(info["damaged"] or info["failure"] for info in found) else 0


def _info(session: LogSession) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    refused = inputs = unreadable = 0
    times: list[int] = []
    for _, _, block in session.blocks():
        kinds.update(map(session.schema.name_of, block.records.kinds))
        refused += sum(map(len, block.records.refusals.values()))
        inputs += len(block.records.inputs)
        times += block.records.times[0], block.records.times[-1]
    unreadable = session.count - sum(kinds.values())
    failure = session.failure()
    first, last = (session.action(0), session.action(session.count - 1)) if session.count else (None, None)
    return {
        "node": session.node,
        "paths": list(map(str, session.paths)),
        "bytes": sum(file.size() for file in session.files),
        "machine": session.header.machine,
        "version": session.header.machine_version,
        "metadata": session.header.metadata,
        "closed": session.is_closed,
        "actions": session.count,
        "inputs": inputs,
        "refused": refused,
        "first_id": first.action_id if first is not None else None,
        "last_id": last.action_id if last is not None else None,
        "first_time": min(times, default=None),
        "last_time": max(times, default=None),
        "checkpoints": sum(len(file.directory.checkpoints) for file in session.files),
        "unreadable": unreadable,
        "damaged": bool(unreadable) or any(isinstance(note, BadChunk | TornTail) for note in session.notes),
        "notes": [str(note) for note in session.notes],
        "failure": None if failure is None else {"input": describe(failure[0]), "time": failure[1], "violation": failure[2]},
        "kinds": dict(kinds.most_common()),
    }


def _print(info: dict[str, Any], kinds_shown: int) -> None:
    size = f"{info['bytes']:,} bytes" if len(info["paths"]) == 1 else f"{info['bytes']:,} bytes in {len(info['paths'])} files"
    write(printable(f"{info['paths'][0]}: {size}"))
    metadata = ", ".join(f"{name} {text}" for name, text in sorted(info["metadata"].items()) if name not in {"peer_id", "log", "part"})
    rows = [
        ("node", info["node"]),
        ("recorded by", f"{info['machine']} {info['version']}{f', {metadata}' if metadata else ''}"),
        ("actions", f"{info['actions']:,} from {info['inputs']:,} inputs; {info['refused']:,} refused by guards"),
    ]
    if info["actions"]:
        rows.append(("ids", f"#{info['first_id']} to #{info['last_id']}"))
    if info["first_time"] is not None:
        seconds = (info["last_time"] - info["first_time"]) / 1e9
        rows.append(("time", f"{clock_text(info['first_time'])} and {seconds:,.3f} s from there"))
    rows += [
        ("checkpoints", str(info["checkpoints"])),
        ("end", "closed in order" if info["closed"] else "not closed: the node still runs, or was ended"),
    ]
    if info["failure"] is not None:
        rows.append(("stopped by", f"{info['failure']['violation']}, at {info['failure']['input']}"))
    if info["unreadable"]:
        rows.append(("unreadable", f"{info['unreadable']:,} actions in damaged chunks"))
    rows += [("damage", note) for note in info["notes"]]
    for name, text in rows:
        write(printable(f"  {name:<12} {text}"))
    shown = list(info["kinds"].items())[:kinds_shown]
    for kind, count in shown:
        write(f"  {count:>12,} {kind}")
    if len(info["kinds"]) > len(shown):
        write(f"  {'':>12} and {len(info['kinds']) - len(shown)} kinds more")
