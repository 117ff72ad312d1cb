"""Look into recorded logs: who did what, when, and why.

Every subcommand reads logs and leaves them as they are. An action is named by its id, the
number behind # in every listing. What followed from an input is not in a log whole; it is made
again by replaying, so any state at any action can be shown.

    mina-p2p log info LOG                      what it is, how much, and what is damaged
    mina-p2p log cat LOG --from 500 -n 20      the actions, as a tree of causes
    mina-p2p log grep LOG 'timeout' --peer 2bK search, by kind, peer, text and refusal
    mina-p2p log seek LOG 1234 --diff          one action: why it happened, and what it changed
    mina-p2p log diff A B                      where two runs first went different ways
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import Final

SUBCOMMANDS: Final = ("info", "cat", "grep", "seek", "diff", "follow", "merge", "export", "redact", "minimise", "plot")
"""Modules of `mina_p2p_effects.cli.log`, each with ``add_arguments``, ``run`` and a docstring that is its help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
    for name in SUBCOMMANDS:
        module = import_module(f"mina_p2p_effects.cli.log.{name}")
        text: str = module.__doc__ or ""
        summary = text.strip().splitlines()[0].rstrip(".")
        command = commands.add_parser(name, help=summary, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run_subcommand=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand; 0 all is well, 1 it found something, 2 the input is unusable."""
    try:
        code: int = arguments.run_subcommand(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough, as with ``| head``; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
