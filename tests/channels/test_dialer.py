"""Channel 1 in the role of the dialer: the relay and the target are played here."""

from __future__ import annotations

from typing import Any

import pytest

from channels.lab import DISCOVERY, EXCHANGE, LEAVES, ME, NO_KEY, START, STREAMING, Lab, discovery
from channels.people import encrypt, key
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
    OfferPending,
    RemoteAnswered,
    RemoteDiscoveredAccepted,
    RemoteDiscoveredRejected,
)
from mina_p2p.channels.signaling_discovery.state import WaitingForRequest as NothingPermitted
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeAnswerReady,
)
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID, PublicKey
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.peer.actions import PeerBan
from mina_p2p.signaling.effects import (
    SignalingAnswerReceived,
    SignalingFailed,
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
    encode_response,
)


def permitted(lab: Lab) -> tuple[ConnectionId, StreamId]:
    """A relay permits us to ask, and we do. It serves no RPC, or we would ask for peers there too."""
    cid = lab.connect(1, channels=(DISCOVERY, EXCHANGE, STREAMING))
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


def test_a_dialer_offers_and_is_answered() -> None:
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


def test_who_has_enough_connections_does_not_ask() -> None:
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


def test_unwelcome_targets_are_declined() -> None:
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


def test_r6_who_can_make_no_offer_declines() -> None:
    """It was not made, not encrypted, too long, or not made in time; whoever makes connections is told what it does not know."""

    def encrypted(lab: Lab, cid: ConnectionId, stream: StreamId, offer: bytes | None) -> None:
        lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "sdp"))
        lab.feed(ChannelsSignalingDiscoveryOfferEncrypted(cid, stream, offer))

    def encrypted_late(lab: Lab, cid: ConnectionId, stream: StreamId) -> None:
        lab.wait(10 * SECOND).feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "sdp"))
        lab.wait(5 * SECOND)

    failures: dict[str, tuple[Any, int]] = {
        "error": (lambda lab, cid, stream: lab.feed(ChannelsSignalingDiscoveryOfferError(cid, stream)), 0),
        "late": (lambda lab, cid, stream: lab.wait(15 * SECOND), 1),
        "not encrypted": (lambda lab, cid, stream: encrypted(lab, cid, stream, None), 1),
        "too long for a ciphertext": (lambda lab, cid, stream: encrypted(lab, cid, stream, b"x" * 16_385), 1),
        "too long for a frame": (lambda lab, cid, stream: encrypted(lab, cid, stream, b"\xff" * 6_000), 1),
        "encrypted late": (encrypted_late, 1),
    }

    for act, told in failures.values():
        lab = Lab(is_discovery_enabled=True)
        cid, stream = wanted(lab)
        act(lab, cid, stream)
        assert lab.said() == [DiscoveryDiscoveredReject(), "end"]
        assert [failed.peer_id for failed in lab.of(SignalingFailed)] == [key(2)] * told
        lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "late"))
        lab.feed(ChannelsSignalingDiscoveryOfferEncrypted(cid, stream, b"late"))
        assert lab.said() == []


def test_r7_every_answer_ends_the_introduction() -> None:
    """Also none: the relay's next permission is welcome."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.discovery(cid, stream, DiscoveryAnswer(None))
    assert lab.said() == ["end"]
    assert lab.of(SignalingAnswerReceived) == [SignalingAnswerReceived(cid, stream, key(2), InternalError())]
    lab.end(cid, DISCOVERY, stream)
    lab.discovery(cid, lab.peer_stream(cid), DiscoveryGetNext())
    assert lab.said() == [DiscoveryDiscover()]


def test_r4_a_dialer_waits_thirty_seconds_for_an_answer() -> None:
    """Then it resets the stream and is ready for the relay's next permission."""
    lab = Lab(is_discovery_enabled=True)
    cid, _stream = accepted(lab)
    lab.wait(29 * SECOND)
    assert isinstance(discovery(lab, cid).remote, RemoteDiscoveredAccepted)
    lab.wait(SECOND)
    assert lab.said() == ["reset"]
    assert [failed.reason.code for failed in lab.of(SignalingFailed)] == [ReasonCode.CONNECTION_TIMEOUT]
    lab.discovery(cid, lab.peer_stream(cid), DiscoveryGetNext())
    assert lab.said() == [DiscoveryDiscover()]


def test_r4_a_request_that_nobody_serves_is_given_up() -> None:
    """After ten minutes; the relay permits again when it wants."""
    lab = Lab(is_discovery_enabled=True)
    cid, _ = permitted(lab)
    lab.wait(600 * SECOND)
    assert "reset" in lab.said()
    assert discovery(lab, cid).remote == NothingPermitted()


def test_a_decryption_that_does_not_come_is_one_that_failed() -> None:
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
def test_what_a_target_may_say(ciphertext: bytes, news: ConnectionResponse) -> None:
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
def test_s2_an_acceptance_is_the_targets_own_and_for_us(answer: Answer, code: ReasonCode) -> None:
    """Another identity, or another's answer, is a failure."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = accepted(lab)
    lab.discovery(cid, stream, DiscoveryAnswer(response(Accepted(answer)))).crypto()
    assert [failed.reason.code for failed in lab.of(SignalingFailed)] == [code]
    assert lab.of(SignalingAnswerReceived) == []


def test_a_relay_that_gives_up_or_goes_fails_what_was_begun() -> None:
    """By a reset or by disconnection, at every stage."""
    for begin in (wanted, accepted):
        for leave in LEAVES:
            lab = Lab(is_discovery_enabled=True)
            cid, stream = begin(lab)
            leave(lab, cid, DISCOVERY, stream)
            assert [(failed.stream, failed.peer_id) for failed in lab.of(SignalingFailed)] == [(stream, key(2))]


def hostile_to_dialer() -> dict[str, tuple[Any, Any, ReasonCode]]:
    """What a relay may try on a dialer: the stage, the act, the reason."""

    def on(message: Any) -> Any:
        return lambda lab, cid, stream: lab.discovery(cid, stream, message)

    unexpected = ReasonCode.CHANNEL_MSG_UNEXPECTED
    return {
        "Discovered twice": (wanted, on(DiscoveryDiscovered(key(3))), unexpected),
        "GetNext while it is the relay's": (wanted, on(DiscoveryGetNext()), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
        "GetNext twice": (permitted, on(DiscoveryGetNext()), ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
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
def test_hostile_relays_lose_the_dialer(what: str) -> None:
    """Whatever was begun has failed."""
    lab = Lab(is_discovery_enabled=True)
    begin, act, code = hostile_to_dialer()[what]
    cid, stream = begin(lab)
    act(lab, cid, stream)
    lab.violates(cid, code, DISCOVERY)
    assert len(lab.of(SignalingFailed)) == (begin is not permitted)


def test_an_offer_that_is_no_text_is_the_callers_fault() -> None:
    """It raises, and the state stays."""
    lab = Lab(is_discovery_enabled=True)
    cid, stream = wanted(lab)
    with pytest.raises(CallerError, match="no text"):
        lab.feed(ChannelsSignalingDiscoveryOfferReady(cid, stream, "\ud800"))


def test_late_answers_of_effects_change_nothing() -> None:
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
