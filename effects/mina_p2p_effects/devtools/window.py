"""A window of a log as Redux DevTools' lifted state.

The interface takes all states of what it shows at once, so it is given a window: the state
before its first action as ``@@INIT``, then at most 500 actions, each with the state after it.
Ids are those of the log.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mina_p2p.record import Record, record
from mina_p2p.trace.errors import LogError
from mina_p2p_effects.devtools.jsan import Writer, plain
from mina_p2p_effects.devtools.socketcluster import CONNECTION
from mina_p2p_effects.logs import LogAction, LogSession
from mina_p2p_effects.logs.text import DEPTH_SHOWN_MAX

ACTIONS_MAX: Final = 500
TEXT_MAX: Final = 24 << 20
"""Characters of the states; a window of large changes ends earlier."""

INIT_ID: Final = 0
"""The interface's id for the state with which a window begins; actions of a log are counted from 1."""

FEATURES: Final = {"jump": True, "skip": True, "export": True}
"""Of the interface's buttons those that make sense for what has already happened; it shows Jump only beside Skip."""

_MILLISECOND: Final = 1_000_000


@record
class Window(Record):
    """What one message to the interface holds: the actions from one position up to another."""

    start: int
    end: int
    """Position behind the last action."""
    request: str
    """The message, as JSON."""


def make_window(session: LogSession, start: int, name: str, *, at: int, count_max: int = ACTIONS_MAX) -> Window:
    """The window that begins with the action at a position.

    :param name: what the interface calls the log.
    :param at: position of the current action; where it is outside, the beginning.
    """
    states = Writer()
    _add_state(states, session, start - 1)
    rows = [session.action(position) for position in range(start, min(start + 1, session.count))]
    actions: dict[str, Any] = {str(INIT_ID): _performed({"type": _init_text(session, start)}, rows[0].time if rows else 0)}
    staged = [INIT_ID]
    end = start
    while end < session.count and end - start < count_max and states.size < TEXT_MAX:
        row = session.action(end)
        _add_state(states, session, end)
        actions[str(row.action_id)] = _performed(_action(session, row), row.time)
        staged.append(row.action_id)
        end += 1
    payload = {
        "nextActionId": staged[-1] + 1,
        "stagedActionIds": staged,
        "skippedActionIds": [],
        "currentStateIndex": at - start + 1 if start <= at < end else 0,
    }
    request = {
        "type": "STATE",
        "id": CONNECTION,
        "instanceId": CONNECTION,
        "name": name,
        "libConfig": {"type": "redux", "name": name, "features": FEATURES},
        "payload": payload,
        "actionsById": json.dumps(actions, ensure_ascii=False),
        "computedStates": states.text(),
        "committedState": True,
    }
    return Window(start, end, json.dumps(request, ensure_ascii=False))


def _add_state(states: Writer, session: LogSession, position: int) -> None:
    try:
        state = session.state_at(position)
    except LogError as error:
        states.add_error(str(error))
    else:
        states.add("state", state)


def _init_text(session: LogSession, start: int) -> str:
    return "the state at the beginning" if start == 0 else f"the state after action {session.action(start - 1).action_id}"


def _performed(action: dict[str, Any], time: int) -> dict[str, Any]:
    return {"type": "PERFORM_ACTION", "action": action, "timestamp": time // _MILLISECOND}


def _action(session: LogSession, row: LogAction) -> dict[str, Any]:
    """An action with its kind, indented as in the tree of causes, and its fields."""
    found: dict[str, Any] = {
        "type": f"{'· ' * min(row.depth, DEPTH_SHOWN_MAX)}{row.kind}",
        "#": {"id": row.action_id, "cause": row.cause_id or None},
    }
    if row.is_input and row.refused:
        found["#"]["refused"] = list(row.refused)
    try:
        fields = plain(session.content(row.position))
    except LogError as error:
        return found | {"error": str(error)}
    return found | {name if name not in found else f"{name}_": value for name, value in fields.items()}
