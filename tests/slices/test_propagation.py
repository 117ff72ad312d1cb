"""Permissions: who may send what, and what becomes of those who send something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mina_p2p.channels.propagation.actions import ChannelsPropagationRequestSend, trace_kind
from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.channels.propagation.state import Paused, RemoteRequested, RemoteResponded, Requested, Responding, WaitingForRequest
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, StreamId
from mina_p2p.notifications import PeerConnected, PeerDisconnected
from mina_p2p.peer.state import Banned
from mina_p2p.pool.actions import PoolRemove
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
)
from slices.items import block, commitment, insert_commitment, insert_payment, insert_snark, job_info, payment_info
from slices.lab import Lab

TX = ChannelId.TRANSACTION
UNOPENED = StreamId(401)
"""A stream number of ours, by which we have asked for nothing."""

ITEM: dict[ChannelId, Callable[[int], Any]] = {
    ChannelId.TRANSACTION: payment_info,
    ChannelId.SNARK: job_info,
    ChannelId.SNARK_JOB_COMMITMENT: commitment,
    ChannelId.BEST_TIP: block,
}
INSERT: dict[ChannelId, Callable[[int], Any]] = {
    ChannelId.TRANSACTION: insert_payment,
    ChannelId.SNARK: insert_snark,
    ChannelId.SNARK_JOB_COMMITMENT: insert_commitment,
}


# --- asking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", POOL_CHANNELS)
def test_a_permission_is_used_and_given_again(channel: ChannelId) -> None:
    """GetNext, WillSend, as many items, the end; then the next GetNext, on a new stream, for what there is room for."""
    lab = Lab(limits=Limits(candidates_per_peer_max=10, propagation_request_max=8))
    connection_id = lab.accept(1)
    first = next(effect for effect in lab.of(ChannelsEffectfulRequestSend) if effect.channel == channel)
    assert first.frame == KINDS[channel].encode_get_next(8)
    effects = lab.announce(connection_id, channel, *(ITEM[channel](n) for n in range(1, 6)))
    (again,) = [e for e in effects if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == channel]
    assert again.stream > first.stream
    assert again.frame == KINDS[channel].encode_get_next(5)


@pytest.mark.parametrize("channel", KINDS)
def test_credit_is_for_what_is_permitted(channel: ChannelId) -> None:
    """The transport lets through as many bytes as the items can take, and no longer frame than the channel knows."""
    lab = Lab()
    lab.accept(1)
    request = next(effect for effect in lab.of(ChannelsEffectfulRequestSend) if effect.channel == channel)
    kind = KINDS[channel]
    limit = 1 if channel == ChannelId.BEST_TIP else 32
    assert request.frame_bytes_max == kind.item_bytes_max
    assert request.answer_bytes_max == (8 if kind.will_send else 0) + limit * (4 + kind.item_bytes_max)


def test_fewer_items_than_permitted() -> None:
    """One of 32 is an answer like any other."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1))
    machine = lab.state.channels.propagation(connection_id, TX)
    assert machine is not None
    assert isinstance(machine.local, Requested)


def test_no_permission_without_room() -> None:
    """A peer whose announcements wait for the node may announce no more until one is gone."""
    lab = Lab(limits=Limits(candidates_per_peer_max=2, propagation_request_max=2))
    connection_id = lab.accept(1)
    effects = lab.announce(connection_id, TX, payment_info(1), payment_info(2))
    assert not [e for e in effects if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == TX]
    lab.answer(connection_id, 1, None)
    (request,) = [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel == TX]
    assert request.frame == KINDS[TX].encode_get_next(1)


# --- violations -------------------------------------------------------------------------------


def _nothing_was_asked(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.item(cid, channel, ITEM[channel](1), UNOPENED)


def _a_promise_unasked(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 1, UNOPENED)


def _a_promise_over_the_limit(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 33)


def _a_promise_of_nothing(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 0)


def _two_promises(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 2)
    lab.promise(cid, channel, 2)


def _an_item_without_a_promise(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.item(cid, channel, ITEM[channel](1))


def _more_than_promised(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 1)
    lab.item(cid, channel, ITEM[channel](1))
    lab.item(cid, channel, ITEM[channel](2))


def _on_a_stream_of_before(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    stream = lab.stream(cid, channel)
    lab.announce(cid, channel, ITEM[channel](1))
    lab.item(cid, channel, ITEM[channel](2), stream)


def _less_than_promised(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 2)
    lab.item(cid, channel, ITEM[channel](1))
    lab.end(cid, channel)


def _an_end_and_nothing_before(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.end(cid, channel)


def _a_permission_for_nothing(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.get_next(cid, channel, 0)


def _two_permissions(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.get_next(cid, channel, 1, lab.get_next(cid, channel, 1))


def _a_permission_on_our_stream(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.get_next(cid, channel, 1, UNOPENED)


def _garbage(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.frame(cid, channel, lab.stream(cid, channel), b"\xff\xff")


def _nothing_in_a_frame(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.frame(cid, channel, lab.stream(cid, channel), b"")


def _something_behind_the_message(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.frame(cid, channel, lab.peer_stream(cid), KINDS[channel].encode_get_next(1) + b"\0")


def _another_channels_item(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    other = ChannelId.SNARK if channel == TX else TX
    lab.promise(cid, channel, 1)
    lab.frame(cid, channel, lab.stream(cid, channel), KINDS[other].codec.encode(KINDS[other].item(ITEM[other](1))))


def _a_promise_and_then_nothing(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.promise(cid, channel, 2)
    lab.wait(Timeouts().answer + SECOND)


def _items_and_no_end(lab: Lab, cid: ConnectionId, channel: ChannelId) -> None:
    lab.feed(INSERT[channel](1))
    lab.promise(cid, channel, 1)
    lab.item(cid, channel, ITEM[channel](1))
    lab.wait(Timeouts().answer + SECOND)


VIOLATIONS: dict[Callable[[Lab, ConnectionId, ChannelId], None], ReasonCode] = {
    _nothing_was_asked: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _a_promise_unasked: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _a_promise_over_the_limit: ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
    _a_promise_of_nothing: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _two_promises: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _an_item_without_a_promise: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _more_than_promised: ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
    _on_a_stream_of_before: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _less_than_promised: ReasonCode.ANSWER_TRUNCATED,
    _an_end_and_nothing_before: ReasonCode.ANSWER_TRUNCATED,
    _a_permission_for_nothing: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _two_permissions: ReasonCode.CHANNEL_MSG_UNEXPECTED,
    _a_permission_on_our_stream: ReasonCode.STREAM_MISUSE,
    _garbage: ReasonCode.CHANNEL_MSG_UNDECODABLE,
    _nothing_in_a_frame: ReasonCode.CHANNEL_MSG_UNDECODABLE,
    _something_behind_the_message: ReasonCode.CHANNEL_MSG_UNDECODABLE,
    _another_channels_item: ReasonCode.CHANNEL_MSG_UNDECODABLE,
    _a_promise_and_then_nothing: ReasonCode.CHANNEL_TIMEOUT,
    _items_and_no_end: ReasonCode.CHANNEL_TIMEOUT,
}


@pytest.mark.parametrize("channel", POOL_CHANNELS)
@pytest.mark.parametrize("violate", VIOLATIONS, ids=lambda violate: violate.__name__.strip("_"))
def test_a_violation_ends_that_connection_and_no_other(violate: Callable[[Lab, ConnectionId, ChannelId], None], channel: ChannelId) -> None:
    """The peer is told the reason and banned; the node software is told, too; others do not notice."""
    lab = Lab()
    other = lab.accept(2)
    cid = lab.accept(1)
    bystander = lab.state.channels.table[other]
    violate(lab, cid, channel)
    reason = lab.goodbye(cid)
    assert reason is not None
    assert (reason.code, reason.channel) == (VIOLATIONS[violate], channel)
    assert lab.ended(cid) == reason
    status = lab.peer(1).status
    assert isinstance(status, Banned)
    assert status.reason == reason
    assert lab.state.channels.table.keys() == [other]
    assert lab.state.channels.table[other] is bystander
    assert not [e for e in lab.effects if getattr(e, "connection_id", None) == other]


def test_a_channel_that_is_not_served() -> None:
    """Known by number, agreed on by nobody."""
    lab = Lab(channels=(ChannelId.BEST_TIP, ChannelId.RPC))
    connection_id = lab.accept(1)
    lab.get_next(connection_id, TX)
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert (reason.code, reason.channel) == (ReasonCode.CHANNEL_MSG_UNEXPECTED, TX)


def test_a_details_length_is_bounded() -> None:
    """Whatever a frame held, what is said about it is short."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.frame(connection_id, TX, lab.stream(connection_id, TX), b"\x02" + bytes(5_000))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert 0 < len(reason.detail) <= 200


# --- patience ---------------------------------------------------------------------------------


def test_a_permission_that_nobody_uses_is_withdrawn_and_given_anew() -> None:
    """Nothing at all is no violation: the peer may have nothing. No stream waits for ever, though."""
    lab = Lab()
    connection_id = lab.accept(1)
    stream = lab.stream(connection_id, TX)
    lab.wait(Timeouts().parked_permission)
    assert ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED) in lab.effects
    assert not lab.of(ChannelsEffectfulRequestSend), "a new request could overtake the withdrawal"
    lab.wait(Timeouts().reconnect)
    assert {e.channel for e in lab.of(ChannelsEffectfulRequestSend)} == set(KINDS)
    assert lab.stream(connection_id, TX) > stream


def test_a_peer_that_declines_is_asked_again_later() -> None:
    """A reset of the stream is allowed; the next permission follows after a while."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.reset(connection_id, TX, code=StreamResetCode.REFUSED)
    machine = lab.state.channels.propagation(connection_id, TX)
    assert machine is not None
    assert isinstance(machine.local, Paused)
    assert not lab.effects
    lab.wait(Timeouts().reconnect)
    assert [e.channel for e in lab.of(ChannelsEffectfulRequestSend)] == [TX]


def test_a_deadline_counts_from_the_first_word_of_an_answer() -> None:
    """A permission may be parked for long; once something is promised it has to come."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.wait(500 * SECOND)
    lab.promise(connection_id, TX, 1)
    machine = lab.state.channels.propagation(connection_id, TX)
    assert machine is not None
    assert isinstance(machine.local, Responding)
    assert machine.local.deadline == lab.now + Timeouts().answer


# --- answering --------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", POOL_CHANNELS)
def test_an_answer_waits_for_something_to_say(channel: ChannelId) -> None:
    """A permission is parked until there is an item; the answer is a promise, as many items, the end."""
    lab = Lab()
    connection_id = lab.accept(1)
    stream = lab.get_next(connection_id, channel, 5)
    assert not lab.answers()
    lab.feed(INSERT[channel](1))
    (answer,) = lab.of(ChannelsEffectfulAnswerSend)
    assert (answer.connection_id, answer.stream, answer.ends) == (connection_id, stream, True)
    assert answer.frames == KINDS[channel].encode_answer((ITEM[channel](1),))


def test_no_more_than_was_permitted() -> None:
    """Seven items at three a time: three, three, one; then nothing until there is an eighth."""
    lab = Lab()
    connection_id = lab.accept(1)
    for n in range(1, 8):
        lab.feed(insert_payment(n))
    sent: list[bytes] = []
    for expected in (3, 3, 1, 0):
        lab.get_next(connection_id, TX, 3)
        assert max(len(lab.answers()) - 1, 0) == expected
        sent += lab.answers()[1:]
    assert sent == [KINDS[TX].codec.encode(KINDS[TX].item(payment_info(n))) for n in range(1, 8)]
    lab.feed(insert_payment(8))
    assert len(lab.answers()) == 2


def test_every_peer_is_served_at_its_own_pace() -> None:
    """What one has read does not concern the other."""
    lab = Lab()
    one, two = lab.accept(1), lab.accept(2)
    lab.get_next(one, TX, 10)
    lab.feed(insert_payment(1))
    lab.feed(insert_payment(2))
    lab.get_next(two, TX, 10)
    assert len(lab.answers()) == 3
    lab.get_next(one, TX, 10)
    assert len(lab.answers()) == 2


def test_nothing_is_sent_to_a_slow_reader() -> None:
    """Items wait in the state while a peer does not read, and go out when it does."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.get_next(connection_id, TX, 10)
    lab.feed(ChannelsSendBlocked(connection_id))
    lab.feed(insert_payment(1))
    assert not lab.effects
    lab.feed(ChannelsSendUnblocked(connection_id))
    assert len(lab.answers()) == 2


def test_a_permission_that_the_peer_withdraws() -> None:
    """Not used any more; the next one is."""
    lab = Lab()
    connection_id = lab.accept(1)
    stream = lab.get_next(connection_id, TX, 10)
    lab.reset(connection_id, TX, stream, StreamResetCode.CANCELLED)
    lab.feed(insert_payment(1))
    assert not lab.effects
    lab.get_next(connection_id, TX, 10)
    assert len(lab.answers()) == 2


def test_an_answer_that_crosses_the_withdrawal_is_sent_again() -> None:
    """The peer dropped the stream before it read what we had sent: that is not lost."""
    lab = Lab()
    connection_id = lab.accept(1)
    stream = lab.get_next(connection_id, TX, 10)
    lab.feed(insert_payment(1))
    machine = lab.state.channels.propagation(connection_id, TX)
    assert machine is not None
    assert isinstance(machine.remote, RemoteResponded)
    lab.reset(connection_id, TX, stream, StreamResetCode.CANCELLED)
    lab.get_next(connection_id, TX, 10)
    assert len(lab.answers()) == 2


def test_an_item_that_was_removed_is_not_sent() -> None:
    """Nor does it take up a permission."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(insert_payment(1))
    lab.feed(PoolRemove(TX, payment_info(1).hash))
    lab.get_next(connection_id, TX, 10)
    machine = lab.state.channels.propagation(connection_id, TX)
    assert machine is not None
    assert isinstance(machine.remote, RemoteRequested)
    lab.feed(insert_payment(2))
    assert len(lab.answers()) == 2


def test_names_in_traces_are_the_references() -> None:
    """One machine, but each channel under its own name."""
    assert trace_kind(ChannelsPropagationRequestSend(ConnectionId(1), TX)) == "ChannelsTransactionRequestSend"
    commitments = ChannelsPropagationRequestSend(ConnectionId(1), ChannelId.SNARK_JOB_COMMITMENT)
    assert trace_kind(commitments) == "ChannelsSnarkJobCommitmentRequestSend"


# --- with real nodes --------------------------------------------------------------------------


def _two_nodes(**settings: Any) -> tuple[Simulation, SimNode, SimNode]:
    simulation = Simulation(1)
    one = simulation.add(**settings)
    two = simulation.add(initial_peers=(one.port.dial_address,), **settings)
    assert simulation.run(SECOND, until=lambda: bool(one.ready_peers() and two.ready_peers()))
    return simulation, one, two


def test_an_oversized_frame_is_stopped_by_the_transport() -> None:
    """A frame over the channel's limit never reaches the reducer; the connection ends with the right reason on both sides."""
    simulation, one, two = _two_nodes()
    simulation.run(SECOND)
    asked = one.state.channels.propagation(one.connection_to(two.config.peer_id), TX)
    assert asked is not None
    assert isinstance(asked.local, Requested)
    too_long = ChannelsEffectfulAnswerSend(two.connection_to(one.config.peer_id), asked.local.stream, (bytes(1_025),), ends=True)
    simulation.network.perform(two.port, too_long, simulation.now)
    simulation.run(SECOND)
    for node in (one, two):
        (told,) = [n for n in node.notifications if isinstance(n, PeerDisconnected)]
        assert told.reason == Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, TX)
    assert isinstance(next(iter(one.state.peers.table.values())).status, Banned)
    assert not isinstance(next(iter(two.state.peers.table.values())).status, Banned)


def test_permissions_survive_a_long_silence() -> None:
    """Withdrawn and given anew on both sides, many times, without a violation; then an item passes at once."""
    simulation, one, two = _two_nodes()
    simulation.run(4_000 * SECOND)
    assert [type(n) for n in one.notifications] == [PeerConnected]
    one.dispatch(insert_payment(1))
    assert simulation.run(5 * SECOND, until=lambda: len(two.state.pools.transaction.candidates) == 1)
    machine = one.state.channels.propagation(one.connection_to(two.config.peer_id), TX)
    assert machine is not None
    assert not isinstance(machine.remote, WaitingForRequest)
