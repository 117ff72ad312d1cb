"""Hostile and unlucky gossip: what it costs, and what it can not do."""

from __future__ import annotations

import pytest
from slices.items import block, insert_payment, payment, payment_info, snark, state_hash
from slices.lab import Lab
from slices.tables.relay import ON, ONE, TWO, heard

from mina_p2p.best_tip.actions import BestTipSet, PeerBestTipReceived
from mina_p2p.channels.rpc.messages import TransactionResponse
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.gossipsub.actions import NetworkPubsubVerdict, Verdict
from mina_p2p.gossipsub.effects import NetworkPubsubEffectfulSign
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, RequestId, Timestamp
from mina_p2p.mina.gossip import GossipTransactionPoolDiff
from mina_p2p.mina.raw import RawBlock, RawUserCommand
from mina_p2p.notifications import BestTipReceived, ItemReceived, PeerDisconnected
from mina_p2p.pool.actions import PoolRemove, PoolVerdict
from mina_p2p.relay.actions import RelayVerdict
from mina_p2p.relay.config import RelayConfig
from mina_p2p.relay.messages import block_message, snark_message, transaction_message
from mina_p2p.transport import ChannelsEffectfulAnswerSend
from mina_p2p.wire import codec

TX = ChannelId.TRANSACTION


def payments_message(*numbers: int, nonce: int = 0) -> bytes:
    """Gossip of several payments."""
    body = codec(GossipTransactionPoolDiff).encode(GossipTransactionPoolDiff(tuple(map(payment, numbers)), nonce))
    return (len(body) + 1).to_bytes(8, "little") + b"\x02" + body


def bad_copy(n: int) -> RawUserCommand:
    """The same payment with another signature: its hash leaves that out, so it is announced as the good one is."""
    command = payment(n).value
    return RawUserCommand.of(command.replace(signature=payment(n + 1).value.signature))


def verdicts(lab: Lab) -> list[tuple[int, Verdict]]:
    """What GossipSub was told by the last input."""
    taken = [step.action for step in lab.steps] + [refusal.action for refusal in lab.steps.refusals]
    return [(action.verdict_id, action.verdict) for action in taken if isinstance(action, NetworkPubsubVerdict)]


def asked(lab: Lab) -> list[ItemReceived]:
    """What the node software was asked by the last input."""
    return lab.of(ItemReceived)


@pytest.mark.parametrize(
    "data", [b"", b"?", block_message(block(1))[:-1], block_message(block(1)) + b"?", transaction_message(payment(1))[:-1]]
)
def test_bytes_that_are_no_message_are_rejected(data: bytes) -> None:
    """The node software does not hear of them."""
    lab = Lab(**ON).feed(heard(ONE, data))
    assert verdicts(lab) == [(ONE, Verdict.REJECT)]
    assert lab.effects == []


def test_a_block_whose_state_can_not_be_hashed_is_rejected() -> None:
    """A field element that is not below the modulus."""
    data = bytearray(block_message(block(1)))
    data[9:41] = b"\xff" * 32
    lab = Lab(**ON).feed(heard(ONE, bytes(data)))
    assert verdicts(lab) == [(ONE, Verdict.REJECT)]


def test_messages_in_waiting_are_bounded() -> None:
    """The next one is dropped without blame, until one is judged."""
    lab = Lab(**ON, relay=RelayConfig(messages_max=1)).feed(heard(ONE, transaction_message(payment(1))))
    (question,) = asked(lab)
    lab.feed(heard(TWO, transaction_message(payment(2))))
    assert verdicts(lab) == [(TWO, Verdict.IGNORE)]
    assert asked(lab) == []
    lab.feed(PoolVerdict(question.verdict_id, True))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT)]
    lab.feed(heard(TWO, transaction_message(payment(2))))
    assert len(asked(lab)) == 1


def test_items_of_one_message_are_bounded() -> None:
    lab = Lab(**ON, relay=RelayConfig(items_per_message_max=2)).feed(heard(ONE, payments_message(1, 2, 3)))
    assert verdicts(lab) == [(ONE, Verdict.IGNORE)]
    assert asked(lab) == []
    lab.feed(heard(ONE, payments_message(1, 1, 2, 2, 1)))
    assert len(asked(lab)) == 2, "what is listed twice counts once"


def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten first."""
    lab = Lab(**ON, relay=RelayConfig(remembered_max=3))
    for number in range(1, 6):
        lab.feed(insert_payment(number))
        assert len(lab.state.relay.remembered) == min(number, 3)
    lab.feed(PoolRemove(TX, payment_info(5).hash)).feed(insert_payment(5))
    assert lab.of(NetworkPubsubEffectfulSign) == [], "it has been gossiped"
    lab.feed(PoolRemove(TX, payment_info(1).hash)).feed(insert_payment(1))
    assert len(lab.of(NetworkPubsubEffectfulSign)) == 1, "nobody remembers that it has"


def test_a_message_waits_for_all_its_items() -> None:
    """Accepted when all new ones are valid; one that is in the pool already needs no verdict."""
    lab = Lab(**ON).feed(insert_payment(1)).feed(heard(ONE, payments_message(1, 2, 3)))
    second, third = asked(lab)
    assert {second.body, third.body} == {payment(2), payment(3)}
    lab.feed(PoolVerdict(second.verdict_id, True))
    assert verdicts(lab) == []
    lab.feed(PoolVerdict(third.verdict_id, True))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT)]


def test_one_invalid_item_rejects_the_message_and_the_others_stay() -> None:
    """What is valid of it enters the pool all the same, and as it was not passed on it is gossiped by us."""
    lab = Lab(**ON).feed(heard(ONE, payments_message(1, 2)))
    first, second = asked(lab)
    lab.feed(PoolVerdict(first.verdict_id, False))
    assert verdicts(lab) == [(ONE, Verdict.REJECT)]
    assert lab.of(PeerDisconnected) == []
    lab.feed(PoolVerdict(second.verdict_id, True))
    assert verdicts(lab) == []
    assert second.key in lab.state.pools.of(TX).items
    assert len(lab.of(NetworkPubsubEffectfulSign)) == 1


def test_what_all_know_is_ignored() -> None:
    """A new message of old items goes no further, so a loop through several relays ends at the first step."""
    lab = Lab(**ON).feed(insert_payment(1)).feed(heard(ONE, payments_message(1, nonce=7)))
    assert verdicts(lab) == [(ONE, Verdict.IGNORE)]
    worse = snark(1, fee=99)
    lab.feed(heard(ONE, snark_message(snark(1))))
    lab.feed(PoolVerdict(asked(lab)[0].verdict_id, True))
    lab.feed(heard(TWO, snark_message(worse)))
    assert verdicts(lab) == [(TWO, Verdict.IGNORE)]


def test_two_messages_with_one_item_share_its_verdict() -> None:
    """The node software is asked once."""
    lab = Lab(**ON).feed(heard(ONE, payments_message(1))).feed(heard(TWO, payments_message(1, nonce=1)))
    assert asked(lab) == []
    lab.feed(PoolVerdict(RequestId(1), True))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT), (TWO, Verdict.ACCEPT)]


def test_an_item_that_is_being_fetched_need_not_be_any_more() -> None:
    """Gossip has brought it: one question to the node software, and the peer's answer changes nothing."""
    lab = Lab(**ON)
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1))
    lab.feed(heard(ONE, transaction_message(payment(1))))
    (question,) = asked(lab)
    lab.answer(cid, 0, TransactionResponse(payment(1)))
    assert asked(lab) == []
    lab.feed(PoolVerdict(question.verdict_id, True))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT)]
    assert question.key in lab.state.pools.of(TX).items
    assert lab.state.connections.ready(cid) is not None


def test_a_bad_copy_by_gossip_does_not_keep_out_the_good_one() -> None:
    """Rejected; the announcer is asked after all, and is not blamed."""
    lab = Lab(**ON)
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1))
    lab.feed(heard(ONE, transaction_message(bad_copy(1))))
    (question,) = asked(lab)
    assert question.body == bad_copy(1)
    lab.answer(cid, 0, None).end(cid, ChannelId.RPC)
    lab.feed(PoolVerdict(question.verdict_id, False))
    assert verdicts(lab) == [(ONE, Verdict.REJECT)]
    assert lab.state.connections.ready(cid) is not None
    lab.answer(cid, 1, TransactionResponse(payment(1)))
    (question,) = asked(lab)
    assert question.body == payment(1)


def test_a_bad_copy_by_pull_does_not_keep_out_the_good_one() -> None:
    """The same announcement, other bytes: two questions, each with its own verdict."""
    lab = Lab(**ON)
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1))
    lab.answer(cid, 0, TransactionResponse(bad_copy(1)))
    (pulled,) = asked(lab)
    lab.feed(heard(ONE, transaction_message(payment(1))))
    (pushed,) = asked(lab)
    lab.feed(PoolVerdict(pulled.verdict_id, False))
    assert verdicts(lab) == []
    lab.feed(PoolVerdict(pushed.verdict_id, True))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT)]
    assert [item.body for item in lab.state.pools.of(TX).items.items.values()] == [payment(1)]


def test_the_verdict_on_a_pulled_item_is_that_on_its_gossip() -> None:
    """Invalid: who sent it by pull is left, its gossip is rejected."""
    lab = Lab(**ON)
    cid = lab.accept(1)
    lab.announce(cid, TX, payment_info(1))
    lab.answer(cid, 0, TransactionResponse(payment(1)))
    (question,) = asked(lab)
    lab.feed(heard(ONE, transaction_message(payment(1))))
    assert asked(lab) == []
    lab.feed(PoolVerdict(question.verdict_id, False))
    assert verdicts(lab) == [(ONE, Verdict.REJECT)]
    assert [told.reason.code for told in lab.of(PeerDisconnected)] == [ReasonCode.INVALID_MESSAGE]


def test_a_gossiped_block_is_told_once() -> None:
    """While the node software thinks about it, a peer's tip that is the same block is no news."""
    lab = Lab(**ON)
    cid = lab.accept(1)
    lab.feed(heard(ONE, block_message(block(1))))
    (told,) = lab.of(BestTipReceived)
    assert (told.verdict_id, told.state_hash) == (ONE, state_hash(1))
    lab.feed(PeerBestTipReceived(cid, block(1)))
    assert lab.of(BestTipReceived) == []
    assert lab.state.best_tips.of_peers[cid].state_hash == state_hash(1)
    lab.feed(BestTipSet(block(1), state_hash(1)))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT)]
    assert lab.of(NetworkPubsubEffectfulSign) == [], "it came by gossip"
    lab.feed(heard(TWO, block_message(block(1))))
    assert verdicts(lab) == [(TWO, Verdict.ACCEPT)]
    assert lab.of(BestTipReceived) == []


@pytest.mark.parametrize(("after", "is_gossiped"), [(-1, True), (0, True), (180, True), (181, False)])
def test_a_tip_whose_slot_is_over_is_no_gossip(after: int, is_gossiped: bool) -> None:
    """Who catches up would be taken for somebody who spreads old news; who pulls is given it whatever its age."""
    lab = Lab(**ON)
    own_time = block(1).value.header.protocol_state.body.blockchain_state.timestamp
    lab.now = Timestamp(own_time * MILLISECOND + after * SECOND)
    cid = lab.accept(1)
    lab.get_next(cid, ChannelId.BEST_TIP)
    lab.feed(BestTipSet(block(1), state_hash(1)))
    assert bool(lab.of(NetworkPubsubEffectfulSign)) == is_gossiped
    assert lab.of(ChannelsEffectfulAnswerSend)


def test_a_tip_that_can_not_be_read_is_no_gossip() -> None:
    lab = Lab(**ON).feed(BestTipSet(RawBlock(b"?"), bytes(32)))
    assert lab.of(NetworkPubsubEffectfulSign) == []


def test_a_block_that_is_valid_and_not_the_best_is_passed_on() -> None:
    """By its verdict alone; it can be given once."""
    lab = Lab(**ON).feed(BestTipSet(block(2), state_hash(2))).feed(heard(ONE, block_message(block(1))))
    lab.feed(RelayVerdict(ONE, Verdict.ACCEPT))
    assert verdicts(lab) == [(ONE, Verdict.ACCEPT)]
    assert lab.state.best_tips.own is not None
    assert lab.state.best_tips.own.block == block(2)
    lab.feed(RelayVerdict(ONE, Verdict.REJECT))
    assert verdicts(lab) == []


def test_a_bad_copy_of_a_block_condemns_only_itself() -> None:
    """Its state hash does not cover its proof: the good copy is told, judged and passed on by itself."""
    good = block(1)
    bad = bytearray(good)
    proof = good.value.header.protocol_state_proof
    bad[good.index(proof) + len(proof) // 2] ^= 1
    lab = Lab(**ON).feed(heard(ONE, block_message(RawBlock(bytes(bad)))))
    (first,) = lab.of(BestTipReceived)
    lab.feed(heard(TWO, block_message(good)))
    (second,) = lab.of(BestTipReceived)
    assert first.state_hash == second.state_hash == state_hash(1)
    lab.feed(RelayVerdict(ONE, Verdict.REJECT))
    assert verdicts(lab) == [(ONE, Verdict.REJECT)]
    lab.feed(BestTipSet(good, state_hash(1)))
    assert verdicts(lab) == [(TWO, Verdict.ACCEPT)]


def test_a_node_without_libp2p_offers_nothing() -> None:
    """The relay costs it nothing either."""
    lab = Lab().feed(insert_payment(1)).feed(BestTipSet(block(1), state_hash(1)))
    assert lab.state.relay == Lab().state.relay
    assert not any(type(step.action).__module__.startswith("mina_p2p.relay") for step in lab.steps)
    assert not lab.steps.refusals


@pytest.mark.parametrize("name", ["verdict", "tip_age_max", "messages_max", "items_per_message_max", "remembered_max", "questions_max"])
def test_no_bound_is_nothing(name: str) -> None:
    """A relay that may hold nothing is turned off by its kinds."""
    with pytest.raises(ValueError, match=name):
        RelayConfig(**{name: 0})
