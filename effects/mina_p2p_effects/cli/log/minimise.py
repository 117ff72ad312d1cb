"""Shrink a log to the fewest inputs that still show a fault, and write a test of it.

The inputs are played from the log's first state, again and again with fewer of them, as long as
the same kind of fault shows. A fault is a violation that the machine itself finds, and with
--assert a state that MODULE:FUNCTION refuses: it is called with the state after each input, and
refuses it by raising AssertionError or returning False. Let the error's message say what is wrong:
only faults with the same message count. The current folder is where MODULE is looked for first.

Two files are written: a log of the inputs that are left, which every tool for logs opens, and
beside it a ready pytest file that fails as long as the fault is there.
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from mina_p2p.errors import CallerError
from mina_p2p.trace.minimise import TRIES_MAX, Progress
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import add_json, users_code, write, write_json
from mina_p2p_effects.fuzzing.cases import Case, minimise_case, read_case, write_case, write_pytest_file
from mina_p2p_effects.logs.functions import load_function, load_machine
from mina_p2p_effects.logs.session import open_session
from mina_p2p_effects.logs.text import describe, printable
from mina_p2p_effects.replay import part_number

_REPORT_EVERY = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, metavar="LOG", help="a log: one file, or a directory with the files of one that rotated")
    parser.add_argument("--assert", dest="assertion", default=None, metavar="MODULE:FUNCTION", help="what must hold of every state")
    parser.add_argument(
        "--with-reducer", default=None, metavar="FILE|MODULE:FUNCTION", help="play by a changed machine, as in mina-p2p replay"
    )
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="where the smaller log goes (default: LOG-minimal.mplog)")
    parser.add_argument(
        "--tries", type=whole(1), default=TRIES_MAX, metavar="N", help="play parts of the log at most N times (default: %(default)s)"
    )
    add_json(parser, "one JSON object")


def _read(source: Path) -> Case:
    """The inputs of a log, over all its files."""
    if not source.is_dir():
        return read_case(source)
    with open_session(source) as session:
        numbers = [part_number(file.header.metadata) for file in session.files]
        if session.notes or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise CallerError("parts of this log are missing or damaged; give the one file in which the fault shows")
        first, *rest = map(read_case, session.paths)
    return first.replace(inputs=tuple(chain(first.inputs, *(case.inputs for case in rest))))


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 2 where the log shows no fault."""
    source: Path = arguments.log
    target: Path = arguments.out or source.with_name(f"{source.stem}-minimal.mplog")
    if target.exists() and (target.is_dir() or target.samefile(source)):
        raise CallerError("the smaller log can not take the place of the log itself")
    case = _read(source)
    with users_code(arguments.assertion or ""):
        check = None if arguments.assertion is None else load_function(arguments.assertion)
    with users_code(arguments.with_reducer or ""):
        machine = None if arguments.with_reducer is None else load_machine(arguments.with_reducer, case.machine)

    def progress(seen: Progress) -> None:
        if seen.tries % _REPORT_EVERY == 0:
            sys.stderr.write(f"{seen.tries} tries, {seen.count} inputs left\n")

    with users_code(arguments.assertion or arguments.with_reducer or "the machine"):
        smaller, fault = minimise_case(case, check, tries_max=arguments.tries, progress=progress, machine=machine)
    write_case(target, smaller)
    test = write_pytest_file(target, arguments.assertion)
    if arguments.json:
        write_json(
            {"inputs_before": len(case.inputs), "inputs": len(smaller.inputs), "fault": fault.text, "log": str(target), "test": str(test)}
        )
        return 0
    write(printable(f"{fault.text}"))
    write(f"{len(smaller.inputs)} of {len(case.inputs)} inputs are enough:")
    for item in smaller.inputs:
        write(f"  {describe(item.action)}")
    write(f"log: {target}")
    write(f"test: {test}")
    return 0
