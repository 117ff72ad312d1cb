"""What records lead to: so many dials in a minute, and the others later (flood, spec: address-gossip 5.5)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from slices.lab import address, peer_id

from gossip.played import NOW, Peers, record_of
from mina_p2p.address import QuicAddress
from mina_p2p.channels.address_gossip.messages import AddressAdverts, AddressGetRecords, AddressRecords, Libp2pPlace, QuicPlace
from mina_p2p.channels.address_gossip.state import MINUTE
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.peer.actions import PeerGroupBan
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import ConnectionEffectfulDial

NOBODY_IS_DIALLED = Limits(peers_min=0)


def bring(lab: Peers, connection_id: ConnectionId, *nodes: int, issued_at: int = NOW) -> None:
    """A peer names records of these nodes, at most eight, and sends them in one answer."""
    found = tuple(record_of(n, issued_at=issued_at) for n in nodes)
    lab.say(connection_id, AddressAdverts(tuple(record.key for record in found)))
    if any(isinstance(message, AddressGetRecords) for message in lab.said()):
        lab.say(connection_id, AddressRecords(found))
        lab.check()
    lab.wait(SECOND // 5)


def announced(lab: Peers, *nodes: int) -> set[int]:
    """Those whose records led to a place in the peer table, from where they are dialled."""
    return {n for n in nodes if lab.state.peers.find(peer_id(n)) is not None}


def test_the_rest_waits_for_the_next_minute() -> None:
    """Five in the first one, five in the second, whoever names how many victims; then all have had their turn."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=5)
    connection_id, nodes = lab.join(1), range(10, 23)
    bring(lab, connection_id, *range(10, 18))
    bring(lab, connection_id, *range(18, 23))
    assert len(lab.state.address_gossip.book) == len(nodes)
    assert announced(lab, *nodes) == set(range(10, 15)), "who is first is dialled at once"
    lab.wait(MINUTE - 2 * SECOND)
    assert len(announced(lab, *nodes)) == 5
    lab.wait(2 * SECOND)
    assert len(announced(lab, *nodes)) == 10
    lab.wait(MINUTE)
    assert announced(lab, *nodes) == set(nodes)
    assert not lab.state.address_gossip.undialled


@pytest.mark.parametrize("seed", range(4))
def test_in_no_minute_are_there_more(seed: int) -> None:
    """However they are spread over time: neither around the end of a minute, nor by newer records of those that wait."""
    dice, most = Dice(seed, "dials"), 4
    pauses: dict[str, Any] = {"cooldown": SECOND // 10, "cooldown_bad": SECOND // 10, "issue_pause": SECOND // 10}
    lab = Peers(NOBODY_IS_DIALLED, dials_per_minute=most, **pauses)
    connection_id = lab.join(1)
    dials: Counter[int] = Counter()
    for version in range(120):
        bring(lab, connection_id, *dice.sample(range(10, 40), dice.between(1, 8)), issued_at=NOW + version)
        dials |= Counter(lab.state.address_gossip.dialled)
        lab.wait(dice.between(0, 10) * SECOND)
        dials |= Counter(lab.state.address_gossip.dialled)
    assert dials.total() > 5 * most
    assert all(sum(count for at, count in dials.items() if start <= at < start + MINUTE) <= most for start in dials)


def test_nobody_goes_before_those_that_wait() -> None:
    """A record that comes when their minute is over, and before the node has looked at its deadlines, waits with them."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=2)
    connection_id = lab.join(1)
    bring(lab, connection_id, 10)
    lab.wait(20 * SECOND)
    bring(lab, connection_id, 11, 12, 13)
    assert announced(lab, *range(10, 14)) == {10, 11}
    lab.now = Timestamp(lab.now + MINUTE - 20 * SECOND)
    lab.bring(connection_id, record_of(14))
    assert announced(lab, *range(10, 15)) == {10, 11}
    lab.wait(SECOND)
    assert len(announced(lab, *range(10, 15))) == 3
    lab.wait(MINUTE)
    assert len(announced(lab, *range(10, 15))) == 5


def test_each_record_leads_to_the_next_address() -> None:
    """One attempt at the best one at first; where it fails, the node's newer record is one at the next, and so on around (AG-18)."""
    lab = Peers(cooldown=SECOND // 10, issue_pause=SECOND, are_failures_retried=False)
    connection_id = lab.join(1)
    places = (QuicPlace(address(300).host, 1), Libp2pPlace(address(301).host, 2), QuicPlace(address(302).host, 3))
    ports: list[int] = []
    for version in range(3):
        lab.wait(5 * SECOND)
        before = len(lab.all)
        lab.bring(connection_id, record_of(207, issued_at=NOW + version, places=places))
        lab.wait(SECOND)
        (dial,) = [effect for effect in lab.all[before:] if isinstance(effect, ConnectionEffectfulDial)]
        assert isinstance(dial.address, QuicAddress)
        ports.append(dial.address.port)
        lab.close(dial.connection_id)
    assert ports == [1, 3, 1]


def test_who_comes_by_itself_waits_no_more() -> None:
    """A node that is connected by then is not dialled, and its turn is another's."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=1)
    connection_id = lab.join(1)
    bring(lab, connection_id, 10, 11, 12)
    (first,) = announced(lab, 10, 11, 12)
    came, waits = {10, 11, 12} - {first}
    lab.join(came)
    lab.wait(MINUTE)
    assert waits in announced(lab, waits)
    assert not lab.state.address_gossip.undialled


def test_who_is_forgotten_waits_no_more() -> None:
    """With the end of its record the wait is over; the invariants would see one that stays."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=1)
    connection_id = lab.join(1)
    bring(lab, connection_id, *range(10, 18))
    bring(lab, connection_id, *range(30, 38))
    assert len(lab.state.address_gossip.undialled) == 15
    for _minute in range(15):
        lab.wait(MINUTE + SECOND)
    assert not lab.state.address_gossip.book.table
    assert not lab.state.address_gossip.undialled


def test_a_connected_peers_record_is_no_dial() -> None:
    """It says where the peer can be dialled later, and costs nothing of what others may lead to."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=1)
    connection_id = lab.join(1)
    for version in range(3):
        lab.bring(connection_id, record_of(1, issued_at=NOW + version))
        lab.wait(SECOND)
    lab.bring(connection_id, record_of(7))
    assert lab.state.peers.find(peer_id(7)) is not None


def test_what_waits_is_judged_again() -> None:
    """A network that is banned meanwhile is not dialled when a turn comes."""
    lab = Peers(NOBODY_IS_DIALLED, cooldown=SECOND // 10, dials_per_minute=1)
    connection_id = lab.join(1)
    bring(lab, connection_id, 10, 300)
    assert announced(lab, 10, 300) == {10}
    lab.feed(PeerGroupBan(address(300).host, Timestamp(lab.now + 10 * MINUTE), Reason(ReasonCode.USER_REQUEST)))
    lab.wait(MINUTE)
    assert announced(lab, 10, 300) == {10}
