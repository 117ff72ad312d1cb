"""Chrome trace events, for ui.perfetto.dev and chrome://tracing (spec: operator-conventions B4).

A node is a process; its tracks are its peers, and one for what concerns none. A dispatch is a
slice with what followed inside it, a frame from node to node an arrow. As all actions of a
dispatch have one time, the widths of slices say how many actions there were, not how long
they took. Bytes sent and received are counters, refusals and violations are instants.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

from mina_p2p_effects.logs.merge import Link, links, messages
from mina_p2p_effects.logs.peers import Peers
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import describe

_SLOT: Final = 1_000
"""Nanoseconds of width for each action, where the next dispatch leaves so much."""


def export_perfetto(sessions: Sequence[LogSession], file: TextIO) -> int:
    """Write the trace of one or several nodes.

    :returns: how many events.
    """
    count = 0
    file.write('{"displayTimeUnit":"ns","traceEvents":[')
    for event in _events(sessions):
        file.write(",\n" if count else "\n")
        file.write(json.dumps(event, ensure_ascii=False))
        count += 1
    file.write("\n]}\n")
    return count


def _events(sessions: Sequence[LogSession]) -> Iterator[dict[str, Any]]:
    found = links(sessions)
    first = min((session.action(0).time for session in sessions if session.count), default=0)
    for number, session in enumerate(sessions):
        sent: defaultdict[int, list[int]] = defaultdict(list)
        received: dict[int, int] = {}
        for flow, link in enumerate(found):
            _place(link, flow, number, sent, received)
        yield from _Process(number + 1, session, first, sent, received).events()


def _place(link: Link, flow: int, number: int, sent: defaultdict[int, list[int]], received: dict[int, int]) -> None:
    if link.sender == number:
        sent[link.sent_at].append(flow)
    if link.receiver == number:
        received[link.received_at] = flow


class _Process:
    """The events of one node."""

    def __init__(self, pid: int, session: LogSession, first: int, sent: dict[int, list[int]], received: dict[int, int]) -> None:
        self._pid = pid
        self._session = session
        self._first = first
        self._sent = sent
        self._received = received
        self._peers = Peers(session.machine.root)
        self._tracks: dict[str, int] = {}

    def events(self) -> Iterator[dict[str, Any]]:
        """All of them, slices in the order of time."""
        yield {"ph": "M", "name": "process_name", "pid": self._pid, "tid": 0, "args": {"name": self._session.node}}
        yield {"ph": "M", "name": "thread_name", "pid": self._pid, "tid": 0, "args": {"name": "node"}}
        sizes: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for message in messages(self._session):
            sizes[message.position][message.is_sent] += message.size
        totals = [0, 0]
        root = 0
        free_at = 0
        while root < self._session.count:
            row = self._session.action(root)
            start = max(row.time - self._first, free_at)
            following = root + row.size
            slot = _SLOT
            if following < self._session.count:
                room = self._session.action(following).time - self._first - start
                slot = min(_SLOT, max(1, room // row.size))
            free_at = start + slot * row.size
            yield from self._dispatch(root, start, slot)
            for position in range(root, following):
                for place, size in enumerate(sizes.get(position, ())):
                    totals[place] += size
            if any(position in sizes for position in range(root, following)):
                yield self._event("C", start, 0, name="bytes", args={"received": totals[0], "sent": totals[1]})
            root = following
        failure = self._session.failure()
        if failure is not None:
            yield self._event("i", failure[1] - self._first, 0, name="violation", s="p", args={"text": failure[2]})

    def _dispatch(self, root: int, start: int, slot: int) -> Iterator[dict[str, Any]]:
        row = self._session.action(root)
        about = None if row.input is None else self._peers.of(row.input)
        if not about and row.input is not None and hasattr(row.input, "connection_id"):
            number, block, _ = next(self._session.blocks(root))
            before = self._session.contents(number, block).before
            if before is not None:
                self._peers.learn_state(before)
                about = self._peers.of(row.input)
        track = 0
        if about:
            name = str(about[-1])
            if name not in self._tracks:
                self._tracks[name] = len(self._tracks) + 1
                yield {"ph": "M", "name": "thread_name", "pid": self._pid, "tid": self._tracks[name], "args": {"name": f"peer {name}"}}
            track = self._tracks[name]
        rows = list(self._session.actions(root, root + row.size))
        for place, action in enumerate(rows):
            end = next((at for at in range(place + 1, len(rows)) if rows[at].depth <= action.depth), len(rows))
            arguments: dict[str, Any] = {"id": action.action_id, "cause": action.cause_id}
            if action.is_input and action.input is not None:
                arguments["says"] = describe(action.input)
            at = start + place * slot
            yield self._event("X", at, track, name=action.kind, cat="action", dur=_micro((end - place) * slot), args=arguments)
            for flow in self._sent.get(root + place, ()):
                yield self._event("s", at, track, name="frame", cat="frame", id=flow)
        if root in self._received:
            yield self._event("f", start, track, name="frame", cat="frame", id=self._received[root], bp="e")
        for kind in row.refused:
            yield self._event("i", start, track, name=f"refused {kind}", s="t")

    def _event(self, phase: str, time: int, track: int, **fields: Any) -> dict[str, Any]:
        return {"ph": phase, "ts": _micro(time), "pid": self._pid, "tid": track, **fields}


def _micro(nanoseconds: int) -> float:
    return nanoseconds / 1_000
