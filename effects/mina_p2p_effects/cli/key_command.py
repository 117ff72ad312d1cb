"""Make and show a node's key.

  mina-p2p key generate FILE   makes a key and writes it, encrypted, as Mina operators have it
  mina-p2p key show FILE       prints who a key file belongs to

The password is read from the environment variable MINA_LIBP2P_PASS, or asked for on a terminal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mina_p2p.identity import PeerId
from mina_p2p_effects.cli.password import operators_password
from mina_p2p_effects.keyfile import load_key, require_free, write_key_file
from mina_p2p_effects.keys import SecretKey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("action", choices=("generate", "show"), help="what to do")
    parser.add_argument("file", type=Path, metavar="FILE", help="the key file")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists; the old key is lost")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.action == "generate":
        if not arguments.overwrite:
            require_free(arguments.file)
        key = SecretKey.generate()
        write_key_file(arguments.file, key, operators_password("new password: ", is_new=True), overwrite=arguments.overwrite)
        _show(key.peer_id)
    else:
        _show(load_key(str(arguments.file), operators_password).peer_id)
    return 0


def _show(peer_id: PeerId) -> None:
    sys.stdout.write(f"peer id     {peer_id}\nlibp2p id   {peer_id.libp2p}\npublic key  {peer_id.to_public_key()}\n")
