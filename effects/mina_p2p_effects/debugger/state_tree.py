"""`StateTree`: a state as a tree, with what changed highlighted."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from mina_p2p_effects.debugger.changes import Changes, Path
from mina_p2p_effects.debugger.state_rows import Folding, Mark, StateRow, state_rows
from mina_p2p_effects.logs.text import printable

_NAME: Final = Style(color="grey70")
_KIND: Final = Style(color="grey58", italic=True)
_TEXT: Final = Style(color="grey82")
_OLD: Final = Style(color="indian_red1", strike=True)
_NEW: Final = Style(color="pale_green1", bold=True)
_GONE: Final = Style(color="indian_red1", strike=True)
_AROUND: Final = Style(color="gold1", bold=True)
_NOTE: Final = Style(color="orange1")
_LATE: Final = Style(dim=True)
_CURSOR: Final = Style(bgcolor="grey23")
_CURSOR_FOCUSED: Final = Style(bgcolor="#1f4a7a")


class StateTree(ScrollView, can_focus=True):
    """The lines of `state_rows`; those on the screen are drawn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "walk(1)", "next", show=False),
        Binding("up,k", "walk(-1)", "previous", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("home,g", "walk(-1000000)", "first", show=False),
        Binding("end,G", "walk(1000000)", "last", show=False),
        Binding("right,l,enter", "open(True)", "open", show=False),
        Binding("left,h", "open(False)", "close", show=False),
        Binding("full_stop", "change(1)", "next change", show=False),
        Binding("comma", "change(-1)", "previous change", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.changes: Changes | None = None
        self.folding = Folding()
        self.rows: list[StateRow] = []
        self.cursor = 0
        """Which of the lines is looked at."""
        self._note = ""
        self._is_late = False

    def set_late(self, *, late: bool) -> None:
        """Dim what is shown, because it is the state of an action that was left, and another is being replayed."""
        if late != self._is_late:
            self._is_late = late
            self.refresh()

    def show(self, changes: Changes) -> None:
        """Show the state after, and how it differs from the one before."""
        self._note = ""
        self.changes = changes
        self.update_rows()
        if not self.has_focus:
            self._show_line(next((n for n, row in enumerate(self.rows) if row.mark not in {Mark.SAME, Mark.AROUND}), self.cursor))

    def show_note(self, text: str) -> None:
        """Say why there is no state."""
        self._note = printable(text)
        self.changes = None
        self.update_rows()

    def update_rows(self) -> None:
        """Make the lines anew; the cursor stays on the part it was on."""
        path: Path = self.rows[self.cursor].path if self.cursor < len(self.rows) else ()
        self.rows = state_rows(self.changes, self.folding) if self.changes is not None else []
        self.cursor = self._nearest(path)
        self.virtual_size = Size(self.size.width, max(1, len(self.rows)))
        self._show_line(self.cursor)
        self.refresh()

    def _nearest(self, path: Path) -> int:
        """The line of a path, else of what holds it."""
        places = {row.path: number for number, row in enumerate(self.rows)}
        while path and path not in places:
            path = path[:-1]
        return places.get(path, 0)

    def action_walk(self, count: int) -> None:
        """Some lines down, or up."""
        self.cursor = max(0, min(self.cursor + count, len(self.rows) - 1))
        self._show_line(self.cursor)
        self.refresh()

    def action_page(self, count: int) -> None:
        """A screen down, or up."""
        self.action_walk(count * max(1, self.size.height - 1))

    def action_open(self, opened: bool) -> None:
        """Open what the cursor is on; close it, or go to what holds it."""
        if not self.rows:
            return
        row = self.rows[self.cursor]
        if row.is_open is not None and row.is_open != opened:
            self.folding.set_open(row.path, opened=opened)
            self.update_rows()
        elif opened and row.is_open:
            self.action_walk(1)
        elif not opened and len(row.path) > 1:
            self.cursor = self._nearest(row.path[:-1])
            self.action_walk(0)

    def action_change(self, direction: int) -> None:
        """The next line that changed, or the one before."""
        last = len(self.rows) if direction > 0 else -1
        for number in range(self.cursor + direction, last, direction):
            if self.rows[number].mark not in {Mark.SAME, Mark.AROUND}:
                self.action_walk(number - self.cursor)
                return

    def _show_line(self, number: int) -> None:
        self.scroll_to_region(Region(0, number, 1, 1), animate=False, force=True)

    def on_click(self, event: Click) -> None:
        """A click chooses a line; another opens or closes it."""
        number = event.y + self.scroll_offset.y
        if number >= len(self.rows):
            return
        row = self.rows[number]
        if number == self.cursor and row.is_open is not None:
            self.folding.set_open(row.path, opened=not row.is_open)
            self.update_rows()
        else:
            self.action_walk(number - self.cursor)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        number = y + self.scroll_offset.y
        width = self.size.width
        if number >= len(self.rows):
            text = self._note if number == 0 else ""
            return Strip([Segment(text, _NOTE)]).adjust_cell_length(width)
        line = Strip(_segments(self.rows[number])).adjust_cell_length(width)
        if number == self.cursor:
            line = line.apply_style(_CURSOR_FOCUSED if self.has_focus else _CURSOR)
        return line.apply_style(_LATE) if self._is_late else line


def _segments(row: StateRow) -> list[Segment]:
    sign = " " if row.is_open is None else "▾" if row.is_open else "▸"
    is_new = row.mark in {Mark.CHANGED, Mark.ADDED}
    lead = {Mark.CHANGED: "~", Mark.ADDED: "+", Mark.REMOVED: "-"}.get(row.mark, " ")
    name = _GONE if row.mark is Mark.REMOVED else _NEW if is_new else _AROUND if row.mark is Mark.AROUND else _NAME
    segments = [
        Segment(f"{lead}{'  ' * (len(row.path) - 1)}{sign} ", name.without_color if row.mark is Mark.SAME else name),
        Segment(row.name, name),
    ]
    if row.is_open:
        return [*segments, Segment(f" {row.kind}", _KIND)] if row.kind else segments
    segments.append(Segment(": ", _NAME))
    if row.was:
        segments += [Segment(row.was, _OLD), Segment(" → ", _NAME)]
    segments.append(Segment(row.text, _GONE if row.mark is Mark.REMOVED else _NEW if is_new else _TEXT))
    return segments
