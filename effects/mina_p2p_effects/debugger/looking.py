"""Looking for an action by kind, peer, text, refusal or violation, as the debuggers offer it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.record import Record, record
from mina_p2p_effects.logs import LogSession, Query, Refused, find, search
from mina_p2p_effects.logs.search import Progress

_ENDING: Final = DisconnectionInit.__qualname__


class By(enum.Enum):
    """What a search goes by."""

    KIND = "kind"
    PEER = "peer"
    TEXT = "text"
    REFUSAL = "refusal"
    VIOLATION = "violation"
    """A connection that was ended because its peer broke the protocol; or our own fault, with which a log ends."""
    TROUBLE = "violation or refusal"
    """A violation, else a refusal."""


@record
class Found(Record):
    """Where a search came to."""

    position: int
    note: str = ""
    """What to say of it."""


def _go_on() -> bool:
    return False


def look(
    session: LogSession,
    by: By,
    text: str,
    start: int,
    *,
    backward: bool = False,
    stop: Callable[[], bool] = _go_on,
    progress: Progress | None = None,
) -> Found | None:
    """The first action from ``start`` on, or back from there.

    :param text: part of a kind's name, whatever the case; the beginning of a peer id, or ``#7`` for a connection; a regular
        expression that ignores the case. Nothing for the others.
    :param stop: asked now and then; where it says so, nothing is found.
    :param progress: told now and then how far a search for a kind, a peer or a text has come.
    :raises CallerError: where a text is no regular expression.
    """
    if by is By.TROUBLE:
        found = look(session, By.VIOLATION, "", start, backward=backward, stop=stop)
        return found or look(session, By.REFUSAL, "", start, backward=backward, stop=stop)
    if by is By.VIOLATION:
        return _violation(session, start, backward, stop)
    if by is By.REFUSAL:
        return _refusal_before(session, start, stop) if backward else _refusal(session, start, stop)
    if by is By.KIND:
        names = [cls.__qualname__ for cls in session.machine.actions if text.lower() in cls.__qualname__.lower()]
        if not names:
            return None
        query = Query(kind=",".join(names))
    else:
        query = Query(peer=text) if by is By.PEER else Query(text=f"(?i){text}")
    position = find(session, query, start, backward=backward, stop=stop, progress=progress)
    return None if position is None else Found(position)


def _violation(session: LogSession, start: int, backward: bool, stop: Callable[[], bool]) -> Found | None:
    for row in search(session, Query(kind=_ENDING), start, backward=backward, stop=stop):
        reason = session.content(row.position).reason
        if reason.code.is_violation:
            return Found(row.position, f"a peer broke the protocol: {reason}")
    failure = session.failure()
    if failure is None or backward or start >= session.count:
        return None
    return Found(session.count - 1, f"after this action {type(failure[0]).__qualname__} led to a violation of ours: {failure[2]}")


def _refusal(session: LogSession, start: int, stop: Callable[[], bool]) -> Found | None:
    for refused in session.refusals(start):
        if stop():
            return None
        return _found(session, refused)
    return None


def _refusal_before(session: LogSession, start: int, stop: Callable[[], bool]) -> Found | None:
    last: Refused | None = None
    for refused in session.refusals(0):
        if refused.position > start or stop():
            break
        last = refused
    return _found(session, last) if last is not None else None


def _found(session: LogSession, refused: Refused) -> Found:
    note = f"refused: {', '.join(refused.kinds)}"
    if refused.is_input_refused:
        note = f"the input {type(refused.input).__qualname__}, which came before this action, was refused"
    return Found(min(refused.position, session.count - 1), note)
