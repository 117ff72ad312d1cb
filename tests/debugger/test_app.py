"""A walk through a log by keys."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual", reason="the debugger needs the extra ui")

from textual.pilot import Pilot
from textual.widgets import Input, Static

from debugger.screenshots import keep, plain_svg
from mina_p2p_effects.cli import main
from mina_p2p_effects.debugger.app import DebuggerApp
from mina_p2p_effects.debugger.looking import By, look
from mina_p2p_effects.debugger.state_rows import Mark
from mina_p2p_effects.logs import LogAction, LogSession, open_session

SIZE = (132, 40)


class Walk:
    """Hands on the keys, eyes on the screen."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[None], session: LogSession) -> None:
        self.app = app
        self.pilot = pilot
        self.session = session

    async def press(self, *keys: str) -> None:
        """Press keys one by one and wait until all that they began is done."""
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()
            await self.app.workers.wait_for_complete()
            await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type into the line at the bottom."""
        await self.pilot.press(text[0])
        self.app.query_one(Input).insert_text_at_cursor(text[1:])  # the pilot takes a tenth of a second per key
        await self.press("enter")

    @property
    def at(self) -> int:
        return self.app.actions.cursor

    @property
    def row(self) -> LogAction:
        return self.session.action(self.at)

    def text(self, name: str) -> str:
        return str(self.app.query_one(f"#{name}", Static).render())

    def lines(self) -> list[str]:
        """The pane of actions, as text."""
        actions = self.app.actions
        return [actions.render_line(y).text for y in range(actions.size.height)]

    def picture(self, name: str) -> None:
        keep(name, plain_svg(self.app.export_screenshot(title="mina-p2p debug")))


def walk(log: Path, story: Callable[[Walk], Awaitable[None]], **options: Any) -> None:
    """Run a story in the debugger."""

    async def run() -> None:
        with open_session(log) as session:
            app = DebuggerApp(lambda: open_session(log, follow=options.get("follow", False)), "node.log", **options)
            async with app.run_test(size=SIZE) as pilot:
                walker = Walk(app, pilot, session)
                await walker.press("shift")
                await story(walker)

    asyncio.run(run())


def test_forward_and_back_in_time(log: Path) -> None:
    """Each step shows the state after the action, and what the action changed, both ways."""

    async def story(it: Walk) -> None:
        assert it.at == 0
        for key, expected in [("down", 1), ("j", 2), ("down", 3), ("up", 2), ("k", 1), ("home", 0), ("end", it.session.count - 1)]:
            await it.press(key)
            assert it.at == expected
            changes = it.app.state_tree.changes
            assert changes is not None
            assert changes.before == it.session.state_before(expected)
            assert changes.after == it.session.state_at(expected)
            assert f"action {it.row.action_id} " in it.text("title")
            assert it.row.kind in it.text("action")
            assert any(it.row.kind in line for line in it.lines())
        await it.press("pageup")
        assert it.at == it.session.count - 1 - (it.app.actions.size.height - 1)

    walk(log, story)


def test_folding_and_the_tree_of_causes(log: Path) -> None:
    """Inputs fold and unfold what followed from them; ``c`` goes to the cause."""

    async def story(it: Walk) -> None:
        await it.press("z")
        positions = [row.position for row in it.session.actions() if row.is_input]
        ids = [int(line.split()[0]) for line in it.lines()]
        assert ids == [it.session.action(position).action_id for position in positions[: len(ids)]]
        parent = next(row for row in it.session.actions() if row.is_input and row.size > 3)
        while it.at != parent.position:
            await it.press("down")
        it.picture("debug-folded.svg")
        await it.press("right", "right")
        assert it.at == parent.position + 1
        await it.press("c")
        assert it.at == parent.position
        await it.press("left", "down")
        assert it.at == parent.root + parent.size
        await it.press("left_square_bracket")
        assert it.at == parent.position
        await it.press("z", "right_square_bracket")
        assert it.at == parent.position + parent.size

    walk(log, story)


def test_searches(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind, peer, text and id; next and previous; what is not there is said, and how far a search is."""

    async def story(it: Walk) -> None:
        await it.press("f")
        await it.type("poolinsert")
        first = it.at
        assert it.row.kind == "PoolInsert"
        await it.press("n")
        assert it.at > first
        await it.press("N")
        assert it.at == first
        await it.press("p")
        connected = look(it.session, By.KIND, "PeerConnected", 0)
        assert connected is not None
        peer = str(it.session.content(connected.position).peer_id)[:9]
        await it.type(peer)
        assert it.at == look(it.session, By.PEER, peer, first + 1).position  # type: ignore[union-attr]
        await it.press("slash")
        await it.type("BEST_TIP")
        assert "BEST_TIP" in repr(it.session.content(it.at))
        await it.press("slash")
        await it.type("(")
        assert "no regular expression" in it.text("message")
        await it.press("f")
        await it.type("nosuchkind")
        assert "no later kind nosuchkind" in it.text("message")
        said: list[str] = []
        say = it.app._say
        monkeypatch.setattr(it.app, "_say", lambda text: (said.append(text), say(text)))
        await it.press("g", "slash")
        await it.type("no such text")
        assert "no later text no such text" in it.text("message")
        shares = [int(text.split(": ")[1].split(" %")[0]) for text in said if " % (Esc" in text]
        assert len(shares) > 1
        assert shares == sorted(set(shares))
        await it.press("colon")
        await it.type(str(it.session.action(77).action_id))
        assert it.at == 77
        await it.press("colon")
        await it.type("99999999")
        assert "no action 99999999" in it.text("message")
        assert it.at == 77

    walk(log, story)


def test_first_violation_and_refusals(log: Path) -> None:
    """``!`` goes to where a peer broke the protocol, ``r`` and ``R`` through refusals, ``v`` and ``V`` through violations."""

    async def story(it: Walk) -> None:
        await it.press("exclamation_mark")
        found = look(it.session, By.VIOLATION, "", 0)
        assert found is not None
        assert it.at == found.position
        assert "broke the protocol" in it.text("message")
        it.picture("debug-violation.svg")
        await it.press("home", "r", "r")
        second = it.at
        assert it.session.action(it.row.root).refused
        await it.press("R")
        assert it.at < second
        await it.press("v")
        assert it.at == found.position
        await it.press("end", "V")
        assert it.at == look(it.session, By.VIOLATION, "", it.session.count - 1, backward=True).position  # type: ignore[union-attr]

    walk(log, story)


def test_the_state(log: Path) -> None:
    """Tab goes to the state: parts open and close, changes are stepped through, what did not change can be hidden."""

    async def story(it: Walk) -> None:
        insert = look(it.session, By.KIND, "PoolInsert", 0)
        assert insert is not None
        await it.press("f")
        await it.type("PoolInsert")
        tree = it.app.state_tree
        assert any(row.path[0] == "pools" and row.mark is Mark.ADDED for row in tree.rows)
        it.picture("debug-state.svg")
        await it.press("tab")
        assert tree.has_focus
        await it.press("full_stop")
        assert tree.rows[tree.cursor].mark in {Mark.CHANGED, Mark.ADDED}
        await it.press("comma", "g")
        assert tree.cursor == 0
        count = len(tree.rows)
        await it.press("right")
        assert len(tree.rows) == count + 2
        await it.press("right", "left")
        assert tree.cursor == 0
        await it.press("left")
        assert len(tree.rows) == count
        assert tree.cursor == 0
        await it.press("d")
        assert all(row.mark is not Mark.SAME for row in tree.rows)
        await it.press("d", "x", "G")
        assert tree.cursor == len(tree.rows) - 1
        tree.set_late(late=True)
        assert all(segment.style is not None and segment.style.dim for segment in tree.render_line(0))
        await it.press("tab", "down")
        assert not any(segment.style is not None and segment.style.dim for segment in tree.render_line(0))

    walk(log, story)


def test_comparing_with_a_mark(log: Path) -> None:
    """From a mark on, changes are those since the marked action; without it, those of each step."""

    async def story(it: Walk) -> None:
        await it.press("m", *["right_square_bracket"] * 12)
        assert it.app.state_tree.changes is not None
        assert it.app.state_tree.changes.before == it.session.state_at(0)
        assert "compared with action" in it.text("title")
        await it.press("u")
        assert it.app.state_tree.changes.before == it.session.state_before(it.at)

    walk(log, story)


def test_help_and_quit(log: Path) -> None:
    """The keys are one key away, and so is the end."""

    async def story(it: Walk) -> None:
        await it.press("question_mark")
        assert it.app.screen.query("#help")
        it.picture("debug-help.svg")
        await it.press("escape")
        assert not it.app.screen.query("#help")
        await it.press("slash", "escape")
        assert it.app.actions.has_focus
        await it.press("q")
        assert it.app._exit

    walk(log, story)


def test_a_log_that_grows(log: Path, tmp_path: Path) -> None:
    """What is appended appears; a cursor at the end stays at the end."""
    data = log.read_bytes()
    with open_session(log) as session:
        whole = session.count
        cut = session.files[0].directory.offsets[-1]
    growing = tmp_path / "growing.log"
    growing.write_bytes(data[:cut])

    async def story(it: Walk) -> None:
        await it.press("end")
        assert it.at < whole - 1
        assert "growing" in it.text("title")
        with growing.open("ab") as file:
            file.write(data[cut:])
        it.app.grow()
        await it.press("shift")
        assert it.at == whole - 1

    walk(growing, story, follow=True)


def test_the_timer_may_look_once_more_while_the_screen_is_taken_down(log: Path) -> None:
    """Without its panes, of which one says where the cursor is."""

    async def story(it: Walk) -> None:
        await it.app.query_one("#panes").remove()
        it.app.grow()

    walk(log, story, follow=True)


def test_a_key_costs_a_screen_not_a_log(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key looks at more actions than some screens full, wherever it goes and whatever is folded."""
    asked = [0]
    original = LogSession.action

    def counted(self: LogSession, position: int) -> LogAction:
        asked[0] += 1
        return original(self, position)

    async def story(it: Walk) -> None:
        monkeypatch.setattr(LogSession, "action", counted)
        for key in ["down", "end", "up", "pageup", "home", "pagedown", "z", "end", "pageup", "home", "down", "right", "z"]:
            asked[0] = 0
            await it.press(key)
            assert 0 < asked[0] < 30 * SIZE[1], key

    walk(log, story)


def test_damage_is_shown_as_damage(log: Path, tmp_path: Path) -> None:
    """Actions of a damaged chunk keep their lines; their state is said to be unknown."""
    data = bytearray(log.read_bytes())
    with open_session(log) as session:
        offset = session.files[0].directory.offsets[0]
    data[offset + 100] ^= 0xFF
    damaged = tmp_path / "damaged.log"
    damaged.write_bytes(data)

    async def story(it: Walk) -> None:
        assert "unreadable" in it.lines()[0]
        assert "unknown" in it.app.state_tree.render_line(0).text

    walk(damaged, story)


def test_command_line_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no log is told in a sentence, with exit code 2."""
    file = tmp_path / "x.log"
    file.write_bytes(b"no log")
    assert main(["debug", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mina-p2p debug:")
    assert f"{file}: a log begins with" in said


def test_without_the_extra(log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Textual the command names the extra."""
    monkeypatch.delitem(sys.modules, "mina_p2p_effects.debugger.app")
    monkeypatch.setitem(sys.modules, "textual", None)
    assert main(["debug", str(log)]) == 2
    assert "pip install 'mina-p2p[ui]'" in capsys.readouterr().err
