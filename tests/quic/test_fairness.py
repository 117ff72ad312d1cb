"""A large answer does not stand in the way of a small one on the same connection."""

from __future__ import annotations

import pytest

from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded
from mina_p2p_effects.transports.quic import QuicConfig
from quic.pairs import connected

STREAMING = StreamId(4)
PART = bytes(1 << 20)


@pytest.mark.parametrize(("parts", "loss"), [(64, 0), (16, 997)], ids=["64 MB", "16 MB, one datagram of 997 lost"])
def test_a_small_rpc_waits_for_its_fair_share_of_a_large_streaming_answer(parts, loss):
    """A staged ledger of 64 MB streams on channel 8, a turn for each part; every 8 MB a small question is asked.

    Each is answered before two windows of the large answer have passed, that is what was on its way when the question was asked and
    what is sent turn by turn with the small answer.
    """
    world, dialing, listening = connected()
    count = 0

    def passes(sender: int, data: bytes) -> bool:
        nonlocal count
        count += 1
        return not loss or count % loss != 0

    world.passes = passes
    waits: list[int] = []
    asker, answerer = dialing.connection, listening.connection
    asker.request(ChannelId.STREAMING_RPC, STREAMING, b"ledger", len(PART) + 4, len(PART), ends=False)
    for part in range(parts):
        before = part
        world.run(lambda before=before: sum(event.stream == STREAMING for event in listening.heard(ChannelsMessageReceived)) > before)
        answerer.answer(STREAMING, (PART,), ends=part == parts - 1)
        if part % 8 == 4:
            begun = world.carried[1]
            world.run(lambda begun=begun: world.carried[1] > begun + 200)
            stream = StreamId(8 + 4 * len(waits))
            since = world.carried[1]
            asker.request(ChannelId.RPC, stream, b"?", 104, 100)
            world.run(lambda stream=stream: any(event.stream == stream for event in listening.heard(ChannelsMessageReceived)))
            answerer.answer(stream, (bytes(100),), ends=True)
            world.run(lambda stream=stream: any(event.stream == stream for event in dialing.heard(ChannelsStreamEnded)))
            waits.append(world.carried[1] - since)
            assert not _is_whole(dialing, part)
        world.run(lambda part=part: _is_whole(dialing, part))
        if part < parts - 1:
            asker.request_continue(STREAMING, b"next", len(PART) + 4, len(PART), ends=False)
    world.run(lambda: any(event.stream == STREAMING for event in dialing.heard(ChannelsStreamEnded)))
    window = QuicConfig().answer_window_bytes // 1400
    assert len(waits) == parts // 8
    assert max(waits) <= 2 * window


def _is_whole(dialing, part: int) -> bool:
    """Whether that part of the large answer has come."""
    whole = [event for event in dialing.log if isinstance(event, ChannelsMessageReceived) and event.stream == STREAMING]
    return len(whole) > part
