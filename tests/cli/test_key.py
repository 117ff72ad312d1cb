"""``mina-p2p key``: what operators do with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "mina_p2p_effects.cli", "key"]


def key(*arguments: str | Path, password: str | None = "a password") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MINA_LIBP2P_PASS"}
    if password is not None:
        environment["MINA_LIBP2P_PASS"] = password
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_generated_key_is_shown_again(tmp_path: Path) -> None:
    """What ``generate`` prints is what ``show`` reads back; the file is the owner's alone."""
    file = tmp_path / "keys" / "node"
    made = key("generate", file)
    assert made.returncode == 0, made.stderr
    shown = key("show", file)
    assert shown.stdout == made.stdout
    assert "libp2p id   12D3KooW" in shown.stdout
    assert file.stat().st_mode & 0o077 == 0


def test_a_key_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    """The old key survives until someone says that it may go."""
    file = tmp_path / "keys" / "node"
    first = key("generate", file)
    again = key("generate", file)
    assert again.returncode == 2
    assert key("show", file).stdout == first.stdout
    assert key("generate", file, "--overwrite").returncode == 0
    assert key("show", file).stdout != first.stdout


def test_wrong_and_missing_passwords_say_what_to_do(tmp_path: Path) -> None:
    """A sentence and an exit code, no traceback, and never the password."""
    file = tmp_path / "keys" / "node"
    assert key("generate", file, password="the right one").returncode == 0
    for password in ("the wrong one", None):
        done = key("show", file, password=password)
        assert done.returncode == 2
        assert done.stderr.startswith("mina-p2p key: ")
        assert "Traceback" not in done.stderr
        assert "the right one" not in done.stderr
        assert "the wrong one" not in done.stderr
