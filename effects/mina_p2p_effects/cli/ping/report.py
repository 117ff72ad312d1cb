"""Steps of a connection: told as they end, each with its time; the first that fails ends them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX
from mina_p2p_effects.cli.ping.causes import Cause, StepName

_MILLISECONDS: Final = 1000


class NotReachedError(Exception):
    """The step that is under way failed; ``detail`` is for people."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail


@attrs.frozen
class Step:
    """One step that is over."""

    name: StepName
    is_ok: bool | None
    """``None`` where the peer does not offer it, which is no failure."""
    at_s: float
    """When it ended, in seconds from the beginning of the ping."""
    seconds: float
    """How long it took."""
    detail: str
    facts: dict[str, Any]
    """What was learned, fit for JSON."""

    def json(self) -> dict[str, Any]:
        """For scripts."""
        told = {"name": self.name.value, "ok": self.is_ok, "at": round(self.at_s, 6), "seconds": round(self.seconds, 6)}
        return {**told, "detail": self.detail, **({"facts": self.facts} if self.facts else {})}


class Report:
    """Collects the steps of one ping.

    :param tell: called with each step when it is over.
    :param clock: seconds that never go back.
    """

    def __init__(self, tell: Callable[[Step], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._began = self._step_began = clock()
        self.name = StepName.NAME
        """The step that is under way."""
        self.steps: list[Step] = []

    def begin(self, name: StepName) -> None:
        """The next step is under way."""
        self.name = name
        self._step_began = self._clock()

    def passed(self, detail: str, **facts: Any) -> None:
        """The step succeeded."""
        self._end(True, detail, facts)

    def not_offered(self, detail: str, **facts: Any) -> None:
        """The peer does not do this, which is its right."""
        self._end(None, detail, facts)

    def failed(self, detail: str) -> None:
        """The step failed."""
        self._end(False, detail, {})

    def _end(self, is_ok: bool | None, detail: str, facts: dict[str, Any]) -> None:
        now = self._clock()
        self.steps.append(Step(self.name, is_ok, now - self._began, now - self._step_began, detail, facts))
        self._tell(self.steps[-1])


def round_trips_text(seconds: Sequence[float]) -> str:
    """``3 round trips: least 0.21, mean 0.25, most 0.31 ms``."""
    least, mean, most = (_MILLISECONDS * value for value in (min(seconds), sum(seconds) / len(seconds), max(seconds)))
    many = "1 round trip" if len(seconds) == 1 else f"{len(seconds)} round trips"
    return f"{many}: least {least:.2f}, mean {mean:.2f}, most {most:.2f} ms"


def clean(text: str) -> str:
    """A text of the peer's, short and fit for a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:DETAIL_CHARS_MAX])
