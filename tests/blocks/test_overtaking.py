"""Permissions that overtake each other, or the withdrawal of the one before: the latest stream counts."""

from __future__ import annotations

import pytest

from blocks.lab import Lab, chain
from mina_p2p.blocks.actions import BlocksRequestCancelled, BlocksRequestReceived
from mina_p2p.blocks.state import Permitted
from mina_p2p.channels.block.messages import BLOCK_MESSAGE, BlockGetNext, BlockHash, Wants
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.transport import ChannelsEffectfulStreamReset

GENESIS, FIRST, *_ = chain()
PEER = ConnectionId(1)


def _permits(lab: Lab, stream: int) -> Lab:
    return lab.feed(BlocksRequestReceived(PEER, StreamId(stream), BLOCK_MESSAGE.encode(BlockGetNext(Wants.HASH, 0))))


def _waiting(stream: int) -> Lab:
    """A peer that was told our tip on the first stream, and waits on a later one."""
    return _permits(_permits(Lab(tip=GENESIS).join(1), 0), stream)


def _remote(lab: Lab) -> object:
    return lab.blocks.peers[PEER].remote


def test_a_later_permission_takes_the_place_of_one_whose_withdrawal_is_on_its_way() -> None:
    """The older stream is reset by us; its own reset, when it comes, changes nothing."""
    lab = _permits(_waiting(8), 12)
    assert lab.effects == [ChannelsEffectfulStreamReset(PEER, StreamId(8), StreamResetCode.CANCELLED)]
    lab.feed(BlocksRequestCancelled(PEER, StreamId(8)))
    assert _remote(lab) == Permitted(StreamId(12), Wants.HASH, 0)


@pytest.mark.parametrize("is_used", [False, True])
def test_a_permission_that_comes_late_is_void(is_used: bool) -> None:
    """Whether the later one still waits or was used: the late one is reset, and nothing else."""
    lab = _waiting(12)
    if is_used:
        lab.know(FIRST)
        lab.feed(FIRST.tip)
        assert lab.answers() == [(1, BlockHash(FIRST.state_hash))]
    before = _remote(lab)
    _permits(lab, 8)
    assert lab.effects == [ChannelsEffectfulStreamReset(PEER, StreamId(8), StreamResetCode.CANCELLED)]
    assert _remote(lab) == before


def test_a_second_permission_on_one_stream_is_a_violation() -> None:
    """That is no order of arrival."""
    assert [effect.connection_id for effect in _permits(_waiting(8), 8).of(DisconnectionInit)] == [PEER]
