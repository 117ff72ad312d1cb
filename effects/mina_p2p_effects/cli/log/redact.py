"""Write a log that can be given away: with other addresses in place of everybody's.

Each IP address and host name becomes another of the same form, always the same one, and the
inputs are run again: the new log replays like any other, with the ids and times of the old one.
Private addresses stay private and networks stay networks. Peer ids stay: they say who, not
where. What stands encrypted inside frames is as unreadable as it was. The key that decides the
new addresses is random and kept nowhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mina_p2p_effects.cli.log.common import add_json, add_log, write, write_json
from mina_p2p_effects.logs.redact import redact
from mina_p2p_effects.logs.session import open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add_log(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="the new log; a file that exists is not touched")
    add_json(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with open_session(arguments.log) as session:
        found = redact(session, arguments.out)
    if arguments.json:
        write_json(
            {
                "addresses": found.addresses,
                "inputs": found.inputs,
                "actions": found.actions,
                "missed": found.missed,
                "changed": found.changed,
            }
        )
        return 0
    write(f"{arguments.out}: {found.addresses} addresses replaced, {found.actions} actions from {found.inputs} inputs")
    if found.missed:
        write(f"  {found.missed} inputs are missing, as the state before them is unknown")
    if found.changed:
        write(f"  {found.changed} inputs led to other kinds of actions than in the log")
    return 0
