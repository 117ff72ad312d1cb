"""Find actions by what they say, and by kind, peer, time and refusal.

PATTERN is a regular expression, looked for in each action as Python prints it, for example
'verdict_id=3,'. Without one the other options decide alone. What followed from inputs is
replayed and searched too. The exit code is 0 where something was found and 1 where nothing was.
"""

from __future__ import annotations

import argparse

from mina_p2p_effects.cli.log.common import add_choice, add_json, chosen, content_of, line, row_json, write, write_json
from mina_p2p_effects.cli.log.common import add_log as _add_log
from mina_p2p_effects.logs.session import open_session

_NOTHING = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    _add_log(parser)
    parser.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help="a regular expression")
    add_choice(parser, has_text=False)
    parser.add_argument("--count", action="store_true", help="print only how many there are")
    add_json(parser, "one JSON object for each action, a line each,")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    found = 0
    with open_session(arguments.log) as session:
        for row in chosen(session, arguments, text=arguments.pattern):
            found += 1
            if arguments.count:
                continue
            content = content_of(session, row)
            if arguments.json:
                write_json(row_json(row, content))
            else:
                write(line(row, content))
    if arguments.count:
        write(str(found))
    return 0 if found else _NOTHING
