"""One step of a slice: what an action makes of a state, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt

CID = ConnectionId(1)
"""The connection that the tables are about."""
GONE = ConnectionId(99)
WHY = Reason(ReasonCode.USER_REQUEST)
LATE = 1_000 * SECOND
"""After every deadline."""

REFUSED = "-"
NOTHING = "nothing"
"""No state of the kind that a table is about."""

Look = Callable[[P2pState], Any]
"""The part of the state that a table is about; its class is what the table names."""


@record
class Case(Record):
    """An action, and when it comes."""

    action: Any
    after: int = 0
    """Nanoseconds after the state's own time."""


@record
class Table(Record):
    """Every representative state of a slice, and every action on it."""

    states: Mapping[str, P2pState]
    cases: Mapping[str, Case]
    look: Look
    expected: Mapping[str, Mapping[str, str]]
    """Outcome by case and state; a combination that is not listed has to be refused."""

    def outcome(self, case: str, state: str) -> str:
        """``Next`` or ``Next: follow-ups``, or `REFUSED`."""
        before, taken = self.states[state], self.cases[case]
        now = Timestamp(before.clock.now + taken.after)
        if not p2p_machine().is_enabled(before, taken.action, now):
            return REFUSED
        after, follow_ups = p2p_machine().reduce(before, taken.action, now)
        found = self.look(after)
        said = NOTHING if found is None else type(found).__name__
        return f"{said}: {', '.join(map(name, follow_ups))}" if follow_ups else said

    def outcomes(self) -> dict[str, dict[str, str]]:
        """All outcomes that are not refusals, in the form of ``expected``."""
        found = {case: {state: self.outcome(case, state) for state in self.states} for case in self.cases}
        return {case: {state: what for state, what in row.items() if what != REFUSED} for case, row in found.items()}


def name(follow_up: Any) -> str:
    """A follow-up in a table: its class, with the way out of an attempt after a bar."""
    if isinstance(follow_up, Attempt):
        return f"{name(follow_up.action)} | {name(follow_up.otherwise)}"
    return type(follow_up).__name__
