"""`run_inputs`: all inputs of a chunk through a machine, and what followed, in the columns of a log.

Replaying has to keep up with the node that recorded, and has to read and compare besides. So
inputs go to `Machine.run` by the row, and the steps of a row are looked at together. Within a row
nobody sees the roots in between, so one is written into where a store makes a new one for each action
(`Machine.rehearsal`); a machine whose states or actions could hold a root does without. Where
something fails, the row is run once more, input by input and as a store does it: reducers are pure,
so the same happens again, and then it is known which it was.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter, sub
from typing import Any, Final, cast

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.store import Machine, RawRefusals, RawSteps
from mina_p2p.trace.records import Digests, Records
from mina_p2p.trace.schema import Schema

_ROW: Final = 32
"""Inputs that are run and looked at together: many enough for that to cost little, few enough to stay in the cache."""

_SAMPLES_MAX: Final = 64
"""Inputs whose steps are held until their checksums are compared, all at once: code that runs now and then is not in the cache."""

_action_of, _depth_of = itemgetter(0), itemgetter(2)


class Outcome:
    """What the inputs of a chunk led to, in the columns of `Records`."""

    __slots__ = ("changed", "counts", "depths", "error", "kinds", "refusals", "sampled", "state")

    def __init__(self, state: Any) -> None:
        self.state = state
        """After the last input that succeeded."""
        self.counts: list[int] = []
        self.kinds: list[int] = []
        self.depths: list[int] = []
        self.refusals: dict[int, tuple[int, ...]] = {}
        self.changed: int | None = None
        """Place of the first input that led to other content than recorded, where that was looked at."""
        self.sampled: list[tuple[int, RawSteps]] = []
        """What followed from inputs whose checksum is recorded, with their places, until it is compared."""
        self.error: CallerError | InvariantViolationError | None = None
        """What ended it at the last of ``counts``."""


def run_inputs(machine: Machine[Any], schema: Schema, state: Any, chunk: Records, into: list[Any] | None = None) -> Outcome:
    """Dispatch the inputs of ``chunk``, up to one that fails.

    :param state: before them. A caller that keeps it pays for all that is replaced in it and can not be freed.
    :param into: takes every action that was executed.
    :raises LogError: ``UNWRITABLE`` where a checksum is due and something that followed can not be encoded.
    """
    outcome = Outcome(state)
    del state
    every = 0 if chunk.digests is None else chunk.digests.every
    times = cast("tuple[Timestamp, ...]", chunk.times)  # to call it for each would cost as much as to compare one
    pairs = zip(chunk.inputs, times, strict=True)
    rehearsal = machine if schema.can_hold(machine.root) else machine.rehearsal
    while outcome.error is None and (row := list(islice(pairs, _ROW))):
        try:
            _run_row(outcome, rehearsal, schema.tags, every, row, into)
        except (CallerError, InvariantViolationError):
            for pair in row:
                try:
                    _run_row(outcome, machine, schema.tags, every, [pair], into)
                except (CallerError, InvariantViolationError) as error:
                    outcome.error = error
                    outcome.counts.append(0)
                    break
        if len(outcome.sampled) >= _SAMPLES_MAX:
            _compare_samples(outcome, schema, chunk.digests)
    _compare_samples(outcome, schema, chunk.digests)
    return outcome


def _run_row(
    outcome: Outcome,
    machine: Machine[Any],
    tags: dict[type[Any], int],
    every: int,
    row: list[tuple[Any, Timestamp]],
    into: list[Any] | None,
) -> None:
    """Dispatch some inputs and note what followed; nothing is noted where one of them fails."""
    steps: RawSteps = []
    refused: RawRefusals = []
    ends: list[tuple[int, int]] = []
    state, next_id = machine.run(outcome.state.replace(), row, [], steps, refused, ends)
    outcome.state = state
    place = len(outcome.counts)
    next_ids, refused_ends = zip(*ends, strict=True)
    outcome.counts += map(sub, next_ids, (next_id - len(steps), *next_ids))
    outcome.kinds += map(tags.__getitem__, map(type, map(_action_of, steps)))
    outcome.depths += map(_depth_of, steps)
    if into is not None:
        into += map(_action_of, steps)
    if refused:
        start = 0
        for at, end in enumerate(refused_ends, place):
            if end > start:
                outcome.refusals[at] = tuple([tags[type(refusal[0])] for refusal in refused[start:end]])
                start = end
    if every:
        start = 0
        for at in range(place + -place % every, len(outcome.counts), every):
            start += sum(outcome.counts[place:at])
            place = at
            outcome.sampled.append((at, steps[start : start + outcome.counts[at]]))


def _compare_samples(outcome: Outcome, schema: Schema, digests: Digests | None) -> None:
    """Look at the content of what followed where it was recorded."""
    if digests is not None and outcome.changed is None:
        outcome.changed = next((at for at, steps in outcome.sampled if digests.at(at) != schema.digest_of(steps)), None)
    outcome.sampled.clear()
