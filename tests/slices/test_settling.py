"""Items that are over: included by a best tip, outdated by one, too old; and announcements that nobody can deliver."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from support.vectors import vectors_path

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.rpc.messages import TransactionResponse
from mina_p2p.config import Limits, Timeouts
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, Timestamp
from mina_p2p.mina.block import Block
from mina_p2p.mina.commands import UserCommandWithStatus
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.snark_work import RawSnarkWork, SnarkWork
from mina_p2p.mina.transaction_status import Applied
from mina_p2p.notifications import ItemReceived, PoolItemsDropped, WhyDropped
from mina_p2p.pool.actions import PoolInsert, PoolVerdict
from mina_p2p.pool.announce import transaction_info
from mina_p2p.pool.kinds import KINDS
from mina_p2p.pool.settling import settled_by
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend
from slices.items import chain, commitment, insert_commitment, insert_payment, insert_snark, job_info, payment, payment_info, snark
from slices.lab import Lab

TX, SNARK, COMMITMENT = ChannelId.TRANSACTION, ChannelId.SNARK, ChannelId.SNARK_JOB_COMMITMENT
TIMES = Timeouts()


@cache
def tip(*payments: RawUserCommand, works: tuple[RawSnark, ...] = ()) -> RawBlock:
    """A block with these in it."""
    block: Block = MinaGenerator(77).genesis()
    commands = tuple(UserCommandWithStatus(one, Applied()) for one in payments)
    completed = tuple(RawSnarkWork.of(SnarkWork(work.value.fee, work.value.proofs, work.value.snarker)) for work in works)
    diff = block.body.staged_ledger_diff.diff
    first = diff.first.replace(commands=commands, completed_works=completed)
    body = block.body.replace(staged_ledger_diff=block.body.staged_ledger_diff.replace(diff=diff.replace(first=first)))
    # Another header for other bodies, so that tips differ.
    length = len(payments) + 10 * len(works) + sum(one[-1] for one in payments)
    state = block.header.protocol_state
    consensus = state.body.consensus_state.replace(blockchain_length=2 + length)
    header = block.header.replace(protocol_state=state.replace(body=state.body.replace(consensus_state=consensus)))
    return RawBlock.of(block.replace(header=header, body=body))


def _set_tip(lab: Lab, block: RawBlock) -> list[PoolItemsDropped]:
    lab.feed(BestTipSet(block, state_hash_of_block(block)))
    return lab.of(PoolItemsDropped)


def _same_payer(n: int, nonce: int, *, of: int = 1) -> RawUserCommand:
    """Another payment of a payer, different in its fee."""
    command: Any = payment(of).value
    common = command.payload.common.replace(nonce=nonce, fee=1_000 + n)
    return RawUserCommand.of(command.replace(payload=command.payload.replace(common=common)))


def _insert(raw: RawUserCommand) -> PoolInsert:
    info = transaction_info(raw)
    return PoolInsert(TX, KINDS[TX].key(info), info, raw)


# --- best tips ----------------------------------------------------------------------------------


def test_a_real_block_is_read() -> None:
    """Every transaction of a block of mainnet, under the hash that the network knows it by."""
    (path, *_) = sorted(vectors_path("blocks").glob("*.bin"))
    block = RawBlock(path.read_bytes())
    found = settled_by(block)
    assert len(found.transactions) == len(block.value.body.commands)
    assert len(found.jobs) == len(block.value.body.completed_works)


def test_what_a_tip_contains_leaves_the_pools() -> None:
    """Transactions, and all work and commitments for the jobs that it has work for; nothing else. The node software is told."""
    lab = Lab()
    for insert in (insert_payment(1), insert_payment(2), insert_snark(1), insert_snark(2), insert_commitment(1), insert_commitment(2)):
        lab.feed(insert)
    told = _set_tip(lab, tip(payment(1), works=(snark(1, fee=3, prover=9),)))
    key = KINDS[SNARK].key(job_info(1))
    assert told == [
        PoolItemsDropped(TX, (payment_info(1).hash,), WhyDropped.INCLUDED),
        PoolItemsDropped(SNARK, (key,), WhyDropped.INCLUDED),
        PoolItemsDropped(COMMITMENT, (key,), WhyDropped.INCLUDED),
    ]
    assert [len(lab.state.pools.of(channel).items) for channel in (TX, SNARK, COMMITMENT)] == [1, 1, 1]


def test_used_up_nonces_outdate() -> None:
    """Of the same payer, up to the nonce that the tip contains; later ones stay, and so do others' of any nonce."""
    lab = Lab()
    used = payment_info(1).nonce + 5
    payments = [_same_payer(n, nonce) for n, nonce in enumerate((used - 1, used, used + 1))]
    for raw in payments:
        lab.feed(_insert(raw))
    lab.feed(insert_payment(2))
    told = _set_tip(lab, tip(_same_payer(50, used)))
    outdated = {transaction_info(raw).hash for raw in payments[:2]}
    assert [(one.channel, set(one.keys), one.why) for one in told] == [(TX, outdated, WhyDropped.OUTDATED)]
    assert transaction_info(payments[2]).hash in lab.state.pools.transaction.items
    assert payment_info(2).hash in lab.state.pools.transaction.items


def test_a_tip_without_any_of_it_says_nothing() -> None:
    """And one that can not be read settles nothing."""
    lab = Lab().feed(insert_payment(1))
    assert _set_tip(lab, tip(payment(2))) == []
    lab.feed(BestTipSet(RawBlock(b"no block"), bytes(32)))
    assert lab.of(PoolItemsDropped) == []
    assert len(lab.state.pools.transaction.items) == 1


def test_candidates_that_a_tip_contains_are_let_go() -> None:
    """Those that wait, and those under verdict: a verdict could only wrong an honest peer that had not heard of the tip."""
    lab = Lab(limits=Limits(rpc_requests_max=1))
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(3), payment_info(2), payment_info(1))
    lab.answer(cid, 0, TransactionResponse(payment(3)))
    (asked,) = lab.of(ItemReceived)
    _set_tip(lab, tip(payment(3), payment(1)))
    assert [candidate.key for candidate in lab.state.pools.transaction.candidates.values()] == [payment_info(2).hash]
    before = lab.state
    lab.feed(PoolVerdict(asked.verdict_id, is_valid=False))
    assert lab.state is before


def test_what_is_on_its_way_when_a_tip_settles_it_is_dropped_when_it_comes() -> None:
    """It uses no slot any more, nobody is asked, and its sender stays."""
    lab = Lab()
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1))
    _set_tip(lab, tip(payment(1)))
    assert lab.state.pools.transaction.held_from(cid) == 1
    lab.answer(cid, 0, TransactionResponse(payment(1))).end(cid, ChannelId.RPC)
    assert lab.state.pools.transaction.held_from(cid) == 0
    assert not [e for e in lab.all if isinstance(e, ItemReceived)]
    assert cid in lab.state.connections.table


def test_peers_that_have_not_heard_of_a_tip_are_not_asked() -> None:
    """For a while; the node software may have it back at once, and then it spreads as ever."""
    lab = Lab()
    _set_tip(lab, tip(payment(1)))
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1))
    assert len(lab.state.pools.transaction.candidates) == 0
    lab.feed(insert_payment(1))
    assert payment_info(1).hash in lab.state.pools.transaction.items
    lab.now = Timestamp(lab.now + TIMES.settled)
    other = Lab()
    _set_tip(other, tip(payment(1)))
    other.now = Timestamp(other.now + TIMES.settled)
    cid = other.accept(1)
    other.announce(cid, TX, payment_info(1))
    assert len(other.state.pools.transaction.candidates) == 1


def test_memory_of_what_is_over_is_bounded() -> None:
    """The latest is remembered."""
    lab = Lab(limits=Limits(pool_items_max=3))
    _set_tip(lab, tip(*(payment(n) for n in range(1, 6))))
    assert [lab.state.pools.transaction.is_gone(payment_info(n).hash, lab.now) for n in range(1, 6)] == [False, False, True, True, True]


def test_it_can_be_the_node_softwares_business() -> None:
    """One setting: nothing is dropped and everything is taken."""
    lab = Lab(are_settled_items_dropped=False).feed(insert_payment(1))
    assert _set_tip(lab, tip(payment(1), payment(2))) == []
    lab.announce(lab.accept(1), TX, payment_info(2))
    assert len(lab.state.pools.transaction.candidates) == 1


# --- age ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "insert", "age"),
    [
        (TX, insert_payment, TIMES.transaction_age),
        (SNARK, insert_snark, TIMES.snark_age),
        (COMMITMENT, insert_commitment, TIMES.commitment_age),
    ],
)
def test_items_have_an_age(channel: ChannelId, insert: Any, age: int) -> None:
    """Each leaves when its own time is over, the node software is told, and peers' copies are not taken for as long."""
    lab = Lab().feed(insert(1))
    lab.wait(10 * SECOND)
    lab.feed(insert(2))
    lab.wait(age - 11 * SECOND)
    assert len(lab.state.pools.of(channel).items) == 2
    lab.wait(SECOND)
    (told,) = lab.of(PoolItemsDropped)
    assert (told.channel, told.keys, told.why) == (channel, (insert(1).key,), WhyDropped.EXPIRED)
    lab.wait(10 * SECOND)
    assert [one.keys for one in lab.of(PoolItemsDropped)] == [(insert(2).key,)]
    cid = lab.accept(1)
    lab.announce(cid, channel, insert(1).info)
    assert len(lab.state.pools.of(channel).candidates) == 0
    assert lab.state.pools.of(channel).expires_at is None


def test_a_better_item_is_a_new_one() -> None:
    """What replaces another has its own age."""
    lab = Lab().feed(insert_snark(1, fee=10))
    lab.wait(TIMES.snark_age // 2)
    lab.feed(insert_snark(1, fee=5))
    lab.wait(TIMES.snark_age // 2)
    assert len(lab.state.pools.snark.items) == 1
    lab.wait(TIMES.snark_age // 2)
    assert len(lab.state.pools.snark.items) == 0


def test_many_expire_in_turns() -> None:
    """A few at a look, and the node looks again at once."""
    lab = Lab(limits=Limits(deadlines_per_turn_max=2))
    for n in range(1, 6):
        lab.feed(insert_payment(n))
    lab.wait(TIMES.transaction_age + SECOND)
    left = [len(lab.state.pools.transaction.items)]
    while lab.state.pools.transaction.items:
        lab.wait(0)
        left.append(len(lab.state.pools.transaction.items))
    assert left == [3, 1, 0]


# --- what nobody delivers (finding L13) -------------------------------------------------------------


def test_an_item_that_nobody_can_be_asked_for_is_given_up() -> None:
    """Where the one question that a peer allows never comes back, the rest of what it announced does not wait for ever."""
    patient = Timeouts(rpc_transaction=4_000 * SECOND)
    lab = Lab(limits=Limits(rpc_requests_max=1), timeouts=patient)
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1), payment_info(2), payment_info(3))
    lab.wait(TIMES.candidate - SECOND)
    assert len(lab.state.pools.transaction.candidates) == 3
    lab.wait(2 * SECOND)
    # The first is being fetched, and that has its own deadline.
    assert [candidate.key for candidate in lab.state.pools.transaction.candidates.values()] == [payment_info(1).hash]
    assert lab.state.pools.transaction.held_from(cid) == 1


def test_it_is_given_up_once_though_others_announce_it_too() -> None:
    """The wait is the item's, from its first announcement on; new announcers do not prolong it."""
    lab = Lab(limits=Limits(rpc_requests_max=1), timeouts=Timeouts(rpc_transaction=4_000 * SECOND))
    for n in (1, 2):
        cid = lab.accept(n)
        lab.announce(cid, TX, payment_info(10 + n), payment_info(1))
        lab.wait(TIMES.candidate // 2)
    lab.wait(SECOND)
    assert payment_info(1).hash not in {candidate.key for candidate in lab.state.pools.transaction.candidates.values()}


def test_the_next_announcer_is_asked_at_once() -> None:
    """A failure costs the item one source."""
    lab = Lab()
    first, second = lab.accept(1), lab.accept(2)
    lab.announce(first, TX, payment_info(1))
    lab.announce(second, TX, payment_info(1))
    lab.answer(first, 0, None)
    asked = [e.connection_id for e in lab.all if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == ChannelId.RPC]
    assert asked == [first, second]


# --- what a node permits at one time (finding L10) --------------------------------------------------

ONE_ANSWER = Limits(answer_bytes_granted_max=3 << 20)
"""Room for one transaction's answer at a time."""


def _asked(lab: Lab) -> list[ConnectionId]:
    return [e.connection_id for e in lab.effects if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == ChannelId.RPC]


def test_an_answer_wakes_who_was_held_back_by_it() -> None:
    """In turn, whoever waits longest first, though nothing happens on their own connections."""
    lab = Lab(limits=ONE_ANSWER)
    cids = [lab.accept(n) for n in (1, 2, 3)]
    for n, cid in enumerate(cids):
        lab.announce(cid, TX, payment_info(10 + n))
    assert lab.state.pools.held_back == tuple(cids[1:])
    lab.answer(cids[0], 0, TransactionResponse(payment(10)))
    assert _asked(lab) == [cids[1]]
    assert lab.state.pools.held_back == (cids[2],)
    lab.answer(cids[1], 0, None)
    assert _asked(lab) == [cids[2]]
    assert not lab.state.pools.held_back


@pytest.mark.parametrize("ending", ["reset", "close"])
def test_so_does_an_answer_that_never_comes(ending: str) -> None:
    """A reset, and the end of the connection that was asked."""
    lab = Lab(limits=ONE_ANSWER)
    first, second = lab.accept(1), lab.accept(2)
    lab.announce(first, TX, payment_info(1))
    lab.announce(second, TX, payment_info(2))
    if ending == "reset":
        lab.reset(first, ChannelId.RPC)
    else:
        lab.close(first)
    assert _asked(lab) == [second]


def test_who_is_gone_is_not_woken() -> None:
    """Its place is the next one's."""
    lab = Lab(limits=ONE_ANSWER)
    cids = [lab.accept(n) for n in (1, 2, 3)]
    for n, cid in enumerate(cids):
        lab.announce(cid, TX, payment_info(10 + n))
    lab.close(cids[1])
    assert lab.state.pools.held_back == (cids[2],)
    lab.answer(cids[0], 0, None)
    assert _asked(lab) == [cids[2]]


def test_nobody_waits_for_answers_that_nobody_owes() -> None:
    """Where a node may permit less than one answer, what was announced goes when its time is over, and nothing waits for room."""
    lab = Lab(limits=Limits(answer_bytes_granted_max=1))
    lab.announce(lab.accept(1), TX, payment_info(1))
    assert (_asked(lab), lab.state.pools.held_back) == ([], ())
    lab.wait(TIMES.candidate)
    assert not lab.state.pools.transaction.candidates


def test_a_commitment_is_never_held_back() -> None:
    """It needs no answer."""
    lab = Lab(limits=ONE_ANSWER)
    first, second = lab.accept(1), lab.accept(2)
    lab.announce(first, TX, payment_info(1))
    lab.announce(second, COMMITMENT, commitment(1))
    assert not lab.state.pools.held_back
    assert [e.connection_id for e in lab.all if isinstance(e, ItemReceived)] == [second]


# --- peers that are behind (spec: pull-protocol 8.2) ------------------------------------------------


def _announced(lab: Lab, connection_id: ConnectionId) -> int:
    sent = [e for e in lab.effects if isinstance(e, ChannelsEffectfulAnswerSend) and e.connection_id == connection_id]
    return len(sent)


def _peer_at(lab: Lab, height: int) -> ConnectionId:
    """A peer that has told us its best tip and permits transactions."""
    cid = lab.accept(1)
    lab.announce(cid, ChannelId.BEST_TIP, chain(5)[height])
    lab.get_next(cid, TX)
    return cid


def test_who_is_far_behind_is_told_nothing_until_it_has_caught_up() -> None:
    """Its permission stays, and is used when its next tip is near enough."""
    lab = Lab(limits=Limits(tip_lag_max=2))
    cid = _peer_at(lab, 1)
    _set_tip(lab, chain(5)[4])
    lab.feed(insert_payment(1))
    assert _announced(lab, cid) == 0
    lab.wait(TIMES.best_tip_interval)
    lab.announce(cid, ChannelId.BEST_TIP, chain(5)[2])
    assert [e for e in lab.all if isinstance(e, ChannelsEffectfulAnswerSend)]


@pytest.mark.parametrize(("theirs", "ours", "is_told"), [(2, 4, True), (1, 4, False), (4, 0, True), (3, None, True)])
def test_near_enough_is_near_enough(theirs: int, ours: int | None, is_told: bool) -> None:
    """A few blocks behind, ahead, or of unknown distance."""
    lab = Lab(limits=Limits(tip_lag_max=2))
    cid = _peer_at(lab, theirs)
    if ours is not None:
        _set_tip(lab, chain(5)[ours])
    lab.feed(insert_payment(1))
    assert _announced(lab, cid) == is_told


def test_a_step_back_of_ours_lets_them_catch_up() -> None:
    """A tip of ours that is lower than the last, after which the peer is near again."""
    lab = Lab(limits=Limits(tip_lag_max=2))
    cid = _peer_at(lab, 1)
    _set_tip(lab, chain(5)[4])
    lab.feed(insert_payment(1))
    _set_tip(lab, chain(5)[3])
    assert _announced(lab, cid) == 1


def test_who_says_nothing_of_its_tip_is_told_everything() -> None:
    """It may have none yet, or not want to say."""
    lab = Lab(limits=Limits(tip_lag_max=0))
    _set_tip(lab, chain(5)[4])
    cid = lab.accept(1)
    lab.get_next(cid, TX)
    lab.feed(insert_payment(1))
    assert _announced(lab, cid) == 1
