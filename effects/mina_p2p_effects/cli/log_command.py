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
from typing import Final

from mina_p2p_effects.cli.lazy import add_commands

SUBCOMMANDS: Final = ("info", "cat", "grep", "seek", "diff", "follow", "merge", "export", "redact", "minimise", "plot")
"""Modules of `mina_p2p_effects.cli.log`, each with ``add_arguments``, ``run`` and a docstring that is its help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands."""
    modules = {name: f"mina_p2p_effects.cli.log.{name}" for name in SUBCOMMANDS}
    add_commands(parser, modules, dest="subcommand", metavar="SUBCOMMAND", run_attribute="run_subcommand")


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand; 0 all is well, 1 it found something, 2 the input is unusable."""
    code: int = arguments.run_subcommand(arguments)
    return code
