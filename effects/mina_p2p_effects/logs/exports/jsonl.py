"""JSON lines: one object for each action, for ``jq`` and scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from mina_p2p_effects.logs.merge import frames_of
from mina_p2p_effects.logs.peers import Peers
from mina_p2p_effects.logs.session import LogSession
from mina_p2p_effects.logs.text import jsonable


def export_jsonl(sessions: Sequence[LogSession], file: TextIO) -> int:
    """Write a line for each action of each log.

    :returns: how many.
    """
    count = 0
    for session in sessions:
        for row in rows(session):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def rows(session: LogSession) -> Iterator[dict[str, Any]]:
    """One action after the other as a flat object; ``action`` is what it says, or null where it can not be replayed."""
    peers = Peers(session.machine.root)
    name = session.schema.name_of
    for number, block, found in session.blocks():
        replayed = session.contents(number, block)
        if replayed.before is not None:
            peers.learn_state(replayed.before)
        records, causes = found.records, found.causes
        for i, count in enumerate(records.counts):
            refused = [name(tag) for tag in records.refusals.get(i, ())]
            for place in range(found.starts[i], found.starts[i] + count):
                depth = records.depths[place]
                action = replayed.actions[place] if place < len(replayed.actions) else records.inputs[i] if depth == 0 else None
                about = [] if action is None else peers.of(action)
                kind = name(records.kinds[place])
                yield {
                    "node": session.node,
                    "id": records.first_id + place,
                    "cause": causes[place] or None,
                    "root": records.first_id + found.starts[i],
                    "depth": depth,
                    "time": records.times[i],
                    "kind": kind,
                    "peer": str(about[-1]) if about else None,
                    "connection": getattr(action, "connection_id", None),
                    "channel": getattr(getattr(action, "channel", None), "name", None),
                    "bytes": _size(action),
                    "refused": refused if depth == 0 else [],
                    "action": None if action is None else jsonable(action),
                }


def _size(action: Any) -> int | None:
    """Bytes of the frames that an action carries."""
    frames = frames_of(action)
    return None if frames is None else sum(map(len, frames))
