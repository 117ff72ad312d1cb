"""What a search shows: progress while it runs, a table or one JSON object at its end."""

from __future__ import annotations

import json
import time
from typing import Any, Final, Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from mina_p2p_effects.fuzzing.cases import Case
from mina_p2p_effects.fuzzing.engine import Report
from mina_p2p_effects.fuzzing.findings import Written

_LINE_EVERY_S: Final = 10.0
_ROWS_MAX: Final = 20
"""Targets of a group that are shown one by one; the rest is summed up."""


class Progress:
    """Says how it goes: in one line that changes on a terminal, else in a line every few seconds. Findings are said at once."""

    def __init__(self, console: Console, seconds: float | None) -> None:
        self._console = console
        self._seconds = seconds
        self._said_at = time.monotonic()
        self._shown = 0
        self._status: Status | None = console.status("starting") if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, report: Report) -> None:
        """How it stands."""
        for written in report.findings[self._shown :]:
            self._console.print(f"[red]finding[/red] {escape(_line(written))}", highlight=False, soft_wrap=True)
        self._shown = max(self._shown, len(report.findings))
        of = "" if self._seconds is None else f" of {self._seconds:.0f}"
        text = (
            f"{report.seconds:.0f}{of} s, round {report.rounds + 1}: {report.executions:,} executions in {len(report.targets)} targets, "
            f"coverage {report.coverage:,}, {len(report.findings)} findings"
        )
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._said_at >= _LINE_EVERY_S:
            self._said_at = time.monotonic()
            self._console.print(text, highlight=False, soft_wrap=True)


def _line(written: Written) -> str:
    evidence = written.finding.evidence
    size = f"{len(evidence.inputs)} inputs" if isinstance(evidence, Case) else f"{len(evidence)} bytes"
    return f"{written.finding.target}: {written.finding.text} ({size})\n  {written.command}"


def as_json(report: Report) -> str:
    """The report as one JSON object: ``seed``, ``seconds``, ``rounds``, ``executions``, ``coverage``, ``findings``, ``targets``."""
    found: dict[str, Any] = {
        "seed": report.seed,
        "seconds": round(report.seconds, 3),
        "rounds": report.rounds,
        "executions": report.executions,
        "coverage": report.coverage,
        "findings": [
            {
                "target": written.finding.target,
                "fault": written.finding.text,
                "size": len(evidence.inputs) if isinstance(evidence := written.finding.evidence, Case) else len(evidence),
                "path": str(written.path),
                "command": written.command,
            }
            for written in report.findings
        ],
        "targets": {
            target.name: {
                "executions": target.executions,
                "coverage": target.coverage,
                "new_coverage": target.fresh,
                "findings": target.findings,
            }
            for target in report.targets
        },
    }
    return json.dumps(found) + "\n"


def print_report(console: Console, report: Report) -> None:
    """The report as a table: by group of targets where there are many, and every target with findings."""
    table = Table("target", box=None, pad_edge=False)
    for column in ("executions", "coverage", "new", "findings"):
        table.add_column(column, justify="right")
    for name, count, rows in _rows(report):
        shown = f"{name} ({count} targets)" if count > 1 else name
        table.add_row(shown, *(f"{number:,}" for number in rows))
    console.print(table)
    for written in report.findings:
        console.print(f"[red]finding[/red] {escape(_line(written))}", highlight=False, soft_wrap=True)
    verdict = f"{len(report.findings)} findings" if report.findings else "nothing found"
    console.print(f"seed {report.seed}: {report.executions:,} executions in {report.seconds:.1f} s, {verdict}", highlight=False)


def _rows(report: Report) -> list[tuple[str, int, tuple[int, int, int, int]]]:
    groups: dict[str, list[tuple[int, int, int, int]]] = {}
    is_short = len(report.targets) <= _ROWS_MAX
    for target in report.targets:
        name = target.name if is_short or target.findings else f"{target.name.partition('.')[0]}.*"
        groups.setdefault(name, []).append((target.executions, target.coverage, target.fresh, target.findings))
    return [(name, len(rows), _sums(rows)) for name, rows in groups.items()]


def _sums(rows: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    executions, coverage, fresh, findings = (sum(column) for column in zip(*rows, strict=True))
    return executions, coverage, fresh, findings
