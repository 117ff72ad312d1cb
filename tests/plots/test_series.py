"""What is read out of logs, against the states themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from debugger.recorded import record_network

from mina_p2p.ids import ChannelId
from mina_p2p.pool.actions import PoolInsert
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend, ChannelsMessageReceived
from mina_p2p_effects.logs import LogSession, open_sessions
from mina_p2p_effects.plots.series import (
    BUCKETS,
    FRAME_HEADER_BYTES,
    PROPAGATION,
    SAMPLES,
    LogSeries,
    most_spread,
    permissions_in_use,
    read_series,
    time_span,
)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[LogSession]]:
    opened = open_sessions(record_network(tmp_path_factory.mktemp("network")))
    yield opened
    for session in opened:
        session.close()


@pytest.fixture(scope="module")
def series(sessions: list[LogSession]) -> list[LogSeries]:
    span = time_span(sessions)
    return [read_series(session, span) for session in sessions]


def test_peers_are_those_of_the_states(sessions: list[LogSession], series: list[LogSeries]) -> None:
    """Whenever the count changes it is the number of ready connections in the state."""
    for session, one in zip(sessions, series, strict=True):
        assert len(one.peers) > 3
        for i, (time, count) in enumerate(one.peers):
            if i + 1 < len(one.peers) and one.peers[i + 1][0] == time:
                continue
            state = session.state_at(session.position_at(time + 1) - 1)
            assert count == sum(1 for connection_id in state.connections.table if state.connections.ready(connection_id) is not None)


def test_permissions_are_those_of_the_states(sessions: list[LogSession], series: list[LogSeries]) -> None:
    """Every sample is what the state at its time says, and somebody has a permission."""
    for session, one in zip(sessions, series, strict=True):
        for channel in PROPAGATION:
            assert len(one.granted[channel.name]) == SAMPLES + 1 == len(one.held[channel.name])
            for i in range(0, SAMPLES + 1, 31):
                time, ours = one.granted[channel.name][i]
                state = session.state_at(session.position_at(time + 1) - 1)
                assert permissions_in_use(state, channel) == (ours, one.held[channel.name][i][1])
    assert any(count for one in series for _, count in one.granted["TRANSACTION"])
    assert any(count for one in series for _, count in one.held["TRANSACTION"])


def test_every_byte_is_counted_once(sessions: list[LogSession], series: list[LogSeries]) -> None:
    """The sums over buckets are the frames of the log; answers are counted on the channel of their question."""
    for session, one in zip(sessions, series, strict=True):
        received: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        answered = 0
        for position in range(session.count):
            action = session.content(position)
            if isinstance(action, ChannelsMessageReceived):
                received[action.channel.name] += FRAME_HEADER_BYTES + len(action.frame)
            elif isinstance(action, ChannelsEffectfulRequestSend):
                asked[action.channel.name] += FRAME_HEADER_BYTES + len(action.frame)
            elif isinstance(action, ChannelsEffectfulAnswerSend):
                answered += sum(FRAME_HEADER_BYTES + len(frame) for frame in action.frames)
        assert {name: sum(counts) for name, counts in one.bytes_in.items() if name != "control"} == dict(received)
        sent = {name: sum(counts) for name, counts in one.bytes_out.items() if name != "control"}
        assert sum(sent.values()) == sum(asked.values()) + answered
        assert all(sent[name] >= count for name, count in asked.items())
        assert all(len(counts) == BUCKETS for counts in one.bytes_in.values())


def test_arrivals(sessions: list[LogSession], series: list[LogSeries]) -> None:
    """An item is held from its first insertion on, and was received before; the one that is drawn came to all who could get it."""
    for session, one in zip(sessions, series, strict=True):
        first: dict[tuple[ChannelId, bytes], int] = {}
        for position in range(session.count):
            row = session.action(position)
            if row.kind == PoolInsert.__qualname__:
                action = session.content(position)
                first.setdefault((action.channel, action.key), row.time)
        assert {key: arrival.held for key, arrival in one.arrivals.items() if key[0] != ChannelId.BEST_TIP} == first
        assert all(arrival.received is None or arrival.received <= arrival.held for arrival in one.arrivals.values())
    item = most_spread(series)
    assert item is not None
    counts = Counter(key for one in series for key in one.arrivals)
    assert counts[item] == max(counts.values()) > 1


def test_damage_is_told(sessions: list[LogSession], tmp_path: Path) -> None:
    """What damage hides is missing and said to be; the rest is there."""
    data = bytearray(sessions[0].paths[0].read_bytes())
    data[sessions[0].files[0].directory.offsets[0] + 100] ^= 0xFF
    damaged = tmp_path / "damaged.log"
    damaged.write_bytes(data)
    [session] = open_sessions(damaged)
    with session:
        one = read_series(session)
    assert one.peers
    assert one.problems or not any(map(any, one.bytes_in.values()))


def test_nothing_to_see(sessions: list[LogSession], tmp_path: Path) -> None:
    """A log that ends before its first action gives empty pictures, not errors."""
    data = sessions[0].paths[0].read_bytes()[: sessions[0].files[0].directory.offsets[0]]
    empty = tmp_path / "empty.log"
    empty.write_bytes(data)
    [session] = open_sessions(empty)
    with session:
        one = read_series(session)
    assert one.arrivals == {}
    assert one.bytes_in == {}
    assert most_spread([one]) is None
