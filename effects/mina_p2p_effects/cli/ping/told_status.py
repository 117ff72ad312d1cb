"""What a node writes of itself on ``/mina/node-status``, as far as a ping tells of it (spec: libp2p 11).

The text is the other node's: nothing of it is believed, and little of it is shown.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

from mina_p2p_effects.cli.ping.report import clean

_TEXTS: Final = ("sync_status", "protocol_state_hash", "git_commit")
_NUMBERS: Final = {"block_height_opt": "block_height", "uptime_minutes": "uptime_minutes"}
_LISTS: Final = ("peers", "block_producers", "ban_statuses")


def facts_of(status: bytes) -> dict[str, Any] | None:
    """The fields that are of the kind that OCaml nodes write; how many there are of lists. ``None`` for what is no JSON object."""
    try:
        told: Any = json.loads(status)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    fields = cast("dict[str, Any]", told)
    found: dict[str, Any] = {name: clean(fields[name]) for name in _TEXTS if isinstance(fields.get(name), str)}
    found |= {name: fields[key] for key, name in _NUMBERS.items() if type(fields.get(key)) is int and abs(fields[key]) < 1 << 63}
    found |= {name: len(fields[name]) for name in _LISTS if isinstance(fields.get(name), list)}
    return found


def status_text(facts: dict[str, Any]) -> str:
    """``Bootstrap; height 359612; up 12 minutes; 3 peers``."""
    parts = [str(facts["sync_status"])] if "sync_status" in facts else []
    parts += [f"height {facts['block_height']}"] if "block_height" in facts else []
    parts += [f"up {facts['uptime_minutes']} minutes"] if "uptime_minutes" in facts else []
    parts += [f"{facts['peers']} peer{'' if facts['peers'] == 1 else 's'}"] if "peers" in facts else []
    parts += [f"version {facts['git_commit']}"] if "git_commit" in facts else []
    return "; ".join(parts) or "nothing that OCaml nodes tell"
