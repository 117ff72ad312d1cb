"""Channels 1 and 2: a relay brings two peers together; each of the three roles alone, against peers played here."""

from __future__ import annotations

from typing import Any

import pytest

from channels.lab import DISCOVERY, EXCHANGE, ME, START, TIMEOUTS, Lab
from channels.people import encrypt, key
from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerDecrypted,
    ChannelsSignalingDiscoveryOfferEncrypted,
    ChannelsSignalingDiscoveryOfferError,
    ChannelsSignalingDiscoveryOfferReady,
)
from mina_p2p.channels.signaling_discovery.messages import (
    DiscoveryAnswer,
    DiscoveryDiscover,
    DiscoveryDiscovered,
    DiscoveryDiscoveredAccept,
    DiscoveryDiscoveredReject,
    DiscoveryGetNext,
)
from mina_p2p.channels.signaling_discovery.state import (
    AnswerDecryptPending,
    DiscoveredAccepted,
    Discovery,
    DiscoveryRequested,
    OfferPending,
    RemoteAnswered,
    RemoteDiscoveredAccepted,
    RemoteDiscoveredRejected,
    Resting,
    TargetLost,
)
from mina_p2p.channels.signaling_discovery.state import WaitingForRequest as NothingPermitted
from mina_p2p.channels.signaling_exchange import state as ex
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeAnswerError,
    ChannelsSignalingExchangeAnswerReady,
)
from mina_p2p.channels.signaling_exchange.messages import ExchangeAnswer, ExchangeGetNext, ExchangeOfferToYou
from mina_p2p.channels.signaling_exchange.state import Exchange
from mina_p2p.config import Limits
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, PeerId, PublicKey
from mina_p2p.ids import SECOND, ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.peer.actions import PeerBan
from mina_p2p.reducer import p2p_machine
from mina_p2p.signaling.actions import SignalingMatch, SignalingPairRemember
from mina_p2p.signaling.effects import (
    SignalingAnswerReceived,
    SignalingAnswerSent,
    SignalingEffectfulOfferDecrypt,
    SignalingFailed,
    SignalingOfferReceived,
    SignalingOfferWanted,
)
from mina_p2p.signaling.objects import (
    Accepted,
    Answer,
    ConnectionResponse,
    InternalError,
    Offer,
    Rejected,
    RejectionReason,
    SignalDecryptionFailed,
    decode_offer,
    decode_response,
    encode_offer,
    encode_response,
)
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestContinue, ChannelsEffectfulRequestSend

NO_KEY = next(PeerId(n.to_bytes(32, "big")) for n in range(256, 10_000, 256) if n.to_bytes(32, "big") not in {key(i) for i in range(60)})


def discovery(lab: Lab, cid: ConnectionId) -> Any:
    found = lab.state.channels.discovery(cid)
    assert found is not None
    return found


def exchange(lab: Lab, cid: ConnectionId) -> Any:
    found = lab.state.channels.exchange(cid)
    assert found is not None
    return found


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


# --- the relay --------------------------------------------------------------------------------


def test_a_ready_connection_gets_both_permissions():
    """Each on a stream of its own, whose half stays open, with credit for one word and for one offer."""
    lab = Lab()
    lab.accept(1)
    one, two = [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel in {DISCOVERY, EXCHANGE}]
    assert (one.channel, one.answer_bytes_max, one.frame_bytes_max, one.ends) == (DISCOVERY, 5, 1, False)
    assert (two.channel, two.answer_bytes_max, two.frame_bytes_max, two.ends) == (EXCHANGE, 16_388, 16_384, False)
    assert lab.said() == [DiscoveryGetNext(), ExchangeGetNext()]


def test_a_whole_introduction():
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


def test_the_relay_permits_again_after_a_pause():
    """60 s after an introduction, as the reference."""
    lab = Lab()
    a, to_a, b, to_b = offered(lab)
    lab.exchange(b, to_b, ExchangeAnswer(b"answer"))
    lab.end(a, DISCOVERY, to_a)
    lab.wait(59 * SECOND)
    assert DiscoveryGetNext() not in lab.said()
    lab.wait(1 * SECOND)
    assert DiscoveryGetNext() in lab.said()


def test_a_requester_waits_until_somebody_is_available():
    """However long; then it is served at once."""
    lab = Lab()
    a, b = lab.accept(1), lab.accept(2)
    asks(lab, a)
    assert lab.said() == []
    lab.wait(300 * SECOND)
    listens(lab, b)
    assert lab.said() == [DiscoveryDiscovered(key(2))]


def test_nobody_is_introduced_to_itself():
    """A peer may want and be available at the same time."""
    lab = Lab()
    a = lab.accept(1)
    listens(lab, a)
    asks(lab, a)
    assert lab.said() == []


def test_two_that_want_and_are_available_are_introduced_once():
    """In one direction: the other would be the same pair."""
    lab = Lab()
    a, b = lab.accept(1), lab.accept(2)
    asks(lab, a)
    asks(lab, b)
    listens(lab, a)
    assert lab.said() == [DiscoveryDiscovered(key(1))]
    listens(lab, b)
    assert lab.said() == []


def test_r1_a_target_is_promised_to_one_requester_at_a_time():
    """Also while the first has not decided; and is free again when it declines."""
    lab = Lab()
    a, to_a, b, _ = introduce(lab)
    c = lab.accept(3)
    asks(lab, c)
    assert lab.said() == []
    lab.discovery(a, to_a, DiscoveryDiscoveredReject())
    assert lab.said() == [DiscoveryDiscovered(key(2))]
    assert exchange(lab, b).remote.requester == c


def test_r2_every_requester_gets_one_target():
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


def test_r2_one_asker_takes_one_of_many_targets():
    """The rest stay for others."""
    lab = Lab()
    a = lab.accept(1)
    for n in range(2, 8):
        listens(lab, lab.accept(n))
    asks(lab, a)
    assert len(lab.said()) == 1
    assert len(lab.state.channels.introductions.available) == 5


def test_r2_an_id_that_is_no_key_is_never_proposed():
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


def test_targets_are_drawn_by_the_states_generator():
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


def test_r4_a_requester_that_does_not_decide_loses_its_target():
    """20 s; then its stream is reset, and the target is for others."""
    lab = Lab()
    a, _, b, _ = introduce(lab)
    c = lab.accept(3)
    asks(lab, c)
    lab.wait(20 * SECOND)
    assert lab.said() == ["reset", DiscoveryDiscovered(key(2))]
    assert isinstance(discovery(lab, a).local, Resting)
    assert exchange(lab, b).remote.requester == c


def test_r4_r5_a_target_that_does_not_answer():
    """The requester is told at once that there is no answer; the target's stream is reset."""
    lab = Lab()
    a, _, b, _ = offered(lab)
    lab.wait(20 * SECOND)
    assert lab.said() == [DiscoveryAnswer(None), "end", "reset"]
    assert exchange(lab, b).remote == ex.WaitingForRequest()
    listens(lab, b)


def test_r4_a_stream_that_does_not_end_is_reset():
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


def test_r4_parked_permissions_are_withdrawn_and_given_anew():
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


def test_r5_a_target_that_is_gone_before_the_offer():
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


def test_r5_a_target_that_withdraws_its_permission():
    """As one that is gone."""
    lab = Lab()
    a, to_a, b, to_b = introduce(lab)
    lab.reset(b, EXCHANGE, to_b)
    assert isinstance(discovery(lab, a).local, TargetLost)
    lab.wait(20 * SECOND)
    assert lab.said() == ["reset"]


def test_r5_a_target_that_vanishes_with_the_offer():
    """By disconnection or by a reset: the requester is told at once."""
    for leave in (lambda lab, b, to_b: lab.close(b), lambda lab, b, to_b: lab.reset(b, EXCHANGE, to_b)):
        lab = Lab()
        a, _, b, to_b = offered(lab)
        leave(lab, b, to_b)
        assert lab.said() == [DiscoveryAnswer(None), "end"]
        assert not isinstance(discovery(lab, a).local, DiscoveredAccepted)


def test_a_requester_that_vanishes_frees_its_target():
    """Before the offer the target is available again; with it, the target's stream is reset."""
    for leave in (lambda lab, a, to_a: lab.close(a), lambda lab, a, to_a: lab.reset(a, DISCOVERY, to_a)):
        lab = Lab()
        a, to_a, b, to_b = introduce(lab)
        leave(lab, a, to_a)
        assert lab.said() == []
        assert exchange(lab, b).remote == ex.RemoteRequested(to_b)
        lab = Lab()
        a, to_a, b, _ = offered(lab)
        leave(lab, a, to_a)
        assert lab.said() == ["reset"]
        assert exchange(lab, b).remote == ex.WaitingForRequest()


def test_a_freed_target_goes_to_who_waits():
    """At once."""
    lab = Lab()
    a, to_a, _, _ = introduce(lab)
    c = lab.accept(3)
    asks(lab, c)
    lab.close(a)
    assert lab.said() == [DiscoveryDiscovered(key(2))]


def test_no_answer_is_passed_on_as_none():
    """`Answer(None)` of a listener."""
    lab = Lab()
    a, to_a, b, to_b = offered(lab)
    lab.exchange(b, to_b, ExchangeAnswer(None))
    assert lab.said() == ["end", DiscoveryAnswer(None), "end"]


def test_r8_a_pair_is_not_introduced_again_for_a_while():
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


def test_r8_the_memory_survives_a_reconnection_and_is_bounded():
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


def test_r8_a_forgotten_pair_is_tried_again_at_once():
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


def test_c9_an_offer_that_fits_one_channel_and_not_the_other():
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
        "target: GetNext on another stream": (lambda lab, a, to_a, b, to_b: lab.exchange(b, lab.peer_stream(b), ExchangeGetNext()), over),
        "target: an offer": (on_b(ExchangeOfferToYou(key(1), b"")), unexpected),
        "target: the end of its permission": (lambda lab, a, to_a, b, to_b: lab.end(b, EXCHANGE, to_b), ReasonCode.STREAM_MISUSE),
        "target: garbage": (lambda lab, a, to_a, b, to_b: lab.frame(b, EXCHANGE, to_b, b""), ReasonCode.CHANNEL_MSG_UNDECODABLE),
    }


@pytest.mark.parametrize("what", hostile_to_relay())
def test_hostile_requesters_and_targets_end_their_connection_only(what: str):
    """The other of the two, and the rest, go on."""
    lab = Lab()
    a, to_a, b, to_b = introduce(lab)
    act, code = hostile_to_relay()[what]
    act(lab, a, to_a, b, to_b)
    culprit, other, channel = (a, b, DISCOVERY) if "requester" in what else (b, a, EXCHANGE)
    lab.violates(culprit, code, channel)
    assert other in lab.state.connections.table


# --- the dialer -------------------------------------------------------------------------------


def permitted(lab: Lab) -> tuple[ConnectionId, StreamId]:
    """A relay permits us to ask, and we do. It serves no RPC, or we would ask for peers there too."""
    cid = lab.connect(1, channels=(DISCOVERY, EXCHANGE))
    stream = lab.peer_stream(cid)
    lab.discovery(cid, stream, DiscoveryGetNext())
    return cid, stream


def wanted(lab: Lab, target: int = 2) -> tuple[ConnectionId, StreamId]:
    """It proposes somebody, whom we want."""
    cid, stream = permitted(lab)
    assert lab.said() == [DiscoveryDiscover()]
    lab.discovery(cid, stream, DiscoveryDiscovered(key(target)))
    assert lab.of(SignalingOfferWanted) == [SignalingOfferWanted(cid, stream, key(target))]
    return cid, stream


def accepted(lab: Lab) -> tuple[ConnectionId, StreamId]:
    """And our offer is with the relay."""
    cid, stream = wanted(lab)
    lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "sdp")).crypto()
    return cid, stream


def response(of: ConnectionResponse, target: int = 2) -> bytes:
    """What a target would send."""
    return encrypt(key(ME), key(target), encode_response(of))


CONSENT = Accepted(Answer("their sdp", PublicKey(key(2)), key(ME)))


def test_a_dialer_offers_and_is_answered():
    """The offer names both, encrypted for the target; the stream ends once the answer is read."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = wanted(lab)
    lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "sdp"))
    (request,) = lab.effects
    assert decode_offer(request.offer) == Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(ME)), key(2))
    lab.crypto()
    assert lab.said() == [DiscoveryDiscoveredAccept(encrypt(key(ME), key(2), request.offer))]
    lab.discovery(cid, stream, DiscoveryAnswer(response(CONSENT)))
    assert lab.said() == []
    lab.end(cid, DISCOVERY, stream)
    assert isinstance(discovery(lab, cid).remote, AnswerDecryptPending)
    lab.feed(decrypted(cid, stream))
    assert lab.said() == ["end"]
    assert lab.of(SignalingAnswerReceived) == [SignalingAnswerReceived(cid, stream, key(2), CONSENT)]
    assert discovery(lab, cid).remote == RemoteAnswered(key(2))


def decrypted(cid: ConnectionId, stream: StreamId) -> ChannelsSignalingDiscoveryAnswerDecrypted:
    """The decryption that is awaited."""
    return ChannelsSignalingDiscoveryAnswerDecrypted(cid, stream, encode_response(CONSENT))


def test_who_has_enough_connections_does_not_ask():
    """And asks when it has too few again; a look every ten seconds."""
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_min=2))
    cid, _ = permitted(lab)
    assert lab.said() == [DiscoveryDiscover()]
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_min=2))
    other = lab.accept(9, channels=(DISCOVERY,))
    cid, _ = permitted(lab)
    assert lab.said() == []
    lab.wait(10 * SECOND)
    assert lab.said() == []
    lab.close(other)
    lab.wait(10 * SECOND)
    assert lab.said() == [DiscoveryDiscover()]
    assert cid in lab.state.connections.table


def test_unwelcome_targets_are_declined():
    """Ourselves, who is connected, who is banned; and who comes when there are enough."""
    for prepare, target in (
        (lambda lab: None, ME),
        (lambda lab: lab.accept(2), 2),
        (lambda lab: lab.feed(PeerBan(key(2), Timestamp(START + 100 * SECOND), Reason(ReasonCode.PEER_BANNED))), 2),
        (lambda lab: [lab.accept(n) for n in range(10, 20)], 2),
    ):
        lab = Lab(is_discovery_enabled=True, limits=Limits(peers_min=5))
        cid, stream = permitted(lab)
        prepare(lab)
        lab.discovery(cid, stream, DiscoveryDiscovered(key(target)))
        assert lab.said() == [DiscoveryDiscoveredReject(), "end"]
        assert discovery(lab, cid).remote == RemoteDiscoveredRejected(key(target))
        lab.discovery(cid, lab.peer_stream(cid), DiscoveryGetNext())
        assert cid in lab.state.connections.table


def test_r6_who_can_make_no_offer_declines():
    """It was not made, not encrypted, too long, or not made in time; whoever makes connections is told what it does not know."""
    failures: dict[str, tuple[Any, int]] = {
        "error": (lambda lab, cid, stream: lab.feed(ChannelsSignalingDiscoveryOfferError(cid, stream)), 0),
        "late": (lambda lab, cid, stream: lab.wait(15 * SECOND), 1),
        "not encrypted": (lambda lab, cid, stream: encrypted(lab, cid, stream, None), 1),
        "too long for a ciphertext": (lambda lab, cid, stream: encrypted(lab, cid, stream, b"x" * 16_385), 1),
        "too long for a frame": (lambda lab, cid, stream: encrypted(lab, cid, stream, b"\xff" * 6_000), 1),
        "encrypted late": (lambda lab, cid, stream: encrypted_late(lab, cid, stream), 1),
    }

    def encrypted(lab: Lab, cid: ConnectionId, stream: StreamId, offer: bytes | None) -> None:
        lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "sdp"))
        lab.feed(ChannelsSignalingDiscoveryOfferEncrypted(cid, stream, offer))

    def encrypted_late(lab: Lab, cid: ConnectionId, stream: StreamId) -> None:
        lab.wait(10 * SECOND).feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "sdp"))
        lab.wait(5 * SECOND)

    for act, told in failures.values():
        lab = Lab(is_discovery_enabled=True)
        cid, stream = wanted(lab)
        act(lab, cid, stream)
        assert lab.said() == [DiscoveryDiscoveredReject(), "end"]
        assert [failed.peer_id for failed in lab.of(SignalingFailed)] == [key(2)] * told
        lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "late"))
        lab.feed(ChannelsSignalingDiscoveryOfferEncrypted(cid, stream, b"late"))
        assert lab.said() == []


def test_r7_every_answer_ends_the_introduction():
    """Also none: the relay's next permission is welcome."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.discovery(cid, stream, DiscoveryAnswer(None))
    assert lab.said() == ["end"]
    assert lab.of(SignalingAnswerReceived) == [SignalingAnswerReceived(cid, stream, key(2), InternalError())]
    lab.end(cid, DISCOVERY, stream)
    lab.discovery(cid, lab.peer_stream(cid), DiscoveryGetNext())
    assert lab.said() == [DiscoveryDiscover()]


def test_r4_a_dialer_waits_thirty_seconds_for_an_answer():
    """Then it resets the stream and is ready for the relay's next permission."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.wait(29 * SECOND)
    assert isinstance(discovery(lab, cid).remote, RemoteDiscoveredAccepted)
    lab.wait(SECOND)
    assert lab.said() == ["reset"]
    assert [failed.reason.code for failed in lab.of(SignalingFailed)] == [ReasonCode.CONNECTION_TIMEOUT]
    lab.discovery(cid, lab.peer_stream(cid), DiscoveryGetNext())
    assert lab.said() == [DiscoveryDiscover()]


def test_r4_a_request_that_nobody_serves_is_given_up():
    """After ten minutes; the relay permits again when it wants."""
    lab = Lab(is_discovery_enabled=True)
    cid, _ = permitted(lab)
    lab.wait(600 * SECOND)
    assert "reset" in lab.said()
    assert discovery(lab, cid).remote == NothingPermitted()


def test_a_decryption_that_does_not_come_is_one_that_failed():
    """After 15 s."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.discovery(cid, stream, DiscoveryAnswer(response(CONSENT)))
    lab.wait(15 * SECOND)
    assert lab.of(SignalingAnswerReceived) == [SignalingAnswerReceived(cid, stream, key(2), SignalDecryptionFailed())]


@pytest.mark.parametrize(
    ("ciphertext", "news"),
    [
        (response(Rejected(RejectionReason.PEER_CAPACITY_FULL)), Rejected(RejectionReason.PEER_CAPACITY_FULL)),
        (response(SignalDecryptionFailed()), SignalDecryptionFailed()),
        (response(InternalError()), InternalError()),
        (response(CONSENT, target=3), SignalDecryptionFailed()),
        (encrypt(key(ME), key(2), b"not json"), SignalDecryptionFailed()),
        (b"", SignalDecryptionFailed()),
    ],
)
def test_what_a_target_may_say(ciphertext: bytes, news: ConnectionResponse):
    """Whatever it is, whoever makes connections learns of it, and the introduction is over."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.discovery(cid, stream, DiscoveryAnswer(ciphertext)).crypto()
    assert lab.said() == ["end"]
    assert lab.of(SignalingAnswerReceived) == [SignalingAnswerReceived(cid, stream, key(2), news)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer("sdp", PublicKey(key(3)), key(ME)), ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH),
        (Answer("sdp", PublicKey(key(2)), key(3)), ReasonCode.TARGET_PEER_ID_NOT_ME),
    ],
)
def test_s2_an_acceptance_is_the_targets_own_and_for_us(answer: Answer, code: ReasonCode):
    """Another identity, or another's answer, is a failure."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.discovery(cid, stream, DiscoveryAnswer(response(Accepted(answer)))).crypto()
    assert [failed.reason.code for failed in lab.of(SignalingFailed)] == [code]
    assert lab.of(SignalingAnswerReceived) == []


def test_a_relay_that_gives_up_or_goes_fails_what_was_begun():
    """By a reset or by disconnection, at every stage."""
    for begin in (wanted, accepted):
        for leave in (lambda lab, cid, stream: lab.reset(cid, DISCOVERY, stream), lambda lab, cid, stream: lab.close(cid)):
            lab = Lab(is_discovery_enabled=True)
            cid, stream = begin(lab)
            leave(lab, cid, stream)
            assert [(failed.stream, failed.peer_id) for failed in lab.of(SignalingFailed)] == [(stream, key(2))]


def hostile_to_dialer() -> dict[str, tuple[Any, Any, ReasonCode]]:
    """What a relay may try on a dialer: the stage, the act, the reason."""

    def on(message: Any) -> Any:
        return lambda lab, cid, stream: lab.discovery(cid, stream, message)

    unexpected = ReasonCode.CHANNEL_MSG_UNEXPECTED
    return {
        "Discovered twice": (wanted, on(DiscoveryDiscovered(key(3))), unexpected),
        "GetNext while it is the relay's": (wanted, on(DiscoveryGetNext()), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
        "GetNext twice": (
            permitted,
            lambda lab, cid, stream: lab.discovery(cid, lab.peer_stream(cid), DiscoveryGetNext()),
            ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
        ),
        "Answer before an offer": (wanted, on(DiscoveryAnswer(b"")), unexpected),
        "Discover from the relay": (permitted, on(DiscoveryDiscover()), unexpected),
        "Reject from the relay": (accepted, on(DiscoveryDiscoveredReject()), unexpected),
        "the end before an answer": (accepted, lambda lab, cid, stream: lab.end(cid, DISCOVERY, stream), ReasonCode.STREAM_MISUSE),
        "a target that is no key": (permitted, on(DiscoveryDiscovered(NO_KEY)), ReasonCode.CHANNEL_MSG_UNDECODABLE),
        "Discovered on another stream": (
            permitted,
            lambda lab, cid, stream: lab.discovery(cid, StreamId(stream + 4), DiscoveryDiscovered(key(3))),
            unexpected,
        ),
    }


@pytest.mark.parametrize("what", hostile_to_dialer())
def test_hostile_relays_lose_the_dialer(what: str):
    """Whatever was begun has failed."""
    lab = Lab(is_discovery_enabled=True)
    begin, act, code = hostile_to_dialer()[what]
    cid, stream = begin(lab)
    act(lab, cid, stream)
    lab.violates(cid, code, DISCOVERY)
    assert len(lab.of(SignalingFailed)) == (begin is not permitted)


# --- the listener -----------------------------------------------------------------------------


def offer_of(offerer: int, **changes: Any) -> bytes:
    """An offer to us, encrypted for us."""
    good = Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(offerer)), key(ME))
    return encrypt(key(offerer), key(ME), encode_offer(good.replace(**changes)))


def handed(lab: Lab, ciphertext: bytes | None = None, offerer: int = 2) -> tuple[ConnectionId, StreamId]:
    """A relay hands us an offer."""
    cid = lab.connect(1)
    stream = lab.stream(cid, EXCHANGE)
    lab.exchange(cid, stream, ExchangeOfferToYou(key(offerer), offer_of(offerer) if ciphertext is None else ciphertext))
    return cid, stream


def test_a_listener_answers():
    """Decrypt, decide, have an answer made, encrypt, send, wait for the end, permit again."""
    lab = Lab()
    cid, stream = handed(lab)
    lab.crypto()
    assert lab.of(SignalingOfferReceived) == [
        SignalingOfferReceived(cid, stream, key(2), Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(2)), key(ME)))
    ]
    lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "my sdp"))
    (effect,) = lab.effects
    assert decode_response(effect.answer) == Accepted(Answer("my sdp", PublicKey(key(ME)), key(2)))
    lab.crypto()
    assert lab.said() == [ExchangeAnswer(encrypt(key(ME), key(2), effect.answer)), "end"]
    assert lab.of(SignalingAnswerSent) == [SignalingAnswerSent(cid, stream, key(2))]
    lab.end(cid, EXCHANGE, stream)
    assert lab.said() == [ExchangeGetNext()]


def answer_to(lab: Lab, cid: ConnectionId, stream: StreamId) -> ConnectionResponse:
    """What we say to an offer that we do not take."""
    lab.crypto()
    (effect,) = lab.effects
    lab.crypto()
    (word, end) = lab.said()
    assert (word.answer[8:], end) == (bytes(byte ^ 0x5A for byte in effect.answer), "end")
    assert lab.of(SignalingAnswerSent) == []
    return decode_response(effect.answer)


@pytest.mark.parametrize(
    ("ciphertext", "said"),
    [
        (offer_of(2, chain_id=DEVNET_CHAIN_ID), Rejected(RejectionReason.CHAIN_ID_MISMATCH)),
        (offer_of(2, target_peer_id=key(3)), Rejected(RejectionReason.TARGET_PEER_ID_NOT_ME)),
        (offer_of(2, identity_pub_key=PublicKey(key(3))), SignalDecryptionFailed()),
        (offer_of(3), SignalDecryptionFailed()),
        (encrypt(key(2), key(ME), b"{}"), SignalDecryptionFailed()),
        (b"\x00" * 12, SignalDecryptionFailed()),
        (b"", SignalDecryptionFailed()),
    ],
)
def test_offers_that_are_declined(ciphertext: bytes, said: ConnectionResponse):
    """The offerer learns why."""
    lab = Lab()
    cid, stream = handed(lab, ciphertext)
    assert answer_to(lab, cid, stream) == said


def test_s4_a_short_chain_id_is_a_failed_decryption():
    """Shorter or longer than 64 digits: neither panics nor passes."""
    good = encode_offer(Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(2)), key(ME))).decode()
    digits = str(MAINNET_CHAIN_ID)
    for bad in (digits[:-1], digits + "0", "", digits[:-1] + "g"):
        lab = Lab()
        cid, stream = handed(lab, encrypt(key(2), key(ME), good.replace(digits, bad).encode()))
        assert answer_to(lab, cid, stream) == SignalDecryptionFailed()


def test_s3_a_peer_that_is_connected_is_declined_whatever_its_id():
    """The working connection stays."""
    for n in (2, 60):
        lab = Lab()
        existing = lab.accept(n)
        cid, stream = handed(lab, offer_of(n), n)
        assert answer_to(lab, cid, stream) == Rejected(RejectionReason.ALREADY_CONNECTED)
        assert existing in lab.state.connections.table


def test_s3_who_dials_us_while_we_dial_it():
    """The offer of the greater id goes before our attempt; the attempt is kept all the same."""
    for n, is_taken in ((2, False), (60, True)):
        lab = Lab()
        cid, stream = handed(lab, offer_of(n), n)
        lab.feed(ConnectionOutgoingInit(QuicAddress(key(n), Ipv4.of(1, 0, 0, n), 8302), RequestId(2)))
        attempt = lab.state.connections.last_id
        lab.effects = [effect for effect in lab.all if isinstance(effect, SignalingEffectfulOfferDecrypt)]
        lab.crypto()
        assert bool(lab.of(SignalingOfferReceived)) == is_taken
        assert attempt in lab.state.connections.table
        assert cid in lab.state.connections.table
        assert stream


def test_s3_the_limit_holds_for_every_offer():
    """Also for one of a greater id; and to a banned peer there is no room."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=1))
    cid, stream = handed(lab, offer_of(60), 60)
    lab.accept(9)
    lab.effects = [effect for effect in lab.all if isinstance(effect, SignalingEffectfulOfferDecrypt)]
    assert answer_to(lab, cid, stream) == Rejected(RejectionReason.PEER_CAPACITY_FULL)
    lab = Lab()
    lab.feed(PeerBan(key(2), Timestamp(START + 100 * SECOND), Reason(ReasonCode.PEER_BANNED)))
    cid, stream = handed(lab)
    assert answer_to(lab, cid, stream) == Rejected(RejectionReason.PEER_CAPACITY_FULL)


def test_who_can_make_no_answer_says_so():
    """`InternalError` where it was not made, nothing where it could not be encrypted, fitted or made in time."""
    lab = Lab()
    cid, stream = handed(lab)
    lab.crypto().feed(ChannelsSignalingExchangeAnswerError(cid, stream))
    (effect,) = lab.effects
    assert decode_response(effect.answer) == InternalError()
    lab.crypto()
    assert lab.said()[-1] == "end"
    assert lab.of(SignalingAnswerSent) == []

    for ciphertext in (None, b"x" * 16_385, b"\xff" * 6_000):
        lab = Lab()
        cid, stream = handed(lab)
        lab.crypto().feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "sdp"))
        lab.feed(ChannelsSignalingExchangeAnswerEncrypted(cid, stream, ciphertext))
        assert lab.said() == [ExchangeAnswer(None), "end"]
        assert [failed.peer_id for failed in lab.of(SignalingFailed)] == [key(2)]

    for steps in range(3):
        lab = Lab()
        cid, stream = handed(lab)
        if steps:
            lab.crypto()
        if steps == 2:
            lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "sdp"))
        lab.wait(15 * SECOND)
        assert lab.said() == [ExchangeAnswer(None), "end"]
        assert len(lab.of(SignalingFailed)) == (steps > 0)


def test_an_sdp_that_is_no_text_is_the_callers_fault():
    """In both roles."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = wanted(lab)
    with pytest.raises(CallerError, match="no text"):
        lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "\ud800"))
    lab = Lab()
    cid, stream = handed(lab)
    lab.crypto()
    with pytest.raises(CallerError, match="no text"):
        lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "\ud800"))


def test_r3_a_listener_permits_again():
    """After an answer, and when there is room again."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=1))
    lab.accept(8)
    cid = lab.accept(1)
    assert ExchangeGetNext() not in lab.said()
    lab.wait(10 * SECOND)
    assert lab.said() == []
    lab.close(ConnectionId(1))
    lab.wait(10 * SECOND)
    assert lab.said() == [ExchangeGetNext()]
    assert isinstance(exchange(lab, cid).local, ex.Requested)


def test_a_relay_that_withdraws_or_goes_fails_what_was_begun():
    """By a reset, by disconnection, or by not ending the stream."""
    for leave in (lambda lab, cid, stream: lab.reset(cid, EXCHANGE, stream), lambda lab, cid, stream: lab.close(cid)):
        lab = Lab()
        cid, stream = handed(lab)
        lab.crypto()
        leave(lab, cid, stream)
        assert [(failed.stream, failed.peer_id) for failed in lab.of(SignalingFailed)] == [(stream, key(2))]
        lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "late"))
        assert lab.effects == []
    lab = Lab()
    cid, stream = handed(lab, b"")
    answer_to(lab, cid, stream)
    lab.wait(20 * SECOND)
    assert lab.said() == ["reset"]
    lab.wait(5 * SECOND)
    assert lab.said() == [ExchangeGetNext()]


def hostile_to_listener() -> dict[str, tuple[Any, ReasonCode]]:
    """What a relay may try on a listener that has an offer of it."""
    unexpected = ReasonCode.CHANNEL_MSG_UNEXPECTED
    return {
        "another offer": (lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeOfferToYou(key(3), b"")), unexpected),
        "an answer": (lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeAnswer(None)), unexpected),
        "GetNext on our stream": (lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeGetNext()), ReasonCode.STREAM_MISUSE),
        "the end": (lambda lab, cid, stream: lab.end(cid, EXCHANGE, stream), ReasonCode.ANSWER_TRUNCATED),
        "an offerer that is no key": (
            lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeOfferToYou(NO_KEY, b"")),
            ReasonCode.CHANNEL_MSG_UNDECODABLE,
        ),
    }


@pytest.mark.parametrize("what", hostile_to_listener())
def test_hostile_relays_lose_the_listener(what: str):
    """Each for its own reason."""
    lab = Lab()
    cid, stream = handed(lab)
    act, code = hostile_to_listener()[what]
    act(lab, cid, stream)
    lab.violates(cid, code, EXCHANGE)


def test_an_offer_without_a_permission_is_a_violation():
    """On no stream of ours, and on one that is answered."""
    lab = Lab()
    cid, stream = handed(lab, b"")
    answer_to(lab, cid, stream)
    lab.exchange(cid, stream, ExchangeOfferToYou(key(3), b""))
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, EXCHANGE)


def test_late_answers_of_effects_change_nothing():
    """Of another stream, another state, another connection."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = wanted(lab)
    assert isinstance(discovery(lab, cid).remote, OfferPending)
    for late in (
        ChannelsSignalingDiscoveryOfferReady(cid, StreamId(stream + 4), "sdp"),
        ChannelsSignalingDiscoveryOfferReady(ConnectionId(99), stream, "sdp"),
        ChannelsSignalingDiscoveryOfferEncrypted(cid, stream, b""),
        ChannelsSignalingExchangeAnswerReady(cid, stream, "sdp"),
        ChannelsSignalingExchangeAnswerEncrypted(cid, stream, b""),
        decrypted(cid, stream),
    ):
        before = lab.state
        lab.feed(late)
        assert lab.state is before
    assert isinstance(discovery(lab, cid).remote, OfferPending)
