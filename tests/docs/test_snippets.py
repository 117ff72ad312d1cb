"""What the README and the pages under docs/ say is true: code runs and prints what it should, examples run, links lead somewhere."""

from __future__ import annotations

import importlib
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from docs.snippets import PAGES, ROOT, RUN_MARK, Block, blocks, pages_with, run_python

TIMEOUT_S = 60.0
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
GENERATORS = sorted((ROOT / "docs").glob("make_*.py"))
SHELL_BLOCKS = [block for page in PAGES for block in blocks(page) if block.language == "sh"]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", pages_with("python"), ids=_name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page, one after the other in one namespace, run and print what the page says."""
    done = run_python(page, tmp_path, TIMEOUT_S)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [b for b in SHELL_BLOCKS if RUN_MARK.fullmatch(b.follows)], ids=lambda b: f"{_name(b.page)}:{b.line}")
def test_marked_shell_blocks_run(block: Block, tmp_path: Path) -> None:
    """A marked shell block succeeds in an empty folder, with this Python's ``mina-p2p``."""
    mark = RUN_MARK.fullmatch(block.follows)
    if mark is not None and mark["package"] is not None:
        pytest.importorskip(mark["package"], reason=f"this block needs {mark['package']}, which comes with an extra")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, arguments in (("python", ""), ("mina-p2p", "-m mina_p2p_effects.cli")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-eu", "-c", block.code], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    """An example ends well, says something, and warns of nothing."""
    command = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_there_is_something_to_run() -> None:
    """The tests above look in the right places."""
    assert {"README.md", "docs/tutorial/1-a-node.md"} <= {_name(page) for page in pages_with("python")}
    assert {"01_pure_loop.py", "02_two_nodes_in_memory.py", "03_quic.py", "04_record_and_replay.py"} <= {e.name for e in EXAMPLES}
    assert any(RUN_MARK.fullmatch(block.follows) for block in SHELL_BLOCKS)
    assert GENERATORS


@pytest.mark.parametrize("script", GENERATORS, ids=_name)
def test_generated_pages_are_current(script: Path) -> None:
    """What is made from the code is what the code makes now."""
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr


# --- what pages refer to ----------------------------------------------------------------------

_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_SYMBOL = re.compile(r"`(?P<name>mina_p2p(?:_effects)?(?:\.\w+)+)(?:\(\))?`")
_PATH = re.compile(r"`(?P<path>(?:mina_p2p|effects|tests|docs|examples|benchmarks)/[\w./-]*)`")


def _prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)(```+).*?^\1\2$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub and MyST give to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists, and a heading in it."""
    broken: list[str] = []
    for match in _LINK.finditer(_prose(page)):
        target = match["target"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_names_in_prose_exist(page: Path) -> None:
    """A full name in backquotes is a module, or something in one; a path of this tree is there."""
    text = _prose(page)
    missing = [name for name in {match["name"] for match in _SYMBOL.finditer(text)} if not _exists(name)]
    missing += [path for path in {match["path"] for match in _PATH.finditer(text)} if not (ROOT / path).exists()]
    assert sorted(missing) == []


def _exists(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
