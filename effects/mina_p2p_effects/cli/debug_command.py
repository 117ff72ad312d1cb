"""Walk through a log in the terminal, forward and back in time.

Shows the actions as a tree by cause, beside them the state after the action under the
cursor, with what the action changed, and below them the action itself. Any state is made
by replay. Everything is done by keys; '?' lists them. Searches go by kind, peer and text, '!'
goes to the first refusal or violation.

Needs the extra 'ui': pip install 'mina-p2p[ui]'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mina_p2p.errors import CallerError
from mina_p2p_effects.logs import open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, metavar="LOG", help="a log, or a directory with one log")
    parser.add_argument("--at", type=int, metavar="ID", help="begin with the action with this id")
    parser.add_argument("--follow", action="store_true", help="the log still grows: show what comes")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 at the end, 2 where the log can not be read or the extra is missing."""
    try:
        from mina_p2p_effects.debugger.app import DebuggerApp  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        sys.stderr.write("mina-p2p debug needs textual: pip install 'mina-p2p[ui]'\n")
        return 2
    with open_session(arguments.log, follow=arguments.follow) as session:
        at = session.position_of(arguments.at) if arguments.at is not None else 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CallerError("this draws on a terminal, and there is none; mina-p2p log shows the same without")
    app = DebuggerApp(lambda: open_session(arguments.log, follow=arguments.follow), arguments.log.name, at=at, follow=arguments.follow)
    app.run()
    return app.return_code or 0
