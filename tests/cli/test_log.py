"""``mina-p2p log`` and the options of ``mina-p2p replay``, over the recorded logs of a network of three nodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.peer.actions import PeerAttached
from mina_p2p.pool.actions import PoolInsert
from mina_p2p.store import Machine, Store
from mina_p2p.trace import Tape, Writer, machine_named
from mina_p2p_effects.cli import main
from mina_p2p_effects.cli.log.follow import follow
from mina_p2p_effects.cli.log_command import SUBCOMMANDS
from mina_p2p_effects.logs import LogSession, open_session, open_sessions


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of three simulated nodes."""
    folder = tmp_path_factory.mktemp("network") / "logs"
    options = ["--nodes", "3", "--seed", "4", "--faults", "none", "--duration", "3", "--transactions", "6"]
    assert main(["simulate", *options, "--record", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def log(network: Path) -> Path:
    return min(network.iterdir())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process; exit code and output."""

    def run(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, capsys.readouterr().out

    return run


Run = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_says_how_it_is_used(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence for each option."""
    with pytest.raises(SystemExit) as ended:
        main(["log", name, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_info_tells_what_there_is_and_what_is_damaged(run: Run, log: Path, network: Path, tmp_path: Path) -> None:
    """Counts are those of the log; damage is named, and gives exit code 1."""
    code, out = run("log", "info", network, "--json")
    assert code == 0
    infos = json.loads(out)
    assert len(infos) == 3
    with open_session(log) as session:
        info = next(found for found in infos if found["node"] == session.node)
        assert (info["actions"], info["inputs"]) == (session.count, session.input_count)
        assert info["closed"]
        assert not info["damaged"]
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 4
    damaged = tmp_path / "damaged.log"
    damaged.write_bytes(data)
    code, out = run("log", "info", damaged)
    assert code == 1
    assert "unreadable" in out
    torn = tmp_path / "torn.log"
    torn.write_bytes(data[:-30])
    code, out = run("log", "info", torn)
    assert code == 1
    assert "not closed" in out
    assert run("log", "info", tmp_path / "absent.log")[0] == 2
    (tmp_path / "noise.log").write_bytes(b"not a log at all")
    assert run("log", "info", tmp_path / "noise.log")[0] == 2


def test_cat_prints_actions_in_their_order_with_their_causes(run: Run, log: Path) -> None:
    """Ids, kinds and causes are the log's; a range and a number bound it; --full shows what followed too."""
    with open_session(log) as session:
        expected = [(row.action_id, row.kind, row.cause_id, row.depth) for row in session.actions()]
        code, out = run("log", "cat", log, "--json", "--full")
        rows = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [(row["id"], row["kind"], row["cause"], row["depth"]) for row in rows] == expected
        assert all(row["action"]["kind"] == row["kind"] for row in rows)
        _, out = run("log", "cat", log, "--from", 100, "--to", 110)
        assert [int(line.split("#")[1].split()[0]) for line in out.splitlines()] == list(range(100, 110))
        _, out = run("log", "cat", log, "-n", 7, "--kind", "Peer*")
        assert len(out.splitlines()) == 7
        assert all(line.split("#")[1].split()[1].startswith("Peer") for line in out.splitlines())


def test_grep_finds_by_text_kind_and_peer(run: Run, log: Path) -> None:
    """Exit code 1 where nothing is found, 2 for a pattern that is none."""
    with open_session(log) as session:
        expected = [row.action_id for row in session.actions() if "verdict_id=2" in repr(session.content(row.position))]
        peer = next(session.content(row.position).peer_id for row in session.actions() if row.kind == "PeerReady")
    code, out = run("log", "grep", log, "verdict_id=2", "--json")
    assert code == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == expected
    code, out = run("log", "grep", log, "--peer", str(peer)[:12], "--kind", "PeerReady", "--count")
    assert (code, out) == (0, "1\n")
    assert run("log", "grep", log, "no such thing at all")[0] == 1
    assert run("log", "grep", log, "(")[0] == 2


def test_seek_shows_why_an_action_happened_and_what_it_changed(run: Run, log: Path) -> None:
    """The chain of causes begins with an input; the changes are those between the states around it."""
    with open_session(log) as session:
        row = next(row for row in session.actions() if row.kind == "PoolInsert" and row.depth > 0)
        chain: list[int] = []
        at = session.cause(row.position)
        while at is not None:
            chain.append(session.action(at).action_id)
            at = session.cause(at)
    code, out = run("log", "seek", log, row.action_id, "--diff", "--state", "pools.last_verdict_id", "--json")
    found = json.loads(out)
    assert code == 0
    assert [cause["id"] for cause in found["causes"]] == chain[::-1]
    assert any(change["path"].startswith("pools.") for change in found["changes"])
    assert isinstance(found["state"], int)
    assert run("log", "seek", log, 10**9)[0] == 2
    assert run("log", "seek", log, 5, "--state", "no.such.path")[0] == 2


def test_follow_prints_what_comes_until_the_log_is_closed(run: Run, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing twice, nothing left out, whatever part of a chunk was there in between."""
    data = log.read_bytes()
    growing = tmp_path / "growing.log"
    ends = iter(range(len(data) // 3, len(data) + 9_000, 9_000))
    growing.write_bytes(data[: next(ends)])

    class Options:
        log, last, inputs, json = growing, 10**9, False, True

    capsys.readouterr()
    assert follow(Options(), lambda: growing.write_bytes(data[: next(ends, len(data))])) == 0  # type: ignore[arg-type]
    printed = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    with open_session(log) as session:
        assert printed == [row.action_id for row in session.actions()]


def test_merge_shows_no_arrival_before_its_sending(run: Run, network: Path) -> None:
    """Most frames are tied to their sender, and every tie points back."""
    code, out = run("log", "merge", network, "--json")
    assert code == 0
    seen: set[tuple[str, int]] = set()
    ties = 0
    for line in out.splitlines():
        row = json.loads(line)
        seen.add((row["node"], row["id"]))
        if row["from"] is not None:
            ties += 1
            assert (row["from"]["node"], row["from"]["id"]) in seen
    with_frames = sum(1 for line in out.splitlines() if '"kind": "ChannelsMessageReceived"' in line and '"depth": 0' in line)
    assert ties >= with_frames > 100


# --- a planted bug --------------------------------------------------------------------------------


def buggy(machine: Machine[Any]) -> Machine[Any]:
    """Forgets that a peer was attached."""
    return machine.replaced(PeerAttached, reducer=lambda state, _action, _now: (state, ()))


def peers_are_attached(state: Any) -> None:
    """Every connection is known to the peer table."""
    for connection_id, connection in state.connections.table.items():
        assert state.connection_of(connection.peer_id) == connection_id


def record_again(session: LogSession, machine: Machine[Any], path: Path) -> None:
    """The log that another machine would have written, given the same inputs until it fails."""
    store = Store(machine, session.state_at(-1))
    writer = Writer(machine, session.header.machine, store.state, metadata=session.header.metadata)
    store.observe(writer.add)
    for _, _, found in session.blocks():
        for action, now in zip(found.records.inputs, found.records.times, strict=True):
            if store.failure is None:
                try:
                    store.dispatch(action, Timestamp(now))
                except InvariantViolationError as error:
                    writer.fail(action, Timestamp(now), str(error))
    if store.failure is None:
        writer.close()
    tape = Tape(writer.schema)
    path.write_bytes(b"".join(map(tape.append, writer.take())))


def test_a_planted_bug_is_found_by_diff_and_shrunk_by_minimise(run: Run, network: Path, tmp_path: Path) -> None:
    """From the logs of three nodes to a handful of inputs, with a test that fails as long as the bug is there."""
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    machine = buggy(machine_named("mina_p2p").machine)
    for session in open_sessions(network):
        record_again(session, machine, wrong / session.paths[0].name)
        session.close()
    code, out = run("log", "diff", network, wrong, "--json")
    assert code == 1
    differences = json.loads(out)
    assert len(differences) == 3
    for found in differences:
        assert found["difference"]["left"] is not None
        with open_session(next(s.paths[0] for s in open_sessions(network) if s.node == found["node"])) as session:
            first_attached = next(row.position for row in session.actions() if row.kind == "PeerAttached")
            # Named at the dispatch that the bug touched first, or soon behind it, never before it.
            assert session.action(first_attached).root <= found["equal"] <= first_attached + 200
    changed = tmp_path / "changed.py"
    changed.write_text(f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_log import buggy as machine\n")
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        case = min(wrong.iterdir())
        out_path = tmp_path / "small.mplog"
        options = ("--assert", "test_log:peers_are_attached", "--with-reducer", changed, "--out", out_path, "--json")
        code, out = run("log", "minimise", case, *options)
    finally:
        sys.path.remove(str(Path(__file__).parent))
    assert code == 0
    result = json.loads(out)
    assert 1 <= result["inputs"] <= 10
    assert "peers_are_attached" in Path(result["test"]).read_text()
    assert run("replay", out_path)[0] in {0, 1}


def test_minimise_refuses_a_log_in_which_nothing_goes_wrong(run: Run, log: Path, tmp_path: Path) -> None:
    """A sentence and exit code 2; no file is written, and the log is never its own target."""
    assert run("log", "minimise", log, "--out", tmp_path / "x.mplog")[0] == 2
    assert not (tmp_path / "x.mplog").exists()
    assert run("log", "minimise", log, "--out", log)[0] == 2
    assert run("log", "minimise", log, "--assert", "nonsense")[0] == 2


# --- options of replay ----------------------------------------------------------------------------


def test_a_part_of_a_log_is_replayed(run: Run, log: Path) -> None:
    """Up to an action, from a checkpoint; the state is that of the whole replay at that place."""
    with open_session(log) as session:
        position = session.count // 2
        expected = session.schema.state_hash(session.state_at(position)).hex()
        action_id = session.action(position).action_id
    code, out = run("replay", log, "--until", action_id, "--json")
    assert code == 0
    assert json.loads(out)["state_hash"] == expected
    code, out = run("replay", log, "--from", action_id - 5, "--until", action_id, "--json")
    assert json.loads(out)["actions"] == 6
    assert json.loads(out)["state_hash"] == expected
    assert run("replay", log, "--from", 9, "--until", 3)[0] == 2


def test_a_hook_sees_every_step_and_can_end_the_replay(
    run: Run, network: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one log in order, of several by cause; a hook that returns True is a breakpoint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_hook.py").write_text(
        "seen = []\n"
        "def count(step):\n    seen.append((step.node, step.row.action_id, step.row.kind))\n    assert type(step.action).__name__ == step.row.kind\n"
        "def stop(step):\n    return step.row.kind == 'PoolInsert'\n"
    )
    with open_session(log) as session:
        count = session.count
        first = next(row.action_id for row in session.actions() if row.kind == "PoolInsert")
    code, out = run("replay", log, "--hook", "my_hook:count", "--json")
    assert (code, json.loads(out)) == (0, {"actions": count, "stopped": None})
    _, out = run("replay", log, "--hook", "my_hook:stop", "--json")
    assert json.loads(out)["stopped"]["id"] == first
    _, out = run("replay", network, "--hook", "my_hook:count", "--json")
    assert json.loads(out)["actions"] == sum(len(list(session.actions())) for session in open_sessions(network))
    assert run("replay", log, "--hook", "my_hook:absent")[0] == 2
    sys.modules.pop("my_hook")


def test_a_changed_reducer_shows_what_would_have_gone_otherwise(run: Run, log: Path, tmp_path: Path) -> None:
    """The first input that leads elsewhere, and the sum; an unchanged machine changes nothing."""
    same, other = tmp_path / "same.py", tmp_path / "other.py"
    same.write_text("def machine(machine):\n    return machine\n")
    other.write_text(
        "from mina_p2p.pool.actions import PoolInsert\n"
        "def machine(machine):\n    return machine.replaced(PoolInsert, guard=lambda action, state, now: False)\n"
    )
    assert run("replay", log, "--with-reducer", same)[0] == 0
    code, out = run("replay", log, "--with-reducer", other, "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert found["kinds"]["PoolInsert"] < 0
    with open_session(log) as session:
        first = next(row for row in session.actions() if isinstance(session.content(row.position), PoolInsert))
        assert found["first"]["id"] == session.action(first.root).action_id
    nothing = tmp_path / "nothing.py"
    nothing.write_text("def machine(machine):\n    return 7\n")
    assert run("replay", log, "--with-reducer", nothing)[0] == 2
