"""The command ``mina-p2p``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from mina_p2p_effects.cli.lazy import add_commands
from mina_p2p_effects.cli.streams import mend_streams, silence_stdout

COMMANDS = {
    "demo": "mina_p2p_effects.cli.demo_command",
    "node": "mina_p2p_effects.cli.node_command",
    "replay": "mina_p2p_effects.cli.replay_command",
    "inspect": "mina_p2p_effects.inspect",
    "key": "mina_p2p_effects.cli.key_command",
    "log": "mina_p2p_effects.cli.log_command",
    "simulate": "mina_p2p_effects.cli.simulate_command",
    "simulate-gossip": "mina_p2p_effects.cli.simulate_gossip_command",
    "block-study": "mina_p2p_effects.cli.block_study_command",
    "fuzz": "mina_p2p_effects.cli.fuzz_command",
    "debug": "mina_p2p_effects.cli.debug_command",
    "devtools": "mina_p2p_effects.cli.devtools_command",
    "ping": "mina_p2p_effects.cli.ping_command",
    "peers": "mina_p2p_effects.cli.peers_command",
}
"""Each a module with ``add_arguments(parser)``, ``run(arguments) -> exit code`` and a docstring that is its help.

The first line of that, which is the first of the file, stands in the list of commands."""

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130

_NAME_SHOWN_MAX = 300


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; of these, the one that is asked for is loaded when its arguments are parsed."""
    top = argparse.ArgumentParser(
        prog="mina-p2p",
        description="A peer-to-peer node for the Mina network as a pure state machine: run it, record it, replay it.",
        epilog="Exit codes: 0 all is well; 1 it ran and did not succeed; 2 the input is unusable; 130 interrupted.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the program's version and exit")
    add_commands(top, COMMANDS, dest="command", metavar="COMMAND", run_attribute="run")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :returns: its exit code.
    """
    mend_streams()
    name = "mina-p2p"
    try:
        parsed = parser().parse_args(arguments)
        name = " ".join(filter(None, (name, parsed.command, getattr(parsed, "subcommand", None))))
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough, as with ``| head``.
        silence_stdout()
        return 0
    except Exception as error:
        # Here, since loading the library takes a while in which Ctrl-C would already be pressed.
        from mina_p2p.errors import MinaP2pError  # noqa: PLC0415

        if not isinstance(error, (MinaP2pError, OSError)):
            raise
        sys.stderr.write(f"{name}: {_text(error)}\n")
        code = EXIT_UNUSABLE
    try:
        sys.stdout.flush()
    except OSError:
        # What is printed can not be written. Python would try, and complain, once more at its end.
        silence_stdout()
    return code


class _Version(argparse.Action):
    """``--version``; looks for it only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib import metadata  # noqa: PLC0415

        sys.stdout.write(f"mina-p2p {metadata.version('mina-p2p')}\n")
        parser.exit()


def _text(error: Exception) -> str:
    """What an error says, to a person."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    return error.strerror if error.filename is None else f"{str(error.filename)[:_NAME_SHOWN_MAX]}: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main())
