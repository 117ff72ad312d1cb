"""Pictures for the documentation, made by the walks that test what they show.

``MINA_P2P_SCREENSHOTS=docs/images`` before ``pytest tests/debugger tests/devtools tests/plots`` makes them anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SIZE_MAX = 300_000


def wanted(name: str) -> Path | None:
    """Where to write a picture; ``None`` where nobody asked for any."""
    folder = os.environ.get("MINA_P2P_SCREENSHOTS")
    return Path(folder) / name if folder else None


def keep(name: str, data: bytes) -> None:
    """Write a picture, where somebody asked for it."""
    path = wanted(name)
    if path is not None:
        assert len(data) <= SIZE_MAX, f"{name} has {len(data)} bytes"
        assert b"/tmp/" not in data
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def plain_svg(svg: str) -> bytes:
    """Without the web fonts that Textual names, which a reader's browser would fetch from elsewhere."""
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    return svg.replace("Fira Code", "DejaVu Sans Mono").encode()
