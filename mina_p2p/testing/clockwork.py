"""`Clockwork`: virtual time, what is due in it, and the network that delivers in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.store import Action
from mina_p2p.testing.agenda import Agenda
from mina_p2p.testing.links import Links

START: Final = Timestamp(1_700_000_000 * SECOND)
"""When simulated time begins."""

STEPS_AT_ONCE_MAX: Final = 1_000_000


class Clockwork:
    """The clock of a simulation; what nodes and faults have planned is done in order."""

    def __init__(self, links: Links) -> None:
        """Time stands at `START`.

        :param links: whose deliveries are due in this time.
        """
        self.now = START
        self.links = links
        self.dispatches = 0
        self.busy: Any = None
        """The node that dispatched last."""
        self.failed_input: Action = None
        """What that node dispatched when a reducer was found wrong; nothing so far."""
        self._agenda: Agenda[Callable[[], object]] = Agenda()
        self._steps_at_once = 0

    def at(self, at: Timestamp, run: Callable[[], object]) -> None:
        """Have something done at a time, or at once where that is past."""
        self._agenda.add(max(at, self.now), run)

    def after(self, delay: int, run: Callable[[], object]) -> None:
        """Have something done after so many nanoseconds."""
        self.at(Timestamp(self.now + delay), run)

    def next_at(self) -> Timestamp | None:
        """When the next thing is due."""
        arrival, own = self.links.next_at(), self._agenda.next_at()
        return arrival if own is None or (arrival is not None and arrival <= own) else own

    def step(self) -> bool:
        """Do the next thing that is due, and move the clock to it; ``False`` when nothing is left.

        :raises InvariantViolationError: where a check found something, or time does not move on.
        """
        return self._do_next(None)

    def _do_next(self, end: Timestamp | None) -> bool:
        """Do the next thing that is due, if that is not after ``end``; whether there was one."""
        arrival, own = self.links.next_at(), self._agenda.next_at()
        is_arrival = own is None or (arrival is not None and arrival <= own)
        at = arrival if is_arrival else own
        if at is None or (end is not None and at > end):
            return False
        if at > self.now:
            self._steps_at_once = 0
            self.now = at
        else:
            self._steps_at_once += 1
            if self._steps_at_once > STEPS_AT_ONCE_MAX:
                raise InvariantViolationError(f"{STEPS_AT_ONCE_MAX} steps, and the clock stands still: some wait is always due")
        if is_arrival:
            self.links.deliver_next()
        else:
            self._agenda.pop()[1]()
        return True

    def run(self, duration: int, *, until: Callable[[], bool] | None = None) -> bool:
        """Let virtual time pass.

        :param duration: nanoseconds at most.
        :param until: stop as soon as this holds; asked after every step.
        :returns: whether ``until`` came true (without one: ``True``).
        """
        end = Timestamp(self.now + duration)
        while until is None or not until():
            if not self._do_next(end):
                self.now = end
                return until is None
        return True
