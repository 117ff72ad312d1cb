"""Never is a peer asked for what it need not remember to have named: it would end the connection (spec: address-gossip 5.3).

Whoever named a record long ago is asked for it only when others, who have named it too, do not send it. So a liar that names everything
first and sends nothing could have honest peers take us for one.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import pytest

from gossip.played import CHANNEL, NOW, Peers, record_of
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    AddressAdverts,
    AddressGetNext,
    AddressGetRecords,
    AddressKey,
    AddressMessage,
    AddressRecords,
)
from mina_p2p.channels.address_gossip.state import FETCHES_MAX, FETCHES_PER_MESSAGE, RING_MAX, Granted
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.ids import MILLISECOND, SECOND, ConnectionId, StreamId
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import ChannelsEffectfulRequestSend, ChannelsEffectfulStreamReset

QUICK: Final[dict[str, Any]] = {"cooldown": 100 * MILLISECOND, "cooldown_few": 100 * MILLISECOND, "cooldown_bad": 100 * MILLISECOND}


class Other:
    """The other end of a connection: what it was permitted, what it remembers, and what is on its way from it."""

    def __init__(self, lab: Peers, n: int) -> None:
        self.lab = lab
        self.named: deque[AddressKey] = deque(maxlen=RING_MAX)
        self.left = 0
        """Questions that it still takes."""
        self.permitted: tuple[StreamId, int] | None = None
        self.under_way: list[tuple[StreamId, AddressMessage]] = []
        """What it has said and we have not heard."""
        self.asked: list[tuple[StreamId, tuple[AddressKey, ...]]] = []
        """Questions that have not arrived there."""
        self._looked_at = len(lab.all)
        self.connection_id: ConnectionId = lab.join(n)

    def look(self) -> None:
        """Take what was sent to it since."""
        new, self._looked_at = self.lab.all[self._looked_at :], len(self.lab.all)
        for effect in new:
            if getattr(effect, "connection_id", None) != self.connection_id:
                continue
            if isinstance(effect, ChannelsEffectfulStreamReset):
                # What was on its way on that stream is lost; what it remembers of it is not.
                self.under_way = [pair for pair in self.under_way if pair[0] != effect.stream]
                self.asked = [pair for pair in self.asked if pair[0] != effect.stream]
                self.permitted = None if self.permitted and self.permitted[0] == effect.stream else self.permitted
            if isinstance(effect, ChannelsEffectfulRequestSend):
                match ADDRESS_MESSAGE.decode(effect.frame):
                    case AddressGetNext(limit=limit):
                        self.permitted = (effect.stream, limit)
                    case AddressGetRecords(keys=keys):
                        self.asked.append((effect.stream, keys))
                    case _:
                        raise AssertionError("an answer is no question")

    def name(self, *keys: AddressKey) -> None:
        """Use the permission; what it says is on its way then."""
        assert self.permitted is not None
        self.named += keys
        self.left = min(FETCHES_MAX, self.left + FETCHES_PER_MESSAGE)
        self.under_way.append((self.permitted[0], AddressAdverts(keys)))
        self.permitted = None

    def arrive(self) -> None:
        """Let what it has said reach us."""
        while self.under_way:
            stream, message = self.under_way.pop(0)
            self.lab.say(self.connection_id, message, stream)

    def hear(self, *, answers: bool = True) -> None:
        """Let a question reach it, which it takes if it is one that may be asked; it has none of the records any more."""
        stream, keys = self.asked.pop(0)
        assert set(keys) <= set(self.named), "what it need not remember"
        assert self.left > 0, "more questions than it takes"
        self.left -= 1
        if answers:
            self.under_way.append((stream, AddressRecords((None,) * len(keys))))


def keys_of(numbers: range) -> tuple[AddressKey, ...]:
    """Names of records of these nodes."""
    return tuple(record_of(n).key for n in numbers)


def pair(timeouts: Timeouts | None = None) -> tuple[Peers, Other, Other]:
    """A node, with a liar that has just named a record and was asked for it, and an honest peer that may name as much."""
    lab = Peers(Limits(peers_min=0), timeouts, **QUICK)
    liar, honest = Other(lab, 1), Other(lab, 2)
    for other in (liar, honest):
        other.look()
    liar.name(record_of(50).key)
    liar.arrive()
    liar.look()
    assert liar.asked
    honest.name(record_of(50).key)
    honest.arrive()
    turn(lab, honest)
    return lab, liar, honest


def turn(lab: Peers, other: Other) -> None:
    """Let a peer answer all that it is asked, until it may name more."""
    for _turn in range(20):
        lab.wait(200 * MILLISECOND)
        other.look()
        while other.asked:
            other.hear()
            other.arrive()
            other.look()
        if other.permitted is not None:
            return
    raise AssertionError("it is never permitted anything")


def test_what_a_peer_named_long_ago_is_not_asked_of_it() -> None:
    """It remembers 64 names; by the time that another has not sent what both named, it has named as many others."""
    lab, _liar, honest = pair()
    for batch in range(4):
        honest.name(*keys_of(range(300 + 16 * batch, 316 + 16 * batch)))
        honest.arrive()
        turn(lab, honest)
    assert record_of(50).key not in honest.named
    lab.wait(11 * SECOND)
    honest.look()
    assert honest.asked == []
    assert lab.state.address_gossip.gossip.entry(record_of(50).key.item_id) is None, "nobody has it who could be asked"


def test_what_it_named_just_before_is() -> None:
    """Three messages later it still has to know; it is asked, and nobody else need be."""
    lab, _liar, honest = pair()
    for batch in range(3):
        honest.name(*keys_of(range(300 + 16 * batch, 315 + 16 * batch)))
        honest.arrive()
        turn(lab, honest)
    lab.wait(11 * SECOND)
    honest.look()
    assert [keys for _stream, keys in honest.asked] == [(record_of(50).key,)]


def test_what_it_may_be_naming_counts() -> None:
    """A message that is on its way makes it forget what was the last that it remembered; so this is not asked for while one can be."""
    lab, _liar, honest = pair()
    for batch in range(3):
        honest.name(*keys_of(range(300 + 16 * batch, 316 + 16 * batch)))
        honest.arrive()
        turn(lab, honest)
    honest.name(*keys_of(range(400, 416)))
    assert record_of(50).key not in honest.named
    lab.wait(11 * SECOND)
    honest.look()
    assert honest.asked == []


def test_what_was_lost_with_a_withdrawn_permission_counts() -> None:
    """A permission that nobody used in time is withdrawn; its answer may have been on its way."""
    lab, _liar, honest = pair(Timeouts(parked_permission=4 * SECOND))
    for batch in range(3):
        honest.name(*keys_of(range(300 + 16 * batch, 316 + 16 * batch)))
        honest.arrive()
        turn(lab, honest)
    honest.name(*keys_of(range(400, 416)))
    for _second in range(5):
        lab.wait(SECOND)
        honest.look()
    assert honest.under_way == [], "its stream was reset"
    assert record_of(50).key not in honest.named
    lab.wait(11 * SECOND)
    honest.look()
    assert honest.asked == []


def test_no_more_questions_than_it_takes() -> None:
    """It counts its message before a question that crosses it, and takes no more than four at once: so do we, whatever we saw first."""
    lab, _liar, honest = pair()
    honest.name(record_of(60, issued_at=NOW - 4_000).key)
    honest.arrive()
    turn(lab, honest)
    assert lab.link(honest.connection_id).fetches_allowed == honest.left == FETCHES_MAX
    honest.name(*keys_of(range(300, 316)))
    lab.wait(11 * SECOND)
    honest.look()
    honest.hear()
    honest.arrive()
    honest.look()
    assert honest.asked
    assert lab.link(honest.connection_id).fetches_allowed == honest.left - len(honest.asked)


def told_of_ours() -> tuple[Peers, ConnectionId, AddressKey]:
    """A node whose peer has just been told of its own record."""
    lab = Peers(Limits(peers_min=0), **QUICK)
    connection_id = lab.join(1)
    key = lab.sign()
    lab.say(connection_id, AddressGetNext(16))
    lab.wait(SECOND)
    assert lab.said() == [AddressAdverts((key,))]
    return lab, connection_id, key


def test_each_message_is_worth_two_questions() -> None:
    """The third for what one message named ends the connection (spec: FetchReceived)."""
    lab, connection_id, key = told_of_ours()
    for _question in range(FETCHES_PER_MESSAGE):
        lab.say(connection_id, AddressGetRecords((key,)))
        assert lab.goodbye(connection_id) is None
    lab.say(connection_id, AddressGetRecords((key,)))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.CHANNEL_MSG_OVER_PERMISSION


@pytest.mark.parametrize("keys", ["none", "twice", "another"])
def test_a_question_is_for_what_was_named_once_each(keys: str) -> None:
    """Nothing, the same twice, or what was never named is no question."""
    lab, connection_id, key = told_of_ours()
    asked: dict[str, tuple[AddressKey, ...]] = {"none": (), "twice": (key, key), "another": (key, record_of(9).key)}
    lab.say(connection_id, AddressGetRecords(asked[keys]))
    assert lab.goodbye(connection_id) is not None


def test_a_permission_is_for_one_message() -> None:
    """A second one on the stream of the first ends the connection, whatever it names."""
    lab = Peers(Limits(peers_min=0), **QUICK)
    connection_id = lab.join(1)
    stream = lab.stream(connection_id, CHANNEL)
    stale = [record_of(n, issued_at=NOW - 4_000).key for n in (7, 8)]
    lab.say(connection_id, AddressAdverts((stale[0],)), stream)
    assert lab.goodbye(connection_id) is None
    lab.say(connection_id, AddressAdverts((stale[1],)), stream)
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.CHANNEL_MSG_UNEXPECTED


def test_we_remember_what_we_named_as_long_as_we_promise() -> None:
    """Of our own 64 last names the first may still be asked for, and is answered as far as we have it."""
    lab = Peers(Limits(peers_min=0, peers_max=200, peers_stable_percent=100, peers_per_group_max=200), **QUICK)
    relayer, listener = lab.join(1), lab.join(2)
    named = list[AddressKey]()
    for batch in range(RING_MAX // 8 + 1):
        records = tuple(record_of(300 + 8 * batch + n) for n in range(8))
        for record in records:
            lab.join(int.from_bytes(record.public_key, "big"))
        lab.say(relayer, AddressAdverts(tuple(record.key for record in records)), _grant(lab, relayer))
        lab.say(relayer, AddressRecords(records))
        lab.check()
        lab.say(listener, AddressGetNext(16))
        lab.wait(SECOND)
        named += [key for message in lab.said() if isinstance(message, AddressAdverts) for key in message.keys]
    link = lab.link(listener)
    assert len(named) > RING_MAX
    assert link.sent == tuple(key.item_id for key in named[-RING_MAX:])
    lab.say(listener, AddressGetRecords((named[-RING_MAX],)))
    assert lab.goodbye(listener) is None
    lab.say(listener, AddressGetRecords((named[-RING_MAX - 1],)))
    assert lab.goodbye(listener) is not None


def _grant(lab: Peers, connection_id: ConnectionId) -> StreamId:
    grant = lab.link(connection_id).grant
    assert isinstance(grant, Granted)
    return grant.stream


@pytest.mark.parametrize("seed", range(12))
def test_no_honest_peer_is_ever_asked_too_much(seed: int) -> None:
    """Whatever is on its way in either direction, whoever else withholds what, and whenever waits end."""
    dice = Dice(seed, "rings")
    lab = Peers(Limits(peers_min=0), Timeouts(parked_permission=20 * SECOND), fetch_timeout=8 * SECOND, **QUICK)
    liar, honest = Other(lab, 1), [Other(lab, n) for n in (2, 3)]
    everybody, news = [liar, *honest], list[AddressKey]()
    questions = 0
    for step in range(250):
        for other in everybody:
            other.look()
            if other.permitted is not None and dice.chance(50):
                # What others have named of late, in part, and what nobody has.
                heard = [key for key in news[-24:] if key not in other.named and dice.chance(60)][:8]
                fresh = keys_of(range(300 + 16 * len(news), 316 + 16 * len(news) - len(heard)))
                news += fresh
                other.name(*heard, *fresh)
            if dice.chance(70):
                other.arrive()
                other.look()
            if other.asked and dice.chance(1 if other is liar else 70):
                questions += 1
                other.hear()
            if not other.under_way and not other.asked:
                other.look()
                assert other.asked or lab.link(other.connection_id).fetches_allowed <= other.left
        lab.wait((dice.choice((2_000, 5_000)) if step % 50 == 49 else 100) * MILLISECOND)
    assert questions > 50
    assert all(lab.goodbye(other.connection_id) is None for other in honest)


def test_the_dates_are_believed() -> None:
    """So that the tests above are about what they say."""
    assert record_of(50).key.issued_at == NOW
