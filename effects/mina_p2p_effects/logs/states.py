"""`States`: the state before any dispatch of a log, by replaying from the nearest state that is known."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.replay import compare
from mina_p2p.trace.running import run_inputs
from mina_p2p.trace.stepping import Expanded, expand, last_action_id
from mina_p2p_effects.logs.file import Block, LogFile

Place: TypeAlias = tuple[int, int, int]
"""File, block, and place of the input in the block."""

STATES_MAX: Final = 1_024
"""States that are kept; neighbours share most of what they hold."""
STRIDE: Final = 32
"""Dispatches between two states that are kept while replaying: what a step back costs at most."""
EXPANDED_MAX: Final = 64
"""Dispatches that are kept step by step."""


class DivergedError(LogError):
    """Replaying does something else than the log says."""

    def __init__(self, action_id: int, detail: str) -> None:
        super().__init__(LogFault.DIVERGED, f"at action {action_id}: {detail}")
        self.action_id = action_id
        """Of the input that led elsewhere, or where only states differ of the last action before the comparison."""


@record
class Contents(Record):
    """What the actions of a block say."""

    before: Any
    """The state before them; ``None`` where it is unknown."""
    after: Any
    """The state behind the last of ``actions``."""
    actions: tuple[Any, ...]
    """In order, up to where the replay had to stop."""
    problem: LogError | None
    """Why it did."""


class States:
    """Makes states of one log, and keeps some."""

    def __init__(self, files: Sequence[LogFile]) -> None:
        self._files = files
        self._machine = files[0].registered.machine
        self._schema = files[0].schema
        self._last_id = last_action_id(self._machine)
        self._kept: OrderedDict[Place, Any] = OrderedDict()
        self._order: list[Place] = []
        self._expanded: OrderedDict[Place, Expanded] = OrderedDict()
        self._contents: tuple[tuple[int, int], Contents] | None = None

    def before(self, number: int, block: int, place: int) -> Any:
        """The state before the input at a place; the place behind a block's last input is allowed.

        :raises LogError: ``DIVERGED`` where the replay does something else than the log; ``CONTENT`` where
            the state is unknown because of damage; ``ABSENT`` where the log has no checkpoint before.
        """
        target = number, block, place
        if target in self._kept:
            self._kept.move_to_end(target)
            return self._kept[target]
        at, state = self._start(target)
        is_recorded = at == target
        while at < target:
            at, state = self._advance(at, target, state)
        if not is_recorded and block < len(self._files[number].directory):
            self._require(state, self._block(number, block), place)
        self._keep(target, state)
        return state

    def expand(self, number: int, block: int, place: int) -> Expanded:
        """The dispatch of the input at a place, step by step.

        :raises LogError: as `before`.
        """
        target = number, block, place
        if target not in self._expanded:
            state = self.before(number, block, place)
            found = self._block(number, block)
            records = found.records
            try:
                made = expand(self._machine, state, records.inputs[place], Timestamp(records.times[place]))
            except (CallerError, InvariantViolationError) as error:
                raise DivergedError(records.first_id + found.starts[place], str(error)) from error
            if len(made.actions) != records.counts[place]:
                raise DivergedError(records.first_id + found.starts[place], _counts(records.counts[place], len(made.actions)))
            self._expanded[target] = made
            if len(self._expanded) > EXPANDED_MAX:
                self._expanded.popitem(last=False)
        self._expanded.move_to_end(target)
        made = self._expanded[target]
        self._keep((number, block, place + 1), made.state)
        return made

    def contents(self, number: int, block: int) -> Contents:
        """Every action of a block, in order, as far as it can be replayed; compared with all that the log says of it."""
        place = number, block
        if self._contents is None or self._contents[0] != place:
            self._contents = place, self._replayed(number, block)
        return self._contents[1]

    def _replayed(self, number: int, block: int) -> Contents:
        actions: list[Any] = []
        before: Any = None
        state: Any = None
        try:
            state = before = self.before(number, block, 0)
            found = self._block(number, block)
            records = found.records
            outcome = run_inputs(self._machine, self._schema, state, records, actions)
            if compare(self._schema, records, outcome, 0) is None:
                state = outcome.state
            else:
                actions.clear()
                for i in range(len(records.inputs)):
                    state = self._execute(found, i, state, actions)
            if records.state_hash is not None and self._schema.state_hash(state) != records.state_hash:
                raise DivergedError(records.last_id, "the state behind it is another")
            self._keep((number, block, len(records.inputs)), state)
        except LogError as error:
            return Contents(before, state, tuple(actions), error)
        return Contents(before, state, tuple(actions), None)

    def _start(self, target: Place) -> tuple[Place, Any]:
        """The nearest place at or before ``target`` whose state is known."""
        number, block, _ = target
        file = self._files[number]
        nearest = bisect_right(self._order, target) - 1
        kept = self._order[nearest] if nearest >= 0 and self._order[nearest][0] == number else None
        problem = LogError(LogFault.ABSENT, f"{file.path.name} has no checkpoint before this")
        for checkpoint in reversed(file.directory.checkpoints_until(block)):
            place = number, checkpoint.block, 0
            if kept is not None and kept >= place:
                break
            try:
                return place, file.state_of(checkpoint.offset)
            except LogError as error:
                problem = error
        if kept is None:
            raise problem
        self._kept.move_to_end(kept)
        return kept, self._kept[kept]

    def _advance(self, at: Place, target: Place, state: Any) -> tuple[Place, Any]:
        """Replay to the end of a block, or to ``target`` where that is in it."""
        number, block, place = at
        found = self._block(number, block)
        records = found.records
        is_last = (number, block) == target[:2]
        end = target[2] if is_last else len(records.inputs)
        self._require(state, found, place)
        for i in range(place, end):
            state = self._execute(found, i, state)
            if not (i + 1) % STRIDE:
                self._keep((number, block, i + 1), state)
        return ((number, block, end) if is_last else (number, block + 1, 0)), state

    def _execute(self, found: Block, i: int, state: Any, into: list[Any] | None = None) -> Any:
        """Replay the input at a place of a block.

        :param into: where the actions that it leads to are added.
        """
        records = found.records
        if records.failure is not None and i == len(records.inputs) - 1:
            return state  # the input at which the store stopped; it led to nothing
        try:
            state, _, _, steps, _ = self._machine.execute(state, records.inputs[i], Timestamp(records.times[i]))
        except (CallerError, InvariantViolationError) as error:
            raise DivergedError(records.first_id + found.starts[i], str(error)) from error
        start, end = found.starts[i], found.starts[i + 1]
        tags = self._schema.tags
        if len(steps) != end - start:
            raise DivergedError(records.first_id + start, _counts(end - start, len(steps)))
        kinds, depths = tuple([tags[type(step[0])] for step in steps]), tuple([step[2] for step in steps])
        if kinds != records.kinds[start:end] or depths != records.depths[start:end]:
            raise DivergedError(records.first_id + start, "actions of other kinds followed")
        digest = records.digests.at(i) if records.digests is not None else None
        if digest is not None and digest != self._schema.digest_of(steps):
            raise DivergedError(records.first_id + found.starts[i], "what followed holds other values")
        if into is not None:
            into += [step[0] for step in steps]
        return state

    def _require(self, state: Any, found: Block, place: int) -> None:
        """Nothing may be missing between ``state`` and an input."""
        if self._last_id(state) + 1 != found.records.first_id + found.starts[place]:
            detail = f"what comes before action {found.records.first_id} is missing; the state is unknown up to the next checkpoint"
            raise LogError(LogFault.CONTENT, detail)

    def _block(self, number: int, block: int) -> Block:
        found = self._files[number].block(block)
        if found is None:
            file = self._files[number]
            raise LogError(LogFault.CONTENT, f"the chunk at byte {file.directory.offsets[block]} of {file.path.name} is damaged")
        return found

    def _keep(self, place: Place, state: Any) -> None:
        if place not in self._kept:
            insort(self._order, place)
        self._kept[place] = state
        self._kept.move_to_end(place)
        if len(self._kept) > STATES_MAX:
            oldest, _ = self._kept.popitem(last=False)
            del self._order[bisect_right(self._order, oldest) - 1]


def _counts(recorded: int, replayed: int) -> str:
    return f"{recorded} actions were recorded, {replayed} follow now"
