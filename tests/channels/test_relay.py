"""Channels 1 and 2 in the role of the relay: the requester and the target are played here."""

from __future__ import annotations

from typing import Any

import pytest

from channels.lab import DISCOVERY, EXCHANGE, LEAVES, NO_KEY, START, TIMEOUTS, Lab, discovery, exchange
from channels.people import key
from mina_p2p.channels.signaling_discovery.messages import (
    DiscoveryAnswer,
    DiscoveryDiscover,
    DiscoveryDiscovered,
    DiscoveryDiscoveredAccept,
    DiscoveryDiscoveredReject,
    DiscoveryGetNext,
)
from mina_p2p.channels.signaling_discovery.state import (
    DiscoveredAccepted,
    Discovery,
    DiscoveryRequested,
    Resting,
    TargetLost,
)
from mina_p2p.channels.signaling_exchange import state as ex
from mina_p2p.channels.signaling_exchange.messages import ExchangeAnswer, ExchangeGetNext, ExchangeOfferToYou
from mina_p2p.channels.signaling_exchange.state import Exchange
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.reducer import p2p_machine
from mina_p2p.signaling.actions import SignalingMatch, SignalingPairRemember
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestContinue, ChannelsEffectfulRequestSend


def listens(lab: Lab, cid: ConnectionId) -> StreamId:
    """A peer takes an offer."""
    stream = lab.peer_stream(cid)
    lab.exchange(cid, stream, ExchangeGetNext())
    return stream


def asks(lab: Lab, cid: ConnectionId) -> StreamId:
    """A peer asks for an introduction."""
    stream: StreamId = discovery(lab, cid).local.stream
    lab.discovery(cid, stream, DiscoveryDiscover())
    return stream


def introduce(lab: Lab) -> tuple[ConnectionId, StreamId, ConnectionId, StreamId]:
    """Peer 1 was proposed peer 2."""
    a, b = lab.accept(1), lab.accept(2)
    to_b = listens(lab, b)
    to_a = asks(lab, a)
    assert lab.said() == [DiscoveryDiscovered(key(2))]
    return a, to_a, b, to_b


def offered(lab: Lab) -> tuple[ConnectionId, StreamId, ConnectionId, StreamId]:
    """And its offer was passed on."""
    a, to_a, b, to_b = introduce(lab)
    lab.discovery(a, to_a, DiscoveryDiscoveredAccept(b"offer"))
    assert lab.said() == [ExchangeOfferToYou(key(1), b"offer")]
    return a, to_a, b, to_b


def test_a_ready_connection_gets_both_permissions() -> None:
    """Each on a stream of its own, whose half stays open, with credit for one word and for one offer."""
    lab = Lab()
    lab.accept(1)
    one, two = [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel in {DISCOVERY, EXCHANGE}]
    assert (one.channel, one.answer_bytes_max, one.frame_bytes_max, one.ends) == (DISCOVERY, 5, 1, False)
    assert (two.channel, two.answer_bytes_max, two.frame_bytes_max, two.ends) == (EXCHANGE, 16_388, 16_384, False)
    assert lab.said() == [DiscoveryGetNext(), ExchangeGetNext()]


def test_a_whole_introduction() -> None:
    """GetNext, Discover, Discovered, Accept, OfferToYou, Answer, Answer; every turn on its stream, with exact credit."""
    lab = Lab()
    a, to_a, b, to_b = introduce(lab)
    (proposal,) = lab.of(ChannelsEffectfulRequestContinue)
    assert (proposal.connection_id, proposal.stream, proposal.answer_bytes_max, proposal.ends) == (a, to_a, 16_388, False)
    lab.discovery(a, to_a, DiscoveryDiscoveredAccept(b"offer"))
    (passed,) = lab.of(ChannelsEffectfulAnswerSend)
    assert (passed.connection_id, passed.stream, passed.ends) == (b, to_b, False)
    lab.exchange(b, to_b, ExchangeAnswer(b"answer"))
    assert lab.said() == ["end", DiscoveryAnswer(b"answer"), "end"]
    (answer,) = lab.of(ChannelsEffectfulRequestContinue)
    assert (answer.connection_id, answer.stream, answer.answer_bytes_max) == (a, to_a, 0)
    lab.end(b, EXCHANGE, to_b)
    lab.end(a, DISCOVERY, to_a)
    assert discovery(lab, a).local == Resting(Timestamp(START + TIMEOUTS.signaling_pause))
    assert exchange(lab, b).remote == ex.RemoteAnswered()


def test_the_relay_permits_again_after_a_pause() -> None:
    """60 s after an introduction, as the reference."""
    lab = Lab()
    a, to_a, b, to_b = offered(lab)
    lab.exchange(b, to_b, ExchangeAnswer(b"answer"))
    lab.end(a, DISCOVERY, to_a)
    lab.wait(59 * SECOND)
    assert DiscoveryGetNext() not in lab.said()
    lab.wait(1 * SECOND)
    assert DiscoveryGetNext() in lab.said()


def test_a_requester_waits_until_somebody_is_available() -> None:
    """However long; then it is served at once."""
    lab = Lab()
    a, b = lab.accept(1), lab.accept(2)
    asks(lab, a)
    assert lab.said() == []
    lab.wait(300 * SECOND)
    listens(lab, b)
    assert lab.said() == [DiscoveryDiscovered(key(2))]


def test_nobody_is_introduced_to_itself() -> None:
    """A peer may want and be available at the same time."""
    lab = Lab()
    a = lab.accept(1)
    listens(lab, a)
    asks(lab, a)
    assert lab.said() == []


def test_two_that_want_and_are_available_are_introduced_once() -> None:
    """In one direction: the other would be the same pair."""
    lab = Lab()
    a, b = lab.accept(1), lab.accept(2)
    asks(lab, a)
    asks(lab, b)
    listens(lab, a)
    assert lab.said() == [DiscoveryDiscovered(key(1))]
    listens(lab, b)
    assert lab.said() == []


def test_r1_a_target_is_promised_to_one_requester_at_a_time() -> None:
    """Also while the first has not decided; and is free again when it declines."""
    lab = Lab()
    a, to_a, b, _ = introduce(lab)
    c = lab.accept(3)
    asks(lab, c)
    assert lab.said() == []
    lab.discovery(a, to_a, DiscoveryDiscoveredReject())
    assert lab.said() == [DiscoveryDiscovered(key(2))]
    assert exchange(lab, b).remote.requester == c


def test_r2_every_requester_gets_one_target() -> None:
    """Three ask, three are available: three introductions, to three different targets, first come first served."""
    lab = Lab()
    askers = [lab.accept(n) for n in (1, 2, 3)]
    targets = [lab.accept(n) for n in (4, 5, 6)]
    for cid in askers:
        asks(lab, cid)
    served = []
    for cid in targets:
        listens(lab, cid)
        (proposal,) = lab.of(ChannelsEffectfulRequestContinue)
        served.append(proposal.connection_id)
    assert served == askers


def test_r2_one_asker_takes_one_of_many_targets() -> None:
    """The rest stay for others."""
    lab = Lab()
    a = lab.accept(1)
    for n in range(2, 8):
        listens(lab, lab.accept(n))
    asks(lab, a)
    assert len(lab.said()) == 1
    assert len(lab.state.channels.introductions.available) == 5


def test_r2_an_id_that_is_no_key_is_never_proposed() -> None:
    """Neither as target nor as requester; where another fits, that is taken. Authenticated peers have keys, so it is planted here."""
    lab = Lab()
    a, bad, good = lab.accept(1), lab.accept(2), lab.accept(3)
    connections = lab.state.connections
    planted = connections.table.set(bad, connections.table[bad].replace(peer_id=NO_KEY))
    bare = lab.state.replace(connections=connections.replace(table=planted))
    asking, free = DiscoveryRequested(StreamId(5), 1, START), ex.RemoteRequested(StreamId(4))

    def proposed_to(of: ConnectionId, asker: ConnectionId, *targets: ConnectionId) -> list[ConnectionId]:
        channels = bare.channels.with_discovery(asker, Discovery(asking))
        for target in targets:
            channels = channels.with_exchange(target, Exchange(ex.Resting(START), free))
        _, effects, _ = p2p_machine().dispatch(bare.replace(channels=channels), SignalingMatch(of), START)
        return [effect.connection_id for effect in effects]

    assert proposed_to(a, a, bad) == proposed_to(bad, a, bad) == []
    assert proposed_to(bad, bad, a) == proposed_to(a, bad, a) == []
    assert proposed_to(a, a, bad, good) == proposed_to(good, a, bad, good) == [a]


def test_targets_are_drawn_by_the_states_generator() -> None:
    """The same seed draws the same, another one another."""

    def drawn(seed: int) -> list[PeerId]:
        lab = Lab(seed=seed)
        for n in range(10, 20):
            listens(lab, lab.accept(n))
        found = []
        for n in range(1, 6):
            asks(lab, lab.accept(n))
            (word,) = lab.said()
            found.append(word.target_public_key)
        return found

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1


def test_r4_a_requester_that_does_not_decide_loses_its_target() -> None:
    """20 s; then its stream is reset, and the target is for others."""
    lab = Lab()
    a, _, b, _ = introduce(lab)
    c = lab.accept(3)
    asks(lab, c)
    lab.wait(20 * SECOND)
    assert lab.said() == ["reset", DiscoveryDiscovered(key(2))]
    assert isinstance(discovery(lab, a).local, Resting)
    assert exchange(lab, b).remote.requester == c


def test_r4_r5_a_target_that_does_not_answer() -> None:
    """The requester is told at once that there is no answer; the target's stream is reset."""
    lab = Lab()
    _a, _, b, _ = offered(lab)
    lab.wait(20 * SECOND)
    assert lab.said() == [DiscoveryAnswer(None), "end", "reset"]
    assert exchange(lab, b).remote == ex.WaitingForRequest()
    listens(lab, b)


def test_r4_a_stream_that_does_not_end_is_reset() -> None:
    """After an answer, and after a refusal."""
    for last_word in (None, DiscoveryDiscoveredReject()):
        lab = Lab()
        a, to_a, b, to_b = introduce(lab) if last_word else offered(lab)
        if last_word:
            lab.discovery(a, to_a, last_word)
        else:
            lab.exchange(b, to_b, ExchangeAnswer(b"answer"))
        lab.wait(20 * SECOND)
        assert lab.said() == ["reset"]
        assert isinstance(discovery(lab, a).local, Resting)


def test_r4_parked_permissions_are_withdrawn_and_given_anew() -> None:
    """Ten minutes; with a pause, so that the new one can not overtake the reset."""
    lab = Lab()
    a = lab.accept(1)
    lab.wait(600 * SECOND)
    assert lab.said().count("reset") >= 2
    lab.wait(TIMEOUTS.stream_settle)
    assert lab.said() == [DiscoveryGetNext(), ExchangeGetNext()]
    asks(lab, a)
    lab.wait(600 * SECOND)
    assert isinstance(discovery(lab, a).local, Resting)
    assert not lab.state.channels.introductions.queue


def test_r5_a_target_that_is_gone_before_the_offer() -> None:
    """The offer is answered with nothing, at once; a refusal is fine too."""
    lab = Lab()
    a, to_a, b, _ = introduce(lab)
    lab.close(b)
    assert isinstance(discovery(lab, a).local, TargetLost)
    assert lab.said() == []
    lab.discovery(a, to_a, DiscoveryDiscoveredAccept(b"offer"))
    assert lab.said() == [DiscoveryAnswer(None), "end"]

    lab = Lab()
    a, to_a, b, _ = introduce(lab)
    lab.close(b)
    lab.discovery(a, to_a, DiscoveryDiscoveredReject())
    assert lab.said() == []
    lab.end(a, DISCOVERY, to_a)
    assert isinstance(discovery(lab, a).local, Resting)


def test_r5_a_target_that_withdraws_its_permission() -> None:
    """As one that is gone."""
    lab = Lab()
    a, _to_a, b, to_b = introduce(lab)
    lab.reset(b, EXCHANGE, to_b)
    assert isinstance(discovery(lab, a).local, TargetLost)
    lab.wait(20 * SECOND)
    assert lab.said() == ["reset"]


def test_r5_a_target_that_vanishes_with_the_offer() -> None:
    """By disconnection or by a reset: the requester is told at once."""
    for leave in LEAVES:
        lab = Lab()
        a, _, b, to_b = offered(lab)
        leave(lab, b, EXCHANGE, to_b)
        assert lab.said() == [DiscoveryAnswer(None), "end"]
        assert not isinstance(discovery(lab, a).local, DiscoveredAccepted)


def test_a_requester_that_vanishes_frees_its_target() -> None:
    """Before the offer the target is available again; with it, the target's stream is reset."""
    for leave in LEAVES:
        lab = Lab()
        a, to_a, b, to_b = introduce(lab)
        leave(lab, a, DISCOVERY, to_a)
        assert lab.said() == []
        assert exchange(lab, b).remote == ex.RemoteRequested(to_b)
        lab = Lab()
        a, to_a, b, _ = offered(lab)
        leave(lab, a, DISCOVERY, to_a)
        assert lab.said() == ["reset"]
        assert exchange(lab, b).remote == ex.WaitingForRequest()


def test_a_freed_target_goes_to_who_waits() -> None:
    """At once."""
    lab = Lab()
    a, _to_a, _, _ = introduce(lab)
    c = lab.accept(3)
    asks(lab, c)
    lab.close(a)
    assert lab.said() == [DiscoveryDiscovered(key(2))]


def test_no_answer_is_passed_on_as_none() -> None:
    """`Answer(None)` of a listener."""
    lab = Lab()
    _a, _to_a, b, to_b = offered(lab)
    lab.exchange(b, to_b, ExchangeAnswer(None))
    assert lab.said() == ["end", DiscoveryAnswer(None), "end"]


def test_r8_a_pair_is_not_introduced_again_for_a_while() -> None:
    """A minute after a failure, ten after a refusal or an introduction that worked; in either order."""
    outcomes: dict[str, tuple[Any, int]] = {
        "declined": (lambda lab, a, to_a, b, to_b: lab.discovery(a, to_a, DiscoveryDiscoveredReject()), TIMEOUTS.signaling_pair),
        "answered": (lambda lab, a, to_a, b, to_b: answered(lab, a, to_a, b, to_b, b"answer"), TIMEOUTS.signaling_pair),
        "no answer": (lambda lab, a, to_a, b, to_b: answered(lab, a, to_a, b, to_b, None), TIMEOUTS.signaling_pause),
        "reset": (lambda lab, a, to_a, b, to_b: lab.reset(a, DISCOVERY, to_a), TIMEOUTS.signaling_pause),
    }

    def answered(lab: Lab, a: ConnectionId, to_a: StreamId, b: ConnectionId, to_b: StreamId, answer: bytes | None) -> None:
        lab.discovery(a, to_a, DiscoveryDiscoveredAccept(b"offer"))
        lab.exchange(b, to_b, ExchangeAnswer(answer))

    for act, remembered in outcomes.values():
        lab = Lab()
        a, to_a, b, to_b = introduce(lab)
        act(lab, a, to_a, b, to_b)
        if isinstance(exchange(lab, a).remote, ex.WaitingForRequest):
            listens(lab, a)
        asks(lab, b)
        assert DiscoveryDiscovered(key(1)) not in lab.said()
        lab.wait(remembered - SECOND)
        assert lab.state.signaling.remembers(key(1), key(2))
        assert DiscoveryDiscovered(key(1)) not in lab.said()
        lab.wait(SECOND)
        if remembered < TIMEOUTS.parked_permission:
            assert DiscoveryDiscovered(key(1)) in lab.said()
        else:
            # What was parked has run out at the same moment.
            assert not lab.state.signaling.remembers(key(1), key(2))


def test_r8_the_memory_survives_a_reconnection_and_is_bounded() -> None:
    """Pairs are remembered by id; the oldest makes room, and may be tried again at once."""
    lab = Lab(limits=Limits(signaling_pairs_max=2))
    a, to_a, _, _ = introduce(lab)
    lab.discovery(a, to_a, DiscoveryDiscoveredReject())
    lab.close(a)
    a = lab.accept(1)
    asks(lab, a)
    assert lab.said() == []
    c, d = lab.accept(3), lab.accept(4)
    lab.discovery(c, asks(lab, c), DiscoveryDiscoveredReject())
    assert lab.said() == []
    lab.discovery(d, asks(lab, d), DiscoveryDiscoveredReject())
    assert lab.said() == [DiscoveryDiscovered(key(2))]
    assert [proposal.connection_id for proposal in lab.of(ChannelsEffectfulRequestContinue)] == [a]
    assert not lab.state.signaling.remembers(key(3), key(2))
    assert len(lab.state.signaling.pairs) == 2


def test_r8_a_forgotten_pair_is_tried_again_at_once() -> None:
    """Also where the pair that took its place in the memory is of others: nobody waits who could be served."""
    lab = Lab(limits=Limits(signaling_pairs_max=1))
    a, to_a, b, _ = introduce(lab)
    lab.discovery(a, to_a, DiscoveryDiscoveredReject())
    lab.close(a)
    a, c, d = lab.accept(1), lab.accept(3), lab.accept(4)
    asks(lab, a)
    assert lab.said() == []
    lab.feed(SignalingPairRemember(key(3), key(4)))
    assert lab.said() == [DiscoveryDiscovered(key(2))]
    assert exchange(lab, b).requester == a
    assert {c, d} <= set(lab.state.connections.table)


def test_c9_an_offer_that_fits_one_channel_and_not_the_other() -> None:
    """The frame to the listener is 32 bytes longer: the requester is told that there is no answer, the listener stays available."""
    lab = Lab()
    a, to_a, b, to_b = introduce(lab)
    lab.discovery(a, to_a, DiscoveryDiscoveredAccept(b"\x01" * 16_370))
    assert lab.said() == [DiscoveryAnswer(None), "end"]
    assert exchange(lab, b).remote == ex.RemoteRequested(to_b)
    lab = Lab()
    a, to_a, b, to_b = introduce(lab)
    lab.discovery(a, to_a, DiscoveryDiscoveredAccept(b"\x01" * (16_384 - 32 - 4)))
    (passed,) = lab.of(ChannelsEffectfulAnswerSend)
    assert len(passed.frames[0]) == 16_384


def hostile_to_relay() -> dict[str, tuple[Any, ReasonCode]]:
    """What the requester or the target may try on the relay; each gets (lab, a, to_a, b, to_b)."""

    def on_a(message: Any) -> Any:
        return lambda lab, a, to_a, b, to_b: lab.discovery(a, to_a, message)

    def on_b(message: Any) -> Any:
        return lambda lab, a, to_a, b, to_b: lab.exchange(b, to_b, message)

    unexpected, over = ReasonCode.CHANNEL_MSG_UNEXPECTED, ReasonCode.CHANNEL_MSG_OVER_PERMISSION
    return {
        "requester: Discover again": (on_a(DiscoveryDiscover()), unexpected),
        "requester: Discovered": (on_a(DiscoveryDiscovered(key(3))), unexpected),
        "requester: Answer": (on_a(DiscoveryAnswer(None)), unexpected),
        "requester: GetNext on the relay's stream": (on_a(DiscoveryGetNext()), ReasonCode.STREAM_MISUSE),
        "requester: Accept on another stream": (
            lambda lab, a, to_a, b, to_b: lab.discovery(a, StreamId(to_a + 4), DiscoveryDiscoveredAccept(b"")),
            unexpected,
        ),
        "requester: the end without a decision": (lambda lab, a, to_a, b, to_b: lab.end(a, DISCOVERY, to_a), ReasonCode.ANSWER_TRUNCATED),
        "requester: garbage": (lambda lab, a, to_a, b, to_b: lab.frame(a, DISCOVERY, to_a, b"\x09"), ReasonCode.CHANNEL_MSG_UNDECODABLE),
        "requester: a count without bytes": (
            lambda lab, a, to_a, b, to_b: lab.frame(a, DISCOVERY, to_a, bytes.fromhex("04fdff3f0000")),
            ReasonCode.CHANNEL_MSG_UNDECODABLE,
        ),
        "target: an answer without an offer": (on_b(ExchangeAnswer(b"answer")), unexpected),
        "target: GetNext again": (on_b(ExchangeGetNext()), over),
        "target: an offer": (on_b(ExchangeOfferToYou(key(1), b"")), unexpected),
        "target: the end of its permission": (lambda lab, a, to_a, b, to_b: lab.end(b, EXCHANGE, to_b), ReasonCode.STREAM_MISUSE),
        "target: garbage": (lambda lab, a, to_a, b, to_b: lab.frame(b, EXCHANGE, to_b, b""), ReasonCode.CHANNEL_MSG_UNDECODABLE),
    }


@pytest.mark.parametrize("what", hostile_to_relay())
def test_hostile_requesters_and_targets_end_their_connection_only(what: str) -> None:
    """The other of the two, and the rest, go on."""
    lab = Lab()
    a, to_a, b, to_b = introduce(lab)
    act, code = hostile_to_relay()[what]
    act(lab, a, to_a, b, to_b)
    culprit, other, channel = (a, b, DISCOVERY) if "requester" in what else (b, a, EXCHANGE)
    lab.violates(culprit, code, channel)
    assert other in lab.state.connections.table
