"""Where the conformance vectors are, and what happens where they are not."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "vectors"


def vectors_root() -> Path | None:
    """The folder of vectors, or ``None`` where there is none."""
    configured = os.environ.get("MINA_P2P_VECTORS")
    for candidate in (Path(configured) if configured else None, _BESIDE_CHECKOUT):
        if candidate is not None and (candidate / "index.json").is_file():
            return candidate
    return None


def vectors_path(*parts: str) -> Path:
    """The path of one vector file.

    Without vectors the test skips; on a machine that sets ``CI`` it fails.
    """
    root = vectors_root()
    path = root.joinpath(*parts) if root is not None else None
    if path is None or not path.exists():
        reason = f"vector {'/'.join(parts) or 'folder'} not found; set MINA_P2P_VECTORS to the folder that holds index.json"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@cache
def vector_index() -> dict[str, dict[str, Any]]:
    """Entries of ``index.json`` by file name; empty where there are no vectors."""
    root = vectors_root()
    if root is None:
        return {}
    entries = json.loads((root / "index.json").read_text())["files"]
    return {entry["name"]: entry for entry in entries}
