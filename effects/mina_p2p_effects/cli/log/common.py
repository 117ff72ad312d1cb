"""What the subcommands of ``mina-p2p log`` share: options that choose actions, and lines that show them."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from mina_p2p.errors import CallerError, MinaP2pError
from mina_p2p.trace.errors import LogError
from mina_p2p_effects.cli.arguments import shortened, whole, whole_or_none
from mina_p2p_effects.logs.search import Query, search
from mina_p2p_effects.logs.session import UNREADABLE, LogAction, LogSession, open_sessions
from mina_p2p_effects.logs.text import DEPTH_SHOWN_MAX, clock_text, describe, jsonable, parse_time

FOUND: Final = 1
"""Exit code of a command that found what one looks for in trouble: a difference, a violation, damage."""


def add_log(parser: argparse.ArgumentParser) -> None:
    """The argument for one log."""
    parser.add_argument("log", type=Path, metavar="LOG", help="a log, or a directory with the files of one log")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help=f"print {what} and nothing else")


def add_choice(parser: argparse.ArgumentParser, *, has_text: bool = True) -> None:
    """The options that choose actions."""
    parser.add_argument("--kind", default="", metavar="NAMES", help="kinds of actions, with * and ?, separated by commas")
    parser.add_argument("--peer", default="", metavar="ID", help="beginning of a peer's id, or #7 for connection 7")
    if has_text:
        parser.add_argument("--text", default="", metavar="REGEX", help="what the action says, as Python prints it")
    parser.add_argument("--inputs", action="store_true", help="inputs only, not what followed from them")
    parser.add_argument("--refused", action="store_true", help="only inputs in whose dispatch a guard refused something")
    parser.add_argument("--from", dest="start", default=None, metavar="ID|TIME", help="begin there (time: 2026-11-21T13:52:28, UTC)")
    parser.add_argument("--to", dest="end", default=None, metavar="ID|TIME", help="end before there")
    parser.add_argument("-n", "--max", type=whole(0), default=None, metavar="N", help="at most N actions")


def open_all(stack: ExitStack, paths: Iterable[Path]) -> list[LogSession]:
    """Every log at some paths, to be closed with ``stack``.

    :raises CallerError: where a directory holds none.
    """
    sessions: list[LogSession] = []
    for path in paths:
        found = [stack.enter_context(session) for session in open_sessions(path)]
        if not found:
            raise CallerError(f"there is no log in {path}")
        sessions += found
    return sessions


@contextmanager
def users_code(name: str) -> Generator[None, None, None]:
    """Where code of the user's own runs: say of what it raises that it was this code, and where.

    :raises CallerError: with that.
    """
    try:
        yield
    except MinaP2pError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise CallerError(f"{name} raised {type(error).__name__}: {error} ({place.filename}, line {place.lineno})") from error


def chosen(session: LogSession, arguments: argparse.Namespace, *, text: str | None = None) -> Iterator[LogAction]:
    """The actions of a log that the options of `add_choice` choose."""
    query = Query(
        kind=arguments.kind,
        peer=arguments.peer,
        text=arguments.text if text is None else text,
        is_input=True if arguments.inputs else None,
        is_refused=arguments.refused,
    )
    start = 0 if arguments.start is None else place_of(session, arguments.start)
    end = session.count if arguments.end is None else place_of(session, arguments.end)
    is_plain = query == Query()
    left: int | None = arguments.max
    for row in session.actions(start, end) if is_plain else search(session, query, start):
        if row.position >= end or left == 0:
            return
        left = None if left is None else left - 1
        yield row


def place_of(session: LogSession, text: str) -> int:
    """Position of the action that a person names by its id or by a time.

    An id between two parts of a damaged log means the next action there is.

    :raises CallerError: where it is neither.
    """
    if not text.isdecimal():
        return session.position_at(parse_time(text))
    number = whole_or_none(text)
    if number is None:
        raise CallerError(f"{shortened(text)!a} is longer than any id")
    try:
        return session.position_of(number)
    except LogError:
        for file, block, found in session.blocks():
            if found.records.first_id > number:
                return session.base_of(file, block)
        return session.count


def content_of(session: LogSession, row: LogAction) -> Any:
    """The action itself, or ``None`` where it can not be known."""
    if row.is_input or row.kind == UNREADABLE:
        return row.input
    try:
        return session.content(row.position)
    except LogError:
        return None


def line(row: LogAction, content: Any, *, has_time: bool = True) -> str:
    """One action in one line: time, id, and its place in the tree of causes by indentation."""
    time = f"{clock_text(row.time)} " if has_time else ""
    what = row.kind if content is None else describe(content)
    refused = f"   refused: {', '.join(row.refused)}" if row.refused and row.is_input else ""
    return f"{time}#{row.action_id:<8}{'  ' * min(row.depth, DEPTH_SHOWN_MAX)}{what}{refused}"


def row_json(row: LogAction, content: Any, node: str | None = None) -> dict[str, Any]:
    """One action as an object."""
    named = {} if node is None else {"node": node}
    return {
        **named,
        "id": row.action_id,
        "cause": row.cause_id,
        "depth": row.depth,
        "time": row.time,
        "kind": row.kind,
        "refused": list(row.refused) if row.is_input else [],
        "action": None if content is None else jsonable(content),
    }


def write_json(value: Any) -> None:
    """One JSON value in a line on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def write(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


def part_of(state: Any, path: str) -> Any:
    """What a path such as ``peers.table[3].status`` leads to in a state.

    :raises CallerError: where it leads nowhere.
    """
    found = state
    for name in path.replace("[", ".[").split("."):
        if not name:
            continue
        try:
            found = found[int(name[1:-1])] if name.startswith("[") else getattr(found, "" if name.startswith("_") else name)
        except (AttributeError, KeyError, IndexError, ValueError, TypeError):
            raise CallerError(f"the state has no {path}: {name} leads nowhere in a {type(found).__qualname__}") from None
    return found
