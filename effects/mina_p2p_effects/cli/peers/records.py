"""What is known of a peer by a record of its own addresses, as text and for scripts."""

from __future__ import annotations

from typing import Any

from mina_p2p.discovery.account import RecordAccount, record_account
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND
from mina_p2p_effects.cli.peers.source import Source
from mina_p2p_effects.logs.text import clock_text, printable


def record_lines(source: Source, peer_id: PeerId) -> list[str]:
    """Lines for people; none where there is no record."""
    one = record_account(source.state, peer_id, source.now)
    if one is None:
        return []
    dates = f"of {clock_text(one.issued_at * SECOND)}, believed until {clock_text(one.ends_at)}"
    return [f"  own record     {dates}; {_teller(one)}", f"                 {_where(one)}", f"                 {one.why}"]


def record_json(source: Source, peer_id: PeerId) -> dict[str, Any] | None:
    """For scripts; times are seconds since 1970."""
    one = record_account(source.state, peer_id, source.now)
    if one is None:
        return None
    return {
        "issued_at": one.issued_at,
        "believed_until": one.ends_at // SECOND,
        "addresses": [str(address) for address in one.addresses],
        "met": one.is_met,
        "told_by": None if one.told_by is None else str(one.told_by),
        "waits": one.is_waiting,
        "why": one.why,
    }


def _teller(one: RecordAccount) -> str:
    if one.is_met:
        return "its node was met"
    return "told by a peer that is gone" if one.told_by is None else f"told by {one.told_by}, and its node not met"


def _where(one: RecordAccount) -> str:
    return "at " + ", ".join(printable(str(address)) for address in one.addresses)
