"""One action in full, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.text import Text

from mina_p2p.trace.errors import LogError
from mina_p2p_effects.debugger.parts import leaf_text, name_of, parts, summary
from mina_p2p_effects.logs import LogSession
from mina_p2p_effects.logs.text import printable

LINES_MAX: Final = 8
_DEPTH_MAX: Final = 3


def action_lines(session: LogSession, position: int) -> Text:
    """Kind, cause and fields of an action, and what its dispatch refused."""
    row = session.action(position)
    head = Text.assemble((row.kind, "bold bright_cyan" if row.is_input else "bold"))
    if row.cause_id:
        head.append(f"   follows from action {row.cause_id}, input {session.action(row.root).kind}", "grey58")
    elif row.size > 1:
        head.append(f"   input; {row.size - 1} actions followed", "grey58")
    try:
        step = session.dispatch(position)
    except LogError as error:
        return head.append(f"\n{printable(str(error))}", "red")
    lines = [head]
    here = position - row.root
    for refusal in step.refusals:
        if refusal.after == here + 1:
            why = f": {printable(refusal.why)}" if refusal.why else ""
            lines.append(Text(f"then refused {summary(refusal.action, 90)}{why}", "orange1"))
    lines += [Text(line) for line in _fields(step.actions[here], 0)]
    if len(lines) > LINES_MAX:
        lines = [*lines[: LINES_MAX - 1], Text("…", "grey58")]
    return Text("\n").join(lines)


def _fields(value: Any, depth: int) -> Iterator[str]:
    for name, part in parts(value) or ():
        inside = parts(part)
        lead = f"{'  ' * depth}{name}: "
        if inside is None:
            yield lead + leaf_text(part)
        elif not inside or depth == _DEPTH_MAX:
            yield lead + summary(part)
        else:
            yield lead + (name_of(part) or summary(part))
            yield from _fields(part, depth + 1)
