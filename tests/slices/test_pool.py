"""Pools: what is announced is fetched once, judged, and spread; liars pay."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.channels.rpc.messages import BlockResponse, RpcResponse, SnarkResponse, TransactionRequest, TransactionResponse
from mina_p2p.channels.rpc.state import ForPool, Requested
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId
from mina_p2p.mina.raw import RawBlock, RawUserCommand
from mina_p2p.notifications import ItemReceived
from mina_p2p.peer.state import Banned
from mina_p2p.pool.actions import PoolInsert, PoolRemove, PoolVerdict
from mina_p2p.pool.kinds import identity
from mina_p2p.pool.state import Fetching, VerifyPending
from mina_p2p.state import P2pState
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.transport import ChannelsEffectfulRequestSend, ConnectionClosed
from slices.items import commitment, insert_commitment, insert_payment, insert_snark, job_info, payment, payment_info, snark
from slices.lab import Lab

TX, WORK, PROMISED = ChannelId.TRANSACTION, ChannelId.SNARK, ChannelId.SNARK_JOB_COMMITMENT


def _asked(state: P2pState, connection_id: ConnectionId) -> list[Requested]:
    """What is being fetched from a peer."""
    rpc = state.channels.rpc(connection_id)
    return [] if rpc is None else [r for r in rpc.requests if isinstance(r, Requested) and isinstance(r.purpose, ForPool)]


def _deliver(lab: Lab, connection_id: ConnectionId, response: RpcResponse | None, at: int = 0) -> list[Any]:
    """The peer answers one of the questions for an item, properly; returns what came of it."""
    asked, before = _asked(lab.state, connection_id)[at], len(lab.all)
    lab.answer(connection_id, asked.id, response, asked.stream)
    if connection_id in lab.state.connections.table:
        lab.end(connection_id, ChannelId.RPC, asked.stream)
    return lab.all[before:]


def _told(lab: Lab) -> list[ItemReceived]:
    return [effect for effect in lab.all if isinstance(effect, ItemReceived)]


# --- from announcement to pool ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "info", "response", "body"),
    [
        (TX, payment_info(1), TransactionResponse(payment(1)), payment(1)),
        (WORK, job_info(1), SnarkResponse(snark(1)), snark(1)),
    ],
    ids=["a payment", "a snark work"],
)
def test_an_item_on_its_way(channel: ChannelId, info: Any, response: RpcResponse, body: bytes) -> None:
    """Announced, asked for, received, judged, in the pool, and announced to others."""
    lab = Lab()
    source, other = lab.accept(1), lab.accept(2)
    lab.get_next(other, channel, 5)
    lab.announce(source, channel, info)
    _deliver(lab, source, response)
    (told,) = _told(lab)
    assert (told.channel, told.info, told.body, told.connection_id) == (channel, info, body, source)
    lab.feed(PoolVerdict(told.verdict_id, is_valid=True))
    assert lab.state.pools.of(channel).items.get(told.key) is not None
    assert len(lab.state.pools.of(channel).candidates) == 0
    assert len(lab.answers()) == 2


def test_a_commitment_is_judged_as_it_is() -> None:
    """There is nothing to fetch."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, PROMISED, commitment(1))
    (told,) = _told(lab)
    assert (told.info, told.body) == (commitment(1), b"")
    lab.feed(PoolVerdict(told.verdict_id, is_valid=True))
    assert len(lab.state.pools.snark_job_commitment.items) == 1


def test_what_the_node_has_is_not_fetched() -> None:
    """Nor what is worse than that."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(insert_payment(1))
    lab.feed(insert_snark(1, fee=5))
    lab.announce(connection_id, TX, payment_info(1))
    lab.announce(connection_id, WORK, job_info(1, fee=5), job_info(1, fee=6))
    assert not _asked(lab.state, connection_id)
    lab.announce(connection_id, WORK, job_info(1, fee=4))
    assert len(_asked(lab.state, connection_id)) == 1


def test_one_fetch_for_many_announcements() -> None:
    """Every peer has it; one is asked."""
    lab = Lab()
    ids = [lab.accept(n) for n in (1, 2, 3)]
    for connection_id in ids:
        lab.announce(connection_id, TX, payment_info(1))
    assert [len(_asked(lab.state, connection_id)) for connection_id in ids] == [1, 0, 0]


def test_the_next_announcer_is_asked_when_one_fails() -> None:
    """Has it not, declines, or is gone: the next one, until none is left."""
    lab = Lab()
    ids = [lab.accept(n) for n in (1, 2, 3, 4)]
    for connection_id in ids:
        lab.announce(connection_id, TX, payment_info(1))
    _deliver(lab, ids[0], None)
    assert [len(_asked(lab.state, connection_id)) for connection_id in ids] == [0, 1, 0, 0]
    lab.reset(ids[1], ChannelId.RPC, lab.stream(ids[1], ChannelId.RPC))
    assert [len(_asked(lab.state, connection_id)) for connection_id in ids] == [0, 0, 1, 0]
    lab.close(ids[2])
    assert len(_asked(lab.state, ids[3])) == 1
    _deliver(lab, ids[3], None)
    assert len(lab.state.pools.transaction.candidates) == 0


def test_the_highest_fee_first() -> None:
    """Of what one peer announced; five questions at a time, another with every answer."""
    lab = Lab(limits=Limits(rpc_requests_max=2))
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, *(payment_info(n) for n in (1, 9, 3, 7, 5)))
    first = [asked.request for asked in _asked(lab.state, connection_id)]
    assert first == [TransactionRequest(payment_info(n).hash) for n in (1, 9)], "what comes first is asked for at once"
    for fee in (7, 5, 3):
        _deliver(lab, connection_id, None)
        assert _asked(lab.state, connection_id)[-1].request == TransactionRequest(payment_info(fee).hash)


def test_slots_are_filled_again_after_refusals() -> None:
    """A peer that resets our questions is asked the next ones, until it has refused all."""
    lab = Lab(limits=Limits(rpc_requests_max=2))
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, *(payment_info(n) for n in range(1, 7)))
    for left in (4, 3, 2, 1, 0, 0):
        lab.reset(connection_id, ChannelId.RPC, _asked(lab.state, connection_id)[0].stream)
        assert len(lab.state.pools.transaction.candidates) - len(_asked(lab.state, connection_id)) == max(left - 1, 0)
    assert len(lab.state.pools.transaction.candidates) == 0


# --- better ones ------------------------------------------------------------------------------


def test_a_better_work_that_is_announced_meanwhile_is_not_lost() -> None:
    """The first is fetched, the peer has replaced it by then, and what it announced next is fetched, too."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, WORK, job_info(1, fee=10))
    lab.announce(connection_id, WORK, job_info(1, fee=5))
    _deliver(lab, connection_id, SnarkResponse(snark(1, fee=5)))
    assert not _told(lab)
    _deliver(lab, connection_id, SnarkResponse(snark(1, fee=5)))
    (told,) = _told(lab)
    lab.feed(PoolVerdict(told.verdict_id, is_valid=True))
    assert lab.state.pools.snark.items.get(told.key) is not None


def test_what_the_pool_got_meanwhile_is_not_fetched() -> None:
    """A candidate that waits for its turn is dropped when its turn comes and it is no longer wanted."""
    lab = Lab(limits=Limits(rpc_requests_max=1))
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1), payment_info(2))
    lab.feed(insert_payment(2))
    _deliver(lab, connection_id, None)
    assert not _asked(lab.state, connection_id)
    assert len(lab.state.pools.transaction.candidates) == 0


def test_a_liar_does_not_stand_in_the_way() -> None:
    """It announces first, and with a fee that is not the payment's: what others announce is fetched all the same."""
    lab = Lab()
    liar, honest = lab.accept(1), lab.accept(2)
    lab.announce(liar, TX, payment_info(1).replace(fee=1 << 40))
    lab.announce(honest, TX, payment_info(1))
    _deliver(lab, liar, None)
    _deliver(lab, honest, TransactionResponse(payment(1)))
    assert [told.info for told in _told(lab)] == [payment_info(1)]


def test_a_lie_about_the_fee_is_not_repeated() -> None:
    """What is announced further is what the payment itself says."""
    lab = Lab()
    liar = lab.accept(1)
    lab.announce(liar, TX, payment_info(1).replace(fee=1 << 40, nonce=9))
    _deliver(lab, liar, TransactionResponse(payment(1)))
    assert [told.info for told in _told(lab)] == [payment_info(1)]


# --- lies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "info", "response"),
    [
        (TX, payment_info(1), TransactionResponse(payment(2))),
        (TX, payment_info(1), TransactionResponse(RawUserCommand(b"no transaction"))),
        (WORK, job_info(1), SnarkResponse(snark(2))),
    ],
    ids=["another payment", "no payment", "another job"],
)
def test_something_else_than_was_asked_for_costs_the_liar(channel: ChannelId, info: Any, response: RpcResponse) -> None:
    """It is banned; the next announcer is asked, and gets no blame."""
    lab = Lab()
    liar, honest = lab.accept(1), lab.accept(2)
    lab.announce(liar, channel, info)
    lab.announce(honest, channel, info)
    _deliver(lab, liar, response)
    reason = lab.goodbye(liar)
    assert reason is not None
    assert (reason.code, reason.channel) == (ReasonCode.RESPONSE_HASH_MISMATCH, channel)
    assert isinstance(lab.peer(1).status, Banned)
    assert len(_asked(lab.state, honest)) == 1


def test_an_answer_of_another_kind_is_a_violation_before_the_pool_sees_it() -> None:
    """The channel for questions has compared kinds (C4)."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1))
    _deliver(lab, connection_id, BlockResponse(RawBlock(b"block")))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.RESPONSE_KIND_MISMATCH


def test_an_invalid_item_costs_its_sender_only() -> None:
    """Who sent it is banned; who announced it as well is not."""
    lab = Lab()
    sender, other = lab.accept(1), lab.accept(2)
    lab.announce(sender, TX, payment_info(1))
    lab.announce(other, TX, payment_info(1))
    _deliver(lab, sender, TransactionResponse(payment(1)))
    lab.feed(PoolVerdict(_told(lab)[0].verdict_id, is_valid=False))
    reason = lab.goodbye(sender)
    assert reason is not None
    assert (reason.code, reason.channel) == (ReasonCode.INVALID_MESSAGE, TX)
    assert isinstance(lab.peer(1).status, Banned)
    assert lab.state.connections.table.keys() == [other]
    assert len(lab.state.pools.transaction.candidates) == 0


def test_leaving_before_the_verdict_saves_nobody() -> None:
    """A peer that is gone when its item is found invalid is banned all the same."""
    lab = Lab()
    sender = lab.accept(1)
    lab.announce(sender, TX, payment_info(1))
    _deliver(lab, sender, TransactionResponse(payment(1)))
    verdict_id = _told(lab)[0].verdict_id
    lab.feed(ConnectionClosed(sender, Reason(ReasonCode.SHUTDOWN), True))
    assert not isinstance(lab.peer(1).status, Banned)
    lab.feed(PoolVerdict(verdict_id, is_valid=False))
    assert isinstance(lab.peer(1).status, Banned)


# --- verdicts ---------------------------------------------------------------------------------


def test_a_verdict_that_does_not_come() -> None:
    """The candidate is dropped, the late verdict refused; the peer may announce it again."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, PROMISED, commitment(1))
    verdict_id = _told(lab)[0].verdict_id
    lab.wait(Timeouts().verdict)
    assert len(lab.state.pools.snark_job_commitment.candidates) == 0
    before = lab.state
    lab.feed(PoolVerdict(verdict_id, is_valid=True))
    assert lab.state is before
    lab.announce(connection_id, PROMISED, commitment(1))
    assert len(_told(lab)) == 2


def test_a_verdict_is_given_once() -> None:
    """The second is refused."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, PROMISED, commitment(1))
    verdict = PoolVerdict(_told(lab)[0].verdict_id, is_valid=True)
    lab.feed(verdict)
    before = lab.state
    assert lab.feed(verdict).state is before


def test_an_item_outlives_its_sender() -> None:
    """What was received is judged, although the peer has left."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1))
    _deliver(lab, connection_id, TransactionResponse(payment(1)))
    lab.close(connection_id)
    (candidate,) = lab.state.pools.transaction.candidates.values()
    assert isinstance(candidate.status, VerifyPending)
    lab.feed(PoolVerdict(_told(lab)[0].verdict_id, is_valid=True))
    assert len(lab.state.pools.transaction.items) == 1


def test_nothing_of_a_peer_stays_when_it_leaves() -> None:
    """What only it had announced is forgotten, fetched or not."""
    lab = Lab(limits=Limits(rpc_requests_max=1))
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1), payment_info(2))
    lab.close(connection_id)
    assert len(lab.state.pools.transaction.candidates) == 0


# --- the pool itself --------------------------------------------------------------------------


def test_a_full_pool_takes_no_more() -> None:
    """Until something is removed; better ones of what it has are taken."""
    lab = Lab(limits=Limits(pool_items_max=1))
    connection_id = lab.accept(1)
    lab.feed(insert_snark(1, fee=5))
    lab.feed(insert_snark(2))
    lab.announce(connection_id, WORK, job_info(2))
    assert not _asked(lab.state, connection_id)
    lab.feed(insert_snark(1, fee=4))
    (item,) = lab.state.pools.snark.items.items.values()
    assert item.info == job_info(1, fee=4)
    lab.feed(PoolRemove(WORK, item.key))
    lab.feed(insert_snark(2))
    assert len(lab.state.pools.snark.items) == 1


def test_an_update_is_sent_again() -> None:
    """A better work goes to everybody, also to those who have the old one."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(insert_snark(1, fee=5))
    lab.get_next(connection_id, WORK)
    assert len(lab.answers()) == 2
    lab.get_next(connection_id, WORK)
    assert not lab.answers()
    lab.feed(insert_snark(1, fee=4))
    assert len(lab.answers()) == 2


WRONG_COMMANDS = {
    "another key": PoolInsert(TX, bytes(32), payment_info(1), payment(1)),
    "another kind": PoolInsert(TX, payment_info(1).hash, job_info(1), payment(1)),
    "a channel without a pool": PoolInsert(ChannelId.RPC, payment_info(1).hash, payment_info(1), payment(1)),
    "the channel of best tips": PoolInsert(ChannelId.BEST_TIP, payment_info(1).hash, payment_info(1), payment(1)),
    "a hash that is none": PoolInsert(TX, b"short", payment_info(1).replace(hash=b"short"), payment(1)),
    "a fee out of range": PoolInsert(TX, payment_info(1).hash, payment_info(1).replace(fee=-1), payment(1)),
    "removal from no pool": PoolRemove(ChannelId.RPC, b"key"),
}


@pytest.mark.parametrize("name", WRONG_COMMANDS)
def test_a_command_that_makes_no_sense_is_the_callers_mistake(name: str) -> None:
    """It raises at once, not when a peer is to be sent it, and the store goes on."""
    lab = Lab()
    lab.feed(insert_commitment(1))
    before = lab.state
    with pytest.raises(CallerError):
        lab.feed(WRONG_COMMANDS[name])
    assert lab.state is before


def test_candidates_are_told_apart_by_what_was_announced() -> None:
    """The same key twice, with different words: two candidates; the same words: one with two sources."""
    lab = Lab()
    one, two, three = lab.accept(1), lab.accept(2), lab.accept(3)
    lab.announce(one, WORK, job_info(1, fee=5))
    lab.announce(two, WORK, job_info(1, fee=6))
    lab.announce(three, WORK, job_info(1, fee=6))
    pool = lab.state.pools.snark
    found = pool.find(identity(WORK, job_info(1, fee=6)))
    assert len(pool.candidates) == 2
    assert found is not None
    assert found[1].announcers == (two, three)
    assert found[1].status == Fetching(two)


# --- with real nodes --------------------------------------------------------------------------


def test_items_travel_along_a_line_of_nodes() -> None:
    """One node inserts, the one in the middle judges and passes on, the last one has everything."""

    def judge(node: SimNode, told: Any) -> None:
        if isinstance(told, ItemReceived):
            node.dispatch(PoolVerdict(told.verdict_id, is_valid=True))

    simulation = Simulation(1)
    settings: dict[str, Any] = {"software": judge, "is_discovery_enabled": False, "limits": Limits(peers_min=1)}
    first = simulation.add(**settings)
    middle = simulation.add(initial_peers=(first.port.dial_address,), **settings)
    last = simulation.add(initial_peers=(middle.port.dial_address,), **settings)
    assert simulation.run(2 * SECOND, until=lambda: len(middle.ready_peers()) == 2)
    for n in range(1, 60):
        first.dispatch(insert_payment(n))
    for n in range(1, 4):
        first.dispatch(insert_snark(n))
        first.dispatch(insert_commitment(n))

    def everything() -> bool:
        pools = last.state.pools
        return (len(pools.transaction.items), len(pools.snark.items), len(pools.snark_job_commitment.items)) == (59, 3, 3)

    assert simulation.run(60 * SECOND, until=everything)
    assert {item.body for item in last.state.pools.transaction.items.items.values()} == {payment(n) for n in range(1, 60)}
    assert RequestId(1) == min(n.verdict_id for n in last.notifications if isinstance(n, ItemReceived))


def test_effects_name_only_what_is_asked_for() -> None:
    """A fetch is one question on one stream, with credit for a transaction and not more."""
    lab = Lab()
    connection_id = lab.accept(1)
    effects = lab.announce(connection_id, TX, payment_info(1))
    (asked,) = [e for e in effects if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == ChannelId.RPC]
    assert asked.frame_bytes_max == 2 << 20
