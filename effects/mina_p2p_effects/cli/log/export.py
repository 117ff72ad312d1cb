"""Write logs in the formats of other tools.

    perfetto   Chrome trace events for https://ui.perfetto.dev: nodes, peers, frames as arrows
    parquet    a table for DuckDB and data frames (pip install 'mina-p2p[export]')
    jsonl      one JSON object for each action, a line each
    devtools   a window of at most 500 actions of one log for the import of Redux DevTools

Give several logs of one network to see them side by side. The format follows from the name of
OUT (.json is perfetto) unless --format says it. - writes jsonl to standard output.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import open_all, place_of, write
from mina_p2p_effects.logs.exports.devtools import WINDOW_MAX, export_devtools
from mina_p2p_effects.logs.exports.jsonl import export_jsonl
from mina_p2p_effects.logs.exports.parquet import export_parquet
from mina_p2p_effects.logs.exports.perfetto import export_perfetto
from mina_p2p_effects.logs.session import LogSession

FORMATS: Final = ("perfetto", "parquet", "jsonl", "devtools")
_BY_SUFFIX: Final = {".json": "perfetto", ".parquet": "parquet", ".jsonl": "jsonl"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, nargs="+", metavar="LOG", help="logs and directories of logs")
    parser.add_argument("out", metavar="OUT", help="the file to write, or - for standard output")
    parser.add_argument("--format", choices=FORMATS, default=None, help="by default as the name of OUT says")
    parser.add_argument("--from", dest="start", default=None, metavar="ID|TIME", help="devtools: begin the window there")
    parser.add_argument(
        "-n", "--max", type=whole(1, WINDOW_MAX), default=WINDOW_MAX, metavar="N", help="devtools: at most N actions (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    out: str = arguments.out
    form = arguments.format or ("jsonl" if out == "-" else _BY_SUFFIX.get(Path(out).suffix))
    if form is None:
        raise CallerError(f"{out} does not say which format; give --format, one of {', '.join(FORMATS)}")
    with ExitStack() as stack:
        sessions = open_all(stack, arguments.log)
        if out == "-":
            if form != "jsonl":
                raise CallerError(f"{form} goes to a file")
            export_jsonl(sessions, sys.stdout)
            return 0
        if any(Path(out).exists() and Path(out).samefile(path) for session in sessions for path in session.paths):
            raise CallerError("a log can not be replaced by its export")
        count = _export(form, sessions, Path(out), arguments)
    write(f"{out}: {count:,} {'events' if form == 'perfetto' else 'actions'}")
    return 0


def _export(form: str, sessions: list[LogSession], out: Path, arguments: argparse.Namespace) -> int:
    if form == "parquet":
        return export_parquet(sessions, out)
    if form == "devtools" and len(sessions) != 1:
        raise CallerError(f"Redux DevTools shows one log; these are {len(sessions)}")
    with out.open("w", encoding="utf-8") as file:
        match form:
            case "devtools":
                start = 0 if arguments.start is None else place_of(sessions[0], arguments.start)
                return export_devtools(sessions[0], file, start, arguments.max)
            case "perfetto":
                return export_perfetto(sessions, file)
            case _:
                return export_jsonl(sessions, file)
