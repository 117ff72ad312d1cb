"""Writes the page of example lifetimes of networks that gossip addresses, and its diagrams, from the logs of simulated nodes.

    python docs/make_gossip_lifetimes.py            write them
    python docs/make_gossip_lifetimes.py --check    exit with 1 where they are not what it would write

The stories are `lifetimes.stories`; each happens twice with every node recorded, and its diagram is drawn from these logs.
"""

from __future__ import annotations

import argparse
import inspect
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from lifetimes import stories
from lifetimes.drawing import draw
from lifetimes.logged import told
from lifetimes.stories import STORIES, Story, show

EXPLANATION = Path(__file__).resolve().parent / "explanation"
PAGE = EXPLANATION / "address-gossip-lifetimes.md"

HEAD = """\
<!-- Written by docs/make_gossip_lifetimes.py; change that instead. -->

# Example network lifetime

The proposal that [address gossip](address-gossip.md) comes from has a chapter of this name, which is empty. These are six lifetimes
of small networks. Each happens twice: by the six rules of the proposal alone (`AddressGossipConfig(is_strict=True)`), and by default,
with the additions that heal what the rules leave broken.

The text is code that runs, in virtual time and with the shipped state machine. The diagrams are drawn from what the nodes recorded:
light where a node runs, dark as high as it has connections, all the way up where it is connected with all others; a dotted line
is where the text says what has happened.

`mina-p2p simulate-gossip` lets networks of any size live through the like of it by the thousand: see
[the command](../reference/command-line.md).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check everything; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args(arguments).check
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if is_check:
            sys.stderr.write(f"{path.name} is out of date; run python docs/make_gossip_lifetimes.py\n")
        else:
            path.write_text(text)
    return 1 if is_check and stale else 0


def pages() -> dict[Path, str]:
    """Every file that this script is responsible for."""
    found = {_drawing(story): draw(title, told(story, is_strict=True), told(story, is_strict=False)) for title, story in STORIES}
    return found | {PAGE: "\n".join([HEAD, _beginning(), *(_section(title, story) for title, story in STORIES)])}


def _drawing(story: Story) -> Path:
    return EXPLANATION / "diagrams" / f"lifetime-{story.__name__.replace('_', '-')}.svg"


def _beginning() -> str:
    """The code that all stories share."""
    source = inspect.getsource(stories)
    imports = source[source.index("from collections") : source.index("Story: TypeAlias")].strip()
    places = next(line for line in source.splitlines() if line.startswith("A, B, C"))
    alias = "Story: TypeAlias = Callable[[Town], Iterator[str]]"
    code = "\n\n\n".join([f"{imports}\n\n{alias}\n{places}", *(inspect.getsource(each).strip() for each in (stories.links, show))])
    return f"## What the stories share\n\n```python\n{code}\n```\n"


def _section(title: str, story: Story) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        show(story)
    captions = "; ".join(f"{number}: {caption}" for number, (_, caption) in enumerate(told(story, is_strict=False).captions, 1))
    return "\n".join(
        [
            f"## {title}",
            "",
            f"```python\n{inspect.getsource(story).strip()}\n\n\nshow({story.__name__})\n```",
            "",
            f"```text\n{said.getvalue().rstrip()}\n```",
            "",
            f"![{title}: connections of each node over time](diagrams/{_drawing(story).name})",
            "",
            f"{captions}.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
