"""What the logs of a story's nodes say: when each began, and how many connections it had from when to when."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lifetimes.stories import Story

from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.notifications import PeerConnected, PeerDisconnected
from mina_p2p.testing.sim import START
from mina_p2p.testing.towns import Town
from mina_p2p_effects.campaigns.logs import Logs
from mina_p2p_effects.logs.session import open_session


class Run(NamedTuple):
    """One node from its start to its end. Times are virtual seconds from the beginning of the story."""

    place: int
    start: float
    end: float
    changes: tuple[tuple[float, int], ...]
    """When its number of connections changed, and to what."""


class Told(NamedTuple):
    """A story, as its logs have it."""

    end: float
    captions: tuple[tuple[float, str], ...]
    """When what was said."""
    runs: tuple[Run, ...]


class _Watched(Town):
    """A town that remembers when which node crashed, of which nobody writes a log."""

    def __init__(self, logs: Logs, *, is_strict: bool) -> None:
        super().__init__(1, is_checked=False, observers=(logs.observer,), is_strict=is_strict)
        self.crashed: dict[int, float] = {}

    def crash(self, place: int) -> None:
        self.crashed[self.nodes[place].number] = self.now
        super().crash(place)


def told(story: Story, *, is_strict: bool) -> Told:
    """Let a story happen with every node recorded, and read the logs."""
    with tempfile.TemporaryDirectory() as folder:
        logs = Logs(Path(folder))
        town = _Watched(logs, is_strict=is_strict)
        captions = tuple((town.now, caption) for caption in story(town))
        end = town.now
        logs.close(town.simulation)
        found = [_run(path, end, town.crashed) for path in sorted(Path(folder).glob("*.log"))]
    return Told(end, captions, tuple(found))


def _run(path: Path, end: float, crashed: dict[int, float]) -> Run:
    number = int(path.stem.removeprefix("node-"))
    connected: set[ConnectionId] = set()
    changes: list[tuple[float, int]] = []
    with open_session(path) as session:
        times = [action.time for action in session.actions()]
        for position, action in _notifications(path):
            if isinstance(action, PeerConnected):
                connected.add(action.connection_id)
            else:
                connected.discard(action.connection_id)
            changes.append((_seconds(times[position]), len(connected)))
        place = int.from_bytes(PeerId.parse(session.node), "big")
    return Run(place, _seconds(times[0]), crashed.get(number, end), tuple(changes))


def _notifications(path: Path) -> Iterator[tuple[int, PeerConnected | PeerDisconnected]]:
    """What the node software was told of connections, with its position; derived actions are replayed."""
    with open_session(path) as session:
        for number, block, _ in session.blocks():
            base = session.base_of(number, block)
            for place, action in enumerate(session.contents(number, block).actions):
                if isinstance(action, PeerConnected | PeerDisconnected):
                    yield base + place, action


def _seconds(time: int) -> float:
    return (time - START) / SECOND
