"""Which lines of this library ran for the first time.

On Python 3.12 and later by ``sys.monitoring``, where a line that was seen costs nothing from
then on. Before, by ``sys.settrace``: a function is watched until each of its lines has run, and
one that has shown nothing new for long is watched ever more rarely, counted in its calls, so
that what is found depends on the inputs alone.

Functions compiled from the shapes of types count too: a decoder is such a function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, Protocol, Self, TypeAlias, TypeVar

import mina_p2p
import mina_p2p_effects

T = TypeVar("T")
_Trace: TypeAlias = Callable[[FrameType, str, Any], Any]

_ROOTS: Final = tuple(f"{Path(str(package.__file__)).parent}/" for package in (mina_p2p, mina_p2p_effects))
_LEFT_OUT: Final = tuple(root + part for root in _ROOTS for part in ("testing/", "fuzzing/", "codegen.py", "record.py"))
_NOT_COMPILED_HERE: Final = ("<frozen", "<attrs", "<string", "<stdin", "<__")

_PATIENCE: Final = 64
"""Calls of a function without a new line after which it is watched half as often."""
_RAREST: Final = 64
"""Of so many calls one is watched even then."""
_TOOLS: Final = 6
"""How many tools ``sys.monitoring`` has room for."""


def is_ours(filename: str) -> bool:
    """Whether code of this file counts."""
    if filename.startswith("<"):
        return not filename.startswith(_NOT_COMPILED_HERE)
    return filename.startswith(_ROOTS) and not filename.startswith(_LEFT_OUT)


def lines_of(code: CodeType) -> set[int]:
    """The lines of a function that can run."""
    return {line for _, _, line in code.co_lines() if line is not None}


class Coverage(Protocol):
    """Counts lines that ran, for the first time, while `call` was at work inside its ``with``."""

    count: int
    """Lines so far."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function, and raise what it raises."""
        ...


def line_coverage() -> Coverage:
    """The cheapest kind that this Python has; nothing has been seen yet."""
    return _Monitored() if sys.version_info >= (3, 12) else _Traced()


class _Watched:
    """What is known of one function."""

    __slots__ = ("left", "period", "skip", "stale", "trace")

    def __init__(self, code: CodeType) -> None:
        self.left = lines_of(code)
        self.trace: _Trace | None = None
        self.stale = 0
        self.period = 1
        self.skip = 0

    def is_due(self) -> bool:
        """Whether this call is watched; each that is not brings the next one that is nearer."""
        if self.skip:
            self.skip -= 1
            return False
        self.stale += 1
        if self.stale >= _PATIENCE and self.period < _RAREST:
            self.stale = 0
            self.period *= 2
        self.skip = self.period - 1
        return True


class _Traced:
    """By ``sys.settrace``."""

    def __init__(self) -> None:
        self.count = 0
        self._known: dict[CodeType, _Watched | None] = {}
        """``None`` for code that is not ours, or of which nothing is left to see."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Watch the functions that are called meanwhile."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            return function(*arguments)
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> _Trace | None:
        code = frame.f_code
        try:
            watched = self._known[code]
        except KeyError:
            watched = self._known[code] = _Watched(code) if is_ours(code.co_filename) else None
            if watched is not None:
                watched.trace = self._watch(code, watched)
                self._see(code, watched, frame.f_lineno)
        return watched.trace if watched is not None and watched.is_due() else None

    def _see(self, code: CodeType, watched: _Watched, line: int) -> None:
        watched.left.discard(line)
        self.count += 1
        watched.stale = watched.skip = 0
        watched.period = 1
        if not watched.left:
            self._known[code] = None

    def _watch(self, code: CodeType, watched: _Watched) -> _Trace:
        left = watched.left

        def trace(frame: FrameType, _event: str, _argument: Any) -> _Trace | None:
            if frame.f_lineno in left:
                self._see(code, watched, frame.f_lineno)
            return trace

        return trace


if sys.version_info >= (3, 12):

    class _Monitored:
        """By ``sys.monitoring``, whose events are on all through the ``with``: switching them costs more than having them."""

        def __init__(self) -> None:
            self.count = 0
            self._seen: set[tuple[CodeType, int]] = set()
            self._tool: int | None = None

        def __enter__(self) -> Self:
            monitoring = sys.monitoring
            self._tool = next((tool for tool in range(_TOOLS) if monitoring.get_tool(tool) is None), None)
            if self._tool is not None:
                monitoring.use_tool_id(self._tool, "mina-p2p fuzz")
                monitoring.register_callback(self._tool, monitoring.events.LINE, self._line)
                monitoring.set_events(self._tool, monitoring.events.LINE)
            return self

        def __exit__(self, *_: object) -> None:
            if self._tool is not None:
                sys.monitoring.set_events(self._tool, 0)
                sys.monitoring.register_callback(self._tool, sys.monitoring.events.LINE, None)
                sys.monitoring.free_tool_id(self._tool)
                sys.monitoring.restart_events()

        def call(self, function: Callable[..., T], *arguments: Any) -> T:
            """Call it."""
            return function(*arguments)

        def _line(self, code: CodeType, line: int) -> Any:
            if is_ours(code.co_filename) and (code, line) not in self._seen:
                self._seen.add((code, line))
                self.count += 1
            return sys.monitoring.DISABLE

else:
    _Monitored = _Traced
