"""Make and show a node's key.

  mina-p2p key generate FILE   makes a key and writes it, encrypted, as Mina operators have it
  mina-p2p key show FILE       prints who a key file belongs to

The password is read from the environment variable MINA_LIBP2P_PASS, or asked for on a terminal.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from mina_p2p.identity import PeerId
from mina_p2p_effects.keyfile import ENVIRONMENT_VARIABLE, load_key, password_from_environment, write_key_file
from mina_p2p_effects.keys import SecretKey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("action", choices=("generate", "show"), help="what to do")
    parser.add_argument("file", type=Path, metavar="FILE", help="the key file")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists; the old key is lost")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.action == "generate":
        key = SecretKey.generate()
        write_key_file(arguments.file, key, _password("new password: "), overwrite=arguments.overwrite)
        _show(key.peer_id)
    else:
        _show(load_key(str(arguments.file), _password).peer_id)
    return 0


def _password(prompt: str = "password: ") -> bytes:
    """From the environment; on a terminal, else by asking."""
    if sys.stdin.isatty() and ENVIRONMENT_VARIABLE not in os.environ:
        return getpass.getpass(prompt).encode()
    return password_from_environment()


def _show(peer_id: PeerId) -> None:
    sys.stdout.write(f"peer id     {peer_id}\nlibp2p id   {peer_id.libp2p}\npublic key  {peer_id.to_public_key()}\n")
