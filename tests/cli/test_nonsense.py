"""``mina-p2p`` given what makes no sense: a sentence that says what to do, the exit code 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mina_p2p_effects.cli import COMMANDS, main
from mina_p2p_effects.cli.lazy import summary
from mina_p2p_effects.cli.log_command import SUBCOMMANDS

LONG = "9" * 5000
"""Python refuses to read so many digits, with an error of its own."""

MODULES = {**COMMANDS, **{f"log {name}": f"mina_p2p_effects.cli.log.{name}" for name in SUBCOMMANDS}}


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that is to end with 2, and return what it says."""
    try:
        code: object = main([str(word) for word in words])
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    assert code == 2, said
    last = said.err.splitlines()[-1]
    assert last.startswith("mina-p2p"), said.err
    assert len(last) < 500
    return last


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_a_summary(name: str) -> None:
    """What stands in the list of commands is the first line of the command's help."""
    text = import_module(MODULES[name]).__doc__
    assert text is not None
    assert summary(MODULES[name]) == text.partition("\n")[0].removesuffix(".")


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its docstring, and something on each option."""
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"mina-p2p {name}" in shown
    assert (import_module(MODULES[name]).__doc__ or "").splitlines()[0] in shown


@pytest.mark.parametrize(
    ("words", "loaded", "others"),
    [
        ("--help", (), ("demo_command", "node_command", "log_command")),
        ("log --help", ("log_command",), ("log.info", "log.cat", "node_command")),
        ("log info --help", ("log_command", "log.info"), ("log.cat", "log.diff", "log.export", "node_command")),
    ],
)
def test_only_what_is_asked_for_is_loaded(words: str, loaded: tuple[str, ...], others: tuple[str, ...]) -> None:
    """A list of commands loads none of them, and a command none of its neighbours."""
    code = "import sys; from mina_p2p_effects.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True, timeout=60, check=True)
    names = done.stderr.split()
    for name in loaded:
        assert f"mina_p2p_effects.cli.{name}" in names
    for name in others:
        assert f"mina_p2p_effects.cli.{name}" not in names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("node --seed --listen {long}", "no port up to 65535"),
        ("node --seed --listen 127.0.0.1:{long}", "no port up to 65535"),
        ("node --seed --listen 192.0.2.1:8302 --duration 1", "can not listen on 192.0.2.1 port 8302"),
        ("node --seed --random-seed 99999999999999999999", "no whole number, 0 to 18446744073709551615"),
        ("node --seed --max-connections {long}", "no whole number, at least 1"),
        ("node --seed --duration {long}", "no time to wait"),
        ("node --seed --duration nan", "no time to wait"),
        ("node --seed --metrics-port 65536", "no port, 0 to 65535"),
        ("node --seed --log {file}", "name a directory"),
        ("node --seed --qlog {file}", "name a directory"),
        ("node --seed --network {empty}", "is no network"),
        ("node --seed --network {long}", "File name too long"),
        ("demo --nodes x", "no whole number, 2 to 50"),
        ("demo --seed -1", "no whole number, 0 to"),
        ("demo --timeout nan", "no time to wait"),
        ("demo --record {file}", "name a directory"),
        ("demo --transactions {file}", "no JSON list"),
        ("simulate --nodes 1", "at least 2"),
        ("simulate --seed {long}", "no whole number"),
        ("simulate --plot {empty}/none/x.svg", "the directory must be there"),
        ("fuzz --minutes {long}", "no number of minutes"),
        ("fuzz --minutes x", "no number of minutes"),
        ("fuzz --replay {empty}", "there is no file"),
        ("fuzz --replay {file}", "the name of file does not begin with that of a target"),
        ("replay {file} --jobs 0", "at least 1"),
        ("replay {empty} --from 1", "there is no log in"),
        ("log info {empty}", "there is no log in"),
        ("log merge {empty}", "there is no log in"),
        ("log diff {empty} {empty}", "there is no log in"),
        ("log export {empty} out.jsonl", "there is no log in"),
        ("log plot {empty} --items", "there is no log in"),
        ("log cat {file}", "file: a log begins with a magic number"),
        ("log cat {file} -n -1", "at least 0"),
        ("log merge {file} -n -1", "at least 0"),
        ("log follow {file} -n -1", "at least 0"),
        ("log info {file} --kinds -1", "at least 0"),
        ("log export {file} - -n 0", "1 to 500"),
        ("log minimise {file} --tries 0", "at least 1"),
        ("log info {empty}/none", "none: No such file or directory"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything begins, wherever that can be."""
    file, empty = tmp_path / "file", tmp_path / "empty"
    file.write_bytes(b"\xff\xfe no log, no key, no text")
    empty.mkdir()
    filled = [word.format(long=LONG, file=file, empty=empty) for word in words.split()]
    assert said in refused(capsys, *filled)


@pytest.mark.parametrize("url", ["nonsense", "ftp://localhost/", "http://", "http://localhost:99999/", "http://["])
def test_a_collector_that_is_no_server_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """At the start, not with every try to send."""
    assert "no http or https URL" in refused(capsys, "node", "--seed", "--otlp-endpoint", url)


def test_a_node_that_knows_nobody_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of peers may be empty, and the node wait; only its operator did probably not mean that."""
    peers = tmp_path / "peers"
    peers.touch()
    assert main(["node", "--listen", "127.0.0.1:0", "--duration", "0.1", "--peer-list-file", str(peers)]) == 0
    assert "nobody to dial" in capsys.readouterr().err
