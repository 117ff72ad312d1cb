"""Look at what a node knows of its peers: list them, explain one, check all.

  mina-p2p peers list logs/                       who is known, in which table, from whom
  mina-p2p peers explain logs/ 2bKg…              one peer: from whom, and why it is or is not dialled
  mina-p2p peers check peers.json --max 50        whether the tables are consistent, and addresses reachable

Each takes the log of a node that runs or ran (mina-p2p node --log DIR), or its peers file (--peers-file). How the tables are made,
and against whom: docs, explanation, eclipse.
"""

from __future__ import annotations

import argparse
from typing import Final

from mina_p2p_effects.cli.lazy import add_commands

SUBCOMMANDS: Final = ("list", "explain", "check")
"""Modules of `mina_p2p_effects.cli.peers`, each with ``add_arguments``, ``run`` and a docstring that is its help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands."""
    modules = {name: f"mina_p2p_effects.cli.peers.{name}" for name in SUBCOMMANDS}
    add_commands(parser, modules, dest="subcommand", metavar="SUBCOMMAND", run_attribute="run_subcommand")


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand; 0 all is well, 1 it found something, 2 the input is unusable."""
    code: int = arguments.run_subcommand(arguments)
    return code
