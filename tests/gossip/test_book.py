"""The book has room for everybody and is nobody's: bounds of spec address-gossip 5.5, and who makes room for whom."""

from __future__ import annotations

from typing import Any

from gossip.played import NOW, Peers, record_of
from mina_p2p.address import Ipv4
from mina_p2p.channels.address_gossip.messages import AddressAdverts, AddressGetRecords, AddressRecords, QuicPlace
from mina_p2p.config import Limits
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.table import Table

FEW = Limits(peers_min=0)
"""Nobody is dialled, so that whom a record names is not met."""


def book(**settings: Any) -> Peers:
    """A node with a small book, whose peers may name records all the time."""
    return Peers(FEW, cooldown=SECOND // 10, cooldown_bad=SECOND // 10, **settings)


def bring_many(lab: Peers, connection_id: ConnectionId, *records: int) -> None:
    """A peer names records of these nodes and sends them in one answer."""
    found = tuple(record_of(n) for n in records)
    lab.say(connection_id, AddressAdverts(tuple(record.key for record in found)))
    if any(isinstance(message, AddressGetRecords) for message in lab.said()):
        lab.say(connection_id, AddressRecords(found))
        lab.check()
    lab.wait(SECOND)


def known(lab: Peers) -> set[int]:
    """Of which nodes there are records."""
    table = lab.state.address_gossip.book.table
    return {int.from_bytes(entry.record.public_key, "big") for entry in table.values()}


def shares(lab: Peers) -> Table[ConnectionId, int]:
    """Records that each peer has to answer for."""
    return lab.state.address_gossip.book.unproven


def test_the_bounds_are_those_of_the_specification() -> None:
    """1 024 records of nodes that were met and as many of others, 64 from one peer."""
    config = AddressGossipConfig()
    assert (config.book_max, config.unproven_max, config.unproven_per_relayer_max) == (2_048, 1_024, 64)


def test_one_answer_does_not_overfill_the_book() -> None:
    """All signatures of an answer are checked at once; each record needs room when its own is known to be good."""
    lab = book(book_max=3, unproven_max=3)
    connection_id = lab.join(1)
    bring_many(lab, connection_id, 10, 11, 12, 13, 14)
    assert len(known(lab)) == 3
    bring_many(lab, lab.join(2), 20, 21)
    assert len(known(lab)) == 3


def test_who_brought_most_makes_room() -> None:
    """Where the book is full, a record of the peer with the largest share gives way; so a liar loses what it gained."""
    lab = book(unproven_max=6)
    liar = lab.join(1)
    bring_many(lab, liar, *range(10, 16))
    assert shares(lab).get(liar) == 6
    honest = lab.join(2)
    bring_many(lab, honest, 50, 51, 52, 53, 54)
    assert len(known(lab)) == 6
    assert {50, 51} <= known(lab)
    assert abs(shares(lab).get(honest, 0) - shares(lab).get(liar, 0)) <= 1, "equal shares are not fought over"


def test_the_one_with_the_largest_share_gets_no_more() -> None:
    """It does not make room for itself."""
    lab = book(unproven_max=4)
    liar = lab.join(1)
    bring_many(lab, liar, 10, 11, 12, 13)
    before = known(lab)
    bring_many(lab, liar, 14, 15, 16)
    assert known(lab) == before


def test_a_node_that_was_met_has_room() -> None:
    """Its record takes the place of one of a stranger, however full the book is."""
    lab = book(book_max=4, unproven_max=4)
    liar = lab.join(1)
    bring_many(lab, liar, 10, 11, 12, 13)
    friend = lab.join(30)
    bring_many(lab, friend, 30)
    assert 30 in known(lab)
    assert len(known(lab)) == 4
    assert shares(lab).get(liar) == 3


def test_who_was_met_does_not_make_room() -> None:
    """A book full of nodes that were met stays as it is."""
    lab = book(book_max=2, unproven_max=2)
    for n in (30, 31):
        bring_many(lab, lab.join(n), n)
    assert not shares(lab)
    bring_many(lab, lab.join(1), 10, 11)
    assert known(lab) == {30, 31}


def test_a_newer_record_needs_no_more_room() -> None:
    """It takes the place of the older one of its node."""
    lab = book(book_max=1, unproven_max=1)
    connection_id = lab.join(1)
    bring_many(lab, connection_id, 10)
    lab.bring(connection_id, record_of(10, issued_at=NOW + 1))
    assert lab.knows(10) == NOW + 1


def test_a_full_share_does_not_hide_newer_records() -> None:
    """A peer that may bring no more strangers may bring newer records of known ones; whoever brought the older ones answers for them."""
    lab = book(unproven_per_relayer_max=2)
    first, second = lab.join(1), lab.join(2)
    bring_many(lab, first, 10)
    bring_many(lab, second, 20, 21)
    lab.bring(second, record_of(10, issued_at=NOW + 1))
    assert lab.knows(10) == NOW + 1
    assert (shares(lab).get(first), shares(lab).get(second)) == (1, 2)


def test_what_made_room_is_no_longer_told() -> None:
    """Its item ends in the gossiper, and nobody who asks gets it."""
    lab = book(unproven_max=2)
    liar = lab.join(1)
    bring_many(lab, liar, 10, 11)
    bring_many(lab, lab.join(2), 50)
    (gone,) = {10, 11} - known(lab)
    item = record_of(gone).key.item_id
    assert lab.state.address_gossip.held(item, lab.now) is None


def test_a_network_has_so_many_strangers() -> None:
    """Whoever names them: keys cost nothing, networks do. Others are believed all the same (spec: address-gossip 5.5)."""
    lab = book(unproven_per_group_max=3)
    first, second = lab.join(1), lab.join(2)
    bring_many(lab, first, 10, 11)
    bring_many(lab, second, 12, 13, 300)
    assert known(lab) == {10, 11, 12, 300}, "300 is of another /24"
    lab.bring(first, record_of(10, issued_at=NOW + 1))
    assert lab.knows(10) == NOW + 1, "a newer record of one of them needs no more room"


def test_only_ones_own_flood_costs_credit() -> None:
    """Not that others have filled a network or the book; nor that a newer record came while an older one was on its way (5.4)."""
    lab = book(unproven_per_group_max=1)
    first, second = lab.join(1), lab.join(2)
    bring_many(lab, first, 10)
    bring_many(lab, second, 11)
    assert known(lab) == {10}
    assert lab.link(second).credit == 0
    full = book(unproven_max=2)
    bring_many(full, full.join(1), 10)
    bring_many(full, full.join(2), 20)
    third = full.join(3)
    bring_many(full, third, 30)
    assert known(full) == {10, 20}
    assert full.link(third).credit == 0
    late = book()
    slow, quick = late.join(1), late.join(2)
    late.say(slow, AddressAdverts((record_of(10).key,)))
    late.bring(quick, record_of(10, issued_at=NOW + 1))
    late.say(slow, AddressRecords((record_of(10),)))
    assert late.knows(10) == NOW + 1
    assert late.link(slow).credit == 0
    own = book(unproven_per_relayer_max=1)
    liar = own.join(1)
    bring_many(own, liar, 10)
    bring_many(own, liar, 300)
    assert own.link(liar).credit == -1


def test_a_stranger_can_not_move_into_a_full_network() -> None:
    """A node that was named elsewhere first takes no more room there than others do."""
    lab = book(unproven_per_group_max=2)
    first = lab.join(1)
    bring_many(lab, first, 10, 11, 300)
    lab.bring(first, record_of(300, issued_at=NOW + 1, places=record_of(12).places))
    assert lab.knows(300) == NOW
    lab.wait(SECOND)
    lab.bring(first, record_of(10, issued_at=NOW + 1, places=record_of(301).places))
    assert lab.knows(10) == NOW + 1, "who moves out leaves room"
    lab.wait(SECOND)
    lab.bring(first, record_of(300, issued_at=NOW + 2, places=record_of(12).places))
    assert lab.knows(300) == NOW + 2


def test_who_is_met_is_no_stranger() -> None:
    """Real nodes of one network, however many, are known, and leave its room to others."""
    lab = book(unproven_per_group_max=1)
    first = lab.join(1)
    bring_many(lab, first, 210)
    for n in (20, 21, 22):
        lab.bring(lab.join(n), record_of(n))
    assert known(lab) == {210, 20, 21, 22}
    lab.join(210)
    bring_many(lab, first, 11)
    assert 11 in known(lab)


def test_neighbours_of_a_private_network_are_not_counted() -> None:
    """All of them are of one network there."""
    lab = book(unproven_per_group_max=1)
    near = tuple(record_of(n, places=(QuicPlace(Ipv4.of(10, 0, 0, n), 8302),)) for n in (30, 31, 32))
    lab.state = lab.state.replace(config=lab.state.config.replace(are_private_addresses_allowed=True))
    first = lab.join(1)
    lab.say(first, AddressAdverts(tuple(record.key for record in near)))
    lab.say(first, AddressRecords(near))
    lab.check()
    assert known(lab) == {30, 31, 32}
