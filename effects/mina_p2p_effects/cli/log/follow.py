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

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import add_json, line, row_json, write, write_json
from mina_p2p_effects.logs.session import LogSession, open_session
from mina_p2p_effects.recorder import part_path

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
    path: Path = arguments.log
    if path.is_dir():
        path = _newest(path)
    is_first = True
    while True:
        with open_session(path, follow=True) as session:
            start = max(0, session.count - arguments.last) if is_first else 0
            _follow_one(session, start, arguments, wait)
        following = _next_part(path)
        if following is None:
            return 0
        path, is_first = following, False


def _follow_one(session: LogSession, start: int, arguments: argparse.Namespace, wait: Callable[[], object]) -> None:
    """Print what comes until the file is closed."""
    while True:
        for row in session.actions(start):
            if arguments.inputs and not row.is_input:
                continue
            if arguments.json:
                write_json(row_json(row, row.input if row.is_input else None))
            else:
                write(line(row, row.input if row.is_input else None))
        start = session.count
        if session.is_closed:
            return
        wait()
        session.refresh()


def _newest(folder: Path) -> Path:
    """The last file of the one log in a directory."""
    with open_session(folder) as session:
        return session.paths[-1]


def _next_part(path: Path) -> Path | None:
    """The file that follows in a log that rotates, if it is there."""
    with open_session(path) as session:
        part = session.header.metadata.get("part", "")
        log = session.header.metadata.get("log")
    if not part.isdecimal():
        return None
    following = part_path(path, int(part), int(part) + 1)
    if not following.exists():
        return None
    with open_session(following) as session:
        if session.header.metadata.get("log") != log:
            raise CallerError(f"{following} is of another log than {path}")
    return following
