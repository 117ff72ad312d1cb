"""What a simulation shows: progress while it runs, a table or one JSON object at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from rich.console import Console
from rich.table import Table

from mina_p2p.ids import SECOND
from mina_p2p.testing.faults import FaultKind
from mina_p2p_effects.campaigns.runner import AnyRun, Broken, Done, Job, Result

SAY_EVERY_S = 2.0
FAILED_SHOWN_MAX = 20


class Progress:
    """Says how it goes, a line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said_at = time.monotonic()

    def run(self, run: AnyRun) -> None:
        """One run goes on."""
        if self._is_time():
            now = run.coverage[-1]
            self._console.print(
                f"{run.seconds:8.1f} s virtual, {run.phase.value}: {run.trace.actions:,} actions, connected {now.connected:.0%}, "
                f"items {now.items:.1%}, {'newest' if run.options.is_libp2p else 'best tip'} {now.best_tip:.0%}",
                highlight=False,
                soft_wrap=True,
            )

    def seeds(self, done: int, failed: int, total: int) -> None:
        """Some of many seeds are done."""
        if self._is_time() or done == total:
            self._console.print(f"{done} of {total} seeds, {failed} failed", highlight=False)

    def failed(self, result: Result) -> None:
        """A seed has failed; it is said at once, with the command that shows it again."""
        text = f"seed {result.job.options.seed} failed: {reasons(result)[0]}\n  {command_of(result.job)}"
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._said_at < SAY_EVERY_S:
            return False
        self._said_at = now
        return True


def reasons(done: Result) -> list[str]:
    """What speaks against a run that is not good."""
    if isinstance(done, Broken):
        return (done.error.strip() or "it broke").splitlines()[-1:]
    differs = ["a second run with the same seed did something else"] if done.is_deterministic is False else []
    return [*done.outcome.violations, *differs, *done.outcome.missing] or ["it did not converge"]


def command_of(job: Job) -> str:
    """The command that runs that seed again."""
    options = job.options
    faults = "all" if options.is_swarm else ",".join(kind.value for kind in options.faults) or "none"
    settings: dict[str, object] = {
        "--nodes": options.nodes,
        "--seed": options.seed,
        "--faults": faults,
        "--peers": options.peers,
        "--transactions": options.transactions,
        "--duration": options.fault_duration // SECOND,
    }
    if options.is_libp2p:
        settings["--network"] = "libp2p"
    if options.is_about_blocks:
        settings["--network"] = "blocks"
    if options.check_every:
        settings["--check-every"] = options.check_every
    if job.liars:
        settings["--liars"] = ",".join(job.liars)
    return " ".join(["mina-p2p simulate", *(f"{name} {value}" for name, value in settings.items())])


def run_json(done: Done) -> dict[str, Any]:
    """One run, for ``--json``."""
    outcome = done.outcome
    return {
        "seed": outcome.seed,
        "nodes": outcome.nodes,
        "converged": outcome.converged,
        "violations": list(outcome.violations),
        "trace_hash": outcome.trace_hash,
        "actions": outcome.actions,
        "virtual_seconds": round(outcome.virtual_seconds, 3),
        "real_seconds": round(done.real_seconds, 3),
        "faults": list(outcome.faults),
        "liars": list(outcome.liars),
        "missing": list(outcome.missing),
        "healed_at": outcome.healed_at,
        "up_at": outcome.up_at,
        "up_actions_per_node": None if outcome.up_actions is None else round(outcome.up_actions / outcome.nodes, 1),
        "inputs": outcome.dispatches,
        "deterministic": done.is_deterministic,
        "command": command_of(done.job),
    }


def campaign_json(all_done: Sequence[Done], broken: Sequence[Broken[Job]], real_seconds: float) -> dict[str, Any]:
    """Many runs as one report; the runs that are not good are in it whole."""
    by_seed = sorted(all_done, key=lambda done: done.outcome.seed)
    digest = blake2b("".join(done.outcome.trace_hash for done in by_seed).encode(), digest_size=16).hexdigest()
    compared = [done.is_deterministic for done in by_seed if done.is_deterministic is not None]
    return {
        "seeds": len(by_seed) + len(broken),
        "nodes": by_seed[0].outcome.nodes if by_seed else broken[0].job.options.nodes,
        "converged": not broken and all(done.outcome.converged for done in by_seed),
        "violations": [f"seed {done.outcome.seed}: {violation}" for done in by_seed for violation in done.outcome.violations],
        "trace_hash": digest,
        "actions": sum(done.outcome.actions for done in by_seed),
        "virtual_seconds": round(sum(done.outcome.virtual_seconds for done in by_seed), 3),
        "real_seconds": round(real_seconds, 3),
        "run_seconds": round(sum(done.real_seconds for done in by_seed), 3),
        "deterministic": all(compared) if compared else None,
        "runs_by_fault": {
            kind.value: sum(kind.value in done.outcome.faults for done in by_seed) for kind in FaultKind if kind in _kinds(by_seed)
        },
        "failed": [run_json(done) for done in by_seed if not done.is_good],
        "broken": [{"seed": one.job.options.seed, "error": one.error, "command": command_of(one.job)} for one in broken],
    }


def _kinds(all_done: Sequence[Done]) -> set[FaultKind]:
    return {kind for done in all_done for kind in done.job.options.faults}


def print_run(console: Console, done: Done) -> None:
    """One run, for people."""
    outcome = done.outcome
    table = Table("", "", title=f"{outcome.nodes} nodes, seed {outcome.seed}", show_header=False)
    table.add_row("faults", ", ".join(outcome.faults) or "none")
    if outcome.liars:
        table.add_row("liars", ", ".join(outcome.liars))
    table.add_row("converged", "yes" if outcome.converged else "no: " + "; ".join(outcome.missing))
    table.add_row("violations", "\n".join(outcome.violations) or "none")
    table.add_row("actions", f"{outcome.actions:,}, of which {outcome.dispatches:,} inputs")
    table.add_row("time", f"{outcome.virtual_seconds:.1f} s virtual in {done.real_seconds:.1f} s")
    table.add_row("trace", outcome.trace_hash + ("" if done.is_deterministic is None else ", the same twice"))
    if done.is_deterministic is False:
        table.add_row("determinism", "a second run with the same seed did something else")
    console.print(table)
    if not done.is_good:
        console.print(f"to see it again: {command_of(done.job)}", highlight=False, soft_wrap=True)


def print_campaign(console: Console, report: dict[str, Any]) -> None:
    """Many runs, for people."""
    failed = [*report["failed"], *report["broken"]]
    console.print(
        f"{report['seeds']} seeds of {report['nodes']} nodes: {len(failed)} failed; {report['actions']:,} actions, "
        f"{report['virtual_seconds']:,.0f} s virtual in {report['real_seconds']:,.0f} s; trace {report['trace_hash']}",
        highlight=False,
    )
    for run in failed[:FAILED_SHOWN_MAX]:
        what = run.get("violations") or run.get("missing") or [run.get("error", "the second run differs")]
        console.print(f"seed {run['seed']}: {what[0]}\n  {run['command']}", highlight=False, soft_wrap=True)


def dump(value: dict[str, Any]) -> str:
    """One JSON object, as text."""
    return json.dumps(value, indent=2) + "\n"
