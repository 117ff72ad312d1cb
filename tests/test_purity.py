"""`mina_p2p` is pure: what it may import, call and iterate over, and what importing it loads."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.purity import violations

ROOT = Path(__file__).resolve().parents[1]
PURE = ROOT / "mina_p2p"
MODULES = sorted(PURE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_touches_the_world(path: Path):
    assert violations(path.read_text(), path.relative_to(PURE).as_posix()) == []


def test_all_modules_were_looked_at():
    assert {PURE / "store.py", PURE / "record.py", PURE / "table.py", PURE / "codegen.py"} < set(MODULES)


BANNED_IMPORTS = (
    "asyncio io logging multiprocessing os pathlib random secrets select selectors signal socket ssl subprocess sys tempfile threading "
    "time urllib.request uuid"
)


@pytest.mark.parametrize("name", BANNED_IMPORTS.split())
@pytest.mark.parametrize("form", ["import {}", "import json, {}", "import {} as x", "from {} import x", "def f():\n    import {}"])
def test_a_planted_import_is_found(name: str, form: str):
    found = violations(form.format(name), "module.py")
    assert found == [f"{form.count(chr(10)) + 1}: imports {name}"]


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("open('x')", "calls open()"),
        ("print('x')", "calls print()"),
        ("input()", "calls input()"),
        ("breakpoint()", "calls breakpoint()"),
        ("exec('x')", "calls exec()"),
        ("eval('x')", "calls eval()"),
        ("__import__('time')", "calls __import__()"),
        ("import_module('os.path')", "imports os.path"),
        ("import_module('o' + 's')", "imports what it computes"),
        ("import_module(f'{a}.b')", "imports what it computes"),
        ("from importlib import import_module, reload", "imports importlib"),
        ("def f(x):\n return [hash(x)]", "calls hash()"),
        ("sorted(xs, key=lambda x: id(x))", "calls id()"),
        ("datetime.now()", "reads the clock by datetime.now()"),
        ("datetime.datetime.now(tz)", "reads the clock by datetime.now()"),
        ("datetime.datetime.utcnow()", "reads the clock by datetime.utcnow()"),
        ("date.today()", "reads the clock by date.today()"),
        ("for x in {1, 2}: pass", "iterates over a set"),
        ("for x in {y for y in z}: pass", "iterates over a set"),
        ("for x in set(y): pass", "iterates over a set"),
        ("for x in frozenset(y) | z: pass", "iterates over a set"),
        ("[x for x in {1, 2}]", "iterates over a set"),
        ("tuple(x for x in frozenset(y))", "iterates over a set"),
        ("{x: 1 for x in set(y)}", "iterates over a set"),
        ("list({1, 2})", "iterates over a set"),
        ("tuple(set(x))", "iterates over a set"),
        ("next(iter({1, 2}))", "iterates over a set"),
        ("','.join({'a', 'b'})", "iterates over a set"),
        ("f(*{1, 2})", "iterates over a set"),
        ("def f():\n yield from {1, 2}", "iterates over a set"),
        ("a = {1, 2}\nfor x in a: pass", "iterates over a set"),
        ("A: Final[frozenset[int]] = f()\nB = [x for x in A]", "iterates over a set"),
        ("def f(xs: set[int]):\n return list(xs)", "iterates over a set"),
        ("def f(*, xs: frozenset[int]):\n return [*xs]", "iterates over a set"),
        ("def f():\n xs = set()\n return xs.pop()", "iterates over a set"),
    ],
)
def test_a_planted_call_or_iteration_is_found(planted: str, found: str):
    assert [violation.partition(": ")[2] for violation in violations(planted, "module.py")] == [found]


@pytest.mark.parametrize(
    "fine",
    [
        "from mina_p2p.wire import io",
        "from . import time",
        "import hashlib, datetime, struct",
        "from importlib import import_module\nimport_module('mina_p2p.wire')\nimport_module(f'mina_p2p.{name}')",
        "state.open(1); self.print(); connection.id",
        "class X:\n def __hash__(self):\n  return hash((self.a, self.b))",
        "now.now()",
        "for x in sorted({3, 1}): pass",
        "sorted(x for x in {3, 1})",
        "len({1, 2}); 1 in {1, 2}; max(set(x)); any(f(x) for x in {1, 2})",
        "{x for x in {1, 2}}",
        "def f(xs: list[int]):\n return list(xs)",
        "def f():\n xs = set()\ndef g(xs: list[int]):\n return list(xs)",
        "stack.pop()",
    ],
)
def test_what_is_fine_is_left_alone(fine: str):
    assert violations(fine, "module.py") == []


def test_only_codegen_may_compile_code():
    assert violations("exec(x)", "codegen.py") == []
    assert violations("exec(x)", "store.py") == ["1: calls exec()"]


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed; it comes with the extra `lint`, under which the gate runs this test")
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command(['--no-cache']))"
    path = os.pathsep.join([str(folder), str(folder / "effects"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": ""}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_import_contract_is_kept():
    result = _lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Contracts: 1 kept, 0 broken." in result.stdout


def test_the_import_contract_finds_what_is_planted(tmp_path: Path):
    for package in ("mina_p2p", "effects/mina_p2p_effects"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = {"ids.py": "import socket", "errors.py": "from mina_p2p_effects import keys", "prng.py": "import aioquic.tls"}
    for name, line in planted.items():
        path = tmp_path / "mina_p2p" / name
        path.write_text(path.read_text() + f"\n\ndef late():\n    {line}\n")
    result = _lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    for edge in ("mina_p2p.ids -> socket", "mina_p2p.errors -> mina_p2p_effects.keys", "mina_p2p.prng -> aioquic"):
        assert edge in result.stdout


def _loaded_by(code: str) -> set[str]:
    """Names of the modules in a fresh interpreter after ``code`` that were not there before."""
    program = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before), sep='\\n')"
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    return set(result.stdout.split())


IMPORT_ALL = """
import importlib, pkgutil, mina_p2p
for module in pkgutil.walk_packages(mina_p2p.__path__, "mina_p2p."):
    # What users' tests need may bring a library that loads more.
    if not module.name.startswith("mina_p2p.testing."):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("code", ["import mina_p2p", IMPORT_ALL], ids=["the package", "every module"])
def test_importing_the_library_loads_no_transport_and_no_loop(code: str):
    loaded = _loaded_by(code)
    assert "mina_p2p" in loaded
    heavy = {"aioquic", "asyncio", "cryptography", "nacl", "rich", "socket", "ssl", "mina_p2p_effects", "uvloop"}
    assert loaded & heavy == set()


def test_importing_the_package_loads_little():
    """A node's commands start at once, so the first import brings only what records and tables are made of."""
    loaded = {name.partition(".")[0] for name in _loaded_by("import mina_p2p")}
    foreign = {name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert foreign <= {"mina_p2p", "attr", "attrs", "immutables", "msgspec", "typing_extensions"}
