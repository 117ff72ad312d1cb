"""Moving window and replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mina_p2p_effects.debugger.looking import By, look
from mina_p2p_effects.devtools.socketcluster import Asked
from mina_p2p_effects.devtools.viewer import Viewer
from mina_p2p_effects.logs import LogSession, open_session


def place(viewer: Viewer) -> tuple[int, int, int]:
    return viewer.window.start, viewer.window.end, viewer.at


def test_windows_cover_the_log(session: LogSession) -> None:
    """Going on by windows meets every action once, and so does going back."""
    viewer = Viewer(session, "x", count_max=200)
    starts = [viewer.window.start]
    while viewer.move("next"):
        assert viewer.window.start <= viewer.at < viewer.window.end
        starts.append(viewer.window.start)
    assert starts[:-1] == list(range(0, 200 * (len(starts) - 1), 200))
    assert viewer.window.end == session.count
    while viewer.move("previous"):
        pass
    assert viewer.window.start == 0
    assert viewer.move("last")
    assert viewer.window.end == session.count
    assert viewer.at == session.count - 1
    assert viewer.move("first")
    assert place(viewer) == (0, 200, -1)


def test_the_slider_moves_the_replay(session: LogSession) -> None:
    """Every jump of the interface moves the replay to the state after that action, and tells who listens."""
    seen: list[Any] = []
    viewer = Viewer(session, "x", moved=lambda row, state: seen.append((row, state)))
    for position in (10, 499, 3):
        row = session.action(position)
        assert not viewer.take(Asked("DISPATCH", {"type": "JUMP_TO_ACTION", "actionId": row.action_id}))
        assert viewer.at == position
        assert viewer.state == session.state_at(position)
        assert seen[-1] == (row, session.state_at(position))
        assert json.loads(viewer.status())["at"] == row.action_id
    viewer.take(Asked("DISPATCH", {"type": "JUMP_TO_STATE", "actionId": 0, "index": 0}))
    assert viewer.at == -1
    assert seen[-1] == (None, session.state_at(-1))


def test_buttons_of_the_interface(session: LogSession) -> None:
    """Commit begins a window with the current state, Revert goes back to its beginning, Reset to the log's."""
    viewer = Viewer(session, "x", count_max=100)
    viewer.jump(42)
    assert viewer.take(Asked("DISPATCH", {"type": "COMMIT"}))
    assert place(viewer) == (43, 143, 42)
    viewer.jump(60)
    assert viewer.take(Asked("DISPATCH", {"type": "ROLLBACK"}))
    assert place(viewer) == (43, 143, 42)
    assert viewer.take(Asked("DISPATCH", {"type": "RESET"}))
    assert place(viewer) == (0, 100, -1)


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"type": "JUMP_TO_ACTION"},
        {"type": "JUMP_TO_ACTION", "actionId": 10**30},
        {"type": "JUMP_TO_ACTION", "actionId": -5},
        {"type": "SWEEP"},
    ],
)
def test_other_wishes_change_nothing(session: LogSession, action: dict[str, Any]) -> None:
    """What makes no sense for the past, or names nothing, is passed over."""
    viewer = Viewer(session, "x")
    viewer.jump(5)
    assert not viewer.take(Asked("DISPATCH", action))
    assert viewer.at == 5


def test_skip_is_answered(session: LogSession) -> None:
    """The interface shows a Skip button; the bar says why it does nothing."""
    viewer = Viewer(session, "x")
    assert not viewer.take(Asked("DISPATCH", {"type": "TOGGLE_ACTION", "id": 3}))
    assert "can not be skipped" in json.loads(viewer.status())["message"]


def test_go_to_and_find(session: LogSession) -> None:
    """An id, a kind, a peer, a text: the action is near the top of the window."""
    viewer = Viewer(session, "x", count_max=100)
    target = session.count - 40
    assert viewer.move("goto", f"{session.action(target).action_id:,}")
    assert viewer.at == target
    assert viewer.window.start == target - 5
    narrow = Viewer(session, "x", count_max=1)
    assert narrow.move("goto", str(session.action(target).action_id))
    assert place(narrow) == (target, target + 1, target)
    for wrong in ("", "x", "999999999", "9" * 50, "-1"):
        assert not viewer.move("goto", wrong)
        assert "no action" in viewer.message
    viewer.move("first")
    assert viewer.move("find", "poolinsert")
    assert session.action(viewer.at).kind == "PoolInsert"
    assert not viewer.move("find", "(")
    assert "regular expression" in viewer.message
    assert not viewer.move("find", "nowhere to be found")
    assert "nowhere" in viewer.message


def test_trouble(session: LogSession) -> None:
    """The next violation is one button away, and so is the next refusal."""
    viewer = Viewer(session, "x")
    assert viewer.move("violation")
    found = look(session, By.VIOLATION, "", 0)
    assert found is not None
    assert viewer.at == found.position
    assert "broke the protocol" in viewer.message
    viewer.move("first")
    assert viewer.move("refusal")
    assert "refused" in viewer.message


def test_a_log_that_grows(log: Path, tmp_path: Path) -> None:
    """A window at the end goes on showing the end; one elsewhere stays as it is."""
    data = log.read_bytes()
    with open_session(log) as whole:
        cut, count = whole.files[0].directory.offsets[-1], whole.count
    growing = tmp_path / "growing.log"
    growing.write_bytes(data[:cut])
    with open_session(growing, follow=True) as session:
        viewer = Viewer(session, "x", count_max=50)
        viewer.move("last")
        assert not viewer.refresh()
        before = viewer.window.end
        with growing.open("ab") as file:
            file.write(data[cut:])
        assert viewer.refresh()
        assert before < viewer.window.end == count
        assert viewer.at == count - 1
        assert viewer.window.end - viewer.window.start == 50
