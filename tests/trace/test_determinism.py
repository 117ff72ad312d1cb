"""One log, one hash: whatever the hash seed, the Python version, and what holds the tables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from trace_machine import MACHINE, reader, record_log

from mina_p2p.trace import replay

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SCRIPT = """
import sys
if sys.argv[2] == "trie":
    sys.modules["immutables"] = None
from trace_machine import MACHINE, SCHEMA, reader, record_log
from mina_p2p.trace import replay
from mina_p2p import table
data = open(sys.argv[1], "rb").read()
result = replay(reader(data), MACHINE)
assert result.is_verified, result.divergence
again = record_log(300, level=None)
print(table._Large.__name__, sys.version_info[:2], result.actions, result.hashes, result.state_hash.hex(), SCHEMA.digest.hex(), again == data)
"""

PACKAGES = ("attrs", "cattrs", "immutables", "msgspec", "zstandard")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "one.log"
    path.write_bytes(record_log(300, level=None))
    return path


def replayed(python: str | Path, log: Path, *, seed: str = "0", backend: str = "map") -> list[str]:
    """What a process of its own says: backend, version, actions, hashes, state hash, schema, equal bytes."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(python), "-c", SCRIPT, str(log), backend]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(" ", 1)[0:1] + done.stdout.split(") ", 1)[1].split()


def expected(log: Path) -> list[str]:
    result = replay(reader(log.read_bytes()), MACHINE)
    assert result.state_hash is not None
    return [str(result.actions), str(result.hashes), result.state_hash.hex()]


@pytest.mark.parametrize("seed", ["1", "2", "random"])
def test_the_same_log_replays_to_the_same_hash_under_any_hash_seed(seed: str, log: Path) -> None:
    """And recording the same run again gives the same bytes."""
    _, *found = replayed(sys.executable, log, seed=seed)
    assert found[:3] == expected(log)
    assert found[4] == "True"


def test_the_same_log_replays_to_the_same_hash_on_the_other_backend(log: Path) -> None:
    """Where `immutables` is missing a trie holds large tables; logs do not tell the difference."""
    backend, *found = replayed(sys.executable, log, backend="trie")
    assert backend == "RadixTrie"
    assert found[:3] == expected(log)
    assert found[4] == "True"


def interpreter(version: str) -> str | None:
    """A Python of that version, from the path or where pyenv keeps them."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))]
    for candidate in filter(None, candidates):
        done = subprocess.run(
            [candidate, "-c", "import sys, venv; print(*sys.version_info[:2], sep='.')"], capture_output=True, text=True, check=False
        )
        if done.stdout.strip() == version:
            return candidate
    return None


def python_with_packages(version: str) -> Path:
    """An environment with our dependencies, kept between runs; skips where it can not be made."""
    found = interpreter(version)
    if found is None:
        pytest.skip(f"there is no Python {version} here")
    home = Path(tempfile.gettempdir()) / f"mina-p2p-determinism-{version}-{os.getuid()}"
    python = home / "bin" / "python"
    check = [str(python), "-c", "import attrs, cattrs, immutables, msgspec, zstandard"]
    if not python.exists() or subprocess.run(check, capture_output=True, check=False).returncode:
        made = subprocess.run([found, "-m", "venv", "--clear", str(home)], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            install = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *PACKAGES]
            made = subprocess.run(install, capture_output=True, text=True, check=False)
        if made.returncode:
            shutil.rmtree(home, ignore_errors=True)
            pytest.skip(f"the packages for Python {version} can not be installed: {made.stderr.strip()[-200:]}")
    return python


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_same_log_replays_to_the_same_hash_on_every_python(version: str, log: Path) -> None:
    """On each supported version that this machine has; the log was recorded by the one that runs the tests."""
    running = ".".join(map(str, sys.version_info[:2]))
    python = Path(sys.executable) if version == running else python_with_packages(version)
    _, *found = replayed(python, log, seed="random")
    assert found[:3] == expected(log)
    assert found[4] == "True"
