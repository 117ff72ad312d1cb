"""Windows of a log, as the interface reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.retrocycle import parse
from mina_p2p.record import Record, record
from mina_p2p.table import Table
from mina_p2p_effects.devtools import window as window_module
from mina_p2p_effects.devtools.jsan import CLASS_KEY, Writer, plain
from mina_p2p_effects.devtools.window import ACTIONS_MAX, INIT_ID, make_window
from mina_p2p_effects.logs import LogSession, open_session


@record
class Leaf(Record):
    """A part."""

    text: str


@record
class Whole(Record):
    """What holds parts."""

    odd: Table[int, Leaf]
    leaf: Leaf
    number: int = 0


def test_shared_parts_are_written_once() -> None:
    """A part that two values share is a reference in the second, which reads as the same object."""
    first = Whole(Table([(7, Leaf("long" * 40))]), Leaf("x"))
    writer = Writer()
    writer.add("state", first)
    alone = writer.size
    writer.add("state", first.replace(number=1))
    assert writer.size < 2 * alone - 150
    one, two = parse(writer.text())
    assert one["state"]["odd"] is two["state"]["odd"]
    expected = {
        CLASS_KEY: "Whole",
        "odd": {"7": {CLASS_KEY: "Leaf", "text": "long" * 40}},
        "leaf": {CLASS_KEY: "Leaf", "text": "x"},
        "number": 0,
    }
    assert one["state"] == expected
    assert two["state"]["number"] == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, str(2**53)),
        (-(2**53), str(-(2**53))),
        (True, True),
        (None, None),
        (b"\x01", "01"),
        ("é", "é"),
        (0.5, "0.5"),
    ],
)
def test_leaves(value: Any, expected: Any) -> None:
    """Numbers that a browser would round, and bytes, are text."""
    assert plain((value,)) == [expected]


def without_references(state: Any) -> Any:
    """A state written alone has nothing to refer to but itself."""
    writer = Writer()
    writer.add("state", state)
    return parse(writer.text())[0]["state"]


def test_a_window_reads_as_the_states_of_the_log(session: LogSession) -> None:
    """Every state of a window is, in the interface, what the replay gives."""
    made = make_window(session, 100, "node.log", at=150)
    request = json.loads(made.request)
    states = parse(request["computedStates"])
    actions = parse(request["actionsById"])
    assert len(states) == ACTIONS_MAX + 1 == len(actions)
    for place in range(0, len(states), 37):
        assert states[place]["state"] == without_references(session.state_at(99 + place))
    staged = request["payload"]["stagedActionIds"]
    assert staged == [INIT_ID, *[session.action(position).action_id for position in range(100, 600)]]
    assert request["payload"]["currentStateIndex"] == 51
    row = session.action(150)
    assert actions[str(row.action_id)]["action"]["type"] == "· " * row.depth + row.kind
    assert actions[str(row.action_id)]["timestamp"] == row.time // 1_000_000


def test_sharing_keeps_a_window_small(session: LogSession) -> None:
    """500 states take little more than ten alone."""
    alone = Writer()
    alone.add("state", session.state_at(600))
    made = make_window(session, 500, "node.log", at=0)
    assert len(made.request) < 1_000_000 + 20 * alone.size


def test_a_window_is_bounded(session: LogSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 500 actions, the rest of the log where that is less, and an end where changes are large."""
    assert make_window(session, 0, "x", at=0, count_max=7).end == 7
    last = make_window(session, session.count - 3, "x", at=0)
    assert (last.start, last.end) == (session.count - 3, session.count)
    monkeypatch.setattr(window_module, "TEXT_MAX", 20_000)
    small = make_window(session, 0, "x", at=0)
    assert 0 < small.end < ACTIONS_MAX


def test_damage_is_an_error_of_its_state(log: Path, tmp_path: Path) -> None:
    """Where the state is unknown the interface is told so, in its own way."""
    data = bytearray(log.read_bytes())
    with open_session(log) as whole:
        data[whole.files[0].directory.offsets[0] + 100] ^= 0xFF
    damaged = tmp_path / "damaged.log"
    damaged.write_bytes(data)
    with open_session(damaged) as session:
        states = parse(json.loads(make_window(session, 0, "x", at=0, count_max=3).request)["computedStates"])
    assert len(states) == 4
    assert all("damaged" in state["error"] for state in states[1:])
