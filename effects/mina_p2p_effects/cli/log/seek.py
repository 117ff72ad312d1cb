"""Show one action: the chain of its causes, what followed from it, and the state around it.

The action is named by its id, or by a time (2026-11-21T13:52:28, UTC): the first at or after it.
--diff shows what it changed in the state, --state the state behind it or the part of it that a
path leads to, such as peers.table[3].
"""

from __future__ import annotations

import argparse
from typing import Any, cast

from mina_p2p.record import Record, field_names
from mina_p2p.table import Table
from mina_p2p.trace.difference import Difference, differences
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p_effects.cli.log.common import add_json, add_log, content_of, line, part_of, place_of, row_json, write, write_json
from mina_p2p_effects.logs.session import LogAction, LogSession, open_session
from mina_p2p_effects.logs.text import describe, jsonable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add_log(parser)
    parser.add_argument("where", metavar="ID|TIME", help="an action's id, or a time")
    parser.add_argument("--diff", action="store_true", help="what it changed in the state")
    parser.add_argument("--state", nargs="?", const="", default=None, metavar="PATH", help="the state behind it, or a part of that")
    add_json(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 2 where the log has no such action."""
    with open_session(arguments.log) as session:
        position = place_of(session, arguments.where)
        if position >= session.count:
            raise LogError(LogFault.ABSENT, f"no action at or after {arguments.where}")
        row = session.action(position)
        causes = _causes(session, row)
        followed = [session.action(at) for at in session.children(position)]
        changes = list(differences(session.state_before(position), session.state_at(position))) if arguments.diff else []
        state = part_of(session.state_at(position), arguments.state) if arguments.state is not None else None
        if arguments.json:
            write_json(_object(session, row, causes, followed, changes, state))
        else:
            _print(session, row, causes, followed)
            _print_state(changes, state, has_diff=arguments.diff, has_state=arguments.state is not None)
    return 0


def _causes(session: LogSession, row: LogAction) -> list[LogAction]:
    """The actions that led to this one, the input first."""
    chain: list[LogAction] = []
    at = session.cause(row.position)
    while at is not None:
        chain.append(session.action(at))
        at = session.cause(at)
    return chain[::-1]


def _object(
    session: LogSession, row: LogAction, causes: list[LogAction], followed: list[LogAction], changes: list[Difference], state: Any
) -> dict[str, Any]:
    return {
        **row_json(row, content_of(session, row)),
        "causes": [row_json(cause, content_of(session, cause)) for cause in causes],
        "followed": [row_json(other, content_of(session, other)) for other in followed],
        "changes": [{"path": change.path, "before": jsonable(change.left), "after": jsonable(change.right)} for change in changes],
        "state": jsonable(state),
    }


def _print(session: LogSession, row: LogAction, causes: list[LogAction], followed: list[LogAction]) -> None:
    for cause in causes:
        write(f"  {line(cause, content_of(session, cause))}")
    write(f"> {line(row, content_of(session, row))}")
    for other in followed:
        write(f"  {line(other, content_of(session, other))}")


def _print_state(changes: list[Difference], state: Any, *, has_diff: bool, has_state: bool) -> None:
    if has_diff:
        write("changed:" if changes else "it changed nothing in the state")
    for change in changes:
        write(f"  {change.path}: {describe(change.left, 1)} -> {describe(change.right, 1)}")
    if has_state:
        _print_tree(state, 0)


def _print_tree(value: Any, depth: int) -> None:
    """A record or table with a line for each field; what is inside these in brief."""
    if isinstance(value, Record):
        for name in field_names(type(value)):
            write(f"{'  ' * depth}{name}: {describe(getattr(value, name), 2)}")
    elif isinstance(value, Table):
        for key, item in cast("Table[int, Any]", value).items():
            write(f"{'  ' * depth}[{key}]: {describe(item, 2)}")
    else:
        write(describe(value, 1))
