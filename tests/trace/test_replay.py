"""Replaying: equal runs are verified, any other is named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from trace_machine import (
    INPUTS,
    MACHINE,
    OPTIONS,
    SCHEMA,
    Ack,
    Ask,
    Break,
    Connected,
    Disconnect,
    EffectfulSend,
    Peer,
    Root,
    Take,
    initial,
    inputs,
    make_machine,
    peer_id,
    reader,
    record_log,
    reduce,
)

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import FollowUps, Machine, Store
from mina_p2p.trace import (
    BadChunk,
    Chunk,
    ChunkKind,
    Gap,
    LogError,
    LogFault,
    Records,
    Skipped,
    Tape,
    Writer,
    first_difference,
    replay,
)
from mina_p2p.trace.chunks import OpenChunk, seal


def test_a_log_replays_to_the_state_that_was_reached() -> None:
    """Every action, every refusal and every hash is compared, and the last state is the live one."""
    store = Store(MACHINE, initial())
    actions = 0
    for action, now in inputs(200):
        before = store.state.clock.last_action_id
        store.dispatch(action, now)
        actions += store.state.clock.last_action_id - before
    result = replay(reader(record_log(200)), MACHINE)
    assert result.is_verified
    assert result.is_closed
    assert (result.inputs, result.actions, result.notes) == (200, actions, ())
    assert result.hashes >= 5 + 3
    assert result.state_hash == SCHEMA.state_hash(store.state)
    assert result.last_id == store.state.clock.last_action_id
    assert result.header is not None
    assert result.header.metadata == {"peer_id": "me"}


def test_the_recorded_runs_contain_what_logs_are_about() -> None:
    """Otherwise the tests of this folder would prove little: all kinds, refusals, attempts, several levels."""
    chunks = [item for item in reader(record_log(200)).items(SCHEMA) if isinstance(item, Records)]
    kinds = {SCHEMA.name_of(kind) for chunk in chunks for kind in chunk.kinds}
    assert {"Connected", "Ask", "MessageReceived", "Take", "Ack", "Disconnect", "CheckTimeouts", "EffectfulSend"} <= kinds
    assert any(chunk.refusals for chunk in chunks)
    assert max(depth for chunk in chunks for depth in chunk.depths) >= 3
    assert {type(action) for chunk in chunks for action in chunk.inputs} == set(INPUTS)


def test_causes_follow_from_depths() -> None:
    """The log stores depths; the causes it gives are those that the store told its observers."""
    store = Store(MACHINE, initial())
    told: list[int] = []
    store.observe(lambda _action, _now, steps, _state: told.extend(step.cause_id for step in steps))
    for action, now in inputs(200):
        store.dispatch(action, now)
    found = [cause for item in reader(record_log(200)).items(SCHEMA) if isinstance(item, Records) for cause in item.causes()]
    assert found == told


def faulty(change: Any) -> Machine[Root]:
    def reducer(state: Root, action: Any, now: Timestamp) -> tuple[Root, FollowUps]:
        return change(action, now, *reduce(state, action, now))

    return make_machine(reducer)


def test_another_action_is_named_with_both_kinds_and_its_cause() -> None:
    """A planted extra effect shows at the very action, with what the state had become at the next checkpoint."""
    planted_at: list[int] = []

    def thank(action: Any, now: Timestamp, state: Root, follow_ups: FollowUps) -> tuple[Root, FollowUps]:
        if isinstance(action, Ack) and state.net.acks == 12:
            planted_at.append(state.clock.last_action_id)
            state = state.replace(net=state.net.replace(dice=state.net.dice.replace(counter=99)))
            return state, (Connected(peer_id(99)), *follow_ups)
        return state, follow_ups

    result = replay(reader(record_log(200)), faulty(thank))
    found = result.divergence
    assert not result.is_verified
    assert found is not None
    assert (found.recorded_kind, found.replayed_kind) == ("EffectfulSend", "Connected")
    assert found.recorded_cause == found.replayed_cause == found.action_id - 1
    assert planted_at[0] < found.action_id <= planted_at[0] + 5, "within the dispatch that was changed"
    assert found.equal_until <= planted_at[0]
    assert found.path is not None
    assert found.path.startswith("net."), "and not the clock, which differs too"
    assert f"action {found.action_id}: recorded EffectfulSend, replayed Connected" in str(found)


@pytest.mark.parametrize("kind", [Ack, EffectfulSend, Disconnect])
def test_a_missing_follow_up_is_named(kind: type[Any]) -> None:
    """The first action that no longer follows is the one that is named, whatever it is."""
    live = [
        (chunk.first_id + at, chunk.causes()[at])
        for chunk in reader(record_log(200)).items(SCHEMA)
        if isinstance(chunk, Records)
        for at, tag in enumerate(chunk.kinds)
        if SCHEMA.types[tag].cls is kind
    ]

    def without(action: Any, now: Timestamp, state: Root, follow_ups: FollowUps) -> tuple[Root, FollowUps]:
        return state, tuple(f for f in follow_ups if type(f) is not kind)

    found = replay(reader(record_log(200)), faulty(without)).divergence
    assert found is not None
    if kind is Disconnect:  # taken out of the answer to a time-out; out of an attempt it is the other arm
        assert found.recorded_kind == "Disconnect"
        assert found.action_id in dict(live)
    else:
        assert (found.action_id, found.recorded_cause) == live[0]
        assert found.recorded_kind == kind.__name__
        assert found.replayed_kind != kind.__name__


def test_a_silent_change_of_the_state_is_bounded_and_named_by_its_path() -> None:
    """Where all kinds agree, the hashes bound the place and a checkpoint names path and both values."""

    def forget_bytes(action: Any, now: Timestamp, state: Root, follow_ups: FollowUps) -> tuple[Root, FollowUps]:
        if isinstance(action, Take) and action.connection_id == 5 and state.clock.last_action_id > 150:
            peer = state.net.peers[action.connection_id]
            changed: Peer = peer.replace(bytes_in=peer.bytes_in + 1)
            return state.replace(net=state.net.replace(peers=state.net.peers.set(action.connection_id, changed))), follow_ups
        return state, follow_ups

    found = replay(reader(record_log(200)), faulty(forget_bytes)).divergence
    assert found is not None
    assert (found.recorded_kind, found.replayed_kind) == (None, None)
    assert found.path == "net.peers[5].bytes_in"
    assert found.replayed > found.recorded
    assert 0 < found.equal_until < found.action_id
    every = OPTIONS.replace(chunk_inputs=1, hash_inputs=1)
    exact = replay(reader(record_log(200, options=every)), faulty(forget_bytes)).divergence
    assert exact is not None
    assert found.equal_until <= exact.equal_until < exact.action_id <= found.action_id
    assert exact.path == found.path


def test_a_refusal_that_was_not_recorded_is_named() -> None:
    """It is other behaviour even though nothing is executed for it."""

    def ask_nobody(action: Any, now: Timestamp, state: Root, follow_ups: FollowUps) -> tuple[Root, FollowUps]:
        return state, (*follow_ups, Ask(ConnectionId(999))) if isinstance(action, Connected) else follow_ups

    found = replay(reader(record_log(200)), faulty(ask_nobody)).divergence
    assert found is not None
    assert (found.recorded_kind, found.replayed_kind) == ("the refusal of nothing", "the refusal of Ask")


def test_a_log_that_ends_with_a_bug_replays_the_bug() -> None:
    """The input that stopped the store is recorded with what was said, and the violation has to happen again."""
    store = Store(MACHINE, initial())
    writer = Writer(MACHINE, "test", store.state, schema=SCHEMA, options=OPTIONS)
    store.observe(writer.add)
    *first, (_, last) = inputs(50)
    for action, now in first:
        store.dispatch(action, now)
    with pytest.raises(InvariantViolationError) as raised:
        store.dispatch(Break(), last)
    writer.fail(Break(), last, str(raised.value))
    tape = Tape(SCHEMA)
    data = b"".join(tape.append(chunk) for chunk in writer.take())
    result = replay(reader(data), MACHINE)
    assert result.is_verified
    assert result.failure is not None
    assert "Break" in result.failure

    def mended(state: Root, action: Any, now: Timestamp) -> tuple[Root, FollowUps]:
        return (state, ()) if isinstance(action, Break) else reduce(state, action, now)

    found = replay(reader(data), make_machine(mended)).divergence
    assert found is not None
    assert found.recorded_kind is None
    assert found.replayed_kind == "Break"


def test_a_new_violation_is_a_divergence_and_not_an_exception() -> None:
    """A reducer that fails where the recorded one did not ends the replay there."""

    def fail(state: Root, action: Any, now: Timestamp) -> tuple[Root, FollowUps]:
        if isinstance(action, Disconnect):
            raise KeyError("lost")
        return reduce(state, action, now)

    found = replay(reader(record_log(200)), make_machine(fail)).divergence
    assert found is not None
    assert found.recorded_kind is not None
    assert found.replayed_kind is not None
    assert found.replayed_kind.startswith("InvariantViolationError")


def chunks_of(data: bytes) -> list[tuple[int, int, int]]:
    """Kind, beginning and end of every chunk."""
    found = list(reader(data).chunks())
    return [(c.head.kind, c.head.offset, c.head.end) for c in found if not isinstance(c, BadChunk) and hasattr(c, "head")]


def test_after_damage_the_replay_goes_on_at_the_next_checkpoint() -> None:
    """What could not be replayed is counted, and a log with damage is not verified."""
    data = bytearray(record_log(400))
    records = [(start, end) for kind, start, end in chunks_of(bytes(data)) if kind == ChunkKind.RECORDS]
    start, end = records[2]
    data[end - 1] ^= 1
    result = replay(reader(bytes(data)), MACHINE)
    assert result.divergence is None
    assert not result.is_verified
    bad, skipped = result.notes
    assert isinstance(bad, BadChunk)
    assert isinstance(skipped, Skipped)
    assert (bad.offset, bad.size) == (start, end - start)
    assert skipped.inputs > 0
    assert result.inputs + skipped.inputs == 380
    assert result.state_hash == replay(reader(record_log(400)), MACHINE).state_hash


def test_chunks_that_were_cut_out_are_noticed() -> None:
    """No damage is visible there; the ids do not connect."""
    data = record_log(400)
    records = [(start, end) for kind, start, end in chunks_of(data) if kind == ChunkKind.RECORDS]
    start, end = records[3]
    result = replay(reader(data[:start] + data[end:]), MACHINE)
    assert result.divergence is None
    assert not result.is_verified
    assert any(isinstance(note, Skipped) for note in result.notes)


def test_a_gap_is_reported_and_everything_recorded_is_still_verified() -> None:
    """The recorder said itself that it missed inputs; the checkpoint behind the gap carries on."""
    store = Store(MACHINE, initial())
    writer = Writer(MACHINE, "test", store.state, schema=SCHEMA, options=OPTIONS)
    for at, (action, now) in enumerate(inputs(90)):
        stop = store.observe(writer.add) if not 30 <= at < 60 else lambda: None
        store.dispatch(action, now)
        stop()
        if at == 59:
            writer.gap(30, "the disk was full", store.state)
    writer.close()
    tape = Tape(SCHEMA)
    data = b"".join(tape.append(chunk) for chunk in writer.take()) + tape.finish()
    result = replay(reader(data), MACHINE)
    assert result.is_verified
    assert result.inputs == 60
    (gap,) = result.notes
    assert isinstance(gap, Gap)
    assert (gap.inputs, gap.detail) == (30, "the disk was full")


def test_a_log_of_other_classes_is_recognised() -> None:
    """The error names the class that changed."""

    @record
    class Other(Record):
        x: int

    other = Machine(Root, reducers=[*((a, reduce) for a in MACHINE.actions), (Other, reduce)])
    with pytest.raises(LogError, match="Other") as raised:
        replay(reader(record_log(20)), other)
    assert raised.value.fault is LogFault.SCHEMA


def test_the_clock_is_named_only_where_nothing_else_differs() -> None:
    """It differs after every extra action and says little."""
    left, right = initial(), initial()
    assert first_difference(left, right, last="clock") is None
    right = right.replace(clock=right.clock.replace(last_action_id=3))
    only = first_difference(left, right, last="clock")
    assert only is not None
    assert only.path == "clock.last_action_id"
    right = right.replace(net=right.net.replace(acks=2))
    both = first_difference(left, right, last="clock")
    assert both is not None
    assert (both.path, both.left, both.right) == ("net.acks", 0, 2)


def test_other_content_of_the_same_actions_is_seen_at_once_where_it_is_checked() -> None:
    """An effect of the same kind at the same place, with other bytes: no state tells of it, its checksum does."""

    def mumble(action: Any, now: Timestamp, state: Root, follow_ups: FollowUps) -> tuple[Root, FollowUps]:
        if isinstance(action, Ack) and state.net.acks == 12:
            return state, (EffectfulSend(action.connection_id, b"hm"),)
        return state, follow_ups

    everything = record_log(200, options=OPTIONS.replace(digest_every=1))
    found = replay(reader(everything), faulty(mumble)).divergence
    assert found is not None
    assert found.is_content
    assert found.recorded_kind == found.replayed_kind == "MessageReceived"
    assert "holds other values" in str(found)
    assert replay(reader(everything), MACHINE).is_verified
    assert replay(reader(record_log(200, options=OPTIONS.replace(digest_every=0))), faulty(mumble)).is_verified


def test_a_forged_checksum_of_a_refused_input_is_a_divergence_and_no_crash() -> None:
    """Where nothing followed there is no kind to name."""
    chunks = list(reader(record_log(60, options=OPTIONS.replace(digest_every=1))).chunks())
    seen = 0
    for chunk in chunks:
        assert isinstance(chunk, Chunk)
        if chunk.head.kind != ChunkKind.RECORDS:
            continue
        columns = msgspec.msgpack.decode(chunk.payload)
        for place, count in enumerate(columns[2]):
            if count:
                continue
            values = bytearray(columns[8][1])
            values[4 * place] ^= 1
            forged = [*columns[:8], [1, bytes(values)]]
            made = OpenChunk(ChunkKind.RECORDS, chunk.head.first_id, chunk.head.first_time, (msgspec.msgpack.encode(forged),))
            data = b"".join(
                seal(
                    made
                    if other is chunk
                    else OpenChunk(ChunkKind(other.head.kind), other.head.first_id, other.head.first_time, (other.payload,)),
                    SCHEMA.digest,
                    None,
                )
                for other in chunks
                if isinstance(other, Chunk)
            )
            found = replay(reader(data), MACHINE).divergence
            assert found is not None
            assert found.is_content
            assert found.recorded_kind is None
            seen += 1
    assert seen
