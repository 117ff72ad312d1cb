"""Replay recorded logs and compare every action.

Runs the recorded inputs through the reducers again. Every derived action and the state's
hash must come out as recorded; the first difference is named with the action, the path in
the state and both values. A directory means all logs in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mina_p2p_effects.replay import replay_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, nargs="+", metavar="LOG", help="a log, or a directory of logs")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 verified, 1 a difference, 2 unreadable."""
    return replay_command(arguments.log, json_output=arguments.json)
