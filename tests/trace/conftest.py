"""Lets the tests of this folder import ``trace_machine``; the folder's own name is a module of the standard library."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
