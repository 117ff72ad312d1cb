"""When a node makes a record of its own (spec: address-gossip 5.6)."""

from __future__ import annotations

import pytest
from slices.lab import ME, address

from gossip.played import NOW, Peers, record_of
from mina_p2p.address import DialAddress
from mina_p2p.channels.address_gossip.actions import AddressGossipEffectfulSign, AddressGossipOwnSet, AddressGossipSigned
from mina_p2p.channels.address_gossip.messages import AddressAdverts, AddressGetNext, AddressGetRecords, AddressRecords, to_place
from mina_p2p.config import Limits
from mina_p2p.ids import SECOND

ALONE = Limits(peers_min=0)
MOVED = address(ME, port=9_001)


def issued(lab: Peers) -> int:
    """Records that were given away to be signed so far."""
    return sum(isinstance(effect, AddressGossipEffectfulSign) for effect in lab.all)


def test_a_node_that_moves_says_so_at_once() -> None:
    """Peers that had its record get the new one, which is dated later, though not a second has passed."""
    lab = Peers(ALONE)
    connection_id = lab.join(1)
    before = lab.sign()
    lab.say(connection_id, AddressGetNext(16))
    lab.wait(SECOND // 5)
    lab.say(connection_id, AddressGetNext(16))
    lab.feed(AddressGossipOwnSet((MOVED,)))
    after = lab.sign()
    assert after.issued_at == before.issued_at + 1
    lab.wait(SECOND // 5)
    assert lab.said() == [AddressAdverts((after,))]
    lab.say(connection_id, AddressGetRecords((before, after)))
    (answer,) = lab.said()
    assert isinstance(answer, AddressRecords)
    old, new = answer.records
    assert old is None, "what was replaced is no longer told"
    assert new is not None
    assert new.places == (to_place(MOVED),)


def test_a_node_that_moves_all_the_time_does_not() -> None:
    """Three records at once, then one in 30 s; the one of the period does not wait for that, and has the latest address."""
    lab = Peers(ALONE)
    for port in range(1, 8):
        lab.feed(AddressGossipOwnSet((address(ME, port=port),)))
        if lab.of(AddressGossipEffectfulSign):
            lab.sign()
    assert issued(lab) == 3
    lab.wait(5 * SECOND)
    lab.sign()
    assert issued(lab) == 4, "the first of the period, 5 s after the start"
    record = lab.state.address_gossip.own.record
    assert record is not None
    assert record.places == (to_place(address(ME, port=7)),)
    lab.feed(AddressGossipOwnSet((MOVED,)))
    assert issued(lab) == 4
    lab.wait(30 * SECOND)
    lab.feed(AddressGossipOwnSet((address(ME),)))
    assert issued(lab) == 5


def test_the_first_link_after_being_alone_is_told() -> None:
    """At the start as after all others went; who comes second is told by the first."""
    lab = Peers(ALONE)
    first = lab.join(1)
    lab.sign()
    second = lab.join(2)
    assert issued(lab) == 1
    for connection_id in (first, second):
        lab.close(connection_id)
    lab.wait(SECOND)
    lab.join(3)
    assert issued(lab) == 2


def test_a_node_without_an_address_says_nothing() -> None:
    """Nor does it count on anything: it makes no record, and takes those of others."""
    lab = Peers(ALONE, addresses=())
    lab.join(1)
    lab.wait(600 * SECOND)
    assert issued(lab) == 0
    lab.feed(AddressGossipOwnSet((MOVED,)))
    assert issued(lab) == 1
    assert lab.sign().issued_at == NOW + 600


DAY = 86_400


@pytest.mark.parametrize(("ahead", "expected"), [(3_600, 3_601), (DAY, DAY + 1), (DAY + 1, 0), (80 * 365 * DAY, 0)])
def test_a_clock_that_was_far_ahead_is_not_followed_for_ever(ahead: int, expected: int) -> None:
    """Dates never go back, lest a clock that is an hour behind makes a node invisible; but for one that was years ahead it would be for as long."""
    lab = Peers(ALONE, last_issued_at=NOW + ahead)
    lab.join(1)
    assert lab.sign().issued_at == NOW + expected
    lab.wait(125 * SECOND)
    assert lab.sign().issued_at == max(NOW + 125, NOW + expected + 1)


@pytest.mark.parametrize(("ahead", "is_followed"), [(DAY, True), (DAY + 1, False)])
def test_nor_is_an_old_record_of_ours_that_somebody_kept(ahead: int, is_followed: bool) -> None:
    """Signed by this node, when its clock was wrong, and told to it now."""
    lab = Peers(ALONE)
    connection_id = lab.join(1)
    key = lab.sign()
    lab.bring(connection_id, record_of(ME, issued_at=NOW + ahead))
    assert lab.goodbye(connection_id) is None
    assert lab.state.address_gossip.own.last_issued_at == (NOW + ahead + 1 if is_followed else key.issued_at)


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param((address(1),), id="another's"),
        pytest.param((address(ME), address(1)), id="another's too"),
        pytest.param(tuple(address(ME, port=port) for port in range(1, 6)), id="too many"),
        pytest.param((address(ME),), id="the same"),
    ],
)
def test_what_is_no_news_of_ours_changes_nothing(addresses: tuple[DialAddress, ...]) -> None:
    """Whatever node software says."""
    lab = Peers(ALONE)
    before = lab.state.address_gossip
    lab.feed(AddressGossipOwnSet(addresses))
    assert lab.state.address_gossip == before
    assert issued(lab) == 0


def test_one_signature_is_waited_for() -> None:
    """While the runtime signs no other record is made; a node that moves meanwhile makes one when that is done."""
    lab = Peers(ALONE)
    lab.feed(AddressGossipOwnSet((MOVED,)))
    (first,) = lab.of(AddressGossipEffectfulSign)
    lab.feed(AddressGossipOwnSet((address(ME, port=9_002),)))
    assert issued(lab) == 1
    lab.feed(AddressGossipSigned(first.issued_at, bytes(64)))
    assert issued(lab) == 2
    assert lab.sign().issued_at == first.issued_at + 1
    record = lab.state.address_gossip.own.record
    assert record is not None
    assert record.places == (to_place(address(ME, port=9_002)),)
    assert issued(lab) == 2


def test_a_signature_that_never_comes_is_waited_for_until_the_next_period() -> None:
    """Then another record is given away to be signed, and the late signature is of none."""
    lab = Peers(ALONE)
    lab.join(1)
    (lost,) = lab.of(AddressGossipEffectfulSign)
    lab.feed(AddressGossipOwnSet((MOVED,)))
    lab.wait(4 * SECOND)
    assert issued(lab) == 1
    lab.wait(SECOND)
    (effect,) = lab.of(AddressGossipEffectfulSign)
    before = lab.state.address_gossip
    lab.feed(AddressGossipSigned(lost.issued_at, bytes(64)))
    assert lab.state.address_gossip == before
    lab.feed(AddressGossipSigned(effect.issued_at, bytes(64)))
    record = lab.state.address_gossip.own.record
    assert record is not None
    assert record.places == (to_place(MOVED),)
