"""``mina-p2p`` in the hands of a shell: streams that are closed, full, or read by nobody; passwords on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

CLI = f"{sys.executable} -m mina_p2p_effects.cli"
NODE = f"{CLI} node --seed --listen 127.0.0.1:0"
LAST_RESORT_S = 60
QUESTIONS = ("new password: ", "the same again: ", "password of the key file: ")
INFO_OF_NOTHING = f"{CLI} log info /nowhere"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash; its exit code is that of the first command that failed, so also of one before ``|``."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
    )
    for complaint in ("Traceback", "Exception ignored", "Warning"):
        assert complaint not in done.stderr, done.stderr
    return done


def _name(words: str) -> str:
    """Of a test, the same wherever Python is installed."""
    return words.replace(sys.executable, "python")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_node_runs_with_closed_streams(closed: str) -> None:
    """No socket takes the place of a closed stream, and what is printed goes nowhere."""
    assert shell(f"{NODE} --duration 0.2 {closed}").returncode == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_failure_is_a_failure_with_closed_streams(closed: str) -> None:
    """The exit code says it, where nothing can be printed."""
    assert shell(f"{INFO_OF_NOTHING} {closed}").returncode == 2


@pytest.mark.parametrize("words", [f"{NODE} --duration 0.3 --json --every 0.01", f"{CLI} fuzz --list", f"{CLI} --help"], ids=_name)
def test_a_reader_that_has_seen_enough_is_no_failure(words: str) -> None:
    """As with ``| head -1``: the command ends, in order, with 0 and without a word."""
    done = shell(f"{words} | head -1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "Broken pipe" not in done.stderr


@pytest.mark.parametrize(
    "words", [f"{CLI} node --help", f"{CLI} simulate --seed 1 --nodes 2 --duration 3", f"{CLI} log info /nowhere/$'\\xff'"], ids=_name
)
def test_what_a_terminal_can_not_show_is_shown_somehow(words: str) -> None:
    """A terminal that knows no more than ASCII, and a path that is no text, break no command."""
    done = shell(words, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == (2 if "nowhere" in words else 0), done.stderr
    assert done.stdout.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full, as Linux has")
@pytest.mark.parametrize("words", [f"{NODE} --duration 0.2", f"{NODE} --duration 0.2 --json", f"{CLI} fuzz --list"], ids=_name)
def test_a_full_disk_is_said(words: str) -> None:
    """One sentence, and 2."""
    done = shell(f"{words} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(": No space left on device")


def test_a_new_password_is_asked_for_until_both_answers_agree(tmp_path: Path) -> None:
    """On a terminal without MINA_LIBP2P_PASS; `node` asks for it too, and is then who the key says."""
    file = tmp_path / "keys" / "node"
    made = terminal(f"{CLI} key generate {file}", "one", "other", "right", "right")
    assert "these two differ" in made
    shown = terminal(f"{CLI} key show {file}", "right")
    peer_id = shown.partition("peer id     ")[2].split()[0]
    assert peer_id in made
    assert f"peer id {peer_id}" in terminal(f"{NODE} --duration 0.2 --libp2p-keypair {file}", "right")
    assert "wrong password" in terminal(f"{NODE} --duration 0.2 --libp2p-keypair {file}", "wrong", code=2)


def test_no_password_is_asked_for_a_key_that_is_not_there(tmp_path: Path) -> None:
    """What can be known before is said before."""
    assert "there is no file" in terminal(f"{CLI} key show {tmp_path / 'none'}", code=2)
    assert "there is no file" in terminal(f"{CLI} key show {tmp_path / 'none' / 'deeper'}", code=2)


def terminal(line: str, *answers: str, code: int = 0) -> str:
    """Run a command on a terminal, give an answer to every question, and return all that was shown."""
    environment = {name: value for name, value in os.environ.items() if name != "MINA_LIBP2P_PASS"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(line.split(), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
    os.close(theirs)
    left, shown = list(answers), ""
    asked = 0
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so where the other side is closed
            break
        if not piece:
            break
        shown += piece.decode()
        if left and sum(map(shown.count, QUESTIONS)) > asked:
            asked += 1
            os.write(ours, f"{left.pop(0)}\n".encode())
    os.close(ours)
    assert process.wait(timeout=LAST_RESORT_S) == code, shown
    assert "Traceback" not in shown
    assert not left, shown
    return shown
