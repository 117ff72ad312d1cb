"""Taking code out of Markdown, and running it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

RUN_MARK = re.compile(r"<!-- run(?: with (?P<package>\w+))? -->")
"""Stands before a shell block that works anywhere, or where a package of some extra is installed."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>\S*).*$")


class Block(NamedTuple):
    """One fenced block."""

    page: Path
    line: int
    """Of its first line of code, from 1."""
    language: str
    code: str
    follows: str
    """Language of the block before it, if only blank lines are between; else the line before it that is not blank."""


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    before, number = "", 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            before = lines[number].strip() or before
            number += 1
            continue
        indent = len(opening["indent"])
        end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == opening["ticks"])
        code = "\n".join(line[indent:] for line in lines[number + 1 : end]) + "\n"
        found.append(Block(page, number + 2, opening["language"], code, before))
        before, number = opening["language"], end + 1
    return found


def pages_with(language: str) -> list[Path]:
    """Pages with blocks of a language."""
    return [page for page in PAGES if any(block.language == language for block in blocks(page))]


def python_programme(page: Path) -> list[tuple[int, str, str | None]]:
    """The Python blocks of a page: line, code, and what it prints where a ``text`` block right after it says so."""
    programme: list[tuple[int, str, str | None]] = []
    for block in blocks(page):
        if block.language == "python":
            programme.append((block.line, block.code, None))
        elif block.language == "text" and block.follows == "python":
            line, code, _ = programme[-1]
            programme[-1] = line, code, block.code
    return programme


def run_python(page: Path, folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run the Python blocks of a page in one process of their own, in an empty folder."""
    given = json.dumps({"page": str(page), "programme": python_programme(page)})
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("run_page.py"))]
    return subprocess.run(command, input=given, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
