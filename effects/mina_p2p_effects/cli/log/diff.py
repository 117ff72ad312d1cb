"""Find where two runs first went different ways: two logs, or two directories node by node.

Meant for two runs of one seed, of two versions of a reducer, or of a log and its replay by
changed code. Inputs are compared by what they say, derived actions by kind, cause and what they
say; times only with --times. Named are the last equal action, the first that differs in each
run, and where the states before it differ.

Where a log was recorded by other code than is at hand, replaying it stops where that code acted
differently. From there on its derived actions are compared by kind and place alone, and the
report says so. The exit code is 0 where the runs are the same, 1 where they are not.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p.trace.difference import Difference
from mina_p2p_effects.cli.log.common import FOUND, add_json, line, open_all, row_json, write, write_json
from mina_p2p_effects.logs.compare import RunDifference, compare
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import describe, jsonable, printable

_CONTEXT = 3
"""Equal actions shown before the difference."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("left", type=Path, metavar="A", help="a log, or a directory of logs")
    parser.add_argument("right", type=Path, metavar="B", help="what to compare it with")
    parser.add_argument("--times", action="store_true", help="compare the times of inputs too")
    add_json(parser, "one JSON list with an object for each pair of logs")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with ExitStack() as stack:
        left, right = open_all(stack, [arguments.left]), open_all(stack, [arguments.right])
        found = [(one, other, compare(one, other, with_times=arguments.times)) for one, other in _pairs(left, right)]
        if arguments.json:
            write_json([_object(one, difference) for one, _, difference in found])
        else:
            for one, other, difference in found:
                _print(one, other, difference)
    return FOUND if any(difference is not None for _, _, difference in found) else 0


def _pairs(left: list[LogSession], right: list[LogSession]) -> list[tuple[LogSession, LogSession]]:
    """Logs of the same node, else in order where there is one on each side."""
    if len(left) == len(right) == 1:
        return [(left[0], right[0])]
    theirs = {session.node: session for session in right}
    missing = [session.node for session in left if session.node not in theirs]
    if missing or len(left) != len(right):
        raise CallerError(f"the directories hold logs of different nodes: {len(left)} and {len(right)}, without a partner: {missing[:3]}")
    return [(session, theirs[session.node]) for session in left]


def _object(session: LogSession, found: RunDifference | None) -> dict[str, Any]:
    if found is None:
        return {"node": session.node, "equal": session.count, "difference": None}
    return {
        "node": session.node,
        "equal": found.equal,
        "difference": {
            "what": found.what,
            "left": None if found.left is None else row_json(found.left, found.left_content),
            "right": None if found.right is None else row_json(found.right, found.right_content),
            "content": _difference(found.content),
            "state": _difference(found.state),
            "replay_left": found.replay_left or None,
            "replay_right": found.replay_right or None,
        },
    }


def _difference(found: Difference | None) -> dict[str, Any] | None:
    return None if found is None else {"path": found.path, "left": jsonable(found.left), "right": jsonable(found.right)}


def _print(left: LogSession, right: LogSession, found: RunDifference | None) -> None:
    name = printable(left.node)
    if found is None:
        write(f"{name}: the same: {left.count:,} actions")
        return
    write(f"{name}: {found.what}, after {found.equal:,} equal actions")
    for before in left.actions(max(0, found.equal - _CONTEXT), found.equal):
        write(f"    {line(before, before.input if before.is_input else None)}")
    for mark, session, row, content in (("A", left, found.left, found.left_content), ("B", right, found.right, found.right_content)):
        if row is None:
            write(f"  {mark} ends")
            continue
        if not row.is_input:
            root = session.action(row.root)
            write(f"  {mark} {line(root, root.input)}")
        write(f"  {mark} {line(row, content)}")
    for where, difference in (("they differ in", found.content), ("the states before differ in", found.state)):
        if difference is not None:
            write(f"  {where} {difference.path or 'all'}: {describe(difference.left, 1)} in A, {describe(difference.right, 1)} in B")
    for mark, problem in (("A", found.replay_left), ("B", found.replay_right)):
        if problem:
            write(printable(f"  {mark} can not be replayed here: {problem}"))
