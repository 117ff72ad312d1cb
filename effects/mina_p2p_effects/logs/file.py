"""`LogFile`: one log file, its directory, and the chunks of it that are in use."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from mina_p2p.store import Machine
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.machines import RegisteredMachine, machine_named
from mina_p2p.trace.reader import Item, Reader, State
from mina_p2p.trace.records import Header, Records
from mina_p2p_effects.logs.directory import UNKNOWN, Directory, Surveyor
from mina_p2p_effects.recorder import part_path
from mina_p2p_effects.replay import FileSource, part_number

_HELD_BYTES_MAX: Final = 4 << 20
"""Stored bytes of chunks that are kept decoded; decoded they take some twenty times as much."""

PAYLOAD_MAX: Final = 320 << 20


class Block:
    """A chunk of records, decoded, with what is asked of it again and again."""

    __slots__ = ("causes", "records", "starts")

    def __init__(self, records: Records) -> None:
        self.records: Final = records
        self.starts: Final = list(accumulate(records.counts, initial=0))
        """Per input, and one more for the end: how many actions of the block come before it."""
        self.causes: Final = records.causes()

    def input_of(self, place: int) -> int:
        """The place of the input that the action at ``place`` of the block follows from."""
        return bisect_right(self.starts, place) - 1


class LogFile:
    """One file of a log."""

    def __init__(self, path: Path, *, machine: Machine[Any] | None = None, follow: bool = False, payload_max: int = PAYLOAD_MAX) -> None:
        """Open it and learn where its actions are.

        :param machine: in place of the one that the log names; its classes must be those of the log.
        :param follow: the file still grows; see `refresh`.
        :param payload_max: bytes of one chunk, uncompressed, above which it counts as damaged.
        :raises OSError: where it can not be opened.
        :raises LogError: where it is no log, or a log of classes that are not at hand.
        """
        self.path = path
        self._machine = machine
        self._payload_max = payload_max
        self._source = FileSource(path)
        try:
            self._open(machine, follow=follow, payload_max=payload_max)
        except BaseException:
            self._source.close()
            raise

    def _open(self, machine: Machine[Any] | None, *, follow: bool, payload_max: int) -> None:
        self._reader = Reader(self._source, payload_max=payload_max)
        self.header: Header = self._reader.header()
        if machine is None:
            self.registered = machine_named(self.header.machine)
        else:
            self.registered = RegisteredMachine(self.header.machine, machine, self.header.machine_version, {})
        self.schema = self.registered.schema
        self._upgrade = self.registered.upgrade(self.header)
        self._held: OrderedDict[int, tuple[Block | None, int]] = OrderedDict()
        self._held_bytes = 0
        self._follow = follow
        digests = {self.schema.digest, self.header.schema_digest}
        self._surveyor = Surveyor(self._reader, self._read, frozenset(digests))
        if follow or not self._surveyor.use_index():
            self._surveyor.walk(follow=follow)
        if self._upgrade is not None:
            # The index names kinds by the numbers of the log's own schema.
            self.directory.tags = [b""] * len(self.directory)

    @property
    def directory(self) -> Directory:
        """Where the actions are."""
        return self._surveyor.directory

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def refresh(self) -> None:
        """Learn what the file has grown by; for a file that was opened with ``follow``."""
        if self._follow:
            self._surveyor.walk(follow=True)

    def following(self) -> LogFile | None:
        """The next file of a log that rotates, opened as this one was; ``None`` where it is not there, or has only begun."""
        log, part = self.header.metadata.get("log"), part_number(self.header.metadata)
        path = part_path(self.path, part, part + 1)
        if log is None or not path.exists():
            return None
        try:
            found = LogFile(path, machine=self._machine, follow=self._follow, payload_max=self._payload_max)
        except LogError:
            return None
        if (found.header.metadata.get("log"), part_number(found.header.metadata)) == (log, part + 1):
            return found
        found.close()
        return None

    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size()

    def block(self, number: int) -> Block | None:
        """The actions of a block; ``None`` where it is damaged or not what the directory says."""
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number][0]
        item = self._read(self.directory.offsets[number])
        block = Block(item) if isinstance(item, Records) and item.first_id == self.directory.first_ids[number] else None
        offsets = self.directory.offsets
        cost = (offsets[number + 1] if number + 1 < len(offsets) else self.size()) - offsets[number]
        self._held[number] = block, cost
        self._held_bytes += cost
        while self._held_bytes > _HELD_BYTES_MAX and len(self._held) > 1:
            _, (_, freed) = self._held.popitem(last=False)
            self._held_bytes -= freed
        return block

    def inputs_of(self, number: int) -> int:
        """How many inputs a block has; reads it where no index says so."""
        inputs = self.directory.inputs
        if inputs[number] == UNKNOWN:
            block = self.block(number)
            inputs[number] = 0 if block is None else len(block.records.inputs)
        return inputs[number]

    def state_of(self, offset: int) -> Any:
        """The state in the checkpoint at an offset.

        :raises LogError: where it is damaged, or of classes that are not at hand.
        """
        place = f"the checkpoint at byte {offset} of {self.path.name}"
        try:
            item = self._reader.item_at(offset, self.schema, upgrade=self._upgrade)
            state = self.schema.decode(item.encoded) if isinstance(item, State) else None
        except LogError as error:
            raise LogError(error.fault, f"{place}: {error.detail}") from error
        if not isinstance(state, self.registered.machine.root):
            raise LogError(LogFault.CONTENT, f"{place} is no state of {self.registered.name}")
        return state

    def _read(self, offset: int) -> Item | None:
        try:
            return self._reader.item_at(offset, self.schema, upgrade=self._upgrade)
        except LogError:
            return None
