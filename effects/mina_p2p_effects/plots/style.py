"""How all pictures look, and what keeps the same data the same file; needs no drawing library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

STYLE: Final[Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dfe5ec",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.hashsalt": "mina-p2p",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
}
"""Settings of matplotlib."""


def metadata(path: Path) -> dict[str, Any]:
    """What a file of that format must not say: when it was drawn."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})
