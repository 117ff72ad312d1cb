"""`LogSession`: one node's log as a list of actions, with the state after any of them.

The actions of a log, over all files of one that rotated, have *positions* from 0 to
``session.count - 1``. Everything about one action is asked by its position:

    session = open_session("node.log")
    row = session.action(1_000)             # kind, id, cause, depth, time, input or not
    session.content(1_000)                  # the action itself
    session.state_at(1_000)                 # the state right after it
    session.children(1_000), session.cause(1_000)

Nothing is held per action: chunks are decoded as they are asked for and only the last few are
kept; states are made by replaying from the nearest checkpoint, or from one of a bounded number
of states met before. Going on from where one is, or back by a little, is therefore cheap, and
a jump costs at most the replay of what lies between two checkpoints.

Actions in a damaged chunk keep their positions and ids; their kind is `UNREADABLE`. The states
from there to the next checkpoint are unknown: asking for them raises `LogError`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

from mina_p2p.record import Record, record
from mina_p2p.store import Machine
from mina_p2p.trace.errors import LogError, LogFault, Note
from mina_p2p.trace.records import Header
from mina_p2p.trace.schema import Schema
from mina_p2p.trace.stepping import Expanded
from mina_p2p_effects.logs.file import PAYLOAD_MAX, Block, LogFile
from mina_p2p_effects.logs.states import Contents, States
from mina_p2p_effects.replay import log_files, part_number

UNREADABLE: Final = "(unreadable)"
"""The kind of an action whose chunk is damaged."""


@record
class LogAction(Record):
    """What a log says of one action."""

    position: int
    """From 0, in the log."""
    action_id: int
    cause_id: int
    """Id of the action that it follows from; 0 for an input, and where that is not known."""
    depth: int
    """0 for an input, 1 for what followed from it, and so on."""
    time: int
    """Of its input, in nanoseconds since the Unix epoch."""
    kind: str
    """Name of its class."""
    root: int
    """Position of the input that it follows from; its own for an input."""
    size: int
    """How many actions the input led to, itself among them."""
    input: Any
    """The input, whole. What followed from it is replayed: see `LogSession.content`."""
    refused: tuple[str, ...]
    """The kinds that guards refused in the same dispatch, in order."""

    @property
    def is_input(self) -> bool:
        """Whether it came from outside; everything else follows from an input."""
        return self.depth == 0


@record
class Refused(Record):
    """A dispatch in which guards refused something; an input that was refused itself is no action and has no id."""

    position: int
    """Of the first action at or after the dispatch; its state is the one in which the dispatch ended, or before."""
    time: int
    input: Any
    is_input_refused: bool
    """Whether nothing at all was executed."""
    kinds: tuple[str, ...]


class LogSession:
    """One log, open for reading."""

    def __init__(self, files: Sequence[LogFile]) -> None:
        """The files of one log, in order; closing the session closes them.

        Programs call `open_session`.
        """
        self._files = list(files)
        self._states = States(self._files)
        self._bases: list[int] = []
        self._count = 0
        self._inputs = array("Q", [0])
        self._survey()

    def _survey(self) -> None:
        self._bases.clear()
        self._count = 0
        for file in self._files:
            self._bases.append(self._count)
            self._count += file.directory.count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    # --- the whole -----------------------------------------------------------------------------

    @property
    def header(self) -> Header:
        """Of the first file."""
        return self._files[0].header

    @property
    def node(self) -> str:
        """Who recorded it: the peer id, else the name of the first file."""
        return self.header.metadata.get("peer_id", self._files[0].path.name)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in order."""
        return tuple(file.path for file in self._files)

    @property
    def files(self) -> tuple[LogFile, ...]:
        """The files, in order, with their directories."""
        return tuple(self._files)

    @property
    def machine(self) -> Machine[Any]:
        """What the log is replayed by."""
        return self._files[0].registered.machine

    @property
    def schema(self) -> Schema:
        """The classes of the log."""
        return self._files[0].schema

    @property
    def count(self) -> int:
        """How many actions there are."""
        return self._count

    @property
    def is_closed(self) -> bool:
        """Whether the recorder ended the log in order."""
        return self._files[-1].directory.is_closed

    @property
    def notes(self) -> tuple[Note, ...]:
        """Damage and gaps, as far as known without reading every chunk."""
        return tuple(note for file in self._files for note in file.directory.notes)

    def refresh(self) -> int:
        """Learn what the last file has grown by, and what comes behind it in a log that rotates; for sessions
        that were opened with ``follow``.

        :returns: `count`.
        """
        self._files[-1].refresh()
        while self.is_closed and (following := self._files[-1].following()) is not None:
            self._files.append(following)
        self._survey()
        return self._count

    # --- one action ----------------------------------------------------------------------------

    def action(self, position: int) -> LogAction:
        """What the log says of the action at ``position``.

        :raises IndexError: where there is no such position.
        """
        number, block, place = self._locate(position)
        found = self._files[number].block(block)
        if found is None or place >= len(found.records.kinds):
            return self._unreadable(number, block, position, place)
        return self._row(number, block, found, place)

    def position_of(self, action_id: int) -> int:
        """Where the action with this id is.

        :raises LogError: ``ABSENT`` where the log does not have it.
        """
        for number, file in enumerate(self._files):
            block = file.directory.block_with(action_id)
            if block is not None:
                place = action_id - file.directory.first_ids[block]
                return self._bases[number] + file.directory.starts[block] + place
        raise LogError(LogFault.ABSENT, f"action {action_id}")

    def position_at(self, time: int) -> int:
        """Where the first action at or after a time is; `count` where none is."""
        for number, file in enumerate(self._files):
            directory = file.directory
            block = max(0, bisect_right(directory.times, time - 1) - 1)
            while block < len(directory):
                found = file.block(block)
                if found is not None and found.records.times[-1] >= time:
                    place = next(i for i, at in enumerate(found.records.times) if at >= time)
                    return self._bases[number] + directory.starts[block] + found.starts[place]
                block += 1
        return self._count

    def content(self, position: int) -> Any:
        """The action at ``position`` itself; what followed from an input is made by replaying it.

        :raises IndexError: where there is no such position.
        :raises LogError: where the state before it is unknown, or the replay leaves the log.
        """
        row = self.action(position)
        if row.is_input and row.input is not None:
            return row.input
        return self.dispatch(position).actions[position - row.root]

    def state_at(self, position: int) -> Any:
        """The state right after the action at ``position``; -1 is the state before the first.

        :raises IndexError: where there is no such position.
        :raises LogError: as `content`.
        """
        if position < 0:
            return self._states.before(0, 0, 0)
        row = self.action(position)
        return self.dispatch(position).states[position - row.root]

    def state_before(self, position: int) -> Any:
        """The state in which the action at ``position`` was executed.

        :raises IndexError: where there is no such position.
        :raises LogError: as `content`.
        """
        row = self.action(position)
        if row.position > row.root:
            return self.dispatch(position).states[position - row.root - 1]
        return self._states.before(*self._dispatch_place(position))

    def dispatch(self, position: int) -> Expanded:
        """All that the input at or before ``position`` led to, step by step.

        :raises IndexError: where there is no such position.
        :raises LogError: as `content`.
        """
        return self._states.expand(*self._dispatch_place(position))

    def cause(self, position: int) -> int | None:
        """Position of the action that this one follows from; ``None`` for an input."""
        row = self.action(position)
        return None if row.cause_id == 0 else position - (row.action_id - row.cause_id)

    def children(self, position: int) -> list[int]:
        """Positions of the actions that follow from this one directly."""
        row = self.action(position)
        following = (self.action(at) for at in range(position + 1, row.root + row.size))
        return [other.position for other in following if other.cause_id == row.action_id]

    # --- inputs by number ----------------------------------------------------------------------

    @property
    def input_count(self) -> int:
        """How many inputs there are, refused ones among them. Reads every chunk once where the log has no index."""
        return self._input_starts()[-1]

    def input_position(self, number: int) -> int:
        """Position of the input with this number, from 0; of one that was refused, that of the next action.

        :raises IndexError: where there is no such input.
        """
        starts = self._input_starts()
        if not 0 <= number < starts[-1]:
            raise IndexError(f"input {number}; the log has {starts[-1]}")
        file, block = self._block_at(bisect_right(starts, number) - 1)
        found = self._files[file].block(block)
        place = number - starts[bisect_right(starts, number) - 1]
        return self.base_of(file, block) + (found.starts[place] if found is not None and place < len(found.starts) else 0)

    def input_number(self, position: int) -> int:
        """The number of the input that the action at ``position`` follows from."""
        starts = self._input_starts()
        file, block, place = self._locate(position)
        found = self._files[file].block(block)
        at = sum(len(other.directory) for other in self._files[:file]) + block
        return starts[at] + (found.input_of(place) if found is not None else 0)

    def _block_at(self, index: int) -> tuple[int, int]:
        """File and block of the block with this number in the whole log."""
        for number, file in enumerate(self._files):
            if index < len(file.directory):
                return number, index
            index -= len(file.directory)
        raise IndexError(index)

    def _input_starts(self) -> array[int]:
        """Per block of the whole log, and one more for the end: how many inputs come before it."""
        total = sum(len(file.directory) for file in self._files)
        if len(self._inputs) != total + 1:
            self._inputs = array("Q", [0])
            for file in self._files:
                for block in range(len(file.directory)):
                    self._inputs.append(self._inputs[-1] + file.inputs_of(block))
        return self._inputs

    # --- many actions --------------------------------------------------------------------------

    def actions(self, start: int = 0, stop: int | None = None) -> Iterator[LogAction]:
        """The actions from ``start`` on, up to ``stop`` or the end."""
        stop = self._count if stop is None else min(stop, self._count)
        position = max(0, start)
        while position < stop:
            number, block, place = self._locate(position)
            found = self._files[number].block(block)
            end = min(self._files[number].directory.size(block), place + stop - position)
            for at in range(place, end):
                if found is None or at >= len(found.records.kinds):
                    yield self._unreadable(number, block, position, at)
                else:
                    yield self._row(number, block, found, at)
                position += 1

    def backward(self, start: int, stop: int = -1) -> Iterator[LogAction]:
        """The actions from ``start`` back to the one behind ``stop``."""
        for position in range(min(start, self._count - 1), max(stop, -1), -1):
            yield self.action(position)

    def refusals(self, start: int = 0) -> Iterator[Refused]:
        """The dispatches in which guards refused something, from the block of ``start`` on, none before ``start``."""
        for number, block, found in self.blocks(start):
            base = self._bases[number] + self._files[number].directory.starts[block]
            for place in sorted(found.records.refusals):
                position = base + found.starts[place]
                if position >= start:
                    kinds = tuple(map(self.schema.name_of, found.records.refusals[place]))
                    is_refused = found.records.counts[place] == 0
                    yield Refused(position, found.records.times[place], found.records.inputs[place], is_refused, kinds)

    def failure(self) -> tuple[Any, int, str] | None:
        """The input at which the store stopped, its time and the violation; ``None`` where the log does not end so."""
        for file in reversed(self._files):
            for block in range(len(file.directory) - 1, -1, -1):
                found = file.block(block)
                if found is not None:
                    records = found.records
                    return None if records.failure is None else (records.inputs[-1], records.times[-1], records.failure)
        return None

    def blocks(self, start: int = 0) -> Iterator[tuple[int, int, Block]]:
        """The readable chunks of records from the one with ``start`` on: file, block, content. For loops over everything."""
        if start >= self._count > 0:
            return
        first = self._locate(start)[:2] if self._count else (0, 0)
        for number in range(first[0], len(self._files)):
            file = self._files[number]
            for block in range(first[1] if number == first[0] else 0, len(file.directory)):
                found = file.block(block)
                if found is not None:
                    yield number, block, found

    def contents(self, number: int, block: int) -> Contents:
        """Every action of a block, by replaying it whole: the fast way to many. Never raises `LogError`; says why it stopped."""
        return self._states.contents(number, block)

    def base_of(self, number: int, block: int) -> int:
        """Position of the first action of a block."""
        return self._bases[number] + self._files[number].directory.starts[block]

    # --- inside --------------------------------------------------------------------------------

    def _locate(self, position: int) -> tuple[int, int, int]:
        """File, block, and place in the block."""
        if not 0 <= position < self._count:
            raise IndexError(f"position {position}; the log has {self._count} actions")
        number = bisect_right(self._bases, position) - 1
        directory = self._files[number].directory
        block = directory.block_of(position - self._bases[number])
        return number, block, position - self._bases[number] - directory.starts[block]

    def _dispatch_place(self, position: int) -> tuple[int, int, int]:
        """File, block, and place of the input in the block."""
        number, block, place = self._locate(position)
        found = self._files[number].block(block)
        if found is None or place >= len(found.records.kinds):
            raise LogError(LogFault.CONTENT, f"the chunk with the action at position {position} is damaged")
        return number, block, found.input_of(place)

    def _row(self, number: int, block: int, found: Block, place: int) -> LogAction:
        records = found.records
        at = found.input_of(place)
        base = self._bases[number] + self._files[number].directory.starts[block]
        refused = records.refusals.get(at)
        return LogAction(
            base + place,
            records.first_id + place,
            found.causes[place],
            records.depths[place],
            records.times[at],
            self.schema.name_of(records.kinds[place]),
            base + found.starts[at],
            records.counts[at],
            records.inputs[at],
            () if refused is None else tuple(map(self.schema.name_of, refused)),
        )

    def _unreadable(self, number: int, block: int, position: int, place: int) -> LogAction:
        directory = self._files[number].directory
        return LogAction(position, directory.first_ids[block] + place, 0, 0, directory.times[block], UNREADABLE, position, 1, None, ())


def open_session(
    path: str | Path, *, machine: Machine[Any] | None = None, follow: bool = False, payload_max: int = PAYLOAD_MAX
) -> LogSession:
    """Open the log of one node: a file, or a directory with the files of one log.

    :param machine: to replay by in place of the one that the log names.
    :param follow: the log still grows; see `LogSession.refresh`.
    :param payload_max: bytes of one chunk, uncompressed, above which it counts as damaged; give less for logs from strangers.
    :raises OSError: where it can not be opened.
    :raises LogError: where it is no log, or a log of classes that are not at hand; ``ABSENT`` for a directory
        with no log, or with those of several nodes.
    """
    sessions = open_sessions(path, machine=machine, follow=follow, payload_max=payload_max)
    if len(sessions) == 1:
        return sessions[0]
    nodes = ", ".join(str(session.paths[0].name) for session in sessions[:5])
    for session in sessions:
        session.close()
    raise LogError(LogFault.ABSENT, f"{path} has {len(sessions)} logs, {nodes} …; name one" if sessions else f"no log in {path}")


def open_sessions(
    path: str | Path, *, machine: Machine[Any] | None = None, follow: bool = False, payload_max: int = PAYLOAD_MAX
) -> list[LogSession]:
    """Open every log of a directory, by node; of a file that one.

    :raises OSError: where something can not be opened.
    :raises LogError: as `open_session`, but for the number of logs.
    """
    root = Path(path)
    paths = log_files(root) if root.is_dir() else [root]
    files: list[LogFile] = []
    try:
        files.extend(_opened(found, machine=machine, follow=follow, payload_max=payload_max) for found in paths)
    except BaseException:
        for file in files:
            file.close()
        raise
    groups: dict[tuple[str, str], list[LogFile]] = {}
    for file in sorted(files, key=_part):
        log = file.header.metadata.get("log", file.path.name)
        groups.setdefault((file.header.metadata.get("peer_id", log), log), []).append(file)
    return [LogSession(groups[key]) for key in sorted(groups)]


def _opened(path: Path, *, machine: Machine[Any] | None, follow: bool, payload_max: int) -> LogFile:
    try:
        return LogFile(path, machine=machine, follow=follow, payload_max=payload_max)
    except LogError as error:
        raise LogError(error.fault, f"{path}: {error.detail}") from error


def _part(file: LogFile) -> tuple[int, str]:
    return part_number(file.header.metadata), file.path.name
