"""What the demo shows: progress while it runs, a table or one JSON object at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from mina_p2p_effects.cli.demo.parent import Goal, NodeReport, Outcome

PEER_ID_CHARS = 6


class Progress(Protocol):
    """Hears how a run goes."""

    def started(self, goal: Goal, nodes: list[NodeReport]) -> None:
        """Every process has been started."""
        ...

    def moved(self, goal: Goal, nodes: list[NodeReport]) -> None:
        """A node reported something new."""
        ...

    def stopped(self, *, converged: bool) -> None:
        """Every process has ended; the logs are verified next."""
        ...


class LiveProgress:
    """Draws a table that follows the run, on a terminal; elsewhere prints a line at each milestone."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=10) if console.is_terminal else None
        self._said: set[str] = set()

    def started(self, goal: Goal, nodes: list[NodeReport]) -> None:
        """See `Progress`."""
        self._console.print(f"{len(nodes)} nodes on loopback, each knows one address; {goal.items} items shall reach every node")
        if self._live is not None:
            self._live.start()

    def moved(self, goal: Goal, nodes: list[NodeReport]) -> None:
        """See `Progress`."""
        if self._live is not None:
            self._live.update(_progress_table(goal, nodes))
        connected = sum(len(node.latest.get("peers", ())) > 0 for node in nodes)
        complete = sum(items_of(node, goal) >= goal.items for node in nodes)
        self._say(f"{connected} of {len(nodes)} nodes connected")
        if complete:
            self._say(f"{complete} of {len(nodes)} nodes have everything")

    def stopped(self, *, converged: bool) -> None:
        """See `Progress`."""
        if self._live is not None:
            self._live.stop()
        self._console.print("every node has everything" if converged else "time is up, and some nodes lack something")
        self._console.print("verifying the logs by replay")

    def _say(self, line: str) -> None:
        if self._live is None and line not in self._said:
            self._said.add(line)
            self._console.print(line)


def items_of(node: NodeReport, goal: Goal) -> int:
    """Items a node has; the best tip counts once it is the right one."""
    latest = node.latest
    tip = latest.get("best_tip") is not None and latest.get("best_tip") == goal.best_tip
    return int(latest.get("transactions", 0)) + int(latest.get("snarks", 0)) + int(latest.get("commitments", 0)) + tip


def _progress_table(goal: Goal, nodes: list[NodeReport]) -> Table:
    table = Table("node", "peers", "items", title="spreading by permission")
    for node in nodes:
        table.add_row(str(node.number), str(len(node.latest.get("peers", ()))), f"{items_of(node, goal)} of {goal.items}")
    return table


def print_outcome(console: Console, outcome: Outcome, record_dir: Path, *, is_kept: bool) -> None:
    """The table for people."""
    number_of = {node.peer_id: node.number for node in outcome.nodes}

    def names(peers: list[str]) -> str:
        return " ".join(str(number_of.get(peer, peer[:PEER_ID_CHARS])) for peer in peers) or "-"

    # Narrow enough for 80 columns.
    columns = ("node", "id", "dialled", "dialled by", "items", "KB in", "KB out", "permits", "faults")
    table = Table(*columns, title="who connected to whom, and what they sent by permission", caption="permits: used/given")
    for node in outcome.nodes:
        latest, totals = node.latest, node.totals
        dialled: list[str] = latest.get("dialled", [])
        incoming = [peer for peer in latest.get("peers", []) if peer not in dialled]
        table.add_row(
            str(node.number),
            node.peer_id[:PEER_ID_CHARS],
            names(dialled),
            names(incoming),
            f"{items_of(node, outcome.goal)}/{outcome.goal.items}",
            f"{totals.get('bytes_in', 0) / 1000:,.0f}",
            f"{totals.get('bytes_out', 0) / 1000:,.0f}",
            f"{totals.get('permissions_used', 0)}/{totals.get('permissions_granted', 0)}",
            str(totals.get("violations", 0)),
        )
    console.print(table)
    reached = f"in {outcome.seconds:.1f} s" if outcome.converged else "not within the time given"
    console.print(f"all nodes have all items: {reached}")
    replay = outcome.replay
    if replay["verified"]:
        logs = f"replay of the {len(outcome.nodes)} logs"
        console.print(f"{logs}: verified, {replay['actions']:,} actions, state hash {replay['state_hash'][:16]}…")
    else:
        errors = [f" ({Path(log['path']).name}: {log['error']})" for log in replay["logs"] if log["error"]]
        console.print(f"replay of the logs: NOT verified{''.join(errors[:1])}; look with: mina-p2p replay {record_dir}")
    if is_kept:
        console.print(f"logs: {record_dir}")
    else:
        console.print("logs were temporary; keep them with --record DIR")


def outcome_json(outcome: Outcome, record_dir: Path) -> str:
    """The object for scripts."""
    nodes: list[dict[str, Any]] = []
    for node in outcome.nodes:
        latest, totals = node.latest, node.totals
        nodes.append(
            {
                "peer_id": node.peer_id,
                "peers": latest.get("peers", []),
                "dialled": latest.get("dialled", []),
                "items": items_of(node, outcome.goal),
                "bytes_in": totals.get("bytes_in", 0),
                "bytes_out": totals.get("bytes_out", 0),
                "permissions_granted": totals.get("permissions_granted", 0),
                "permissions_used": totals.get("permissions_used", 0),
                "violations": totals.get("violation_reasons", []),
            }
        )
    return json.dumps(
        {
            "converged": outcome.converged,
            "seconds": round(outcome.seconds, 3),
            "items": outcome.goal.items,
            "nodes": nodes,
            "log": str(record_dir),
            "replay": outcome.replay,
        }
    )


class SilentProgress:
    """Says nothing; for ``--json``."""

    def started(self, goal: Goal, nodes: list[NodeReport]) -> None:
        """See `Progress`."""

    def moved(self, goal: Goal, nodes: list[NodeReport]) -> None:
        """See `Progress`."""

    def stopped(self, *, converged: bool) -> None:
        """See `Progress`."""
