"""States as the JSON of Redux DevTools, with what they share written once.

The interface reads ``{"$jsan": "$[0].state.peers"}`` as *the same object as there*. States of
one log share nearly everything, so a window of 500 states is little more than one state and
499 changes, and the interface's own comparison of two states skips what is shared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from mina_p2p_effects.debugger.parts import leaf_text, name_of, parts

_WORD: Final = re.compile(r"\w+", re.ASCII)
_INT_MAX: Final = (1 << 53) - 1
"""Above, the browser's numbers are not exact; such ints are written as text."""

CLASS_KEY: Final = "@"
"""Key under which an object says which class of record it is."""

_dumps: Final[Callable[[Any], str]] = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Writer:
    """Writes one array of values, in which later ones refer to parts of earlier ones."""

    def __init__(self) -> None:
        self._places: dict[int, str] = {}
        self._kept: list[Any] = []
        """What `_places` knows by identity, so that no identity is used twice."""
        self._items: list[str] = []
        self.size = 0
        """Characters so far."""

    def __len__(self) -> int:
        return len(self._items)

    def add(self, wrap: str, value: Any) -> None:
        """Append ``{wrap: value}``."""
        path = f"$[{len(self._items)}].{wrap}"
        text = f'{{"{wrap}":{self._text(value, path)}}}'
        self._items.append(text)
        self.size += len(text) + 1

    def add_error(self, text: str) -> None:
        """Append a state that is not known, and why."""
        self._items.append(_dumps({"state": None, "error": text}))
        self.size += len(self._items[-1]) + 1

    def text(self) -> str:
        """The array."""
        return f"[{','.join(self._items)}]"

    def _text(self, value: Any, path: str) -> str:
        inside = parts(value)
        if inside is None:
            return _leaf(value)
        known = self._places.get(id(value))
        if known is not None:
            return f'{{"$jsan":{_dumps(known)}}}'
        if inside:
            self._places[id(value)] = path
            self._kept.append(value)
        if isinstance(value, tuple):
            return f"[{','.join([self._text(part, f'{path}[{name}]') for name, part in inside])}]"
        members = [f"{_dumps(name)}:{self._text(part, _step(path, name))}" for name, part in inside]
        kind = name_of(value)
        if kind:
            members.insert(0, f'"{CLASS_KEY}":{_dumps(kind)}')
        return f"{{{','.join(members)}}}"


def _step(path: str, name: str) -> str:
    return f"{path}.{name}" if _WORD.fullmatch(name) else f"{path}[{_dumps(name)}]"


def _leaf(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _dumps(value)
    if isinstance(value, int) and type(value) is int and -_INT_MAX <= value <= _INT_MAX:
        return str(value)
    return _dumps(leaf_text(value))


def plain(value: Any) -> Any:
    """A value as plain JSON objects, without references; for actions."""
    inside = parts(value)
    if inside is None:
        return json.loads(_leaf(value))
    if isinstance(value, tuple):
        return [plain(part) for _, part in inside]
    return {name: plain(part) for name, part in inside}
