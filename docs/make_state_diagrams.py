"""Writes the state diagrams and the page that shows them, from what the machine does.

    python docs/make_state_diagrams.py            write them
    python docs/make_state_diagrams.py --check    exit with 1 where they are not what it would write

Nobody tells this script the transitions. It dispatches every input of some small worlds to the
shipped machine and notes each step, see `diagrams.probe`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from diagrams.machines import END, MACHINES, START, Drawn, Edge, edges
from diagrams.svg import Arrow, draw

FEW_STATES = 2
"""So many arrows to an end do not yet hide the rest."""

EXPLANATION = Path(__file__).resolve().parent / "explanation"

HEAD = """\
<!-- Written by docs/make_state_diagrams.py; change that instead. -->

# State machines

Each drawing shows one machine of the state: the boxes are its states, the arrows are the actions that lead from one
to the next. A filled dot is where it begins to exist, a ringed one where nothing is left of it.

The drawings and the tables come from the shipped machine itself: a script gives it every input of a small world, in
every state that these lead to, and notes each step that changed something. The columns "follows from" name the action
that each step was a follow-up of; an input is an event, a timer or a command. Refused actions change nothing and do
not appear. `tests/docs/` fails when a drawing is out of date.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check everything; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args(arguments).check
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if is_check:
            sys.stderr.write(f"{path.name} is out of date; run python docs/make_state_diagrams.py\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return 1 if is_check and stale else 0


def pages() -> dict[Path, str]:
    """Every file that this script is responsible for."""
    found = {EXPLANATION / "diagrams" / f"{machine.name}.svg": drawing(machine) for machine in MACHINES}
    return found | {EXPLANATION / "state-machines.md": "\n".join([HEAD, *map(section, MACHINES)])}


def drawing(machine: Drawn) -> str:
    """One machine as SVG."""
    seen = edges(machine)
    common = common_end(machine, seen)
    labels: dict[tuple[str, str], list[str]] = {}
    for edge in seen:
        if edge.target == END and edge.action == common:
            continue
        lines = labels.setdefault((edge.source, edge.target), [])
        if (short := edge.action.removeprefix(machine.prefix)) not in lines:
            lines.append(short)
    arrows = [Arrow(_dot_at(machine, *ends), ends[1], lines, machine.bends.get(ends, 0)) for ends, lines in labels.items()]
    used = {name for arrow in arrows for name in arrow[:2]}
    places = {name: place for name, place in machine.places.items() if name in used}
    dots = {name: name.startswith(END) for name in places if name.startswith((START, END))}
    return draw(machine.title, places, arrows, dots=dots, note=f"{common} ends it in every state" if common else "")


def _dot_at(machine: Drawn, source: str, target: str) -> str:
    """The place where an arrow begins: a machine that can begin in several states has a dot at each of them."""
    own = f"{source} {target}"
    return own if own in machine.places else source


def common_end(machine: Drawn, seen: Sequence[Edge]) -> str | None:
    """The action that ends a machine of many states in each of them; said once instead of drawn from each box."""
    states = [state for state in machine.places if not state.startswith((START, END))]
    ends = [{edge.action for edge in seen if edge[:2] == (state, END)} for state in states]
    common = ends[0].intersection(*ends)
    return common.pop() if len(states) > FEW_STATES and len(common) == 1 else None


def section(machine: Drawn) -> str:
    """One machine's part of the page."""
    causes: dict[tuple[str, str, str], list[str]] = {}
    for edge in edges(machine):
        causes.setdefault(edge[:3], []).append(edge.parent)
    rows = [
        f"| {source} | `{action}` | {target} | {', '.join(parents)} |"
        for (source, target, action), parents in sorted(causes.items(), key=lambda item: _reading_order(machine, item[0]))
    ]
    prefix = f" Names of actions stand there without their `{machine.prefix}`." if machine.prefix else ""
    return f"""\
## {machine.title}

{machine.text} The code: `{machine.module}`.{prefix}

![{machine.title}: states and actions](diagrams/{machine.name}.svg)

| state | action | next | follows from |
|---|---|---|---|
{chr(10).join(rows)}
"""


def _reading_order(machine: Drawn, edge: tuple[str, str, str]) -> tuple[int, int, str]:
    order = [START, *(name for name in machine.places if not name.startswith((START, END))), END]
    return order.index(edge[0]), order.index(edge[1]), edge[2]


if __name__ == "__main__":
    sys.exit(main())
