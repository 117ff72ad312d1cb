"""`compare` names where two runs first went different ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trace_machine as tm

from mina_p2p.ids import Timestamp
from mina_p2p.store import Machine, Store
from mina_p2p.trace import Tape, Writer
from mina_p2p_effects.logs import LogSession, open_session
from mina_p2p_effects.logs.compare import RunDifference, compare


def session(folder: Path, name: str, inputs: list[tuple[Any, Timestamp]], machine: Machine[Any] = tm.MACHINE, seed: int = 1) -> LogSession:
    """A run, with the content of everything that followed under checksums."""
    store = Store(machine, tm.initial(seed))
    writer = Writer(machine, "test", store.state, schema=tm.SCHEMA, options=tm.OPTIONS.replace(digest_every=1))
    store.observe(writer.add)
    for action, now in inputs:
        store.dispatch(action, now)
    writer.close()
    tape = Tape(tm.SCHEMA)
    path = folder / f"{name}.log"
    path.write_bytes(b"".join(map(tape.append, writer.take())) + tape.finish())
    return open_session(path)


def found(left: LogSession, right: LogSession, **options: bool) -> RunDifference:
    difference = compare(left, right, **options)
    assert difference is not None
    return difference


def test_equal_runs_are_equal_whatever_the_clock_says(tmp_path: Path) -> None:
    """Times count only where they are asked for."""
    given = list(tm.inputs(200))
    late = [(action, Timestamp(now + 7)) for action, now in given[:50]] + given[50:]
    one, other = session(tmp_path, "a", given[:50]), session(tmp_path, "b", late[:50])
    assert compare(one, other) is None
    assert found(one, other, with_times=True).what == "the inputs came at different times"
    assert compare(one, one, with_times=True) is None


def test_another_input_is_found_where_it_is(tmp_path: Path) -> None:
    """With the field that differs."""
    given = list(tm.inputs(200))
    at = next(i for i in range(100, 200) if isinstance(given[i][0], tm.MessageReceived))
    changed = [*given]
    changed[at] = given[at][0].replace(frame=b"other"), given[at][1]
    one, other = session(tmp_path, "a", given), session(tmp_path, "b", changed)
    difference = found(one, other)
    assert difference.left is not None
    assert difference.left.input == given[at][0]
    assert difference.right_content == changed[at][0]
    assert difference.content is not None
    assert difference.content.path == "frame"
    assert difference.state is None
    assert difference.equal == one.input_position(at)


def test_a_run_that_ends_sooner_differs_at_its_end(tmp_path: Path) -> None:
    """And one that starts elsewhere at its start."""
    given = list(tm.inputs(100))
    one, other = session(tmp_path, "a", given), session(tmp_path, "b", given[:60])
    difference = found(one, other)
    assert difference.right is None
    assert difference.equal == other.count
    assert "second run ends" in difference.what
    elsewhere = found(one, session(tmp_path, "c", given, seed=2))
    assert elsewhere.equal == 0
    assert elsewhere.state is not None
    assert elsewhere.state.path.startswith("net.dice")


def wrong_reducer(state: tm.Root, action: Any, now: Timestamp) -> tuple[tm.Root, Any]:
    """Counts nothing after the 40th message, and then acknowledges the wrong connection."""
    after, follow_ups = tm.reduce(state, action, now)
    if isinstance(action, tm.Take) and state.net.acks >= 20:
        return after, (tm.Ack(tm.ConnectionId(action.connection_id + 1)), *follow_ups[1:])
    return after, follow_ups


def test_a_planted_bug_is_found_at_the_action_that_it_changed(tmp_path: Path) -> None:
    """Recorded by a wrong reducer and compared with the right one's run, by kinds where it can not be replayed."""
    given = list(tm.inputs(300))
    one = session(tmp_path, "right", given)
    other = session(tmp_path, "wrong", given, tm.make_machine(wrong_reducer))
    difference = found(one, other)
    assert difference.left is not None
    acks = [row.position for row in one.actions() if row.kind == "Ack"]
    # What a derived action says is in no log whole: it shows by its checksum, and by what it leads to.
    assert one.action(acks[20]).root <= difference.left.position <= acks[20]
    assert "replaying the second run" in difference.what
    assert difference.replay_right
