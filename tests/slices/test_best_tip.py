"""Best tips: ours to those who permit one, theirs to the node software."""

from __future__ import annotations

import pytest

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.best_tip.messages import BEST_TIP_MESSAGE, BestTipItem
from mina_p2p.channels.propagation.kinds import BEST_TIP
from mina_p2p.config import Timeouts
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived
from mina_p2p.peer.state import Banned
from mina_p2p.testing.sim import Simulation
from mina_p2p.transport import ChannelsEffectfulRequestSend, ChannelsSendBlocked, ChannelsSendUnblocked
from slices.items import block, state_hash
from slices.lab import Lab

TIP = ChannelId.BEST_TIP


def _set(lab: Lab, height: int) -> None:
    lab.feed(BestTipSet(block(height), state_hash(height)))


def _frame(height: int) -> bytes:
    return BEST_TIP_MESSAGE.encode(BestTipItem(block(height)))


def test_a_tip_goes_to_everybody_who_waits() -> None:
    """One item, no promise, the end; whoever has not asked gets it when they do."""
    lab = Lab()
    waiting, late = lab.accept(1), lab.accept(2)
    lab.get_next(waiting, TIP)
    _set(lab, 1)
    assert lab.answers() == [_frame(1)]
    lab.get_next(late, TIP)
    assert lab.answers() == [_frame(1)]


def test_the_same_tip_is_sent_once() -> None:
    """A peer that asks again waits for another; the node software that sets it again changes nothing."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.get_next(connection_id, TIP)
    _set(lab, 1)
    lab.get_next(connection_id, TIP)
    assert not lab.answers()
    before = lab.state
    _set(lab, 1)
    assert lab.state is before
    _set(lab, 2)
    assert lab.answers() == [_frame(2)]


def test_only_the_newest_tip_is_sent() -> None:
    """What was overtaken before the peer asked is not history worth telling."""
    lab = Lab()
    connection_id = lab.accept(1)
    for height in (1, 2, 3):
        _set(lab, height)
    lab.get_next(connection_id, TIP)
    assert lab.answers() == [_frame(3)]


def test_a_slow_reader_gets_the_newest_tip_later() -> None:
    """Megabytes do not pile up for a peer that does not read."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.get_next(connection_id, TIP)
    lab.feed(ChannelsSendBlocked(connection_id))
    _set(lab, 1)
    _set(lab, 2)
    assert not lab.effects
    lab.feed(ChannelsSendUnblocked(connection_id))
    assert lab.answers() == [_frame(2)]


def test_a_peers_tip_reaches_the_node_software() -> None:
    """With its state hash; the next permission follows a while after the answer's end, not before (defect C8)."""
    lab = Lab()
    connection_id = lab.accept(1)
    stream = lab.stream(connection_id, TIP)
    lab.item(connection_id, TIP, block(1))
    (told,) = lab.of(BestTipReceived)
    assert (told.block, told.state_hash) == (block(1), state_hash(1))
    tip = lab.state.best_tips.of_peers[connection_id]
    assert tip.state_hash == state_hash(1)
    assert not lab.of(ChannelsEffectfulRequestSend)
    lab.end(connection_id, TIP, stream)
    assert not lab.of(ChannelsEffectfulRequestSend)
    lab.wait(Timeouts().best_tip_interval)
    assert [effect.channel for effect in lab.of(ChannelsEffectfulRequestSend)] == [TIP]


def test_a_tip_whose_hash_can_not_be_computed_is_a_violation() -> None:
    """Nobody is told of it."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.item(connection_id, TIP, RawBlock(b"no block"))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert (reason.code, reason.channel) == (ReasonCode.CHANNEL_MSG_UNDECODABLE, TIP)
    assert not lab.of(BestTipReceived)
    assert isinstance(lab.peer(1).status, Banned)


def test_two_tips_for_one_permission_are_a_violation() -> None:
    """The second is more than was permitted."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.item(connection_id, TIP, block(1))
    lab.item(connection_id, TIP, block(2))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION


def test_a_tip_that_no_frame_can_hold_is_the_callers_mistake() -> None:
    """It raises before anybody is sent a part of it (C9)."""
    lab = Lab()
    with pytest.raises(CallerError, match="can not be sent"):
        lab.feed(BestTipSet(RawBlock(bytes(BEST_TIP.item_bytes_max)), bytes(32)))
    lab.feed(BestTipSet(RawBlock(bytes(BEST_TIP.item_bytes_max - 1)), bytes(32)))
    assert lab.state.best_tips.own is not None


def test_what_a_peer_said_is_forgotten_with_it() -> None:
    """No tip of a peer that is gone."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.item(connection_id, TIP, block(1))
    lab.close(connection_id)
    assert len(lab.state.best_tips.of_peers) == 0


def test_tips_travel_between_nodes() -> None:
    """Set at one, told at the other, several times."""
    simulation = Simulation(1)
    one = simulation.add()
    two = simulation.add(initial_peers=(one.port.dial_address,))
    assert simulation.run(SECOND, until=lambda: bool(one.ready_peers() and two.ready_peers()))
    for height in (1, 2, 3):
        one.dispatch(BestTipSet(block(height), state_hash(height)))
        simulation.run(SECOND)
    assert [n.state_hash for n in two.notifications if isinstance(n, BestTipReceived)] == [state_hash(h) for h in (1, 2, 3)]
