"""Print the actions of a log, as a tree of causes: time, id, and what followed from what.

Inputs are shown with what they say, and what followed from them by kind; --full replays the
log and shows everything. Cut values say how long they are; --json has them whole.
"""

from __future__ import annotations

import argparse

from mina_p2p_effects.cli.log.common import add_choice, add_json, add_log, chosen, content_of, line, row_json, write, write_json
from mina_p2p_effects.logs.session import open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add_log(parser)
    add_choice(parser)
    parser.add_argument("--full", action="store_true", help="replay, and show what derived actions say too")
    add_json(parser, "one JSON object for each action, a line each,")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with open_session(arguments.log) as session:
        for row in chosen(session, arguments):
            content = content_of(session, row) if arguments.full else row.input if row.is_input else None
            if arguments.json:
                write_json(row_json(row, content))
            else:
                write(line(row, content))
    return 0
