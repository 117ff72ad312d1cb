"""Channel 9 of one node whose peers are played: what is permitted, what is a violation, which records are believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from slices.lab import ME, address, peer_id

from gossip.played import CHANNEL, NOW, Peers, record_of
from mina_p2p.address import Domain, Ipv4
from mina_p2p.channels.address_gossip.actions import (
    AddressGossipEffectfulSign,
    AddressGossipEffectfulVerify,
    AddressGossipVerified,
)
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    AddressAdverts,
    AddressGetNext,
    AddressGetRecords,
    AddressKey,
    AddressRecord,
    AddressRecords,
    QuicPlace,
)
from mina_p2p.channels.address_gossip.state import Granted, Resting
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.gossiper.state import Finished, Held
from mina_p2p.ids import SECOND, ConnectionId
from mina_p2p.peer.state import Banned, Disconnected, PeerSource
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulStreamReset

NOBODY_IS_DIALLED = Limits(peers_min=0)


def test_a_permission_is_given_and_parked() -> None:
    """A ready peer may name sixteen records at once; nothing else is sent before it permits something itself."""
    lab = Peers()
    connection_id = lab.join(1)
    assert AddressGetNext(16) in lab.said()
    assert isinstance(lab.link(connection_id).grant, Granted)
    lab.sign()
    assert lab.said() == []


def test_our_own_record_goes_first() -> None:
    """What a peer permits is used for our own record before anything else, and once."""
    lab = Peers()
    connection_id = lab.join(1)
    key = lab.sign()
    lab.say(connection_id, AddressGetNext(16))
    lab.wait(SECOND // 5)
    assert lab.said() == [AddressAdverts((key,))]
    lab.say(connection_id, AddressGetRecords((key,)))
    (answer,) = lab.said()
    assert isinstance(answer, AddressRecords)
    assert answer.records[0] is not None
    assert answer.records[0].key == key
    lab.say(connection_id, AddressGetNext(16))
    assert lab.wait(SECOND // 5) is lab
    assert lab.said() == []


def test_the_next_permission_says_that_the_rest_is_known() -> None:
    """What a peer does not ask for before it permits more, it has: nobody waits for its answer any longer."""
    lab = Peers()
    connection_id = lab.join(1)
    item = lab.sign().item_id
    lab.say(connection_id, AddressGetNext(16))
    lab.wait(SECOND // 5)
    entry = lab.state.address_gossip.gossip.entry(item)
    assert isinstance(entry, Held)
    assert [peer for peer, _ in entry.in_flight] == [connection_id]
    lab.say(connection_id, AddressGetNext(16))
    assert isinstance(lab.state.address_gossip.gossip.entry(item), Finished)
    assert lab.link(connection_id).unanswered == ()


def test_a_good_record_is_believed_and_dialled() -> None:
    """It enters the book and the peer table, where it waits to be dialled."""
    lab = Peers()
    connection_id = lab.join(1)
    lab.bring(connection_id, record_of(7))
    assert lab.knows(7) == NOW
    assert (lab.peer(7).source, lab.peer(7).address) == (PeerSource.ADDRESS_GOSSIP, address(7))
    assert isinstance(lab.peer(7).status, Disconnected)


def test_only_who_was_met_is_told_on() -> None:
    """A record is named to others once we are connected with its node, and not before (spec 5.4)."""
    lab = Peers()
    first, second = lab.join(1), lab.join(2)
    lab.say(second, AddressGetNext(16))
    lab.bring(first, record_of(207))
    lab.wait(SECOND)
    assert not any(record_of(207).key in message.keys for message in lab.said() if isinstance(message, AddressAdverts))
    before = len(lab.all)
    lab.join(207)
    lab.wait(SECOND)
    frames = [frame for effect in lab.all[before:] if isinstance(effect, ChannelsEffectfulAnswerSend) for frame in effect.frames]
    named = [message for message in map(ADDRESS_MESSAGE.decode, frames) if isinstance(message, AddressAdverts)]
    assert any(record_of(207).key in message.keys for message in named)


def _twice() -> AddressKey:
    return record_of(7).key


VIOLATIONS: dict[str, tuple[Callable[[Peers, ConnectionId], object], ReasonCode]] = {
    "more records than permitted": (
        lambda lab, c: lab.say(c, AddressAdverts(tuple(record_of(n).key for n in range(3, 8)))),
        ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
    ),
    "none at all": (lambda lab, c: lab.say(c, AddressAdverts(())), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
    "one twice": (lambda lab, c: lab.say(c, AddressAdverts((_twice(), _twice()))), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
    "records on its own stream": (
        lambda lab, c: lab.say(c, AddressAdverts((_twice(),)), lab.peer_stream(c)),
        ReasonCode.CHANNEL_MSG_UNEXPECTED,
    ),
    "a permission on our stream": (lambda lab, c: lab.say(c, AddressGetNext(1), lab.stream(c, CHANNEL)), ReasonCode.STREAM_MISUSE),
    "a permission for nothing": (lambda lab, c: lab.say(c, AddressGetNext(0)), ReasonCode.CHANNEL_MSG_UNEXPECTED),
    "a permission for too much": (lambda lab, c: lab.say(c, AddressGetNext(17)), ReasonCode.CHANNEL_MSG_UNEXPECTED),
    "wants what was not named": (lambda lab, c: lab.say(c, AddressGetRecords((_twice(),))), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
    "sends what was not asked for": (lambda lab, c: lab.say(c, AddressRecords((None,))), ReasonCode.CHANNEL_MSG_UNEXPECTED),
    "ends without an answer": (lambda lab, c: lab.end(c, CHANNEL), ReasonCode.ANSWER_TRUNCATED),
    "no message": (lambda lab, c: lab.frame(c, CHANNEL, lab.peer_stream(c), b"\x09"), ReasonCode.CHANNEL_MSG_UNDECODABLE),
    "another record than asked": (
        lambda lab, c: (lab.say(c, AddressAdverts((_twice(),))), lab.say(c, AddressRecords((record_of(8),)))),
        ReasonCode.RESPONSE_HASH_MISMATCH,
    ),
    "fewer records than asked": (
        lambda lab, c: (lab.say(c, AddressAdverts((_twice(),))), lab.say(c, AddressRecords(()))),
        ReasonCode.RESPONSE_HASH_MISMATCH,
    ),
    "a forged record": (lambda lab, c: lab.bring(c, record_of(7, signer=8)), ReasonCode.INVALID_MESSAGE),
    "a record of another version": (lambda lab, c: lab.bring(c, record_of(7, version=2)), ReasonCode.INVALID_MESSAGE),
}


@pytest.mark.parametrize("what", VIOLATIONS)
def test_a_violation_ends_the_connection(what: str) -> None:
    """With its reason, and a ban."""
    lab = Peers(advert_limit=4)
    connection_id = lab.join(1)
    do, code = VIOLATIONS[what]
    do(lab, connection_id)
    assert (reason := lab.goodbye(connection_id)) is not None
    assert reason.code == code
    assert isinstance(lab.peer(1).status, Banned)
    assert lab.knows(7) is None


IMPLAUSIBLE: dict[str, AddressRecord] = {
    "from the future": record_of(7, issued_at=NOW + 121),
    "too old": record_of(7, issued_at=NOW - 900),
    "to be believed too long": record_of(7, ttl=3_601),
    "of nowhere": record_of(7, places=()),
    "of port 0": record_of(7, places=(QuicPlace(address(7).host, 0),)),
    "of a private range": record_of(7, places=(QuicPlace(Ipv4.of(10, 0, 0, 1), 8302),)),
    "of this machine": record_of(7, places=(QuicPlace(Ipv4.of(127, 0, 0, 1), 8302),)),
    "of many machines": record_of(7, places=(QuicPlace(Ipv4.of(224, 0, 0, 1), 8302),)),
    "of a link": record_of(7, places=(QuicPlace(Ipv4.of(169, 254, 0, 1), 8302),)),
    "of a long name": record_of(7, places=(QuicPlace(Domain("a" * 61 + ".com"), 8302),)),
    "of where we are": record_of(7, places=(QuicPlace(address(ME).host, 8302),)),
}


@pytest.mark.parametrize("what", IMPLAUSIBLE)
def test_what_makes_no_sense_is_not_believed_and_no_violation(what: str) -> None:
    """It costs its sender some credit at most."""
    lab = Peers()
    connection_id = lab.join(1)
    lab.bring(connection_id, IMPLAUSIBLE[what])
    assert lab.knows(7) is None
    assert lab.state.peers.find(peer_id(7)) is None
    assert connection_id in lab.state.connections.table


def test_older_records_are_not_asked_for() -> None:
    """Only what is newer than what is known is fetched (point 4)."""
    lab = Peers(cooldown_few=SECOND)
    connection_id = lab.join(1)
    lab.bring(connection_id, record_of(7))
    lab.wait(2 * SECOND)
    lab.say(connection_id, AddressAdverts((record_of(7, issued_at=NOW - 5).key,)))
    assert lab.said() == []
    lab.wait(2 * SECOND)
    lab.bring(connection_id, record_of(7, issued_at=NOW + 1))
    assert lab.knows(7) == NOW + 1


def test_what_we_have_is_not_asked_for_again() -> None:
    """Also when the gossiper has forgotten it, before the next one is due: it is known, and who names it has done nothing wrong."""
    lab = Peers(NOBODY_IS_DIALLED)
    first, second = lab.join(1), lab.join(2)
    lab.bring(first, record_of(7))
    lab.join(7)
    while lab.state.address_gossip.gossip.entry(record_of(7).key.item_id) is not None:
        lab.wait(SECOND)
    assert lab.knows(7) == NOW
    lab.say(second, AddressAdverts((record_of(7).key,)))
    assert not any(isinstance(message, AddressGetRecords) for message in lab.said())
    assert lab.link(second).credit == 0
    lab.wait(11 * SECOND)
    assert isinstance(lab.link(second).grant, Granted), "it may name more"


def test_a_forged_record_does_not_hide_the_good_one() -> None:
    """The good record of that date is fetched from the next peer that named it."""
    lab = Peers()
    liar, honest = lab.join(1), lab.join(2)
    lab.say(liar, AddressAdverts((record_of(7).key,)))
    lab.say(honest, AddressAdverts((record_of(7).key,)))
    assert lab.said() == []
    lab.say(liar, AddressRecords((record_of(7, signer=8),)))
    (effect,) = lab.of(AddressGossipEffectfulVerify)
    lab.feed(AddressGossipVerified(effect.number, is_valid=False))
    assert AddressGetRecords((record_of(7).key,)) in lab.said()
    lab.say(honest, AddressRecords((record_of(7),)))
    lab.check()
    assert lab.knows(7) == NOW


def test_who_goes_while_its_record_is_checked_hides_nothing() -> None:
    """Nor does who sent a good one, and goes at once: the next peer that named it is asked, or it can be named anew."""
    for is_named_by_another in (True, False):
        lab = Peers()
        quick, other = lab.join(1), lab.join(2)
        lab.say(quick, AddressAdverts((record_of(7).key,)))
        if is_named_by_another:
            lab.say(other, AddressAdverts((record_of(7).key,)))
        lab.say(quick, AddressRecords((record_of(7),)))
        (effect,) = lab.of(AddressGossipEffectfulVerify)
        lab.close(quick)
        before = lab.state.address_gossip
        lab.feed(AddressGossipVerified(effect.number, is_valid=True))
        assert lab.state.address_gossip == before, "its answer comes too late"
        if not is_named_by_another:
            lab.wait(2 * SECOND)
            lab.say(other, AddressAdverts((record_of(7).key,)))
        lab.say(other, AddressRecords((record_of(7),)))
        lab.check()
        assert lab.knows(7) == NOW


def test_a_check_that_never_ends_hides_nothing() -> None:
    """The runtime's word does not come: nobody is blamed, the next holder is asked, and nothing is kept of it; also of a record in our name."""
    lab = Peers()
    first = lab.join(1)
    lab.sign()
    other = lab.join(2)
    for connection_id in (first, other):
        lab.say(connection_id, AddressAdverts((record_of(7).key,)))
    lab.say(first, AddressRecords((record_of(7),)))
    (effect,) = lab.of(AddressGossipEffectfulVerify)
    lab.wait(lab.state.config.address_gossip.verification_timeout + SECOND)
    assert AddressGetRecords((record_of(7).key,)) in lab.said()
    assert not lab.state.address_gossip.verifications
    before = lab.state.address_gossip
    lab.feed(AddressGossipVerified(effect.number, is_valid=False))
    assert lab.state.address_gossip == before
    assert lab.goodbye(first) is None
    assert lab.link(first).credit == 0
    lab.say(other, AddressRecords((record_of(7),)))
    lab.check()
    assert lab.knows(7) == NOW
    lab.wait(2 * SECOND)
    grant = lab.link(other).grant
    assert isinstance(grant, Granted)
    lab.say(other, AddressAdverts((record_of(ME, issued_at=NOW + 60).key,)), grant.stream)
    lab.say(other, AddressRecords((record_of(ME, issued_at=NOW + 60),)))
    assert len(lab.state.address_gossip.verifications) == 1
    lab.wait(lab.state.config.address_gossip.verification_timeout + SECOND)
    assert not lab.state.address_gossip.verifications


def test_a_record_in_our_name_makes_ours_newer() -> None:
    """One that our key signed, of an earlier run, is followed by a newer one; a forged one ends the connection (point 3)."""
    lab = Peers()
    connection_id = lab.join(1)
    lab.sign()
    lab.bring(connection_id, record_of(ME, issued_at=NOW + 60))
    (effect,) = lab.of(AddressGossipEffectfulSign)
    assert effect.issued_at == NOW + 61
    other = Peers()
    connection_id = other.join(1)
    other.sign()
    other.bring(connection_id, record_of(ME, issued_at=NOW + 60, signer=8))
    assert other.goodbye(connection_id) is not None


def test_one_node_can_not_be_told_on_all_the_time() -> None:
    """Of a burst of records of one node three are dialled, the others only known (point 4)."""
    lab = Peers(cooldown_few=SECOND // 10)
    connection_id = lab.join(1)
    token = 0
    for version in range(6):
        lab.bring(connection_id, record_of(7, issued_at=NOW + version))
        tried = [*lab.names(), *(type(refusal.action).__name__ for refusal in lab.steps.refusals)]
        token += "PeerAnnounced" in tried
        lab.wait(SECOND // 5)
    assert lab.knows(7) == NOW + 5
    assert token == 3


def test_one_peer_can_not_fill_the_book() -> None:
    """Of nodes that we have not met no more are taken from one peer than its share, and others have theirs (flood)."""
    lab = Peers(unproven_per_relayer_max=5, cooldown_few=SECOND // 10, cooldown_bad=SECOND // 10)
    liar, honest = lab.join(1), lab.join(2)
    for n in range(10, 30):
        lab.bring(liar, record_of(n))
        lab.wait(SECOND // 5)
    assert len(lab.state.address_gossip.book) == 5
    assert lab.link(liar).credit < 0
    lab.bring(honest, record_of(50))
    assert lab.knows(50) == NOW


def test_signatures_are_not_checked_without_end() -> None:
    """Beyond so many a second nothing is checked, and nothing is believed unchecked."""
    lab = Peers(verifications_per_second=3)
    connection_id = lab.join(1)
    records = tuple(record_of(n) for n in range(10, 18))
    lab.say(connection_id, AddressAdverts(tuple(record.key for record in records)))
    lab.say(connection_id, AddressRecords(records))
    assert len(lab.of(AddressGossipEffectfulVerify)) == 3


def test_a_peer_that_does_not_send_what_it_named() -> None:
    """Its stream is given up after a while, the next holder is asked, and it is worth less."""
    lab = Peers()
    silent, other = lab.join(1), lab.join(2)
    for connection_id in (silent, other):
        lab.say(connection_id, AddressAdverts((record_of(7).key,)))
    lab.wait(11 * SECOND)
    assert [effect.connection_id for effect in lab.of(ChannelsEffectfulStreamReset)] == [silent]
    assert AddressGetRecords((record_of(7).key,)) in lab.said()
    assert lab.link(silent).credit == -1


def test_a_withdrawn_permission_is_not_used() -> None:
    """What the peer took back is not answered; a permission on a newer stream takes the place of an older one."""
    lab = Peers()
    connection_id = lab.join(1)
    stream = lab.peer_stream(connection_id)
    lab.say(connection_id, AddressGetNext(4), stream)
    lab.reset(connection_id, CHANNEL, stream)
    assert lab.link(connection_id).permitted is None
    lab.say(connection_id, AddressGetNext(4))
    lab.say(connection_id, AddressGetNext(2))
    permitted = lab.link(connection_id).permitted
    assert permitted is not None
    assert permitted.limit == 2


def test_a_permission_that_was_overtaken_is_void() -> None:
    """The latest stream counts: the late one is reset, and nobody is blamed."""
    lab = Peers()
    connection_id = lab.join(1)
    early, late = lab.peer_stream(connection_id), lab.peer_stream(connection_id)
    lab.say(connection_id, AddressGetNext(2), late)
    before = lab.link(connection_id)
    lab.say(connection_id, AddressGetNext(4), early)
    assert lab.of(ChannelsEffectfulStreamReset) == [ChannelsEffectfulStreamReset(connection_id, early, StreamResetCode.CANCELLED)]
    assert lab.link(connection_id) == before


def test_after_records_a_peer_rests() -> None:
    """The next permission comes after a while, longer for a peer whose records were of no use."""
    lab = Peers(cooldown_few=SECOND, cooldown_bad=60 * SECOND)
    connection_id = lab.join(1)
    lab.say(connection_id, AddressAdverts((record_of(7, issued_at=NOW + 500).key,)))
    assert isinstance(lab.link(connection_id).grant, Resting)
    lab.wait(SECOND + SECOND // 5)
    assert AddressGetNext(16) in lab.said()
    lab.bring(connection_id, record_of(8, places=()))
    assert lab.link(connection_id).credit == -1
    lab.wait(70 * SECOND)
    lab.say(connection_id, AddressAdverts((record_of(7, issued_at=NOW + 900).key,)))
    lab.wait(30 * SECOND)
    assert isinstance(lab.link(connection_id).grant, Resting)


def test_a_peer_without_the_channel_is_told_nothing() -> None:
    """Only a hello that announces the channel opens it; data on it is a violation otherwise."""
    lab = Peers()
    connection_id = lab.accept(1)
    assert connection_id not in lab.state.address_gossip.links
    assert lab.said() == []


def test_a_place_of_its_own_is_not_dialled_while_banned() -> None:
    """A ban is not lifted by a record of the peer's."""
    lab = Peers()
    connection_id, bad = lab.join(1), lab.join(7)
    lab.say(bad, AddressGetNext(0))
    assert isinstance(lab.peer(7).status, Banned)
    lab.bring(connection_id, record_of(7))
    assert isinstance(lab.peer(7).status, Banned)
    assert lab.knows(7) is None
