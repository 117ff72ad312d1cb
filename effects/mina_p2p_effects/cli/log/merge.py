"""Print the logs of several nodes as one story, in the order of cause and effect.

Goes by time, but a frame never arrives before it was sent, whatever the nodes' clocks say. An
arrival that another log sent is marked with <- and the sender's action. Nodes are named by their
letters; the list of them comes first.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from string import ascii_uppercase

from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import add_json, line, open_all, row_json, write, write_json
from mina_p2p_effects.logs.merge import Merged, merged
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, nargs="+", metavar="LOG", help="logs and directories of logs")
    parser.add_argument("--inputs", action="store_true", help="inputs only, not what followed from them")
    parser.add_argument("-n", "--max", type=whole(0), default=None, metavar="N", help="at most N dispatches")
    add_json(parser, "one JSON object for each action, a line each,")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with ExitStack() as stack:
        sessions = open_all(stack, arguments.log)
        if not arguments.json:
            for number, session in enumerate(sessions):
                write(printable(f"{letter(number)} {session.node} {session.paths[0]}"))
        for count, dispatch in enumerate(merged(sessions)):
            if arguments.max is not None and count >= arguments.max:
                break
            _show(sessions, dispatch, arguments)
    return 0


def _show(sessions: list[LogSession], dispatch: Merged, arguments: argparse.Namespace) -> None:
    link = dispatch.link
    for row in dispatch.rows[:1] if arguments.inputs else dispatch.rows:
        content = row.input if row.is_input else None
        sent = None if link is None or not row.is_input else sessions[link.sender].action(link.sent_at)
        if arguments.json:
            origin = None if sent is None or link is None else {"node": sessions[link.sender].node, "id": sent.action_id}
            write_json({**row_json(row, content, sessions[dispatch.log].node), "from": origin})
        else:
            arrow = "" if sent is None or link is None else f"   <- {letter(link.sender)} #{sent.action_id}"
            write(f"{letter(dispatch.log)} {line(row, content)}{arrow}")


def letter(number: int) -> str:
    """A short name of the node with this number: A to Z, then A1 and so on."""
    turn, place = divmod(number, len(ascii_uppercase))
    return f"{ascii_uppercase[place]}{turn or ''}"
