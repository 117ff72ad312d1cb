"""`replay`: run the inputs of a log through a machine and compare all that follows.

Every action that was executed or refused is compared with the recorded one, by kind and
place in the tree of causes, and the state by its hash wherever one was recorded. What is
compared is the whole behaviour, so a machine passes only where it does exactly what the
recorded one did.

After damage or a gap the state is unknown until the next checkpoint; inputs between are
reported as skipped. After a divergence the replay goes on as far as the next checkpoint,
since comparing the states there names what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final

from mina_p2p.record import Record, record
from mina_p2p.store import Clock, Machine
from mina_p2p.trace.difference import Difference, first_difference
from mina_p2p.trace.errors import BadChunk, Gap, LogError, LogFault, Note, Skipped, TornTail
from mina_p2p.trace.migrate import Upgrade
from mina_p2p.trace.reader import Reader, State
from mina_p2p.trace.records import Footer, Header, Records, causes
from mina_p2p.trace.running import Outcome, run_inputs
from mina_p2p.trace.schema import Schema, hash_of_encoded

_TEXT_MAX: Final = 200
"""Characters of a value in a sentence."""


@record
class Divergence(Record):
    """Where a replay first did something else than the log says."""

    action_id: int
    """The first action that differs; where only states differ, the last one before the comparison."""
    equal_until: int
    """Up to this action the state is known to be equal."""
    recorded_kind: str | None
    """What the log says was executed; ``None`` where it says nothing, or where only states differ."""
    replayed_kind: str | None
    recorded_cause: int | None
    """The action that it followed from; 0 for an input."""
    replayed_cause: int | None
    path: str | None = None
    """Where the states differ, first in the order of fields; known where a checkpoint follows."""
    recorded: Any = None
    """The value there, in the checkpoint."""
    replayed: Any = None
    """The value there, in the replay."""
    compared_at: int | None = None
    """The last action before that checkpoint."""
    is_content: bool = False
    """Whether kinds and causes are as recorded, but what followed from this input holds other values."""

    def __str__(self) -> str:
        if self.recorded_kind != self.replayed_kind:
            what = f"action {self.action_id}: recorded {_named(self.recorded_kind)}, replayed {_named(self.replayed_kind)}"
        elif self.recorded_cause != self.replayed_cause:
            what = (
                f"action {self.action_id}, {self.recorded_kind}: recorded as caused by {self.recorded_cause}, "
                f"replayed as caused by {self.replayed_cause}"
            )
        elif self.is_content:
            what = f"what followed from action {self.action_id}, {self.recorded_kind}, holds other values than recorded"
        else:
            what = f"the states differ after action {self.action_id}, and are equal up to action {self.equal_until}"
        if self.path is None:
            return what
        values = f"{_short(self.recorded)} recorded and {_short(self.replayed)} replayed"
        return f"{what}; after action {self.compared_at} {self.path or 'the state'} is {values}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}… ({len(text)} characters)"


def _named(kind: str | None) -> str:
    return kind or "nothing"


@record
class ReplayResult(Record):
    """What came of a replay."""

    header: Header | None
    """``None`` where it is damaged."""
    actions: int
    """Executed and found equal."""
    inputs: int
    hashes: int
    """How often the state was compared."""
    start_hash: bytes | None
    """Of the state from which the replay began."""
    last_id: int
    state_hash: bytes | None
    """Of the last state reached; ``None`` where no state could be read."""
    divergence: Divergence | None
    failure: str | None
    """The violation with which the log ends, if it does, and which happened again."""
    notes: tuple[Note, ...]
    """Damage, gaps, and what could not be replayed because of them."""
    is_closed: bool
    """Whether the log has its footer."""

    @property
    def is_damaged(self) -> bool:
        """Whether something inside the log, other than its end, could not be read."""
        return self.state_hash is None or any(isinstance(note, BadChunk | Skipped) for note in self.notes)

    @property
    def is_verified(self) -> bool:
        """Whether all that was recorded was replayed and found equal.

        What a recorder missed by its own word, or after its last complete chunk, is not part of that; the notes tell.
        """
        return self.divergence is None and not self.is_damaged


def replay(
    reader: Reader, machine: Machine[Any], schema: Schema | None = None, upgrade: Upgrade | None = None, *, end: int | None = None
) -> ReplayResult:
    """Replay a log from where ``reader`` stands.

    A caller that wants it fast turns the garbage collector off meanwhile.

    :param machine: what to run; see `mina_p2p.trace.machines` for the one that a log names.
    :param schema: of the machine, where it is at hand already.
    :param upgrade: for a log that was recorded with other classes, see `RegisteredMachine.upgrade`.
    :param end: go no further once so many bytes of the log are read; see `joined`.
    :raises LogError: ``NOT_A_LOG`` and ``VERSION``; ``SCHEMA`` where the log was recorded with other classes; for damage
        inside the log nothing is raised.
    """
    run = _Run(machine, schema or Schema.of(machine))
    try:
        run.header = reader.header()
    except LogError as error:
        if error.fault in (LogFault.NOT_A_LOG, LogFault.VERSION):
            raise
    if upgrade is None and run.header is not None and run.header.schema_digest != run.schema.digest:
        raise LogError(LogFault.SCHEMA, _what_changed(run.header, run.schema))
    for item in reader.items(run.schema, upgrade=upgrade):
        if not run.take(item) or (end is not None and reader.position >= end):
            break
    return run.result()


def joined(results: Sequence[ReplayResult]) -> ReplayResult:
    """What the replay of a whole log would have said, from those of its segments, in order.

    A log can be cut at its checkpoints: each segment begins with one, and ends with the next, which
    both its own replay and the one before compare.
    """
    notes: list[Note] = []
    made = results[0]
    for number, result in enumerate(results):
        # A checkpoint that is damaged is seen from both sides.
        notes += [note for note in result.notes if note not in notes]
        if number:
            made = result.replace(
                header=made.header,
                actions=made.actions + result.actions,
                inputs=made.inputs + result.inputs,
                hashes=made.hashes + result.hashes,
                start_hash=made.start_hash or result.start_hash,
            )
        if result.divergence is not None:
            break
    return made.replace(notes=tuple(notes))


def _what_changed(header: Header, schema: Schema) -> str:
    recorded = {name: digest for name, digest, _ in header.schema["classes"]}
    present = {t.name: t.digest() for t in schema.types}
    changed = sorted(name for name in recorded.keys() | present.keys() if recorded.get(name) != present.get(name))
    shown = ", ".join(changed[:5]) or "an enum"
    return f"{shown}{f' and {len(changed) - 5} more' if len(changed) > 5 else ''}"


class _Run:
    """A replay under way."""

    def __init__(self, machine: Machine[Any], schema: Schema) -> None:
        self.schema = schema
        self.header: Header | None = None
        self._machine = machine
        self._clock: Callable[[Any], Clock] = attrgetter(machine.clock_path)
        self._state: Any = None
        self._encoded_state: Any = None
        self._encoding = b""
        self._divergence: Divergence | None = None
        self._failure: str | None = None
        self._notes: list[Note] = []
        self._actions = self._inputs = self._hashes = 0
        self._equal_until = 0
        self._start_hash: bytes | None = None
        self._is_closed = False

    def result(self) -> ReplayResult:
        """What came of it."""
        state_hash = None if self._state is None else hash_of_encoded(self._encoded())
        last_id = 0 if self._state is None else self._clock(self._state).last_action_id
        return ReplayResult(
            self.header,
            self._actions,
            self._inputs,
            self._hashes,
            self._start_hash,
            last_id,
            state_hash,
            self._divergence,
            self._failure,
            tuple(self._notes),
            self._is_closed,
        )

    def take(self, item: Any) -> bool:
        """Go on with the next item of the log; whether more can come of it."""
        match item:
            case Records():
                return self._records(item)
            case State():
                return self._checkpoint(item)
            case BadChunk():
                self._lose(item)
            case Gap():
                self._lose(item)
            case TornTail():
                self._notes.append(item)
            case Footer():
                self._is_closed = True
            case _:
                pass
        return True

    def _lose(self, note: Note) -> None:
        """The state is unknown from here to the next checkpoint."""
        self._notes.append(note)
        if self._divergence is None:
            self._state = None

    def _records(self, chunk: Records) -> bool:
        if self._state is None:
            self._skip(chunk)
            return True
        expected_id = self._clock(self._state).last_action_id + 1
        if self._divergence is None and chunk.first_id != expected_id:
            self._skip(chunk)
            self._state = None
            return True
        outcome = run_inputs(self._machine, self.schema, self._released(), chunk)
        self._state = outcome.state
        if self._divergence is not None:
            return outcome.error is None
        self._divergence = compare(self.schema, chunk, outcome, self._equal_until)
        if self._divergence is not None:
            return outcome.error is None
        self._failure = chunk.failure
        self._actions += len(chunk.kinds)
        self._inputs += len(chunk.inputs)
        if chunk.state_hash is not None:
            self._compare_hash(chunk.state_hash)
        return chunk.failure is None

    def _skip(self, chunk: Records) -> None:
        last = self._notes[-1] if self._notes else None
        if isinstance(last, Skipped):
            self._notes[-1] = last.replace(inputs=last.inputs + len(chunk.inputs))
        else:
            self._notes.append(Skipped(chunk.first_id, len(chunk.inputs)))

    def _released(self) -> Any:
        """The state, to be replaced: as long as it is held, nothing of it can be freed."""
        state, self._state, self._encoded_state = self._state, None, None
        return state

    def _encoded(self) -> bytes:
        """The state's encoding, which a hash, a checkpoint behind it and the end of the log may all ask for."""
        if self._encoded_state is not self._state:
            self._encoding = self.schema.encode(self._state)
            self._encoded_state = self._state
        return self._encoding

    def _compare_hash(self, recorded: bytes) -> None:
        self._hashes += 1
        last_id = self._clock(self._state).last_action_id
        if hash_of_encoded(self._encoded()) == recorded:
            self._equal_until = last_id
        else:
            self._divergence = Divergence(last_id, self._equal_until, None, None, None, None)

    def _checkpoint(self, checkpoint: State) -> bool:
        """Compare with a recorded state, or take it where ours is lost."""
        if self._state is not None:
            last_id = self._clock(self._state).last_action_id
            if self._encoded() == checkpoint.encoded:
                self._hashes += 1
                self._equal_until = last_id
                return True
            if self._divergence is not None or last_id == checkpoint.last_id:
                self._hashes += 1
                self._name_difference(checkpoint, last_id)
                return False
            # Records are missing that no damage accounts for: someone cut whole chunks out.
            self._notes.append(Skipped(last_id + 1, 0))
        self._state = self._decoded(checkpoint)
        self._start_hash = self._start_hash or hash_of_encoded(checkpoint.encoded)
        self._equal_until = checkpoint.last_id
        return True

    def _name_difference(self, checkpoint: State, last_id: int) -> None:
        found = self._divergence or Divergence(last_id, self._equal_until, None, None, None, None)
        recorded = self._decoded(checkpoint)
        difference: Difference | None = None
        if recorded is not None:
            with suppress(RecursionError):  # records inside records without end have no path that could be shown
                difference = first_difference(recorded, self._state, last=self._machine.clock_path)
        if difference is not None:
            found = found.replace(path=difference.path, recorded=difference.left, replayed=difference.right, compared_at=checkpoint.last_id)
        self._divergence = found

    def _decoded(self, checkpoint: State) -> Any:
        try:
            state = self.schema.decode(checkpoint.encoded)
        except LogError as error:
            self._notes.append(BadChunk(0, 0, f"the checkpoint after action {checkpoint.last_id}: {error}"))
            return None
        if isinstance(state, self._machine.root):
            return state
        self._notes.append(BadChunk(0, 0, f"the checkpoint after action {checkpoint.last_id} is a {type(state).__qualname__}"))
        return None


def compare(schema: Schema, chunk: Records, outcome: Outcome, equal_until: int) -> Divergence | None:
    """The first action of a chunk that went otherwise than recorded.

    :param outcome: of its inputs, see `run_inputs`.
    :param equal_until: up to which action the state before them is known to be equal.
    """
    has_failed = outcome.error is not None
    if (
        tuple(outcome.counts) == chunk.counts
        and tuple(outcome.kinds) == chunk.kinds
        and tuple(outcome.depths) == chunk.depths
        and outcome.refusals == chunk.refusals
        and has_failed == (chunk.failure is not None)
        and outcome.changed is None
    ):
        return None
    recorded_ids = causes(chunk.first_id, chunk.depths)
    replayed_ids = causes(chunk.first_id, tuple(outcome.depths))
    at = 0
    for place, count in enumerate(outcome.counts):
        end, recorded_end = at + count, at + chunk.counts[place]
        is_last_of = has_failed and place == len(outcome.counts) - 1
        for offset in range(at, max(end, recorded_end)):
            recorded = (chunk.kinds[offset], recorded_ids[offset]) if offset < recorded_end else None
            replayed = (outcome.kinds[offset], replayed_ids[offset]) if offset < end else None
            if recorded == replayed:
                continue
            recorded_kind = schema.name_of(recorded[0]) if recorded else None
            replayed_kind = schema.name_of(replayed[0]) if replayed else None
            if replayed is None and is_last_of:
                replayed_kind = _failed(outcome.error)
            return Divergence(
                chunk.first_id + offset,
                equal_until,
                recorded_kind,
                replayed_kind,
                recorded[1] if recorded else None,
                replayed[1] if replayed else None,
            )
        if place == outcome.changed:
            kind, cause = (schema.name_of(chunk.kinds[at]), 0) if chunk.counts[place] else (None, None)
            return Divergence(chunk.first_id + at, equal_until, kind, kind, cause, cause, is_content=True)
        found = _compare_rest(schema, chunk, outcome, place)
        if found is not None:
            return Divergence(chunk.first_id + end, equal_until, *found, None, None)
        at = end
    return None


def _compare_rest(schema: Schema, chunk: Records, outcome: Outcome, place: int) -> tuple[str | None, str | None] | None:
    """What else an input can lead to: refusals, and a violation."""
    recorded, replayed = chunk.refusals.get(place, ()), outcome.refusals.get(place, ())
    if recorded != replayed:
        return _refusals(schema, recorded), _refusals(schema, replayed)
    error = outcome.error if place == len(outcome.counts) - 1 else None
    failure = chunk.failure if place == len(chunk.counts) - 1 else None
    if (error is None) != (failure is None):
        return (None if failure is None else f"InvariantViolationError: {failure}"), _failed(error)
    return None


def _failed(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"


def _refusals(schema: Schema, kinds: tuple[int, ...]) -> str:
    return f"the refusal of {', '.join(map(schema.name_of, kinds)) or 'nothing'}"
