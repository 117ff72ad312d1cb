"""A status as people like to see it."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mina_p2p_effects.metrics.status import Status

ROWS_MAX: Final = 40
_ID_CHARACTERS: Final = 16


def screen(status: Status) -> RenderableType:
    """The whole screen: who and where, sums, and a row for each peer."""
    shown = status.peers[:ROWS_MAX]
    peers = Table(expand=True, title=None)
    for name in ("peer", "by", "address", "agent", "for", "in", "out", "rtt ms", "streams", "lost", "waits for permission"):
        peers.add_column(name, justify="left" if name in {"peer", "by", "address", "agent"} else "right", no_wrap=True, overflow="ellipsis")
    for row in shown:
        arrow = "<" if row.incoming else ">"
        peers.add_row(
            Text(f"{row.peer_id[:_ID_CHARACTERS]}…"),
            Text(row.transport),
            Text(f"{arrow} {row.remote}"),
            Text(row.agent),
            duration(row.connected_s),
            size(row.bytes_in),
            size(row.bytes_out),
            "" if row.rtt_ms is None else f"{row.rtt_ms:.1f}",
            "" if row.streams_open is None else str(row.streams_open),
            "" if row.packets_lost is None else str(row.packets_lost),
            "" if row.credit_wait_s is None else f"{row.credit_wait_s:.1f} s",
        )
    parts: list[RenderableType] = [_head(status), peers]
    if len(status.peers) > len(shown):
        parts.append(Text(f"and {len(status.peers) - len(shown)} more"))
    return Group(*parts)


def _head(status: Status) -> Text:
    totals = status.totals
    lines = [
        f"{status.network}  {status.peer_id}  up {duration(status.uptime_s)}",
        *status.addresses,
        f"peers {len(status.peers)} of {status.connections} connections, {status.known_peers} known, {status.banned_peers} banned",
        "pools " + ", ".join(f"{name} {count}" for name, count in status.pools.items()) + f"; best tip {(status.best_tip or 'none')[:16]}",
        f"permissions given {totals.permissions_granted}, used {totals.permissions_used}; violations {totals.violations}",
        "items received " + (", ".join(f"{name} {count}" for name, count in status.items_received.items()) or "none"),
    ]
    for each in status.traffic:
        total = each.total
        name, received, sent = each.transport.name.lower(), size(total.bytes_in), size(total.bytes_out)
        if total.datagrams_in or total.datagrams_out:
            received += f" in {total.datagrams_in} datagrams"
            sent += f" in {total.datagrams_out}, lost {total.packets_lost}"
        lines.append(f"{name}: received {received}, sent {sent}")
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def size(count: int | None) -> str:
    """Bytes in the largest unit of which there is one."""
    if count is None:
        return ""
    value, units = float(count), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while value >= 1000 and (larger := next(units, None)) is not None:
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
