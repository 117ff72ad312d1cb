"""Show what a file of wire bytes holds: a block, transaction, snark work, gossip or channel message.

The type is found by trying, unless --type NAME says it: a name of the network's type
tree (MinaBlockBlockStableV2), of a channel message (TransactionPropagationChannelMsg),
an RPC method with "query" or "response" ("get_best_tip response"), or "list of NAME".

The output is a tree with the size of every part, or with --json one object with type,
size, round_trip (whether encoding gives the same bytes), hashes and value. What can
not be decoded gives exit code 2, and the field and the offset on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mina_p2p.errors import DecodeError
from mina_p2p_effects.inspect.inspection import UnknownTypeError, inspect_bytes
from mina_p2p_effects.inspect.tree import render

EXIT_UNUSABLE = 2

FILE_SIZE_MAX = 512 * 1024 * 1024
"""Larger files hold no message of the network, in bytes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="wire bytes; - for standard input")
    parser.add_argument(
        "--type", metavar="NAME", dest="type_name", help='the type, or "list of NAME"; found by trying where it is left out'
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a tree")
    parser.add_argument("--depth", type=int, default=4, metavar="N", help="levels of the tree that are shown (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Inspect one file.

    :returns: the exit code: 0, or 2 where the file can not be read or decoded.
    """
    path: Path = arguments.file
    try:
        data = sys.stdin.buffer.read(FILE_SIZE_MAX + 1) if str(path) == "-" else _read(path)
        found = inspect_bytes(data, arguments.type_name)
    except OSError as error:
        return _fail(f"{path}: {error.strerror or error}")
    except UnknownTypeError as error:
        return _fail(str(error))
    except DecodeError as error:
        return _fail(f"{path}: {error}")
    if arguments.json:
        sys.stdout.write(json.dumps(found.to_object()) + "\n")
    else:
        sys.stdout.write(render(found, arguments.depth))
    return 0


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(FILE_SIZE_MAX + 1)
    if len(data) > FILE_SIZE_MAX:
        raise OSError(f"more than {FILE_SIZE_MAX} bytes")
    return data


def _fail(reason: str) -> int:
    sys.stderr.write(f"mina-p2p inspect: {reason}\n")
    return EXIT_UNUSABLE
