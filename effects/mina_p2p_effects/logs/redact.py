"""`redact`: a log that can be given away: without the addresses of anybody, and still replayable.

Every address in states and inputs becomes another (`mina_p2p_effects.logs.pseudonyms`), and the
inputs are run again, so the redacted log is a recording like any other: it replays, and its
checksums and state hashes are its own. Addresses inside frames are found where the machine
decoded them, and where they stand as text. Peer ids stay: they tell who did what, and not where.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, cast

from mina_p2p.address import Domain, Ipv4, Ipv6
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, field_names, record
from mina_p2p.store import Steps
from mina_p2p.table import Table
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.writer import Tape, Writer
from mina_p2p_effects.logs.pseudonyms import Pseudonyms
from mina_p2p_effects.logs.session import LogSession

_KEY_BYTES = 32
_DEPTH_MAX = 200


@record
class Redacted(Record):
    """What came of a redaction."""

    addresses: int
    """How many different ones were replaced."""
    inputs: int
    actions: int
    missed: int
    """Inputs that are not in the redacted log, as the state before them is unknown."""
    changed: int
    """Inputs that led to other kinds of actions than in the log; 0 unless the machine acts on more of an address than is kept."""


def redact(session: LogSession, target: Path, *, key: bytes | None = None) -> Redacted:
    """Write the log to ``target`` with other addresses.

    :param key: decides them; a random one by default, which nobody keeps.
    :raises OSError: where the file can not be written, such as ``FileExistsError``.
    :raises LogError: where the log has no readable state, or can not be written by the classes at hand.
    """
    names = Pseudonyms(key or secrets.token_bytes(_KEY_BYTES))
    _learn(session, names)
    run = _Rerun(session, names)
    with target.open("xb") as file:
        for number, block, found in session.blocks():
            run.take(number, block, found)
            for chunk in run.writer.take() if run.is_started else ():
                file.write(run.tape.append(chunk))
        run.close()
        for chunk in run.writer.take():
            file.write(run.tape.append(chunk))
        file.write(run.tape.finish())
    return Redacted(names.count, run.inputs, run.actions, run.missed, run.changed)


def _learn(session: LogSession, names: Pseudonyms) -> None:
    """Name every address that the machine ever decoded, so that frames can be searched for it."""
    for number, block, _ in session.blocks():
        replayed = session.contents(number, block)
        if replayed.before is not None:
            replace(replayed.before, names)
        for action in replayed.actions:
            replace(action, names)


class _Rerun:
    """Runs redacted inputs from a redacted state and records what follows."""

    def __init__(self, session: LogSession, names: Pseudonyms) -> None:
        self._session = session
        self._names = names
        self._machine = session.machine
        self._state: Any = None
        self._writer: Writer | None = None
        self.tape = Tape(session.schema)
        self.inputs = self.actions = self.missed = self.changed = 0
        self._lost = 0
        """Inputs missed since the state was known last."""

    @property
    def is_started(self) -> bool:
        """Whether a state was found to begin with."""
        return self._writer is not None

    @property
    def writer(self) -> Writer:
        """The redacted log.

        :raises LogError: where no state could be read.
        """
        if self._writer is None:
            before = self._session.state_at(-1)
            self._begin(before)
        assert self._writer is not None  # noqa: S101 - made above
        return self._writer

    def take(self, number: int, block: int, found: Any) -> None:
        """Go on with a block."""
        records = found.records
        last = len(records.inputs) - (records.failure is not None)
        replayed = self._session.contents(number, block)
        if replayed.before is None:
            self._lost += len(records.inputs)
            return
        if self._writer is None:
            self._begin(replayed.before)
        elif self._lost:
            self._state = replace(replayed.before, self._names)
            self.writer.gap(self._lost, "the state was unknown when the log was redacted", self._state)
        self.missed += self._lost
        self._lost = 0
        for i in range(last):
            if not self._dispatch(records.inputs[i], Timestamp(records.times[i]), records.kinds[found.starts[i] : found.starts[i + 1]]):
                self._lost += last - i
                return
        if records.failure is not None:
            self.writer.fail(replace(records.inputs[-1], self._names), Timestamp(records.times[-1]), self._names.text(records.failure))

    def _begin(self, state: Any) -> None:
        header = self._session.header
        metadata = {name: self._names.text(text) for name, text in header.metadata.items()} | {"redacted": "addresses"}
        self._state = replace(state, self._names)
        registered = self._session.files[0].registered
        self._writer = Writer(
            self._machine, header.machine, self._state, version=registered.version, metadata=metadata, schema=self._session.schema
        )

    def _dispatch(self, action: Any, now: Timestamp, kinds: tuple[int, ...]) -> bool:
        redacted = replace(action, self._names)
        try:
            self._state, _, first_id, steps, refused = self._machine.execute(self._state, redacted, now)
        except (CallerError, InvariantViolationError):
            return False
        self.writer.add(redacted, now, Steps(first_id, steps, refused), self._state)
        self.inputs += 1
        self.actions += len(steps)
        tags = self._session.schema.tags
        self.changed += tuple([tags[type(step[0])] for step in steps]) != kinds
        return True

    def close(self) -> None:
        """End the log."""
        self.missed += self._lost
        self.writer.close()


def replace(value: Any, names: Pseudonyms, depth: int = 0) -> Any:
    """A state or action with every address in it replaced; the same object where it has none.

    :raises LogError: for values nested without end, which no machine makes.
    """
    if depth > _DEPTH_MAX:
        raise LogError(LogFault.CONTENT, f"nested deeper than {_DEPTH_MAX}")
    match value:
        case Domain() | Ipv4() | Ipv6():
            return names.host(value)
        case PeerId() | None | bool() | int() | float():
            return value
        case str():
            made = names.text(value)
            return value if made == value else type(value)(made)
        case bytes():
            data = names.data(value)
            return value if data == value else type(value)(data)
        case Record():
            fields = {name: (old := getattr(value, name), replace(old, names, depth + 1)) for name in field_names(type(value))}
            changes = {name: new for name, (old, new) in fields.items() if new is not old}
            rebuilt: Any = value
            return rebuilt.replace(**changes) if changes else value
        case tuple():
            return _replace_items(value, names, depth)  # pyright: ignore[reportUnknownArgumentType] - a match leaves the items unknown
        case Table():
            return _replace_table(cast("Table[int, Any]", value), names, depth)
        case _:
            return value


def _replace_items(items: tuple[Any, ...], names: Pseudonyms, depth: int) -> tuple[Any, ...]:
    others = tuple([replace(item, names, depth + 1) for item in items])
    return others if any(a is not b for a, b in zip(items, others, strict=True)) else items


def _replace_table(table: Table[int, Any], names: Pseudonyms, depth: int) -> Table[int, Any]:
    made = table
    for key, old in table.items():
        new = replace(old, names, depth + 1)
        if new is not old:
            made = made.set(key, new)
    return made
