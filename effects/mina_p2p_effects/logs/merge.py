"""Several logs of one network as one story: who sent what to whom, and everything in the order of cause and effect.

Nodes have clocks of their own, so times alone may put an answer before its question. A frame
that one log sends and another receives ties the two together: same sender, receiver, stream
and bytes, in order. `merged` goes by time, but never shows a frame's arrival before its sending.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeAlias, cast

from mina_p2p.record import Record, record
from mina_p2p_effects.logs.peers import Peers
from mina_p2p_effects.logs.session import LogAction, LogSession

_Key: TypeAlias = tuple[str, str, int, bytes]


@record
class Message(Record):
    """A frame that an action of a log sends or receives."""

    position: int
    peer: str
    """The other node."""
    stream: int
    size: int
    digest: bytes
    is_sent: bool


@record
class Link(Record):
    """A frame on its way: an effect of one log, and the input of another that it became."""

    sender: int
    """Which of the logs."""
    sent_at: int
    """Position there."""
    receiver: int
    received_at: int
    size: int
    """Of the frame, in bytes."""


def messages(session: LogSession) -> Iterator[Message]:
    """The frames that a log sends and receives, as far as it can be replayed.

    An effect with a ``frame`` or ``frames`` on a connection sends, an input with a ``frame`` receives; on streams of libp2p,
    which each side numbers for itself, it is ``data``.
    """
    peers = Peers(session.machine.root)
    for number, block, found in session.blocks():
        replayed = session.contents(number, block)
        if replayed.before is None:
            continue
        peers.learn_state(replayed.before)
        base = session.base_of(number, block)
        for place, action in enumerate(replayed.actions):
            about = peers.of(action)
            is_input = found.records.depths[place] == 0
            if not about or not hasattr(action, "connection_id") or not (is_input or session.machine.is_effect(action.__class__)):
                continue
            for frame in frames_of(action) or ():
                digest = blake2b(frame, digest_size=16).digest()
                stream = 0 if hasattr(action, "data") else getattr(action, "stream", 0)
                yield Message(base + place, str(about[-1]), stream, len(frame), digest, is_sent=not is_input)


def frames_of(action: Any) -> tuple[bytes, ...] | None:
    """What an action carries for or from a peer: its ``frame`` or ``frames``, and what goes over a stream of libp2p, its ``data``."""
    frame = getattr(action, "frame", None)
    if frame is None and hasattr(action, "stream"):
        frame = getattr(action, "data", None)
    frames: Any = (frame,) if frame is not None else getattr(action, "frames", None)
    return None if frames is None else tuple(item for item in cast("tuple[Any, ...]", frames) if isinstance(item, bytes))


def links(sessions: Sequence[LogSession]) -> list[Link]:
    """Every frame that one of the logs sends and another receives, in the order of the receivers' logs."""
    waiting: defaultdict[_Key, deque[tuple[int, int]]] = defaultdict(deque)
    received: list[tuple[_Key, int, int, int]] = []
    for number, session in enumerate(sessions):
        for message in messages(session):
            if message.is_sent:
                waiting[session.node, message.peer, message.stream, message.digest].append((number, message.position))
            else:
                key = message.peer, session.node, message.stream, message.digest
                received.append((key, number, message.position, message.size))
    found: list[Link] = []
    for key, number, position, size in received:
        if waiting[key]:
            sender, sent_at = waiting[key].popleft()
            found.append(Link(sender, sent_at, number, position, size))
    return found


@record
class Merged(Record):
    """One dispatch of one of the logs."""

    log: int
    """Which of the logs."""
    rows: tuple[LogAction, ...]
    """The input and all that followed."""
    link: Link | None
    """How its frame came here."""


_END: Final = 1 << 63


def merged(sessions: Sequence[LogSession], known: Sequence[Link] | None = None) -> Iterator[Merged]:
    """All dispatches of several logs, in the order of cause and effect, by time where that leaves a choice.

    :param known: what `links` says of these logs, where it is at hand.
    """
    by_input = {(link.receiver, link.received_at): link for link in (links(sessions) if known is None else known)}
    places = [0] * len(sessions)
    while True:
        choice: tuple[bool, int, int] | None = None
        for number, session in enumerate(sessions):
            if places[number] < session.count:
                link = by_input.get((number, places[number]))
                is_early = link is not None and places[link.sender] <= link.sent_at
                candidate = is_early, session.action(places[number]).time, number
                choice = candidate if choice is None else min(choice, candidate)
        if choice is None:
            return
        number = choice[2]
        start = places[number]
        first = sessions[number].action(start)
        rows = tuple(sessions[number].actions(start, start + max(1, first.size)))
        yield Merged(number, rows, by_input.get((number, start)))
        places[number] = start + len(rows)
