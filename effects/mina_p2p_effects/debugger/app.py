"""`DebuggerApp`: the actions beside the state, and below them the action that is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ClassVar, Final, TypeVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from mina_p2p.errors import MinaP2pError
from mina_p2p.trace.errors import LogError
from mina_p2p_effects.debugger.action_list import ActionList
from mina_p2p_effects.debugger.action_text import action_lines
from mina_p2p_effects.debugger.changes import Changes
from mina_p2p_effects.debugger.looking import By, Found, look
from mina_p2p_effects.debugger.state_tree import StateTree
from mina_p2p_effects.logs import LogSession
from mina_p2p_effects.logs.text import printable

T = TypeVar("T")

_DIGITS_MAX: Final = 18
_FOLLOW_SECONDS: Final = 0.5
_LATE_SECONDS: Final = 0.2
"""A state that takes longer to replay leaves the one before on the screen, dimmed."""
_HINTS: Final = {
    By.KIND: "kind: part of its name",
    By.PEER: "peer: how its id begins, or #7 for a connection",
    By.TEXT: "text: a regular expression in the action as it is printed",
}

HELP: Final = """\
MOVE                                  STATE (Tab changes the pane)
↑ ↓  j k       line                   → ←   open, close
PgUp PgDn      screen                 . ,   next, previous change
Home End  g G  first, last action     d     changes only
[ ]            previous, next input   x     close what was opened by hand
c              go to the cause        m     mark: compare with here
:              go to an id            u     compare with the action before

FOLD                                  SEARCH
← →            fold, unfold           / f p by text, by kind, by peer
z              to inputs, or unfold   n N   next, previous match
                                      !     first violation, else refusal
OTHER                                 v V   next, previous violation
?              this help              r R   next, previous refusal
q              quit                   Esc   end a search
"""


class HelpScreen(ModalScreen[None]):
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(HELP.rstrip(), id="help", markup=False)


class _Reader:
    """A session of its own, in a thread of its own, opened when it is needed first."""

    def __init__(self, open_session: Callable[[], LogSession]) -> None:
        self._open = open_session
        self._session: LogSession | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mina-p2p-debug")
        self._is_behind = False

    async def ask(self, question: Callable[[LogSession], T], is_wanted: Callable[[], bool]) -> T | None:
        """Answer in the thread, after what was asked before; ``None`` where nobody wants to know any more."""

        def answer() -> T | None:
            if not is_wanted():
                return None
            session = self._session
            if session is None:
                session = self._session = self._open()
            elif self._is_behind:
                self._is_behind = False
                session.refresh()
            return question(session)

        return await asyncio.get_running_loop().run_in_executor(self._thread, answer)

    def refresh(self) -> None:
        """The log has grown: learn that before the next answer."""
        self._is_behind = True

    def close(self) -> None:
        """Let go; a question that is being answered fails, and nobody is told."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._session is not None:
            self._session.close()


class DebuggerApp(App[None]):
    """Time travel through one log."""

    TITLE = "mina-p2p debug"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $primary-background; color: $text; padding: 0 1; }
    #panes { height: 1fr; }
    #actions { width: 11fr; border-right: solid $primary-background; }
    #state { width: 9fr; padding: 0 0 0 1; scrollbar-size-vertical: 1; }
    #action { height: 9; border-top: solid $primary-background; padding: 0 1; }
    #ask { display: none; border: none; height: 1; padding: 0 1; background: $boost; }
    #ask.asking { display: block; }
    #message { height: 1; color: $warning; padding: 0 1; }
    HelpScreen { align: center middle; }
    #help { width: 82; height: auto; border: round $primary; padding: 1 2; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "ask('text')", "text"),
        Binding("f", "ask('kind')", "kind"),
        Binding("p", "ask('peer')", "peer"),
        Binding("n", "again(False)", "next match"),
        Binding("N", "again(True)", "previous match", show=False),
        Binding("exclamation_mark", "first_trouble", "first violation"),
        Binding("v", "next('violation', 1)", "next violation", show=False),
        Binding("V", "next('violation', -1)", "previous violation", show=False),
        Binding("r", "next('refusal', 1)", "next refusal", show=False),
        Binding("R", "next('refusal', -1)", "previous refusal", show=False),
        Binding("colon", "ask('id')", "go to"),
        Binding("d", "only_changes", "changes only"),
        Binding("m", "mark", "mark"),
        Binding("u", "unmark", "unmark", show=False),
        Binding("x", "reset_folding", "close all", show=False),
        Binding("escape", "stop", "stop", show=False),
        Binding("question_mark", "help", "help"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, open_session: Callable[[], LogSession], name: str, *, at: int = 0, follow: bool = False) -> None:
        """Nothing is opened yet.

        :param open_session: opens the log; called for what is on the screen, and for states and searches, which have
            threads of their own. The sessions are closed with the program.
        :param name: what to call the log.
        :param at: position of the action to begin with.
        :param follow: the log still grows.
        """
        super().__init__()
        self._log_name = printable(name)
        self._at = at
        self._is_following = follow
        self._session = open_session()
        self._states, self._searches = _Reader(open_session), _Reader(open_session)
        self._asked: By | None = None
        """What the line that is typed into is for; ``None`` for an id."""
        self._last: tuple[By, str] | None = None
        self._search_number = 0

    # --- parts ---------------------------------------------------------------------------------

    @property
    def actions(self) -> ActionList:
        """The pane of actions."""
        return self.query_one("#actions", ActionList)

    @property
    def state_tree(self) -> StateTree:
        """The pane of the state."""
        return self.query_one("#state", StateTree)

    def compose(self) -> ComposeResult:
        """The screen."""
        yield Static(id="title")
        with Horizontal(id="panes"):
            yield ActionList(self._session, id="actions")
            yield StateTree(id="state")
        yield Static(id="action")
        yield Input(id="ask")
        yield Static(id="message")
        yield Footer()

    def on_mount(self) -> None:
        """Begin."""
        self.theme = "textual-dark"
        self.actions.focus()
        if self._session.count:
            self.actions.go(self._at)
        else:
            self._say("the log has no actions")
        if self._is_following:
            self.set_interval(_FOLLOW_SECONDS, self.grow)

    def on_unmount(self) -> None:
        """End, with whatever is still read."""
        self._search_number += 1
        self._states.close()
        self._searches.close()
        self._session.close()

    # --- where we are --------------------------------------------------------------------------

    def on_action_list_moved(self, message: ActionList.Moved) -> None:
        """Show what belongs to the action."""
        row = self._session.action(message.position)
        counted = f"{message.position + 1:,} of {self._session.count:,}"
        node = printable(self._session.node)
        title = Text.assemble(
            (self._log_name, "bold"), f"  {node[:12]}…" if len(node) > 13 else "", f"   action {row.action_id} ({counted})"
        )
        if self.actions.marked is not None:
            title.append(f"   compared with action {self._session.action(self.actions.marked).action_id}", "gold1")
        if not self._session.is_closed:
            title.append("   growing" if self._is_following else "   not closed", "orange1")
        self.query_one("#title", Static).update(title)
        self._show(message.position)

    @work(exclusive=True, group="state")
    async def _show(self, position: int) -> None:
        """The state after an action, and the action itself; made in a thread, for the action that is looked at by then."""
        marked = self.actions.marked

        def is_wanted() -> bool:
            return self.actions.cursor == position

        late = self.set_timer(_LATE_SECONDS, lambda: self.state_tree.set_late(late=True))
        try:
            found = await self._states.ask(lambda session: _seen(session, position, marked), is_wanted)
        finally:
            late.stop()
        if found is None:
            return
        self.state_tree.set_late(late=False)
        changes, lines, note = found
        if changes is not None:
            self.state_tree.show(changes)
        else:
            self.state_tree.show_note(note)
        self.query_one("#action", Static).update(lines)

    def grow(self) -> None:
        """Learn what the log has grown by; a cursor at its end stays there."""
        if not self.query("#actions"):  # the screen is being taken down, and the timer is not yet
            return
        before = self._session.count
        was_last = self.actions.cursor >= before - 1
        if self._session.refresh() == before:
            return
        self._states.refresh()
        self._searches.refresh()
        if was_last:
            self.actions.action_end(is_last=True)
        else:
            self.actions.update_lines()

    def _say(self, text: str) -> None:
        self.query_one("#message", Static).update(Text(printable(text)))

    # --- commands ------------------------------------------------------------------------------

    def action_ask(self, what: str) -> None:
        """Let a line be typed."""
        self._asked = None if what == "id" else By(what)
        line = self.query_one("#ask", Input)
        line.placeholder = "id of an action" if self._asked is None else _HINTS[self._asked]
        line.value = ""
        line.add_class("asking")
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do what the line is for."""
        text = event.value.strip()
        self._close_line()
        if not text:
            return
        if self._asked is not None:
            self._last = self._asked, text
            self._look(self._asked, text, self.actions.cursor + 1, backward=False)
            return
        try:
            self.actions.go(self._session.position_of(int(text) if text.isdecimal() and len(text) <= _DIGITS_MAX else 0))
        except LogError:
            self._say(f"the log has no action {text}")

    def action_again(self, backward: bool) -> None:
        """The next match of the last search, or the one before."""
        if self._last is None:
            self._say("nothing was searched for yet: / f p")
            return
        by, text = self._last
        self._look(by, text, self.actions.cursor + (-1 if backward else 1), backward=backward)

    def action_first_trouble(self) -> None:
        """The first violation of the log; where there is none, the first refusal."""
        self._look(By.TROUBLE, "", 0, backward=False)

    def action_next(self, what: str, direction: int) -> None:
        """The next refusal or violation, or the one before."""
        self._look(By(what), "", self.actions.cursor + direction, backward=direction < 0)

    @work(exclusive=True, group="search")
    async def _look(self, by: By, text: str, start: int, *, backward: bool) -> None:
        """Search in a thread; another search, or Escape, ends this one."""
        self._search_number += 1
        number = self._search_number
        wanted = f"{by.value} {text}".rstrip()

        def is_wanted() -> bool:
            return number == self._search_number

        loop, context, told = asyncio.get_running_loop(), copy_context(), 0

        def progress(share: float) -> None:
            nonlocal told
            percent = int(100 * share)
            if percent > told:
                told = percent
                loop.call_soon_threadsafe(self._say_progress, number, f"looking for {wanted}: {percent} % (Esc ends it)", context=context)

        def search(session: LogSession) -> Found | str:
            try:
                found = look(session, by, text, max(0, start), backward=backward, stop=lambda: not is_wanted(), progress=progress)
            except MinaP2pError as error:
                return str(error)
            return found or f"no {'earlier' if backward else 'later'} {wanted}"

        self._say(f"looking for {wanted} … (Esc ends it)")
        found = await self._searches.ask(search, is_wanted)
        if found is None or not is_wanted():
            return
        if isinstance(found, Found):
            self.actions.go(found.position)
            self._say(found.note)
        else:
            self._say(found)

    def _say_progress(self, number: int, text: str) -> None:
        if number == self._search_number:
            self._say(text)

    def action_stop(self) -> None:
        """End what is going on: a search, or the line that is typed."""
        self._search_number += 1
        self._close_line()
        self._say("")

    def _close_line(self) -> None:
        line = self.query_one("#ask", Input)
        if line.has_class("asking"):
            line.remove_class("asking")
            self.actions.focus()

    def action_mark(self) -> None:
        """Compare with the state after this action from now on."""
        self.actions.marked = self.actions.cursor
        self.actions.action_walk(0)

    def action_unmark(self) -> None:
        """Compare with the action before again."""
        self.actions.marked = None
        self.actions.action_walk(0)

    def action_only_changes(self) -> None:
        """Hide what did not change, or show it again."""
        self.state_tree.folding.only_changes ^= True
        self.state_tree.update_rows()

    def action_reset_folding(self) -> None:
        """Open what changed, and nothing else."""
        self.state_tree.folding.reset()
        self.state_tree.update_rows()

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())


def _seen(session: LogSession, position: int, marked: int | None) -> tuple[Changes | None, Text, str]:
    """What is to be shown of an action: how the state changed, the action's text, and why there is no state."""
    lines = action_lines(session, position)
    try:
        before: Any = session.state_before(position) if marked is None else session.state_at(marked)
        return Changes(before, session.state_at(position)), lines, ""
    except LogError as error:
        return None, lines, f"the state is unknown: {error}"
