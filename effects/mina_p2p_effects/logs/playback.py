"""Running logs again with code of one's own: a hook at every step, or a changed machine beside the recorded one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Machine, RawSteps
from mina_p2p.trace.difference import Difference, first_difference
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p_effects.logs.merge import merged
from mina_p2p_effects.logs.session import LogAction, LogSession


@record
class HookStep(Record):
    """What a hook sees of one action."""

    node: str
    """Whose log it is of."""
    row: LogAction
    """Id, cause, depth, time and kind."""
    action: Any
    """The action itself."""
    before: Any
    """The state in which it was executed."""
    after: Any
    """The state behind it."""


Hook: TypeAlias = Callable[[HookStep], object]
"""Called for every action; one that returns ``True`` ends the replay there, as a breakpoint."""


def run_hook(
    sessions: Sequence[LogSession], hook: Hook, *, start: int | None = None, until: int | None = None
) -> tuple[int, HookStep | None]:
    """Call a hook for every action of a log; of several logs in the order of cause and effect.

    :param start: the first action's position, for one log.
    :param until: the position behind the last action, for one log.
    :returns: how many actions it saw, and the one at which it ended the replay.
    :raises LogError: where the state is unknown because of damage, or the replay leaves the log.
    """
    count = 0
    for session, row in _rows(sessions, start, until):
        count += 1
        step = HookStep(
            session.node, row, session.content(row.position), session.state_before(row.position), session.state_at(row.position)
        )
        if hook(step) is True:
            return count, step
    return count, None


def _rows(sessions: Sequence[LogSession], start: int | None, until: int | None) -> Iterator[tuple[LogSession, LogAction]]:
    if len(sessions) == 1:
        for row in sessions[0].actions(start or 0, until):
            yield sessions[0], row
        return
    for dispatch in merged(sessions):
        for row in dispatch.rows:
            yield sessions[dispatch.log], row


@record
class WhatIf(Record):
    """What a changed machine would have done with the inputs of a log."""

    inputs: int
    """Inputs that both machines were given."""
    differing: int
    """Of these, how many led to other actions, in kind, order, cause or content."""
    first: LogAction | None
    """The first input that did."""
    recorded: tuple[Any, ...]
    """What the recorded machine made of it, the input first."""
    changed: tuple[Any, ...]
    """What the changed one did."""
    kinds: dict[str, int]
    """By kind: how many more actions, or with a minus fewer, the changed machine executed."""
    state: Difference | None
    """The first place in which the last states differ, other than the clock."""
    failure: str
    """The violation that stopped the changed machine, if one did."""


def what_if(session: LogSession, machine: Machine[Any], *, start: int = 0, until: int | None = None) -> WhatIf:
    """Give the inputs of a log to the machine that recorded it and to another, from one state on.

    Neither the peers nor the node software answer to what the changed machine would have said: what came in stays
    as it was recorded.

    :param start: position of an action; begins with its input.
    :param until: position behind the last action.
    :raises LogError: where the state at the start is unknown, or the log can not be replayed by the recorded machine.
    """
    root = session.action(start).root if session.count else 0
    mine = theirs = session.state_before(root) if session.count else session.state_at(-1)
    end = session.count if until is None else until
    kinds: Counter[str] = Counter()
    inputs = differing = 0
    first: LogAction | None = None
    recorded: tuple[Any, ...] = ()
    changed: tuple[Any, ...] = ()
    failure = ""
    for position, action, now in _inputs(session, root, end):
        try:
            mine, _, _, steps, _ = session.machine.execute(mine, action, now)
        except (CallerError, InvariantViolationError) as error:
            raise LogError(
                LogFault.DIVERGED, f"the recorded machine stops at an input before action position {position}: {error}"
            ) from error
        inputs += 1
        try:
            theirs, _, _, others, _ = machine.execute(theirs, action, now)
        except (CallerError, InvariantViolationError) as error:
            failure, others = str(error), []
        if not _is_same(steps, others):
            differing += 1
            kinds.update(type(step[0]).__qualname__ for step in others)
            kinds.subtract(type(step[0]).__qualname__ for step in steps)
            if first is None:
                first = session.action(min(position, session.count - 1))
                recorded, changed = (tuple(step[0] for step in each) for each in (steps, others))
        if failure:
            break
    difference = first_difference(mine, theirs, last=session.machine.clock_path)
    counts = {kind: count for kind, count in sorted(kinds.items()) if count}
    return WhatIf(inputs, differing, first, recorded, changed, counts, difference, failure)


def _inputs(session: LogSession, start: int, end: int) -> Iterator[tuple[int, Any, Timestamp]]:
    """The inputs from a position to another, refused ones too, but not the one at which the store stopped."""
    for number, block, found in session.blocks(start):
        records, base = found.records, session.base_of(number, block)
        last = len(records.inputs) - (records.failure is not None)
        for i in range(last):
            position = base + found.starts[i]
            if position >= end and records.counts[i]:
                return
            if position >= start:
                yield position, records.inputs[i], Timestamp(records.times[i])


def _is_same(steps: RawSteps, others: RawSteps) -> bool:
    """Whether two dispatches did the same; ids, which go their own way after the first difference, do not count."""
    return [(step[0], step[2]) for step in steps] == [(step[0], step[2]) for step in others]
