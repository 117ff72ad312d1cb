"""`ActionList`: the actions as a tree, of which only the lines on the screen exist."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mina_p2p_effects.debugger.outline import Outline
from mina_p2p_effects.debugger.parts import summary
from mina_p2p_effects.logs import UNREADABLE, LogAction, LogSession
from mina_p2p_effects.logs.text import DEPTH_SHOWN_MAX

_SECOND: Final = 1_000_000_000
_WHEEL_LINES: Final = 3

FAINT: Final = Style(color="grey50")
INPUT: Final = Style(color="bright_cyan", bold=True)
DERIVED: Final = Style(color="grey82")
EFFECT: Final = Style(color="medium_purple1")
REFUSED: Final = Style(color="orange1", bold=True)
DAMAGE: Final = Style(color="red", bold=True)
CURSOR: Final = Style(bgcolor="grey23")
CURSOR_FOCUSED: Final = Style(bgcolor="#1f4a7a")
THUMB: Final = Style(color="grey62")
TROUGH: Final = Style(color="grey23")


class ActionList(Widget, can_focus=True):
    """A window on the log around its cursor; scrolling and folding look at neighbours only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "walk(1)", "next", show=False),
        Binding("up,k", "walk(-1)", "previous", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False),
        Binding("home,g", "end(False)", "first", show=False),
        Binding("end,G", "end(True)", "last", show=False),
        Binding("left,h", "fold", "fold", show=False),
        Binding("right,l", "unfold", "unfold", show=False),
        Binding("right_square_bracket", "input(1)", "next input", show=False),
        Binding("left_square_bracket", "input(-1)", "previous input", show=False),
        Binding("c", "cause", "cause", show=False),
        Binding("z", "fold_inputs", "fold all"),
    ]

    class Moved(Message):
        """The cursor is at another action."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def __init__(self, session: LogSession, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Show a session; the widget is the only one to use it."""
        super().__init__(id=id)
        self.session = session
        self.outline = Outline(session)
        self.cursor = 0
        """Position of the action that is looked at."""
        self.marked: int | None = None
        self._top = 0
        """Position of the action in the first line."""
        self._lines: list[int] = []
        """Positions of the actions on the screen."""
        self._start_time = session.action(0).time if session.count else 0
        self._effects = frozenset(cls.__qualname__ for cls in session.machine.actions if session.machine.is_effect(cls))

    # --- moving --------------------------------------------------------------------------------

    def go(self, position: int) -> None:
        """Put the cursor on an action, unfolding what hides it."""
        if not self.session.count:
            return
        position = max(0, min(position, self.session.count - 1))
        self.outline.reveal(position)
        self._put(position)

    def action_walk(self, count: int) -> None:
        """Some lines down, or up."""
        if self.session.count:
            self._put(self.outline.moved(self.cursor, count))

    def action_page(self, count: int) -> None:
        """A screen down, or up."""
        self.action_walk(count * max(1, self.size.height - 1))

    def action_end(self, is_last: bool) -> None:
        """The first action, or the last."""
        if self.session.count:
            self._put(self.outline.shown(self.session.count - 1) if is_last else 0)

    def action_fold(self) -> None:
        """Hide what follows from the action; where nothing is to hide, go to its cause."""
        if not self.session.count:
            return
        if self.outline.has_children(self.cursor) and not self.outline.is_folded(self.cursor):
            self.outline.set_folded(self.cursor, folded=True)
            self.update_lines()
        else:
            self.action_cause()

    def action_unfold(self) -> None:
        """Show what follows from the action; where that is shown, go to the first of it."""
        if not self.session.count or not self.outline.has_children(self.cursor):
            return
        if self.outline.is_folded(self.cursor):
            self.outline.set_folded(self.cursor, folded=False)
            self.update_lines()
        else:
            self._put(self.cursor + 1)

    def action_fold_inputs(self) -> None:
        """Fold everything to its inputs, or unfold everything."""
        self.outline.fold_inputs(not self.outline.are_inputs_folded)
        if self.session.count:
            self._put(self.outline.shown(self.cursor))

    def action_input(self, direction: int) -> None:
        """The next input, or the one before."""
        if not self.session.count:
            return
        row = self.session.action(self.cursor)
        if direction > 0:
            following = row.root + row.size
            self.go(following if following < self.session.count else self.cursor)
        else:
            self.go(row.root if row.root < self.cursor else self.session.action(max(0, row.root - 1)).root)

    def action_cause(self) -> None:
        """The action that this one follows from."""
        cause = self.session.cause(self.cursor) if self.session.count else None
        if cause is not None:
            self._put(cause)

    def _put(self, position: int) -> None:
        self.cursor = position
        self.update_lines()
        self.post_message(self.Moved(position))

    def update_lines(self) -> None:
        """Find out anew which actions are on the screen, the cursor's among them."""
        if not self.session.count:
            return
        height = max(1, self.size.height)
        self._lines = self.outline.lines(self.outline.shown(min(self._top, self.session.count - 1)), height)
        if self.cursor not in self._lines:
            steps = self._steps_above(height)
            self._lines = self.outline.lines(self.outline.moved(self.cursor, -steps), height)
        self._top = self._lines[0]
        self.refresh()

    def _steps_above(self, height: int) -> int:
        """On which line a cursor that left the screen appears: at the edge it crossed, in the middle after a jump."""
        if self.cursor < self._top:
            return 0 if self.outline.moved(self.cursor, height) >= self._top else height // 2
        return height - 1 if self.outline.moved(self.cursor, -height) <= self._lines[-1] else height // 2

    def on_resize(self) -> None:
        """Keep the cursor on the screen."""
        self.update_lines()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel walks."""
        event.stop()
        self.action_walk(_WHEEL_LINES)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The wheel walks."""
        event.stop()
        self.action_walk(-_WHEEL_LINES)

    def on_click(self, event: Click) -> None:
        """A click chooses a line, one in the last column a place of the log."""
        if not self.session.count:
            return
        if event.x >= self.size.width - 1:
            self.go(event.y * self.session.count // max(1, self.size.height))
            return
        found = self._lines[min(event.y, len(self._lines) - 1)]
        if found == self.cursor and self.outline.has_children(found):
            self.outline.set_folded(found, folded=not self.outline.is_folded(found))
        self._put(found)

    # --- drawing -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        if y >= len(self._lines):
            return Strip([Segment(" " * (width - 1)), self._bar(y)])
        position = self._lines[y]
        line = Strip(self._segments(self.session.action(position)))
        line = line.adjust_cell_length(width - 1)
        if position == self.cursor:
            line = line.apply_style(CURSOR_FOCUSED if self.has_focus else CURSOR)
        return Strip([*line, self._bar(y)])

    def _bar(self, y: int) -> Segment:
        height, count = max(1, self.size.height), self.session.count
        return Segment("█", THUMB) if count and y == self.cursor * height // count else Segment("│", TROUGH)

    def _segments(self, row: LogAction) -> list[Segment]:
        seconds = (row.time - self._start_time) / _SECOND
        flag = "◆" if row.position == self.marked else " "
        segments = [Segment(f"{flag}{row.action_id:>8} ", FAINT), Segment(f"{seconds:>11.6f} " if row.is_input else " " * 12, FAINT)]
        has_children = self.outline.has_children(row.position)
        sign = " " if not has_children else "▸" if self.outline.is_folded(row.position) else "▾"
        segments.append(Segment(f"{'│ ' * min(row.depth, DEPTH_SHOWN_MAX)}{sign} ", FAINT))
        if row.kind == UNREADABLE:
            return [*segments, Segment(row.kind, DAMAGE)]
        style = INPUT if row.is_input else EFFECT if row.kind in self._effects else DERIVED
        segments.append(Segment(row.kind, style))
        if has_children and self.outline.is_folded(row.position):
            segments.append(Segment(f" +{self.outline.end(row.position) - row.position - 1}", FAINT))
        if row.is_input:
            if row.refused:
                segments.append(Segment(f"  ⊘ {len(row.refused)} refused", REFUSED))
            segments.append(Segment(f"  {_fields(row)}", FAINT))
        return segments


def _fields(row: LogAction) -> str:
    """The fields of an input in a few words."""
    text = summary(row.input, 70)
    return text[len(row.kind) + 1 : -1] if text.startswith(f"{row.kind}(") else ""
