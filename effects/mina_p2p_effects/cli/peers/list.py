"""List the peers that a node knows, one a line.

The columns: the beginning of the id, the table that holds it (tried: reached by a dial of the node's own; new: heard of; named
by a person) with its bucket, what it is doing, from whom the node knows it, and its address. Behind the list: how many there are.
"""

from __future__ import annotations

import argparse

from mina_p2p.peer.account import NAMED, NO_TABLE, Account, accounts
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.peers.source import add_source, object_of, opened, say, say_json
from mina_p2p_effects.logs.text import printable

_TABLES = ("new", "tried", "named", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add_source(parser)
    parser.add_argument("--table", choices=_TABLES, help="only those of one table")
    parser.add_argument("--connected", action="store_true", help="only those with a connection or an attempt")
    parser.add_argument("-n", "--max", type=whole(0), metavar="N", help="at most N")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 unless the source is unusable."""
    with opened(arguments.source) as source:
        found = [one for one in accounts(source.state, source.now) if _is_wanted(one, arguments)]
        shown = found[: arguments.max]
        if arguments.json:
            say_json([object_of(one) for one in shown])
            return 0
        for one in shown:
            say(_line(one))
        peers, gossip = source.state.peers, source.state.address_gossip
        records = (
            f", {len(gossip.book)} address records of which {len(gossip.undialled)} wait to lead to a dial" if gossip.book.table else ""
        )
        more = f" ({len(found) - len(shown)} more)" if len(shown) < len(found) else ""
        say(
            f"{len(shown)} peers shown{more}, {source.what}: {len(peers)} known, {len(peers.tried)} tried, {len(peers.new)} new, "
            f"{len(peers.dialable)} wait to be dialled, {len(source.state.connections)} connections or attempts{records}"
        )
    return 0


def _is_wanted(one: Account, arguments: argparse.Namespace) -> bool:
    table = {NAMED: "named", NO_TABLE: "none"}.get(one.table, one.table)
    is_connected = type(one.peer.status).__name__ == "Attached"
    return arguments.table in {None, table} and (is_connected or not arguments.connected)


def _line(one: Account) -> str:
    peer = one.peer
    place = one.table if peer.bucket is None else f"{one.table} {peer.bucket}"
    sources = ",".join(source.name.lower() for source in peer.sources)
    where = "no address" if peer.address is None else printable(str(peer.address))
    mark = " anchor" if one.is_anchor else ""
    return f"{peer.peer_id.short:12} {place:18} {type(peer.status).__name__:13}{mark} {sources:24} {where}"
