"""What is shipped: the wheel, its command, its typing marks, and the shape of its modules."""

from __future__ import annotations

import ast
import email
import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"mina_p2p": ROOT / "mina_p2p", "mina_p2p_effects": ROOT / "effects" / "mina_p2p_effects"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES_MAX = 600

MODULES = [(path, f"{name}/{path.relative_to(folder)}") for name, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))]
each_module = pytest.mark.parametrize(("path", "name"), MODULES, ids=[name for _, name in MODULES])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this checkout as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check", "--wheel-dir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode:
        reason = f"the wheel could not be built, which needs pip and either a network or hatchling's wheel:\n{result.stderr}"
        # A machine without a network may be a developer's, but the gate must know what it ships.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: zipfile.ZipFile):
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == expected
    assert {"mina_p2p/py.typed", "mina_p2p_effects/py.typed"} < shipped


def test_the_wheel_says_what_the_project_says(wheel: zipfile.ZipFile):
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert metadata["Name"] == PROJECT["name"]
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"speed", "test", "lint", "bench"} <= set(metadata.get_all("Provides-Extra"))
    assert any(name.endswith("/LICENSE") for name in wheel.namelist())
    assert "mina-p2p = mina_p2p_effects.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_the_console_script_leads_to_a_function():
    assert list(PROJECT["scripts"]) == ["mina-p2p"]
    module, _, function = PROJECT["scripts"]["mina-p2p"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", PACKAGES)
def test_both_packages_are_typed(name: str):
    assert (PACKAGES[name] / "py.typed").is_file()
    assert (PACKAGES[name] / "__init__.py").is_file()


def test_effects_is_a_folder_and_no_package():
    """An `effects` of another distribution would overwrite it."""
    assert [path.name for path in (ROOT / "effects").iterdir() if path.name != "__pycache__"] == ["mina_p2p_effects"]


def test_every_folder_of_modules_is_a_package():
    """Or the modules are found in the checkout and missing in the wheel of some builders."""
    assert {path.parent for path, _ in MODULES if not (path.parent / "__init__.py").is_file()} == set()


@each_module
def test_every_public_module_says_what_it_is(path: Path, name: str):
    if path.stem.startswith("_") and path.stem not in {"__init__", "__main__"}:
        return
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name} has no docstring"


@each_module
def test_every_module_can_be_read_in_one_sitting(path: Path, name: str):
    assert len(path.read_text().splitlines()) <= LINES_MAX, f"{name} is longer than {LINES_MAX} lines"


def test_the_changelog_begins_with_this_version():
    changelog = ROOT / "CHANGELOG.md"
    if not changelog.is_file():
        pytest.skip("no CHANGELOG.md yet")
    versions = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)", changelog.read_text(), re.MULTILINE)
    assert versions[:1] == [PROJECT["version"]]
    assert len(set(versions)) == len(versions)
