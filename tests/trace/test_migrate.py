"""Logs of older classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mina_p2p.errors import CallerError
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, Machine, Store
from mina_p2p.table import Table, empty_table
from mina_p2p.trace import (
    BadChunk,
    BytesSource,
    LogError,
    LogFault,
    Migration,
    Reader,
    Schema,
    State,
    Tape,
    Writer,
    machine_named,
    machines,
    register_machine,
    replay,
)
from mina_p2p_effects.logs import Query, open_session, search


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has names of its own."""
    monkeypatch.setattr(machines, "_machines", {})


def classes(version: int) -> dict[str, Any]:
    """The classes of a till: version 2 renames, adds, moves and retypes; version 3 adds a field with a default."""
    names: dict[str, Any] = {"__module__": "till"}

    def made(name: str, annotations: dict[str, Any], **members: Any) -> Any:
        return record(type(name, (Record,), {"__annotations__": annotations, **names, **members}))

    item = made("Item", {"owner": PeerId, "price": int} if version == 1 else {"price": int, "owner": PeerId, "currency": str})
    sale = made("Sale" if version == 1 else "Sold", {"number": int, "item": item, "tags": tuple[str | bytes | None, ...]})
    done = made("Counted", {"number": int})
    extra = made("Aaa", {"x": int})
    fields: dict[str, Any] = {"items": Table[int, item], "total": int, "last": sale | done | None, "clock": Clock}
    if version == 3:
        fields["tax"] = int
    root = made("Till", fields, **({"tax": 0} if version == 3 else {}))
    return {"item": item, "sale": sale, "done": done, "root": root, "extra": extra}


def machine(version: int) -> tuple[Machine[Any], dict[str, Any]]:
    c = classes(version)

    def reduce(state: Any, action: Any, _now: Timestamp) -> Any:
        if isinstance(action, c["sale"]):
            items = state.items.set(action.number, action.item)
            return state.replace(items=items, total=state.total + action.item.price, last=action), (c["done"](action.number),)
        return state, ()

    actions = [c["sale"], c["done"], *([c["extra"]] if version > 1 else [])]
    return Machine(c["root"], reducers=[(action, reduce) for action in actions]), c


def old_log() -> tuple[bytes, Any]:
    till, c = machine(1)
    store = Store(till, c["root"](empty_table(), 0, None, Clock()))
    writer = Writer(till, "till", store.state, version=1)
    store.observe(writer.add)
    for number in range(40):
        item = c["item"](PeerId(bytes([number]) * 32), 2**70 if number == 7 else number)
        store.dispatch(c["sale"](number, item, ("a", b"b", None)), Timestamp(number))
    writer.close()
    tape = Tape(writer.schema)
    return b"".join(tape.append(chunk) for chunk in writer.take()) + tape.finish(), store.state


def change(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "currency": "MINA"} if name == "till.Item" else fields


TO_2 = Migration({"till.Sale": "till.Sold"}, change)


def test_an_old_log_is_replayed_through_its_migrations() -> None:
    """A renamed action, a moved and a new field: every kind and the last state agree."""
    data, state = old_log()
    till, c = machine(2)
    registered = register_machine("till", till, version=2, migrations={1: TO_2})
    source = Reader(BytesSource(data))
    upgrade = registered.upgrade(source.header())
    assert upgrade is not None
    result = replay(source, registered.machine, registered.schema, upgrade)
    assert (result.divergence, result.notes) == (None, ())
    assert result.is_verified
    assert (result.inputs, result.actions) == (40, 80)
    assert result.hashes >= 1, "checkpoints are compared, the old hashes are not"
    last = [item for item in Reader(BytesSource(data)).items(registered.schema, upgrade=upgrade) if isinstance(item, State)][-1]
    migrated = registered.schema.decode(last.encoded)
    assert migrated.total == state.total
    assert migrated.items[7] == c["item"](2**70, PeerId(bytes([7]) * 32), "MINA")
    assert isinstance(migrated.last, c["sale"])
    assert migrated.last.tags == ("a", b"b", None)


def test_a_new_field_with_a_default_needs_no_migration_of_its_own() -> None:
    """It has the default in the states of old logs."""
    data, state = old_log()
    till, _ = machine(3)
    registered = register_machine("till", till, version=3, migrations={1: TO_2, 2: Migration()})
    source = Reader(BytesSource(data))
    result = replay(source, registered.machine, registered.schema, registered.upgrade(source.header()))
    assert result.is_verified
    assert state.total > 0


def test_a_change_of_behaviour_is_still_found() -> None:
    """Migrating changes the form of records, not what replaying compares."""
    data, _ = old_log()
    c = classes(2)

    def reduce(state: Any, action: Any, _now: Timestamp) -> Any:
        if isinstance(action, c["sale"]):
            follow_ups = () if action.number == 17 else (c["done"](action.number),)
            return state.replace(items=state.items.set(action.number, action.item)), follow_ups
        return state, ()

    till = Machine(c["root"], reducers=[(action, reduce) for action in (c["sale"], c["done"], c["extra"])])
    registered = register_machine("till", till, version=2, migrations={1: TO_2})
    source = Reader(BytesSource(data))
    found = replay(source, till, registered.schema, registered.upgrade(source.header())).divergence
    assert found is not None
    assert (found.recorded_kind, found.replayed_kind) == ("Counted", None)
    assert found.action_id == 17 * 2 + 2
    assert found.path == "total"


def test_a_missing_migration_is_named() -> None:
    """So is a log that is newer than the code."""
    data, _ = old_log()
    till, _ = machine(2)
    header = Reader(BytesSource(data)).header()
    with pytest.raises(LogError, match="no migration from version 1") as raised:
        register_machine("till", till, version=2).upgrade(header)
    assert raised.value.fault is LogFault.SCHEMA
    older = register_machine("older", till, version=0)
    with pytest.raises(LogError, match="version 1"):
        older.upgrade(header)


def test_what_keeps_an_old_log_from_being_read_is_named() -> None:
    """A field that is new and has no default, and one that is gone, with its class and what can be done."""
    data, _ = old_log()
    till, _ = machine(2)
    for changed, what in [
        (lambda _, fields: fields, "till.Item has a field currency now that this log lacks"),
        (lambda name, fields: {**change(name, fields), "surplus": 1}, "till.Item has no field surplus any more"),
    ]:
        registered = register_machine("till", till, version=2, migrations={1: Migration({"till.Sale": "till.Sold"}, changed)})
        source = Reader(BytesSource(data))
        notes = replay(source, till, registered.schema, registered.upgrade(source.header())).notes
        assert any(what in str(note) and "register a Migration" in str(note) for note in notes)


@pytest.mark.parametrize(
    "migration",
    [
        Migration(),
        Migration({"till.Sale": "till.Gone"}, change),
        Migration({"till.Sale": "till.Sold"}, lambda name, fields: {**fields, "surplus": 1}),
        Migration({"till.Sale": "till.Sold"}, lambda name, fields: {**change(name, fields), "price": "x"} if "price" in fields else fields),
        Migration({"till.Sale": "till.Sold"}, lambda name, fields: fields[name]),
    ],
    ids=["none", "to nothing", "surplus field", "wrong type", "fails"],
)
def test_a_wrong_migration_is_reported_and_raises_nothing(migration: Migration) -> None:
    """Its chunks count as damaged, with the reason."""
    data, _ = old_log()
    till, _ = machine(2)
    registered = register_machine("till", till, version=2, migrations={1: migration})
    source = Reader(BytesSource(data))
    result = replay(source, till, registered.schema, registered.upgrade(source.header()))
    assert not result.is_verified
    assert any(isinstance(note, BadChunk) for note in result.notes)


def test_a_log_of_the_same_classes_needs_no_upgrade() -> None:
    """Whatever the versions say."""
    data, _ = old_log()
    till, _ = machine(1)
    assert register_machine("till", till).upgrade(Reader(BytesSource(data)).header()) is None
    assert Schema.of(till).digest == Reader(BytesSource(data)).header().schema_digest


def test_machines_are_registered_once_and_found_by_name() -> None:
    """A function is called when the machine is first needed."""
    till, _ = machine(1)
    asked: list[int] = []

    def lazily() -> Machine[Any]:
        asked.append(1)
        return till

    register_machine("till", lazily)
    register_machine("till", lazily)
    assert not asked
    assert machine_named("till").machine is till
    assert machine_named("till").machine is till
    assert asked == [1]
    with pytest.raises(CallerError, match="taken"):
        register_machine("till", till)
    with pytest.raises(LogError, match="till") as raised:
        machine_named("shop")
    assert raised.value.fault is LogFault.MACHINE


def test_a_session_shows_an_old_log_by_the_present_classes(tmp_path: Path) -> None:
    """Kinds, contents, states and searches are those of the present classes, though the index counts by the old ones."""
    data, _ = old_log()
    path = tmp_path / "old.log"
    path.write_bytes(data)
    till, c = machine(2)
    register_machine("till", till, version=2, migrations={1: TO_2})
    with open_session(path) as session:
        assert session.count == 80
        assert [row.kind for row in session.actions(0, 4)] == ["Sold", "Counted", "Sold", "Counted"]
        assert isinstance(session.content(14), c["sale"])
        assert session.content(14).item.currency == "MINA"
        assert session.state_at(15).items[7].price == 2**70
        assert len(list(search(session, Query(kind="Sold")))) == 40
        assert not list(search(session, Query(kind="Sale")))
