"""The tree of causes: what is shown where parts are folded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_p2p_effects.debugger.outline import Outline
from mina_p2p_effects.logs import LogSession, open_session


@pytest.fixture(scope="module")
def session(log: Path) -> Iterator[LogSession]:
    with open_session(log) as opened:
        yield opened


def shown_by_definition(session: LogSession, outline: Outline, count: int) -> list[int]:
    """Positions none of whose causes is folded."""
    hidden: set[int] = set()
    for position in range(count):
        cause = session.cause(position)
        if cause is not None and (cause in hidden or outline.is_folded(cause)):
            hidden.add(position)
    return [position for position in range(count) if position not in hidden]


def test_everything_is_shown_at_first(session: LogSession) -> None:
    """Nothing is folded in the beginning, so the lines are the log."""
    assert Outline(session).lines(0, 500) == list(range(500))


def test_folded_inputs_leave_inputs(session: LogSession) -> None:
    """With inputs folded exactly these are shown."""
    outline = Outline(session)
    outline.fold_inputs(folded=True)
    inputs = [row.position for row in session.actions() if row.is_input]
    assert outline.lines(0, session.count) == inputs
    assert outline.moved(inputs[-1], -len(inputs)) == 0


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_folding(session: LogSession, data: Any) -> None:
    """Whatever is folded, walking forward and back meets exactly the actions of which no cause is folded."""
    outline = Outline(session)
    outline.fold_inputs(data.draw(st.booleans()))
    for position in data.draw(st.lists(st.integers(0, 399), max_size=12)):
        outline.set_folded(position, folded=not outline.is_folded(position))
    expected = shown_by_definition(session, outline, 400)
    assert outline.lines(0, len(expected)) == expected
    back = [expected[-1]]
    while (before := outline.before(back[-1])) is not None:
        back.append(before)
    assert back[::-1] == expected


def test_reveal_unfolds_what_hides(session: LogSession) -> None:
    """An action that is looked for is shown, whatever was folded; the rest stays folded."""
    outline = Outline(session)
    outline.fold_inputs(folded=True)
    deep = next(row for row in session.actions() if row.depth >= 2)
    assert outline.shown(deep.position) == deep.root
    outline.reveal(deep.position)
    assert outline.shown(deep.position) == deep.position
    other = next(row for row in session.actions(deep.root + deep.size) if row.is_input and row.size > 1)
    assert outline.is_folded(other.position)


def test_children_and_end_agree_with_the_log(session: LogSession) -> None:
    """What an action's subtree spans is what has it among its causes."""
    outline = Outline(session)
    for position in range(300):
        assert outline.has_children(position) == bool(session.children(position))
        below = set(range(position + 1, outline.end(position)))
        assert all(session.cause(inside) in below | {position} for inside in below)
        after = outline.end(position)
        assert after == session.count or session.cause(after) not in below | {position}
