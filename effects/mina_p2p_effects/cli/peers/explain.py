"""Explain one peer: what is known of it, from whom, and why it is or is not dialled.

The reasons are those that the node itself goes by. Where it gossips addresses, the peer's own record is shown with them: its dates, who
told it, and what it has led to; also of a peer that is not in the peer table. From a log it also shows what happened with the peer, and
attempts to name it that came to nothing (looked for in the last 2,000 dispatches that refused such a thing), the last things last.
The peer is named by the beginning of its id, in either form, or of its address.
"""

from __future__ import annotations

import argparse
from itertools import islice
from typing import Any, Final, TypeAlias

from mina_p2p.address import address_group, dial_host
from mina_p2p.discovery.account import records_known_as
from mina_p2p.identity import PeerId
from mina_p2p.peer.account import Account, accounts, sources_text
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import content_of, line, row_json
from mina_p2p_effects.cli.peers.records import record_json, record_lines
from mina_p2p_effects.cli.peers.refused import RefusedNaming, refused_namings
from mina_p2p_effects.cli.peers.source import Source, add_source, known_as, object_of, opened, peer_id_of, say, say_json
from mina_p2p_effects.logs.search import Query, search
from mina_p2p_effects.logs.session import LogAction, LogSession
from mina_p2p_effects.logs.text import clock_text, printable

KINDS: Final = "Peer*,ConnectionOutgoing*,ConnectionIncoming*,ConnectionEffectfulDial,DisconnectionInit,AddressGossipVerified"
UNKNOWN: Final = 1

Happened: TypeAlias = tuple[LogAction, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add_source(parser)
    parser.add_argument("peer", metavar="PEER", help="the beginning of its id, or of its address")
    parser.add_argument(
        "--history", type=whole(0), default=20, metavar="N", help="from a log: the last N things that happened (default: 20)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 1 where nothing is known of the peer, and nobody has a record of it."""
    with opened(arguments.source) as source:
        one = known_as(arguments.peer, accounts(source.state, source.now))
        if one is None:
            return _unknown(source, arguments)
        happened = _history(source.session, one.peer.peer_id, arguments.history)
        refused = refused_namings(source.session, one.peer.peer_id, arguments.history)
        if arguments.json:
            own = record_json(source, one.peer.peer_id)
            say_json({**object_of(one), "record": own, "as_of": source.now // 10**9, **_history_json(happened, refused)})
            return 0
        for text in (*_lines(source, one), *record_lines(source, one.peer.peer_id)):
            say(text)
        _say_history(happened, refused)
    return 0


def _unknown(source: Source, arguments: argparse.Namespace) -> int:
    """It is not in the peer table, perhaps not any more; there may be a record of it all the same."""
    by_record = records_known_as(source.state, arguments.peer, source.now)
    peer_id = by_record[0].peer_id if len(by_record) == 1 else peer_id_of(arguments.peer)
    own = record_json(source, peer_id)
    happened = _history(source.session, peer_id, arguments.history)
    refused = refused_namings(source.session, peer_id, arguments.history)
    ban = source.state.why_banned(peer_id, source.now)
    if arguments.json:
        banned = None if ban is None else str(ban)
        say_json({"peer_id": str(peer_id), "known": False, "banned": banned, "record": own, **_history_json(happened, refused)})
        return UNKNOWN if own is None else 0
    what = "nothing is known of it" if own is None else "it is not in the peer table"
    say(f"{peer_id}\n{what}, {source.what}")
    for text in record_lines(source, peer_id):
        say(text)
    _say_history(happened, refused)
    return UNKNOWN if own is None else 0


def _say_history(happened: list[Happened], refused: list[RefusedNaming]) -> None:
    if happened:
        say("  what happened")
    for row, content in happened:
        say(f"    {line(row, content)}")
    if refused:
        say("  named in vain")
    for naming in refused:
        say(f"    {naming}")


def _history_json(happened: list[Happened], refused: list[RefusedNaming]) -> dict[str, Any]:
    return {"history": [row_json(*each) for each in happened], "named_in_vain": [naming.for_json() for naming in refused]}


def _lines(source: Source, one: Account) -> list[str]:
    peer, peers = one.peer, source.state.peers
    told = ""
    if one.learned_from is not None:
        told = f"; first named by {one.learned_from}"
    elif peer.learned_from is not None:
        told = "; first named by a peer that is not known any more"
    where = "nobody has said one" if peer.address is None else printable(str(peer.address))
    lines = [
        str(peer.peer_id),
        f"  also written   {peer.peer_id.libp2p}",
        f"  address        {where}{', proven' if peer.is_address_proven else ''}",
        f"  known from     {sources_text(peer)}{told}{f', in the network {peer.told_in}' if peer.told_in else ''}",
        f"  table          {_table(one)}",
    ]
    host = None if peer.address is None else dial_host(peer.address)
    if host is not None and peer.address is not None:
        limits = source.state.config.limits
        small = address_group(host, limits.group_ipv4_bits, limits.group_ipv6_bits)
        lines.append(f"  networks       {small} for bounds, {peers.shape.group_of(peer.address)} for buckets")
    success = "never" if peer.last_success is None else clock_text(peer.last_success)
    lines.append(f"  last success   {success}; failures in a row since: {peer.failures}")
    if one.ban is not None:
        lines.append(f"  banned         {printable(str(one.ban))}")
    lines.append(f"  dialled        {printable(one.why)}")
    return lines


def _table(one: Account) -> str:
    notes: list[str] = []
    if one.is_anchor:
        notes.append("an anchor of the last run")
    if one.is_contested:
        notes.append("another wants its place, so it will be tested")
    where = one.table if one.peer.bucket is None else f"{one.table}, bucket {one.peer.bucket} with {one.in_bucket} in it"
    return "; ".join((where, *notes))


def _history(session: LogSession | None, peer_id: PeerId, count: int) -> list[Happened]:
    """The last things that happened with a peer, with what they said."""
    if session is None or not count or not session.count:
        return []
    rows = search(session, Query(kind=KINDS, peer=str(peer_id)), session.count - 1, backward=True)
    return [(row, content_of(session, row)) for row in islice(rows, count)][::-1]
