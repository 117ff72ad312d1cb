"""One step of a slice: what an action makes of a state, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mina_p2p.ids import Timestamp
from mina_p2p.libp2p.actions import NetworkHandOver
from mina_p2p.libp2p.machine import network_machine
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt

REFUSED = "-"
NOTHING = "nothing"


@record
class Case(Record):
    """An action, and how many nanoseconds after the state's own time it comes."""

    action: Any
    after: int = 0


@record
class Table(Record):
    """Every representative state of a slice, and every action on it."""

    states: Mapping[str, NetworkState]
    cases: Mapping[str, Case]
    look: Callable[[NetworkState], str]
    """The part of the state that the table is about, in a word."""
    expected: Mapping[str, Mapping[str, str]]
    """Outcome by case and state; a combination that is not listed has to be refused."""

    def outcome(self, case: str, state: str) -> str:
        """``next`` or ``next: follow-ups``, or `REFUSED`."""
        before, taken = self.states[state], self.cases[case]
        now, machine = Timestamp(before.clock.now + taken.after), network_machine()
        if not machine.is_enabled(before, taken.action, now):
            return REFUSED
        after, follow_ups = machine.reduce(before, taken.action, now)
        said = self.look(after)
        return f"{said}: {', '.join(map(name, follow_ups))}" if follow_ups else said

    def outcomes(self) -> dict[str, dict[str, str]]:
        """All outcomes that are not refusals, in the form of ``expected``."""
        found = {case: {state: self.outcome(case, state) for state in self.states} for case in self.cases}
        return {case: {state: what for state, what in row.items() if what != REFUSED} for case, row in found.items()}


def name(follow_up: Any) -> str:
    """A follow-up in a table: its class without the prefix, or that of what is handed over, with the way out of an attempt after a bar."""
    if isinstance(follow_up, NetworkHandOver):
        return name(follow_up.notification)
    if isinstance(follow_up, Attempt):
        return f"{name(follow_up.action)} | {name(follow_up.otherwise)}"
    return type(follow_up).__name__.removeprefix("Network").removeprefix("Libp2pEffectful")
