"""`Viewer`: which window of a log is shown and where its replay stands; reads the log and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from mina_p2p.errors import CallerError
from mina_p2p.trace.errors import LogError
from mina_p2p_effects.debugger.looking import By, Found, look
from mina_p2p_effects.devtools.socketcluster import Asked
from mina_p2p_effects.devtools.window import ACTIONS_MAX, INIT_ID, Window, make_window
from mina_p2p_effects.logs import LogAction, LogSession

_DIGITS_MAX: Final = 18
_BEFORE_FOUND: Final = 5
"""How many actions a window shows before the one that was looked for: the interface does not scroll to it."""


class Viewer:
    """What browsers see; every browser sees the same."""

    def __init__(
        self,
        session: LogSession,
        name: str,
        *,
        count_max: int = ACTIONS_MAX,
        moved: Callable[[LogAction | None, Any], object] | None = None,
    ) -> None:
        """Show the first window, with the replay at the beginning.

        :param name: what to call the log.
        :param count_max: actions of one window, at most 500.
        :param moved: called with an action and the state after it wherever the replay is moved to; with ``None`` in place of
            the action for the state at the beginning, and in place of the state where damage hides it.
        """
        self._session = session
        self._name = name
        self._count_max = max(1, min(count_max, ACTIONS_MAX))
        self._moved = moved
        self.at = -1
        """Position of the action after which the replay stands."""
        self.state: Any = None
        """The state there; ``None`` where damage hides it."""
        self.message = ""
        """What to tell instead of where the replay stands."""
        self.window = self._open(0)
        self.jump(-1)

    def take(self, asked: Asked) -> bool:
        """Do what was done in the interface; whether its window has to be sent anew."""
        match asked.action:
            case {"type": "JUMP_TO_ACTION" | "JUMP_TO_STATE", "actionId": int(action_id)}:
                self.jump(self.window.start - 1 if action_id == INIT_ID else self._position(action_id))
                return False
            case {"type": "RESET"}:
                return self.move("first")
            case {"type": "ROLLBACK"}:
                return self._open_at(self.window.start, self.window.start - 1)
            case {"type": "COMMIT"}:
                # The current state becomes the one that a window begins with.
                return self._open_at(self.at + 1, self.at)
            case {"type": "TOGGLE_ACTION"}:
                self.message = "what is in a log has happened: it can not be skipped"
                return False
            case _:
                return False

    def jump(self, position: int | None) -> None:
        """Move the replay to just after an action; -1 is the beginning, ``None`` changes nothing."""
        if position is None:
            return
        self.at = max(-1, min(position, self._session.count - 1))
        self.message = ""
        try:
            self.state = self._session.state_at(self.at)
        except LogError as error:
            self.state, self.message = None, str(error)
        if self._moved is not None:
            self._moved(self._row(), self.state)

    def move(self, how: str, text: str = "") -> bool:
        """Do what was done on the bar; whether the window has changed."""
        self.message = ""
        match how:
            case "first":
                return self._open_at(0, -1)
            case "last":
                return self._open_at(self._last_start(), self._session.count - 1)
            case "next" if self.window.end < self._session.count:
                start = min(self.window.end, self._last_start())
                return self._open_at(start, self.window.end)
            case "previous" if self.window.start > 0:
                start = max(0, self.window.start - self._count_max)
                return self._open_at(start, self.window.start - 1)
            case "goto":
                digits = text.replace(",", "").strip()
                position = self._position(int(digits)) if digits.isdecimal() and len(digits) <= _DIGITS_MAX else None
                if position is None:
                    self.message = f"the log has no action {text[:_DIGITS_MAX]}"
                    return False
                return self._open_around(position)
            case "find" if text:
                return self._find(text)
            case "refusal" | "violation":
                return self._found(look(self._session, By(how), "", self.at + 1), f"no later {how}")
            case _:
                return False

    def status(self) -> str:
        """What the bar shows, as JSON."""
        row = self._row()
        return json.dumps(
            {
                "name": self._name,
                "count": self._session.count,
                "window": {"start": self.window.start, "end": self.window.end},
                "at": row.action_id if row is not None else 0,
                "kind": row.kind if row is not None else "",
                "message": self.message,
            }
        )

    def refresh(self) -> bool:
        """Learn what the log has grown by; whether the window shows more than before.

        A window that showed the end goes on showing it, and so does a replay that stood there.
        """
        before = self._session.count
        if self._session.refresh() == before:
            return False
        if self.window.end < before:
            return False
        at = self._session.count - 1 if self.at == before - 1 else self.at
        start = max(self.window.start, self._last_start())
        return self._open_at(start, at)

    def _row(self) -> LogAction | None:
        return self._session.action(self.at) if self.at >= 0 else None

    def _position(self, action_id: int) -> int | None:
        try:
            return self._session.position_of(action_id)
        except LogError:
            return None

    def _last_start(self) -> int:
        return max(0, self._session.count - self._count_max)

    def _open(self, start: int) -> Window:
        return make_window(self._session, start, self._name, at=self.at, count_max=self._count_max)

    def _open_at(self, start: int, at: int) -> bool:
        """Show the window from ``start`` on, with the replay after the action at ``at``."""
        self.jump(at)
        self.window = self._open(max(0, min(start, self._session.count - 1)))
        return True

    def _open_around(self, position: int) -> bool:
        """Show an action near the top of a window."""
        return self._open_at(max(0, position - min(_BEFORE_FOUND, self._count_max - 1)), position)

    def _find(self, text: str) -> bool:
        """By kind, else by peer, else by text; from behind the current action on, then from the beginning."""
        for by in (By.KIND, By.PEER, By.TEXT):
            for start in (self.at + 1, 0):
                try:
                    found = look(self._session, by, text, start)
                except CallerError as error:
                    self.message = str(error)
                    return False
                if found is not None:
                    return self._found(found, "")
        return self._found(None, f"{text!r} is nowhere in the log")

    def _found(self, found: Found | None, otherwise: str) -> bool:
        if found is None:
            self.message = otherwise
            return False
        self._open_around(found.position)
        self.message = found.note
        return True
