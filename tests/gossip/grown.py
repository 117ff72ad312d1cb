"""Networks that have become a mesh, and what their nodes dial."""

from __future__ import annotations

from typing import Any

from mina_p2p.testing.towns import PERIOD, Town
from mina_p2p.transport import ConnectionEffectfulDial


def town(*, nodes: int, seed: int = 1, is_strict: bool = False, **settings: Any) -> Town:
    """A network in which the first node is known to all, and that has become a mesh."""
    made = Town(seed, is_strict=is_strict, **settings)
    made.start(1)
    for place in range(2, nodes + 1):
        made.start(place, 1)
        made.run(1)
    assert made.until_mesh(2 * PERIOD) is not None
    return made


def dials(made: Town, place: int) -> list[int]:
    """Places that a node dials from now on, as they are dialled."""
    found: list[int] = []
    node = made.nodes[place]
    perform = node.perform

    def watched(effect: Any) -> None:
        if isinstance(effect, ConnectionEffectfulDial):
            found.append(int.from_bytes(effect.address.peer_id, "big"))
        perform(effect)

    node.perform = watched  # type: ignore[method-assign]  # the one way to see effects of one node
    return found
