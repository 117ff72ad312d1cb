"""What is about a stream that nobody speaks on any more changes nothing, in whatever state the channels are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channels.lab import DISCOVERY, EXCHANGE, STREAMING, Lab, ledger
from channels.streams import asking, serving
from channels.test_dialer import accepted, permitted, wanted
from channels.test_listener import handed
from channels.test_relay import introduce, offered
from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerDecrypted,
    ChannelsSignalingDiscoveryOfferEncrypted,
    ChannelsSignalingDiscoveryOfferError,
)
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeAnswerError,
    ChannelsSignalingExchangeOfferDecrypted,
)
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcResponseCancel,
    ChannelsStreamingRpcResponseSendInit,
    StreamingRpcCancel,
)
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, StreamId


def _answered() -> tuple[Lab, ConnectionId]:
    lab = Lab()
    cid = asking(lab)
    for part in ledger():
        lab.part(cid, 0, part)
    return lab, cid


def _cancelled() -> tuple[Lab, ConnectionId]:
    lab = Lab()
    cid = asking(lab)
    lab.feed(StreamingRpcCancel(cid, RequestId(9)))
    return lab, cid


def _stage(begin: Callable[[Lab], object]) -> tuple[Lab, ConnectionId]:
    lab = Lab(is_discovery_enabled=begin in {permitted, wanted, accepted})
    begin(lab)
    return lab, ConnectionId(1)


STAGES: dict[str, Callable[[], tuple[Lab, ConnectionId]]] = {
    "just connected": lambda: _stage(lambda lab: lab.accept(1)),
    "asking": lambda: _stage(asking),
    "answered": _answered,
    "cancelled": _cancelled,
    "serving": lambda: _stage(serving),
    "introduced": lambda: _stage(introduce),
    "offered": lambda: _stage(offered),
    "introduced, the target": lambda: (_stage(introduce)[0], ConnectionId(2)),
    "offered, the target": lambda: (_stage(offered)[0], ConnectionId(2)),
    "permitted": lambda: _stage(permitted),
    "wanted": lambda: _stage(wanted),
    "accepted": lambda: _stage(accepted),
    "handed an offer": lambda: _stage(handed),
}


@pytest.mark.parametrize("channel", [DISCOVERY, EXCHANGE, STREAMING])
@pytest.mark.parametrize("stage", STAGES)
def test_a_reset_of_another_stream_changes_nothing(stage: str, channel: ChannelId) -> None:
    """One of ours and one of the peer's, on every channel."""
    for stream in (StreamId(400), StreamId(401)):
        lab, cid = STAGES[stage]()
        before = lab.state
        lab.reset(cid, channel, stream)
        assert lab.effects == []
        assert lab.state.replace(clock=before.clock) == before


@pytest.mark.parametrize("channel", [DISCOVERY, EXCHANGE, STREAMING])
@pytest.mark.parametrize("stage", STAGES)
def test_an_end_of_another_stream_of_the_peer_changes_nothing(stage: str, channel: ChannelId) -> None:
    """It has asked all that it would, somewhere else."""
    lab, cid = STAGES[stage]()
    channels = lab.state.channels.table[cid]
    before = lab.state
    lab.end(cid, channel, StreamId(401 if channels.is_dialer else 400))
    assert lab.effects == []
    assert lab.state.replace(clock=before.clock) == before


@pytest.mark.parametrize("stage", STAGES)
def test_commands_and_replies_about_what_is_over_change_nothing(stage: str) -> None:
    """Of another question, another introduction, or another connection."""
    lab, cid = STAGES[stage]()
    for command in (
        ChannelsStreamingRpcResponseCancel(cid, 7),
        ChannelsStreamingRpcResponseCancel(ConnectionId(99), 0),
        ChannelsStreamingRpcResponseSendInit(cid, 7, None),
        StreamingRpcCancel(cid, RequestId(7)),
        StreamingRpcCancel(ConnectionId(99), RequestId(9)),
        ChannelsSignalingDiscoveryOfferError(cid, StreamId(400)),
        ChannelsSignalingDiscoveryOfferEncrypted(cid, StreamId(400), None),
        ChannelsSignalingDiscoveryAnswerDecrypted(cid, StreamId(400), None),
        ChannelsSignalingExchangeAnswerError(cid, StreamId(401)),
        ChannelsSignalingExchangeAnswerEncrypted(cid, StreamId(401), None),
        ChannelsSignalingExchangeOfferDecrypted(cid, StreamId(401), None),
    ):
        before = lab.state
        lab.feed(command)
        assert lab.state is before
        assert lab.steps.refused_count == 1
