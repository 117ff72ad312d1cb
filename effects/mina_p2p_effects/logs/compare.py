"""`compare`: where two runs first went different ways.

Two logs of one machine are gone through side by side: inputs by what they say, derived actions
by kind, place in the tree and, where both logs can be replayed, by what they say. What differs
first is named, with the state of both runs around it. Times are compared only on request, as
no two live runs have the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, TypeAlias

from mina_p2p.record import Record, record
from mina_p2p.trace.difference import Difference, first_difference
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p_effects.logs.session import LogAction, LogSession
from mina_p2p_effects.logs.states import DivergedError

_Row: TypeAlias = tuple[int, str, int, tuple[str, ...], int, Any]
"""Position, kind, depth, refused kinds (of an input), time, content or ``None``."""


@record
class RunDifference(Record):
    """The first difference of two runs."""

    what: str
    """In words."""
    equal: int
    """So many actions are the same in both."""
    left: LogAction | None
    """The first that differs; ``None`` where this run has ended."""
    right: LogAction | None
    left_content: Any
    """What the action says; ``None`` where that is not known."""
    right_content: Any
    content: Difference | None
    """The first field in which the two differ, where they are of one kind."""
    state: Difference | None
    """The first place in which the states before them differ, where both are known."""
    replay_left: str
    """Why the log could not be replayed there; empty where it could."""
    replay_right: str


def compare(left: LogSession, right: LogSession, *, with_times: bool = False) -> RunDifference | None:
    """The first difference of two runs; ``None`` where there is none.

    :raises LogError: ``SCHEMA`` where the logs are of different machines.
    """
    if left.header.machine != right.header.machine:
        raise LogError(LogFault.SCHEMA, f"one log is of {left.header.machine}, the other of {right.header.machine}")
    start = _start_difference(left, right, with_times=with_times)
    if start is not None:
        return _difference(left, right, "they start from different states", 0, start)
    mine, theirs = _Rows(left), _Rows(right)
    for equal, (one, other) in enumerate(zip_longest(mine, theirs)):
        is_behind = one is None or other is None or one[2] == 0
        if is_behind and (left_at := _who_left(mine, theirs)) is not None:
            position, what = left_at
            if position < equal:
                made = _difference(left, right, what, position, _state_difference(left, right, position))
                return made.replace(replay_left=mine.problem, replay_right=theirs.problem)
        if one is None or other is None:
            return _difference(left, right, f"the {'first' if one is None else 'second'} run ends here", equal, None)
        found = _what_differs(one, other, with_times=with_times)
        if found:
            content = first_difference(one[5], other[5]) if one[5] is not None and other[5] is not None else None
            made = _difference(left, right, found, equal, _state_difference(left, right, equal))
            return made.replace(
                left_content=one[5], right_content=other[5], content=content, replay_left=mine.problem, replay_right=theirs.problem
            )
    if (left_at := _who_left(mine, theirs)) is not None:
        made = _difference(left, right, left_at[1], left_at[0], None)
        return made.replace(replay_left=mine.problem, replay_right=theirs.problem)
    if left.failure() != right.failure():
        return _difference(left, right, "one run was stopped by a violation", left.count, None)
    return None


def _what_differs(one: _Row, other: _Row, *, with_times: bool) -> str:
    if one[2] != other[2]:
        return "what followed differs: the actions have different places in the tree"
    is_input = one[2] == 0
    if one[1] != other[1]:
        return "the inputs are of different kinds" if is_input else "another kind of action followed"
    if one[5] is not None and other[5] is not None and one[5] != other[5]:
        return "the inputs say different things" if is_input else "the action that followed says something else"
    if one[3] != other[3]:
        return "guards refused different actions after this input"
    if with_times and one[4] != other[4]:
        return "the inputs came at different times"
    return ""


def _who_left(mine: _Rows, theirs: _Rows) -> tuple[int, str] | None:
    """Where one log can be replayed and the other can not, something differs that the logs do not say by themselves."""
    if mine.diverged_at == theirs.diverged_at:
        return None
    earliest = min(at for at in (mine.diverged_at, theirs.diverged_at) if at is not None)
    which = "first" if mine.diverged_at == earliest else "second"
    return earliest, f"replaying the {which} run leaves it here: what followed held other values"


def _difference(left: LogSession, right: LogSession, what: str, position: int, state: Difference | None) -> RunDifference:
    rows = [session.action(position) if position < session.count else None for session in (left, right)]
    contents = [None if row is None else row.input if row.is_input else None for row in rows]
    return RunDifference(what, position, rows[0], rows[1], contents[0], contents[1], None, state, "", "")


def _start_difference(left: LogSession, right: LogSession, *, with_times: bool) -> Difference | None:
    """Where the states differ from which the runs start, other than in their clocks."""
    clock = left.machine.clock_path
    try:
        found = first_difference(left.state_at(-1), right.state_at(-1), last=clock)
    except LogError:
        return None
    return found if found is None or with_times or not f"{found.path}.".startswith(f"{clock}.") else None


def _state_difference(left: LogSession, right: LogSession, position: int) -> Difference | None:
    """Where the states before the action at ``position`` differ."""
    try:
        return first_difference(left.state_before(position), right.state_before(position), last=left.machine.clock_path)
    except LogError:
        return None


class _Rows:
    """The actions of a log one by one, with what they say as far as it can be replayed."""

    def __init__(self, session: LogSession) -> None:
        self._session = session
        self.problem = ""
        """Why the chunk that was read last could not be replayed whole."""
        self.diverged_at: int | None = None
        """Position of the first action at which the replay left the log."""

    def __iter__(self) -> Iterator[_Row]:
        session = self._session
        name = session.schema.name_of
        for number, block, found in session.blocks():
            replayed = session.contents(number, block)
            contents = replayed.actions
            self.problem = str(replayed.problem or "")
            if isinstance(replayed.problem, DivergedError) and self.diverged_at is None:
                self.diverged_at = session.position_of(replayed.problem.action_id)
            records, base = found.records, session.base_of(number, block)
            for i, count in enumerate(records.counts):
                refused = tuple(map(name, records.refusals.get(i, ())))
                for place in range(found.starts[i], found.starts[i] + count):
                    depth = records.depths[place]
                    content = contents[place] if place < len(contents) else records.inputs[i] if depth == 0 else None
                    yield base + place, name(records.kinds[place]), depth, refused if depth == 0 else (), records.times[i], content
