"""The lifted state of Redux DevTools, for the import button of its browser extension and app (spec: operator-conventions B1, B2).

The interface holds whole states and grows slow with them, so a window of at most 500 actions is
written. Parts of a state that did not change are written once and referred to, as its reader
``jsan`` understands it.
"""

from __future__ import annotations

import json
from typing import Any, Final, TextIO

from mina_p2p.record import Record, field_names
from mina_p2p.trace.errors import LogError
from mina_p2p_effects.logs.session import LogAction, LogSession
from mina_p2p_effects.logs.text import jsonable

WINDOW_MAX: Final = 500
_MILLISECOND: Final = 1_000_000


def export_devtools(session: LogSession, file: TextIO, start: int = 0, count: int = WINDOW_MAX) -> int:
    """Write a window of a log.

    :param start: position of its first action.
    :param count: at most so many actions, and at most `WINDOW_MAX`.
    :returns: how many actions.
    """
    end = min(session.count, start + min(count, WINDOW_MAX))
    states = _States()
    states.add(session, start - 1)
    actions: dict[str, Any] = {"0": _performed({"type": "@@INIT"}, session.action(start).time if start < end else 0)}
    for number, row in enumerate(session.actions(start, end), 1):
        actions[str(number)] = _performed(_action(session, row), row.time)
        states.add(session, row.position)
    lifted = {
        "actionsById": actions,
        "computedStates": states.items,
        "stagedActionIds": list(range(len(actions))),
        "skippedActionIds": [],
        "currentStateIndex": len(actions) - 1,
        "nextActionId": len(actions),
        "committedState": {"$jsan": "$.computedStates[0].state"},
        "monitorState": {},
        "isLocked": False,
        "isPaused": False,
    }
    json.dump(lifted, file, ensure_ascii=False)
    return len(actions) - 1


class _States:
    """States as JSON, each field written where it was first seen and referred to from then on."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._places: dict[int, str] = {}
        self._held: list[Any] = []
        """What ``_places`` knows by identity, so that no identity is used twice."""

    def add(self, session: LogSession, position: int) -> None:
        """Append the state behind an action."""
        try:
            state = session.state_at(position)
        except LogError as error:
            self.items.append({"state": None, "error": str(error)})
            return
        self.items.append({"state": self._record(state, f"$.computedStates[{len(self.items)}].state", 2)})

    def _record(self, value: Any, path: str, depth: int) -> Any:
        if not isinstance(value, Record):
            return jsonable(value)
        known = self._places.get(id(value))
        if known is not None:
            return {"$jsan": known}
        self._places[id(value)] = path
        self._held.append(value)
        if depth == 0:
            return jsonable(value)
        return {name: self._record(getattr(value, name), f"{path}.{name}", depth - 1) for name in field_names(type(value))}


def _performed(action: dict[str, Any], time: int) -> dict[str, Any]:
    return {"type": "PERFORM_ACTION", "action": action, "timestamp": time // _MILLISECOND}


def _action(session: LogSession, row: LogAction) -> dict[str, Any]:
    meta = {"id": row.action_id, "cause": row.cause_id, "depth": row.depth, "refused": list(row.refused)}
    try:
        content = session.content(row.position)
    except LogError as error:
        return {"type": row.kind, "meta": meta, "error": str(error)}
    fields = {name: jsonable(getattr(content, name)) for name in field_names(content.__class__)}
    return {"type": row.kind, "meta": meta, "payload": fields}
