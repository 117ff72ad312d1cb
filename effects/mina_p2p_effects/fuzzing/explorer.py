"""`Explorer`: searches the states of a machine.

States are immutable, so every state that showed something new is kept, with the input that led
to it, and the search goes on from any of them: nothing is ever run again to come back. What is new
is a line of code, a follow-up of one action by another, a refusal, an effect, or an outline of the
state around a connection that was not seen before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final

import msgspec

from mina_p2p.errors import MinaP2pError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, field_names
from mina_p2p.testing.dice import Dice
from mina_p2p.trace.errors import LogError
from mina_p2p.trace.minimise import Input
from mina_p2p_effects.fuzzing.cases import Case, kind_of_fault
from mina_p2p_effects.fuzzing.coverage import Coverage, line_coverage
from mina_p2p_effects.fuzzing.machine_checks import FaultError, MachineTarget, StateCheck, Stepped, examine_dispatch, shrink, step
from mina_p2p_effects.fuzzing.search import SHRINK_TRIES_MAX, Finding

NODES_MAX: Final = 1_000
"""States that are kept of each start; above, any of them makes room."""
LENGTH_MAX: Final = 1_000
"""Inputs from a start, at most."""
EXAMINE_EVERY: Final = 128
"""Of so many dispatches one is examined for what it costs, and for determinism."""

_BURST: Final = 24
"""Inputs from one state before another is chosen."""
_SETBACKS: Final = 16
"""Of so many inputs that set a run back, it goes on behind one."""
_EFFECTS_MAX: Final = 16
_COST: Final = 8
"""A dispatch with its checks takes as long as so many executions of a small decoder."""


class History:
    """How a state came about: the inputs from a start, each linked to the one before. Holds no state."""

    __slots__ = ("before", "item", "length", "start")

    def __init__(self, start: int, before: History | None = None, item: Input | None = None) -> None:
        self.start = start
        """Which of the target's first states it goes back to."""
        self.before = before
        self.item = item
        self.length: int = 0 if before is None else before.length + 1

    def inputs(self) -> tuple[Input, ...]:
        """All inputs from the start."""
        found: list[Input] = []
        history: History | None = self
        while history is not None and history.item is not None:
            found.append(history.item)
            history = history.before
        return tuple(reversed(found))


class Node:
    """A state, and how it came about."""

    __slots__ = ("effects", "history", "picks", "state")

    def __init__(self, history: History, state: Any, effects: tuple[Any, ...]) -> None:
        self.history = history
        self.state = state
        self.effects = effects
        """The latest ones, for answers to them."""
        self.picks = 0
        """How often the search went on from here."""

    def after(self, item: Input, state: Any, effects: list[Any]) -> Node:
        """The state behind an input."""
        return Node(History(self.history.start, self.history, item), state, (*self.effects, *effects)[-_EFFECTS_MAX:])


class Explorer:
    """A search in one state machine."""

    def __init__(self, target: MachineTarget, seed: int) -> None:
        self.name: str = target.name
        self.executions = 0
        self._target = target
        self._registered = target.registered
        self._seed = seed
        self._dice = Dice(seed, target.name)
        self._lines: Coverage = line_coverage()
        self._features: set[Any] = set()
        self._found: set[str] = set()
        self._nodes = [[Node(History(at), state, ())] for at, state in enumerate(target.starts())]
        """By the start that they go back to, which is the first of each."""

    @property
    def coverage(self) -> int:
        """How many different lines and outcomes were seen."""
        return self._lines.count + len(self._features)

    def turn(self, budget: int) -> list[Finding]:
        """Go on for about so many executions."""
        findings: list[Finding] = []
        with self._lines:
            while budget > 0:
                before = self.executions
                fault = self._burst(self._pick())
                budget -= _COST * max(1, self.executions - before)
                if fault is not None and (kind := kind_of_fault(fault[1])) not in self._found:
                    self._found.add(kind)
                    findings.append(self._shrunk(*fault))
        return findings

    def _pick(self) -> Node:
        """A state to go on from, from each start as often: one of the newest, or one that was rarely chosen."""
        nodes = self._dice.choice(self._nodes)
        size = len(nodes)
        if self._dice.below(2):
            node = nodes[size - 1 - self._dice.below(min(size, 32))]
        else:
            node = min((nodes[self._dice.below(size)] for _ in range(4)), key=lambda node: node.picks)
        node.picks += 1
        return node

    def _burst(self, node: Node) -> tuple[Node, str] | None:
        """Some inputs in a row; the last one and its fault where one shows."""
        check = self._target.new_check()
        for _ in range(_BURST):
            if node.history.length >= LENGTH_MAX:
                break
            item = self._target.draw(self._dice, node.state, node.effects)
            lines = self._lines.count
            try:
                found = self._step(node.state, item, check)
            except FaultError as error:
                return node.after(item, node.state, []), str(error)
            if found is None:
                continue
            is_new = self._is_new(item, found) or self._lines.count > lines
            if not found.steps:
                continue
            after = node.after(item, found.state, found.effects)
            if is_new:
                self._keep(after)
            # Most hostile inputs end a connection. It was seen that they do; what needs one goes on from where it was.
            if not self._target.is_setback(node.state, after.state) or self._dice.below(_SETBACKS) == 0:
                node = after
        return None

    def _step(self, state: Any, item: Input, check: StateCheck) -> Stepped | None:
        self.executions += 1
        found = step(self._execute, state, item, check)
        if found is not None and self.executions % EXAMINE_EVERY == 0:
            examine_dispatch(self._registered, state, item)
        return found

    def _execute(self, state: Any, action: Any, now: Timestamp) -> Any:
        return self._lines.call(self._registered.machine.execute, state, action, now)

    def _is_new(self, item: Input, found: Stepped) -> bool:
        """Note what an input led to; whether any of it was not seen before."""
        before = len(self._features)
        self._features.update(features(item, found))
        return len(self._features) > before

    def _keep(self, node: Node) -> None:
        nodes = self._nodes[node.history.start]
        if len(nodes) >= NODES_MAX:
            nodes[1 + self._dice.below(NODES_MAX - 1)] = nodes[-1]
            nodes.pop()
        nodes.append(node)

    def _shrunk(self, node: Node, text: str) -> Finding:
        case = Case(self._target.machine, self._nodes[node.history.start][0].state, node.history.inputs())
        found = shrink(case, self._target.new_check, tries_max=SHRINK_TRIES_MAX)
        if found is None:  # such as one that shows only now and then
            return Finding(self.name, f"{text}; run again from the start, it does not show", case)
        return Finding(self.name, found[1].text, found[0])

    # --- the corpus ------------------------------------------------------------------------------

    def corpus(self) -> dict[str, bytes]:
        """The kept states as one tree of inputs: each with the place of the one before it."""
        encode = self._registered.schema.encode
        places = {nodes[0].history: at for at, nodes in enumerate(self._nodes)}
        tree: list[tuple[int, int, bytes]] = []
        for node in (kept for nodes in self._nodes for kept in nodes):
            path: list[History] = []
            history: History | None = node.history
            while history is not None and history not in places:
                path.append(history)
                history = history.before
            with suppress(LogError):  # an input that no log can hold is a finding, and nothing to keep
                for new in reversed(path):
                    if new.before is not None and new.item is not None:
                        tree.append((places[new.before], new.item.now, encode(new.item.action)))
                        places[new] = len(self._nodes) + len(tree) - 1
        return {f"states-{self._seed}": _PACK.encode(tree)}

    def load(self, kept: bytes) -> None:
        """Begin with these states, too; a tree that can not be read is left out, as are inputs of other classes."""
        try:
            tree = _UNPACK.decode(kept)
        except msgspec.MsgspecError:
            return
        nodes: list[Node | None] = [first[0] for first in self._nodes]
        check = self._target.new_check()
        with self._lines:
            for before, now, data in tree:
                node = nodes[before] if 0 <= before < len(nodes) else None
                nodes.append(None if node is None else self._again(node, now, data, check))

    def _again(self, node: Node, now: int, data: bytes, check: StateCheck) -> Node | None:
        """The state behind an input that was kept."""
        lines = self._lines.count
        try:
            item = Input(self._registered.schema.decode(data), Timestamp(now))
            found = self._step(node.state, item, check)
        except (MinaP2pError, FaultError):
            return None  # a fault is found again by the search, which reports it
        if found is None:
            return None
        after = node.after(item, found.state, found.effects)
        if self._is_new(item, found) or self._lines.count > lines:
            self._keep(after)
        return after


_PACK: Final = msgspec.msgpack.Encoder()
_UNPACK: Final = msgspec.msgpack.Decoder(list[tuple[int, int, bytes]])


def features(item: Input, found: Stepped) -> Iterator[Any]:
    """What kind of thing an input led to, as values of which each is seen once."""
    kinds: list[Any] = [type(action) for action, _, _ in found.steps]
    latest: dict[int, Any] = {-1: None}
    for (_, _, depth), kind in zip(found.steps, kinds, strict=True):
        latest[depth] = kind
        yield latest.get(depth - 1), kind
    for action, _, _, _ in found.refused:
        yield type(item.action), type(action), "refused"
    for effect in found.effects:
        reason = getattr(effect, "reason", None)
        if reason is not None:
            yield type(effect), getattr(reason, "code", None), getattr(reason, "channel", None)
    connection_id = getattr(item.action, "connection_id", None)
    if connection_id is not None:
        yield type(item.action), *outline_around(found.state, connection_id)


def outline_around(state: Any, connection_id: int) -> Iterator[Any]:
    """What every table of the state that is kept by connection says of one of them."""
    for table in _tables(state):
        value = table.get(connection_id)
        yield None if value is None else outline(value, 3)


def _tables(state: Any) -> Iterator[Any]:
    kind: type[Any] = state.__class__
    for name in field_names(kind):
        table = getattr(getattr(state, name), "table", None)
        if table is not None and name != "peers":
            yield table


def outline(value: Any, depth: int) -> Any:
    """The classes of a record and of the records in it, without what varies."""
    kind: Any = value.__class__
    names = _names(kind)
    if names is None:
        return (min(len(value), 3),) if kind is tuple else None
    if depth == 0:
        return kind
    return kind, *[inner for name in names if (inner := outline(getattr(value, name), depth - 1)) is not None]


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    return field_names(kind) if issubclass(kind, Record) else None
