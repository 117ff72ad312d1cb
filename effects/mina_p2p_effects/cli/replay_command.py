"""Replay recorded logs and compare every action.

Runs the recorded inputs through the reducers again. Every derived action and the state's
hash must come out as recorded; the first difference is named with the action, the path in
the state and both values. A directory means all logs in it.

--from and --until replay a part of one log, from the nearest checkpoint on. --hook calls a
function of yours for every action with a mina_p2p_effects.logs.playback.HookStep (node, row,
action, before, after); several logs go in the order of cause and effect, and a hook that
returns True ends the replay there. --with-reducer gives the same inputs to a changed machine
as well and tells what would have gone otherwise: a function machine(machine), in a file or
named MODULE:FUNCTION, returns the changed one, for example
machine.replaced(SomeAction, reducer=mine). The exit code is then 1 where anything would.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p_effects.cli.arguments import whole
from mina_p2p_effects.cli.log.common import FOUND, line, open_all, place_of, row_json, users_code, write, write_json
from mina_p2p_effects.logs.functions import load_function, load_machine
from mina_p2p_effects.logs.playback import WhatIf, run_hook, what_if
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import describe, jsonable, printable
from mina_p2p_effects.replay import replay_command

_SHOWN_MAX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, nargs="+", metavar="LOG", help="a log, or a directory of logs")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(
        "--jobs",
        type=whole(1),
        default=None,
        metavar="N",
        help="share the logs among N processes, from checkpoint to checkpoint (default: on Linux one for each processor where the logs "
        "are long enough, else one)",
    )
    parser.add_argument("--from", dest="start", default=None, metavar="ID|TIME", help="begin with this action (one log)")
    parser.add_argument("--until", default=None, metavar="ID|TIME", help="end behind this action (one log)")
    parser.add_argument("--hook", default=None, metavar="MODULE:FUNCTION", help="call this for every action")
    parser.add_argument(
        "--with-reducer", default=None, metavar="FILE|MODULE:FUNCTION", help="try a changed machine beside the recorded one"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 verified, 1 a difference, 2 unreadable."""
    is_plain = arguments.start is None and arguments.until is None and arguments.hook is None and arguments.with_reducer is None
    if is_plain:
        return replay_command(arguments.log, json_output=arguments.json, jobs=arguments.jobs)
    if arguments.hook is not None and arguments.with_reducer is not None:
        raise CallerError("--hook and --with-reducer are two ways of replaying; choose one")
    with ExitStack() as stack:
        sessions = open_all(stack, arguments.log)
        if len(sessions) != 1 and (arguments.start is not None or arguments.until is not None):
            raise CallerError(f"--from and --until name actions of one log; these are {len(sessions)}")
        if arguments.with_reducer is not None:
            return _try(sessions, arguments)
        if arguments.hook is not None:
            return _hook(sessions, arguments)
        return _part(sessions[0], arguments)


def _range(session: LogSession, arguments: argparse.Namespace) -> tuple[int, int]:
    """Position of the first action, and the one behind the last."""
    start = 0 if arguments.start is None else place_of(session, arguments.start)
    until = session.count if arguments.until is None else min(session.count, place_of(session, arguments.until) + 1)
    if not 0 <= start < until:
        raise CallerError("there is no action from --from to --until")
    return start, until


def _part(session: LogSession, arguments: argparse.Namespace) -> int:
    """Replay from an action to another and show where that led."""
    start, until = _range(session, arguments)
    session.state_before(start)
    state = session.state_at(until - 1)
    row = session.action(until - 1)
    digest = session.schema.state_hash(state).hex()
    if arguments.json:
        write_json({"verified": True, "actions": until - start, "last": row_json(row, None), "state_hash": digest})
    else:
        write(printable(f"{session.paths[0]}: verified: {until - start} actions up to #{row.action_id}, state {digest}"))
    return 0


def _hook(sessions: list[LogSession], arguments: argparse.Namespace) -> int:
    """Call a hook for every action."""
    start, until = _range(sessions[0], arguments) if len(sessions) == 1 else (None, None)
    with users_code(arguments.hook):
        count, stopped = run_hook(sessions, load_function(arguments.hook), start=start, until=until)
    if arguments.json:
        write_json({"actions": count, "stopped": None if stopped is None else row_json(stopped.row, stopped.action, stopped.node)})
    elif stopped is None:
        write(f"{count} actions, and {arguments.hook} let all pass")
    else:
        write(f"{arguments.hook} ended the replay at action {count}, of {stopped.node}:")
        write(line(stopped.row, stopped.action))
    return 0


def _try(sessions: list[LogSession], arguments: argparse.Namespace) -> int:
    """Give the inputs to a changed machine."""
    found: list[tuple[LogSession, WhatIf]] = []
    for session in sessions:
        start, until = _range(session, arguments) if session.count else (0, 0)
        with users_code(arguments.with_reducer):
            machine = load_machine(arguments.with_reducer, session.header.machine)
            found.append((session, what_if(session, machine, start=start, until=until)))
    if arguments.json:
        write_json([_what_if_json(session, result) for session, result in found])
    else:
        for session, result in found:
            _print_what_if(session, result)
    return FOUND if any(result.differing or result.failure for _, result in found) else 0


def _what_if_json(session: LogSession, found: WhatIf) -> dict[str, Any]:
    state = found.state
    return {
        "node": session.node,
        "inputs": found.inputs,
        "differing": found.differing,
        "first": None if found.first is None else row_json(found.first, found.recorded[0] if found.recorded else None),
        "recorded": jsonable(found.recorded),
        "changed": jsonable(found.changed),
        "kinds": found.kinds,
        "state": None if state is None else {"path": state.path, "recorded": jsonable(state.left), "changed": jsonable(state.right)},
        "failure": found.failure or None,
    }


def _print_what_if(session: LogSession, found: WhatIf) -> None:
    name = printable(session.node)
    if found.first is None:
        write(f"{name}: nothing goes otherwise: {found.inputs:,} inputs lead to the same actions")
        return
    write(f"{name}: {found.differing:,} of {found.inputs:,} inputs lead to other actions, first that with #{found.first.action_id}")
    for mark, actions in (("recorded", found.recorded), ("changed", found.changed)):
        write(f"  {mark}:")
        for action in actions[:_SHOWN_MAX]:
            write(f"    {describe(action)}")
        if len(actions) > _SHOWN_MAX:
            write(f"    and {len(actions) - _SHOWN_MAX} more")
    for kind, count in found.kinds.items():
        write(f"  {count:+,} {kind}")
    if found.state is not None:
        left, right = describe(found.state.left, 1), describe(found.state.right, 1)
        write(f"  at the end {found.state.path or 'the state'} is {left} recorded and {right} changed")
    if found.failure:
        write(printable(f"  the changed machine was stopped by a violation: {found.failure}"))
