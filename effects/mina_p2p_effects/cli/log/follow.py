"""Print the actions of a log that is being written, as they come.

Shows the last actions and then every new one, through the files of a log that rotates, until
the log is closed in order. Ctrl-C ends it sooner. A node hands its actions to the disk about
once a second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import add_json, line, row_json, write, write_json
from mina_p2p_effects.logs.session import open_session

POLL_SECONDS = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, metavar="LOG", help="a log, or the directory of one that rotates")
    parser.add_argument("-n", "--last", type=whole(0), default=10, metavar="N", help="begin with the last N actions (default: %(default)s)")
    parser.add_argument("--inputs", action="store_true", help="inputs only, not what followed from them")
    add_json(parser, "one JSON object for each action, a line each,")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return follow(arguments, lambda: time.sleep(POLL_SECONDS))


def follow(arguments: argparse.Namespace, wait: Callable[[], object]) -> int:
    """Run the command.

    :param wait: called between two looks at the file.
    """
    with open_session(arguments.log, follow=True) as session:
        start = max(0, session.refresh() - arguments.last)
        was_closed = False
        while True:
            for row in session.actions(start):
                if arguments.inputs and not row.is_input:
                    continue
                if arguments.json:
                    write_json(row_json(row, row.input if row.is_input else None))
                else:
                    write(line(row, row.input if row.is_input else None))
            start = session.count
            if was_closed and session.is_closed:
                return 0
            # The next file of a log that rotates may be only about to come.
            was_closed = session.is_closed
            wait()
            session.refresh()
