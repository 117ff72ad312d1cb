"""What changed between two states, and the lines that show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table
from mina_p2p_effects.debugger.changes import ABSENT, CHANGES_MAX, Changes
from mina_p2p_effects.debugger.parts import leaf_text, parts, summary
from mina_p2p_effects.debugger.state_rows import PARTS_SHOWN_MAX, Folding, Mark, StateRow, state_rows
from mina_p2p_effects.logs import open_session


@record
class Idle(Record):
    """A state."""


@record
class Busy(Record):
    """Another."""

    since: int


@record
class Root(Record):
    """The whole."""

    number: int
    status: Idle | Busy
    table: Table[int, int]
    pair: tuple[Any, ...] = ()


BEFORE = Root(1, Idle(), Table([(1, 10), (2, 20)]), (1, 2))


def lines(before: Any, after: Any, folding: Folding | None = None) -> dict[str, tuple[Mark, str, str]]:
    rows = state_rows(Changes(before, after), folding or Folding())
    return {".".join(row.path): (row.mark, row.was, row.text) for row in rows}


@pytest.mark.parametrize(
    ("after", "places"),
    [
        (BEFORE, {}),
        (BEFORE.replace(number=2), {("number",): 1}),
        (BEFORE.replace(status=Busy(5)), {("status",): Idle()}),
        (BEFORE.replace(table=BEFORE.table.set(1, 11)), {("table", "1"): 10}),
        (BEFORE.replace(table=BEFORE.table.set(3, 30)), {("table", "3"): ABSENT}),
        (BEFORE.replace(table=BEFORE.table.delete(2)), {("table", "2"): 20}),
        (BEFORE.replace(pair=(1,)), {("pair", "1"): 2}),
        (BEFORE.replace(table=Table([(1, 10), (2, 20)])), {}),
    ],
)
def test_changes(after: Root, places: dict[tuple[str, ...], Any]) -> None:
    """Every changed leaf is named with what was there; what is equal but built anew is none."""
    assert Changes(BEFORE, after).places == places


def test_many_changes_are_bounded() -> None:
    """More than the bound are told as changes of the value that holds them."""
    table: Table[int, int] = Table((i, i) for i in range(2 * CHANGES_MAX))
    after: Table[int, int] = Table((i, i + 1) for i in range(2 * CHANGES_MAX))
    pair = (table, table)
    found = Changes(pair, (after, after))
    assert ("1",) in found.places
    assert len(found) <= 2 * CHANGES_MAX + 1


def test_lines_mark_what_changed() -> None:
    """Changes are opened and marked; the rest stays closed."""
    found = lines(BEFORE, BEFORE.replace(number=2, table=BEFORE.table.set(3, 30).delete(1)))
    assert found["number"] == (Mark.CHANGED, "1", "2")
    assert found["table"][0] is Mark.AROUND
    assert found["table.1"] == (Mark.REMOVED, "", "10")
    assert found["table.2"] == (Mark.SAME, "", "20")
    assert found["table.3"] == (Mark.ADDED, "", "30")
    assert found["pair"][0] is Mark.SAME
    assert "pair.0" not in found


def test_only_changes_hides_the_rest() -> None:
    """On request lines without a change disappear."""
    folding = Folding()
    folding.only_changes = True
    found = lines(BEFORE, BEFORE.replace(table=BEFORE.table.set(3, 30)), folding)
    assert set(found) == {"table", "table.3"}


def test_what_is_gone_can_be_opened() -> None:
    """Parts of a removed value are shown as removed."""
    folding = Folding()
    folding.set_open(("pair", "0"), opened=True)
    found = lines(BEFORE.replace(pair=((7, 8),)), BEFORE.replace(pair=()), folding)
    assert found["pair.0"][0] is Mark.REMOVED
    assert found["pair.0.1"] == (Mark.REMOVED, "", "8")


def test_a_choice_outlives_a_step() -> None:
    """What a person closed stays closed although it changes; reset forgets that."""
    folding = Folding()
    folding.set_open(("table",), opened=False)
    after = BEFORE.replace(table=BEFORE.table.set(3, 30))
    assert "table.3" not in lines(BEFORE, after, folding)
    folding.reset()
    assert "table.3" in lines(BEFORE, after, folding)


def test_large_tables_are_cut_around_their_changes() -> None:
    """Of a table with thousands of entries the first are shown, and every changed one."""
    table: Table[int, int] = Table((i, i) for i in range(5_000))
    before = BEFORE.replace(table=table)
    rows: list[StateRow] = state_rows(Changes(before, before.replace(table=table.set(4_321, 0))), Folding())
    below = [row for row in rows if len(row.path) == 2]
    assert len(below) == PARTS_SHOWN_MAX + 2
    assert any(row.name == "4321" and row.mark is Mark.CHANGED for row in below)
    assert below[-1].text == "4899 more, as before"


def test_every_step_of_a_log(log: Path) -> None:
    """States of a real log: the clock's changes are found in every dispatch, and lines can be made of any state."""
    with open_session(log) as session:
        for position in range(0, session.count, 29):
            changes = Changes(session.state_before(position), session.state_at(position))
            rows = state_rows(changes, Folding())
            shown = {row.path for row in rows}
            assert all(path in shown for path in changes.places)
            row = session.action(position)
            if position == row.root + row.size - 1:
                assert ("clock", "last_action_id") in changes.places


def test_index_and_deadlines_show_their_entries() -> None:
    """Salted buckets are no business of a reader."""
    empty: Index[int] = Index(b"salt")
    index = empty.set(b"\x01", 5).set(b"\x02", 6)
    assert parts(index) == [("01", 5), ("02", 6)]
    assert summary(index) == "2 entries"
    waits = Deadlines(10).add(Timestamp(25), 7)
    assert parts(waits) == [("30", (7,))]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x01\x02", "0102"),
        (b"\0" * 40, f"{'00' * 32}… (40 bytes)"),
        (Mark.SAME, "SAME"),
        ("x", "x"),
        ("\x1b[2J\nhi", "\\x1b[2J\\nhi"),
        ("y" * 999, "y" * 200 + "…"),
        (None, "None"),
    ],
)
def test_leaf_text(value: Any, text: str) -> None:
    """Bytes are hexadecimal and cut, enums are names, and text of a peer does nothing to the terminal."""
    assert leaf_text(value) == text
