"""A second run of the tests, where more is installed, runs all that the first did not run, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = {
    "test_some.py": """
        import pytest

        def test_plain(): pass

        @pytest.mark.parametrize("number", [1, 2])
        def test_where_it_is_installed(number):
            if number == 2:
                pytest.importorskip("only_in_the_second", reason="not installed")

        def test_fails(): assert False
        """,
    "test_module.py": """
        import pytest

        pytest.importorskip("only_in_the_second", reason="not installed")

        def test_of_a_module_that_skips(): pass
        """,
    "test_found.py": """
        from importlib.util import find_spec
        import pytest

        @pytest.mark.parametrize("name", ["always", *(["sometimes"] if find_spec("only_in_the_second") else [])])
        def test_of_what_there_is(name): pass

        @pytest.fixture
        def needed(): return pytest.importorskip("only_in_the_second", reason="not installed")

        def test_with_a_fixture(needed): pass

        @pytest.mark.skipif(find_spec("only_in_the_second") is None, reason="not installed")
        def test_with_a_mark(): pass

        @pytest.mark.skip(reason="never")
        def test_that_nothing_runs(): pass
        """,
}
WITHOUT = {
    "test_some.py::test_plain",
    "test_some.py::test_where_it_is_installed[1]",
    "test_some.py::test_fails",
    "test_found.py::test_of_what_there_is[always]",
}
WITH = {
    "test_some.py::test_where_it_is_installed[2]",
    "test_module.py::test_of_a_module_that_skips",
    "test_found.py::test_of_what_there_is[sometimes]",
    "test_found.py::test_with_a_fixture",
    "test_found.py::test_with_a_mark",
}


def run(folder: Path, processes: int, **environment: Path | str) -> None:
    """The tests of a folder, in so many processes."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        str(processes),
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        ".",
    ]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MINA_P2P_RAN_", "PYTEST_"))}
    done = subprocess.run(
        command, cwd=folder, env=inherited | {k: str(v) for k, v in environment.items()}, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED or "MINA_P2P_RAN_BEFORE" in environment, done.stdout + done.stderr


@pytest.mark.parametrize("processes", [0, 2])
def test_the_second_run_completes_the_first(tmp_path: Path, processes: int) -> None:
    """Whatever a test looked at to skip: a mark, a fixture, its own body, its module; or that it was not found at all."""
    tests, first, second = tmp_path / "tests", tmp_path / "first", tmp_path / "second"
    tests.mkdir()
    shutil.copy(Path(__file__).with_name("conftest.py"), tests)
    for name, code in TESTS.items():
        (tests / name).write_text("\n".join(line[8:] for line in code.splitlines()) + "\n")
    run(tests, processes, MINA_P2P_RAN_TO=first)
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "only_in_the_second.py").write_text("")
    run(tests, processes, MINA_P2P_RAN_BEFORE=first, MINA_P2P_RAN_TO=second, PYTHONPATH=installed)
    assert set(first.read_text().splitlines()) == WITHOUT
    assert set(second.read_text().splitlines()) == WITH
