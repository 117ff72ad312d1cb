"""The command ``mina-p2p``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata

from mina_p2p.errors import MinaP2pError

COMMANDS = {
    "demo": "mina_p2p_effects.cli.demo_command",
    "node": "mina_p2p_effects.cli.node_command",
    "replay": "mina_p2p_effects.cli.replay_command",
    "inspect": "mina_p2p_effects.inspect",
    "key": "mina_p2p_effects.cli.key_command",
    "log": "mina_p2p_effects.cli.log_command",
    "simulate": "mina_p2p_effects.cli.simulate_command",
    "fuzz": "mina_p2p_effects.cli.fuzz_command",
    "debug": "mina_p2p_effects.cli.debug_command",
    "devtools": "mina_p2p_effects.cli.devtools_command",
}
"""Each a module with ``add_arguments(parser)``, ``run(arguments) -> exit code`` and a docstring that is its help."""

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130


def parser(names: Iterable[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of some commands, by default all; only their modules are loaded."""
    top = argparse.ArgumentParser(
        prog="mina-p2p",
        description="A peer-to-peer node for the Mina network as a pure state machine: run it, record it, replay it.",
        epilog="Exit codes: 0 all is well; 1 it ran and did not succeed; 2 the input is unusable; 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"mina-p2p {metadata.version('mina-p2p')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        module = import_module(COMMANDS[name])
        text: str = module.__doc__ or ""
        summary = text.strip().splitlines()[0].rstrip(".")
        command = commands.add_parser(name, help=summary, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :returns: its exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    known = given[:1] if given and given[0] in COMMANDS else COMMANDS
    parsed = parser(known).parse_args(given)
    try:
        code: int = parsed.run(parsed)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except (MinaP2pError, OSError) as error:
        sys.stderr.write(f"mina-p2p {parsed.command}: {error}\n")
        return EXIT_UNUSABLE
    return code


if __name__ == "__main__":
    sys.exit(main())
