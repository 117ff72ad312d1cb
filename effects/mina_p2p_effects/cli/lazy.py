"""Commands whose code is loaded when they are asked for.

Loading all of them takes seconds on a small machine, and most runs need one. What a list of commands
shows, the first line of each one's docstring, is read from its source.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class CommandParser(argparse.ArgumentParser):
    """The parser of a module with ``add_arguments(parser)``, ``run(arguments) -> exit code`` and a docstring that is its help.

    :param module: its name; loaded when there is something to parse. The result has its ``run`` in ``run_attribute``.
    """

    def __init__(self, *, module: str, run_attribute: str, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
        self._module: str | None = module
        self._run_attribute = run_attribute

    def parse_known_args(self, *positional: Any, **named: Any) -> Any:  # the base class overloads this by its namespace
        """Load the command, then parse as any parser does."""
        name, self._module = self._module, None
        if name is not None:
            module = import_module(name)
            self.description = module.__doc__
            module.add_arguments(self)
            self.set_defaults(**{self._run_attribute: module.run})
        return super().parse_known_args(*positional, **named)


def add_commands(parser: argparse.ArgumentParser, modules: Mapping[str, str], *, dest: str, metavar: str, run_attribute: str) -> None:
    """Give ``parser`` a command for each module, by name."""
    commands = parser.add_subparsers(dest=dest, required=True, metavar=metavar, parser_class=CommandParser)
    for name, module in modules.items():
        commands.add_parser(name, help=summary(module).replace("%", "%%"), module=module, run_attribute=run_attribute)


def summary(module: str) -> str:
    """The first line of a command's docstring, which is the first line of its file, without loading it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    with Path(spec.origin).open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').rstrip(".")
