"""Two nodes with one key: each notices, and says so (spec: address-gossip 5.4 point 3; the original's scenario of that name)."""

from __future__ import annotations

from itertools import pairwise

from slices.lab import ME, peer_id

from gossip.played import NOW, Peers, record_of
from mina_p2p.address import QuicAddress, parse_ip
from mina_p2p.channels.address_gossip.messages import ADDRESS_MESSAGE, AddressAdverts, AddressGetNext, AddressKey
from mina_p2p.config import Limits
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.ids import SECOND, ChannelId, ConnectionId
from mina_p2p.notifications import IdentityDuplicated
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.towns import PERIOD, PORT, Town, sign_and_verify
from mina_p2p.transport import ChannelsEffectfulAnswerSend, SocketAddress

ALONE = Limits(peers_min=0)


def told(lab: Peers) -> list[IdentityDuplicated]:
    """What was reported so far."""
    return [effect for effect in lab.all if isinstance(effect, IdentityDuplicated)]


def named(lab: Peers, connection_id: ConnectionId) -> list[AddressKey]:
    """What was named to a peer so far of records in its own name."""
    sent = [e for e in lab.all if isinstance(e, ChannelsEffectfulAnswerSend) and e.connection_id == connection_id]
    messages = [ADDRESS_MESSAGE.decode(frame) for effect in sent for frame in effect.frames]
    keys = [key for message in messages if isinstance(message, AddressAdverts) for key in message.keys]
    return [key for key in keys if key.public_key == lab.link(connection_id).peer_id]


def test_the_second_time_is_reported() -> None:
    """One newer record in our name may be of an earlier run; one after ours has overtaken it is of somebody who lives."""
    lab = Peers(ALONE)
    connection_id = lab.join(1)
    lab.sign()
    lab.bring(connection_id, record_of(ME, issued_at=NOW + 60))
    lab.sign()
    assert told(lab) == []
    lab.wait(40 * SECOND)
    lab.bring(connection_id, record_of(ME, issued_at=NOW + 100))
    assert told(lab) == [IdentityDuplicated(connection_id, NOW + 100, 2)]


def test_several_records_of_an_earlier_run_are_not_reported() -> None:
    """Different peers may hold different ones; they come within seconds, and are overtaken one after the other."""
    lab = Peers(ALONE, cooldown=SECOND // 10)
    first = lab.join(1)
    lab.sign()
    second = lab.join(2)
    lab.bring(first, record_of(ME, issued_at=NOW + 60))
    lab.sign()
    lab.wait(2 * SECOND)
    lab.bring(second, record_of(ME, issued_at=NOW + 90))
    assert lab.state.address_gossip.own.last_issued_at == NOW + 91
    assert told(lab) == []


def test_a_second_time_long_after_the_first_is_a_first_one() -> None:
    """No record of then is believed any more."""
    lab = Peers(ALONE)
    connection_id = lab.join(1)
    lab.sign()
    lab.bring(connection_id, record_of(ME, issued_at=NOW + 60))
    for _minute in range(62):
        lab.wait(60 * SECOND)
    lab.bring(connection_id, record_of(ME, issued_at=NOW + 4_000))
    assert told(lab) == []
    overtaken = lab.state.address_gossip.own.overtaken
    assert overtaken is not None
    assert overtaken.times == 1


def test_a_forged_one_is_no_evidence() -> None:
    """Whoever says it in our name without our key is disconnected, and nothing is reported."""
    lab = Peers(ALONE)
    lab.join(1)
    lab.sign()
    for n in (1, 2, 3):
        connection_id = lab.join(10 + n)
        lab.bring(connection_id, record_of(ME, issued_at=NOW + 60 * n, signer=8))
        lab.wait(40 * SECOND)
    assert told(lab) == []


def test_a_peer_is_told_what_is_said_in_its_name() -> None:
    """Where it is said to be somewhere else, or says itself what is older: nobody else would tell it."""
    lab = Peers(ALONE, cooldown=SECOND // 10)
    twin, other = lab.join(207), lab.join(2)
    lab.say(twin, AddressGetNext(16))
    lab.bring(twin, record_of(207))
    lab.bring(other, record_of(207, issued_at=NOW + 30))
    lab.wait(SECOND)
    assert named(lab, twin) == [], "a newer record of the same address is its own, which it knows"
    elsewhere = record_of(207, issued_at=NOW + 60, places=record_of(5).places)
    lab.bring(other, elsewhere)
    lab.wait(SECOND)
    assert named(lab, twin) == [elsewhere.key]
    again = Peers(ALONE, cooldown=SECOND // 10)
    first, late = again.join(1), again.join(207)
    again.bring(first, record_of(207, issued_at=NOW + 50))
    again.say(late, AddressGetNext(16))
    again.say(late, AddressAdverts((record_of(207).key,)))
    again.wait(SECOND)
    assert named(again, late) == [record_of(207, issued_at=NOW + 50).key], "its clock went back"


def test_what_a_peer_is_to_be_told_of_itself_does_not_grow() -> None:
    """It permits nothing, while others say that it is here and there: only the newest of that is kept for it."""
    lab = Peers(ALONE, cooldown=SECOND // 10, cooldown_bad=SECOND // 10)
    twin, other = lab.join(207), lab.join(2)
    for n in range(20):
        lab.bring(other, record_of(207, issued_at=NOW + n, places=record_of(10 + n % 2).places))
        lab.wait(SECOND)
    (only,) = lab.link(twin).due
    assert only == record_of(207, issued_at=NOW + 19).key.item_id


def test_two_nodes_with_one_key_find_out() -> None:
    """In a network where each of them has other peers, both report it within some periods, and go on doing so, but not all the time."""
    made = Town(1)
    reports: dict[str, list[float]] = {"left": [], "right": []}
    made.start(1)
    for place in (2, 3, 4, 5):
        made.start(place, 1)
    for side, host, knows in (("left", "88.1.0.1", 2), ("right", "88.2.0.1", 4)):
        made.run(40)

        def software(node: SimNode, what: object, side: str = side) -> None:
            if isinstance(what, IdentityDuplicated):
                reports[side].append(made.now)
            sign_and_verify(node, what)

        made.simulation.add(
            peer_id=peer_id(77),
            address=SocketAddress(host, PORT),
            software=software,
            channels=(ChannelId.ADDRESS_GOSSIP,),
            initial_peers=(made.address(knows),),
            is_discovery_enabled=False,
            address_gossip=AddressGossipConfig(addresses=(QuicAddress(peer_id(77), parse_ip(host), PORT),)),
            limits=Limits(peers_min=2, peers_max=50),
        )
    made.run(10 * PERIOD)
    for side, times in reports.items():
        assert times, side
        assert times[0] <= 4 * PERIOD, side
        assert all(later - earlier >= 30 for earlier, later in pairwise(times)), side


def test_nobody_is_accused_where_all_is_well() -> None:
    """Restarts, one with a clock that went back, are no second node."""
    made = Town(2)
    reports: list[IdentityDuplicated] = []
    for place in (1, 2, 3, 4):
        made.start(place, *(() if place == 1 else (1,)))
    made.nodes[3].jump_clock(100 * SECOND)
    made.run(2 * PERIOD)
    for _restart in range(3):
        made.crash(3)
        made.run(35)
        node = made.start(3, 1)

        def watched(node: SimNode, what: object) -> None:
            if isinstance(what, IdentityDuplicated):
                reports.append(what)
            sign_and_verify(node, what)

        node.software = watched
        made.run(3 * PERIOD)
    assert reports == []
