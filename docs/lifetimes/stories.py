"""Lives of small networks, told twice: by the six rules of the proposal alone, and with what heals (spec: address-gossip 3).

The page shows these functions as they stand here, and its diagrams are drawn from the logs of the nodes that they start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from mina_p2p.testing.towns import Town

Story: TypeAlias = Callable[[Town], Iterator[str]]
"""Does something in a town, and says from time to time what has happened."""

A, B, C, D, E, F = range(1, 7)


def links(town: Town) -> str:
    """Who is connected with whom, as each node says."""
    letters = {town.peer_id(place): "ABCDEF"[place - 1] for place in range(A, F + 1)}
    rows = (
        letters[town.peer_id(place)] + ":" + "".join(sorted(letters[peer] for peer in town.links(place))) for place in sorted(town.nodes)
    )
    return " ".join(rows)


def show(story: Story) -> None:
    """Print what happens by the six rules, and by default."""
    strict, healing = Town(1, is_checked=False, is_strict=True), Town(1, is_checked=False)
    for said, _ in zip(story(strict), story(healing), strict=True):
        print(f"{said:<26} six rules  {links(strict)}\n{'':<26} default    {links(healing)}")


def growth(town: Town) -> Iterator[str]:
    """A node alone, then others who know one or two of those that are there."""
    town.start(A)
    town.run(20)
    yield "A is alone"
    town.start(B, A)
    town.run(5)
    yield "B knows A"
    town.start(C, A)
    town.run(5)
    yield "C knows A"
    town.run(60)
    town.start(D, B, C)
    town.run(5)
    yield "D knows B and C"


def rejoin(town: Town) -> Iterator[str]:
    """One leaves without a word, and comes back."""
    for place in (A, B, C, D):
        town.start(place, *(() if place == A else (A,)))
    town.run(20)
    yield "four nodes"
    town.crash(B)
    town.run(60)
    yield "B is gone"
    town.start(B, A)
    town.run(10)
    yield "B is back, and knows A"


def first_restarts(town: Town) -> Iterator[str]:
    """The node that all know, and that knows nobody, leaves and comes back."""
    for place in (A, B, C, D):
        town.start(place, *(() if place == A else (A,)))
    town.run(20)
    yield "four nodes"
    town.crash(A)
    town.run(60)
    yield "A is gone"
    town.start(A)
    town.run(10)
    yield "A is back, knows nobody"
    town.run(240)
    yield "two periods later"


def dead_bootstrap(town: Town) -> Iterator[str]:
    """Newcomers while the only node they know is down."""
    town.start(B, A)
    town.start(C, A)
    town.run(60)
    yield "A is down"
    town.start(A)
    town.run(240)
    yield "two periods after it is up"


def partition(town: Town) -> Iterator[str]:
    """Two known nodes on each side, so that nobody is isolated. Redialling by the isolated alone would not heal this."""
    for place in (A, B, C, D, E, F):
        town.start(place, A, B, D, E)
    town.run(20)
    yield "six nodes"
    town.cut((A, B, C), (D, E, F))
    town.run(240)
    yield "ABC and DEF are apart"
    town.heal()
    town.run(240)
    yield "two periods after that"


def mass_restart(town: Town) -> Iterator[str]:
    """All go down; the one that all know is the last to come back."""
    for place in (A, B, C, D):
        town.start(place, *(() if place == A else (A,)))
    town.run(20)
    yield "four nodes"
    for place in (A, B, C, D):
        town.crash(place)
    for place in (B, C, D):
        town.run(10)
        town.start(place, A)
    town.run(30)
    yield "all but A are back"
    town.start(A)
    town.run(240)
    yield "two periods after A is"


STORIES: tuple[tuple[str, Story], ...] = (
    ("Bootstrap and joins", growth),
    ("Leave and rejoin", rejoin),
    ("The first node restarts", first_restarts),
    ("A dead bootstrap", dead_bootstrap),
    ("A partition", partition),
    ("Everybody restarts", mass_restart),
)
