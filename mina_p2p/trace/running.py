"""`run_inputs`: all inputs of a chunk through a machine, and what followed, in the columns of a log.

Replaying has to keep up with the node that recorded, and has to read and compare besides. So
this is the loop of `Machine.execute` once more, for a row of inputs whose effects nobody wants:
it carries clock and lists from one input to the next, and looks at the steps of many
inputs at once. Whatever is not plain success (a violation, a wrong time, an unknown action) it
leaves to `Machine.execute`, from the state before that input: reducers are pure, so the same
happens again, and there it is said whose fault it is.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import Any, Final, cast

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.store import Attempt, Clock, Machine, RawRefusals, RawSteps
from mina_p2p.trace.records import Digests, Records
from mina_p2p.trace.schema import Schema

_BATCH: Final = 64
"""Inputs whose steps are looked at together: many enough for that to cost little, few enough to stay in the cache."""

_action_of, _depth_of = itemgetter(0), itemgetter(2)


class Outcome:
    """What the inputs of a chunk led to, in the columns of `Records`."""

    __slots__ = ("changed", "counts", "depths", "error", "kinds", "refusals", "state")

    def __init__(self) -> None:
        self.state: Any = None
        """After the last input that succeeded."""
        self.counts: list[int] = []
        self.kinds: list[int] = []
        self.depths: list[int] = []
        self.refusals: dict[int, tuple[int, ...]] = {}
        self.changed: int | None = None
        """Place of the first input that led to other content than recorded, where that was looked at."""
        self.error: CallerError | InvariantViolationError | None = None
        """What ended it at the last of ``counts``."""


def run_inputs(machine: Machine[Any], schema: Schema, state: Any, chunk: Records) -> Outcome:
    """Dispatch the inputs of ``chunk``, up to one that fails.

    :param state: before them. A caller that keeps it pays for all that is replaced in it and can not be freed.
    :raises LogError: ``UNWRITABLE`` where a checksum is due and something that followed can not be encoded.
    """
    outcome = Outcome()
    own: Any = machine
    table, choose, bound, bound_of, set_clock = own._table, own._choose, own._bound, own._bound_of, own._set_clock  # noqa: SLF001 - see above
    clock: Clock = own._get_clock(state)  # noqa: SLF001 - see above
    action_id, latest = clock.last_action_id + 1, clock.now
    steps: RawSteps = []
    stack: RawSteps = []
    refused: RawRefusals = []
    count, executed = outcome.counts.append, steps.append
    times = cast("tuple[Timestamp, ...]", chunk.times)  # to call it for each would cost as much as to compare one
    pairs = zip(chunk.inputs, times, strict=True)
    for place in range(0, len(times), _BATCH):
        for given, now in islice(pairs, _BATCH):
            before, first_id = state, action_id
            item: tuple[Any, int, int] = given, 0, 0
            try:
                id_max = first_id + (bound if bound_of is None else bound_of(state, given)) if now >= latest else 0
                while action_id <= id_max:
                    action, cause, depth = item
                    _, guard, stepper = table[type(action)]
                    if guard is not None and not guard(action, state, now):
                        refused.append((action, cause, depth, state))
                    elif stepper is not None:
                        state, follow_ups = stepper(state, action, now, stack, action_id)
                        executed(item)
                        action_id += 1
                        if follow_ups:
                            cause = action_id - 1
                            depth += 1
                            if len(follow_ups) == 1:
                                item = follow_ups[0], cause, depth
                                continue
                            for follow_up in reversed(follow_ups):
                                stack.append((follow_up, cause, depth))
                        elif not stack:
                            break
                    elif type(action) is Attempt:
                        choose(state, item, now, stack, refused)
                    else:
                        executed(item)
                        action_id += 1
                    if not stack:
                        if action_id > first_id:
                            state = set_clock(state, Clock(action_id - 1, now))
                        break
                    item = stack.pop()
                is_plain = action_id <= id_max
            except Exception:  # noqa: BLE001 - whatever it is, it happens again
                is_plain = False
            if not is_plain:
                del steps[len(steps) - (action_id - first_id) :]
                stack.clear()
                try:
                    state, _, _, raw, refused = machine.execute(before, given, now)
                except (CallerError, InvariantViolationError) as error:
                    state, outcome.error = before, error
                    refused, action_id = [], first_id
                else:
                    steps += raw
                    action_id = first_id + len(raw)
            if refused:
                outcome.refusals[len(outcome.counts)] = tuple([schema.tags[type(refusal[0])] for refusal in refused])
                refused.clear()
            if action_id > first_id:
                latest = now
            count(action_id - first_id)
            if outcome.error is not None:
                break
        _note(outcome, schema, chunk.digests, place, steps)
        steps.clear()
        if outcome.error is not None:
            break
    outcome.state = state
    return outcome


def _note(outcome: Outcome, schema: Schema, digests: Digests | None, place: int, steps: RawSteps) -> None:
    """Put the steps of the inputs from ``place`` on into columns, and compare their content where it was recorded."""
    outcome.kinds += map(schema.tags.__getitem__, map(type, map(_action_of, steps)))
    outcome.depths += map(_depth_of, steps)
    if digests is None or outcome.changed is not None:
        return
    end = len(outcome.counts) - (outcome.error is not None)
    start = 0
    for at in range(place + -place % digests.every, end, digests.every):
        start += sum(outcome.counts[place:at])
        place = at
        if digests.at(at) != schema.digest_of(steps[start : start + outcome.counts[at]]):
            outcome.changed = at
            return
