"""Reading a log by positions: rows, contents, states, causes, inputs, over damage and over several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trace_machine as tm

from mina_p2p.ids import Timestamp
from mina_p2p.store import Step, Store
from mina_p2p.trace import BadChunk, BytesSource, ChunkKind, LogError, Reader, TornTail, Writer, WriterOptions
from mina_p2p.trace.chunks import HEAD_LENGTH
from mina_p2p.trace.stepping import expand
from mina_p2p.trace.writer import Tape
from mina_p2p_effects.logs import UNREADABLE, LogSession, open_session, open_sessions
from mina_p2p_effects.recorder import Recorder


def truth(count: int = 400) -> tuple[list[Step], list[Any], list[tuple[Any, int]]]:
    """What really happened: steps, the state after each dispatch by first id, and inputs."""
    store = Store(tm.MACHINE, tm.initial())
    steps: list[Step] = []
    states: list[Any] = []

    def note(_action: Any, _now: Timestamp, seen: Any, state: Any) -> None:
        steps.extend(seen)
        states.extend([state] * len(seen))

    store.observe(note)
    given = list(tm.inputs(count))
    for action, now in given:
        store.dispatch(action, now)
    return steps, states, given


def test_every_action_is_found_with_its_cause_its_content_and_its_state(log_path: Path) -> None:
    """Rows, contents and the states at the ends of dispatches are those of the run that was recorded."""
    steps, states, _ = truth()
    with open_session(log_path) as session:
        assert session.count == len(steps)
        assert session.is_closed
        assert session.notes == ()
        assert session.failure() is None
        for position, step in enumerate(steps):
            row = session.action(position)
            assert (row.action_id, row.cause_id, row.depth, row.kind) == (
                step.action_id,
                step.cause_id,
                step.depth,
                type(step.action).__name__,
            )
            assert session.content(position) == step.action
            assert session.position_of(step.action_id) == position
            if position == row.root + row.size - 1:
                assert session.state_at(position) == states[position]
        assert [row.position for row in session.actions()] == list(range(session.count))
        assert [row.position for row in session.backward(session.count)] == list(range(session.count))[::-1]
        with pytest.raises(IndexError):
            session.action(session.count)
        with pytest.raises(LogError):
            session.position_of(len(steps) + 1)


def test_states_inside_a_dispatch_are_those_between_an_action_and_its_follow_ups(log_path: Path) -> None:
    """Going through a dispatch one action at a time meets every state that the reducers made, forward or back."""
    with open_session(log_path) as session:
        forward = [session.state_at(position) for position in range(-1, session.count)]
        again = open_session(log_path)
        backward = [again.state_at(position) for position in range(session.count - 1, -2, -1)][::-1]
        again.close()
        assert forward == backward
        for position in range(session.count):
            row, made = session.action(position), session.dispatch(position)
            assert session.state_before(position) == forward[position]
            after = forward[position + 1]
            if not made.effects[position - row.root]:
                reduced = tm.MACHINE.reduce(forward[position], session.content(position), Timestamp(row.time))[0]
                assert after.net == reduced.net


def test_taking_a_dispatch_apart_gives_what_the_loop_of_the_store_gives() -> None:
    """Order, causes, refusals with their reasons, attempts and the final state are the same."""
    store = Store(tm.MACHINE, tm.initial())
    for action, now in tm.inputs(600, seed=5):
        made = expand(tm.MACHINE, store.state, action, now)
        after, effects, first_id, steps, refused = tm.MACHINE.execute(store.state, action, now)
        assert made.first_id == first_id
        assert list(zip(made.actions, made.causes, made.depths, strict=True)) == steps
        assert [(refusal.action, refusal.depth) for refusal in made.refusals] == [(item[0], item[2]) for item in refused]
        assert made.state == after
        assert [a for a, is_effect in zip(made.actions, made.effects, strict=True) if is_effect] == effects
        store.dispatch(action, now)


def test_causes_and_children_are_two_sides_of_one_tree(log_path: Path) -> None:
    """Every action but an input is among the children of its cause, and of no other."""
    with open_session(log_path) as session:
        for position in range(session.count):
            for child in session.children(position):
                assert session.cause(child) == position
            cause = session.cause(position)
            assert (cause is None) == session.action(position).is_input
            assert cause is None or position in session.children(cause)


def test_inputs_have_numbers_and_actions_have_times(log_path: Path) -> None:
    """The n-th input is at the position that its number gives, and the first action at or after a time is found."""
    _, _, given = truth()
    with open_session(log_path) as session:
        assert session.input_count == len(given)
        for position in range(0, session.count, 7):
            row = session.action(position)
            number = session.input_number(position)
            assert session.input_position(number) == row.root
            assert given[number] == (row.input, row.time)
            at = session.position_at(row.time)
            assert session.action(at).time == row.time
            assert at == 0 or session.action(at - 1).time < row.time
        assert session.position_at(1 << 62) == session.count
        assert session.position_at(0) == 0


def test_refusals_are_listed_with_their_place(log_path: Path) -> None:
    """Every dispatch with a refusal is there once, in order; a refused input says so."""
    store = Store(tm.MACHINE, tm.initial())
    expected: list[tuple[int, tuple[str, ...]]] = []
    done = 0
    for action, now in tm.inputs(400):
        _, _, _, steps, refused = tm.MACHINE.execute(store.state, action, now)
        store.dispatch(action, now)
        if refused:
            expected.append((done, tuple(type(item[0]).__name__ for item in refused)))
        done += len(steps)
    with open_session(log_path) as session:
        assert [(found.position, found.kinds) for found in session.refusals()] == expected
        middle = expected[len(expected) // 2][0]
        assert [found.position for found in session.refusals(middle)] == [at for at, _ in expected if at >= middle]


def chunks_of(data: bytes, kind: ChunkKind) -> list[Any]:
    return [found for found in Reader(BytesSource(data)).heads() if not isinstance(found, BadChunk | TornTail) and found.head.kind == kind]


@pytest.mark.parametrize("has_index", [True, False])
def test_actions_of_a_damaged_chunk_keep_their_places(tmp_path: Path, log_bytes: bytes, *, has_index: bool) -> None:
    """They are unreadable, states are unknown up to the next checkpoint and known again behind it, all else stays."""
    victim = chunks_of(log_bytes, ChunkKind.RECORDS)[5].head
    data = bytearray(log_bytes if has_index else log_bytes[: chunks_of(log_bytes, ChunkKind.INDEX)[0].head.offset])
    data[victim.offset + HEAD_LENGTH + 5] ^= 1
    path = tmp_path / "damaged.log"
    path.write_bytes(data)
    steps, states, _ = truth()
    with open_session(path) as session:
        assert session.count == len(steps)
        unreadable = [row.position for row in session.actions() if row.kind == UNREADABLE]
        assert unreadable
        assert session.action(unreadable[0]).action_id == victim.first_id
        assert unreadable == list(range(unreadable[0], unreadable[-1] + 1))
        assert session.state_at(unreadable[0] - 1) == states[unreadable[0] - 1]
        with pytest.raises(LogError):
            session.state_at(unreadable[0])
        with pytest.raises(LogError):
            session.state_at(unreadable[-1] + 1)
        assert session.state_at(session.count - 1) == states[-1]
        assert session.action(unreadable[-1] + 1).action_id == steps[unreadable[-1] + 1].action_id


def test_a_checkpoint_tells_the_state_though_what_follows_is_damaged(tmp_path: Path, log_bytes: bytes) -> None:
    """The state before the first action is in the log, whatever became of the first action."""
    data = bytearray(log_bytes)
    data[chunks_of(log_bytes, ChunkKind.RECORDS)[0].head.end - 1] ^= 1
    path = tmp_path / "damaged.log"
    path.write_bytes(data)
    with open_session(path) as session:
        assert session.action(0).kind == UNREADABLE
        assert session.state_at(-1) == tm.initial()


def test_an_index_that_lies_changes_nothing_that_can_be_read(tmp_path: Path) -> None:
    """Its entries are compared with the chunks themselves; what does not fit is unreadable, and nothing raises."""
    store = Store(tm.MACHINE, tm.initial())
    writer = Writer(tm.MACHINE, "test", store.state, schema=tm.SCHEMA, options=tm.OPTIONS)
    store.observe(writer.add)
    for action, now in tm.inputs(200):
        store.dispatch(action, now)
    writer.close()
    chunks = writer.take()
    kinds = {UNREADABLE, *(cls.__name__ for cls in tm.MACHINE.actions)}
    for column in ("offsets", "first_ids", "first_times", "kinds", "inputs", "tags"):
        for lie in (1, -1, 1 << 40, 1 << 63):
            tape = Tape(tm.SCHEMA)
            data = b"".join(map(tape.append, chunks))
            values: list[Any] = getattr(tape._index, column)
            middle = len(values) // 2
            values[middle] = b"" if column == "tags" else values[middle] + lie
            path = tmp_path / "lie.log"
            path.write_bytes(data + tape.finish())
            with open_session(path) as session:
                assert {row.kind for row in session.actions(0, 5_000)} <= kinds
                assert session.action(0).action_id == 1


def test_a_log_that_grows_is_followed(tmp_path: Path, log_bytes: bytes) -> None:
    """With ``follow`` an unfinished end is left alone, and what is appended is found by `refresh`."""
    whole = len(truth()[0])
    path = tmp_path / "growing.log"
    seen: list[int] = []
    step = len(log_bytes) // 9
    path.write_bytes(log_bytes[:2_000])
    with open_session(path, follow=True) as session:
        for end in range(2_000, len(log_bytes) + step, step):
            path.write_bytes(log_bytes[:end])
            assert not session.notes
            start = len(seen)
            session.refresh()
            seen += [row.action_id for row in session.actions(start)]
        assert session.is_closed
        assert seen == list(range(1, whole + 1))


def test_the_files_of_a_log_that_rotated_are_one_log(tmp_path: Path) -> None:
    """Positions go on over files; a directory with the logs of two nodes has two sessions and is not one."""
    for name in ("one", "two"):
        store = Store(tm.MACHINE, tm.initial())
        recorder = Recorder(
            tmp_path / f"{name}.log",
            tm.MACHINE,
            "test",
            store.state,
            schema=tm.SCHEMA,
            metadata={"peer_id": name},
            options=WriterOptions(chunk_inputs=20),
            rotate_bytes=4_000,
            is_threaded=False,
        )
        recorder.attach(store)
        for action, now in tm.inputs(400):
            store.dispatch(action, now)
        recorder.close()
    steps, states, _ = truth()
    with pytest.raises(LogError, match="2 logs"):
        open_session(tmp_path)
    one, two = open_sessions(tmp_path)
    assert (one.node, two.node) == ("one", "two")
    assert len(one.files) > 2
    check(one, steps, states)
    one.close()
    two.close()


def test_a_log_that_rotates_is_followed_from_file_to_file(tmp_path: Path) -> None:
    """The next file is found once it begins, also where it is empty at first, or a stranger has its name."""
    store = Store(tm.MACHINE, tm.initial())
    options = WriterOptions(chunk_inputs=20)
    recorder = Recorder(
        tmp_path / "one.log", tm.MACHINE, "test", store.state, schema=tm.SCHEMA, options=options, rotate_bytes=4_000, is_threaded=False
    )
    recorder.attach(store)
    stranger = tm.record_log(30)
    with open_session(tmp_path / "one.log", follow=True) as session:
        for at, (action, now) in enumerate(tm.inputs(400)):
            store.dispatch(action, now)
            if at % 50 == 0:
                parts = sorted(tmp_path.iterdir())
                following = tmp_path / f"one.{len(parts):06}.log"
                for content in (b"", stranger[:50], stranger):
                    following.write_bytes(content)
                    session.refresh()
                    assert len(session.files) <= len(parts)
                following.unlink()
        recorder.close()
        session.refresh()
        assert session.is_closed
        steps, states, _ = truth()
        assert len(session.files) > 2
        check(session, steps, states)


def check(session: LogSession, steps: list[Step], states: list[Any]) -> None:
    assert [(row.action_id, row.kind) for row in session.actions()] == [(step.action_id, type(step.action).__name__) for step in steps]
    for position in (0, len(steps) // 3, len(steps) // 2, len(steps) - 1):
        root = session.action(position)
        end = root.root + root.size - 1
        assert session.state_at(end) == states[end]
        assert session.input_position(session.input_number(position)) == root.root


def test_a_log_of_a_bug_ends_with_the_input_that_stopped_the_store(tmp_path: Path) -> None:
    """The session names it; the states before it are all there."""
    store = Store(tm.MACHINE, tm.initial())
    writer = Writer(tm.MACHINE, "test", store.state, schema=tm.SCHEMA)
    store.observe(writer.add)
    now = Timestamp(0)
    for action, now in tm.inputs(30):
        store.dispatch(action, now)
    writer.fail(tm.Break(), now, "broken")
    tape = Tape(tm.SCHEMA)
    path = tmp_path / "bug.log"
    path.write_bytes(b"".join(map(tape.append, writer.take())))
    with open_session(path) as session:
        assert session.failure() == (tm.Break(), now, "broken")
        assert session.state_at(session.count - 1) == store.state
